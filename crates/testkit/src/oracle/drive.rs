//! Loads and runs a program on any backend and reads everything back.

use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_spec::{
    Backend, BackendMap, BackendProgram, Errno, Error, LoadError, LoadOptions, ProgramSpec, RunInput,
    RunOutput,
};

use super::{Element, Input, Inside, MapContents, Outcome, RunResult, Tail, Verdict};

/// The verdict that a failed load amounts to.
pub(super) fn verdict_of(e: &LoadError) -> Verdict {
    let text = format!("{}\n{}", e.log, e.error.message);
    if e.error.message.contains("not supported yet") || e.log.contains("not supported yet") {
        Verdict::Unsupported(e.error.message.clone())
    } else if e.error.errno == Errno::EPERM && e.log.is_empty() {
        Verdict::Rejected { log: e.error.message.clone() }
    } else {
        Verdict::Rejected { log: text }
    }
}

/// Creates the maps of `spec`.
pub(crate) fn maps(backend: &dyn Backend, spec: &ProgramSpec) -> Result<Vec<Arc<dyn BackendMap>>, Verdict> {
    let create = |def: &Arc<skep_spec::MapDef>| {
        backend.create_map(def).map_err(|e| Verdict::Unsupported(format!("map `{}`: {e}", def.name)))
    };
    spec.maps.iter().map(create).collect()
}

/// Loads `spec`; where only the reason of a refusal is wanted, without the path that leads to it, which may be
/// a million instructions long.
pub(crate) fn load(
    backend: &dyn Backend,
    spec: &ProgramSpec,
    maps: &[Arc<dyn BackendMap>],
    brief: bool,
) -> Result<Arc<dyn BackendProgram>, Verdict> {
    let log_level = if brief { 4 } else { 0 };
    backend.load(spec, maps, LoadOptions { log_level }).map_err(|e| verdict_of(&e))
}

/// Loads the programs that tail calls lead to, and puts them into their slots.
pub(super) fn load_tails(
    backend: &dyn Backend,
    tails: &[Tail],
    maps: &[Arc<dyn BackendMap>],
    brief: bool,
) -> Result<(), Verdict> {
    for tail in tails {
        let program = load(backend, &tail.spec, maps, brief)?;
        let map = maps.get(tail.map).ok_or_else(|| Verdict::Skipped(format!("no map {}", tail.map)))?;
        map.set_program(tail.index, &*program).map_err(|e| Verdict::Rejected { log: e.to_string() })?;
    }
    Ok(())
}

/// Puts maps into maps of maps, and elements into others.
pub(super) fn fill(
    maps: &[Arc<dyn BackendMap>],
    insides: &[Inside],
    elements: &[Element],
) -> Result<(), Verdict> {
    for Inside { outer, key, map } in insides {
        maps[*outer].set_map(key, &*maps[*map]).map_err(|e| Verdict::Skipped(e.to_string()))?;
    }
    for Element { map, key, value } in elements {
        maps[*map].update(key, value, 0).map_err(|e| Verdict::Skipped(e.to_string()))?;
    }
    Ok(())
}

/// Runs a loaded program on each input, then reads its maps.
pub(super) fn run(
    program: &dyn BackendProgram,
    maps: &[Arc<dyn BackendMap>],
    inputs: &[Input],
) -> Result<Outcome, Verdict> {
    let mut outcome = Outcome::default();
    let prog_type = program.info().prog_type;
    // Ring buffers are read after every run, so that none fills up.
    let mut readers = Vec::new();
    for map in maps {
        let reader = if map.info().kind == MapType::RINGBUF {
            Some(map.reader().map_err(|e| Verdict::Skipped(format!("ring buffer: {e}")))?)
        } else {
            None
        };
        readers.push((reader, MapContents::new()));
    }
    for input in inputs {
        let given = RunInput { data: &input.data, ctx: &input.ctx, repeat: 1 };
        outcome.runs.push(result(prog_type, input, program.test_run(given)));
        for (reader, records) in &mut readers {
            if let Some(reader) = reader {
                reader
                    .poll(&mut |record| records.push((Vec::new(), record.to_vec())))
                    .map_err(|e| Verdict::Skipped(format!("ring buffer: {e}")))?;
            }
        }
    }
    for (map, (_, records)) in maps.iter().zip(readers) {
        outcome.maps.push(if map.info().kind == MapType::RINGBUF { records } else { contents(&**map) });
    }
    Ok(outcome)
}

/// What came of a test run.
pub(super) fn result(kind: ProgramType, input: &Input, ran: Result<RunOutput, Error>) -> RunResult {
    match ran {
        // A socket filter cannot change its packet, but a test run clears the 14 bytes of Ethernet header that
        // it hides from the program.
        Ok(out) if kind == ProgramType::SOCKET_FILTER => {
            RunResult { retval: out.retval, data: input.data.clone(), ctx: out.ctx, fault: None }
        }
        Ok(out) => RunResult { retval: out.retval, data: out.data, ctx: out.ctx, fault: None },
        Err(e) => RunResult { fault: Some(e.to_string()), ..RunResult::default() },
    }
}

/// All elements of a map, ascending by key. Ids of programs and maps are nothing that two backends could agree on.
fn contents(map: &dyn BackendMap) -> MapContents {
    let mut all = MapContents::new();
    if map.info().kind == MapType::PROG_ARRAY || map.info().kind.holds_maps() {
        return all;
    }
    if matches!(map.info().kind, MapType::QUEUE | MapType::STACK) {
        // Values without keys, in the order that they come out.
        while let Ok(value) = map.lookup_and_delete(&[]) {
            all.push((Vec::new(), value));
        }
        return all;
    }
    let mut key = map.next_key(None).ok();
    // Nobody else writes to the map, so the walk ends; the bound is for a backend that errs.
    while let Some(k) = key.take()
        && all.len() <= map.info().max_entries as usize
    {
        if let Ok(value) = map.lookup(&k, 0) {
            let size = map.info().value_size as usize;
            all.push((k.clone(), super::fold_cpus(value, size)));
        }
        key = map.next_key(Some(&k)).ok();
    }
    all.sort();
    all
}

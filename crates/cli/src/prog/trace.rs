//! `skep prog run --trace`: each instruction that runs, and what it changed.

use std::cell::RefCell;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};

use serde_json::{Map, Value as Json, json};
use skep::isa::text::Dialect;
use skep::isa::{CallTarget, Op, decode};
use skep::spec::SourceLine;
use skep::{Loaded, Observer, Place, Step};

use crate::failure::Failure;
use crate::text::helper_name;

/// Where the column of changed registers begins, if instructions are not longer.
const COLUMN: usize = 48;

/// Prints a run. Data goes to stdout.
pub struct Tracer<'a> {
    loaded: &'a Loaded,
    json: bool,
    state: RefCell<State>,
}

struct State {
    out: BufWriter<Stdout>,
    /// The instruction that was shown last; what it changed is known at the next.
    open: Option<Open>,
    /// Registers as they were before it.
    regs: [u64; 11],
    /// The source line printed last.
    line: Option<(String, u32)>,
    /// Values that lookups have given, the last one last.
    values: Vec<Value>,
    failed: Option<io::Error>,
}

/// A map's value: program, the map's index there, and the distance from the map's first value.
type Value = (String, usize, u64);

struct Open {
    program: String,
    pc: usize,
    depth: usize,
    text: String,
    line: Option<SourceLine>,
    is_lookup: bool,
}

impl<'a> Tracer<'a> {
    /// A tracer of programs of `loaded`, by whose line information it finds source lines.
    pub fn new(loaded: &'a Loaded, json: bool) -> Self {
        let state = State {
            out: BufWriter::new(io::stdout()),
            open: None,
            regs: [0; 11],
            line: None,
            values: Vec::new(),
            failed: None,
        };
        Self { loaded, json, state: RefCell::new(state) }
    }

    /// Prints what is left: the last instruction, of which nobody sees the effect.
    pub fn finish(self) -> Result<(), Failure> {
        let mut state = self.state.into_inner();
        state.close(self.json, &[]);
        let flushed = state.out.flush();
        Ok(match state.failed {
            Some(e) => Err(e),
            None => flushed,
        }?)
    }

    fn open(&self, step: &Step<'_>) -> Open {
        let (program, pc) = (step.program.name().to_owned(), step.pc);
        let spec = self.loaded.program(&program).map(skep::Program::spec);
        let op = decode(step.program.insns(), pc);
        let text = match &op {
            Ok(op) => op.text(Dialect::Kernel).with_names(&helper_name).to_string(),
            Err(e) => format!("??? {e}"),
        };
        let line = spec.and_then(|s| s.source_line(pc));
        let is_lookup = matches!(op, Ok(Op::Call(CallTarget::Helper(id))) if id == LOOKUP_ELEM);
        Open { program, pc, depth: step.depth, text, line, is_lookup }
    }
}

/// `bpf_map_lookup_elem`
const LOOKUP_ELEM: u32 = 1;

impl Observer for Tracer<'_> {
    fn step(&self, step: &Step<'_>) {
        let state = &mut *self.state.borrow_mut();
        let program = step.program.name();
        if let (true, Some(Place::Values { map, element: None, off })) =
            (state.open.as_ref().is_some_and(|o| o.is_lookup), step.place(step.regs[0]))
        {
            state.looked_up((program.to_owned(), map, off));
        }
        let describe = |r: usize| (r, step.regs[r], place(step, step.regs[r], &state.values));
        let entered = state.open.as_ref().is_none_or(|o| o.program != program);
        let changed: Vec<Changed> = (0..step.regs.len())
            .filter(|&r| !entered && step.regs[r] != state.regs[r])
            .map(describe)
            .collect();
        // What a program is given: nothing else in its registers means anything.
        let given = [1, 10].map(describe);
        state.close(self.json, &changed);
        if entered {
            state.begin(self.json, program, &given);
        }
        state.regs = *step.regs;
        state.open = Some(self.open(step));
    }
}

/// A register, its content, and what that is the address of.
type Changed = (usize, u64, Option<String>);

impl State {
    /// Remembers the value that a lookup gave.
    fn looked_up(&mut self, value: Value) {
        const MOST: usize = 256;
        self.values.retain(|v| *v != value);
        if self.values.len() == MOST {
            self.values.remove(0);
        }
        self.values.push(value);
    }

    fn begin(&mut self, json: bool, program: &str, given: &[Changed]) {
        if json {
            let line = json!({ "program": program, "given": object(given) });
            return self.write(&line.to_string());
        }
        self.line = None;
        self.write(&format!("{program}: {}", list(given)));
    }

    /// Prints the open instruction with what it changed.
    fn close(&mut self, json: bool, changed: &[Changed]) {
        let Some(open) = self.open.take() else { return };
        if json {
            let mut line = json!({
                "program": open.program, "pc": open.pc, "depth": open.depth, "insn": open.text,
                "changed": object(changed),
            });
            if let Some(source) = open.line {
                line["file"] = json!(source.file);
                line["line"] = json!(source.line);
                line["text"] = json!(source.text);
            }
            return self.write(&line.to_string());
        }
        if let Some(source) = open.line {
            let here = (source.file, source.line);
            if self.line.as_ref() != Some(&here) {
                self.write(&format!("; {} @ {}:{}", source.text, here.0, here.1));
                self.line = Some(here);
            }
        }
        let insn = format!("{:indent$}{:4}: {}", "", open.pc, open.text, indent = 2 * open.depth);
        if changed.is_empty() {
            self.write(&insn);
        } else {
            self.write(&format!("{insn:COLUMN$} {}", list(changed)));
        }
    }

    fn write(&mut self, line: &str) {
        if self.failed.is_some() {
            return;
        }
        if let Err(e) = writeln!(self.out, "{line}") {
            if e.kind() == ErrorKind::BrokenPipe {
                // Whoever read has seen enough, and the run may still be long.
                std::process::exit(0);
            }
            self.failed = Some(e);
        }
    }
}

fn list(changed: &[Changed]) -> String {
    let each = changed.iter().map(|(r, value, place)| match place {
        Some(place) => format!("r{r}={place}"),
        None => format!("r{r}={value:#x}"),
    });
    each.collect::<Vec<_>>().join(" ")
}

fn object(changed: &[Changed]) -> Json {
    let each = changed.iter().map(|(r, value, place)| {
        let mut entry = Map::new();
        entry.insert("value".to_owned(), json!(format!("{value:#x}")));
        if let Some(place) = place {
            entry.insert("place".to_owned(), json!(place));
        }
        (format!("r{r}"), Json::Object(entry))
    });
    Json::Object(each.collect())
}

/// What a number is the address of, in words: `ctx+4`, `fp-8`, `map packets[3] value+0`, `pkt+14`.
fn place(step: &Step<'_>, value: u64, lookups: &[Value]) -> Option<String> {
    let plus = |off: u64| if off == 0 { String::new() } else { format!("+{off}") };
    let signed = |off: i64| if off == 0 { String::new() } else { format!("{off:+}") };
    let map_name = |map: usize| step.program.maps().get(map).map_or("?", |m| m.name());
    Some(match step.place(value)? {
        Place::Ctx { off } => format!("ctx{}", plus(off)),
        Place::Stack { frame, off } if frame == step.depth => format!("fp{}", signed(off)),
        Place::Stack { frame, off } => format!("fp[{frame}]{}", signed(off)),
        Place::Packet { off } => format!("pkt{}", signed(off)),
        Place::Map { map } => format!("map {}", map_name(map)),
        Place::Values { map, element: Some(element), off } => {
            format!("map {}[{element}] value+{off}", map_name(map))
        }
        Place::Values { map, element: None, off } => {
            let size = step.program.maps().get(map).map_or(0, |m| u64::from(m.value_size()));
            // The value that a lookup gave last and that the address lies in, or just behind.
            let found = lookups.iter().rev().find(|(program, m, start)| {
                (program.as_str(), *m) == (step.program.name(), map)
                    && off.checked_sub(*start).is_some_and(|n| n <= size)
            });
            match found {
                Some((.., start)) => format!("map {} value+{}", map_name(map), off - start),
                None => format!("map {} values+{off}", map_name(map)),
            }
        }
        Place::Record { off } => format!("record{}", plus(off)),
        Place::Key { off } => format!("key{}", plus(off)),
        Place::Objects { off } => format!("objects{}", plus(off)),
        Place::Buffer { off } => format!("buffer{}", plus(off)),
    })
}

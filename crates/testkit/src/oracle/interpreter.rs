//! The interpreter of `vm`, over maps of `maps`, under the verdict of `verifier`.
//!
//! It shows programs what the kernel's test run shows them: through [`TestRun`], as the user backend does. A program
//! that the verifier does not support yet runs unverified, where every access is checked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use skep_abi::MapType;
use skep_maps::{Config, Consumer, Heap, Keeper, Map};
use skep_spec::{Environment, ProgramSpec, RunInput};
use skep_user::{TestRun, bind_kfuncs};
use skep_verifier::{Code, Options, Rejection, Verified, verify};
use skep_vm::{COMM_BYTES, Host, Program, Programs, Task};

use super::embedding::Embedding;
use super::facts::Seen;
use super::{
    Answer, Element, Input, Inside, MapContents, Native, Oracle, Outcome, Privilege, Question, Tail, Verdict,
    drive,
};

/// Fuel of a run: far more than any test needs.
const FUEL: u64 = 1 << 26;

/// Instructions to verify with every state kept.
const MOST_WATCHED: u32 = 100_000;

/// The interpreter.
pub struct Interpreter;

impl Oracle for Interpreter {
    fn name(&self) -> &'static str {
        "interpreter"
    }

    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    fn verdict(&self, spec: &ProgramSpec, privilege: Privilege) -> Verdict {
        let (spec, env) = match bound(spec, &environment(privilege)) {
            Ok(bound) => bound,
            Err(verdict) => return verdict,
        };
        match check(&spec, &env, &Question::new(&spec, privilege, &[])) {
            Ok(_) => Verdict::Accepted,
            Err(rejection) => verdict_of(&rejection),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        answer(question, How::Interpreted)
    }
}

/// The interpreter, which holds every register against what the verifier knew.
pub struct Embedded;

impl Oracle for Embedded {
    fn name(&self) -> &'static str {
        Interpreter.name()
    }

    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    fn verdict(&self, spec: &ProgramSpec, privilege: Privilege) -> Verdict {
        Interpreter.verdict(spec, privilege)
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        Embedded::steps(question).map(|(outcome, ..)| outcome)
    }
}

impl Embedded {
    /// The outcome, how many instructions were held against their states, and what was held against facts.
    ///
    /// # Errors
    /// As for [`Oracle::answer`]; a run that leaves what was known counts as a refusal with words of that.
    pub fn steps(question: &Question<'_>) -> Result<(Outcome, u64, Seen), Verdict> {
        let mut embedding = Embedding::default();
        let outcome = answer(question, How::Watched(&mut embedding))?;
        match embedding.wrong() {
            None => Ok((outcome, embedding.steps(), embedding.seen())),
            Some(wrong) => Err(Verdict::Rejected { log: format!("{LEFT}: {wrong}") }),
        }
    }
}

impl Embedded {
    /// Holds the runs against a proof that may be another program's: the first instruction that none of its states speaks
    /// of, if there is one.
    ///
    /// # Errors
    /// As for [`Oracle::answer`].
    pub fn against(question: &Question<'_>, proof: Verified) -> Result<Option<String>, Verdict> {
        let env = environment(question.privilege);
        let maps = create_maps(question.spec)?;
        let verified = check(question.spec, &env, question).map_err(|r| refusal(&r, question))?;
        let program = Program::new(&verified, &env, maps.clone());
        let program = program.map_err(|e| Verdict::Unsupported(e.to_string()))?;
        let mut embedding = Embedding::default();
        embedding.add(&program, proof, verified);
        run(&program, &Slots::default(), &maps, (question.inputs, FUEL), Some(&embedding))?;
        Ok(embedding.wrong())
    }
}

/// What a refusal of [`Embedded`] begins with where a run left what the verifier knew.
pub const LEFT: &str = "the run left what was known";

/// How programs run.
pub(super) enum How<'e> {
    /// In the interpreter.
    Interpreted,
    /// There, each instruction shown to somebody.
    Watched(&'e mut Embedding),
    /// As native code, where a program is verified and can be compiled.
    Native,
}

pub(super) fn answer(question: &Question<'_>, how: How<'_>) -> Answer {
    let env = environment(question.privilege);
    let maps = create_maps(question.spec)?;
    let mut native = match how {
        How::Native => Native::Ran,
        How::Interpreted | How::Watched(_) => Native::NotAsked,
    };
    let mut embedding = match how {
        How::Watched(embedding) => Some(embedding),
        How::Interpreted | How::Native => None,
    };
    let watched = embedding.is_some();
    let mut build = |spec: &ProgramSpec| {
        let (spec, env) = &bound(spec, &env)?;
        let (built, proof) = match check(spec, env, question) {
            Ok(verified) => {
                let program = Program::new(&verified, env, maps.clone());
                // With every state kept, those of a long verification would be too many.
                let most_insns = question.most_insns.unwrap_or(MOST_WATCHED);
                let states = Options { record_states: true, most_insns, ..Options::default() };
                let states = watched.then(|| verify(spec, env, &states).ok()).flatten();
                (program, states.map(|states| (states, verified)))
            }
            Err(rejection) if rejection.is_unsupported() => {
                (Program::unverified(spec, env, maps.clone()), None)
            }
            Err(rejection) => return Err(refusal(&rejection, question)),
        };
        let program = built.map_err(|e| Verdict::Unsupported(e.to_string()))?;
        if native != Native::NotAsked
            && let Err(why) = compiled(&program)
        {
            native = Native::No(why);
        }
        Ok((Arc::new(program), proof))
    };
    let mut watch = |program: &Program, proofs: Option<(Verified, Verified)>| {
        if let (Some(embedding), Some((states, facts))) = (&mut embedding, proofs) {
            embedding.add(program, states, facts);
        }
    };
    for Inside { outer, key, map } in question.insides {
        let put = maps[*outer].set_map(key, *map as u32 + 1, &maps[*map], 0);
        put.map_err(|e| Verdict::Skipped(e.to_string()))?;
    }
    for Element { map, key, value } in question.elements {
        let put = maps[*map].update_from_host(key, value, 0);
        put.map_err(|e| Verdict::Skipped(e.to_string()))?;
    }
    let (program, proof) = build(question.spec)?;
    watch(&program, proof);
    let mut slots = Slots::default();
    for tail in question.tails {
        let (program, proof) = build(&tail.spec)?;
        let program = slots.put(&maps, tail, program)?;
        watch(&program, proof);
    }
    let watching = embedding.map(|e| &*e);
    let fuel = if native == Native::NotAsked { FUEL } else { u64::MAX };
    let mut outcome = run(&program, &slots, &maps, (question.inputs, fuel), watching)?;
    outcome.native = native;
    outcome.unverified = !program.is_verified() || slots.0.iter().any(|p| !p.is_verified());
    Ok(outcome)
}

/// Slots of the pieces that some programs are compiled in.
const PIECE: usize = 30;

/// Makes native code of a program; why not, where that cannot be. Programs of an odd number of slots are compiled in pieces, as
/// large ones are.
fn compiled(program: &Program) -> Result<(), String> {
    let mut options = skep_jit::Options::default();
    if !program.insns().len().is_multiple_of(2) {
        options.build.piece = PIECE;
    }
    let (native, _) = skep_jit::compile(program, &options).map_err(|e| e.to_string())?;
    program.set_native(native).map_err(|_| "it has native code already".to_owned())
}

/// The programs of tail calls: ids count from 1.
#[derive(Default)]
struct Slots(Vec<Arc<Program>>);

impl Slots {
    fn put(
        &mut self,
        maps: &[Arc<Map>],
        tail: &Tail,
        program: Arc<Program>,
    ) -> Result<Arc<Program>, Verdict> {
        let id = self.0.len() as u32 + 1;
        let map = maps.get(tail.map).filter(|m| m.kind() == MapType::PROG_ARRAY);
        let map = map.ok_or_else(|| Verdict::Skipped(format!("map {} is no program array", tail.map)))?;
        map.set_program(tail.index, id).map_err(|e| Verdict::Rejected { log: e.to_string() })?;
        let program = Arc::into_inner(program).ok_or_else(|| Verdict::Skipped("it is held".into()))?;
        let program = Arc::new(program.with_id(id));
        self.0.push(Arc::clone(&program));
        Ok(program)
    }
}

impl Programs for Slots {
    fn program(&self, id: u32) -> Option<Arc<Program>> {
        (id as usize).checked_sub(1).and_then(|i| self.0.get(i)).cloned()
    }
}

/// The program and its rules, bound to the user backend's functions if it calls any of the kernel's.
fn bound(spec: &ProgramSpec, env: &Environment) -> Result<(ProgramSpec, Environment), Verdict> {
    let bound = bind_kfuncs(spec, env).map_err(|e| Verdict::Unsupported(e.to_string()))?;
    Ok(bound.unwrap_or_else(|| (spec.clone(), env.clone())))
}

fn environment(privilege: Privilege) -> Environment {
    match privilege {
        Privilege::Privileged => Environment::default(),
        Privilege::Unprivileged => Environment::unprivileged(),
    }
}

fn check(spec: &ProgramSpec, env: &Environment, question: &Question<'_>) -> Result<Verified, Rejection> {
    let mut options = Options::default();
    options.most_insns = question.most_insns.unwrap_or(options.most_insns);
    let first = verify(spec, env, &options);
    if question.brief {
        return first;
    }
    // Writing the log costs ten times the verification: only who is refused pays for it.
    first.or_else(|_| verify(spec, env, &Options { log_level: 1, ..options }))
}

fn refusal(rejection: &Rejection, question: &Question<'_>) -> Verdict {
    match question.most_insns {
        Some(n) if rejection.code() == Code::TooComplex && rejection.stats().insns_processed > n => {
            Verdict::Skipped(format!("more than {n} instructions to verify"))
        }
        _ => verdict_of(rejection),
    }
}

fn verdict_of(rejection: &Rejection) -> Verdict {
    if rejection.is_unsupported() {
        Verdict::Unsupported(rejection.message().into())
    } else {
        Verdict::Rejected { log: format!("{}\n{rejection}", rejection.log()) }
    }
}

fn create_maps(spec: &ProgramSpec) -> Result<Vec<Arc<Map>>, Verdict> {
    let keeper = std::cell::OnceCell::new();
    let shared = || match keeper.get() {
        Some(keeper) => Ok(Arc::clone(keeper)),
        None => Ok(Arc::clone(
            keeper.get_or_init(|| Arc::new(Keeper::new(std::thread::yield_now).expect("memory"))),
        )),
    };
    let create = |def: &Arc<skep_spec::MapDef>| {
        Map::create_kept(def, &Config::new(2), &Heap, &shared)
            .map_err(|e| Verdict::Unsupported(format!("map `{}`: {e}", def.name)))
    };
    spec.maps.iter().map(create).collect()
}

fn run(
    program: &Program,
    slots: &Slots,
    maps: &[Arc<Map>],
    (inputs, fuel): (&[Input], u64),
    embedding: Option<&Embedding>,
) -> Result<Outcome, Verdict> {
    let mut outcome = Outcome::default();
    let mut consumers: Vec<(Option<Consumer>, MapContents)> = Vec::new();
    for map in maps {
        let consumer = if map.kind() == MapType::RINGBUF {
            Some(map.consumer().map_err(|e| Verdict::Skipped(e.to_string()))?)
        } else {
            None
        };
        consumers.push((consumer, MapContents::new()));
    }
    let host = TestHost::new();
    let test = TestRun::new(program, &host).with_programs(slots).with_fuel(fuel);
    let test = match embedding {
        Some(embedding) => test.with_observer(embedding),
        None => test,
    };
    for input in inputs {
        let given = RunInput { data: &input.data, ctx: &input.ctx, repeat: 1 };
        outcome.runs.push(drive::result(program.prog_type(), input, test.run(given)));
        for (consumer, records) in &mut consumers {
            if let Some(consumer) = consumer {
                consumer
                    .poll(&mut |record| records.push((Vec::new(), record.to_vec())))
                    .map_err(|e| Verdict::Skipped(e.to_string()))?;
            }
        }
    }
    for (map, (_, records)) in maps.iter().zip(consumers) {
        outcome.maps.push(match map.kind() {
            MapType::RINGBUF => records,
            MapType::PROG_ARRAY => MapContents::new(),
            kind if kind.holds_maps() => MapContents::new(),
            _ => contents(map),
        });
    }
    outcome.printk = host.lines();
    Ok(outcome)
}

fn contents(map: &Arc<Map>) -> MapContents {
    let mut all = MapContents::new();
    if matches!(map.kind(), MapType::QUEUE | MapType::STACK) {
        while let Ok(value) = map.pop_from_host() {
            all.push((Vec::new(), value));
        }
        return all;
    }
    let mut key = map.next_key(None).ok();
    while let Some(k) = key.take()
        && all.len() <= map.max_entries() as usize
    {
        if let Ok(value) = map.lookup_copy(&k, 0) {
            all.push((k.clone(), super::fold_cpus(value, map.value_size() as usize)));
        }
        key = map.next_key(Some(&k)).ok();
    }
    all.sort();
    all
}

/// A clock that runs, numbers that do not change, and printed lines.
struct TestHost {
    start: Instant,
    lines: Mutex<Vec<String>>,
}

impl TestHost {
    fn new() -> Self {
        Self { start: Instant::now(), lines: Mutex::default() }
    }

    fn lines(self) -> Vec<String> {
        self.lines.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for TestHost {
    fn ktime_ns(&self) -> u64 {
        // A second after start: clocks of running systems are never 0.
        1_000_000_000 + self.start.elapsed().as_nanos() as u64
    }

    fn boot_ns(&self) -> u64 {
        self.ktime_ns()
    }

    fn prandom_u32(&self) -> u32 {
        0x5eed_5eed
    }

    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }

    fn task(&self) -> Task {
        Task { pid: 42, tgid: 41 }
    }

    fn comm(&self) -> [u8; COMM_BYTES] {
        *b"fifteen letters\0"
    }

    fn cgroup_ids(&self) -> &[u64] {
        &[1, 77]
    }

    fn printk(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

//! Programs compiled and run, beside the interpreter.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_btf::{Builder, FuncLinkage, IntEncoding};
use skep_isa::text::assemble;
use skep_jit::ir::passes::Passes;
use skep_jit::{Compiled, Options, Profile, compile};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, FuncInfo, MapDef, ProgramSpec};
use skep_verifier::verify;
use skep_vm::{Host, NullHost, Program, Run, Stack, Trap, TrapKind};

/// Bytes of `struct __sk_buff`.
const SKB: usize = 192;

fn program(name: &str, text: &str, maps: &[MapDef]) -> Program {
    let insns = assemble(text).expect("assembles");
    let defs = maps.iter().map(|m| Arc::new(m.clone())).collect();
    let spec =
        ProgramSpec { name: name.into(), maps: defs, ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) };
    let env = Environment::default();
    let proof = verify(&spec, &env, &skep_verifier::Options::default()).unwrap_or_else(|r| panic!("{r:?}"));
    let made = maps.iter().map(|m| Map::create(m, &Config::new(1), &Heap).expect("a map")).collect();
    Program::new(&proof, &env, made).expect("what was verified")
}

fn run(program: &Program) -> u64 {
    let (mut stack, mut ctx) = (Stack::new(), [7; SKB]);
    program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx)).expect("runs").r0
}

/// A call, a loop, a stack frame, a context field and a division.
const MIXED: &str = "r6 = r1
r1 = *(u32 *)(r6 + 0)
*(u64 *)(r10 - 8) = r1
r7 = 0
loop:
r1 = r7
call double
r1 = *(u64 *)(r10 - 8)
r1 += r0
*(u64 *)(r10 - 8) = r1
r7 += 1
if r7 < 100 goto loop
r0 = *(u64 *)(r10 - 8)
w1 = w7
w0 /= w1
exit
double:
*(u64 *)(r10 - 16) = r1
r0 = *(u64 *)(r10 - 16)
r0 <<= 1
exit";

const COUNTER: &str = "*(u32 *)(r10 - 4) = 3
r2 = r10
r2 += -4
r1 = map[idx:0] ll
call 1
if r0 == 0 goto out
r1 = 1
lock *(u64 *)(r0 + 0) += r1
r0 = *(u64 *)(r0 + 0)
out:
exit";

fn counter() -> [MapDef; 1] {
    [MapDef::new(MapType::ARRAY, 4, 8, 4)]
}

#[test]
fn compiled_programs_give_what_interpreted_ones_do() {
    for passes in [Passes::ALL, Passes::NONE] {
        for plain in [false, true] {
            for check_accesses in [false, true] {
                let mut options = Options { passes, plain, ..Options::default() };
                options.build.check_accesses = check_accesses;
                let count = program("counter", COUNTER, &counter());
                let (native, _) = compile(&count, &options).expect("compiles");
                count.set_native(native).expect("its own");
                assert_eq!([run(&count), run(&count), run(&count)], [1, 2, 3], "{options:?}");

                let mixed = program("mixed", MIXED, &[]);
                let want = run(&mixed);
                let (native, report) = compile(&mixed, &options).expect("compiles");
                assert_eq!(native.bytes(), report.bytes);
                mixed.set_native(native).expect("its own");
                assert_eq!(run(&mixed), want, "{options:?}");
            }
        }
    }
}

#[test]
fn native_code_is_text_with_the_slots_beside() {
    let mixed = program("mixed", MIXED, &[]);
    let options = Options { passes: Passes::NONE, ..Options::default() };
    let (native, _) = compile(&mixed, &options).expect("compiles");
    let compiled = Compiled::of(&native).expect("this crate's");
    let functions = compiled.functions();
    let main = functions.iter().position(|f| f.func.is_some_and(|f| f.0 == 0)).expect("a main function");
    let insns = compiled.disassemble(main);
    let size = functions[main].end - functions[main].start;
    assert_eq!(insns.iter().map(|i| i.bytes.len()).sum::<usize>(), size as usize);
    // Slot 5 is the call.
    let call = insns
        .iter()
        .find(|i| i.slot == Some(5) && (cfg!(not(target_arch = "x86_64")) || i.text.starts_with("call")));
    assert!(call.is_some(), "{insns:#?}");
    assert!(insns.iter().any(|i| i.slot == Some(13)), "the division");
}

#[test]
fn profilers_find_the_names() {
    let count = program("counter", COUNTER, &counter());
    let options =
        Options { profile: Profile { map: true, dump: true, debugger: true }, ..Options::default() };
    let (native, _) = compile(&count, &options).expect("compiles");
    let address = Compiled::of(&native).expect("this crate's").address();
    let (map, dump) =
        (format!("/tmp/perf-{}.map", std::process::id()), format!("/tmp/jit-{}.dump", std::process::id()));
    let lines = std::fs::read_to_string(&map).expect("written");
    let line = lines.lines().find(|l| l.starts_with(&format!("{address:x} "))).expect("the program's");
    assert!(line.ends_with("bpf:counter"), "{line}");
    let bytes = std::fs::read(&dump).expect("written");
    assert_eq!(bytes[..4], 0x4a69_5444_u32.to_ne_bytes());
    // Records one behind the other until the end.
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
    let (mut at, mut records) = (word(8), 0);
    while at < bytes.len() {
        at += word(at + 4);
        records += 1;
    }
    assert_eq!(at, bytes.len());
    assert_eq!(records, Compiled::of(&native).expect("this crate's").functions().len());
    for file in [map, dump] {
        std::fs::remove_file(file).expect("ours");
    }
}

#[test]
fn programs_without_a_proof_are_left_to_the_interpreter() {
    let insns = assemble("r0 = 1\nexit").expect("assembles");
    let spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, insns);
    let program = Program::unverified(&spec, &Environment::default(), vec![]).expect("well formed");
    let refused = compile(&program, &Options::default()).map(|_| ()).unwrap_err();
    assert_eq!(refused.to_string(), "no native code: the program has no proof by the verifier");
}

/// Helpers that programs call are found below their frames by a debugger, with their names.
#[test]
fn debuggers_unwind_native_code() {
    const INSIDE: &str = "SKEP_TEST_UNDER_GDB";
    let text = "r6 = r1\ncall inner\nexit\ninner:\ncall 7\nr0 &= 1\nexit";
    if std::env::var_os(INSIDE).is_some() {
        let sub = program("unwound", text, &[]);
        let options = Options {
            passes: Passes::NONE,
            profile: Profile { debugger: true, ..Profile::default() },
            ..Options::default()
        };
        let (native, _) = compile(&sub, &options).expect("compiles");
        sub.set_native(native).expect("its own");
        run(&sub);
        return;
    }
    if std::process::Command::new("gdb").arg("--version").output().is_err() {
        println!("skipped: no gdb");
        return;
    }
    let this = std::env::current_exe().expect("a test");
    let commands =
        ["set breakpoint pending on", "rbreak native::services::helper", "run", "backtrace", "kill"];
    let mut gdb = std::process::Command::new("gdb");
    gdb.args(["-q", "-batch"]).args(commands.iter().flat_map(|c| ["-ex", c]));
    gdb.arg("--args").arg(this).args(["--exact", "debuggers_unwind_native_code"]).env(INSIDE, "1");
    let out = gdb.output().expect("gdb runs");
    let text = String::from_utf8_lossy(&out.stdout);
    if !text.contains("Breakpoint 1, ") {
        println!("skipped: gdb finds no services, or may not trace: {text}");
        return;
    }
    let frames: Vec<_> = text.lines().filter(|l| l.starts_with('#')).collect();
    assert!(frames[1].contains("bpf:unwound:") && frames[2].contains("in bpf:unwound ("), "{text}");
    assert!(frames.len() > 4, "{text}");
}

/// As [`program`], of one map, on so many virtual CPUs.
fn on_cpus(text: &str, def: &MapDef, cpus: u32) -> (Program, Arc<Map>) {
    let insns = assemble(text).expect("assembles");
    let maps = vec![Arc::new(def.clone())];
    let spec = ProgramSpec { maps, ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) };
    let env = Environment::default();
    let proof = verify(&spec, &env, &skep_verifier::Options::default()).unwrap_or_else(|r| panic!("{r:?}"));
    let map = Map::create(def, &Config::new(cpus), &Heap).expect("a map");
    (Program::new(&proof, &env, vec![Arc::clone(&map)]).expect("what was verified"), map)
}

fn run_on(program: &Program, vcpu: u32) -> u64 {
    let (mut stack, mut ctx) = (Stack::new(), [7; SKB]);
    program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_vcpu(vcpu)).expect("runs").r0
}

/// Each virtual CPU has its own value; on one that the map has not, the run is the interpreter's, whose lookup finds nothing.
#[test]
fn percpu_arrays_are_in_line_on_the_cpus_that_they_have() {
    for cpus in [1, 3] {
        let def = MapDef::new(MapType::PERCPU_ARRAY, 4, 12, 5);
        let (program, map) = on_cpus(COUNTER, &def, cpus);
        let (native, _) = compile(&program, &Options::default()).expect("this machine has a code generator");
        program.set_native(native).expect("the first code");
        for round in 1..=3 {
            for vcpu in 0..cpus {
                assert_eq!(run_on(&program, vcpu), round, "on {vcpu} of {cpus}");
            }
            assert_eq!([run_on(&program, cpus), run_on(&program, u32::MAX)], [0, 0], "there is no such CPU");
        }
        let values = map.lookup_copy(&3u32.to_ne_bytes(), 0).expect("it is there");
        let first = |value: &[u8]| u64::from_ne_bytes(value[..8].try_into().expect("8 bytes"));
        assert_eq!(values.chunks(16).map(first).collect::<Vec<_>>(), vec![3; cpus as usize]);
    }
}

/// Looks a key of the context's first bytes up, and gives the value's first word, 1 more.
fn looks_up(key_size: u32) -> String {
    let copy: String = (0..key_size.div_ceil(4))
        .map(|i| format!("r1 = *(u32 *)(r6 + {})\n*(u32 *)(r10 - {}) = r1\n", 48 + 4 * i, 24 - 4 * i))
        .collect();
    format!(
        "r6 = r1\n{copy}r2 = r10\nr2 += -24\nr1 = map[idx:0] ll\ncall 1\nif r0 == 0 goto out\n\
         r0 = *(u64 *)(r0 + 0)\nr0 += 1\nout:\nexit"
    )
}

/// Every kind that is looked up in by its own function, with keys of those lengths that have one and of others: what is
/// there, what differs in its last byte only, and nothing.
#[test]
fn lookups_find_what_the_interpreter_finds() {
    let kinds =
        [MapType::HASH, MapType::LRU_HASH, MapType::PERCPU_HASH, MapType::LRU_PERCPU_HASH, MapType::LPM_TRIE];
    for kind in kinds {
        for key_size in [4u32, 8, 12, 16, 20] {
            if kind == MapType::LPM_TRIE && key_size == 4 {
                continue; // there is nothing behind the length
            }
            let flags = if kind == MapType::LPM_TRIE { MapFlags::NO_PREALLOC } else { 0 };
            let def = MapDef { flags: MapFlags(flags), ..MapDef::new(kind, key_size, 8, 64) };
            let (interpreted, map) = on_cpus(&looks_up(key_size), &def, 2);
            let env = Environment::default();
            let proof = interpreted.binding().expect("verified").verified().clone();
            let program = Program::new(&proof, &env, vec![Arc::clone(&map)]).expect("what was verified");
            let (native, _) = compile(&program, &Options::default()).expect("a code generator");
            assert!(
                program.binding().is_some_and(|b| b.find(0).is_some()),
                "{kind:?} has a function of its own"
            );
            program.set_native(native).expect("the first code");
            let key = |n: u8| {
                let mut key: Vec<u8> = (0..key_size as u8).map(|i| i.wrapping_mul(37)).collect();
                if kind == MapType::LPM_TRIE {
                    key[..4].copy_from_slice(&(8 * (key_size - 4)).to_ne_bytes());
                }
                *key.last_mut().expect("not empty") = n;
                key
            };
            for n in 0..8u8 {
                let value = u64::from(n).to_ne_bytes().repeat(if map.is_percpu() { 2 } else { 1 });
                map.update_from_host(&key(n), &value, 0).expect("there is room");
            }
            for n in 0..12u8 {
                for vcpu in [0, 1] {
                    let run = |program: &Program| {
                        let (mut stack, mut ctx) = (Stack::new(), [7; SKB]);
                        ctx[48..48 + key_size as usize].copy_from_slice(&key(n));
                        let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_vcpu(vcpu);
                        program.run(&mut run).expect("runs").r0
                    };
                    let want = if n < 8 { u64::from(n) + 1 } else { 0 };
                    assert_eq!((run(&interpreted), run(&program)), (want, want), "{kind:?} {key_size} {n}");
                }
            }
        }
    }
}

/// A clock that goes on by one at each look, and a thread that is asked for by number.
#[derive(Default)]
struct Counting {
    time: std::cell::Cell<u64>,
    tasks: std::cell::Cell<u32>,
}

impl Host for Counting {
    fn ktime_ns(&self) -> u64 {
        self.time.set(self.time.get() + 1);
        self.time.get()
    }
    fn boot_ns(&self) -> u64 {
        1000 + self.ktime_ns()
    }
    fn prandom_u32(&self) -> u32 {
        7
    }
    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }
    fn task(&self) -> skep_vm::Task {
        self.tasks.set(self.tasks.get() + 1);
        skep_vm::Task { pid: self.tasks.get(), tgid: 5 }
    }
    fn printk(&self, _: &[u8]) {}
}

/// Helpers without arguments: clocks are asked each time, who runs once in a run, and the CPU is one that the program was
/// promised, in both engines.
#[test]
fn helpers_without_arguments() {
    let text = "call 5\nr6 = r0\ncall 5\nr0 -= r6\nr6 = r0\ncall 125\nr6 += r0\ncall 7\nr6 += r0\ncall 8\nr7 = r0\n\
                call 8\nr7 += r0\ncall 42\nr7 += r0\nr6 <<= 32\nr0 = r6\nr0 |= r7\nexit";
    let interpreted = program("quick", text, &[]);
    let native = program("quick", text, &[]);
    let (code, _) = compile(&native, &Options::default()).expect("this machine has a code generator");
    native.set_native(code).expect("the first code");
    for (vcpu, cpu) in [(0, 0), (1, 1), (u32::MAX, Environment::default().cpus as u64 - 1)] {
        let run = |program: &Program| {
            let (mut stack, mut ctx, host) = (Stack::new(), [0; SKB], Counting::default());
            let mut run = Run::new(&mut stack, &host).with_ctx(&mut ctx).with_vcpu(vcpu);
            program.run(&mut run).expect("runs").r0
        };
        let want = ((1 + 1003 + 7) << 32) | (2 * cpu);
        assert_eq!((run(&interpreted), run(&native)), (want, want), "on {vcpu}");
    }
}

#[test]
fn who_runs_is_asked_for_once_in_a_run() {
    let text = "call 14\nr6 = r0\ncall 14\nr6 ^= r0\nr0 <<= 32\nr0 += r6\nexit";
    let insns = assemble(text).expect("assembles");
    let spec = ProgramSpec::new(ProgramType::TRACEPOINT, insns);
    let env = Environment::default();
    let proof = verify(&spec, &env, &skep_verifier::Options::default()).unwrap_or_else(|r| panic!("{r:?}"));
    let native = Program::new(&proof, &env, vec![]).expect("what was verified");
    let (code, _) = compile(&native, &Options::default()).expect("this machine has a code generator");
    native.set_native(code).expect("the first code");
    let host = Counting::default();
    for round in 1..4 {
        let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
        let mut run = Run::new(&mut stack, &host).with_ctx(&mut ctx);
        assert_eq!(native.run(&mut run).expect("runs").r0, round << 32, "the same number twice");
    }
}

fn until(program: &Program, deadline: u64) -> Result<u64, Trap> {
    let (mut stack, mut ctx, host) = (Stack::new(), [0; SKB], Counting::default());
    let mut run = Run::new(&mut stack, &host).with_ctx(&mut ctx).with_deadline(deadline);
    program.run(&mut run).map(|outcome| outcome.r0)
}

/// The deadline is looked at when a run begins and each 1,024 steps.
#[test]
fn a_deadline_ends_loops_of_may_goto() {
    let program = program("goes", "r0 = 0\nagain:\nmay_goto out\nr0 += 1\ngoto again\nout:\nexit", &[]);
    let (code, _) = compile(&program, &Options::default()).expect("this machine has a code generator");
    program.set_native(code).expect("the first code");
    assert_eq!(until(&program, u64::MAX), Ok(8 << 20), "all of its passes");
    assert_eq!(until(&program, 100), Err(Trap { prog_id: 0, pc: 1, kind: TrapKind::Deadline }));
}

/// A global function is verified by itself, so its callers' proofs say nothing of how long it takes; a static one's is part of
/// theirs.
#[test]
fn a_deadline_ends_calls_of_global_functions() {
    let text =
        "r6 = 0\nagain:\nr1 = r6\ncall f\nr6 += 1\nif r6 < 3000 goto again\nr0 = 0\nexit\nf:\nr0 = 1\nexit";
    for (linkage, looks) in [(FuncLinkage::Global, 3), (FuncLinkage::Static, 1)] {
        let mut b = Builder::new();
        let int = b.int("int", 4, IntEncoding::Signed);
        let proto = b.func_proto(int, &[("a", int)]);
        let func_info = [(0, FuncLinkage::Global), (7, linkage)].map(|(insn_off, linkage)| FuncInfo {
            insn_off,
            type_id: b.func(&format!("f{insn_off}"), proto, linkage).0,
        });
        let btf = Some(Arc::new(b.finish().expect("legal types")));
        let insns = assemble(text).expect("assembles");
        let spec = ProgramSpec {
            btf,
            func_info: func_info.to_vec(),
            ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns)
        };
        let env = Environment::default();
        let proof =
            verify(&spec, &env, &skep_verifier::Options::default()).unwrap_or_else(|r| panic!("{r:?}"));
        let program = Program::new(&proof, &env, vec![]).expect("what was verified");
        let (code, _) = compile(&program, &Options::default()).expect("this machine has a code generator");
        program.set_native(code).expect("the first code");
        assert_eq!(until(&program, looks + 1), Ok(0), "{linkage:?}");
        let trap = until(&program, looks).expect_err("the last look");
        let pc = if linkage == FuncLinkage::Global { 7 } else { 0 };
        assert_eq!((trap.pc, trap.kind), (pc, TrapKind::Deadline), "{linkage:?}");
    }
}

//! Native code by hand: Rust functions with the calling convention of compiled programs.

#![allow(dead_code, reason = "each test file uses a part")]

use std::cell::Cell;
use std::sync::Arc;

use skep_abi::ProgramType;
use skep_btf::{Builder, FuncLinkage, IntEncoding, Type, TypeId};
use skep_isa::text::assemble;
use skep_maps::Map;
use skep_spec::{Environment, FuncInfo, MapDef, ProgramSpec};
use skep_verifier::{Options, verify};
use skep_vm::native::{Code, Entry, Native, Pair, Rt, Services, services};
use skep_vm::{NullHost, Outcome, Program, Run, Stack, Trap};

/// Bytes of `struct __sk_buff`.
pub const SKB: usize = 192;

thread_local! {
    /// What a native function needs to know of its program.
    pub static NUMBER: Cell<u64> = const { Cell::new(0) };
}

pub fn s() -> &'static Services {
    services()
}

pub fn of(value: u64) -> Pair {
    Pair { value, stop: 0 }
}

/// The value of a service, or the end of the function.
#[macro_export]
macro_rules! ask {
    ($call:expr) => {{
        // SAFETY: native code calls, with the `rt` that it was given.
        #[allow(clippy::macro_metavars_in_unsafe, reason = "what is unsafe is the call that is given")]
        let pair: skep_vm::native::Pair = unsafe { $call };
        if pair.stop != 0 {
            return pair;
        }
        pair.value
    }};
}

/// `rt`'s arguments.
pub fn args(rt: *mut Rt) -> [u64; 5] {
    // SAFETY: native code calls, with the `rt` that it was given, and no service runs.
    unsafe { (*rt).args }
}

pub fn set_args(rt: *mut Rt, args: [u64; 5]) {
    // SAFETY: as in `args`.
    unsafe { (*rt).args = args }
}

pub fn verified(prog_type: ProgramType, text: &str, maps: &[Arc<Map>]) -> Program {
    with_functions(prog_type, text, maps, (&[], &[]))
}

/// As [`verified`], with types of `int f(int)` for the main function and those at these slots, and tags of the main one.
pub fn with_functions(
    prog_type: ProgramType,
    text: &str,
    maps: &[Arc<Map>],
    (slots, tags): (&[u32], &[&str]),
) -> Program {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let proto = b.func_proto(int, &[("a", int)]);
    let func_info = std::iter::once(0).chain(slots.iter().copied()).map(|insn_off| {
        let linkage =
            if insn_off == 0 || !tags.is_empty() { FuncLinkage::Global } else { FuncLinkage::Static };
        FuncInfo { insn_off, type_id: b.func(&format!("f{insn_off}"), proto, linkage).0 }
    });
    let func_info: Vec<FuncInfo> = if slots.is_empty() { vec![] } else { func_info.collect() };
    for tag in tags {
        let name = b.name(tag);
        b.add(Type::DeclTag {
            name,
            target: TypeId(func_info[0].type_id),
            component: None,
            attribute: false,
        });
    }
    let btf = (!slots.is_empty()).then(|| Arc::new(b.finish().expect("legal types")));
    let defs = maps.iter().map(|m| {
        Arc::new(MapDef {
            flags: m.flags(),
            ..MapDef::new(m.kind(), m.key_size(), m.value_size(), m.max_entries())
        })
    });
    let insns = assemble(text).expect("assembles");
    let spec = ProgramSpec { maps: defs.collect(), btf, func_info, ..ProgramSpec::new(prog_type, insns) };
    let env = Environment::default();
    let proof = verify(&spec, &env, &Options::default()).unwrap_or_else(|r| panic!("{r:?}"));
    Program::new(&proof, &env, maps.to_vec()).expect("what was verified")
}

/// A program and the code that is said to be its. What the functions of this file do is sound by the tests themselves: they
/// touch nothing but what runs here lend.
pub fn with_code(program: Program, entry: Entry, functions: Vec<(u32, Entry)>) -> Program {
    let binding = program.binding().expect("verified");
    let code = Code {
        keep: Arc::new(()),
        entry,
        jump: entry as *const () as usize,
        functions,
        ctx_bytes: 0,
        bytes: 100,
        compile_ns: 5,
    };
    // SAFETY: as said.
    let native = unsafe { Native::new(&binding, code) };
    program.set_native(native).expect("the first code of the program");
    program
}

pub fn native(text: &str, entry: Entry) -> Program {
    with_code(verified(ProgramType::SOCKET_FILTER, text, &[]), entry, vec![])
}

pub fn run(program: &Program) -> Result<u64, Trap> {
    let (mut stack, mut ctx) = (Stack::new(), [0; SKB]);
    run_on(program, &mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx))
}

pub fn run_on(program: &Program, run: &mut Run<'_>) -> Result<u64, Trap> {
    program.run(run).map(|o: Outcome| o.r0)
}

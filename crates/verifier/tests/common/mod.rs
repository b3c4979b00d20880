//! Programs from text, and what the verifier says about them.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_verifier::{Code, Options, Rejection, Verified, verify};

/// The maps that programs name as `map[idx:0]` and so on.
pub const ARRAY8: usize = 0;

pub fn maps() -> Vec<Arc<MapDef>> {
    let maps = [
        MapDef::new(MapType::ARRAY, 4, 8, 256).named("counts"),
        MapDef::new(MapType::HASH, 4, 48, 16).named("values"),
        MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("ring"),
        MapDef::new(MapType::PROG_ARRAY, 4, 4, 4).named("progs"),
    ];
    maps.into_iter().map(Arc::new).collect()
}

pub fn program(prog_type: ProgramType, text: &str) -> ProgramSpec {
    let insns = assemble(text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    ProgramSpec { name: "test".into(), maps: maps(), ..ProgramSpec::new(prog_type, insns) }
}

pub fn check(prog_type: ProgramType, text: &str) -> Result<Verified, Rejection> {
    verify(&program(prog_type, text), &Environment::default(), &Options::default())
}

/// A socket filter that must be accepted.
pub fn accept(text: &str) -> Verified {
    accept_as(ProgramType::SOCKET_FILTER, text)
}

pub fn accept_as(prog_type: ProgramType, text: &str) -> Verified {
    check(prog_type, text).unwrap_or_else(|r| panic!("refused:\n{}\n{text}", r.explain()))
}

/// A socket filter that must be refused at an instruction for a reason.
pub fn reject(text: &str, pc: usize, code: Code) -> Rejection {
    reject_as(ProgramType::SOCKET_FILTER, text, pc, code)
}

pub fn reject_as(prog_type: ProgramType, text: &str, pc: usize, code: Code) -> Rejection {
    let rejection = check(prog_type, text).expect_err(text);
    assert_eq!((rejection.pc(), rejection.code()), (pc, code), "{}\n{text}", rejection.explain());
    rejection
}

/// `r7` is a value of map 1 (48 bytes), `r8` an unknown number from it, `r9` the length of the packet; 12 slots.
pub const WITH_VALUE: &str = "
    r6 = r1
    *(u32 *)(r10 - 4) = 0
    r1 = map[idx:1]
    r2 = r10
    r2 += -4
    call 1
    if r0 == 0 goto exit_now
    r7 = r0
    r8 = *(u64 *)(r7 + 8)
    r9 = *(u32 *)(r6 + 0)
    goto start
exit_now:
    r0 = 0
    exit
start:
";

pub fn with_value(text: &str) -> String {
    format!("{WITH_VALUE}{text}")
}

/// Slot of the first instruction after [`WITH_VALUE`].
pub const START: usize = 14;

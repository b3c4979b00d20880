//! What the tests of this crate share: building programs from slots.
#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::Arc;

use skep_abi::ProgramType;
use skep_isa::{Insn, Op, Reg};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_vm::{NullHost, Outcome, Program, Run, Stack, Trap};

/// `r` by number.
pub fn r(n: u8) -> Reg {
    Reg(n)
}

/// Encodes operations.
pub fn slots(ops: &[Op]) -> Vec<Insn> {
    ops.iter()
        .flat_map(|op| {
            let (first, second) = op.encode();
            [Some(first), second].into_iter().flatten()
        })
        .collect()
}

/// A program over plain memory.
pub fn program(insns: Vec<Insn>) -> Program {
    typed(ProgramType::UNSPEC, insns)
}

/// A program of a type.
pub fn typed(prog_type: ProgramType, insns: Vec<Insn>) -> Program {
    let spec = ProgramSpec { prog_type, insns, ..ProgramSpec::default() };
    Program::unverified(&spec, &Environment::default(), vec![]).expect("no maps to be wrong")
}

/// A program bound to maps.
pub fn with_maps(prog_type: ProgramType, insns: Vec<Insn>, maps: &[Arc<Map>]) -> Program {
    let defs = maps.iter().map(|m| {
        Arc::new(MapDef {
            flags: m.flags(),
            ..MapDef::new(m.kind(), m.key_size(), m.value_size(), m.max_entries())
        })
    });
    let spec = ProgramSpec { prog_type, insns, maps: defs.collect(), ..ProgramSpec::default() };
    Program::unverified(&spec, &Environment::default(), maps.to_vec()).expect("the maps fit")
}

/// A map for two virtual CPUs.
pub fn map(def: &MapDef) -> Arc<Map> {
    Map::create(def, &Config::new(2), &Heap).expect("the definition is legal")
}

/// Runs with memory behind `r1` and its length in `r2`, fuel for 100,000 instructions.
pub fn run(program: &Program, memory: &mut [u8]) -> Result<Outcome, Trap> {
    let mut stack = Stack::new();
    let len = memory.len() as u64;
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(memory).with_arg(2, len).with_fuel(100_000);
    program.run(&mut run)
}

/// `r0` of operations that need no memory.
pub fn r0(ops: &[Op]) -> u64 {
    run(&program(slots(ops)), &mut []).expect("no trap").r0
}

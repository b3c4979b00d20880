//! Call chains: each address is the instruction that a frame is at, innermost first.

mod common;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Op, Reg};
use skep_spec::MapDef;
use skep_vm::{CodeAddr, NullHost, Program, Run, Stack};

/// Functions deep that a program may be.
const FRAMES: usize = 8;

/// Runs with a context of words, an id of 7.
fn run(program: Program, words: &mut [u64]) -> u64 {
    let mut ctx: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
    let mut stack = Stack::new();
    let program = program.with_id(7);
    let r0 = program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx)).expect("no trap").r0;
    for (word, bytes) in words.iter_mut().zip(ctx.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().expect("8 bytes"));
    }
    r0
}

/// Slots of the calls in a text of single-slot instructions.
fn calls(insns: &[skep_isa::Insn]) -> Vec<u32> {
    (0..).zip(insns).filter(|(_, i)| i.opcode == 0x85).map(|(pc, _)| pc).collect()
}

#[test]
fn frames_from_within() {
    // The words: flags, size, then room for the chain.
    let text = "r6 = r1\ncall one\nexit\none:\nr7 = 1\ncall two\nexit\n\
                two:\nr2 = r1\nr2 += 16\nr3 = *(u64 *)(r1 + 8)\nr4 = *(u64 *)(r1 + 0)\ncall 67\nexit\n";
    let insns = assemble(text).expect("well formed");
    let calls = calls(&insns);
    let chain: Vec<u64> = calls.iter().rev().map(|&pc| CodeAddr { prog_id: 7, pc }.into()).collect();
    assert_eq!(chain.len(), 3);
    let program = || common::program(insns.clone());
    let mut all = [0, 40, 9, 9, 9, 9, 9, 9];
    assert_eq!(run(program(), &mut all), 24);
    assert_eq!(all[2..], [chain[0], chain[1], chain[2], 0, 0, 9]);
    let mut two = [0, 16, 9, 9, 9, 9];
    assert_eq!(run(program(), &mut two), 16);
    assert_eq!(two[2..], [chain[0], chain[1], 9, 9]);
    let mut skipped = [1, 32, 9, 9, 9, 9];
    assert_eq!(run(program(), &mut skipped), 16);
    assert_eq!(skipped[2..], [chain[1], chain[2], 0, 0]);
    for (flags, size, result) in
        [(3, 16, 0), (4, 16, -14), (1 << 8, 16, 0), (1 << 8 | 1, 16, -14), (0, 12, -22)]
    {
        let mut words = [flags, size, 9, 9, 9];
        assert_eq!(run(program(), &mut words), result as u64, "flags {flags:#x} size {size}");
        assert_eq!(words[2], 0, "zeroed");
    }
}

#[test]
fn as_deep_as_there_are_frames() {
    let mut text = String::from("call f1\nexit\n");
    for n in 1..FRAMES - 1 {
        text += &format!("f{n}:\ncall f{}\nexit\n", n + 1);
    }
    text += &format!("f{}:\nr2 = r1\nr3 = 80\nr4 = 0\ncall 67\nexit\n", FRAMES - 1);
    let insns = assemble(&text).expect("well formed");
    let mut chain: Vec<u64> =
        calls(&insns).into_iter().rev().map(|pc| CodeAddr { prog_id: 7, pc }.into()).collect();
    let mut words = [9; 10];
    assert_eq!(run(common::program(insns), &mut words), 8 * FRAMES as u64);
    chain.resize(10, 0);
    assert_eq!(words[..], chain);
}

#[test]
fn a_chain_has_one_number() {
    let map = common::map(&MapDef::new(MapType::STACK_TRACE, 4, 16, 64));
    let (first, second) = Op::LoadImm64 { dst: Reg(2), value: Imm64::MapIdx(0) }.encode();
    let mut insns = assemble("r6 = r1\n").expect("well formed");
    insns.extend([first, second.expect("two slots")]);
    insns.extend(assemble("r3 = *(u64 *)(r6 + 0)\nr1 = r6\ncall 27\nexit\n").expect("well formed"));
    let program = || common::with_maps(ProgramType::UNSPEC, insns.clone(), std::slice::from_ref(&map));
    let id = run(program(), &mut [0]);
    assert!(id < 64, "{}", id as i64);
    assert_eq!(run(program(), &mut [0]), id, "the same chain");
    let value = map.lookup_copy(&(id as u32).to_ne_bytes(), 0).expect("it is kept");
    let call = insns.iter().position(|i| i.opcode == 0x85).expect("a call") as u32;
    let address: u64 = CodeAddr { prog_id: 7, pc: call }.into();
    assert_eq!(value, [address.to_ne_bytes(), [0; 8]].concat());
    assert_eq!(run(program(), &mut [1]) as i64, -14, "nothing is left");
    assert_eq!(run(program(), &mut [1 << 8]) as i64, -14, "there is no user stack");
    assert_eq!(run(program(), &mut [1 << 11]) as i64, -22, "not a flag of this helper");
}

//! Dynptrs of programs that nobody has verified: what stands in one is believed only as far as memory was granted.

mod common;

use common::{map, with_maps};
use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Op, Reg};
use skep_spec::MapDef;
use skep_vm::{NullHost, Run, Stack, TrapKind};

/// Puts `data`, `size` and `offset` into a dynptr at `fp - 16`; `r7` is the context, 8 bytes.
fn forged(data: &str, size: u32, offset: u32) -> String {
    format!(
        "r7 = r1
         {data}
         *(u64 *)(r10 - 16) = r0
         *(u32 *)(r10 - 8) = {size}
         *(u32 *)(r10 - 4) = {offset}
         *(u64 *)(r10 - 24) = 0
         "
    )
}

const READ: &str = "r1 = r10; r1 += -24; r2 = 8; r3 = r10; r3 += -16; r4 = 0; r5 = 0; call 201; exit";
const WRITE: &str = "r1 = r10; r1 += -16; r2 = 0; r3 = r10; r3 += -24; r4 = 8; r5 = 0; call 202; exit";
const DATA: &str = "r1 = r10; r1 += -16; r2 = 0; r3 = 8; call 203; r0 = *(u64 *)(r0 + 0); exit";
const SUBMIT: &str = "r1 = r10; r1 += -16; r2 = 0; call 199; exit";
const DISCARD: &str = "r1 = r10; r1 += -16; r2 = 0; call 200; exit";

fn run(text: &str) -> Result<u64, TrapKind> {
    let maps = [map(&MapDef::new(MapType::RINGBUF, 0, 0, 4096))];
    let ring = Op::LoadImm64 { dst: Reg(6), value: Imm64::MapIdx(0) }.encode();
    let mut insns = vec![ring.0, ring.1.expect("two slots")];
    insns.extend(assemble(&text.replace(';', "\n")).expect("well formed"));
    let program = with_maps(ProgramType::UNSPEC, insns, &maps);
    let (mut stack, mut ctx) = (Stack::new(), [7; 8]);
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_fuel(1000);
    program.run(&mut run).map(|o| o.r0).map_err(|t| t.kind)
}

#[test]
fn a_dynptr_to_granted_memory_reaches_it() {
    for (what, result) in [(READ, 0), (WRITE, 0), (DATA, 0x0707_0707_0707_0707)] {
        assert_eq!(run(&(forged("r0 = r1", 8, 0) + what)), Ok(result), "{what}");
    }
}

#[test]
fn a_dynptr_reaches_nothing_that_was_not_granted() {
    // Addresses that nobody has; the context, of which 8 bytes more are claimed than there are; from its end on.
    for (data, size, offset) in [
        ("r0 = 4096", 8, 0),
        ("r0 = -1", 8, 0),
        ("r0 = r1", 16, 8),
        ("r0 = r1; r0 += 1", 8, 0),
        ("r0 = r1", 8, u32::MAX),
    ] {
        for what in [READ, WRITE, DATA] {
            let found = run(&(forged(data, size, offset) + what));
            assert!(matches!(found, Err(TrapKind::Memory(_))), "{data}, {size}, {offset}: {what}: {found:?}");
        }
    }
}

#[test]
fn a_dynptr_ends_no_record_that_was_not_reserved() {
    for data in ["r0 = 4096", "r0 = r1", "r0 = -1"] {
        for what in [SUBMIT, DISCARD] {
            let found = run(&(forged(data, 8, 0) + what));
            assert!(matches!(found, Err(TrapKind::NotARecord(_))), "{data}: {what}: {found:?}");
        }
    }
    // Twice the same, through a copy of it.
    let reserved = "r1 = r6; r2 = 8; r3 = 0; r4 = r10; r4 += -16; call 198; r8 = *(u64 *)(r10 - 16); ";
    let again = "r1 = r10; r1 += -16; r2 = 0; call 199; *(u64 *)(r10 - 16) = r8; ";
    assert!(matches!(run(&format!("{reserved}{again}{SUBMIT}")), Err(TrapKind::NotARecord(_))));
    assert_eq!(run(&format!("{reserved}r0 = 0; {SUBMIT}")), Ok(0));
}

#[test]
fn the_dynptr_itself_must_be_memory() {
    for text in [
        "r1 = r10; r1 += -8; r2 = 0; r3 = 8; call 203; exit",
        "r1 = 0; r2 = 0; r3 = 8; call 203; exit",
        "r1 = r10; r1 += -8; r2 = 8; r3 = 0; r4 = 4096; call 197; exit",
        "r1 = r6; r2 = 8; r3 = 0; r4 = r10; r4 += -8; call 198; exit",
        "r1 = 4096; r2 = 0; call 199; exit",
    ] {
        assert!(matches!(run(text), Err(TrapKind::Memory(_))), "{text}: {:?}", run(text));
    }
}

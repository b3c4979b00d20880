//! Decoding and encoding, over the whole table and over arbitrary slots.

use skep_isa::table::{self, Role};
use skep_isa::{AluOp, CallTarget, DecodeError, Endian, Field, Insn, Op, Operand, Reg, Size, Width, decode};

mod common;
use common::{random, rounds, slots};

#[test]
fn every_row_encodes_to_itself() {
    let mut rng = random(1);
    for row in table::rows() {
        for _ in 0..200 {
            let op = row.sample(&mut rng);
            let insns = slots(&op);
            assert_eq!(insns.len(), row.slots(), "{}", row.name);
            assert_eq!(insns[0].opcode, row.opcode, "{}", row.name);
            assert_eq!(decode(&insns, 0), Ok(op), "{}", row.name);
            assert_eq!(op.row().unwrap().name, row.name);
        }
    }
}

#[test]
fn rows_are_distinct() {
    let rows = table::rows();
    for (i, a) in rows.iter().enumerate() {
        for b in &rows[i + 1..] {
            assert_ne!(a.name, b.name);
            let overlap = |x: Role, y: Role| match (x.fixed(), y.fixed()) {
                (Some(x), Some(y)) => x == y,
                _ => true,
            };
            let same = a.opcode == b.opcode
                && overlap(a.dst, b.dst)
                && overlap(a.src, b.src)
                && overlap(a.off, b.off)
                && overlap(a.imm, b.imm);
            assert!(!same, "{} and {} accept the same slot", a.name, b.name);
        }
    }
}

#[test]
fn arbitrary_slots_decode_to_themselves_or_an_error() {
    let mut rng = random(7);
    let (mut good, mut bad) = (0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..rounds(400_000) {
        let mut word = rng();
        // Mostly-zero slots reach the strict rows, all-random ones the rest.
        if i % 4 != 0 {
            word &= rng() & rng() | 0xff;
        }
        let mut first = Insn::from_bytes(word.to_le_bytes(), Endian::Little);
        if i % 8 == 1 {
            let at = (rng() % table::ROWS.len() as u64) as usize;
            first = table::ROWS[at].sample(&mut rng).encode().0;
            match rng() % 5 {
                0 => first.dst = Reg((rng() % 16) as u8),
                1 => first.src = Reg((rng() % 16) as u8),
                2 => first.off ^= 1 << (rng() % 16),
                3 => first.imm ^= 1 << (rng() % 32),
                _ => {}
            }
        }
        let second_bits = match i % 3 {
            0 => rng(),
            1 => rng() & 0xffff_ffff_0000_0000,
            _ => 0,
        };
        let second = Insn::from_bytes(second_bits.to_le_bytes(), Endian::Little);
        for program in [&[first][..], &[first, second]] {
            match decode(program, 0) {
                Ok(op) => {
                    assert_eq!(slots(&op), program[..op.slots()]);
                    seen.insert(op.row().unwrap().name);
                    good += 1;
                }
                Err(e) => {
                    assert!(e.to_string().starts_with("insn 0: "), "{e}");
                    bad += 1;
                }
            }
        }
    }
    assert!(good > 10_000 && bad > 10_000, "{good} {bad}");
    assert_eq!(seen.len(), table::ROWS.len(), "rows never reached");
}

fn refused(insns: &[Insn]) -> DecodeError {
    decode(insns, 0).unwrap_err()
}

#[test]
fn each_fixed_field_of_each_row_is_checked_and_named() {
    let mut rng = random(3);
    let mut checked = 0;
    for row in table::rows() {
        for (field, role) in
            [(Field::Dst, row.dst), (Field::Src, row.src), (Field::Off, row.off), (Field::Imm, row.imm)]
        {
            let Some(right) = role.fixed() else { continue };
            let mut insns = slots(&row.sample(&mut rng));
            // 13 is no selector of any field.
            let value = right + if right == 13 { 1 } else { 13 - right };
            match field {
                Field::Dst => insns[0].dst = Reg(value as u8),
                Field::Src => insns[0].src = Reg(value as u8),
                Field::Off => insns[0].off = value as i16,
                _ => insns[0].imm = value,
            }
            // An opcode that reads a register or constant there in another row takes the slot for that row.
            match decode(&insns, 0) {
                Ok(op) => assert_ne!(op.row().unwrap().name, row.name),
                Err(e) => {
                    assert_eq!((e.field_name(), e.value()), (Some(field), Some(value)), "{}: {e}", row.name);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 200, "{checked}");
}

#[test]
fn errors_say_what_is_allowed() {
    let insn = |opcode, dst, src, off, imm| Insn::new(opcode, Reg(dst), Reg(src), off, imm);
    let text = |insns: &[Insn]| refused(insns).to_string();
    assert_eq!(text(&[insn(0x95, 0, 0, 0, 1)]), "insn 0: opcode 0x95: imm is 1, must be 0");
    assert_eq!(
        text(&[insn(0xbf, 1, 2, 7, 0)]),
        "insn 0: opcode 0xbf: off is 7, must be 0 or 8 or 16 or 32 or 1"
    );
    assert_eq!(text(&[insn(0xd4, 1, 0, 0, 8)]), "insn 0: opcode 0xd4: imm is 8, must be 16 or 32 or 64");
    assert_eq!(text(&[insn(0xb7, 11, 0, 0, 8)]), "insn 0: opcode 0xb7: dst is 11, registers go from 0 to 10");
    assert_eq!(
        text(&[insn(0x18, 1, 7, 0, 8), insn(0, 0, 0, 0, 0)]),
        "insn 0: opcode 0x18: src is 7, must be 0 or 1 or 2 or 3 or 4 or 5 or 6"
    );
    assert_eq!(
        text(&[insn(0x18, 1, 0, 0, 8), insn(0, 0, 1, 0, 0)]),
        "insn 0: opcode 0x18: src of the second slot is 1, must be 0"
    );
    assert_eq!(
        text(&[insn(0x18, 1, 1, 0, 8), insn(0, 0, 0, 0, 5)]),
        "insn 0: opcode 0x18: imm of the second slot is 5, must be 0"
    );
    assert_eq!(text(&[insn(0xff, 0, 0, 0, 0)]), "insn 0: unknown opcode 0xff");
    let cut = refused(&[insn(0x18, 1, 0, 0, 8)]);
    assert!(cut.is_truncated());
    assert_eq!(cut.to_string(), "insn 0: opcode 0x18 takes two slots, the program ends after one");
    assert!(refused(&[]).is_truncated());
    assert!(decode(&[], usize::MAX).is_err());
}

#[test]
fn operations_that_no_instruction_expresses_do_not_encode() {
    let bad = [
        Op::Swap { kind: skep_isa::SwapKind::Le, size: Size::B, dst: Reg::R1 },
        Op::MovSx { width: Width::W32, from: Size::W, dst: Reg::R1, src: Reg::R2 },
        Op::Load { size: Size::DW, signed: true, dst: Reg::R1, src: Reg::R2, off: 0 },
        Op::Jump { off: 40_000, long: false },
        Op::Alu { width: Width::W64, op: AluOp::Add, dst: Reg(11), src: Operand::Imm(0) },
    ];
    for op in bad {
        let e = op.try_encode().unwrap_err();
        assert_eq!(e.op(), op);
        assert!(e.to_string().contains("no instruction expresses"));
    }
}

#[test]
fn uses_and_defs() {
    let set = |regs: &[u8]| regs.iter().map(|&r| Reg(r)).collect::<skep_isa::RegSet>();
    let (r1, r2) = (Reg::R1, Reg::R2);
    let add = Op::Alu { width: Width::W64, op: AluOp::Add, dst: r1, src: Operand::Reg(r2) };
    assert_eq!((add.uses(), add.defs()), (set(&[1, 2]), set(&[1])));
    let mov = Op::Alu { width: Width::W64, op: AluOp::Mov, dst: r1, src: Operand::Reg(r2) };
    assert_eq!((mov.uses(), mov.defs()), (set(&[2]), set(&[1])));
    let store = Op::Store { size: Size::W, dst: Reg::FP, off: -4, src: Operand::Reg(r2) };
    assert_eq!((store.uses(), store.defs()), (set(&[2, 10]), set(&[])));
    let call = Op::Call(CallTarget::Helper(1));
    assert_eq!((call.uses(), call.defs()), (set(&[1, 2, 3, 4, 5]), set(&[0, 1, 2, 3, 4, 5])));
    let fetch =
        Op::Atomic { size: Size::DW, op: skep_isa::AtomicOp::Add { fetch: true }, dst: r1, src: r2, off: 0 };
    assert_eq!((fetch.uses(), fetch.defs()), (set(&[1, 2]), set(&[2])));
    let cmpxchg = Op::Atomic { size: Size::DW, op: skep_isa::AtomicOp::Cmpxchg, dst: r1, src: r2, off: 0 };
    assert_eq!((cmpxchg.uses(), cmpxchg.defs()), (set(&[0, 1, 2]), set(&[0])));
    assert_eq!(Op::Exit.uses(), set(&[0]));
}

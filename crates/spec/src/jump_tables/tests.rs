use alloc::vec;

use skep_abi::ProgramType;

use super::*;
use crate::{FuncInfo, LineInfo};

fn table(places: &[u32]) -> Arc<MapDef> {
    let entry = |n: &u32| {
        let mut entry = [0; ENTRY];
        entry[..4].copy_from_slice(&n.to_ne_bytes());
        entry
    };
    let def = MapDef::new(MapType::INSN_ARRAY, 4, ENTRY as u32, places.len() as u32).named(".jumptables");
    Arc::new(MapDef { initial: Some(places.iter().flat_map(entry).collect()), frozen: true, ..def })
}

const GOTOX: Insn = Insn::new(0x0d, Reg(2), Reg(0), 0, 0);
const EXIT: Insn = Insn::new(0x95, Reg(0), Reg(0), 0, 0);

fn mov(imm: i32) -> Insn {
    Insn::new(0xb4, Reg(0), Reg(0), 0, imm)
}

/// Where a program ends up that begins at `at` with `r2` there: it jumps, compares `r2` and sets `r0`.
fn follow(insns: &[Insn], mut at: usize, r2: u64) -> i32 {
    let mut r0 = 0;
    for _ in 0..1000 {
        let insn = insns[at];
        at += 1;
        match insn.opcode {
            0xb4 => r0 = insn.imm,
            0x95 => return r0,
            JA => at = (at as i64 + i64::from(insn.off)) as usize,
            JA32 => at = (at as i64 + i64::from(insn.imm)) as usize,
            JGT if r2 > insn.imm as u64 => at = (at as i64 + i64::from(insn.off)) as usize,
            JGT => {}
            other => panic!("opcode {other:#x}"),
        }
    }
    panic!("it never ends")
}

/// A jump to each of `n` places, which return their own number, and one behind it that returns -1.
fn program(n: usize, places: &[u32]) -> ProgramSpec {
    let mut insns = vec![GOTOX];
    for i in 0..n {
        insns.extend([mov(i as i32), EXIT]);
    }
    insns.extend([mov(-1), EXIT]);
    ProgramSpec { maps: vec![table(places)], ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) }
}

#[test]
fn each_number_leads_to_its_place() {
    for n in [1, 2, 3, 4, 5, 7, 15, 16, 100] {
        // In no order, and twice.
        let mut places: Vec<u32> = (0..n as u32).rev().map(|i| 1 + 2 * i).collect();
        places.push(1);
        let spec = program(n, &places);
        let out = spec.without_jump_tables().expect("short").expect("it has a jump");
        assert_eq!(out.insns.len(), spec.insns.len() - 1 + 2 * n - 1);
        let bytes = out.maps[0].initial.clone().expect("numbers");
        assert_eq!((out.maps[0].kind, out.maps[0].value_size as usize), (MapType::ARRAY, bytes.len()));
        for (entry, place) in bytes.chunks(8).zip(&places) {
            let number = u64::from_ne_bytes(entry.try_into().expect("eight"));
            assert_eq!(follow(&out.insns, 0, number), (place - 1) as i32 / 2, "of {n}");
        }
        // What is no number of the table still leads to a place of it.
        for stray in [0, 2, u64::MAX, 1 << 32] {
            assert!((0..n as i32).contains(&follow(&out.insns, 0, stray)));
        }
    }
}

#[test]
fn what_stands_around_it_moves_along() {
    // 0: if r1 goto 4   1: call 6   2: gotox   3: goto 0   4: r3 = 6 ll   6 (a function): exit
    let call = Insn::new(0x85, Reg(0), Reg(1), 0, 4);
    let wide = [Insn::new(0x18, Reg(3), Reg(4), 0, 1), Insn::new(0, Reg(0), Reg(0), 0, 0)];
    let back = Insn::new(JA, Reg(0), Reg(0), -4, 0);
    let branch = Insn::new(0x15, Reg(1), Reg(0), 3, 0);
    let insns = vec![branch, call, GOTOX, back, wide[0], wide[1], EXIT];
    let line = |insn_off| LineInfo { insn_off, file_name_off: 0, line_off: 0, line_col: 0 };
    let spec = ProgramSpec {
        maps: vec![table(&[0, 3, 4])],
        func_info: vec![FuncInfo { insn_off: 0, type_id: 1 }, FuncInfo { insn_off: 6, type_id: 2 }],
        line_info: vec![line(0), line(2), line(3), line(6)],
        ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns)
    };
    let out = spec.without_jump_tables().expect("short").expect("it has a jump");
    // Three places: five instructions in the place of one.
    assert_eq!(out.insns.len(), 11);
    assert_eq!(out.insns[0].off, 7, "to 8");
    assert_eq!(out.insns[1].imm, 8, "to 10");
    assert_eq!(out.insns[7].off, -8, "to 0");
    assert_eq!((out.insns[8].imm, out.insns[9]), (1, wide[1]), "to 10");
    assert_eq!(out.func_info.iter().map(|f| f.insn_off).collect::<Vec<_>>(), [0, 10]);
    assert_eq!(out.line_info.iter().map(|l| l.insn_off).collect::<Vec<_>>(), [0, 2, 7, 10]);
}

#[test]
fn a_jump_takes_its_function_s_tables_only() {
    // 0: call 3   1: gotox   2: exit   3 (a function): gotox   4: exit
    let call = Insn::new(0x85, Reg(0), Reg(1), 0, 2);
    let insns = vec![call, GOTOX, EXIT, GOTOX, EXIT];
    let spec = ProgramSpec {
        maps: vec![table(&[2]), table(&[4, 4])],
        ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns)
    };
    let out = spec.without_jump_tables().expect("short").expect("it has jumps");
    let goto = Insn::new(JA, Reg(0), Reg(0), 0, 0);
    assert_eq!(out.insns, [call, goto, EXIT, goto, EXIT]);
}

#[test]
fn programs_without_them_stay() {
    let plain = ProgramSpec::new(ProgramType::SOCKET_FILTER, vec![mov(0), EXIT]);
    assert_eq!(plain.without_jump_tables().map(|o| o.is_none()), Ok(true));
    // An indirect jump without a table is for the verifier to refuse.
    let open = ProgramSpec::new(ProgramType::SOCKET_FILTER, vec![GOTOX, EXIT]);
    assert_eq!(open.without_jump_tables().map(|o| o.is_none()), Ok(true));
}

#[test]
fn jumps_that_get_too_long_say_so() {
    let n = 12_000;
    let places: Vec<u32> = (0..n as u32).map(|i| 2 + 2 * i).collect();
    let mut spec = program(n, &places);
    spec.insns.insert(0, Insn::new(0x15, Reg(1), Reg(0), 24_000, 0));
    let e = spec.without_jump_tables().expect_err("48,000 slots");
    assert!(e.errno == Errno::E2BIG && e.message.contains("instruction 0: its jump is too long"), "{e}");
}

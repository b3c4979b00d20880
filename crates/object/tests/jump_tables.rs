//! Jump tables of clang 22: each program gets a map for each, with instructions of its own.
//!
//! No oracle that runs them is at hand: they are new in Linux 6.19, and libbpf needs its map type. What counts is what the
//! source means: the linked program is run here, and its `switch` written again by hand says what must come out.

mod common;

use common::{fixture_path, read, spec};
use object::{Object as _, ObjectSection as _};
use skep_abi::MapType;
use skep_isa::{Insn, Reg};
use skep_object::{Object, static_link};
use skep_spec::ProgramSpec;

const FIXTURE: &str = "jumptables.bpf.o";

fn parse(bytes: &[u8]) -> Object {
    Object::parse_any_endian(FIXTURE, bytes).unwrap_or_else(|e| panic!("{e}"))
}

/// Instructions that the entries of a program's table lead to.
fn targets(s: &ProgramSpec, table: usize) -> Vec<usize> {
    let map = &s.maps[table];
    assert_eq!(
        (&*map.name, map.kind, map.key_size, map.value_size),
        (".jumptables", MapType::INSN_ARRAY, 4, 16)
    );
    assert!(map.frozen);
    let values = map.initial.as_ref().expect("entries");
    assert_eq!(values.len(), map.max_entries as usize * 16);
    let entry = |v: &[u8]| {
        assert!(v[4..].iter().all(|&b| b == 0), "the rest is the kernel's");
        u32::from_le_bytes(v[..4].try_into().expect("four")) as usize
    };
    values.chunks(16).map(entry).collect()
}

/// The cases that return a constant, as the source has them.
const OUTER: [(usize, i32); 7] = [(0, 30), (1, 170), (3, 50), (5, 90), (7, 770), (10, 40), (11, 990)];
const INNER: [(usize, i32); 7] = [(0, 3), (1, 17), (3, 5), (5, 9), (7, 77), (10, 4), (11, 99)];

fn assert_leads(s: &ProgramSpec) {
    assert_eq!(s.maps.len(), 2);
    for (table, cases) in [OUTER, INNER].iter().enumerate() {
        let targets = targets(s, table);
        assert_eq!(targets.len(), 15);
        for &(case, value) in cases {
            let insn = s.insns[targets[case]];
            assert_eq!((insn.opcode, insn.dst.0, insn.imm), (0xb4, 0, value), "case {case} of table {table}");
        }
    }
    // Loaded as addresses of values: the table's first byte.
    let loads = s.insns.iter().filter(|i| i.is_wide()).map(|i| (i.src.0, i.imm)).collect::<Vec<_>>();
    assert_eq!(loads, [(6, 0), (6, 1)]);
    assert_eq!(s.insns.iter().filter(|i| i.opcode == 0x0d).count(), 2, "indirect jumps");
}

#[test]
fn entries_are_instructions_of_the_program() {
    let object = parse(&read(&fixture_path(FIXTURE)));
    assert_leads(spec(&object, "jumps"));
    assert!(spec(&object, "before").maps.is_empty());
    assert!(object.maps.is_empty(), "tables belong to programs");
}

/// Fields of `struct __sk_buff` that the source looks at, by their offsets.
const FIELDS: [(i16, &str); 6] = [
    (0x00, "len"),
    (0x08, "mark"),
    (0x10, "protocol"),
    (0x20, "priority"),
    (0x28, "ifindex"),
    (0x44, "hash"),
];

/// The source's functions, read by hand; fields that are not switched on hold 100 and their place in the list.
fn meant(mark: u32, len: u32) -> u32 {
    let field = |name: &str| 100 + FIELDS.iter().position(|f| f.1 == name).expect("listed") as u32;
    let inner = || match len {
        2 => mark,
        4 => mark * 7,
        6 => field("protocol") + 1,
        8 => field("hash"),
        9 => field("priority"),
        12 => field("ifindex"),
        13 => mark * 2,
        14 => 8,
        n => INNER.iter().find(|(case, _)| *case == n as usize).map_or(0, |(_, v)| *v as u32),
    };
    match mark {
        2 => len,
        4 => len * 7,
        6 => field("protocol") + 1,
        8 => field("hash"),
        9 => field("priority"),
        12 => field("ifindex"),
        13 => len * 2,
        14 => inner(),
        n => OUTER.iter().find(|(case, _)| *case == n as usize).map_or(1, |(_, v)| *v as u32),
    }
}

/// Runs a linked program: the instructions that clang has made of these switches, and no others. An address in a table is
/// its number and the byte in it; an entry's value is the instruction that the map says.
fn run(s: &ProgramSpec, mark: u32, len: u32) -> u32 {
    const CONTEXT: u64 = 1 << 60;
    const TABLE: u64 = 1 << 59;
    let field = |off: i16| match FIELDS.iter().position(|f| f.0 == off).expect("a field that is listed") {
        0 => len,
        1 => mark,
        place => 100 + place as u32,
    };
    let mut regs = [0u64; 11];
    regs[1] = CONTEXT;
    let (mut pc, mut back) = (0usize, Vec::new());
    for _ in 0..200 {
        let Insn { opcode, dst: Reg(dst), src: Reg(src), off, imm } = s.insns[pc];
        let (dst, from, to) =
            (usize::from(dst), regs[usize::from(src)], |n: i32| (pc as i64 + 1 + i64::from(n)) as usize);
        let (mut next, low) = (pc + 1, regs[dst] as u32);
        match (opcode, src) {
            (0x18, 6) => {
                regs[dst] = TABLE | (imm as u64) << 32 | u64::from(s.insns[pc + 1].imm.cast_unsigned());
                next += 1;
            }
            (0x61, _) if from == CONTEXT => regs[dst] = field(off).into(),
            (0x79, _) if from & TABLE != 0 => {
                let (table, byte) = ((from & !TABLE) >> 32, from as u32 as usize + off as usize);
                assert_eq!(byte % 8, 0, "whole entries");
                regs[dst] = targets(s, table as usize)[byte / 8] as u64;
            }
            (0x0d, _) => next = regs[dst] as usize,
            (0x0f, _) => regs[dst] = regs[dst].wrapping_add(from),
            (0xbf, _) => regs[dst] = from,
            (0xbc, _) => regs[dst] = from & 0xffff_ffff,
            (0x67, _) => regs[dst] <<= imm,
            (0xb4, _) => regs[dst] = imm.cast_unsigned().into(),
            (0x04, _) => regs[dst] = low.wrapping_add(imm.cast_unsigned()).into(),
            (0x24, _) => regs[dst] = low.wrapping_mul(imm.cast_unsigned()).into(),
            (0x64, _) => regs[dst] = (low << imm).into(),
            (0x26, _) => {
                if low > imm.cast_unsigned() {
                    next = to(off.into());
                }
            }
            (0x05, _) => next = to(off.into()),
            (0x06, _) => next = to(imm),
            (0x85, 1) => {
                back.push(next);
                next = to(imm);
            }
            (0x95, _) => match back.pop() {
                Some(caller) => next = caller,
                None => return regs[0] as u32,
            },
            _ => panic!("instruction {pc}: opcode {opcode:#04x}, src {src}: not one of these switches'"),
        }
        pc = next;
    }
    panic!("it does not end")
}

#[test]
fn the_linked_program_does_what_its_source_says() {
    let alone = parse(&read(&fixture_path(FIXTURE)));
    let files = [read(&fixture_path("link/lib.bpf.o")), read(&fixture_path(FIXTURE))];
    let linked = static_link(&[("lib.o", &files[0]), ("jumptables.o", &files[1])]).expect("they fit");
    for object in [alone, parse(&linked)] {
        let s = spec(&object, "jumps");
        for mark in (0..17).chain([u32::MAX]) {
            for len in (0..17).chain([1500]) {
                assert_eq!(run(s, mark, len), meant(mark, len), "mark {mark}, len {len}");
            }
        }
    }
}

/// Tables have no relocations, and follow their code all the same.
#[test]
fn linked_tables_follow_their_code() {
    let (tables, other) = (read(&fixture_path(FIXTURE)), read(&fixture_path("link/lib.bpf.o")));
    let alone = parse(&tables);
    for (files, shifted) in [
        ([("lib.o", &*other), ("jumptables.o", &*tables)], true),
        ([("jumptables.o", &*tables), ("lib.o", &*other)], false),
    ] {
        let linked = static_link(&files).expect("they fit");
        let section = |bytes: &[u8]| {
            let file = object::File::parse(bytes).expect("an object");
            file.section_by_name(".jumptables").expect("tables").data().expect("inside").to_vec()
        };
        assert_eq!(section(&linked) != section(&tables), shifted);
        let linked = parse(&linked);
        assert_leads(spec(&linked, "jumps"));
        assert_eq!(spec(&linked, "jumps").insns, spec(&alone, "jumps").insns);
        assert_eq!(targets(spec(&linked, "jumps"), 1), targets(spec(&alone, "jumps"), 1));
    }
}

#[test]
fn an_entry_outside_of_the_function_is_named() {
    let mut bytes = read(&fixture_path(FIXTURE));
    let file = object::File::parse(&*bytes).expect("an object");
    let (at, _) = file.section_by_name(".jumptables").expect("tables").file_range().expect("in the file");
    // The second entry of the first table: into `before`, into an instruction, far away.
    for off in [8u64, 0x5c, 1 << 40] {
        bytes[at as usize + 8..at as usize + 16].copy_from_slice(&off.to_le_bytes());
        let object = parse(&bytes);
        let e = object.program("jumps").expect("it is there").spec.as_ref().expect_err("a wrong table");
        let want = format!(
            "jumptables.bpf.o: symbol \"BPF.JT.1.0\": entry 1 of the jump table is byte {off:#x} of section \"socket\", \
             which is no instruction of \"jumps\""
        );
        assert!(e.to_string().starts_with(&want), "{e}");
    }
}

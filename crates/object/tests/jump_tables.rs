//! Jump tables of clang 22: each program gets a map for each, with instructions of its own.

mod common;

use common::{fixture_path, read, spec};
use object::{Object as _, ObjectSection as _};
use skep_abi::MapType;
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

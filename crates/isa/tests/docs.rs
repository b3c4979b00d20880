//! `docs/isa.md` is the table, written out. `BLESS=1 cargo test -p skep-isa --test docs` rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use skep_isa::table::{self, Group, Role, Row};
use skep_isa::text::{Assembler, Dialect};
use skep_isa::{CallTarget, Reg};

const INTRODUCTION: &str = "\
# Instructions

Generated from the table in `crates/isa/src/table/rows.rs` by that crate's tests; do not edit
(`BLESS=1 cargo test -p skep-isa --test docs` rewrites it).

A slot has the fields opcode (8 bits), dst and src (4 bits each), off (16 bits) and imm (32 bits), RFC 9669
§3.1. Each row below is one instruction. Its fields are given as

| field | meaning |
|---|---|
| a number | the field must have this value: a selector, or 0 where the field is reserved |
| r, w, rw | a register 0 to 10 that is read, written, both |
| mem | byte offset from the base register |
| jump | distance in slots from the next slot |
| const | signed constant; 64-bit operations sign-extend it |
| id | number of a helper, BTF type, file descriptor |
| index | index into `fd_array` |
| spaces | two address spaces: `dst << 16 \\| src` |
| any | any value |

Any other value is refused when a program is decoded, and the error names the field. Linux 6.18 refuses the
same ones, except that it does not look at `off` of `exit`; it does not know `callx` and `gotox`. The two-slot
`LDDW` has its second `imm` behind `/`; everything else in its second slot is 0.

The text is shown as the kernel's log prints it, and where that differs as clang and `llvm-objdump` do. The
assembler reads both.
";

/// What the assembler reads, as its documentation says it.
const ASSEMBLY: &str = include_str!("../src/text/assembly.md");

fn about(group: Group) -> &'static str {
    match group {
        Group::Base32 => "32-bit arithmetic, memory up to 4 bytes, jumps, calls.",
        Group::Base64 => "What 64-bit machines have beyond base32.",
        Group::Divmul32 => "32-bit division and remainder.",
        Group::Divmul64 => "64-bit division and remainder.",
        Group::Atomic32 => "Atomic operations on 4 bytes.",
        Group::Atomic64 => "Atomic operations on 8 bytes.",
        Group::Packet => "Legacy packet access. Out of bounds ends the program with 0.",
        Group::Linux => "Not in RFC 9669: what Linux and compilers have beyond it.",
    }
}

const GROUPS: [Group; 8] = [
    Group::Base32,
    Group::Base64,
    Group::Divmul32,
    Group::Divmul64,
    Group::Atomic32,
    Group::Atomic64,
    Group::Packet,
    Group::Linux,
];

fn role(role: Role) -> String {
    match role {
        Role::Is(v) if v > 9 => format!("{v:#x}"),
        Role::Is(v) => v.to_string(),
        Role::Read => "r".into(),
        Role::Write => "w".into(),
        Role::ReadWrite => "rw".into(),
        Role::Mem => "mem".into(),
        Role::Jump => "jump".into(),
        Role::Index => "index".into(),
        Role::Const => "const".into(),
        Role::Id => "id".into(),
        Role::Spaces => "spaces".into(),
        Role::Any => "any".into(),
    }
}

fn line(row: &Row) -> String {
    let imm = match row.next_imm {
        Some(next) => format!("{} / {}", role(row.imm), role(next)),
        None => role(row.imm),
    };
    let op = row.op(Reg::R1, Reg::R2, 8, if row.imm == Role::Spaces { 1 } else { 3 });
    let (kernel, clang) = (op.to_string(), op.text(Dialect::Clang).to_string());
    let text = if kernel == clang { format!("`{kernel}`") } else { format!("`{kernel}` · `{clang}`") };
    format!(
        "| {} | {:#04x} | {} | {} | {} | {imm} | {} | {} | {} |",
        row.name,
        row.opcode,
        role(row.dst),
        role(row.src),
        role(row.off),
        text.replace('|', "\\|"),
        row.rfc,
        row.doc
    )
}

fn document() -> String {
    let mut out = INTRODUCTION.to_string();
    for group in GROUPS {
        let rows = || table::rows().iter().filter(|r| r.group == group);
        write!(out, "\n## {group}\n\n{} {} instructions.\n\n", about(group), rows().count()).unwrap();
        out += "| name | opcode | dst | src | off | imm | text | RFC 9669 | |\n|---|---|---|---|---|---|---|---|---|\n";
        for row in rows() {
            out += &line(row);
            out.push('\n');
        }
    }
    out += "\n## Assembly text\n\n`skep asm` and `skep run` read this.\n\n";
    out += &format!("\n{ASSEMBLY}").replace("\n# ", "\n### ")[1..];
    out
}

#[test]
fn the_example_of_the_documentation_assembles() {
    let example = ASSEMBLY.rsplit("```text\n").next().and_then(|s| s.strip_suffix("```\n")).unwrap();
    let lookup = |name: &str| (name == "bpf_map_lookup_elem").then_some(CallTarget::Helper(1));
    let assembly = Assembler::new().with_names(&lookup).assemble(example).unwrap();
    assert_eq!(assembly.link("count").unwrap().insns.len(), 13);
    assert_eq!(assembly.maps[0].max_entries, 256);
}

#[test]
fn docs_isa_md_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/isa.md");
    let want = document();
    assert_eq!(want.matches("\n| ").count(), table::rows().len() + GROUPS.len() + 10);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &want).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((n, (a, b))) = want.lines().zip(found.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("docs/isa.md line {}:\n  is     {b}\n  should {a}\nBLESS=1 rewrites it", n + 1);
    }
    assert!(want == found, "docs/isa.md is incomplete; BLESS=1 rewrites it");
}

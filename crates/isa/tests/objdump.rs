//! `llvm-objdump` as oracle for clang's spelling, `llvm-mc` as its reader. Skipped where they are missing.

mod common;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{random, slots};
use skep_isa::table::{self, Group, Role, Row};
use skep_isa::text::{Dialect, Listing, assemble};
use skep_isa::{Endian, Insn, Op, decode};

/// Rows that LLVM 19 does not disassemble, or not distinctly: for calls of subprograms and kernel functions
/// it prints the same as for helpers.
fn llvm_knows(row: &Row) -> bool {
    let acquire = row.name.starts_with("load_acq") || row.name.starts_with("store_rel");
    !acquire && !matches!(row.name, "gotox" | "call_local" | "call_kfunc")
}

/// A tool of LLVM 19, the version whose spelling this dialect follows.
fn tool(name: &str) -> Option<String> {
    let versioned = format!("{name}-19");
    let found =
        Command::new(&versioned).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|s| s.success()) {
        return Some(versioned);
    }
    println!("skipped: {versioned} is not installed");
    None
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("skep-isa-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `llvm-mc` over `text` into an object file.
fn object(llvm_mc: &str, text: &str, out: &std::path::Path) {
    let mut mc = Command::new(llvm_mc)
        .args(["-triple", "bpfel", "-mcpu=v4", "--filetype=obj", "-o"])
        .arg(out)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    mc.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(mc.wait().unwrap().success(), "llvm-mc refuses:\n{text}");
}

/// An instruction of the row in the domain that LLVM prints without loss.
fn sample(row: &Row, rng: &mut impl FnMut() -> u64) -> Op {
    let mut op = row.sample(rng);
    match (&mut op, row.imm) {
        // LLVM drops the constant of indirect packet loads.
        (Op::LoadPacket { mode: skep_isa::PacketMode::Ind(_), imm, .. }, _) => *imm = 0,
        // Helper numbers are unsigned here, signed there.
        (Op::Call(skep_isa::CallTarget::Helper(id)), _) => *id &= 0x7fff_ffff,
        // LLVM drops the second constant of the pseudo forms.
        (_, Role::Id) if row.next_imm == Some(Role::Any) => {
            op = row.op(skep_isa::Reg::R1, skep_isa::Reg::R0, 0, (rng() & 0xff) as i32);
        }
        _ => {}
    }
    op
}

/// The line without the target that objdump names behind a jump: `goto +0x3 <.text+0x40>`.
fn without_target(line: &str) -> &str {
    if line.ends_with('>') { line.rsplit_once(" <").map_or(line, |(text, _)| text) } else { line }
}

#[test]
fn clangs_spelling_is_what_llvm_objdump_prints() {
    let (Some(mc), Some(objdump)) = (tool("llvm-mc"), tool("llvm-objdump")) else { return };
    let mut rng = random(31);
    let mut program: Vec<Insn> = Vec::new();
    for row in table::rows().iter().filter(|r| llvm_knows(r)) {
        for _ in 0..8 {
            program.extend(slots(&sample(row, &mut rng)));
        }
    }
    let bytes: String =
        program.iter().flat_map(|i| i.to_bytes(Endian::Little)).map(|b| format!(".byte {b}\n")).collect();
    let scratch = Scratch::new("objdump");
    let file = scratch.0.join("a.o");
    object(&mc, &format!(".text\n{bytes}"), &file);
    let out =
        Command::new(objdump).args(["-d", "--no-show-raw-insn", "--mcpu=v4"]).arg(&file).output().unwrap();
    let theirs: Vec<String> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .skip_while(|l| !l.ends_with(">:"))
        .skip(1)
        .filter_map(|l| l.split_once(":\t"))
        .map(|(_, text)| without_target(&text.replace('\t', " ")).trim().to_string())
        .collect();
    let mut pc = 0;
    let mut shown = 0;
    let mut second = 0;
    for line in &theirs {
        let op = decode(&program, pc).unwrap();
        let mut ours = op.text(Dialect::Clang).to_string();
        // LLVM prints neither offset into a value nor BTF descriptor.
        if ours.starts_with("ld_pseudo") && ours.matches(',').count() == 3 {
            ours.truncate(ours.rfind(',').unwrap());
            second += 1;
        }
        assert_eq!(&ours, line, "slot {pc}: {op:?}");
        pc += op.slots();
        shown += 1;
    }
    assert_eq!(pc, program.len());
    println!("{shown} lines agree, {second} of them but for the last operand");
}

#[test]
fn llvm_mc_reads_what_we_print() {
    let Some(mc) = tool("llvm-mc") else { return };
    let mut rng = random(41);
    let mut program: Vec<Insn> = Vec::new();
    for row in table::rows().iter().filter(|r| llvm_knows(r) && r.group != Group::Linux) {
        // Its assembler wants symbols here.
        let by_symbol = row.opcode == 0x18 && row.name != "lddw";
        for _ in 0..8 {
            let mut op = sample(row, &mut rng);
            // LLVM 19 reads no longer distance than 16 bits as a number, only as a label.
            if let Op::Jump { off, long: true } = &mut op {
                *off = i32::from(*off as i16);
            }
            if !by_symbol {
                program.extend(slots(&op));
            }
        }
    }
    let mut text = String::new();
    let mut pc = 0;
    while pc < program.len() {
        let op = decode(&program, pc).unwrap();
        text += &format!("{}\n", op.text(Dialect::Clang));
        pc += op.slots();
    }
    let scratch = Scratch::new("mc");
    let file = scratch.0.join("a.o");
    object(&mc, &text, &file);
    let elf = std::fs::read(&file).unwrap();
    let want: Vec<u8> = program.iter().flat_map(|i| i.to_bytes(Endian::Little)).collect();
    assert!(elf.windows(want.len()).any(|w| w == want), "llvm-mc encodes something else");
    assert_eq!(assemble(&text).unwrap(), program);
    assert_eq!(assemble(&Listing::new(&program, Dialect::Clang).to_string()).unwrap(), program);
}

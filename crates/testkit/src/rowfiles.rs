//! Readable file tests for every row of the instruction table, written by a generator.
//!
//! Operations that compute are grouped by what they do (`add.s` has both widths and both operand forms); the
//! other rows have a file each. The programs stand here, the expectations come from `BLESS=1`.

use std::collections::BTreeMap;

use skep_isa::table::{self, Row};
use skep_isa::text::Dialect;
use skep_isa::{AluOp, Insn, Op, Operand, Reg, Size, Width, decode};
use skep_spec::{MapDef, ProgramSpec};

use crate::build::Code;
use crate::case::show_bytes;
use crate::oracle::{Input, Inside, Tail};
use crate::rows;

/// Operand pairs that a person can check by hand.
const PAIRS: &[(u64, u64)] = &[
    (0, 0),
    (1, 1),
    (1, u64::MAX),
    (u64::MAX, 1),
    (1 << 63, u64::MAX),
    (0x8000_0000, 0xffff_ffff),
    (0x7fff_ffff, 31),
    (0x0123_4567_89ab_cdef, 32),
    (0x0123_4567_89ab_cdef, 63),
    (0xfedc_ba98_7654_3210, 64),
    (0xffff_ffff_8000_0000, 0x1_0000_0001),
    (u64::MAX >> 1, 0x8000_0000_8000_0000),
];

/// Immediates of the grouped files; those that the kernel refuses for an operation have files of their own.
const IMMEDIATES: &[i32] = &[0, 1, -1, 31, 32, 63, i32::MAX, i32::MIN];

/// Most inputs that a file lists.
const MOST_INPUTS: usize = 12;

/// Longest packet that a file lists, bytes.
const LONGEST_PACKET: usize = 64;

/// A generated file: its name without `.s`, and its text without expectations.
pub type File = (String, String);

/// All files, in order of their names.
pub fn all() -> Vec<File> {
    let mut families: BTreeMap<&'static str, Vec<&'static Row>> = BTreeMap::new();
    let mut files = Vec::new();
    for row in table::rows() {
        match family(row) {
            Some(name) => families.entry(name).or_default().push(row),
            None => files.extend(single(row)),
        }
        files.extend(refused(row));
    }
    files.extend(families.into_iter().map(|(name, rows)| grouped(name, &rows)));
    files.sort();
    files
}

/// Any operands: only the decoded form's shape matters.
fn shape(row: &Row) -> Op {
    row.op(Reg::R3, Reg::R8, 1, 1)
}

/// The group of a row that computes from registers alone.
fn family(row: &'static Row) -> Option<&'static str> {
    let stem = row.name.trim_end_matches("_imm").trim_end_matches("_reg");
    match shape(row) {
        Op::Alu { .. } | Op::JumpIf { .. } | Op::Neg { .. } => {
            Some(stem.trim_end_matches("32").trim_end_matches("64"))
        }
        Op::MovSx { .. } => Some("movsx"),
        Op::Swap { .. } => Some(stem.trim_end_matches(|c: char| c.is_ascii_digit())),
        Op::LoadImm64 { .. }
        | Op::AddrSpaceCast { .. }
        | Op::Load { .. }
        | Op::Store { .. }
        | Op::Atomic { .. }
        | Op::LoadAcquire { .. }
        | Op::StoreRelease { .. }
        | Op::LoadPacket { .. }
        | Op::Jump { .. }
        | Op::MayGoto { .. }
        | Op::Call(_)
        | Op::CallIndirect { .. }
        | Op::JumpIndirect { .. }
        | Op::Exit => None,
    }
}

/// Why the kernel refuses this immediate, if it does.
fn refuses(op: &Op) -> Option<&'static str> {
    let Op::Alu { width, op, src: Operand::Imm(imm), .. } = *op else { return None };
    let bits = if width == Width::W64 { 64 } else { 32 };
    match op {
        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod if imm == 0 => Some("zero"),
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh if !(0..bits).contains(&imm) => Some("count"),
        _ => None,
    }
}

fn ctx_inputs(words: usize) -> Vec<Input> {
    let input = |&(a, b): &(u64, u64)| {
        let mut ctx: Vec<u8> = [a, b].iter().flat_map(|w| w.to_le_bytes()).collect();
        ctx.resize(words * 8, 0);
        Input { ctx, data: Vec::new() }
    };
    PAIRS.iter().map(input).collect()
}

/// Every row of a group over the immediates, each result in its own word of the context.
fn grouped(name: &str, rows: &[&'static Row]) -> File {
    let (a, b, out) = (Reg::R7, Reg::R8, Reg::R3);
    let mut code = Code::new();
    code.mov_reg(Reg::R6, Reg::R1).load(Size::DW, a, Reg::R6, 0).load(Size::DW, b, Reg::R6, 8);
    let mut off = 16;
    let mut listed = Vec::new();
    for row in rows {
        let immediates = if row.imm == table::Role::Const { IMMEDIATES } else { &[0] };
        for &imm in immediates {
            let op = row.op(out, b, 1, imm);
            if refuses(&op).is_some() {
                continue;
            }
            if let Op::JumpIf { .. } = op {
                code.mov_reg(out, a).mov(Reg::R4, 1).op(op).mov(Reg::R4, 0);
                code.store(Size::DW, Reg::R6, off, Reg::R4);
            } else if let Op::MovSx { .. } = op {
                code.op(row.op(out, a, 0, 0)).store(Size::DW, Reg::R6, off, out);
            } else {
                code.mov_reg(out, a).op(op).store(Size::DW, Reg::R6, off, out);
            }
            off += 8;
        }
        listed.push(row.name);
    }
    code.mov(Reg::R0, 0).exit();
    let spec = ProgramSpec::new(skep_abi::ProgramType::SYSCALL, code.finish());
    let about = format!(
        "{}: {}.\nOperands in the first two words, one result a word behind them.",
        listed.join(", "),
        rows[0].doc.trim_end_matches('.')
    );
    (name.into(), render(&about, &spec, &ctx_inputs(off as usize / 8)))
}

/// A row that has its own file, or two where its first cases differ in kind.
fn single(row: &'static Row) -> Vec<File> {
    let cases = rows::cases_of(row);
    // Immediates and offsets: the first, and one from the middle.
    let mut chosen = vec![0];
    if cases.len() > 2 {
        chosen.push(cases.len() / 2);
    }
    let file = |(n, i): (usize, usize)| {
        let case = &cases[i];
        let short: Vec<&Input> = case.inputs.iter().filter(|i| i.data.len() <= LONGEST_PACKET).collect();
        let step = short.len().div_ceil(MOST_INPUTS).max(1);
        let inputs: Vec<Input> = short.into_iter().step_by(step).cloned().collect();
        let name = if n == 0 { row.name.to_string() } else { format!("{}-{}", row.name, n + 1) };
        let about = format!("{}: {}", case.name, row.doc);
        (name, render(&about, &case.spec, &inputs))
    };
    chosen.into_iter().enumerate().map(file).collect()
}

/// The immediates of a row that are refused, one file each.
fn refused(row: &'static Row) -> Vec<File> {
    let bad = |imm: i32| {
        let op = row.op(Reg::R0, Reg(0), 1, imm);
        let why = refuses(&op)?;
        let mut code = Code::new();
        code.mov(Reg::R0, 1).op(op).exit();
        let spec = ProgramSpec::new(skep_abi::ProgramType::SOCKET_FILTER, code.finish());
        let about = format!("{} with {imm}: refused.", row.name);
        Some((format!("refused/{}-{why}", row.name), render(&about, &spec, &[])))
    };
    if row.imm != table::Role::Const {
        return Vec::new();
    }
    let mut files: Vec<File> = [0, 32, 64].into_iter().filter_map(bad).collect();
    files.dedup_by(|b, a| a.0 == b.0);
    files
}

/// The text of a file: comments, runs, maps, instructions.
pub fn render(about: &str, spec: &ProgramSpec, inputs: &[Input]) -> String {
    render_all(about, spec, &[], &[], inputs)
}

/// The same with the programs that tail calls lead to.
pub fn render_all(
    about: &str,
    spec: &ProgramSpec,
    tails: &[Tail],
    insides: &[Inside],
    inputs: &[Input],
) -> String {
    let mut text = String::new();
    for line in about.lines() {
        text += &format!("; {line}\n");
    }
    if !tails.is_empty() {
        text += "; program: main\n";
    }
    for tail in tails {
        let map = spec.maps.get(tail.map).map_or("missing", |m| &m.name);
        text += &format!("; tail {map} {}: {}\n", tail.index, tail.spec.name);
    }
    for Inside { outer, key, map } in insides {
        let name = |i: usize| spec.maps.get(i).map_or("missing", |m| &m.name);
        text += &format!("; slot {} {}: {}\n", name(*outer), show_bytes(key), name(*map));
    }
    for input in inputs {
        text += "; run:";
        if !input.ctx.is_empty() {
            text += &format!(" ctx={}", show_bytes(&input.ctx));
        }
        if !input.data.is_empty() {
            text += &format!(" data={}", show_bytes(&input.data));
        }
        text += "\n";
    }
    for map in &spec.maps {
        text += &map_line(map);
    }
    let sections = [
        "socket",
        "syscall",
        "xdp",
        "tc",
        "action",
        "raw_tp",
        "lwt_in",
        "lwt_out",
        "lwt_xmit",
        "cgroup_skb/ingress",
        "cgroup_skb/egress",
        "flow_dissector",
        "sk_lookup",
    ];
    let row = |s: &&str| skep_abi::find_section(s).filter(|row| row.prog_type == spec.prog_type);
    let exact = |s: &&str| row(s).is_some_and(|row| row.attach_type == spec.attach_type);
    let section =
        sections.into_iter().find(exact).or_else(|| sections.into_iter().find(|s| row(s).is_some()));
    let section = section.unwrap_or("socket");
    let mut program = |name: &str, spec: &ProgramSpec| {
        text += &format!(".section {section}\n{name}:\n{}", listing(&spec.insns, &spec.maps));
    };
    program("main", spec);
    tails.iter().for_each(|tail| program(&tail.spec.name, &tail.spec));
    text
}

fn map_line(map: &MapDef) -> String {
    let initial = map.initial.as_ref().map(|b| format!(" initial={}", crate::case::hex(b)));
    let flags = if map.flags.0 == 0 { String::new() } else { format!(" flags={:#x}", map.flags.0) };
    let frozen = if map.frozen { " frozen=1" } else { "" };
    let inner = if map.inner.is_some() { " inner=inside" } else { "" };
    let lock = map.spin_lock_off().map_or_else(String::new, |off| format!(" lock={off}"));
    format!(
        ".map {} type={} key={} value={} max_entries={}{flags}{}{frozen}{lock}{inner}\n",
        map.name,
        map.kind.name().unwrap_or("unspec"),
        map.key_size,
        map.value_size,
        map.max_entries,
        initial.unwrap_or_default()
    )
}

/// The instructions in clang's spelling, maps by name.
pub fn listing(insns: &[Insn], maps: &[std::sync::Arc<MapDef>]) -> String {
    use skep_isa::Imm64;
    let name = |i: i32| usize::try_from(i).ok().and_then(|i| maps.get(i)).map_or("missing", |m| &m.name);
    let mut text = String::new();
    let mut pc = 0;
    while pc < insns.len() {
        let op = decode(insns, pc);
        pc += op.as_ref().map_or(1, Op::slots);
        text += &match op {
            Ok(Op::LoadImm64 { dst, value: Imm64::MapIdx(i) }) => {
                format!("    {dst} = map[{}] ll\n", name(i))
            }
            Ok(Op::LoadImm64 { dst, value: Imm64::MapValueIdx { idx, off_bytes } }) => {
                format!("    {dst} = map[{}][0]+{off_bytes} ll\n", name(idx))
            }
            Ok(op) => format!("    {}\n", op.text(Dialect::Clang)),
            Err(e) => format!("    # {e}\n"),
        };
    }
    text
}

/// A file's text without what `BLESS=1` writes into it.
pub fn without_expectations(text: &str) -> String {
    let keep = |l: &&str| *l != "; accept" && !l.starts_with("; reject:");
    let strip = |l: &str| {
        let line = if l.starts_with("; run:") { l.split(" =>").next().unwrap_or(l) } else { l };
        format!("{line}\n")
    };
    text.lines().filter(keep).map(strip).collect()
}

//! A program and edge operands for every row of the instruction table.
//!
//! Rows that compute run as `syscall` programs over a context of 64-bit words: operands in
//! `ctx[0]`, `ctx[1]`, `ctx[2]`, results from `ctx[3]` on, so that all 64 bits can be compared. Packet rows
//! run as socket filters. Each [`Case`] is one program with all its inputs; rows with an immediate have a
//! case for each edge value of it. Some programs are meant to be refused: then the verdicts are compared.

use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::table::{self, Fields, Role, Row};
use skep_isa::{Imm64, Op, Operand, PacketMode, Reg, Size};
use skep_spec::{MapDef, ProgramSpec};

use crate::build::Code;
use crate::oracle::Input;

/// Words in the context.
pub const CTX_WORDS: usize = 8;
/// Byte offset of the first result.
pub const RESULT: i16 = 24;

/// 64-bit operands at which arithmetic changes its behaviour.
pub const EDGES: &[u64] = &[
    0,
    1,
    2,
    7,
    8,
    31,
    32,
    33,
    63,
    64,
    65,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x0123_4567_89ab_cdef,
    0xfedc_ba98_7654_3210,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

/// Immediates at which arithmetic changes its behaviour.
pub const IMMEDIATES: &[i32] =
    &[0, 1, -1, 2, -2, 7, 8, 31, 32, 33, 63, 64, 0x7f, 0x80, 0x8000, 0x1234_5678, i32::MAX, i32::MIN];

/// One program over a row, with the inputs to run it on.
#[derive(Clone, Debug)]
pub struct Case {
    /// Row name, and the immediate where there is one.
    pub name: String,
    /// The row.
    pub row: &'static str,
    /// The program.
    pub spec: ProgramSpec,
    /// Inputs.
    pub inputs: Vec<Input>,
}

const A: Reg = Reg::R7;
const B: Reg = Reg::R8;
const CTX: Reg = Reg::R6;

/// A context of the given words, the rest 0.
pub fn context(words: &[u64]) -> Vec<u8> {
    let mut ctx: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    ctx.resize(CTX_WORDS * 8, 0);
    ctx
}

/// The cases of all rows, in the order of the table.
pub fn cases() -> Vec<Case> {
    table::rows().iter().flat_map(cases_of).collect()
}

/// The cases of one row: at least one.
pub fn cases_of(row: &'static Row) -> Vec<Case> {
    let immediates: &[i32] = if row.imm == Role::Const { IMMEDIATES } else { &[0] };
    immediates.iter().flat_map(|&imm| cases_with(row, imm)).collect()
}

fn cases_with(row: &'static Row, imm: i32) -> Vec<Case> {
    let fields = Fields { dst: A, src: B, off: -8, imm, next_imm: 0 };
    match row.op_from(fields) {
        Op::Alu { src: Operand::Reg(_), .. } => vec![scalar(row, fields, pairs())],
        Op::Alu { src: Operand::Imm(_), .. } | Op::Neg { .. } | Op::MovSx { .. } | Op::Swap { .. } => {
            vec![scalar(row, fields, singles())]
        }
        Op::JumpIf { src: Operand::Reg(_), .. } => vec![branch(row, fields, pairs())],
        Op::JumpIf { src: Operand::Imm(_), .. } => vec![branch(row, fields, singles())],
        Op::Jump { .. } => vec![jump(row)],
        Op::LoadImm64 { value, .. } => wide(row, value),
        Op::Load { size, .. } | Op::LoadAcquire { size, .. } => {
            (-8..0).step_by(size.bytes()).map(|off| load(row, off)).collect()
        }
        Op::Store { size, .. } | Op::StoreRelease { size, .. } => {
            (-8..0).step_by(size.bytes()).map(|off| store(row, Fields { off, ..fields })).collect()
        }
        Op::Atomic { size, .. } => (-8..0).step_by(size.bytes()).map(|off| atomic(row, off)).collect(),
        Op::LoadPacket { mode, .. } => packet(row, mode, imm),
        Op::MayGoto { .. } => vec![may_goto(row)],
        Op::Call(_) => vec![call(row)],
        Op::Exit => vec![exit(row)],
        // Refused by Linux 6.18, or without an arena: what is compared is the verdict.
        Op::AddrSpaceCast { .. } | Op::CallIndirect { .. } | Op::JumpIndirect { .. } => {
            vec![scalar(row, Fields { imm: 1, ..fields }, vec![])]
        }
    }
}

fn name(row: &Row, fields: Fields) -> String {
    match row.imm {
        Role::Const => format!("{} imm {:#x}", row.name, fields.imm),
        _ => row.name.to_string(),
    }
}

fn pairs() -> Vec<Input> {
    let pair = |&a: &u64| EDGES.iter().map(move |&b| Input { ctx: context(&[a, b]), data: vec![] });
    EDGES.iter().flat_map(pair).collect()
}

fn singles() -> Vec<Input> {
    EDGES.iter().map(|&a| Input { ctx: context(&[a, !a, a.rotate_left(17)]), data: vec![] }).collect()
}

fn case(row: &'static Row, name: String, insns: Code, inputs: Vec<Input>) -> Case {
    let mut insns = insns;
    let spec =
        ProgramSpec { name: row.name.into(), ..ProgramSpec::new(ProgramType::SYSCALL, insns.finish()) };
    Case { name, row: row.name, spec, inputs }
}

/// `r6 = ctx; r7 = ctx[0]; r8 = ctx[1]`
fn prologue() -> Code {
    let mut code = Code::new();
    code.mov_reg(CTX, Reg::R1).load(Size::DW, A, CTX, 0).load(Size::DW, B, CTX, 8);
    code
}

/// Stores results from [`RESULT`] on and returns 0.
fn epilogue(code: &mut Code, results: &[Reg]) {
    for (off, &r) in (RESULT..).step_by(8).zip(results) {
        code.store(Size::DW, CTX, off, r);
    }
    code.mov(Reg::R0, 0).exit();
}

fn scalar(row: &'static Row, fields: Fields, inputs: Vec<Input>) -> Case {
    let mut code = prologue();
    code.op(row.op_from(fields));
    epilogue(&mut code, &[A, B]);
    case(row, name(row, fields), code, inputs)
}

/// Result 1 when the jump is taken, 2 when not.
fn branch(row: &'static Row, fields: Fields, inputs: Vec<Input>) -> Case {
    let mut code = prologue();
    code.mov(Reg::R0, 1).op(row.op_from(Fields { off: 1, ..fields })).mov(Reg::R0, 2);
    epilogue(&mut code, &[Reg::R0]);
    case(row, name(row, fields), code, inputs)
}

/// Forwards over two instructions, back to them, and on.
fn jump(row: &'static Row) -> Case {
    let to = |off: i16| row.op_from(Fields { off, imm: i32::from(off), ..Fields::default() });
    let mut code = prologue();
    code.op(to(2));
    code.mov(Reg::R0, 3).op(Op::Jump { off: 1, long: false });
    code.op(to(-3));
    epilogue(&mut code, &[Reg::R0]);
    case(row, row.name.into(), code, singles())
}

fn load(row: &'static Row, off: i16) -> Case {
    let mut code = prologue();
    code.store(Size::DW, Reg::FP, -8, A);
    code.op(row.op(B, Reg::FP, off, 0));
    epilogue(&mut code, &[B]);
    case(row, format!("{} off {off}", row.name), code, singles())
}

/// Stores over a word of known contents, then reads it whole.
fn store(row: &'static Row, fields: Fields) -> Case {
    let mut code = prologue();
    code.store(Size::DW, Reg::FP, -8, A);
    code.op(row.op_from(Fields { dst: Reg::FP, ..fields }));
    code.load(Size::DW, Reg::R1, Reg::FP, -8);
    epilogue(&mut code, &[Reg::R1]);
    case(row, format!("{} off {}", name(row, fields), fields.off), code, singles())
}

/// Results: memory, `src` and `r0` afterwards. `r0` is the first operand again in half of the inputs, so
/// that exchanges succeed.
fn atomic(row: &'static Row, off: i16) -> Case {
    let mut code = prologue();
    code.store(Size::DW, Reg::FP, -8, A).load(Size::DW, Reg::R0, CTX, 16);
    code.op(row.op(Reg::FP, B, off, 0));
    code.load(Size::DW, Reg::R1, Reg::FP, -8);
    epilogue(&mut code, &[Reg::R1, B, Reg::R0]);
    let mut inputs = Vec::new();
    for &a in EDGES {
        for b in [0, 1, !0, 0x8000_0000, 0x0123_4567_89ab_cdef] {
            for r0 in [a, a >> 32, !a] {
                inputs.push(Input { ctx: context(&[a, b, r0]), data: vec![] });
            }
        }
    }
    case(row, format!("{} off {off}", row.name), code, inputs)
}

fn wide(row: &'static Row, value: Imm64) -> Vec<Case> {
    let lddw = |value: Imm64, what: String| {
        let mut code = prologue();
        code.op(Op::LoadImm64 { dst: A, value });
        epilogue(&mut code, &[A]);
        case(row, format!("{} {what}", row.name), code, vec![Input { ctx: context(&[]), data: vec![] }])
    };
    match value {
        Imm64::Const(_) => EDGES.iter().map(|&v| lddw(Imm64::Const(v), format!("{v:#x}"))).collect(),
        // No descriptor of this number is open: refused.
        Imm64::MapFd(_) => vec![lddw(Imm64::MapFd(i32::MAX), "closed".into())],
        Imm64::MapValueFd { .. } => {
            vec![lddw(Imm64::MapValueFd { fd: i32::MAX, off_bytes: 0 }, "closed".into())]
        }
        // Without BTF there are neither variables nor functions to take the address of: refused.
        Imm64::Variable { .. } => vec![lddw(Imm64::Variable { btf_id: 0, btf_fd: 0 }, "void".into())],
        Imm64::Code(_) => {
            let mut case = lddw(Imm64::Code(0), "without BTF".into());
            let at = case.spec.insns.iter().position(|i| i.is_wide()).unwrap_or(0);
            case.spec.insns[at].imm = (case.spec.insns.len() - at - 1) as i32;
            case.spec.insns.extend(Code::new().mov(Reg::R0, 0).exit().finish());
            vec![case]
        }
        Imm64::MapIdx(_) => vec![map_index(row)],
        Imm64::MapValueIdx { .. } => [0, 4, 8, 15, 16].map(|off| map_value(row, off)).into(),
    }
}

fn words_map() -> Arc<MapDef> {
    let initial = (1..=16).collect();
    Arc::new(MapDef { initial: Some(initial), ..MapDef::new(MapType::ARRAY, 4, 16, 1).named("words") })
}

/// Looks an element up through the map.
fn map_index(row: &'static Row) -> Case {
    let mut code = prologue();
    code.store_imm(Size::W, Reg::FP, -4, 0).op(row.op(Reg::R1, Reg(0), 0, 0));
    code.mov_reg(Reg::R2, Reg::FP).add(Reg::R2, -4).call(1);
    code.mov(A, -1).jump_imm(skep_isa::JumpOp::Eq, Reg::R0, 0, 1).load(Size::DW, A, Reg::R0, 8);
    epilogue(&mut code, &[A]);
    let mut case = case(row, row.name.into(), code, vec![Input { ctx: context(&[]), data: vec![] }]);
    case.spec.maps.push(words_map());
    case
}

/// Reads and changes a byte of the value; offset 16 lies behind it and is refused.
fn map_value(row: &'static Row, off: i32) -> Case {
    let mut code = prologue();
    code.op(row.op_from(Fields { dst: Reg::R1, next_imm: off, ..Fields::default() }));
    code.load(Size::B, A, Reg::R1, 0).store(Size::B, Reg::R1, 0, B);
    epilogue(&mut code, &[A]);
    let mut case = case(row, format!("{} off {off}", row.name), code, singles());
    case.spec.maps.push(words_map());
    case
}

/// Loads around the start and end of packets of several lengths; a load beyond the end returns 0.
fn packet(row: &'static Row, mode: PacketMode, imm: i32) -> Vec<Case> {
    let packets: Vec<Input> = [14usize, 15, 64, 200]
        .iter()
        .map(|&n| Input { data: (0..n).map(|i| (i as u8).wrapping_mul(37) ^ 0x5a).collect(), ctx: vec![] })
        .collect();
    let with_index = |index: i32| {
        let mut code = Code::new();
        code.mov_reg(Reg::R6, Reg::R1).mov(B, index).op(row.op(Reg(0), B, 0, imm)).exit();
        let mut case =
            case(row, format!("{} imm {imm:#x} index {index:#x}", row.name), code, packets.clone());
        case.spec.prog_type = ProgramType::SOCKET_FILTER;
        case
    };
    match mode {
        PacketMode::Abs => vec![with_index(0)],
        PacketMode::Ind(_) => [0, 1, 50, -1, i32::MAX].map(with_index).into(),
    }
}

/// Counts to ten in a loop that the verifier accepts because of `may_goto`; the budget is far larger.
fn may_goto(row: &'static Row) -> Case {
    let mut code = prologue();
    code.mov(Reg::R0, 0);
    code.op(row.op(Reg(0), Reg(0), 2, 0));
    code.add(Reg::R0, 1);
    code.jump_imm(skep_isa::JumpOp::Ne, Reg::R0, 10, -3);
    epilogue(&mut code, &[Reg::R0]);
    case(row, row.name.into(), code, vec![Input { ctx: context(&[]), data: vec![] }])
}

fn call(row: &'static Row) -> Case {
    let mut code = prologue();
    match row.name {
        // A function of two arguments after the program's end; r6 to r9 survive.
        "call_local" => {
            code.mov_reg(Reg::R1, A).mov_reg(Reg::R2, B);
            code.op(row.op(Reg(0), Reg(0), 0, 5));
            epilogue(&mut code, &[Reg::R0, A, B]);
            code.mov_reg(Reg::R0, Reg::R1).mov(Reg::R6, 7).mov_reg(Reg::R7, Reg::R2);
            code.row("sub64_reg", Fields { dst: Reg::R0, src: Reg::R7, ..Fields::default() }).exit();
            case(row, row.name.into(), code, pairs())
        }
        "call_helper" => {
            // bpf_ktime_get_ns: after the start of the system, whatever the clock says.
            code.op(row.op(Reg(0), Reg(0), 0, 5));
            code.mov(A, 1).jump_imm(skep_isa::JumpOp::Ne, Reg::R0, 0, 1).mov(A, 0);
            epilogue(&mut code, &[A]);
            case(row, row.name.into(), code, vec![Input { ctx: context(&[]), data: vec![] }])
        }
        // BTF id 0 is no function: refused.
        _ => {
            code.op(row.op(Reg(0), Reg(0), 0, 0));
            epilogue(&mut code, &[]);
            case(row, row.name.into(), code, vec![])
        }
    }
}

/// `r0` of the program is the result, cut to 32 bits.
fn exit(row: &'static Row) -> Case {
    let mut code = prologue();
    code.mov_reg(Reg::R0, A).op(row.op(Reg(0), Reg(0), 0, 0));
    case(row, row.name.into(), code, singles())
}

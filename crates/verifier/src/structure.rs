//! Everything that can be said without running: fields, jump targets, subprograms, map references, limits.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use skep_abi::{AttachType, Capability, ProgramType, ProgramTypeRow, Sleep};
use skep_btf::{Btf, FuncLinkage, Kind, Type, TypeId};
use skep_isa::{CallTarget, Imm64, Op};
use skep_spec::{Environment, ProgramSpec};

use crate::check::kfunc;
use crate::program::{Extent, Points, Program, maps_of, target};
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, exceptions, kernel, limits, maps};

/// A refusal at a slot.
pub(crate) type At<T> = Result<T, (usize, alloc::boxed::Box<crate::violation::Violation>)>;

pub(crate) fn at<T>(pc: usize, check: Check<T>) -> At<T> {
    check.map_err(|v| (pc, v))
}

/// Decodes and checks a program; points and liveness stay empty for the next rooms to fill.
pub(crate) fn prepare<'a>(spec: &'a ProgramSpec, env: &'a Environment) -> At<Program<'a>> {
    at(0, limits(spec, env))?;
    let row = match env.program_type(spec.prog_type) {
        Some(row) => row,
        None => return at(0, no_row(spec)),
    };
    if env.capability < row.needs {
        let name = spec.prog_type.name().unwrap_or("unknown");
        let capability = if row.needs == Capability::Bpf { "CAP_BPF" } else { "CAP_PERFMON" };
        return at(0, refuse(Code::NotPermitted, format!("program type {name} needs {capability}")));
    }
    if row.sleep_for(spec.attach_type) == Sleep::Never && spec.flags & ProgramSpec::SLEEPABLE != 0 {
        let words = "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable";
        let name = spec.prog_type.name().unwrap_or("unknown");
        let have = format!("BPF_F_SLEEPABLE on one of type {name}");
        return at(
            0,
            refuse(Code::BadAttachType, words).explain(
                "a program type that may sleep",
                have,
                "load it without",
            ),
        );
    }
    let Some(returns) = row.returns_for(spec.attach_type) else {
        return at(0, no_such_attach_type(spec, row));
    };
    let kernel = at(0, kernel::types(spec, env, row.ctx.shape))?;
    let attached = kernel.as_ref().and_then(|k| k.attached.as_ref());
    let returns = attached.and_then(|a| a.returns()).unwrap_or(returns);
    at(0, may_sleep(spec))?;
    let ops = decode(spec)?;
    let thrown_to = exceptions::callback_start(spec)?.filter(|start| ops[*start].is_some());
    let starts = subprogram_starts(&ops, env, thrown_to)?;
    let subprogs = extents(spec, &ops, &starts);
    let n = ops.len();
    let mut program = Program {
        spec,
        env,
        row,
        ctx: row.ctx_for(env.capability, spec.attach_type),
        returns,
        ops,
        extends: false,
        throwing: Vec::new(),
        exception_callback: thrown_to.and_then(|start| starts.binary_search(&start).ok()),
        subprogs,
        points: vec![Points::default(); n],
        live: Vec::new(),
        maps: maps_of(spec).collect(),
        fields: maps_of(spec).map(|map| Rc::new(map.fields())).collect(),
        objects: Default::default(),
        arena: false,
        loops: Vec::new(),
        kernel,
        strict_alignment: env.strict_alignment || spec.flags & ProgramSpec::STRICT_ALIGNMENT != 0,
    };
    functions_are_described(&program)?;
    returns_are_known(&program)?;
    for extent in &program.subprogs {
        jumps_stay_inside(&program, extent)?;
    }
    for pc in 0..n {
        if let Some(op) = program.ops[pc] {
            at(pc, known_here(&program, op, spec.insns[pc].opcode))?;
        }
        if let Some(Op::LoadImm64 { value, .. }) = program.ops[pc] {
            at(pc, platform_address(&program, value))?;
        }
    }
    at(0, few_kernel_functions(&program))?;
    program.arena = maps::usable(&program)?;
    program.throwing = program.find_throwing();
    Ok(program)
}

#[cold]
fn no_such_attach_type<T>(spec: &ProgramSpec, row: &ProgramTypeRow) -> Check<T> {
    let word = |t: AttachType| t.name().map_or_else(|| format!("{}", t.0), Into::into);
    let kind = spec.prog_type.name().unwrap_or("?");
    let given = word(spec.attach_type);
    let legal: Vec<_> = row.attach_types.iter().map(|t| word(*t)).collect();
    refuse(Code::BadAttachType, format!("program type {kind} with expected attach type {given}")).explain(
        format!("an expected attach type of these: {}", legal.join(", ")),
        format!("the program has {given}"),
        "name it by the section, as SEC(\"cgroup_skb/egress\"), or set it before loading",
    )
}

fn limits(spec: &ProgramSpec, env: &Environment) -> Check<()> {
    let n = spec.insns.len();
    let most = if env.privileged() { limits::PRIVILEGED_INSNS } else { limits::UNPRIVILEGED_INSNS };
    if n == 0 {
        return refuse(Code::EmptyProgram, "the program has no instructions");
    }
    if n > most {
        return refuse(
            Code::ProgramTooLong,
            format!("program of {n} instructions, at most {most} may be loaded"),
        );
    }
    if spec.maps.len() > limits::MAPS {
        let words = format!("The total number of maps per program has reached the limit of {}", limits::MAPS);
        return refuse(Code::BadMapReference, words);
    }
    if !env.privileged() && spec.flags & ProgramSpec::SLEEPABLE != 0 {
        return refuse(Code::NotPermitted, "BPF_F_SLEEPABLE needs CAP_BPF");
    }
    Ok(())
}

/// Of programs that trace, those on tracepoints may not sleep (`can_be_sleepable`).
fn may_sleep(spec: &ProgramSpec) -> Check<()> {
    let sleeps = spec.flags & ProgramSpec::SLEEPABLE != 0;
    if !sleeps || spec.prog_type != ProgramType::TRACING || spec.attach_type != AttachType::TRACE_RAW_TP {
        return Ok(());
    }
    let words = "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable";
    refuse(Code::BadAttachType, words)
}

fn no_row<T>(spec: &ProgramSpec) -> Check<T> {
    match spec.prog_type.name() {
        Some(name) if spec.prog_type.0 != 0 => unsupported(format!("program type {name}")),
        _ => refuse(Code::UnknownProgramType, format!("unknown program type {}", spec.prog_type.0)),
    }
}

fn decode(spec: &ProgramSpec) -> At<Vec<Option<Op>>> {
    let mut ops = vec![None; spec.insns.len()];
    for item in skep_isa::decode_all(&spec.insns) {
        match item {
            Ok((pc, op)) => ops[pc] = Some(op),
            Err(e) => return at(e.pc(), refuse(Code::BadInsn, alloc::string::ToString::to_string(&e))),
        }
    }
    Ok(ops)
}

/// Where subprograms start: at 0, at each target of a pc-relative call, at each function address, and where a program that
/// throws goes on.
fn subprogram_starts(ops: &[Option<Op>], env: &Environment, thrown_to: Option<usize>) -> At<Vec<usize>> {
    let mut starts = vec![0];
    starts.extend(thrown_to);
    for (pc, op) in ops.iter().enumerate() {
        let off = match op {
            Some(Op::Call(CallTarget::Subprog(off))) => *off,
            Some(Op::LoadImm64 { value: Imm64::Code(off), .. }) => *off,
            _ => continue,
        };
        if !env.privileged() {
            let words =
                "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
            return at(pc, refuse(Code::NotPermitted, words));
        }
        match target(pc, off) {
            Some(to) if to < ops.len() && ops[to].is_some() => starts.push(to),
            _ => return at(pc, refuse(Code::BadJump, "call to invalid destination")),
        }
    }
    starts.sort_unstable();
    starts.dedup();
    if starts.len() > limits::SUBPROGS {
        return at(0, refuse(Code::TooManySubprogs, "too many subprograms"));
    }
    Ok(starts)
}

fn extents(spec: &ProgramSpec, ops: &[Option<Op>], starts: &[usize]) -> Vec<Extent> {
    let ends = starts.iter().skip(1).copied().chain([ops.len()]);
    let tail_call = |op: &Option<Op>| matches!(op, Some(Op::Call(CallTarget::Helper(12))));
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| Extent {
            start,
            end,
            has_tail_call: ops[start..end].iter().any(tail_call),
            changes_packet: false,
            might_sleep: false,
            global: start != 0 && linkage(spec, start) == Some(FuncLinkage::Global),
        })
        .collect()
}

fn jumps_stay_inside(program: &Program<'_>, extent: &Extent) -> At<()> {
    let mut last = extent.start;
    for pc in extent.start..extent.end {
        let Some(op) = program.ops[pc] else { continue };
        last = pc;
        let off = match op {
            Op::Jump { off, .. } => off,
            Op::JumpIf { off, .. } | Op::MayGoto { off } => off.into(),
            _ => continue,
        };
        let to = target(pc, off);
        match to {
            Some(to) if to >= extent.start && to < extent.end => {
                if program.ops[to].is_none() {
                    let words = format!("jump into the middle of ldimm64 insn {}", to - 1);
                    return at(pc, refuse(Code::BadJump, words));
                }
            }
            _ => {
                let to = pc as i64 + 1 + i64::from(off);
                let refusal = refuse(Code::BadJump, format!("jump out of range from insn {pc} to {to}"));
                let range =
                    format!("a target from {} to {}, in the same function", extent.start, extent.end - 1);
                return at(
                    pc,
                    refusal.explain(range, format!("the target is {to}"), "jump within the function"),
                );
            }
        }
    }
    match program.ops[last] {
        Some(Op::Exit | Op::Jump { .. }) => Ok(()),
        _ => at(last, refuse(Code::NoExit, "last insn is not an exit or jmp")),
    }
}

/// Where there are records of functions, there is one for each, in order, and it names a function's type
/// (`check_btf_func_early`, `check_btf_func`).
fn functions_are_described(program: &Program<'_>) -> At<()> {
    let spec = program.spec;
    let Some(btf) = spec.btf.as_deref().filter(|_| !spec.func_info.is_empty()) else { return Ok(()) };
    let wrong = |words| at(0, refuse(Code::BadArgument, words));
    let mut before = None;
    for info in &spec.func_info {
        match before {
            None if info.insn_off != 0 => {
                let n = info.insn_off;
                return wrong(format!("nonzero insn_off {n} for the first func info record"));
            }
            Some(before) if info.insn_off <= before => {
                return wrong(format!(
                    "same or smaller insn offset ({}) than previous func info record ({before})",
                    info.insn_off
                ));
            }
            None | Some(_) => {}
        }
        if !matches!(btf.ty(TypeId(info.type_id)), Some(Type::Func { .. })) {
            return wrong(format!("invalid type id {} in func info", info.type_id));
        }
        before = Some(info.insn_off);
    }
    let (records, functions) = (spec.func_info.len(), program.subprogs.len());
    if records != functions {
        let words = "number of funcs in func_info doesn't match number of subprogs";
        return at(
            0,
            refuse(Code::BadArgument, words).explain(
                "a record for each function, or none at all",
                format!("{records} records, {functions} functions"),
                "leave no function out that is called or whose address is taken, and none in that is not",
            ),
        );
    }
    match spec.func_info.iter().zip(&program.subprogs).find(|(f, e)| f.insn_off as usize != e.start) {
        None => Ok(()),
        Some((info, extent)) => at(
            extent.start,
            refuse(Code::BadArgument, "func_info BTF section doesn't match subprog layout in BPF program")
                .explain(
                    format!("a record for the function at instruction {}", extent.start),
                    format!("the record is for instruction {}", info.insn_off),
                    "give each function its own record, in their order",
                ),
        ),
    }
}

/// A function that is called may end in the middle, at a legacy packet load or with a tail call, only if its
/// type says that it returns a number.
fn returns_are_known(program: &Program<'_>) -> At<()> {
    for extent in program.subprogs.iter().skip(1) {
        let legacy =
            (extent.start..extent.end).any(|pc| matches!(program.ops[pc], Some(Op::LoadPacket { .. })));
        let what = match (legacy, extent.has_tail_call) {
            (true, _) => "LD_ABS",
            (_, true) => "tail_call",
            (false, false) => continue,
        };
        let words = match returns_number(program.spec, extent.start) {
            Some(true) => continue,
            Some(false) => format!("{what} is only allowed in functions that return 'int'."),
            None => format!("{what} is not allowed in subprogs without BTF"),
        };
        let refusal = refuse(Code::BadReturnValue, words);
        return at(
            extent.start,
            refusal.explain(
                "a function whose BTF says that it returns int",
                "there is none, or it returns something else",
                "compile with -g and declare the function as returning int",
            ),
        );
    }
    Ok(())
}

/// The linkage of the function that starts at a slot; `None` if its type is unknown.
pub(crate) fn linkage(spec: &ProgramSpec, start: usize) -> Option<FuncLinkage> {
    match func(spec, start)?.2 {
        Type::Func { linkage, .. } => Some(*linkage),
        _ => None,
    }
}

/// The types, and the one of the function that starts at a slot.
pub(crate) fn func(spec: &ProgramSpec, start: usize) -> Option<(&Btf, TypeId, &Type)> {
    let info = spec.func_info.iter().find(|f| f.insn_off as usize == start)?;
    let (btf, id) = (spec.btf.as_deref()?, TypeId(info.type_id));
    Some((btf, id, btf.ty(id)?))
}

/// Whether the function that starts at a slot returns an integer of at most 4 bytes or an enum; `None` if its
/// type is unknown.
fn returns_number(spec: &ProgramSpec, start: usize) -> Option<bool> {
    let btf = spec.btf.as_ref()?;
    let Type::Func { proto, .. } = func(spec, start)?.2 else { return None };
    let Type::FuncProto { ret, .. } = btf.ty(*proto)? else { return None };
    Some(match btf.resolved(*ret).kind() {
        Kind::Int => btf.size_of(*ret).is_some_and(|n| n <= 8),
        Kind::Enum | Kind::Enum64 => true,
        _ => false,
    })
}

/// A program calls so many functions of the kernel at most, dead code counted (`add_kfunc_call`).
fn few_kernel_functions(program: &Program<'_>) -> Check<()> {
    let called = program.ops.iter().filter_map(|op| match op {
        Some(Op::Call(CallTarget::Kfunc { btf_id, btf_idx })) if *btf_id != 0 => Some((*btf_id, *btf_idx)),
        _ => None,
    });
    let n = called.collect::<BTreeSet<_>>().len();
    if n <= limits::KFUNCS {
        return Ok(());
    }
    refuse(Code::TooManySubprogs, "too many different kernel function calls").explain(
        format!("calls of at most {} different functions of the kernel", limits::KFUNCS),
        format!("the program calls {n}"),
        "put parts into other programs",
    )
}

/// What an `LDDW` may load beside constants and maps.
fn platform_address(program: &Program<'_>, value: Imm64) -> Check<()> {
    match value {
        Imm64::Code(_) if program.spec.func_info.is_empty() => refuse(Code::BadInsn, "missing btf func_info")
            .explain("BTF that says what the function is", "the program has none", "compile with -g"),
        Imm64::Variable { btf_id, .. } if btf_id <= 0 => {
            let words = format!("pseudo btf_id {btf_id} in ldimm64 isn't KIND_VAR or KIND_FUNC.");
            refuse(Code::BadInsn, words)
        }
        Imm64::Variable { btf_fd: 0, btf_id } => {
            kernel::of(program)?.has_variable(program.env, btf_id as u32)
        }
        Imm64::Variable { .. } => unsupported("addresses of a module's variables"),
        Imm64::Const(_)
        | Imm64::MapFd(_)
        | Imm64::MapValueFd { .. }
        | Imm64::MapIdx(_)
        | Imm64::MapValueIdx { .. }
        | Imm64::Code(_) => Ok(()),
    }
}

/// Instructions that Linux 6.18 does not have, and calls out of the program that skep does not know.
fn known_here(program: &Program<'_>, op: Op, opcode: u8) -> Check<()> {
    match op {
        Op::CallIndirect { .. } | Op::JumpIndirect { .. } => {
            refuse(Code::BadInsn, format!("unknown opcode {opcode:02x}")).explain(
                "an instruction of Linux 6.18",
                "indirect calls and jumps came later",
                "call the function by name; compile switches with -fno-jump-tables",
            )
        }
        // What is left of a weak function that the kernel does not have: fine unless it is reached.
        Op::Call(CallTarget::Kfunc { btf_id: 0, .. }) => Ok(()),
        Op::Call(CallTarget::Kfunc { btf_id, .. }) if btf_id < 0 => {
            refuse(Code::BadInsn, format!("kernel btf_id {btf_id} is not a function"))
        }
        Op::Call(CallTarget::Kfunc { btf_id, btf_idx }) => kfunc::known(program, btf_id, btf_idx),
        _ => Ok(()),
    }
}

//! Programs on the kernel's own types against the running kernel: the arguments of every tracepoint and iterator, and
//! what stands at each offset of structures.

use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{AttachType, HELPERS, ITERATORS, MapFlags, MapType, ProgramType};
use skep_btf::{Btf, Builder, IntEncoding, Kind, Type, TypeId};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Insn, Op, Reg, Size};
use skep_linux::{LinuxBackend, LinuxMap};
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::kernel::with_types as kernel;
use skep_verifier::{Code, Options, verify};

/// `BPF_F_TEST_STATE_FREQ`.
const EVERY_STATE: u32 = 1 << 3;
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

fn spec(attach_type: AttachType, id: TypeId, insns: Vec<Insn>) -> ProgramSpec {
    ProgramSpec {
        name: "typed".into(),
        attach_type,
        attach_btf_id: id.0,
        ..ProgramSpec::new(ProgramType::TRACING, insns)
    }
}

fn text(text: &str) -> Vec<Insn> {
    assemble(text).expect("well formed")
}

fn load(size: Size, dst: u8, src: u8, off: i16) -> Insn {
    Op::Load { size, signed: false, dst: Reg(dst), src: Reg(src), off }.encode().0
}

/// What a log of level 2 says last of a register.
fn said<'l>(log: &'l str, reg: &str) -> Option<&'l str> {
    let at = log.rfind(&format!("{reg}="))?;
    let rest = &log[at + reg.len() + 1..];
    Some(&rest[..rest.find([' ', '\n']).unwrap_or(rest.len())])
}

/// Compares verdicts, and what both say of `r2`.
fn compare(
    kernel: &LinuxBackend,
    env: &Environment,
    spec: &ProgramSpec,
    wrong: &mut Vec<String>,
    what: &str,
) -> bool {
    let test_state_freq = spec.flags & EVERY_STATE != 0;
    let options = Options { log_level: 2, test_state_freq, ..Options::default() };
    let ours = verify(spec, env, &options);
    let theirs = kernel.load_program(spec, &[], LoadOptions { log_level: 2 });
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            let (a, b) = (said(ours.log(), "R2"), said(theirs.log(), "R2"));
            assert!(b.is_some() || !theirs.log().contains("R2"), "{what}");
            let same = match (a, b) {
                (Some(a), Some(b)) => same_register(env, a, b),
                (a, b) => a == b,
            };
            if !same {
                wrong.push(format!("{what}: ours {a:?}, the kernel's {b:?}"));
            }
        }
        (Ok(_), Err(e)) => {
            wrong.push(format!("{what}: accepted; {}", e.log.lines().rev().nth(1).unwrap_or("")))
        }
        (Err(r), Ok(_)) => wrong.push(format!("{what}: refused: {}", r.message())),
        (Err(_), Err(_)) => {}
    }
    theirs.is_ok()
}

/// `trusted_ptr_(btf_id=7)` is `trusted_ptr_task_struct()` if that is type 7.
fn same_register(env: &Environment, ours: &str, theirs: &str) -> bool {
    let kind = |s: &str| s.split('(').next().unwrap_or_default().to_owned();
    let id = ours.split("btf_id=").nth(1).and_then(|s| s.trim_end_matches(')').parse().ok());
    let name = id.and_then(|id| env.kernel_types.as_ref()?.name(TypeId(id))).unwrap_or_default();
    format!("{}{name}", kind(ours)) == kind(theirs)
}

#[test]
fn arguments_of_every_tracepoint_and_iterator() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (mut wrong, mut targets, mut accepted) = (Vec::new(), Vec::new(), 0);
    for (id, ty) in btf.iter() {
        let name = btf.str(ty.name());
        match ty {
            Type::Typedef { .. } if name.starts_with("btf_trace_") => {
                targets.push((AttachType::TRACE_RAW_TP, id, name));
            }
            Type::Func { .. } if name.starts_with("bpf_iter_") => {
                targets.push((AttachType::TRACE_ITER, id, name))
            }
            _ => {}
        }
    }
    for (attach, id, name) in targets {
        for n in 0..9 {
            let mut insns = vec![load(Size::DW, 2, 1, n * 8)];
            insns.extend(text("r0 = 0\nexit"));
            let what = format!("{name}: argument {n}");
            if !compare(&kernel, &env, &spec(attach, id, insns), &mut wrong, &what) {
                break;
            }
            accepted += 1;
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(accepted > 1000, "{accepted}");
}

#[test]
fn narrow_loads_of_arguments() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let mut wrong = Vec::new();
    let targets = [
        (AttachType::TRACE_RAW_TP, "btf_trace_sched_switch", Kind::Typedef),
        (AttachType::TRACE_RAW_TP, "btf_trace_kfree_skb", Kind::Typedef),
        (AttachType::TRACE_ITER, "bpf_iter_task_file", Kind::Func),
        (AttachType::TRACE_ITER, "bpf_iter_bpf_map_elem", Kind::Func),
    ];
    for (attach, name, kind) in targets {
        let Some(id) = btf.find_by_name(Some(kind), name) else { continue };
        for off in 0..104 {
            for size in SIZES {
                let mut insns = vec![load(size, 2, 1, off)];
                insns.extend(text("r0 = 0\nexit"));
                compare(
                    &kernel,
                    &env,
                    &spec(attach, id, insns),
                    &mut wrong,
                    &format!("{name}: {size:?} at {off}"),
                );
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// Tracepoints or iterators with a pointer to a structure, and the offset of the argument.
const STRUCTURES: &[(AttachType, &str, Kind, i16)] = &[
    (AttachType::TRACE_RAW_TP, "btf_trace_sched_switch", Kind::Typedef, 8),
    (AttachType::TRACE_RAW_TP, "btf_trace_consume_skb", Kind::Typedef, 0),
    (AttachType::TRACE_RAW_TP, "btf_trace_tcp_probe", Kind::Typedef, 0),
    (AttachType::TRACE_RAW_TP, "btf_trace_cgroup_mkdir", Kind::Typedef, 0),
    (AttachType::TRACE_RAW_TP, "btf_trace_sched_process_exec", Kind::Typedef, 16),
    (AttachType::TRACE_ITER, "bpf_iter_task", Kind::Func, 0),
];

#[test]
fn members_of_structures() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for &(attach, name, kind, arg) in STRUCTURES {
        let Some(id) = btf.find_by_name(Some(kind), name) else { continue };
        for size in SIZES {
            let aligned = (-8..12_000i16).step_by(size.bytes());
            let unaligned = (1..300).filter(|off| off % size.bytes() as i16 != 0);
            let mut refused = 0;
            for off in aligned.chain(unaligned) {
                let mut insns = vec![load(Size::DW, 3, 1, arg), load(size, 2, 3, off)];
                insns.extend(text("r0 = 0\nexit"));
                let what = format!("{name}: {size:?} at {off}");
                let accepts = compare(&kernel, &env, &spec(attach, id, insns), &mut wrong, &what);
                accepted += u32::from(accepts);
                refused = if accepts { 0 } else { refused + 1 };
                // Behind the structure's end.
                if refused > 700 {
                    break;
                }
            }
        }
    }
    assert_eq!(wrong.len(), 0, "{:#?}", &wrong[..wrong.len().min(40)]);
    assert!(accepted > 5_000, "{accepted}");
}

/// Programs on a task (`r6`, trusted), on a socket (`r6`, trusted) and on what an iterator gives. Accepted and refused
/// ones side by side.
const PROGRAMS: &[(&str, &str)] = &[
    ("sched_switch", "r2 = *(u64 *)(r6 + 0)"),
    ("sched_switch", "*(u64 *)(r6 + 0) = 1"),
    ("sched_switch", "r2 = 1\nlock *(u64 *)(r6 + 0) += r2"),
    ("sched_switch", "r2 = load_acquire((u64 *)(r6 + 0))"),
    ("sched_switch", "*(u64 *)(r1 + 8) = 1"),
    ("sched_switch", "r2 = r6\nr2 += 8\nr2 = *(u64 *)(r2 + 8)"),
    ("sched_switch", "r2 = r6\nr2 -= 8\nr2 = *(u64 *)(r2 + 8)"),
    ("sched_switch", "r2 = r6\nr2 -= 8\nr2 = *(u64 *)(r2 + 0)"),
    ("sched_switch", "call 7\nr0 &= 7\nr6 += r0\nr2 = *(u8 *)(r6 + 0)"),
    ("sched_switch", "r6 &= 7"),
    ("sched_switch", "w6 += 1"),
    ("sched_switch", "if r6 == 0 goto +1\nr2 = *(u64 *)(r6 + 0)\nr3 = 0"),
    ("sched_switch", "if r6 == 0 goto +1\ngoto +1\nr2 = *(u64 *)(r9 + 0)\nr3 = 0"),
    ("sched_switch", "*(u64 *)(r10 - 8) = r6\nr3 = *(u64 *)(r10 - 8)\nr2 = *(u64 *)(r3 + 0)"),
    ("sched_switch", "*(u64 *)(r10 - 8) = r6\nr2 = *(u32 *)(r10 - 8)"),
    ("sched_switch", "r3 = r6\nr7 = *(u64 *)(r1 + 16)\nif r7 == 0 goto +1\nr3 = r7\nr2 = *(u64 *)(r3 + 0)"),
    ("sched_switch", "call 7\nr3 = r6\nif r0 == 0 goto +2\nr3 = r10\nr3 += -8\nr2 = *(u64 *)(r3 + 0)"),
    ("sched_switch", "call 7\nr3 = r6\nif r0 == 0 goto +1\nr3 = r1\nr2 = *(u64 *)(r3 + 0)"),
    ("sched_switch", "r1 = r6\ncall 175\nr2 = *(u64 *)(r0 + 0)"),
    ("sched_switch", "r1 = r6\nr1 += 8\ncall 175\nr2 = *(u64 *)(r0 + 0)"),
    ("sched_switch", "r1 = 0\ncall 175"),
    ("sched_switch", "call 158\nr2 = *(u64 *)(r0 + 0)"),
    ("sched_switch", "call 158\nr1 = r0\ncall 175\nr2 = *(u64 *)(r0 + 0)"),
    ("sched_switch", "call 158\nr0 += 1\nr1 = r0\ncall 175"),
    ("sched_switch", "r1 = r6\ncall 137"),
    ("sched_switch", "r1 = r6\nr2 = r10\nr2 += -8\n*(u64 *)(r10 - 8) = 0\nr3 = 8\nr4 = 0\ncall 141"),
    ("sched_switch", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = r6\ncall 113"),
    ("sched_switch", "r1 = r6\nr2 = 8\nr3 = r6\ncall 113"),
    ("sched_switch", "r1 = r6\nr2 = 8\ncall 6"),
    ("sched_switch", "r1 = r6\nr2 = 0\ncall 6"),
    ("sched_switch", "r1 = r6\nr2 = 64\ncall 6"),
    ("tcp_probe", "r1 = r6\ncall 137\nr2 = *(u64 *)(r0 + 0)"),
    ("tcp_probe", "r1 = r6\ncall 137\nif r0 == 0 goto +1\nr2 = *(u64 *)(r0 + 0)\nr3 = 0"),
    ("tcp_probe", "r1 = r6\ncall 137\nif r0 == 0 goto +2\nr1 = r0\ncall 46\nr3 = 0"),
    ("tcp_probe", "r1 = r6\ncall 46"),
    ("tcp_probe", "r1 = 0\ncall 46"),
    ("tcp_probe", "r1 = r6\ncall 86"),
    ("tcp_probe", "r1 = r6\ncall 95"),
    ("tcp_probe", "r1 = r6\ncall 175"),
    ("sched_pi_setprio", "r7 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r7 + 0)"),
    ("sched_pi_setprio", "r7 = *(u64 *)(r1 + 8)\nif r7 == 0 goto +1\nr2 = *(u64 *)(r7 + 0)\nr3 = 0"),
    ("sched_pi_setprio", "r7 = *(u64 *)(r1 + 8)\nr1 = r7\ncall 175"),
    ("sched_pi_setprio", "r7 = *(u64 *)(r1 + 8)\nif r7 == 0 goto +2\nr1 = r7\ncall 175\nr3 = 0"),
    ("sched_pi_setprio", "r7 = *(u64 *)(r1 + 8)\nr7 += 8"),
    (
        "sched_pi_setprio",
        "r7 = *(u64 *)(r1 + 8)\nr6 = *(u64 *)(r1 + 0)\nif r6 != r7 goto +1\nr2 = *(u64 *)(r7 + 0)\nr3 = 0",
    ),
];

#[test]
fn programs_on_objects() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (name, body) in PROGRAMS {
        let Some(id) = btf.find_by_name(Some(Kind::Typedef), &format!("btf_trace_{name}")) else { continue };
        let arg = if *name == "sched_switch" { 8 } else { 0 };
        let insns = text(&format!("r6 = *(u64 *)(r1 + {arg})\n{body}\nr0 = 0\nexit"));
        let spec = spec(AttachType::TRACE_RAW_TP, id, insns);
        accepted += u32::from(compare(&kernel, &env, &spec, &mut wrong, &format!("{name}: {body}")));
    }
    assert_eq!(wrong, [""; 0]);
    assert!((12..PROGRAMS.len() as u32 - 12).contains(&accepted), "{accepted}");
}

/// Calls of these in the text stand for calls of the kernel's functions.
const CALLS: &[(i32, &str)] = &[
    (9001, "bpf_rcu_read_lock"),
    (9002, "bpf_rcu_read_unlock"),
    (9003, "bpf_preempt_disable"),
    (9004, "bpf_preempt_enable"),
];

/// Text with such calls.
fn with_kfuncs(btf: &Btf, body: &str) -> Vec<Insn> {
    let mut insns = text(body);
    for insn in &mut insns {
        let Some((_, name)) = CALLS.iter().find(|(n, _)| insn.opcode == 0x85 && insn.imm == *n) else {
            continue;
        };
        let id = btf.find_by_name(Some(Kind::Func), name).expect("Linux 6.18 has it");
        *insn = Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32);
    }
    insns
}

/// Programs in sections: of an iterator over tasks, that may sleep, with a task or NULL in `r6` and, where the text says
/// so, the offset of its `cgroups` (`struct task_struct__safe_rcu`).
const SECTIONS: &[&str] = &[
    "call 9001\ncall 9002",
    "call 9001",
    "call 9002",
    "call 9001\ncall 9001\ncall 9002\ncall 9002",
    "call 9003\ncall 9004",
    "call 9003",
    "call 9004",
    "call 9003\ncall 9003\ncall 9004\ncall 9004",
    "call 9003\ncall 9003\ncall 9004",
    "call 9001\ncall 9003\ncall 9002\ncall 9004",
    "call 9001\nr2 = r1\ncall 9002",
    "call 9001\nr2 = r0\ncall 9002",
    "r7 = 5\ncall 9001\nr2 = r7\ncall 9002",
    "call 7\nif r0 == 0 goto +1\ncall 9001\ncall 9002",
    "call 7\nr7 = r0\nif r7 == 0 goto +1\ncall 9001\nif r7 == 0 goto +1\ncall 9002",
    "if r6 == 0 goto +1\nr2 = *(u64 *)(r6 + CGROUPS)\nr3 = 0",
    "if r6 == 0 goto +3\ncall 9001\nr2 = *(u64 *)(r6 + CGROUPS)\ncall 9002\nr3 = 0",
    "if r6 == 0 goto +4\ncall 9001\nr7 = *(u64 *)(r6 + CGROUPS)\ncall 9002\nr2 = r7\nr3 = 0",
    "if r6 == 0 goto +4\ncall 9001\nr7 = *(u64 *)(r6 + CGROUPS)\ncall 9002\nr2 = *(u64 *)(r7 + 0)\nr3 = 0",
    "if r6 == 0 goto +4\ncall 9001\nr7 = *(u64 *)(r6 + CGROUPS)\nr2 = *(u64 *)(r7 + 0)\ncall 9002\nr3 = 0",
    "if r6 == 0 goto +4\ncall 9003\nr7 = *(u64 *)(r6 + CGROUPS)\nr2 = *(u64 *)(r7 + 0)\ncall 9004\nr3 = 0",
    "if r6 == 0 goto +2\nr1 = *(u64 *)(r6 + PARENT)\ncall 175\nr3 = 0",
    "if r6 == 0 goto +4\ncall 9001\nr1 = *(u64 *)(r6 + PARENT)\ncall 175\ncall 9002\nr3 = 0",
    "if r6 == 0 goto +5\ncall 9001\nr7 = *(u64 *)(r6 + PARENT)\ncall 9002\nr1 = r7\ncall 175\nr3 = 0",
    "if r6 == 0 goto +6\ncall 9001\nr7 = *(u64 *)(r6 + PARENT)\n*(u64 *)(r10 - 8) = r7\ncall 9002\nr1 = *(u64 *)(r10 - 8)\ncall 175\nr3 = 0",
    "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148",
    "call 9001\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\ncall 9002",
    "call 9003\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\ncall 9004",
    "call 9001\ncall inner\ncall 9002\nr0 = 0\nexit\ninner:\nr0 = 0\nexit",
    "call inner\ncall 9002\nr0 = 0\nexit\ninner:\ncall 9001\nr0 = 0\nexit",
    "call inner\nr0 = 0\nexit\ninner:\ncall 9001\nr0 = 0\nexit",
    "r7 = 0\ncall 9003\nr7 += 1\nif r7 < 3 goto -3\ncall 9004\ncall 9004\ncall 9004",
    "r7 = 0\ncall 9003\nr7 += 1\nif r7 < 3 goto -3\ncall 9004\ncall 9004",
    "r7 = 0\ncall 9001\ncall 9002\nr7 += 1\nif r7 < 3 goto -4",
    "r7 = 0\ncall 9001\nr7 += 1\nif r7 < 2 goto -3\ncall 9002",
    "if r6 == 0 goto +10\ncall 9001\nr7 = *(u64 *)(r6 + PARENT)\ncall 7\nif r0 == 0 goto +1\ngoto +2\ncall 9002\ncall 9001\nr1 = r7\ncall 175\ncall 9002\nr3 = 0",
    "if r6 == 0 goto +10\ncall 9001\nr7 = *(u64 *)(r6 + PARENT)\ncall 7\nif r0 == 0 goto +1\ngoto +2\ncall 9003\ncall 9004\nr1 = r7\ncall 175\ncall 9002\nr3 = 0",
    "if r6 == 0 goto +9\ncall 9001\nr7 = *(u64 *)(r6 + PARENT)\ncall 7\nif r0 == 0 goto +1\ngoto +1\nr7 = *(u64 *)(r7 + PARENT)\nr1 = r7\ncall 175\ncall 9002\nr3 = 0",
    "call 7\nif r0 == 0 goto +2\nr7 = r6\ngoto +1\nr7 = *(u64 *)(r1 + 0)\nif r7 == 0 goto +1\nr2 = *(u64 *)(r7 + 0)\nr3 = 0",
    "r8 = r1\ncall 7\nr7 = *(u64 *)(r8 + 8)\nif r0 == 0 goto +1\nr7 = r6\nif r7 == 0 goto +1\nr2 = *(u64 *)(r6 + 0)\nr3 = 0",
    "r8 = r1\ncall 7\nr7 = r6\nif r0 != 0 goto +1\nr7 = *(u64 *)(r8 + 8)\nif r7 == 0 goto +1\nr2 = *(u64 *)(r6 + 0)\nr3 = 0",
    "r7 = r6\nif r7 == 0 goto +1\nr2 = *(u64 *)(r6 + 0)\nr3 = 0",
];

#[test]
fn programs_in_sections() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let Some(id) = btf.find_by_name(Some(Kind::Func), "bpf_iter_task") else { return };
    let task = btf.find_by_name(Some(Kind::Struct), "task_struct").expect("the kernel has tasks");
    let offset = |name: &str| {
        let members = btf.ty(task).expect("just found").members();
        members.iter().find(|m| btf.str(m.name) == name).expect("a member").off_bits / 8
    };
    let (cgroups, parent) = (offset("cgroups").to_string(), offset("real_parent").to_string());
    let (mut wrong, mut accepted, mut asked) = (Vec::new(), 0, 0);
    for body in SECTIONS {
        for flags in [0, ProgramSpec::SLEEPABLE, EVERY_STATE, ProgramSpec::SLEEPABLE | EVERY_STATE] {
            let body = body.replace("CGROUPS", &cgroups).replace("PARENT", &parent);
            let insns = with_kfuncs(&btf, &format!("r6 = *(u64 *)(r1 + 8)\n{body}\nr0 = 0\nexit"));
            let spec = ProgramSpec { flags, ..spec(AttachType::TRACE_ITER, id, insns) };
            asked += 1;
            accepted += u32::from(compare(&kernel, &env, &spec, &mut wrong, &format!("{flags}: {body}")));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!((20..asked - 20).contains(&accepted), "{accepted}");
}

/// What may be anywhere, in `r7`, and what a lookup gives, in `r0`; then programs, and whether skep takes them. Linux 6.18
/// takes them all: of what is loaded it forgets that it may be NULL or anywhere.
const ANYWHERE: &[(&str, bool)] = &[
    ("r2 = *(u64 *)(r7 + 0)", true),
    ("if r0 == 0 goto +1\nr2 = *(u64 *)(r0 + 0)\nr3 = 0", true),
    ("if r0 != r7 goto +1\nr2 = *(u64 *)(r0 + 0)\nr3 = 0", false),
    ("if r7 == r0 goto +1\ngoto +1\nr2 = *(u64 *)(r0 + 0)\nr3 = 0", false),
    (
        "if r0 == 0 goto +6\nr8 = r0\ncall 7\nr1 = r7\nif r0 == 0 goto +1\nr1 = r8\nr2 = *(u64 *)(r1 + 0)\nr3 = 0",
        false,
    ),
    (
        "if r0 == 0 goto +6\nr8 = r0\ncall 7\nr1 = r8\nif r0 == 0 goto +1\nr1 = r7\nr2 = *(u64 *)(r1 + 0)\nr3 = 0",
        false,
    ),
    (
        "r8 = r10\nr8 += -8\ncall 7\nr1 = r8\nif r0 == 0 goto +1\nr1 = r7\nr2 = *(u64 *)(r1 + 0)\nr3 = 0",
        false,
    ),
    ("call 7\nr1 = r6\nif r0 == 0 goto +1\nr1 = r7\nr2 = *(u64 *)(r1 + 0)\nr3 = 0", true),
    ("r2 = load_acquire((u64 *)(r7 + 0))", false),
    ("r7 = load_acquire((u64 *)(r7 + 0))", false),
    ("r8 = *(u64 *)(r6 + WAKEE)\nr2 = *(u64 *)(r8 + 0)", true),
    ("r8 = *(u64 *)(r6 + WAKEE)\nr2 = load_acquire((u64 *)(r8 + 0))", false),
    ("r8 = *(u64 *)(r6 + PARENT)\nr2 = load_acquire((u64 *)(r8 + 0))", true),
    ("r2 = load_acquire((u64 *)(r6 + 0))", true),
];

#[test]
fn programs_on_what_may_be_anywhere() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let Some(id) = btf.find_by_name(Some(Kind::Typedef), "btf_trace_sched_switch") else { return };
    let task = btf.find_by_name(Some(Kind::Struct), "task_struct").expect("the kernel has tasks");
    let offset = |name: &str| {
        let members = btf.ty(task).expect("just found").members();
        (members.iter().find(|m| btf.str(m.name) == name).expect("a member").off_bits / 8).to_string()
    };
    let def = Arc::new(MapDef::new(MapType::HASH, 8, 8, 4));
    let map = kernel.create(&def).expect("a hash");
    let mut wrong = Vec::new();
    for &(body, takes) in ANYWHERE {
        let body = body.replace("WAKEE", &offset("last_wakee")).replace("PARENT", &offset("real_parent"));
        let mut insns = text(&format!(
            "r6 = *(u64 *)(r1 + 8)\nr7 = *(u64 *)(r6 + {})\n*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr1 = 0 ll\ncall 1\n{body}\nr0 = 0\nexit",
            offset("stack")
        ));
        let value = Imm64::MapIdx(0);
        insns[5] = Op::LoadImm64 { dst: Reg(1), value }.try_encode().expect("an index").0;
        let spec = ProgramSpec { maps: vec![def.clone()], ..spec(AttachType::TRACE_RAW_TP, id, insns) };
        let ours = verify(&spec, &env, &Options::default());
        let theirs = kernel.load_program(&spec, &[map.as_fd()], LoadOptions { log_level: 1 });
        if ours.is_ok() != takes || theirs.is_err() {
            let log = theirs.err().map(|e| e.log.lines().rev().nth(1).unwrap_or("").to_owned());
            wrong.push(format!(
                "{body}: ours {:?}, the kernel's {log:?}",
                ours.err().map(|r| r.message().to_owned())
            ));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// The running task is in `r6`, in `r7` a value of a map with a lock: of a program that may sleep. Then whether skep takes
/// it. Linux 6.18 takes them all: behind the lock it forgets that objects may go away.
const LOCKED: &[(&str, bool)] = &[
    ("call 93\nr8 = *(u64 *)(r6 + PARENT)\nr2 = *(u64 *)(r8 + 0)\nr1 = r7\ncall 94", true),
    ("call 93\nr8 = *(u64 *)(r6 + PARENT)\nr1 = r7\ncall 94\nr2 = r8", true),
    ("call 93\nr8 = *(u64 *)(r6 + PARENT)\nr1 = r7\ncall 94\nr1 = r8\ncall 175", false),
    ("call 93\nr1 = r7\ncall 94\nr8 = *(u64 *)(r6 + PARENT)\nr2 = *(u64 *)(r8 + 0)", true),
    (
        "r9 = r1\ncall 9001\nr1 = r9\ncall 93\nr8 = *(u64 *)(r6 + PARENT)\nr1 = r7\ncall 94\nr1 = r8\ncall 175\ncall 9002",
        true,
    ),
];

#[test]
fn programs_with_a_lock_that_may_sleep() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let task = btf.find_by_name(Some(Kind::Struct), "task_struct").expect("the kernel has tasks");
    let members = btf.ty(task).expect("just found").members();
    let parent = members.iter().find(|m| btf.str(m.name) == "real_parent").expect("a member").off_bits / 8;
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
    let value = b.structure("value", 8, &[("lock", lock, 0), ("n", int, 32)]);
    let def = Arc::new(MapDef {
        btf: Some(Arc::new(b.finish().expect("legal types"))),
        key_btf_id: int.0,
        value_btf_id: value.0,
        ..MapDef::new(MapType::ARRAY, 4, 8, 1)
    });
    let map = kernel.create(&def).expect("an array");
    let mut wrong = Vec::new();
    for &(body, takes) in LOCKED {
        let body = body.replace("PARENT", &parent.to_string());
        let mut insns =
            with_kfuncs(&btf, &format!("call 158\nr6 = r0\nr1 = 0 ll\nr7 = r1\n{body}\nr0 = 0\nexit"));
        let value = Imm64::MapValueIdx { idx: 0, off_bytes: 0 };
        insns[2] = Op::LoadImm64 { dst: Reg(1), value }.try_encode().expect("an index").0;
        let spec = ProgramSpec {
            maps: vec![def.clone()],
            flags: ProgramSpec::SLEEPABLE,
            ..ProgramSpec::new(ProgramType::SYSCALL, insns)
        };
        let ours = verify(&spec, &env, &Options::default());
        let theirs = kernel.load_program(&spec, &[map.as_fd()], LoadOptions { log_level: 1 });
        if ours.is_ok() != takes || theirs.is_err() {
            let log = theirs.err().map(|e| e.log.lines().rev().nth(1).unwrap_or("").to_owned());
            wrong.push(format!(
                "{body}: ours {:?}, the kernel's {log:?}",
                ours.err().map(|r| r.message().to_owned())
            ));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// What follows a load of the last argument (`r6`) of an iterator.
const AFTER: &[&str] = &[
    "r2 = *(u64 *)(r6 + 0)",
    "if r6 == 0 goto +1\nr2 = *(u64 *)(r6 + 0)\nr3 = 0",
    "if r6 == 0 goto +2\nr2 = 1\n*(u64 *)(r6 + 8) = r2\nr3 = 0",
    "if r6 == 0 goto +1\nr2 = *(u64 *)(r6 - 8)\nr3 = 0",
    "call 7\nr0 &= 7\nif r6 == 0 goto +2\nr6 += r0\nr2 = *(u8 *)(r6 + 0)\nr3 = 0",
    "if r6 == 0 goto +3\nr1 = r6\nr2 = 8\ncall 6\nr3 = 0",
    "if r6 == 0 goto +4\nr1 = r6\nr2 = 8\nr3 = r10\ncall 113\nr3 = 0",
    "if r6 == 0 goto +2\nr1 = r6\ncall 175\nr3 = 0",
    "r0 = 2\nexit",
    "r0 = 1\nexit",
    "call 7\nexit",
];

#[test]
fn programs_on_what_iterators_give() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (name, args) in ITERATORS {
        let Some(id) = btf.find_by_name(Some(Kind::Func), name) else { continue };
        for arg in 1..args.len() {
            for body in AFTER {
                let insns = text(&format!("r6 = *(u64 *)(r1 + {})\n{body}\nr0 = 0\nexit", arg * 8));
                let spec = spec(AttachType::TRACE_ITER, id, insns);
                accepted +=
                    u32::from(compare(&kernel, &env, &spec, &mut wrong, &format!("{name} {arg}: {body}")));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(accepted > 40, "{accepted}");
}

/// Bodies of iterators over the files of tasks, with what it gives its reader in `r6` and the file or NULL in `r7`.
const READERS: &[&str] = &[
    // bpf_seq_printf: its format is read when it runs.
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 3\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 0\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 9\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = r10\nr4 += -8\nr5 = 8\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = r10\nr4 += -8\nr5 = 8\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = r10\nr4 += -8\nr5 = 7\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = r10\nr4 += -8\nr5 = 16\ncall 126",
    "r1 = r6\nr2 = 0\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = 0\nr2 = TEXT ll\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r7\nr2 = TEXT ll\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    // bpf_seq_write
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\ncall 127",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 16\ncall 127",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 0\ncall 127",
    "r1 = r6\nr1 += 8\nr2 = r10\nr2 += -8\nr3 = 8\ncall 127",
    "if r7 == 0 goto +5\nr1 = r7\nr2 = r10\nr2 += -8\nr3 = 8\ncall 127\nr3 = 0",
    "if r7 == 0 goto +4\nr1 = r6\nr2 = r7\nr3 = 8\ncall 127\nr3 = 0",
    // bpf_seq_printf_btf
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\ncall 150",
    "r1 = r6\nr2 = 0\nr3 = 0\nr4 = 0\ncall 150",
    "r1 = r6\nr2 = 0\nr3 = 8\nr4 = 0\ncall 150",
    // bpf_d_path
    "if r7 == 0 goto +6\nr1 = r7\nr1 += PATH\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147\nr3 = 0",
    "if r7 == 0 goto +6\nr1 = r7\nr1 += PATH\nr2 = r10\nr2 += -8\nr3 = 16\ncall 147\nr3 = 0",
    "if r7 == 0 goto +5\nr1 = r7\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147\nr3 = 0",
    "r1 = r7\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147",
    "if r7 == 0 goto +5\nr1 = r7\nr1 += PATH\nr2 = TEXT ll\nr3 = 4\ncall 147\nr3 = 0",
];

/// Offset of a member of a structure, in one without a name as well.
fn offset(btf: &Btf, structure: &str, name: &str) -> u32 {
    let id = btf.find_by_name(Some(Kind::Struct), structure).expect("the kernel has it");
    member(btf, id, name).expect("a member") / 8
}

fn member(btf: &Btf, id: TypeId, name: &str) -> Option<u32> {
    btf.ty(id)?.members().iter().find_map(|m| match btf.str(m.name) {
        "" => member(btf, btf.resolve(m.ty), name).map(|off| m.off_bits + off),
        found => (found == name).then_some(m.off_bits),
    })
}

/// Loads of this number become references of the program's only map: to it, or to its first value.
const MAP: u64 = 0x5eed_5eed_5eed;

/// Text with such loads.
fn with_map(spec: ProgramSpec, def: &MapDef, value: Imm64) -> ProgramSpec {
    let mut insns = spec.insns.clone();
    for pc in 0..insns.len() {
        let wide = insns[pc].is_wide() && insns[pc].src.0 == 0;
        if wide && u64::from(insns[pc].imm as u32) | u64::from(insns[pc + 1].imm as u32) << 32 == MAP {
            let (first, second) = Op::LoadImm64 { dst: insns[pc].dst, value }.encode();
            (insns[pc], insns[pc + 1]) = (first, second.expect("LDDW takes two slots"));
        }
    }
    ProgramSpec { insns, maps: vec![Arc::new(def.clone())], ..spec }
}

#[test]
fn programs_that_iterators_give_their_reader() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let Some(id) = btf.find_by_name(Some(Kind::Func), "bpf_iter_task_file") else { return };
    let path = offset(&btf, "file", "f_path").to_string();
    let text_map = MapDef {
        flags: MapFlags(MapFlags::RDONLY_PROG),
        initial: Some(b"%d\n\0%z\n\0".to_vec()),
        frozen: true,
        ..MapDef::new(MapType::ARRAY, 4, 8, 1)
    };
    let map = kernel.create(&text_map).expect("the kernel makes the map");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for body in READERS {
        let source = body.replace("PATH", &path).replace("TEXT", &format!("{MAP:#x}"));
        let insns = text(&format!(
            "r2 = *(u64 *)(r1 + 0)\nr6 = *(u64 *)(r2 + 0)\nr7 = *(u64 *)(r1 + 24)\n*(u64 *)(r10 - 8) = 1\n{source}\nr0 = 0\nexit"
        ));
        let value = Imm64::MapValueIdx { idx: 0, off_bytes: 0 };
        let spec = with_map(spec(AttachType::TRACE_ITER, id, insns), &text_map, value);
        accepted += u32::from(same(&kernel, &env, &spec, &map, &mut wrong, body));
    }
    assert_eq!(wrong, [""; 0]);
    assert!((8..READERS.len() as u32 - 8).contains(&accepted), "{accepted}");
}

/// Calls for what a map keeps with a socket: of `r6`, an argument, where it is one.
const STORED: &[(&str, &str)] = &[
    ("tcp_probe", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = 0\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = 1\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = r6\nr2 += 8\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = r6\nr3 = r10\nr3 += -8\nr4 = 1\ncall 107"),
    ("tcp_probe", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107\nr0 = *(u64 *)(r0 + 0)"),
    ("tcp_probe", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 + 0)"),
    ("tcp_probe", "r2 = r6\ncall 108"),
    ("tcp_probe", "r2 = 0\ncall 108"),
    ("tcp_probe", "r2 = r10\ncall 108"),
    ("consume_skb", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\nr3 = 0\nr4 = 0\ncall 107"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\nif r2 == 0 goto +3\nr3 = 0\nr4 = 0\ncall 107\nr3 = 0"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\nr2 = *(u64 *)(r2 + 0)\nr3 = 0\nr4 = 0\ncall 107"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\ncall 108"),
    ("consume_skb", "r2 = *(u64 *)(r6 + DEV)\ncall 108"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\ncall 46"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\ncall 137"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\nif r1 == 0 goto +1\ncall 46\nr3 = 0"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\nif r1 == 0 goto +1\ncall 137\nr3 = 0"),
];

#[test]
fn programs_on_what_maps_keep_with_sockets() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (sk, dev) = (offset(&btf, "sk_buff", "sk").to_string(), offset(&btf, "sk_buff", "dev").to_string());
    let mut types = Builder::new();
    let int = types.int("int", 4, IntEncoding::Signed);
    let long = types.int("long", 8, IntEncoding::Signed);
    let def = MapDef {
        flags: MapFlags(MapFlags::NO_PREALLOC),
        btf: Some(Arc::new(types.finish().expect("legal types"))),
        key_btf_id: int.0,
        value_btf_id: long.0,
        ..MapDef::new(MapType::SK_STORAGE, 4, 8, 0)
    };
    let map = kernel.create(&def).expect("the kernel makes the map");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (name, body) in STORED {
        let Some(id) = btf.find_by_name(Some(Kind::Typedef), &format!("btf_trace_{name}")) else { continue };
        let source = body.replace("SK", &sk).replace("DEV", &dev);
        let insns = text(&format!(
            "r6 = *(u64 *)(r1 + 0)\n*(u64 *)(r10 - 8) = 1\nr1 = {MAP:#x} ll\n{source}\nr0 = 0\nexit"
        ));
        let spec = with_map(spec(AttachType::TRACE_RAW_TP, id, insns), &def, Imm64::MapIdx(0));
        let what = format!("{name}: {body}");
        accepted += u32::from(same(&kernel, &env, &spec, &map, &mut wrong, &what));
    }
    assert_eq!(wrong, [""; 0]);
    assert!((6..STORED.len() as u32 - 6).contains(&accepted), "{accepted}");
}

/// Compares verdicts of a program with a map; whether the kernel accepts it.
fn same(
    kernel: &LinuxBackend,
    env: &Environment,
    spec: &ProgramSpec,
    map: &LinuxMap,
    wrong: &mut Vec<String>,
    what: &str,
) -> bool {
    let ours = verify(spec, env, &Options::default());
    let theirs = kernel.load_program(spec, &[map.as_fd()], LoadOptions { log_level: 1 });
    match (&ours, &theirs) {
        (Ok(_), Err(e)) => {
            wrong.push(format!("{what}: accepted; {}", e.log.lines().rev().nth(1).unwrap_or("")))
        }
        (Err(r), Ok(_)) => wrong.push(format!("{what}: refused: {}", r.message())),
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
    }
    theirs.is_ok()
}

#[test]
fn kernel_offers_tracing_programs_the_same_helpers() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let mut wrong = Vec::new();
    let iterators = ITERATORS.iter().map(|(name, _)| (AttachType::TRACE_ITER, Kind::Func, *name));
    let tracepoint = (AttachType::TRACE_RAW_TP, Kind::Typedef, "btf_trace_sched_switch");
    for (attach, kind, name) in iterators.chain([tracepoint]) {
        let Some(id) = btf.find_by_name(Some(kind), name) else { continue };
        for helper in HELPERS {
            let spec = spec(attach, id, text(&format!("call {}\nr0 = 0\nexit", helper.id)));
            let ours = match verify(&spec, &env, &Options::default()) {
                Ok(_) => true,
                Err(r) => !matches!(r.code(), Code::UnknownHelper | Code::GplOnly),
            };
            let theirs = match kernel.load_program(&spec, &[], LoadOptions { log_level: 1 }) {
                Ok(_) => true,
                Err(e) => {
                    let not = [
                        "cannot use helper",
                        "unknown func",
                        "might sleep",
                        "GPL-restricted",
                        "not allowed in probe",
                    ];
                    !not.iter().any(|w| e.log.contains(w))
                }
            };
            if ours != theirs {
                wrong.push(format!("{name}: {}#{}: ours {ours}", helper.name, helper.id));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_iterator_of_the_table_is_there() {
    let Some((_, env)) = kernel() else { return };
    let btf = env.kernel_types.expect("just put there");
    for (name, args) in ITERATORS {
        let Some(id) = btf.find_by_name(Some(Kind::Func), name) else { continue };
        let Some(Type::Func { proto, .. }) = btf.ty(id) else { panic!("{name} is no function") };
        let Some(Type::FuncProto { params, .. }) = btf.ty(*proto) else { panic!("{name} has no prototype") };
        assert_eq!(params.len(), args.len(), "{name}");
    }
}

/// Programs with the addresses of variables of the kernel, and whether they are accepted where the kernel finds those. The
/// kernel itself is asked in `tests/verdicts/variables.txt`; one without `CONFIG_KALLSYMS_ALL` finds none, so what is
/// accepted here is what `check_pseudo_btf_id` and `check_helper_call` (Linux 6.18) say.
const VARIABLES: &[(bool, &str)] = &[
    (true, "r1 = NUMBER\ncall 154\nr0 = *(u32 *)(r0 + 0)"),
    (true, "r1 = NUMBER\ncall 154\nr0 = *(u8 *)(r0 + 3)"),
    (false, "r1 = NUMBER\ncall 154\nr0 = *(u32 *)(r0 + 1)"),
    (false, "r1 = NUMBER\ncall 154\n*(u32 *)(r0 + 0) = 1"),
    (false, "r1 = NUMBER\ncall 154\nr1 = r0\nr2 = 4\nr3 = 0\ncall 113"),
    (true, "r1 = NUMBER\ncall 154\nr0 += 2\nr0 = *(u16 *)(r0 + 0)"),
    (true, "r1 = NUMBER\nr2 = 1\ncall 153\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 + 0)"),
    (false, "r1 = NUMBER\nr2 = 1\ncall 153\nr0 = *(u32 *)(r0 + 0)"),
    (false, "r1 = NUMBER\nr0 = *(u32 *)(r1 + 0)"),
    (false, "r1 = NUMBER\n*(u32 *)(r1 + 0) = 0"),
    (false, "r1 = NUMBER\nr1 += 1\ncall 154"),
    (true, "r1 = QUEUES\ncall 154\nr0 = *(u32 *)(r0 + 4)"),
    (false, "r1 = QUEUES\ncall 154\nr0 = *(u32 *)(r0 + 8192)"),
    (false, "r1 = QUEUES\ncall 154\n*(u32 *)(r0 + 4) = 1"),
    (true, "r1 = QUEUES\nr2 = 1\ncall 153\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 + 4)"),
    (false, "r1 = QUEUES\nr2 = 1\ncall 153\nr0 = *(u32 *)(r0 + 4)"),
    (false, "r1 = QUEUES\nr0 = *(u32 *)(r1 + 4)"),
    (false, "r1 = QUEUES\nr1 += 8\ncall 154"),
    (true, "r1 = QUEUES\nr1 += 0\ncall 154"),
    (false, "r1 = QUEUES\ncall 154\nr1 = r0\ncall 154"),
];

#[test]
fn variables_that_each_cpu_has() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let id = |name| btf.find_by_name(Some(Kind::Var), name);
    let (Some(number), Some(queues)) = (id("bpf_prog_active"), id("runqueues")) else {
        println!("skipped: the kernel's types have no variables");
        return;
    };
    let symbols = skep_testkit::selftests::ask::symbols().unwrap_or_default();
    let found = symbols.contains("bpf_prog_active") && symbols.contains("runqueues");
    let mut without = env.clone();
    without.kernel_symbols = Some(Arc::default());
    let mut wrong = Vec::new();
    for &(accepted, body) in VARIABLES {
        let id = if body.contains("NUMBER") { number } else { queues };
        let source = body.replace("NUMBER", "0x5eef ll").replace("QUEUES", "0x5eef ll");
        let mut insns = text(&format!("{source}\nr0 = 0\nexit"));
        let variable =
            Op::LoadImm64 { dst: Reg(1), value: Imm64::Variable { btf_id: id.0 as i32, btf_fd: 0 } };
        let (first, second) = variable.try_encode().expect("it can be written");
        insns.splice(..2, [Some(first), second].into_iter().flatten());
        let spec = ProgramSpec {
            name: "variable".into(),
            license: "GPL".into(),
            ..ProgramSpec::new(ProgramType::TRACEPOINT, insns)
        };
        let ours = verify(&spec, &env, &Options::default());
        if ours.is_ok() != accepted {
            wrong.push(format!("{body}: {:?}", ours.map(drop).map_err(|r| r.message().to_owned())));
        }
        let r = verify(&spec, &without, &Options::default()).expect_err("no address");
        assert!(r.message().contains("failed to find the address"), "{}", r.message());
        let theirs = kernel.load_program(&spec, &[], LoadOptions { log_level: 1 });
        if found && theirs.is_ok() != accepted {
            wrong.push(format!("{body}: the kernel: {:?}", theirs.map(drop).map_err(|e| e.log)));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// Calls of an iterator over maps with its map in `r6`, where a function wants one.
const MAPS_BY_POINTER: &[&str] = &[
    "if r6 == 0 goto out\nr1 = r6",
    "r1 = r6",
    "if r6 == 0 goto out\nr1 = r6\nr1 += 8",
    "if r6 == 0 goto out\nr1 = *(u64 *)(r6 + INNER)",
    "r1 = r7",
    "if r7 == 0 goto out\nr1 = r7",
    "r1 = r10",
    "r1 = 0",
];

#[test]
fn maps_by_the_kernels_own_pointers() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let find = |name| btf.find_by_name(Some(Kind::Func), name);
    let (Some(iter), Some(alloc)) = (find("bpf_iter_bpf_map"), find("bpf_arena_alloc_pages")) else {
        println!("skipped: the kernel has no arenas");
        return;
    };
    let inner = offset(&btf, "bpf_map", "inner_map_meta").to_string();
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for body in MAPS_BY_POINTER {
        let source = body.replace("INNER", &inner);
        let mut insns = text(&format!(
            "r7 = *(u64 *)(r1 + 0)\nr6 = *(u64 *)(r1 + 8)\n{source}\nr2 = 0\nr3 = 1\nr4 = -1\nr5 = 0\ncall 0x7777\nout:\nr0 = 0\nexit"
        ));
        for insn in insns.iter_mut().filter(|insn| insn.opcode == 0x85) {
            *insn = Insn::new(0x85, Reg(0), Reg(2), 0, alloc.0 as i32);
        }
        let spec = ProgramSpec {
            license: "GPL".into(),
            flags: ProgramSpec::SLEEPABLE,
            ..spec(AttachType::TRACE_ITER, iter, insns)
        };
        accepted += u32::from(compare(&kernel, &env, &spec, &mut wrong, body));
    }
    assert_eq!(wrong, [""; 0]);
    assert!((1..MAPS_BY_POINTER.len() as u32).contains(&accepted), "{accepted}");
}

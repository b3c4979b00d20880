//! Objects of the kernel: what stands at each offset of structures, and programs on tasks, sockets and what may be
//! anywhere.

use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{AttachType, MapType};
use skep_btf::Kind;
use skep_isa::{Imm64, Op, Reg, Size};
use skep_spec::{LoadOptions, MapDef, ProgramSpec};
use skep_verifier::{Options, verify};

use crate::common::{SIZES, compare, kernel, load, spec, text};

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

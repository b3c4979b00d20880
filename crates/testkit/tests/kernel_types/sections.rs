//! Programs in sections that must not be disturbed, and with locks: what is seen there, and behind.

use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{AttachType, MapType, ProgramType};
use skep_btf::{Builder, IntEncoding, Kind};
use skep_isa::{Imm64, Op, Reg};
use skep_spec::{LoadOptions, MapDef, ProgramSpec};
use skep_verifier::{Options, verify};

use crate::common::{EVERY_STATE, compare, kernel, spec, with_kfuncs};

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

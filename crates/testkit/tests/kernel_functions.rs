//! Programs on the kernel's own types that have functions, or are for functions of the kernel.

use skep_abi::{AttachType, ProgramType};
use skep_btf::{Btf, Kind};
use skep_isa::text::assemble;
use skep_linux::LinuxBackend;
use skep_spec::{Errno, LoadOptions, ProgramSpec};
use skep_testkit::{functions, kernel};
use skep_verifier::{Options, verify};

fn spec(btf: &Btf, attach_type: AttachType, kind: Kind, target: &str, text: &str) -> Option<ProgramSpec> {
    let id = btf.find_by_name(Some(kind), target)?;
    let insns = assemble(text).expect("well formed");
    Some(ProgramSpec {
        name: "typed".into(),
        attach_type,
        attach_btf_id: id.0,
        ..ProgramSpec::new(ProgramType::TRACING, insns)
    })
}

/// Types of a global function that is given the context.
const GIVEN: &[&str] = &[
    "global int (ctx long *)",
    "global int (ctx int *)",
    "global int (ctx void *)",
    "global int (ctx bpf_raw_tracepoint_args *)",
    "global int (ctx bpf_iter__task *)",
    "global int (ctx pair *)",
    "global int (ctx arguments *)",
    "global int (ctx sk_buff *)",
    "global int (arguments *)",
    "global int (long *)",
    "global int (bpf_iter__task *)",
];

#[test]
fn contexts_given_to_functions() {
    let Some((btf, env)) = kernel::typed() else { return };
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        return println!("skipped: no kernel to ask: {probe:?}");
    }
    let kernel = LinuxBackend::new();
    let (mut wrong, mut accepted, mut asked) = (Vec::new(), 0, 0);
    let targets = [
        (AttachType::TRACE_RAW_TP, Kind::Typedef, "btf_trace_sched_switch"),
        (AttachType::TRACE_ITER, Kind::Func, "bpf_iter_task"),
    ];
    for (attach, kind, target) in targets {
        for given in GIVEN {
            let text = "call inner\nr0 = 0\nexit\ninner:\nr0 = 0\nexit";
            let Some(mut spec) = spec(&btf, attach, kind, target, text) else { continue };
            functions::declare(&mut spec, given).expect("one type for one function");
            let ours = verify(&spec, &env, &Options::default());
            let theirs = kernel.load_program(&spec, &[], LoadOptions { log_level: 1 });
            asked += 1;
            accepted += u32::from(theirs.is_ok());
            if ours.is_ok() != theirs.is_ok() {
                let words = theirs.map_or_else(|e| e.log, |_| "accepted".into());
                wrong.push(format!("{target}: {given}: ours {:?}; {words}", ours.err()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(accepted >= 4 && accepted + 4 <= asked, "{accepted} of {asked}");
}

use AttachType as A;

/// Programs for functions of the kernel, and whether they are legal (`btf_ctx_access`, `check_return_code`,
/// `tracing_prog_func_proto`).
const FOR_FUNCTIONS: &[(AttachType, &str, &str, bool)] = &[
    (A::TRACE_FENTRY, "security_file_open", "r2 = *(u64 *)(r1 + 0)\nr0 = 0\nexit", true),
    (
        A::TRACE_FENTRY,
        "security_file_open",
        "r2 = *(u64 *)(r1 + 0)\nr2 = *(u32 *)(r2 + 0)\nr0 = 0\nexit",
        true,
    ),
    (A::TRACE_FENTRY, "security_file_open", "r2 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", false),
    (A::TRACE_FENTRY, "security_file_open", "r2 = *(u64 *)(r1 + 8)\nr0 = 0\nexit", false),
    (A::TRACE_FENTRY, "security_file_open", "*(u64 *)(r1 + 0) = 1\nr0 = 0\nexit", false),
    (A::TRACE_FENTRY, "security_file_open", "r0 = 1\nexit", false),
    (A::TRACE_FENTRY, "security_file_open", "call 173\nr0 = 0\nexit", true),
    (A::TRACE_FENTRY, "security_file_open", "call 185\nr0 = 0\nexit", true),
    (A::TRACE_FENTRY, "security_file_open", "r2 = r10\nr2 += -8\ncall 184\nr0 = 0\nexit", true),
    (A::TRACE_FEXIT, "security_file_open", "r2 = *(u64 *)(r1 + 8)\nr0 = 0\nexit", true),
    (A::TRACE_FEXIT, "security_file_open", "r2 = *(u32 *)(r1 + 8)\nr0 = 0\nexit", true),
    (A::TRACE_FEXIT, "security_file_open", "r2 = *(u64 *)(r1 + 16)\nr0 = 0\nexit", false),
    (A::TRACE_FEXIT, "security_file_open", "r0 = *(u64 *)(r1 + 8)\nexit", false),
    (A::TRACE_FEXIT, "security_file_open", "r2 = r10\nr2 += -8\ncall 184\nr0 = 0\nexit", true),
    (A::TRACE_FEXIT, "security_file_free", "r2 = *(u64 *)(r1 + 8)\nr0 = 0\nexit", false),
    (A::MODIFY_RETURN, "security_file_open", "r0 = *(u64 *)(r1 + 8)\nexit", true),
    (A::MODIFY_RETURN, "security_file_open", "r2 = *(u64 *)(r1 + 16)\nr0 = 0\nexit", false),
    (A::MODIFY_RETURN, "security_file_free", "r2 = *(u64 *)(r1 + 8)\nr0 = 0\nexit", false),
    (
        A::TRACE_FENTRY,
        "dentry_open",
        "r1 = *(u64 *)(r1 + 0)\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147\nr0 = 0\nexit",
        true,
    ),
    (
        A::TRACE_FENTRY,
        "vfs_open",
        "r1 = *(u64 *)(r1 + 0)\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147\nr0 = 0\nexit",
        false,
    ),
    (A::TRACE_FENTRY, "do_exit", "r2 = *(u64 *)(r1 + 0)\nr0 = 0\nexit", true),
    (A::TRACE_FEXIT, "do_exit", "r0 = 0\nexit", false),
    (A::TRACE_FENTRY, "migrate_disable", "r0 = 0\nexit", false),
];

/// The same for programs that sleep, and for functions with arguments of two words.
const THAT_SLEEP: &[(AttachType, &str, &str, bool)] = &[
    (
        A::TRACE_FENTRY,
        "__x64_sys_getpgid",
        "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\nr0 = 0\nexit",
        true,
    ),
    (A::TRACE_FEXIT, "bpf_fentry_test1", "r2 = *(u64 *)(r1 + 8)\nr0 = 0\nexit", true),
    (A::MODIFY_RETURN, "bpf_fentry_test1", "r0 = *(u64 *)(r1 + 8)\nexit", true),
    (A::TRACE_FENTRY, "bpf_fentry_test2", "r0 = 0\nexit", false),
    (A::TRACE_FENTRY, "schedule", "r0 = 0\nexit", false),
];

/// `bpf_check(prog **, union bpf_attr *, bpfptr_t, u32)`: the third takes 16 bytes.
const LONG: &[(AttachType, &str, &str, bool)] = &[
    (A::TRACE_FENTRY, "bpf_check", "r2 = *(u64 *)(r1 + 16)\nr2 = *(u64 *)(r1 + 24)\nr0 = 0\nexit", true),
    (A::TRACE_FENTRY, "bpf_check", "r2 = *(u32 *)(r1 + 32)\nr0 = 0\nexit", true),
    (A::TRACE_FENTRY, "bpf_check", "r2 = *(u64 *)(r1 + 40)\nr0 = 0\nexit", false),
    (A::TRACE_FEXIT, "bpf_check", "r2 = *(u64 *)(r1 + 40)\nr0 = 0\nexit", true),
    (A::TRACE_FEXIT, "bpf_check", "r2 = *(u64 *)(r1 + 48)\nr0 = 0\nexit", false),
    (A::TRACE_FENTRY, "bpf_check", "r2 = *(u64 *)(r1 + 8)\nr2 = *(u64 *)(r2 + 0)\nr0 = 0\nexit", true),
    (A::TRACE_FENTRY, "bpf_check", "r2 = *(u64 *)(r1 + 24)\nr2 = *(u64 *)(r2 + 0)\nr0 = 0\nexit", false),
    (A::MODIFY_RETURN, "bpf_modify_return_test", "r0 = 0\nexit", true),
    (A::MODIFY_RETURN, "bpf_fentry_test2", "r0 = 0\nexit", false),
];

#[test]
fn programs_for_functions_that_sleep_or_take_much() {
    let Some((btf, env)) = kernel::typed() else { return };
    let (mut wrong, mut asked) = (Vec::new(), 0);
    let flags = [(THAT_SLEEP, ProgramSpec::SLEEPABLE), (LONG, 0)];
    for (cases, flags) in flags {
        for (attach, target, text, legal) in cases {
            let Some(mut spec) = spec(&btf, *attach, Kind::Func, target, text) else { continue };
            spec.flags |= flags;
            let ours = verify(&spec, &env, &Options::default());
            asked += 1;
            if ours.is_ok() != *legal {
                wrong.push(format!("{attach:?} of {target}: {text}: ours {:?}", ours.err()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(asked > 8, "{asked}");
}

#[test]
fn programs_for_functions() {
    let Some((btf, env)) = kernel::typed() else { return };
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for (attach, target, text, legal) in FOR_FUNCTIONS {
        let Some(spec) = spec(&btf, *attach, Kind::Func, target, text) else { continue };
        let ours = verify(&spec, &env, &Options::default());
        asked += 1;
        if ours.is_ok() != *legal {
            wrong.push(format!("{attach:?} of {target}: {text}: ours {:?}", ours.err()));
        }
        // Some kernels forbid such programs before they look at them.
        if !LinuxBackend::probe().is_yes() {
            continue;
        }
        let theirs = LinuxBackend::new().load_program(&spec, &[], LoadOptions { log_level: 1 });
        if theirs.as_ref().is_err_and(|e| e.error.errno == Errno::EPERM && e.log.is_empty()) {
            continue;
        }
        if theirs.is_ok() != *legal {
            wrong.push(format!("{attach:?} of {target}: {text}: the kernel {:?}", theirs.err()));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(asked > 12, "{asked}");
}

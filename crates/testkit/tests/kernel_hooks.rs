//! Programs for hooks of security modules, and members of structures of functions.

use skep_abi::{AttachType, ProgramType, STRUCT_OPS};
use skep_btf::{Btf, Kind, Type};
use skep_isa::text::assemble;
use skep_linux::LinuxBackend;
use skep_spec::{Environment, Errno, LoadOptions, ProgramSpec};
use skep_testkit::kernel;
use skep_verifier::{Options, verify};

/// Verdicts that differ from what is expected, of skep and of the kernel if it says anything.
struct Compared {
    env: Environment,
    wrong: Vec<String>,
    accepted: u32,
    refused: u32,
    /// The kernel had a verdict.
    answered: u32,
    kernel: Option<LinuxBackend>,
}

impl Compared {
    fn new(env: Environment) -> Self {
        let probe = LinuxBackend::probe();
        if !probe.is_yes() {
            println!("skipped: no kernel to ask: {probe:?}");
        }
        let kernel = probe.is_yes().then(LinuxBackend::new);
        Self { env, wrong: Vec::new(), accepted: 0, refused: 0, answered: 0, kernel }
    }

    /// `legal`: the verdict, where the kernel's own tests or its source say it.
    fn ask(&mut self, what: &str, spec: &ProgramSpec, legal: Option<bool>) {
        let ours = verify(spec, &self.env, &Options::default());
        match &ours {
            Ok(_) => self.accepted += 1,
            Err(_) => self.refused += 1,
        }
        if legal.is_some_and(|legal| legal != ours.is_ok()) {
            self.wrong.push(format!("{what}: ours {:?}", ours.as_ref().err()));
        }
        let Some(kernel) = &self.kernel else { return };
        let theirs = kernel.load_program(spec, &[], LoadOptions { log_level: 1 });
        // Some kernels forbid such programs before they look at them.
        if theirs.as_ref().is_err_and(|e| e.error.errno == Errno::EPERM && e.log.is_empty()) {
            return;
        }
        self.answered += 1;
        if theirs.is_ok() != ours.is_ok() {
            let words =
                theirs.map_or_else(|e| format!("{} {}", e.error.message, e.log), |_| "accepts it".into());
            self.wrong.push(format!("{what}: ours {:?}; the kernel {words}", ours.err()));
        }
    }
}

fn hook(btf: &Btf, attach_type: AttachType, name: &str, text: &str) -> Option<ProgramSpec> {
    let id = btf.find_by_name(Some(Kind::Func), &format!("bpf_lsm_{name}"))?;
    let insns = assemble(text).expect("well formed");
    Some(ProgramSpec {
        name: "hook".into(),
        attach_type,
        attach_btf_id: id.0,
        ..ProgramSpec::new(ProgramType::LSM, insns)
    })
}

const MAC: AttachType = AttachType::LSM_MAC;
const CGROUP: AttachType = AttachType::LSM_CGROUP;

/// Programs for hooks, and whether they are legal (`bpf_lsm_get_retval_range`, `check_return_code`, `btf_ctx_access`,
/// `bpf_lsm_func_proto`, `bpf_lsm_verify_prog` of Linux 6.18).
const FOR_HOOKS: &[(AttachType, &str, &str, bool)] = &[
    // What they return.
    (MAC, "file_mprotect", "r0 = 0\nexit", true),
    (MAC, "file_mprotect", "r0 = -4095\nexit", true),
    (MAC, "file_mprotect", "w0 = -4095\nexit", true),
    (MAC, "file_mprotect", "r0 = -4096\nexit", false),
    (MAC, "file_mprotect", "r0 = 1\nexit", false),
    (MAC, "file_mprotect", "exit", false),
    (MAC, "audit_rule_known", "r0 = 1\nexit", true),
    (MAC, "audit_rule_known", "r0 = -1\nexit", false),
    (MAC, "audit_rule_known", "r0 = 2\nexit", false),
    (MAC, "file_free_security", "r0 = 4096\nexit", true),
    (MAC, "file_free_security", "exit", true),
    (CGROUP, "socket_bind", "r0 = 1\nexit", true),
    (CGROUP, "socket_bind", "r0 = 0\nexit", true),
    (CGROUP, "socket_bind", "r0 = -1\nexit", false),
    (CGROUP, "socket_bind", "r0 = 2\nexit", false),
    (CGROUP, "sk_free_security", "r0 = 1\nexit", true),
    (CGROUP, "sk_free_security", "r0 = 0\nexit", false),
    // What has been returned so far stands behind the arguments.
    (MAC, "file_open", "r0 = *(u64 *)(r1 + 8)\nexit", true),
    (MAC, "file_open", "r0 = *(u32 *)(r1 + 8)\nexit", true),
    (MAC, "file_open", "r0 = *(u64 *)(r1 + 8)\nr0 += 1\nexit", false),
    (MAC, "file_open", "r0 = *(u64 *)(r1 + 8)\nif r0 s> 0 goto +1\nexit\nr0 = *(u64 *)(r0 + 0)\nexit", true),
    (MAC, "audit_rule_known", "r0 = *(u64 *)(r1 + 8)\nexit", true),
    (MAC, "file_open", "r0 = *(u64 *)(r1 + 16)\nr0 = 0\nexit", false),
    (MAC, "file_free_security", "r2 = *(u64 *)(r1 + 8)\nr0 = 0\nexit", false),
    (CGROUP, "socket_post_create", "r2 = *(u64 *)(r1 + 40)\nr0 = 1\nexit", true),
    (CGROUP, "socket_post_create", "r0 = *(u64 *)(r1 + 40)\nexit", false),
    // Whose programs there are none for.
    (MAC, "getprocattr", "r0 = 0\nexit", false),
    (MAC, "setprocattr", "r0 = 0\nexit", false),
    (MAC, "ismaclabel", "r0 = 0\nexit", false),
    (MAC, "vm_enough_memory", "r0 = 0\nexit", false),
    (MAC, "verify_prog", "r0 = 0\nexit", false),
    // Arguments are trusted: helpers take them, and what is inside them.
    (MAC, "bprm_check_security", "r1 = *(u64 *)(r1 + 0)\nr2 = 1\ncall 159\nr0 = 0\nexit", true),
    (MAC, "file_open", "r1 = *(u64 *)(r1 + 0)\nr2 = 1\ncall 159\nr0 = 0\nexit", false),
    (MAC, "file_open", "r1 = *(u64 *)(r1 + 0)\n*(u64 *)(r1 + 0) = 1\nr0 = 0\nexit", false),
    (MAC, "file_open", "*(u64 *)(r1 + 0) = 1\nr0 = 0\nexit", false),
    (MAC, "file_open", "r2 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", false),
    // A mapping may have no file.
    (MAC, "mmap_file", "r2 = *(u64 *)(r1 + 0)\nr2 = *(u32 *)(r2 + 0)\nr0 = 0\nexit", false),
    (
        MAC,
        "mmap_file",
        "r2 = *(u64 *)(r1 + 0)\nif r2 == 0 goto +1\nr2 = *(u32 *)(r2 + 0)\nr0 = 0\nexit",
        true,
    ),
    (MAC, "file_open", "r2 = *(u64 *)(r1 + 0)\nr2 = *(u32 *)(r2 + 0)\nr0 = 0\nexit", true),
    // Helpers.
    (MAC, "file_open", "call 186\nr0 = 0\nexit", false),
    (CGROUP, "socket_bind", "call 186\nr0 = 1\nexit", true),
    (CGROUP, "socket_bind", "r1 = -1\ncall 187\nr0 = 1\nexit", true),
    (MAC, "file_open", "call 185\nr0 = 0\nexit", true),
    (CGROUP, "socket_bind", "call 185\nr0 = 1\nexit", false),
    (MAC, "file_open", "call 174\nr0 = 0\nexit", true),
    (CGROUP, "socket_bind", "call 174\nr0 = 1\nexit", false),
    (MAC, "file_open", "call 173\nr0 = 0\nexit", false),
];

#[test]
fn programs_for_hooks() {
    let Some((btf, env)) = kernel::typed() else { return };
    let mut compared = Compared::new(env);
    for (attach, name, text, legal) in FOR_HOOKS {
        let Some(spec) = hook(&btf, *attach, name, text) else { continue };
        compared.ask(&format!("{attach:?} {name}: {text}"), &spec, Some(*legal));
    }
    assert_eq!(compared.wrong, [""; 0]);
    assert!(
        compared.accepted > 10 && compared.refused > 10,
        "{} and {}",
        compared.accepted,
        compared.refused
    );
}

/// Programs for hooks that sleep: not all hooks wait.
const THAT_SLEEP: &[(&str, &str, bool)] = &[
    ("file_open", "r0 = 0\nexit", true),
    ("file_permission", "r0 = 0\nexit", false),
    ("task_free", "exit", false),
    ("bprm_committed_creds", "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\nr0 = 0\nexit", true),
    ("file_open", "r1 = *(u64 *)(r1 + 0)\nr2 = r10\nr2 += -8\nr3 = 8\ncall 193\nr0 = 0\nexit", true),
];

#[test]
fn hooks_that_wait() {
    let Some((btf, env)) = kernel::typed() else { return };
    let mut compared = Compared::new(env);
    for (name, text, legal) in THAT_SLEEP {
        let Some(mut spec) = hook(&btf, MAC, name, text) else { continue };
        spec.flags |= ProgramSpec::SLEEPABLE;
        compared.ask(&format!("{name}: {text}"), &spec, Some(*legal));
    }
    let Some(mut spec) = hook(&btf, MAC, "file_open", "r0 = 0\nexit") else { return };
    spec.license = "Proprietary".into();
    compared.ask("file_open under another licence", &spec, Some(false));
    assert_eq!(compared.wrong, [""; 0]);
    assert!(compared.accepted >= 2 && compared.refused >= 2);
}

/// What each member of each structure is asked with.
const MEMBERS: &[&str] = &[
    "r0 = 0\nexit",
    "r0 = 1\nexit",
    "r0 = *(u64 *)(r1 + 0)\nexit",
    "exit",
    "r2 = *(u64 *)(r1 + 0)\nr0 = *(u32 *)(r2 + 0)\nexit",
    "r2 = *(u64 *)(r1 + 0)\nif r2 == 0 goto +1\nr0 = *(u32 *)(r2 + 0)\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 0)\nif r2 == 0 goto +1\n*(u32 *)(r2 + 0) = 1\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 0)\nif r2 == 0 goto +1\n*(u64 *)(r2 + 0) = 1\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 0)\nif r2 == 0 goto +1\n*(u8 *)(r2 + 3) = 1\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 0)\nif r2 == 0 goto +1\n*(u8 *)(r2 - 1) = 1\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 8)\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 8)\nr0 = *(u64 *)(r2 + 0)\nr0 = 0\nexit",
    "r2 = *(u32 *)(r1 + 8)\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 16)\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 24)\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 32)\nr0 = 0\nexit",
    "r2 = *(u64 *)(r1 + 40)\nr0 = 0\nexit",
    "*(u64 *)(r1 + 0) = 0\nr0 = 0\nexit",
    "r1 = *(u64 *)(r1 + 0)\nr2 = 0\ncall 116\nr0 = 0\nexit",
    "r1 = *(u64 *)(r1 + 0)\nr2 = 1\nr3 = 1\nr4 = r10\nr4 += -8\nr5 = 8\ncall 57\nr0 = 0\nexit",
    "r1 = *(u64 *)(r1 + 0)\nr2 = 1\nr3 = 1\nr4 = r10\nr4 += -8\nr5 = 8\ncall 49\nr0 = 0\nexit",
    "call 160\nr0 = 0\nexit",
    "call 5\nr0 = 0\nexit",
    "call 173\nr0 = 0\nexit",
    "call 185\nr0 = 0\nexit",
];

fn member(id: u32, index: u32, text: &str) -> ProgramSpec {
    ProgramSpec {
        name: "member".into(),
        attach_type: AttachType(index),
        attach_btf_id: id,
        ..ProgramSpec::new(ProgramType::STRUCT_OPS, assemble(text).expect("well formed"))
    }
}

#[test]
fn members_of_structures() {
    let Some((btf, env)) = kernel::typed() else { return };
    let mut compared = Compared::new(env);
    for ops in STRUCT_OPS {
        let Some(id) = btf.find_by_name(Some(Kind::Struct), ops.name) else { continue };
        let members = btf.ty(id).map_or(0, |t| t.members().len()) as u32;
        for index in 0..=members {
            for text in MEMBERS {
                let spec = member(id.0, index, text);
                compared.ask(&format!("{} {index}: {text}", ops.name), &spec, None);
            }
            let mut sleeps = member(id.0, index, "r0 = 0\nexit");
            sleeps.flags |= ProgramSpec::SLEEPABLE;
            compared.ask(&format!("{} {index}, sleeping", ops.name), &sleeps, None);
            let mut other = member(id.0, index, "r0 = 0\nexit");
            other.license = "Proprietary".into();
            compared.ask(&format!("{} {index}, under another licence", ops.name), &other, Some(false));
        }
    }
    let Some(id) = btf.find_by_name(Some(Kind::Struct), "task_struct") else { return };
    compared.ask("no structure of functions", &member(id.0, 0, "r0 = 0\nexit"), Some(false));
    assert_eq!(compared.wrong, [""; 0]);
    println!("{} accepted, {} refused, {} asked", compared.accepted, compared.refused, compared.answered);
    assert!(compared.accepted > 40 && compared.refused > 40);
}

/// Every byte of a TCP socket, and how many bytes may be stored there.
#[test]
fn stores_to_a_socket() {
    let Some((btf, env)) = kernel::typed() else { return };
    let find = |name: &str| btf.find_by_name(Some(Kind::Struct), name);
    let (Some(ops), Some(sock)) = (find("tcp_congestion_ops"), find("tcp_sock")) else {
        return println!("skipped: no such structure");
    };
    let Some(Type::Struct { size, .. }) = btf.ty(sock) else { panic!("a structure") };
    let mut compared = Compared::new(env);
    let mut ask = |what: &str| {
        let text = format!("r1 = *(u64 *)(r1 + 0)\nr2 = 1\n{what}\nr0 = 0\nexit");
        compared.ask(what, &member(ops.0, 0, &text), None);
    };
    for off in 0..size + 8 {
        ask(&format!("*(u8 *)(r1 + {off}) = 1"));
        if off.is_multiple_of(4) {
            ask(&format!("*(u64 *)(r1 + {off}) = r2"));
            ask(&format!("lock *(u32 *)(r1 + {off}) += r2"));
        }
    }
    assert_eq!(compared.wrong, [""; 0]);
    assert!(compared.accepted > 40, "{}", compared.accepted);
}

//! Forked children: they run programs, on virtual CPUs of their own.
//!
//! A child of a process with several threads may call only what is safe in a signal handler: it runs programs, which
//! neither allocate nor lock, and leaves by `_exit`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use skep_abi::{Arg, ArgKind, HelperFlags, HelperProto, ProgramType, Ret};
use skep_isa::text::assemble;
use skep_isa::{Insn, Reg};
use skep_spec::{Environment, LoadOptions, ProgramSpec};
use skep_vm::EMBEDDER_HELPERS;

use crate::vcpu::Domain;
use crate::{UserBackend, UserOptions, UserProgram};

/// Forks; the child leaves with what `child` gives, which is returned. -1 for a child that died otherwise.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    let pid = fork(child);
    wait(pid)
}

fn fork(child: impl FnOnce() -> i32) -> libc::pid_t {
    // SAFETY: the child runs `child`, which keeps to what is safe after a fork, and leaves without destructors.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(child()),
            pid => {
                assert!(pid > 0, "fork");
                pid
            }
        }
    }
}

fn wait(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 }
}

#[test]
fn a_child_has_another_slot_than_its_parent() {
    let domain = Domain::new(3);
    let held = domain.lease().expect("free");
    let child = in_child(|| match domain.try_lease() {
        // Nested would be the parent's.
        Some(lease) if !lease.is_nested() => lease.cpu() as i32,
        Some(_) => 100,
        None => 101,
    });
    assert!((0..3).contains(&child) && child != held.cpu() as i32, "{child}");
    let cpu = held.cpu();
    drop(held);
    // The child gave its slot back, and took none of the parent's.
    let all = [domain.try_lease(), domain.try_lease()];
    assert_eq!(all[0].as_ref().map(|l| l.cpu()), Some(cpu));
    assert!(all[1].as_ref().is_some_and(|l| l.is_nested()));
}

#[test]
fn a_child_waits_for_a_slot_that_the_parent_has() {
    let domain = Domain::new(1);
    let held = domain.lease().expect("free");
    let pid = fork(|| {
        let early = domain.lease_timeout(Duration::from_millis(1)).is_ok();
        let Some(lease) = domain.lease() else { return 2 };
        if early || lease.cpu() != 0 { 1 } else { 0 }
    });
    std::thread::sleep(Duration::from_millis(20));
    drop(held);
    assert_eq!(wait(pid), 0);
    assert!(domain.try_lease().is_some());
}

/// A child that dies inside a run takes its slot with it, until somebody needs it.
#[test]
fn slots_of_the_dead_come_back() {
    let domain = Domain::new(2);
    for _ in 0..20 {
        let pid = fork(|| {
            std::mem::forget(domain.lease().expect("free"));
            // SAFETY: no pointers.
            unsafe { libc::raise(libc::SIGKILL) }
        });
        assert_eq!(wait(pid), -1);
    }
    let outer = domain.lease_timeout(Duration::ZERO).expect("a dead child's slot");
    // The parent's own slot is not taken for a dead one's while it lives.
    let child = in_child(|| {
        let Ok(lease) = domain.lease_timeout(Duration::ZERO) else { return 100 };
        lease.cpu() as i32
    });
    assert_eq!(child, 1 - outer.cpu() as i32);
}

/// The lease of a run in which the process forked is the parent's: the child's end of the run does not free it.
#[test]
fn a_run_that_goes_on_in_a_child_leaves_the_slot_alone() {
    let domain = Domain::new(1);
    let held = domain.lease().expect("free");
    let mut held = Some(held);
    let child = in_child(|| {
        drop(held.take());
        i32::from(domain.try_lease().is_some())
    });
    assert_eq!(child, 0, "the parent still has the only slot");
    drop(held);
    assert_eq!(domain.lease().map(|l| l.cpu()), Some(0));
}

const KIND: ProgramType = ProgramType::RAW_TRACEPOINT;

fn load(backend: &UserBackend, insns: Vec<Insn>) -> Arc<UserProgram> {
    backend.load_program(&ProgramSpec::new(KIND, insns), &[], LoadOptions::default()).expect("accepted")
}

fn run(program: &UserProgram) -> u64 {
    program.run(&mut [0; 96], None, None).unwrap_or(u64::MAX)
}

/// A helper's body forks; the child runs a program, nested as it is, and the parent goes on with its own.
#[test]
fn a_child_of_a_helpers_body_runs_programs() {
    static INNER: OnceLock<Arc<UserProgram>> = OnceLock::new();
    let mut environment = Environment::default();
    environment.add_helper(HelperProto {
        id: EMBEDDER_HELPERS,
        name: "fork",
        args: [Some(Arg { kind: ArgKind::Anything, nullable: false }), None, None, None, None],
        ret: Ret::Integer,
        flags: HelperFlags(HelperFlags::NONE),
        since: (0, 0),
        doc: "Forks.",
    });
    let mut row = *environment.program_type(KIND).expect("Linux has it");
    static IDS: [u32; 2] = [8, EMBEDDER_HELPERS];
    static GROUPS: [skep_abi::HelperGroup; 1] =
        [skep_abi::HelperGroup { capability: skep_abi::Capability::None, ids: &IDS }];
    row.helpers = &GROUPS;
    environment.add_program_type(row);
    let body = |call: &mut skep_vm::HelperCall<'_, '_, '_, '_>| {
        let outer = u64::from(call.vcpu());
        let inner = INNER.get().expect("set");
        // In the parent the inner run is nested, in the child it is not.
        let here = run(inner);
        let child = in_child(|| run(inner) as i32) as u64;
        Ok(u64::from(here == outer && child != outer && child < 2))
    };
    let options =
        UserOptions { cpus: Some(2), environment, helpers: vec![Box::new(body)], ..UserOptions::default() };
    let backend = UserBackend::with_options(options);
    let inner = load(&backend, assemble("call 8\nexit").expect("assembles"));
    assert!(INNER.set(inner).is_ok());
    let fork = Insn::new(0x85, Reg::R0, Reg::R0, 0, EMBEDDER_HELPERS as i32);
    let exit = Insn::new(0x95, Reg::R0, Reg::R0, 0, 0);
    let outer = load(&backend, vec![Insn::new(0xb7, Reg::R1, Reg::R0, 0, 0), fork, exit]);
    for _ in 0..10 {
        assert_eq!(run(&outer), 1);
    }
}

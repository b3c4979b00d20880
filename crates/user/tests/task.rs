//! What programs learn about the thread that runs them is what the system says about it.
#![cfg(target_os = "linux")]

use std::os::unix::fs::MetadataExt;

use skep_abi::ProgramType;
use skep_isa::text::assemble;
use skep_spec::{Backend, LoadOptions, ProgramSpec, RunInput};
use skep_user::UserBackend;

/// Runs a `syscall` program over a context of eight words.
fn run(text: &str, ctx: [u64; 8]) -> [u64; 8] {
    let backend = UserBackend::new();
    let spec = ProgramSpec::new(ProgramType::SYSCALL, assemble(text).expect("well formed"));
    let program = backend.load(&spec, &[], LoadOptions::default()).expect("it verifies");
    let ctx: Vec<u8> = ctx.iter().flat_map(|w| w.to_ne_bytes()).collect();
    let words = program.test_run(RunInput { ctx: &ctx, ..RunInput::default() }).expect("it runs").ctx;
    std::array::from_fn(|i| u64::from_ne_bytes(words[8 * i..8 * i + 8].try_into().expect("eight bytes")))
}

#[test]
fn ids_and_name_of_the_thread() {
    let text = "r6 = r1\ncall 14\n*(u64 *)(r6 + 0) = r0\ncall 15\n*(u64 *)(r6 + 8) = r0\n\
                r1 = r10\nr1 += -16\nr2 = 16\ncall 16\nr1 = *(u64 *)(r10 - 16)\n*(u64 *)(r6 + 16) = r1\n\
                r1 = *(u64 *)(r10 - 8)\n*(u64 *)(r6 + 24) = r1\ncall 35\n*(u64 *)(r6 + 32) = r0\nr0 = 0\nexit\n";
    let thread = std::thread::Builder::new().name("a-thread-of-bees".into());
    let check = move || {
        let [ids, users, name, rest, task, ..] = run(text, [0; 8]);
        assert_eq!(ids >> 32, u64::from(std::process::id()));
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("proc is mounted");
        let field = |name: &str| -> Vec<u64> {
            let line = status.lines().find_map(|l| l.strip_prefix(name)).expect("a line of it");
            line.split_whitespace().map_while(|n| n.parse().ok()).collect()
        };
        assert_eq!(u64::from(ids as u32), field("Pid:")[0]);
        assert_eq!(task, field("Pid:")[0]);
        assert_eq!(users, field("Gid:")[0] << 32 | field("Uid:")[0]);
        assert_eq!([name.to_ne_bytes(), rest.to_ne_bytes()].concat(), b"a-thread-of-bee\0");
    };
    thread.spawn(check).expect("a thread").join().expect("it agrees");
}

#[test]
fn ids_in_the_own_namespace_only() {
    let text = "r6 = r1\nr1 = *(u64 *)(r6 + 0)\nr2 = *(u64 *)(r6 + 8)\nr3 = r10\nr3 += -8\nr4 = 8\ncall 120\n\
                *(u64 *)(r6 + 16) = r0\nr1 = *(u64 *)(r10 - 8)\n*(u64 *)(r6 + 24) = r1\nr0 = 0\nexit\n";
    let ns = std::fs::metadata("/proc/self/ns/pid").expect("proc is mounted");
    let ours = run(text, [ns.dev(), ns.ino(), 0, 0, 0, 0, 0, 0]);
    assert_eq!(ours[2], 0);
    assert_eq!(ours[3] >> 32, u64::from(std::process::id()));
    let other = run(text, [ns.dev(), ns.ino() + 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(other[2..4], [-22i64 as u64, 0]);
}

#[test]
fn control_groups_from_the_root_down() {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (Some(own), true) =
        (groups.lines().find_map(|l| l.strip_prefix("0::/")), mounts.contains(" - cgroup2 "))
    else {
        println!("skipped: no control groups of version 2 here");
        return;
    };
    let depth = own.split('/').filter(|p| !p.is_empty()).count() as u64;
    let text = "r6 = r1\nr1 = *(u64 *)(r6 + 0)\ncall 123\n*(u64 *)(r6 + 8) = r0\ncall 80\n*(u64 *)(r6 + 16) = r0\n\
                r0 = 0\nexit\n";
    let [_, at_depth, own_id, ..] = run(text, [depth, 0, 0, 0, 0, 0, 0, 0]);
    assert_ne!(own_id, 0);
    assert_eq!(at_depth, own_id, "the group is its own ancestor");
    let [_, deeper, ..] = run(text, [depth + 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(deeper, 0);
}

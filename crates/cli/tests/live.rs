//! `skep run` on live packets, in private namespaces where possible.
#![cfg(target_os = "linux")]

mod common;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{code, elements, json_lines, stderr, stdout};

const OBJECT: &str = "examples/protocols/protocols.bpf.o";

fn in_namespace(args: &[&str], script: &str) -> Option<Output> {
    let output = common::skep()
        .args(["run", "--on", "lo"])
        .args(args)
        .args(["--", "sh", "-c", script])
        .output()
        .expect("the command starts");
    if stderr(&output).contains("forbids user namespaces") {
        println!("skipped: {}", stderr(&output).trim());
        return None;
    }
    Some(output)
}

#[test]
fn all_packets_of_a_command_are_counted_in_every_form() {
    for form in [OBJECT, "examples/protocols/protocols.s"] {
        let Some(output) = in_namespace(&["--json", form], "ping -c 3 -i 0.05 127.0.0.1; ping -c 1 ::1")
        else {
            return;
        };
        let reports = json_lines(&output);
        let last = reports.last().expect("a report");
        let counts = elements(last, "packets");
        // Three requests and replies, each seen leaving and arriving; IPv6 has its own chatter.
        assert!(counts.contains(&(1, 12)), "{form}: {counts:?}");
        assert!(counts.iter().any(|c| c.0 == 58 && c.1 >= 4), "{form}: {counts:?}");
        assert_eq!((&last["final"], &last["dropped"], &last["faults"]), (&true.into(), &0.into(), &0.into()));
        assert!(stderr(&output).contains("3 received"), "the command's output goes to stderr");
    }
}

#[test]
fn the_command_s_failure_is_ours() {
    let Some(output) = in_namespace(&[OBJECT], "exit 7") else { return };
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains('7'), "{}", stderr(&output));
    let output = common::skep()
        .args(["run", OBJECT, "--on", "lo", "--", "/no/such/command"])
        .output()
        .expect("the command starts");
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("/no/such/command"), "{}", stderr(&output));
}

#[test]
fn time_and_reports_end_a_run_and_the_command() {
    let start = Instant::now();
    let Some(output) = in_namespace(&["--json", OBJECT, "--for", "300ms"], "sleep 60") else { return };
    assert_eq!(json_lines(&output).len(), 1);
    let Some(output) = in_namespace(&["--json", OBJECT, "--interval", "100ms", "--count", "3"], "sleep 60")
    else {
        return;
    };
    let reports = json_lines(&output);
    assert_eq!((reports.len(), &reports[2]["final"]), (3, &true.into()));
    assert!(start.elapsed() < Duration::from_secs(30), "the sleeping command was not waited for");
}

#[test]
fn ctrl_c_prints_the_final_counts_and_exits_0() {
    let child = common::skep()
        .args(["run", OBJECT, "--json", "--on", "lo", "--interval", "60s", "--", "sleep", "60"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    std::thread::sleep(Duration::from_millis(700));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    let output = child.wait_with_output().expect("it ends");
    if stderr(&output).contains("forbids user namespaces") {
        println!("skipped: {}", stderr(&output).trim());
        return;
    }
    assert!(killed.success());
    let reports = json_lines(&output);
    assert_eq!((reports.len(), &reports[0]["final"]), (1, &true.into()));
}

/// Runs skep as an ordinary user, whoever runs the tests; `None` where that is not possible.
fn as_ordinary_user(args: &[&str]) -> Option<Output> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !is_root {
        return Some(common::skep().args(args).output().expect("the command starts"));
    }
    // A copy that everybody can read and run, wherever the project lies.
    let scratch = common::Scratch::new();
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(""), everyone).expect("our folder");
    let (binary, object) = (scratch.path("skep"), scratch.path("protocols.bpf.o"));
    std::fs::copy(env!("CARGO_BIN_EXE_skep"), &binary).expect("a copy");
    std::fs::copy(common::root().join(OBJECT), &object).expect("a copy");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
        .arg(&binary)
        .args(args.iter().map(|a| if *a == OBJECT { object.to_str().expect("text") } else { *a }))
        .current_dir("/")
        .output();
    match output {
        Ok(output) if !stderr(&output).contains("setpriv:") => Some(output),
        Ok(output) => {
            println!("skipped: {}", stderr(&output).trim());
            None
        }
        Err(e) => {
            println!("skipped: no setpriv: {e}");
            None
        }
    }
}

#[test]
fn without_permission_the_message_names_the_capability_and_the_way_without() {
    let Some(output) = as_ordinary_user(&["run", OBJECT, "--on", "lo", "--for", "1s"]) else { return };
    assert_eq!(code(&output), 1, "{}", stdout(&output));
    let words = stderr(&output);
    assert!(words.contains("CAP_NET_RAW") && words.contains("-- COMMAND"), "{words}");
}

#[test]
fn a_private_namespace_needs_no_privilege() {
    let Some(output) = as_ordinary_user(&[
        "run",
        OBJECT,
        "--json",
        "--on",
        "lo",
        "--",
        "ping",
        "-c",
        "2",
        "-i",
        "0.2",
        "127.0.0.1",
    ]) else {
        return;
    };
    if stderr(&output).contains("forbids user namespaces") {
        println!("skipped: {}", stderr(&output).trim());
        return;
    }
    let reports = json_lines(&output);
    assert_eq!(elements(reports.last().expect("a report"), "packets"), [(1, 8)]);
}

/// The first packet is sent again, the second to an interface that is not there.
const SENDS: &str = "
.map seen type=array key=4 value=8 max_entries=1
.section xdp
main:
    *(u32 *)(r10 - 4) = 0
    r1 = map[seen]
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto pass
    r6 = *(u64 *)(r0 + 0)
    r7 = r6
    r7 += 1
    *(u64 *)(r0 + 0) = r7
    r1 = 1
    if r6 == 0 goto send
    r1 = 12345
    if r6 == 1 goto send
pass:
    r0 = 2
    exit
send:
    r2 = 0
    call bpf_redirect
    exit
";

#[test]
fn redirected_packets_are_sent_if_asked() {
    let scratch = common::Scratch::new();
    let file = scratch.file("sends.s", SENDS);
    let Some(output) = in_namespace(&["--json", "--send", &file], "ping -c 2 -i 0.2 127.0.0.1") else {
        return;
    };
    let reports = json_lines(&output);
    let last = reports.last().expect("a report");
    let sent = serde_json::json!({ "frames": 1, "passed": 0, "dropped": 0, "failed": { "ENXIO": 1 } });
    assert_eq!(last["sent"], sent, "{last}");
    assert_eq!(last["redirects"].as_array().map(Vec::len), Some(2), "{last}");
    assert!(stderr(&output).contains("what is sent back or redirected is sent"), "{}", stderr(&output));
    // Otherwise nobody sends them, and reports say nothing of it.
    let Some(output) = in_namespace(&["--json", &file], "ping -c 2 -i 0.2 127.0.0.1") else { return };
    assert!(json_lines(&output).last().expect("a report")["sent"].is_null());
    assert!(stderr(&output).contains("--send does"), "{}", stderr(&output));
    for (args, words) in [
        (&["run", "--on", "x.pcap", "--send", &file][..], "a capture has no interfaces"),
        (&["run", "--on", "lo", "--send", OBJECT], "programs of this type send nothing"),
        (&["run", "--on", "lo", "--send", "--linux", &file], "--linux"),
    ] {
        let output = common::skep().args(args).output().expect("the command starts");
        let refused = code(&output) == 2 && stderr(&output).contains(words);
        assert!(refused || stderr(&output).contains("no permission"), "{args:?}: {}", stderr(&output));
    }
}

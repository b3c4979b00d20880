//! Programs that name what they are for by their section, against the running kernel. Skipped without root or clang.
#![cfg(target_os = "linux")]

mod common;
use std::process::Command;

use common::{Scratch, code, run, stderr, stdout};
use serde_json::Value as Json;

/// A file of one program in this section, compiled.
fn object(scratch: &Scratch, section: &str) -> Option<String> {
    let text = format!(
        "__attribute__((section(\"{section}\"), used)) int named(unsigned long long *ctx) {{ return 0; }}\n\
         __attribute__((section(\"license\"), used)) char _license[] = \"GPL\";\n"
    );
    let source = scratch.file("named.bpf.c", text);
    let object = scratch.path("named.bpf.o").display().to_string();
    let args = ["-target", "bpf", "-O2", "-g", "-c", &source, "-o", &object];
    let output =
        ["clang-19", "clang"].iter().find_map(|clang| Command::new(clang).args(args).output().ok())?;
    let words = stderr(&output);
    if words.contains("unable to create target") {
        return None; // a clang without BPF
    }
    assert!(output.status.success(), "{words}");
    Some(object)
}

/// Whether the kernel refuses it, and its answer.
fn check(section: &str) -> Option<(i32, Json)> {
    let scratch = Scratch::new();
    let Some(object) = object(&scratch, section) else {
        println!("skipped: no clang for BPF");
        return None;
    };
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        println!("skipped: the kernel does not show its types");
        return None;
    }
    let output = run(["check", "--linux", "--json", &object]);
    if stdout(&output).is_empty() {
        println!("skipped: {}", stderr(&output).trim());
        return None;
    }
    let report: Json = serde_json::from_str(stdout(&output).trim()).expect("one line of JSON");
    let linux = report["linux"].clone();
    assert!(linux["verdict"] == "accepted" || code(&output) == 1, "{report}");
    Some((i32::from(linux["verdict"] != "accepted"), linux))
}

#[test]
fn tracepoints_and_iterators_are_found_in_the_kernels_types() {
    for section in ["tp_btf/sched_switch", "tp_btf/vmlinux:sched_switch", "iter/task", "iter.s/task"] {
        let Some((status, report)) = check(section) else { return };
        assert_eq!((status, &report["verdict"]), (0, &"accepted".into()), "{section}: {report}");
    }
}

#[test]
fn what_the_kernel_does_not_have_is_named() {
    for (section, words) in [
        ("tp_btf/sched_swich", "have a typedef btf_trace_sched_swich; there is sched_switch"),
        ("tp_btf/sched/sched_switch", "have a typedef btf_trace_sched/sched_switch; there is sched_switch"),
        ("tp_btf/bee:sched_switch", "no typedef btf_trace_sched_switch of module bee; there is sched_switch"),
        ("iter/tasks", "have a function bpf_iter_tasks; there is task"),
        ("lsm/file_opened", "have a function bpf_lsm_file_opened; there is file_open"),
        ("fentry/no_such_function_at_all", "have a function no_such_function_at_all"),
        ("tp_btf", "it does not say what it is for: write SEC(\"tp_btf/NAME\")"),
    ] {
        let Some((status, report)) = check(section) else { return };
        assert_eq!(status, 1, "{section}: {report}");
        let message = report["error"]["message"].as_str().expect("a message");
        assert!(message.contains(words), "{section}: {message}");
        assert!(
            message.contains(&format!("SEC(\"{section}\") of program `named`: ")),
            "{section}: {message}"
        );
    }
}

/// Some kernels forbid programs that change their functions, to root too.
#[test]
fn functions_and_hooks_are_accepted_or_forbidden_in_words() {
    for section in ["fentry/do_exit", "lsm/file_open"] {
        let Some((status, report)) = check(section) else { return };
        let message = report["error"]["message"].as_str().unwrap_or_default();
        let forbidden = message.contains("programs for the kernel's own functions");
        let away = message.contains(" have a function "); // a kernel without LSM programs
        assert!(status == 0 || forbidden || away || report["verdict"] == "rejected", "{section}: {report}");
    }
}

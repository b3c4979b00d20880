//! Verdicts.

mod common;
use std::collections::BTreeSet;

use common::{Scratch, code, json_lines, line, run, stderr, stdout};
use serde_json::Value as Json;

const KEYS: [&str; 12] = [
    "file",
    "program",
    "section",
    "verdict",
    "error",
    "insns_processed",
    "time_us",
    "stats",
    "costs",
    "log",
    "linux",
    "agreement",
];
const ERROR_KEYS: [&str; 11] = [
    "code",
    "insn",
    "line",
    "message",
    "required",
    "found",
    "remedy",
    "instruction",
    "source",
    "state",
    "path",
];

/// Reads past the end of a 4-byte stack slot that it never wrote.
const UNINITIALISED: &str =
    ".license GPL\n.section socket\nreader:\nr1 = r10\nr0 = *(u64 *)(r1 - 8)\nr2 = *(u64 *)(r1 + 8)\nexit\n";

#[test]
fn all_examples_are_accepted() {
    let examples = common::root().join("examples");
    let mut files = Vec::new();
    for folder in std::fs::read_dir(examples).expect("examples").flatten() {
        // Crates that embed skep bring helpers of their own, which the command does not have.
        if folder.path().join("Cargo.toml").exists() {
            continue;
        }
        let Ok(inside) = std::fs::read_dir(folder.path()) else { continue };
        files.extend(
            inside
                .flatten()
                .map(|f| f.path())
                .filter(|p| p.extension().is_some_and(|e| e == "o" || e == "s")),
        );
    }
    assert!(files.len() >= 11, "{files:?}");
    let mut args = vec!["check".into(), "--json".into()];
    args.extend(files.iter().map(|f| f.clone().into_os_string()));
    let output = run(args);
    let reports = json_lines(&output);
    assert!(reports.len() >= 17);
    for report in &reports {
        assert_eq!(report["verdict"], "accepted", "{report}");
        assert!(report["error"].is_null() && report["insns_processed"].as_u64() > Some(1), "{report}");
    }
    let seen: BTreeSet<&str> = reports.iter().filter_map(|r| r["file"].as_str()).collect();
    assert_eq!(seen.len(), files.len(), "each file is there under its name");
}

#[test]
fn json_has_exactly_the_documented_keys_in_order() {
    let output = line("check --json examples/protocols/protocols.bpf.o");
    let text = stdout(&output);
    let report: Json = serde_json::from_str(text.trim()).expect("one line of JSON");
    let keys: Vec<&String> = report.as_object().expect("an object").keys().collect();
    assert_eq!(keys, KEYS);
    assert_eq!(report["program"], "count_protocols");
    assert_eq!(report["section"], "socket");
}

#[test]
fn a_rejection_says_which_instruction_and_line() {
    let scratch = Scratch::new();
    let file = scratch.file("bad.s", UNINITIALISED);
    let output = run(["check", "--json", &file]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let report: Json = serde_json::from_str(stdout(&output).trim()).expect("one line of JSON");
    assert_eq!(report["verdict"], "rejected");
    let error = report["error"].as_object().expect("an error");
    assert_eq!(error.keys().collect::<Vec<_>>(), ERROR_KEYS);
    assert_eq!(error["state"][1], serde_json::json!({"name": "R1", "value": "fp0"}), "{report}");
    assert_eq!(error["source"]["line"], error["line"]);
    let (insn, at) = (error["insn"].as_u64().expect("a number"), error["line"].as_u64().expect("a number"));
    assert_eq!(at, insn + 4, "lines 4 and on hold the instructions: {report}");

    let output = run(["check", &file]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert!(text.contains("rejected") && text.contains(&format!("bad.s:{at}")), "{text}");
    let code = error["code"].as_str().expect("a word");
    assert!(text.trim_end().ends_with(&format!("more: skep explain {code}")), "{text}");
    assert!(!text.contains('\x1b'), "no colours in a pipe: {text:?}");
}

#[test]
fn a_program_that_is_refused_does_not_run() {
    let scratch = Scratch::new();
    let file = scratch.file("bad.s", UNINITIALISED);
    for args in [&["run", &file, "--on", "lo", "--for", "1s"][..], &["prog", "run", &file]] {
        let output = run(args);
        assert_eq!(code(&output), 1, "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
        let words = stderr(&output);
        assert!(words.contains("bad.s:") && words.contains("`reader`"), "{args:?}: {words}");
    }
}

#[test]
fn one_bad_program_leaves_the_others_alone() {
    let scratch = Scratch::new();
    let text =
        ".license GPL\n.section nosuch/thing\nodd: r0 = 0\nexit\n.section socket\ngood: r0 = 0\nexit\n";
    let output = run(["check", "--json", &scratch.file("two.s", text)]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    let reports: Vec<Json> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(reports.len(), 2, "{text}");
    assert_eq!((&reports[0]["program"], &reports[0]["verdict"]), (&"odd".into(), &"unsupported".into()));
    assert!(reports[0]["error"]["message"].as_str().is_some_and(|m| m.contains("nosuch/thing")));
    assert_eq!((&reports[1]["program"], &reports[1]["verdict"]), (&"good".into(), &"accepted".into()));
}

#[test]
fn damaged_files_do_not_hide_the_verdicts_of_others() {
    let scratch = Scratch::new();
    let bad = scratch.file("junk.o", "\x7fELFjunk");
    let output = run(["check", "--json", &bad, "examples/protocols/protocols.bpf.o"]);
    assert_eq!(code(&output), 2);
    assert_eq!(stdout(&output).lines().count(), 1);
    assert!(stderr(&output).contains("junk.o"));
}

#[test]
fn unprivileged_rules_are_stricter() {
    let scratch = Scratch::new();
    let file = scratch.file("leak.s", ".section socket\nleak:\nr0 = r10\nexit\n");
    assert_eq!(code(&run(["check", &file])), 0);
    let output = run(["check", "--unprivileged", &file]);
    assert_eq!(code(&output), 1, "{}", stdout(&output));
    assert_eq!(code(&line("check --unprivileged examples/protocols/protocols.bpf.o")), 0);
}

#[test]
fn the_log_has_the_kernel_s_form() {
    let output = line("check --log examples/protocols/protocols.s");
    let text = stdout(&output);
    assert!(text.contains("(85) call bpf_map_lookup_elem#1"), "{text}");
    assert!(text.contains("processed 27 insns (limit 1000000)"), "{text}");
}

#[test]
fn the_kernel_gives_the_same_verdicts() {
    let output = line("check --linux --json examples/protocols/protocols.bpf.o");
    if code(&output) != 0 && stderr(&output).contains("linux backend") {
        println!("skipped: {}", stderr(&output).trim());
        return;
    }
    let reports = json_lines(&output);
    assert_eq!(
        (&reports[0]["verdict"], &reports[0]["linux"]["verdict"]),
        (&"accepted".into(), &"accepted".into())
    );
    assert_eq!(reports[0]["agreement"], "same");
    assert!(reports[0]["linux"]["error"].is_null() && reports[0]["linux"]["log"].is_null());
    let scratch = Scratch::new();
    let output = run(["check", "--linux", "--json", &scratch.file("bad.s", UNINITIALISED)]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let report: Json = serde_json::from_str(stdout(&output).trim()).expect("one line of JSON");
    assert_eq!(report["verdict"], "rejected", "{report}");
    let linux = &report["linux"];
    assert_eq!(
        (&linux["verdict"], &linux["error"]["errno"]),
        (&"rejected".into(), &"EACCES".into()),
        "{report}"
    );
    assert_eq!(linux["error"]["insn"], report["error"]["insn"], "{report}");
    assert_eq!(report["agreement"], "same", "{report}");
    let output = run(["check", "--linux", &scratch.file("bad.s", UNINITIALISED)]);
    assert!(stdout(&output).contains("rejected  by Linux: the same"), "{}", stdout(&output));
    // Logs of both, with the kernel's own time.
    let output = run(["check", "--linux", "--log=4", &scratch.file("bad.s", UNINITIALISED)]);
    assert_eq!(stdout(&output).matches("verification time ").count(), 2, "{}", stdout(&output));
}

#[test]
fn log_levels_are_the_kernel_s() {
    let of = |level: &str| stdout(&line(&format!("check {level} examples/protocols/protocols.s")));
    let lines = |level: &str| of(level).lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines("--log=1").len(), 1, "an accepted program has no path to a refusal: {}", of("--log=1"));
    let statistics = lines("--log=4");
    assert!(
        statistics[0].starts_with("verification time ") && statistics[0].ends_with(" usec"),
        "{statistics:?}"
    );
    assert!(
        statistics[1].starts_with("stack depth ") && statistics[2].starts_with("processed "),
        "{statistics:?}"
    );
    assert_eq!(
        of("--log").lines().skip(1).collect::<Vec<_>>(),
        of("--log=2").lines().skip(1).collect::<Vec<_>>()
    );
    assert!(of("--log").contains("func#0 @0\nLive regs before insn:\n  "), "{}", of("--log"));
    assert_eq!(code(&line("check --log=8 examples/protocols/protocols.s")), 2);
}

#[test]
fn costs_are_told_by_line() {
    let scratch = Scratch::new();
    let text = ".section socket\nspin:\nr0 = 50\nagain: r0 += -1\nif r0 != 0 goto again\nexit\n";
    let file = scratch.file("spin.s", text);
    let output = run(["check", "--json", "--stats", &file]);
    let report: Json = serde_json::from_str(stdout(&output).trim()).expect("one line of JSON");
    let costs = report["costs"].as_array().expect("costs");
    assert_eq!(
        (&costs[0]["steps"], &costs[0]["line"], &costs[0]["insn"]),
        (&50.into(), &4.into(), &1.into())
    );
    let steps: u64 = costs.iter().filter_map(|c| c["steps"].as_u64()).sum();
    assert_eq!(Some(steps), report["insns_processed"].as_u64());
    let words = stdout(&run(["check", "--stats", &file]));
    assert!(words.contains("spin.s:4: again: r0 += -1"), "{words}");
    // Two ways meet with different numbers, on which something rests.
    let text = ".map m type=array key=4 value=64 max_entries=1\n.section socket\nmeet:\nr6 = *(u32 *)(r1 + 0)\n\
                r7 = map[m][0]+0 ll\nr8 = 8\nif r6 > 9 goto join\nr8 = 16\njoin: r7 += r8\n\
                r0 = *(u8 *)(r7 + 0)\nr0 = 0\nexit\n";
    let output = run(["check", "--json", "--stats", &scratch.file("meet.s", text)]);
    let report: Json = serde_json::from_str(stdout(&output).trim()).expect("one line of JSON");
    assert_eq!(report["verdict"], "accepted", "{report}");
}

#[test]
fn codes_are_explained() {
    let all = stdout(&line("explain"));
    assert!(all.lines().count() >= 34 && all.lines().any(|l| l.starts_with("out_of_bounds ")), "{all}");
    for word in ["null_pointer", "error[null_pointer]", "NULL-POINTER"] {
        let output = run(["explain", word]);
        assert_eq!(code(&output), 0, "{word}");
        let text = stdout(&output);
        assert!(text.starts_with("null_pointer: ") && text.contains("\nrefused:\n  .map "), "{text}");
    }
    let output = run(["explain", "nul_pointer"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("no code `nul_pointer`; perhaps null_pointer"), "{}", stderr(&output));
    assert!(stderr(&run(["explain", "zzz"])).contains("`skep explain` lists all"));
}

#[test]
fn symbols_come_from_a_file() {
    let scratch = Scratch::new();
    let file = "crates/object/tests/fixtures/unsupported.bpf.o";
    let with = |text: &str| {
        let symbols = scratch.file("symbols", text);
        let output = run(["check", file, "--json", "--symbols", &symbols]);
        let parse = |l: &str| serde_json::from_str::<Json>(l).expect("JSON");
        let of = |o: &Json| o["program"] == "ksym";
        let error = stdout(&output).lines().map(parse).find(of).map(|o| o["error"].to_string());
        (code(&output), error.unwrap_or_default(), stderr(&output))
    };
    let (_, error, _) = with("ffffffff81000000 T _text\n");
    assert!(error.contains("the kernel has no symbol of this name"), "{error}");
    let (_, error, _) = with("ffffffff81000000 T _text\nffffffff82000000 D init_task\n");
    assert!(!error.contains("symbol"), "{error}");
    let (_, error, _) = with("ffffffff82000000 d init_task.llvm.123\t[mod]\n");
    assert!(!error.contains("symbol"), "{error}");
    let (status, _, words) = with("ffffffff81000000 T _text\nnonsense\n");
    assert_eq!(status, 2, "{words}");
    assert!(words.contains("symbols`, line 2: no symbol as /proc/kallsyms has them"), "{words}");
}

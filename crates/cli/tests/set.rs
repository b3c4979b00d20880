//! `--set`: global variables before loading.

mod common;
use common::{Scratch, capture, code, json_lines, line, mixed, stderr, stdout};

const OBJECT: &str = "crates/object/tests/fixtures/variables.bpf.o";

fn big_endian() -> bool {
    let big = cfg!(target_endian = "big");
    if big {
        println!("skipped: the object is for little-endian machines");
    }
    big
}

/// Where there is the kernel, `--linux` too.
fn backends() -> Vec<&'static str> {
    match skep::Backend::linux() {
        Ok(_) => vec!["", " --linux"],
        Err(e) => {
            println!("skipped: {e}");
            vec![""]
        }
    }
}

#[test]
fn a_constant_changes_the_verdict() {
    if big_endian() {
        return;
    }
    for linux in backends() {
        let verdicts = |set: &str| {
            let output = line(&format!("check --json {OBJECT}{linux}{set}"));
            let lines = stdout(&output);
            let verdict = |l: &str| {
                let report: serde_json::Value = serde_json::from_str(l).expect("JSON");
                format!("{} {}", report["program"].as_str().unwrap(), report["verdict"].as_str().unwrap())
            };
            lines.lines().map(verdict).collect::<Vec<_>>()
        };
        let (all, pick, guarded) = (
            ["pick accepted", "guarded accepted", "tally accepted"],
            ["pick rejected", "guarded accepted", "tally accepted"],
            ["pick accepted", "guarded rejected", "tally accepted"],
        );
        assert_eq!(verdicts(""), all, "{linux}");
        assert_eq!(verdicts(" --set which=3"), all, "{linux}");
        assert_eq!(verdicts(" --set which=4"), pick, "{linux}");
        assert_eq!(verdicts(" --set broken=true"), guarded, "{linux}");
        // The last one counts.
        assert_eq!(verdicts(" --set broken=true --set which=9 --set broken=false"), pick, "{linux}");
    }
}

#[test]
fn runs_have_the_values() {
    if big_endian() {
        return;
    }
    let scratch = Scratch::new();
    let packet = scratch.file("packet", [0; 64]);
    for linux in backends() {
        let run = |name: &str, set: &str| {
            let output = line(&format!("prog run {OBJECT} {name} data_in {packet} --json{linux} {set}"));
            json_lines(&output)[0]["retval"].as_i64().expect("a number") as u32
        };
        assert_eq!(run("pick", "--set which=2"), 12, "{linux}");
        assert_eq!(run("pick", "--set table={1,2,3} --set which=2"), 3, "{linux}");
        assert_eq!(run("tally", "--set config.high=-7"), -7i32 as u32, "{linux}");
        assert_eq!(run("tally", "--set least=0 --set config.address.octets[1]=200"), 200, "{linux}");
    }
}

#[test]
fn reports_show_variables_by_name() {
    if big_endian() {
        return;
    }
    let scratch = Scratch::new();
    let packets = scratch.file("mixed.pcap", capture(&mixed()));
    let set = "--set config.mode=MODE_COUNT --set sum=3 --set config.limits[1].rate=10";
    for linux in backends() {
        let report = &json_lines(&line(&format!("run {OBJECT} tally --on {packets} --json {set}{linux}")))[0];
        let bss = &report["maps"]["variable.bss"][0]["value"];
        assert_eq!(bss["count"], 20, "{linux}: {report}");
        assert_eq!(bss["sum"], 203);
        assert_eq!(bss["last_mode"], "MODE_COUNT");
        assert_eq!(report["maps"][".data.own"][0]["value"]["calls"], 120);
    }
    let output = line(&format!("run {OBJECT} tally --on {packets} {set}"));
    assert!(stdout(&output).contains("{.count = 20, .sum = 203, .last_mode = MODE_COUNT, .hidden = 40}"));
    let output = line(&format!("map dump {OBJECT} --on {packets} --program tally .data.own --set calls=1"));
    assert!(stdout(&output).contains("\"calls\": 21"), "{}", stdout(&output));
}

#[test]
fn what_does_not_fit_is_wrong_usage() {
    if big_endian() {
        return;
    }
    for (set, words) in [
        ("which", "--set which: write VARIABLE=VALUE"),
        (
            "which=-1",
            "--set which=-1: variable `which` (const volatile __u32, .rodata): -1 does not fit into",
        ),
        (
            "nothing=1",
            "--set nothing=1: `crates/object/tests/fixtures/variables.bpf.o` has no variable `nothing`",
        ),
        ("config.mode=UP", "MODE_OFF, MODE_COUNT, MODE_DROP or a number from 0 to 4294967295"),
        ("which=1x", "`1x` is no number"),
    ] {
        let output = line(&format!("check {OBJECT} --set {set}"));
        assert_eq!(code(&output), 2, "{set}");
        assert!(stderr(&output).contains(words), "{set}: {}", stderr(&output));
    }
    let scratch = Scratch::new();
    let text = scratch.file("a.s", ".section socket\nmain:\nr0 = 0\nexit\n");
    let output = line(&format!("check {text} --set a=1"));
    assert!(stderr(&output).contains("has no variable `a`"), "{}", stderr(&output));
}

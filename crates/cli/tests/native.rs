//! `skep prog show` and `skep prog dump FILE jited`: what is told of native code.

mod common;
use common::{Scratch, code, json_lines, line, stderr, stdout};

const FILE: &str = "examples/calls/calls.bpf.o";

/// Whether programs get native code here; says so if not.
fn native() -> bool {
    let here = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    if !here {
        println!("skipped: native code is told as text on x86-64");
    }
    here
}

#[test]
fn programs_show_their_engine_size_and_time() {
    if !native() {
        return;
    }
    let all = json_lines(&line(&format!("prog show {FILE} --json"))).remove(0);
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), 3);
    for program in all {
        assert_eq!(program["jited"], true, "{program}");
        assert_eq!(program["engine"], "jit", "{program}");
        assert!(program["bytes_jited"].as_u64().is_some_and(|n| n > 16), "{program}");
        assert!(program["compile_us"].as_f64().is_some_and(|n| n > 0.0), "{program}");
        assert!(program["bytes_xlated"].as_u64().is_some_and(|n| n > 16), "{program}");
    }
    let out = line(&format!("prog show {FILE} count_large"));
    let text = stdout(&out);
    assert_eq!(code(&out), 0, "{}", stderr(&out));
    assert!(text.contains("  jited ") && text.contains("engine jit  compiled in "), "{text}");
    assert_eq!(text.matches("name ").count(), 1, "{text}");
}

#[test]
fn who_asks_for_the_interpreter_is_told_so() {
    let all = json_lines(&line(&format!("prog show {FILE} --json --engine interpreter"))).remove(0);
    for program in all.as_array().expect("a list") {
        assert_eq!(program["jited"], false, "{program}");
        assert_eq!(program["engine"], "interpreter", "{program}");
        assert_eq!(program["interpreted_because"], "the interpreter was asked for", "{program}");
        assert!(program.get("bytes_jited").is_none_or(|n| n == 0), "{program}");
    }
    let text = stdout(&line(&format!("prog show {FILE} --engine interpreter")));
    assert!(text.contains("not jited") && text.contains("(the interpreter was asked for)"), "{text}");
}

#[test]
fn native_code_stands_beside_instructions_and_lines() {
    if !native() {
        return;
    }
    let out = line(&format!("prog dump {FILE} count_large jited opcodes linum"));
    let text = stdout(&out);
    assert_eq!(code(&out), 0, "{}", stderr(&out));
    assert!(text.starts_with("count_large:\n   0:\t"), "{text}");
    assert!(text.contains("; if (len < 128) [file:") && text.contains("line_num:16 line_col:"), "{text}");
    assert!(text.contains("(a6) if w1 < 0x80 goto"), "{text}");
    let [all] = &json_lines(&line(&format!("prog dump {FILE} count_large jited opcodes --json")))[..] else {
        panic!("one line")
    };
    let insns = all[0]["insns"].as_array().expect("a list");
    let bytes: usize = insns.iter().map(|i| i["opcodes"].as_array().map_or(0, Vec::len)).sum();
    assert!(bytes > 16, "{all}");
    let told = insns.iter().find(|i| i["src"] == "if (len < 128)").expect("the line");
    assert_eq!(told["slot"], 16, "{told}");
    assert!(told["operation"].as_str().is_some_and(|o| o.starts_with("cmp")), "{told}");
}

/// The bytes alone are as many as `prog show` says.
#[test]
fn native_code_goes_into_a_file() {
    if !native() {
        return;
    }
    let scratch = Scratch::new();
    let to = scratch.path("code").display().to_string();
    let out = line(&format!("prog dump {FILE} count_large jited file {to}"));
    assert_eq!(code(&out), 0, "{}", stderr(&out));
    let bytes = std::fs::read(&to).expect("written").len() as u64;
    let shown = json_lines(&line(&format!("prog show {FILE} count_large --json"))).remove(0);
    let all = shown[0]["bytes_jited"].as_u64().expect("a number");
    assert!(bytes > 16 && bytes <= all, "{bytes} of {all}");
}

#[test]
fn without_native_code_there_is_nothing_to_dump() {
    let out = line(&format!("prog dump {FILE} count_large jited visual"));
    assert_ne!(code(&out), 0);
    assert!(stderr(&out).contains("xlated visual"), "{}", stderr(&out));
}

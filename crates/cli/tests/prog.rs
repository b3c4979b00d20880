//! `skep prog run`: packets and contexts in and out, bpftool's words, traces.

mod common;
use common::{Scratch, code, ipv4, json_lines, line, run, stderr, stdout};
use serde_json::{Value as Json, json};

/// Keeps what `cb` and `mark` of the context say, and counts in `cb[1]`.
const CONTEXT: &str = ".license GPL\n.section socket\nmain:\nr2 = *(u32 *)(r1 + 48)\nr3 = *(u32 *)(r1 + 8)\n\
    *(u32 *)(r1 + 52) = r2\nr0 = r2\nr0 += r3\nexit\n";

/// Swaps the first two bytes of a packet.
const SWAP: &str = ".license GPL\n.section xdp\nswap:\nr2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\n\
    r4 += 2\nif r4 > r3 goto out\nr4 = *(u8 *)(r2 + 0)\nr5 = *(u8 *)(r2 + 1)\n*(u8 *)(r2 + 0) = r5\n\
    *(u8 *)(r2 + 1) = r4\nout:\nr0 = 2\nexit\n";

/// Looks a value of an array and one of a hash up, with a function in between.
const MAPS: &str = ".license GPL
.map numbers type=array key=4 value=16 max_entries=3
.map table type=hash key=4 value=8 max_entries=4
.section socket
main:
    r6 = 2
    *(u32 *)(r10 - 4) = r6
    r2 = r10
    r2 += -4
    r1 = map[numbers] ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r7 = r0
    r7 += 8
    r1 = map[table] ll
    r2 = r10
    r2 += -4
    r3 = r7
    r4 = 0
    call bpf_map_update_elem
    r1 = map[table] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r8 = r0
    call twice
    r0 = 7
out:
    exit
twice:
    r2 = r10
    r0 = 0
    exit
";

/// Sends a copy into interface 1 and redirects the packet to a next hop behind interface 7.
const REDIRECT: &str = ".license GPL\n.section tc\nmain:\nr2 = 1\nr3 = 1\ncall bpf_clone_redirect\n\
    r1 = 2\n*(u32 *)(r10 - 24) = r1\nr1 = 0x0201000a\n*(u32 *)(r10 - 20) = r1\nr1 = 0\n\
    *(u64 *)(r10 - 16) = r1\n*(u32 *)(r10 - 8) = r1\nr1 = 7\nr2 = r10\nr2 += -24\nr3 = 20\nr4 = 0\n\
    call bpf_redirect_neigh\nexit\n";

struct Files {
    scratch: Scratch,
    packet: String,
}

impl Files {
    fn new() -> Self {
        let scratch = Scratch::new();
        let packet = scratch.file("packet.bin", ipv4(6, 60));
        Self { scratch, packet }
    }

    fn out(&self, name: &str) -> String {
        self.scratch.path(name).display().to_string()
    }
}

fn read_json(file: &str) -> Json {
    serde_json::from_slice(&std::fs::read(file).expect("written")).expect("JSON")
}

#[test]
fn options_and_bpftools_words_mean_the_same() {
    let files = Files::new();
    let program = files.scratch.file("swap.s", SWAP);
    let packet = &files.packet;
    let (a, b) = (files.out("a.bin"), files.out("b.bin"));
    for args in [
        vec!["prog", "run", &program, "--data-in", packet, "--data-out", &a, "--repeat", "3"],
        vec!["prog", "run", &program, "swap", "data_in", packet, "data_out", &b, "repeat", "3"],
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert!(stdout(&output).starts_with("Return value: 2, duration (average): "), "{}", stdout(&output));
    }
    let (a, b) = (std::fs::read(a).expect("written"), std::fs::read(b).expect("written"));
    assert_eq!(a, b);
    // Three times swapped is once swapped.
    assert_eq!((a[0], a[1], a.len()), (0, 2, 60));
}

#[test]
fn where_the_packet_goes_is_shown() {
    let files = Files::new();
    let program = files.scratch.file("redirect.s", REDIRECT);
    let output = run(["prog", "run", &program, "--data-in", &files.packet]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("Return value: 7, "), "{text}");
    assert_eq!(
        lines[1..],
        ["Copy to interface 1, ingress: 60 bytes", "Redirect to interface 7, next hop 10.0.1.2"]
    );
    let report = json_lines(&run(["prog", "run", &program, "--data-in", &files.packet, "--json"])).remove(0);
    assert_eq!(report["redirect"], json!({ "ifindex": 7, "to": "next_hop", "next_hop": "10.0.1.2" }));
    assert_eq!(report["clones"], json!([{ "ifindex": 1, "to": "ingress", "len": 60 }]));
}

#[test]
fn a_dash_is_stdin_and_stdout() {
    use std::io::Write;
    use std::process::Stdio;
    let files = Files::new();
    let program = files.scratch.file("swap.s", SWAP);
    let mut child = common::skep()
        .args(["prog", "run", &program, "data_in", "-", "data_out", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    child.stdin.take().expect("piped").write_all(&ipv4(6, 60)).expect("it reads");
    let report = json_lines(&child.wait_with_output().expect("it ends")).remove(0);
    assert_eq!((&report["retval"], &report["data_out"][1]), (&json!(2), &json!("0x02")));
    assert_eq!(report["data_out"].as_array().map(Vec::len), Some(60));
    assert!(report["duration"].is_u64() && report.get("ctx_out").is_none());
    let output = run(["prog", "run", &program, "data_in", &files.packet, "data_out", "-"]);
    assert!(stdout(&output).starts_with("0000000\t0002 0000 0001 0200"), "{}", stdout(&output));
    assert_eq!(code(&run(["prog", "run", &program, "data_in", "-", "ctx_in", "-"])), 2);
}

/// Whether the kernel can be asked.
fn kernel() -> bool {
    let usable = skep::Backend::linux().is_ok();
    if !usable {
        println!("skipped: bpf(2) cannot be used here");
    }
    usable
}

#[test]
fn contexts_are_json_by_name() {
    let files = Files::new();
    let program = files.scratch.file("ctx.s", CONTEXT);
    let ctx = files.scratch.file("in.json", r#"{"mark": 7, "cb": [5], "ingress_ifindex": 1}"#);
    let backends: &[&[&str]] = if kernel() { &[&[], &["--linux"]] } else { &[&[]] };
    for (i, backend) in backends.iter().enumerate() {
        let out = files.out(&format!("{i}.json"));
        let mut args = vec!["prog", "run", &program, "--data-in", &files.packet, "--json"];
        args.extend(["--ctx-in", &ctx, "--ctx-out", &out]);
        args.extend(*backend);
        let report = json_lines(&run(&args)).remove(0);
        assert_eq!(report["retval"], 12, "{backend:?}");
        let left = read_json(&out);
        assert_eq!((&left["mark"], &left["cb"]), (&json!(7), &json!([5, 5, 0, 0, 0])), "{backend:?}");
        assert!(left.get("sk").is_none(), "no pointers: {left}");
    }
    let record = files.scratch.file("args.json", r#"{"a": 100, "b": 75}"#);
    let out = files.out("args_out.json");
    let args =
        ["prog", "run", "examples/syscall/syscall.bpf.o", "divide", "ctx_in", &record, "ctx_out", &out];
    assert_eq!(code(&run(args)), 0);
    assert_eq!(read_json(&out), json!({ "a": 100, "b": 75, "gcd": 25, "quotient": 1 }));
}

#[test]
fn what_is_wrong_with_files_is_told() {
    let files = Files::new();
    let program = files.scratch.file("ctx.s", CONTEXT);
    let syntax = files.scratch.file("syntax.json", "{\"mark\": ");
    let field = files.scratch.file("field.json", r#"{"mrak": 1}"#);
    let range = files.scratch.file("range.json", r#"{"mark": 4294967296}"#);
    let pointer = files.scratch.file("pointer.json", r#"{"sk": 1}"#);
    let binary = files.scratch.file("binary.json", [0xff, 0xfe]);
    for (args, words) in [
        (vec!["--data-in", "nosuch.bin"], vec!["nosuch.bin"]),
        (vec!["ctx_in", "nosuch.json"], vec!["nosuch.json"]),
        (vec!["ctx_in", &syntax], vec!["syntax.json", "no JSON"]),
        (vec!["ctx_in", &field], vec!["field.json", "`mrak`", "mark"]),
        (vec!["ctx_in", &range], vec!["range.json", "`mark`"]),
        (vec!["ctx_in", &pointer], vec!["pointer.json", "`sk`", "pointer"]),
        (vec!["ctx_in", &binary], vec!["binary.json"]),
        (vec!["nosuch"], vec!["`nosuch`", "main"]),
        (vec!["main", "data"], vec!["`data`", "data_in"]),
        (vec!["main", "data_in"], vec!["`data_in`"]),
        (vec!["repeat", "none"], vec!["`repeat`"]),
        (vec!["data_out", "/nosuch/folder/out.bin"], vec!["/nosuch/folder/out.bin"]),
        (vec!["ctx_out", "/nosuch/folder/out.json"], vec!["/nosuch/folder/out.json"]),
        (vec!["--trace", "--linux"], vec!["--trace"]),
    ] {
        let mut all = vec!["prog", "run", &program];
        all.extend(args.iter().map(|a| &**a));
        if !all.contains(&"--data-in") && !all.contains(&"data_in") {
            all.extend(["--data-in", &files.packet]);
        }
        let output = run(&all);
        assert_eq!(code(&output), 2, "{all:?}: {}", stderr(&output));
        for word in words {
            assert!(stderr(&output).contains(word), "{all:?}: {}", stderr(&output));
        }
    }
    // The room that bpftool's words bound.
    let output = run([
        "prog",
        "run",
        &program,
        "data_in",
        &files.packet,
        "data_out",
        &files.out("x"),
        "data_size_out",
        "59",
    ]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("60 bytes"), "{}", stderr(&output));
}

#[test]
fn a_trace_shows_lines_and_what_instructions_changed() {
    let files = Files::new();
    let args = ["prog", "run", "examples/protocols/protocols.bpf.o", "--data-in", &files.packet, "--trace"];
    let text = stdout(&run(args));
    for wanted in [
        "count_protocols: r1=ctx r10=fp\n",
        "; int count_protocols(struct __sk_buff *skb) @ ./protocols/protocols.bpf.c:",
        "r6=ctx\n",
        "exit\n",
        "Return value: ",
    ] {
        assert!(text.contains(wanted), "{wanted:?} in {text}");
    }
    // A line that says the same as the one before is not printed again.
    let sources: Vec<&str> = text.lines().filter(|l| l.starts_with(';')).collect();
    assert!(sources.windows(2).all(|w| w[0] != w[1]), "{text}");
}

#[test]
fn pointers_of_a_trace_have_names() {
    let files = Files::new();
    let program = files.scratch.file("maps.s", MAPS);
    let output = run(["prog", "run", &program, "main", "--data-in", &files.packet, "--trace"]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let changed = |insn: &str| -> Vec<&str> {
        let mut lines = text.lines().filter(|l| !l.starts_with(';'));
        let line = lines.find(|l| l.contains(insn)).unwrap_or_else(|| panic!("{insn} in {text}"));
        line.split(insn).nth(1).expect("split there").split_whitespace().collect()
    };
    assert_eq!(changed("r2 += -4"), ["r2=fp-4"]);
    assert!(text.contains("r1=map numbers\n"), "{text}");
    assert_eq!(changed("r7 = r0").join(" "), "r7=map numbers[2] value+0");
    assert_eq!(changed("r7 += 8").join(" "), "r7=map numbers[2] value+8");
    assert_eq!(changed("r8 = r0").join(" "), "r8=map table value+0");
    assert_eq!(changed("r6 = 2"), ["r6=0x2"]);
    // The function's frame is one deeper.
    assert!(text.contains("\n    27: (bf) r2 = r10 "), "{text}");
}

#[test]
fn a_trace_as_json_has_an_object_for_each_instruction() {
    let files = Files::new();
    let program = files.scratch.file("maps.s", MAPS);
    let lines =
        json_lines(&run(["prog", "run", &program, "main", "data_in", &files.packet, "--trace", "-j"]));
    let (last, steps) = lines.split_last().expect("a report");
    assert_eq!(last["retval"], 7);
    assert_eq!(steps[0]["program"], "main");
    assert_eq!(steps[0]["given"]["r1"]["place"], "ctx");
    let steps = &steps[1..];
    assert!(
        steps.iter().all(|s| s["pc"].is_u64() && s["insn"].is_string() && s["line"].is_u64()),
        "{steps:?}"
    );
    assert_eq!(steps[0]["changed"]["r6"], json!({ "value": "0x2" }));
    let deep: Vec<&Json> = steps.iter().filter(|s| s["depth"] == 1).collect();
    assert_eq!(deep.len(), 3);
    assert_eq!(deep[0]["changed"]["r2"]["place"], "fp");
    assert_eq!(steps.last().expect("there are some")["insn"], "(95) exit");
}

#[test]
fn a_run_that_fails_is_traced_up_to_there() {
    let files = Files::new();
    // The record is shorter than the program believes.
    let record = files.scratch.file("short.bin", [1; 8]);
    let output = run(["prog", "run", "examples/syscall/syscall.bpf.o", "ctx_in", &record, "--trace"]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).lines().count() > 1, "{}", stdout(&output));
    assert!(stderr(&output).contains("too short"), "{}", stderr(&output));
    let output = line("prog run examples/tailcalls/tailcalls.bpf.o --data-in Cargo.toml");
    assert_eq!(code(&output), 2, "several programs: {}", stderr(&output));
}

#[test]
fn tail_calls_are_followed_in_a_trace() {
    let files = Files::new();
    // A test run takes the Ethernet header off before a socket filter sees the packet: one more of them.
    let packet = files.scratch.file("double.bin", [&ipv4(6, 60)[..14], &ipv4(6, 60)].concat());
    let object = skep::Object::open(common::root().join("examples/tailcalls/tailcalls.bpf.o"));
    let object = object.expect("the example");
    let mut entered = Vec::new();
    for entry in object.programs() {
        let args = ["prog", "run", "examples/tailcalls/tailcalls.bpf.o", &entry.name];
        let output = run(args.iter().copied().chain(["--data-in", &packet, "--trace"]));
        assert_eq!(code(&output), 0, "{}: {}", entry.name, stderr(&output));
        let text = stdout(&output);
        entered.push(text.lines().filter(|l| l.ends_with(": r1=ctx r10=fp")).count());
    }
    assert!(entered.iter().any(|n| *n > 1), "one program of the example reaches another: {entered:?}");
}

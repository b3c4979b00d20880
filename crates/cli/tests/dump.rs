//! `skep prog dump`: listings in bpftool's form, and control-flow graphs.

mod common;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use common::{Scratch, code, json_lines, line, root, run, stderr, stdout};
use serde_json::json;
use skep::abi::ProgramType;
use skep::isa::{CallTarget, Op, decode};
use skep::spec::{Environment, ProgramSpec};
use skep::verifier::{Options, verify};
use skep::{Object, isa};

/// A graph as its text says it.
#[derive(Debug, Default)]
struct Dot {
    /// Node and its label.
    nodes: BTreeMap<String, String>,
    /// From, to, and the attributes.
    edges: Vec<(String, String, String)>,
    clusters: Vec<String>,
}

impl Dot {
    /// Reads what the command writes: a statement a line, braces balanced.
    fn parse(text: &str) -> Self {
        let mut dot = Self::default();
        let mut depth = 0;
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            assert!(depth > 0 || n == 0, "text behind the graph: {line}");
            if line.ends_with('{') {
                depth += 1;
                assert_eq!(n == 0, line.starts_with("digraph "), "{line}");
                continue;
            }
            if line == "}" {
                depth -= 1;
                continue;
            }
            let line = line.strip_suffix(';').unwrap_or_else(|| panic!("no semicolon: {line}"));
            if let Some(label) = line.strip_prefix("label=") {
                dot.clusters.push(label.trim_matches('"').to_owned());
                continue;
            }
            let (head, attributes) = line.split_once(" [").unwrap_or_else(|| panic!("no attributes: {line}"));
            let attributes = attributes.strip_suffix(']').expect("closed");
            let quotes = attributes.replace("\\\\", "").replace("\\\"", "").matches('"').count();
            assert_eq!(quotes % 2, 0, "{attributes}");
            match head.split_once(" -> ") {
                Some((a, b)) => dot.edges.push((a.into(), b.into(), attributes.into())),
                None if head == "node" || head == "edge" => {}
                None => {
                    let twice = dot.nodes.insert(head.into(), attributes.into());
                    assert!(twice.is_none(), "{head} stands twice");
                }
            }
        }
        assert_eq!(depth, 0, "braces balance");
        for (a, b, _) in &dot.edges {
            assert!(dot.nodes.contains_key(a) && dot.nodes.contains_key(b), "{a} -> {b}");
        }
        dot
    }

    fn back_edges(&self) -> BTreeSet<(&str, &str)> {
        let back = self.edges.iter().filter(|e| e.2.contains("back-edge"));
        back.map(|(a, b, attributes)| {
            assert!(attributes.contains("color=red"), "{attributes}");
            (a.as_str(), b.as_str())
        })
        .collect()
    }
}

fn visual(file: &str, program: &str) -> String {
    let output = run(["prog", "dump", file, program, "xlated", "visual"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output)
}

/// Where each instruction may lead, by the instruction set alone: calls go on behind, and into the function.
fn successors(insns: &[isa::Insn]) -> BTreeSet<(usize, usize)> {
    let mut all = BTreeSet::new();
    let mut pc = 0;
    while pc < insns.len() {
        let op = decode(insns, pc).expect("compilers write instructions");
        let next = pc + op.slots();
        let to = |off: i32| (pc as i64 + 1 + i64::from(off)) as usize;
        match op {
            Op::Exit => {}
            Op::Jump { off, .. } => drop(all.insert((pc, to(off)))),
            Op::JumpIf { off, .. } => all.extend([(pc, next), (pc, to(off.into()))]),
            Op::Call(CallTarget::Subprog(off)) => all.extend([(pc, next), (pc, to(off))]),
            _ => drop(all.insert((pc, next))),
        }
        pc = next;
    }
    all
}

/// Nodes and edges of the picture are the instructions and successors of the program: no more, no less.
#[test]
fn the_graph_of_every_example_is_its_programs() {
    for name in ["protocols", "loops", "calls", "flows", "tailcalls", "syscall", "events", "xdp_filter"] {
        let file = format!("examples/{name}/{name}.bpf.o");
        let object = Object::open(root().join(&file)).expect("an example");
        for entry in object.programs() {
            let spec = entry.spec.as_ref().expect("usable");
            let dot = Dot::parse(&visual(&file, &entry.name));
            let mut shown = BTreeSet::new();
            let mut ends = BTreeMap::new();
            let mut count = 0;
            for (node, label) in &dot.nodes {
                let insns: Vec<usize> = label
                    .trim_start_matches("label=\"")
                    .split("\\l")
                    .filter_map(|l| l.trim().split(':').next()?.parse().ok())
                    .collect();
                assert_eq!(*node, format!("b{}", insns[0]));
                assert!(!label.contains("unreachable"), "{label}");
                count += insns.len();
                shown.extend(insns.windows(2).map(|w| (w[0], w[1])));
                ends.insert(node.clone(), *insns.last().expect("not empty"));
            }
            for (from, to, attributes) in &dot.edges {
                let to = to[1..].parse().expect("a slot");
                let called = attributes.split("call at ").nth(1).and_then(|t| t.split('"').next());
                let from = called.map_or(ends[from], |pc| pc.parse().expect("a slot"));
                assert!(shown.insert((from, to)), "{from} -> {to} stands twice");
            }
            assert_eq!(shown, successors(&spec.insns), "{name} {}", entry.name);
            let slots: usize = skep::isa::decode_all(&spec.insns).flatten().count();
            assert_eq!(count, slots);
            assert_eq!(dot.clusters[0], entry.name);
        }
    }
}

/// Edges whose target stands on every way to their source: with the loops that compilers write, exactly those that close
/// one.
fn loops(dot: &Dot) -> BTreeSet<(&str, &str)> {
    let inner: Vec<(&str, &str)> = dot
        .edges
        .iter()
        .filter(|e| !e.2.contains("call at"))
        .map(|(a, b, _)| (a.as_str(), b.as_str()))
        .collect();
    let all: BTreeSet<&str> = dot.nodes.keys().map(String::as_str).collect();
    let entries: BTreeSet<&str> =
        all.iter().filter(|n| inner.iter().all(|(_, b)| b != *n)).copied().chain(["b0"]).collect();
    let mut over: BTreeMap<&str, BTreeSet<&str>> = all.iter().map(|n| (*n, all.clone())).collect();
    over.extend(entries.iter().map(|n| (*n, BTreeSet::from([*n]))));
    loop {
        let before = over.clone();
        for n in all.iter().filter(|n| !entries.contains(*n)) {
            let ways = inner.iter().filter(|(_, b)| b == n).map(|(a, _)| before[a].clone());
            let mut common = ways.reduce(|a, b| &a & &b).unwrap_or_default();
            common.insert(n);
            over.insert(n, common);
        }
        if over == before {
            return inner.into_iter().filter(|(a, b)| over[a].contains(b)).collect();
        }
    }
}

/// A loop object shows exactly the edges that close its loops; the verifier's rules for the unprivileged refuse one of
/// them by its ends, and no program without.
#[test]
fn back_edges_are_those_that_the_verifier_refuses() {
    let mut looping = 0;
    for name in ["loops", "protocols", "xdp_filter", "flows"] {
        let file = format!("examples/{name}/{name}.bpf.o");
        let object = Object::open(root().join(&file)).expect("the example");
        for entry in object.programs() {
            let spec = entry.spec.as_ref().expect("usable");
            let text = visual(&file, &entry.name);
            let dot = Dot::parse(&text);
            let back = dot.back_edges();
            assert_eq!(back, loops(&dot), "{}", entry.name);
            looping += back.len();
            let spec = ProgramSpec { prog_type: ProgramType::SOCKET_FILTER, ..(**spec).clone() };
            let refused = match verify(&spec, &Environment::unprivileged(), &Options::default()) {
                Ok(_) => None,
                Err(r) if r.message().contains("back-edge") => Some(r.message().to_owned()),
                Err(_) => None,
            };
            assert_eq!(refused.is_some(), !back.is_empty(), "{}: {refused:?}", entry.name);
            if let Some(words) = refused {
                let target = words.rsplit(' ').next().expect("a slot");
                assert!(back.iter().any(|(_, to)| *to == format!("b{target}")), "{words}: {back:?}");
            }
        }
    }
    assert_eq!(looping, 1, "the examples have one loop that the compiler did not unroll");
}

#[test]
fn dead_code_and_wild_jumps_are_marked() {
    let scratch = Scratch::new();
    let text = ".section socket\nmain:\nr0 = 0\nif r0 == 1 goto +100\nexit\nr0 = 7\nexit\n";
    let file = scratch.file("dead.s", text);
    let dot = Dot::parse(&visual(&file, "main"));
    assert!(dot.nodes["b3"].contains("unreachable") && dot.nodes["b3"].contains("lightgrey"), "{dot:?}");
    assert!(dot.edges.iter().any(|e| e.1 == "outside" && e.2.contains("true")), "{dot:?}");
    let graph = json_lines(&run(["prog", "dump", &file, "xlated", "visual", "-j"])).remove(0);
    let blocks = graph["functions"][0]["blocks"].as_array().expect("blocks");
    assert_eq!(blocks.len(), 3);
    assert_eq!((&blocks[2]["reachable"], &blocks[0]["edges"][1]["to"]), (&json!(false), &json!(null)));
    assert_eq!(blocks[0]["edges"][0], json!({ "kind": "false", "from": 1, "to": 2, "back": false }));
}

/// Graphviz itself takes the text, where it is installed.
#[test]
fn graphviz_reads_it() {
    let child = Command::new("dot").arg("-Tplain").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("skipped: no `dot` here");
        return;
    };
    let text = visual("examples/calls/calls.bpf.o", "count_large");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("dot reads");
    let output = child.wait_with_output().expect("dot ends");
    assert!(output.status.success());
    let nodes = String::from_utf8_lossy(&output.stdout).lines().filter(|l| l.starts_with("node ")).count();
    assert_eq!(nodes, Dot::parse(&text).nodes.len());
}

#[test]
fn listings_are_bpftools() {
    let text = stdout(&line("prog dump examples/calls/calls.bpf.o count_large xlated linum opcodes"));
    let wanted = "int count_large(struct __sk_buff * skb):\n\
        ; int count_large(struct __sk_buff *skb) [file:./calls/calls.bpf.c line_num:49 line_col:0]\n   \
        0: (bf) r6 = r1\n       bf 16 00 00 00 00 00 00\n";
    assert!(text.starts_with(wanted), "{text}");
    assert!(
        text.contains("#is_large\n") && text.contains("\nint is_large(struct __sk_buff * skb):\n"),
        "{text}"
    );
    let plain = stdout(&line("prog dump examples/calls/calls.bpf.o count_large xlated"));
    assert!(plain.contains("; return 0;\n   6: (b4) w0 = 0\n") && !plain.contains("line_num"), "{plain}");
    let list = json_lines(&line("prog dump examples/calls/calls.bpf.o count_large xlated opcodes linum -j"))
        .remove(0);
    assert_eq!(list[0]["proto"], "int count_large(struct __sk_buff * skb)");
    assert_eq!((&list[0]["disasm"], &list[0]["line_num"]), (&json!("(bf) r6 = r1"), &json!(49)));
    let opcodes = json!({
        "code": "0xbf", "src_reg": "0x1", "dst_reg": "0x6", "off": ["0x00", "0x00"],
        "imm": ["0x00", "0x00", "0x00", "0x00"],
    });
    assert_eq!(list[0]["opcodes"], opcodes);
}

/// What a field's place becomes on one target and on another, and a variable before it is a constant.
#[test]
fn listings_are_for_a_target() {
    let fixtures = "crates/object/tests/fixtures/core";
    let dump = |target: &str| {
        let output =
            line(&format!("prog dump {fixtures}/fields.bpf.o load xlated --btf {fixtures}/{target}"));
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    let (moved, own) = (dump("moved.target.o"), dump("fields.bpf.o"));
    assert_ne!(moved, own);
    let output = line(&format!("prog dump {fixtures}/fields.bpf.o load xlated --set nosuch=1"));
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("nosuch"), "{}", stderr(&output));
}

#[test]
fn bytes_can_be_written_and_read_back() {
    let scratch = Scratch::new();
    let file = scratch.path("x.bin").display().to_string();
    let output = run(["prog", "dump", "examples/syscall/syscall.bpf.o", "xlated", "file", &file]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let object = Object::open(root().join("examples/syscall/syscall.bpf.o")).expect("the example");
    let spec: &ProgramSpec = object.only_program().expect("one");
    assert_eq!(std::fs::read(&file).expect("written").len(), spec.insns.len() * 8);
    assert_eq!(code(&run(["disasm", &file])), 0);
}

#[test]
fn what_cannot_be_dumped_is_told() {
    for (args, words) in [
        ("prog dump nosuch.o xlated", "nosuch.o"),
        ("prog dump examples/calls/calls.bpf.o", "xlated"),
        ("prog dump examples/calls/calls.bpf.o xlated", "count_large"),
        ("prog dump examples/calls/calls.bpf.o nosuch xlated", "`nosuch`"),
        ("prog dump examples/calls/calls.bpf.o count_large jited visual", "xlated visual"),
        ("prog dump examples/calls/calls.bpf.o count_large xlated pretty", "`pretty`"),
        ("prog dump examples/syscall/syscall.bpf.o xlated file /nosuch/x.bin", "/nosuch/x.bin"),
        ("prog dump examples/syscall/syscall.bpf.o xlated visual opcodes", "visual"),
    ] {
        let output = line(args);
        assert_eq!(code(&output), 2, "{args}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{args}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{args}");
    }
}

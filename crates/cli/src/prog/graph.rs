//! The control-flow graph of a program, as Graphviz reads it and as JSON.
//!
//! One cluster a function, one node a basic block named `b` and its first slot. Edges that close a loop are red and
//! labelled; calls are dashed; what no path reaches is grey.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use skep::spec::ProgramSpec;
use skep::verifier::graph::{Block, BlockEdge, EdgeKind, Graph};

use super::dump::{Line, function_name, lines};

fn label(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Next => "next",
        EdgeKind::Jump => "jump",
        EdgeKind::True => "true",
        EdgeKind::False => "false",
        EdgeKind::Call => "call",
        EdgeKind::Address => "address",
    }
}

/// Text inside double quotes.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn name(spec: &ProgramSpec, start: usize) -> String {
    function_name(spec, start).map_or_else(|| format!("func_{start}"), str::to_owned)
}

fn of_block<'l>(lines: &'l [Line], block: &Block) -> &'l [Line] {
    let at = |slot: usize| lines.partition_point(|l| l.pc < slot);
    &lines[at(block.start)..at(block.end)]
}

fn attributes(edge: &BlockEdge) -> String {
    let mut words = match edge.kind {
        EdgeKind::Next | EdgeKind::Jump => Vec::new(),
        EdgeKind::True | EdgeKind::False => vec![label(edge.kind).to_owned()],
        EdgeKind::Call | EdgeKind::Address => vec![format!("{} at {}", label(edge.kind), edge.from)],
    };
    let style = match (edge.back, edge.kind.enters_function()) {
        (true, _) => {
            words.push("back-edge".to_owned());
            "color=red, fontcolor=red, style=bold, constraint=false"
        }
        (false, true) => "style=dashed, color=blue, fontcolor=blue, constraint=false",
        (false, false) => "color=black",
    };
    format!("label=\"{}\", {style}", words.join(", "))
}

/// The graph for `dot`.
pub fn dot(spec: &ProgramSpec) -> String {
    let (graph, lines) = (Graph::of(&spec.insns), lines(spec));
    let mut out = format!(
        "digraph \"{}\" {{\n\tnode [shape=box, fontname=\"monospace\"];\n\tedge [fontname=\"monospace\"];\n",
        quoted(&spec.name)
    );
    // Writing to a String cannot fail.
    for (i, function) in graph.functions.iter().enumerate() {
        let _ = writeln!(out, "\tsubgraph \"cluster_{i}\" {{");
        let _ = writeln!(out, "\t\tlabel=\"{}\";", quoted(&name(spec, function.start)));
        for block in graph.blocks.iter().filter(|b| b.function == i) {
            let mut text = String::new();
            if !block.reachable {
                text.push_str("unreachable\\l");
            }
            for line in of_block(&lines, block) {
                let _ = write!(text, "{:4}: {}\\l", line.pc, quoted(&line.text));
            }
            let style = if block.reachable { "" } else { ", style=\"filled,dotted\", fillcolor=lightgrey" };
            let _ = writeln!(out, "\t\tb{} [label=\"{text}\"{style}];", block.start);
        }
        out.push_str("\t}\n");
    }
    let mut outside = false;
    for block in &graph.blocks {
        for edge in &block.out {
            let to = match graph.block_at(edge.to) {
                Some(_) => format!("b{}", edge.to),
                None => {
                    outside = true;
                    "outside".to_owned()
                }
            };
            let _ = writeln!(out, "\tb{} -> {to} [{}];", block.start, attributes(edge));
        }
    }
    if outside {
        out.push_str("\toutside [label=\"no instruction of the program\", shape=octagon, color=red];\n");
    }
    out.push_str("}\n");
    out
}

/// The graph as JSON.
pub fn json(spec: &ProgramSpec) -> Json {
    let (graph, lines) = (Graph::of(&spec.insns), lines(spec));
    let edge = |e: &BlockEdge| {
        let to = graph.block_at(e.to).map(|_| e.to);
        json!({ "kind": label(e.kind), "from": e.from, "to": to, "back": e.back })
    };
    let block = |b: &Block| {
        let insns: Vec<Json> =
            of_block(&lines, b).iter().map(|l| json!({ "pc": l.pc, "disasm": l.text })).collect();
        let edges: Vec<Json> = b.out.iter().map(edge).collect();
        json!({ "start": b.start, "end": b.end, "reachable": b.reachable, "insns": insns, "edges": edges })
    };
    let functions = graph.functions.iter().enumerate().map(|(i, f)| {
        let blocks: Vec<Json> = graph.blocks.iter().filter(|b| b.function == i).map(block).collect();
        json!({ "name": name(spec, f.start), "start": f.start, "end": f.end, "blocks": blocks })
    });
    json!({ "program": spec.name, "functions": functions.collect::<Vec<_>>() })
}

//! A slice of the differential campaign, and proof that the generator is worth its time.
//!
//! `cargo run --release -p skep-testkit --bin differential -- --count N --seed S` runs as much as one likes.

use std::path::Path;
use std::sync::Arc;

use skep_abi::{MapType, helper_by_name};
use skep_isa::table::{self, Fields};
use skep_isa::{CallTarget, Insn, Op, decode};
use skep_spec::MapDef;
use skep_testkit::generate::campaign::{Campaign, SILENCE, Summary};
use skep_testkit::generate::program::{self, Generated};
use skep_testkit::oracle::interpreter::Interpreter;
use skep_testkit::oracle::jit::Jit;
use skep_testkit::oracle::{self, Oracle, Privilege, Question};

/// Programs of the slice.
const PROGRAMS: u64 = 20_000;

/// Programs whose native code is compared.
const NATIVE: u64 = 4000;

/// Programs whose runs are held against what the verifier knew.
const WATCHED: u64 = 2000;

/// Changed programs of the slice.
const CHANGED: u64 = 3000;

/// Programs in which planted bugs are looked for; most are found within a hundred, one after 17,756.
const PLANT_PROGRAMS: u64 = 24_000;

#[test]
fn generated_programs_agree() {
    let mut oracles: Vec<&dyn Oracle> = Vec::new();
    for o in oracle::all() {
        match o.available() {
            Ok(()) => oracles.push(o),
            Err(why) => println!("skipped: generated_programs_agree: {}: {why}", o.name()),
        }
    }
    let campaign = Campaign {
        seeds: 0..PROGRAMS,
        jobs: 2,
        until: None,
        program: Path::new(env!("CARGO_BIN_EXE_differential")),
        args: &[],
        silence: SILENCE,
        shrink: false,
    };
    let Summary { coverage, found, falls, gave_up, .. } = campaign.run(&mut |_| {});
    let found: Vec<_> = found.iter().map(|d| format!("seed {}: {}", d.seed, d.what)).collect();
    println!("{coverage}");
    assert_eq!((gave_up, falls), (None, Vec::new()), "Linux fell over");
    assert_eq!(coverage.programs as u64, PROGRAMS);
    assert!(found.is_empty(), "{} disagreements:\n{}", found.len(), found.join("\n"));
    assert_eq!(coverage.missing(), [""; 0], "not reached by any program");
    if oracles.len() > 1 {
        // Few of the programs that are meant to be legal may fail to be.
        let legal = coverage.programs - coverage.altered;
        assert!(coverage.compared * 10 >= legal * 9, "only {} of {legal} compared", coverage.compared);
        assert!(coverage.accepted * 10 >= coverage.programs * 7, "only {} accepted", coverage.accepted);
    }
}

/// Native code does what the interpreter does, and both what Linux does.
#[test]
fn native_code_of_generated_programs_agrees() {
    for oracle in [&Jit as &dyn Oracle, oracle::all()[1]] {
        if let Err(why) = oracle.available() {
            println!("skipped: native_code_of_generated_programs_agrees: {}: {why}", oracle.name());
        }
    }
    if Jit.available().is_err() {
        return;
    }
    let campaign = Campaign {
        seeds: 100_000..100_000 + NATIVE,
        jobs: 2,
        until: None,
        program: Path::new(env!("CARGO_BIN_EXE_differential")),
        args: &["--jit".to_owned()],
        silence: SILENCE,
        shrink: false,
    };
    let Summary { coverage, found, falls, gave_up, .. } = campaign.run(&mut |_| {});
    let found: Vec<_> = found.iter().map(|d| format!("seed {}: {}", d.seed, d.what)).collect();
    println!("{coverage}");
    assert_eq!((gave_up, falls), (None, Vec::new()), "a process ended");
    assert!(found.is_empty(), "{} disagreements:\n{}", found.len(), found.join("\n"));
    // Altered programs do not run, and judged ones either.
    let run = coverage.programs - coverage.altered - coverage.judged;
    assert!(coverage.native * 10 >= run * 8, "native code of {} of {run}", coverage.native);
}

/// Every register and stack slot of every run is what the verifier knew.
#[test]
fn runs_of_generated_programs_stay_inside_what_was_known() {
    let campaign = Campaign {
        seeds: PROGRAMS..PROGRAMS + WATCHED,
        jobs: 2,
        until: None,
        program: Path::new(env!("CARGO_BIN_EXE_differential")),
        args: &["--embed".to_owned(), "--no-kernel".to_owned()],
        silence: SILENCE,
        shrink: false,
    };
    let Summary { coverage, found, falls, gave_up, .. } = campaign.run(&mut |_| {});
    let found: Vec<_> = found.iter().map(|d| format!("seed {}: {}", d.seed, d.what)).collect();
    println!("{coverage}");
    assert_eq!((gave_up, falls), (None, Vec::new()));
    assert_eq!(coverage.programs as u64, WATCHED);
    assert!(found.is_empty(), "{} runs:\n{}", found.len(), found.join("\n"));
}

/// Objects of the examples and of the reader's tests, changed at random.
#[test]
fn changed_objects_get_the_kernel_s_verdict() {
    let [_, kernel] = oracle::all();
    if let Err(why) = kernel.available() {
        println!("skipped: changed_objects_get_the_kernel_s_verdict: {why}");
        return;
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let folders = format!("{root}examples:{root}crates/object/tests/fixtures");
    let campaign = Campaign {
        seeds: 0..CHANGED,
        jobs: 2,
        until: None,
        program: Path::new(env!("CARGO_BIN_EXE_differential")),
        args: &["--mutate".to_owned(), folders],
        silence: SILENCE,
        shrink: false,
    };
    let Summary { coverage, found, falls, gave_up, .. } = campaign.run(&mut |_| {});
    let found: Vec<_> = found.iter().map(|d| format!("seed {}: {}", d.seed, d.what)).collect();
    println!("{coverage}");
    assert_eq!((gave_up, falls), (None, Vec::new()), "Linux fell over");
    assert!(found.is_empty(), "{} disagreements:\n{}", found.len(), found.join("\n"));
    assert!(coverage.accepted * 5 > coverage.programs, "only {} accepted", coverage.accepted);
    assert!(coverage.skipped * 2 < coverage.programs, "{} skipped", coverage.skipped);
}

/// Programs of the verdict files, put together and changed at random.
#[test]
fn changed_verdict_cases_get_the_kernel_s_verdict() {
    let [_, kernel] = oracle::all();
    if let Err(why) = kernel.available() {
        println!("skipped: changed_verdict_cases_get_the_kernel_s_verdict: {why}");
        return;
    }
    let campaign = Campaign {
        seeds: 0..CHANGED,
        jobs: 2,
        until: None,
        program: Path::new(env!("CARGO_BIN_EXE_differential")),
        args: &["--cases".to_owned()],
        silence: SILENCE,
        shrink: false,
    };
    let Summary { coverage, found, falls, gave_up, .. } = campaign.run(&mut |_| {});
    let found: Vec<_> = found.iter().map(|d| format!("seed {}: {}", d.seed, d.what)).collect();
    println!("{coverage}");
    assert_eq!((gave_up, falls), (None, Vec::new()), "Linux fell over");
    assert!(found.is_empty(), "{} disagreements:\n{}", found.len(), found.join("\n"));
    assert!(coverage.accepted * 7 > coverage.programs, "only {} accepted", coverage.accepted);
    assert!(coverage.types.len() > 20, "only programs of {:?}", coverage.types);
}

/// What an engine with a bug would do: each instruction of `from` does what `to` does. Rows of the instruction
/// table, names of helpers, or kinds of maps.
struct Plant {
    from: &'static str,
    to: &'static str,
}

/// Bugs that engines have had: signedness, width, sign extension, byte order, forgotten fetches.
const PLANTS: &[Plant] = &[
    Plant { from: "arsh32_imm", to: "rsh32_imm" },
    Plant { from: "arsh64_reg", to: "rsh64_reg" },
    Plant { from: "add32_reg", to: "add64_reg" },
    Plant { from: "mov32_reg", to: "mov64_reg" },
    Plant { from: "lsh32_reg", to: "lsh64_reg" },
    Plant { from: "sdiv64_reg", to: "div64_reg" },
    Plant { from: "sdiv32_imm", to: "div32_imm" },
    Plant { from: "smod32_reg", to: "mod32_reg" },
    Plant { from: "smod64_imm", to: "mod64_imm" },
    Plant { from: "movsx64_8", to: "movsx64_16" },
    Plant { from: "movsx32_16", to: "movsx64_16" },
    Plant { from: "be16", to: "bswap32" },
    Plant { from: "le32", to: "be32" },
    Plant { from: "neg32", to: "neg64" },
    Plant { from: "jsgt64_imm", to: "jgt64_imm" },
    Plant { from: "jsle32_reg", to: "jle32_reg" },
    Plant { from: "jge32_imm", to: "jge64_imm" },
    Plant { from: "jset64_reg", to: "jset32_reg" },
    Plant { from: "jlt64_reg", to: "jle64_reg" },
    Plant { from: "ldxsxb", to: "ldxb" },
    Plant { from: "ldxsxw", to: "ldxw" },
    Plant { from: "ldxsxh", to: "ldxsxb" },
    Plant { from: "stxh", to: "stxb" },
    Plant { from: "atomic64_fetch_add", to: "atomic64_add" },
    Plant { from: "atomic64_fetch_and", to: "atomic64_fetch_or" },
    Plant { from: "atomic32_xchg", to: "atomic64_xchg" },
    Plant { from: "atomic64_cmpxchg", to: "atomic64_xchg" },
    Plant { from: "ldabsh", to: "ldabsb" },
    Plant { from: "ldindw", to: "ldabsw" },
    Plant { from: "load_acqh", to: "load_acqb" },
    Plant { from: "store_relw", to: "store_relb" },
    Plant { from: "bpf_ringbuf_submit", to: "bpf_ringbuf_discard" },
    Plant { from: "bpf_map_peek_elem", to: "bpf_map_pop_elem" },
    Plant { from: "bpf_strtol", to: "bpf_strtoul" },
    Plant { from: "bpf_probe_read_kernel", to: "bpf_probe_read_user" },
    Plant { from: "bpf_probe_read_kernel_str", to: "bpf_probe_read_kernel" },
    Plant { from: "bpf_xdp_adjust_head", to: "bpf_xdp_adjust_tail" },
    Plant { from: "bpf_skb_change_tail", to: "bpf_skb_change_head" },
    Plant { from: "bpf_skb_load_bytes_relative", to: "bpf_skb_load_bytes" },
    Plant { from: "bpf_csum_diff", to: "bpf_get_prandom_u32" },
    Plant { from: "stack", to: "queue" },
    Plant { from: "lpm_trie", to: "hash" },
    Plant { from: "hash", to: "lru_hash" },
    Plant { from: TAIL_CALLS, to: "fall through" },
    Plant { from: TAIL_CALLS, to: "the first program" },
];

/// In place of a row: where tail calls lead.
const TAIL_CALLS: &str = "tail calls";

impl Plant {
    /// The programs as the engine with the bug sees them; `None` if it does the same with them.
    fn apply(&self, g: &Generated) -> Option<Generated> {
        let mut wrong = g.clone();
        if self.from == TAIL_CALLS {
            match self.to {
                "fall through" => wrong.tails.clear(),
                _ => wrong.tails.iter_mut().for_each(|t| t.spec = g.tails[0].spec.clone()),
            }
            return (!g.tails.is_empty()).then_some(wrong);
        }
        if let (Some(from), Some(to)) = (MapType::by_name(self.from), MapType::by_name(self.to)) {
            return self.other_maps(wrong, from, to);
        }
        let mut hit = self.other_insns(&mut wrong.spec.insns);
        for tail in &mut wrong.tails {
            hit |= self.other_insns(&mut tail.spec.insns);
        }
        hit.then_some(wrong)
    }

    fn other_insns(&self, insns: &mut [Insn]) -> bool {
        let helpers = helper_by_name(self.from).zip(helper_by_name(self.to));
        let (mut hit, mut pc) = (false, 0);
        while pc < insns.len() {
            let op = decode(insns, pc).ok();
            if let Some((from, to)) = helpers {
                if op == Some(Op::Call(CallTarget::Helper(from.id))) {
                    insns[pc].imm = to.id as i32;
                    hit = true;
                }
            } else if let Some(op) = op.filter(|op| op.row().is_some_and(|r| r.name == self.from)) {
                let to = table::named(self.to).expect("the row exists");
                let i = insns[pc];
                let fields = Fields { dst: i.dst, src: i.src, off: i.off, imm: i.imm, next_imm: 0 };
                insns[pc] = to.op_from(fields).encode().0;
                hit |= to.op_from(fields) != op;
            }
            pc += op.as_ref().map_or(1, Op::slots);
        }
        hit
    }

    fn other_maps(&self, mut g: Generated, from: MapType, to: MapType) -> Option<Generated> {
        let change = |map: &Arc<MapDef>| {
            if map.kind != from {
                return Arc::clone(map);
            }
            let mut other = MapDef::clone(map);
            other.kind = to;
            // What the other kind does not take.
            other.flags.0 = 0;
            Arc::new(other)
        };
        let hit = g.spec.maps.iter().any(|m| m.kind == from);
        let maps: Vec<_> = g.spec.maps.iter().map(change).collect();
        g.tails.iter_mut().for_each(|t| t.spec.maps.clone_from(&maps));
        g.spec.maps = maps;
        hit.then_some(g)
    }
}

/// One bug at a time: each is found, by results alone.
#[test]
fn planted_bugs_are_found() {
    let corpus: Vec<_> = (0..PLANT_PROGRAMS).map(program::generate).filter(|g| !g.altered).collect();
    let ask = |g: &Generated| {
        let question = Question::new(&g.spec, Privilege::Privileged, &g.inputs);
        Interpreter.answer(&Question { brief: true, tails: &g.tails, ..question })
    };
    let finds = |plant: &Plant, g: &Generated| {
        let Some(wrong) = plant.apply(g) else { return false };
        let (Ok(right), Ok(wrong)) = (ask(g), ask(&wrong)) else { return false };
        oracle::difference(("right", &right), ("wrong", &wrong)).is_some()
    };
    let mut missed = Vec::new();
    println!("{:<28} {:<24} found by program", "planted", "in place of");
    for plant in PLANTS {
        match corpus.iter().position(|g| finds(plant, g)) {
            Some(n) => println!("{:<28} {:<24} {}", plant.to, plant.from, n + 1),
            None => missed.push(format!("{} as {}", plant.from, plant.to)),
        }
    }
    assert_eq!(missed, [""; 0]);
}

/// The same seed gives the same program on every machine: seeds in bug reports stay good.
#[test]
fn seeds_are_stable() {
    let (a, b) = (program::generate(42), program::generate(42));
    assert_eq!(a.spec.insns, b.spec.insns);
    assert_eq!(a.inputs, b.inputs);
    assert_ne!(a.spec.insns, program::generate(43).spec.insns);
}

//! A slice of the differential campaign, and proof that the generator is worth its time.
//!
//! `cargo run --release -p skep-testkit --bin differential -- --count N --seed S` runs as much as one likes.

use skep_isa::table::{self, Fields};
use skep_isa::{Insn, Op, decode};
use skep_spec::ProgramSpec;
use skep_testkit::generate::{campaign::Campaign, program};
use skep_testkit::oracle::{self, Oracle, Privilege, Question, interpreter::Interpreter};

/// Programs of the slice.
const PROGRAMS: u64 = 20_000;

/// Programs in which planted bugs are looked for; most are found within a hundred.
const PLANT_PROGRAMS: u64 = 6000;

/// Rows that generated programs do not hold: pointers of other kinds, or refused by Linux 6.18.
const NOT_GENERATED: &[&str] = &[
    "addr_space_cast",
    "gotox",
    "call_kfunc",
    "callx",
    "lddw_map_fd",
    "lddw_map_value_fd",
    "lddw_variable",
    "lddw_code",
];

#[test]
fn generated_programs_agree() {
    let mut oracles: Vec<&dyn Oracle> = Vec::new();
    for o in oracle::all() {
        match o.available() {
            Ok(()) => oracles.push(o),
            Err(why) => println!("skipped: generated_programs_agree: {}: {why}", o.name()),
        }
    }
    let campaign = Campaign { seeds: 0..PROGRAMS, jobs: 2, until: None, oracles: &oracles };
    let (coverage, found) = campaign.run(&|_| {});
    let found: Vec<_> = found.iter().map(|d| format!("seed {}: {}", d.seed, d.what)).collect();
    println!("{coverage}");
    assert!(found.is_empty(), "{} disagreements:\n{}", found.len(), found.join("\n"));
    let missing = coverage.missing_rows();
    let unexpected: Vec<_> = missing.iter().filter(|n| !NOT_GENERATED.contains(n)).collect();
    assert!(unexpected.is_empty(), "rows that no program holds: {unexpected:?}");
    if oracles.len() > 1 {
        // Few of the programs that are meant to be legal may fail to be.
        let legal = coverage.programs - coverage.altered;
        assert!(coverage.compared * 10 >= legal * 9, "only {} of {legal} compared", coverage.compared);
    }
}

/// What an engine with a bug would run: each instruction of `from` does what `to` does.
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
];

impl Plant {
    /// The program as the engine with the bug sees it; `None` if it holds no such instruction.
    fn apply(&self, spec: &ProgramSpec) -> Option<ProgramSpec> {
        let to = table::named(self.to).expect("the row exists");
        let mut insns: Vec<Insn> = spec.insns.clone();
        let mut hit = false;
        let mut pc = 0;
        while pc < insns.len() {
            let op = decode(&insns, pc).ok();
            if let Some(op) = op.filter(|op| op.row().is_some_and(|r| r.name == self.from)) {
                let i = insns[pc];
                let fields = Fields { dst: i.dst, src: i.src, off: i.off, imm: i.imm, next_imm: 0 };
                insns[pc] = to.op_from(fields).encode().0;
                hit |= to.op_from(fields) != op;
            }
            pc += op.as_ref().map_or(1, Op::slots);
        }
        hit.then(|| ProgramSpec { insns, ..spec.clone() })
    }
}

/// One bug at a time: each is found, by results alone.
#[test]
fn planted_bugs_are_found() {
    let corpus: Vec<_> = (0..PLANT_PROGRAMS).map(program::generate).filter(|g| !g.altered).collect();
    let finds = |plant: &Plant, g: &program::Generated| {
        let Some(spec) = plant.apply(&g.spec) else { return false };
        let ask = |spec| {
            let question = Question::new(spec, Privilege::Privileged, &g.inputs);
            Interpreter.answer(&Question { brief: true, tails: &g.tails, ..question })
        };
        let (right, wrong) = (ask(&g.spec), ask(&spec));
        let (Ok(right), Ok(wrong)) = (right, wrong) else { return false };
        oracle::difference(("right", &right), ("wrong", &wrong)).is_some()
    };
    let mut missed = Vec::new();
    for plant in PLANTS {
        match corpus.iter().position(|g| finds(plant, g)) {
            Some(n) => println!("{} as {}: program {n}", plant.from, plant.to),
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

//! Random programs with loops over the kernel's open-coded iterators: skep accepts none that the running kernel refuses.
//!
//! A program keeps numbers in registers and on its stack, which loops (nested, with breaks, with functions that advance the
//! iterator) change, compare, save, and use as indices of a map value, with and without checks. Sometimes an iterator is not
//! ended, or used where it is not begun. `SKEP_FUZZ=N` makes N programs instead of a few, `SKEP_SEED=N` begins elsewhere.

use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_btf::{Btf, Kind};
use skep_isa::{Insn, Reg};
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::sketch::{self, Sketch, listing as text};
use skep_testkit::{functions, kernel};
use skep_verifier::{Code, Followed, Options, follow, verify};

/// Refusals for other reasons than safety.
const LIMITS: [&str; 2] = ["too large", "too complex"];

/// Bytes of the map value.
const VALUE: u32 = 48;

/// Calls of these in the text stand for calls of the kernel's functions.
const CALLS: [(i32, &str); 6] = [
    (9001, "bpf_iter_num_new"),
    (9002, "bpf_iter_num_next"),
    (9003, "bpf_iter_num_destroy"),
    (9004, "bpf_iter_bits_new"),
    (9005, "bpf_iter_bits_next"),
    (9006, "bpf_iter_bits_destroy"),
];

/// Kinds of iterators: the numbers of their first calls.
const NUM: i32 = 9001;
const BITS: i32 = 9004;

struct Generator {
    sketch: Sketch,
    /// Functions that advance an iterator: label and call.
    advances: Vec<(String, i32)>,
    /// The stack below the numbers that iterators take, so far.
    used: u32,
    /// What is broken on purpose, once at most.
    broken: bool,
}

impl Deref for Generator {
    type Target = Sketch;

    fn deref(&self) -> &Sketch {
        &self.sketch
    }
}

impl DerefMut for Generator {
    fn deref_mut(&mut self) -> &mut Sketch {
        &mut self.sketch
    }
}

impl Generator {
    /// Once in a while, and only once in a program.
    fn breaks(&mut self) -> bool {
        let now = !self.broken && self.rng.below(60) == 0;
        self.broken |= now;
        now
    }

    /// A number: a register that stays, or one loaded from the stack.
    fn number(&mut self) -> String {
        match self.rng.below(3) {
            0 => {
                let slot = 8 * (1 + self.rng.below(3));
                self.line(format!("r3 = *(u64 *)(r10 - {slot})"));
                "r3".into()
            }
            _ => self.pick(&["r7", "r8", "r9"]).into(),
        }
    }

    /// Keeps what was done to `r3`, if it came from the stack.
    fn keep(&mut self, reg: &str) {
        if reg == "r3" {
            let (size, slot) = (self.pick(&["u64", "u64", "u64", "u32"]), 8 * (1 + self.rng.below(3)));
            self.line(format!("*({size} *)(r10 - {slot}) = r3"));
        }
    }

    /// Some steps; `out`: labels of the loops around, `element`: a register that points to the loop's number.
    fn body(&mut self, nests: u32, out: &[(String, String)]) {
        for _ in 0..1 + self.rng.below(4) {
            let n = self.pick(&["0", "1", "1", "2", "3", "8", "15", "31", "40", "47", "48", "100"]);
            match self.rng.below(12) {
                0 | 1 => {
                    let reg = self.number();
                    let op = self.pick(&["+=", "+=", "+=", "-=", "&=", "*=", ">>=", "<<=", "=", "="]);
                    self.line(format!("{reg} {op} {n}"));
                    self.keep(&reg);
                }
                2 | 3 => {
                    let from = self.number();
                    let to = self.pick(&["r7", "r8", "r9"]);
                    let op = self.pick(&["=", "=", "=", "=", "+=", "-="]);
                    self.line(format!("{to} {op} {from}"));
                }
                4 => {
                    let from = self.number();
                    let slot = 8 * (1 + self.rng.below(3));
                    self.line(format!("*(u64 *)(r10 - {slot}) = {from}"));
                }
                5 | 6 => {
                    let reg = self.number();
                    let (to, op) = (self.label(), self.pick(&[">", "<", ">=", "==", "!=", "s>", "s<"]));
                    self.line(format!("if {reg} {op} {n} goto {to}"));
                    match self.rng.below(4) {
                        0 => self.index(),
                        1 if !out.is_empty() => {
                            let (again, end) = &out[out.len() - 1];
                            let to = if self.rng.below(2) == 0 { again } else { end };
                            self.line(format!("goto {}", to.clone()));
                        }
                        _ => {
                            let reg = self.pick(&["r7", "r8", "r9"]);
                            self.line(format!("{reg} = {n}"));
                        }
                    }
                    self.line(format!("{to}:"));
                }
                7 => self.index(),
                8 => {
                    let to = self.pick(&["r7", "r8", "r9"]);
                    self.line(format!("call 7\nr0 &= {n}\n{to} = r0"));
                }
                _ if nests > 0 => self.loops(nests, out),
                _ => self.line("r0 = 0"),
            }
        }
    }

    /// A number as an index of the map value, perhaps checked.
    fn index(&mut self) {
        let reg = self.number();
        let skip = self.label();
        match self.rng.below(4) {
            0 => {}
            1 => self.line(format!("{reg} &= 31")),
            2 => self.line(format!("if {reg} > {} goto {skip}", VALUE - 1)),
            _ => self.line(format!("if {reg} > {} goto {skip}", VALUE + 2)),
        }
        self.line(format!("r4 = 0xfeed ll\nr4 += {reg}\n*(u8 *)(r4 + 0) = 1\n{skip}:"));
    }

    fn loops(&mut self, nests: u32, out: &[(String, String)]) {
        let first = if self.rng.below(4) == 0 { BITS } else { NUM };
        let size = if first == BITS { 16 } else { 8 };
        self.used += size;
        let at = self.used;
        let (again, end) = (self.label(), self.label());
        let arguments = match first {
            BITS => format!("r2 = r10\nr2 += -8\nr3 = {}", self.pick(&["0", "1"])),
            _ => {
                let (from, to) =
                    (self.pick(&["0", "0", "1", "-3", "r7"]), self.pick(&["1", "5", "48", "1000000", "r8"]));
                format!("r2 = {from}\nr3 = {to}")
            }
        };
        if !self.breaks() {
            self.line(format!("{arguments}\nr1 = r10\nr1 += -{at}\ncall {first}"));
        }
        self.line(format!("{again}:\nr1 = r10\nr1 += -{at}"));
        match self.rng.below(5) {
            0 => {
                let name = format!("f{}", self.advances.len());
                self.line(format!("call {name}\nif r0 == 0 goto {end}"));
                self.advances.push((name, first + 1));
            }
            _ => {
                let to = self.pick(&["r7", "r8", "r9", "r1", "r1", "r1", "r1"]);
                let checks = if self.breaks() { "" } else { "if r0 == 0 goto END\n" };
                let checks = checks.replace("END", &end);
                self.line(format!("call {}\n{checks}{to} = *(u32 *)(r0 + 0)", first + 1));
            }
        }
        let mut around = out.to_vec();
        around.push((again.clone(), end.clone()));
        self.body(nests - 1, &around);
        // Sometimes what is behind the loop can be reached only by what is in it.
        self.line(format!("goto {again}\n{end}:"));
        if !self.breaks() {
            self.line(format!("r1 = r10\nr1 += -{at}\ncall {}", first + 2));
        }
        if self.rng.below(3) == 0 {
            self.index();
        }
        if self.rng.below(2) == 0 {
            self.used -= size;
        }
    }

    fn program(mut self, btf: &Btf) -> Option<ProgramSpec> {
        for slot in 1..=3 {
            let n = self.pick(&["0", "0", "1", "5", "40"]);
            self.line(format!("*(u64 *)(r10 - {}) = {n}", 8 * slot));
        }
        for reg in 7..=9 {
            let n = self.pick(&["0", "0", "1", "3", "40", "1000"]);
            self.line(format!("r{reg} = {n}"));
        }
        // The loops are come to with several sets of numbers, in an order of their own.
        for reg in ["r7", "r8", "r9"] {
            if self.rng.below(2) == 0 {
                let (to, n) = (self.label(), self.pick(&["0", "2", "30", "50", "1000"]));
                self.line(format!("call 7\nif r0 s> 0 goto {to}\n{reg} = {n}\n{to}:"));
            }
        }
        self.loops(3, &[]);
        self.body(1, &[]);
        self.line("r0 = 0\nexit");
        for (name, call) in core::mem::take(&mut self.advances) {
            self.line(format!("{name}:\ncall {call}\nif r0 == 0 goto {name}_end\nr0 = 1\n{name}_end:\nexit"));
        }
        let mut insns = self.insns();
        for insn in &mut insns {
            let call = CALLS.iter().find(|(n, _)| insn.opcode == 0x85 && insn.src.0 == 0 && insn.imm == *n);
            if let Some((_, name)) = call {
                let id = btf.find_by_name(Some(Kind::Func), name)?;
                *insn = Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32);
            }
        }
        let maps = vec![Arc::new(MapDef::new(MapType::ARRAY, 4, VALUE, 1).named("value"))];
        let mut spec = ProgramSpec { maps, ..ProgramSpec::new(ProgramType::XDP, insns) };
        functions::describe(&mut spec);
        Some(spec)
    }
}

/// Whether no run takes the path that a log ends with.
fn is_dead(spec: &ProgramSpec, env: &Environment, log: &str) -> bool {
    let pc = |line: &str| {
        let (pc, rest) = line.split_once(": ")?;
        rest.starts_with('(').then(|| pc.parse().ok()).flatten()
    };
    let path: Vec<usize> = log.lines().filter_map(pc).collect();
    matches!(follow(spec, env, &path), Ok(Followed::Dead { .. }))
}

#[test]
fn accepted_loops_are_accepted_by_the_kernel() {
    let (Some(backend), Some((btf, env))) = (kernel::asked(), kernel::typed()) else { return };
    let seeds = sketch::seeds(150);
    let count = seeds.end - seeds.start;
    let (mut both, mut stricter, mut neither, mut dead) = (0, Vec::new(), 0, 0);
    // States are many in nested loops: neither is to spend its million of instructions.
    let most = Options { most_insns: 100_000, ..Options::default() };
    for i in seeds {
        let generator = Generator { sketch: Sketch::new(i), advances: Vec::new(), used: 24, broken: false };
        let Some(spec) = generator.program(&btf) else { return println!("skipped: Linux has no iterators") };
        let ours = verify(&spec, &env, &most);
        if ours.as_ref().is_err_and(|r| r.code() == Code::TooComplex) {
            continue;
        }
        let often = verify(&spec, &env, &Options { test_state_freq: true, ..most });
        let complex = often.as_ref().is_err_and(|r| r.code() == Code::TooComplex);
        assert!(
            ours.is_ok() == often.is_ok() || complex,
            "seed {i}: pruning at every point gives another verdict: {:?}\n{}",
            often.err().or(ours.err()).map(|r| r.to_string()),
            text(&spec)
        );
        let map = backend.create(&spec.maps[0]).expect("an array");
        let theirs = backend.load_program(&spec, &[map.as_fd()], LoadOptions { log_level: 1 });
        match (&ours, &theirs) {
            (Ok(_), Ok(_)) => both += 1,
            // It knows more about numbers: no run takes the path that Linux refuses.
            (Ok(_), Err(e)) if is_dead(&spec, &env, &e.log) => dead += 1,
            (Ok(_), Err(e)) => assert!(
                LIMITS.iter().any(|words| e.log.contains(words)),
                "seed {i}: only skep accepts\n{}\n{}",
                e.log,
                text(&spec)
            ),
            (Err(r), Ok(_)) => stricter.push(format!("seed {i}: {r}")),
            (Err(_), Err(_)) => neither += 1,
        }
    }
    let alone = stricter.len();
    println!(
        "{count} programs: {both} accepted by both, {neither} by none, {alone} by the kernel alone, {dead} refused by it on a path that no run takes"
    );
    println!("{}", stricter.join("\n"));
    assert!(both * 8 > count, "too few programs are accepted to mean much");
    assert!(alone as u64 * 20 <= count, "{alone} of {count} programs are refused by skep alone");
}

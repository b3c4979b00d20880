//! Random programs with callbacks: skep accepts none that the running kernel refuses, and none that it accepts
//! leaves its memory when it runs.
//!
//! A program keeps three numbers on its stack, which callbacks (nested in one another, and functions that they
//! call) change, compare, and use as indices of a map value, with and without checks. `SKEP_FUZZ=N` makes N
//! programs instead of a few, `SKEP_SEED=N` begins elsewhere. Programs that only skep refuses are counted, and
//! may be few: it keeps the number of iterations in mind where Linux forgets it.
//!
//! Long runs end at programs that only skep accepts, since it knows a bound that Linux 6.18 does not: `if r3 s> 40`, then
//! `if r3 > 50`, leaves at most 40 (seeds 88 and 221).

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_linux::LinuxBackend;
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::functions;
use skep_testkit::sketch::{self, Sketch, listing as text};
use skep_verifier::{Code, Options, verify};
use skep_vm::{Host, Program, Run, Stack};

/// Refusals for other reasons than safety: Linux's limits, and what it says when it has removed a function as dead
/// code whose address is still taken.
const LIMITS: [&str; 3] = ["too large", "too complex", "verifier bug: No program to jit"];

/// Bytes of the map value.
const VALUE: u32 = 48;

struct Generator {
    sketch: Sketch,
    /// Functions to be written: the text's label, and how many more may nest.
    functions: Vec<(String, u32)>,
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
    /// Some steps of a function whose `r6` points to the numbers.
    fn body(&mut self, nests: u32) {
        for _ in 0..1 + self.rng.below(4) {
            let slot = 8 * self.rng.below(3);
            let n = self.pick(&["0", "1", "2", "3", "7", "8", "15", "31", "40", "47", "48", "63", "100"]);
            match self.rng.below(9) {
                0..3 => {
                    let op = self.pick(&["+=", "+=", "-=", "&=", "|=", "*=", ">>=", "<<=", "="]);
                    let w = self.pick(&["r", "r", "w"]);
                    self.line(format!(
                        "r3 = *(u64 *)(r6 + {slot})\n{w}3 {op} {n}\n*(u64 *)(r6 + {slot}) = r3"
                    ));
                }
                3 => {
                    let (size, from) = (self.pick(&["u32", "u16", "u64"]), 8 * self.rng.below(3));
                    let store = format!("r3 = *({size} *)(r6 + {from})\n*({size} *)(r6 + {slot}) = r3");
                    self.line(store);
                }
                4 | 5 => {
                    let (to, op) = (self.label(), self.pick(&[">", "<", ">=", "==", "!=", "s>", "s<"]));
                    self.line(format!("r3 = *(u64 *)(r6 + {slot})\nif r3 {op} {n} goto {to}"));
                    if self.rng.below(2) == 0 {
                        self.line(format!("r3 += 1\n*(u64 *)(r6 + {slot}) = r3"));
                    } else {
                        self.index();
                    }
                    self.line(format!("{to}:"));
                }
                6 => {
                    self.line(format!("r3 = *(u64 *)(r6 + {slot})"));
                    self.index();
                }
                7 => self.line(format!("call 7\nr0 &= {n}\n*(u64 *)(r6 + {slot}) = r0")),
                _ if nests > 0 => self.loops(nests),
                _ => self.line("r8 = 1"),
            }
        }
    }

    /// `r3` as an index of the map value, perhaps checked.
    fn index(&mut self) {
        let skip = self.label();
        match self.rng.below(4) {
            0 => {}
            1 => self.line("r3 &= 31"),
            2 => self.line(format!("if r3 > {} goto {skip}", VALUE - 1)),
            _ => self.line(format!("if r3 > 50 goto {skip}")),
        }
        self.line(format!("r4 = 0xfeed ll\nr4 += r3\n*(u8 *)(r4 + 0) = 1\n{skip}:"));
    }

    fn loops(&mut self, nests: u32) {
        let name = format!("f{}", self.functions.len());
        self.functions.push((name.clone(), nests - 1));
        match self.rng.below(5) {
            0 => {
                let slot = 8 * self.rng.below(3);
                self.line(format!("r1 = *(u64 *)(r6 + {slot})"));
            }
            1 => {
                let to = self.label();
                self.line(format!("call 7\nr1 = 3\nif r0 == 0 goto {to}\nr1 = 12\n{to}:"));
            }
            _ => {
                let n = self.pick(&["0", "1", "2", "3", "5", "9", "20", "1000000"]);
                self.line(format!("r1 = {n}"));
            }
        }
        self.line(format!("r2 = subprog[{name}] ll\nr3 = r6\nr4 = 0\ncall 181"));
    }

    fn program(mut self) -> ProgramSpec {
        self.line("r6 = r10\nr6 += -24");
        for slot in 0..3 {
            let n = self.pick(&["0", "0", "1", "5", "40"]);
            self.line(format!("*(u64 *)(r6 + {}) = {n}", 8 * slot));
        }
        self.body(2);
        self.loops(2);
        self.body(1);
        self.line("r0 = 0\nexit");
        let mut next = 0;
        while let Some((name, nests)) = self.functions.get(next).cloned() {
            next += 1;
            self.line(format!("{name}:\nr6 = r2\nr7 = r1"));
            self.body(nests);
            match self.rng.below(3) {
                0 => self.line("r0 = r7\nr0 &= 1"),
                _ => self.line("r0 = 0"),
            }
            self.line("exit");
        }
        let insns = self.insns();
        let maps = vec![Arc::new(MapDef::new(MapType::ARRAY, 4, VALUE, 1).named("value"))];
        let mut spec = ProgramSpec { maps, ..ProgramSpec::new(ProgramType::XDP, insns) };
        functions::describe(&mut spec);
        spec
    }
}

/// Numbers near the bounds that programs compare with.
struct Numbers(Cell<u32>);

impl Host for Numbers {
    fn ktime_ns(&self) -> u64 {
        0
    }
    fn boot_ns(&self) -> u64 {
        0
    }
    fn prandom_u32(&self) -> u32 {
        self.0.set(self.0.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        if self.0.get() >> 31 == 0 { 0 } else { self.0.get() >> 8 }
    }
    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }
    fn printk(&self, _text: &[u8]) {}
}

#[test]
fn accepted_callbacks_are_safe() {
    let asks = LinuxBackend::probe().is_yes();
    if !asks {
        println!("skipped: no kernel to compare with");
    }
    let seeds = sketch::seeds(25);
    let count = seeds.end - seeds.start;
    let backend = LinuxBackend::new();
    let env = Environment::default();
    let (mut both, mut stricter, mut runs) = (0, 0, 0);
    for i in seeds {
        let generator = Generator { sketch: Sketch::new(i), functions: Vec::new() };
        let spec = generator.program();
        let text = || text(&spec);
        let ours = verify(&spec, &env, &Options::default());
        let often = verify(&spec, &env, &Options { test_state_freq: true, ..Options::default() });
        let complex =
            |r: &Result<_, skep_verifier::Rejection>| r.as_ref().is_err_and(|r| r.code() == Code::TooComplex);
        assert!(
            ours.is_ok() == often.is_ok() || complex(&ours) || complex(&often),
            "seed {i}: pruning at every point gives another verdict\n{}",
            text()
        );
        if asks {
            let map = backend.create(&spec.maps[0]).expect("an array");
            let theirs = backend.load_program(&spec, &[map.as_fd()], LoadOptions { log_level: 1 });
            match (&ours, &theirs) {
                (Ok(_), Ok(_)) => both += 1,
                (Ok(_), Err(e)) => assert!(
                    LIMITS.iter().any(|words| e.log.contains(words)),
                    "seed {i}: only skep accepts\n{}\n{}",
                    e.log,
                    text()
                ),
                (Err(_), Ok(_)) => stricter += 1,
                (Err(_), Err(_)) => {}
            }
        }
        let Ok(verified) = ours else { continue };
        let map = Map::create(&spec.maps[0], &Config::new(1), &Heap).expect("an array");
        let program = Program::new(&verified, &env, vec![map]).expect("the map fits");
        for round in 0..4 {
            let (mut stack, mut ctx) = (Stack::new(), [0; 64]);
            let host = Numbers(Cell::new(round * 77 + i as u32));
            let mut run = Run::new(&mut stack, &host).with_ctx(&mut ctx).with_fuel(200_000);
            runs += 1;
            if let Err(trap) = program.run(&mut run) {
                assert!(trap.kind.is_limit(), "seed {i}: {trap}\n{}", text());
            }
        }
    }
    println!("{count} programs, {both} accepted by both, {stricter} by the kernel alone, {runs} runs");
    assert!(runs * 4 > count, "too few programs are accepted for the runs to mean much");
    assert!(!asks || stricter * 10 <= count, "{stricter} of {count} programs are refused by skep alone");
}

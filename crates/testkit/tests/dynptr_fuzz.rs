//! Random programs with dynptrs: skep accepts none that the running kernel refuses, and none that it accepts leaves its
//! memory when it runs.
//!
//! A program makes dynptrs at a few places of its stack, some of which overlap, copies, reads, writes, slices and ends
//! them, and stores and loads beside and over them, in branches and loops. The generator keeps in mind roughly where what
//! is, so that most of it is legal. `SKEP_FUZZ=N` makes N programs instead of a few, `SKEP_SEED=N` begins elsewhere.
//! Programs that only skep refuses are counted, and may be few: they use a slice of a record that was submitted, or of a
//! packet that another function has written to, which Linux 6.18 forgets.

use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_btf::{Btf, Kind};
use skep_isa::{Imm64, Insn, Reg};
use skep_linux::LinuxBackend;
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::sketch::{self, Sketch, listing as text};
use skep_verifier::{Options, verify};
use skep_vm::{NullHost, Program, Run, Stack};

/// Refusals for other reasons than safety.
const LIMITS: [&str; 2] = ["too large", "too complex"];

/// `BPF_F_TEST_STATE_FREQ`.
const TEST_STATE_FREQ: u32 = 1 << 3;

/// Places for dynptrs; the last overlaps the first two.
const PLACES: [i32; 4] = [-16, -32, -48, -24];
/// A buffer that is no dynptr's.
const BUFFER: i32 = -80;
/// Constants that stand for the maps' addresses.
const VALUE: u32 = 0x5eed_0000;
const RING: u32 = 0x5eed_0001;
/// Helper numbers from here on stand for these functions.
const KERNEL_MARK: i32 = 0x7a00_0000;
const KERNEL: [&str; 6] = [
    "bpf_dynptr_from_skb",
    "bpf_dynptr_slice",
    "bpf_dynptr_slice_rdwr",
    "bpf_dynptr_clone",
    "bpf_dynptr_adjust",
    "bpf_dynptr_copy",
];

/// What the generator believes to be at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Nothing,
    Plain,
    /// Which, since copies are of the same.
    Record(u32),
}

struct Generator {
    sketch: Sketch,
    records: u32,
    at: [At; 4],
    /// Records that other paths have as well: they stay.
    held: [bool; 4],
    /// With the kernel's functions, in a program on packets; else one that can be run.
    kernel: bool,
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
    fn rarely(&mut self) -> bool {
        self.rng.below(40) == 0
    }

    fn call(&mut self, name: &str) {
        let index = KERNEL.iter().position(|k| *k == name).expect("one of them") as i32;
        self.line(format!("call {}", KERNEL_MARK + index));
    }

    /// A place with a dynptr, most often, of these kinds.
    fn used(&mut self) -> i32 {
        if !self.at.iter().any(|at| *at != At::Nothing) && !self.rarely() {
            self.make();
        }
        let wild = self.rarely();
        let fits: Vec<usize> = (0..4).filter(|i| wild || self.at[*i] != At::Nothing).collect();
        match fits.is_empty() {
            true => PLACES[self.rng.below(4)],
            false => PLACES[fits[self.rng.below(fits.len())]],
        }
    }

    /// Runs steps that only one path takes: what they make they end, what was there they leave.
    fn aside(&mut self, steps: usize, nests: u32) {
        let (before, held) = (self.at, self.held);
        for (held, at) in self.held.iter_mut().zip(self.at) {
            *held |= matches!(at, At::Record(_));
        }
        for _ in 0..steps {
            self.step(nests);
        }
        self.merged(before);
        self.held = held;
    }

    fn forget(&mut self, record: At) {
        for at in &mut self.at {
            if *at == record {
                *at = At::Nothing;
            }
        }
    }

    /// Forgets what overlaps `len` bytes.
    fn overwritten(&mut self, off: i32, len: i32) {
        for (at, place) in self.at.iter_mut().zip(PLACES) {
            if off < place + 16 && place < off + len {
                *at = At::Nothing;
            }
        }
    }

    /// Whether bytes are part of a record.
    fn is_record(&self, off: i32, len: i32) -> bool {
        let overlaps = |place: i32| off < place + 16 && place < off + len;
        self.at.iter().zip(PLACES).any(|(at, place)| matches!(at, At::Record(_)) && overlaps(place))
    }

    /// A place for a new one.
    fn room(&mut self) -> usize {
        for _ in 0..8 {
            let i = self.rng.below(4);
            if !self.is_record(PLACES[i], 16) || self.rarely() {
                return i;
            }
        }
        self.rng.below(4)
    }

    fn make(&mut self) {
        let i = self.room();
        let place = PLACES[i];
        let any = self.at.iter().any(|at| *at != At::Nothing);
        let kinds = if self.kernel { 3 + usize::from(any) } else { 2 };
        let kind = match self.rng.below(kinds) {
            0 => {
                let size = self.rng.below(49);
                self.line(format!("r1 = {VALUE} ll; r2 = {size}; r3 = 0; r4 = r10; r4 += {place}; call 197"));
                At::Plain
            }
            1 => {
                self.line(format!("r1 = {RING} ll; r2 = 16; r3 = 0; r4 = r10; r4 += {place}; call 198"));
                self.records += 1;
                At::Record(self.records)
            }
            2 => {
                self.line(format!("r1 = r6; r2 = 0; r3 = r10; r3 += {place}"));
                self.call("bpf_dynptr_from_skb");
                At::Plain
            }
            _ => {
                let from = self.used();
                self.line(format!("r1 = r10; r1 += {from}; r2 = r10; r2 += {place}"));
                self.call("bpf_dynptr_clone");
                let kind = PLACES.iter().position(|p| *p == from).map_or(At::Nothing, |i| self.at[i]);
                if kind == At::Nothing { At::Plain } else { kind }
            }
        };
        self.overwritten(place, 16);
        self.at[i] = kind;
    }

    fn end(&mut self) {
        let may_end = |i: &usize| matches!(self.at[*i], At::Record(_)) && !self.held[*i];
        let Some(i) = (0..4).find(may_end) else { return };
        let place = if self.rarely() { PLACES[self.rng.below(4)] } else { PLACES[i] };
        let how = 199 + self.rng.below(2);
        self.line(format!("r1 = r10; r1 += {place}; r2 = 0; call {how}"));
        self.forget(self.at[i]);
    }

    fn copy(&mut self) {
        let place = self.used();
        let (off, len) = (self.rng.below(20), 1 + self.rng.below(16));
        let buffer = if self.rarely() { -8 * (1 + self.rng.below(10) as i32) } else { BUFFER };
        let kinds = if self.kernel { 4 } else { 2 };
        match self.rng.below(kinds) {
            0 => self.line(format!(
                "r1 = r10; r1 += {buffer}; r2 = {len}; r3 = r10; r3 += {place}; r4 = {off}; r5 = 0; call 201"
            )),
            1 => self.line(format!(
                "r1 = r10; r1 += {place}; r2 = {off}; r3 = r10; r3 += {buffer}; r4 = {len}; r5 = 0; call 202"
            )),
            2 => {
                self.line(format!("r1 = r10; r1 += {place}; r2 = {off}; r3 = {len}"));
                self.call("bpf_dynptr_adjust");
            }
            _ => {
                let from = self.used();
                self.line(format!(
                    "r1 = r10; r1 += {place}; r2 = 0; r3 = r10; r3 += {from}; r4 = 0; r5 = {len}"
                ));
                self.call("bpf_dynptr_copy");
            }
        }
    }

    /// Memory of a dynptr, used, and used again behind other steps.
    fn slice(&mut self, nests: u32) {
        let place = self.used();
        let (off, size) = (self.rng.below(8), 1 + self.rng.below(16));
        let skip = self.label();
        let reg = if self.rng.below(2) == 0 { "r7" } else { "r8" };
        let kinds = if self.kernel { 3 } else { 1 };
        match self.rng.below(kinds) {
            0 => self.line(format!("r1 = r10; r1 += {place}; r2 = {off}; r3 = {size}; call 203")),
            n => {
                let buffer = if self.rng.below(2) == 0 {
                    "r3 = 0".into()
                } else {
                    format!("r3 = r10; r3 += {BUFFER}")
                };
                self.line(format!("r1 = r10; r1 += {place}; r2 = {off}; {buffer}; r4 = {size}"));
                self.call(KERNEL[n]);
            }
        }
        self.line(format!("{reg} = r0; if r0 == 0 goto {skip}"));
        for _ in 0..1 + self.rng.below(3) {
            let over = usize::from(self.rarely());
            let at = self.rng.below(size) + over;
            match self.rng.below(5) {
                0 | 1 => self.line(format!("r1 = *(u8 *)({reg} + {at})")),
                2 if !self.kernel || self.rarely() => self.line(format!("*(u8 *)({reg} + {at}) = 1")),
                _ if nests > 0 => self.aside(1, nests - 1),
                _ => {}
            }
        }
        self.line(format!("{skip}:"));
    }

    /// Two paths meet: what is a record on one only is lost or ended twice, whatever follows.
    fn merged(&mut self, other: [At; 4]) {
        let other_has = |record| other.contains(&record);
        for (i, other) in other.into_iter().enumerate() {
            if self.at[i] != other {
                if let At::Record(_) = self.at[i] {
                    if !other_has(self.at[i]) {
                        self.line(format!("r1 = r10; r1 += {}; r2 = 0; call 199", PLACES[i]));
                    }
                    self.forget(self.at[i]);
                }
                self.at[i] = At::Nothing;
            }
        }
    }

    fn store(&mut self) {
        let size = 1 << self.rng.below(4);
        let off = -size * (1 + self.rng.below(88 / size as usize) as i32);
        if self.is_record(off / 8 * 8 - 8, 16) && !self.rarely() {
            return;
        }
        self.line(format!("*(u{} *)(r10 - {}) = 5", size * 8, -off));
        self.overwritten(off, size);
    }

    fn step(&mut self, nests: u32) {
        match self.rng.below(12) {
            0..3 => self.make(),
            3 | 4 => self.copy(),
            5 | 6 => self.slice(nests),
            7 => self.end(),
            8 => self.store(),
            9 if nests > 0 => {
                let skip = self.label();
                self.line(format!("call 7; if r0 == 0 goto {skip}"));
                let steps = 1 + self.rng.below(2);
                self.aside(steps, nests - 1);
                self.line(format!("{skip}:"));
            }
            10 if self.kernel => self.line("r1 = r6; r2 = 8; call 39"),
            11 if nests > 0 => {
                let again = self.label();
                self.line(format!("r9 = 0; {again}:"));
                self.aside(1, 0);
                self.line(format!("r9 += 1; if r9 < 3 goto {again}"));
            }
            _ => {
                let at = if self.rarely() { 16 } else { 80 };
                self.line(format!("r0 = *(u64 *)(r10 - {at})"));
            }
        }
    }

    fn program(mut self, types: Option<&Btf>) -> ProgramSpec {
        self.line("r6 = r1; *(u64 *)(r10 - 80) = 0; *(u64 *)(r10 - 72) = 0; *(u64 *)(r10 - 64) = 0");
        self.line("r7 = 0; r8 = 0; r9 = 0");
        for _ in 0..3 + self.rng.below(7) {
            self.step(2);
        }
        for (i, place) in PLACES.into_iter().enumerate() {
            if matches!(self.at[i], At::Record(_)) && !self.rarely() {
                self.line(format!("r1 = r10; r1 += {place}; r2 = 0; call 199"));
                // Its copies have ended with it.
                self.forget(self.at[i]);
            }
        }
        self.line("r0 = 0; exit");
        let mut insns = self.insns();
        for pc in 0..insns.len() {
            let imm = insns[pc].imm;
            if insns[pc].is_wide() && insns[pc].src.0 == 0 && imm as u32 >> 16 == 0x5eed {
                let value = match imm as u32 {
                    VALUE => Imm64::MapValueIdx { idx: 0, off_bytes: 0 },
                    _ => Imm64::MapIdx(1),
                };
                sketch::put(&mut insns, pc, value);
            } else if insns[pc].opcode == 0x85 && imm >= KERNEL_MARK {
                let name = KERNEL[(imm - KERNEL_MARK) as usize];
                let id =
                    types.and_then(|t| t.find_by_name(Some(Kind::Func), name)).expect("the kernel has it");
                insns[pc] = Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32);
            }
        }
        let kind = if self.kernel { ProgramType::SCHED_CLS } else { ProgramType::SYSCALL };
        let maps = [MapDef::new(MapType::ARRAY, 4, 48, 1), MapDef::new(MapType::RINGBUF, 0, 0, 4096)];
        let flags = if kind == ProgramType::SYSCALL { ProgramSpec::SLEEPABLE } else { 0 };
        ProgramSpec { maps: maps.into_iter().map(Arc::new).collect(), flags, ..ProgramSpec::new(kind, insns) }
    }
}

#[test]
fn accepted_dynptrs_are_safe() {
    let asks = LinuxBackend::probe().is_yes();
    if !asks {
        println!("skipped: no kernel to compare with");
    }
    let seeds = sketch::seeds(60);
    let count = seeds.end - seeds.start;
    let backend = LinuxBackend::new();
    let types = skep_testkit::kernel::types().cloned();
    let mut env = Environment::default();
    env.kernel_types = types.clone();
    let (mut both, mut neither, mut stricter, mut runs) = (0, 0, 0, 0);
    for i in seeds {
        let kernel = i % 2 == 0 && types.is_some();
        let generator =
            Generator { sketch: Sketch::new(i), records: 0, at: [At::Nothing; 4], held: [false; 4], kernel };
        let spec = generator.program(types.as_deref());
        let text = || text(&spec);
        // States stored here and there, and wherever paths may meet: a dynptr that one path has and the other does not may
        // be written over by a call on one of them only, so that the verdicts may differ.
        let every_state = ProgramSpec { flags: spec.flags | TEST_STATE_FREQ, ..spec.clone() };
        let ours = verify(&spec, &env, &Options::default());
        let often = verify(&spec, &env, &Options { test_state_freq: true, ..Options::default() });
        if let Err(e) = &ours {
            assert!(!e.is_unsupported(), "seed {i}: {e}\n{}", text());
        }
        if asks {
            let maps: Vec<_> = spec.maps.iter().map(|m| backend.create(m).expect("a map")).collect();
            let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
            for (spec, ours) in [(&spec, &ours), (&every_state, &often)] {
                let theirs = backend.load_program(spec, &fds, LoadOptions { log_level: 1 });
                match (ours, &theirs) {
                    (Ok(_), Ok(_)) => both += 1,
                    (Ok(_), Err(e)) => assert!(
                        LIMITS.iter().any(|words| e.log.contains(words)),
                        "seed {i}: only skep accepts\n{}\n{}",
                        e.log,
                        text()
                    ),
                    (Err(e), Ok(_)) => {
                        stricter += 1;
                        println!("seed {i}: only skep refuses: {e}\n{}", text());
                    }
                    (Err(_), Err(_)) => neither += 1,
                }
            }
        }
        let Ok(verified) = ours else { continue };
        if kernel {
            continue;
        }
        let maps = spec.maps.iter().map(|m| Map::create(m, &Config::new(1), &Heap).expect("a map"));
        let program = Program::new(&verified, &env, maps.collect()).expect("the maps fit");
        for _ in 0..2 {
            let (mut stack, mut ctx) = (Stack::new(), [0; 64]);
            let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_fuel(200_000);
            runs += 1;
            if let Err(trap) = program.run(&mut run) {
                assert!(trap.kind.is_limit(), "seed {i}: {trap}\n{}", text());
            }
        }
    }
    println!(
        "{count} programs twice: {both} accepted by both, {neither} by neither, {stricter} by the kernel alone, {runs} runs"
    );
    assert!(runs * 4 > count, "too few programs are accepted for the runs to mean much");
    assert!(!asks || stricter * 10 <= count, "{stricter} of {count} programs are refused by skep alone");
}

//! A program's way to native code: build, passes, lower, place.

use std::sync::Arc;
use std::time::Duration;

use skep_vm::native::{Binding, Find, Native};
use skep_vm::{Program, Proof};

use crate::Unsupported;
use crate::build::{self, build};
use crate::code::{Code, Profile, native, profile};
use crate::ir::find::{Place, find};
use crate::ir::lookup::Array;
use crate::ir::passes::{self, Passes};
use crate::lower::{Cranelift, Lowering, Placed, Position, Seam, Slots, Wanted};

/// How a program is compiled.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How it is built: whether every access is checked at run time.
    pub build: build::Options,
    /// Which passes run over the SSA form.
    pub passes: Passes,
    /// Leaves out what Cranelift optimises by itself.
    pub plain: bool,
    /// A frame pointer in every frame, for profilers that go by them; those that read `.eh_frame` need none.
    pub frame_pointers: bool,
    /// Whom the code is made known to. The environment variable `SKEP_PROFILE` (`map`, `dump`, `debugger`, or some with commas) adds to it.
    pub profile: Profile,
}

/// What compiling took, in processor time of its thread, and gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of native code.
    pub bytes: usize,
    /// Instructions of the SSA form after all passes.
    pub values: usize,
    /// Nanoseconds from instructions to SSA.
    pub build_ns: u64,
    /// Nanoseconds of all passes.
    pub passes_ns: u64,
    /// Nanoseconds from SSA to machine code.
    pub lower_ns: u64,
    /// Nanoseconds until the code could run.
    pub place_ns: u64,
}

impl Report {
    /// Nanoseconds of all of it.
    pub fn total_ns(&self) -> u64 {
        self.build_ns + self.passes_ns + self.lower_ns + self.place_ns
    }
}

/// Native code of a program, and what is known of it: what [`Native::keep`] keeps.
pub struct Compiled {
    pub(crate) code: Code,
    functions: Vec<Placed>,
    positions: Vec<Position>,
    report: Report,
}

impl Compiled {
    /// That of a program which this crate has compiled.
    pub fn of(native: &Native) -> Option<&Self> {
        native.keep().downcast_ref()
    }

    /// What compiling took and gave.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The code.
    pub fn bytes(&self) -> &[u8] {
        self.code.bytes()
    }

    /// Address of its first byte.
    pub fn address(&self) -> u64 {
        self.code.address(0)
    }

    /// Its functions, in order of their offsets.
    pub fn functions(&self) -> &[Placed] {
        &self.functions
    }

    /// Which slot of the program code from an offset on stands for; ascending offsets.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// The slot that the code at an offset stands for.
    pub fn slot_at(&self, offset: u32) -> Option<u32> {
        let behind = self.positions.partition_point(|p| p.offset <= offset);
        self.positions[..behind].last().and_then(|p| p.slot)
    }
}

/// Makes native code of a verified program; [`Program::set_native`] takes it.
///
/// # Errors
/// [`Unsupported`]: the program was not verified (or has forgotten its proof), has an instruction that only the interpreter
/// runs, or this machine has no code generator. It runs in the interpreter as before.
pub fn compile(program: &Program, options: &Options) -> Result<(Native, Report), Unsupported> {
    of(&program.binding().ok_or_else(Unsupported::not_verified)?, options)
}

/// As [`compile`], of a program that has handed out its proof: others may run it meanwhile.
///
/// # Errors
/// As there; and the proof is another program's.
pub fn compile_by(
    program: &Program,
    proof: &Proof,
    options: &Options,
) -> Result<(Native, Report), Unsupported> {
    of(&program.binding_by(proof).ok_or_else(Unsupported::not_verified)?, options)
}

fn of(binding: &Binding<'_>, options: &Options) -> Result<(Native, Report), Unsupported> {
    let program = binding.program();
    let mut clock = Clock::start();
    let mut module = build(binding, &options.build).map_err(|e| Unsupported::instruction(e.pc, &e.what))?;
    let mut report = Report { build_ns: clock.lap(), ..Report::default() };
    passes::run(&mut module, &options.passes, &|content| array(binding, content));
    // Where accesses are checked, keys are, too.
    if options.passes.lookup && !options.build.check_accesses {
        find(&mut module, &|content| place(binding, content));
    }
    report.passes_ns = clock.lap();
    report.values = module.functions.iter().flat_map(|f| &f.blocks).map(|b| b.insts.len()).sum();

    let slots = binding.entered();
    let entered: Vec<bool> = module.functions.iter().map(|f| !f.piece && slots.contains(&f.slot)).collect();
    let wanted = Wanted { plain: options.plain, frame_pointers: options.frame_pointers, ..Wanted::default() };
    let seam = Seam { program_slots: program_slots(binding), ..Seam::runtime() };
    let machine = Cranelift.lower(&module, &entered, &seam, &wanted)?;
    report.lower_ns = clock.lap();

    let mut code = Code::place(&machine)?;
    profile(&mut code, program.name(), &machine, options.profile);
    report.place_ns = clock.lap();
    report.bytes = machine.code.len();
    let compiled =
        Compiled { code, functions: machine.functions, positions: machine.positions, report: report.clone() };
    let entries = machine.entries.iter().zip(&module.functions);
    let entries: Vec<(u32, u32)> = entries.filter_map(|(at, f)| Some((f.slot, (*at)?))).collect();
    let native = native(binding, Arc::new(compiled), &entries, machine.tail_entry, module.ctx_bytes);
    Ok((native, report))
}

/// The array that a register content stands for.
fn array(binding: &Binding<'_>, content: u64) -> Option<Array> {
    let map = binding.maps().get(binding.map_of(content)?)?;
    let (at, cpu_stride) = match (map.array(), map.percpu_array(0)) {
        (Some(at), _) => (at, None),
        // Runs are on CPUs that the map has: `Binding::cpus`.
        (None, Some(first)) => {
            let stride = map.percpu_array(1).map_or(0, |second| second.base - first.base);
            (first, Some(stride))
        }
        (None, None) => return None,
    };
    Some(Array { base: at.base, stride: at.stride as u64, entries: at.max_entries, cpu_stride })
}

/// How the map that a register content stands for is looked up in.
fn place(binding: &Binding<'_>, content: u64) -> Option<Place> {
    let Find { function, map } = binding.find(binding.map_of(content)?)?;
    let address = |p: *const ()| p.expose_provenance() as u64;
    Some(Place { function: address(function as *const ()), map: address(map.cast()) })
}

/// The program's arrays of programs.
fn program_slots(binding: &Binding<'_>) -> Vec<Slots> {
    let maps = (0..).zip(binding.maps());
    let slots = maps.filter_map(|(i, map)| {
        let (address, count) = map.program_slots()?;
        Some(Slots { content: binding.map_content(i), address, count })
    });
    slots.collect()
}

/// Time between points.
struct Clock(Duration);

impl Clock {
    fn start() -> Self {
        Self(now())
    }

    /// Nanoseconds since the last one.
    fn lap(&mut self) -> u64 {
        let now = now();
        let lap = now.saturating_sub(self.0);
        self.0 = now;
        u64::try_from(lap.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How long the thread has run.
#[cfg(unix)]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The time since the first call.
#[cfg(not(unix))]
fn now() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

//! Programs of this backend.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use skep_abi::AttachType;
use skep_spec::{BackendProgram, Errno, Error, ProgramInfo, ProgramSpec, RunInput, RunOutput};
use skep_vm::{Host, Observer, Program, Run, Stack, Trap};

use crate::backend::Shared;
use crate::engine::Making;
use crate::host::RunHost;
use crate::map::Owner;
use crate::runner::no_cpu;
use crate::test_run::{TestRun, fuel as unasked};

/// A loaded program.
pub struct UserProgram {
    shared: Arc<Shared>,
    program: Arc<Program>,
    info: ProgramInfo,
    log: String,
    attach_type: AttachType,
    owner: Owner,
    making: Option<Arc<Making>>,
}

impl fmt::Debug for UserProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserProgram").field("info", &self.info).finish_non_exhaustive()
    }
}

impl UserProgram {
    pub(crate) fn new(
        shared: Arc<Shared>,
        program: Arc<Program>,
        spec: &ProgramSpec,
        info: ProgramInfo,
        log: String,
        making: Option<Arc<Making>>,
    ) -> Self {
        let (attach_type, owner) = (spec.attach_type, Owner::of(spec));
        Self { shared, program, info, log, attach_type, owner, making }
    }

    pub(crate) fn attach_type(&self) -> AttachType {
        self.attach_type
    }

    /// What maps of programs compare.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// The prepared program.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Runs on a context of the caller's, at most `fuel` instructions (see [`Run::with_fuel`]: a bound means the interpreter)
    /// and about `limit` long. Without a bound, programs that no verifier has seen get [`skep_vm::DEFAULT_FUEL`]. A run inside another of the same thread keeps its virtual CPU.
    ///
    /// # Errors
    /// When the program traps: at a limit, or because `ctx` is shorter than its type's context.
    pub fn run(&self, ctx: &mut [u8], fuel: Option<u64>, limit: Option<Duration>) -> Result<u64, Trap> {
        let host = RunHost::new(&self.shared, None);
        let mut stack = ThreadStack::take(&self.program);
        let lease = self.shared.domain.lease().ok_or_else(|| no_cpu(&self.program))?;
        let mut run = Run::new(stack.get(), &host)
            .with_ctx(ctx)
            .with_fuel(fuel.unwrap_or_else(|| unasked(&self.program)))
            .with_vcpu(lease.cpu())
            .with_programs(&self.shared.programs);
        if let Some(limit) = limit {
            let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            run = run.with_deadline(host.ktime_ns().saturating_add(nanos));
        }
        self.program.run(&mut run).map(|outcome| outcome.r0)
    }

    /// As [`BackendProgram::test_run`], watched instruction by instruction.
    ///
    /// # Errors
    /// As there.
    pub fn test_run_watched(&self, input: RunInput<'_>, observer: &dyn Observer) -> Result<RunOutput, Error> {
        self.check_test()?;
        self.tested(|test| test.with_observer(observer).run(input))
    }

    /// Programs of elements run there and nowhere else (`bpf_prog_test_run_xdp`).
    fn check_test(&self) -> Result<(), Error> {
        if !matches!(self.attach_type, AttachType::XDP_DEVMAP | AttachType::XDP_CPUMAP) {
            return Ok(());
        }
        let text = format!(
            "test run of program {}: programs of attach type {} run in elements of maps only",
            self.program.name(),
            self.attach_type.name().unwrap_or("?")
        );
        Err(Error::new(Errno::EINVAL, text))
    }

    fn tested<R>(&self, run: impl FnOnce(TestRun<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let host = RunHost::new(&self.shared, None);
        let lease = self.shared.domain.lease().ok_or_else(|| self.shared.domain.all_taken())?;
        let test = TestRun::new(&self.program, &host).with_programs(&self.shared.programs);
        run(test.with_vcpu(lease.cpu()))
    }

    /// Waits until the program has native code, or it is known that it will have none: what [`BackendProgram::info`] says
    /// of its engine is final then, and so is which engine runs it. Returns at once unless
    /// [`UserOptions::beside`](crate::UserOptions::beside) was set.
    pub fn wait_native(&self) {
        if let Some(making) = &self.making {
            making.wait();
        }
    }

    /// The verifier's log, as much as the load options asked for.
    pub fn log(&self) -> &str {
        &self.log
    }
}

impl Drop for UserProgram {
    fn drop(&mut self) {
        // The compiler holds the program: its memory is to return with the last of its holders.
        self.wait_native();
    }
}

thread_local! {
    /// The stack of the thread's runs, while none of them is under way: a new one costs more than most runs do.
    static STACK: Cell<Option<Box<Stack>>> = const { Cell::new(None) };
}

/// A stack that goes back to its thread after the run. A run inside another has one of its own.
struct ThreadStack(Option<Box<Stack>>);

impl ThreadStack {
    /// A program that no verifier has seen gets a new one: it may look where another has been.
    fn take(program: &Program) -> Self {
        let used = STACK.try_with(|s| s.take().filter(|_| program.is_verified()));
        Self(used.ok().flatten())
    }

    fn get(&mut self) -> &mut Stack {
        self.0.get_or_insert_default()
    }
}

impl Drop for ThreadStack {
    fn drop(&mut self) {
        // Whoever drops a program has dropped it, whatever threads have run.
        if let Some(stack) = &mut self.0 {
            stack.forget_programs();
        }
        // A thread that is ending keeps none.
        _ = STACK.try_with(|s| s.set(self.0.take()));
    }
}

impl BackendProgram for UserProgram {
    fn info(&self) -> ProgramInfo {
        let mut info = self.info.clone();
        if let Some(making) = &self.making {
            making.describe(&mut info);
        }
        info
    }

    fn test_run(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        self.check_test()?;
        self.tested(|test| test.run(input))
    }

    fn raw_fd(&self) -> Option<i32> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

//! Test runs: what `BPF_PROG_TEST_RUN` does (net/bpf/test_run.c, Linux 6.18).

mod flow;
mod plain;
mod skb;
mod xdp;

use std::fmt;
use std::time::{Duration, Instant};

use skep_abi::ProgramType;
use skep_spec::{CloneRedirect, Errno, Error, Redirect, RunInput, RunOutput};
use skep_vm::{DEFAULT_FUEL, Host, NoPrograms, Observer, Outcome, Program, Programs, Run, Stack, Trap};

pub(crate) use xdp::XDP_LINEAR;

/// Longest packet. Linux stops at 3,712 bytes for all but XDP programs.
const PACKET_MAX: usize = 1 << 20;

/// A test run of a program: the kernel's `BPF_PROG_TEST_RUN` on a host of the caller's.
#[derive(Clone, Copy)]
pub struct TestRun<'r> {
    program: &'r Program,
    host: &'r dyn Host,
    programs: &'r dyn Programs,
    vcpu: u32,
    fuel: u64,
    observer: Option<&'r dyn Observer>,
}

impl fmt::Debug for TestRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRun").field("program", &self.program.name()).finish_non_exhaustive()
    }
}

/// What a run recorded instead of doing it.
#[derive(Default)]
struct Effects {
    redirect: Option<Redirect>,
    clones: Vec<CloneRedirect>,
}

impl Effects {
    /// Those of this run, not of the one before.
    fn take(&mut self, run: &Run<'_>) {
        self.redirect = run.redirect();
        self.clones.clear();
        self.clones.extend_from_slice(run.clones());
    }
}

/// Verified programs end; others are metered.
pub(crate) fn fuel(program: &Program) -> u64 {
    if program.is_verified() { u64::MAX } else { DEFAULT_FUEL }
}

impl<'r> TestRun<'r> {
    /// A run on virtual CPU 0, where tail calls find no programs.
    pub fn new(program: &'r Program, host: &'r dyn Host) -> Self {
        Self { program, host, programs: &NoPrograms, vcpu: 0, fuel: fuel(program), observer: None }
    }

    /// Sets where tail calls find programs.
    #[must_use]
    pub fn with_programs(self, programs: &'r dyn Programs) -> Self {
        Self { programs, ..self }
    }

    /// Sets the virtual CPU, which must be the caller's meanwhile.
    #[must_use]
    pub fn with_vcpu(self, vcpu: u32) -> Self {
        Self { vcpu, ..self }
    }

    /// Bounds each repetition ([`Run::with_fuel`]).
    #[must_use]
    pub fn with_fuel(self, fuel: u64) -> Self {
        Self { fuel, ..self }
    }

    /// Shows each instruction to an observer before it executes.
    #[must_use]
    pub fn with_observer(self, observer: &'r dyn Observer) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Runs the program on the input as its type has it.
    ///
    /// # Errors
    /// As `BPF_PROG_TEST_RUN`: `EINVAL` for data or a context that the type does not take, `E2BIG` for a context
    /// that is too long, `ENODEV` for an interface other than the loopback device's 1, `ENOTSUPP` for types
    /// without a test run. `EFAULT` when the program traps, `ETIMEDOUT` when it reaches a limit.
    pub fn run(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        match self.program.prog_type() {
            ProgramType::SOCKET_FILTER => self.socket_filter(input),
            ProgramType::SCHED_CLS | ProgramType::SCHED_ACT => self.skb(input, skb::Start::Frame),
            ProgramType::CGROUP_SKB | ProgramType::LWT_IN | ProgramType::LWT_OUT | ProgramType::LWT_XMIT => {
                self.skb(input, skb::Start::Network)
            }
            ProgramType::FLOW_DISSECTOR => self.flow_dissector(input),
            ProgramType::SK_LOOKUP => self.sk_lookup(input),
            ProgramType::XDP => self.xdp(input),
            ProgramType::SYSCALL => self.syscall(input),
            ProgramType::RAW_TRACEPOINT => self.raw_tracepoint(input),
            ProgramType::TRACEPOINT => {
                self.tracing(input, "the record of a tracepoint, with its common fields")
            }
            ProgramType::KPROBE => self.tracing(input, "a struct pt_regs"),
            ProgramType::PERF_EVENT => self.tracing(input, "a struct bpf_perf_event_data"),
            other => {
                let kind = other.name().unwrap_or("unknown");
                Err(self.error(Errno::ENOTSUPP, &format!("programs of type {kind} have no test run")))
            }
        }
    }

    #[cold]
    fn error(&self, errno: Errno, why: &str) -> Error {
        Error::new(errno, format!("test run of program {}: {why}", self.program.name()))
    }

    #[cold]
    fn trapped(&self, trap: &Trap) -> Error {
        let errno = if trap.kind.is_limit() { Errno::ETIMEDOUT } else { Errno::EFAULT };
        self.error(errno, &trap.to_string())
    }

    fn bounds(&self, len: usize, least: usize, what: &str) -> Result<(), Error> {
        if len < least {
            return Err(
                self.error(Errno::EINVAL, &format!("{len} bytes of data: {what} has at least {least}"))
            );
        }
        if len > PACKET_MAX {
            return Err(self.error(Errno::EINVAL, &format!("{len} bytes of data: at most {PACKET_MAX}")));
        }
        Ok(())
    }

    /// Runs `times` times; `each` prepares and does one.
    fn repeat(
        &self,
        times: u32,
        mut each: impl FnMut(Run<'_>) -> Result<Outcome, Trap>,
    ) -> Result<(u32, Duration), Trap> {
        let mut stack = Box::new(Stack::new());
        let times = times.max(1);
        let start = Instant::now();
        let mut r0 = 0;
        for _ in 0..times {
            let mut run = Run::new(&mut stack, self.host).with_fuel(self.fuel);
            if let Some(observer) = self.observer {
                run = run.with_observer(observer);
            }
            r0 = each(run.with_vcpu(self.vcpu).with_programs(self.programs))?.r0;
        }
        Ok((r0 as u32, start.elapsed() / times))
    }
}

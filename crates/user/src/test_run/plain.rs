//! Test runs of programs whose context is plain bytes.

use skep_spec::{Errno, Error, RunInput, RunOutput};
use skep_vm::{Trap, TrapKind};

use super::TestRun;

/// Largest context of a `syscall` program.
const SYSCALL_CTX_MAX: usize = u16::MAX as usize;

impl TestRun<'_> {
    /// `bpf_prog_test_run_syscall`
    pub(super) fn syscall(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        if !input.data.is_empty() {
            return Err(self.error(Errno::EINVAL, "a syscall program takes a context, no data"));
        }
        if input.ctx.len() > SYSCALL_CTX_MAX {
            let why = format!("context of {} bytes: at most {SYSCALL_CTX_MAX}", input.ctx.len());
            return Err(self.error(Errno::EINVAL, &why));
        }
        // At an address that suits all of its fields, like the kernel's.
        let mut ctx = Aligned::new(input.ctx);
        let ran = self.repeat(input.repeat, |run| self.program.run(&mut run.with_ctx(ctx.bytes_mut())));
        let (retval, duration) = ran.map_err(|t| self.short_context(&t, input.ctx.len()))?;
        Ok(RunOutput { retval, ctx: ctx.bytes_mut().to_vec(), duration, ..RunOutput::default() })
    }

    /// `bpf_prog_test_run_raw_tp`
    pub(super) fn raw_tracepoint(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        if !input.data.is_empty() || input.repeat > 1 {
            return Err(self.error(Errno::EINVAL, "a raw tracepoint takes arguments, no data and no repeat"));
        }
        let mut args = Aligned::new(input.ctx);
        let ran = self.repeat(1, |run| self.program.run(&mut run.with_ctx(args.bytes_mut())));
        let (retval, _) = ran.map_err(|t| self.short_context(&t, input.ctx.len()))?;
        Ok(RunOutput { retval, ctx: input.ctx.to_vec(), ..RunOutput::default() })
    }

    /// Programs that trace: skep's own, since Linux has no test run of them. The context is the caller's: the record of
    /// a tracepoint with its common fields, a `struct pt_regs`, a `struct bpf_perf_event_data`. Programs only read it.
    pub(super) fn tracing(&self, input: RunInput<'_>, what: &str) -> Result<RunOutput, Error> {
        if !input.data.is_empty() {
            return Err(self.error(Errno::EINVAL, &format!("the context is {what}; there are no data")));
        }
        if input.ctx.is_empty() {
            return Err(self.error(Errno::EINVAL, &format!("a context is needed: {what}")));
        }
        let mut ctx = Aligned::new(input.ctx);
        let ran = self.repeat(input.repeat, |run| self.program.run(&mut run.with_ctx(ctx.bytes_mut())));
        let (retval, duration) = ran.map_err(|t| self.short_context(&t, input.ctx.len()))?;
        Ok(RunOutput { retval, ctx: input.ctx.to_vec(), duration, ..RunOutput::default() })
    }

    /// Linux compares the context's length with the largest offset that the program names before it runs; here the
    /// access itself finds out.
    #[cold]
    fn short_context(&self, trap: &Trap, len: usize) -> Error {
        match trap.kind {
            TrapKind::Memory(fault) if len == 0 || fault.near.is_some_and(|r| r.name == "context") => {
                self.error(Errno::EINVAL, &format!("context of {len} bytes is too short: {trap}"))
            }
            TrapKind::ContextTooShort { .. } => self.error(Errno::EINVAL, &trap.kind.to_string()),
            _ => self.trapped(trap),
        }
    }
}

/// Bytes at an address that is a multiple of 8.
struct Aligned {
    room: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(bytes: &[u8]) -> Self {
        let mut room = vec![0; bytes.len() + 8];
        let start = room.as_ptr().addr().wrapping_neg() % 8;
        room[start..start + bytes.len()].copy_from_slice(bytes);
        Self { room, start, len: bytes.len() }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.room[self.start..self.start + self.len]
    }
}

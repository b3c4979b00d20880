//! Test runs: what `BPF_PROG_TEST_RUN` does (net/bpf/test_run.c, Linux 6.18).

use std::sync::Arc;
use std::time::Instant;

use skep_abi::ProgramType;
use skep_spec::{Errno, Error, RunInput, RunOutput};
use skep_vm::{DEFAULT_FUEL, ETH_HLEN, Layout, Outcome, Program, Run, Stack, Trap, TrapKind, XDP_HEADROOM};

use crate::backend::Shared;
use crate::context::{SkBuff, XdpMd};
use crate::host::RunHost;
use crate::source::ethertype;

/// Bytes of a packet that stand in one piece before an XDP program: a page less head- and tailroom.
pub(crate) const XDP_LINEAR: usize = 4096 - XDP_HEADROOM - 320;
/// Longest packet. Linux stops at 3,712 bytes for socket filters.
const PACKET_MAX: usize = 1 << 20;
/// Largest context of a `syscall` program.
const SYSCALL_CTX_MAX: usize = u16::MAX as usize;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;

pub(crate) fn test_run(
    shared: &Shared,
    program: &Arc<Program>,
    input: RunInput<'_>,
) -> Result<RunOutput, Error> {
    let test = TestRun { shared, program };
    match program.prog_type() {
        ProgramType::SOCKET_FILTER => test.socket_filter(input),
        ProgramType::XDP => test.xdp(input),
        ProgramType::SYSCALL => test.syscall(input),
        ProgramType::RAW_TRACEPOINT => test.raw_tracepoint(input),
        other => {
            let kind = other.name().unwrap_or("unknown");
            Err(test.error(Errno::ENOTSUPP, &format!("programs of type {kind} have no test run")))
        }
    }
}

/// Verified programs end; others are metered.
pub(crate) fn fuel(program: &Program) -> u64 {
    if program.is_verified() { u64::MAX } else { DEFAULT_FUEL }
}

struct TestRun<'r> {
    shared: &'r Shared,
    program: &'r Program,
}

impl TestRun<'_> {
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
    ) -> Result<(u32, std::time::Duration), Trap> {
        let host = RunHost::new(self.shared, None);
        let mut stack = Box::new(Stack::new());
        let lease = self.shared.domain.lease();
        let times = times.max(1);
        let start = Instant::now();
        let mut r0 = 0;
        for _ in 0..times {
            let run = Run::new(&mut stack, &host).with_fuel(fuel(self.program));
            r0 = each(run.with_vcpu(lease.cpu()).with_programs(&self.shared.programs))?.r0;
        }
        Ok((r0 as u32, start.elapsed() / times))
    }

    fn socket_filter(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        let len = input.data.len();
        self.bounds(len, ETH_HLEN, "a frame")?;
        let protocol = ethertype(input.data);
        match protocol {
            ETH_P_IP => self.bounds(len, ETH_HLEN + 20, "a frame with an IPv4 header")?,
            ETH_P_IPV6 => self.bounds(len, ETH_HLEN + 40, "a frame with an IPv6 header")?,
            _ => {}
        }
        let mut skb =
            SkBuff::for_test(input.data, protocol, input.ctx).map_err(|why| self.error(why.0, why.1))?;
        let layout = Layout::frame_from_network(len);
        let (retval, duration) = self
            .repeat(input.repeat, |run| {
                self.program.run(&mut run.with_ctx(skb.image_mut()).with_packet_read_only(input.data, layout))
            })
            .map_err(|t| self.trapped(&t))?;
        // The Ethernet header that was taken off comes back as zeros.
        let mut data = input.data.to_vec();
        data[..ETH_HLEN].fill(0);
        let ctx = if input.ctx.is_empty() { Vec::new() } else { skb.to_user(input.ctx) };
        Ok(RunOutput { retval, data, ctx, duration })
    }

    fn xdp(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        self.bounds(input.data.len(), ETH_HLEN, "a frame")?;
        let given = XdpMd::for_test(input.data.len(), input.ctx).map_err(|why| self.error(why.0, why.1))?;
        let linear = given.end.min(given.meta + XDP_LINEAR);
        let (meta, start) = (given.meta, XDP_HEADROOM - given.meta);
        let layout = Layout { meta: start, ..Layout::xdp(linear - meta) };
        let mut buffer = vec![0; XDP_HEADROOM + XDP_LINEAR];
        buffer[start..start + linear].copy_from_slice(&input.data[..linear]);
        // As in Linux, a repeated run goes on with the packet that the run before left.
        let mut last = layout;
        let mut image = given.image;
        let (retval, duration) = self
            .repeat(input.repeat, |run| {
                let mut run = run.with_ctx(&mut image).with_packet(&mut buffer, last);
                let outcome = self.program.run(&mut run)?;
                last = run.packet().unwrap_or(last);
                Ok(outcome)
            })
            .map_err(|t| self.trapped(&t))?;
        let mut data = buffer[last.meta..last.end].to_vec();
        data.extend_from_slice(&input.data[linear..]);
        let ctx = if input.ctx.is_empty() { Vec::new() } else { given.to_user(last) };
        Ok(RunOutput { retval, data, ctx, duration })
    }

    fn syscall(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
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
        Ok(RunOutput { retval, data: Vec::new(), ctx: ctx.bytes_mut().to_vec(), duration })
    }

    fn raw_tracepoint(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        if !input.data.is_empty() || input.repeat > 1 {
            return Err(self.error(Errno::EINVAL, "a raw tracepoint takes arguments, no data and no repeat"));
        }
        let mut args = Aligned::new(input.ctx);
        let ran = self.repeat(1, |run| self.program.run(&mut run.with_ctx(args.bytes_mut())));
        let (retval, _) = ran.map_err(|t| self.short_context(&t, input.ctx.len()))?;
        Ok(RunOutput { retval, ctx: input.ctx.to_vec(), ..RunOutput::default() })
    }

    /// Linux compares the context's length with the largest offset that the program names before it runs; here the
    /// access itself finds out.
    #[cold]
    fn short_context(&self, trap: &Trap, len: usize) -> Error {
        match trap.kind {
            TrapKind::Memory(fault) if len == 0 || fault.near.is_some_and(|r| r.name == "context") => {
                self.error(Errno::EINVAL, &format!("context of {len} bytes is too short: {trap}"))
            }
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

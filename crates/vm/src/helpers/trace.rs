//! `bpf_trace_printk` and `bpf_trace_vprintk` (kernel/trace/bpf_trace.c).

use skep_abi::BPRINTF_ARGS;
use skep_spec::Errno;

use super::bprintf::{self, Format, Out, Sink};
use super::{Args, Call, errno};
use crate::trap::TrapKind;

/// Longest line in bytes (`MAX_BPRINTF_BUF`).
const LINE: usize = 1024;
/// Longest format that is looked at: a line can hold no more of it.
const FORMAT: usize = LINE;

/// `bpf_trace_printk(fmt, fmt_size, a, b, c)`: hands a line to the host; gives the length that it would have
/// uncut, or -EINVAL when the format is not one of the kernel's.
pub(super) fn trace_printk(call: &mut Call<'_, '_, '_>, [fmt, size, a, b, c]: Args) -> Result<u64, TrapKind> {
    print(call, fmt, size, &[a, b, c])
}

/// `bpf_trace_vprintk(fmt, fmt_size, args, args_size)`: the same with an array of u64 for arguments.
pub(super) fn trace_vprintk(
    call: &mut Call<'_, '_, '_>,
    [fmt, size, args, args_size, _]: Args,
) -> Result<u64, TrapKind> {
    let mut words = [0; BPRINTF_ARGS];
    match arguments(call, args, args_size, &mut words)? {
        Some(words) => print(call, fmt, size, words),
        None => Ok(errno(Errno::EINVAL)),
    }
}

/// An array of at most [`BPRINTF_ARGS`] arguments; `None` when its size in bytes is none of such an array.
pub(super) fn arguments<'w>(
    call: &mut Call<'_, '_, '_>,
    addr: u64,
    size: u64,
    words: &'w mut [u64; BPRINTF_ARGS],
) -> Result<Option<&'w [u64]>, TrapKind> {
    // The kernel's parameter is 32 bits wide.
    let size = u64::from(size as u32);
    if !size.is_multiple_of(8) || size > 8 * BPRINTF_ARGS as u64 || (size != 0 && addr == 0) {
        return Ok(None);
    }
    let words = &mut words[..size as usize / 8];
    for (i, word) in words.iter_mut().enumerate() {
        let (at, mut bytes) = (addr.wrapping_add(8 * i as u64), [0; 8]);
        call.mem.read(at, &mut bytes).ok_or_else(|| call.fault(addr, size, false))?;
        *word = u64::from_ne_bytes(bytes);
    }
    Ok(Some(words))
}

fn print(call: &mut Call<'_, '_, '_>, fmt: u64, size: u64, args: &[u64]) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if size == 0 {
        return Err(TrapKind::Size(size));
    }
    let mut format = [0; FORMAT];
    let len = size.min(FORMAT as u64) as usize;
    if call.mem.bytes(fmt, size).is_none() || call.mem.read(fmt, &mut format[..len]).is_none() {
        return Err(call.fault(fmt, size, false));
    }
    let Some(text) = format[..len].split(|&b| b == 0).next().filter(|t| t.len() < len) else {
        return Ok(errno(Errno::EINVAL));
    };
    let mut line = [0; LINE];
    let mut out = Out::new(Sink::Host(&mut line));
    match bprintf::format(call.mem, Format::Text(text), args, &mut out) {
        Ok(()) => {
            let total = out.total;
            let bytes = &line[..total.min(LINE as u64 - 1) as usize];
            call.state.host.printk(bytes.strip_suffix(b"\n").unwrap_or(bytes));
            Ok(total)
        }
        Err(e) => Ok(errno(e)),
    }
}

//! Reads of memory that may not be there (kernel/trace/bpf_trace.c, mm/maccess.c).
//!
//! What the run may read is the kernel's memory to a program; what the caller has lent beside context and packet
//! ([`Run::lend`](crate::Run::lend)) is the user's as well. Anything else cannot be read, and zeros are given
//! instead.

use skep_spec::Errno;

use super::{Args, Call, errno};
use crate::mem::Probe;
use crate::trap::TrapKind;

/// First address of the kernel's half on x86-64.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// The error for an address that nobody has: the kernel refuses to try its own readers on an address that cannot
/// be its own.
pub(crate) fn kernel_error(addr: u64) -> Errno {
    if addr < KERNEL_HALF { Errno::ERANGE } else { Errno::EFAULT }
}

/// The older helpers take an address of the lower half for the user's.
fn any_error(addr: u64) -> Errno {
    if addr >> 47 == 0 { Errno::EFAULT } else { kernel_error(addr) }
}

fn user_error(_: u64) -> Errno {
    Errno::EFAULT
}

/// `bpf_probe_read(to, size, from)`.
pub(super) fn read(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    bytes(call, args, Probe::Any, any_error)
}

/// `bpf_probe_read_kernel(to, size, from)`.
pub(crate) fn read_kernel(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    bytes(call, args, Probe::Any, kernel_error)
}

/// `bpf_probe_read_user(to, size, from)` and `bpf_copy_from_user`.
pub(crate) fn read_user(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    bytes(call, args, Probe::User, user_error)
}

/// `bpf_probe_read_str(to, size, from)`.
pub(super) fn read_str(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    string(call, args, Probe::Any, any_error)
}

/// `bpf_probe_read_kernel_str(to, size, from)`.
pub(crate) fn read_kernel_str(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    string(call, args, Probe::Any, kernel_error)
}

/// `bpf_probe_read_user_str(to, size, from)`.
pub(crate) fn read_user_str(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    string(call, args, Probe::User, user_error)
}

/// 0, or the error with `to` all zeros.
fn bytes(
    call: &mut Call<'_, '_, '_>,
    [to, size, from, ..]: Args,
    of: Probe,
    error: fn(u64) -> Errno,
) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    match call.mem.probe_copy(from, size, to, of) {
        None => Err(call.fault(to, size, true)),
        Some(true) => Ok(0),
        // Nothing is missing of no bytes; an address may be out of the question all the same.
        Some(false) if size == 0 && error(from) == Errno::EFAULT => Ok(0),
        Some(false) => zeros(call, to, size, error(from)),
    }
}

/// The bytes written, with a NUL at their end, or the error with `to` all zeros.
fn string(
    call: &mut Call<'_, '_, '_>,
    [to, size, from, ..]: Args,
    of: Probe,
    error: fn(u64) -> Errno,
) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if size == 0 {
        return Ok(0);
    }
    match call.mem.probe_string(from, size, to, of) {
        None => Err(call.fault(to, size, true)),
        Some(0) => zeros(call, to, size, error(from)),
        Some(written) => Ok(written),
    }
}

fn zeros(call: &mut Call<'_, '_, '_>, to: u64, size: u64, error: Errno) -> Result<u64, TrapKind> {
    match call.mem.zero(to, size) {
        Some(()) => Ok(errno(error)),
        None => Err(call.fault(to, size, true)),
    }
}

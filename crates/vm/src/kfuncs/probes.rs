//! Memory that may not be there, read into dynptrs (kernel/trace/bpf_trace.c `__bpf_dynptr_copy`, Linux 6.18).

use skep_spec::Errno;

use super::dynptrs::slice_of;
use super::{Row, row};
use crate::helpers::dynptr::Dynptr;
use crate::helpers::{Args, Body, Call, int, probe};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row(
        "int bpf_probe_read_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign)",
        user,
    ),
    row(
        "int bpf_probe_read_kernel_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign)",
        kernel,
    ),
    row(
        "int bpf_probe_read_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign)",
        user_string,
    ),
    row(
        "int bpf_probe_read_kernel_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign)",
        kernel_string,
    ),
    row(
        "int bpf_copy_from_user_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign)",
        user,
    ),
    row(
        "int bpf_copy_from_user_str_dynptr(struct bpf_dynptr *dptr, u32 off, u32 size, const void *unsafe_ptr__ign)",
        user_string,
    ),
];

fn user(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    bytes(call, args, probe::read_user)
}

fn kernel(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    bytes(call, args, probe::read_kernel)
}

fn user_string(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    string(call, args, (probe::read_user_str, probe::read_user))
}

fn kernel_string(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
    string(call, args, (probe::read_kernel_str, probe::read_kernel))
}

/// Where the bytes go that are in one piece; else, of what is not or may not be written, why it is looked at further.
fn whole(
    call: &mut Call<'_, '_, '_>,
    dynptr: &Dynptr,
    off: u32,
    size: u32,
) -> Result<Result<u64, Result<(), Errno>>, TrapKind> {
    if !dynptr.is_read_only() {
        match slice_of(call, dynptr, off, 0, size)? {
            0 => {}
            at => return Ok(Ok(at)),
        }
    }
    let usable = match dynptr.part(off, size) {
        Ok(_) if size != 0 && (dynptr.data == 0 || dynptr.is_read_only()) => Err(Errno::EINVAL),
        inside => inside.map(drop),
    };
    Ok(Err(usable))
}

/// The address of one byte of a dynptr whose bytes are not all in one piece.
fn byte(call: &mut Call<'_, '_, '_>, dynptr: &Dynptr, off: u32) -> Result<u64, TrapKind> {
    match slice_of(call, dynptr, off, 0, 1)? {
        0 => Err(call.fault(dynptr.data.wrapping_add(u64::from(off)), 1, true)),
        at => Ok(at),
    }
}

/// 0, -E2BIG where the dynptr is shorter, -EINVAL for one that is only read, or why the memory cannot be read.
fn bytes(call: &mut Call<'_, '_, '_>, [ptr, off, size, from, _]: Args, read: Body) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    let (off, size) = (off as u32, size as u32);
    match whole(call, &dynptr, off, size)? {
        Ok(at) => Ok(low(read(call, [at, size.into(), from, 0, 0])?)),
        Err(Err(why)) => Ok(int(Err(why))),
        Err(Ok(())) => {
            for i in 0..size {
                let at = byte(call, &dynptr, off + i)?;
                match read(call, [at, 1, from.wrapping_add(i.into()), 0, 0])? {
                    0 => {}
                    error => return Ok(low(error)),
                }
            }
            Ok(0)
        }
    }
}

/// The bytes written with the NUL at their end, or an error as [`bytes`] has them.
fn string(
    call: &mut Call<'_, '_, '_>,
    [ptr, off, size, from, _]: Args,
    (read, read_byte): (Body, Body),
) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    let (off, size) = (off as u32, size as u32);
    match whole(call, &dynptr, off, size)? {
        Ok(at) => Ok(low(read(call, [at, size.into(), from, 0, 0])?)),
        Err(Err(why)) => Ok(int(Err(why))),
        Err(Ok(())) => {
            for i in 0..size {
                let at = byte(call, &dynptr, off + i)?;
                if i == size - 1 {
                    call.store(at, &[0])?;
                    break;
                }
                match read_byte(call, [at, 1, from.wrapping_add(i.into()), 0, 0])? {
                    0 => {}
                    error => return Ok(low(error)),
                }
                let mut read = [0];
                call.mem.read(at, &mut read).ok_or_else(|| call.fault(at, 1, false))?;
                if read == [0] {
                    return Ok(u64::from(i + 1));
                }
            }
            Ok(size.into())
        }
    }
}

/// The functions return 32 bits.
fn low(result: u64) -> u64 {
    u64::from(result as u32)
}

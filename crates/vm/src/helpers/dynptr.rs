//! Dynptrs to memory and to ring buffer records (kernel/bpf/helpers.c and ringbuf.c, Linux 6.18).
//!
//! A `struct bpf_dynptr` on the program's stack holds what the kernel's `struct bpf_dynptr_kern` does:
//!
//! ```text
//!  0        8                            12
//!  address  size (24 bits), type, flag   offset
//! ```
//!
//! What stands there is an allegation like any other: each use asks for its bytes anew, so that a program that
//! nobody has verified reaches nothing through it that it would not reach itself.

use skep_spec::Errno;

use super::{Args, Call, errno, ringbuf, status};
use crate::mem::Probe;
use crate::trap::TrapKind;

/// Most bytes of a dynptr (`DYNPTR_MAX_SIZE`), and the bits of them.
const SIZE: u32 = (1 << 24) - 1;
/// Where the type stands (`DYNPTR_TYPE_SHIFT`).
const TYPE_SHIFT: u32 = 28;
/// Nothing may be written through it (`DYNPTR_RDONLY_BIT`).
const READ_ONLY: u32 = 1 << 31;
/// `BPF_DYNPTR_TYPE_LOCAL`.
const LOCAL: u32 = 1;
/// `BPF_DYNPTR_TYPE_RINGBUF`.
const RINGBUF: u32 = 2;

/// A dynptr's contents.
#[derive(Clone, Copy)]
struct Dynptr {
    data: u64,
    size: u32,
    offset: u32,
}

/// The two words of a dynptr to `len` bytes at an address, of at most [`SIZE`].
pub(crate) fn local(addr: u64, len: u32) -> [u64; 2] {
    let Dynptr { data, size, offset } = Dynptr::new(addr, len & SIZE, LOCAL);
    let [a, b, c, d] = size.to_ne_bytes();
    let [e, f, g, h] = offset.to_ne_bytes();
    [data, u64::from_ne_bytes([a, b, c, d, e, f, g, h])]
}

impl Dynptr {
    /// To no memory at all (`bpf_dynptr_set_null`).
    const NULL: Self = Self { data: 0, size: 0, offset: 0 };

    fn new(data: u64, size: u32, kind: u32) -> Self {
        Self { data, size: size | kind << TYPE_SHIFT, offset: 0 }
    }

    fn load(call: &mut Call<'_, '_, '_>, at: u64) -> Result<Self, TrapKind> {
        let mut bytes = [0; 16];
        call.mem.read(at, &mut bytes).ok_or_else(|| call.fault(at, 16, false))?;
        let word = |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let mut data = [0; 8];
        data.copy_from_slice(&bytes[..8]);
        Ok(Self { data: u64::from_ne_bytes(data), size: word(8), offset: word(12) })
    }

    fn store(self, call: &mut Call<'_, '_, '_>, at: u64) -> Result<(), TrapKind> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.data.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.offset.to_ne_bytes());
        call.mem.write(at, &bytes).ok_or_else(|| call.fault(at, 16, true))
    }

    /// The address of `len` bytes from `offset` on (`bpf_dynptr_check_off_len`).
    fn part(&self, offset: u32, len: u32) -> Result<u64, Errno> {
        let size = self.size & SIZE;
        if len > size || offset > size - len {
            return Err(Errno::E2BIG);
        }
        Ok(self.data.wrapping_add(self.offset.into()).wrapping_add(offset.into()))
    }

    fn is_read_only(&self) -> bool {
        self.size & READ_ONLY != 0
    }
}

/// Makes the dynptr at an address, or one to nothing with the error.
fn make(call: &mut Call<'_, '_, '_>, at: u64, made: Result<Dynptr, Errno>) -> Result<u64, TrapKind> {
    made.unwrap_or(Dynptr::NULL).store(call, at)?;
    Ok(status(made.map(drop)))
}

/// `bpf_dynptr_from_mem(data, size, flags, ptr)`: 0, -E2BIG or -EINVAL; with an error the dynptr is one to nothing.
pub(super) fn from_mem(
    call: &mut Call<'_, '_, '_>,
    [data, size, flags, ptr, _]: Args,
) -> Result<u64, TrapKind> {
    let size = size as u32;
    let made = match flags {
        _ if size > SIZE => Err(Errno::E2BIG),
        0 => Ok(Dynptr::new(data, size, LOCAL)),
        _ => Err(Errno::EINVAL),
    };
    make(call, ptr, made)
}

/// `bpf_ringbuf_reserve_dynptr(ringbuf, size, flags, ptr)`: 0, -E2BIG, or -EINVAL also where there is no room; then the
/// dynptr is one to nothing, which must be submitted or discarded all the same.
pub(super) fn reserve(
    call: &mut Call<'_, '_, '_>,
    [map, size, flags, ptr, _]: Args,
) -> Result<u64, TrapKind> {
    let size = size as u32;
    let made = match flags {
        0 if size > SIZE => Err(Errno::E2BIG),
        0 => match ringbuf::reserve(call, [map, size.into(), 0, 0, 0])? {
            0 => Err(Errno::EINVAL),
            record => Ok(Dynptr::new(record, size, RINGBUF)),
        },
        _ => Err(Errno::EINVAL),
    };
    make(call, ptr, made)
}

/// `bpf_ringbuf_submit_dynptr(ptr, flags)`.
pub(super) fn submit(call: &mut Call<'_, '_, '_>, [ptr, flags, ..]: Args) -> Result<u64, TrapKind> {
    match Dynptr::load(call, ptr)?.data {
        0 => return Ok(0),
        record => ringbuf::submit(call, [record, flags, 0, 0, 0])?,
    };
    make(call, ptr, Ok(Dynptr::NULL))
}

/// `bpf_ringbuf_discard_dynptr(ptr, flags)`.
pub(super) fn discard(call: &mut Call<'_, '_, '_>, [ptr, flags, ..]: Args) -> Result<u64, TrapKind> {
    match Dynptr::load(call, ptr)?.data {
        0 => return Ok(0),
        record => ringbuf::discard(call, [record, flags, 0, 0, 0])?,
    };
    make(call, ptr, Ok(Dynptr::NULL))
}

/// `bpf_dynptr_read(to, len, ptr, offset, flags)`: 0, -EINVAL for flags or a dynptr to nothing, -E2BIG where the bytes are
/// not all in it.
pub(super) fn read(
    call: &mut Call<'_, '_, '_>,
    [to, len, ptr, offset, flags]: Args,
) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    if dynptr.data == 0 || flags != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    match dynptr.part(offset as u32, len as u32) {
        Ok(from) => moved(call, from, to, len as u32),
        Err(e) => Ok(errno(e)),
    }
}

/// `bpf_dynptr_write(ptr, offset, from, len, flags)`: the other direction; -EINVAL also for one that is only read.
pub(super) fn write(
    call: &mut Call<'_, '_, '_>,
    [ptr, offset, from, len, flags]: Args,
) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    if dynptr.data == 0 || dynptr.is_read_only() {
        return Ok(errno(Errno::EINVAL));
    }
    match dynptr.part(offset as u32, len as u32) {
        Ok(_) if flags != 0 => Ok(errno(Errno::EINVAL)),
        Ok(to) => moved(call, from, to, len as u32),
        Err(e) => Ok(errno(e)),
    }
}

/// `bpf_dynptr_data(ptr, offset, len)`: the address of these bytes, or 0.
pub(super) fn data(call: &mut Call<'_, '_, '_>, [ptr, offset, len, ..]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    if dynptr.data == 0 || dynptr.is_read_only() {
        return Ok(0);
    }
    Ok(dynptr.part(offset as u32, len as u32).unwrap_or(0))
}

/// Copies bytes that may overlap.
fn moved(call: &mut Call<'_, '_, '_>, from: u64, to: u64, len: u32) -> Result<u64, TrapKind> {
    let len = u64::from(len);
    match call.mem.probe_copy(from, len, to, Probe::Any) {
        _ if len == 0 => Ok(0),
        None => Err(call.fault(to, len, true)),
        Some(false) => Err(call.fault(from, len, false)),
        Some(true) => Ok(0),
    }
}

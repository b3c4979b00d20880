//! Dynptrs to memory, ring buffer records and packets (kernel/bpf/helpers.c and ringbuf.c, Linux 6.18).
//!
//! A `struct bpf_dynptr` on the program's stack holds what the kernel's `struct bpf_dynptr_kern` does:
//!
//! ```text
//!  0        8                            12
//!  address  size (24 bits), type, flag   offset
//! ```
//!
//! The address is that of the context for a packet, where the offset counts from the packet's first byte.
//!
//! What stands there is an allegation like any other: each use asks for its bytes anew, so that a program that
//! nobody has verified reaches nothing through it that it would not reach itself.

use skep_spec::Errno;

use super::{Args, Call, errno, ringbuf, skb, status, xdp};
use crate::mem::Probe;
use crate::packet::Layout;
use crate::trap::TrapKind;

/// Most bytes of a dynptr (`DYNPTR_MAX_SIZE`), and the bits of them.
pub(crate) const SIZE: u32 = (1 << 24) - 1;
/// Where the type stands (`DYNPTR_TYPE_SHIFT`).
const TYPE_SHIFT: u32 = 28;
/// Nothing may be written through it (`DYNPTR_RDONLY_BIT`).
const READ_ONLY: u32 = 1 << 31;

/// What a dynptr is to (`enum bpf_dynptr_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Memory of the program.
    Local = 1,
    /// A ring buffer record.
    Ringbuf = 2,
    /// The packet of a socket buffer.
    Skb = 3,
    /// The packet of an XDP program.
    Xdp = 4,
    /// What stands before the packet of a socket buffer.
    SkbMeta = 5,
}

/// A dynptr's contents.
#[derive(Clone, Copy)]
pub(crate) struct Dynptr {
    pub(crate) data: u64,
    /// Bytes, type and flag.
    size: u32,
    pub(crate) offset: u32,
}

/// The two words of a dynptr to `len` bytes at an address, of at most [`SIZE`].
pub(crate) fn local(addr: u64, len: u32) -> [u64; 2] {
    let Dynptr { data, size, offset } = Dynptr::new(addr, len & SIZE, Kind::Local);
    let [a, b, c, d] = size.to_ne_bytes();
    let [e, f, g, h] = offset.to_ne_bytes();
    [data, u64::from_ne_bytes([a, b, c, d, e, f, g, h])]
}

impl Dynptr {
    /// To no memory at all (`bpf_dynptr_set_null`).
    pub(crate) const NULL: Self = Self { data: 0, size: 0, offset: 0 };

    pub(crate) fn new(data: u64, size: u32, kind: Kind) -> Self {
        Self { data, size: size & SIZE | (kind as u32) << TYPE_SHIFT, offset: 0 }
    }

    /// The same, which is only read.
    pub(crate) fn read_only(self) -> Self {
        Self { size: self.size | READ_ONLY, ..self }
    }

    /// Bytes.
    pub(crate) fn len(&self) -> u32 {
        self.size & SIZE
    }

    /// The same with `len` bytes from `by` on.
    pub(crate) fn narrowed(self, by: u32, len: u32) -> Self {
        Self { size: self.size & !SIZE | len & SIZE, offset: self.offset.wrapping_add(by), ..self }
    }

    /// What it is to; memory for what no program of the verifier's has.
    pub(crate) fn kind(&self) -> Kind {
        let all = [Kind::Ringbuf, Kind::Skb, Kind::Xdp, Kind::SkbMeta];
        let kind = self.size >> TYPE_SHIFT & 7;
        all.into_iter().find(|k| *k as u32 == kind).unwrap_or(Kind::Local)
    }

    pub(crate) fn load(call: &mut Call<'_, '_, '_>, at: u64) -> Result<Self, TrapKind> {
        let mut bytes = [0; 16];
        call.mem.read(at, &mut bytes).ok_or_else(|| call.fault(at, 16, false))?;
        let word = |i: usize| u32::from_ne_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        let mut data = [0; 8];
        data.copy_from_slice(&bytes[..8]);
        Ok(Self { data: u64::from_ne_bytes(data), size: word(8), offset: word(12) })
    }

    pub(crate) fn store(self, call: &mut Call<'_, '_, '_>, at: u64) -> Result<(), TrapKind> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.data.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.offset.to_ne_bytes());
        call.mem.write(at, &bytes).ok_or_else(|| call.fault(at, 16, true))
    }

    /// Where `len` bytes from `offset` on begin, from its own start (`bpf_dynptr_check_off_len`).
    pub(crate) fn part(&self, offset: u32, len: u32) -> Result<u64, Errno> {
        let size = self.len();
        if len > size || offset > size - len {
            return Err(Errno::E2BIG);
        }
        Ok(u64::from(self.offset) + u64::from(offset))
    }

    /// The address of `len` bytes from `offset` on, of one to memory or a record; `None` for packets.
    fn address(&self, offset: u32, len: u32) -> Result<Option<u64>, Errno> {
        let at = self.part(offset, len)?;
        Ok(match self.kind() {
            Kind::Local | Kind::Ringbuf => Some(self.data.wrapping_add(at)),
            Kind::Skb | Kind::Xdp | Kind::SkbMeta => None,
        })
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.size & READ_ONLY != 0
    }
}

/// Makes the dynptr at an address, or one to nothing with the error.
pub(crate) fn make(
    call: &mut Call<'_, '_, '_>,
    at: u64,
    made: Result<Dynptr, Errno>,
) -> Result<u64, TrapKind> {
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
        0 => Ok(Dynptr::new(data, size, Kind::Local)),
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
            record => Ok(Dynptr::new(record, size, Kind::Ringbuf)),
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
    let (offset, len) = (offset as u32, len as u32);
    match dynptr.address(offset, len) {
        Ok(Some(from)) => moved(call, from, to, len),
        Ok(None) => {
            let at = dynptr.part(offset, len).unwrap_or(0);
            let args = [dynptr.data, at, to, len.into(), 0];
            match dynptr.kind() {
                _ if len == 0 => Ok(0),
                Kind::Xdp => xdp::load_bytes(call, args),
                Kind::SkbMeta => match in_meta(call, &dynptr, at, len)? {
                    Some(from) => moved(call, from, to, len),
                    None => Ok(errno(Errno::EINVAL)),
                },
                Kind::Skb | Kind::Local | Kind::Ringbuf => skb::load_bytes(call, args),
            }
        }
        Err(e) => Ok(errno(e)),
    }
}

/// The address of bytes of the metadata of a packet, which may be gone.
pub(crate) fn in_meta(
    call: &Call<'_, '_, '_>,
    dynptr: &Dynptr,
    at: u64,
    len: u32,
) -> Result<Option<u64>, TrapKind> {
    let Layout { meta, data, .. } = call.packet(dynptr.data)?;
    let inside = at + u64::from(len) <= (data - meta) as u64;
    Ok(inside.then(|| call.mem.packet_addr(meta).wrapping_add(at)))
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
    let (offset, len) = (offset as u32, len as u32);
    match dynptr.address(offset, len) {
        Ok(Some(_)) if flags != 0 => Ok(errno(Errno::EINVAL)),
        Ok(Some(to)) => moved(call, from, to, len),
        Ok(None) => {
            let at = dynptr.part(offset, len).unwrap_or(0);
            match dynptr.kind() {
                Kind::Xdp | Kind::SkbMeta if flags != 0 => Ok(errno(Errno::EINVAL)),
                Kind::Skb if len == 0 && flags & !skb::STORE_FLAGS != 0 => Ok(errno(Errno::EINVAL)),
                _ if len == 0 => Ok(0),
                Kind::Xdp => xdp::store_bytes(call, [dynptr.data, at, from, len.into(), 0]),
                Kind::SkbMeta => match in_meta(call, &dynptr, at, len)? {
                    Some(to) => moved(call, from, to, len),
                    None => Ok(errno(Errno::EINVAL)),
                },
                Kind::Skb | Kind::Local | Kind::Ringbuf => {
                    skb::store_bytes(call, [dynptr.data, at, from, len.into(), flags])
                }
            }
        }
        Err(e) => Ok(errno(e)),
    }
}

/// `bpf_dynptr_data(ptr, offset, len)`: the address of these bytes, or 0; always 0 for a packet.
pub(super) fn data(call: &mut Call<'_, '_, '_>, [ptr, offset, len, ..]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    if dynptr.data == 0 || dynptr.is_read_only() {
        return Ok(0);
    }
    Ok(dynptr.address(offset as u32, len as u32).ok().flatten().unwrap_or(0))
}

/// Copies bytes that may overlap.
pub(crate) fn moved(call: &mut Call<'_, '_, '_>, from: u64, to: u64, len: u32) -> Result<u64, TrapKind> {
    let len = u64::from(len);
    match call.mem.probe_copy(from, len, to, Probe::Any) {
        _ if len == 0 => Ok(0),
        None => Err(call.fault(to, len, true)),
        Some(false) => Err(call.fault(from, len, false)),
        Some(true) => Ok(0),
    }
}

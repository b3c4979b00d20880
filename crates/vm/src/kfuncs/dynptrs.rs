//! Functions on dynptrs (kernel/bpf/helpers.c and net/core/filter.c, Linux 6.18).

use skep_spec::Errno;

use super::{Row, row};
use crate::helpers::dynptr::{Dynptr, Kind, in_meta, make, moved};
use crate::helpers::{Args, Call, int, xdp};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("int bpf_dynptr_from_skb(struct __sk_buff *s, u64 flags, struct bpf_dynptr *ptr__uninit)", from_skb),
    row(
        "int bpf_dynptr_from_skb_meta(struct __sk_buff *skb_, u64 flags, struct bpf_dynptr *ptr__uninit)",
        from_skb_meta,
    ),
    row("int bpf_dynptr_from_xdp(struct xdp_md *x, u64 flags, struct bpf_dynptr *ptr__uninit)", from_xdp),
    row(
        "void *bpf_dynptr_slice(const struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32 buffer__szk)",
        slice,
    ),
    row(
        "void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, u32 offset, void *buffer__opt, u32 buffer__szk)",
        slice_rdwr,
    ),
    row("int bpf_dynptr_adjust(const struct bpf_dynptr *p, u32 start, u32 end)", adjust),
    row("bool bpf_dynptr_is_null(const struct bpf_dynptr *p)", is_null),
    row("bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p)", is_rdonly),
    row("u32 bpf_dynptr_size(const struct bpf_dynptr *p)", size),
    row("int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone__uninit)", clone),
    row(
        "int bpf_dynptr_copy(struct bpf_dynptr *dst_ptr, u32 dst_off, struct bpf_dynptr *src_ptr, u32 src_off, u32 size)",
        copy,
    ),
    row("int bpf_dynptr_memset(struct bpf_dynptr *p, u32 offset, u32 size, u8 val)", memset),
];

/// Bytes that are copied at a time between packets that do not lie in one piece.
const CHUNK: usize = 256;

/// A dynptr to the packet; -EINVAL for flags, and then it is one to nothing. Programs that may not store into packets get
/// one that is only read.
fn from_skb(call: &mut Call<'_, '_, '_>, [skb, flags, ptr, ..]: Args) -> Result<u64, TrapKind> {
    let packet = call.packet(skb)?;
    if !call.program.ctx.is_sk_buff() {
        return Err(TrapKind::NotAnSkb(call.program.ctx.name));
    }
    from_packet(call, flags, ptr, Dynptr::new(skb, packet.len() as u32, Kind::Skb))
}

/// A dynptr to the metadata before the packet.
fn from_skb_meta(call: &mut Call<'_, '_, '_>, [skb, flags, ptr, ..]: Args) -> Result<u64, TrapKind> {
    let packet = call.packet(skb)?;
    if !call.program.ctx.is_sk_buff() {
        return Err(TrapKind::NotAnSkb(call.program.ctx.name));
    }
    from_packet(call, flags, ptr, Dynptr::new(skb, (packet.data - packet.meta) as u32, Kind::SkbMeta))
}

/// A dynptr to the packet with its pages.
fn from_xdp(call: &mut Call<'_, '_, '_>, [xdp, flags, ptr, ..]: Args) -> Result<u64, TrapKind> {
    let packet = call.packet(xdp)?;
    from_packet(call, flags, ptr, Dynptr::new(xdp, (packet.len() + packet.frags.len) as u32, Kind::Xdp))
}

fn from_packet(call: &mut Call<'_, '_, '_>, flags: u64, ptr: u64, dynptr: Dynptr) -> Result<u64, TrapKind> {
    let dynptr = if call.program.packet.writes() { dynptr } else { dynptr.read_only() };
    let made = if flags == 0 { Ok(dynptr) } else { Err(Errno::EINVAL) };
    Ok(u64::from(make(call, ptr, made)? as u32))
}

/// The address of `len` bytes from `offset` on: of the memory itself wherever it lies in one piece; else of the buffer, into
/// which they are copied, or NULL without one.
fn slice(call: &mut Call<'_, '_, '_>, [ptr, offset, buffer, len, _]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    slice_of(call, &dynptr, offset as u32, buffer, len as u32)
}

/// The same of one that may be written; NULL for others. What the buffer gets must be written back.
fn slice_rdwr(call: &mut Call<'_, '_, '_>, [ptr, offset, buffer, len, _]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    match dynptr.is_read_only() {
        true => Ok(0),
        false => slice_of(call, &dynptr, offset as u32, buffer, len as u32),
    }
}

pub(super) fn slice_of(
    call: &mut Call<'_, '_, '_>,
    dynptr: &Dynptr,
    offset: u32,
    buffer: u64,
    len: u32,
) -> Result<u64, TrapKind> {
    let Ok(at) = dynptr.part(offset, len) else { return Ok(0) };
    if dynptr.data == 0 {
        return Ok(0);
    }
    match dynptr.kind() {
        Kind::Local | Kind::Ringbuf => Ok(dynptr.data.wrapping_add(at)),
        Kind::SkbMeta => {
            let found = in_meta(call, dynptr, at, len)?;
            reach_packet(call, 0);
            Ok(found.unwrap_or(0))
        }
        Kind::Skb => {
            let packet = call.packet(dynptr.data)?;
            if at + u64::from(len) > packet.len() as u64 {
                return Ok(0);
            }
            reach_packet(call, 0);
            Ok(call.mem.packet_addr(packet.data).wrapping_add(at))
        }
        Kind::Xdp => {
            let packet = call.packet(dynptr.data)?;
            if len == 0 {
                return Ok(call.mem.packet_addr(packet.data + (at as usize).min(packet.len())));
            }
            let Ok([first, second]) = xdp::parts(&packet, at, len.into())? else { return Ok(0) };
            match (first, second) {
                ((off, _), (_, 0)) => Ok(call.mem.packet_addr(off)),
                // All in one page.
                ((_, 0), (off, n))
                    if (off - packet.frags.start) / PAGE == (off - packet.frags.start + n - 1) / PAGE =>
                {
                    reach_packet(call, packet.frags.start + packet.frags.len);
                    Ok(call.mem.packet_addr(off))
                }
                _ if buffer == 0 => Ok(0),
                _ => {
                    xdp::load_bytes(call, [dynptr.data, at, buffer, len.into(), 0])?;
                    Ok(buffer)
                }
            }
        }
    }
}

/// Bytes of a page of a long XDP packet.
const PAGE: usize = crate::packet::XDP_FRAG;

/// Lets the program reach the packet by address, whose type may have no packet pointers, and its pages up to `end`.
fn reach_packet(call: &mut Call<'_, '_, '_>, end: usize) {
    if let Some(packet) = call.state.packet {
        call.mem.set_packet(packet.meta, packet.end.max(end));
    }
}

/// -EINVAL for one to nothing or a start behind the end, -ERANGE where either is outside.
fn adjust(call: &mut Call<'_, '_, '_>, [ptr, start, end, ..]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    let (start, end) = (start as u32, end as u32);
    if dynptr.data == 0 || start > end {
        return Ok(int(Err(Errno::EINVAL)));
    }
    if end > dynptr.len() {
        return Ok(int(Err(Errno::ERANGE)));
    }
    dynptr.narrowed(start, end - start).store(call, ptr)?;
    Ok(0)
}

fn is_null(call: &mut Call<'_, '_, '_>, [ptr, ..]: Args) -> Result<u64, TrapKind> {
    Ok(u64::from(Dynptr::load(call, ptr)?.data == 0))
}

/// 0 also for one to nothing.
fn is_rdonly(call: &mut Call<'_, '_, '_>, [ptr, ..]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    Ok(u64::from(dynptr.data != 0 && dynptr.is_read_only()))
}

/// -EINVAL for one to nothing.
fn size(call: &mut Call<'_, '_, '_>, [ptr, ..]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    Ok(if dynptr.data == 0 { int(Err(Errno::EINVAL)) } else { dynptr.len().into() })
}

/// -EINVAL for one to nothing, and then the other is one to nothing too.
fn clone(call: &mut Call<'_, '_, '_>, [ptr, to, ..]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    let made = if dynptr.data == 0 { Err(Errno::EINVAL) } else { Ok(dynptr) };
    Ok(u64::from(make(call, to, made)? as u32))
}

/// Copies `size` bytes between dynptrs, which may overlap. -E2BIG where they are not all inside, -EINVAL for one to nothing
/// or that is only read.
fn copy(call: &mut Call<'_, '_, '_>, [dst, dst_off, src, src_off, size]: Args) -> Result<u64, TrapKind> {
    let (to, from) = (Dynptr::load(call, dst)?, Dynptr::load(call, src)?);
    let (dst_off, src_off, size) = (dst_off as u32, src_off as u32, size as u32);
    let source = slice_of(call, &from, src_off, 0, size)?;
    let target = if to.is_read_only() { 0 } else { slice_of(call, &to, dst_off, 0, size)? };
    if source != 0 && target != 0 {
        return Ok(u64::from(moved(call, source, target, size)? as u32));
    }
    // In the order in which Linux looks: what can be reached in one piece is taken for right.
    let checked = match (source, target) {
        (0, 0) => to.part(dst_off, size).and(from.part(src_off, size)).map(drop),
        (0, _) => usable(&from, src_off, size, false),
        _ => usable(&to, dst_off, size, true),
    };
    if let Err(e) = checked {
        return Ok(int(Err(e)));
    }
    let mut done = 0;
    while done < size {
        let mut chunk = [0; CHUNK];
        let n = (size - done).min(CHUNK as u32);
        let bytes = &mut chunk[..n as usize];
        if let Err(e) = read(call, &from, src_off + done, bytes)? {
            return Ok(int(Err(e)));
        }
        if let Err(e) = write(call, &to, dst_off + done, bytes)? {
            return Ok(int(Err(e)));
        }
        done += n;
    }
    Ok(0)
}

/// Fills bytes. -EINVAL for one that is only read, -E2BIG where they are not all inside, -EINVAL for one to nothing.
fn memset(call: &mut Call<'_, '_, '_>, [ptr, offset, size, val, _]: Args) -> Result<u64, TrapKind> {
    let dynptr = Dynptr::load(call, ptr)?;
    let (offset, size) = (offset as u32, size as u32);
    if let Err(e) = usable(&dynptr, offset, size, true) {
        return Ok(int(Err(e)));
    }
    let chunk = [val as u8; CHUNK];
    let mut done = 0;
    while done < size {
        let n = (size - done).min(CHUNK as u32);
        if let Err(e) = write(call, &dynptr, offset + done, &chunk[..n as usize])? {
            return Ok(int(Err(e)));
        }
        done += n;
    }
    Ok(0)
}

/// Whether bytes of a dynptr can be read or written, as `__bpf_dynptr_read` and `__bpf_dynptr_write` check it.
fn usable(dynptr: &Dynptr, offset: u32, len: u32, write: bool) -> Result<(), Errno> {
    if dynptr.data == 0 || write && dynptr.is_read_only() {
        return Err(Errno::EINVAL);
    }
    dynptr.part(offset, len).map(drop)
}

/// Copies bytes of a dynptr out.
fn read(
    call: &mut Call<'_, '_, '_>,
    from: &Dynptr,
    offset: u32,
    to: &mut [u8],
) -> Result<Result<(), Errno>, TrapKind> {
    let len = to.len() as u32;
    let at = match usable(from, offset, len, false).and_then(|()| from.part(offset, len)) {
        Ok(at) => at,
        Err(e) => return Ok(Err(e)),
    };
    let addr = match pieces(call, from, at, len)? {
        Ok(Pieces::At(addr)) => addr,
        Ok(Pieces::Packet([first, second])) => {
            let (head, tail) = to.split_at_mut(first.1);
            call.mem.read_packet(first.0, head);
            call.mem.read_packet(second.0, tail);
            return Ok(Ok(()));
        }
        Err(e) => return Ok(Err(e)),
    };
    call.mem.read(addr, to).ok_or_else(|| call.fault(addr, len.into(), false))?;
    Ok(Ok(()))
}

/// Copies bytes into a dynptr.
fn write(
    call: &mut Call<'_, '_, '_>,
    to: &Dynptr,
    offset: u32,
    from: &[u8],
) -> Result<Result<(), Errno>, TrapKind> {
    let len = from.len() as u32;
    let at = match usable(to, offset, len, true).and_then(|()| to.part(offset, len)) {
        Ok(at) => at,
        Err(e) => return Ok(Err(e)),
    };
    match pieces(call, to, at, len)? {
        Ok(Pieces::At(addr)) => {
            call.store(addr, from)?;
        }
        Ok(Pieces::Packet([first, second])) => {
            if !call.mem.packet_writable() {
                return Err(TrapKind::NoPacket);
            }
            let (head, tail) = from.split_at(first.1);
            call.mem.write_packet(first.0, head);
            call.mem.write_packet(second.0, tail);
        }
        Err(e) => return Ok(Err(e)),
    }
    Ok(Ok(()))
}

/// Where bytes of a dynptr are.
enum Pieces {
    /// At an address.
    At(u64),
    /// In the packet buffer: offset and length.
    Packet([(usize, usize); 2]),
}

fn pieces(
    call: &Call<'_, '_, '_>,
    dynptr: &Dynptr,
    at: u64,
    len: u32,
) -> Result<Result<Pieces, Errno>, TrapKind> {
    Ok(match dynptr.kind() {
        Kind::Local | Kind::Ringbuf => Ok(Pieces::At(dynptr.data.wrapping_add(at))),
        Kind::SkbMeta => in_meta(call, dynptr, at, len)?.map(Pieces::At).ok_or(Errno::EINVAL),
        Kind::Skb => {
            let packet = call.packet(dynptr.data)?;
            match at + u64::from(len) <= packet.len() as u64 {
                true => Ok(Pieces::Packet([(packet.data + at as usize, len as usize), (0, 0)])),
                false => Err(Errno::EFAULT),
            }
        }
        Kind::Xdp => {
            let packet = call.packet(dynptr.data)?;
            xdp::parts(&packet, at, len.into())?.map(Pieces::Packet)
        }
    })
}

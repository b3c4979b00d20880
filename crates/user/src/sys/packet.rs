//! AF_PACKET sockets and their TPACKET_V3 receive ring (`linux/if_packet.h`).
//!
//! ```text
//! ring    | block 0 | block 1 | … |                      each `block_bytes`, handed over whole
//! block   | tpacket_block_desc | packet | packet | … |   packets linked by `tp_next_offset`
//! packet  | tpacket3_hdr, 48 bytes | sockaddr_ll | … | frame from `tp_mac`, `tp_snaplen` bytes
//! ```
//!
//! A block belongs to the kernel until its status has `TP_STATUS_USER`, and to us until we store
//! `TP_STATUS_KERNEL`. V3 cuts a frame only at what a block holds, so blocks are far larger than frames.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use super::fd::check;

const TPACKET_V3: libc::c_int = 2;
const PACKET_RX_RING: libc::c_int = 5;
const PACKET_STATISTICS: libc::c_int = 6;
const PACKET_VERSION: libc::c_int = 10;
const TP_STATUS_USER: u32 = 1;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
const TP_FT_REQ_FILL_RXHASH: u32 = 1;
const ETH_P_ALL: u16 = 3;
/// Offset of the `sockaddr_ll` behind the packet header: `TPACKET_ALIGN(sizeof(struct tpacket3_hdr))`.
const SOCKADDR_OFF: usize = 48;
/// Offsets in `struct tpacket_block_desc`: version, private offset, then `tpacket_hdr_v1`.
const BLOCK_STATUS: usize = 8;
const BLOCK_NUM_PKTS: usize = 12;
const BLOCK_FIRST_PKT: usize = 16;

/// Shape of a receive ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// Bytes in a block: a multiple of the page size.
    pub(crate) block_bytes: u32,
    /// Number of blocks.
    pub(crate) blocks: u32,
    /// After how many milliseconds a block that is not full is handed over.
    pub(crate) retire_millis: u32,
}

fn set_option<T>(fd: RawFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` is readable for its size; the kernel copies it.
    check(unsafe {
        libc::setsockopt(fd, level, name, ptr::from_ref(value).cast(), mem::size_of::<T>() as u32)
    })?;
    Ok(())
}

/// A raw packet socket that receives nothing yet. Async-signal-safe.
pub(crate) fn open() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the new descriptor is owned by nobody else.
    unsafe {
        let fd = check(libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Gives the socket a ring. Async-signal-safe.
pub(crate) fn set_ring(fd: RawFd, geometry: Geometry) -> io::Result<()> {
    set_option(fd, libc::SOL_PACKET, PACKET_VERSION, &TPACKET_V3)?;
    // V3 takes its frame limit from the block; the kernel only wants the numbers to be consistent.
    let req = libc::tpacket_req3 {
        tp_block_size: geometry.block_bytes,
        tp_block_nr: geometry.blocks,
        tp_frame_size: geometry.block_bytes,
        tp_frame_nr: geometry.blocks,
        tp_retire_blk_tov: geometry.retire_millis,
        tp_sizeof_priv: 0,
        tp_feature_req_word: TP_FT_REQ_FILL_RXHASH,
    };
    set_option(fd, libc::SOL_PACKET, PACKET_RX_RING, &req)
}

/// Starts receiving every protocol of one interface. Async-signal-safe.
pub(crate) fn bind(fd: RawFd, ifindex: u32) -> io::Result<()> {
    // SAFETY: an all-zero sockaddr_ll is a valid value.
    let mut addr: libc::sockaddr_ll = unsafe { mem::zeroed() };
    addr.sll_family = libc::AF_PACKET as u16;
    addr.sll_protocol = ETH_P_ALL.to_be();
    addr.sll_ifindex = ifindex as i32;
    // SAFETY: `addr` is a whole sockaddr_ll.
    check(unsafe {
        libc::bind(fd, ptr::from_ref(&addr).cast(), mem::size_of::<libc::sockaddr_ll>() as u32)
    })?;
    Ok(())
}

/// How long a frame waits for room before the interface.
const ROOM_MILLIS: libc::c_int = 20;

/// Sends a frame, from its link header, on an interface of the socket's namespace; waits a little for room.
pub(crate) fn send(fd: BorrowedFd<'_>, ifindex: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: an all-zero sockaddr_ll is a valid value.
    let mut addr: libc::sockaddr_ll = unsafe { mem::zeroed() };
    addr.sll_family = libc::AF_PACKET as u16;
    addr.sll_ifindex = ifindex as i32;
    // The type of the frame, which the network's queues look at.
    addr.sll_protocol = frame.get(12..14).map_or(0, |t| u16::from_ne_bytes([t[0], t[1]]));
    let mut waited = false;
    loop {
        // SAFETY: `frame` is readable for its length, `addr` a whole sockaddr_ll.
        let sent = unsafe {
            libc::sendto(
                fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                ptr::from_ref(&addr).cast(),
                mem::size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::WouldBlock && !waited {
            waited = true;
            let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
            // SAFETY: one pollfd, as the count says. However it ends, the frame is tried once more.
            unsafe { libc::poll(&mut poll, 1, ROOM_MILLIS) };
        } else {
            return Err(error);
        }
    }
}

/// Makes the socket drop every packet that arrives from now on: a classic filter that returns 0.
pub(crate) fn refuse_all(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut ret_zero = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &mut ret_zero };
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Takes the pending error of a socket (`SO_ERROR`), such as `ENETDOWN`; pollers wake until it is taken.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    let mut error: libc::c_int = 0;
    let mut len = mem::size_of_val(&error) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the size of an int.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            ptr::from_mut(&mut error).cast(),
            &mut len,
        )
    })?;
    Ok(error)
}

/// Packets and drops since the last call: the kernel resets them. Packets include the dropped ones.
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let mut stats = [0u32; 3];
    let mut len = mem::size_of_val(&stats) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, the size of a tpacket_stats_v3.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_STATISTICS,
            stats.as_mut_ptr().cast(),
            &mut len,
        )
    })?;
    Ok((stats[0], stats[1]))
}

/// The index of an interface, 0 if there is none of that name.
pub(crate) fn interface_index(name: &str) -> u32 {
    let Ok(name) = CString::new(name) else { return 0 };
    // SAFETY: a NUL-terminated string.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// The name of an interface of this network namespace.
pub(crate) fn interface_name(ifindex: u32) -> Option<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: room for the longest name and its NUL.
    let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr().cast()) };
    let name = std::ffi::CStr::from_bytes_until_nul(&name).ok()?;
    (!found.is_null()).then(|| name.to_string_lossy().into_owned())
}

/// The names of all interfaces of this network namespace.
pub(crate) fn interfaces() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: the list that if_nameindex returns ends with an entry of index 0 and is freed once.
    unsafe {
        let list = libc::if_nameindex();
        if list.is_null() {
            return names;
        }
        let mut at = list;
        while (*at).if_index != 0 && !(*at).if_name.is_null() {
            names.push(std::ffi::CStr::from_ptr((*at).if_name).to_string_lossy().into_owned());
            at = at.add(1);
        }
        libc::if_freenameindex(list);
    }
    names
}

/// A mapped receive ring.
pub(crate) struct Ring {
    base: NonNull<u8>,
    geometry: Geometry,
}

// SAFETY: the mapping is plain memory that any thread may use; `&mut self` guards the blocks that we own.
unsafe impl Send for Ring {}

/// A frame of a block, as the kernel describes it.
pub(crate) struct Frame<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) wire_len: u32,
    pub(crate) time_ns: u64,
    pub(crate) hash: u32,
    pub(crate) vlan: Option<(u16, u16)>,
    pub(crate) protocol: u16,
    pub(crate) ifindex: u32,
    pub(crate) pkt_type: u8,
}

impl Ring {
    /// Maps the ring that [`set_ring`] gave to the socket; `geometry` is the one given there.
    pub(crate) fn map(fd: BorrowedFd<'_>, geometry: Geometry) -> io::Result<Self> {
        let len = geometry.block_bytes as usize * geometry.blocks as usize;
        // SAFETY: a new mapping at an address of the kernel's choice; unmapped in `drop`.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { base: NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?, geometry })
    }

    fn block(&self, index: u32) -> NonNull<u8> {
        let index = index % self.geometry.blocks;
        // SAFETY: `index < blocks`, so the block lies inside the mapping.
        unsafe { self.base.add(index as usize * self.geometry.block_bytes as usize) }
    }

    fn status(&self, index: u32) -> &AtomicU32 {
        // SAFETY: the status word is inside the block, 4-aligned, and accessed by both sides as an atomic.
        unsafe { self.block(index).add(BLOCK_STATUS).cast::<AtomicU32>().as_ref() }
    }

    /// Hands the frames of a block to `each` and gives the block back; `None` while the kernel owns it.
    pub(crate) fn take(&mut self, index: u32, each: &mut dyn FnMut(Frame<'_>)) -> Option<u32> {
        if self.status(index).load(Ordering::Acquire) & TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the acquire load saw the block handed to us; the kernel leaves it alone until the release
        // store below, and `&mut self` keeps other readers of ours away.
        let block = unsafe {
            std::slice::from_raw_parts(self.block(index).as_ptr(), self.geometry.block_bytes as usize)
        };
        let seen = walk(block, each);
        self.status(index).store(0, Ordering::Release);
        Some(seen)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let len = self.geometry.block_bytes as usize * self.geometry.blocks as usize;
        // SAFETY: the mapping of `map`, unmapped once.
        unsafe { libc::munmap(self.base.as_ptr().cast(), len) };
    }
}

fn u32_at(bytes: &[u8], off: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(off..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], off: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(off..)?.first_chunk()?))
}

/// Walks the frames of a block. Offsets that leave the block end the walk.
fn walk(block: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> u32 {
    let count = u32_at(block, BLOCK_NUM_PKTS).unwrap_or(0);
    let mut off = u32_at(block, BLOCK_FIRST_PKT).unwrap_or(0) as usize;
    for seen in 0..count {
        let Some((frame, next)) = block.get(off..).and_then(frame) else { return seen };
        each(frame);
        off += next;
    }
    count
}

/// Reads the packet at the start of `at`, and the distance to the next one.
fn frame(at: &[u8]) -> Option<(Frame<'_>, usize)> {
    let status = u32_at(at, 20)?;
    let mac = usize::from(u16_at(at, 24)?);
    let vlan = (status & TP_STATUS_VLAN_VALID != 0).then_some(()).and_then(|()| {
        let tci = u32_at(at, 32)? as u16;
        let tpid = if status & TP_STATUS_VLAN_TPID_VALID != 0 { u16_at(at, 36)? } else { 0x8100 };
        Some((tci, tpid))
    });
    let frame = Frame {
        data: at.get(mac..)?.get(..u32_at(at, 12)? as usize)?,
        wire_len: u32_at(at, 16)?,
        time_ns: u64::from(u32_at(at, 4)?) * 1_000_000_000 + u64::from(u32_at(at, 8)?),
        hash: u32_at(at, 28)?,
        vlan,
        protocol: u16::from_be(u16_at(at, SOCKADDR_OFF + 2)?),
        ifindex: u32_at(at, SOCKADDR_OFF + 4)?,
        pkt_type: *at.get(SOCKADDR_OFF + 10)?,
    };
    Some((frame, u32_at(at, 0)? as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_the_uapi_one() {
        assert_eq!(mem::size_of::<libc::tpacket3_hdr>(), SOCKADDR_OFF);
        assert_eq!(mem::offset_of!(libc::tpacket3_hdr, tp_snaplen), 12);
        assert_eq!(mem::offset_of!(libc::tpacket3_hdr, tp_status), 20);
        assert_eq!(mem::offset_of!(libc::tpacket3_hdr, tp_mac), 24);
        assert_eq!(mem::offset_of!(libc::tpacket3_hdr, hv1), 28);
        assert_eq!(mem::offset_of!(libc::sockaddr_ll, sll_pkttype), 10);
    }

    #[test]
    fn lying_blocks_end_the_walk() {
        let mut block = vec![0u8; 4096];
        block[BLOCK_NUM_PKTS..][..4].copy_from_slice(&u32::MAX.to_ne_bytes());
        block[BLOCK_FIRST_PKT..][..4].copy_from_slice(&48u32.to_ne_bytes());
        // One frame of 10 bytes at 48, whose successor lies far outside.
        block[48..52].copy_from_slice(&u32::MAX.to_ne_bytes());
        block[48 + 12..][..4].copy_from_slice(&10u32.to_ne_bytes());
        block[48 + 24..][..2].copy_from_slice(&100u16.to_ne_bytes());
        let mut lens = Vec::new();
        assert_eq!(walk(&block, &mut |f| lens.push(f.data.len())), 1);
        assert_eq!(lens, [10]);
        // A frame that claims more than the block holds.
        block[48 + 12..][..4].copy_from_slice(&5000u32.to_ne_bytes());
        assert_eq!(walk(&block, &mut |_| panic!("no frame")), 0);
    }
}

//! Packet sockets.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use skep_spec::Errno;

use super::{last_errno, owned};

/// The index of a network interface in this thread's namespace.
pub fn interface_index(name: &str) -> Result<i32, Errno> {
    let name = CString::new(name).map_err(|_| Errno::ENODEV)?;
    // SAFETY: `name` ends in NUL.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(Errno::ENODEV),
        index => Ok(index as i32),
    }
}

/// A raw packet socket.
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// A socket that no packet reaches before [`Self::bind`].
    pub fn open() -> Result<Self, Errno> {
        // SAFETY: no addresses. Protocol 0: no packets until it is bound.
        match unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) } {
            -1 => Err(last_errno()),
            fd => Ok(Self(owned(fd))),
        }
    }

    fn set<T>(&self, level: i32, option: i32, value: &T) -> Result<(), Errno> {
        let (value, len) = (std::ptr::from_ref(value).cast(), size_of::<T>() as u32);
        // SAFETY: `value` is live for `len` bytes; callers pass plain numbers.
        match unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, value, len) } {
            0 => Ok(()),
            _ => Err(last_errno()),
        }
    }

    /// `SO_ATTACH_BPF`.
    pub fn attach(&self, program: BorrowedFd<'_>) -> Result<(), Errno> {
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_BPF, &program.as_raw_fd())
    }

    /// Asks for the smallest receive queue.
    pub fn smallest_queue(&self) -> Result<(), Errno> {
        self.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &0i32)
    }

    /// Binds to an interface, for all protocols: packets arrive from now on.
    pub fn bind(&self, interface: i32) -> Result<(), Errno> {
        // SAFETY: all-zero is a value of this structure of numbers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = interface;
        let len = size_of::<libc::sockaddr_ll>() as u32;
        // SAFETY: `address` is live for `len` bytes.
        match unsafe { libc::bind(self.0.as_raw_fd(), std::ptr::from_ref(&address).cast(), len) } {
            0 => Ok(()),
            _ => Err(last_errno()),
        }
    }

    /// The pending error of the socket, as `ENETDOWN` when its interface goes away; reading clears it.
    pub fn take_error(&self) -> Result<(), Errno> {
        let (mut error, mut len) = (0i32, size_of::<i32>() as u32);
        // SAFETY: `error` is live for `len` bytes.
        let r = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                std::ptr::from_mut(&mut error).cast(),
                &mut len,
            )
        };
        match (r, error) {
            (0, 0) => Ok(()),
            (0, e) => Err(Errno(e)),
            _ => Err(last_errno()),
        }
    }

    /// `PACKET_STATISTICS` since the last call: packets that the filter kept, and how many of those found
    /// the queue full.
    pub fn take_statistics(&self) -> Result<(u32, u32), Errno> {
        let (mut stats, mut len) = ([0u32; 2], size_of::<[u32; 2]>() as u32);
        // SAFETY: `stats` is live for `len` bytes: `struct tpacket_stats` is two numbers.
        let r = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                stats.as_mut_ptr().cast(),
                &mut len,
            )
        };
        if r == 0 { Ok((stats[0], stats[1])) } else { Err(last_errno()) }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

//! Descriptors: waiting, and handing one to another process.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

/// Turns the `-1` convention of system calls into a `Result`.
pub(crate) fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

fn about(fd: &OwnedFd) -> io::Result<std::fs::Metadata> {
    std::fs::File::from(fd.try_clone()?).metadata()
}

/// Device and inode of a descriptor's file.
pub(crate) fn identity(fd: &OwnedFd) -> io::Result<(u64, u64)> {
    about(fd).map(|about| (about.dev(), about.ino()))
}

/// Whether a descriptor is of a file with bytes: not of a folder, a device, a pipe.
pub(crate) fn is_file(fd: &OwnedFd) -> io::Result<bool> {
    about(fd).map(|about| about.is_file())
}

/// The first bytes of a file, as many as there are up to `most`.
pub(crate) fn first_bytes(fd: &OwnedFd, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; most];
    let len = std::fs::File::from(fd.try_clone()?).read_at(&mut bytes, 0)?;
    bytes.truncate(len);
    Ok(bytes)
}

/// Has reads and writes of whoever has the descriptor fail instead of waiting.
pub(crate) fn never_block(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: no pointers; the descriptor is open.
    unsafe {
        let flags = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
        check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// A counter that makes pollers wake (`eventfd(2)`), closed on exec.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the new descriptor is owned by nobody else.
    unsafe {
        let fd = check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Makes an eventfd or a FIFO readable.
pub(crate) fn signal(fd: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: `one` is readable for its eight bytes. Only a full one can fail, and then it is readable.
    unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Waits until one of two descriptors is readable or in error; says which.
///
/// A signal that interrupts the wait counts as the time having passed.
pub(crate) fn wait_readable(fds: [BorrowedFd<'_>; 2], timeout: Duration) -> io::Result<[bool; 2]> {
    let mut set =
        fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN | libc::POLLERR, revents: 0 });
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `set` is an array of two valid pollfd.
    match check(unsafe { libc::poll(set.as_mut_ptr(), 2, millis) }) {
        Ok(_) => Ok(set.map(|p| p.revents != 0)),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok([false; 2]),
        Err(e) => Err(e),
    }
}

/// Room for one `SCM_RIGHTS` control message with one descriptor, aligned as `cmsghdr` needs.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends a descriptor with one byte of payload. Async-signal-safe: usable between fork and exec.
pub(crate) fn send_fd(socket: RawFd, fd: RawFd) -> io::Result<()> {
    let mut byte = [0u8];
    let mut control = Control([0; 64]);
    let mut iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: an all-zero msghdr is a valid value; its pointers are set to locals that outlive the call; the
    // control buffer is larger than CMSG_SPACE(4) and aligned for cmsghdr, so CMSG_FIRSTHDR is not null and
    // CMSG_DATA has room for the descriptor.
    unsafe {
        let space = libc::CMSG_SPACE(mem::size_of::<RawFd>() as u32) as usize;
        let mut msg: libc::msghdr = mem::zeroed();
        msg.msg_iov = &mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.0.as_mut_ptr().cast();
        msg.msg_controllen = space as _;
        let header = libc::CMSG_FIRSTHDR(&msg);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(mem::size_of::<RawFd>() as u32) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
        if libc::sendmsg(socket, &msg, libc::MSG_NOSIGNAL) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Receives what [`send_fd`] sent. `None` when the message carries no descriptor or the peer has gone.
pub(crate) fn receive_fd(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0u8];
    let mut control = Control([0; 64]);
    let mut iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: as in `send_fd`; the kernel fills at most `msg_controllen` bytes, and a header is read only when
    // CMSG_FIRSTHDR finds a whole one of our kind, whose descriptor is new and owned by nobody else.
    unsafe {
        let mut msg: libc::msghdr = mem::zeroed();
        msg.msg_iov = &mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.0.as_mut_ptr().cast();
        msg.msg_controllen = control.0.len() as _;
        if libc::recvmsg(socket.as_raw_fd(), &mut msg, libc::MSG_CMSG_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        let header = libc::CMSG_FIRSTHDR(&msg);
        if header.is_null()
            || (*header).cmsg_level != libc::SOL_SOCKET
            || (*header).cmsg_type != libc::SCM_RIGHTS
            || ((*header).cmsg_len as usize) < libc::CMSG_LEN(mem::size_of::<RawFd>() as u32) as usize
        {
            return Ok(None);
        }
        let fd = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok(Some(OwnedFd::from_raw_fd(fd)))
    }
}

/// Makes an eventfd or a FIFO unreadable.
pub(crate) fn drain(fd: BorrowedFd<'_>) {
    let mut bytes = [0u8; 4096];
    // SAFETY: `bytes` is writable for its length. The descriptor does not block; an empty one is fine.
    while unsafe { libc::read(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) }
        == bytes.len() as isize
    {}
}

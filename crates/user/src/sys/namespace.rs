//! A command in a user and network namespace of its own, whose loopback we hear.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use super::fd::{check, receive_fd, send_fd};
use super::packet::{self, Geometry};

/// What the child does between fork and exec, in order; the step that failed is reported by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Unshare = 1,
    MapIds,
    LoopbackUp,
    OpenSocket,
    SendSocket,
    /// `execve` itself.
    Exec,
}

const STEPS: [Step; 5] = [Step::Unshare, Step::MapIds, Step::LoopbackUp, Step::OpenSocket, Step::SendSocket];
/// `LOOPBACK_IFINDEX`: the loopback is the first interface of every namespace (include/net/net_namespace.h).
const LOOPBACK_IFINDEX: u32 = 1;

/// Text made before the fork, since nothing may allocate after it.
struct Prepared {
    uid_map: Vec<u8>,
    gid_map: Vec<u8>,
    geometry: Geometry,
    socket: RawFd,
}

/// Starts `command` in new namespaces; gives the child and a packet socket with a ring, bound to the `lo` in
/// there before the command's first instruction.
///
/// # Errors
/// The step that failed and why.
pub(crate) fn spawn(
    command: &mut Command,
    geometry: Geometry,
) -> Result<(Child, OwnedFd), (Step, io::Error)> {
    let (ours, theirs) = UnixStream::pair().map_err(|e| (Step::Unshare, e))?;
    // SAFETY: these calls take nothing and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let prepared = Prepared {
        uid_map: format!("0 {uid} 1\n").into_bytes(),
        gid_map: format!("0 {gid} 1\n").into_bytes(),
        geometry,
        socket: theirs.as_raw_fd(),
    };
    // SAFETY: the closure makes system calls only: no allocation, no locks. `theirs` is open until after the
    // spawn, so its number is valid in the child.
    unsafe { command.pre_exec(move || in_child(&prepared)) };
    let spawned = command.spawn();
    drop(theirs);
    let mut step = [0u8];
    match spawned {
        Ok(child) => match receive_fd(ours_fd(&ours)) {
            Ok(Some(fd)) => Ok((child, fd)),
            Ok(None) => Err((Step::SendSocket, io::ErrorKind::UnexpectedEof.into())),
            Err(e) => Err((Step::SendSocket, e)),
        },
        Err(error) => {
            let failed = match io::Read::read(&mut &ours, &mut step) {
                Ok(1) => STEPS.into_iter().find(|s| *s as u8 == step[0]),
                _ => None,
            };
            Err((failed.unwrap_or(Step::Exec), error))
        }
    }
}

fn ours_fd(socket: &UnixStream) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(socket)
}

/// Between fork and exec.
fn in_child(p: &Prepared) -> io::Result<()> {
    for step in STEPS {
        let done = match step {
            Step::Unshare => {
                // SAFETY: no pointers; the child has one thread.
                check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) }).map(drop)
            }
            Step::MapIds => write_file(c"/proc/self/setgroups", b"deny")
                .and_then(|()| write_file(c"/proc/self/uid_map", &p.uid_map))
                .and_then(|()| write_file(c"/proc/self/gid_map", &p.gid_map)),
            Step::LoopbackUp => loopback_up(),
            Step::OpenSocket | Step::SendSocket | Step::Exec => continue,
        };
        if let Err(error) = done {
            return report(p.socket, step, error);
        }
    }
    let opened = packet::open().and_then(|socket| {
        packet::set_ring(socket.as_raw_fd(), p.geometry)?;
        packet::bind(socket.as_raw_fd(), LOOPBACK_IFINDEX)?;
        Ok(socket)
    });
    match opened {
        Err(error) => report(p.socket, Step::OpenSocket, error),
        Ok(socket) => match send_fd(p.socket, socket.as_raw_fd()) {
            Err(error) => report(p.socket, Step::SendSocket, error),
            Ok(()) => Ok(()),
        },
    }
}

/// Tells the parent which step failed, and passes the error on.
fn report(socket: RawFd, step: Step, error: io::Error) -> io::Result<()> {
    let byte = [step as u8];
    // SAFETY: one readable byte. If the parent has gone there is nobody to tell.
    unsafe { libc::write(socket, byte.as_ptr().cast(), 1) };
    Err(error)
}

fn write_file(path: &CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: a NUL-terminated path and a readable slice; the descriptor is closed here.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
        let wrote = libc::write(fd, text.as_ptr().cast(), text.len());
        let error = io::Error::last_os_error();
        libc::close(fd);
        if wrote == text.len() as isize { Ok(()) } else { Err(error) }
    }
}

/// `ip link set lo up`.
fn loopback_up() -> io::Result<()> {
    // SAFETY: an all-zero ifreq is a valid value; the name fits with its NUL; `ifr_flags` is the member that
    // these two requests use; the descriptor is closed here.
    unsafe {
        let fd = check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        let mut request: libc::ifreq = mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        let mut done = check(libc::ioctl(fd, libc::SIOCGIFFLAGS as _, &mut request));
        if done.is_ok() {
            request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
            done = check(libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &mut request));
        }
        libc::close(fd);
        done.map(drop)
    }
}

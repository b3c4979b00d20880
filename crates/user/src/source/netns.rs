//! A command in a private network namespace whose loopback is watched: no privilege needed.

use std::io;
use std::process::{Child, Command};

use skep_spec::{Errno, Error};

use super::packet_socket::{GEOMETRY, PacketSocket};
use crate::sys::namespace::{self, Step};

/// Starts a command in a fresh user and network namespace; gives it and a socket on the `lo` in there, which
/// is up and was listened to before the command's first instruction.
///
/// In the namespace the command has the ids and capabilities of root, and no access to any other network.
///
/// # Errors
/// `EPERM` or `ENOSPC` where user namespaces are forbidden, with the settings that forbid them; the error of
/// `execve` when the command cannot be started.
pub fn spawn(mut command: Command) -> Result<(Child, PacketSocket), Error> {
    match namespace::spawn(&mut command, GEOMETRY) {
        Ok((child, fd)) => Ok((child, PacketSocket::from_fd(fd))),
        Err((step, error)) => Err(explain(&command.get_program().to_string_lossy(), step, &error)),
    }
}

#[cold]
fn explain(program: &str, step: Step, error: &io::Error) -> Error {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno);
    let message = match step {
        Step::Unshare | Step::MapIds => format!(
            "this machine forbids user namespaces ({error}), so `{program}` cannot get a private network. What \
             may forbid them: sysctl user.max_user_namespaces = 0, kernel.unprivileged_userns_clone = 0, \
             kernel.apparmor_restrict_unprivileged_userns = 1, or a container's seccomp profile. Otherwise \
             watch an interface with CAP_NET_RAW"
        ),
        Step::LoopbackUp => format!("cannot bring up `lo` in the private network namespace: {error}"),
        Step::OpenSocket | Step::SendSocket => {
            format!("cannot open a raw packet socket in the private network namespace: {error}")
        }
        Step::Exec => format!("cannot start `{program}`: {error}"),
    };
    Error::new(errno, message)
}

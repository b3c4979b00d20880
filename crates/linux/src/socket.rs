//! Socket filters on a raw packet socket.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skep_abi::ProgramType;
use skep_spec::{BackendLink, BackendProgram, Errno, Error, RunStats};

use crate::program::LinuxProgram;
use crate::sys::{self, net};
use crate::words;

/// A filter on a socket that nobody reads.
///
/// The kernel runs a socket's filter before it looks whether the socket's queue has room (`packet_rcv`), so
/// every packet is seen although the queue is always full: it is made as small as the kernel allows, and
/// what a filter keeps is dropped after the run. Dropping the link closes the socket, and with it ends the
/// runs.
pub(crate) struct SocketLink {
    socket: net::PacketSocket,
    program: Arc<dyn BackendProgram>,
    interface: String,
    /// Keeps run counts on, where we may.
    counting: Option<OwnedFd>,
    /// Runs of the program before this link.
    runs_before: u64,
    /// Packets that the filter kept, summed up: the kernel's counter restarts with each look.
    kept: Mutex<u64>,
}

impl SocketLink {
    pub(crate) fn attach(program: &Arc<dyn BackendProgram>, interface: &str) -> Result<Self, Error> {
        let Some(linux) = program.as_any().downcast_ref::<LinuxProgram>() else {
            return Err(Error::new(Errno::EINVAL, "the program belongs to another backend"));
        };
        let what = format!("attaching program `{}` to a raw socket on `{interface}`", linux.name());
        if linux.info().prog_type != ProgramType::SOCKET_FILTER {
            return Err(Error::new(Errno::EINVAL, format!("{what}: it is not a socket filter")));
        }
        let index = net::interface_index(interface)
            .map_err(|e| Error::new(e, format!("{what}: there is no such interface; see `ip link`")))?;
        let fail = |e: Errno| match e {
            Errno::EPERM => Error::new(
                e,
                format!(
                    "{what}: raw sockets need CAP_NET_RAW; run as root, or give a command after `--` to \
                     watch it in a network namespace of its own"
                ),
            ),
            _ => words::error(e, &what),
        };
        let socket = net::PacketSocket::open().map_err(fail)?;
        socket.smallest_queue().map_err(fail)?;
        socket.attach(linux.as_fd()).map_err(fail)?;
        let counting = sys::enable_run_stats().ok();
        let runs_before = linux.run_count();
        socket.bind(index).map_err(fail)?;
        Ok(Self {
            socket,
            program: Arc::clone(program),
            interface: interface.into(),
            counting,
            runs_before,
            kept: Mutex::new(0),
        })
    }
}

impl BackendLink for SocketLink {
    /// `runs` is the kernel's run count (`BPF_ENABLE_STATS`); where that is not permitted, the packets that
    /// the filter kept. `dropped` is 0: no packet that reached the interface passes by the filter.
    fn stats(&self) -> RunStats {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept += self.socket.take_statistics().map_or(0, |(packets, _)| u64::from(packets));
        let counted = self.program.as_any().downcast_ref::<LinuxProgram>();
        let runs = match (counted, &self.counting) {
            (Some(program), Some(_)) => program.run_count().saturating_sub(self.runs_before),
            _ => *kept,
        };
        RunStats { runs, dropped: 0, faults: 0 }
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        let what = || format!("watching `{}`", self.interface);
        let events = sys::poll(self.socket.as_fd(), 0, timeout).map_err(|e| words::error(e, &what()))?;
        if events & libc::POLLERR != 0 {
            self.socket.take_error().map_err(|e| words::error(e, &what()))?;
        }
        Ok(false)
    }
}

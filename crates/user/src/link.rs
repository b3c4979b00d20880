//! A program on a packet socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use skep_spec::{BackendLink, Error, RunStats};

use crate::program::UserProgram;
use crate::runner::Runner;
use crate::source::packet_socket::{PacketSocket, Receiver};

/// Runs a socket filter on all that an interface sends and receives, on a thread of its own.
pub(crate) struct SocketLink {
    receiver: Receiver,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    runs: AtomicU64,
    faults: AtomicU64,
}

impl SocketLink {
    pub(crate) fn attach(program: &UserProgram, interface: &str) -> Result<Self, Error> {
        let mut runner = Runner::new(program)?;
        let counts = Arc::new(Counts::default());
        let theirs = Arc::clone(&counts);
        let receiver = PacketSocket::open(interface)?.start(move |packet| {
            let faulted = runner.run_packet(&packet).is_err();
            theirs.faults.fetch_add(faulted.into(), Ordering::Relaxed);
            theirs.runs.fetch_add(1, Ordering::Release);
        })?;
        Ok(Self { receiver, counts })
    }
}

impl BackendLink for SocketLink {
    fn stats(&self) -> RunStats {
        RunStats {
            runs: self.counts.runs.load(Ordering::Acquire),
            dropped: self.receiver.stats().dropped,
            faults: self.counts.faults.load(Ordering::Relaxed),
        }
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        // An interface does not end.
        thread::sleep(timeout);
        Ok(false)
    }
}

//! A program on the packets of a socket, on a thread of its own.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use skep_user::source::packet_socket::{PacketSocket, Receiver};
use skep_user::source::{Packet, SourceStats};

use crate::{Error, Program, Runner, Tally, Verdict};

type Each = Box<dyn FnMut(&Packet<'_>, Result<Verdict<'_>, Error>) + Send>;

#[derive(Default)]
struct Shared {
    tally: Mutex<Tally>,
    skipped: AtomicU64,
}

/// A program that runs on every packet of a socket; dropping it ends that.
pub struct Watch {
    receiver: Receiver,
    shared: Arc<Shared>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("tally", &self.tally()).finish_non_exhaustive()
    }
}

impl Program {
    /// Runs the program on every packet of a socket from now on, those that wait in its ring included; `each`
    /// learns the verdicts.
    ///
    /// # Errors
    /// `Usage` when the program is neither a socket filter nor XDP; `System` when the ring cannot be mapped.
    pub fn watch(
        &self,
        socket: PacketSocket,
        each: impl FnMut(&Packet<'_>, Result<Verdict<'_>, Error>) + Send + 'static,
    ) -> Result<Watch, Error> {
        Runner::new(self)?.watch(socket, each)
    }
}

impl Runner {
    /// As [`Program::watch`].
    ///
    /// # Errors
    /// `System` when the ring cannot be mapped.
    pub fn watch(
        mut self,
        socket: PacketSocket,
        each: impl FnMut(&Packet<'_>, Result<Verdict<'_>, Error>) + Send + 'static,
    ) -> Result<Watch, Error> {
        let mut each: Each = Box::new(each);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let receiver = socket.start(move |packet| {
            if !self.takes(&packet) {
                theirs.skipped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let verdicts = self.verdicts();
            let verdict = self.run(&packet);
            let retval = verdict.as_ref().ok().map(|v| v.retval);
            each(&packet, verdict);
            theirs.lock().count(verdicts, packet.data.len(), retval);
        })?;
        Ok(Watch { receiver, shared })
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// What the program has done so far.
    pub fn tally(&self) -> Tally {
        *self.shared.lock()
    }

    /// What the socket has seen so far, with packets that were lost before the program could see them.
    pub fn source(&self) -> SourceStats {
        self.receiver.stats()
    }

    /// Packets that do not come before such a program: for XDP those that the host sends.
    pub fn skipped(&self) -> u64 {
        self.shared.skipped.load(Ordering::Relaxed)
    }

    /// Ends the watch: packets that had arrived before still count.
    ///
    /// # Errors
    /// When receiving had failed.
    pub fn stop(self) -> Result<(Tally, SourceStats), Error> {
        let source = self.receiver.stop()?;
        let tally = *self.shared.lock();
        Ok((tally, source))
    }
}

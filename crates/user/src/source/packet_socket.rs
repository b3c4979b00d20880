//! A raw packet socket on a network interface, read through a TPACKET_V3 ring.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use skep_spec::{Errno, Error};

use super::{Packet, PacketType, SourceStats, VlanTag};
use crate::forward::Transmit;
use crate::sys::fd;
use crate::sys::packet::{self, Frame, Geometry, Ring};

/// A block holds a frame of up to 512 KiB (`GSO_MAX_SIZE` of big TCP) whole; together they hold bursts.
pub(crate) const GEOMETRY: Geometry = Geometry { block_bytes: 1 << 20, blocks: 32, retire_millis: 4 };

/// The name of an interface of this process's network namespace.
pub fn interface_name(ifindex: u32) -> Option<String> {
    packet::interface_name(ifindex)
}

/// A packet socket that receives all that an interface sends and receives, from the moment it is made.
///
/// Packets wait in the ring until [`PacketSocket::start`]; a ring of 32 MiB overflows under long bursts, and
/// then [`SourceStats::dropped`] says by how much.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// Opens a socket on an interface of this process's network namespace.
    ///
    /// # Errors
    /// `ENODEV` for an unknown interface, with the names of those there are; `EPERM` without `CAP_NET_RAW`.
    ///
    /// ```no_run
    /// use skep_user::source::packet_socket::PacketSocket;
    ///
    /// let counting = PacketSocket::open("lo")?.start(|packet| println!("{} bytes", packet.wire_len))?;
    /// std::thread::sleep(std::time::Duration::from_secs(1));
    /// println!("{:?}", counting.stop()?);
    /// # Ok::<(), skep_spec::Error>(())
    /// ```
    pub fn open(interface: &str) -> Result<Self, Error> {
        let ifindex = packet::interface_index(interface);
        if ifindex == 0 {
            return Err(unknown_interface(interface));
        }
        let explain = |e| no_socket(interface, &e);
        let fd = packet::open().map_err(explain)?;
        packet::set_ring(fd.as_raw_fd(), GEOMETRY).map_err(explain)?;
        packet::bind(fd.as_raw_fd(), ifindex).map_err(explain)?;
        Ok(Self { fd })
    }

    /// Sends frames on interfaces of the socket's network namespace; the socket itself does not hear them.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn sender(&self) -> Result<PacketSender, Error> {
        let fd = self.fd.try_clone();
        let fd =
            fd.map_err(|e| Error::new(errno_of(&e), format!("packet socket: another descriptor: {e}")))?;
        Ok(PacketSender { fd })
    }

    /// A socket that was opened, given [`GEOMETRY`] and bound elsewhere.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Starts a thread that hands each packet to `each`, in order of arrival.
    ///
    /// # Errors
    /// When the ring cannot be mapped or no thread started.
    pub fn start(self, mut each: impl FnMut(Packet<'_>) + Send + 'static) -> Result<Receiver, Error> {
        let context = |what: &'static str| {
            move |e: io::Error| Error::new(errno_of(&e), format!("packet socket: {what}: {e}"))
        };
        let ring = Ring::map(self.fd.as_fd(), GEOMETRY).map_err(context("mapping the receive ring"))?;
        let shared = Arc::new(Shared {
            wake: fd::eventfd().map_err(context("eventfd"))?,
            socket: self.fd,
            stop: AtomicBool::new(false),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            truncated: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("skep-packets".into())
            .spawn(move || receive(&theirs, ring, &mut each))
            .map_err(context("starting a thread"))?;
        Ok(Receiver { shared, thread: Some(thread) })
    }
}

/// Sends frames by a packet socket.
#[derive(Debug)]
pub struct PacketSender {
    fd: OwnedFd,
}

impl Transmit for PacketSender {
    fn transmit(&mut self, ifindex: u32, frame: &[u8]) -> Result<(), Errno> {
        packet::send(self.fd.as_fd(), ifindex, frame).map_err(|e| errno_of(&e))
    }
}

/// A running receive thread; dropping it stops the thread.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    socket: OwnedFd,
    wake: OwnedFd,
    stop: AtomicBool,
    packets: AtomicU64,
    bytes: AtomicU64,
    truncated: AtomicU64,
    dropped: AtomicU64,
}

impl Receiver {
    /// What has been seen so far. Drops count from the socket's opening.
    pub fn stats(&self) -> SourceStats {
        self.shared.stats()
    }

    /// Stops: packets that had arrived before the call are still handed on, later ones are not.
    ///
    /// # Errors
    /// When receiving had failed, or the callback panicked.
    pub fn stop(mut self) -> Result<SourceStats, Error> {
        self.finish()?;
        Ok(self.shared.stats())
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.shared.stop.store(true, Ordering::Release);
        fd::signal(self.shared.wake.as_fd());
        match thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Error::new(errno_of(&e), format!("packet socket: receiving: {e}"))),
            Err(_) => Err(Error::new(Errno::EIO, "packet socket: the packet callback panicked")),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Who wants the reason calls `stop`.
        let _ = self.finish();
    }
}

impl Shared {
    fn stats(&self) -> SourceStats {
        if let Ok((_, drops)) = packet::statistics(self.socket.as_fd()) {
            self.dropped.fetch_add(drops.into(), Ordering::Relaxed);
        }
        SourceStats {
            packets: self.packets.load(Ordering::Acquire),
            bytes: self.bytes.load(Ordering::Relaxed),
            truncated: self.truncated.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    fn hand_on(&self, frame: &Frame<'_>, each: &mut dyn FnMut(Packet<'_>)) {
        let packet = Packet {
            data: frame.data,
            wire_len: frame.wire_len,
            ifindex: frame.ifindex,
            protocol: frame.protocol,
            pkt_type: PacketType(frame.pkt_type),
            vlan: frame.vlan.map(|(tci, tpid)| VlanTag { tpid, tci }),
            hash: frame.hash,
            time_ns: frame.time_ns,
        };
        self.bytes.fetch_add(frame.data.len() as u64, Ordering::Relaxed);
        if packet.data.len() < packet.wire_len as usize {
            self.truncated.fetch_add(1, Ordering::Relaxed);
        }
        each(packet);
        self.packets.fetch_add(1, Ordering::Release);
    }
}

/// The thread: takes blocks in order, waits when the next one is the kernel's. After a stop, a filter keeps
/// later packets out and the blocks retire by themselves: once nothing has come for several retire periods,
/// everything has been seen.
fn receive(shared: &Shared, mut ring: Ring, each: &mut dyn FnMut(Packet<'_>)) -> io::Result<()> {
    const IDLE: Duration = Duration::from_millis(200);
    let settle = Duration::from_millis(u64::from(GEOMETRY.retire_millis) * 5);
    let mut next = 0;
    let mut quiet_since: Option<Instant> = None;
    loop {
        if quiet_since.is_none() && shared.stop.load(Ordering::Acquire) {
            packet::refuse_all(shared.socket.as_fd())?;
            quiet_since = Some(Instant::now());
        }
        if ring.take(next, &mut |frame| shared.hand_on(&frame, each)).is_some() {
            next = (next + 1) % GEOMETRY.blocks;
            if quiet_since.is_some() {
                quiet_since = Some(Instant::now());
            }
            continue;
        }
        match quiet_since {
            Some(since) if since.elapsed() >= settle => return Ok(()),
            Some(_) => thread::sleep(Duration::from_millis(1)),
            None => {
                let [ready, _] = fd::wait_readable([shared.socket.as_fd(), shared.wake.as_fd()], IDLE)?;
                if ready {
                    // An interface that went down: its packets come again once it is up.
                    packet::take_error(shared.socket.as_fd())?;
                }
            }
        }
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno)
}

#[cold]
fn unknown_interface(interface: &str) -> Error {
    let mut known = packet::interfaces();
    known.sort();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::new(Errno::ENODEV, format!("no network interface named `{interface}`; there are: {known}"))
}

#[cold]
fn no_socket(interface: &str, error: &io::Error) -> Error {
    let errno = errno_of(error);
    let message = match errno {
        Errno::EPERM | Errno::EACCES => format!(
            "no permission to open a raw socket on `{interface}`: it needs CAP_NET_RAW. Run as root, or watch a \
             command in a private network namespace, which needs no privilege: `-- COMMAND`"
        ),
        _ => format!("cannot open a raw packet socket on `{interface}`: {error}"),
    };
    Error::new(errno, message)
}

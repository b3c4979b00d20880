//! The table of virtual CPUs in memory that several processes share.
//!
//! A child that is forked has the parent's maps, whose per-CPU values belong to whoever holds the virtual CPU: so both
//! must go by one table. So must all processes that use a folder of pins: their table is a file in it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use skep_maps::Peers as _;
use skep_spec::{Errno, Error};

use super::fd;
use super::folder;
use super::memfd::{self, Shared};
use super::peers::Peers;

/// Bytes of a slot, and of the table's head: a cache line, against false sharing.
const LINE: usize = 64;

/// A line of a table that is not shared.
#[repr(C, align(64))]
struct Line([AtomicU64; LINE / 8]);

/// Virtual CPUs, and the processes that lease them.
pub(crate) struct Table {
    slots: Slots,
    cpus: u32,
    /// The number of the domain.
    domain: u64,
    peers: Option<&'static Peers>,
}

enum Slots {
    /// Behind a head of a line.
    Shared(Shared),
    /// Where there were no descriptors left: then children have tables of their own.
    Private(Box<[Line]>),
}

impl Table {
    /// A table of `cpus` slots, all free, of the domain of a number.
    pub(crate) fn new(cpus: u32, domain: u64) -> Self {
        let lines = cpus as usize + 1;
        let slots = match memfd::shared("skep:cpus", lines * LINE) {
            Ok(shared) => Slots::Shared(shared),
            Err(_) => Slots::Private((0..lines).map(|_| Line(Default::default())).collect()),
        };
        Self { slots, cpus, domain, peers: Peers::of_lineage() }
    }

    /// The table of a folder, with so many slots and the number of a domain if it has none yet.
    ///
    /// # Errors
    /// `EINVAL` when what stands there is no such table, and what the system says.
    pub(crate) fn in_folder(path: &Path, cpus: u32, domain: u64) -> Result<Self, Error> {
        let opened = folder::Table::open(path, Some((cpus, domain)))?;
        Self::of_file(path, opened)
    }

    fn of_file(path: &Path, opened: folder::Table) -> Result<Self, Error> {
        let failed = |e: io::Error| {
            let errno = e.raw_os_error().map_or(Errno::EIO, Errno);
            Error::new(errno, format!("{}: {e}", path.display()))
        };
        let slots = Slots::Shared(opened.slots(LINE).map_err(failed)?);
        let peers = peers_of(&opened).map_err(failed)?;
        Ok(Self { slots, cpus: opened.cpus(), domain: opened.domain(), peers: Some(peers) })
    }

    /// The processes that may have maps of this domain.
    pub(crate) fn peers(&self) -> Option<&'static dyn skep_maps::Peers> {
        self.peers.map(|p| p as _)
    }

    /// The file that tells who of them lives, and where the word is in it that counts them.
    pub(crate) fn processes(&self) -> Option<io::Result<(OwnedFd, usize)>> {
        self.peers.map(Peers::file)
    }

    /// The number of the domain.
    pub(crate) fn domain(&self) -> u64 {
        self.domain
    }

    /// Slots.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.cpus as usize
    }

    /// Whoever holds a slot; 0 for nobody.
    #[inline]
    pub(crate) fn slot(&self, cpu: usize) -> &AtomicU64 {
        assert!(cpu < self.len());
        match &self.slots {
            Slots::Shared(shared) => shared.long((cpu + 1) * LINE),
            Slots::Private(lines) => &lines[cpu + 1].0[0],
        }
    }

    /// The number of this process, never 0.
    #[inline]
    pub(crate) fn process(&self) -> u32 {
        self.peers.map_or(1, Peers::me)
    }

    /// Whether the process of a number has died; no when nobody can tell.
    pub(crate) fn is_dead(&self, number: u32) -> bool {
        self.peers.is_some_and(|p| p.is_dead(number))
    }
}

/// The processes that share maps of a folder which this process only looks into, and the number of its domain.
///
/// # Errors
/// As [`Table::in_folder`], and `ENOENT` when there is no table.
pub(crate) fn peers_in(path: &Path) -> Result<(&'static dyn skep_maps::Peers, u64), Error> {
    let table = Table::of_file(path, folder::Table::open(path, None)?)?;
    Ok((table.peers().ok_or(Errno::EIO)?, table.domain()))
}

/// Bytes that a file of processes has at least.
const PROCESSES: usize = 64;

/// The processes of which another one tells by a descriptor; `counter` is where the word is that counts them.
///
/// # Errors
/// `EINVAL` for a file that is too short or a place where no such word is, and what the system says.
pub(crate) fn peers_of_fd(fd: OwnedFd, counter: usize) -> Result<&'static dyn skep_maps::Peers, Error> {
    let failed =
        |e: io::Error| Error::new(e.raw_os_error().map_or(Errno::EIO, Errno), format!("its processes: {e}"));
    let id = fd::identity(&fd).map_err(failed)?;
    if let Some(own) = Peers::of_lineage()
        && own.id().is_ok_and(|own| own == id)
    {
        return Ok(own);
    }
    let inside = counter.is_multiple_of(4) && counter < PROCESSES;
    if !inside || memfd::file_len(&fd).map_err(failed)? < PROCESSES as u64 {
        return Err(Error::new(Errno::EINVAL, "its processes: it is no file of processes"));
    }
    known(id, || Shared::of_file(fd, PROCESSES, counter)).map(|peers| peers as _).map_err(failed)
}

/// The processes of a folder.
fn peers_of(table: &folder::Table) -> io::Result<&'static Peers> {
    known(table.id(), || table.counter())
}

/// The processes of a file, by its device and inode: known once in this one, since there it has one number.
fn known(id: (u64, u64), memory: impl FnOnce() -> io::Result<Shared>) -> io::Result<&'static Peers> {
    type Known = ((u64, u64), &'static Peers);
    static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, peers)) = known.iter().find(|(other, _)| *other == id) {
        return Ok(peers);
    }
    let peers: &'static Peers = Box::leak(Box::new(Peers::new(memory()?)));
    // Not at the first run, which must not wait for anything.
    let _ = peers.me();
    known.push((id, peers));
    Ok(peers)
}

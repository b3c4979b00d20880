//! A folder of pins: maps as files, and the table of the virtual CPUs that their programs lease.
//!
//! ```text
//! FOLDER/.skep          64 bytes: magic, layout, CPUs, processes so far (u32 each), number of the domain (u64); then 64
//!                       for each CPU
//! FOLDER/NAME           the metadata of a map
//! FOLDER/NAME.payload   its payload, of the kinds that have one
//! FOLDER/NAME.bell      of a ring buffer: a FIFO that is written to when records are ready
//! ```
//!
//! Maps are made as files without a name in the folder, so that they can be given one later. Whoever gives, takes or
//! looks for names holds a lock on the table meanwhile (`flock`).

use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use skep_spec::{Errno, Error};

use super::fd::check;
use super::memfd::Shared;

const MAGIC: u32 = u32::from_le_bytes(*b"SKPC");
const LAYOUT: u32 = 2;
/// Bytes of the head.
const HEAD: usize = 64;
/// Offset of the number of processes so far.
const PROCESSES: usize = 12;
const NAME: &str = ".skep";
/// What the names of a map's other files end in.
const PAYLOAD: &str = ".payload";
const BELL: &str = ".bell";

#[cold]
fn failed(path: &Path, what: &str, e: &io::Error) -> Error {
    let errno = e.raw_os_error().map_or(Errno::EIO, Errno);
    Error::new(errno, format!("{}: {what}: {e}", path.display()))
}

#[cold]
fn refused(path: &Path, why: &str) -> Error {
    Error::new(Errno::EINVAL, format!("{}: {why}", path.display()))
}

/// An open table.
pub(crate) struct Table {
    file: File,
    cpus: u32,
    domain: u64,
    id: (u64, u64),
}

impl Table {
    /// Opens the table of a folder; makes it, with as many CPUs as `new` says and the number of a domain.
    ///
    /// # Errors
    /// `EINVAL` when it is no such table, and what the system says.
    pub(crate) fn open(folder: &Path, new: Option<(u32, u64)>) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(new.is_some()).mode(0o600);
        let file = options
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|e| failed(&path, "no folder of pins", &e))?;
        let held = Flock::new(&file).map_err(|e| failed(&path, "lock", &e))?;
        let (cpus, domain) = Self::read(&file, &path, new)?;
        drop(held);
        let about = file.metadata().map_err(|e| failed(&path, "stat", &e))?;
        Ok(Self { file, cpus, domain, id: (about.dev(), about.ino()) })
    }

    /// CPUs, and the number of the domain. A file of no bytes is new.
    fn read(mut file: &File, path: &Path, new: Option<(u32, u64)>) -> Result<(u32, u64), Error> {
        let about = file.metadata().map_err(|e| failed(path, "stat", &e))?;
        if !about.is_file() {
            return Err(refused(path, "it is no file"));
        }
        if let (0, Some((cpus, domain))) = (about.len(), new) {
            let mut head = [0; HEAD];
            let words = [MAGIC, LAYOUT, cpus, 0, domain as u32, (domain >> 32) as u32];
            for (to, word) in head.chunks_exact_mut(4).zip(words) {
                to.copy_from_slice(&word.to_ne_bytes());
            }
            let len = HEAD + HEAD * cpus as usize;
            let written = file.write_all(&head).and_then(|()| file.set_len(len as u64));
            written.map_err(|e| failed(path, "cannot be made", &e))?;
            return Ok((cpus, domain));
        }
        let mut head = [0; HEAD];
        file.read_exact(&mut head).map_err(|e| failed(path, "too short for a table of CPUs", &e))?;
        let word = |i: usize| head[4 * i..].first_chunk().map_or(0, |b| u32::from_ne_bytes(*b));
        let cpus = word(2);
        if word(0) != MAGIC {
            return Err(refused(path, "it is no table of CPUs of skep"));
        }
        if word(1) != LAYOUT {
            return Err(refused(path, &format!("layout {}, this build of skep has {LAYOUT}", word(1))));
        }
        if cpus == 0 || about.len() != (HEAD + HEAD * cpus as usize) as u64 {
            return Err(refused(path, &format!("{cpus} CPUs do not fit {} bytes", about.len())));
        }
        Ok((cpus, u64::from(word(4)) | u64::from(word(5)) << 32))
    }

    /// Whether a folder has a table.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(NAME).is_file()
    }

    pub(crate) fn cpus(&self) -> u32 {
        self.cpus
    }

    /// The number of the domain that the CPUs are of.
    pub(crate) fn domain(&self) -> u64 {
        self.domain
    }

    /// Device and inode.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }

    /// The memory of the slots, of `line` bytes each, behind a head of as many.
    pub(crate) fn slots(&self, line: usize) -> io::Result<Shared> {
        debug_assert_eq!(line, HEAD);
        Shared::of_file(self.file.try_clone()?.into(), HEAD + HEAD * self.cpus as usize, 0)
    }

    /// The memory whose word counts processes.
    pub(crate) fn counter(&self) -> io::Result<Shared> {
        Shared::of_file(self.file.try_clone()?.into(), HEAD, PROCESSES)
    }
}

/// A lock on an open file among those who have opened it for themselves.
struct Flock<'f>(&'f File);

impl<'f> Flock<'f> {
    fn new(file: &'f File) -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is open.
        while let Err(e) = check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }) {
            if e.kind() != io::ErrorKind::Interrupted {
                return Err(e);
            }
        }
        Ok(Self(file))
    }
}

impl Drop for Flock<'_> {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

/// A new file of zeros, without a name, in a folder.
pub(crate) fn unnamed(folder: &Path, len: usize) -> io::Result<OwnedFd> {
    let file =
        OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(folder)?;
    file.set_len(len as u64)?;
    Ok(file.into())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Gives an unnamed file a name.
fn link(fd: &OwnedFd, path: &Path) -> io::Result<()> {
    let from = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    let to = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: both are C strings.
    check(unsafe {
        libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW)
    })?;
    Ok(())
}

/// Pins a map under a path in a folder of pins.
///
/// # Errors
/// `EEXIST` when something is pinned there, and what the system says.
pub(crate) fn pin(
    path: &Path,
    metadata: &OwnedFd,
    payload: Option<&OwnedFd>,
    bell: bool,
) -> Result<(), Error> {
    let table = Table::open(path.parent().unwrap_or(Path::new("")), None)?;
    let _held = Flock::new(&table.file).map_err(|e| failed(path, "lock", &e))?;
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    if exists(path) {
        return Err(Error::new(Errno::EEXIST, format!("{}: something is pinned there", path.display())));
    }
    // What stands there without the map is of one who died in the middle of this.
    let clear = |path: &Path| if exists(path) { fs::remove_file(path) } else { Ok(()) };
    let make = || -> io::Result<()> {
        if let Some(payload) = payload {
            let name = beside(path, PAYLOAD);
            clear(&name)?;
            link(payload, &name)?;
        }
        if bell {
            let name = beside(path, BELL);
            clear(&name)?;
            let name = CString::new(name.as_os_str().as_bytes())?;
            // SAFETY: a C string.
            check(unsafe { libc::mkfifo(name.as_ptr(), 0o600) })?;
        }
        link(metadata, path)
    };
    make().map_err(|e| failed(path, "cannot be pinned", &e))
}

/// The files of a pinned map.
pub(crate) struct Pinned {
    pub(crate) metadata: OwnedFd,
    pub(crate) payload: Option<OwnedFd>,
    /// The first bytes of the metadata.
    pub(crate) header: Vec<u8>,
}

/// Opens what is pinned at a path; `None` when there is nothing.
///
/// # Errors
/// `EINVAL` for what is no file, and what the system says.
pub(crate) fn open(path: &Path, header: usize) -> Result<Option<Pinned>, Error> {
    let missing = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    if path.symlink_metadata().is_err_and(|e| missing(&e)) {
        return Ok(None);
    }
    let table = Table::open(path.parent().unwrap_or(Path::new("")), None)?;
    let _held = Flock::new(&table.file).map_err(|e| failed(path, "lock", &e))?;
    let file = |path: &Path| match open_nonblocking(path) {
        Ok(file) => match file.metadata() {
            Ok(about) if about.is_file() => Ok(Some(file)),
            _ => Err(refused(path, "it is no file")),
        },
        Err(e) if missing(&e) => Ok(None),
        Err(e) => Err(failed(path, "cannot be opened", &e)),
    };
    let Some(metadata) = file(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    (&metadata).take(header as u64).read_to_end(&mut bytes).map_err(|e| failed(path, "read", &e))?;
    let payload = file(&beside(path, PAYLOAD))?.map(OwnedFd::from);
    Ok(Some(Pinned { metadata: metadata.into(), payload, header: bytes }))
}

/// The FIFO of a pinned ring buffer.
///
/// # Errors
/// `EINVAL` for what is none, and what the system says.
pub(crate) fn bell(path: &Path) -> Result<OwnedFd, Error> {
    let path = beside(path, BELL);
    let file = open_nonblocking(&path).map_err(|e| failed(&path, "cannot be opened", &e))?;
    match file.metadata() {
        Ok(about) if about.file_type().is_fifo() => Ok(file.into()),
        _ => Err(refused(&path, "it is no FIFO")),
    }
}

fn open_nonblocking(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}

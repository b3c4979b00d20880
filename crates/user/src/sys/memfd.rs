//! Map memory in memfds: it can be handed to other processes, which map it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use skep_maps::{Block, Memory};

use super::fd::check;

/// Memory of one map: at most one payload and one block of metadata, each a memfd sealed against shrinking and
/// growing.
#[derive(Default)]
pub(crate) struct Memfds {
    name: String,
    payload: OnceLock<Arc<OwnedFd>>,
    metadata: OnceLock<Arc<OwnedFd>>,
}

impl Memfds {
    pub(crate) fn new(map: &str) -> Self {
        Self { name: map.chars().take(64).filter(|c| *c != '\0').collect(), ..Self::default() }
    }

    /// The descriptor of the payload where the map has one, otherwise of the metadata.
    pub(crate) fn raw_fd(&self) -> Option<RawFd> {
        self.payload.get().or(self.metadata.get()).map(|fd| fd.as_raw_fd())
    }

    fn block(&self, part: &str, len: usize, keep: &OnceLock<Arc<OwnedFd>>) -> Option<Block> {
        let fd = Arc::new(sealed_memfd(&format!("skep:{}:{part}", self.name), len).ok()?);
        let mapping = Mapping::new(Arc::clone(&fd), len).ok()?;
        keep.set(fd).ok()?;
        let base = mapping.base;
        // Programs reach the memory by address.
        let _ = base.as_ptr().expose_provenance();
        // SAFETY: a fresh shared mapping of `len` bytes, aligned to a page; the mapping, which unmaps it, is the
        // owner; nobody has a reference into it; other processes write it from outside Rust. The kernel maps
        // no more than isize::MAX.
        Some(unsafe { Block::new(base, len, Box::new(mapping)) })
    }
}

// SAFETY: mappings of fresh memfds are zeroed, exactly as long as asked, and aligned to a page; the page size is
// the system's.
unsafe impl Memory for Memfds {
    fn page_size(&self) -> usize {
        // SAFETY: no pointers.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    }

    fn payload(&self, len: usize) -> Option<Block> {
        self.block("payload", len, &self.payload)
    }

    fn metadata(&self, len: usize) -> Option<Block> {
        self.block("metadata", len, &self.metadata)
    }
}

/// Zeroed memory of `len` bytes that forked children share, its descriptor, and what unmaps it.
pub(crate) fn shared(name: &str, len: usize) -> io::Result<(OwnedFd, NonNull<u8>, Box<dyn Send + Sync>)> {
    let fd = sealed_memfd(name, len)?;
    let mapping = Mapping::new(Arc::new(fd.try_clone()?), len)?;
    Ok((fd, mapping.base, Box::new(mapping)))
}

struct Mapping {
    base: NonNull<u8>,
    len: usize,
    _fd: Arc<OwnedFd>,
}

// SAFETY: owns the mapping, whoever drops it.
unsafe impl Send for Mapping {}
// SAFETY: has no method on a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: Arc<OwnedFd>, len: usize) -> io::Result<Self> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice, of a descriptor that is open.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, fd.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len, _fd: fd })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, unmapped once; the block that it owns is gone.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

fn sealed_memfd(name: &str, len: usize) -> io::Result<OwnedFd> {
    let name = CString::new(name)?;
    let len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // SAFETY: `name` is a C string; the new descriptor is owned by nobody else; the other calls take no pointers.
    unsafe {
        let fd = check(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING))?;
        let fd = OwnedFd::from_raw_fd(fd);
        check(libc::ftruncate(fd.as_raw_fd(), len))?;
        check(libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW))?;
        Ok(fd)
    }
}

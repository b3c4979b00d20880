//! Map memory in memfds and files: other processes can map it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use skep_maps::{Block, Memory};

use super::fd::check;

/// Memory of one map: at most one payload and one block of metadata. Each is a memfd sealed against shrinking and
/// growing, or a file in a folder of pins.
#[derive(Default)]
pub(crate) struct Memfds {
    name: String,
    folder: Option<PathBuf>,
    /// Blocks that are there, of a map that is opened.
    opened: Option<Opened>,
    payload: OnceLock<Arc<OwnedFd>>,
    metadata: OnceLock<Arc<OwnedFd>>,
}

/// The files of a map that is opened.
struct Opened {
    payload: Option<Arc<OwnedFd>>,
    metadata: Arc<OwnedFd>,
    /// Why a block was refused.
    refused: Mutex<Option<String>>,
}

impl Memfds {
    pub(crate) fn new(map: &str) -> Self {
        Self { name: map.chars().take(64).filter(|c| *c != '\0').collect(), ..Self::default() }
    }

    /// Memory of a map that may be pinned in a folder.
    pub(crate) fn in_folder(map: &str, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..Self::new(map) }
    }

    /// Memory that is there.
    pub(crate) fn opened(metadata: OwnedFd, payload: Option<OwnedFd>) -> Self {
        let (payload, metadata) = (payload.map(Arc::new), Arc::new(metadata));
        Self { opened: Some(Opened { payload, metadata, refused: Mutex::default() }), ..Self::default() }
    }

    /// Why a block of memory that is there was refused.
    pub(crate) fn refused(&self) -> Option<String> {
        self.opened.as_ref()?.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The folder that the map may be pinned in.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The descriptor of the payload where the map has one, otherwise of the metadata.
    pub(crate) fn raw_fd(&self) -> Option<RawFd> {
        self.payload.get().or(self.metadata.get()).map(|fd| fd.as_raw_fd())
    }

    /// The descriptors of the metadata and the payload.
    pub(crate) fn parts(&self) -> Option<(&OwnedFd, Option<&OwnedFd>)> {
        Some((self.metadata.get()?, self.payload.get().map(|fd| &**fd)))
    }

    /// The descriptor of a block of `len` bytes.
    fn part(&self, part: &str, len: usize) -> Option<Arc<OwnedFd>> {
        let Some(opened) = &self.opened else {
            let fd = match &self.folder {
                Some(folder) => super::folder::unnamed(folder, len),
                None => sealed_memfd(&format!("skep:{}:{part}", self.name), len),
            };
            return fd.ok().map(Arc::new);
        };
        let fd = if part == PAYLOAD { opened.payload.as_ref() } else { Some(&opened.metadata) };
        let refuse = |why: String| {
            *opened.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            None
        };
        let Some(fd) = fd else { return refuse(format!("its {part} is missing")) };
        match file_len(fd) {
            Ok(n) if n as usize == len => Some(Arc::clone(fd)),
            Ok(n) => {
                refuse(format!("its {part} has {n} bytes, such a map has {len}: it was cut or is another's"))
            }
            Err(e) => refuse(format!("its {part}: {e}")),
        }
    }

    fn block(&self, part: &str, len: usize, keep: &OnceLock<Arc<OwnedFd>>) -> Option<Block> {
        let fd = self.part(part, len)?;
        let can_shrink = self.folder.is_some() || self.opened.is_some();
        let mapping = Mapping::new(Arc::clone(&fd), len, can_shrink).ok()?;
        keep.set(fd).ok()?;
        let base = mapping.base;
        // Programs reach the memory by address.
        let _ = base.as_ptr().expose_provenance();
        // SAFETY: a shared mapping of `len` bytes, aligned to a page; the mapping, which unmaps it, is the owner; nobody
        // has a reference into it; other processes write it from outside Rust. The kernel maps no more than
        // isize::MAX. Where another process cuts the file, the mapping mends itself (`mend`).
        let block = unsafe { Block::new(base, len, Box::new(mapping)) };
        // SAFETY: what `discard` says.
        Some(unsafe { block.with_discard(discard) })
    }
}

/// Gives pages of a shared mapping back (`MADV_REMOVE`: a hole in the file, for all who map it); `false` where the file
/// system makes no holes.
///
/// # Safety
/// They are whole pages of a shared mapping, which stays as it is: afterwards they are zeros.
unsafe fn discard(at: *mut u8, len: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { libc::madvise(at.cast(), len, libc::MADV_REMOVE) == 0 }
}

const PAYLOAD: &str = "payload";
const METADATA: &str = "metadata";

// SAFETY: mappings of fresh memfds and files are zeroed, those of a map that is opened are as others left them; all are
// exactly as long as asked, and aligned to a page; the page size is the system's.
unsafe impl Memory for Memfds {
    fn page_size(&self) -> usize {
        // SAFETY: no pointers.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    }

    fn payload(&self, len: usize) -> Option<Block> {
        self.block(PAYLOAD, len, &self.payload)
    }

    fn metadata(&self, len: usize) -> Option<Block> {
        self.block(METADATA, len, &self.metadata)
    }
}

/// Bytes of a file.
pub(super) fn file_len(fd: &OwnedFd) -> io::Result<u64> {
    // SAFETY: an all-zero stat is a valid value, which the call fills.
    unsafe {
        let mut about: libc::stat = std::mem::zeroed();
        check(libc::fstat(fd.as_raw_fd(), &raw mut about))?;
        Ok(u64::try_from(about.st_size).unwrap_or(0))
    }
}

/// Memory of words that several processes share, and its descriptor.
pub(crate) struct Shared {
    mapping: Mapping,
    /// Where [`Self::word`] is.
    word: usize,
}

impl Shared {
    /// The first `len` bytes of a file; `word` is a multiple of 4 below.
    pub(crate) fn of_file(fd: OwnedFd, len: usize, word: usize) -> io::Result<Self> {
        Self::new(fd, len, word, true)
    }

    fn new(fd: OwnedFd, len: usize, word: usize, can_shrink: bool) -> io::Result<Self> {
        assert!(word.is_multiple_of(4) && word + 4 <= len);
        Ok(Self { mapping: Mapping::new(Arc::new(fd), len, can_shrink)?, word })
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.mapping.fd
    }

    /// Offset of the word that the memory was made with.
    pub(crate) fn word_off(&self) -> usize {
        self.word
    }

    /// The word that the memory was made with.
    #[inline]
    pub(crate) fn word(&self) -> &AtomicU32 {
        // SAFETY: within the mapping by `of_file`, aligned; only atomics touch it.
        unsafe { AtomicU32::from_ptr(self.mapping.base.as_ptr().add(self.word).cast()) }
    }

    /// The 64-bit word at a multiple of 8.
    #[inline]
    pub(crate) fn long(&self, off: usize) -> &AtomicU64 {
        assert!(off.is_multiple_of(8) && off + 8 <= self.mapping.len);
        // SAFETY: within the mapping, aligned; only atomics touch it.
        unsafe { AtomicU64::from_ptr(self.mapping.base.as_ptr().add(off).cast()) }
    }
}

/// Zeroed memory of `len` bytes that forked children share.
pub(crate) fn shared(name: &str, len: usize) -> io::Result<Shared> {
    Shared::new(sealed_memfd(name, len)?, len, 0, false)
}

/// A mapping of a file, between two pages that nobody can touch: what misses it by little ends in a fault, not in the
/// mapping of another map.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
    fd: Arc<OwnedFd>,
    can_shrink: bool,
}

// SAFETY: owns the mapping, whoever drops it.
unsafe impl Send for Mapping {}
// SAFETY: has no method on a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `can_shrink`: others may cut the file.
    fn new(fd: Arc<OwnedFd>, len: usize, can_shrink: bool) -> io::Result<Self> {
        let (page, all) = guarded(len).ok_or(io::ErrorKind::OutOfMemory)?;
        let none = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(ptr::null_mut(), all, libc::PROT_NONE, none, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = start.map_addr(|start| start + page);
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut mapping = Self { base, len, fd, can_shrink: false };
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // SAFETY: in the place of pages within the mapping above, which nobody else knows; of a descriptor that is open.
        let made = unsafe { libc::mmap(base.as_ptr().cast(), len, prot, flags, mapping.fd.as_raw_fd(), 0) };
        if made == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        if can_shrink {
            mapping.can_shrink = super::mend::watch(base, len);
            if !mapping.can_shrink {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        Ok(mapping)
    }
}

/// Bytes of a page, and of a mapping of `len` bytes with a page before it and one behind.
fn guarded(len: usize) -> Option<(usize, usize)> {
    // SAFETY: no pointers.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    Some((page, len.checked_next_multiple_of(page)?.checked_add(2 * page)?))
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.can_shrink {
            super::mend::forget(self.base);
        }
        let Some((page, all)) = guarded(self.len) else { return };
        let start = self.base.as_ptr().map_addr(|base| base - page);
        // SAFETY: mapped in `new` with these lengths, unmapped once; the block that it owns is gone.
        unsafe { libc::munmap(start.cast(), all) };
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

#[cfg(test)]
mod tests {
    use skep_abi::{MapFlags, MapType};
    use skep_maps::{Config, Map};
    use skep_spec::MapDef;

    use super::*;

    /// Bytes that the system has for a file.
    fn memory_of(fd: RawFd) -> i64 {
        // SAFETY: an all-zero stat is a valid value, which the call fills.
        unsafe {
            let mut about: libc::stat = std::mem::zeroed();
            assert_eq!(libc::fstat(fd, &raw mut about), 0);
            about.st_blocks * 512
        }
    }

    /// The memory of an arena's pages goes back when they are freed, and those beside stay as they are.
    #[test]
    fn freed_pages_of_an_arena_go_back_to_the_system() {
        let memory = Memfds::new("arena");
        let page = memory.page_size();
        let flags = MapFlags(MapFlags::MMAPABLE);
        let def = MapDef { flags, ..MapDef::new(MapType::ARENA, 0, 0, 64) };
        let map = Map::create(&def, &Config::new(1), &memory).expect("legal");
        let (arena, fd) = (map.arena().expect("one"), memory.raw_fd().expect("a payload"));
        arena.write(0, &vec![7; 64 * page]).expect("inside");
        let full = memory_of(fd);
        assert!(full >= 64 * page as i64, "{full}");
        arena.free_pages(arena.base() + page as u64, 62);
        assert!(memory_of(fd) <= full - 62 * page as i64, "{} of {full}", memory_of(fd));
        let mut all = vec![1; 64 * page];
        arena.read(0, &mut all).expect("pages come again");
        assert!(all[..page].iter().chain(&all[63 * page..]).all(|b| *b == 7), "those beside stay");
        assert!(all[page..63 * page].iter().all(|b| *b == 0), "new ones are zeros");
    }
}

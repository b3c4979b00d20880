//! The memory of a value of an array map that can be mapped (`BPF_F_MMAPABLE`).

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32};

use skep_spec::{Cell, Errno};

use super::ring::{Mapping, page_size};

/// A value's bytes, mapped for as long as this lives.
pub struct MappedValue {
    mapping: Mapping,
    /// Its first byte in the mapping.
    base: usize,
    len: usize,
    /// Why it may only be read.
    read_only: Option<Errno>,
}

// SAFETY: the mapping is owned, and all access to it is atomic.
unsafe impl Send for MappedValue {}
// SAFETY: as above.
unsafe impl Sync for MappedValue {}

impl MappedValue {
    /// Maps `len` bytes from a byte of the map's memory on; to be read only where the kernel does not let it be written.
    ///
    /// # Errors
    /// As `mmap(2)`: `EPERM` for a map that may not be read, `EINVAL` outside its memory.
    pub fn map(fd: BorrowedFd<'_>, start: usize, len: usize) -> Result<Self, Errno> {
        let page = page_size()?;
        let first = start / page * page;
        let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
        let (base, bytes) = (start - first, end - first);
        match Mapping::new(fd, libc::PROT_READ | libc::PROT_WRITE, first, bytes) {
            Ok(mapping) => Ok(Self { mapping, base, len, read_only: None }),
            // Frozen, or read-only for programs (`bpf_map_mmap`).
            Err(why @ (Errno::EPERM | Errno::EACCES)) => {
                let mapping = Mapping::new(fd, libc::PROT_READ, first, bytes)?;
                Ok(Self { mapping, base, len, read_only: Some(why) })
            }
            Err(e) => Err(e),
        }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Why it may only be read, if so.
    pub fn read_only(&self) -> Option<Errno> {
        self.read_only
    }

    fn at(&self, off: usize, width: usize) -> Option<Cell<'_>> {
        if off.checked_add(width).is_none_or(|end| end > self.len) || !off.is_multiple_of(width.max(1)) {
            return None;
        }
        // SAFETY: `base + off` lies in the mapping, by the check and by `map`.
        let p = unsafe { self.mapping.start().add(self.base + off) };
        if !p.addr().is_multiple_of(width.max(1)) {
            return None;
        }
        // SAFETY: inside of a live mapping, aligned; only accessed atomically.
        unsafe {
            match width {
                1 => Some(Cell::U8(AtomicU8::from_ptr(p))),
                2 => Some(Cell::U16(AtomicU16::from_ptr(p.cast()))),
                4 => Some(Cell::U32(AtomicU32::from_ptr(p.cast()))),
                #[cfg(target_has_atomic = "64")]
                8 => Some(Cell::U64(std::sync::atomic::AtomicU64::from_ptr(p.cast()))),
                _ => None,
            }
        }
    }

    /// Hands a number of `width` bytes to `f`: to be loaded only.
    ///
    /// # Errors
    /// `EINVAL` outside, not aligned, or of no such width.
    pub fn load(&self, off: usize, width: usize) -> Result<u64, Errno> {
        // Aligned loads do not write, so a read-only page serves.
        self.at(off, width).map(Cell::load).ok_or(Errno::EINVAL)
    }

    /// A number of `width` bytes to be written.
    ///
    /// # Errors
    /// As [`Self::load`]; [`Self::read_only`].
    pub fn cell(&self, off: usize, width: usize) -> Result<Cell<'_>, Errno> {
        match self.read_only {
            Some(why) => Err(why),
            None => self.at(off, width).ok_or(Errno::EINVAL),
        }
    }
}

//! Writing into the values of an array map that can be mapped (`BPF_F_MMAPABLE`).

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use skep_spec::Errno;

use super::ring::{Mapping, page_size};

/// Writes bytes from a byte of the map's memory on: 1, 2, 4 or 8 at a multiple of their number at once.
///
/// # Errors
/// As `mmap(2)`: `EPERM` for a frozen or read-only map, `ENXIO` or `EINVAL` outside its memory.
pub fn write(fd: BorrowedFd<'_>, start: usize, bytes: &[u8]) -> Result<(), Errno> {
    if bytes.is_empty() {
        return Ok(());
    }
    let page = page_size()?;
    let first = start / page * page;
    let end = start.checked_add(bytes.len()).ok_or(Errno::EINVAL)?;
    // The kernel refuses a mapping that ends behind the map's pages, so all of it can be written.
    let mapping = Mapping::new(fd, libc::PROT_READ | libc::PROT_WRITE, first, end - first)?;
    // SAFETY: `start - first` is below the mapping's length.
    let to = unsafe { mapping.start().add(start - first) };
    let aligned = (to as usize).is_multiple_of(bytes.len());
    // SAFETY: the `bytes.len()` bytes at `to` lie in a live, writable mapping, which nobody in this process holds a
    // reference to; each arm's width is `bytes.len()`, and its alignment has been looked at.
    unsafe {
        match *bytes {
            [a, b] if aligned => AtomicU16::from_ptr(to.cast()).store(u16::from_ne_bytes([a, b]), Relaxed),
            [a, b, c, d] if aligned => {
                AtomicU32::from_ptr(to.cast()).store(u32::from_ne_bytes([a, b, c, d]), Relaxed);
            }
            [a, b, c, d, e, f, g, h] if aligned => {
                let word = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
                AtomicU64::from_ptr(to.cast()).store(word, Relaxed);
            }
            _ => {
                for (i, byte) in bytes.iter().enumerate() {
                    AtomicU8::from_ptr(to.add(i)).store(*byte, Relaxed);
                }
            }
        }
    }
    Ok(())
}

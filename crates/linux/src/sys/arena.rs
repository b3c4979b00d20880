//! Arenas in this process: memory that programs use by the addresses that it has here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use skep_spec::Errno;

/// A mapping of an arena, for as long as it lives.
#[derive(Debug)]
pub struct Arena {
    base: *mut libc::c_void,
    len: usize,
}

// SAFETY: the mapping belongs to the process; nothing here reads or writes it but the kernel, in system calls.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

fn errno() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

impl Arena {
    /// Maps an arena, at `at` if that is not 0. `EEXIST` when something else is there.
    pub fn map(fd: BorrowedFd<'_>, at: u64, len: usize) -> Result<Self, Errno> {
        let at = usize::try_from(at).map_err(|_| Errno::EINVAL)?;
        // Unlike MAP_FIXED, takes nothing away that is mapped there.
        let fixed = if at == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping; what is mapped already stays as it is.
        let base = unsafe {
            libc::mmap(
                std::ptr::without_provenance_mut(at),
                len,
                rights,
                libc::MAP_SHARED | fixed,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(errno());
        }
        let mapped = Self { base, len };
        // Kernels before 4.17 take the address for a hint.
        if at != 0 && base.addr() != at {
            return Err(Errno::EEXIST);
        }
        Ok(mapped)
    }

    /// Its address here.
    pub fn address(&self) -> u64 {
        self.base.addr() as u64
    }

    /// Its bytes from `off` on, `EFAULT` where there is no memory yet and the arena does not want any to come by itself
    /// (`BPF_F_SEGV_ON_FAULT`).
    pub fn read(&self, off: usize, out: &mut [u8]) -> Result<(), Errno> {
        self.inside(off, out.len())?;
        let file = scratch()?;
        // SAFETY: inside of the mapping, which lives; the kernel reads it, and answers EFAULT where it cannot.
        let n = unsafe { libc::pwrite(file.as_raw_fd(), self.base.byte_add(off), out.len(), 0) };
        whole(n, out.len())?;
        // SAFETY: a live, exclusively borrowed slice of that length.
        let n = unsafe { libc::pread(file.as_raw_fd(), out.as_mut_ptr().cast(), out.len(), 0) };
        whole(n, out.len())
    }

    /// Writes bytes from `off` on; errors as [`Self::read`].
    pub fn write(&self, off: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.inside(off, bytes.len())?;
        let file = scratch()?;
        // SAFETY: a live slice of that length.
        let n = unsafe { libc::pwrite(file.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        whole(n, bytes.len())?;
        // SAFETY: inside of the mapping, which lives and which nothing in Rust refers to; the kernel writes it, and
        // answers EFAULT where it cannot.
        let n = unsafe { libc::pread(file.as_raw_fd(), self.base.byte_add(off), bytes.len(), 0) };
        whole(n, bytes.len())
    }

    fn inside(&self, off: usize, len: usize) -> Result<(), Errno> {
        match off.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nothing refers to any more.
        unsafe { libc::munmap(self.base, self.len) };
    }
}

/// A file that bytes go through: the kernel answers for a page that is not there, where we would be killed.
fn scratch() -> Result<OwnedFd, Errno> {
    // SAFETY: a name that ends in NUL.
    let fd = unsafe { libc::memfd_create(c"skep:arena".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(errno());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn whole(n: isize, len: usize) -> Result<(), Errno> {
    match usize::try_from(n) {
        Err(_) => Err(errno()),
        Ok(n) if n == len => Ok(()),
        Ok(_) => Err(Errno::EFAULT),
    }
}

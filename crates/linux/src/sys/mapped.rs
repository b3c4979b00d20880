//! The running kernel's types, where the kernel has them.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

/// `/sys/kernel/btf/vmlinux` in memory that is the kernel's own: nothing is copied, and it counts as nobody's. Mapped
/// once, for as long as the process lives. `None` where the kernel does not show its types, or does not let them be
/// mapped (before Linux 6.16): the file can still be read then.
pub fn kernel_types() -> Option<&'static [u8]> {
    static MAPPED: OnceLock<Option<&[u8]>> = OnceLock::new();
    *MAPPED.get_or_init(|| map(&File::open("/sys/kernel/btf/vmlinux").ok()?))
}

fn map(file: &File) -> Option<&'static [u8]> {
    let len = usize::try_from(file.metadata().ok()?.len()).ok()?;
    let mut fs = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and there is room for what is written.
    if unsafe { libc::fstatfs(file.as_raw_fd(), fs.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has succeeded, so it is filled in.
    let fs = unsafe { fs.assume_init() };
    if fs.f_type != libc::SYSFS_MAGIC || len == 0 || len > isize::MAX as usize {
        return None;
    }
    let (rights, kind, fd) = (libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd());
    // SAFETY: a new mapping; what is mapped already stays as it is.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), len, rights, kind, fd, 0) };
    if base == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: `len` bytes are mapped there to be read, and nobody takes them away. They are read-only data of the
    // kernel, not a file that somebody could change or cut: `btf_sysfs_vmlinux_mmap` maps the image's own `.BTF` section
    // (6.16, `kernel/bpf/sysfs_btf.c`), whole or not at all, and the file system is the kernel's own.
    Some(unsafe { std::slice::from_raw_parts(base.cast::<u8>(), len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_as_read() {
        let Ok(read) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            return println!("skipped: the kernel does not show its types");
        };
        let Some(mapped) = kernel_types() else {
            return println!("skipped: the kernel does not let its types be mapped");
        };
        assert!(mapped == read, "{} bytes mapped, {} read", mapped.len(), read.len());
        assert_eq!(kernel_types().map(<[u8]>::as_ptr), Some(mapped.as_ptr()), "once for the process");
    }

    #[test]
    fn only_the_kernels_own() {
        let file = File::open(std::env::current_exe().expect("this program")).expect("it can be read");
        assert!(map(&file).is_none(), "a file that somebody may change");
    }
}

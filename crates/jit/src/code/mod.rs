//! Memory that machine code runs in: first written, then made executable, never both.
#![allow(unsafe_code)]

use memmap2::{Mmap, MmapMut};

#[cfg(all(unix, feature = "gdb"))]
mod gdb;
mod native;
mod profile;

use crate::Unsupported;
use crate::lower::Machine;

pub(crate) use native::native;
pub use profile::Profile;
pub(crate) use profile::profile;

/// Machine code in executable memory, with its frames made known to the unwinder.
pub struct Code {
    map: Mmap,
    bytes: usize,
    unwind: Option<Unwind>,
    #[cfg(all(unix, feature = "gdb"))]
    known: Option<gdb::Known>,
}

impl Code {
    /// Puts code into memory.
    ///
    /// # Errors
    /// [`Unsupported`]: the system gives no such memory.
    pub fn place(machine: &Machine) -> Result<Self, Unsupported> {
        let bytes = machine.code.len();
        let mut map = MmapMut::map_anon(bytes.max(1)).map_err(|e| Unsupported::memory(&e))?;
        debug_assert!(map.as_ptr().addr().is_multiple_of(machine.align), "pages are aligned for code");
        map[..bytes].copy_from_slice(&machine.code);
        let map = map.make_exec().map_err(|e| Unsupported::memory(&e))?;
        flush(&map);
        let base = map.as_ptr().addr() as u64;
        let unwind = machine.frames.eh_frame(base).and_then(Unwind::register);
        Ok(Self {
            map,
            bytes,
            unwind,
            #[cfg(all(unix, feature = "gdb"))]
            known: None,
        })
    }

    /// Makes the code, which is that of a machine, known to debuggers.
    pub(crate) fn debug(&mut self, program: &str, machine: &Machine) {
        #[cfg(all(unix, feature = "gdb"))]
        if let Some(unwind) = &self.unwind {
            let (base, bytes) = (self.address(0), self.bytes as u64);
            self.known =
                Some(gdb::Known::register(base, bytes, &machine.functions, program, &unwind.section));
        }
        let _ = (program, machine);
    }

    /// Address of an offset.
    pub fn address(&self, offset: u32) -> u64 {
        assert!((offset as usize) < self.bytes, "an offset of the code");
        self.map.as_ptr().addr() as u64 + u64::from(offset)
    }

    /// The code.
    pub fn bytes(&self) -> &[u8] {
        &self.map[..self.bytes]
    }

    /// Whether unwinders can walk over its frames.
    pub fn unwinds(&self) -> bool {
        self.unwind.is_some()
    }
}

/// Makes what was written visible to instruction fetch.
fn flush(map: &Mmap) {
    // x86 and s390x keep their instruction caches true by themselves.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "s390x")))]
    {
        unsafe extern "C" {
            fn __clear_cache(from: *mut core::ffi::c_void, to: *mut core::ffi::c_void);
        }
        let range = map.as_ptr_range();
        // SAFETY: the range is a mapping of ours; the function only cleans caches.
        unsafe { __clear_cache(range.start.cast_mut().cast(), range.end.cast_mut().cast()) };
    }
    let _ = map;
}

/// Frames known to the process's unwinder, until dropped.
struct Unwind {
    /// The section, which the unwinder reads; never moves.
    section: Box<[u8]>,
}

#[cfg(unix)]
unsafe extern "C" {
    fn __register_frame(begin: *const u8);
    fn __deregister_frame(begin: *const u8);
}

impl Unwind {
    fn register(section: Vec<u8>) -> Option<Self> {
        let section = section.into_boxed_slice();
        if cfg!(not(unix)) || section.len() <= 4 {
            return None;
        }
        let this = Self { section };
        #[cfg(unix)]
        this.each(&mut |begin| {
            // SAFETY: a well-formed section that ends with a zero length (the generator wrote it), which lives until it is
            // deregistered in `drop`.
            unsafe { __register_frame(begin) }
        });
        Some(this)
    }

    /// What the unwinder wants to be called with: GNU's the section, LLVM's each entry that describes a function.
    #[cfg(unix)]
    fn each(&self, f: &mut dyn FnMut(*const u8)) {
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            f(self.section.as_ptr());
            return;
        }
        let mut at = 0;
        while let Some(length) = self.section.get(at..at + 4) {
            let length = u32::from_ne_bytes(length.try_into().expect("four bytes")) as usize;
            let id = self.section.get(at + 4..at + 8);
            if length == 0 {
                break;
            }
            if id.is_some_and(|id| id != [0; 4]) {
                f(self.section[at..].as_ptr());
            }
            at += 4 + length;
        }
    }
}

impl Drop for Unwind {
    fn drop(&mut self) {
        #[cfg(unix)]
        self.each(&mut |begin| {
            // SAFETY: registered in `register` with the same address, and only there.
            unsafe { __deregister_frame(begin) }
        });
    }
}

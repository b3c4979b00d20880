//! Memory of maps between pages that nobody may touch, and a hostile hand in it.

use std::cell::RefCell;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use skep_maps::{Block, Memory};

pub const PAGE: usize = 4096;
/// What stands behind a block up to the end of its last page.
const CANARY: u8 = 0xc5;

/// A mapping with a page on each side that cannot be touched.
struct Guarded {
    base: NonNull<u8>,
    len: usize,
}

impl Guarded {
    fn new(len: usize) -> Self {
        let pages = len.next_multiple_of(PAGE);
        let (none, all) = (libc::PROT_NONE, libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, whose inner pages are made usable; the canary is inside.
        unsafe {
            let at = libc::mmap(ptr::null_mut(), pages + 2 * PAGE, none, flags, -1, 0);
            assert!(at != libc::MAP_FAILED, "memory");
            let base = at.cast::<u8>().add(PAGE);
            assert_eq!(libc::mprotect(base.cast(), pages, all), 0);
            base.add(len).write_bytes(CANARY, pages - len);
            let _ = base.expose_provenance();
            Self { base: NonNull::new(base).expect("not at 0"), len }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; the maps in it are gone, as the test sees to.
        unsafe {
            let at = self.base.as_ptr().sub(PAGE);
            libc::munmap(at.cast(), self.len.next_multiple_of(PAGE) + 2 * PAGE);
        }
    }
}

/// The memory of one map, which can be opened again, and put back to what it was.
#[derive(Clone, Default)]
pub struct Memories(Rc<RefCell<[Option<Rc<Guarded>>; 2]>>);

/// Keeps a mapping as long as a block of it.
struct Keep(#[expect(dead_code, reason = "kept")] Rc<Guarded>);

// SAFETY: the tests move no maps between threads.
unsafe impl Send for Keep {}
// SAFETY: as above.
unsafe impl Sync for Keep {}

impl Memories {
    fn block(&self, which: usize, len: usize) -> Option<Block> {
        let mut made = self.0.borrow_mut();
        let memory = made[which].get_or_insert_with(|| Rc::new(Guarded::new(len)));
        if memory.len != len {
            return None;
        }
        // SAFETY: a mapping of `len` bytes at a page, zeroed or as a map left it, that the block keeps; everybody accesses it
        // by atomic operations or volatile ones of one thread.
        Some(unsafe { Block::new(memory.base, len, Box::new(Keep(memory.clone()))) })
    }

    /// Address and bytes of the payload and the metadata, as far as there are.
    pub fn blocks(&self) -> Vec<(u64, usize)> {
        self.0.borrow().iter().flatten().map(|m| (m.base.as_ptr().addr() as u64, m.len)).collect()
    }

    /// The metadata.
    pub fn metadata_block(&self) -> (u64, usize) {
        let made = self.0.borrow();
        let m = made[1].as_ref().expect("there is a map");
        (m.base.as_ptr().addr() as u64, m.len)
    }

    /// Whether `len` bytes from an address are in the map's memory.
    pub fn has(&self, addr: u64, len: usize) -> bool {
        self.blocks().iter().any(|&(base, size)| addr >= base && addr + len as u64 <= base + size as u64)
    }

    /// The bytes of each block, as many as `most`.
    pub fn contents(&self, most: usize) -> Vec<Vec<u8>> {
        // SAFETY: inside the mappings; nobody else writes now.
        let bytes = |(addr, len): (u64, usize)| unsafe {
            std::slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(addr as usize), len.min(most))
                .to_vec()
        };
        self.blocks().into_iter().map(bytes).collect()
    }

    /// Puts bytes back.
    pub fn restore(&self, contents: &[Vec<u8>]) {
        for ((addr, _), bytes) in self.blocks().into_iter().zip(contents) {
            // SAFETY: inside the mappings, whose contents they were.
            unsafe {
                let to = ptr::with_exposed_provenance_mut::<u8>(addr as usize);
                ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            }
        }
    }

    /// Whether nothing was written behind the blocks.
    pub fn is_whole(&self) -> bool {
        self.blocks().iter().all(|&(addr, len)| {
            let end = ptr::with_exposed_provenance::<u8>(addr as usize + len);
            // SAFETY: up to the end of the last page.
            (0..len.next_multiple_of(PAGE) - len).all(|i| unsafe { end.add(i).read() } == CANARY)
        })
    }
}

// SAFETY: blocks are zeroed or as a map left them, as long as asked, and aligned to a page.
unsafe impl Memory for Memories {
    fn page_size(&self) -> usize {
        PAGE
    }
    fn payload(&self, len: usize) -> Option<Block> {
        self.block(0, len)
    }
    fn metadata(&self, len: usize) -> Option<Block> {
        self.block(1, len)
    }
}

/// What a hostile hand writes.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    pub addr: u64,
    pub value: u32,
    /// 1 or 4; the address is a multiple of it.
    pub bytes: usize,
}

impl Damage {
    pub fn write(self) {
        let at = self.addr as usize;
        // SAFETY: the tests take addresses inside of blocks of maps that live.
        unsafe {
            match self.bytes {
                1 => ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(self.value as u8),
                _ => ptr::with_exposed_provenance_mut::<u32>(at).write_volatile(self.value),
            }
        }
    }
}

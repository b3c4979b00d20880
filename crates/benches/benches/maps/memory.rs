//! Memory of full maps: what the kernel charges (`memlock`), and the pages of ours that are in memory.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Mutex;

use skep_abi::{MapFlags, MapType};
use skep_maps::{Block, Bytes, Map, Memory};
use skep_spec::{BackendMap, MapDef};

use crate::kernel;
use crate::operations::prefixes;
use crate::ours::config;

/// Elements of each map.
const ELEMENTS: u32 = 100_000;
/// Bytes of the ring buffer.
const RING: u32 = 1 << 22;

/// Kind, key, value, flags.
const ROWS: &[(MapType, u32, u32, u32)] = &[
    (MapType::ARRAY, 4, 8, 0),
    (MapType::PERCPU_ARRAY, 4, 8, 0),
    (MapType::HASH, 4, 8, 0),
    (MapType::HASH, 4, 8, MapFlags::NO_PREALLOC),
    (MapType::HASH, 16, 64, 0),
    (MapType::PERCPU_HASH, 4, 8, 0),
    (MapType::LRU_HASH, 4, 8, 0),
    (MapType::LRU_PERCPU_HASH, 4, 8, 0),
    (MapType::LPM_TRIE, 8, 8, MapFlags::NO_PREALLOC),
    (MapType::QUEUE, 0, 8, 0),
    (MapType::STACK, 0, 8, 0),
    (MapType::RINGBUF, 0, 0, 0),
];

/// The table.
pub fn measure() {
    println!("{:<32} {:>10} {:>10} {:>7}", "memory (bytes an element)", "skep", "kernel", "times");
    for &(kind, key, value, flags) in ROWS {
        let ring = kind == MapType::RINGBUF;
        let def = MapDef {
            flags: MapFlags(flags),
            ..MapDef::new(kind, key, value, if ring { RING } else { ELEMENTS })
        };
        let keys = if kind == MapType::LPM_TRIE { prefixes(ELEMENTS) } else { Vec::new() };
        let pages = Pages::default();
        let map = Map::create(&def, &config(), &pages).expect("legal");
        fill(&map, &keys);
        let mine = pages.resident() as f64 / f64::from(ELEMENTS);
        let theirs = kernel::create(&def).and_then(|theirs| {
            let value = vec![0; theirs.value_len()];
            for i in (0..ELEMENTS).take_while(|_| !ring) {
                let key = key_of(&def, &keys, i);
                theirs.update(&key, &value, 0).expect("there is room");
            }
            Some(kernel::memlock(&theirs)? as f64 / f64::from(ELEMENTS))
        });
        drop(map);
        let name = kind.name().unwrap_or("?");
        let name = match flags & MapFlags::NO_PREALLOC {
            _ if kind == MapType::LPM_TRIE => format!("{name}, random prefixes"),
            0 if ring => format!("{name}, {RING} bytes"),
            0 => format!("{name} {key} -> {value}"),
            _ => format!("{name} {key} -> {value}, no prealloc"),
        };
        let (theirs, times) = match theirs {
            Some(theirs) => (format!("{theirs:.1}"), format!("{:.2}", mine / theirs)),
            None => ("–".to_owned(), "–".to_owned()),
        };
        println!("{name:<32} {mine:>10.1} {theirs:>10} {times:>7}");
    }
}

fn key_of(def: &MapDef, prefixes: &[[u8; 8]], i: u32) -> Vec<u8> {
    match prefixes.get(i as usize) {
        Some(key) => key.to_vec(),
        None => {
            let mut key = i.to_ne_bytes().to_vec();
            key.resize(def.key_size as usize, 0);
            key
        }
    }
}

fn fill(map: &Map, prefixes: &[[u8; 8]]) {
    let value = vec![1; map.host_value_size()];
    if let Some(ring) = map.ringbuf() {
        while ring.output(Bytes::from(&[1u8; 64]), 0, 0).is_ok() {}
        return;
    }
    let def = MapDef::new(map.kind(), map.key_size(), map.value_size(), map.max_entries());
    for i in 0..ELEMENTS {
        map.update_from_host(&key_of(&def, prefixes, i), &value, 0).expect("there is room");
    }
}

const PAGE: usize = 4096;

/// Memory of the system in whole pages, whose owner can tell which of them were touched.
#[derive(Default)]
struct Pages(Mutex<Vec<(usize, usize)>>);

impl Pages {
    /// Bytes of the pages that are in memory. The blocks are all still there.
    fn resident(&self) -> usize {
        let blocks = self.0.lock().expect("nobody panics");
        let resident = blocks.iter().map(|&(addr, len)| {
            let mut pages = vec![0u8; len / PAGE];
            // SAFETY: the range is mapped, `pages` has a byte for each page of it.
            let result = unsafe { libc::mincore(addr as *mut libc::c_void, len, pages.as_mut_ptr()) };
            assert_eq!(result, 0, "it is mapped");
            pages.iter().filter(|&&p| p & 1 != 0).count() * PAGE
        });
        resident.sum()
    }

    fn block(&self, len: usize) -> Option<Block> {
        struct Unmap(usize, usize);
        impl Drop for Unmap {
            fn drop(&mut self) {
                // SAFETY: mapped by `block`, and nobody uses it any more.
                unsafe { libc::munmap(self.0 as *mut libc::c_void, self.1) };
            }
        }
        let len = len.next_multiple_of(PAGE);
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new memory wherever there is room. Huge pages would count what nobody touched.
        let base = unsafe {
            let base = libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0);
            libc::madvise(base, len, libc::MADV_NOHUGEPAGE);
            base
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let addr = base.expose_provenance();
        self.0.lock().expect("nobody panics").push((addr, len));
        // SAFETY: mapped above, zeroed, aligned to a page, until `Unmap` is dropped.
        Some(unsafe { Block::new(NonNull::new(base.cast())?, len, Box::new(Unmap(addr, len))) })
    }
}

// SAFETY: `block` gives zeroed whole pages, at least as many bytes as asked for.
unsafe impl Memory for Pages {
    fn page_size(&self) -> usize {
        PAGE
    }

    fn payload(&self, len: usize) -> Option<Block> {
        self.block(len)
    }

    fn metadata(&self, len: usize) -> Option<Block> {
        self.block(len)
    }
}

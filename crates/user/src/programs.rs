//! Programs by id, as the slots of program arrays and the elements of devmaps and cpumaps name them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use skep_maps::Map;
use skep_vm::{Program, Programs, fresh_version};

/// Programs in a chunk of the table.
const CHUNK: usize = 1024;
/// Chunks: four million programs in the life of a backend.
const CHUNKS: usize = 4096;

type Chunk = Box<[OnceLock<Weak<Program>>]>;

/// A table that only grows and is read without locks. It keeps no program alive.
pub(crate) struct ProgramTable {
    chunks: Box<[OnceLock<Chunk>]>,
    last_id: AtomicU32,
    /// [`Programs::version`].
    version: AtomicU64,
}

impl ProgramTable {
    pub(crate) fn new() -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            last_id: AtomicU32::new(0),
            version: AtomicU64::new(fresh_version()),
        }
    }

    /// A slot has let its program go, which runs may still keep: they ask again.
    pub(crate) fn let_go(&self) {
        self.version.store(fresh_version(), Ordering::Release);
    }

    /// Adds a program under a new id; `None` when there have been too many.
    pub(crate) fn add(&self, program: Program) -> Option<Arc<Program>> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed).checked_add(1)?;
        let chunk = self.chunks.get(id as usize / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        let program = Arc::new(program.with_id(id));
        chunk[id as usize % CHUNK].set(Arc::downgrade(&program)).ok()?;
        Some(program)
    }
}

impl Programs for ProgramTable {
    fn program(&self, id: u32) -> Option<Arc<Program>> {
        self.chunks.get(id as usize / CHUNK)?.get()?[id as usize % CHUNK].get()?.upgrade()
    }

    /// Ids are never used again.
    fn version(&self) -> Option<u64> {
        Some(self.version.load(Ordering::Acquire))
    }
}

/// The programs of elements whose map has no handle any more: they live as long as the map, as in Linux, where a program
/// array's go with its last handle.
#[derive(Default)]
pub(crate) struct ElementPrograms(Mutex<Vec<(Weak<Map>, ByKey)>>);

/// Programs by the keys of their elements.
pub(crate) type ByKey = BTreeMap<u32, Arc<Program>>;

impl ElementPrograms {
    /// Keeps the programs of a map's elements while somebody has the map, and lets go of those whose map is gone.
    pub(crate) fn keep(&self, map: &Arc<Map>, programs: ByKey) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = kept.extract_if(.., |(map, _)| map.strong_count() == 0).collect();
        if !programs.is_empty() {
            kept.push((Arc::downgrade(map), programs));
        }
        drop(kept);
        // What they were the last to have may come here again.
        drop(gone);
    }
}

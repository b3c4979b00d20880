//! Programs by id, as the slots of program arrays name them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

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

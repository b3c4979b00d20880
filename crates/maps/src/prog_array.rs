//! Program array: slots of program ids for tail calls. Arrays of maps have such slots, too.
//!
//! A slot holds an id, 0 for empty; whoever calls resolves it to a program of its own process, so that a
//! peer that writes nonsense into a slot can only make a tail call fall through or reach another program
//! that the caller has loaded.

use skep_spec::Errno;

use crate::geometry::{BadIndex, Geometry, HEADER_LEN, next_index};
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::sync::{AtomicU32, Ordering, Owner};

pub(crate) struct ProgArray {
    geometry: Geometry,
    metadata: Block,
}

impl ProgArray {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let len = (geometry.max_entries as usize).checked_mul(4).and_then(|n| n.checked_add(HEADER_LEN));
        let metadata = geometry.metadata(memory, len.ok_or(Errno::ENOMEM)?, 0)?;
        Ok(Self { geometry, metadata })
    }

    /// The program in a slot.
    #[inline]
    pub fn get(&self, index: u32) -> Option<u32> {
        if index >= self.geometry.max_entries {
            return None;
        }
        match self.slot(index).load(Ordering::Acquire) {
            0 => None,
            id => Some(id),
        }
    }

    /// Host address of the first slot.
    pub fn slots(&self) -> u64 {
        self.metadata.addr(HEADER_LEN)
    }

    fn slot(&self, index: u32) -> &AtomicU32 {
        self.metadata.u32(HEADER_LEN + 4 * index as usize)
    }

    /// What `bpf_fd_array_map_update_elem` checks before it looks at the value.
    pub fn check_update(&self, key: Bytes<'_>, flags: u64) -> Result<u32, Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        self.index(key)
    }

    /// Writes an id into a slot.
    pub fn put(&self, key: Bytes<'_>, id: u32) -> Result<(), Errno> {
        self.slot(self.index(key)?).store(id, Ordering::Release);
        Ok(())
    }

    fn index(&self, key: Bytes<'_>) -> Result<u32, Errno> {
        self.geometry.index(key).map_err(|e| match e {
            BadIndex::Outside => Errno::E2BIG,
            BadIndex::Length => Errno::EINVAL,
        })
    }
}

impl Ops for ProgArray {
    fn lookup(&self, _key: Bytes<'_>, _cpu: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        // The kernel's verifier lets no program call the helper on it.
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        if owner != Owner::HOST {
            return Err(Errno::EINVAL);
        }
        match self.slot(self.index(key)?).swap(0, Ordering::AcqRel) {
            0 => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let index = self.index(key).map_err(|_| Errno::ENOENT)?;
        let id = self.get(index).ok_or(Errno::ENOENT)?;
        out.copy_from_slice(&id.to_ne_bytes());
        Ok(())
    }

    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.check_update(key, flags)?;
        // Id 0 is no program: the kernel's word for a descriptor that is none.
        self.put(key, value.as_u32().filter(|&id| id != 0).ok_or(Errno::EBADF)?)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(&self.geometry, key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

//! A set of the kernel's functions (`struct_ops`), as data: its one value, with `struct bpf_struct_ops_common_value` before
//! it. Nobody calls the functions: there is no part of a kernel here to be given them.
//!
//! ```text
//! header | refcnt u32, state u32, rest of the value
//! ```
//!
//! The value is written once, as in Linux: what is in use never changes (`bpf_struct_ops_map_update_elem`, Linux 6.18).

use skep_abi::MapFlags;
use skep_spec::Errno;

use crate::geometry::{BadIndex, Geometry, HEADER_LEN, next_index};
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::sync::{AtomicU32, Ordering, Owner};

/// Bytes of `struct bpf_struct_ops_common_value`: a count and the state.
pub(crate) const COMMON: usize = 8;

/// `BPF_STRUCT_OPS_STATE_INIT`: there is no value yet.
const INIT: u32 = 0;
/// `BPF_STRUCT_OPS_STATE_TOBEFREE`: the value was deleted, and no other comes.
const TOBEFREE: u32 = 2;
/// `BPF_STRUCT_OPS_STATE_READY`: the value is there, and nobody was given it.
const READY: u32 = 3;
/// The value is being written; nobody sees that.
const WRITING: u32 = u32::MAX;

pub(crate) struct StructOps {
    geometry: Geometry,
    metadata: Block,
}

impl StructOps {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let len = geometry.stride.checked_add(HEADER_LEN).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, len, HEADER_LEN)?;
        Ok(Self { geometry, metadata })
    }

    fn state(&self) -> &AtomicU32 {
        self.metadata.u32(HEADER_LEN + 4)
    }
}

impl Ops for StructOps {
    fn lookup(&self, _key: Bytes<'_>, _cpu: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        // The verifier lets no program call the helper on it.
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        if owner != Owner::HOST {
            return Err(Errno::EINVAL);
        }
        if self.geometry.flags.has(MapFlags::LINK) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.geometry.index(key).map_err(|_| Errno::ENOENT)?;
        let gone = self.state().compare_exchange(READY, TOBEFREE, Ordering::AcqRel, Ordering::Acquire);
        match gone {
            Ok(_) => Ok(()),
            Err(TOBEFREE) => Err(Errno::EINPROGRESS),
            Err(_) => Err(Errno::ENOENT),
        }
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        self.geometry.index(key).map_err(|_| Errno::ENOENT)?;
        match self.state().load(Ordering::Acquire) {
            INIT | WRITING => out.fill(0),
            _ => self.metadata.bytes(HEADER_LEN, self.geometry.value_size).copy_to(out),
        }
        Ok(())
    }

    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        self.geometry.index(key).map_err(|e| match e {
            BadIndex::Outside => Errno::E2BIG,
            BadIndex::Length => Errno::EINVAL,
        })?;
        if value.word_at(0) != 0 {
            return Err(Errno::EINVAL);
        }
        let state = self.state();
        state
            .compare_exchange(INIT, WRITING, Ordering::AcqRel, Ordering::Acquire)
            .map_err(|_| Errno::EBUSY)?;
        self.metadata
            .write(HEADER_LEN + COMMON, value.slice(COMMON, self.geometry.value_size.saturating_sub(COMMON)));
        state.store(READY, Ordering::Release);
        Ok(())
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

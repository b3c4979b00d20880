//! Array of maps and hash of maps: slots of map ids, and the maps that the slots keep alive.
//!
//! The memory that others see holds ids. What an id stands for is private to the process: a table of the maps that
//! slots of this map hold or held, so that nobody who writes into a slot leads a run to any other map, or to one that
//! may go away under it. All of them look like the inner map of the definition (`bpf_map_meta_equal`), which is what
//! programs were verified for.
//!
//! Only the host changes slots. A map that leaves its last slot stays in the table while a run lasts that may have found it
//! (`grace`); the first change after that lets it go. The words of the grace periods are private, too.
//!
//! Runs read the table behind a lock that many readers hold at a time. The host holds it as long as one slot's change
//! takes.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType, UpdateFlags};
use skep_spec::{Errno, Error};

use crate::geometry::Geometry;
use crate::grace::Grace;
use crate::hash::Hash;
use crate::map::{Area, Kind, Map, Ops};
use crate::mem::{Block, Bytes, Heap, Memory};
use crate::prog_array::ProgArray;
use crate::sync::{Owner, Shared};

pub(crate) struct MapOfMaps {
    slots: Slots,
    /// What the maps in the slots look like.
    inner: Geometry,
    kept: Shared<Kept>,
    grace: Grace,
    /// The words of the grace periods.
    runs: Block,
}

enum Slots {
    Array(ProgArray),
    Hash(Hash),
}

/// Maps by id.
type Kept = BTreeMap<u32, Keep>;

struct Keep {
    map: Arc<Map>,
    /// Its values.
    area: Option<Area>,
    /// Slots that hold it.
    slots: u32,
    /// When it left the last of them.
    left: u32,
}

impl MapOfMaps {
    /// The maps in a hash of maps; 0 for an array.
    pub fn element_count(&self) -> u32 {
        match &self.slots {
            Slots::Hash(hash) => hash.element_count(),
            Slots::Array(_) => 0,
        }
    }

    pub fn new(geometry: Geometry, inner: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let slots = match geometry.kind {
            MapType::HASH_OF_MAPS => Slots::Hash(Hash::new(geometry, memory)?),
            _ => Slots::Array(ProgArray::new(geometry, memory)?),
        };
        let (grace, len) = Grace::new(0, geometry.cpus).ok_or(Errno::ENOMEM)?;
        let runs = Heap.metadata(len).ok_or(Errno::ENOMEM)?;
        Ok(Self { slots, inner, kept: Shared::new(Kept::new(), geometry.wait), grace, runs })
    }

    /// What the maps in the slots look like.
    pub fn inner(&self) -> &Geometry {
        &self.inner
    }

    /// The slots, if they are a hash's.
    pub fn hash(&self) -> Option<&Hash> {
        match &self.slots {
            Slots::Array(_) => None,
            Slots::Hash(hash) => Some(hash),
        }
    }

    fn ops(&self) -> &dyn Ops {
        match &self.slots {
            Slots::Array(array) => array,
            Slots::Hash(hash) => hash,
        }
    }

    /// The id in a slot.
    #[inline]
    pub fn id(&self, key: Bytes<'_>) -> Option<u32> {
        match &self.slots {
            Slots::Array(array) => array.get(key.as_u32()?),
            Slots::Hash(hash) => hash.id(key),
        }
    }

    /// The map of an id that a slot holds, or held when the run on a CPU began.
    #[inline]
    pub fn get(&self, id: u32, cpu: u32) -> Option<Arc<Map>> {
        self.kept.read(|kept| kept.get(&id).filter(|k| self.waits(k, cpu)).map(|k| Arc::clone(&k.map)))?
    }

    /// Whether a map stays until the run on a CPU has ended.
    fn waits(&self, keep: &Keep, cpu: u32) -> bool {
        keep.slots > 0 || self.grace.waits_for(&self.runs, keep.left, cpu)
    }

    /// The values, of one of these maps, that hold all of some bytes.
    pub fn area_of(&self, addr: u64, len: u64, cpu: u32) -> Option<(Arc<Map>, Area)> {
        let holds = |area: &Area| {
            let off = addr.wrapping_sub(area.addr);
            off < area.len as u64 && len <= area.len as u64 - off
        };
        self.kept.read(|kept| {
            let mut stay = kept.values().filter(|k| self.waits(k, cpu));
            stay.find_map(|k| Some((Arc::clone(&k.map), k.area.filter(holds)?)))
        })?
    }

    /// Puts a map into a slot.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`.
    pub fn set(&self, key: Bytes<'_>, id: u32, map: &Arc<Map>, flags: u64) -> Result<(), Errno> {
        if let Slots::Array(array) = &self.slots {
            array.check_update(key, flags)?;
        }
        if !looks_like(&self.inner, &map.geometry) || id == 0 {
            return Err(Errno::EINVAL);
        }
        // Whoever it was the last holder of, it is dropped after the lock is given back.
        let gone = self.kept.change(|kept| {
            let old = self.id(key);
            match &self.slots {
                Slots::Array(array) => array.put(key, id)?,
                Slots::Hash(hash) => hash.put_id(key, id, flags)?,
            }
            // Programs reach records of a ring buffer one by one.
            let area = map.value_area().filter(|_| map.ringbuf().is_none());
            let new = || Keep { map: Arc::clone(map), area, slots: 0, left: 0 };
            kept.entry(id).or_insert_with(new).slots += 1;
            Ok(self.release(kept, old))
        });
        gone.ok_or(Errno::EBUSY)?.map(drop)
    }

    /// Empties a slot.
    fn take(&self, key: Bytes<'_>) -> Result<(), Errno> {
        let gone = self.kept.change(|kept| {
            let old = self.id(key);
            self.ops().delete(key, Owner::HOST)?;
            Ok(self.release(kept, old))
        });
        gone.ok_or(Errno::EBUSY)?.map(drop)
    }

    /// A slot no longer holds an id. Gives the maps that no run can have any more.
    fn release(&self, kept: &mut Kept, old: Option<u32>) -> Vec<Keep> {
        if let Some(keep) = old.and_then(|id| kept.get_mut(&id)) {
            keep.slots = keep.slots.saturating_sub(1);
            if keep.slots == 0 {
                keep.left = self.grace.mark(&self.runs);
            }
        }
        let over = |k: &Keep| k.slots == 0 && self.grace.is_over(&self.runs, k.left, Owner::HOST);
        let gone: Vec<u32> = kept.iter().filter(|(_, k)| over(k)).map(|(id, _)| *id).collect();
        gone.iter().filter_map(|id| kept.remove(id)).collect()
    }

    /// A run begins on a CPU.
    pub fn begin_run(&self, cpu: u32) {
        self.grace.begin_among_others(&self.runs, cpu, self.inner.wait);
    }

    /// A run ends.
    pub fn end_run(&self, cpu: u32) {
        self.grace.end_among_others(&self.runs, cpu);
    }
}

/// Whether a map may stand where another is expected (`bpf_map_meta_equal`, `array_map_meta_equal`).
pub(crate) fn looks_like(inner: &Geometry, map: &Geometry) -> bool {
    let sized = inner.kind == MapType::ARRAY && !inner.flags.has(MapFlags::INNER_MAP);
    (inner.kind, inner.key_size, inner.value_size) == (map.kind, map.key_size, map.value_size)
        && (inner.flags, inner.spin_lock) == (map.flags, map.spin_lock)
        && (!sized || inner.max_entries == map.max_entries)
}

impl Ops for MapOfMaps {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
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
        self.take(key)
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        out.copy_from_slice(&self.id(key).ok_or(Errno::ENOENT)?.to_ne_bytes());
        Ok(())
    }

    fn update_from_host(&self, key: Bytes<'_>, _: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if let Slots::Array(array) = &self.slots {
            array.check_update(key, flags)?;
        }
        // A number is no map: the kernel's word for a descriptor that is none. See `set`.
        Err(Errno::EBADF)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        self.ops().next_key(key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        self.ops().metadata()
    }
}

impl Map {
    fn of_maps(&self) -> Option<&MapOfMaps> {
        match &self.kind {
            Kind::MapOfMaps(of) => Some(of),
            Kind::Array(_)
            | Kind::BloomFilter(_)
            | Kind::PercpuArray(_)
            | Kind::Hash(_)
            | Kind::LpmTrie(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::StructOps(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::Devices(_)
            | Kind::Sockets(_)
            | Kind::Storage(_) => None,
        }
    }

    /// Whether its elements are maps.
    #[inline]
    pub fn is_of_maps(&self) -> bool {
        self.of_maps().is_some()
    }

    /// Whether its elements are maps that look like this definition; `false` for other kinds.
    pub fn holds_maps_like(&self, inner: &skep_spec::MapDef) -> bool {
        self.of_maps().is_some_and(|of| {
            let g = of.inner();
            let sizes = (g.kind, g.key_size as u32, g.value_size as u32, g.flags);
            sizes == (inner.kind, inner.key_size, inner.value_size, inner.flags)
                && g.spin_lock.map(|off| off as u32) == inner.spin_lock_off()
                && (g.kind != MapType::ARRAY || g.max_entries == inner.max_entries)
        })
    }

    /// The id of the map in a slot (`bpf_map_lookup_elem` on a map of maps); `None` for an empty slot and for other kinds.
    #[inline]
    pub fn inner_id(&self, key: Bytes<'_>) -> Option<u32> {
        self.of_maps()?.id(key)
    }

    /// The map of an id, for the run on `cpu` that [`Self::begin_run`] has told of: every id that [`Self::inner_id`] gave
    /// it has one, and it lives until the run ends. Ids that no slot has had since the run began have none.
    #[inline]
    pub fn inner_map(&self, id: u32, cpu: u32) -> Option<Arc<Map>> {
        self.of_maps()?.get(id, cpu)
    }

    /// The map, of those that [`Self::inner_map`] gives, whose values hold all of some bytes, and where they stand.
    pub fn inner_holding(&self, addr: u64, len: u64, cpu: u32) -> Option<(Arc<Map>, Area)> {
        self.of_maps()?.area_of(addr, len, cpu)
    }

    /// Puts a map into a slot under an id that no other map of the domain has (`BPF_MAP_UPDATE_ELEM`). This map keeps it alive.
    ///
    /// # Errors
    /// `EINVAL` a map that does not look like the inner one of the definition, flags that the kind does not know, other
    /// kinds; `E2BIG` an index outside, or a full hash; `EEXIST` and `ENOENT` by the flags, as [`Self::update`]; `EPERM`
    /// on a `BPF_F_RDONLY` or frozen map.
    pub fn set_map(&self, key: &[u8], id: u32, map: &Arc<Map>, flags: u64) -> Result<(), Error> {
        const OP: &str = "set map";
        let Some(of) = self.of_maps() else {
            return Err(self.error(
                Errno::EINVAL,
                OP,
                &format!("it is no map of maps: `{}` cannot be put into it", map.name()),
            ));
        };
        self.may_write(OP)?;
        self.no_lock(OP, flags)?;
        self.key_length(OP, key)?;
        of.set(key.into(), id, map, flags).map_err(|e| match e {
            Errno::EINVAL if flags <= UpdateFlags::EXIST && !looks_like(of.inner(), &map.geometry) => {
                let words = format!(
                    "it refuses map `{}`: it must agree with the inner map in type, key size, value size and flags, and \
                     an array in max_entries",
                    map.name()
                );
                self.error(e, OP, &words)
            }
            Errno::E2BIG => {
                let words = format!("no room for map `{}`, it has {} elements", map.name(), self.max_entries());
                self.error(e, OP, &words)
            }
            _ => self.error(e, OP, self.words(e)),
        })
    }
}

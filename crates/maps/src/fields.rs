//! The fields of a value that only helpers and functions of the kernel touch: locks, timers, pointers to objects, lists,
//! trees.
//!
//! They stay with their place in memory: no update writes them, no copy shows them, and what they keep is let go when
//! the element is replaced or deleted (`copy_map_value`, `bpf_obj_free_fields`, Linux 6.18).

use skep_abi::{MapFlags, MapType};
use skep_spec::{Errno, FieldKind, MapDef};

use crate::geometry::Geometry;
use crate::mem::{Block, Bytes};

/// Most fields of a value (`BTF_FIELDS_MAX`).
const MOST: usize = 11;

/// A field of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub kind: FieldKind,
    /// Offset in the value.
    pub off: usize,
}

/// The fields of a value, by offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    all: [Place; MOST],
    len: u8,
}

impl Places {
    pub const NONE: Self = Self { all: [Place { kind: FieldKind::SpinLock, off: 0 }; MOST], len: 0 };

    /// Those of a definition whose types Linux takes; none where it does not, as there.
    pub fn of(def: &MapDef) -> Self {
        let fields = def.fields();
        let mut places = Self::NONE;
        if fields.bad().is_some() {
            return places;
        }
        for (to, field) in places.all.iter_mut().zip(fields.all()) {
            *to = Place { kind: field.kind, off: field.off_bytes as usize };
            places.len += 1;
        }
        places
    }

    /// A lock, or nothing.
    pub fn lock(off: Option<usize>) -> Self {
        let mut places = Self::NONE;
        if let Some(off) = off {
            places.all[0].off = off;
            places.len = 1;
        }
        places
    }

    #[inline]
    pub fn all(&self) -> &[Place] {
        &self.all[..self.len as usize]
    }

    /// Those that keep something to be let go: all but locks and counts.
    pub fn keeping(&self) -> impl Iterator<Item = &Place> {
        self.all().iter().filter(|p| !p.kind.is_lock() && p.kind != FieldKind::Refcount)
    }
}

/// Why a map of this kind has no values with such fields (`map_check_btf`), and what is wrong.
pub(crate) fn check(def: &MapDef, places: &Places) -> Result<(), (Errno, Place, &'static str)> {
    let Some(first) = places.all().first() else { return Ok(()) };
    if def.flags.0 & (MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG) != 0 {
        return Err((Errno::EACCES, *first, "programs must be able to read and write the values"));
    }
    for place in places.all() {
        let kind = def.kind;
        let global = matches!(kind, MapType::ARRAY | MapType::HASH);
        let (may, what) = match place.kind {
            FieldKind::SpinLock | FieldKind::ResSpinLock => {
                (global, "only values of arrays and hashes may have locks")
            }
            FieldKind::Timer
            | FieldKind::Workqueue
            | FieldKind::TaskWork
            | FieldKind::ListHead
            | FieldKind::RbRoot => (
                global || kind == MapType::LRU_HASH,
                "only values of arrays, hashes and LRU hashes may have one",
            ),
            FieldKind::KptrUntrusted | FieldKind::Kptr | FieldKind::PercpuKptr | FieldKind::Refcount => (
                global
                    || matches!(
                        kind,
                        MapType::LRU_HASH
                            | MapType::PERCPU_ARRAY
                            | MapType::PERCPU_HASH
                            | MapType::LRU_PERCPU_HASH
                    ),
                "only values of arrays and hashes may have one",
            ),
            FieldKind::Uptr => (false, "only values of task storage may have one"),
            FieldKind::ListNode | FieldKind::RbNode => (true, ""),
        };
        if !may {
            return Err((Errno::EOPNOTSUPP, *place, what));
        }
    }
    Ok(())
}

impl Geometry {
    /// Writes a value, and nothing of its fields.
    #[inline]
    pub fn write_value(&self, block: &Block, off: usize, value: Bytes<'_>) {
        let value = value.slice(0, self.value_size);
        if self.places.all().is_empty() {
            return block.write(off, value);
        }
        let mut at = 0;
        for place in self.places.all() {
            block.write(off + at, value.slice(at, place.off.saturating_sub(at)));
            at = place.off + place.kind.size() as usize;
        }
        block.write(off + at, value.slice(at, self.value_size.saturating_sub(at)));
    }

    /// Writes zeros into a value, and nothing of its fields.
    pub fn zero_value(&self, block: &Block, off: usize) {
        if self.places.all().is_empty() {
            return block.zero(off, self.stride);
        }
        let mut at = 0;
        for place in self.places.all() {
            block.zero(off + at, place.off.saturating_sub(at));
            at = place.off + place.kind.size() as usize;
        }
        block.zero(off + at, self.stride.saturating_sub(at));
    }

    /// Copies a value out, with zeros for its fields.
    #[inline]
    pub fn read_value(&self, block: &Block, off: usize, out: &mut [u8]) {
        block.bytes(off, self.value_size).copy_to(out);
        self.hide_fields(out);
    }

    /// Writes zeros into the pointers of a value.
    pub fn clear_pointers(&self, block: &Block, off: usize) {
        for place in self.places.all().iter().filter(|p| p.kind.is_pointer()) {
            block.zero(off + place.off, place.kind.size() as usize);
        }
    }

    /// Zeros in the place of a copy's fields.
    pub fn hide_fields(&self, copy: &mut [u8]) {
        for place in self.places.all() {
            if let Some(bytes) = copy.get_mut(place.off..place.off + place.kind.size() as usize) {
                bytes.fill(0);
            }
        }
    }
}

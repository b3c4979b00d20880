//! The fields of a value that only helpers and functions of the kernel touch: locks, timers, pointers to objects, lists,
//! trees.
//!
//! They stay with their place in memory: no update writes them, no copy shows them, and what they keep is let go when
//! the element is replaced or deleted (`copy_map_value`, `bpf_obj_free_fields`, Linux 6.18).

use skep_spec::{FieldKind, MapDef};

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
        if !self.places.all().is_empty() {
            self.hide_fields(out);
        }
    }

    /// Writes zeros into the pointers of a value.
    pub fn clear_pointers(&self, block: &Block, off: usize) {
        for place in self.places.all().iter().filter(|p| p.kind.is_pointer()) {
            block.zero(off + place.off, place.kind.size() as usize);
        }
    }

    /// Zeros in the place of a copy's fields.
    #[inline]
    pub fn hide_fields(&self, copy: &mut [u8]) {
        for place in self.places.all() {
            if let Some(bytes) = copy.get_mut(place.off..place.off + place.kind.size() as usize) {
                bytes.fill(0);
            }
        }
    }
}

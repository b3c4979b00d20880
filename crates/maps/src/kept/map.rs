//! The fields of a map's values, by their addresses.

use alloc::sync::Arc;

use skep_spec::FieldKind;

use super::Keeper;
use crate::map::{Kind, Map};
use crate::percpu_array::Values;
use crate::sync::Ordering;
use crate::walk::{Element, Key};

/// A field of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldOf {
    /// What it is.
    pub kind: FieldKind,
    /// Where the value is.
    pub value: u64,
}

impl Map {
    /// What keeps what the fields of its values keep; `None` when they have no such fields.
    pub fn keeper(&self) -> Option<&Arc<Keeper>> {
        self.kept.as_ref()
    }

    /// Where its values stand.
    fn value_block(&self) -> Option<Values<'_>> {
        // No other kind has values with fields that keep something.
        if let Kind::Array(array) = &self.kind {
            Some(array.area())
        } else if let Kind::PercpuArray(array) = &self.kind {
            Some(array.area())
        } else if let Kind::Hash(hash) = &self.kind {
            Some(hash.area())
        } else {
            None
        }
    }

    /// The field that an address is the start of; `None` for what is in no value of this map.
    pub fn field_at(&self, addr: u64) -> Option<FieldOf> {
        if self.geometry.places.all().is_empty() {
            return None;
        }
        let (_, value, off) = self.value_of(addr)?;
        let place = self.geometry.places.all().iter().find(|p| p.off == off)?;
        Some(FieldOf { kind: place.kind, value })
    }

    /// The element's number, the value and the offset in it that an address of a value is.
    fn value_of(&self, addr: u64) -> Option<(u32, u64, usize)> {
        let Values { block, base, len, step } = self.value_block()?;
        let mut off = usize::try_from(addr.checked_sub(block.addr(base))?).ok().filter(|off| *off < len)?;
        let mut start = 0;
        // Each CPU's values start at a page.
        if self.is_percpu() {
            let span = len / self.geometry.cpus as usize;
            start = off / span * span;
            off -= start;
        }
        let index = off / step;
        let value = block.addr(base + start + index * step);
        (off % step < self.geometry.stride).then_some((u32::try_from(index).ok()?, value, off % step))
    }

    /// The element whose value an address is in; `None` for what is in no value of an array or hash.
    pub fn element_at(&self, addr: u64) -> Option<Element> {
        let (index, value, _) = self.value_of(addr)?;
        let key = if let Kind::Hash(hash) = &self.kind {
            Key::At(hash.key_addr(index)?)
        } else {
            Key::Index(index)
        };

        Some(Element { key, value })
    }

    /// Writes the word of a pointer in a value, as programs read it. Does nothing outside the values.
    pub fn write_pointer(&self, addr: u64, word: u64) {
        if self.field_at(addr).is_some_and(|f| f.kind.is_pointer())
            && let Some(Values { block, base, .. }) = self.value_block()
        {
            block.write(base + (addr - block.addr(base)) as usize, (&word.to_ne_bytes()).into());
        }
    }

    /// Whoever made the map has no handle on it any more: its timers and work end, and no new ones begin
    /// (`map_release_uref`).
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        if let (Some(keeper), Some(values)) = (&self.kept, self.value_block()) {
            let (start, len) = values.range();
            keeper.release_timers(start, len);
        }
    }

    /// Whether [`Self::abandon`] was called.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if let (Some(keeper), Some(values)) = (&self.kept, self.value_block()) {
            let (start, len) = values.range();
            keeper.release(start, len);
        }
    }
}

//! The values of a program's maps.

use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_maps::{Area, ArrayGeometry, Keeper, Map};

use super::Mem;
use super::span::{Name, Recent, Span, Tag};

/// Maps of a program, and where their values stand.
pub(crate) struct MapSet {
    maps: Vec<Arc<Map>>,
    values: Vec<Span>,
    /// By map: where all its values stand, if they stand together.
    together: Vec<Option<Together>>,
    /// Those that are told when a run begins and ends.
    waiting: Vec<Arc<Map>>,
    /// Those whose elements are maps.
    outer: Vec<Arc<Map>>,
}

/// Where all values of a map stand.
struct Together {
    /// All of them; where something stands between them, each is asked for alone.
    all: Span,
    loads: Option<Recent>,
    stores: Option<Recent>,
    /// Of an array, where each stands.
    array: Option<ArrayGeometry>,
}

impl MapSet {
    /// These maps, and the objects of a keeper.
    pub(crate) fn new(maps: Vec<Arc<Map>>, keeper: Option<&Keeper>) -> Self {
        let span = |m: &Arc<Map>| match m.ringbuf() {
            Some(_) => None,
            None => m.value_area().map(Span::of_values),
        };
        let by_map: Vec<Option<Span>> = maps.iter().map(span).collect();
        let together = maps.iter().zip(&by_map).map(|(map, span)| {
            let all = (*span)?;
            let (loads, stores) = (Recent::of(&all, false), Recent::of(&all, true));
            Some(Together { all, loads, stores, array: map.array() })
        });
        let together = together.collect();
        let waiting = maps.iter().filter(|m| m.waits_for_runs()).cloned().collect();
        let outer = maps.iter().filter(|m| m.is_of_maps()).cloned().collect();
        let objects = keeper.map(|k| {
            let (start, len) = k.area();
            Span { start, len: len as u64, tag: Tag::new(Name::Objects, true, true) }
        });
        let values = by_map.into_iter().flatten().chain(objects).collect();
        Self { maps, values, together, waiting, outer }
    }

    pub(crate) fn maps(&self) -> &[Arc<Map>] {
        &self.maps
    }

    /// Those that are told when a run begins and ends.
    #[inline(always)]
    pub(crate) fn waiting(&self) -> &[Arc<Map>] {
        &self.waiting
    }

    /// Those whose elements are maps.
    pub(crate) fn outer(&self) -> &[Arc<Map>] {
        &self.outer
    }

    /// Where values stand, of all maps but those in maps of maps.
    pub(super) fn values(&self) -> &[Span] {
        &self.values
    }
}

impl Span {
    pub(super) fn of_values(area: Area) -> Self {
        let tag = Tag::new(Name::Values, area.read, area.write);
        let tag = area.parts.map_or(tag, |(step, part)| tag.in_parts(step, part));
        Self { start: area.addr, len: area.len as u64, tag }
    }
}

impl Mem<'_> {
    /// Says that a value of a map, by its index in the program's, is about to be accessed.
    #[inline(always)]
    pub(crate) fn expect_value(&mut self, map: usize, addr: u64) {
        let Some(&Together { all, loads, stores, .. }) = self.together(map) else { return };
        let (loads, stores) = match (loads, stores) {
            (None, None) => {
                let value = all.around(addr);
                (Recent::of(&value, false), Recent::of(&value, true))
            }
            whole => whole,
        };
        if let Some(load) = loads {
            self.loads = [load, self.loads[0]];
        }
        if let Some(store) = stores {
            self.stores = [store, self.stores[0]];
        }
    }

    #[inline(always)]
    fn together(&self, map: usize) -> Option<&Together> {
        self.set()?.together.get(map)?.as_ref()
    }

    /// The address of an array's value, by the array's index among the program's maps and the address of a key; it is
    /// about to be accessed. `None` when the map is no array, or the key not granted or outside.
    #[inline(always)]
    pub(crate) fn array_value(&mut self, map: usize, key: u64) -> Option<u64> {
        let array = self.together(map)?.array?;
        let index = self.load::<u32>(key)?;
        let value = array.value(index as u32)?;
        self.expect_value(map, value);
        Some(value)
    }
}

//! The values of a program's maps.

use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_maps::{Area, ArrayGeometry, Map};

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
}

/// Where all values of a map stand.
struct Together {
    loads: Option<Recent>,
    stores: Option<Recent>,
    /// Of an array, where each stands.
    array: Option<ArrayGeometry>,
}

impl MapSet {
    pub(crate) fn new(maps: Vec<Arc<Map>>) -> Self {
        let areas = |m: &Arc<Map>| match m.ringbuf() {
            Some(_) => Vec::new(),
            None => m.value_areas(),
        };
        let span = |a: &Area| Span {
            start: a.addr,
            len: a.len as u64,
            tag: Tag::new(Name::Values, a.read, a.write),
        };
        let by_map: Vec<Vec<Span>> = maps.iter().map(|m| areas(m).iter().map(span).collect()).collect();
        let together = maps.iter().zip(&by_map).map(|(map, spans)| match &spans[..] {
            [all] => Some(Together {
                loads: Recent::of(all, false),
                stores: Recent::of(all, true),
                array: map.array(),
            }),
            _ => None,
        });
        let together = together.collect();
        let waiting = maps.iter().filter(|m| m.waits_for_runs()).cloned().collect();
        Self { maps, values: by_map.into_iter().flatten().collect(), together, waiting }
    }

    pub(crate) fn maps(&self) -> &[Arc<Map>] {
        &self.maps
    }

    /// Those that are told when a run begins and ends.
    #[inline(always)]
    pub(super) fn waiting(&self) -> &[Arc<Map>] {
        &self.waiting
    }

    /// Where values stand, of all maps.
    pub(super) fn values(&self) -> &[Span] {
        &self.values
    }
}

impl Mem<'_> {
    /// Says that an address of a value of a map, by its index in the program's, is about to be accessed.
    #[inline(always)]
    pub(crate) fn expect_value(&mut self, map: usize) {
        let Some(&Together { loads, stores, .. }) = self.together(map) else { return };
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
        self.expect_value(map);
        Some(value)
    }
}

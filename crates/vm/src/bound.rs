//! Maps as registers hold them.
//!
//! ```text
//! 0xffff_9000_0000_0000 | index                     a map of the program, by its index
//! 0xffff_b000_0000_0000 | index << 32 | id          the map of an id that the map of maps at the index has
//! ```
//!
//! Neither is an address of any memory. A program that nobody has verified may make up the second kind: it then gets
//! what it could have looked up.

use alloc::sync::Arc;
use core::ops::Deref;

use skep_maps::Map;

const OWN: u64 = 0xffff_9000_0000_0000;
const INNER: u64 = 0xffff_b000_0000_0000;
/// The most indices that there is room for.
const INDICES: u64 = 1 << 12;

/// The register content for a map of the program.
pub(crate) fn own(index: u32) -> u64 {
    OWN | u64::from(index)
}

/// The register content for a map in a map of maps; `None` when that has too large an index.
pub(crate) fn inner(outer: usize, id: u32) -> Option<u64> {
    let outer = u64::try_from(outer).ok().filter(|i| *i < INDICES)?;
    Some(INNER | outer << 32 | u64::from(id))
}

/// The index of the map that a register content stands for, of `count`.
#[inline]
pub(crate) fn index(value: u64, count: usize) -> Option<usize> {
    usize::try_from(value ^ OWN).ok().filter(|&i| i < count)
}

/// A map that a register content stands for.
#[derive(Debug)]
pub(crate) enum MapRef<'p> {
    /// One of the program's.
    Own(&'p Arc<Map>),
    /// One that it found in a map of maps.
    Inner(Arc<Map>),
}

impl Deref for MapRef<'_> {
    type Target = Arc<Map>;

    #[inline]
    fn deref(&self) -> &Arc<Map> {
        match self {
            Self::Own(map) => map,
            Self::Inner(map) => map,
        }
    }
}

/// The map that a register content stands for, in a run on `vcpu` that all of `maps` know of.
#[inline]
pub(crate) fn find(maps: &[Arc<Map>], value: u64, vcpu: u32) -> Option<MapRef<'_>> {
    match index(value, maps.len()) {
        Some(i) => Some(MapRef::Own(&maps[i])),
        None => find_inner(maps, value, vcpu).map(MapRef::Inner),
    }
}

#[inline(never)]
fn find_inner(maps: &[Arc<Map>], value: u64, vcpu: u32) -> Option<Arc<Map>> {
    let rest = value ^ INNER;
    let outer = usize::try_from(rest >> 32).ok().filter(|i| (*i as u64) < INDICES)?;
    maps.get(outer)?.inner_map(rest as u32, vcpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_tell_maps_apart() {
        assert_eq!(index(own(3), 4), Some(3));
        assert_eq!(index(own(4), 4), None);
        for value in [inner(0, 0), inner(3, 3), inner(4095, u32::MAX)].into_iter().flatten() {
            assert_eq!(index(value, 1 << 31), None, "{value:#x}");
        }
        assert_eq!(inner(4096, 1), None);
    }
}

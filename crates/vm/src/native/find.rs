//! Lookups in maps that are known when a program is compiled: no table, no grants, no trap.
//!
//! The key's length is a constant for the usual ones, so that its hash and its comparison are a few instructions.

use skep_maps::{Bytes, Map};

use super::Binding;
use crate::helpers;

/// `bpf_map_lookup_elem` of one map.
#[derive(Clone, Copy, Debug)]
pub struct Find {
    /// `(map, key, vcpu)`: the address of the value, or 0.
    pub function: unsafe extern "C" fn(*const Map, u64, u64) -> u64,
    /// The map, which the program keeps.
    pub map: *const Map,
}

impl Binding<'_> {
    /// How the map of an index is looked up in; `None` where [`Services::lookup`](super::Services) has to be asked.
    ///
    /// The key is what the verifier has proved: so many bytes that may be read as the map's keys have.
    pub fn find(&self, index: usize) -> Option<Find> {
        let map = self.maps().get(index)?;
        if map.is_of_maps() || !helpers::can_look_up(map) {
            return None;
        }
        let function: unsafe extern "C" fn(*const Map, u64, u64) -> u64 = match map.key_size() {
            4 if map.is_hash() => find_in_hash::<4>,
            8 if map.is_hash() => find_in_hash::<8>,
            16 if map.is_hash() => find_in_hash::<16>,
            _ => find,
        };
        Some(Find { function, map: &raw const **map })
    }
}

/// In a hash with keys of `N` bytes.
unsafe extern "C" fn find_in_hash<const N: usize>(map: *const Map, key: u64, vcpu: u64) -> u64 {
    // SAFETY: native code calls, with the map that `Find` has of its program, which keeps it; the key is `N` bytes that
    // the program may read (`Binding::find`), as others may that write them only by atomic operations.
    let (map, key) = unsafe { (&*map, Bytes::shared(key, N)) };
    map.lookup_in_hash(key, vcpu as u32).unwrap_or(0)
}

unsafe extern "C" fn find(map: *const Map, key: u64, vcpu: u64) -> u64 {
    // SAFETY: as in `find_in_hash`.
    let map = unsafe { &*map };
    // SAFETY: as there.
    let key = unsafe { Bytes::shared(key, map.key_size() as usize) };
    map.lookup(key, vcpu as u32).unwrap_or(0)
}

//! A map for rbpf, as its users make one: a helper over memory that programs are allowed to access.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Number of `bpf_map_lookup_elem`.
pub const LOOKUP: u32 = 1;

/// The values of the array: 256 counters.
static VALUES: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

/// `bpf_map_lookup_elem` of the array; it is the only map, so the first argument is not looked at.
pub fn lookup(_map: u64, key: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: a helper of rbpf gets addresses as they are, unchecked. The one program that has this helper is ours,
    // and passes its four-byte key on the stack, which rbpf keeps alive through the call.
    let key = unsafe { std::ptr::with_exposed_provenance::<u32>(key as usize).read_unaligned() };
    VALUES.get(key as usize).map_or(0, |v| v.as_ptr().expose_provenance() as u64)
}

/// Where the values stand.
pub fn memory() -> Range<u64> {
    let start = VALUES.as_ptr().expose_provenance() as u64;
    start..start + size_of_val(&VALUES) as u64
}

/// What was counted under a key.
pub fn count(key: u32) -> u64 {
    VALUES.get(key as usize).map_or(0, |v| v.load(Ordering::Relaxed))
}

//! Stack traces: call chains that programs give, each kept once, under numbers that are their hashes.
//!
//! The number of a chain is the bucket that its hash leads to, so that the same chain has the same number again; a
//! different one with that number is refused, or takes its place (kernel/bpf/stackmap.c). There are no more chains at
//! a time than `max_entries`. One lock guards all; peers may write anything, and each length is bounded when read.

use skep_abi::MapFlags;
use skep_spec::Errno;

use crate::geometry::{Geometry, HEADER_LEN};
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::sync::{Guard, Ordering, Owner, fence, lock};

/// Return the number if the hash alone is equal (`BPF_F_FAST_STACK_CMP`).
const FAST_STACK_CMP: u64 = 1 << 9;
/// Replace another chain (`BPF_F_REUSE_STACKID`).
const REUSE_STACKID: u64 = 1 << 10;

/// Offsets in the metadata: lock, chains that there are, buckets.
const LOCK: usize = HEADER_LEN;
const USED: usize = HEADER_LEN + 4;
const BUCKETS: usize = HEADER_LEN + 64;
/// Offsets in a bucket: addresses of the chain, 0 when there is none; its hash; the addresses.
const COUNT: usize = 0;
const HASH: usize = 4;
const CHAIN: usize = 8;

/// Bytes of `struct bpf_stack_build_id`.
pub(crate) const BUILD_ID: usize = 32;
/// `BPF_STACK_BUILD_ID_IP`: there is no build id, but an address in its place, in the last 8 bytes.
const BUILD_ID_IP: u32 = 2;

pub(crate) struct StackTrace {
    geometry: Geometry,
    metadata: Block,
    /// A power of two.
    buckets: u32,
    /// Bytes of an address as values have it.
    element: usize,
}

impl StackTrace {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let buckets = geometry.max_entries.checked_next_power_of_two().ok_or(Errno::E2BIG)?;
        let len = (buckets as usize).checked_mul(CHAIN + geometry.value_size);
        let metadata =
            geometry.metadata(memory, len.and_then(|n| n.checked_add(BUCKETS)).ok_or(Errno::ENOMEM)?, 0)?;
        let element = if geometry.flags.has(MapFlags::STACK_BUILD_ID) { BUILD_ID } else { 8 };
        Ok(Self { geometry, metadata, buckets, element })
    }

    /// Most addresses of a chain.
    pub fn depth(&self) -> usize {
        self.geometry.value_size / self.element
    }

    fn lock(&self, owner: Owner) -> Result<Guard<'_>, Errno> {
        let held = lock(self.metadata.u32(LOCK), owner, self.geometry.wait).ok_or(Errno::EBUSY)?;
        if held.is_inherited() {
            // Whoever died may have been between a chain and its number.
            let chains = (0..self.buckets).filter(|&id| self.count(id) > 0).count();
            self.set(USED, (chains as u32).min(self.geometry.max_entries));
        }
        Ok(held)
    }

    fn bucket(&self, id: u32) -> usize {
        BUCKETS + id as usize * (CHAIN + self.geometry.value_size)
    }

    fn get(&self, off: usize) -> u32 {
        self.metadata.u32(off).load(Ordering::Relaxed)
    }

    fn set(&self, off: usize, v: u32) {
        self.metadata.u32(off).store(v, Ordering::Relaxed);
    }

    /// Addresses in a bucket.
    fn count(&self, id: u32) -> usize {
        (self.get(self.bucket(id) + COUNT) as usize).min(self.depth())
    }

    /// The bytes that stand for an address.
    fn encoded(&self, address: u64) -> ([u8; BUILD_ID], usize) {
        let mut bytes = [0; BUILD_ID];
        if self.element == BUILD_ID {
            bytes[..4].copy_from_slice(&BUILD_ID_IP.to_ne_bytes());
        }
        bytes[self.element - 8..self.element].copy_from_slice(&address.to_ne_bytes());
        (bytes, self.element)
    }

    fn holds(&self, id: u32, chain: &[u64]) -> bool {
        let at = |i: usize| self.bucket(id) + CHAIN + i * self.element;
        self.count(id) == chain.len()
            && chain.iter().enumerate().all(|(i, &address)| {
                let (bytes, len) = self.encoded(address);
                self.metadata.bytes(at(i), len).equals((&bytes[..len]).into())
            })
    }

    /// The number of a chain, which is put in if it is not there; of a long one the first addresses count.
    pub fn id(&self, chain: &[u64], flags: u64, owner: Owner) -> Result<u32, Errno> {
        let chain = &chain[..chain.len().min(self.depth())];
        if chain.is_empty() {
            return Err(Errno::EFAULT);
        }
        let hash = chain.iter().fold(chain.len() as u64, |h, &address| mix(h ^ address));
        let hash = (hash ^ hash >> 32) as u32;
        let id = hash & (self.buckets - 1);
        let _held = self.lock(owner)?;
        let bucket = self.bucket(id);
        let there = self.count(id) > 0;
        if there && self.get(bucket + HASH) == hash && (flags & FAST_STACK_CMP != 0 || self.holds(id, chain))
        {
            return Ok(id);
        }
        if there && flags & REUSE_STACKID == 0 {
            return Err(Errno::EEXIST);
        }
        // As in the kernel the new one comes in before the old one goes.
        let used = self.get(USED);
        if used >= self.geometry.max_entries {
            return Err(Errno::ENOMEM);
        }
        // Who dies here leaves no chain.
        self.set(bucket + COUNT, 0);
        fence(Ordering::Release);
        for (i, &address) in chain.iter().enumerate() {
            let (bytes, len) = self.encoded(address);
            self.metadata.write(bucket + CHAIN + i * self.element, (&bytes[..len]).into());
        }
        self.set(bucket + HASH, hash);
        self.metadata.u32(bucket + COUNT).store(chain.len() as u32, Ordering::Release);
        self.set(USED, if there { used } else { used + 1 });
        Ok(id)
    }

    /// Copies a chain, whose lock is held.
    fn copy(&self, id: u32, out: &mut [u8]) -> Result<(), Errno> {
        let len = (self.count(id) * self.element).min(out.len());
        if len == 0 {
            return Err(Errno::ENOENT);
        }
        let (chain, rest) = out.split_at_mut(len);
        self.metadata.bytes(self.bucket(id) + CHAIN, len).copy_to(chain);
        rest.fill(0);
        Ok(())
    }

    /// Takes out a chain that is there, whose lock is held.
    fn remove(&self, id: u32) {
        self.set(self.bucket(id) + COUNT, 0);
        self.set(USED, self.get(USED).saturating_sub(1));
    }

    /// Copies a chain out of the map (`bpf_stackmap_extract`).
    pub fn take(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let id = self.index(key)?.ok_or(Errno::ENOENT)?;
        let _held = self.lock(Owner::HOST)?;
        self.copy(id, out)?;
        self.remove(id);
        Ok(())
    }

    fn index(&self, key: Bytes<'_>) -> Result<Option<u32>, Errno> {
        let id = key.as_u32().ok_or(Errno::EINVAL)?;
        Ok((id < self.buckets).then_some(id))
    }
}

/// Spreads the bits of a word (SplitMix64), 0 as well.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let a = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ a >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ b >> 31
}

impl Ops for StackTrace {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        let id = self.index(key)?.ok_or(Errno::E2BIG)?;
        let _held = self.lock(owner)?;
        if self.count(id) == 0 {
            return Err(Errno::ENOENT);
        }
        self.remove(id);
        Ok(())
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let id = self.index(key)?.ok_or(Errno::ENOENT)?;
        let _held = self.lock(Owner::HOST)?;
        self.copy(id, out)
    }

    fn update_from_host(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        let from = match key.map(|key| self.index(key)).transpose()?.flatten() {
            Some(id) if self.count(id) > 0 => id + 1,
            _ => 0,
        };
        let next = (from..self.buckets).find(|&id| self.count(id) > 0).ok_or(Errno::ENOENT)?;
        out.copy_from_slice(&next.to_ne_bytes());
        Ok(())
    }

    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

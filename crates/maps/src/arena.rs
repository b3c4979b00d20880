//! Arena: pages that programs and the host share, by addresses whose lower halves say which page (`kernel/bpf/arena.c`,
//! Linux 6.18).
//!
//! All pages stand in the payload, as a process maps a kernel's arena. Which of them are there is in the metadata, a word
//! for each:
//!
//! ```text
//!  128    132     136
//!  base,  base,   state of page 0, of page 1, …: 0 free, 1 taken, 2 there
//!  low    high
//! ```
//!
//! Idea: a page is taken by comparing and exchanging its word, so that nobody waits for anybody; who wants several takes
//! them one by one and gives them back when one is gone. A page that is taken and not there is reserved, or about to be
//! zeroed; who dies meanwhile leaves it taken. Peers may write any state: it says whether an access goes ahead, never
//! where.

use skep_abi::MapFlags;
use skep_spec::Errno;

use crate::geometry::{Geometry, HEADER_LEN};
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::sync::{Ordering, Owner};

const BASE: usize = HEADER_LEN;
const STATES: usize = HEADER_LEN + 8;

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const THERE: u32 = 2;

/// How often pages that are free are looked for.
const ROUNDS: u32 = 1 << 16;

/// Bytes that the lower halves of addresses tell apart.
const SPACE: u64 = 1 << 32;

/// An arena.
pub struct Arena {
    pages: u32,
    page: usize,
    /// What programs and the host have for the address of the first byte.
    base: u64,
    segv_on_fault: bool,
    /// Addresses stay as programs have them.
    no_user_conv: bool,
    metadata: Block,
    payload: Block,
}

impl Arena {
    pub(crate) fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let pages = geometry.max_entries;
        let len = (pages as usize).checked_mul(geometry.page).ok_or(Errno::ENOMEM)?;
        let states =
            (pages as usize).checked_mul(4).and_then(|n| n.checked_add(STATES)).ok_or(Errno::ENOMEM)?;
        let payload = memory.payload(len).filter(|b| b.len() >= len).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, states, 0)?;
        let own = match geometry.map_extra {
            0 => within_space(payload.addr(0), len as u64),
            at => at,
        };
        let halves = [BASE, BASE + 4].map(|off| metadata.u32(off));
        let known = halves.map(|half| half.load(Ordering::Relaxed));
        let base = match u64::from(known[0]) | u64::from(known[1]) << 32 {
            0 => {
                halves[0].store(own as u32, Ordering::Relaxed);
                halves[1].store((own >> 32) as u32, Ordering::Relaxed);
                own
            }
            // Of whoever made it.
            theirs => theirs,
        };
        let crosses = base >> 32 != (base.wrapping_add(len as u64 - 1)) >> 32;
        if !base.is_multiple_of(geometry.page as u64) || crosses {
            return Err(Errno::EINVAL);
        }
        Ok(Self {
            pages,
            page: geometry.page,
            base,
            segv_on_fault: geometry.flags.has(MapFlags::SEGV_ON_FAULT),
            no_user_conv: geometry.flags.has(MapFlags::NO_USER_CONV),
            metadata,
            payload,
        })
    }

    /// What programs and the host have for the address of the first byte: the address that the map's `map_extra` says, else
    /// that of the memory in the process that made it, unless pages would then differ in the upper half.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Bytes.
    #[expect(clippy::len_without_is_empty, reason = "it has a page at least")]
    pub fn len(&self) -> u64 {
        u64::from(self.pages) * self.page as u64
    }

    /// The address that a cast to the host's gives (`bpf_addr_space_cast` to 1).
    pub fn to_host(&self, addr: u64) -> u64 {
        match addr as u32 {
            low if self.no_user_conv => low.into(),
            0 => 0,
            low => self.base & !(SPACE - 1) | u64::from(low),
        }
    }

    /// The host address of `size` bytes (1 to 8) at the lower half of an address and an offset; `None` where a page is not
    /// there, or there is none.
    pub fn at(&self, low: u32, off: i16, size: u64) -> Option<u64> {
        let from_base = i64::from(low) + i64::from(off) - i64::from(self.base as u32);
        let at = u64::try_from(from_base).ok().filter(|at| *at < self.len() && size <= self.len() - at)?;
        let (first, last) = (at / self.page as u64, (at + size - 1) / self.page as u64);
        let there = |page: u64| self.state(page as u32).load(Ordering::Acquire) == THERE;
        (there(first) && (first == last || there(last))).then(|| self.payload.addr(at as usize))
    }

    fn state(&self, page: u32) -> &crate::sync::AtomicU32 {
        self.metadata.u32(STATES + page as usize * 4)
    }

    fn is_free(&self, page: u32) -> bool {
        self.state(page).load(Ordering::Relaxed) == FREE
    }

    /// The page of an address, counted from the base in the lower halves (`compute_pgoff`).
    fn page_of(&self, addr: u64) -> u32 {
        (addr as u32).wrapping_sub(self.base as u32) / self.page as u32
    }

    /// Takes free pages, all of them or none.
    fn take(&self, first: u32, count: u32) -> bool {
        for page in first..first + count {
            let state = self.state(page);
            if state.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
                (first..page).for_each(|page| self.state(page).store(FREE, Ordering::Release));
                return false;
            }
        }
        true
    }

    /// The smallest run of free pages that has `count` of them; of several the first.
    fn find(&self, count: u32) -> Option<u32> {
        let (mut best, mut start): (Option<(u32, u32)>, u32) = (None, 0);
        for page in 0..=self.pages {
            if page < self.pages && self.is_free(page) {
                continue;
            }
            let len = page - start;
            if len >= count && best.is_none_or(|(_, known)| len < known) {
                best = Some((start, len));
            }
            start = page + 1;
        }
        best.map(|(start, _)| start)
    }

    /// Zeroes pages that were taken, and lets them be there.
    fn settle(&self, first: u32, count: u32) {
        self.payload.zero(first as usize * self.page, count as usize * self.page);
        (first..first + count).for_each(|page| self.state(page).store(THERE, Ordering::Release));
    }

    /// `bpf_arena_alloc_pages`: the address of `count` new pages of zeros, at `addr` unless that is 0; 0 when they are not
    /// free, or there are none.
    pub fn alloc_pages(&self, addr: u64, count: u32, node: i32) -> u64 {
        if count == 0 || count > self.pages || node != -1 && node != 0 {
            return 0;
        }
        let first = if addr != 0 {
            let page = self.page_of(addr);
            if !addr.is_multiple_of(self.page as u64) || page > self.pages - count || !self.take(page, count)
            {
                return 0;
            }
            page
        } else {
            // Each round somebody else has got pages, or says so.
            let found = (0..ROUNDS).find_map(|_| match self.find(count) {
                None => Some(None),
                Some(page) => self.take(page, count).then_some(Some(page)),
            });
            let Some(Some(page)) = found else { return 0 };
            page
        };
        self.settle(first, count);
        self.base + u64::from(first) * self.page as u64
    }

    /// `bpf_arena_free_pages`: gives pages back that are there or reserved, from the one of an address on, as far as there are
    /// any.
    pub fn free_pages(&self, addr: u64, count: u32) {
        let page = self.page_of(addr);
        if addr == 0 || page >= self.pages {
            return;
        }
        let end = page + count.min(self.pages - page);
        let mut at = page;
        while at < end {
            // Those that are there have memory, which goes back before somebody else can have them.
            let first = at;
            while at < end && self.seize(at) {
                at += 1;
            }
            if at > first {
                self.payload.discard(first as usize * self.page, (at - first) as usize * self.page);
                (first..at).for_each(|page| self.state(page).store(FREE, Ordering::Release));
            } else {
                self.state(at).store(FREE, Ordering::Release);
                at += 1;
            }
        }
    }

    /// Takes a page that is there.
    fn seize(&self, page: u32) -> bool {
        self.state(page).compare_exchange(THERE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// `bpf_arena_reserve_pages`: keeps free pages from being given out. `EINVAL` outside, `EBUSY` where one is not free.
    ///
    /// # Errors
    /// Those.
    pub fn reserve_pages(&self, addr: u64, count: u32) -> Result<(), Errno> {
        let page = self.page_of(addr);
        if u64::from(page) + u64::from(count) > self.pages.into() {
            return Err(Errno::EINVAL);
        }
        if self.take(page, count) { Ok(()) } else { Err(Errno::EBUSY) }
    }

    /// Lets the pages be there that the host touches, unless nobody may touch what is not there (`arena_vm_fault`).
    fn touch(&self, off: u64, len: usize) -> Result<usize, Errno> {
        let inside = off <= self.len() && len as u64 <= self.len() - off;
        if !inside {
            return Err(Errno::EINVAL);
        }
        let end = (off + len as u64).div_ceil(self.page as u64) as u32;
        for page in (off / self.page as u64) as u32..end {
            match self.state(page).load(Ordering::Acquire) {
                THERE => {}
                _ if self.segv_on_fault => return Err(Errno::EFAULT),
                _ if self.take(page, 1) => self.settle(page, 1),
                // Somebody else takes it, or it is reserved.
                _ if self.state(page).load(Ordering::Acquire) == THERE => {}
                _ => return Err(Errno::EFAULT),
            }
        }
        Ok(off as usize)
    }

    /// Bytes from `off` on.
    ///
    /// # Errors
    /// `EINVAL` outside; `EFAULT` where a page is reserved, or not there and the map has `BPF_F_SEGV_ON_FAULT`.
    pub fn read(&self, off: u64, out: &mut [u8]) -> Result<(), Errno> {
        let at = self.touch(off, out.len())?;
        self.payload.bytes(at, out.len()).copy_to(out);
        Ok(())
    }

    /// Writes bytes from `off` on.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(&self, off: u64, bytes: &[u8]) -> Result<(), Errno> {
        let at = self.touch(off, bytes.len())?;
        self.payload.write(at, Bytes::from(bytes));
        Ok(())
    }

    /// The first bytes, before anybody has the map.
    pub(crate) fn write_initial(&self, bytes: &[u8]) {
        let count = (bytes.len().div_ceil(self.page) as u32).min(self.pages);
        if self.take(0, count) {
            self.settle(0, count);
        }
        let len = bytes.len().min(count as usize * self.page);
        self.payload.write(0, Bytes::from(&bytes[..len]));
    }
}

/// An address for memory at `addr`: itself, or the next one from which on all of it has one upper half.
fn within_space(addr: u64, len: u64) -> u64 {
    match addr >> 32 == (addr + len - 1) >> 32 {
        true => addr,
        false => addr.next_multiple_of(SPACE),
    }
}

impl Ops for Arena {
    fn lookup(&self, _key: Bytes<'_>, _cpu: u32) -> Option<u64> {
        None
    }

    fn update(&self, _key: Bytes<'_>, _value: Bytes<'_>, _flags: u64, _cpu: u32) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn delete(&self, _key: Bytes<'_>, _owner: Owner) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn lookup_copy(&self, _key: Bytes<'_>, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn update_from_host(&self, _key: Bytes<'_>, _value: Bytes<'_>, _flags: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn next_key(&self, _key: Option<Bytes<'_>>, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Programs reach it by addresses of its own.
    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

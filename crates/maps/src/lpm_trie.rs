//! LPM trie: the value of the longest prefix that a key starts with.
//!
//! A key is `u32 prefixlen` in bits and the data, whose most significant bit comes first. Each node stands for a
//! prefix; its children for longer ones that go on with a 0 or a 1. A node without a value (*intermediate*)
//! stands where two prefixes part, so it has two children, and half the nodes are elements at least.
//!
//! *Writers* hold the trie's lock. An update always takes a new node, as the kernel does, so that a program
//! goes on seeing the old value through the pointer that it has. The old node waits in a queue until no run is left
//! that may have its address (`grace`; the kernel: `bpf_mem_cache_free_rcu`): only elements that are in the trie count
//! for `max_entries`, and `SPARE` nodes may wait. *Readers* take no lock: the trie's `version` is
//! odd while links change and another afterwards; a reader that sees it odd or changed starts over. Peers may
//! write anything: numbers of nodes are bounded by the private capacity, walks by the bits of a key. Lookups begin in
//! the middle of the trie (`lpm_starts`).
//!
//! Every change of the trie comes into force by one store of a link (or of the word that makes an element of a node).
//! Who takes the lock over from a process that died gathers what the links do not lead to ([`LpmTrie::repair`]).

use alloc::vec;
use alloc::vec::Vec;

use skep_abi::UpdateFlags;
use skep_spec::Errno;

use crate::geometry::{Geometry, HEADER_LEN};
use crate::grace::Grace;
use crate::lpm_starts::Starts;
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::percpu_array::PercpuValues;
use crate::sync::{AtomicU32, Guard, Ordering, Owner, Wait, fence, lock};

/// Bytes of `prefixlen`.
const PREFIX: usize = 4;
/// The longest key: `LPM_DATA_SIZE_MAX` and the prefix length.
const KEY_MAX: usize = 256 + PREFIX;
/// Offsets from the header's end: lock, version, elements, nodes ever used, first and last node that wait, root.
const LOCK: usize = HEADER_LEN;
const VERSION: usize = HEADER_LEN + 4;
const COUNT: usize = HEADER_LEN + 8;
const FRESH: usize = HEADER_LEN + 12;
const FIRST: usize = HEADER_LEN + 16;
const ROOT: usize = HEADER_LEN + 20;
const LAST: usize = HEADER_LEN + 24;
const GRACE: usize = HEADER_LEN + 64;
/// Bytes that nodes may take that wait, and how many at most and at least: enough that a run which replaces elements in
/// a loop does not find all of them waiting. Memory that is not used is not touched.
const SPARE: usize = if usize::BITS >= 64 { 4 << 20 } else { 256 << 10 };
const SPARE_NODES: [usize; 2] = [16, 1 << 16];
/// Offsets in a node: two children (of one that waits: the next that waits, and its mark), then the key as it was
/// inserted, with bits beside its prefix length.
const KEY: usize = 8;
/// The node has a value.
const VALUED: u32 = 1 << 31;
/// While nodes are gathered: no link has led to it yet.
const LOOSE: u32 = 1 << 30;
/// Bytes of data that are compared in one piece.
const SHORT: usize = 8;

pub(crate) struct LpmTrie {
    geometry: Geometry,
    metadata: Block,
    values: PercpuValues,
    grace: Grace,
    starts: Starts,
    /// Offset of the nodes.
    nodes: usize,
    node_len: usize,
    capacity: u32,
    max_prefix: u32,
}

/// A key of its own, which nobody changes.
struct Key {
    bytes: [u8; KEY_MAX],
    len: usize,
    prefix: u32,
}

impl Key {
    fn data(&self) -> Bytes<'_> {
        (&self.bytes[PREFIX..self.len]).into()
    }

    /// Bit `at` of the data, 0 past its end.
    fn bit(&self, at: u32) -> u32 {
        let byte = self.bytes.get(PREFIX + at as usize / 8).copied().unwrap_or(0);
        u32::from(byte >> (7 - at % 8) & 1)
    }
}

impl LpmTrie {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        Self::layout(geometry, memory).unwrap_or(Err(Errno::ENOMEM))
    }

    /// `None` when sizes cannot be counted.
    fn layout(g: Geometry, memory: &dyn Memory) -> Option<Result<Self, Errno>> {
        let node_len = KEY + g.key_size.next_multiple_of(4);
        let [least, most] = SPARE_NODES;
        let spare = (SPARE / node_len.checked_add(g.stride)?).clamp(least, most);
        // An element, an intermediate node for each but one, and the new node of a replacement.
        let live = g.max_entries.checked_mul(2)?.checked_add(1)?;
        let capacity = live.checked_add(spare as u32).filter(|&n| n < u32::MAX)?;
        let max_prefix = 8 * (g.key_size - PREFIX) as u32;
        let (grace, starts) = Grace::new(GRACE, g.cpus)?;
        let (starts, nodes) = Starts::new(starts, g.max_entries, max_prefix)?;
        let base = nodes.checked_add(node_len.checked_mul(capacity as usize)?)?;
        let (values, end) = PercpuValues::new(&g, base, capacity as usize, 1)?;
        Some(g.metadata(memory, end, values.base).map(|metadata| Self {
            geometry: g,
            metadata,
            values,
            grace,
            starts,
            nodes,
            node_len,
            capacity,
            max_prefix,
        }))
    }

    fn word(&self, off: usize) -> &AtomicU32 {
        self.metadata.u32(off)
    }

    fn get(&self, off: usize) -> u32 {
        self.word(off).load(Ordering::Relaxed)
    }

    fn set(&self, off: usize, v: u32) {
        self.word(off).store(v, Ordering::Relaxed);
    }

    fn node(&self, index: u32) -> usize {
        self.nodes + index as usize * self.node_len
    }

    fn child(&self, index: u32, bit: u32) -> usize {
        self.node(index) + 4 * bit as usize
    }

    fn prefix(&self, index: u32) -> u32 {
        self.prefix_in(self.get(self.node(index) + KEY))
    }

    /// The prefix in a node's word for it.
    fn prefix_in(&self, word: u32) -> u32 {
        (word & !(VALUED | LOOSE)).min(self.max_prefix)
    }

    fn has_value(&self, index: u32) -> bool {
        self.get(self.node(index) + KEY) & VALUED != 0
    }

    /// The link to the node above all others.
    pub fn root(&self) -> u32 {
        self.get(ROOT)
    }

    /// The first bits of the node that a link leads to, and how many are its prefix.
    pub fn prefix_of(&self, link: u32) -> Option<(u64, u32)> {
        let index = self.index(link)?;
        Some((self.head(self.node_key(index)), self.prefix(index)))
    }

    /// Whether a link leads to an element.
    pub fn is_element(&self, link: u32) -> bool {
        self.index(link).is_some_and(|index| self.has_value(index))
    }

    /// The link to a child of the node that a link leads to.
    pub fn child_of(&self, link: u32, bit: u32) -> u32 {
        self.index(link).map_or(0, |index| self.get(self.child(index, bit)))
    }

    /// The first 64 bits of a key's data, the first one the most significant.
    #[inline]
    fn head(&self, key: Bytes<'_>) -> u64 {
        key.slice(PREFIX, self.geometry.key_size - PREFIX).word_at(0).to_be()
    }

    fn node_key(&self, index: u32) -> Bytes<'_> {
        self.metadata.bytes(self.node(index) + KEY, self.geometry.key_size)
    }

    /// The node that the link at an offset leads to.
    fn follow(&self, at: usize) -> Option<u32> {
        self.index(self.get(at))
    }

    #[inline]
    fn index(&self, link: u32) -> Option<u32> {
        link.checked_sub(1).filter(|&index| index < self.capacity)
    }

    /// A private copy of a key; `None` for a prefix longer than the data.
    fn key(&self, key: Bytes<'_>) -> Option<Key> {
        let len = self.geometry.key_size;
        if key.len() != len || len > KEY_MAX {
            return None;
        }
        let mut bytes = [0; KEY_MAX];
        key.copy_to(&mut bytes[..len]);
        let prefix = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        (prefix <= self.max_prefix).then_some(Key { bytes, len, prefix })
    }

    /// Bits that a node's prefix and a key's have in common.
    fn common(&self, index: u32, key: &Key) -> u32 {
        let limit = self.prefix(index).min(key.prefix);
        let data = self.node_key(index).slice(PREFIX, key.len - PREFIX);
        let mut bits = 0;
        for (a, b) in data.words().zip(key.data().words()) {
            if bits >= limit {
                break;
            }
            bits += (a ^ b).to_be().leading_zeros();
            if a != b {
                break;
            }
        }
        bits.min(limit)
    }

    /// Reads without a lock; gives its answer in the end whatever others do.
    fn read<T>(&self, look: impl Fn() -> T) -> T {
        let mut turns = self.geometry.wait.begin();
        loop {
            let version = self.word(VERSION).load(Ordering::Acquire);
            let seen = look();
            fence(Ordering::Acquire);
            if version & 1 == 0 && self.get(VERSION) == version {
                return seen;
            }
            if !self.wait_for_writer(&mut turns) {
                return look();
            }
        }
    }

    /// Takes the trie's lock.
    ///
    /// # Errors
    /// EBUSY.
    fn lock(&self, owner: Owner) -> Result<Guard<'_>, Errno> {
        let held = lock(self.word(LOCK), owner, self.geometry.wait).ok_or(Errno::EBUSY)?;
        // Who has the lock makes the version odd, unless a peer does.
        if held.is_inherited() || self.get(VERSION) & 1 != 0 {
            self.repair();
        }
        Ok(held)
    }

    /// A reader waits, `false` when it has for long: if for one that is dead, or for nobody, it does what there is to do.
    fn wait_for_writer(&self, turns: &mut Wait<'_>) -> bool {
        let holder = self.get(LOCK);
        if turns.asks() && (holder == 0 || self.geometry.wait.is_dead(holder)) {
            drop(self.lock(Owner::HOST));
        }
        turns.again()
    }

    /// Under the lock of one who died: counts the elements that links lead to, and lets all other nodes that were ever
    /// used wait, from now on, for the runs that may have them.
    #[cold]
    fn repair(&self) {
        self.write(|| {
            let used = self.get(FRESH).min(self.capacity);
            let word = |index| self.word(self.node(index) + KEY);
            let flag = |index, flags: u32, on: u32| {
                let now = word(index).load(Ordering::Relaxed);
                word(index).store(now & !flags | on, Ordering::Relaxed);
            };
            let is_loose = |index| word(index).load(Ordering::Relaxed) & LOOSE != 0;
            (0..used).for_each(|index| flag(index, LOOSE, LOOSE));
            let (mut elements, mut left) = (0, used);
            let mut keep = |at: usize| {
                let index = self.follow(at).filter(|&i| i < used && is_loose(i) && left > 0);
                match index {
                    Some(index) => {
                        // A peer may mark them again and again.
                        left -= 1;
                        flag(index, LOOSE, 0);
                        elements += u32::from(self.has_value(index));
                    }
                    // A link of a peer's: to nowhere, or to where one came from.
                    None => self.set(at, 0),
                }
                index
            };
            // From the root down, and on with the next child of the last node that has one.
            let mut path = [(0u32, 0u32); 8 * (KEY_MAX - PREFIX) + 2];
            let mut depth = 0;
            if let Some(root) = keep(ROOT) {
                path[0] = (root, 0);
                depth = 1;
            }
            while depth > 0 {
                let (index, bit) = path[depth - 1];
                if bit > 1 {
                    depth -= 1;
                    continue;
                }
                path[depth - 1].1 += 1;
                let at = self.child(index, bit);
                if depth == path.len() {
                    self.set(at, 0);
                } else if let Some(child) = keep(at) {
                    path[depth] = (child, 0);
                    depth += 1;
                }
            }
            // Those that wait already go on waiting for the same runs.
            let (mut at, mut last) = (FIRST, 0);
            for _ in 0..used {
                let Some(index) = self.follow(at).filter(|&i| i < used && is_loose(i)) else { break };
                flag(index, LOOSE | VALUED, 0);
                (at, last) = (self.child(index, 0), index + 1);
            }
            self.set(at, 0);
            self.set(LAST, last);
            for index in 0..used {
                if is_loose(index) {
                    flag(index, LOOSE | VALUED, 0);
                    self.give(index);
                }
            }
            self.set(COUNT, elements);
            self.starts.fill(self, &self.metadata, 0, 0);
        });
    }

    /// Changes links and nodes under the lock.
    fn write<T>(&self, change: impl FnOnce() -> T) -> T {
        let odd = self.get(VERSION) | 1;
        self.set(VERSION, odd);
        // Whoever sees what is written below sees the odd number too.
        fence(Ordering::Release);
        let done = change();
        self.word(VERSION).store(odd.wrapping_add(1), Ordering::Release);
        done
    }

    /// The links to the node where a lookup begins, and to the best before.
    #[inline]
    fn start(&self, head: u64, prefix: u32) -> (u32, u32) {
        match self.starts.of(&self.metadata, head, prefix) {
            Some([at, best]) => (at.load(Ordering::Relaxed), best.load(Ordering::Relaxed)),
            None => (self.root(), 0),
        }
    }

    fn find(&self, key: &Key) -> Option<u32> {
        let (mut at, mut found) = self.start(key.data().word_at(0).to_be(), key.prefix);
        for _ in 0..=self.max_prefix {
            let Some(index) = self.index(at) else { break };
            let prefix = self.prefix(index);
            if self.common(index, key) < prefix {
                break;
            }
            if self.has_value(index) {
                found = at;
            }
            at = self.get(self.child(index, key.bit(prefix)));
        }
        self.index(found)
    }

    /// As [`Self::find`] for data of at most [`SHORT`] bytes.
    #[inline]
    fn find_short(&self, head: u64, wanted: u32) -> Option<u32> {
        let (mut at, mut found) = self.start(head, wanted);
        let len = self.geometry.key_size - PREFIX;
        for _ in 0..=self.max_prefix {
            let Some(index) = self.index(at) else { break };
            let node = self.node(index);
            let [zero, one, word] = self.metadata.words(node);
            let word = word.load(Ordering::Relaxed);
            let data = self.metadata.bytes(node + KEY + PREFIX, len).word_at(0).to_be();
            let prefix = self.prefix_in(word);
            // What the prefix leaves of 64 bits that differ.
            if prefix > wanted || (data ^ head) & !(u64::MAX.checked_shr(prefix).unwrap_or(0)) != 0 {
                break;
            }
            if word & VALUED != 0 {
                found = at;
            }
            let child = if head.checked_shl(prefix).unwrap_or(0) >> 63 == 0 { zero } else { one };
            at = child.load(Ordering::Relaxed);
        }
        self.index(found)
    }

    /// The path to where a key is or would be: links that lead to nodes, the last perhaps to none. The last
    /// node, if any, has the key's prefix or one that does not begin it.
    fn path(&self, key: &Key) -> (usize, Option<u32>, u32, Vec<u32>) {
        let (mut at, mut above) = (ROOT, Vec::new());
        loop {
            let Some(index) = self.follow(at) else { return (at, None, 0, above) };
            let (prefix, common) = (self.prefix(index), self.common(index, key));
            if prefix != common || prefix == key.prefix || above.len() > self.max_prefix as usize {
                return (at, Some(index), common, above);
            }
            above.push(index);
            at = self.child(index, key.bit(prefix));
        }
    }

    /// A node for something new.
    ///
    /// # Errors
    /// ENOMEM when all that are not in the trie wait for runs to end.
    fn take(&self, owner: Owner) -> Result<u32, Errno> {
        if let Some(index) = self.take_waiting(owner) {
            return Ok(index);
        }
        let fresh = self.get(FRESH);
        if fresh < self.capacity {
            self.set(FRESH, fresh + 1);
            return Ok(fresh);
        }
        // Perhaps for runs whose processes are dead.
        self.grace.bury(&self.metadata, self.geometry.wait);
        self.take_waiting(owner).ok_or(Errno::ENOMEM)
    }

    fn take_waiting(&self, owner: Owner) -> Option<u32> {
        let index = self.follow(FIRST)?;
        if !self.grace.is_over(&self.metadata, self.get(self.child(index, 1)), owner) {
            return None;
        }
        let next = self.get(self.child(index, 0));
        self.set(FIRST, next);
        if next == 0 {
            self.set(LAST, 0);
        }
        Some(index)
    }

    /// Lets a node wait that is not in the trie any longer.
    fn give(&self, index: u32) {
        self.set(self.child(index, 0), 0);
        self.set(self.child(index, 1), self.grace.mark(&self.metadata));
        let link = self.follow(LAST).map_or(FIRST, |last| self.child(last, 0));
        self.set(link, index + 1);
        self.set(LAST, index + 1);
    }

    fn fill(&self, index: u32, key: Bytes<'_>, prefix: u32, children: [u32; 2], value: Option<Bytes<'_>>) {
        let at = self.node(index);
        let valued = if value.is_some() { VALUED } else { 0 };
        self.metadata.write(at + KEY, key);
        self.set(at + KEY, prefix | valued);
        self.set(at, children[0]);
        self.set(at + 4, children[1]);
        if let Some(value) = value {
            self.metadata.write(self.values.off(index, 0), value);
        }
    }

    /// Whether there may be another element.
    fn room(&self, flags: u64) -> Result<(), Errno> {
        match self.get(COUNT) {
            _ if flags == UpdateFlags::EXIST => Err(Errno::ENOENT),
            n if n >= self.geometry.max_entries => Err(Errno::ENOSPC),
            _ => Ok(()),
        }
    }

    /// Counts another element.
    fn grow(&self) {
        self.set(COUNT, self.get(COUNT).saturating_add(1));
    }

    fn put(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, owner: Owner) -> Result<(), Errno> {
        if flags > UpdateFlags::EXIST {
            return Err(Errno::EINVAL);
        }
        let key = self.key(key).ok_or(Errno::EINVAL)?;
        let _held = self.lock(owner)?;
        let (at, node, common, _) = self.path(&key);
        let bytes = Bytes::from(&key.bytes[..key.len]);
        let Some(node) = node else {
            self.room(flags)?;
            let new = self.take(owner)?;
            self.grow();
            self.write(|| {
                self.fill(new, bytes, key.prefix, [0, 0], Some(value));
                self.set(at, new + 1);
                self.restart(&key);
            });
            return Ok(());
        };
        if self.prefix(node) == common {
            let replaces = self.has_value(node);
            match replaces {
                true if flags == UpdateFlags::NOEXIST => return Err(Errno::EEXIST),
                true => {}
                false => self.room(flags)?,
            }
            let new = self.take(owner)?;
            if !replaces {
                self.grow();
            }
            self.write(|| {
                let children = [0, 1].map(|bit| self.get(self.child(node, bit)));
                self.fill(new, bytes, key.prefix, children, Some(value));
                self.set(at, new + 1);
                self.give(node);
                self.restart(&key);
            });
            return Ok(());
        }
        self.room(flags)?;
        let new = self.take(owner)?;
        let mut old = [0; KEY_MAX];
        self.node_key(node).copy_to(&mut old[..key.len]);
        let old = Key { bytes: old, ..key };
        let mut children = [0, 0];
        if common == key.prefix {
            self.grow();
            children[old.bit(common) as usize] = node + 1;
            self.write(|| {
                self.fill(new, bytes, key.prefix, children, Some(value));
                self.set(at, new + 1);
                self.restart(&key);
            });
            return Ok(());
        }
        let parting = self.take(owner).inspect_err(|_| self.give(new))?;
        self.grow();
        children[key.bit(common) as usize] = new + 1;
        children[1 - key.bit(common) as usize] = node + 1;
        self.write(|| {
            self.fill(new, bytes, key.prefix, [0, 0], Some(value));
            self.fill(parting, (&old.bytes[..key.len]).into(), common, children, None);
            self.set(at, parting + 1);
            self.restart(&key);
        });
        Ok(())
    }

    /// Tells the starts of lookups that the element of a key, and nodes above it, are others now.
    fn restart(&self, key: &Key) {
        self.starts.fill(self, &self.metadata, key.data().word_at(0).to_be(), key.prefix);
    }

    /// A run begins on a CPU.
    pub fn begin_run(&self, cpu: u32) {
        self.grace.begin(&self.metadata, cpu, self.geometry.wait);
    }

    /// A run ends that has begun on the CPU.
    pub fn end_run(&self, cpu: u32) {
        self.grace.end(&self.metadata, cpu);
    }

    /// The first element below a link: the deepest that is leftmost.
    fn leftmost(&self, mut at: usize) -> Option<u32> {
        let mut found = None;
        for _ in 0..=self.max_prefix {
            let Some(index) = self.follow(at) else { break };
            at = self.child(index, 0);
            if self.has_value(index) {
                found = Some(index);
                if self.get(at) == 0 {
                    at = self.child(index, 1);
                }
            }
        }
        found
    }

    /// The element after a key, children before parents.
    fn next(&self, key: Option<&Key>) -> Option<u32> {
        let Some(key) = key else { return self.leftmost(ROOT) };
        let (_, node, common, above) = self.path(key);
        let Some(mut node) = node.filter(|&n| self.prefix(n) == common && self.has_value(n)) else {
            return self.leftmost(ROOT);
        };
        for parent in above.into_iter().rev() {
            if self.follow(self.child(parent, 0)) == Some(node) && self.get(self.child(parent, 1)) != 0 {
                return self.leftmost(self.child(parent, 1));
            }
            if self.has_value(parent) {
                return Some(parent);
            }
            node = parent;
        }
        None
    }
}

impl Ops for LpmTrie {
    fn lookup(&self, key: Bytes<'_>, _cpu: u32) -> Option<u64> {
        let len = self.geometry.key_size;
        let index = if key.len() == len && len <= PREFIX + SHORT {
            let (head, prefix) = (self.head(key), key.slice(0, PREFIX).as_u32()?);
            if prefix > self.max_prefix {
                return None;
            }
            self.read(|| self.find_short(head, prefix))?
        } else {
            let key = self.key(key)?;
            self.read(|| self.find(&key))?
        };
        Some(self.metadata.addr(self.values.off(index, 0)))
    }

    fn update(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno> {
        self.put(key, value, flags, Owner::cpu(cpu))
    }

    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        let key = self.key(key).ok_or(Errno::EINVAL)?;
        let _held = self.lock(owner)?;
        let (at, node, common, above) = self.path(&key);
        let node = node.filter(|&n| self.prefix(n) == common && self.has_value(n)).ok_or(Errno::ENOENT)?;
        self.set(COUNT, self.get(COUNT).saturating_sub(1));
        let children = [0, 1].map(|bit| self.get(self.child(node, bit)));
        self.write(|| {
            if children[0] != 0 && children[1] != 0 {
                // It goes on as the place where its children part.
                let word = self.node(node) + KEY;
                self.set(word, self.get(word) & !VALUED);
                return self.restart(&key);
            }
            let only = children[0] | children[1];
            let parent = above.last().copied().filter(|&p| only == 0 && !self.has_value(p));
            let Some(parent) = parent else {
                self.set(at, only);
                self.give(node);
                return self.restart(&key);
            };
            // The parent stood where the node and its sibling part: the sibling takes its place.
            let siblings = [0, 1].map(|bit| self.get(self.child(parent, bit)));
            let sibling = if siblings[0] == node + 1 { siblings[1] } else { siblings[0] };
            let grandparent = above.len().checked_sub(2).map(|i| above[i]);
            let link = grandparent.map_or(ROOT, |g| self.child(g, key.bit(self.prefix(g))));
            self.set(link, sibling);
            self.give(parent);
            self.give(node);
            self.restart(&key);
        });
        Ok(())
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let key = self.key(key).ok_or(Errno::ENOENT)?;
        let mut turns = self.geometry.wait.begin();
        loop {
            let version = self.word(VERSION).load(Ordering::Acquire);
            let found = self.find(&key);
            if let Some(index) = found {
                self.metadata.bytes(self.values.off(index, 0), self.geometry.value_size).copy_to(out);
            }
            fence(Ordering::Acquire);
            if version & 1 == 0 && self.get(VERSION) == version {
                return found.map(drop).ok_or(Errno::ENOENT);
            }
            if !self.wait_for_writer(&mut turns) {
                return Err(Errno::EBUSY);
            }
        }
    }

    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.put(key, value, flags, Owner::HOST)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        let key = key.and_then(|key| self.key(key));
        let mut next = vec![0; out.len()];
        let mut turns = self.geometry.wait.begin();
        loop {
            let version = self.word(VERSION).load(Ordering::Acquire);
            let found = self.next(key.as_ref());
            if let Some(index) = found {
                self.node_key(index).copy_to(&mut next);
                next[..PREFIX].copy_from_slice(&self.prefix(index).to_ne_bytes());
            }
            fence(Ordering::Acquire);
            if version & 1 == 0 && self.get(VERSION) == version {
                out.copy_from_slice(&next);
                return found.map(drop).ok_or(Errno::ENOENT);
            }
            if !self.wait_for_writer(&mut turns) {
                return Err(Errno::EBUSY);
            }
        }
    }

    fn values(&self) -> Option<(u64, usize)> {
        Some(self.values.area(&self.metadata).range())
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

//! What the fields of values and objects keep: objects that programs allocate, by pointers, lists and trees; timers and
//! work for later.
//!
//! Nothing of it stands in shared memory. A [`Keeper`] knows by the address of a field what the field keeps, so whoever
//! writes over a value, or over the memory of an object, changes no owner, no list and no tree; a pointer's word in a value is a
//! copy for programs to read. So all of it belongs to one process: see docs/map-layout.md.
//!
//! One lock is held for as long as one operation takes. What is let go and may in turn let maps go (the program of a timer) is
//! dropped behind it.

mod heap;
mod map;
mod object;
mod timer;
mod tree;
mod words;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_spec::Errno;

use crate::geometry::Geometry;
use crate::mem::Block;
use crate::ringbuf::Wake;
use crate::sync::{AppendList, PATIENCE, Shared, Waiting, spin};

use heap::Slabs;
pub use map::FieldOf;
pub use object::{Insert, ObjectType, Refused};
use object::{Node, Object};
pub use timer::{Cancel, Due, Owner as TimerOwner, TimerKind};
use timer::{Queue, Timer};
pub use words::Half;

/// What the fields of a process's values and objects keep.
pub struct Keeper {
    state: Shared<State>,
    memory: heap::Memory,
    wait: Waiting,
    /// Woken when a timer is to end sooner than any other.
    wakes: AppendList<Box<dyn Wake>>,
}

impl core::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// By address.
#[derive(Default)]
struct State {
    /// Objects, by where they start.
    objects: BTreeMap<u64, Object>,
    slabs: Slabs,
    /// Objects that pointers own, by where the pointers are.
    pointers: BTreeMap<u64, u64>,
    /// Members of lists, by where the heads are.
    lists: BTreeMap<u64, VecDeque<u64>>,
    /// The topmost members of trees, by where the roots are.
    trees: BTreeMap<u64, u64>,
    /// What is a member of a list or a tree, by where its node is.
    nodes: BTreeMap<u64, Node>,
    timers: BTreeMap<u64, Timer>,
    queue: Queue,
}

/// What is let go behind the lock.
#[derive(Default)]
struct Gone(#[expect(dead_code, reason = "kept to be dropped")] Vec<Timer>);

impl Keeper {
    /// One that keeps nothing yet. `relax` is what a waiter does between two tries.
    ///
    /// # Errors
    /// `ENOMEM` without memory for objects.
    pub fn new(relax: fn()) -> Result<Self, Errno> {
        Self::sleeping(relax, spin)
    }

    /// As [`Self::new`]; `sleep` is what somebody does who has waited for long, for so many microseconds.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn sleeping(relax: fn(), sleep: fn(u32)) -> Result<Self, Errno> {
        Self::waiting(Waiting::new(relax, sleep, PATIENCE, None))
    }

    pub(crate) fn waiting(wait: Waiting) -> Result<Self, Errno> {
        let memory = heap::Memory::new().ok_or(Errno::ENOMEM)?;
        Ok(Self { state: Shared::new(State::default(), wait), memory, wait, wakes: AppendList::new() })
    }

    /// Where objects are: first address and bytes. A program that allocates may read and write all of it.
    pub fn area(&self) -> (u64, usize) {
        self.memory.area()
    }

    /// Changes the state; `EBUSY` when somebody who did died.
    fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> Result<R, Errno> {
        self.state.change(f).ok_or(Errno::EBUSY)
    }

    /// Lets go what the fields in some memory keep: an element is replaced or deleted, or its map is gone.
    pub(crate) fn release(&self, from: u64, len: usize) {
        // When the state cannot be changed any more nothing is let go until the process ends.
        let _gone = self.change(|state| state.release(from, from.saturating_add(len as u64)));
    }

    /// Lets go the timers and the work in some memory: a map has lost its last handle.
    pub(crate) fn release_timers(&self, from: u64, len: usize) {
        let _gone = self.change(|state| state.release_timers(from, from.saturating_add(len as u64)));
    }

    /// How many objects there are.
    pub fn objects(&self) -> usize {
        self.state.read(|state| state.objects.len()).unwrap_or(0)
    }
}

/// The keeper of a map's values, if they have fields that keep something.
#[derive(Default)]
pub(crate) struct Kept(pub Option<Arc<Keeper>>);

impl Kept {
    /// Lets go what the fields of a value keep.
    #[inline]
    pub fn release(&self, geometry: &Geometry, block: &Block, off: usize) {
        if let Some(keeper) = &self.0 {
            geometry.clear_pointers(block, off);
            keeper.release(block.addr(off), geometry.value_size);
        }
    }
}

/// Takes what has keys from `from` to `to` out of a map.
fn drain<V>(map: &mut BTreeMap<u64, V>, from: u64, to: u64) -> Vec<(u64, V)> {
    let keys: Vec<u64> = map.range(from..to).map(|(k, _)| *k).collect();
    keys.into_iter().filter_map(|k| map.remove(&k).map(|v| (k, v))).collect()
}

impl State {
    fn release(&mut self, from: u64, to: u64) -> Gone {
        let gone = self.release_timers(from, to);
        let mut left = Vec::new();
        self.empty(from, to, &mut left);
        while let Some(object) = left.pop() {
            self.unref(object, &mut left);
        }
        gone
    }

    fn release_timers(&mut self, from: u64, to: u64) -> Gone {
        let timers = drain(&mut self.timers, from, to);
        for (_, timer) in &timers {
            self.queue.remove(timer);
        }
        Gone(timers.into_iter().map(|(_, t)| t).collect())
    }

    /// Empties the pointers, lists and trees in some memory. What they have owned goes to `left`, once for each time.
    fn empty(&mut self, from: u64, to: u64, left: &mut Vec<u64>) {
        left.extend(drain(&mut self.pointers, from, to).into_iter().map(|(_, object)| object));
        let mut members = Vec::new();
        for (_, list) in drain(&mut self.lists, from, to) {
            members.extend(list);
        }
        for (_, top) in drain(&mut self.trees, from, to) {
            tree::all(&self.nodes, top, &mut members);
        }
        for node in members {
            self.nodes.remove(&node);
            left.extend(self.object_of(node));
        }
    }
}

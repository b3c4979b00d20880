//! States that were explored, or are being explored, by instruction.

use alloc::vec;
use alloc::vec::Vec;

use super::history::History;
use crate::state::State;

/// Index of a stored state.
pub(crate) type NodeId = usize;

/// A stored state.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) state: State,
    pub(crate) pc: usize,
    /// The stored state that the path came through before.
    pub(crate) parent: Option<NodeId>,
    /// The way from the parent to here.
    pub(crate) history: History,
    /// Paths through here that are not finished. 0: every continuation was found safe.
    pub(crate) branches: u32,
    /// The loop that it lies in.
    pub(crate) round: Option<usize>,
    /// What no continuation reads was taken out of it.
    pub(crate) cleaned: bool,
    /// A path through here has ended at a state that was not complete, or a path through that.
    pub(crate) unsettled: bool,
    hits: u32,
    misses: u32,
    listed: bool,
    /// Everything from here on is explored, and what it rests on is known.
    pub(crate) closed: bool,
}

/// All stored states.
#[derive(Debug)]
pub(crate) struct Store {
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    /// By instruction and by the call that made the running frame, as [`Store::list`] counts them.
    lists: Vec<Vec<NodeId>>,
    in_use: u32,
    pub(crate) peak: u32,
    pub(crate) total: u32,
}

impl Store {
    pub(crate) fn new(insns: usize) -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            lists: vec![Vec::new(); insns],
            in_use: 0,
            peak: 0,
            total: 0,
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.nodes[id].as_ref().expect("a stored state is referred to only while it is there")
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id].as_mut().expect("a stored state is referred to only while it is there")
    }

    /// Forgets all states, when no path is open. As in Linux, they go on counting as in use.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.free.clear();
        self.lists.iter_mut().for_each(Vec::clear);
    }

    /// The list that states at an instruction are in, by the call that made their running frame. Linux looks at one list
    /// alone, so that a state of another call neither counts as a miss nor as a sign of a loop (`explored_state`). Others
    /// may be in it, at other instructions as well.
    pub(crate) fn list(&self, pc: usize, state: &State) -> usize {
        // The main function is called from -1.
        let callsite = if state.depth() == 0 { u32::MAX } else { state.frame().callsite as u32 };
        (pc as u32 ^ callsite) as usize % self.lists.len()
    }

    /// How many states are in a list.
    pub(crate) fn count(&self, list: usize) -> usize {
        self.lists[list].len()
    }

    /// The `i`-th state in a list, the newest first.
    pub(crate) fn nth(&self, list: usize, i: usize) -> NodeId {
        let list = &self.lists[list];
        list[list.len() - 1 - i]
    }

    /// Stores a state; one path, the one that made it, runs through it.
    pub(crate) fn add(
        &mut self,
        pc: usize,
        state: State,
        parent: Option<NodeId>,
        history: History,
    ) -> NodeId {
        let list = self.list(pc, &state);
        let node = Node {
            state,
            pc,
            parent,
            history,
            branches: 1,
            round: None,
            cleaned: false,
            unsettled: false,
            hits: 0,
            misses: 0,
            listed: true,
            closed: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        };
        self.lists[list].push(id);
        self.total += 1;
        self.in_use += 1;
        self.peak = self.peak.max(self.in_use);
        id
    }

    /// More or fewer ends of paths are kept at states that are not complete: they count as in use (`num_backedges`).
    pub(crate) fn edges(&mut self, more: i32) {
        self.in_use = self.in_use.saturating_add_signed(more);
        self.peak = self.peak.max(self.in_use);
    }

    /// Notes that a state made a new one superfluous.
    pub(crate) fn hit(&mut self, id: NodeId) {
        self.node_mut(id).hits += 1;
    }

    /// Notes that a state did not help; says whether it has failed so often that it should go. `keep`: loops end
    /// here, so that a state is worth more while it is being explored.
    pub(crate) fn miss(&mut self, id: NodeId, counts: bool, keep: bool) -> bool {
        let node = self.node_mut(id);
        node.misses += u32::from(counts);
        let patience = if keep && node.branches > 0 { 64 } else { 3 };
        node.misses > node.hits * patience + patience
    }

    /// Forgets the `i`-th state in a list, as far as later comparisons go.
    pub(crate) fn evict(&mut self, list: usize, i: usize) {
        let list = &mut self.lists[list];
        let id = list.remove(list.len() - 1 - i);
        self.node_mut(id).listed = false;
        self.collect(id);
    }

    /// Forgets a state, as far as later comparisons go.
    pub(crate) fn unlist(&mut self, id: NodeId) {
        let node = self.node(id);
        if !node.listed {
            return;
        }
        let list = self.list(node.pc, &node.state);
        if let Some(i) = self.lists[list].iter().rev().position(|other| *other == id) {
            self.evict(list, i);
        }
    }

    /// One more path runs through a state.
    pub(crate) fn fork(&mut self, id: Option<NodeId>) {
        if let Some(id) = id {
            self.node_mut(id).branches += 1;
        }
    }

    /// A path through a state has ended; says whether it was the last.
    pub(crate) fn leave(&mut self, id: NodeId) -> bool {
        let node = self.node_mut(id);
        node.branches -= 1;
        node.branches == 0
    }

    /// Nothing will walk back through a finished state.
    pub(crate) fn close(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        node.history = History::default();
        node.parent = None;
        node.closed = true;
        self.collect(id);
    }

    /// A path ends at a state, and will be walked back with what it rests on: it stays until it is closed again. Says
    /// whether it was closed.
    pub(crate) fn reopen(&mut self, id: NodeId) -> bool {
        core::mem::take(&mut self.node_mut(id).closed)
    }

    fn collect(&mut self, id: NodeId) {
        let node = self.node(id);
        if !node.listed && node.closed {
            self.nodes[id] = None;
            self.free.push(id);
            self.in_use -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_a_path_ended_at_stays_though_it_is_evicted() {
        let mut store = Store::new(1);
        let old = store.add(0, State::entry(), None, History::default());
        assert!(store.leave(old));
        store.close(old);
        assert!(store.reopen(old) && !store.reopen(old));
        store.evict(0, 0);
        assert_eq!(store.count(0), 0);
        let other = store.add(0, State::entry(), None, History::default());
        assert_ne!(other, old, "its place is not given away");
        assert_eq!(store.node(old).pc, 0);
        store.close(old);
        assert_eq!(store.add(0, State::entry(), None, History::default()), old);
    }

    #[test]
    fn states_of_another_call_are_in_another_list() {
        let mut store = Store::new(64);
        let called = |callsite| {
            let mut state = State::entry();
            crate::transfer::enter(&mut state, callsite, 1);
            state
        };
        let id = store.add(20, called(3), None, History::default());
        let (same, other) = (store.list(20, &called(3)), store.list(20, &called(5)));
        assert_eq!((store.count(same), store.count(other)), (1, 0));
        assert_eq!(store.nth(same, 0), id);
    }
}

//! What each instruction cost, for those who want to know where the time goes ([`Options::costs`](crate::Options)).
//!
//! A path ends early where a state covers it that was explored from the same instruction. Where none does, the
//! difference is looked for: the register or slot that alone makes it, if there is one. Of a difference only the first
//! few at an instruction are looked at, since that takes time.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use skep_isa::RegSet;

use super::{Explorer, NodeId};
use crate::state::{Exactness, Live, Slot, State, equal, known};

/// Differences that are looked at for one instruction.
const LOOKED_AT: u32 = 64;
/// Different ones that are kept.
const KEPT: usize = 8;

/// What an instruction cost over all paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsnCost {
    /// How often it was processed.
    pub steps: u32,
    /// States that were stored before it.
    pub states: u32,
    /// Paths that ended before it, at a state that covers them.
    pub pruned: u32,
    /// Comparisons with finished states that did not cover the path.
    pub missed: u32,
    /// What made the difference, as far as it was looked for.
    pub differences: Vec<Difference>,
}

/// Why states did not cover a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `R3` or `fp-8` of the running function, `several`, or what is no value: `references`, `callers`.
    pub at: String,
    /// What the first of the states had there, in the spelling of the kernel's log; empty where there is no value.
    pub old: String,
    /// What the first of the paths had there.
    pub new: String,
    /// How often.
    pub times: u32,
}

impl Explorer<'_, '_> {
    /// Counts at the running instruction, if anybody wants to know.
    pub(super) fn cost(&mut self, count: impl FnOnce(&mut InsnCost)) {
        if let Some(cost) = self.costs.get_mut(self.pc) {
            count(cost);
        }
    }

    /// The finished state `id` does not cover the path.
    pub(super) fn cost_missed(&mut self, id: NodeId, live: &[Live], how: Exactness) {
        let Some(cost) = self.costs.get(self.pc) else { return };
        let found = (cost.missed < LOOKED_AT).then(|| self.difference(&self.store.node(id).state, live, how));
        self.cost(|cost| {
            cost.missed += 1;
            let Some(found) = found else { return };
            let room = cost.differences.len() < KEPT;
            match cost.differences.iter_mut().find(|d| d.at == found.at) {
                Some(before) => before.times += 1,
                None if room => cost.differences.push(found),
                None => {}
            }
        });
    }

    fn difference(&self, old: &State, live: &[Live], how: Exactness) -> Difference {
        let new = &self.state;
        let what = |at: &str, old: &str, new: &str| Difference {
            at: at.into(),
            old: old.into(),
            new: new.into(),
            times: 1,
        };
        if old.frames.len() != new.frames.len() || old.refs.len() != new.refs.len() {
            return what("references", "", "");
        }
        let value = |s: &State, name: &str| {
            let known = known(self.p, s);
            known.into_iter().find(|k| k.name == name).map_or_else(String::new, |k| k.value)
        };
        let depth = new.depth();
        let same_with = |change: &dyn Fn(&mut State)| {
            let mut changed = new.clone();
            change(&mut changed);
            equal(old, &changed, live, how)
        };
        for r in live.last().map_or(RegSet::EMPTY, |l| l.regs).iter().filter(|r| r.index() < 10) {
            let other = &old.frames[depth].regs[r.index()];
            if *other != new.frames[depth].regs[r.index()] && same_with(&|s| s.set(r, other.clone())) {
                let name = format!("R{}", r.0);
                return what(&name, &value(old, &name), &value(new, &name));
            }
        }
        let slots = old.frames[depth].stack.slots.len().min(new.frames[depth].stack.slots.len());
        for i in 0..slots {
            let other: &Slot = &old.frames[depth].stack.slots[i];
            let put = |s: &mut State| s.frame_mut().stack.slots[i] = other.clone();
            if *other != new.frames[depth].stack.slots[i] && same_with(&put) {
                let name = format!("fp-{}", (i + 1) * 8);
                return what(&name, &value(old, &name), &value(new, &name));
            }
        }
        let own = |s: &mut State| s.frames[depth] = Rc::clone(&old.frames[depth]);
        match same_with(&own) {
            true => what("several", "", ""),
            false => what("callers", "", ""),
        }
    }
}

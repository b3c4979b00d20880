//! Whether a state adds nothing to one that was explored before.
//!
//! Idea: the old state was found safe. If every concrete machine that the new state stands for is also one
//! that the old state stands for (up to the parts that the old continuations cannot tell apart), the new one
//! is safe too. Continuations cannot tell apart: dead registers; numbers that no safety argument used (not
//! `precise`); bytes that the old state did not allow to be read. Ids are compared up to renaming, by a map
//! that is built on the way and must be a bijection.

use alloc::vec::Vec;

use skep_isa::RegSet;

use super::{Byte, Frame, Kind, Reg, Slot, Stack, State};

/// How alike the states must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// The new one adds nothing. `track_precision`: numbers that are not precise do not count.
    /// `may_leak`: bytes that were never written may be read. `same_bounds`: numbers must have the same bounds.
    /// `same_stack`: the new stack holds the same kinds of bytes as far down as the old one goes. Linux asks for
    /// that where loops end (`RANGE_WITHIN`), so that a loop that it calls infinite is found here as well.
    Covers { track_precision: bool, may_leak: bool, same_bounds: bool, same_stack: bool },
    /// They are the same, as far down as the old stack goes: a loop made no progress.
    Same,
}

/// What some continuation may read of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) regs: RegSet,
    /// Bit i is slot i of the stack. Only slots that are nothing but bytes are left out.
    pub(crate) slots: u64,
}

impl Live {
    fn has(self, slot: usize) -> bool {
        self.slots.checked_shr(slot as u32).is_none_or(|slots| slots & 1 != 0)
    }
}

/// A partial bijection between ids.
#[derive(Default)]
pub(crate) struct Ids {
    pairs: Vec<(u32, u32)>,
    fresh: u32,
}

impl Ids {
    pub(crate) fn matches(&mut self, old: u32, new: u32) -> bool {
        if (old == 0) != (new == 0) {
            return false;
        }
        if old == 0 {
            return true;
        }
        for &(a, b) in &self.pairs {
            if a == old || b == new {
                return a == old && b == new;
            }
        }
        self.pairs.push((old, new));
        true
    }

    /// As [`Self::matches`], where a new 0 counts as an id of its own: two numbers that have nothing to do with each
    /// other are not two that have.
    fn scalars_match(&mut self, old: u32, new: u32) -> bool {
        if new != 0 {
            return self.matches(old, new);
        }
        self.fresh += 1;
        self.matches(old, u32::MAX - self.fresh)
    }
}

/// Whether two states have come to be by the same calls.
pub(crate) fn same_calls(old: &State, new: &State) -> bool {
    old.frames.len() == new.frames.len()
        && old.frames.iter().zip(&new.frames).all(|(a, b)| {
            (a.callsite, a.subprog, a.callback, a.later > 0, a.any_result)
                == (b.callsite, b.subprog, b.callback, b.later > 0, b.any_result)
        })
}

/// Whether call chains and references are alike, which is cheap to see.
fn refs_and_calls_match(old: &State, new: &State) -> bool {
    same_calls(old, new)
        && old.refs.len() == new.refs.len()
        && old.sections == new.sections
        && old.irqs.len() == new.irqs.len()
        && old.locks.len() == new.locks.len()
        && old.sleeps == new.sleeps
}

/// Whether `new` adds nothing to `old`, which was explored from the same instruction. `live` gives for each
/// frame what matters.
pub(crate) fn equal(old: &State, new: &State, live: &[Live], how: Exactness) -> bool {
    if !refs_and_calls_match(old, new) {
        return false;
    }
    let mut ids = Ids::default();
    let refs_match = old.refs.iter().zip(&new.refs).all(|(a, b)| ids.matches(a.id, b.id));
    let locks_match = old
        .locks
        .iter()
        .zip(&new.locks)
        .all(|(a, b)| (a.kind, a.of) == (b.kind, b.of) && ids.matches(a.id, b.id));
    let irqs_match = old.irqs.iter().zip(&new.irqs).all(|(a, b)| ids.matches(a.id, b.id));
    refs_match
        && irqs_match
        && locks_match
        && old
            .frames
            .iter()
            .zip(&new.frames)
            .zip(live)
            .all(|((a, b), live)| frames_match(a, b, *live, how, &mut ids))
}

fn frames_match(old: &Frame, new: &Frame, live: Live, how: Exactness, ids: &mut Ids) -> bool {
    // The old one was explored for as many callbacks more as its number of iterations left.
    if old.callback_depth > new.callback_depth {
        return false;
    }
    let regs = live
        .regs
        .iter()
        .all(|r| r.index() > 10 || regs_match(&old.regs[r.index()], &new.regs[r.index()], how, ids));
    regs && stacks_match(old, new, live, how, ids)
}

/// Whether the kinds are the same. Linux 6.18 compares the ids of slices' dynptrs as they are: memory of a dynptr that
/// is made anew each time around is never the same.
fn kinds_match(old: Kind, new: Kind, ids: &mut Ids) -> bool {
    let dynptrs_match = match (old, new) {
        (Kind::Slice { dynptr: a, .. }, Kind::Slice { dynptr: b, .. }) => ids.matches(a, b),
        _ => true,
    };
    old == new && dynptrs_match
}

fn same(old: &Reg, new: &Reg, ids: &mut Ids) -> bool {
    kinds_match(old.kind, new.kind, ids)
        && old.nullable == new.nullable
        && old.off == new.off
        && old.val == new.val
        && old.delta == new.delta
        && ids.matches(old.id, new.id)
        && ids.matches(old.ref_id, new.ref_id)
        && ids.matches(old.map_uid, new.map_uid)
}

fn regs_match(old: &Reg, new: &Reg, how: Exactness, ids: &mut Ids) -> bool {
    let Exactness::Covers { track_precision, same_bounds, .. } = how else {
        return same(old, new, ids);
    };
    match (old.kind, new.kind) {
        // No continuation reads it, or the old exploration would have failed.
        (Kind::NotInit, _) => true,
        (Kind::Scalar, Kind::Scalar) => {
            if track_precision && !old.precise {
                return true;
            }
            let covered = if same_bounds { old.val == new.val } else { old.val.contains(&new.val) };
            // A number of its own: whatever the new one has to do with others only says more of it.
            covered && (old.id == 0 || (old.delta == new.delta && ids.scalars_match(old.id, new.id)))
        }
        (Kind::MapValue(a), Kind::MapValue(b)) | (Kind::MapKey(a), Kind::MapKey(b)) if a == b => {
            ranges_match(old, new, ids)
        }
        (Kind::Mem { .. }, Kind::Mem { .. }) if old.kind == new.kind => ranges_match(old, new, ids),
        (Kind::Slice { .. }, Kind::Slice { .. }) => {
            kinds_match(old.kind, new.kind, ids) && ranges_match(old, new, ids)
        }
        (Kind::Packet { range: a }, Kind::Packet { range: b }) => a.covers(b) && ranges_match(old, new, ids),
        (Kind::PacketMeta { range: a }, Kind::PacketMeta { range: b }) => {
            a <= b && ranges_match(old, new, ids)
        }
        // Any place in the arena is like any other.
        (Kind::Arena, Kind::Arena) => true,
        _ => same(old, new, ids),
    }
}

fn ranges_match(old: &Reg, new: &Reg, ids: &mut Ids) -> bool {
    old.nullable == new.nullable
        && old.off == new.off
        && old.val.contains(&new.val)
        && ids.matches(old.id, new.id)
        && ids.matches(old.ref_id, new.ref_id)
        && ids.matches(old.map_uid, new.map_uid)
}

/// Whether the new stack has every dynptr that the old one has.
fn dynptrs_match(old: &Stack, new: &Stack, ids: &mut Ids) -> bool {
    old.dynptrs.iter().all(|a| {
        new.dynptr(a.slot)
            .is_some_and(|b| a.kind == b.kind && ids.matches(a.id, b.id) && ids.matches(a.ref_id, b.ref_id))
    })
}

fn stacks_match(old: &Frame, new: &Frame, live: Live, how: Exactness, ids: &mut Ids) -> bool {
    if !dynptrs_match(&old.stack, &new.stack, ids) {
        return false;
    }
    let (old, new) = (&old.stack.slots, &new.stack.slots);
    let same_kinds = || old.len() <= new.len() && old.iter().zip(new).all(|(a, b)| a.bytes == b.bytes);
    match how {
        Exactness::Same => same_kinds() && old.iter().zip(new).all(|(a, b)| spills(a, b, how, ids)),
        Exactness::Covers { may_leak, same_stack, .. } => {
            let nothing = Slot::INVALID;
            (!same_stack || same_kinds())
                && old.iter().enumerate().all(|(i, a)| {
                    (!live.has(i) && a.is_bytes())
                        || slots_match(a, new.get(i).unwrap_or(&nothing), may_leak, how, ids)
                })
        }
    }
}

/// Whether what functions of the kernel keep is the same.
fn kept_matches(old: &Slot, new: &Slot, ids: &mut Ids) -> bool {
    match (&old.kept, &new.kept) {
        (None, None) => true,
        (Some(a), Some(b)) => a.is_like(b) && ids.matches(a.ref_id(), b.ref_id()),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn spills(a: &Slot, b: &Slot, how: Exactness, ids: &mut Ids) -> bool {
    if !kept_matches(a, b, ids) {
        return false;
    }
    match (&a.spilled, &b.spilled) {
        (Some(x), Some(y)) => regs_match(x, y, how, ids),
        (None, None) => true,
        _ => false,
    }
}

fn slots_match(old: &Slot, new: &Slot, may_leak: bool, how: Exactness, ids: &mut Ids) -> bool {
    // Whoever may read bytes that were never written reads anything there.
    let anything = |b: Byte| b == Byte::Invalid || (may_leak && b == Byte::Misc);
    if old.bytes.iter().all(|b| anything(*b)) {
        return true;
    }
    if let (Some(a), Some(b)) = (old.as_scalar(), new.as_scalar()) {
        return regs_match(&a, &b, how, ids);
    }
    let bytes = old
        .bytes
        .iter()
        .zip(&new.bytes)
        .all(|(a, b)| anything(*a) || a == b || (*a == Byte::Misc && *b == Byte::Zero));
    if old.kept.is_some() && !kept_matches(old, new, ids) {
        return false;
    }
    match (&old.spilled, &new.spilled) {
        (None, _) => bytes,
        (Some(a), Some(b)) => bytes && regs_match(a, b, how, ids),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::Scalar;
    use crate::state::Delta;

    /// Whether numbers with new ids and distances add nothing to those with the old, one by one.
    fn covers(old: &[(u32, Option<i32>)], new: &[(u32, Option<i32>)]) -> bool {
        let number = |&(id, by): &(u32, Option<i32>)| {
            let delta = by.map(|by| Delta { by, narrow: false });
            Reg { id, delta, ..Reg::scalar(Scalar::UNKNOWN) }
        };
        let how = Exactness::Covers {
            track_precision: false,
            may_leak: false,
            same_bounds: false,
            same_stack: false,
        };
        let mut ids = Ids::default();
        old.iter().zip(new).all(|(old, new)| regs_match(&number(old), &number(new), how, &mut ids))
    }

    #[test]
    fn what_a_number_has_to_do_with_others_may_only_be_more() {
        let (own, one, two) = ((0, None), (7, None), (9, None));
        let next = |id| (id, Some(1));
        assert!(covers(&[own, own], &[own, own]));
        assert!(covers(&[own, own], &[one, one]));
        assert!(covers(&[own, two], &[one, one]));
        assert!(covers(&[own, own], &[one, next(7)]));
        assert!(covers(&[one, one], &[two, two]));
        assert!(covers(&[one, next(7)], &[two, next(9)]));

        assert!(!covers(&[one, one], &[own, own]));
        assert!(!covers(&[one, one], &[own, one]));
        assert!(!covers(&[one, one], &[one, two]));
        assert!(!covers(&[one, one], &[one, next(7)]));
        assert!(!covers(&[one, next(7)], &[one, (7, Some(2))]));
    }
}

//! Whether two graphs of types match.
//!
//! The new graph and the known one are walked side by side from a pair of types. A pair is taken for equal until
//! something speaks against it, so that cycles end: the first time that the walk meets a type of the known graph,
//! it notes the type of the new graph that it came with; the next time it must come with the same one. All that
//! is asked must hold, so the walk is a list of pairs still to be looked at, and the first failure ends it.
//!
//! A forward declaration matches the struct of its name. On the known side it is followed to the struct it is
//! already known to be; on the new side never, since one type there would then have several partners.

use alloc::vec::Vec;

use super::{Work, shallow};
use crate::{Type, TypeId};

/// How deep types are compared that a compiler has written twice in one compilation, as in libbpf.
const TWICE_DEPTH: u32 = 16;

impl Work {
    /// Whether the graph from `new` matches the one from `known`. If so, `pairs` tells what matched what, which
    /// with `defines_base` holds only if the base's declarations are replaced.
    pub(super) fn equivalent(&mut self, new: u32, known: u32) -> bool {
        for &id in &self.pairs {
            self.paired[id as usize] = Self::NONE;
        }
        self.pairs.clear();
        self.defines_base = false;
        let mut todo = alloc::vec![(new, known)];
        while let Some((new, known)) = todo.pop() {
            if !self.spend(1) || !self.pair(new, known, &mut todo) {
                return false;
            }
        }
        true
    }

    /// Looks at a pair, and leaves those that it depends on in `todo`.
    fn pair(&mut self, new: u32, known: u32, todo: &mut Vec<(u32, u32)>) -> bool {
        let (to, end) = (self.resolve(new), self.resolve(known));
        if to == end {
            return true;
        }
        let declared = |t: &Type| matches!(t, Type::Fwd { .. });
        let known = if declared(self.ty(known)) && !declared(self.ty(end)) { end } else { known };
        let before = self.paired[known as usize];
        if before != Self::NONE {
            return before == new || self.twice(before, new);
        }
        self.paired[known as usize] = new;
        self.pairs.push(known);
        let (a, b) = (self.ty(new), self.ty(known));
        match (a, b) {
            (Type::Fwd { .. }, Type::Fwd { .. }) => a == b,
            (Type::Fwd { name, is_union }, other) => {
                // What it is known to declare is this, or may still turn out to be.
                let settled = |id: u32| self.map[id as usize] == id;
                let another = !declared(self.ty(to)) && settled(to) && settled(end);
                declares(*name, *is_union, other) && !another
            }
            (other, Type::Fwd { name, is_union }) => {
                let declares = declares(*name, *is_union, other);
                self.defines_base |= declares && known < self.first;
                declares
            }
            (a, b) if !shallow::equal(a, b) => false,
            (a, b) => {
                let from = todo.len();
                references(a, b, |a, b| todo.push((a, b)));
                // The first is looked at first.
                todo[from..].reverse();
                let cost = shallow::parts(a);
                self.spend(cost)
            }
        }
    }

    /// Whether two types of the new graph are the same, though a compiler has written them twice: compared down
    /// to some depth without regard to cycles.
    fn twice(&mut self, a: u32, b: u32) -> bool {
        let mut todo = alloc::vec![(a, b, TWICE_DEPTH)];
        while let Some((a, b, depth)) = todo.pop() {
            if depth == 0 || !self.spend(1 + shallow::parts(self.ty(a))) {
                return false;
            }
            let (a, b) = (self.ty(a), self.ty(b));
            if !shallow::equal(a, b) {
                return false;
            }
            references(a, b, |a, b| {
                if a != b {
                    todo.push((a, b, depth - 1));
                }
            });
        }
        true
    }
}

fn declares(name: crate::Name, is_union: bool, t: &Type) -> bool {
    match t {
        Type::Struct { name: n, .. } => *n == name && !is_union,
        Type::Union { name: n, .. } => *n == name && is_union,
        _ => false,
    }
}

/// Calls `f` with what two types refer to that are equal but for that.
fn references(a: &Type, b: &Type, mut f: impl FnMut(u32, u32)) {
    use Type::*;
    match (a, b) {
        (Array { element: a, index: i, .. }, Array { element: b, index: j, .. }) => {
            f(i.0, j.0);
            f(a.0, b.0);
        }
        (Struct { members: a, .. }, Struct { members: b, .. })
        | (Union { members: a, .. }, Union { members: b, .. }) => {
            a.iter().zip(b).for_each(|(a, b)| f(a.ty.0, b.ty.0));
        }
        (FuncProto { ret: r, params: a }, FuncProto { ret: s, params: b }) => {
            f(r.0, s.0);
            a.iter().zip(b).for_each(|(a, b)| f(a.ty.0, b.ty.0));
        }
        _ => {
            let one = |t: &Type| {
                let mut to = None;
                t.each_reference(|TypeId(id)| to = Some(id));
                to
            };
            if let (Some(a), Some(b)) = (one(a), one(b)) {
                f(a, b);
            }
        }
    }
}

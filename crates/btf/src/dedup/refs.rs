//! Types that refer to others: equal once those are settled.

use alloc::vec;
use alloc::vec::Vec;

use super::Work;
use crate::TypeId;

impl Work {
    /// Makes one of equal pointers, arrays, qualifiers, prototypes, functions and tags.
    ///
    /// What a type refers to comes first. C has no cycle without a struct, union or typedef in it, and those are
    /// settled; of a cycle through prototypes alone (damaged input) one type stands for itself unseen.
    pub(super) fn refs(&mut self) {
        let mut open = vec![false; self.map.len()];
        let mut pinned = vec![false; self.map.len()];
        let mut stack: Vec<u32> = Vec::new();
        for root in self.own_ids() {
            stack.push(root);
            while let Some(&id) = stack.last() {
                if self.is_mapped(id) {
                    stack.pop();
                    continue;
                }
                if !core::mem::replace(&mut open[id as usize], true) {
                    let before = stack.len();
                    self.ty(id).each_reference(|TypeId(r)| {
                        if self.map[r as usize] == Self::NONE {
                            match open[r as usize] {
                                true => pinned[r as usize] = true,
                                false => stack.push(r),
                            }
                        }
                    });
                    if stack.len() > before {
                        // The first comes first.
                        stack[before..].reverse();
                        continue;
                    }
                }
                stack.pop();
                self.settle(id);
                if pinned[id as usize] {
                    self.map[id as usize] = id;
                }
            }
        }
    }

    /// A type whose references are settled.
    fn settle(&mut self, id: u32) {
        let own = (id - self.first) as usize;
        let mut t = core::mem::replace(&mut self.own[own], crate::Type::Void);
        t.each_reference_mut(|r| *r = TypeId(self.resolve(r.0)));
        self.own[own] = t;
        self.prim(id);
    }
}

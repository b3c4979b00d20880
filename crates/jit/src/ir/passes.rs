//! The passes in their order.

use super::balance::balance;
use super::choose::choose;
use super::dead::dead;
use super::divisors::divisors;
use super::fold::fold;
use super::inline::inline;
use super::lookup::{Array, lookup};
use super::loops::loops;
use super::never::never;
use super::slots::slots;
use super::thread::thread;
use super::{Function, Module};

/// Which passes run: each can be left out, to see what it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Folds constants, and operations into narrower ones.
    pub fold: bool,
    /// Lookups in arrays in line.
    pub lookup: bool,
    /// Small functions in line.
    pub inline: bool,
    /// Stack slots as values.
    pub slots: bool,
    /// Ways past branches that they decide.
    pub thread: bool,
    /// Short ways as choices.
    pub choose: bool,
    /// Divisors that cannot be zero are not tested.
    pub divisors: bool,
    /// Loops compare upwards.
    pub loops: bool,
    /// Small loops do several rounds in one.
    pub repeat: bool,
    /// Long sums become short.
    pub balance: bool,
}

impl Passes {
    /// All.
    pub const ALL: Self = Self {
        fold: true,
        lookup: true,
        inline: true,
        slots: true,
        thread: true,
        choose: true,
        divisors: true,
        loops: true,
        repeat: true,
        balance: true,
    };
    /// None: what the builder gives is lowered.
    pub const NONE: Self = Self {
        fold: false,
        lookup: false,
        inline: false,
        slots: false,
        thread: false,
        choose: false,
        divisors: false,
        loops: false,
        repeat: false,
        balance: false,
    };
}

impl Default for Passes {
    fn default() -> Self {
        Self::ALL
    }
}

/// Improves a program; `array` tells what register content stands for an array.
pub fn run(m: &mut Module, passes: &Passes, array: &dyn Fn(u64) -> Option<Array>) {
    let mut work = Work { fold: passes.fold, changed: vec![true; m.functions.len()] };
    work.begin(m);
    work.each(m, "lookup", passes.lookup, &|f| lookup(f, array));
    if passes.inline {
        let sizes: Vec<_> = m.functions.iter().map(size).collect();
        inline(m);
        m.debug_check("inline");
        work.note(m, &sizes);
    }
    work.clean(m);
    work.each(m, "slots", passes.slots, &slots);
    work.clean(m);
    work.each(m, "thread", passes.thread, &thread);
    work.clean(m);
    work.each(m, "choose", passes.choose, &choose);
    work.clean(m);
    work.each(m, "loops", passes.loops || passes.repeat, &|f| loops(f, passes.loops, passes.repeat));
    for (f, changed) in m.functions.iter_mut().zip(&mut work.changed) {
        *changed |= never(f);
    }
    m.debug_check("never");
    work.clean(m);
    work.each(m, "balance", passes.balance, &balance);
    work.dead(m);
    work.each(m, "divisors", passes.divisors, &divisors);
}

/// How often a function is folded at once, while that changes something.
const FOLDS: usize = 2;

/// Whether a function is so large that it is cleaned less often.
fn is_large(f: &Function) -> bool {
    f.piece || f.nodes.len() > 4000
}

/// How much a function has: every pass that changes what others look at adds to it.
fn size(f: &Function) -> (usize, usize) {
    (f.nodes.len(), f.blocks.len())
}

/// The passes' progress.
struct Work {
    /// Whether constants are folded.
    fold: bool,
    /// By function: whether it has changed since it was cleaned.
    changed: Vec<bool>,
}

impl Work {
    /// Runs a pass over each function.
    fn each(&mut self, m: &mut Module, name: &str, on: bool, pass: &dyn Fn(&mut Function)) {
        if !on {
            return;
        }
        for (f, changed) in m.functions.iter_mut().zip(&mut self.changed) {
            let before = size(f);
            pass(f);
            *changed |= size(f) != before;
        }
        m.debug_check(name);
    }

    /// Notes which functions have not the sizes that they had.
    fn note(&mut self, m: &Module, sizes: &[(usize, usize)]) {
        let all = m.functions.iter().zip(sizes).zip(&mut self.changed);
        all.for_each(|((f, before), changed)| *changed |= size(f) != *before);
    }

    /// Cleans what the builder has made, which has no parameters that are always the same value.
    fn begin(&mut self, m: &mut Module) {
        for f in m.functions.iter_mut().filter(|_| self.fold) {
            fold(f);
        }
        m.debug_check("fold");
        match m.functions.iter().all(is_large) {
            true => self.dead(m),
            false => self.clean(m),
        }
    }

    /// Cleans the functions that have changed.
    fn clean(&mut self, m: &mut Module) {
        if !self.fold {
            return self.dead(m);
        }
        for (f, changed) in m.functions.iter_mut().zip(&mut self.changed) {
            if core::mem::take(changed) {
                // First what has become the same value in each way, so that folding sees it.
                dead(f);
                let folds = if is_large(f) { 1 } else { FOLDS };
                for _ in 0..folds {
                    *changed = fold(f);
                    if !*changed {
                        break;
                    }
                    dead(f);
                }
                *changed &= !is_large(f);
            }
        }
        m.debug_check("fold");
    }

    /// As [`Self::clean`], without folding.
    fn dead(&mut self, m: &mut Module) {
        for (f, changed) in m.functions.iter_mut().zip(&mut self.changed) {
            if core::mem::take(changed) {
                dead(f);
            }
        }
        m.debug_check("dead");
    }
}

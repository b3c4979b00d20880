//! The passes in their order.

use super::balance::balance;
use super::choose::choose;
use super::dead::dead;
use super::divisors::divisors;
use super::fold::fold;
use super::inline::inline;
use super::lookup::{Array, lookup};
use super::loops::loops;
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
    let each = |m: &mut Module, name: &str, on: bool, pass: &dyn Fn(&mut Function)| {
        if on {
            m.functions.iter_mut().for_each(pass);
            m.debug_check(name);
        }
    };
    let clean = |m: &mut Module| {
        // First what has become the same value in each way, so that folding sees it.
        each(m, "dead", passes.fold, &dead);
        each(m, "fold", passes.fold, &fold);
        each(m, "dead", true, &dead);
    };
    clean(m);
    each(m, "lookup", passes.lookup, &|f| lookup(f, array));
    if passes.inline {
        inline(m);
        m.debug_check("inline");
    }
    clean(m);
    each(m, "slots", passes.slots, &slots);
    clean(m);
    each(m, "thread", passes.thread, &thread);
    clean(m);
    each(m, "choose", passes.choose, &choose);
    clean(m);
    each(m, "loops", passes.loops || passes.repeat, &|f| loops(f, passes.loops, passes.repeat));
    clean(m);
    each(m, "balance", passes.balance, &balance);
    each(m, "dead", passes.balance, &dead);
    each(m, "divisors", passes.divisors, &divisors);
}

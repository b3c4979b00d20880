//! The passes in their order.

use super::Module;
use super::dead::dead;
use super::fold::fold;
use super::inline::inline;
use super::lookup::{Array, lookup};
use super::loops::loops;
use super::slots::slots;
use super::thread::thread;

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
    /// Loops compare upwards.
    pub loops: bool,
    /// Small loops do several rounds in one.
    pub repeat: bool,
}

impl Passes {
    /// All.
    pub const ALL: Self =
        Self { fold: true, lookup: true, inline: true, slots: true, thread: true, loops: true, repeat: true };
    /// None: what the builder gives is lowered.
    pub const NONE: Self = Self {
        fold: false,
        lookup: false,
        inline: false,
        slots: false,
        thread: false,
        loops: false,
        repeat: false,
    };
}

impl Default for Passes {
    fn default() -> Self {
        Self::ALL
    }
}

/// Improves a program; `array` tells what register content stands for an array.
pub fn run(m: &mut Module, passes: &Passes, array: &dyn Fn(u64) -> Option<Array>) {
    for f in &mut m.functions {
        if passes.fold {
            fold(f);
        }
        if passes.lookup {
            lookup(f, array);
        }
        dead(f);
    }
    if passes.inline {
        inline(m);
    }
    for f in &mut m.functions {
        let clean = |f: &mut _| {
            if passes.fold {
                fold(f);
            }
            dead(f);
        };
        clean(f);
        if passes.slots {
            slots(f);
            dead(f);
            clean(f);
        }
        if passes.thread {
            thread(f);
            clean(f);
        }
        if passes.loops || passes.repeat {
            loops(f, passes.loops, passes.repeat);
            clean(f);
        }
    }
}

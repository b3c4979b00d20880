//! Global functions: each that some path calls is verified once, for any arguments (`do_check_subprogs`).

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::{Explorer, History};
use crate::Code;
use crate::program::Program;
use crate::signature::{self, Param};
use crate::transfer;
use crate::violation::{Check, Explain, refuse};

/// How far the verification of a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No path calls it, as far as is known, or it is not global.
    NotCalled,
    Called,
    Verified,
}

/// The program's functions.
#[derive(Debug)]
pub(super) struct Globals(Vec<Progress>);

impl Globals {
    pub(super) fn new(p: &Program<'_>) -> Self {
        let mut progress = vec![Progress::NotCalled; p.subprogs.len()];
        // Whether the program throws or not.
        if let Some(callback) = p.exception_callback {
            progress[callback] = Progress::Called;
        }
        Self(progress)
    }
}

impl Explorer<'_, '_> {
    /// A path calls a global function.
    pub(super) fn calls_global(&mut self, callee: usize) {
        let progress = &mut self.globals.0[callee];
        if *progress == Progress::NotCalled {
            *progress = Progress::Called;
        }
        let name = signature::name(self.p.spec, self.p.subprogs[callee].start);
        self.log.say(|| format!("Func#{callee} ('{name}') is global and assumed valid."));
    }

    /// Verifies the global functions that are called, and those that they call.
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn verify_globals(&mut self) -> Check<()> {
        loop {
            let mut found = false;
            for callee in 0..self.globals.0.len() {
                if self.globals.0[callee] != Progress::Called {
                    continue;
                }
                found = true;
                self.enter_global(callee)?;
                self.walk()?;
                self.globals.0[callee] = Progress::Verified;
                let name = signature::name(self.p.spec, self.p.subprogs[callee].start);
                self.log.say(|| {
                    format!("Func#{callee} ('{name}') is safe for any args that match its prototype")
                });
            }
            if !found {
                return Ok(());
            }
        }
    }

    /// Begins anew, at a function.
    pub(super) fn enter_global(&mut self, callee: usize) -> Check<()> {
        let start = self.p.subprogs[callee].start;
        let name = signature::name(self.p.spec, start);
        self.log.say(|| format!("Validating {name}() func#{callee}..."));
        self.pc = start;
        let params = signature::params(self.p, callee)?;
        if self.p.exception_callback == Some(callee) && params != [Param::Number] {
            let words = "exception cb only supports single integer argument";
            return refuse(Code::BadArgument, words).explain(
                "a function of the number that is thrown",
                format!("{name}() takes {} arguments, or another", params.len()),
                "declare it as int name(u64 cookie)",
            );
        }
        self.state = transfer::global_entry(callee, &params, &mut self.fresh);
        self.history = History::default();
        self.parent = None;
        self.trail = 0;
        self.store.clear();
        self.slots.clear();
        self.rounds = super::Rounds::default();
        self.log.entry(self.p, start, &self.state);
        Ok(())
    }
}

//! The interpreter's check of the verifier: before each instruction some state that was seen there has every register's
//! number as a member.
//!
//! A state speaks of the registers that may still be read. Where paths were not followed since others cover them, those
//! others' states speak for them. Pointers, and what lies in memory, are checked by the interpreter at each access.

use std::cell::{Cell, RefCell};

use skep_verifier::{Observed, Verified};
use skep_vm::{Observer, Program, Step};

/// Watches runs of programs whose proofs are known.
#[derive(Default)]
pub struct Embedding {
    /// By address, since a program has no other name of its own.
    proofs: Vec<(usize, Verified)>,
    steps: Cell<u64>,
    wrong: RefCell<Option<String>>,
}

impl Embedding {
    /// Adds a program, which stays where it is, and its proof with the states that it saw.
    pub fn add(&mut self, program: &Program, proof: Verified) {
        self.proofs.push((address(program), proof));
    }

    /// Instructions that were held against their states.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// The first instruction that none of its states speaks of.
    pub fn wrong(&self) -> Option<String> {
        self.wrong.borrow().clone()
    }
}

fn address(program: &Program) -> usize {
    std::ptr::from_ref(program).addr()
}

/// Whether a state has the numbers.
fn has(state: &Observed, regs: &[u64; 11]) -> bool {
    state.numbers.iter().zip(regs).all(|(set, x)| set.is_none_or(|set| set.has(*x)))
}

impl Observer for Embedding {
    fn step(&self, step: &Step<'_>) {
        let found = self.proofs.iter().find(|(at, _)| *at == address(step.program));
        let Some((_, proof)) = found.filter(|_| self.wrong.borrow().is_none()) else { return };
        self.steps.set(self.steps.get() + 1);
        let seen = proof.states_at(step.pc);
        if seen.iter().any(|state| has(state, step.regs)) {
            return;
        }
        let states: Vec<&str> = seen.iter().map(|s| s.text.as_str()).collect();
        let (name, pc, regs) = (step.program.name(), step.pc, step.regs);
        let words = format!("{name}: insn {pc}: {regs:#x?} is in no state:\n{}", states.join("\n"));
        *self.wrong.borrow_mut() = Some(words);
    }
}

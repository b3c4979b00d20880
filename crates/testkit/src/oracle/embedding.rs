//! The interpreter's check of the verifier: before each instruction some state that was seen there has every register's
//! number as a member, and what runs do agrees with the facts that the verifier exports ([`Facts`]).
//!
//! A state speaks of the registers that may still be read. Where paths were not followed since others cover them, those
//! others' states speak for them. Pointers, and what lies in memory, are checked by the interpreter at each access.

use std::cell::{Cell, RefCell};

use skep_verifier::{Observed, Verified};
use skep_vm::{Observer, Program, Step};

use super::facts::{Facts, Seen};

/// Watches runs of programs whose proofs are known.
#[derive(Default)]
pub struct Embedding {
    /// By address, since a program has no other name of its own: with the states, and with the facts as engines see them.
    proofs: Vec<(usize, Verified, Verified)>,
    facts: RefCell<Facts>,
    steps: Cell<u64>,
    wrong: RefCell<Option<String>>,
}

impl Embedding {
    /// Adds a program, which stays where it is, its proof with the states that it saw, and the proof that engines have.
    pub fn add(&mut self, program: &Program, states: Verified, facts: Verified) {
        self.proofs.push((address(program), states, facts));
    }

    /// What the facts were held against.
    pub fn seen(&self) -> Seen {
        self.facts.borrow().seen()
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
        let found = self.proofs.iter().find(|(at, ..)| *at == address(step.program));
        let Some((at, proof, facts)) = found.filter(|_| self.wrong.borrow().is_none()) else { return };
        self.steps.set(self.steps.get() + 1);
        let seen = proof.states_at(step.pc);
        if seen.iter().any(|state| has(state, step.regs)) {
            if let Err(words) = self.facts.borrow_mut().step(*at, facts, step) {
                let (name, pc) = (step.program.name(), step.pc);
                *self.wrong.borrow_mut() = Some(format!("{name}: insn {pc}: {words}"));
            }
            return;
        }
        let states: Vec<&str> = seen.iter().map(|s| s.text.as_str()).collect();
        let (name, pc, regs) = (step.program.name(), step.pc, step.regs);
        let words = format!("{name}: insn {pc}: {regs:#x?} is in no state:\n{}", states.join("\n"));
        *self.wrong.borrow_mut() = Some(words);
    }
}

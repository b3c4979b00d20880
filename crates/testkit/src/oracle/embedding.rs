//! The interpreter's check of the verifier: before each instruction some state that was seen there has every register's
//! number as a member, every address points into what the state says, at an offset that it allows, as far into the packet as
//! it says; and so has every slot of the stack of what was saved in it, and its zeros. And what runs do agrees with the facts
//! that the verifier exports ([`Facts`]).
//!
//! A state speaks of the registers that may still be read. Where paths were not followed since others cover them, those
//! others' states speak for them. Addresses in memory of the kernel's own, and what functions of the kernel keep in slots,
//! are checked by the interpreter at each use.

use std::cell::{Cell, RefCell};

use skep_verifier::{Base, Observed, Pointer, Value, Verified};
use skep_vm::{Observer, Place, Program, Step};

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

/// Whether a state has the numbers, and the addresses point where it says, in registers and on the stack.
fn has(state: &Observed, step: &Step<'_>) -> bool {
    // A state begins with the function that was verified on its own.
    let Some(first) = (step.depth + 1).checked_sub(state.frames) else { return false };
    let at = |p: &Pointer, address: u64| p.nullable && address == 0 || points(p, address, first, step);
    state.numbers.iter().zip(step.regs).all(|(set, x)| set.is_none_or(|set| set.has(*x)))
        && state.pointers.iter().all(|(reg, p)| at(p, step.regs[reg.index()]))
        && state.slots.iter().all(|slot| {
            let address = step.frame_end(first + slot.frame).wrapping_add_signed(slot.off.into());
            let mut bytes = [0; 8];
            if !step.read(address, &mut bytes) {
                return false;
            }
            let word = u64::from_ne_bytes(bytes);
            let value = match &slot.value {
                None => true,
                Some(Value::Number(set)) => set.has(word),
                Some(Value::Pointer(p)) => at(p, word),
            };
            value && slot.zeros.iter().zip(bytes).all(|(zero, byte)| !zero || byte == 0)
        })
}

/// Whether an address is one of those that are known. It may lie outside of what it points into, as long as nothing is
/// accessed there.
fn points(p: &Pointer, address: u64, first: usize, step: &Step<'_>) -> bool {
    let from = |base: u64| p.off.has(address.wrapping_sub(base));
    match p.base {
        Base::Stack { frame } => from(step.frame_end(first + frame)),
        Base::Packet { fixed, there } => step.packet().is_some_and(|(start, end)| {
            let known_end = address.wrapping_add_signed(-i64::from(fixed)).wrapping_add(there.into());
            from(start) && (there == 0 || known_end <= end)
        }),
        Base::PacketEnd => step.packet().is_some_and(|(_, end)| from(end)),
        Base::Ctx => matches!(step.place(address), Some(Place::Ctx { off }) if p.off.has(off)),
        Base::Map(map) => step.place(address) == Some(Place::Map { map }),
        Base::Value { map, size } => value(p, (map, size), address, step),
    }
}

/// An address that may lie outside of its value may lie in anything: then where the value begins is looked at, if that is
/// known.
fn value(p: &Pointer, (map, size): (usize, u32), address: u64, step: &Step<'_>) -> bool {
    let inside = p.off.umax() < size.into();
    let (at, allows): (u64, &dyn Fn(u64) -> bool) = match p.off.as_const() {
        _ if inside => (address, &|off| p.off.has(off)),
        Some(off) => (address.wrapping_sub(off), &|off| off == 0),
        None => return true,
    };
    match step.place(at) {
        // The values of some kinds lie where a run cannot tell them from other memory.
        None => true,
        Some(Place::Values { map: found, element, off }) => {
            // The memory of one map may be shared by others of the program's.
            let area = |map: usize| step.program.maps()[map].value_area().map(|area| area.addr);
            (found == map || area(found) == area(map)) && (element.is_none() || allows(off))
        }
        Some(
            Place::Ctx { .. }
            | Place::Stack { .. }
            | Place::Packet { .. }
            | Place::Map { .. }
            | Place::Record { .. }
            | Place::Key { .. }
            | Place::Objects { .. }
            | Place::Buffer { .. },
        ) => false,
    }
}

impl Observer for Embedding {
    fn step(&self, step: &Step<'_>) {
        let found = self.proofs.iter().find(|(at, ..)| *at == address(step.program));
        let Some((at, proof, facts)) = found.filter(|_| self.wrong.borrow().is_none()) else { return };
        self.steps.set(self.steps.get() + 1);
        let seen = proof.states_at(step.pc);
        if seen.iter().any(|state| has(state, step)) {
            if let Err(words) = self.facts.borrow_mut().step(*at, facts, step) {
                let (name, pc) = (step.program.name(), step.pc);
                *self.wrong.borrow_mut() = Some(format!("{name}: insn {pc}: {words}"));
            }
            return;
        }
        let states: Vec<&str> = seen.iter().map(|s| s.text.as_str()).collect();
        let (name, pc, regs) = (step.program.name(), step.pc, step.regs);
        let places: Vec<_> = regs.iter().map(|r| step.place(*r)).collect();
        let words =
            format!("{name}: insn {pc}: {regs:#x?} {places:?} is in no state:\n{}", states.join("\n"));
        *self.wrong.borrow_mut() = Some(words);
    }
}

//! What is known before an instruction: frames, registers, stack, references.

mod dead;
mod display;
mod dynptr;
mod equal;
mod kept;
mod packet;
mod reg;
mod stack;

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

pub(crate) use display::{known, known_in, references, register, type_name};
pub(crate) use dynptr::{Dynptr, DynptrType};
pub(crate) use equal::{Exactness, Ids, Live, equal, same_calls};
pub(crate) use kept::{Irq, Iter, Kept};
pub(crate) use packet::Range;
pub(crate) use reg::{Delta, Kind, Marks, Reg, Sock};
pub(crate) use stack::{Byte, Slot, Stack, place, reads_low_part};

use skep_isa::RegSet;

use crate::domain::Scalar;

/// A function on the call chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) regs: [Reg; 11],
    pub(crate) stack: Stack,
    /// The call that made the frame; 0 for the main function.
    pub(crate) callsite: usize,
    pub(crate) subprog: usize,
    /// A helper called it back: it returns to the call itself, where the helper may call again.
    pub(crate) callback: bool,
    /// How many times in a row the call at which the frame stands has called back.
    pub(crate) callback_depth: u32,
    /// A timer or a work queue called it, at another time, and nobody waits for it: how many of these on the way, each
    /// set by the one before. 0 for other functions.
    pub(crate) later: u32,
    /// It may then return any number of 32 bits.
    pub(crate) any_result: bool,
}

/// A reference that must be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) id: u32,
    /// The call that acquired it.
    pub(crate) pc: usize,
}

/// Whose lock it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    /// A value of the map.
    Map(u16),
    /// An object that the program allocated.
    Object,
}

/// What sort of lock it is, and how it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// A `bpf_spin_lock`.
    Plain,
    /// A `bpf_res_spin_lock`, which notices deadlocks.
    Noticing,
    /// The same, and interrupts are off.
    NoInterrupts,
}

/// A lock that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) kind: LockKind,
    /// Where it is.
    pub(crate) of: Locked,
    /// Tells values of the map, and objects, apart; 0 for the only one.
    pub(crate) id: u32,
    /// The call that took it.
    pub(crate) pc: usize,
}

/// Sections of the program that are not to be disturbed, as far as they have begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sections {
    /// Nothing goes away.
    pub(crate) rcu: bool,
    /// How often preemption was disabled.
    pub(crate) preempt: u32,
}

/// A state. Frames are shared until one changes.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) frames: Vec<Rc<Frame>>,
    pub(crate) refs: Vec<Reference>,
    /// The locks that are held; the last is given back first.
    pub(crate) locks: Vec<Lock>,
    /// The sections that have begun.
    pub(crate) sections: Sections,
    /// Where interrupts were turned off; the last ends first.
    pub(crate) irqs: Vec<Reference>,
    /// Work that may sleep, whatever the program may.
    pub(crate) sleeps: bool,
    /// How many times the path went on past a `may_goto`: each spends some of the run's budget.
    pub(crate) may_gotos: u32,
    /// How many times the path entered a callback.
    pub(crate) callbacks: u32,
}

impl State {
    /// The state at the entry of a program: `r1` the context, `r10` the frame pointer.
    pub(crate) fn entry() -> Self {
        let mut frame = Frame::new(0, 0, 0);
        frame.regs[1] = Reg::pointer(Kind::Ctx);
        Self {
            frames: vec![Rc::new(frame)],
            refs: Vec::new(),
            locks: Vec::new(),
            sections: Sections::default(),
            irqs: Vec::new(),
            sleeps: false,
            may_gotos: 0,
            callbacks: 0,
        }
    }

    /// Index of the running frame.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len() - 1
    }

    /// The running frame.
    pub(crate) fn frame(&self) -> &Frame {
        &self.frames[self.depth()]
    }

    /// The running frame, to change it.
    pub(crate) fn frame_mut(&mut self) -> &mut Frame {
        let depth = self.depth();
        self.frame_at_mut(depth)
    }

    /// A frame, to change it.
    pub(crate) fn frame_at_mut(&mut self, frame: usize) -> &mut Frame {
        Rc::make_mut(&mut self.frames[frame])
    }

    /// A register of the running frame.
    pub(crate) fn reg(&self, reg: skep_isa::Reg) -> &Reg {
        &self.frame().regs[reg.index()]
    }

    /// A register of the running frame, to change it.
    pub(crate) fn reg_mut(&mut self, reg: skep_isa::Reg) -> &mut Reg {
        &mut self.frame_mut().regs[reg.index()]
    }

    /// Sets a register of the running frame.
    pub(crate) fn set(&mut self, reg: skep_isa::Reg, value: Reg) {
        *self.reg_mut(reg) = value;
    }

    /// Changes every register, spilled ones included.
    pub(crate) fn for_each_reg(&mut self, mut f: impl FnMut(&mut Reg)) {
        for frame in &mut self.frames {
            let frame = Rc::make_mut(frame);
            frame.regs.iter_mut().for_each(&mut f);
            for slot in &mut frame.stack.slots {
                if let Some(reg) = &mut slot.spilled {
                    f(Rc::make_mut(reg));
                }
            }
        }
    }

    /// Changes every number of an id, of spilled ones and of the registers in `live`, by frame; touches no other frame or
    /// slot.
    pub(crate) fn for_each_linked(&mut self, id: u32, live: &[RegSet], mut f: impl FnMut(&mut Reg)) {
        let linked = |r: &Reg| r.is_scalar() && r.id == id;
        for (frame, live) in self.frames.iter_mut().zip(live) {
            let spilled = |s: &Slot| s.spilled.as_ref().is_some_and(|r| linked(r));
            let mut regs = live.iter().filter(|r| linked(&frame.regs[r.index()]));
            if regs.next().is_none() && !frame.stack.slots.iter().any(spilled) {
                continue;
            }
            let frame = Rc::make_mut(frame);
            for r in live.iter() {
                if linked(&frame.regs[r.index()]) {
                    f(&mut frame.regs[r.index()]);
                }
            }
            let slots = frame.stack.slots.iter_mut().filter_map(|s| s.spilled.as_mut());
            slots.filter(|r| linked(r)).for_each(|r| f(Rc::make_mut(r)));
        }
    }

    /// Changes what functions of the kernel keep in slots; touches no frame that has none.
    pub(crate) fn for_each_kept(&mut self, mut f: impl FnMut(&mut Kept)) {
        for frame in &mut self.frames {
            if frame.stack.slots.iter().all(|slot| slot.kept.is_none()) {
                continue;
            }
            let slots = &mut Rc::make_mut(frame).stack.slots;
            slots.iter_mut().filter_map(|slot| slot.kept.as_mut()).for_each(|kept| f(Rc::make_mut(kept)));
        }
    }

    /// Whether a reference is held.
    pub(crate) fn holds(&self, id: u32) -> bool {
        self.refs.iter().any(|r| r.id == id)
    }
}

impl Frame {
    /// A frame at its entry; only the frame pointer is set.
    pub(crate) fn new(index: u8, callsite: usize, subprog: usize) -> Self {
        let mut regs = [const { Reg::NOT_INIT }; 11];
        regs[10] = Reg::pointer(Kind::Stack { frame: index });
        let stack = Stack::default();
        Self {
            regs,
            stack,
            callsite,
            subprog,
            callback: false,
            callback_depth: 0,
            later: 0,
            any_result: false,
        }
    }
}

/// The value of a register's variable part that keeps 32 bits, if it is a number.
pub(crate) fn low32(reg: &Reg) -> Scalar {
    if reg.is_scalar() { reg.val.truncate(32) } else { Scalar::UNKNOWN.truncate(32) }
}

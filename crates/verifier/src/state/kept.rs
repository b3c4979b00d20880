//! What functions of the kernel keep in slots of a program's stack.

use alloc::rc::Rc;

use super::Marks;

/// What is kept in one slot; every byte of it is then marked so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A part of an iterator.
    Iter(Iter),
    /// Whether interrupts were on before they were turned off.
    Irq(Irq),
}

/// One slot of an iterator; those of the same iterator say the same but for `ref_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Iter {
    /// Its structure in the kernel's types.
    pub(crate) id: u32,
    /// The structure's name without `bpf_iter_`.
    pub(crate) name: Rc<str>,
    /// The reference that ends with the iterator, in its first slot (of the lowest address); 0 in the others.
    pub(crate) ref_id: u32,
    /// It has said that there is no element more, and says so again.
    pub(crate) drained: bool,
    /// How many elements it has given on this path. No safety rests on it: it tells a loop that makes progress.
    pub(crate) depth: u32,
    /// `RCU`: it is good as long as nothing goes away; `UNTRUSTED`: that is over.
    pub(crate) marks: Marks,
}

/// Interrupts that were turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Irq {
    /// Names the section; the last that was begun ends first.
    pub(crate) ref_id: u32,
    /// A lock turned them off, and giving it back turns them on.
    pub(crate) by_lock: bool,
}

impl Kept {
    /// The reference that goes with it; 0 for none.
    pub(crate) fn ref_id(&self) -> u32 {
        match self {
            Self::Iter(iter) => iter.ref_id,
            Self::Irq(irq) => irq.ref_id,
        }
    }

    /// Equal apart from references and depth (`stacksafe`).
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Iter(a), Self::Iter(b)) => (a.id, a.drained, a.marks) == (b.id, b.drained, b.marks),
            (Self::Irq(a), Self::Irq(b)) => a.by_lock == b.by_lock,
            (Self::Iter(_), Self::Irq(_)) | (Self::Irq(_), Self::Iter(_)) => false,
        }
    }
}

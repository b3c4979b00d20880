//! The way from the last stored state to here, for walking back.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::transfer::jump::Place;

/// One instruction that was processed.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) pc: u32,
    /// Frame and slot whose register was saved or restored.
    pub(crate) slot: Option<(u8, u8)>,
    /// A helper called back here, or a callback returned to it.
    pub(crate) callback: bool,
    /// The function was left here, though not by an `exit`: another program ran in its place, or a legacy load found
    /// no packet.
    pub(crate) left: bool,
    /// Registers that learned together from a comparison.
    pub(crate) linked: Option<Rc<[Place]>>,
}

/// The steps since the last stored state.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) steps: Vec<Step>,
    /// Steps that Linux would remember: it forces a stored state after 40.
    pub(crate) notable: u32,
}

impl History {
    pub(crate) fn push(&mut self, pc: usize, jump: bool) {
        self.steps.push(Step { pc: pc as u32, slot: None, callback: false, left: false, linked: None });
        self.notable += u32::from(jump);
    }

    /// Adds what the last step did to a slot.
    pub(crate) fn note_slot(&mut self, slot: Option<(usize, usize)>, counted: bool) {
        let (Some((frame, slot)), Some(step)) = (slot, self.steps.last_mut()) else { return };
        step.slot = Some((frame as u8, slot as u8));
        self.notable += u32::from(!counted);
    }

    /// Says of the last step that it entered or left a callback.
    pub(crate) fn note_callback(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.callback = true;
        }
    }

    /// Says of the last step that it left the function.
    pub(crate) fn note_left(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.left = true;
        }
    }

    /// Adds which registers learned together at the last step.
    pub(crate) fn note_linked(&mut self, linked: Vec<Place>, counted: bool) {
        let Some(step) = self.steps.last_mut().filter(|_| !linked.is_empty()) else { return };
        step.linked = Some(linked.into());
        self.notable += u32::from(!counted);
    }
}

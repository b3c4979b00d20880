//! Helpers that take nothing and end no run: clocks, random numbers, and what stays the same while a run lasts.
//!
//! Native code calls their functions without arguments and without looking for a stop. What stays the same is asked for once in
//! a run and kept in [`Rt`].

use super::rt::{KEPT, Rt};
use super::services::open;
use crate::helpers::{self, Call};

/// A helper that takes nothing and ends no run.
#[derive(Clone, Copy, Debug)]
pub struct Quick {
    /// What the helper gives; and puts that where [`Self::kept`] says.
    pub function: unsafe extern "C" fn(*mut Rt) -> u64,
    /// Offset of a word in [`Rt`] that is what the helper gives, unless it is [`UNKNOWN`].
    pub kept: Option<usize>,
}

/// Not asked for yet in this run; or just this number, which is then asked for each time.
pub const UNKNOWN: u64 = u64::MAX;

/// The function for the helper in a slot of the table, if it is such a one.
pub fn quick(index: u16) -> Option<Quick> {
    let id = helpers::id(index)?;
    ROWS.iter().find(|row| row.0 == id).map(|row| row.1)
}

const fn asked(function: unsafe extern "C" fn(*mut Rt) -> u64) -> Quick {
    Quick { function, kept: None }
}

const fn kept<const ID: u32, const PLACE: usize>() -> Quick {
    Quick { function: ask::<ID, PLACE>, kept: Some(KEPT + 8 * PLACE) }
}

/// By helper id.
const ROWS: &[(u32, Quick)] = &[
    (5, asked(ktime_ns)),
    (7, asked(prandom_u32)),
    (8, kept::<8, 0>()),
    (14, kept::<14, 1>()),
    (15, kept::<15, 2>()),
    (35, kept::<35, 3>()),
    (42, kept::<42, 4>()),
    (80, kept::<80, 5>()),
    (125, asked(boot_ns)),
    (160, asked(coarse_ns)),
    (208, asked(tai_ns)),
];

/// The words that [`Rt`] keeps.
pub(super) const PLACES: usize = 6;

macro_rules! hosts {
    ($($name:ident)*) => {
        $(unsafe extern "C" fn $name(rt: *mut Rt) -> u64 {
            // SAFETY: native code calls.
            let parts = unsafe { (*rt).parts() };
            parts.state.host.$name()
        })*
    };
}
hosts!(ktime_ns boot_ns coarse_ns tai_ns);

unsafe extern "C" fn prandom_u32(rt: *mut Rt) -> u64 {
    // SAFETY: native code calls.
    let parts = unsafe { (*rt).parts() };
    parts.state.host.prandom_u32().into()
}

/// What the helper of an id gives, which is kept.
unsafe extern "C" fn ask<const ID: u32, const PLACE: usize>(rt: *mut Rt) -> u64 {
    // SAFETY: native code calls.
    let (rt, parts) = unsafe { open(rt) };
    let call = &mut Call { program: parts.program, mem: parts.mem, state: parts.state };
    // None of them can fail.
    let value = helpers::call_by_id(ID, call).unwrap_or(0);
    rt.kept[PLACE] = value;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_helpers_without_arguments() {
        for (id, row) in ROWS {
            let proto = skep_abi::helper(*id).expect("a helper");
            assert!(proto.args.iter().all(Option::is_none), "helper {id}");
            assert!(row.kept.is_none_or(|at| (KEPT..KEPT + 8 * PLACES).contains(&at)));
            let index = (0..).find(|i| helpers::id(*i) == Some(*id)).expect("it has a body");
            assert!(quick(index).is_some());
        }
        let places: alloc::collections::BTreeSet<_> = ROWS.iter().filter_map(|row| row.1.kept).collect();
        assert_eq!(places.len(), PLACES, "each has a place of its own");
    }
}

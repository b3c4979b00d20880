//! What calls do to dynptrs.

use super::Fresh;
use crate::contract::{DynptrChange, Held};
use crate::state::{Dynptr, Reference, Reg, State};

/// Makes a dynptr, or ends those that stand for a reference. `void` becomes of what pointed to memory of theirs.
pub(super) fn change(s: &mut State, pc: usize, change: DynptrChange, void: &Reg, fresh: &mut Fresh) {
    match change {
        DynptrChange::Made { at, kind, reference } => {
            let id = fresh.id();
            let ref_id = match reference {
                Held::None => 0,
                Held::Shared(id) => id,
                Held::New => {
                    let id = fresh.id();
                    s.refs.push(Reference { id, pc });
                    id
                }
            };
            s.make_dynptr(at.frame, Dynptr { slot: at.slot, kind, id, ref_id }, void);
        }
        DynptrChange::Ended { ref_id } => {
            s.refs.retain(|r| r.id != ref_id);
            s.release_dynptrs(ref_id, void);
            s.for_each_reg(|r| {
                if r.ref_id == ref_id {
                    *r = void.clone();
                }
            });
        }
    }
}

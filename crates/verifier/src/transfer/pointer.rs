//! A pointer moved by a number.

use crate::domain::{Bits, Scalar};
use crate::state::{Kind, Reg};

/// `ptr + by`, or `ptr - by` if `minus`. `fresh` becomes the id of a packet pointer that moves by an unknown
/// amount.
///
/// A known amount goes to the fixed part if it stays within 32 bits. Otherwise the variable parts are added
/// modulo 2^64, as the machine does; a packet pointer loses its range, since that counts from the variable
/// part on.
pub(crate) fn moved(ptr: &Reg, by: &Scalar, minus: bool, fresh: u32) -> Reg {
    let mut out = ptr.clone();
    let known = by.as_const().map(|n| n as i64);
    let fixed = known.and_then(|n| {
        let off = i64::from(ptr.off);
        let sum = if minus { off.checked_sub(n) } else { off.checked_add(n) };
        sum.and_then(|n| i32::try_from(n).ok())
    });
    if let Some(off) = fixed {
        out.off = off;
        return out;
    }
    out.val = if minus { ptr.val.sub(Bits::B64, by) } else { ptr.val.add(Bits::B64, by) };
    match &mut out.kind {
        Kind::Packet { range } | Kind::PacketMeta { range } => {
            out.id = fresh;
            *range = 0;
        }
        _ => {}
    }
    out
}

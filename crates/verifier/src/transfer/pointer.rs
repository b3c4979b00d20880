//! A pointer moved by a number.

use crate::domain::{Bits, Scalar};
use crate::state::{Kind, Range, Reg};

/// `ptr + by`, or `ptr - by` if `minus`. `fresh` becomes the id of a packet pointer that moves by an unknown
/// amount.
///
/// A known amount goes to the fixed part if it stays within 32 bits. Otherwise the variable parts are added
/// modulo 2^64, as the machine does. A packet pointer's range counts from the variable part on: it is kept only
/// where that becomes smaller. It cannot wrap around: a range is shown where it is at most `PACKET_OFF`.
pub(crate) fn moved(ptr: &Reg, by: &Scalar, minus: bool, fresh: u32) -> Reg {
    let mut out = ptr.clone();
    if ptr.kind == Kind::Probed {
        return out;
    }
    let known = by.as_const().map(|n| n as i64);
    let fixed = known.and_then(|n| {
        let off = i64::from(ptr.off);
        let sum = if minus { off.checked_sub(n) } else { off.checked_add(n) };
        sum.and_then(|n| i32::try_from(n).ok())
    });
    if let Some(off) = fixed {
        if let Kind::Packet { range } = &mut out.kind {
            *range = range.moved(off < ptr.off);
        }
        out.off = off;
        return out;
    }
    let nearer = minus && by.smin() >= 0;
    out.val = if minus { ptr.val.sub(Bits::B64, by) } else { ptr.val.add(Bits::B64, by) };
    match &mut out.kind {
        Kind::Packet { range } => {
            out.id = fresh;
            *range = Range::Bytes(range.bytes().filter(|_| nearer).unwrap_or(0));
        }
        Kind::PacketMeta { range } => {
            out.id = fresh;
            *range = if nearer { *range } else { 0 };
        }
        _ => {}
    }
    out
}

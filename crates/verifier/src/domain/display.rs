//! The spelling of the Linux 6.18 verifier log (`print_reg_state`, `tnum_strn` in `kernel/bpf/log.c`).
//!
//! Numbers that fit 16 bits are decimal, others hexadecimal. Bounds at the limit of their type are left out,
//! and a bound equal to an earlier one of the same end shares its value: `smax=umax=255`.

use core::fmt::{self, Display, Formatter};

use super::scalar::Scalar;
use super::tnum::Tnum;

impl Display for Tnum {
    /// A constant as a number, anything else as `(value; mask)`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_const() {
            unsigned(f, self.value())
        } else {
            write!(f, "({:#x}; {:#x})", self.value(), self.mask())
        }
    }
}

impl Display for Scalar {
    /// A constant as a signed number, anything else as `scalar(…)`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(x) = self.as_const() {
            return signed(f, x);
        }
        f.write_str("scalar(")?;
        self.fmt_ranges(f, &mut "")?;
        f.write_str(")")
    }
}

impl Scalar {
    /// Writes bounds and known bits as they stand inside the brackets of a register, without those brackets:
    /// `smin=0,smax=umax=255,var_off=(0x0; 0xff)`.
    ///
    /// `separator` goes before the first item and is `","` afterwards if anything was written, so that a
    /// caller can put its own attributes (`id=3`, `off=8`) before. For a register with constant bits the
    /// kernel does not print this but the number.
    ///
    /// # Errors
    /// Only those of the writer.
    pub fn fmt_ranges(&self, f: &mut impl fmt::Write, separator: &mut &str) -> fmt::Result {
        // Sign extension is for decimals only: in hexadecimal a 32-bit bound is shown in 32 bits.
        let half = |x: i32| if is_decimal(i64::from(x)) { x as u64 } else { u64::from(x as u32) };
        let mut bounds = [
            Some(("smin", self.smin() as u64)).filter(|_| self.smin() != i64::MIN),
            Some(("smax", self.smax() as u64)).filter(|_| self.smax() != i64::MAX),
            Some(("umin", self.umin())).filter(|_| self.umin() != 0),
            Some(("umax", self.umax())).filter(|_| self.umax() != u64::MAX),
            Some(("smin32", half(self.s32_min()))).filter(|_| self.s32_min() != i32::MIN),
            Some(("smax32", half(self.s32_max()))).filter(|_| self.s32_max() != i32::MAX),
            Some(("umin32", u64::from(self.u32_min()))).filter(|_| self.u32_min() != 0),
            Some(("umax32", u64::from(self.u32_max()))).filter(|_| self.u32_max() != u32::MAX),
        ];
        let is_signed = |name: &str| name.starts_with('s');
        let is_negative = |name: &str, x: u64| is_signed(name) && (x as i64) < 0;
        for at in 0..bounds.len() {
            let Some((name, value)) = bounds[at].take() else { continue };
            write!(f, "{separator}{name}=")?;
            *separator = ",";
            for later in bounds[at..].iter_mut().step_by(2) {
                // An equal pattern is not an equal number if one is negative and the other is not.
                let same =
                    |&(n, x): &(&str, u64)| x == value && is_negative(n, x) == is_negative(name, value);
                if let Some((other, _)) = later.take_if(|bound| same(bound)) {
                    write!(f, "{other}=")?;
                }
            }
            if is_signed(name) { signed(f, value)? } else { unsigned(f, value)? }
        }
        if !self.tnum().is_unknown() {
            write!(f, "{separator}var_off={}", self.tnum())?;
            *separator = ",";
        }
        Ok(())
    }
}

fn is_decimal(x: i64) -> bool {
    i16::try_from(x).is_ok()
}

/// Writes a number as the log writes signed ones: decimal if it fits 16 bits, otherwise hexadecimal as 64 bits
/// of two's complement.
pub(super) fn signed(f: &mut impl fmt::Write, x: u64) -> fmt::Result {
    if is_decimal(x as i64) { write!(f, "{}", x as i64) } else { write!(f, "{x:#x}") }
}

/// Writes a number as the log writes unsigned ones: decimal if it fits 16 bits, otherwise hexadecimal.
fn unsigned(f: &mut impl fmt::Write, x: u64) -> fmt::Result {
    if u16::try_from(x).is_ok() { write!(f, "{x}") } else { write!(f, "{x:#x}") }
}

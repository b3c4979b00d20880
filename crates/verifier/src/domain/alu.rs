//! What each arithmetic operation does to a scalar.
//!
//! A 32-bit operation works on the low lane and zero-extends. A 64-bit operation works on the wide lane; where
//! the low half of the result depends only on the low halves of the operands (sums, products, bitwise
//! operations, shifts left), the low lane is worked out as well, and [`settle`] joins what both found. Sound:
//! each lane holds the concrete result of its width, by the argument at each function of `transfer`.

use super::lane::{Lane, sign_extend};
use super::scalar::{Bits, Scalar, settle};
use super::tnum::low_mask;

/// A binary operation; shifts take their amount modulo the width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Unsigned quotient; by zero it is 0.
    Div,
    /// Unsigned remainder; by zero it is the dividend.
    Mod,
    /// Signed quotient rounded towards zero; by zero it is 0, and the least value by -1 is itself.
    Sdiv,
    /// Signed remainder with the sign of the dividend; by zero it is the dividend.
    Smod,
    /// Bitwise or.
    Or,
    /// Bitwise and.
    And,
    /// Bitwise exclusive or.
    Xor,
    /// Shift left.
    Lsh,
    /// Logical shift right.
    Rsh,
    /// Arithmetic shift right.
    Arsh,
}

impl BinOp {
    /// All operations.
    pub const ALL: [BinOp; 13] = [
        BinOp::Add,
        BinOp::Sub,
        BinOp::Mul,
        BinOp::Div,
        BinOp::Mod,
        BinOp::Sdiv,
        BinOp::Smod,
        BinOp::Or,
        BinOp::And,
        BinOp::Xor,
        BinOp::Lsh,
        BinOp::Rsh,
        BinOp::Arsh,
    ];

    pub(super) fn apply(self, a: &Lane, b: &Lane) -> Lane {
        match self {
            BinOp::Add => a.add(b),
            BinOp::Sub => a.sub(b),
            BinOp::Mul => a.mul(b),
            BinOp::Div => a.div(b),
            BinOp::Mod => a.modulo(b),
            BinOp::Sdiv => a.sdiv(b),
            BinOp::Smod => a.smodulo(b),
            BinOp::Or => a.or(b),
            BinOp::And => a.and(b),
            BinOp::Xor => a.xor(b),
            BinOp::Lsh => a.lsh(b),
            BinOp::Rsh => a.rsh(b),
            BinOp::Arsh => a.arsh(b),
        }
    }

    /// The result for two numbers; `None` for division, which is left to the lanes.
    fn of_constants(self, bits: Bits, x: u64, y: u64) -> Option<u64> {
        let (x, width) = match bits {
            Bits::B32 => (x & low_mask(32), 32),
            Bits::B64 => (x, 64),
        };
        let amount = y as u32 % width;
        let result = match self {
            BinOp::Add => x.wrapping_add(y),
            BinOp::Sub => x.wrapping_sub(y),
            BinOp::Mul => x.wrapping_mul(y),
            BinOp::Or => x | y,
            BinOp::And => x & y,
            BinOp::Xor => x ^ y,
            BinOp::Lsh => x << amount,
            BinOp::Rsh => x >> amount,
            BinOp::Arsh => (sign_extend(x, width) >> amount) as u64,
            BinOp::Div | BinOp::Mod | BinOp::Sdiv | BinOp::Smod => return None,
        };
        Some(result & low_mask(width))
    }

    /// Whether every value can be the result, where every value can be the left operand: each value of the right one then
    /// gives them all, or `all` values of it together do.
    fn fills(self, all: bool) -> bool {
        match self {
            BinOp::Add | BinOp::Sub | BinOp::Xor => true,
            BinOp::Mul | BinOp::Or | BinOp::And => all,
            BinOp::Div | BinOp::Mod | BinOp::Sdiv | BinOp::Smod | BinOp::Lsh | BinOp::Rsh | BinOp::Arsh => {
                false
            }
        }
    }

    /// The low half of a 64-bit result, where it follows from the low halves of the operands.
    fn low_half(self, a: &Scalar, b: &Scalar) -> Lane {
        match self {
            BinOp::Add | BinOp::Sub | BinOp::Mul | BinOp::Or | BinOp::And | BinOp::Xor => {
                self.apply(&a.lane32(), &b.lane32())
            }
            // A 64-bit shift by 32 and more is not the 32-bit shift by the amount modulo 32.
            BinOp::Lsh if b.umax() < 32 => self.apply(&a.lane32(), &b.lane32()),
            BinOp::Lsh | BinOp::Rsh | BinOp::Arsh => Lane::unknown(32),
            BinOp::Div | BinOp::Mod | BinOp::Sdiv | BinOp::Smod => Lane::unknown(32),
        }
    }
}

impl Scalar {
    /// The result of `op` on `self` (the destination) and `rhs`.
    ///
    /// 32-bit results are zero-extended. What each operation keeps and loses is said in `domain/transfer.rs`.
    pub fn binary(&self, op: BinOp, bits: Bits, rhs: &Scalar) -> Scalar {
        if let (Some(x), Some(y)) = (self.as_const(), rhs.as_const())
            && let Some(result) = op.of_constants(bits, x, y)
        {
            return Scalar::known(result);
        }
        if self.is_unknown() && op.fills(rhs.is_unknown()) {
            return Scalar::UNKNOWN.truncate(bits.count());
        }
        match bits {
            Bits::B32 => zero_extended(op.apply(&self.lane32(), &rhs.lane32())),
            Bits::B64 => joined(self.wide_result(op, rhs), op.low_half(self, rhs)),
        }
    }

    /// The 64-bit lane of a 64-bit result.
    fn wide_result(&self, op: BinOp, rhs: &Scalar) -> Lane {
        if op == BinOp::Lsh {
            // Only low bits are left, of which the low lane can know more.
            if let Some(amount) = rhs.lane64().amount().filter(|&amount| amount >= 32) {
                return self.low_lane(64 - amount).append_zeros(amount);
            }
        }
        op.apply(&self.lane64(), &rhs.lane64())
    }

    /// Sum; [`Scalar::binary`] with [`BinOp::Add`]. Also what pointer arithmetic does to a variable offset.
    #[allow(clippy::should_implement_trait)]
    pub fn add(&self, bits: Bits, rhs: &Scalar) -> Scalar {
        self.binary(BinOp::Add, bits, rhs)
    }

    /// Difference; [`Scalar::binary`] with [`BinOp::Sub`].
    #[allow(clippy::should_implement_trait)]
    pub fn sub(&self, bits: Bits, rhs: &Scalar) -> Scalar {
        self.binary(BinOp::Sub, bits, rhs)
    }

    /// Negation: `0 - self`.
    #[allow(clippy::should_implement_trait)]
    pub fn neg(&self, bits: Bits) -> Scalar {
        Scalar::known(0).sub(bits, self)
    }

    /// A move of the given width: all of it, or the low half zero-extended.
    pub fn mov(&self, bits: Bits) -> Scalar {
        match bits {
            Bits::B32 => self.truncate(32),
            Bits::B64 => *self,
        }
    }

    /// A sign-extending move of the low `from` bits (8, 16 or 32) to the given width, then zero-extended.
    ///
    /// Keeps the signed bounds and known bits of the low `from` bits. Moves with `from` equal to the width are
    /// plain moves.
    pub fn movsx(&self, bits: Bits, from: u32) -> Scalar {
        let low = self.low_lane(from);
        match bits {
            Bits::B32 => zero_extended(low.sign_extend(32)),
            Bits::B64 if from == 32 => joined(low.sign_extend(64), low),
            Bits::B64 => joined(low.sign_extend(64), low.sign_extend(32)),
        }
    }

    /// The low `bits` bits (8, 16, 32 or 64), zero-extended: a narrow load, or the kernel's
    /// `coerce_reg_to_size`.
    pub fn truncate(&self, bits: u32) -> Scalar {
        match bits {
            64 => *self,
            _ if self.umax() <= low_mask(bits) => *self,
            _ if self.is_unknown() => Scalar::below(bits),
            32 => zero_extended(self.lane32()),
            _ => zero_extended(self.low_lane(bits).zero_extend(32)),
        }
    }

    /// The low `bits` bits (16, 32 or 64) with their bytes reversed, zero-extended (`bswap16` and so on).
    ///
    /// Keeps known bits exactly and so folds constants; loses all other bounds, as Linux 6.18.44 does.
    pub fn bswap(&self, bits: u32) -> Scalar {
        match bits {
            64 => joined(self.lane64().reverse_bytes(64), Lane::unknown(32)),
            _ => zero_extended(self.lane32().reverse_bytes(bits)),
        }
    }

    /// The low `bits` bits (16, 32 or 64) converted to little endian on a machine that is itself big endian
    /// or not, zero-extended (`le16` and so on).
    pub fn to_le(&self, bits: u32, big_endian_machine: bool) -> Scalar {
        if big_endian_machine { self.bswap(bits) } else { self.truncate(bits) }
    }

    /// The low `bits` bits (16, 32 or 64) converted to big endian, zero-extended (`be16` and so on).
    pub fn to_be(&self, bits: u32, big_endian_machine: bool) -> Scalar {
        self.to_le(bits, !big_endian_machine)
    }

    /// The low `bits` bits (at most 32) as a lane of that width, from what both lanes know.
    fn low_lane(&self, bits: u32) -> Lane {
        let low = self.lane32().truncate(bits);
        low.meet(&self.lane64().truncate(bits)).unwrap_or(low)
    }
}

/// A reduced 32-bit result in a 64-bit register. Exact, and tight: the wide lane says what the low one says without its
/// sign.
fn zero_extended(low: Lane) -> Scalar {
    Scalar::from_low(&low)
}

fn joined(wide: Lane, low: Lane) -> Scalar {
    let settled = settle(wide, low);
    #[cfg(test)]
    assert!(settled.is_some(), "a transfer lost all members: {wide:?} {low:?}");
    // Both lanes hold the concrete result, so there is a member; "anything" would be sound in any case.
    settled.unwrap_or(Scalar::UNKNOWN)
}

//! What operations compute, against definitions of another kind: unbounded integers, single bits, bytes.

mod common;

use common::random;
use skep_isa::{AluOp, AtomicOp, Endian, JumpOp, Size, SwapKind, Width, eval};

const ALU: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Sdiv,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Smod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];
const JUMPS: [JumpOp; 11] = [
    JumpOp::Eq,
    JumpOp::Ne,
    JumpOp::Set,
    JumpOp::Gt,
    JumpOp::Ge,
    JumpOp::Lt,
    JumpOp::Le,
    JumpOp::Sgt,
    JumpOp::Sge,
    JumpOp::Slt,
    JumpOp::Sle,
];
const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];
const WIDTHS: [Width; 2] = [Width::W32, Width::W64];

fn bits(width: Width) -> u32 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

/// All neighbours of 0, of the powers of two and of their negatives.
fn edges() -> Vec<u64> {
    let mut all: Vec<u64> = (0..64)
        .flat_map(|n| (-1i64..=1).map(move |d| (1u64 << n).wrapping_add_signed(d)))
        .flat_map(|v| [v, v.wrapping_neg()])
        .chain([0, 33, 1000, 0x1234_5678_9abc_def0])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Every pair of edges, and as many pairs of random numbers.
fn for_pairs(mut check: impl FnMut(u64, u64)) {
    let edges = edges();
    let mut rng = random(17);
    for &a in &edges {
        for &b in &edges {
            check(a, b);
            check(rng(), rng() >> (rng() & 63));
        }
    }
}

/// The value modulo 2^n.
fn unsigned(n: u32, value: u64) -> i128 {
    i128::from(value).rem_euclid(1 << n)
}

/// The number between -2^(n-1) and 2^(n-1) - 1 that is the same modulo 2^n.
fn signed(n: u32, value: u64) -> i128 {
    let v = unsigned(n, value);
    if v >= 1 << (n - 1) { v - (1 << n) } else { v }
}

fn bitwise(n: u32, a: u64, b: u64, f: impl Fn(bool, bool) -> bool) -> i128 {
    (0..n).filter(|i| f(a >> i & 1 == 1, b >> i & 1 == 1)).map(|i| 1i128 << i).sum()
}

/// Quotient and remainder by magnitude, signs applied afterwards.
fn divide(a: i128, b: i128) -> (i128, i128) {
    let (q, r) = (a.abs() / b.abs(), a.abs() % b.abs());
    (if (a < 0) == (b < 0) { q } else { -q }, if a < 0 { -r } else { r })
}

fn alu_by_definition(op: AluOp, n: u32, a: u64, b: u64) -> u64 {
    let (ua, ub, sa, sb) = (unsigned(n, a), unsigned(n, b), signed(n, a), signed(n, b));
    let power = 1i128 << (ub % i128::from(n));
    let result = match op {
        AluOp::Add => ua + ub,
        AluOp::Sub => ua - ub,
        // By the signed values: congruent, and small enough for 128 bits.
        AluOp::Mul => sa * sb,
        AluOp::Div => {
            if ub == 0 {
                0
            } else {
                divide(ua, ub).0
            }
        }
        AluOp::Sdiv => {
            if sb == 0 {
                0
            } else {
                divide(sa, sb).0
            }
        }
        AluOp::Mod => {
            if ub == 0 {
                ua
            } else {
                divide(ua, ub).1
            }
        }
        AluOp::Smod => {
            if sb == 0 {
                sa
            } else {
                divide(sa, sb).1
            }
        }
        AluOp::Or => bitwise(n, a, b, |x, y| x || y),
        AluOp::And => bitwise(n, a, b, |x, y| x && y),
        AluOp::Xor => bitwise(n, a, b, |x, y| x != y),
        AluOp::Lsh => ua * power,
        AluOp::Rsh => ua / power,
        AluOp::Arsh => sa.div_euclid(power),
        AluOp::Mov => ub,
    };
    result.rem_euclid(1 << n) as u64
}

#[test]
fn alu() {
    for_pairs(|a, b| {
        for width in WIDTHS {
            for op in ALU {
                let want = alu_by_definition(op, bits(width), a, b);
                assert_eq!(eval::alu(op, width, a, b), want, "{op:?} {width:?} {a:#x} {b:#x}");
            }
        }
    });
}

#[test]
fn the_corners_that_rfc_9669_names() {
    let (min32, min64) = (1u64 << 31, 1u64 << 63);
    assert_eq!(eval::alu(AluOp::Div, Width::W64, 5, 0), 0);
    assert_eq!(eval::alu(AluOp::Sdiv, Width::W32, 5, 1 << 32), 0);
    assert_eq!(eval::alu(AluOp::Mod, Width::W64, 5, 0), 5);
    // A 32-bit remainder by zero keeps only the low half of dst.
    assert_eq!(eval::alu(AluOp::Mod, Width::W32, 0xf_0000_0005, 0), 5);
    assert_eq!(eval::alu(AluOp::Smod, Width::W32, 0xf_0000_0005, 0), 5);
    assert_eq!(eval::alu(AluOp::Sdiv, Width::W64, min64, u64::MAX), min64);
    assert_eq!(eval::alu(AluOp::Sdiv, Width::W32, min32, u64::MAX), min32);
    assert_eq!(eval::alu(AluOp::Smod, Width::W64, min64, u64::MAX), 0);
    // -13 s% 3 is -1, with the dividend's sign.
    assert_eq!(eval::alu(AluOp::Smod, Width::W64, -13i64 as u64, 3), -1i64 as u64);
    assert_eq!(eval::alu(AluOp::Lsh, Width::W32, 1, 33), 2);
    assert_eq!(eval::alu(AluOp::Lsh, Width::W64, 1, 65), 2);
    assert_eq!(eval::alu(AluOp::Mov, Width::W32, 0, u64::MAX), 0xffff_ffff);
}

#[test]
fn negation_and_extension() {
    for a in edges() {
        for width in WIDTHS {
            let n = bits(width);
            assert_eq!(eval::neg(width, a), (-unsigned(n, a)).rem_euclid(1 << n) as u64, "{a:#x}");
            for from in SIZES.into_iter().filter(|s| s.bits() <= n) {
                let want = signed(from.bits(), a).rem_euclid(1 << n) as u64;
                assert_eq!(eval::movsx(width, from, a), want, "{from:?} {width:?} {a:#x}");
            }
        }
        for size in SIZES {
            assert_eq!(eval::sign_extend(size, a), signed(size.bits(), a) as i64 as u64);
            assert_eq!(eval::zero_extend(size, a), unsigned(size.bits(), a) as u64);
        }
    }
}

#[test]
fn byte_order() {
    for a in edges() {
        for size in [Size::H, Size::W, Size::DW] {
            let n = size.bytes();
            let mut reversed = [0; 8];
            for (i, byte) in a.to_le_bytes()[..n].iter().enumerate() {
                reversed[n - 1 - i] = *byte;
            }
            let swapped = u64::from_le_bytes(reversed);
            let same = unsigned(size.bits(), a) as u64;
            for (kind, little, big) in [
                (SwapKind::Bswap, swapped, swapped),
                (SwapKind::Le, same, swapped),
                (SwapKind::Be, swapped, same),
            ] {
                assert_eq!(eval::swap(kind, size, Endian::Little, a), little, "{kind:?} {size:?} {a:#x}");
                assert_eq!(eval::swap(kind, size, Endian::Big, a), big, "{kind:?} {size:?} {a:#x}");
            }
        }
    }
}

#[test]
fn comparisons() {
    for_pairs(|a, b| {
        for width in WIDTHS {
            let n = bits(width);
            let (ua, ub, sa, sb) = (unsigned(n, a), unsigned(n, b), signed(n, a), signed(n, b));
            for op in JUMPS {
                let want = match op {
                    JumpOp::Eq => ua == ub,
                    JumpOp::Ne => ua != ub,
                    JumpOp::Set => bitwise(n, a, b, |x, y| x && y) > 0,
                    JumpOp::Gt => ua > ub,
                    JumpOp::Ge => ua >= ub,
                    JumpOp::Lt => ua < ub,
                    JumpOp::Le => ua <= ub,
                    JumpOp::Sgt => sa > sb,
                    JumpOp::Sge => sa >= sb,
                    JumpOp::Slt => sa < sb,
                    JumpOp::Sle => sa <= sb,
                };
                assert_eq!(eval::jump(op, width, a, b), want, "{op:?} {width:?} {a:#x} {b:#x}");
            }
        }
    });
}

#[test]
fn atomics() {
    for_pairs(|old, src| {
        for size in [Size::W, Size::DW] {
            let n = size.bits();
            let kept = unsigned(n, old) as u64;
            let stored = unsigned(n, src) as u64;
            let result = |new, fetch: bool| eval::Atomic { new, returned: fetch.then_some(kept) };
            for fetch in [false, true] {
                for (op, alu) in [
                    (AtomicOp::Add { fetch }, AluOp::Add),
                    (AtomicOp::Or { fetch }, AluOp::Or),
                    (AtomicOp::And { fetch }, AluOp::And),
                    (AtomicOp::Xor { fetch }, AluOp::Xor),
                ] {
                    let want = result(alu_by_definition(alu, n, old, src), fetch);
                    assert_eq!(eval::atomic(op, size, old, src, 1), want, "{op:?} {size:?}");
                }
            }
            assert_eq!(eval::atomic(AtomicOp::Xchg, size, old, src, 1), result(stored, true));
            let hit = eval::atomic(AtomicOp::Cmpxchg, size, old, src, old);
            assert_eq!(hit, result(stored, true));
            let miss = eval::atomic(AtomicOp::Cmpxchg, size, old, src, old ^ 1);
            assert_eq!(miss, result(kept, true));
            // Only the low half of r0 is compared with 4 bytes of memory.
            let high = eval::atomic(AtomicOp::Cmpxchg, size, old, src, old ^ 1 << 40);
            assert_eq!(high.new, if size == Size::W { stored } else { kept });
        }
    });
}

//! Full-width properties, with the edges of 8, 16, 31, 32, 63 and 64 bits drawn often.

extern crate std;

use proptest::prelude::*;
use std::vec::Vec;

use super::{concrete, width_of};
use crate::domain::{BinOp, Bits, Cmp, Scalar, Tnum};

const BITS: [Bits; 2] = [Bits::B32, Bits::B64];

/// A number, most of the time near a power of two or its negation.
fn number() -> impl Strategy<Value = u64> {
    let edge =
        (prop::sample::select(std::vec![0u32, 7, 8, 15, 16, 31, 32, 33, 62, 63]), -3i64..=3, any::<bool>())
            .prop_map(|(bit, delta, negative)| {
                let base: u64 = if bit == 0 { 0 } else { 1u64 << bit };
                let x = base.wrapping_add(delta as u64);
                if negative { x.wrapping_neg() } else { x }
            });
    prop_oneof![4 => edge, 2 => any::<u64>(), 2 => (0u32..64, any::<u64>()).prop_map(|(n, x)| x >> n), 1 => 0u64..70]
}

fn around<T: Ord + Copy>(x: T, a: T, b: T) -> (T, T) {
    (x.min(a).min(b), x.max(a).max(b))
}

/// A scalar and one of its members: each component is loose or drawn around the member.
fn scalar_with_member() -> impl Strategy<Value = (Scalar, u64)> {
    let bound = || (number(), number());
    (number(), number(), bound(), bound(), bound(), bound(), 0u8..64).prop_map(
        |(x, mask, u64s, s64s, u32s, s32s, used)| {
            let on = |bit: u8| used & (1 << bit) != 0;
            let tnum = if on(0) { Tnum::new(x & !mask, mask).unwrap() } else { Tnum::UNKNOWN };
            let scalar = Scalar::from_all_parts(
                tnum,
                if on(1) { around(x, u64s.0, if on(5) { x } else { u64s.1 }) } else { (0, u64::MAX) },
                if on(2) {
                    around(x as i64, s64s.0 as i64, if on(5) { x as i64 } else { s64s.1 as i64 })
                } else {
                    (i64::MIN, i64::MAX)
                },
                if on(3) { around(x as u32, u32s.0 as u32, u32s.1 as u32) } else { (0, u32::MAX) },
                if on(4) { around(x as i32, s32s.0 as i32, s32s.1 as i32) } else { (i32::MIN, i32::MAX) },
            );
            (scalar.expect("the member is in every part"), x)
        },
    )
}

/// No bound in the wrong order, and every bound is itself within the others.
fn well_formed(s: &Scalar) {
    assert!(s.umin() <= s.umax() && s.smin() <= s.smax(), "{s:?}");
    assert!(s.u32_min() <= s.u32_max() && s.s32_min() <= s.s32_max(), "{s:?}");
    assert_eq!(s.tnum().value() & s.tnum().mask(), 0);
    assert_eq!(s.is_const(), s.umin() == s.umax(), "{s:?}");
    for end in [s.umin(), s.umax(), s.smin() as u64, s.smax() as u64] {
        assert!(s.has(end), "{s:?} has no {end:#x}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn normalising_keeps_members((s, x) in scalar_with_member()) {
        well_formed(&s);
        prop_assert!(s.has(x));
        prop_assert_eq!(s.normalize(), Some(s), "normalising again changes nothing");
    }

    #[test]
    fn alu_results_contain_concrete_results((a, x) in scalar_with_member(), (b, y) in scalar_with_member()) {
        for bits in BITS {
            for op in BinOp::ALL {
                let result = a.binary(op, bits, &b);
                let expected = concrete(op, width_of(bits), x, y);
                well_formed(&result);
                prop_assert!(result.has(expected), "{op:?} {bits:?} {a} {b} = {result}, not {expected:#x}");
            }
        }
    }

    #[test]
    fn constants_fold_exactly(x in number(), y in number()) {
        for bits in BITS {
            for op in BinOp::ALL {
                let result = Scalar::known(x).binary(op, bits, &Scalar::known(y));
                prop_assert_eq!(result.as_const(), Some(concrete(op, width_of(bits), x, y)), "{:?} {:?}", op, bits);
            }
        }
    }

    #[test]
    fn unary_results_contain_concrete_results((a, x) in scalar_with_member()) {
        let holds = |result: Scalar, expected: u64| {
            well_formed(&result);
            assert!(result.has(expected), "{a} = {result}, not {expected:#x}");
        };
        holds(a.neg(Bits::B64), x.wrapping_neg());
        holds(a.neg(Bits::B32), u64::from((x as u32).wrapping_neg()));
        holds(a.mov(Bits::B32), u64::from(x as u32));
        holds(a.movsx(Bits::B64, 8), x as i8 as u64);
        holds(a.movsx(Bits::B64, 16), x as i16 as u64);
        holds(a.movsx(Bits::B64, 32), x as i32 as u64);
        holds(a.movsx(Bits::B32, 8), u64::from(x as i8 as u32));
        holds(a.movsx(Bits::B32, 16), u64::from(x as i16 as u32));
        holds(a.truncate(8), u64::from(x as u8));
        holds(a.truncate(16), u64::from(x as u16));
        holds(a.truncate(32), u64::from(x as u32));
        holds(a.truncate(64), x);
        holds(a.bswap(16), u64::from((x as u16).swap_bytes()));
        holds(a.bswap(32), u64::from((x as u32).swap_bytes()));
        holds(a.bswap(64), x.swap_bytes());
        holds(a.to_be(16, false), u64::from((x as u16).swap_bytes()));
        holds(a.to_be(16, true), u64::from(x as u16));
        holds(a.to_le(32, true), u64::from((x as u32).swap_bytes()));
    }

    #[test]
    fn refinement_keeps_pairs_on_their_side((a, x) in scalar_with_member(), (b, y) in scalar_with_member()) {
        for bits in BITS {
            for cmp in Cmp::ALL {
                let taken = cmp.holds(bits, x, y);
                let sides = cmp.branches(bits, &a, &b);
                let (p, q) = if taken { sides.taken } else { sides.not_taken }
                    .unwrap_or_else(|| panic!("{cmp:?} {bits:?} {a} {b}: {x:#x}, {y:#x} is possible"));
                prop_assert!(p.has(x) && q.has(y), "{cmp:?} {bits:?} {taken} {a} {b} = {p} {q}");
                prop_assert_ne!(cmp.decide(bits, &a, &b), Some(!taken));
                for (p, q) in [sides.taken, sides.not_taken].into_iter().flatten() {
                    well_formed(&p);
                    well_formed(&q);
                    prop_assert!(a.contains(&p) && b.contains(&q), "{cmp:?} widened {a} {b} to {p} {q}");
                }
            }
        }
    }

    #[test]
    fn comparison_of_constants_is_decided(x in number(), y in number()) {
        for bits in BITS {
            for cmp in Cmp::ALL {
                let sides = cmp.branches(bits, &Scalar::known(x), &Scalar::known(y));
                prop_assert_eq!(sides.decided(), Some(cmp.holds(bits, x, y)), "{:?} {:?}", cmp, bits);
            }
        }
    }

    #[test]
    fn lattice_laws((a, x) in scalar_with_member(), (b, y) in scalar_with_member()) {
        let join = a.join(&b);
        well_formed(&join);
        prop_assert!(join.has(x) && join.has(y));
        prop_assert!(a.contains(&a) && Scalar::UNKNOWN.contains(&a));
        prop_assert_eq!(a.join(&a), a);
        prop_assert_eq!(a.join(&b), b.join(&a));
        if a.contains(&b) {
            prop_assert!(a.has(y));
        }
        match a.meet(&b) {
            Some(meet) => {
                well_formed(&meet);
                prop_assert!(a.contains(&meet) && b.contains(&meet));
                prop_assert_eq!(meet.has(x), b.has(x));
            }
            None => prop_assert!(!b.has(x) && !a.has(y)),
        }
    }

    #[test]
    fn tnum_results_contain_concrete_results(
        x in number(), y in number(), m in number(), n in number(), amount in 0u32..64
    ) {
        let (a, b) = (Tnum::new(x & !m, m).unwrap(), Tnum::new(y & !n, n).unwrap());
        prop_assert!(a.add(b).has(x.wrapping_add(y)));
        prop_assert!(a.sub(b).has(x.wrapping_sub(y)));
        prop_assert!(a.mul(b).has(x.wrapping_mul(y)));
        prop_assert!(a.and(b).has(x & y));
        prop_assert!(a.or(b).has(x | y));
        prop_assert!(a.xor(b).has(x ^ y));
        prop_assert!(a.neg().has(x.wrapping_neg()));
        prop_assert!(a.lsh(amount).has(x << amount));
        prop_assert!(a.rsh(amount).has(x >> amount));
        prop_assert!(a.arsh(amount, 64).has((x as i64 >> amount) as u64));
        prop_assert!(a.arsh(amount % 32, 32).has(u64::from((x as i32 >> (amount % 32)) as u32)));
        prop_assert!(a.sign_extend(32).has(x as i32 as u64));
        prop_assert!(a.reverse_bytes(64).has(x.swap_bytes()));
        prop_assert!(a.with_subreg(b).has((x >> 32 << 32) | (y & 0xffff_ffff)));
        prop_assert!(a.cast(2).has(x & 0xffff));
        prop_assert!(a.next_member(y).is_none_or(|z| z >= y && a.has(z)));
        prop_assert!(a.prev_member(y).is_none_or(|z| z <= y && a.has(z)));
        if x >= y {
            prop_assert!(a.next_member(y).is_some_and(|z| z <= x));
        } else {
            prop_assert!(a.prev_member(y).is_some_and(|z| z >= x));
        }
    }
}

/// 512 cases of each property; `SKEP_DOMAIN_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("SKEP_DOMAIN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512)
}

#[test]
fn the_generator_draws_what_it_promises() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let drawn: Vec<_> =
        (0..2000).map(|_| scalar_with_member().new_tree(&mut runner).unwrap().current().0).collect();
    let share = |test: fn(&Scalar) -> bool| drawn.iter().filter(|s| test(s)).count();
    assert!(share(Scalar::is_const) < 1000);
    assert!(share(|s| s.smin() < 0 && s.smax() >= 0) > 200, "across the 64-bit sign");
    assert!(share(|s| s.s32_min() < 0 && s.s32_max() >= 0) > 200, "across the 32-bit sign");
    assert!(share(|s| s.umin() > 0 && s.umax() > 1 << 32 && s.umax() < u64::MAX) > 100);
    assert!(share(|s| s.u32_max() < u32::MAX && s.umax() > 1 << 32) > 100);
    assert!(share(|s| s.umax() < 64) > 20, "shift amounts");
}

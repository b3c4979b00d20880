//! Narrow words, exhausted: every tnum of five bits, every lane of four bits, eight bits over four.

extern crate std;

use std::vec::Vec;

use super::concrete;
use crate::domain::lane::Lane;
use crate::domain::scalar::tighten;
use crate::domain::{BinOp, Cmp, Tnum};

fn mask(width: u32) -> u64 {
    (1 << width) - 1
}

fn tnums(width: u32) -> impl Iterator<Item = Tnum> {
    (0..=mask(width)).flat_map(move |v| (0..=mask(width)).filter_map(move |m| Tnum::new(v, m)))
}

fn members(width: u32, t: Tnum) -> Vec<u64> {
    (0..=mask(width)).filter(|&x| t.has(x)).collect()
}

/// The smallest tnum with all of `values`.
fn best(values: impl Iterator<Item = u64>) -> Tnum {
    let (ones, possible) = values.fold((u64::MAX, 0), |(ones, possible), x| (ones & x, possible | x));
    Tnum::new(ones, possible & !ones).unwrap()
}

#[test]
fn binary_tnum_operations_are_exact_per_bit_in_five_bits() {
    type Abstract = fn(Tnum, Tnum) -> Tnum;
    let operations: [(BinOp, Abstract); 5] = [
        (BinOp::Add, Tnum::add),
        (BinOp::Sub, Tnum::sub),
        (BinOp::And, Tnum::and),
        (BinOp::Or, Tnum::or),
        (BinOp::Xor, Tnum::xor),
    ];
    let all: Vec<_> = tnums(5).map(|t| (t, members(5, t))).collect();
    for (a, xs) in &all {
        for (b, ys) in &all {
            for (op, abstract_op) in operations {
                let pairs = xs.iter().flat_map(|&x| ys.iter().map(move |&y| concrete(op, 5, x, y)));
                assert_eq!(abstract_op(*a, *b).low(5), best(pairs), "{op:?} {a} {b}");
            }
            let product = a.mul_width(5, *b);
            assert!(
                xs.iter().all(|x| ys.iter().all(|y| product.has((x * y) & mask(5)))),
                "{a} * {b} = {product}"
            );
            assert_eq!(a.join(*b), best(xs.iter().chain(ys).copied()), "{a} join {b}");
            let common: Vec<_> = xs.iter().filter(|x| b.has(**x)).copied().collect();
            assert_eq!(
                a.meet(*b),
                (!common.is_empty()).then(|| best(common.iter().copied())),
                "{a} meet {b}"
            );
            assert_eq!(a.overlaps(*b), !common.is_empty());
            assert_eq!(a.contains(*b), ys.iter().all(|y| a.has(*y)));
        }
    }
}

#[test]
fn known_bits_alone_bound_as_their_members_do() {
    let signed = |x: u64, width: u32| ((x << (64 - width)) as i64) >> (64 - width);
    for width in 1..=6 {
        for t in tnums(width) {
            let xs = members(width, t);
            let lane = Lane::from_tnum(width, t);
            let unsigned = (*xs.iter().min().unwrap(), *xs.iter().max().unwrap());
            let sorted = |x: &u64| signed(*x, width);
            let ends = (xs.iter().map(sorted).min().unwrap(), xs.iter().map(sorted).max().unwrap());
            assert_eq!((lane.umin, lane.umax), unsigned, "{t}");
            assert_eq!(((lane.smin, lane.smax), lane.tnum), (ends, t), "{t}");
        }
    }
}

#[test]
fn a_product_is_no_worse_than_either_order() {
    use crate::domain::rules::{Bv, Known, known_mul};
    let known = |t: Tnum| Known { value: Bv::new(5, t.value()), mask: Bv::new(5, t.mask()) };
    for a in tnums(5) {
        for b in tnums(5) {
            let one = known_mul(5, &known(a), &known(b));
            let one = Tnum::new(one.value.bits, one.mask.bits).unwrap();
            assert!(one.contains(a.mul_width(5, b)), "{a} {b}");
            assert_eq!(a.mul_width(5, b), b.mul_width(5, a));
        }
    }
}

#[test]
fn unary_tnum_operations_are_exact_per_bit_in_five_bits() {
    for t in tnums(5) {
        let xs = members(5, t);
        let image = |f: &dyn Fn(u64) -> u64| best(xs.iter().map(|&x| f(x)));
        for n in 0..5 {
            assert_eq!(t.lsh(n), image(&|x| x << n));
            assert_eq!(t.rsh(n), image(&|x| x >> n));
            assert_eq!(t.arsh(n, 5), image(&|x| concrete(BinOp::Arsh, 5, x, u64::from(n))));
        }
        assert_eq!(t.neg().low(5), image(&|x| x.wrapping_neg() & mask(5)));
        assert_eq!(t.sign_extend(5), image(&|x| if x & 16 == 0 { x } else { x | !mask(5) }));
        assert_eq!(t.is_aligned(4), xs.iter().all(|x| x % 4 == 0));
        for from in 0..=mask(5) {
            assert_eq!(t.next_member(from), xs.iter().find(|&&x| x >= from).copied(), "{t} from {from}");
            assert_eq!(t.prev_member(from), xs.iter().rfind(|&&x| x <= from).copied(), "{t} to {from}");
            let range = if t.value() <= from { t.value()..=from } else { from..=t.value() };
            assert_eq!(Tnum::range(*range.start(), *range.end()).max() & !mask(5), 0);
            assert!(range.clone().all(|x| Tnum::range(*range.start(), *range.end()).has(x)));
        }
    }
}

#[test]
fn reversed_tnums_are_exact_in_six_bits() {
    use crate::domain::rules::move_bits::{known_reversed, reversed};
    use crate::domain::rules::{Bv, Known};
    // Three pieces of two bits, and two of them below two bits that go.
    for (count, x, back) in [(3, 0b01_10_11, 0b11_10_01), (2, 0b01_10_11, 0b00_11_10)] {
        assert_eq!(reversed(&Bv::new(6, x), count, 2).bits, back);
        for t in tnums(6) {
            let known = Known { value: Bv::new(6, t.value()), mask: Bv::new(6, t.mask()) };
            let result = known_reversed(&known, count, 2);
            let result = Tnum::new(result.value.bits, result.mask.bits).unwrap();
            let image = members(6, t).into_iter().map(|x| reversed(&Bv::new(6, x), count, 2).bits);
            assert_eq!(result, best(image), "{t}");
        }
    }
}

/// Every way to give bounds and bits in four bits, reduced: the distinct results, with their members.
fn lanes() -> Vec<(Lane, Vec<u64>)> {
    let mut found = std::collections::HashMap::new();
    for tnum in tnums(4) {
        for (umin, umax) in ranges(0, 15) {
            for (smin, smax) in ranges(-8, 7) {
                let raw = Lane { width: 4, tnum, umin: umin as u64, umax: umax as u64, smin, smax };
                let members: Vec<_> = (0..16).filter(|&x| raw.has(x)).collect();
                match raw.reduce() {
                    None => assert!(members.is_empty(), "{raw:?} has {members:?}"),
                    Some(lane) => {
                        check_reduced(&lane, &members);
                        let Lane { tnum, umin, umax, smin, smax, .. } = lane;
                        found.insert((tnum, umin, umax, smin, smax), (lane, members));
                    }
                }
            }
        }
    }
    let mut lanes: Vec<_> = found.into_values().collect();
    lanes.sort_by_key(|(l, _)| (l.tnum.value(), l.tnum.mask(), l.umin, l.umax, l.smin));
    lanes
}

fn ranges(least: i64, most: i64) -> impl Iterator<Item = (i64, i64)> {
    (least..=most).flat_map(move |lo| (lo..=most).map(move |hi| (lo, hi)))
}

/// Reduction is exact on bounds: each is the least or greatest member. No member is lost.
fn check_reduced(lane: &Lane, members: &[u64]) {
    let signed = |x: u64| if x >= 8 { x as i64 - 16 } else { x as i64 };
    assert!(members.iter().all(|&x| lane.has(x)), "{lane:?} lost one of {members:?}");
    assert_eq!(members.iter().min(), Some(&lane.umin));
    assert_eq!(members.iter().max(), Some(&lane.umax));
    assert_eq!(members.iter().map(|&x| signed(x)).min(), Some(lane.smin));
    assert_eq!(members.iter().map(|&x| signed(x)).max(), Some(lane.smax));
}

#[test]
fn lanes_of_four_bits_are_sound_for_every_operation_and_comparison() {
    let lanes = lanes();
    assert!(lanes.len() > 300, "{} distinct lanes", lanes.len());
    // All pairs if a long run was asked for; every 53rd, from a start that moves, otherwise.
    let stride = if std::env::var_os("SKEP_DOMAIN_CASES").is_some() { 1 } else { 53 };
    for (at, (a, xs)) in lanes.iter().enumerate() {
        for (b, ys) in lanes.iter().skip(at % stride).step_by(stride) {
            for op in BinOp::ALL {
                let result = op.apply(a, b);
                for &x in xs {
                    for &y in ys {
                        let expected = concrete(op, 4, x, y);
                        assert!(result.has(expected), "{op:?} {a:?} {b:?} = {result:?}, not {expected}");
                    }
                }
            }
            for cmp in Cmp::ALL {
                check_comparison(cmp, (a, xs), (b, ys));
            }
        }
    }
}

#[test]
fn lanes_of_four_bits_keep_their_members_in_more_and_fewer() {
    let signed = |x: u64, width: u32| if x >= 8 { (x | !15) & mask(width) } else { x };
    for (lane, members) in lanes() {
        for width in [5, 6, 8] {
            let (zeros, copies) = (lane.zero_extend(width), lane.sign_extend(width));
            assert!(members.iter().all(|&x| zeros.has(x)), "{lane:?} {zeros:?}");
            assert!(members.iter().all(|&x| copies.has(signed(x, width))), "{lane:?} {copies:?}");
            // Nothing is added: extension is exact on the bounds of its own reading.
            assert_eq!((zeros.umin, zeros.umax), (lane.umin, lane.umax));
            assert_eq!((copies.smin, copies.smax), (lane.smin, lane.smax));
        }
        for width in 1..=4 {
            let low = lane.truncate(width);
            assert!(members.iter().all(|&x| low.has(x & mask(width))), "{lane:?} {low:?}");
        }
    }
}

fn check_comparison(cmp: Cmp, (a, xs): (&Lane, &[u64]), (b, ys): (&Lane, &[u64])) {
    let shift = |x: u64| x << 60;
    for taken in [true, false] {
        let sides = cmp.refine_lanes(a, b, taken);
        let mut possible = false;
        for &x in xs {
            for &y in ys {
                // Four bits moved to the top compare as four bits.
                if cmp.holds(crate::domain::Bits::B64, shift(x), shift(y)) == taken {
                    possible = true;
                    assert!(
                        sides.is_some_and(|(p, q)| p.has(x) && q.has(y)),
                        "{cmp:?} {taken} {a:?} {b:?} lost {x}, {y}: {sides:?}"
                    );
                }
            }
        }
        // Orders are decided exactly by their bounds.
        let is_order = !matches!(cmp, Cmp::Eq | Cmp::Ne | Cmp::Set);
        assert!(!is_order || possible == sides.is_some(), "{cmp:?} {taken} {a:?} {b:?} is not possible");
    }
}

#[test]
fn four_bits_below_eight_keep_their_members_and_bounds_are_attained() {
    let wide_ranges =
        [(0, 255), (3, 250), (16, 31), (15, 16), (100, 130), (127, 128), (7, 23), (0, 8), (240, 255)];
    let wide_tnums = [(0, 255), (1, 0xf0), (0, 0x8f), (0x80, 0x7f), (2, 0x55), (8, 0xf7)];
    let lows = lanes();
    let mut tight = 0;
    let mut total = 0;
    for (umin, umax) in wide_ranges {
        for (smin, smax) in [(-128, 127), (-8, 7), (-1, 1), (-128, -1), (0, 127), (-100, 20), (-17, -15)] {
            for (value, unknown) in wide_tnums {
                let tnum = Tnum::new(value, unknown).unwrap();
                let wide = Lane { width: 8, tnum, umin, umax, smin, smax };
                for (low, _) in &lows {
                    let members: Vec<u64> = (0..256).filter(|&x| wide.has(x) && low.has(x & 15)).collect();
                    let Some((w, l)) = tighten(wide, *low) else {
                        assert!(members.is_empty(), "{wide:?} {low:?} has {members:?}");
                        continue;
                    };
                    assert!(
                        members.iter().all(|&x| w.has(x) && l.has(x & 15)),
                        "{wide:?} {low:?} = {w:?} {l:?}"
                    );
                    assert!(w.umin <= w.umax && w.smin <= w.smax && l.umin <= l.umax && l.smin <= l.smax);
                    total += 1;
                    let ends = (members.first().copied(), members.last().copied());
                    tight += u32::from(ends == (Some(w.umin), Some(w.umax)));
                }
            }
        }
    }
    // The ends are moved to the tnum and to the low spans in turn, never to both at once: nearly always exact.
    assert!(tight * 100 >= total * 97, "{tight} of {total} unsigned bounds are attained");
}

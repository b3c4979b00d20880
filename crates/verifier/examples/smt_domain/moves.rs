//! The obligations of `domain::rules::move_bits`, and of shifts as products.

use skep_verifier::domain::rules::move_bits::{self, known_agreeing, known_low_zeros, known_reversed};
use skep_verifier::domain::rules::{self, Bounds, Known, Word};

use super::{Fact, Obligation, Query, Term, control, has, proof, within};

/// The low `count` bytes of `x` in the opposite order, put together from pieces: not by the rule's shifts.
fn swapped(x: &Term, count: u32) -> Term {
    let bytes = (0..count).map(|i| format!("((_ extract {} {}) {})", 8 * i + 7, 8 * i, x.name));
    let all = bytes.collect::<Vec<_>>().join(" ");
    match 64 - 8 * count {
        0 => x.made(&format!("(concat {all})")),
        above => x.made(&format!("((_ zero_extend {above}) (concat {all}))")),
    }
}

fn swap(q: &Query, count: u32) -> Fact {
    let (t, x) = q.known_with("t");
    has(&known_reversed(&t, count, 8), &swapped(&x, count))
}

/// `x` reads the same, signed, in its low `bits` and in all.
fn fits(x: &Term, bits: u32) -> Fact {
    let up = x.lit(u64::from(x.width - bits));
    x.shl(&up).sar(&up).eq(x)
}

fn sign_extended(q: &Query, from: u32) -> Fact {
    let (b, x) = (q.bounds("b"), q.word("x"));
    for word in [&b.smin, &b.smax, &x] {
        q.assume(&fits(word, from));
    }
    q.assume(&b.smin.sle(&x).and(&x.sle(&b.smax)));
    within(&move_bits::bounds_sign_extended(&b), &x)
}

fn zero_extended(q: &Query) -> (Bounds<Term>, Term) {
    let (b, x) = (q.bounds("b"), q.word("x"));
    q.assume(&b.umin.ule(&x).and(&x.ule(&b.umax)));
    (b, x)
}

pub fn obligations() -> Vec<Obligation> {
    vec![
        proof("known_reversed, 2 bytes", 64, |q| swap(q, 2)),
        proof("known_reversed, 4 bytes", 64, |q| swap(q, 4)),
        proof("known_reversed, 8 bytes", 64, |q| swap(q, 8)),
        control("bytes that stay where they are", 64, |q| {
            let (t, x) = q.known_with("t");
            has(&t, &swapped(&x, 8))
        }),
        // A narrow pattern is the same number with zeros above, and the same signed number with copies of its sign above;
        // so the bounds of that reading stay, at whatever width they were.
        proof("bounds_zero_extended", 64, |q| {
            let (b, x) = zero_extended(q);
            within(&move_bits::bounds_zero_extended(&b, &q.sign_bit()), &x)
        }),
        proof("bounds_sign_extended from 8 bits", 64, |q| sign_extended(q, 8)),
        proof("bounds_sign_extended from 16 bits", 64, |q| sign_extended(q, 16)),
        proof("bounds_sign_extended from 32 bits", 64, |q| sign_extended(q, 32)),
        proof("bounds_sign_extended to 32 bits", 32, |q| sign_extended(q, 16)),
        proof("signed order survives a cut", 64, |q| {
            let (a, b) = (q.word("a"), q.word("b"));
            q.assume(&fits(&a, 32).and(&fits(&b, 32)));
            let cut =
                |x: &Term| Term { width: 32, ..x.clone() }.made(&format!("((_ extract 31 0) {})", x.name));
            a.sle(&b).iff(&cut(&a).sle(&cut(&b)))
        }),
        control("zeros above keep the sign", 64, |q| {
            let (b, x) = zero_extended(q);
            within(&move_bits::bounds_sign_extended(&b), &x)
        }),
        // The low bits of a remainder: it is what a product of the divisor lacks (`whole`), and a multiple of `2^k` lacks
        // none of the low `k` bits.
        proof("low bits of a remainder", 64, |q| {
            let (x, z, quotient) = (q.word("x"), q.word("z"), q.word("quotient"));
            let kept = |k: u64| {
                let (low, divisor) = (x.lit((1 << k) - 1), z.shl(&x.lit(k)));
                x.sub(&divisor.mul(&quotient)).and(&low).eq(&x.and(&low))
            };
            (1..64).fold(kept(0), |all, k| all.and(&kept(k)))
        }),
        proof("known_low_zeros", 64, |q| {
            let (t, x) = q.known_with("t");
            let kept = known_low_zeros(&t);
            let zero = x.lit(0);
            kept.and(&kept.add(&x.lit(1))).eq(&zero).and(&x.and(&kept).eq(&zero))
        }),
        proof("known_agreeing", 64, |q| {
            let ((t, x), r, kept) = (q.known_with("t"), q.word("r"), q.word("kept"));
            q.assume(&r.and(&kept).eq(&x.and(&kept)));
            has(&known_agreeing(&t, &kept), &r)
        }),
        control("a remainder with the dividend's bits", 64, |q| {
            let ((t, x), r, kept) = (q.known_with("t"), q.word("r"), q.word("kept"));
            q.assume(&r.and(&kept).eq(&x.and(&kept)));
            let all = Known { value: t.value.clone(), mask: t.mask.clone() };
            has(&rules::known_join(&all, &known_agreeing(&t, &kept.not())), &r)
        }),
        // `x << n` is `x` times `2^n`, and `2^n` lies between the powers of the least and the greatest amount.
        proof("a shift is a product", 64, |q| {
            let x = q.word("x");
            let same = |n: u64| x.shl(&x.lit(n)).eq(&x.mul(&x.lit(1 << n)));
            (1..64).fold(same(0), |all, n| all.and(&same(n)))
        }),
        proof("powers of two rise", 64, |q| {
            let (least, n, most) = (q.word("least"), q.word("n"), q.word("most"));
            q.assume(&least.ule(&n).and(&n.ule(&most)).and(&most.ult(&n.lit(64))));
            let power = |n: &Term| n.lit(1).shl(n);
            power(&least).ule(&power(&n)).and(&power(&n).ule(&power(&most)))
        }),
    ]
}

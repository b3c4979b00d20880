//! The obligations of `domain::rules::limits` and of the known bits beside them.

use skep_verifier::domain::rules::limits::{self, Ends};
use skep_verifier::domain::rules::{self, Bounds, Word};

use super::{Fact, Obligation, Query, Term, control, has, proof, within};

/// Any unsigned interval and any member of it.
fn unsigned(q: &Query, name: &str) -> (Ends<Term>, Term) {
    let word = |part: &str| q.word(&format!("{name}_{part}"));
    let (lo, x, hi) = (word("lo"), word("member"), word("hi"));
    q.assume(&lo.ule(&x).and(&x.ule(&hi)));
    ((lo, hi), x)
}

fn between(e: &Ends<Term>, x: &Term) -> Fact {
    e.0.ule(x).and(&x.ule(&e.1))
}

fn signed_between(e: &Ends<Term>, x: &Term) -> Fact {
    e.0.sle(x).and(&x.sle(&e.1))
}

type EndsRule = fn(&Ends<Term>, &Ends<Term>) -> Ends<Term>;

fn bitwise(q: &Query, rule: EndsRule, op: fn(&Term, &Term) -> Term) -> Fact {
    let ((a, x), (b, y)) = (unsigned(q, "a"), unsigned(q, "b"));
    between(&rule(&a, &b), &op(&x, &y))
}

/// Any value and any shift amount in any interval of them, below the width.
fn amounts(q: &Query) -> (Ends<Term>, Term) {
    let (by, n) = unsigned(q, "by");
    q.assume(&by.1.ult(&by.1.lit(u64::from(q.width))));
    (by, n)
}

type AssumeRule = fn(&Bounds<Term>, &Bounds<Term>) -> (Bounds<Term>, Bounds<Term>);

fn assumed(q: &Query, rule: AssumeRule, le: fn(&Term, &Term) -> Fact) -> Fact {
    let ((a, x), (b, y)) = (q.bounds_with("a"), q.bounds_with("b"));
    q.assume(&le(&x, &y));
    let (p, r) = rule(&a, &b);
    within(&p, &x).and(&within(&r, &y))
}

type LowRule = fn(&Term, &Term, &[Ends<Term>; 2]) -> (Term, <Term as Word>::Bool);

/// No value on the right side of `x` with an allowed low half is passed over.
fn low_half(q: &Query, rule: LowRule, before: fn(&Term, &Term) -> Fact) -> Fact {
    let (x, z, width) = (q.word("x"), q.word("z"), u64::from(q.width));
    let half = x.lit(0).not().shr(&x.lit(width / 2));
    let word = |name: &str| q.word(name);
    let (first, second) = ((word("lo0"), word("hi0")), (word("lo1"), word("hi1")));
    let sign = half.xor(&half.shr(&x.lit(1)));
    let empty = |e: &Ends<Term>| e.1.ult(&e.0);
    // As `bounds_split` makes them: one without the sign bit of the half, one with it; empty ones are `(1, 0)`.
    let none = |e: &Ends<Term>| e.0.eq(&x.lit(1)).and(&e.1.eq(&x.lit(0)));
    q.assume(&empty(&first).implies(&none(&first)));
    q.assume(&empty(&second).implies(&none(&second)));
    q.assume(&first.1.ult(&sign));
    q.assume(&Term::negate(&empty(&second)).implies(&sign.ule(&second.0).and(&second.1.ule(&half))));
    let low = z.and(&half);
    let outside = Term::negate(&between(&first, &low)).and(&Term::negate(&between(&second, &low)));
    q.assume(&before(&x, &z).and(&Term::negate(&outside)));
    let (found, exists) = rule(&x, &half, &[first, second]);
    exists.and(&before(&x, &found)).and(&before(&found, &z))
}

pub fn obligations() -> Vec<Obligation> {
    vec![
        proof("ends_and", 64, |q| bitwise(q, limits::ends_and, Word::and)),
        proof("ends_or", 64, |q| bitwise(q, limits::ends_or, Word::or)),
        proof("ends_xor", 64, |q| bitwise(q, limits::ends_xor, Word::xor)),
        control("an or that is not above its operands", 64, |q| bitwise(q, limits::ends_and, Word::or)),
        // A shift rises with the value and falls with the amount; the rule takes each at its extreme, so the two
        // claims at full width, one after the other, give it. The whole at 16 bits checks this composition.
        proof("shr rises with the value", 64, |q| {
            let (a, x) = unsigned(q, "a");
            let n = q.word("n");
            x.shr(&n).ule(&a.1.shr(&n)).and(&a.0.shr(&n).ule(&x.shr(&n)))
        }),
        proof("shr falls with the amount", 64, |q| {
            let ((by, n), x) = (amounts(q), q.word("x"));
            between(&limits::ends_shr(&(x.clone(), x.clone()), &by), &x.shr(&n))
        }),
        proof("ends_shr", 16, |q| {
            let ((a, x), (by, n)) = (unsigned(q, "a"), amounts(q));
            between(&limits::ends_shr(&a, &by), &x.shr(&n))
        }),
        proof("sar rises with the value", 64, |q| {
            let (lo, x, n) = (q.word("lo"), q.word("x"), q.word("n"));
            lo.sle(&x).implies(&lo.sar(&n).sle(&x.sar(&n)))
        }),
        proof("sar goes one way with the amount", 64, |q| {
            let ((by, n), x) = (amounts(q), q.word("x"));
            signed_between(&limits::ends_sar(&(x.clone(), x.clone()), &by), &x.sar(&n))
        }),
        proof("ends_sar", 16, |q| {
            let (lo, x, hi) = (q.word("lo"), q.word("x"), q.word("hi"));
            q.assume(&lo.sle(&x).and(&x.sle(&hi)));
            let (by, n) = amounts(q);
            signed_between(&limits::ends_sar(&(lo, hi), &by), &x.sar(&n))
        }),
        proof("ends_without", 64, |q| {
            let ((a, x), hole) = (unsigned(q, "a"), q.word("hole"));
            q.assume(&Term::negate(&x.eq(&hole)));
            between(&limits::ends_without(&a, &hole), &x)
        }),
        proof("bounds_assume_ule", 64, |q| assumed(q, limits::bounds_assume_ule, Term::ule)),
        proof("bounds_assume_sle", 64, |q| assumed(q, limits::bounds_assume_sle, Term::sle)),
        proof("next_with_low", 64, |q| low_half(q, limits::next_with_low, Term::ule)),
        proof("prev_with_low", 64, |q| low_half(q, limits::prev_with_low, |x, y| y.ule(x))),
        proof("known_sign_extend", 64, |q| {
            let ((a, x), up) = (q.known_with("a"), q.word("up"));
            q.assume(&up.ult(&up.lit(64)));
            has(&rules::known_sign_extend(&a, &up), &x.shl(&up).sar(&up))
        }),
        proof("known_prefix of a range", 64, |q| {
            let ((a, x), below) = (unsigned(q, "a"), q.word("below"));
            let (zero, one) = (x.lit(0), x.lit(1));
            q.assume(&below.and(&below.add(&one)).eq(&zero));
            q.assume(&a.0.xor(&a.1).and(&below.not()).eq(&zero));
            has(&rules::known_prefix(&a.0, &below), &x)
        }),
        proof("known_sharing", 64, |q| {
            let ((a, x), (b, y)) = (q.known_with("a"), q.known_with("b"));
            q.assume(&Term::negate(&x.and(&y).eq(&x.lit(0))));
            let (certain, possible) = rules::known_sharing(&a, &b);
            possible.and(&has(&certain, &x)).and(&has(&certain, &y))
        }),
        proof("known_apart", 64, |q| {
            let (x, (b, y)) = (q.word("x"), q.known_with("b"));
            q.assume(&x.and(&y).eq(&x.lit(0)));
            has(&rules::known_apart(&b), &x)
        }),
        control("a common bit that is any", 64, |q| {
            let ((a, x), (b, _)) = (q.known_with("a"), q.known_with("b"));
            has(&rules::known_sharing(&a, &b).0, &x)
        }),
    ]
}

//! The obligations of `domain::rules::exact`, for all integers: they hold at every width.

use skep_verifier::domain::rules::exact::{self, Exact, Whole};

use super::{Fact, Obligation, Query, Script, control, define, proof};

/// An integer known by the name of its definition.
#[derive(Clone)]
struct Int {
    script: Script,
    name: String,
}

impl Int {
    fn made(script: &Script, body: &str) -> Int {
        Int { script: script.clone(), name: define(script, "Int", body) }
    }
    fn le(&self, rhs: &Int) -> Fact {
        Fact::made(&self.script, &format!("(<= {} {})", self.name, rhs.name))
    }
}

impl Exact for Int {
    type Bool = Fact;
    fn times(&self, rhs: &Int) -> Int {
        Int::made(&self.script, &format!("(* {} {})", self.name, rhs.name))
    }
    fn quotient(&self, rhs: &Int) -> Int {
        // SMT-LIB's remainder is never negative, so for a dividend that is not `div` rounds towards zero.
        let (n, d) = (&self.name, &rhs.name);
        Int::made(&self.script, &format!("(ite (>= {n} 0) (div {n} {d}) (- (div (- {n}) {d})))"))
    }
    fn less(&self, rhs: &Int) -> Fact {
        Fact::made(&self.script, &format!("(< {} {})", self.name, rhs.name))
    }
    fn select(c: &Fact, a: &Int, b: &Int) -> Int {
        Int::made(&a.script, &format!("(ite {} {} {})", c.name, a.name, b.name))
    }
}

fn number(q: &Query, value: i64) -> Int {
    let body = if value < 0 { format!("(- {})", -value) } else { value.to_string() };
    Int::made(&q.script, &body)
}

/// Any interval and any member of it.
fn interval(q: &Query, name: &str) -> (Whole<Int>, Int) {
    let word = |part: &str| {
        let name = format!("{name}_{part}");
        q.script.borrow_mut().push(format!("(declare-const {name} Int)"));
        Int { script: q.script.clone(), name }
    };
    let (lo, x, hi) = (word("lo"), word("member"), word("hi"));
    q.assume(&lo.le(&x).and(&x.le(&hi)));
    ((lo, hi), x)
}

fn between(e: &Whole<Int>, x: &Int) -> Fact {
    e.0.le(x).and(&x.le(&e.1))
}

fn four(a: &Whole<Int>, b: &Whole<Int>, f: fn(&Int, &Int) -> Int) -> [Int; 4] {
    [f(&a.0, &b.0), f(&a.0, &b.1), f(&a.1, &b.0), f(&a.1, &b.1)]
}

/// Some corner is not above `x`, and some is not below.
fn flanked(corners: &[Int; 4], x: &Int) -> Fact {
    let any = |facts: [Fact; 4]| {
        let [p, r, s, t] = facts.map(|fact| fact.name);
        Fact::made(&x.script, &format!("(or {p} {r} {s} {t})"))
    };
    any(corners.each_ref().map(|c| c.le(x))).and(&any(corners.each_ref().map(|c| x.le(c))))
}

pub fn obligations() -> Vec<Obligation> {
    vec![
        proof("whole_mul", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&number(q, 0).le(&a.0).and(&number(q, 0).le(&b.0)));
            between(&exact::whole_mul(&a, &b), &x.times(&y))
        }),
        proof("whole_div", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&number(q, 0).le(&a.0).and(&number(q, 1).le(&b.0)));
            between(&exact::whole_div(&a, &b), &x.quotient(&y))
        }),
        // The ends are beyond all four corners, and every result has a corner on each side of it.
        proof("corners", 0, |q| {
            let ((a, _), (b, _)) = (interval(q, "a"), interval(q, "b"));
            let ends = exact::corners(&a, &b, Int::times);
            let [p, r, s, t] = four(&a, &b, Int::times).map(|corner| between(&ends, &corner));
            p.and(&r).and(&s.and(&t))
        }),
        proof("a product is between corners", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            flanked(&four(&a, &b, Int::times), &x.times(&y))
        }),
        proof("a quotient by positive, too", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&number(q, 1).le(&b.0));
            flanked(&four(&a, &b, Int::quotient), &x.quotient(&y))
        }),
        proof("a quotient by negative, too", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&b.1.le(&number(q, -1)));
            flanked(&four(&a, &b, Int::quotient), &x.quotient(&y))
        }),
        control("a quotient by any sign is between corners", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            let zero = number(q, 0);
            q.assume(&b.0.less(&zero).and(&zero.less(&b.1)).and(&number(q, 1).le(&y)));
            flanked(&four(&a, &b, Int::quotient), &x.quotient(&y))
        }),
        control("products of any sign by their ends", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            between(&exact::whole_mul(&a, &b), &x.times(&y))
        }),
    ]
}

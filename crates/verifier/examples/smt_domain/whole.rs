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
    fn lit(&self, value: i8) -> Int {
        constant(&self.script, value.into())
    }
    fn minus(&self, rhs: &Int) -> Int {
        Int::made(&self.script, &format!("(- {} {})", self.name, rhs.name))
    }
    fn times(&self, rhs: &Int) -> Int {
        Int::made(&self.script, &format!("(* {} {})", self.name, rhs.name))
    }
    fn quotient(&self, rhs: &Int) -> Int {
        // SMT-LIB's remainder is never negative, so for a dividend that is not `div` rounds towards zero.
        let (n, d) = (&self.name, &rhs.name);
        Int::made(&self.script, &format!("(ite (>= {n} 0) (div {n} {d}) (- (div (- {n}) {d})))"))
    }
    fn remainder(&self, rhs: &Int) -> Int {
        // SMT-LIB's remainder is not negative and smaller in size than the divisor, whatever the signs.
        let (n, d) = (&self.name, &rhs.name);
        Int::made(&self.script, &format!("(ite (>= {n} 0) (mod {n} {d}) (- (mod (- {n}) {d})))"))
    }
    fn less(&self, rhs: &Int) -> Fact {
        Fact::made(&self.script, &format!("(< {} {})", self.name, rhs.name))
    }
    fn select(c: &Fact, a: &Int, b: &Int) -> Int {
        Int::made(&a.script, &format!("(ite {} {} {})", c.name, a.name, b.name))
    }
    fn both(a: &Fact, b: &Fact) -> Fact {
        a.and(b)
    }
    fn negate(a: &Fact) -> Fact {
        Fact::made(&a.script, &format!("(not {})", a.name))
    }
}

fn constant(script: &Script, value: i64) -> Int {
    let body = if value < 0 { format!("(- {})", -value) } else { value.to_string() };
    Int::made(script, &body)
}

fn number(q: &Query, value: i64) -> Int {
    constant(&q.script, value)
}

/// The remainder as RFC 9669 has it: by 0 it is the dividend.
fn rest(x: &Int, y: &Int) -> Int {
    Int::select(&equals(y, &constant(&x.script, 0)), x, &x.remainder(y))
}

fn equals(a: &Int, b: &Int) -> Fact {
    Fact::made(&a.script, &format!("(= {} {})", a.name, b.name))
}

/// `r` has the sign of `x`, is not larger in size, and smaller than `y`.
fn is_rest(q: &Query, x: &Int, y: &Int, r: &Int) -> Fact {
    let zero = number(q, 0);
    let size = Int::select(&y.less(&zero), &zero.minus(y), y);
    let positive = zero.le(x).implies(&zero.le(r).and(&r.le(x)));
    let negative = x.le(&zero).implies(&x.le(r).and(&r.le(&zero)));
    positive.and(&negative).and(&r.less(&size).and(&zero.minus(&size).less(r)))
}

/// Some divisor of an interval, and whether the rule was told that it may be 0: it may be told so for nothing.
fn divisors(q: &Query) -> (Whole<Int>, Int, Fact) {
    let (b, y) = interval(q, "b");
    q.script.borrow_mut().push("(declare-const by_zero Bool)".into());
    let by_zero = Fact { script: q.script.clone(), name: "by_zero".into() };
    q.assume(&equals(&y, &number(q, 0)).implies(&by_zero));
    (b, y, by_zero)
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
        proof("whole_rem_stays", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            exact::whole_rem_stays(&a, &b).implies(&equals(&rest(&x, &y), &x))
        }),
        // What the rule rests on is proved of the remainder first, and of the rule for whatever has that.
        proof("a remainder is smaller, of one sign", 0, |q| {
            let ((_, x), (_, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&Int::negate(&equals(&y, &number(q, 0))));
            is_rest(q, &x, &y, &x.remainder(&y))
        }),
        proof("whole_rem", 0, |q| {
            let ((a, x), (b, y, by_zero), (_, r)) = (interval(q, "a"), divisors(q), interval(q, "rest"));
            let zero = equals(&y, &number(q, 0));
            q.assume(&zero.implies(&equals(&r, &x)));
            q.assume(&Int::negate(&zero).implies(&is_rest(q, &x, &y, &r)));
            between(&exact::whole_rem(&a, &b, &by_zero), &r)
        }),
        proof("quotients by positive rise", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&number(q, 1).le(&b.0));
            between(&(a.0.quotient(&y), a.1.quotient(&y)), &x.quotient(&y))
        }),
        proof("quotients by negative fall", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&b.1.le(&number(q, -1)));
            between(&(a.1.quotient(&y), a.0.quotient(&y)), &x.quotient(&y))
        }),
        proof("a remainder is what the product lacks", 0, |q| {
            let ((_, x), (_, y)) = (interval(q, "a"), interval(q, "b"));
            q.assume(&Int::negate(&equals(&y, &number(q, 0))));
            equals(&x.remainder(&y), &x.minus(&y.times(&x.quotient(&y))))
        }),
        // The four claims before, of the ends and of what is between them, give the rule.
        proof("whole_rem_moves", 0, |q| {
            let ((a, x), (_, y)) = (interval(q, "a"), interval(q, "b"));
            let zero = number(q, 0);
            q.assume(&Int::negate(&equals(&y, &zero)));
            let [lo, mid, hi] = [&a.0, &x, &a.1].map(|n| n.quotient(&y));
            for (n, quotient) in [(&a.0, &lo), (&x, &mid), (&a.1, &hi)] {
                q.assume(&equals(&n.remainder(&y), &n.minus(&y.times(quotient))));
            }
            let rises = lo.le(&mid).and(&mid.le(&hi));
            let falls = hi.le(&mid).and(&mid.le(&lo));
            q.assume(&zero.less(&y).implies(&rises).and(&y.less(&zero).implies(&falls)));
            let (moved, one_quotient) = exact::whole_rem_moves(&a, &y);
            one_quotient.implies(&between(&moved, &x.remainder(&y)))
        }),
        control("a remainder by what may be 0 is smaller than it", 0, |q| {
            let ((a, x), (b, y)) = (interval(q, "a"), interval(q, "b"));
            let never = number(q, 1).less(&number(q, 0));
            between(&exact::whole_rem(&a, &b, &never), &rest(&x, &y))
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

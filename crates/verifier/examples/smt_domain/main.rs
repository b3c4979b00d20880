//! Proves the rules of the scalar domain with z3.
//!
//! `cargo xtask prove` runs the very functions that the verifier runs
//! (`domain::rules`), on words that write themselves down as SMT-LIB, and asks z3 for a counterexample to each
//! obligation. `--print` shows the queries instead; other words ask only what has one in its name. Exit status 1 if an obligation is not proved, or if z3
//! fails to refute one of the controls, which are wrong on purpose.
//!
//! What is too hard for z3 in one piece at 64 bits is proved in its parts, and as a whole at fewer bits.

use std::cell::RefCell;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Instant;

mod moves;
mod operators;
mod whole;

use skep_verifier::domain::rules::{self, Bounds, Known, Word};

/// The definitions of one query so far.
type Script = Rc<RefCell<Vec<String>>>;

/// A bit vector known by the name of its definition.
#[derive(Clone)]
struct Term {
    script: Script,
    width: u32,
    name: String,
}

/// A truth value known by the name of its definition.
#[derive(Clone)]
struct Fact {
    script: Script,
    name: String,
}

fn define(script: &Script, sort: &str, body: &str) -> String {
    let name = format!("t{}", script.borrow().len());
    script.borrow_mut().push(format!("(define-fun {name} () {sort} {body})"));
    name
}

impl Term {
    fn variable(script: &Script, width: u32, name: &str) -> Term {
        script.borrow_mut().push(format!("(declare-const {name} (_ BitVec {width}))"));
        Term { script: script.clone(), width, name: name.into() }
    }
    fn made(&self, body: &str) -> Term {
        let name = define(&self.script, &format!("(_ BitVec {})", self.width), body);
        Term { script: self.script.clone(), width: self.width, name }
    }
    fn op(&self, op: &str, rhs: &Term) -> Term {
        self.made(&format!("({op} {} {})", self.name, rhs.name))
    }
    fn compare(&self, op: &str, rhs: &Term) -> Fact {
        Fact::made(&self.script, &format!("({op} {} {})", self.name, rhs.name))
    }
    fn ule(&self, rhs: &Term) -> Fact {
        self.compare("bvule", rhs)
    }
    fn sle(&self, rhs: &Term) -> Fact {
        self.compare("bvsle", rhs)
    }
    fn mul(&self, rhs: &Term) -> Term {
        self.op("bvmul", rhs)
    }
}

impl Fact {
    fn made(script: &Script, body: &str) -> Fact {
        Fact { script: script.clone(), name: define(script, "Bool", body) }
    }
    fn and(&self, rhs: &Fact) -> Fact {
        Fact::made(&self.script, &format!("(and {} {})", self.name, rhs.name))
    }
    fn implies(&self, rhs: &Fact) -> Fact {
        Fact::made(&self.script, &format!("(=> {} {})", self.name, rhs.name))
    }
    fn iff(&self, rhs: &Fact) -> Fact {
        Fact::made(&self.script, &format!("(= {} {})", self.name, rhs.name))
    }
}

impl Word for Term {
    type Bool = Fact;
    fn lit(&self, bits: u64) -> Term {
        let bits = if self.width < 64 { bits & ((1 << self.width) - 1) } else { bits };
        self.made(&format!("(_ bv{bits} {})", self.width))
    }
    fn add(&self, rhs: &Term) -> Term {
        self.op("bvadd", rhs)
    }
    fn sub(&self, rhs: &Term) -> Term {
        self.op("bvsub", rhs)
    }
    fn and(&self, rhs: &Term) -> Term {
        self.op("bvand", rhs)
    }
    fn or(&self, rhs: &Term) -> Term {
        self.op("bvor", rhs)
    }
    fn xor(&self, rhs: &Term) -> Term {
        self.op("bvxor", rhs)
    }
    fn not(&self) -> Term {
        self.made(&format!("(bvnot {})", self.name))
    }
    fn shl(&self, amount: &Term) -> Term {
        self.op("bvshl", amount)
    }
    fn shr(&self, amount: &Term) -> Term {
        self.op("bvlshr", amount)
    }
    fn sar(&self, amount: &Term) -> Term {
        self.op("bvashr", amount)
    }
    fn eq(&self, rhs: &Term) -> Fact {
        self.compare("=", rhs)
    }
    fn ult(&self, rhs: &Term) -> Fact {
        self.compare("bvult", rhs)
    }
    fn slt(&self, rhs: &Term) -> Fact {
        self.compare("bvslt", rhs)
    }
    fn select(c: &Fact, a: &Term, b: &Term) -> Term {
        a.made(&format!("(ite {} {} {})", c.name, a.name, b.name))
    }
    fn both(a: &Fact, b: &Fact) -> Fact {
        a.and(b)
    }
    fn negate(a: &Fact) -> Fact {
        Fact::made(&a.script, &format!("(not {})", a.name))
    }
}

/// The variables of a query and what may be assumed of them.
struct Query {
    script: Script,
    width: u32,
}

impl Query {
    fn word(&self, name: &str) -> Term {
        Term::variable(&self.script, self.width, name)
    }
    fn assume(&self, fact: &Fact) {
        self.script.borrow_mut().push(format!("(assert {})", fact.name));
    }
    fn sign_bit(&self) -> Term {
        let one = Term { script: self.script.clone(), width: self.width, name: "#b0".into() };
        one.lit(1).shl(&one.lit(u64::from(self.width - 1)))
    }
    /// Any tnum.
    fn known(&self, name: &str) -> Known<Term> {
        let t =
            Known { value: self.word(&format!("{name}_value")), mask: self.word(&format!("{name}_mask")) };
        self.assume(&t.value.and(&t.mask).eq(&t.value.lit(0)));
        t
    }
    /// Any tnum and any member of it.
    fn known_with(&self, name: &str) -> (Known<Term>, Term) {
        let (t, x) = (self.known(name), self.word(&format!("{name}_member")));
        self.assume(&has(&t, &x));
        (t, x)
    }
    fn bounds(&self, name: &str) -> Bounds<Term> {
        let word = |part: &str| self.word(&format!("{name}_{part}"));
        Bounds { umin: word("umin"), umax: word("umax"), smin: word("smin"), smax: word("smax") }
    }
    /// Any bounds and any member of them.
    fn bounds_with(&self, name: &str) -> (Bounds<Term>, Term) {
        let (b, x) = (self.bounds(name), self.word(&format!("{name}_member")));
        self.assume(&within(&b, &x));
        (b, x)
    }
}

/// `x` agrees with all known bits, and no bit is claimed both one and unknown.
fn has(t: &Known<Term>, x: &Term) -> Fact {
    x.and(&t.mask.not()).eq(&t.value).and(&t.value.and(&t.mask).eq(&x.lit(0)))
}

fn within(b: &Bounds<Term>, x: &Term) -> Fact {
    let unsigned = b.umin.ule(x).and(&x.ule(&b.umax));
    unsigned.and(&b.smin.sle(x).and(&x.sle(&b.smax)))
}

/// A rule and the claim that is to be proved of it, at a width; 0 for all integers.
struct Obligation {
    name: &'static str,
    width: u32,
    holds: bool,
    claim: fn(&Query) -> Fact,
}

impl Obligation {
    fn extent(&self) -> String {
        if self.width == 0 { "all integers".into() } else { format!("{:2} bits", self.width) }
    }
}

type KnownRule = fn(&Known<Term>, &Known<Term>) -> Known<Term>;

fn binary(q: &Query, rule: KnownRule, op: fn(&Term, &Term) -> Term) -> Fact {
    let ((a, x), (b, y)) = (q.known_with("a"), q.known_with("b"));
    has(&rule(&a, &b), &op(&x, &y))
}

fn shift(q: &Query, rule: fn(&Known<Term>, &Term) -> Known<Term>, op: fn(&Term, &Term) -> Term) -> Fact {
    let ((a, x), amount) = (q.known_with("a"), q.word("amount"));
    q.assume(&amount.ult(&amount.lit(u64::from(q.width))));
    has(&rule(&a, &amount), &op(&x, &amount))
}

/// One component of a meet holds for what that component of both operands holds for.
fn meet_keeps(q: &Query, part: fn(&Bounds<Term>, &Term) -> Fact) -> Fact {
    let (a, b, x) = (q.bounds("a"), q.bounds("b"), q.word("x"));
    part(&a, &x).and(&part(&b, &x)).iff(&part(&rules::bounds_meet(&a, &b), &x))
}

/// `x - lo <= hi - lo` unsigned, whichever reading has `x` between `lo` and `hi`.
fn offset_is_bounded(q: &Query, le: fn(&Term, &Term) -> Fact) -> Fact {
    let (lo, x, hi) = (q.word("lo"), q.word("x"), q.word("hi"));
    le(&lo, &x).and(&le(&x, &hi)).implies(&x.sub(&lo).ule(&hi.sub(&lo)))
}

type RunRule = fn((&Term, &Term), (&Term, &Term)) -> rules::Run<Term>;

/// The result for any two members is at most `len` after `start`, unless the run is said to be everything.
fn in_run(q: &Query, rule: RunRule, op: fn(&Term, &Term) -> Term, le: fn(&Term, &Term) -> Fact) -> Fact {
    let interval = |name: &str| {
        let word = |part: &str| q.word(&format!("{name}_{part}"));
        let (lo, x, hi) = (word("lo"), word("member"), word("hi"));
        q.assume(&le(&lo, &x).and(&le(&x, &hi)));
        (lo, x, hi)
    };
    let ((lo_a, x, hi_a), (lo_b, y, hi_b)) = (interval("a"), interval("b"));
    let run = rule((&lo_a, &hi_a), (&lo_b, &hi_b));
    Term::negate(&run.full).implies(&op(&x, &y).sub(&run.start).ule(&run.len))
}

/// [`in_run`] with the members given by their offsets from the lower ends.
fn offsets_in_run(q: &Query, rule: RunRule, op: fn(&Term, &Term) -> Term) -> Fact {
    let interval = |name: &str| {
        let word = |part: &str| q.word(&format!("{name}_{part}"));
        let (lo, offset, len) = (word("lo"), word("offset"), word("len"));
        q.assume(&offset.ule(&len));
        (lo.add(&len), lo.add(&offset), lo)
    };
    let ((hi_a, x, lo_a), (hi_b, y, lo_b)) = (interval("a"), interval("b"));
    let run = rule((&lo_a, &hi_a), (&lo_b, &hi_b));
    Term::negate(&run.full).implies(&op(&x, &y).sub(&run.start).ule(&run.len))
}

/// A value is in the half iff it is within the bounds and has the sign bit of that half. The bounds are taken
/// in order; the transfers never make others.
fn split_is_exact(q: &Query, half: usize) -> Fact {
    let (b, x) = (q.bounds("b"), q.word("x"));
    q.assume(&b.umin.ule(&b.umax).and(&b.smin.sle(&b.smax)));
    let (lo, hi) = &rules::bounds_split(&b, &q.sign_bit())[half];
    let negative = x.slt(&x.lit(0));
    let sign = if half == 1 { negative } else { Term::negate(&negative) };
    lo.ule(&x).and(&x.ule(hi)).iff(&within(&b, &x).and(&sign))
}

fn proof(name: &'static str, width: u32, claim: fn(&Query) -> Fact) -> Obligation {
    Obligation { name, width, holds: true, claim }
}

fn control(name: &'static str, width: u32, claim: fn(&Query) -> Fact) -> Obligation {
    Obligation { name, width, holds: false, claim }
}

fn obligations() -> Vec<Obligation> {
    vec![
        proof("known_add", 64, |q| binary(q, rules::known_add, Word::add)),
        proof("known_sub", 64, |q| binary(q, rules::known_sub, Word::sub)),
        proof("known_and", 64, |q| binary(q, rules::known_and, Word::and)),
        proof("known_or", 64, |q| binary(q, rules::known_or, Word::or)),
        proof("known_xor", 64, |q| binary(q, rules::known_xor, Word::xor)),
        proof("known_join", 64, |q| {
            let ((a, x), (b, y)) = (q.known_with("a"), q.known_with("b"));
            let join = rules::known_join(&a, &b);
            has(&join, &x).and(&has(&join, &y))
        }),
        proof("known_meet", 64, |q| {
            let ((a, x), b) = (q.known_with("a"), q.known("b"));
            q.assume(&has(&b, &x));
            has(&rules::known_meet(&a, &b), &x)
        }),
        proof("known_shl", 64, |q| shift(q, rules::known_shl, Word::shl)),
        proof("known_shr", 64, |q| shift(q, rules::known_shr, Word::shr)),
        proof("known_sar", 64, |q| shift(q, rules::known_sar, Word::sar)),
        proof("known_mul, one bit", 64, |q| {
            let ((a, x), (b, y), (sum, s)) = (q.known_with("a"), q.known_with("b"), q.known_with("sum"));
            let i = q.word("i");
            q.assume(&i.ult(&i.lit(64)));
            let bit = x.shr(&i).and(&i.lit(1));
            let product = Term::select(&bit.eq(&i.lit(0)), &i.lit(0), &y.shl(&i));
            has(&rules::known_mul_step(&sum, &a, &b, &i), &s.add(&product))
        }),
        control("a product that counts every bit", 64, |q| {
            let ((a, x), (b, y), (sum, s)) = (q.known_with("a"), q.known_with("b"), q.known_with("sum"));
            let i = q.word("i");
            q.assume(&i.ult(&i.lit(64)).and(&x.eq(&x)));
            has(&rules::known_mul_step(&sum, &a, &b, &i), &s.add(&y.shl(&i)))
        }),
        proof("known_mul", 8, |q| binary(q, |a, b| rules::known_mul(8, a, b), Term::mul)),
        proof("known_next is a member above", 64, |q| {
            let (t, from) = (q.known("t"), q.word("from"));
            let (next, exists) = rules::known_next(64, &t, &from);
            exists.implies(&has(&t, &next).and(&from.ule(&next)))
        }),
        proof("known_next is the least", 64, |q| {
            let ((t, x), from) = (q.known_with("t"), q.word("from"));
            q.assume(&from.ule(&x));
            let (next, exists) = rules::known_next(64, &t, &from);
            exists.and(&next.ule(&x))
        }),
        proof("known_prev is the greatest", 64, |q| {
            let ((t, x), from) = (q.known_with("t"), q.word("from"));
            q.assume(&x.ule(&from));
            let (prev, exists) = rules::known_prev(64, &t, &from);
            exists.and(&x.ule(&prev)).and(&prev.ule(&from))
        }),
        proof("bounds_meet, umin", 64, |q| meet_keeps(q, |b, x| b.umin.ule(x))),
        proof("bounds_meet, umax", 64, |q| meet_keeps(q, |b, x| x.ule(&b.umax))),
        proof("bounds_meet, smin", 64, |q| meet_keeps(q, |b, x| b.smin.sle(x))),
        proof("bounds_meet, smax", 64, |q| meet_keeps(q, |b, x| x.sle(&b.smax))),
        proof("bounds_wrapping", 64, |q| {
            let (start, len, step) = (q.word("start"), q.word("len"), q.word("step"));
            q.assume(&step.ule(&len));
            let full = len.ult(&len);
            within(&rules::bounds_wrapping(&start, &len, &full, &q.sign_bit()), &start.add(&step))
        }),
        proof("bounds_wrapping of everything", 64, |q| {
            let (start, len, x) = (q.word("start"), q.word("len"), q.word("x"));
            let full = len.eq(&len);
            within(&rules::bounds_wrapping(&start, &len, &full, &q.sign_bit()), &x)
        }),
        proof("offset in an unsigned interval", 64, |q| offset_is_bounded(q, Term::ule)),
        proof("offset in a signed interval", 64, |q| offset_is_bounded(q, Term::sle)),
        // Any members of two intervals are `lo + u` and `lo + v` with offsets as the two claims above bound them,
        // in both readings; with those offsets free the sum is in its run at full width. `bounds_add` is the
        // meet of two such runs' `bounds_wrapping`, each proved. The whole at 12 bits checks this composition.
        proof("run_add of offsets", 64, |q| offsets_in_run(q, rules::run_add, Term::add)),
        proof("run_sub of offsets", 64, |q| offsets_in_run(q, rules::run_sub, Term::sub)),
        control("a sum of runs that starts one higher", 64, |q| {
            let next = |a: (&Term, &Term), b: (&Term, &Term)| {
                let run = rules::run_add(a, b);
                rules::Run { start: run.start.add(&run.start.lit(1)), ..run }
            };
            offsets_in_run(q, next, Term::add)
        }),
        proof("run_add of unsigned intervals", 12, |q| in_run(q, rules::run_add, Term::add, Term::ule)),
        proof("run_add of signed intervals", 12, |q| in_run(q, rules::run_add, Term::add, Term::sle)),
        proof("run_sub of unsigned intervals", 12, |q| in_run(q, rules::run_sub, Term::sub, Term::ule)),
        proof("run_sub of signed intervals", 12, |q| in_run(q, rules::run_sub, Term::sub, Term::sle)),
        proof("bounds_add as a whole", 12, |q| {
            let ((a, x), (b, y)) = (q.bounds_with("a"), q.bounds_with("b"));
            within(&rules::bounds_add(&a, &b, &q.sign_bit()), &x.add(&y))
        }),
        proof("bounds_sub as a whole", 12, |q| {
            let ((a, x), (b, y)) = (q.bounds_with("a"), q.bounds_with("b"));
            within(&rules::bounds_sub(&a, &b, &q.sign_bit()), &x.sub(&y))
        }),
        proof("bounds_split, below the sign", 64, |q| split_is_exact(q, 0)),
        proof("bounds_split, above the sign", 64, |q| split_is_exact(q, 1)),
        proof("bounds_assume_ult", 64, |q| {
            let ((a, x), (b, y)) = (q.bounds_with("a"), q.bounds_with("b"));
            q.assume(&x.ult(&y));
            let (p, r) = rules::bounds_assume_ult(&a, &b);
            within(&p, &x).and(&within(&r, &y))
        }),
        proof("bounds_assume_slt", 64, |q| {
            let ((a, x), (b, y)) = (q.bounds_with("a"), q.bounds_with("b"));
            q.assume(&x.slt(&y));
            let (p, r) = rules::bounds_assume_slt(&a, &b);
            within(&p, &x).and(&within(&r, &y))
        }),
        control("a sum without carries", 64, |q| binary(q, rules::known_xor, Word::add)),
        control("a join that is a meet", 64, |q| {
            let ((a, x), (b, _)) = (q.known_with("a"), q.known_with("b"));
            has(&rules::known_meet(&a, &b), &x)
        }),
        control("a sum that forgets to wrap", 64, |q| {
            let ((a, x), (b, y)) = (q.bounds_with("a"), q.bounds_with("b"));
            let sum = Bounds {
                umin: a.umin.add(&b.umin),
                umax: a.umax.add(&b.umax),
                smin: a.smin.add(&b.smin),
                smax: a.smax.add(&b.smax),
            };
            within(&sum, &x.add(&y))
        }),
    ]
}

fn query(obligation: &Obligation) -> String {
    let q = Query { script: Script::default(), width: obligation.width };
    let logic = if obligation.width == 0 { "QF_NIA" } else { "QF_BV" };
    let claim = (obligation.claim)(&q);
    let lines = q.script.borrow().join("\n");
    format!("(set-logic {logic})\n{lines}\n(assert (not {}))\n(check-sat)\n", claim.name)
}

/// `sat`, `unsat`, or whatever else z3 says; `None` if there is no z3.
fn ask(script: &str) -> Option<String> {
    let mut z3 = Command::new("z3")
        .args(["-in", "-T:120"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let written = z3.stdin.take().expect("stdin is piped").write_all(script.as_bytes());
    let output = z3.wait_with_output().ok()?;
    let answer = String::from_utf8_lossy(&output.stdout).trim().to_string();
    Some(if written.is_err() && answer.is_empty() { "z3 closed its input".into() } else { answer })
}

fn main() -> ExitCode {
    let print = std::env::args().any(|arg| arg == "--print");
    let (mut proved, mut failed) = (0, 0);
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let named = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let all = obligations()
        .into_iter()
        .chain(operators::obligations())
        .chain(moves::obligations())
        .chain(whole::obligations());
    for obligation in all.filter(|obligation| named(obligation.name)) {
        let script = query(&obligation);
        if print {
            println!("; {}, {}\n{script}", obligation.name, obligation.extent());
            continue;
        }
        let start = Instant::now();
        let Some(answer) = ask(&script) else {
            println!("skipped: z3 not installed");
            return ExitCode::SUCCESS;
        };
        let verdict = match (answer.as_str(), obligation.holds) {
            ("unsat", true) => "proved",
            ("sat", false) => "refuted, as it must be",
            ("sat", true) => "FAILED: there is a counterexample",
            ("unsat", false) => "FAILED: a wrong rule was proved",
            _ => "FAILED: no answer",
        };
        let good = !verdict.starts_with("FAILED");
        proved += u32::from(good);
        failed += u32::from(!good);
        let detail = if good { String::new() } else { format!(" ({answer})") };
        let (name, extent, time) = (obligation.name, obligation.extent(), start.elapsed().as_secs_f32());
        println!("{name:32} {extent:12}  {verdict}{detail}  {time:.2} s");
    }
    if !print {
        println!("{proved} as they must be, {failed} failed");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

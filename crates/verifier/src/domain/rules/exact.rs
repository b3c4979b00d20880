//! The rules that compute without a modulus: products, quotients and remainders of the ends of intervals.
//!
//! Generic like the others, over integers: with machine integers wide enough for every result they compute, with
//! symbolic ones they are proved for all integers, and so for every width.

/// An integer that is computed with, or written down. No result may leave the type.
pub trait Exact: Clone {
    /// What a comparison gives.
    type Bool: Clone;
    /// A constant.
    fn lit(&self, value: i8) -> Self;
    /// Difference.
    fn minus(&self, rhs: &Self) -> Self;
    /// Product.
    fn times(&self, rhs: &Self) -> Self;
    /// Quotient rounded towards zero; `rhs` is not 0.
    fn quotient(&self, rhs: &Self) -> Self;
    /// What is left by that quotient, with the sign of `self`; `rhs` is not 0.
    fn remainder(&self, rhs: &Self) -> Self;
    /// Less than.
    fn less(&self, rhs: &Self) -> Self::Bool;
    /// `if c { a } else { b }`.
    fn select(c: &Self::Bool, a: &Self, b: &Self) -> Self;
    /// Conjunction.
    fn both(a: &Self::Bool, b: &Self::Bool) -> Self::Bool;
    /// Negation.
    fn negate(a: &Self::Bool) -> Self::Bool;
}

macro_rules! machine {
    ($($t:ty)*) => {$(
        impl Exact for $t {
            type Bool = bool;
            fn lit(&self, value: i8) -> $t {
                value as $t
            }
            fn minus(&self, rhs: &$t) -> $t {
                self - rhs
            }
            fn times(&self, rhs: &$t) -> $t {
                self * rhs
            }
            fn quotient(&self, rhs: &$t) -> $t {
                self / rhs
            }
            fn remainder(&self, rhs: &$t) -> $t {
                self % rhs
            }
            fn less(&self, rhs: &$t) -> bool {
                self < rhs
            }
            fn select(c: &bool, a: &$t, b: &$t) -> $t {
                if *c { *a } else { *b }
            }
            fn both(a: &bool, b: &bool) -> bool {
                *a && *b
            }
            fn negate(a: &bool) -> bool {
                !*a
            }
        }
    )*};
}

machine!(u64 u128 i128);

/// An interval: its least and its greatest value.
pub type Whole<T> = (T, T);

/// Products of two intervals of numbers that are not negative.
pub fn whole_mul<T: Exact>(a: &Whole<T>, b: &Whole<T>) -> Whole<T> {
    (a.0.times(&b.0), a.1.times(&b.1))
}

/// Quotients of an interval of numbers that are not negative by one of positive numbers.
pub fn whole_div<T: Exact>(a: &Whole<T>, b: &Whole<T>) -> Whole<T> {
    (a.0.quotient(&b.1), a.1.quotient(&b.0))
}

/// The least and greatest of `f` over the four corners of two intervals.
///
/// Products are extreme there, and so are quotients rounded towards zero if the divisors have one sign.
pub fn corners<T: Exact>(a: &Whole<T>, b: &Whole<T>, f: fn(&T, &T) -> T) -> Whole<T> {
    let all = [f(&a.0, &b.0), f(&a.0, &b.1), f(&a.1, &b.0), f(&a.1, &b.1)];
    let [first, rest @ ..] = &all;
    let least = rest.iter().fold(first.clone(), |m, x| T::select(&x.less(&m), x, &m));
    let most = rest.iter().fold(first.clone(), |m, x| T::select(&m.less(x), x, &m));
    (least, most)
}

/// Whether every remainder of the two intervals is the dividend itself: the divisor is 0 only, or always larger in size.
///
/// The remainder by 0 is the dividend (RFC 9669, section 4.1).
pub fn whole_rem_stays<T: Exact>(a: &Whole<T>, b: &Whole<T>) -> T::Bool {
    let ((_, dividend), (least, most)) = (sizes(a), sizes(b));
    either::<T>(&T::negate(&a.0.lit(0).less(&most)), &dividend.less(&least))
}

/// Remainders of two intervals; `by_zero`: the divisor may be 0, which it is not always.
///
/// A remainder has the sign of the dividend and is not larger in size, and smaller than the divisor if that is not 0.
pub fn whole_rem<T: Exact>(a: &Whole<T>, b: &Whole<T>, by_zero: &T::Bool) -> Whole<T> {
    let zero = a.0.lit(0);
    let (lo, hi) = (least(&a.0, &zero), most(&a.1, &zero));
    let limit = sizes(b).1.minus(&a.0.lit(1));
    let within = |free: &T, limited: &T| T::select(by_zero, free, limited);
    (within(&lo, &most(&lo, &zero.minus(&limit))), within(&hi, &least(&hi, &limit)))
}

/// Remainders by one divisor that is not 0, if there is one quotient for all dividends: the interval moves as a whole.
pub fn whole_rem_moves<T: Exact>(a: &Whole<T>, by: &T) -> (Whole<T>, T::Bool) {
    let one_quotient = equal(&a.0.quotient(by), &a.1.quotient(by));
    ((a.0.remainder(by), a.1.remainder(by)), one_quotient)
}

/// The least and the greatest size (distance from 0) of the members of an interval.
fn sizes<T: Exact>(a: &Whole<T>) -> Whole<T> {
    let zero = a.0.lit(0);
    let size = |x: &T| T::select(&x.less(&zero), &zero.minus(x), x);
    let (lo, hi) = (size(&a.0), size(&a.1));
    // 0 lies between the ends.
    let crosses = T::both(&T::negate(&zero.less(&a.0)), &T::negate(&a.1.less(&zero)));
    (T::select(&crosses, &zero, &least(&lo, &hi)), most(&lo, &hi))
}

fn least<T: Exact>(a: &T, b: &T) -> T {
    T::select(&a.less(b), a, b)
}
fn most<T: Exact>(a: &T, b: &T) -> T {
    T::select(&a.less(b), b, a)
}
fn equal<T: Exact>(a: &T, b: &T) -> T::Bool {
    T::negate(&either::<T>(&a.less(b), &b.less(a)))
}
fn either<T: Exact>(a: &T::Bool, b: &T::Bool) -> T::Bool {
    T::negate(&T::both(&T::negate(a), &T::negate(b)))
}

//! The rules that compute without a modulus: products and quotients of the ends of intervals.
//!
//! Generic like the others, over integers: with machine integers wide enough for every result they compute, with
//! symbolic ones they are proved for all integers, and so for every width.

/// An integer that is computed with, or written down. No result may leave the type.
pub trait Exact: Clone {
    /// What a comparison gives.
    type Bool;
    /// Product.
    fn times(&self, rhs: &Self) -> Self;
    /// Quotient rounded towards zero; `rhs` is not 0.
    fn quotient(&self, rhs: &Self) -> Self;
    /// Less than.
    fn less(&self, rhs: &Self) -> Self::Bool;
    /// `if c { a } else { b }`.
    fn select(c: &Self::Bool, a: &Self, b: &Self) -> Self;
}

macro_rules! machine {
    ($($t:ty)*) => {$(
        impl Exact for $t {
            type Bool = bool;
            fn times(&self, rhs: &$t) -> $t {
                self * rhs
            }
            fn quotient(&self, rhs: &$t) -> $t {
                self / rhs
            }
            fn less(&self, rhs: &$t) -> bool {
                self < rhs
            }
            fn select(c: &bool, a: &$t, b: &$t) -> $t {
                if *c { *a } else { *b }
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

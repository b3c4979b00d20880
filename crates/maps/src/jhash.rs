//! Bob Jenkins's lookup3 hash, as Linux has it (`jhash`, include/linux/jhash.h): a bloom filter without a seed holds the
//! same bits here and there.
//!
//! Three sums take three words at a time and are mixed after each; the last one to three are mixed once more, harder.

use crate::mem::Bytes;

/// `JHASH_INITVAL`.
const INITIAL: u32 = 0xdead_beef;

/// Hash of bytes; what is missing of the last word counts as zeros.
pub(crate) fn jhash(bytes: Bytes<'_>, seed: u32) -> u32 {
    let start = INITIAL.wrapping_add(bytes.len() as u32).wrapping_add(seed);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut left = bytes.len().div_ceil(4);
    let mut words = bytes.words().flat_map(halves);
    let mut next = || words.next().unwrap_or(0);
    while left > 3 {
        a = a.wrapping_add(next());
        b = b.wrapping_add(next());
        c = c.wrapping_add(next());
        mix(&mut a, &mut b, &mut c);
        left -= 3;
    }
    if left == 0 {
        return c;
    }
    a = a.wrapping_add(next());
    if left > 1 {
        b = b.wrapping_add(next());
    }
    if left > 2 {
        c = c.wrapping_add(next());
    }
    last(a, b, c)
}

/// The two halves of a word, in the order that they stand in memory.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

/// `to -= by; to ^= by rotated; by += other`, the step of [`mix`].
fn turn(to: &mut u32, by: &mut u32, other: u32, bits: u32) {
    *to = to.wrapping_sub(*by) ^ by.rotate_left(bits);
    *by = by.wrapping_add(other);
}

/// `__jhash_mix`: reversible, so that no two inputs become one here.
fn mix(a: &mut u32, b: &mut u32, c: &mut u32) {
    turn(a, c, *b, 4);
    turn(b, a, *c, 6);
    turn(c, b, *a, 8);
    turn(a, c, *b, 16);
    turn(b, a, *c, 19);
    turn(c, b, *a, 4);
}

/// `__jhash_final`: every bit of the three reaches `c`.
fn last(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    let fold = |to: u32, by: u32, bits: u32| (to ^ by).wrapping_sub(by.rotate_left(bits));
    c = fold(c, b, 14);
    a = fold(a, c, 11);
    b = fold(b, a, 25);
    c = fold(c, b, 16);
    a = fold(a, c, 4);
    b = fold(b, a, 14);
    fold(c, b, 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two answers that lookup3's author gives for his own test of `hashlittle`.
    #[test]
    fn known_answers() {
        let answers = || {
            let text = b"Four score and seven years ago";
            assert_eq!(jhash(text.into(), 0), 0x1777_0551);
            assert_eq!(jhash(text.into(), 1), 0xcd62_8161);
            assert_eq!(jhash((&[]).into(), 0), INITIAL);
        };
        // Bytes are read where threads may be switched.
        #[cfg(shuttle)]
        shuttle::check_random(answers, 1);
        #[cfg(not(shuttle))]
        answers();
    }
}

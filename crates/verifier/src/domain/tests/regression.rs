//! Bugs that verifiers had, each by its name, and precision that programs rely on.

use crate::domain::{BinOp, Bits, Cmp, Scalar, Tnum};

const S64: (i64, i64) = (i64::MIN, i64::MAX);
const S32: (i32, i32) = (i32::MIN, i32::MAX);

fn range(min: u64, max: u64) -> Scalar {
    Scalar::from_unsigned(min, max).unwrap()
}

fn signed(min: i64, max: i64) -> Scalar {
    Scalar::from_signed(min, max).unwrap()
}

/// What is left of `a` where `a cmp y` comes out as `taken`.
fn after(cmp: Cmp, bits: Bits, a: Scalar, y: u64, taken: bool) -> Option<Scalar> {
    cmp.refine(bits, &a, &Scalar::known(y), taken).map(|(a, _)| a)
}

#[test]
fn jump_in_32_bits_kills_a_branch_that_is_dead_in_the_low_half_only() {
    // The value is huge in 64 bits and 5 in its low half.
    let x = Scalar::from_tnum(Tnum::new(5, 0xffff_ffff_0000_0000).unwrap());
    assert_eq!(Cmp::Eq.decide(Bits::B32, &x, &Scalar::known(5)), Some(true));
    assert_eq!(Cmp::Eq.decide(Bits::B64, &x, &Scalar::known(5)), None);
    assert_eq!(after(Cmp::Gt, Bits::B32, x, 5, true), None);
    assert_eq!(after(Cmp::Gt, Bits::B32, x, 5, false), Some(x));
}

#[test]
fn jump_in_32_bits_does_not_kill_a_branch_for_its_high_half() {
    // 2^32 is above 5 in 64 bits, but its low half is not.
    let x = Scalar::known(1 << 32);
    assert_eq!(Cmp::Gt.decide(Bits::B64, &x, &Scalar::known(5)), Some(true));
    assert_eq!(Cmp::Gt.decide(Bits::B32, &x, &Scalar::known(5)), Some(false));
    // -1 as a 64-bit constant is 0xffffffff in a 32-bit comparison.
    let low = range(0xffff_ffff, 0xffff_ffff);
    assert_eq!(Cmp::Eq.decide(Bits::B32, &low, &Scalar::known(u64::MAX)), Some(true));
}

#[test]
fn jump_in_32_bits_says_nothing_about_the_high_half() {
    let low = after(Cmp::Le, Bits::B32, Scalar::UNKNOWN, 7, true).unwrap();
    assert!(low.has(0xdead_beef_0000_0003) && !low.has(8));
    assert_eq!((low.u32_min(), low.u32_max()), (0, 7));
    let all = after(Cmp::Le, Bits::B32, range(0, u64::from(u32::MAX)), 7, true).unwrap();
    assert_eq!((all.umin(), all.umax()), (0, 7), "with a high half of zero the low half is all");
}

#[test]
fn ranges_wrap_around_at_2_to_the_31() {
    let x = range(0x7fff_fff0, 0x7fff_ffff);
    let sum = x.add(Bits::B32, &Scalar::known(1));
    assert!(sum.has(0x8000_0000) && sum.has(0x7fff_fff1));
    assert_eq!((sum.u32_min(), sum.u32_max()), (0x7fff_fff1, 0x8000_0000));
    assert_eq!((sum.s32_min(), sum.s32_max()), (i32::MIN, i32::MAX), "the signed half straddles its seam");
    // All of it wraps: then it is an interval again.
    let sum = range(0x7fff_fff0, 0x7fff_ffff).add(Bits::B32, &Scalar::known(16));
    assert_eq!((sum.s32_min(), sum.s32_max()), (i32::MIN, i32::MIN + 15));
}

#[test]
fn ranges_wrap_around_at_2_to_the_32() {
    let x = range(0xffff_fff0, 0xffff_ffff);
    let sum = x.add(Bits::B32, &Scalar::known(1));
    assert!(sum.has(0) && sum.has(0xffff_fff1));
    assert_eq!((sum.umin(), sum.umax()), (0, 0xffff_ffff));
    let sum = x.add(Bits::B64, &Scalar::known(1));
    assert_eq!((sum.umin(), sum.umax()), (0xffff_fff1, 1 << 32), "no seam in 64 bits");
    assert_eq!((sum.s32_min(), sum.s32_max()), (-15, 0));
}

#[test]
fn ranges_wrap_around_at_2_to_the_63() {
    let x = signed(i64::MAX - 15, i64::MAX);
    let sum = x.add(Bits::B64, &Scalar::known(1));
    assert!(sum.has(1 << 63) && sum.has(i64::MAX as u64));
    assert_eq!((sum.smin(), sum.smax()), S64);
    assert_eq!((sum.umin(), sum.umax()), (i64::MAX as u64 - 14, 1 << 63));
    let difference = signed(i64::MIN, i64::MIN + 3).sub(Bits::B64, &Scalar::known(2));
    assert_eq!((difference.smin(), difference.smax()), S64);
    assert_eq!(Scalar::known(1 << 63).neg(Bits::B64), Scalar::known(1 << 63));
}

#[test]
fn ranges_wrap_around_at_2_to_the_64() {
    let sum = range(u64::MAX - 3, u64::MAX).add(Bits::B64, &Scalar::known(2));
    assert!(sum.has(u64::MAX) && sum.has(1));
    assert_eq!((sum.umin(), sum.umax()), (0, u64::MAX));
    assert_eq!((sum.smin(), sum.smax()), (-2, 1), "as signed numbers nothing wraps");
    let product = range(1 << 32, 1 << 33).mul_by(1 << 32);
    assert!(product.has(0) && product.umax() >= 1 << 63);
}

#[test]
fn least_signed_value_divided_by_minus_one_is_itself() {
    for (bits, least) in [(Bits::B64, 1u64 << 63), (Bits::B32, 1 << 31)] {
        let minus_one = signed(-1, 1);
        let quotient = Scalar::known(least).binary(BinOp::Sdiv, bits, &minus_one);
        assert!(quotient.has(least) && quotient.has(0));
        let rest = Scalar::known(least).binary(BinOp::Smod, bits, &Scalar::known(u64::MAX));
        assert_eq!(rest, Scalar::known(0));
    }
}

#[test]
fn division_by_what_may_be_zero_includes_zero() {
    let quotient = range(100, 200).binary(BinOp::Div, Bits::B64, &range(0, 3));
    assert_eq!((quotient.umin(), quotient.umax()), (0, 200));
    let rest = range(100, 200).binary(BinOp::Mod, Bits::B64, &range(0, 3));
    assert_eq!((rest.umin(), rest.umax()), (0, 200), "modulo zero leaves the dividend");
    // Modulo zero in 32 bits still clears the high half.
    let rest = Scalar::known(0x1_0000_0005).binary(BinOp::Mod, Bits::B32, &Scalar::known(0));
    assert_eq!(rest, Scalar::known(5));
}

#[test]
fn bottom_is_never_read_as_a_state() {
    // Each side contradicts what is known, in another component each time.
    let small = range(0, 10);
    assert_eq!(after(Cmp::Gt, Bits::B64, small, 10, true), None);
    assert_eq!(after(Cmp::Slt, Bits::B64, small, 0, true), None);
    assert_eq!(after(Cmp::Eq, Bits::B32, small, 11, true), None);
    assert_eq!(after(Cmp::Set, Bits::B64, small, 16, true), None);
    assert_eq!(after(Cmp::Set, Bits::B64, Scalar::known(16), 16, false), None);
    assert_eq!(after(Cmp::Lt, Bits::B64, Scalar::UNKNOWN, 0, true), None);
    assert_eq!(after(Cmp::Gt, Bits::B64, Scalar::UNKNOWN, u64::MAX, true), None);
    assert_eq!(after(Cmp::Slt, Bits::B64, Scalar::UNKNOWN, 1 << 63, true), None);
    assert_eq!(after(Cmp::Ne, Bits::B64, Scalar::known(4), 4, true), None);
    // A multiple of 8 strictly between two of them; odd and even.
    let multiple = Scalar::from_tnum(Tnum::new(0, !7).unwrap());
    let above = after(Cmp::Gt, Bits::B64, multiple, 8, true).unwrap();
    assert_eq!(above.umin(), 16);
    assert_eq!(after(Cmp::Lt, Bits::B64, above, 16, true), None);
    assert_eq!(after(Cmp::Eq, Bits::B64, multiple, 9, true), None);
    assert_eq!(range(0, 3).meet(&range(4, 7)), None);
    assert_eq!(signed(-5, -1).meet(&range(0, 7)), None);
    // Unsigned and signed bounds that only meet across the sign.
    assert_eq!(Scalar::from_parts(Tnum::UNKNOWN, (5, 1 << 40), (-9, 4)), None);
    assert_eq!(Scalar::from_unsigned(5, 4), None);
    assert_eq!(Scalar::from_signed(5, 4), None);
}

#[test]
fn contradiction_between_the_halves_is_found() {
    // 64-bit value in [2^32, 2^32 + 3], but its low half at least 4.
    let parts = |s32| Scalar::from_all_parts(Tnum::UNKNOWN, (1 << 32, (1 << 32) + 3), S64, (4, 9), s32);
    assert_eq!(parts(S32), None);
    let x = range(1 << 32, (1 << 32) + 3);
    assert_eq!(after(Cmp::Ge, Bits::B32, x, 4, true), None);
    assert_eq!(after(Cmp::Slt, Bits::B32, x, 0, true), None);
}

#[test]
fn low_half_moves_the_ends_of_the_whole() {
    // [2^32, 3 * 2^32 + 2^31] with a low half in [1, 2^31 - 1].
    let x = range(1 << 32, 0x3_8000_0000);
    let x = after(Cmp::Sgt, Bits::B32, x, 0, true).unwrap();
    assert_eq!((x.umin(), x.umax()), (0x1_0000_0001, 0x3_7fff_ffff));
}

#[test]
fn sign_extended_value_with_non_negative_low_half_is_that_half() {
    let x = Scalar::UNKNOWN.movsx(Bits::B64, 32);
    assert_eq!((x.smin(), x.smax()), (i64::from(i32::MIN), i64::from(i32::MAX)));
    let x = after(Cmp::Sge, Bits::B32, x, 3, true).unwrap();
    assert_eq!((x.umin(), x.umax(), x.smin(), x.smax()), (3, 0x7fff_ffff, 3, 0x7fff_ffff));
}

#[test]
fn unsigned_range_that_overlaps_one_end_of_a_signed_range_is_that_end() {
    let x = Scalar::from_parts(Tnum::UNKNOWN, (5, 1 << 63 | 7), (-3, 100)).unwrap();
    assert_eq!((x.umin(), x.umax(), x.smin(), x.smax()), (5, 100, 5, 100));
}

#[test]
fn unequal_trims_both_readings_at_the_seam() {
    let x = after(Cmp::Ne, Bits::B64, Scalar::UNKNOWN, 0, true).unwrap();
    assert_eq!(x.umin(), 1);
    let x = after(Cmp::Ne, Bits::B64, signed(-4, 4), (-4i64) as u64, true).unwrap();
    assert_eq!((x.smin(), x.smax()), (-3, 4));
    let x = after(Cmp::Ne, Bits::B64, range(0, 1), 1, true).unwrap();
    assert_eq!(x, Scalar::known(0));
}

#[test]
fn testing_one_bit_makes_it_known_on_both_sides() {
    let set = after(Cmp::Set, Bits::B64, Scalar::UNKNOWN, 8, true).unwrap();
    assert_eq!(set.tnum().value(), 8);
    let clear = after(Cmp::Set, Bits::B64, Scalar::UNKNOWN, 0xf8, false).unwrap();
    assert_eq!(clear.tnum(), Tnum::new(0, !0xf8).unwrap());
    let both = after(Cmp::Set, Bits::B64, Scalar::UNKNOWN, 9, true).unwrap();
    assert_eq!(both.tnum(), Tnum::UNKNOWN, "either bit can be the one");
}

#[test]
fn mask_then_scale_then_add_keeps_an_index_in_its_array() {
    // The usual proof of a map access: (x & 15) * 24 + 8.
    let index = Scalar::UNKNOWN.binary(BinOp::And, Bits::B64, &Scalar::known(15));
    let offset = index.mul_by(24).add(Bits::B64, &Scalar::known(8));
    assert_eq!((offset.umin(), offset.umax()), (8, 15 * 24 + 8));
    assert!(offset.tnum().is_aligned(8));
}

#[test]
fn shift_by_a_bounded_amount_is_bounded() {
    let amount = range(1, 3);
    let x = range(1, 4).binary(BinOp::Lsh, Bits::B64, &amount);
    assert_eq!((x.umin(), x.umax()), (2, 32));
    let x = range(64, 255).binary(BinOp::Rsh, Bits::B64, &amount);
    assert_eq!((x.umin(), x.umax()), (8, 127));
    let x = signed(-64, 7).binary(BinOp::Arsh, Bits::B64, &amount);
    assert_eq!((x.smin(), x.smax()), (-32, 3));
    // Amounts count modulo the width.
    let x = Scalar::known(1).binary(BinOp::Lsh, Bits::B32, &range(32, 33));
    assert!(x.has(1) && x.has(2));
}

#[test]
fn shift_left_by_32_of_64_bits_clears_the_low_half() {
    let x = Scalar::UNKNOWN.binary(BinOp::Lsh, Bits::B64, &Scalar::known(32));
    assert_eq!(x.as_const32(), Some(0));
    let back = x.binary(BinOp::Arsh, Bits::B64, &Scalar::known(32));
    assert_eq!((back.smin(), back.smax()), (i64::from(i32::MIN), i64::from(i32::MAX)));
}

#[test]
fn byte_swap_folds_constants_and_keeps_known_bytes() {
    assert_eq!(Scalar::known(0x1234_5678_9abc_def0).bswap(64), Scalar::known(0xf0de_bc9a_7856_3412));
    assert_eq!(Scalar::known(0x1234_5678_9abc_def0).bswap(16), Scalar::known(0xf0de));
    let port = range(0, 255).to_be(16, false);
    assert_eq!(port.tnum(), Tnum::new(0, 0xff00).unwrap());
    assert_eq!(Scalar::UNKNOWN.to_le(16, false).umax(), 0xffff);
}

#[test]
fn mask_of_the_sign_is_split_in_its_two_cases() {
    let x = Scalar::UNKNOWN.binary(BinOp::Arsh, Bits::B64, &Scalar::known(63));
    assert_eq!(x.split_mask(), Some([Scalar::known(0), Scalar::known(u64::MAX)]));
    let x = Scalar::UNKNOWN.binary(BinOp::Arsh, Bits::B32, &Scalar::known(31));
    assert_eq!(x.split_mask(), Some([Scalar::known(0), Scalar::known(0xffff_ffff)]));
    assert_eq!(signed(-1, 1).split_mask(), None);
    assert_eq!(Scalar::known(0).split_mask(), None);
}

#[test]
fn shift_left_to_the_top_keeps_what_the_low_half_knows() {
    // Low half in 33..=0x7fffffff, high half anything: the usual first half of a sign extension.
    let x = after(Cmp::Sgt, Bits::B32, Scalar::UNKNOWN, 32, true).unwrap();
    let x = x.binary(BinOp::Lsh, Bits::B64, &Scalar::known(32));
    assert_eq!((x.umin(), x.smax()), (33 << 32, 0x7fff_ffff << 32));
    let x = x.binary(BinOp::Rsh, Bits::B64, &Scalar::known(32));
    assert_eq!((x.umin(), x.umax()), (33, 0x7fff_ffff));
}

impl Scalar {
    fn mul_by(&self, factor: u64) -> Scalar {
        self.binary(BinOp::Mul, Bits::B64, &Scalar::known(factor))
    }
}

#[test]
fn nothing_known_cut_to_few_bits_is_what_its_bounds_say() {
    for bits in [1, 8, 16, 31, 32] {
        let cut = Scalar::UNKNOWN.truncate(bits);
        assert_eq!(Some(cut), Scalar::from_unsigned(0, u64::MAX >> (64 - bits)), "{bits}");
        assert_eq!(Some(cut), cut.normalize(), "{bits}");
        assert_eq!(cut.truncate(bits), cut, "{bits}");
    }
}

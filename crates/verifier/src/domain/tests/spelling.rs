//! The text of the kernel log, by example. `tests/domain_kernel.rs` compares it with the running kernel's.

extern crate std;

use std::string::{String, ToString};

use crate::domain::{Bits, Cmp, Scalar, Tnum};

fn range(min: u64, max: u64) -> Scalar {
    Scalar::from_unsigned(min, max).unwrap()
}

#[test]
fn constants_are_decimal_in_sixteen_bits_and_hexadecimal_beyond() {
    for (x, text) in [
        (0, "0"),
        (-1i64 as u64, "-1"),
        (0x7fff, "32767"),
        (0x8000, "0x8000"),
        (-0x8000i64 as u64, "-32768"),
        (-0x8001i64 as u64, "0xffffffffffff7fff"),
        (0xffff_ffff, "0xffffffff"),
        (1 << 63, "0x8000000000000000"),
    ] {
        assert_eq!(Scalar::known(x).to_string(), text);
    }
}

#[test]
fn bounds_at_the_limit_are_left_out_and_equal_ones_share_a_value() {
    assert_eq!(Scalar::UNKNOWN.to_string(), "scalar()");
    assert_eq!(
        range(0, 255).to_string(),
        "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))"
    );
    assert_eq!(
        range(0, u64::from(u32::MAX)).to_string(),
        "scalar(smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff))"
    );
}

#[test]
fn negative_bounds_are_not_mixed_with_positive_ones() {
    assert_eq!(
        Scalar::from_signed(-0x1_0000, 5).unwrap().to_string(),
        "scalar(smin=0xffffffffffff0000,smax=smax32=5,smin32=0xffff0000)"
    );
    assert_eq!(
        Scalar::from_signed(-10, -3).unwrap().to_string(),
        "scalar(smin=smin32=-10,smax=smax32=-3,umin=0xfffffffffffffff6,umax=0xfffffffffffffffd,\
         umin32=0xfffffff6,umax32=0xfffffffd,var_off=(0xfffffffffffffff0; 0xf))"
    );
}

#[test]
fn attributes_go_before_ranges() {
    let mut text = String::from("scalar(id=3");
    let mut separator = ",";
    range(0, 7).fmt_ranges(&mut text, &mut separator).unwrap();
    assert_eq!(text, "scalar(id=3,smin=smin32=0,smax=umax=smax32=umax32=7,var_off=(0x0; 0x7)");
    let mut separator = "";
    Scalar::UNKNOWN.fmt_ranges(&mut text, &mut separator).unwrap();
    assert_eq!(separator, "", "nothing was written");
}

#[test]
fn tnums_are_numbers_or_pairs() {
    assert_eq!(Tnum::new(0, 0xff).unwrap().to_string(), "(0x0; 0xff)");
    assert_eq!(Tnum::constant(0xffff).to_string(), "65535");
    assert_eq!(Tnum::constant(0x1_0000).to_string(), "0x10000");
}

#[test]
fn a_half_that_is_known_alone_is_shown_as_32_bit_bounds() {
    let (below, _) = Cmp::Lt.refine(Bits::B32, &Scalar::UNKNOWN, &Scalar::known(16), true).unwrap();
    assert_eq!(
        below.to_string(),
        "scalar(smax=0x7fffffff0000000f,umax=0xffffffff0000000f,smin32=0,smax32=umax32=15,\
         var_off=(0x0; 0xffffffff0000000f))"
    );
}

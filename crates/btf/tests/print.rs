//! Values as text.

use skep_btf::print::{Options, Tree, format_value, tree};
use skep_btf::*;

const LITTLE: Options = Options { endian: Endian::Little, max_nodes: 1000 };
const BIG: Options = Options { endian: Endian::Big, max_nodes: 1000 };

#[track_caller]
fn prints(options: Options, bytes: &[u8], want: &str, make: impl FnOnce(&mut Builder) -> TypeId) {
    let mut b = Builder::new();
    let id = make(&mut b);
    let btf = b.finish().expect("the types are right");
    assert_eq!(format_value(&btf, id, bytes, &options).expect("prints"), want);
    if let Some(short) = bytes.len().checked_sub(1) {
        let e = format_value(&btf, id, &bytes[..short], &options).expect_err("a byte is missing");
        assert!(e.is_truncated(), "{e}");
    }
}

#[test]
fn integers() {
    use IntEncoding::*;
    prints(LITTLE, &[0xfe, 0xff], "-2", |b| b.int("short", 2, Signed));
    prints(BIG, &[0xff, 0xfe], "-2", |b| b.int("short", 2, Signed));
    prints(LITTLE, &[0xff; 8], "18446744073709551615", |b| b.int("u64", 8, Unsigned));
    prints(LITTLE, &[0xff; 16], "-1", |b| b.int("i128", 16, Signed));
    prints(BIG, &[0xff; 16], "340282366920938463463374607431768211455", |b| b.int("u128", 16, Unsigned));
    prints(LITTLE, &[1], "true", |b| b.int("_Bool", 1, Bool));
    prints(LITTLE, &[65], "65", |b| b.int("char", 1, Signed));
    prints(LITTLE, &[0, 0, 0xc0, 0x3f], "1.5", |b| {
        let name = b.name("float");
        b.add(Type::Float { name, size: 4 })
    });
}

#[test]
fn bit_fields_in_both_orders() {
    let make = |b: &mut Builder| {
        let int = b.int("int", 4, IntEncoding::Signed);
        let uint = b.int("unsigned int", 4, IntEncoding::Unsigned);
        let (name, x, y, z) = (b.name("s"), b.name("x"), b.name("y"), b.name("z"));
        let bit = |name, ty, off_bits, bitfield_bits| Member { name, ty, off_bits, bitfield_bits };
        let members = [bit(x, int, 0, 3), bit(y, uint, 3, 10), bit(z, uint, 13, 19)].into();
        b.add(Type::Struct { name, size: 4, members })
    };
    // x = -3, y = 0x155, z = 0x40001, as gcc lays them out on each.
    let little: u32 = 0b101 | 0x155 << 3 | 0x40001 << 13;
    prints(LITTLE, &little.to_le_bytes(), "{.x = -3, .y = 341, .z = 262145}", make);
    let big: u32 = 0b101 << 29 | 0x155 << 19 | 0x40001;
    prints(BIG, &big.to_be_bytes(), "{.x = -3, .y = 341, .z = 262145}", make);
}

/// Producers before kind_flag put the width in the integer.
#[test]
fn bit_fields_of_old_producers() {
    prints(LITTLE, &[0b1010_0000], "{.x = 5}", |b| {
        let name = b.name("u");
        let ty = b.add(Type::Int { name, size: 1, encoding: IntEncoding::Unsigned, off_bits: 0, bits: 3 });
        b.structure("s", 1, &[("x", ty, 5)])
    });
}

/// 128 bits that start within a byte touch 17 bytes.
#[test]
fn the_widest_unaligned_integer() {
    let make = |b: &mut Builder| {
        let name = b.name("u128");
        let ty = b.add(Type::Int { name, size: 16, encoding: IntEncoding::Unsigned, off_bits: 0, bits: 128 });
        b.structure("s", 17, &[("x", ty, 4)])
    };
    let mut bytes = [0; 17];
    bytes[0] = 0x5f;
    bytes[16] = 0xf1;
    let want = format!("{{.x = {}}}", 5u128 | 1 << 124);
    prints(LITTLE, &bytes, &want, make);
    let want = format!("{{.x = {}}}", 0xfu128 << 124 | 0xf);
    prints(BIG, &bytes, &want, make);
}

#[test]
fn enums() {
    let signed = |b: &mut Builder| b.enumeration("e", true, &[("NONE", 0), ("BAD", -1)]);
    prints(LITTLE, &[0xff; 4], "BAD", signed);
    prints(LITTLE, &[7, 0, 0, 0], "7", signed);
    prints(LITTLE, &[0xfe, 0xff, 0xff, 0xff], "-2", signed);
    let unsigned = |b: &mut Builder| b.enumeration("e", false, &[("TOP", 0xffff_ffff)]);
    prints(LITTLE, &[0xff; 4], "TOP", unsigned);
    prints(LITTLE, &[0xfe, 0xff, 0xff, 0xff], "4294967294", unsigned);
    prints(BIG, &[0x80, 0, 0, 0, 0, 0, 0, 0], "MIN", |b| {
        let (name, min) = (b.name("e"), b.name("MIN"));
        b.add(Type::Enum64 {
            name,
            size: 8,
            signed: true,
            values: [EnumValue { name: min, value: i64::MIN }].into(),
        })
    });
}

#[test]
fn nested() {
    let mut bytes = vec![17, 0, 0, 0];
    bytes.extend(b"a\"\n\x1b\0junk\0\0\0\0\0\0\0");
    bytes.extend([10, 0, 0, 1]);
    bytes.extend(0xffff_8000_0000_1000u64.to_le_bytes());
    let want = r#"{.pid = 17, .comm = "a\"\n\033", .ip = 16777226, .octets = {10, 0, 0, 1}, .task = 0xffff800000001000}"#;
    prints(LITTLE, &bytes, want, |b| {
        let u32_ = b.int("unsigned int", 4, IntEncoding::Unsigned);
        let u8_ = b.int("unsigned char", 1, IntEncoding::Unsigned);
        let char_ = b.int("char", 1, IntEncoding::Signed);
        let comm = b.array(char_, u32_, 16);
        let octets = b.array(u8_, u32_, 4);
        let (ip, oct) = (b.name("ip"), b.name("octets"));
        let member = |name, ty| Member { name, ty, off_bits: 0, bitfield_bits: 0 };
        let addr = b.add(Type::Union {
            name: Name::NONE,
            size: 4,
            members: [member(ip, u32_), member(oct, octets)].into(),
        });
        let void = b.ptr(TypeId::VOID);
        b.structure(
            "event",
            32,
            &[("pid", u32_, 0), ("comm", comm, 32), ("", addr, 160), ("task", void, 192)],
        )
    });
    prints(LITTLE, &[0xff, 0, b'x'], "{0xff, 0x00, 0x78}", |b| {
        let char_ = b.int("char", 1, IntEncoding::Char);
        b.array(char_, char_, 3)
    });
}

#[test]
fn a_tree_keeps_names_and_types() {
    let mut b = Builder::new();
    let u32_ = b.int("unsigned int", 4, IntEncoding::Unsigned);
    let arr = b.array(u32_, u32_, 2);
    let id = b.structure("s", 8, &[("a", arr, 0)]);
    let btf = b.finish().unwrap();
    let got = tree(&btf, id, &[1, 0, 0, 0, 2, 0, 0, 0], &LITTLE).unwrap();
    assert_eq!(got, Tree::Struct(vec![("a".into(), Tree::Array(vec![Tree::UInt(1), Tree::UInt(2)]))]));
}

/// Unions double the parts with each level: 2^30 of them in 4 bytes must not be printed, nor 4 G empty ones.
#[test]
fn bombs() {
    let mut b = Builder::new();
    let mut last = b.int("int", 4, IntEncoding::Signed);
    let (x, y) = (b.name("x"), b.name("y"));
    for _ in 0..30 {
        let member = |name| Member { name, ty: last, off_bits: 0, bitfield_bits: 0 };
        last = b.add(Type::Union { name: Name::NONE, size: 4, members: [member(x), member(y)].into() });
    }
    let mut deep = last;
    for _ in 0..10 {
        deep = b.structure("d", 4, &[("d", deep, 0)]);
    }
    let empty = b.structure("empty", 0, &[]);
    let many = b.array(empty, TypeId(1), u32::MAX);
    let btf = b.finish().unwrap();
    let e = format_value(&btf, last, &[0; 4], &LITTLE).expect_err("too many parts");
    assert!(e.to_string().contains("too many parts"), "{e}");
    let e = format_value(&btf, deep, &[0; 4], &LITTLE).expect_err("too deep");
    assert!(e.to_string().contains("deeper than 32"), "{e}");
    assert_eq!(format_value(&btf, many, &[], &LITTLE).unwrap(), "{}");
    let e = format_value(&btf, TypeId::VOID, &[], &LITTLE).expect_err("void");
    assert!(e.to_string().contains("no size"), "{e}");
}

/// The contents of `.data`: a struct of its variables.
#[test]
fn a_section_of_variables() {
    prints(LITTLE, &[1, 0, 0, 0, 2, 0, 0, 0], "{.first = 1, .second = 2}", |b| {
        let int = b.int("int", 4, IntEncoding::Signed);
        let entry = |b: &mut Builder, name: &str, off_bytes| {
            let name = b.name(name);
            let ty = b.add(Type::Var { name, ty: int, linkage: VarLinkage::Global });
            DatasecEntry { ty, off_bytes, size: 4 }
        };
        let entries = [entry(b, "first", 0), entry(b, "second", 4)].into();
        let name = b.name(".data");
        b.add(Type::Datasec { name, size: 8, entries })
    });
}

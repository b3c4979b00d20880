//! Values into bytes, and back by printing.

use proptest::prelude::*;
use skep_btf::assign::{Input, Spot, fits, locate, parse, parse_for, store, type_name};
use skep_btf::print::{Options, format_value, tree_at};
use skep_btf::*;

const LITTLE: Options = Options { endian: Endian::Little, max_nodes: 1000 };
const BIG: Options = Options { endian: Endian::Big, max_nodes: 1000 };

/// `struct cfg` of 64 bytes with a member of every kind; and its id.
fn cfg() -> (Btf, TypeId) {
    let mut b = Builder::new();
    let u8_ = b.int("unsigned char", 1, IntEncoding::Unsigned);
    let char_ = b.int("char", 1, IntEncoding::Signed);
    let bool_ = b.int("_Bool", 1, IntEncoding::Bool);
    let short = b.int("short", 2, IntEncoding::Signed);
    let int = b.int("int", 4, IntEncoding::Signed);
    let uint = b.int("unsigned int", 4, IntEncoding::Unsigned);
    let u64_ = b.int("unsigned long", 8, IntEncoding::Unsigned);
    let mode = b.enumeration("mode", true, &[("OFF", 0), ("ON", 1), ("ODD", -5)]);
    let ptr = b.ptr(TypeId::VOID);
    let text = b.array(char_, int, 6);
    let shorts = b.array(short, int, 3);
    let rows = b.array(shorts, int, 2);
    let const_ = b.add(Type::Const { target: u64_ });
    let name = b.name("limit_t");
    let limit = b.add(Type::Typedef { name, target: const_ });
    let name = b.name("double");
    let double = b.add(Type::Float { name, size: 8 });
    let (x, y) = (b.name("x"), b.name("y"));
    let bit = |name, ty, off_bits, bitfield_bits| Member { name, ty, off_bits, bitfield_bits };
    // One of no name: `x` and `y` are the outer struct's.
    let bits = b.add(Type::Struct {
        name: Name::NONE,
        size: 4,
        members: [bit(x, int, 0, 3), bit(y, uint, 3, 10)].into(),
    });
    let (half, whole) = (b.name("half"), b.name("whole"));
    let name = b.name("either");
    let either = b.add(Type::Union {
        name,
        size: 4,
        members: [bit(half, short, 0, 0), bit(whole, uint, 0, 0)].into(),
    });
    let cfg = b.structure(
        "cfg",
        64,
        &[
            ("tiny", u8_, 0),
            ("flag", bool_, 8),
            ("text", text, 16),
            ("limit", limit, 64),
            ("mode", mode, 128),
            ("", bits, 160),
            ("either", either, 192),
            ("rows", rows, 224),
            ("ptr", ptr, 320),
            ("ratio", double, 384),
            ("delta", int, 448),
        ],
    );
    (b.finish().expect("the types are right"), cfg)
}

fn set(options: Options, path: &str, text: &str, bytes: &mut [u8]) -> Result<(), String> {
    let (btf, id) = cfg();
    let spot = locate(&btf, id, path).map_err(|e| e.to_string())?;
    let input = parse_for(&btf, spot, text).map_err(|e| e.to_string())?;
    store(&btf, spot, &input, bytes, options).map_err(|e| e.to_string())
}

#[track_caller]
fn sets(path: &str, text: &str, printed: &str) {
    for options in [LITTLE, BIG] {
        for fill in [0, 0xff] {
            let (btf, id) = cfg();
            let mut bytes = [fill; 64];
            set(options, path, text, &mut bytes).unwrap_or_else(|e| panic!("{path} = {text}: {e}"));
            let spot = locate(&btf, id, path).unwrap();
            assert_eq!(
                tree_at(&btf, spot, &bytes, &options).unwrap().to_string(),
                printed,
                "{path} = {text}"
            );
            // Nothing beside it has changed.
            let (mut before, mut after) = ([fill; 64], bytes);
            for b in [&mut before, &mut after] {
                let zero = if spot.bitfield_bits == 0 {
                    Input::Bytes(vec![0; btf.size_of(spot.ty).unwrap() as usize])
                } else {
                    Input::Int(0)
                };
                store(&btf, spot, &zero, b, options).unwrap();
            }
            assert_eq!(before, after, "{path} = {text}");
        }
    }
}

#[track_caller]
fn refuses(path: &str, text: &str, words: &str) {
    assert_eq!(set(LITTLE, path, text, &mut [0; 64]).expect_err("it does not fit"), words, "{path} = {text}");
}

#[test]
fn numbers() {
    sets(".tiny", "255", "255");
    sets(".tiny", "0x1f", "31");
    sets(".tiny", "'a'", "97");
    refuses(".tiny", "256", "256 does not fit into `unsigned char`: 0 to 255");
    refuses(".tiny", "-1", "-1 does not fit into `unsigned char`: 0 to 255");
    refuses(".tiny", "true", "true does not fit into `unsigned char`: 0 to 255");
    refuses(".tiny", "ON", "`ON` does not fit into `unsigned char`: 0 to 255");
    refuses(".tiny", "1.5", "1.5 does not fit into `unsigned char`: 0 to 255");
    sets(".delta", "-2147483648", "-2147483648");
    refuses(".delta", "2147483648", "2147483648 does not fit into `int`: -2147483648 to 2147483647");
    sets(".limit", "18446744073709551615", "18446744073709551615");
    refuses(
        ".limit",
        "18446744073709551616",
        "18446744073709551616 does not fit into `limit_t`: 0 to 18446744073709551615",
    );
    sets(".ptr", "0xffff888000000000", "0xffff888000000000");
    sets(".ratio", "1.5", "1.5");
    sets(".ratio", "-3", "-3.0");
    sets(".ratio", "1e-7", "1e-7");
}

#[test]
fn booleans_and_enumerators() {
    for (text, printed) in [("true", "true"), ("1", "true"), ("false", "false"), ("0", "false")] {
        sets(".flag", text, printed);
    }
    refuses(".flag", "2", "2 does not fit into `_Bool`: true or false");
    sets(".mode", "ON", "ON");
    sets(".mode", "ODD", "ODD");
    sets(".mode", "-5", "ODD");
    sets(".mode", "77", "77");
    let fits = "OFF, ON, ODD or a number from -2147483648 to 2147483647";
    refuses(".mode", "UP", &format!("`UP` does not fit into `enum mode`: {fits}"));
}

#[test]
fn bit_fields() {
    sets(".x", "-4", "-4");
    sets(".x", "3", "3");
    sets(".y", "1023", "1023");
    refuses(".x", "4", "4 does not fit into `int` of 3 bits: -4 to 3");
    refuses(".y", "1024", "1024 does not fit into `unsigned int` of 10 bits: 0 to 1023");
}

#[test]
fn texts() {
    sets(".text", "abc", "\"abc\"");
    sets(".text", "", "\"\"");
    // As in C, the NUL need not fit.
    sets(".text", "sixsix", "\"sixsix\"");
    sets(".text", r#""a\n\x41""#, r#""a\nA""#);
    sets(".text", "{'a', 98}", "\"ab\"");
    refuses(".text", "seven77", "\"seven77\" does not fit into `char[6]`: text of at most 6 bytes");
}

#[test]
fn aggregates() {
    sets(".rows", "{{1, 2, 3}, {-4}}", "{{1, 2, 3}, {-4, 0, 0}}");
    sets(".rows[1]", "{7, 8, 9}", "{7, 8, 9}");
    sets(".rows[1][2]", "-9", "-9");
    sets(".either.whole", "7", "7");
    let row = "`short[3]`";
    refuses(".rows", "{1}", &format!("1 does not fit into {row}: {{…}} with at most 3 of `short`"));
    refuses(
        ".rows[0]",
        "{1, 2, 3, 4}",
        &format!("{{…}} of 4 does not fit into {row}: {{…}} with at most 3 of `short`"),
    );
    refuses(
        "",
        "{.tiny = 1, .nothing = 2}",
        "`struct cfg` has no member `nothing`: {.member = value, …} with tiny, \
        flag, text, limit, mode, x, y, either, rows, ptr, ratio, delta",
    );
    refuses("", "{.tiny = 999}", "`.tiny`: 999 does not fit into `unsigned char`: 0 to 255");
}

#[test]
fn paths() {
    let (btf, id) = cfg();
    let refused = |path| locate(&btf, id, path).expect_err("there is no such part").to_string();
    assert!(refused(".nothing").starts_with("`struct cfg` has no member `nothing`; it has tiny, flag,"));
    assert_eq!(refused(".rows[2]"), "`.rows`: `short[2][3]` has no element 2: there are 0 to 1");
    assert_eq!(refused(".rows[0].a"), "`.rows[0]`: `short[3]` has no members, and `.a` is asked for");
    assert_eq!(refused(".tiny[0]"), "`.tiny`: `unsigned char` has no elements, and `[0]` is asked for");
    assert_eq!(refused(".rows[x]"), "`.rows`: `[x]` is no index: write a number");
    assert_eq!(refused(".rows[0"), "`[0` lacks its `]`");
    assert_eq!(refused("tiny"), "`tiny` is neither `.member` nor `[index]`");
    assert_eq!(type_name(&btf, locate(&btf, id, ".rows").unwrap().ty), "short[2][3]");
    assert_eq!(fits(&btf, locate(&btf, id, ".x").unwrap()), "-4 to 3");
}

#[test]
fn what_is_no_value() {
    for (text, words) in [
        ("", "expected a value instead of the end"),
        ("{1 2}", "expected `,` or `}` instead of `2}`"),
        ("{.a 1}", "expected `.name = value` instead of `1}`"),
        ("1 2", "expected nothing more instead of `2`"),
        ("-x", "expected a number behind `-` instead of"),
        ("\"abc", "expected a closing `\"` instead of the end"),
        ("12ab", "`12ab` is no number"),
        ("'ab'", "'ab' is not one character of one byte"),
    ] {
        let e = parse(text).expect_err(text).to_string();
        assert!(e.contains(words), "{text}: {e}");
    }
    let deep = "{".repeat(100_000);
    assert!(parse(&deep).unwrap_err().to_string().contains("nests deeper"));
}

#[test]
fn bytes_that_end_too_early() {
    let (btf, id) = cfg();
    for len in 0..63 {
        for path in ["", ".tiny", ".text", ".x", ".rows[1][2]", ".delta"] {
            // Whatever the answer: no panic.
            let spot = locate(&btf, id, path).unwrap();
            let _ = store(&btf, spot, &Input::Int(1), &mut vec![0; len], LITTLE);
            let _ = store(&btf, spot, &Input::List(Vec::new()), &mut vec![0; len], BIG);
        }
    }
}

proptest! {
    /// What printing says is read back, and gives the same bytes: all but padding, and what follows a NUL.
    #[test]
    fn printed_values_are_read_back(mut bytes in proptest::array::uniform32(any::<u8>()).prop_flat_map(
        |a| proptest::array::uniform32(any::<u8>()).prop_map(move |b| [a, b].concat())), big: bool) {
        let options = if big { BIG } else { LITTLE };
        let (btf, id) = cfg();
        // A NaN is not equal to itself, and has more than one spelling.
        bytes[48..56].copy_from_slice(&[0; 8]);
        let printed = format_value(&btf, id, &bytes, &options).unwrap();
        let mut back = vec![0; 64];
        store(&btf, Spot::whole(id), &parse(&printed).unwrap(), &mut back, options).unwrap();
        prop_assert_eq!(format_value(&btf, id, &back, &options).unwrap(), printed);
        prop_assert_eq!(&back[8..20], &bytes[8..20]);
        prop_assert_eq!(&back[24..56], &bytes[24..56]);
    }

    /// No text makes the parser panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[-{}.=,\"'\\\\a-f0-9x ]{0,24}") {
        let _ = parse(&text);
    }
}

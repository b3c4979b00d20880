//! Types as C: what is dumped compiles, and every struct has the size and the offsets that the BTF says.

#[path = "common/c.rs"]
mod c;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use c::{assertions, clang, clang_is_missing, compile, unique};
use skep_btf::{Btf, Builder, EnumValue, IntEncoding, Member, Name, Param, Type, TypeId, dump};

/// A variable of each type that is asked about, so that the compiler describes it.
fn variables(btf: &Btf, asked: impl Fn(TypeId) -> bool) -> String {
    let mut out = String::new();
    for (i, (id, word, name)) in unique(btf).into_iter().enumerate() {
        if btf.size_of(id).is_some_and(|s| s > 0) && asked(id) {
            writeln!(out, "{word} {name} __variable_{i};").unwrap();
        }
    }
    out
}

/// What must be equal of a struct: members by name, offset, width, and the kind and size of their types.
fn shape(btf: &Btf, id: TypeId) -> Vec<(String, u32, u8, u8, Option<u32>)> {
    let mut out = Vec::new();
    for m in btf.resolved(id).members() {
        let ty = btf.resolved(m.ty);
        // Enums of another width may be of the other kind.
        let kind = if matches!(ty, Type::Enum64 { .. }) { 6 } else { ty.kind() as u8 };
        out.push((btf.str(m.name).to_owned(), m.off_bits, m.bitfield_bits, kind, btf.size_of(m.ty)));
        if m.name.is_none() {
            out.extend(shape(btf, m.ty));
        }
    }
    out
}

/// Dumps, compiles, reads back and compares the types that are asked about. Gives the number of types and members.
fn round_trip(name: &str, btf: &Btf, asked: impl Fn(TypeId) -> bool) -> (usize, usize) {
    let text = dump::to_c(btf).unwrap_or_else(|e| panic!("{name}: {e}"));
    let back = compile(name, &(text + &variables(btf, &asked)));
    let found: BTreeMap<_, _> =
        unique(&back).into_iter().map(|(id, word, name)| ((word, name.to_owned()), id)).collect();
    let (mut types, mut members) = (0, 0);
    for (id, word, type_name) in unique(btf) {
        let Some(size) = btf.size_of(id).filter(|s| *s > 0 && asked(id)) else { continue };
        let other = *found
            .get(&(word, type_name.to_owned()))
            .unwrap_or_else(|| panic!("{name}: {word} {type_name} is lost"));
        assert_eq!(back.size_of(other), Some(size), "{name}: size of {word} {type_name}");
        let (a, b) = (shape(btf, id), shape(&back, other));
        // Large gaps are filled by name.
        let b: Vec<_> = b.into_iter().filter(|m| !m.0.starts_with("__unnamed_")).collect();
        // A union that is larger than its members has one more, without a name.
        let b: Vec<_> = b
            .into_iter()
            .filter(|m| !(m.0.is_empty() && m.3 == 4 && !a.iter().any(|a| a.0.is_empty())))
            .collect();
        assert_eq!(a, b, "{name}: {word} {type_name}");
        let values = |btf: &Btf, t: &Type| -> Vec<_> {
            t.values().iter().map(|v| (btf.str(v.name).to_owned(), v.value)).collect()
        };
        let (t, u) = (btf.ty(id).unwrap(), back.ty(other).unwrap());
        for ((an, av), (bn, bv)) in values(btf, t).into_iter().zip(values(&back, u)) {
            // Enumerators are numbered where others have their names.
            assert!(bn == an || bn.starts_with(&format!("{an}___")), "{name}: {type_name}: {an} became {bn}");
            let bits = size * 8;
            let cut = |v: i64| v.cast_unsigned() << (64 - bits) >> (64 - bits);
            assert_eq!(cut(av), cut(bv), "{name}: {an}");
        }
        types += 1;
        members += a.len();
    }
    (types, members)
}

fn member(name: Name, ty: TypeId, off_bits: u32, bitfield_bits: u8) -> Member {
    Member { name, ty, off_bits, bitfield_bits }
}

/// Layouts that C would not give by itself.
#[test]
fn odd_layouts() {
    if let Some(why) = clang_is_missing() {
        return println!("skipped: {why}");
    }
    let mut b = Builder::new();
    let (int, long) = (b.int("int", 4, IntEncoding::Signed), b.int("long", 8, IntEncoding::Signed));
    let char_ = b.int("char", 1, IntEncoding::Signed);
    let huge = b.int("__int128", 16, IntEncoding::Signed);
    let odd = b.int("u24ish", 4, IntEncoding::Unsigned);
    b.structure("packed", 13, &[("a", char_, 0), ("b", int, 8), ("c", long, 40)]);
    let aligned = b.structure("aligned", 64, &[("a", int, 0)]);
    b.structure("holds_aligned", 256, &[("a", char_, 0), ("in", aligned, 64 * 8), ("after", char_, 192 * 8)]);
    b.structure("odd_size", 7, &[("a", int, 0)]);
    let odd_size = b.structure("odd_size_2", 5, &[("a", int, 0), ("b", char_, 32)]);
    b.structure("holds_odd", 16, &[("x", odd_size, 8), ("y", int, 64)]);
    b.structure("far", 20_000, &[("a", int, 0), ("b", int, 15_000 * 8)]);
    b.structure("empty", 24, &[]);
    b.structure("nothing", 0, &[]);
    b.structure("wide", 32, &[("a", char_, 0), ("b", huge, 128)]);
    b.structure("rusty", 4, &[("a", odd, 0)]);
    let names: Vec<_> = ["p", "q", "r", "s", "t"].map(|n| b.name(n)).into();
    let bits =
        |at: &[(u32, u8)]| at.iter().zip(&names).map(|(&(off, w), &n)| member(n, int, off, w)).collect();
    let name = b.name("bits");
    b.add(Type::Struct { name, size: 12, members: bits(&[(0, 3), (5, 7), (32, 1), (64, 31), (95, 1)]) });
    let name = b.name("crossing");
    b.add(Type::Struct { name, size: 9, members: bits(&[(0, 3), (3, 30), (33, 20), (60, 12)]) });
    let name = b.name("late_bits");
    b.add(Type::Struct { name, size: 16, members: bits(&[(17, 3), (77, 3), (127, 1)]) });
    let name = b.name("big_union");
    b.add(Type::Union {
        name,
        size: 48,
        members: [member(names[0], int, 0, 0), member(names[1], char_, 0, 0)].into(),
    });
    let name = b.name("packed_union");
    b.add(Type::Union {
        name,
        size: 5,
        members: [member(names[0], int, 0, 0), member(names[1], odd_size, 0, 0)].into(),
    });
    let anonymous = b.add(Type::Union {
        name: Name::NONE,
        size: 8,
        members: [member(names[1], int, 0, 0), member(names[2], long, 0, 0)].into(),
    });
    let name = b.name("nested");
    b.add(Type::Struct {
        name,
        size: 24,
        members: [member(names[0], int, 0, 0), member(Name::NONE, anonymous, 128, 0)].into(),
    });
    let value = |name, value| EnumValue { name, value };
    let (tiny_a, tiny_b) = (b.name("TINY_A"), b.name("TINY_B"));
    let name = b.name("tiny");
    let tiny = b.add(Type::Enum {
        name,
        size: 1,
        signed: false,
        values: [value(tiny_a, 0), value(tiny_b, 200)].into(),
    });
    let name = b.name("large_small");
    b.add(Type::Enum64 { name, size: 8, signed: false, values: [value(tiny_a, 1)].into() });
    let (least, most) = (b.name("LEAST"), b.name("MOST"));
    let name = b.name("extremes");
    b.add(Type::Enum64 {
        name,
        size: 8,
        signed: true,
        values: [value(least, i64::MIN), value(most, i64::MAX)].into(),
    });
    let name = b.name("unsigned_most");
    b.add(Type::Enum64 { name, size: 8, signed: false, values: [value(most, -1)].into() });
    b.structure("holds_tiny", 3, &[("a", char_, 0), ("t", tiny, 8), ("b", char_, 16)]);
    let (types, members) = round_trip("odd", &b.finish().expect("all is right"), |_| true);
    assert!(types > 20 && members > 39, "{types} types, {members} members");
}

/// Names that C does not have, names that are there twice, and members that overlap.
#[test]
fn odd_names_and_overlaps() {
    let mut b = Builder::new();
    let int = b.int("u32", 4, IntEncoding::Unsigned);
    b.structure("Option<u32>", 8, &[("0", int, 0), ("default", int, 32)]);
    b.structure("twice", 4, &[("a", int, 0)]);
    let second = b.structure("twice", 8, &[("a", int, 32)]);
    let ptr = b.ptr(second);
    b.typedef("to_second", ptr);
    b.structure("overlap", 8, &[("a", int, 0), ("b", int, 16)]);
    let text = dump::to_c(&b.finish().expect("all is right")).expect("C has ways");
    for want in [
        "typedef unsigned int u32;\n",
        "struct Option_u32_ {\n\tu32 _0;\n\tu32 default_;\n};",
        "struct twice {\n\tu32 a;\n};",
        "struct twice___2 {\n\tint: 32;\n\tu32 a;\n};",
        "typedef struct twice___2 *to_second;",
        "struct overlap { /* its members overlap */ unsigned char __opaque[8]; };",
    ] {
        assert!(text.contains(want), "no {want:?} in\n{text}");
    }
    if clang_is_missing().is_none() {
        compile("names", &(text + "struct twice___2 v;\n"));
    }
}

#[test]
fn declarators() {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let c = b.add(Type::Const { target: int });
    let to_const = b.ptr(c);
    let const_ptr = b.add(Type::Const { target: to_const });
    let list = b.array(const_ptr, int, 3);
    let to_list = b.ptr(list);
    let x = b.name("x");
    let proto = b.add(Type::FuncProto {
        ret: to_list,
        params: [Param { name: x, ty: int }, Param { name: Name::NONE, ty: TypeId::VOID }].into(),
    });
    let to_proto = b.ptr(proto);
    let grid = b.array(to_proto, int, 2);
    let grid = b.array(grid, int, 4);
    b.typedef("t", grid);
    let none = b.func_proto(TypeId::VOID, &[]);
    b.typedef("f", none);
    let name = b.name("user \"x\"");
    let tagged = b.add(Type::TypeTag { name, target: int, attribute: false });
    let p = b.ptr(tagged);
    let p = b.add(Type::Restrict { target: p });
    b.typedef("p", p);
    let text = dump::to_c(&b.finish().expect("all is right")).expect("C");
    for want in [
        "typedef const int *const (*(*t[4][2])(int x, ...))[3];",
        "typedef void f(void);",
        "typedef __attribute__((btf_type_tag(\"user \\\"x\\\"\"))) int *restrict p;",
    ] {
        assert!(text.contains(want), "no {want:?} in\n{text}");
    }
}

/// Cycles through pointers are C's daily bread; others are refused, and what is too much ends.
#[test]
fn order_and_bounds() {
    let mut b = Builder::new();
    let next = TypeId(b.next_id().0 + 1);
    let a = b.next_id();
    let other = TypeId(a.0 + 2);
    b.structure("a", 8, &[("b", next, 0)]);
    b.ptr(other);
    let back = TypeId(other.0 + 1);
    b.structure("b", 8, &[("a", back, 0)]);
    b.ptr(a);
    let text = dump::to_c(&b.finish().expect("right")).expect("C");
    assert!(
        text.contains("struct b;\n\nstruct a {\n\tstruct b *b;\n};\n\nstruct b {\n\tstruct a *a;\n};"),
        "{text}"
    );

    // typedef struct { t *p; } t;
    let mut b = Builder::new();
    let t = b.next_id();
    b.typedef("t", TypeId(t.0 + 1));
    b.structure("", 8, &[("p", TypeId(t.0 + 2), 0)]);
    b.ptr(t);
    let e = dump::to_c(&b.finish().expect("right")).expect_err("C has no such typedef");
    assert!(e.is_unsupported() && e.to_string().contains("C has no order"), "{e}");

    // Each holds the one before twice: 2^60 lines.
    let mut b = Builder::new();
    let mut last = b.int("char", 1, IntEncoding::Signed);
    for i in 0..28u32 {
        last = b.structure("", 2 << i, &[("a", last, 0), ("b", last, 8 << i)]);
    }
    b.structure("bomb", 1 << 28, &[("a", last, 0)]);
    let e = dump::to_c(&b.finish().expect("right")).expect_err("too much");
    assert!(e.is_unsupported(), "{e}");
    let mut b = Builder::new();
    let mut last = b.int("char", 1, IntEncoding::Signed);
    for _ in 0..100_000 {
        last = b.ptr(last);
    }
    b.typedef("deep", last);
    let e = dump::to_c(&b.finish().expect("right")).expect_err("too deep");
    assert!(e.is_unsupported() && e.to_string().contains("256 levels"), "{e}");
}

/// A module's types stand on the kernel's, which are written as far as they are needed.
#[test]
fn split() {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let needed = b.structure("needed", 4, &[("x", int, 0)]);
    b.structure("idle", 4, &[("x", int, 0)]);
    let mut m = Builder::split(Arc::new(b.finish().expect("right")));
    m.structure("own", 8, &[("n", needed, 0), ("y", int, 32)]);
    let text = dump::to_c(&m.finish().expect("right")).expect("C");
    assert!(
        text.contains("struct needed {\n") && text.contains("struct own {\n") && !text.contains("idle"),
        "{text}"
    );
}

#[test]
fn the_kernels_own() {
    if let Some(why) = clang_is_missing() {
        return println!("skipped: {why}");
    }
    let bytes = match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => bytes,
        Err(e) => return println!("skipped: /sys/kernel/btf/vmlinux: {e}"),
    };
    let btf = Btf::parse(&bytes).expect("the kernel's own BTF is right");
    let (asserted, count) = assertions(&btf, |_| true);
    clang("vmlinux", &(dump::to_c(&btf).expect("C") + &asserted), &["-fsyntax-only"]);
    // What assertions cannot ask: widths and places of bit-fields.
    let bits = |id| shape(&btf, id).iter().any(|m| m.2 != 0);
    let (types, members) = round_trip("vmlinux-bits", &btf, bits);
    println!(
        "{count} sizes and offsets hold; {types} types with bit-fields and {members} members are as they were"
    );
    assert!(count > 30_000 && types > 200 && members > 3000);
}

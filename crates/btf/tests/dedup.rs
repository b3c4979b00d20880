//! Deduplication: what becomes one and what must not, bases, damaged input, the kernel's types twice.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::same;
use common::units::{Made, Unit, ground};
use proptest::prelude::*;
use skep_btf::dedup::{Deduped, dedup};
use skep_btf::*;

/// Deduplicates, and checks what must hold whatever the input.
#[track_caller]
fn dedup_checked(btf: Btf) -> Deduped {
    let done = dedup(btf.clone(), []).expect("nothing grows");
    same(&btf, &done.btf, |id| done.map.id(id));
    done
}

/// Several, one after the other.
fn concatenated<'a>(all: impl IntoIterator<Item = &'a Btf>) -> Btf {
    let mut b = Builder::new();
    for btf in all {
        let map = b.append(btf).expect("no base");
        assert_eq!(map.id(TypeId::VOID), TypeId::VOID);
    }
    b.finish().expect("right together, since right alone")
}

fn made(make: impl FnOnce(&mut Builder)) -> Btf {
    let mut b = Builder::new();
    make(&mut b);
    b.finish().expect("right")
}

fn kinds(btf: &Btf) -> Vec<(&'static str, &str)> {
    btf.iter_own().map(|(id, t)| (t.kind().name(), btf.name(id).unwrap_or(""))).collect()
}

fn fwd(b: &mut Builder, name: &str, is_union: bool) -> TypeId {
    let name = b.name(name);
    b.add(Type::Fwd { name, is_union })
}

fn int(b: &mut Builder) -> TypeId {
    b.int("int", 4, IntEncoding::Signed)
}

/// `struct list { struct list *next; int value; }`, its pointer first or last.
fn list(pointer_first: bool) -> Btf {
    made(|b| {
        let n = b.next_id().0;
        let ids = if pointer_first { [n, n + 1, n + 2] } else { [n + 2, n + 1, n] }.map(TypeId);
        let [ptr, int_, list] = ids;
        for i in 0..3 {
            match TypeId(n + i) {
                id if id == ptr => b.ptr(list),
                id if id == int_ => int(b),
                _ => b.structure("list", 16, &[("next", ptr, 0), ("value", int_, 64)]),
            };
        }
    })
}

#[test]
fn cycles_match_in_any_order_of_records() {
    let done = dedup_checked(concatenated([&list(true), &list(false), &list(true)]));
    assert_eq!(kinds(&done.btf), [("PTR", ""), ("INT", "int"), ("STRUCT", "list")]);
    let other = made(|b| {
        let i = int(b);
        b.ptr(i);
        b.structure("list", 16, &[("next", TypeId(2), 0), ("value", i, 64)]);
    });
    let done = dedup_checked(concatenated([&list(true), &other]));
    assert_eq!(done.btf.len(), 6, "a list of int pointers is another: {:?}", kinds(&done.btf));
}

/// `struct user { struct data *p; }` with the data defined or declared.
fn user(defined: bool) -> Btf {
    made(|b| {
        let data = match defined {
            true => {
                let i = int(b);
                b.structure("data", 4, &[("v", i, 0)])
            }
            false => fwd(b, "data", false),
        };
        let p = b.ptr(data);
        b.structure("user", 8, &[("p", p, 0)]);
    })
}

#[test]
fn declared_structs_become_the_defined_one() {
    let want = [("INT", "int"), ("STRUCT", "data"), ("PTR", ""), ("STRUCT", "user")];
    for order in [[true, false], [false, true]] {
        let done = dedup_checked(concatenated(order.map(user).iter()));
        let mut got = kinds(&done.btf);
        got.sort_by_key(|k| want.iter().position(|w| w == k));
        assert_eq!(got, want, "{order:?}");
    }
    assert!(kinds(&dedup_checked(concatenated(&[user(false), user(false)])).btf).contains(&("FWD", "data")));
}

#[test]
fn a_declaration_that_no_struct_uses_becomes_the_only_definition() {
    let alone = |is_union| {
        made(|b| {
            let f = fwd(b, "data", is_union);
            b.ptr(f);
        })
    };
    let done = dedup_checked(concatenated([&alone(false), &user(true)]));
    assert!(!kinds(&done.btf).contains(&("FWD", "data")));
    let done = dedup_checked(concatenated([&alone(true), &user(true)]));
    assert!(kinds(&done.btf).contains(&("FWD", "data")), "a union is not a struct");
    let twice = made(|b| {
        b.structure("data", 8, &[]);
    });
    let done = dedup_checked(concatenated([&alone(false), &user(true), &twice]));
    assert!(kinds(&done.btf).contains(&("FWD", "data")), "two are defined");
}

#[test]
fn enums_without_values_are_declarations() {
    let declared = made(|b| {
        let e = b.enumeration("color", false, &[]);
        b.ptr(e);
    });
    let defined = made(|b| {
        let e = b.enumeration("color", false, &[("RED", 0)]);
        b.ptr(e);
    });
    let wide = made(|b| {
        let (name, v) = (b.name("color"), b.name("RED"));
        let values = [EnumValue { name: v, value: 1 << 40 }].into();
        b.add(Type::Enum64 { name, size: 8, signed: false, values });
    });
    for order in [[&declared, &defined], [&defined, &declared]] {
        assert_eq!(kinds(&dedup_checked(concatenated(order)).btf).len(), 2);
    }
    assert_eq!(dedup(concatenated([&declared, &wide]), []).unwrap().btf.len(), 3, "to an enum64 too");
    assert_eq!(dedup_checked(concatenated([&defined, &wide])).btf.len(), 4, "two definitions stay two");
    let anonymous = |values: &[(&str, i64)]| {
        made(|b| {
            b.enumeration("", false, values);
        })
    };
    assert_eq!(dedup_checked(concatenated([&anonymous(&[]), &anonymous(&[("A", 1)])])).btf.len(), 3);
}

#[test]
fn tags_functions_and_variables() {
    let unit = |linkage, tag: &str, attribute| {
        made(|b| {
            let i = int(b);
            let (t, name) = (b.name(tag), b.name("v"));
            let tagged = b.add(Type::TypeTag { name: t, target: i, attribute });
            let p = b.ptr(tagged);
            let proto = b.func_proto(i, &[("p", p)]);
            let f = b.func("f", proto, linkage);
            b.add(Type::DeclTag { name: t, target: f, component: Some(0), attribute: false });
            b.add(Type::DeclTag { name: t, target: f, component: None, attribute });
            let v = b.add(Type::Var { name, ty: i, linkage: VarLinkage::Global });
            b.add(Type::DeclTag { name: t, target: v, component: None, attribute: false });
            let (name, entries) = (b.name(".data"), [DatasecEntry { ty: v, off_bytes: 0, size: 4 }].into());
            b.add(Type::Datasec { name, size: 4, entries });
        })
    };
    let one = unit(FuncLinkage::Static, "user", false);
    let all = one.len();
    assert_eq!(all, 11);
    // A variable and its section and tag are always another's.
    assert_eq!(dedup_checked(concatenated([&one, &one])).btf.len(), all + 3);
    let other = unit(FuncLinkage::Static, "kernel", false);
    assert_eq!(dedup_checked(concatenated([&one, &other])).btf.len(), 2 * all - 2, "all but int");
    let other = unit(FuncLinkage::Extern, "user", false);
    assert_eq!(dedup_checked(concatenated([&one, &other])).btf.len(), all + 6, "another function");
    let other = unit(FuncLinkage::Static, "user", true);
    assert_eq!(dedup_checked(concatenated([&one, &other])).btf.len(), 2 * all - 2, "attributes are no tags");
}

#[test]
fn types_that_differ_in_one_thing() {
    let one = |n: u32| {
        made(|b| {
            let i = int(b);
            let c = b.int("char", 1, if n == 1 { IntEncoding::Signed } else { IntEncoding::Char });
            let a = b.array(if n == 2 { i } else { c }, i, if n == 3 { 5 } else { 4 });
            let p = b.ptr(a);
            let (name, m) = (b.name("s"), b.name(if n == 4 { "y" } else { "x" }));
            let bits = |off_bits, bitfield_bits| Member { name: m, ty: i, off_bits, bitfield_bits };
            let members = [
                Member { name: m, ty: p, off_bits: 0, bitfield_bits: 0 },
                bits(if n == 5 { 66 } else { 65 }, if n == 6 { 4 } else { 3 }),
            ];
            b.add(Type::Struct { name, size: if n == 7 { 24 } else { 16 }, members: members.into() });
        })
    };
    for n in 1..8 {
        let done = dedup_checked(concatenated([&one(0), &one(n), &one(n), &one(0)]));
        let structs = kinds(&done.btf).iter().filter(|k| **k == ("STRUCT", "s")).count();
        assert_eq!(structs, 2, "variant {n}: {:?}", kinds(&done.btf));
    }
}

/// A compiler may write the same array or struct twice; a unit that has it once is the same all the same.
#[test]
fn what_a_compiler_wrote_twice() {
    let unit = |twice: bool| {
        made(|b| {
            let i = int(b);
            let a = b.array(i, i, 4);
            let z = if twice { b.array(i, i, 4) } else { a };
            b.structure("s", 32, &[("a", a, 0), ("z", z, 128)]);
        })
    };
    for order in [[false, true], [true, false]] {
        assert_eq!(dedup_checked(concatenated(&order.map(unit))).btf.len(), 4, "{order:?}");
    }
    let other = made(|b| {
        let i = int(b);
        let u = b.int("unsigned", 4, IntEncoding::Unsigned);
        let (a, z) = (b.array(i, i, 4), b.array(u, i, 4));
        b.structure("s", 32, &[("a", a, 0), ("z", z, 128)]);
    });
    for order in [[&other, &unit(false)], [&unit(false), &other]] {
        let done = dedup_checked(concatenated(order));
        assert_eq!(kinds(&done.btf).iter().filter(|k| k.0 == "STRUCT").count(), 2, "the elements differ");
    }
}

#[test]
fn strings_are_kept_once_and_only_if_used() {
    let mut b = Builder::new();
    b.name("nobody's");
    let line = b.name("return 0;");
    int(&mut b);
    let btf = b.finish().unwrap();
    let done = dedup(concatenated([&btf, &btf]), []).unwrap();
    assert_eq!(done.btf.to_bytes(Endian::Little).len(), 24 + 16 + "\0int\0".len());
    let done = dedup(btf, [line]).unwrap();
    assert_eq!(done.btf.str(done.map.name(line)), "return 0;");
}

/// A base: `int`, `struct data`, a pointer to it, a declared `struct later`, a pointer to that.
fn base() -> Arc<Btf> {
    Arc::new(made(|b| {
        let i = int(b);
        let d = b.structure("data", 4, &[("v", i, 0)]);
        b.ptr(d);
        let later = fwd(b, "later", false);
        b.ptr(later);
        b.enumeration("color", false, &[]);
    }))
}

#[test]
fn own_types_give_way_to_the_base_s() {
    let base = base();
    let mut b = Builder::split(base.clone());
    let i = int(&mut b);
    let d = b.structure("data", 4, &[("v", i, 0)]);
    let p = b.ptr(d);
    b.structure("mine", 8, &[("p", p, 0)]);
    b.append(&user(false)).expect("a BTF without a base goes on any");
    let done = dedup_checked(b.finish().unwrap());
    assert_eq!(kinds(&done.btf), [("STRUCT", "mine"), ("STRUCT", "user")]);
    assert_eq!(done.map.id(i), TypeId(1));
    let mine = done.btf.find_by_name(None, "mine").unwrap();
    assert_eq!(done.btf.resolved(mine).members()[0].ty, TypeId(3), "the base's pointer");
    // Its bytes are read back on the base, and names that the base has are not written again.
    let bytes = done.btf.to_bytes(Endian::Little);
    assert!(!bytes.windows(4).any(|w| w == b"data"));
    assert_eq!(Btf::parse_split(bytes, base.clone()).unwrap(), done.btf);
    let other = Builder::split(Arc::new(user(true))).finish().unwrap();
    let why = Builder::split(base).append(&other).expect_err("another base").to_string();
    assert!(why.contains("another base"), "{why}");
    assert!(Builder::new().append(&done.btf).is_err());
}

#[test]
fn what_the_base_declares_may_be_defined_in_a_split() {
    let base = base();
    let mut b = Builder::split(base.clone());
    let i = int(&mut b);
    let later = b.structure("later", 4, &[("v", i, 0)]);
    let color = b.enumeration("color", false, &[("RED", 1)]);
    let p = b.ptr(later);
    b.structure("holder", 16, &[("p", p, 0), ("c", color, 64)]);
    b.ptr(TypeId(4));
    let done = dedup_checked(b.finish().unwrap());
    assert_eq!(done.btf.base().unwrap().as_ref(), base.as_ref(), "a base never changes");
    assert!(kinds(&done.btf).contains(&("STRUCT", "later")));
    assert_eq!(done.map.id(i), TypeId(1));
}

#[test]
fn split_twice_is_split_once() {
    let base = base();
    let unit = || {
        let mut b = Builder::split(base.clone());
        b.append(&list(true)).unwrap();
        b.append(&user(true)).unwrap();
        dedup_checked(b.finish().unwrap()).btf
    };
    let mut b = Builder::split(base.clone());
    b.append(&unit()).unwrap();
    b.append(&unit()).unwrap();
    assert_eq!(dedup_checked(b.finish().unwrap()).btf, unit());
}

#[test]
fn line_info_follows() {
    let mut btf = Builder::new();
    let i = int(&mut btf);
    let proto = btf.func_proto(i, &[]);
    let f = btf.func("f", proto, FuncLinkage::Global);
    let (section, file, text) = (btf.name("xdp"), btf.name("a.c"), btf.name("return 1;"));
    let btf = btf.finish().unwrap();
    let mut ext = BtfExt {
        func_info: vec![ExtSection { section, records: vec![FuncInfo { insn_off_bytes: 0, ty: f }] }],
        line_info: vec![ExtSection {
            section,
            records: vec![LineInfo { insn_off_bytes: 0, file, text, line_col: 1 << 10 }],
        }],
        core_relos: Vec::new(),
    };
    let mut b = Builder::new();
    b.append(&list(true)).unwrap();
    let moved = b.append(&btf).unwrap();
    ext.remap(&moved);
    let done = dedup(b.finish().unwrap(), ext.names()).unwrap();
    ext.remap(&done.map);
    assert_eq!(done.btf.name(ext.func_info[0].records[0].ty), Some("f"));
    let line = ext.line_info[0].records[0];
    assert_eq!(
        [line.file, line.text, ext.line_info[0].section].map(|n| done.btf.str(n)),
        ["a.c", "return 1;", "xdp"]
    );
}

/// Cycles that C does not have, through prototypes alone.
#[test]
fn prototypes_that_refer_to_themselves() {
    let odd = made(|b| {
        let n = b.next_id().0;
        b.ptr(TypeId(n + 1));
        b.func_proto(TypeId(n), &[("f", TypeId(n))]);
        b.func_proto(TypeId(n), &[("f", TypeId(n))]);
        b.add(Type::Const { target: TypeId(n) });
    });
    let done = dedup_checked(concatenated([&odd, &odd]));
    assert!(done.btf.len() <= 9);
}

/// Many structs alike but for what is far away: found out one by one, that takes the square of their number.
#[test]
fn alike_but_for_their_depths() {
    let btf = made(|b| {
        let i = int(b);
        for n in 0..3000u32 {
            let mut last = b.array(i, i, n);
            for _ in 0..20 {
                let p = b.ptr(last);
                last = b.structure("same", 8, &[("p", p, 0)]);
            }
        }
    });
    let done = dedup_checked(btf);
    println!("{} of 123,001 types left, complete: {}", done.btf.len(), done.complete);
}

#[test]
fn deep_chains_do_not_exhaust_the_stack() {
    let deep = made(|b| {
        let i = int(b);
        for n in 0..100_000u32 {
            let next = TypeId(b.next_id().0 + 2);
            b.ptr(next);
            b.structure(if n % 2 == 0 { "even" } else { "odd" }, 8, &[("p", TypeId(b.next_id().0 - 1), 0)]);
        }
        b.add(Type::Const { target: i });
    });
    let done = dedup(concatenated([&deep, &deep]), []).expect("long, not wrong");
    assert!(done.btf.len() < 2 * deep.len());
}

fn source() -> impl Strategy<Value = Vec<Made>> {
    let to = || 0usize..12;
    let one = prop_oneof![
        4 => (proptest::collection::vec(to(), 0..4), any::<bool>()).prop_map(|(v, u)| Made::Struct(v, u)),
        2 => to().prop_map(Made::Typedef),
        1 => (0u8..3).prop_map(Made::Enum),
        1 => proptest::collection::vec(to(), 0..3).prop_map(Made::Proto),
        1 => (to(), 0u8..3).prop_map(|(t, n)| Made::Array(t, n)),
        1 => to().prop_map(Made::Const),
    ];
    proptest::collection::vec(one, 12).prop_map(ground)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    /// Units of one source: each named type is left once, declared only if no unit defines it.
    #[test]
    fn units_of_one_source(source in source(), units in proptest::collection::vec((any::<u16>(), any::<u16>()), 1..5)) {
        let units: Vec<_> = units.iter().map(|(r, d)| Unit::compile(&source, *r, *d, None)).collect();
        let all = concatenated(&units);
        let done = dedup_checked(all.clone());
        prop_assert!(done.complete);
        let mut named = BTreeMap::new();
        for (id, t) in done.btf.iter().filter(|(_, t)| !t.name().is_none()) {
            prop_assert_eq!(named.insert(done.btf.str(t.name()), id), None, "twice: {:?}", kinds(&done.btf));
        }
        // A second time, with itself and in other company nothing changes but the order of strings.
        for again in [done.btf.clone(), concatenated([&done.btf, &done.btf]), concatenated([&all, &all])] {
            let again = dedup_checked(again).btf;
            prop_assert_eq!(again.len(), done.btf.len());
            same(&done.btf, &again, |id| id);
        }
        // On a base that has some of it.
        let base = Arc::new(dedup_checked(units[0].clone()).btf);
        let mut b = Builder::split(base.clone());
        units.iter().for_each(|u| { b.append(u).expect("no base"); });
        let split = dedup_checked(b.finish().expect("right"));
        prop_assert!(split.btf.len() >= done.btf.len().min(base.len()));
        let bytes = split.btf.to_bytes(Endian::Big);
        prop_assert_eq!(Btf::parse_split(bytes, base).expect("reads back"), split.btf);
    }

    /// Sources that disagree in one struct: nothing is taken for what it is not (`dedup_checked` looks).
    #[test]
    fn units_of_two_sources(source in source(), units in proptest::collection::vec((any::<u16>(), any::<u16>(), 0usize..24), 2..5)) {
        let units: Vec<_> = units.iter().map(|(r, d, s)| Unit::compile(&source, *r, *d, Some(*s))).collect();
        let done = dedup_checked(concatenated(&units));
        prop_assert_eq!(Btf::parse(&done.btf.to_bytes(Endian::Big)).expect("reads back"), done.btf);
    }

    #[test]
    fn arbitrary_types(words in proptest::collection::vec(prop_oneof![0u32..32, any::<u32>(), (1u32..20, 0u32..4).prop_map(|(k, n)| k << 24 | n)], 0..60)) {
        let bytes = common::raw(&words, b"\0int\0char\0x\0");
        if let Ok(btf) = Btf::parse(&bytes)
            && let Ok(done) = dedup(concatenated([&btf, &btf]), []) {
            prop_assert!(done.complete);
        }
    }
}

#[test]
fn the_kernel_s_types_twice() {
    let bytes = match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => bytes,
        Err(e) => return println!("skipped: /sys/kernel/btf/vmlinux: {e}"),
    };
    let btf = Btf::parse(&bytes).expect("the kernel's own BTF is right");
    let once = dedup_checked(btf.clone());
    let both = concatenated([&btf, &btf]);
    let start = std::time::Instant::now();
    let twice = dedup(both.clone(), []).unwrap();
    println!("{} types from {} in {:?}", twice.btf.len(), both.len(), start.elapsed());
    same(&both, &twice.btf, |id| twice.map.id(id));
    assert!(once.complete && twice.complete);
    // Variables, sections, and tags on them are never made one.
    let count = |btf: &Btf, all: bool| {
        let tagged = |t: &Type| match t {
            Type::DeclTag { target, .. } => matches!(btf.ty(*target), Some(Type::Var { .. })),
            t => matches!(t, Type::Var { .. } | Type::Datasec { .. }),
        };
        btf.iter().filter(|(_, t)| all || !tagged(t)).count()
    };
    assert_eq!(count(&twice.btf, false), count(&once.btf, false));
    assert!(count(&once.btf, true) + 20 > btf.len(), "the kernel's are deduplicated: {}", once.btf.len());
}

//! Reading and writing: round trips, refusals with their position, damaged input, the kernel's own BTF.

mod common;

use std::sync::Arc;

use common::raw;
use proptest::prelude::*;
use skep_btf::*;

/// One of every kind.
fn every_kind() -> Btf {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let byte = b.int("char", 1, IntEncoding::Signed);
    let flag = b.int("_Bool", 1, IntEncoding::Bool);
    let ptr = b.ptr(int);
    let arr = b.array(byte, int, 16);
    let color = b.enumeration("color", false, &[("RED", 0), ("BLUE", 0xffff_ffff)]);
    let (name, x) = (b.name("big"), b.name("HUGE_VALUE"));
    let values = [EnumValue { name: x, value: i64::MIN }].into();
    let big = b.add(Type::Enum64 { name, size: 8, signed: true, values });
    let (name, a, c) = (b.name("bits"), b.name("a"), b.name("c"));
    let members = [
        Member { name: a, ty: int, off_bits: 0, bitfield_bits: 3 },
        Member { name: c, ty: color, off_bits: 3, bitfield_bits: 7 },
    ];
    let bits = b.add(Type::Struct { name, size: 4, members: members.into() });
    let node = b.next_id();
    let node_ptr = TypeId(node.0 + 1);
    b.structure(
        "node",
        48,
        &[("next", node_ptr, 0), ("text", arr, 64), ("flag", flag, 192), ("big", big, 256)],
    );
    b.ptr(node);
    let members = [Member { name: a, ty: int, off_bits: 0, bitfield_bits: 0 }].into();
    let union = b.add(Type::Union { name: Name::NONE, size: 4, members });
    let name = b.name("hidden");
    let fwd = b.add(Type::Fwd { name, is_union: true });
    let fwd_ptr = b.ptr(fwd);
    let def = b.typedef("u_t", union);
    let v = b.add(Type::Volatile { target: def });
    let c = b.add(Type::Const { target: v });
    let name = b.name("user");
    let tag = b.add(Type::TypeTag { name, target: c, attribute: false });
    let tagged = b.ptr(tag);
    let restrict = b.add(Type::Restrict { target: tagged });
    let proto = b.func_proto(int, &[("p", restrict), ("q", fwd_ptr), ("", TypeId::VOID)]);
    let func = b.func("f", proto, FuncLinkage::Global);
    let name = b.name("a_tag");
    b.add(Type::DeclTag { name, target: func, component: Some(1), attribute: false });
    b.add(Type::DeclTag { name, target: node, component: None, attribute: true });
    let name = b.name("counter");
    let var = b.add(Type::Var { name, ty: ptr, linkage: VarLinkage::Static });
    let name = b.name(".data");
    let entries = [DatasecEntry { ty: var, off_bytes: 8, size: 8 }].into();
    b.add(Type::Datasec { name, size: 16, entries });
    let name = b.name("double");
    b.add(Type::Float { name, size: 8 });
    b.typedef("bits_t", bits);
    b.finish().expect("the types are right")
}

#[test]
fn every_kind_survives_both_byte_orders() {
    let btf = every_kind();
    let mut kinds: Vec<u8> = btf.iter().map(|(_, t)| t.kind() as u8).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, (1..=19).collect::<Vec<_>>(), "the fixture has every kind");
    for endian in [Endian::Little, Endian::Big] {
        let bytes = btf.to_bytes(endian);
        assert_eq!(Btf::parse(&bytes).expect("reads back"), btf);
    }
    assert_ne!(btf.to_bytes(Endian::Little), btf.to_bytes(Endian::Big));
}

#[test]
fn questions() {
    let btf = every_kind();
    let node = btf.find_by_name(Some(Kind::Struct), "node").unwrap();
    assert_eq!(btf.name(node), Some("node"));
    assert_eq!(btf.size_of(node), Some(48));
    assert_eq!(btf.find_by_name(Some(Kind::Union), "node"), None);
    assert_eq!(btf.find_by_name(None, "nod"), None);
    assert_eq!(btf.find_by_name(None, "ode"), None, "a suffix of a string is not a name");
    let def = btf.find_by_name(None, "u_t").unwrap();
    assert_eq!(btf.resolved(def).kind(), Kind::Union);
    assert_eq!(btf.size_of(def), Some(4));
    let func = btf.find_by_name(Some(Kind::Func), "f").unwrap();
    assert_eq!(btf.decl_tags(func, Some(1)).collect::<Vec<_>>(), ["a_tag"]);
    assert_eq!(btf.decl_tags(func, None).count(), 0);
    assert_eq!(btf.decl_tags(node, None).collect::<Vec<_>>(), ["a_tag"]);
    assert_eq!(btf.size_of(func), None);
    assert_eq!(btf.size_of(TypeId(9999)), None);
    assert_eq!(btf.ty(TypeId(9999)), None);
}

/// Why a `Builder` full of `make`'s types is refused.
fn refusal<R>(make: impl FnOnce(&mut Builder) -> R) -> (At, String) {
    let mut b = Builder::new();
    b.int("int", 4, IntEncoding::Signed);
    make(&mut b);
    let e = b.finish().expect_err("must be refused");
    (e.at(), e.to_string())
}

#[track_caller]
fn refused<R>(want_at: u32, want: &str, make: impl FnOnce(&mut Builder) -> R) {
    let (at, text) = refusal(make);
    assert_eq!(at, At::Type(want_at), "{text}");
    assert!(text.contains(want), "{text}");
}

#[test]
fn types_that_do_not_fit_together() {
    let t = TypeId;
    refused(2, "only 3 types", |b| b.ptr(t(9)));
    refused(2, "contains itself", |b| b.structure("s", 4, &[("me", t(2), 0)]));
    refused(2, "contains itself", |b| {
        b.typedef("a", t(3));
        b.typedef("b", t(2));
    });
    refused(2, "contains itself", |b| {
        b.structure("s", 8, &[("many", t(3), 0)]);
        b.array(t(2), t(1), 1);
    });
    refused(2, "refers to itself", |b| {
        b.ptr(t(3));
        b.add(Type::Const { target: t(2) });
    });
    refused(2, "bits 32+32, outside the 4 bytes", |b| b.structure("s", 4, &[("x", t(1), 32)]));
    refused(2, "lies before its predecessor", |b| {
        b.structure("s", 8, &[("x", t(1), 32), ("y", t(1), 0)]);
    });
    refused(2, "at bit 4 does not start at a byte", |b| {
        b.structure("s", 8, &[("x", t(3), 4)]);
        b.structure("in", 4, &[("x", t(1), 0)]);
    });
    refused(2, "VOID, which has no size", |b| b.array(TypeId::VOID, t(1), 3));
    refused(3, "member 0 is of type [2], a ARRAY, which has no size", |b| {
        b.array(t(1), t(1), 1 << 30);
        b.structure("s", 4, &[("x", t(2), 0)]);
    });
    refused(2, "prototype is type [1], a INT", |b| b.func("f", t(1), FuncLinkage::Static));
    refused(4, "target is type [3], a FUNC", |b| {
        let p = b.func_proto(TypeId::VOID, &[]);
        let f = b.func("f", p, FuncLinkage::Static);
        b.ptr(f);
    });
    refused(3, "has 1 members", |b| {
        let target = b.structure("s", 4, &[("x", t(1), 0)]);
        let name = b.name("tag");
        b.add(Type::DeclTag { name, target, component: Some(1), attribute: false });
    });
    refused(2, "size 3", |b| b.int("odd", 3, IntEncoding::Unsigned));
    refused(2, "does not fit 32 bits", |b| b.enumeration("e", false, &[("NEG", -1)]));
}

#[test]
fn records_that_lie() {
    let cases: &[(&[u32], &str)] = &[
        (&[1, 0x0100_0000], "ends within it"),
        (&[1, 0x0100_0000, 4], "ends within it"),
        (&[9, 0x0100_0000, 4, 32], "name offset 0x9"),
        (&[1, 0x1f00_0000, 0], "kind 31 is unknown"),
        (&[1, 0x0000_0000, 0], "kind 0 is unknown"),
        (&[1, 0x0180_0000, 4, 32], "reserved bits"),
        (&[1, 0x0100_0001, 4, 32], "vlen is 1 in a INT"),
        (&[1, 0x0100_0000, 4, 0x0300_0020], "encoding 3"),
        (&[1, 0x0100_0000, 4, 33], "bits 0+33"),
        (&[0, 0x0400_ffff, 4], "vlen is 65535, but the type section ends after 0"),
        (&[1, 0x0200_0000, 0], "a PTR has a name"),
        (&[1, 0x0c00_0003, 0], "linkage 3"),
        (&[1, 0x0e00_0000, 0, 7], "linkage 7"),
    ];
    for (words, want) in cases {
        let text = Btf::parse(&raw(words, b"\0int\0")).expect_err(want).to_string();
        assert!(text.starts_with("BTF type [1] at byte 0x18: ") && text.contains(want), "{text}");
    }
}

#[test]
fn headers_that_lie() {
    let good = raw(&[1, 0x0100_0000, 4, 32], b"\0int\0");
    assert!(Btf::parse(&good).is_ok());
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        Btf::parse(&bad).expect_err("must be refused").to_string()
    };
    assert!(with(0, &[0, 0]).contains("magic"));
    assert!(with(2, &[2]).contains("version 2"));
    assert!(with(3, &[1]).contains("flags 0x1"));
    assert!(with(4, &[23]).contains("hdr_len is 23"));
    assert!(with(4, &[0xff, 0xff, 0xff, 0xff]).contains("hdr_len"));
    assert!(with(8, &[2]).contains("not aligned"));
    assert!(with(12, &[0xfc, 0xff, 0xff, 0xff]).contains("type section"));
    assert!(with(16, &[0xff, 0xff, 0xff, 0xff]).contains("string section"));
    assert!(with(20, &[4]).contains("not terminated"));
    assert!(with(20, &[0]).contains("first string"));
    assert!(with(40, b"x").contains("first string"));
    assert!(with(41, &[0xff]).contains("not UTF-8"));
    for len in 0..good.len() {
        assert!(Btf::parse(&good[..len]).is_err(), "cut to {len} bytes");
    }
}

#[test]
fn deep_chains_do_not_exhaust_the_stack() {
    let mut b = Builder::new();
    b.int("int", 4, IntEncoding::Signed);
    // Each refers to the next, so that the walk meets the deepest first.
    for _ in 0..200_000 {
        let next = TypeId(b.next_id().0 + 1);
        b.add(Type::Const { target: next });
    }
    b.add(Type::Const { target: TypeId(1) });
    let btf = b.finish().expect("long, not wrong");
    assert_eq!(btf.resolve(TypeId(2)), TypeId(1));
}

#[test]
fn ext_records() {
    let btf = every_kind();
    let func = btf.find_by_name(Some(Kind::Func), "f").unwrap();
    let name = btf.ty(func).unwrap().name().offset();
    let ext = |func_off: u32, ty: u32, count: u32| {
        let mut out = vec![0x9f, 0xeb, 1, 0];
        let func_info = [8, name, count, func_off, ty];
        let line_info = [16, name, 1, 8, name, name, 7 << 10 | 5];
        let (f, l) = (func_info.len() as u32 * 4, line_info.len() as u32 * 4);
        for w in [32, 0, f, f, l, f + l, 0].iter().chain(&func_info).chain(&line_info) {
            out.extend_from_slice(&w.to_le_bytes());
        }
        out
    };
    let good = BtfExt::parse(&ext(16, func.0, 1), &btf).expect("reads");
    assert_eq!(good.func_info[0].records, [FuncInfo { insn_off_bytes: 16, ty: func }]);
    assert_eq!(btf.str(good.func_info[0].section), "f");
    let line = good.line_info[0].records[0];
    assert_eq!((line.line(), line.column(), line.insn_off_bytes), (7, 5, 8));
    assert!(good.core_relos.is_empty());
    let all = BtfExt {
        core_relos: vec![ExtSection {
            section: good.func_info[0].section,
            records: vec![CoreRelo { insn_off_bytes: 24, ty: func, access: line.text, kind: 12 }],
        }],
        ..good.clone()
    };
    for want in [&BtfExt::default(), &good, &all] {
        for endian in [Endian::Little, Endian::Big] {
            assert_eq!(&BtfExt::parse(&want.to_bytes(endian), &btf).expect("reads"), want);
        }
    }
    assert_eq!(good.to_bytes(Endian::Little), ext(16, func.0, 1), "as compilers write it");
    for (off, ty, count, want) in [
        (17, func.0, 1, "not a multiple of 8"),
        (16, 1, 1, "a INT, not a FUNC"),
        (16, 999, 1, "no type [999]"),
        (16, func.0, 2, "claims 2 records"),
        (16, func.0, u32::MAX, "claims 4294967295 records"),
        (16, func.0, 0, "without records"),
    ] {
        let text = BtfExt::parse(&ext(off, ty, count), &btf).expect_err(want).to_string();
        assert!(text.contains(want), "{text}");
    }
    let bytes = ext(16, func.0, 1);
    for len in 0..bytes.len() {
        assert!(BtfExt::parse(&bytes[..len], &btf).is_err(), "cut to {len} bytes");
    }
}

/// Uses everything that a parsed `Btf` offers.
fn exercise(btf: &Btf) {
    let zeros = [0u8; 256];
    let options = print::Options { max_nodes: 4096, ..Default::default() };
    for (id, t) in btf.iter() {
        btf.name(id);
        btf.resolved(id);
        if btf.size_of(id).is_some_and(|s| s <= 256) {
            let _ = print::format_value(btf, id, &zeros, &options);
        }
        t.members().iter().for_each(|m| assert!(btf.str(m.name).len() < 400));
    }
    if let Ok(text) = dump::to_c(btf) {
        assert!(text.starts_with("#ifndef"));
    }
    let bytes = btf.to_bytes(Endian::Little);
    assert_eq!(&Btf::parse(&bytes).expect("what was accepted is written well"), btf);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(btf) = Btf::parse(&bytes) { exercise(&btf) }
        let btf = every_kind();
        if let Ok(ext) = BtfExt::parse(&bytes, &btf) {
            assert_eq!(BtfExt::parse(&ext.to_bytes(Endian::Big), &btf).expect("reads"), ext);
        }
    }

    #[test]
    fn arbitrary_types(words in proptest::collection::vec(prop_oneof![0u32..32, any::<u32>(), (1u32..20, 0u32..4).prop_map(|(k, n)| k << 24 | n)], 0..60)) {
        if let Ok(btf) = Btf::parse(&raw(&words, b"\0int\0char\0x\0")) { exercise(&btf) }
    }

    #[test]
    fn flipped_bits(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6), big in any::<bool>()) {
        let mut bytes = every_kind().to_bytes(if big { Endian::Big } else { Endian::Little });
        for (at, bit) in flips { let i = at.index(bytes.len()); bytes[i] ^= 1 << bit }
        if let Ok(btf) = Btf::parse(&bytes) { exercise(&btf) }
    }

    /// Types made at random: whatever the builder takes is read back as it was.
    #[test]
    fn what_is_built_reads_back(sizes in proptest::collection::vec((0usize..6, 1u32..5, any::<bool>()), 1..40), big in any::<bool>()) {
        let mut b = Builder::new();
        let mut last = b.int("int", 4, IntEncoding::Signed);
        for (i, (kind, n, flag)) in sizes.into_iter().enumerate() {
            let name = format!("t{}", if flag { i } else { 0 });
            last = match kind {
                0 => b.ptr(last),
                1 => b.typedef(&name, last),
                2 => { b.ptr(last); b.array(TypeId(1), TypeId(1), n) }
                3 => b.structure(&name, 16, &[("a", TypeId(1), 0), (&name, TypeId(1), 32 * n.min(3))]),
                4 => b.enumeration(&name, flag, &[("A", n.into()), (&name, if flag { -1 } else { 1 })]),
                _ => { let p = b.func_proto(last, &[(&name, TypeId(1))]); b.func(&name, p, FuncLinkage::Static); b.ptr(p) }
            };
        }
        let btf = b.finish().expect("all parts fit");
        let bytes = btf.to_bytes(if big { Endian::Big } else { Endian::Little });
        prop_assert_eq!(Btf::parse(&bytes).expect("reads back"), btf);
    }
}

#[test]
fn the_kernels_own() {
    let bytes = match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => bytes,
        Err(e) => return println!("skipped: /sys/kernel/btf/vmlinux: {e}"),
    };
    let start = std::time::Instant::now();
    let btf = Btf::parse(&bytes).expect("the kernel's own BTF is right");
    println!("{} types of {} bytes in {:?}", btf.len(), bytes.len(), start.elapsed());
    assert_eq!(btf.to_bytes(Endian::NATIVE).len(), bytes.len());
    assert_eq!(Btf::parse(&btf.to_bytes(Endian::Big)).expect("reads back"), btf);
    let member = |s: &str, m: &str| {
        let id = btf.find_by_name(Some(Kind::Struct), s).unwrap_or_else(|| panic!("struct {s}"));
        let m = btf.ty(id).unwrap().members().iter().find(|x| btf.str(x.name) == m).copied();
        m.unwrap_or_else(|| panic!("{s} without that member"))
    };
    // UAPI structs, whose layout never changes.
    assert_eq!(member("__sk_buff", "protocol").off_bits, 16 * 8);
    assert_eq!(member("xdp_md", "data_end").off_bits, 4 * 8);
    assert_eq!(member("iphdr", "protocol").off_bits, 9 * 8);
    assert_eq!(member("iphdr", "version").bitfield_bits, 4);
    assert_eq!(btf.size_of(btf.find_by_name(Some(Kind::Struct), "iphdr").unwrap()), Some(20));
    let map_type = btf.find_by_name(Some(Kind::Enum), "bpf_map_type").expect("enum bpf_map_type");
    let Some(Type::Enum { values, .. }) = btf.ty(map_type) else { panic!("an enum") };
    let ringbuf = values.iter().find(|v| btf.str(v.name) == "BPF_MAP_TYPE_RINGBUF");
    assert_eq!(ringbuf.map(|v| v.value), Some(27));
    let printk = btf.find_by_name(Some(Kind::Func), "bpf_trace_printk").expect("the helper");
    let Some(&Type::Func { proto, .. }) = btf.ty(printk) else { panic!("a function") };
    let Some(Type::FuncProto { params, .. }) = btf.ty(proto) else { panic!("a prototype") };
    assert_eq!(params.len(), 5);
    let header = [0x45, 0, 0, 84, 0, 1, 0x40, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    let iphdr = btf.find_by_name(Some(Kind::Struct), "iphdr").unwrap();
    let text = print::format_value(&btf, iphdr, &header, &print::Options::default()).unwrap();
    assert!(text.contains(".version = 4") && text.contains(".ttl = 64, .protocol = 1"), "{text}");
}

#[test]
fn names_flavours_and_tags_are_found_as_by_a_look_at_every_type() {
    let add = |b: &mut Builder, target: TypeId| {
        for n in 0..5000u32 {
            let flavour = ["", "", "___x", "_x", "___y___z"][n as usize % 5];
            let name = format!("t{}{flavour}", n / 14);
            match n % 4 {
                0 => _ = b.structure(&name, 4, &[("a", target, 0)]),
                1 => _ = b.typedef(&name, target),
                2 => _ = b.ptr(target),
                _ => {
                    let (name, on) = (b.name(&name), TypeId(b.next_id().0 - 3 - 4 * (n % 7).min(n / 4)));
                    b.add(Type::DeclTag { name, target: on, component: None, attribute: false });
                }
            };
        }
    };
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    add(&mut b, int);
    let base = Arc::new(b.finish().expect("all parts fit"));
    let mut b = Builder::split(Arc::clone(&base));
    add(&mut b, int);
    for btf in [&base, &b.finish().expect("all parts fit")] {
        let all: Vec<(TypeId, Kind, &str)> =
            btf.ids().filter_map(|id| Some((id, btf.kind(id)?, btf.name(id)?))).collect();
        for n in 0..360 {
            for name in [format!("t{n}"), format!("t{n}_x"), format!("t{n}___x"), format!("t{n}___y")] {
                for kind in [None, Some(Kind::Struct), Some(Kind::Typedef), Some(Kind::Func)] {
                    let is = |k: Kind| kind.is_none_or(|kind| kind == k);
                    let first = all.iter().find(|(_, k, own)| is(*k) && *own == name).map(|(id, ..)| *id);
                    assert_eq!(btf.find_by_name(kind, &name), first, "{kind:?} {name}");
                    let Some(kind) = kind else { continue };
                    let same = |own: &str| skep_btf::relo::essential_name(own) == name;
                    let flavours = all.iter().filter(|(_, k, own)| *k == kind && same(own));
                    let flavours: Vec<TypeId> = flavours.map(|(id, ..)| *id).collect();
                    assert_eq!(btf.find_flavours(kind, &name), flavours, "{kind:?} {name}");
                }
            }
        }
        let tag = |id| match btf.ty(id) {
            Some(Type::DeclTag { name, target, .. }) => Some((*target, btf.str(*name))),
            _ => None,
        };
        let tags: Vec<(TypeId, &str)> = btf.ids().filter_map(tag).collect();
        assert!(!tags.is_empty());
        for id in btf.ids().take(2000) {
            let wanted: Vec<&str> = tags.iter().filter(|(on, _)| *on == id).map(|(_, tag)| *tag).collect();
            assert_eq!(btf.decl_tags(id, None).collect::<Vec<_>>(), wanted, "{id:?}");
        }
        assert_eq!(btf.find_by_name(None, "int"), Some(int));
        assert_eq!(btf.find_by_name(None, ""), None);
    }
}

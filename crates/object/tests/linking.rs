//! Linking: which function a call reaches, which bytes an address means, who shares what.

mod common;

use std::collections::BTreeSet;

use common::{fixture, fixture_path, map, program, read, spec};
use skep_abi::{AttachType, MapFlags, MapType, ProgramType};
use skep_btf::{FuncLinkage, Kind, Type, TypeId};
use skep_isa::Endian;
use skep_object::{Object, Slot, SlotTarget};
use skep_spec::{Pinning, ProgramSpec};

/// Name of the function that holds an instruction.
fn function_of(s: &ProgramSpec, pc: usize) -> String {
    let f = s.func_info.iter().rev().find(|f| f.insn_off as usize <= pc).expect("functions are known");
    s.btf.as_ref().unwrap().name(TypeId(f.type_id)).unwrap().into()
}

/// `caller → callee` for each call and each address of a function.
fn edges(s: &ProgramSpec) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (pc, i) in s.insns.iter().enumerate() {
        let call = i.opcode == 0x85 && i.src.0 == 1;
        let address = i.is_wide() && i.src.0 == 4;
        if !call && !address {
            continue;
        }
        let target = pc as i64 + 1 + i64::from(i.imm);
        let starts = s.func_info.iter().any(|f| i64::from(f.insn_off) == target);
        assert!(starts, "{pc} leads to {target}, where no function starts");
        out.insert(format!(
            "{} {} {}",
            function_of(s, pc),
            if call { "calls" } else { "names" },
            function_of(s, target as usize)
        ));
    }
    out
}

#[track_caller]
fn leads(s: &ProgramSpec, want: &[&str]) {
    assert_eq!(edges(s), want.iter().map(|e| e.to_string()).collect());
}

#[test]
fn calls_reach_their_functions() {
    for name in ["linking.bpf.o", "bigendian.bpf.o"] {
        let o = fixture(name);
        let chain = ["beside calls hidden", "hidden calls outer", "outer calls shared"];
        leads(spec(&o, "direct"), &[&["direct calls beside"], &chain[..]].concat());
        leads(spec(&o, "again"), &[&["again calls beside", "again calls outer"], &chain[..]].concat());
        // From another section, into `xdp` and `.text`.
        leads(spec(&o, "other"), &[&["other calls beside"], &chain[..]].concat());
        leads(spec(&o, "callback"), &["callback names step", "step calls shared"]);
        let names: Vec<_> = o.programs.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(
            names,
            ["direct", "again", "other", "callback"],
            "static and .text functions are no programs"
        );
    }
}

/// Depth first, in the order of the calls, as libbpf appends them.
#[test]
fn functions_follow_in_the_order_of_calls() {
    let o = common::example("calls");
    let order = |name| {
        let s = spec(&o, name);
        s.func_info.iter().map(|f| function_of(s, f.insn_off as usize)).collect::<Vec<_>>()
    };
    assert_eq!(order("count_sent"), ["count_sent", "account", "bucket_of", "add"]);
    assert_eq!(order("count_large"), ["count_large", "is_large", "bucket_of", "add"]);
}

/// Each function stands in the program as it stands in its section, but for what is relocated.
#[test]
fn functions_are_copied_whole() {
    let o = fixture("linking.bpf.o");
    let (direct, again) = (spec(&o, "direct"), spec(&o, "again"));
    let body = |s: &ProgramSpec, name: &str| {
        let at =
            s.func_info.iter().position(|f| function_of(s, f.insn_off as usize) == name).expect("linked");
        let end = s.func_info.get(at + 1).map_or(s.insns.len(), |f| f.insn_off as usize);
        let code = &s.insns[s.func_info[at].insn_off as usize..end];
        code.iter().map(|i| (i.opcode, i.dst, i.off)).collect::<Vec<_>>()
    };
    for f in ["beside", "hidden", "outer", "shared"] {
        assert_eq!(body(direct, f), body(again, f), "{f}");
        assert_eq!(body(direct, f).last().map(|i| i.0), Some(0x95), "{f}");
    }
    assert_eq!(body(direct, "shared").len(), 18);
    // Lines come along.
    let line = |s: &ProgramSpec| {
        s.line_info.iter().filter(|l| function_of(s, l.insn_off as usize) == "shared").count()
    };
    assert_eq!(line(direct), line(again));
    assert!(line(direct) > 2);
}

#[test]
fn data_references_name_section_and_byte() {
    let o = fixture("linking.bpf.o");
    let s = spec(&o, "again");
    let refs: BTreeSet<_> = (0..s.insns.len())
        .filter(|&i| s.insns[i].is_wide())
        .map(|i| (s.insns[i].src.0, s.maps[s.insns[i].imm as usize].name.clone(), s.insns[i + 1].imm))
        .collect();
    let at = |name: &str, off| (6, name.to_string(), off);
    let want =
        [at(".data.visible", 0), at(".rodata.cst16", 0), at(".rodata.cst16", 16), at("linking.bss", 0)];
    assert_eq!(refs, want.into());
    assert_eq!(map(&o, ".data.visible").initial.as_deref(), Some(&[42, 0, 0, 0][..]));
    assert_eq!(map(&o, ".data.visible").flags.0, MapFlags::MMAPABLE);
}

/// A function with hidden visibility is verified with its callers, as a static one (libbpf).
#[test]
fn hidden_functions_become_static() {
    let o = fixture("linking.bpf.o");
    let btf = o.btf.as_ref().unwrap();
    let linkage = |name| match btf.ty(btf.find_by_name(Some(Kind::Func), name).unwrap()) {
        Some(Type::Func { linkage, .. }) => *linkage,
        _ => unreachable!("found as a function"),
    };
    assert_eq!(linkage("hidden"), FuncLinkage::Static);
    assert_eq!(linkage("outer"), FuncLinkage::Global);
    assert_eq!(linkage("shared"), FuncLinkage::Static);
}

#[test]
fn no_licence_is_an_empty_one() {
    let o = fixture("linking.bpf.o");
    assert_eq!(o.license, "");
    assert!(!spec(&o, "direct").gpl_compatible());
}

#[test]
fn byte_orders() {
    let (ours, theirs) = match Endian::NATIVE {
        Endian::Little => ("linking.bpf.o", "bigendian.bpf.o"),
        Endian::Big => ("bigendian.bpf.o", "linking.bpf.o"),
    };
    assert!(Object::parse(ours, &read(&fixture_path(ours))).is_ok());
    let e = Object::parse(theirs, &read(&fixture_path(theirs))).expect_err("the other order");
    assert!(e.to_string().contains("-endian machines, and this one is"), "{e}");
    // The instructions mean the same in both.
    let (little, big) = (fixture("linking.bpf.o"), fixture("bigendian.bpf.o"));
    assert_eq!((little.endian, big.endian), (Endian::Little, Endian::Big));
    for p in &little.programs {
        assert_eq!(spec(&little, &p.name).insns, spec(&big, &p.name).insns, "{}", p.name);
    }
}

#[test]
fn section_names() {
    let o = fixture("sections.bpf.o");
    assert_eq!((o.license.as_str(), o.kernel_version), ("GPL", 0x06_1203));
    assert_eq!(spec(&o, "good").prog_type, ProgramType::SOCKET_FILTER);
    let e = program(&o, "unknown").spec.as_ref().expect_err("no such section name");
    assert!(e.to_string().starts_with("sections.bpf.o: section \"nonsense\": "), "{e}");
    assert!(e.is_unsupported());
    let optional = program(&o, "optional");
    assert_eq!((optional.section.as_str(), optional.autoload), ("xdp", false));
    assert!(program(&o, "good").autoload);
    let target = spec(&o, "target");
    assert_eq!(
        (target.prog_type, target.attach_target.as_deref()),
        (ProgramType::TRACEPOINT, Some("sched/sched_switch"))
    );
    assert_eq!(spec(&o, "frags").flags, ProgramSpec::XDP_HAS_FRAGS);
    assert_eq!(spec(&o, "sleepable").flags, ProgramSpec::SLEEPABLE);
    let egress = spec(&o, "egress");
    assert_eq!(
        (egress.prog_type, egress.attach_type),
        (ProgramType::CGROUP_SKB, AttachType::CGROUP_INET_EGRESS)
    );
}

#[test]
fn map_attributes() {
    let o = fixture("maps.bpf.o");
    let m = map(&o, "full");
    assert_eq!((m.kind, m.key_size, m.value_size, m.max_entries), (MapType::HASH, 8, 16, 100));
    assert_eq!(
        (m.flags.0, m.numa_node, m.pinning),
        (MapFlags::NO_PREALLOC | MapFlags::NUMA_NODE, 1, Pinning::ByName)
    );
    let btf = m.btf.as_ref().unwrap();
    assert_eq!(
        (btf.name(TypeId(m.key_btf_id)), btf.name(TypeId(m.value_btf_id))),
        (Some("key"), Some("value"))
    );
    let m = map(&o, "filter");
    assert_eq!((m.kind, m.key_size, m.value_size, m.map_extra), (MapType::BLOOM_FILTER, 0, 8, 0x1_0000_0003));
    assert_eq!((m.key_btf_id, m.value_btf_id), (0, 0));
    let m = map(&o, "outer");
    assert_eq!((m.kind, m.key_size, m.value_size), (MapType::ARRAY_OF_MAPS, 4, 4));
    let inner = m.inner.as_ref().expect("an inner map");
    assert_eq!((inner.name.as_str(), inner.kind, inner.max_entries), ("outer.inner", MapType::ARRAY, 7));
    let slot = |index, name: &str| Slot { index, target: SlotTarget::Map(name.into()) };
    assert_eq!(o.map("outer").unwrap().slots, [slot(1, "first"), slot(3, "second")]);
    // Strange, but what the source says: whether it can be is for a backend to decide.
    let m = map(&o, "strange");
    assert_eq!((m.key_size, m.max_entries), (0, u32::MAX));
    assert_eq!(spec(&o, "uses_strange").maps.len(), 1);
}

#[test]
fn a_bad_map_spoils_its_users_only() {
    let o = fixture("maps.bpf.o");
    for (name, want) in [
        ("unknown_attribute", "attribute \"colour\" is unknown"),
        ("two_sizes", "\"key_size\" is 8, but the type has 4 bytes"),
        ("no_type", "no attribute \"type\""),
    ] {
        let e = o.map(name).unwrap().def.as_ref().expect_err(want);
        assert!(e.to_string().contains(&format!("map \"{name}\": ")) && e.message().contains(want), "{e}");
    }
    let e = program(&o, "uses_bad").spec.as_ref().expect_err("its map is bad");
    assert!(e.to_string().contains("colour"), "{e}");
    let good: Vec<_> = spec(&o, "uses_good").maps.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(good, ["full", "first"]);
}

#[test]
fn what_needs_a_machine_says_so() {
    let o = fixture("unsupported.bpf.o");
    assert!(program(&o, "fine").spec.is_ok());
    for (name, want) in [
        ("config", "extern \"CONFIG_HZ\": it is a value of the kernel's configuration, and none is given"),
        ("ksym", "extern \"init_task\": it is an address in the kernel, and no symbols are given"),
        ("core", "it needs the types of the machine that it is to run on (CO-RE: byte_off of struct"),
    ] {
        let e = program(&o, name).spec.as_ref().expect_err(want);
        assert!(e.is_unsupported() && e.message().contains(want), "{e}");
        assert!(
            e.to_string().starts_with(&format!("unsupported.bpf.o: function \"{name}\", instruction ")),
            "{e}"
        );
    }
    // A function is found by its name by whoever loads the program.
    let called = spec(&o, "kfunc");
    let [call] = &called.kfuncs[..] else { panic!("{:?}", called.kfuncs) };
    assert_eq!((&*call.name, called.insns[call.insn_off as usize].imm), ("bpf_some_kfunc", 0));
    assert!(called.has_open_kfuncs());
}

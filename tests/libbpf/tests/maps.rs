//! Maps as libbpf opens them: all parameters, inner maps, and which definitions it refuses.

mod common;

use common::{CPUS, compile, sources};
use libbpf_oracle::maps::{Map, open};
use skep_abi::MapType;
use skep_object::{Inputs, Object, Unlinked};
use skep_spec::{MapDef, Pinning};

fn ours(def: &MapDef) -> Map {
    Map {
        name: def.name.clone(),
        kind: def.kind.0,
        geometry: (def.key_size, def.value_size, def.max_entries),
        flags: def.flags.0,
        numa_node: def.numa_node,
        map_extra: def.map_extra,
        // Only skep knows the type of a ring buffer's records.
        types: (def.key_btf_id, if def.kind == MapType::RINGBUF { 0 } else { def.value_btf_id }),
        pinned: def.pinning != Pinning::None,
        autocreate: !def.optional,
        initial: def.initial.clone(),
        inner: def.inner.as_deref().map(|i| Box::new(ours(i))),
    }
}

/// What libbpf leaves to its loading.
fn comparable(mut map: Map) -> Map {
    if map.kind == MapType::STRUCT_OPS.0 {
        (map.geometry.1, map.initial) = (0, None);
    }
    // Zeros that are not in the file.
    if map.initial.as_ref().is_some_and(|b| b.iter().all(|b| *b == 0)) {
        map.initial = None;
    }
    map
}

fn errors(object: Result<&Object, &skep_object::Error>) -> Vec<String> {
    match object {
        Err(e) => vec![e.to_string()],
        Ok(o) => o.maps.iter().filter_map(|m| m.def.as_ref().err()).map(ToString::to_string).collect(),
    }
}

/// What a refused legacy object shows is what libbpf takes.
#[test]
fn the_hint_compiles() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let source = sources("maps").into_iter().find(|s| s.ends_with("bad_legacy.bpf.c")).expect("it is there");
    let (_, path) = compile(&source, "v3");
    let e = Object::parse("legacy.o", &std::fs::read(&path).expect("just written")).expect_err("legacy maps");
    let (_, hint) = e.message().split_once("Here:\n").expect("a hint");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let header = source.parent().expect("a folder").join("../maps.h");
    let types = format!("#include \"{}\"\n", header.display());
    let names = "enum { BPF_MAP_TYPE_HASH = HASH, BPF_MAP_TYPE_ARRAY = ARRAY };\n\
                 struct bpf_map_def { __u32 type, key_size, value_size, max_entries, map_flags; };\n";
    let today = folder.join("today.bpf.c");
    std::fs::write(&today, types + names + hint).expect("writable");
    let (_, path) = compile(&today, "v3");
    let maps = open(&path).unwrap_or_else(|e| panic!("{hint}\n{e:#?}"));
    let seen: Vec<_> = maps.iter().map(|m| (m.name.as_str(), m.kind, m.geometry, m.flags)).collect();
    assert_eq!(seen, [("old", 1, (4, 8, 100), 1), ("older", 2, (4, 20, 2), 0)], "{hint}");
}

#[test]
fn maps_have_libbpf_s_parameters() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let (mut equal, mut refused, mut wrong) = (0, 0, Vec::new());
    for source in sources("maps") {
        for cpu in CPUS {
            let (name, path) = compile(&source, cpu);
            let bytes = std::fs::read(&path).expect("just written");
            let object = Unlinked::parse(&name, &bytes).and_then(|u| u.link(&Inputs::default()));
            let errors = errors(object.as_ref());
            match (open(&path), object) {
                (Err(messages), _) if errors.is_empty() => {
                    wrong.push(format!("{name} ({cpu}): we take it, libbpf does not: {messages:#?}"));
                }
                (Err(_), _) => refused += 1,
                (Ok(_), _) if !errors.is_empty() => {
                    wrong.push(format!("{name} ({cpu}): libbpf takes it, we do not: {errors:#?}"));
                }
                (Ok(theirs), object) => {
                    let object = object.expect("looked at above");
                    let ours: Vec<_> = object
                        .maps
                        .iter()
                        .map(|m| comparable(ours(m.def.as_ref().expect("looked at above"))))
                        .collect();
                    let theirs: Vec<_> = theirs.into_iter().map(comparable).collect();
                    equal += ours.len();
                    if ours != theirs {
                        let differ = |a: &[Map], b: &[Map]| {
                            a.iter().filter(|m| !b.contains(m)).cloned().collect::<Vec<_>>()
                        };
                        let (a, b) = (differ(&ours, &theirs), differ(&theirs, &ours));
                        wrong.push(format!("{name} ({cpu}): ours {a:#?}, libbpf's {b:#?}"));
                    }
                }
            }
        }
    }
    println!("{equal} maps equal, {refused} objects refused by both");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(equal > 100 && refused > 100, "the corpus has both outcomes");
}

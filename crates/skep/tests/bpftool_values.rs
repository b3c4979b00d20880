//! Values as JSON, as bpftool prints those of a kernel's map, but for the differences that `tree_json` names: each of
//! them is met here.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value as Json;
use skep::btf::TypeId;
use skep::btf::print::{Options, tree};
use skep::{Backend, Map, Object, tree_json};

const KINDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/kinds.bpf.o");

/// Bit-fields of the object's types, with their bits.
const BIT_FIELDS: [(&str, u32); 5] = [("low", 4), ("high", 28), ("bit", 1), ("wide", 40), ("sint", 5)];

/// bpftool's dump of a kernel's map with one element: its value, formatted.
fn bpftool(map: &Map) -> Option<Json> {
    let id = map.info().id.to_string();
    let output = match Command::new("bpftool").args(["-j", "map", "dump", "id", &id]).output() {
        Ok(output) => output,
        Err(e) => {
            println!("skipped: bpftool: {e}");
            return None;
        }
    };
    match serde_json::from_slice::<Json>(&output.stdout) {
        Ok(all) => Some(all[0]["formatted"]["value"].clone()),
        Err(e) => panic!("bpftool: {e}: {}", String::from_utf8_lossy(&output.stdout)),
    }
}

/// What tells two values of a member apart; `None` when nothing does.
fn difference(name: &str, theirs: &Json, ours: &Json, seen: &mut BTreeSet<&'static str>) -> Option<String> {
    let differ = || Some(format!("{name}: bpftool {theirs}, here {ours}"));
    let hex = |text: &str| u128::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let bits = |n: &Json| n.as_u64().or_else(|| n.as_i64().map(i64::cast_unsigned));
    let mut known = |what, holds: bool| {
        seen.insert(what);
        if holds { None } else { differ() }
    };
    match (theirs, ours) {
        (Json::Object(theirs), Json::Object(_)) => theirs.iter().find_map(|(name, value)| match &**name {
            "" => {
                seen.insert("anonymous member");
                difference(name, value, ours, seen)
            }
            _ => difference(name, value, &ours[&**name], seen),
        }),
        (Json::String(text), Json::Number(_)) => {
            let width = BIT_FIELDS.iter().find(|(field, _)| *field == name).map(|(_, width)| *width);
            let mask = u64::MAX >> (64 - width?);
            known("bit-field", hex(text) == bits(ours).map(|n| u128::from(n & mask)))
        }
        (Json::Number(_), Json::String(text)) => known("pointer", hex(text) == bits(theirs).map(u128::from)),
        (Json::String(a), Json::String(b)) if a != b => {
            known("__int128", hex(a).map(u128::cast_signed) == b.parse().ok())
        }
        (Json::Array(letters), Json::String(text)) => {
            let letters: Vec<u8> = letters.iter().filter_map(|l| Some(bits(l)? as u8)).collect();
            known("text", letters.split(|b| *b == 0).next() == Some(text.as_bytes()))
        }
        (Json::Array(a), Json::Array(b)) if name == "text" => {
            let low = |all: &[Json]| all.iter().map(|n| bits(n).map(|n| n as u8)).collect::<Vec<_>>();
            known("bytes of text", a == b || low(a) == low(b))
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).find_map(|(a, b)| difference(name, a, b, seen))
        }
        (Json::Number(a), Json::Number(b)) if a != b => {
            let width = match name {
                "flags" => 32,
                "large" => 64,
                _ => return differ(),
            };
            let mask = u64::MAX >> (64 - width);
            let same = bits(theirs).map(|n| n & mask) == bits(ours) && ours.is_u64();
            known("unsigned enum", same)
        }
        _ if theirs == ours => None,
        _ => differ(),
    }
}

#[test]
fn values_of_every_kind() {
    if cfg!(target_endian = "big") {
        return println!("skipped: the object is for little-endian machines");
    }
    let linux = match Backend::linux() {
        Ok(linux) => linux,
        Err(e) => return println!("skipped: {e}"),
    };
    let target = skep::Target::default().with_config("CONFIG_SKEP_NUMBER=1\n").expect("a line");
    let bytes = std::fs::read(KINDS).expect("a committed object");
    let object = Object::parse_for("kinds.bpf.o", &bytes, &target).expect("an object");
    let loaded = object.create_maps(&linux).expect("maps");
    let map = loaded.map("printed").expect("the object has it");
    let btf = map.def().btf.as_ref().expect("types");
    let size = map.info().value_size as usize;
    let mut seen = BTreeSet::new();
    for seed in 0..40u32 {
        let value: Vec<u8> = (0..size as u32)
            .map(|i| match seed {
                0 => 0,
                1 => 0xff,
                2 => i as u8,
                // Texts that end.
                n if n % 3 == 0 && i % 5 == 4 => 0,
                n if n % 3 == 0 => b'a' + (i % 26) as u8,
                n => (i.wrapping_mul(2_654_435_761).wrapping_add(n * 97_711) >> 13) as u8,
            })
            .collect();
        map.update(&0u32.to_ne_bytes(), &value, 0).expect("an array");
        let Some(theirs) = bpftool(map) else { return };
        let parts = tree(btf, TypeId(map.def().value_btf_id), &value, &Options::default());
        let ours = tree_json(&parts.expect("it has values"));
        if let Some(what) = difference("value", &theirs, &ours, &mut seen) {
            panic!("{what}\n{theirs}\n{ours}");
        }
    }
    let all =
        ["__int128", "anonymous member", "bit-field", "bytes of text", "pointer", "text", "unsigned enum"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

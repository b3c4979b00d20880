//! The committed objects.
#![allow(dead_code, reason = "each test file uses some")]

use std::path::{Path, PathBuf};

use skep_object::{Object, Program};
use skep_spec::{MapDef, ProgramSpec};

/// An example's object.
pub fn example_path(name: &str) -> PathBuf {
    root().join(format!("examples/{name}/{name}.bpf.o"))
}

/// An object that is made for these tests.
pub fn fixture_path(name: &str) -> PathBuf {
    root().join(format!("crates/object/tests/fixtures/{name}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Tests only look: they pass on machines of the other byte order too.
pub fn example(name: &str) -> Object {
    let bytes = read(&example_path(name));
    Object::parse_any_endian(&format!("examples/{name}.bpf.o"), &bytes).unwrap_or_else(|e| panic!("{e}"))
}

pub fn fixture(name: &str) -> Object {
    Object::parse_any_endian(name, &read(&fixture_path(name))).unwrap_or_else(|e| panic!("{e}"))
}

#[track_caller]
pub fn program<'o>(object: &'o Object, name: &str) -> &'o Program {
    object.program(name).unwrap_or_else(|| panic!("no program {name}"))
}

#[track_caller]
pub fn spec<'o>(object: &'o Object, name: &str) -> &'o ProgramSpec {
    program(object, name).spec.as_ref().unwrap_or_else(|e| panic!("{e}"))
}

#[track_caller]
pub fn map<'o>(object: &'o Object, name: &str) -> &'o MapDef {
    let map = object.map(name).unwrap_or_else(|| panic!("no map {name}"));
    map.def.as_ref().unwrap_or_else(|e| panic!("{e}"))
}

/// Every committed object of the examples and of these tests.
pub fn all_paths() -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut folders = vec![root().join("examples"), root().join("crates/object/tests/fixtures")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "o") {
                out.push(path);
            }
        }
    }
    out.sort();
    assert!(out.len() > 15, "the committed objects are there");
    out
}

//! What runs anywhere depends on nothing that does not: no `std` and no operating system in the dependency trees that
//! cargo builds for a bare target. (`cargo xtask bare` builds them, where a compiler with the library's source is.)

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Crates that stay free of `std`.
const NO_STD: &[&str] = &[
    "skep-isa",
    "skep-abi",
    "skep-btf",
    "skep-spec",
    "skep-object",
    "skep-verifier",
    "skep-maps",
    "skep-vm",
];

/// A target of 32 bits without an operating system.
const TARGET: &str = "armv7a-none-eabi";

/// Crates that speak to an operating system, or are for programs that have one.
const SYSTEM: &[&str] =
    &["libc", "rustix", "nix", "windows-sys", "getrandom", "linux-raw-sys", "errno", "mio", "tokio"];

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args(args)
        .arg("--offline")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs this test");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// Files of libraries by name and version: `skep-isa v0.1.0`.
fn libraries() -> BTreeMap<String, PathBuf> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version", "1"])).expect("JSON");
    let mut out = BTreeMap::new();
    for p in metadata["packages"].as_array().into_iter().flatten() {
        for t in p["targets"].as_array().into_iter().flatten() {
            let library = t["kind"].as_array().into_iter().flatten().any(|k| k == "lib" || k == "rlib");
            if let (true, Some(name), Some(version), Some(path)) =
                (library, p["name"].as_str(), p["version"].as_str(), t["src_path"].as_str())
            {
                out.insert(format!("{name} v{version}"), path.into());
            }
        }
    }
    out
}

/// What is built for a crate on the bare target and does not belong there.
fn astray(name: &str, libraries: &BTreeMap<String, PathBuf>) -> Vec<String> {
    let format = ["tree", "-p", name, "-e", "normal", "--prefix", "none", "-f", "{p}|{f}"];
    let tree = cargo(&[&format[..], &["--target", TARGET]].concat());
    let mut found = BTreeSet::new();
    for line in tree.lines().filter(|l| !l.is_empty()) {
        let (package, features) = line.trim_end_matches(" (*)").split_once('|').expect("as asked for");
        let id = package.split(" (").next().unwrap_or(package);
        let own = id.split(' ').next().unwrap_or(id);
        if SYSTEM.contains(&own) {
            found.insert(format!("{id}: for an operating system"));
            continue;
        }
        let Some(path) = libraries.get(id) else {
            found.insert(format!("{id}: not a library"));
            continue;
        };
        let text = std::fs::read_to_string(path).expect("cargo has its source");
        // `#![no_std]`, or `#![cfg_attr(not(feature = "std"), no_std)]` with that feature off.
        let says = text.lines().any(|l| l.starts_with("#![") && l.contains("no_std"));
        if !says || features.split(',').any(|f| f == "std") {
            found.insert(format!("{id}: std (features: {features})"));
        }
    }
    found.into_iter().collect()
}

#[test]
fn no_std_and_no_system_below() {
    let libraries = libraries();
    for name in NO_STD {
        assert_eq!(astray(name, &libraries), [""; 0], "{name}");
    }
}

#[test]
fn a_system_below_is_found() {
    let found = astray("skep-user", &libraries());
    assert!(found.iter().any(|f| f.starts_with("libc v") && f.ends_with("system")), "{found:?}");
    assert!(found.iter().any(|f| f.starts_with("skep-user v") && f.contains(": std")), "{found:?}");
}

/// `std` comes in only for tests.
#[test]
fn nothing_brings_std_back() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/");
    for name in NO_STD {
        let text = std::fs::read_to_string(crates.join(name.trim_start_matches("skep-")).join("src/lib.rs"))
            .expect("every crate has a lib.rs");
        assert!(text.lines().any(|l| l == "#![no_std]"), "{name} lacks #![no_std]");
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.windows(2).filter(|p| p[1].contains("extern crate std")) {
            assert!(["#[cfg(test)]", "#[cfg(shuttle)]"].contains(&pair[0]), "{name}: {}", pair[0]);
        }
    }
}

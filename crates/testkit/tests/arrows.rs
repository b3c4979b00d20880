//! The house stands as ARCHITECTURE.md draws it: imports only point down.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate and what it may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("skep-isa", &[]),
    ("skep-abi", &["skep-isa"]),
    ("skep-btf", &["skep-abi", "skep-isa"]),
    ("skep-spec", &["skep-btf", "skep-abi", "skep-isa"]),
    ("skep-verifier", &["skep-spec", "skep-btf", "skep-abi", "skep-isa"]),
    ("skep-object", &["skep-spec", "skep-btf", "skep-abi", "skep-isa"]),
    ("skep-build", &["skep-object", "skep-spec", "skep-btf", "skep-abi", "skep-isa"]),
    ("skep-maps", &["skep-spec", "skep-btf", "skep-abi", "skep-isa"]),
    ("skep-vm", &["skep-verifier", "skep-maps", "skep-spec", "skep-btf", "skep-abi", "skep-isa"]),
    ("skep-jit", &["skep-vm", "skep-verifier", "skep-maps", "skep-spec", "skep-btf", "skep-abi", "skep-isa"]),
    (
        "skep-user",
        &[
            "skep-jit",
            "skep-vm",
            "skep-verifier",
            "skep-maps",
            "skep-spec",
            "skep-btf",
            "skep-abi",
            "skep-isa",
        ],
    ),
    ("skep-linux", &["skep-spec", "skep-btf", "skep-abi", "skep-isa"]),
    (
        "skep",
        &[
            "skep-user",
            "skep-linux",
            "skep-object",
            "skep-jit",
            "skep-vm",
            "skep-verifier",
            "skep-maps",
            "skep-spec",
            "skep-btf",
            "skep-abi",
            "skep-isa",
        ],
    ),
    (
        "skep-cli",
        &[
            "skep",
            "skep-build",
            "skep-user",
            "skep-linux",
            "skep-object",
            "skep-jit",
            "skep-vm",
            "skep-verifier",
            "skep-maps",
            "skep-spec",
            "skep-btf",
            "skep-abi",
            "skep-isa",
        ],
    ),
];

/// Development only: may import anything, and nothing of the product imports them.
const DEVELOPMENT: &[&str] = &["skep-testkit", "benches", "xtask"];

/// The workspace's packages with their normal dependencies.
fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs this test");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo writes JSON");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|p| {
            let normal = list(&p["dependencies"]).into_iter().filter(|d| d["kind"].is_null());
            (text(&p["name"]), normal.map(|d| text(&d["name"])).collect())
        })
        .collect()
}

/// Every arrow that `rules` do not allow.
fn forbidden(packages: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, dependencies) in packages {
        if DEVELOPMENT.contains(&name.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(n, _)| n == name) else {
            found.push(format!("`{name}` is new: give it a place in the house"));
            continue;
        };
        for dependency in dependencies.iter().filter(|d| packages.contains_key(*d)) {
            if !allowed.contains(&dependency.as_str()) {
                found.push(format!("{name} -> {dependency}"));
            }
        }
    }
    found
}

#[test]
fn imports_only_point_down() {
    assert_eq!(forbidden(&packages()), [""; 0]);
}

#[test]
fn an_arrow_upwards_is_found() {
    let mut packages = packages();
    packages.get_mut("skep-isa").expect("isa is a crate").insert("skep-spec".into());
    packages.get_mut("skep-linux").expect("linux is a crate").insert("skep-testkit".into());
    packages.insert("skep-new".into(), BTreeSet::new());
    assert_eq!(
        forbidden(&packages),
        [
            "skep-isa -> skep-spec",
            "skep-linux -> skep-testkit",
            "`skep-new` is new: give it a place in the house",
        ]
    );
}

#[test]
fn the_table_itself_points_down() {
    let place = |name: &str| ARROWS.iter().position(|(n, _)| *n == name);
    for (i, (name, allowed)) in ARROWS.iter().enumerate() {
        for dependency in *allowed {
            assert!(place(dependency).is_some_and(|p| p < i), "{name} -> {dependency}");
        }
    }
}

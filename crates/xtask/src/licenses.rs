//! Every dependency of what we ship carries a licence that MIT OR Apache-2.0 code may link to. Works
//! offline, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const ALLOWED: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "0BSD",
    "CC0-1.0",
    "BSL-1.0",
];

/// Fails with the list of packages whose licence is not on the list.
pub fn check() -> Result<(), String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    if !out.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&out.stderr)));
    }
    let metadata: Value = serde_json::from_slice(&out.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let shipped = shipped(&metadata);
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (id, name) = (text(&package["id"]), text(&package["name"]));
        let license = text(&package["license"]);
        if shipped.contains(id) && !allowed(license) {
            refused.push(format!("{name}: '{license}'"));
        }
    }
    if refused.is_empty() {
        eprintln!("xtask: {} shipped packages, all licences allowed", shipped.len());
        return Ok(());
    }
    Err(format!("licences not on the list in xtask/src/licenses.rs: {}", refused.join(", ")))
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap_or("")
}

/// Package ids reachable from the workspace's product crates over normal and build dependencies.
fn shipped(metadata: &Value) -> BTreeSet<String> {
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
        let kinds_shipped = |dep: &Value| {
            dep["dep_kinds"].as_array().into_iter().flatten().any(|k| text(&k["kind"]) != "dev")
        };
        let deps = node["deps"].as_array().into_iter().flatten().filter(|d| kinds_shipped(d));
        edges.insert(text(&node["id"]), deps.map(|d| text(&d["pkg"])).collect());
    }
    let tools = ["skep-testkit", "benches", "xtask"];
    let mut stack: Vec<&str> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|p| p["source"].is_null() && !tools.contains(&text(&p["name"])))
        .map(|p| text(&p["id"]))
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = stack.pop() {
        if seen.insert(id.to_owned()) {
            stack.extend(edges.get(id).into_iter().flatten());
        }
    }
    seen
}

/// Whether an SPDX expression can be satisfied from the list: `OR` needs one side, `AND` both.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression
        .split(" OR ")
        .any(|side| side.split(" AND ").all(|l| ALLOWED.contains(&l.trim().trim_matches(['(', ')']))))
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn or_needs_one_side_and_needs_both() {
        assert!(allowed("MIT OR GPL-2.0"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!allowed("MIT AND GPL-2.0"));
        assert!(!allowed("LGPL-2.1"));
        assert!(!allowed(""));
    }
}

//! The generated files below `tests/cases/insn` are what the generator writes, and cover the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use skep_isa::{decode_all, table};
use skep_testkit::case::{check, source};
use skep_testkit::rowfiles;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/insn")
}

/// `BLESS=1` writes the programs; expectations are blessed by `file_tests`.
#[test]
fn files_are_up_to_date() {
    let bless = std::env::var_os("BLESS").is_some_and(|v| v == "1");
    let mut known = BTreeSet::new();
    for (name, text) in rowfiles::all() {
        let path = folder().join(format!("{name}.s"));
        let now = fs::read_to_string(&path).unwrap_or_default();
        if rowfiles::without_expectations(&now) != text {
            assert!(bless, "{name}.s is not what the generator writes; BLESS=1 rewrites it");
            fs::create_dir_all(path.parent().expect("a folder")).expect("tests/ is writable");
            fs::write(&path, text).expect("tests/ is writable");
        }
        known.insert(path);
    }
    for path in check::files(&folder()) {
        assert!(known.contains(&path), "{} comes from no generator", path.display());
    }
}

#[test]
fn every_row_has_a_file() {
    let mut seen = BTreeSet::new();
    for path in check::files(&folder()) {
        let text = fs::read_to_string(&path).expect("just listed");
        let specs = source::assemble(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for spec in specs {
            let ops = decode_all(&spec.insns).map_while(Result::ok);
            seen.extend(ops.filter_map(|(_, op)| op.row()).map(|r| r.name));
        }
    }
    let missing: Vec<_> = table::rows().iter().map(|r| r.name).filter(|n| !seen.contains(n)).collect();
    assert_eq!(missing, [""; 0]);
}

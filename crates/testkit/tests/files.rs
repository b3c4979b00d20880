//! The file tests below `tests/cases`, held against every oracle that this machine has.
//!
//! `BLESS=1` rewrites their expectations. With `CI=true` the number of tests per oracle must be the one in
//! `tests/expected-counts.txt`, so that nothing is skipped unnoticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skep_testkit::case::check;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

fn counts_text(counts: &BTreeMap<String, usize>) -> String {
    counts.iter().map(|(name, n)| format!("{name} {n}\n")).collect()
}

#[test]
fn file_tests() {
    let bless = std::env::var_os("BLESS").is_some_and(|v| v == "1");
    let cases = tests().join("cases");
    if bless {
        let report = check::run(&cases, true);
        assert!(report.failures.is_empty(), "not blessed:\n{}", report.failures.join("\n"));
    }
    let report = check::run(&cases, false);
    for (name, why) in &report.skipped {
        println!("skipped: {name}: {why}");
    }
    for note in &report.notes {
        println!("{note}");
    }
    for (name, n) in &report.counts {
        println!("{name}: {n} file tests");
    }
    assert!(
        report.failures.is_empty(),
        "{} file tests failed:\n{}",
        report.failures.len(),
        report.failures.join("\n")
    );
    let path = tests().join("expected-counts.txt");
    let counts = counts_text(&report.counts);
    if bless && report.skipped.is_empty() {
        std::fs::write(&path, counts).expect("tests/ is writable");
    } else if std::env::var_os("CI").is_some_and(|v| v == "true") {
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(counts, expected, "tests per oracle differ from tests/expected-counts.txt");
    }
}

//! `docs/parity.md` says what the kernel and skep say. `BLESS=1` writes it.

use std::path::Path;

use skep_testkit::oracle::{Oracle, kernel::Kernel};
use skep_testkit::parity;

/// The kernel that the page is about.
const RELEASE: &str = "6.18";

#[test]
fn the_parity_page_is_true() {
    let skip = |why: &str| println!("skipped: the_parity_page_is_true: {why}");
    if let Err(why) = Kernel.available() {
        return skip(&why);
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if !release.starts_with(&format!("{RELEASE}.")) {
        return skip(&format!("the page is about Linux {RELEASE}, this is {}", release.trim()));
    }
    let page = parity::page(RELEASE);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/parity.md");
    if std::env::var_os("BLESS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &page).expect("docs/ is writable");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    for (now, then) in page.lines().zip(written.lines()) {
        assert_eq!(now, then, "docs/parity.md is out of date; BLESS=1 rewrites it");
    }
    assert_eq!(page.lines().count(), written.lines().count(), "docs/parity.md is out of date");
}

/// Most differences of verdicts that may stay.
const MOST: usize = 20;

#[test]
fn few_verdicts_differ() {
    let page = parity::page(RELEASE);
    let (_, from) = page.split_once("### Of verdicts").expect("there is such a table");
    let (table, _) = from.split_once("###").expect("another one follows");
    let rows = table.lines().filter(|l| l.starts_with("| ")).skip(1).count();
    assert!((1..=MOST).contains(&rows), "{rows} rows");
}

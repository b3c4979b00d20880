//! What is said of the verifier's rooms is true: the picture in `lib.rs` names every module, and `docs/adding.md` names
//! files and functions that there are.

use std::fs;
use std::path::Path;

const LIB: &str = include_str!("../src/lib.rs");
const ADDING: &str = include_str!("../docs/adding.md");

#[test]
fn the_picture_has_every_room() {
    let about: Vec<&str> = LIB.lines().filter_map(|l| l.strip_prefix("//! ")).collect();
    let modules =
        LIB.lines().filter_map(|l| l.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    let modules: Vec<&str> = modules.collect();
    assert!(modules.len() > 20, "{modules:?}");
    let named =
        |m: &str| about.iter().any(|l| l.starts_with(&format!("{m} ")) || l.contains(&format!("`{m}`")));
    let missing: Vec<_> = modules.iter().filter(|m| !named(m)).collect();
    assert!(missing.is_empty(), "src/lib.rs does not say what these are: {missing:?}");
    // And no room that is gone.
    let drawn = about.iter().filter_map(|l| l.split_once("  ")).map(|(name, _)| name);
    let gone: Vec<_> = drawn.filter(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_lowercase())).collect();
    assert!(gone.iter().all(|n| modules.contains(n)), "{gone:?}");
}

#[test]
fn what_adding_md_names_is_there() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = 0;
    let mut missing = Vec::new();
    let mut file = String::new();
    for word in ADDING.split('`').skip(1).step_by(2) {
        let path = word.split(' ').next().unwrap_or(word);
        if path.ends_with(".rs") && !path.contains("FAMILY") && !path.contains("NAME") {
            let places =
                [crates.join("verifier/src").join(path), crates.join(path), crates.join("..").join(path)];
            // `map/kernel.rs` stands beside the file before it.
            let beside = crates.join("abi/src").join(path);
            match places.iter().chain([&beside]).find_map(|p| fs::read_to_string(p).ok()) {
                Some(text) => file = text,
                None => missing.push(word.to_owned()),
            }
            named += 1;
        } else if word.chars().all(|c| c.is_ascii_lowercase() || c == '_') && file.contains(" fn ") {
            // A function of the file before it, or a word of another kind.
            let is_function = ADDING.contains(&format!("(`{word}`)"));
            if is_function && !file.contains(&format!("fn {word}")) {
                missing.push(word.to_owned());
            }
        }
    }
    assert!(named > 15, "{named}");
    assert!(missing.is_empty(), "docs/adding.md names what is not there: {missing:?}");
}

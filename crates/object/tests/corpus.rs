//! Objects of the corpus as libbpf 1.7 opens and links them. `libbpf/corpus-1.7.txt` is its word, written by the oracle in
//! `tests/libbpf` (which compares the whole corpus, where clang and libbpf are).

mod common;
#[path = "../../../tests/libbpf/src/view.rs"]
#[allow(dead_code, reason = "the oracle uses the rest")]
mod view;

use common::{fixture, fixture_path, read};
use view::View;

#[test]
fn objects_of_the_corpus_are_what_libbpf_makes_of_them() {
    let want = String::from_utf8(read(&fixture_path("../libbpf/corpus-1.7.txt"))).expect("text");
    let mut names: Vec<_> = want.lines().map(|l| l.split_once(": ").expect("a name").0).collect();
    names.dedup();
    let mut got = String::new();
    for name in &names {
        let mut view = View::of(&fixture(&format!("corpus/{name}")));
        // libbpf links only what is to be loaded.
        view.programs.iter_mut().filter(|p| !p.autoload).for_each(|p| p.linked = None);
        view.lines().for_each(|l| got += &format!("{name}: {l}\n"));
    }
    assert!(names.len() >= 12, "the file has all objects");
    let differ: Vec<_> = want.lines().zip(got.lines()).filter(|(a, b)| a != b).collect();
    assert!(want == got, "libbpf's line, then ours: {differ:#?}");
}

//! Every source of the corpus for every instruction set, as libbpf opens and prepares it on the running kernel:
//! programs, maps with all parameters, instructions, functions and lines; and whether it takes it at all.
//!
//! `corpus/differences.txt` lists objects that are known to differ, one a line with the reason. A listed object that
//! no longer differs fails the test too.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::compare::{Score, compare};
use common::{Kernel, compile, cpus, sources};
use libbpf_oracle::{How, inspect};

#[test]
fn every_object_is_what_libbpf_makes_of_it() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let kernel = match Kernel::running("") {
        Ok(kernel) => kernel,
        Err(why) => return println!("skipped: {why}"),
    };
    let list = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/differences.txt"));
    let known: BTreeMap<_, _> = list
        .as_deref()
        .expect("committed")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.split_once(": ").expect("a name and a reason"))
        .collect();
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut score = Score::default();
    let mut sources_seen = BTreeSet::new();
    let (mut wrong, mut still) = (Vec::new(), BTreeSet::new());
    for folder in ["features", "refused", "programs"] {
        for source in sources(folder).iter().filter(|s| s.to_string_lossy().contains(&only)) {
            sources_seen.insert(source.clone());
            for cpu in cpus(source) {
                let (name, path) = compile(source, cpu);
                let before = score.refused;
                let differ = compare(&path, &name, &kernel.inputs(), &mut score);
                if folder == "refused" && differ.is_empty() && score.refused == before {
                    wrong.push(format!("{name} (cpu {cpu}): both take it"));
                }
                match known.get(name.as_str()) {
                    _ if differ.is_empty() => {}
                    Some(why) => drop((still.insert(name), println!("known: {why}"))),
                    None => wrong.push(format!("{folder}/{name} (cpu {cpu}):\n  {}", differ.join("\n  "))),
                }
            }
        }
    }
    println!("{} sources, {score}", sources_seen.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    if only.is_empty() {
        let gone: Vec<_> = known.keys().filter(|k| !still.contains(**k)).collect();
        assert!(gone.is_empty(), "these differ no more, remove them from differences.txt: {gone:?}");
        assert!(sources_seen.len() >= 100 && score.objects >= 350, "the corpus has its size");
    }
}

/// The objects that skep-object's own tests have, which cannot ask libbpf: its word is committed beside them.
/// `BLESS=1` writes it.
#[test]
fn the_committed_word_is_libbpf_s() {
    if let Err(why) = libbpf_oracle::available() {
        return println!("skipped: {why}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/object/tests");
    let mut objects: Vec<_> = std::fs::read_dir(folder.join("fixtures/corpus"))
        .expect("a folder of the repository")
        .map(|e| e.expect("readable").path())
        .collect();
    objects.sort();
    let mut got = String::new();
    for path in &objects {
        let name = path.file_name().expect("a file").to_string_lossy();
        let view = inspect(path, How::default()).expect("libbpf takes it");
        view.lines().for_each(|l| got += &format!("{name}: {l}\n"));
    }
    let path = folder.join("libbpf/corpus-1.7.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &got).expect("writable");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("committed"), got);
}

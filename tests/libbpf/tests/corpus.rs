//! Every source of the corpus for every instruction set, as libbpf opens and prepares it on the running kernel:
//! programs, maps with all parameters, instructions, functions and lines; and whether it takes it at all.
//!
//! `corpus/differences.txt` lists objects that are known to differ, one a line with the reason. A listed object that
//! no longer differs fails the test too.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Kernel, compile, cpus, sources};
use libbpf_oracle::{How, Refused, View, inspect};
use skep_object::{Inputs, Object, Unlinked};

/// Why skep does not take an object: errors of the file, of programs that are loaded by default, and of maps.
fn ours(name: &str, bytes: &[u8], inputs: &Inputs<'_>) -> Result<Object, Vec<String>> {
    let object =
        Unlinked::parse(name, bytes).and_then(|u| u.link(inputs)).map_err(|e| vec![e.to_string()])?;
    let programs = object.programs.iter().filter(|p| p.autoload).filter_map(|p| p.spec.as_ref().err());
    let maps = object.maps.iter().filter_map(|m| m.def.as_ref().err());
    let errors: BTreeSet<_> = programs.chain(maps).map(ToString::to_string).collect();
    if errors.is_empty() { Ok(object) } else { Err(errors.into_iter().collect()) }
}

/// libbpf refuses a program without a type when it loads it.
fn theirs(path: &Path, all: bool) -> Result<View, Refused> {
    let view = inspect(path, How { all, ..How::default() })?;
    match view.programs.iter().find(|p| p.autoload && p.kind == 0) {
        None => Ok(view),
        Some(p) => Err(Refused { opened: true, messages: vec![format!("{}: no program type", p.name)] }),
    }
}

#[derive(Default)]
struct Score {
    objects: usize,
    programs: usize,
    maps: usize,
    insns: usize,
    refused: usize,
}

/// What differs for one object.
fn compare(path: &Path, name: &str, inputs: &Inputs<'_>, score: &mut Score) -> Vec<String> {
    let bytes = std::fs::read(path).expect("just written");
    score.objects += 1;
    let (ours, theirs_view) = match (ours(name, &bytes, inputs), theirs(path, false)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(ours), Err(theirs)) => {
            score.refused += 1;
            if std::env::var_os("VERBOSE").is_some() {
                println!("{name}: refused\n  {ours:?}\n  {:?}", theirs.messages);
            }
            return Vec::new();
        }
        (Ok(_), Err(r)) => {
            return vec![format!("we take it, libbpf does not (opened: {}): {:#?}", r.opened, r.messages)];
        }
        (Err(errors), Ok(_)) => return vec![format!("libbpf takes it, we do not: {errors:#?}")],
    };
    let mut view = View::of(&ours);
    score.programs += view.programs.len();
    score.maps += view.maps.len();
    score.insns +=
        view.programs.iter().filter_map(|p| p.linked.as_ref()).map(|l| l.insns.len()).sum::<usize>();
    // Zeros are not stored in the file.
    for m in &mut view.maps {
        let zero = |m: &libbpf_oracle::MapView| Some(vec![0; m.value_size as usize]);
        let data = theirs_view.maps.iter().find(|t| t.name == m.name).is_some_and(|t| t.initial.is_some());
        if data && m.initial.is_none() {
            m.initial = zero(m);
        }
    }
    let mut out = view.differences(&theirs_view);
    if view.programs.iter().any(|p| !p.autoload)
        && let Ok(all) = inspect(path, How { all: true, ..How::default() })
    {
        out.extend(view.differences(&all).into_iter().map(|d| format!("with all programs: {d}")));
    }
    out.sort();
    out.dedup();
    out
}

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
    let Score { objects, programs, maps, insns, refused } = score;
    println!(
        "{} sources, {objects} objects: {programs} programs of {insns} instructions and {maps} maps compared, \
         {refused} objects refused by both",
        sources_seen.len()
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    if only.is_empty() {
        let gone: Vec<_> = known.keys().filter(|k| !still.contains(**k)).collect();
        assert!(gone.is_empty(), "these differ no more, remove them from differences.txt: {gone:?}");
        assert!(sources_seen.len() >= 100 && objects >= 350, "the corpus has its size");
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

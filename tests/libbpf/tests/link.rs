//! The static linker: every set of files of the corpus, as libbpf links it.
//!
//! Both results are opened by both loaders: the same programs, maps, types, instructions, functions and lines.

mod common;

use std::path::{Path, PathBuf};

use common::{CPUS, compile, normal, sources};
use skep_btf::{Btf, Builder, Name};
use skep_object::{Inputs, Object, Unlinked, static_link};
use skep_spec::ProgramSpec;

/// The folders of a part of the corpus, each of which has files that are linked in order.
fn sets(part: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(part);
    let mut out: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder of the corpus")
        .map(|e| e.expect("readable").path())
        .filter(|p| p.is_dir())
        .collect();
    out.sort();
    out
}

/// In which order the files of a set are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Forwards,
    Backwards,
}

/// Sets that only come out right in libbpf if their definitions come first (see `link_better`).
const FORWARDS_ONLY: [&str; 2] = ["maps", "weak"];

/// Links with both; the names of the results, or why not.
#[allow(clippy::type_complexity, reason = "two results")]
fn link_both(
    set: &Path,
    cpu: &str,
    order: Order,
) -> (String, Result<PathBuf, String>, Result<PathBuf, Vec<String>>) {
    let part = set.parent().and_then(Path::file_name).expect("in the corpus").to_string_lossy();
    let name = format!("{part}.{}.{cpu}", set.file_name().expect("a folder").to_string_lossy());
    let mut files: Vec<PathBuf> = sources(&set.to_string_lossy()).iter().map(|s| compile(s, cpu).1).collect();
    if order == Order::Backwards {
        files.reverse();
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linked").join(&name).join(format!("{order:?}"));
    // The same name, since maps are named after the file.
    let (ours, theirs) = (dir.join("skep").join("linked.o"), dir.join("libbpf").join("linked.o"));
    for p in [&ours, &theirs] {
        std::fs::create_dir_all(p.parent().expect("made above")).expect("a folder for objects");
    }
    let bytes: Vec<_> = files.iter().map(|f| std::fs::read(f).expect("just compiled")).collect();
    let short = |f: &PathBuf| {
        f.strip_prefix(f.ancestors().nth(2).expect("two folders")).expect("its own").display().to_string()
    };
    let names: Vec<String> = files.iter().map(short).collect();
    let inputs: Vec<(&str, &[u8])> = names.iter().zip(&bytes).map(|(n, b)| (&**n, &**b)).collect();
    let our = static_link(&inputs).map_err(|e| e.to_string()).map(|linked| {
        std::fs::write(&ours, linked).expect("writable");
        ours
    });
    let their = libbpf_oracle::linker::link(&files, &theirs).map(|()| theirs);
    (name, our, their)
}

/// The same types with their names in the order of their first use, so that equal types are equal.
fn canonical(btf: &Btf) -> Btf {
    let mut b = Builder::new();
    for (_, t) in btf.iter() {
        let mut t = t.clone();
        t.each_name_mut(|n| *n = b.name(btf.str(*n)));
        if let skep_btf::Type::Datasec { entries, .. } = &mut t {
            entries.sort_by_key(|e| (e.off_bytes, e.ty.0));
        }
        b.add(t);
    }
    b.finish().expect("it was right before")
}

fn lines(s: &ProgramSpec) -> Vec<(u32, String, String, u32)> {
    let Some(btf) = &s.btf else { return Vec::new() };
    let text = |off| btf.name_at(off).map_or("", |n: Name| btf.str(n)).to_owned();
    s.line_info.iter().map(|l| (l.insn_off, text(l.file_name_off), text(l.line_off), l.line_col)).collect()
}

/// What skep makes of an object, without what only tells one file from another.
fn open(path: &Path, target: Option<&skep_btf::relo::TargetBtf>) -> (Object, Vec<String>) {
    let bytes = std::fs::read(path).expect("just written");
    let unlinked = Unlinked::parse_any_endian("linked.o", &bytes).unwrap_or_else(|e| panic!("{e}"));
    let btf = unlinked.btf().cloned().unwrap_or_default();
    let relos = unlinked
        .core_relos()
        .map(|r| format!("{:#x} {} {} {}", r.insn_off_bytes, r.ty, btf.str(r.access), r.kind));
    let mut facts: Vec<String> = relos.collect();
    facts.extend(unlinked.externs().iter().map(|e| format!("{} {:?} {}", e.name, e.kind, e.weak)));
    let object = unlinked.link(&Inputs { target, ..Inputs::default() }).unwrap_or_else(|e| panic!("{e}"));
    (object, facts)
}

/// Sections, variables, and the place of each that BTF says.
fn variables(bytes: &[u8]) -> Vec<String> {
    let section = skep_object::btf_section("linked.o", bytes).expect("an object").expect("with BTF");
    let btf = Btf::parse(section).expect("right");
    let mut out = Vec::new();
    for (_, t) in btf.iter() {
        let skep_btf::Type::Datasec { name, size, entries } = t else { continue };
        out.push(format!("{} {size}", btf.str(*name)));
        out.extend(entries.iter().map(|e| format!("{:?} {} {}", btf.name(e.ty), e.off_bytes, e.size)));
    }
    out
}

/// Linked alone, a linked file keeps its variables where they are. Linking takes their places from the symbols, so
/// that what BTF says of them is right.
fn assert_linked_again(path: &Path, name: &str) {
    let bytes = std::fs::read(path).expect("just written");
    let again = static_link(&[("linked.o", &bytes)]).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(variables(&again), variables(&bytes), "{name}: linked again");
}

/// Differences of two objects in words.
fn differences(a: &Object, b: &Object) -> Vec<String> {
    let mut out = Vec::new();
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            out.push(format!("{what}:\n  skep   {a}\n  libbpf {b}"));
        }
    };
    differ("license", a.license.clone(), b.license.clone());
    differ("version", a.kernel_version.to_string(), b.kernel_version.to_string());
    let names = |o: &Object| {
        o.programs.iter().map(|p| format!("{}@{}", p.name, p.section)).collect::<Vec<_>>().join(" ")
    };
    differ("programs", names(a), names(b));
    for (p, q) in a.programs.iter().zip(&b.programs) {
        match (&p.spec, &q.spec) {
            (Ok(s), Ok(t)) => {
                differ(
                    &p.name,
                    format!("{:?} {:?}", s.prog_type, s.attach_type),
                    format!("{:?} {:?}", t.prog_type, t.attach_type),
                );
                differ(&p.name, format!("{:?}", s.insns), format!("{:?}", t.insns));
                differ(&p.name, format!("{:?}", s.func_info), format!("{:?}", t.func_info));
                differ(&p.name, format!("{:?}", lines(s)), format!("{:?}", lines(t)));
                let maps =
                    |s: &ProgramSpec| s.maps.iter().map(|m| m.name.clone()).collect::<Vec<_>>().join(" ");
                differ(&p.name, maps(s), maps(t));
            }
            (s, t) => differ(&p.name, format!("{:?}", s.as_ref().err()), format!("{:?}", t.as_ref().err())),
        }
    }
    let maps = |o: &Object| o.maps.iter().map(|m| m.name.clone()).collect::<Vec<_>>().join(" ");
    differ("maps", maps(a), maps(b));
    for (m, n) in a.maps.iter().zip(&b.maps) {
        let text = |m: &skep_object::Map| match &m.def {
            Ok(d) => {
                let d = skep_spec::MapDef { btf: None, ..(**d).clone() };
                // The inner map's BTF is the same as its outer map's.
                format!(
                    "{:?} {:?}",
                    skep_spec::MapDef { inner: None, ..d.clone() },
                    d.inner.map(|i| skep_spec::MapDef { btf: None, ..*i })
                )
            }
            Err(e) => e.to_string(),
        };
        differ(&m.name, text(m), text(n));
        differ(&m.name, format!("{:?}", m.slots), format!("{:?}", n.slots));
    }
    let types = |o: &Object| o.btf.as_ref().map(|b| canonical(b));
    if let (Some(a), Some(b)) = (types(a), types(b)) {
        differ("number of types", a.len().to_string(), b.len().to_string());
        let show = |b: &Btf, t: &skep_btf::Type| format!("{t:?} {}", b.str(t.name()));
        for ((id, t), (_, u)) in a.iter().zip(b.iter()) {
            differ(&format!("type {id}"), show(&a, t), show(&b, u));
        }
    }
    out
}

#[test]
fn sets_are_linked_as_libbpf_links_them() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let kernel = Path::new("/sys/kernel/btf/vmlinux");
    let kernel = std::fs::read(kernel).ok().map(|b| Btf::parse(&b).expect("the kernel's types are right"));
    let target = kernel.map(skep_btf::relo::TargetBtf::from);
    let (mut linked, mut programs, mut wrong) = (0, 0, Vec::new());
    for set in sets("link") {
        let orders = match FORWARDS_ONLY.iter().any(|n| set.ends_with(n)) {
            true => &[Order::Forwards][..],
            false => &[Order::Forwards, Order::Backwards],
        };
        for (cpu, order) in CPUS.iter().flat_map(|cpu| orders.iter().map(move |o| (cpu, *o))) {
            let (name, ours, theirs) = link_both(&set, cpu, order);
            let name = format!("{name} {order:?}");
            let (ours, theirs) = match (ours, theirs) {
                (Ok(o), Ok(t)) => (o, t),
                (o, t) => {
                    wrong.push(format!("{name}: skep {:?}, libbpf {:?}", o.err(), t.err()));
                    continue;
                }
            };
            linked += 1;
            let ((a, a_facts), (b, b_facts)) = (open(&ours, target.as_ref()), open(&theirs, target.as_ref()));
            programs += a.programs.len();
            if a_facts != b_facts {
                wrong.push(format!("{name}: skep {a_facts:?}, libbpf {b_facts:?}"));
            }
            wrong.extend(differences(&a, &b).into_iter().map(|d| format!("{name}: {d}")));
            assert_linked_again(&ours, &name);
            if set.ends_with("bigendian") {
                continue; // neither loader takes it here
            }
            // libbpf's loader on both.
            let (x, y) = (loaded(&ours), loaded(&theirs));
            if x != y {
                wrong.push(format!("{name}: libbpf opens ours as {x:?}\nand its own as {y:?}"));
            }
        }
    }
    println!("{linked} sets linked the same, {programs} programs");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(linked >= 60 && programs > 120);
}

/// Why we do not link a set.
fn ours_alone(set: &Path) -> String {
    let files: Vec<_> = sources(&set.to_string_lossy()).iter().map(|s| compile(s, "v3").1).collect();
    let bytes: Vec<_> = files.iter().map(|f| std::fs::read(f).expect("just compiled")).collect();
    let inputs: Vec<(&str, &[u8])> = bytes.iter().map(|b| ("file.o", &**b)).collect();
    static_link(&inputs).expect_err("refused").to_string()
}

/// What libbpf's loader makes of a file: its programs, or its messages.
#[allow(clippy::type_complexity, reason = "name, autoload, instructions")]
fn loaded(path: &Path) -> Result<Vec<(String, bool, Vec<skep_isa::Insn>)>, String> {
    let programs = common::oracle(path, None).map_err(|messages| messages.join("\n"))?;
    Ok(programs.iter().map(|p| (p.name.clone(), p.autoload, normal(&p.insns))).collect())
}

/// Where libbpf keeps the place of what gave way, ours is the place of what is used: its own loader says so, and our
/// types agree with the symbols.
#[test]
fn what_is_defined_late_is_where_its_symbol_is() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    for set in sets("link_better") {
        let (name, ours, theirs) = link_both(&set, "v3", Order::Forwards);
        let (ours, theirs) = (ours.expect("links"), theirs.expect("links"));
        let programs = loaded(&ours).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(programs.len(), open(&ours, None).0.programs.len(), "{name}");
        let ((a, _), (b, _)) = (open(&ours, None), open(&theirs, None));
        assert!(
            !differences(&a, &b).is_empty(),
            "{name}: libbpf does it as we do by now: move the set to `link`"
        );
        assert_linked_again(&ours, &name);
        if set.ends_with("late_map") {
            assert!(loaded(&theirs).expect_err("libbpf's").contains("map relo failed to find map"));
            // In the other order both are right, and programs are the same.
            let (_, again, _) = link_both(&set, "v3", Order::Backwards);
            let mut first = loaded(&again.expect("links")).expect("libbpf opens it");
            let mut second = programs.clone();
            first.sort_by(|a, b| a.0.cmp(&b.0));
            second.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(first, second);
        }
    }
}

#[test]
fn sets_are_refused_as_libbpf_refuses_them() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let sets = sets("link_refused");
    for set in &sets {
        if set.ends_with("kernel_or_file") {
            // libbpf 1.7 looks for the variable in the other section, beyond its end.
            let message = ours_alone(set);
            assert!(
                message.contains("it is in section \".data\"; \"file.o\" wants it in \".kconfig\""),
                "{message}"
            );
            continue;
        }
        let (name, ours, theirs) = link_both(set, "v3", Order::Forwards);
        let (our, their) = (ours.expect_err(&name), theirs.expect_err(&name));
        println!("{name}\n  skep   {our}\n  libbpf {}", their.join("; "));
        assert!(our.starts_with(&name.replace("link_refused.", "").replace(".v3", "/")), "{our}");
    }
    assert!(sets.len() > 15);
}

/// What libbpf makes of the pair that skep-object has for its own tests. `BLESS=1` writes it.
#[test]
fn the_committed_file_is_libbpf_s() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/object/tests/fixtures/link");
    let linked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libbpf.o");
    let files = ["main.bpf.o", "lib.bpf.o"].map(|n| folder.join(n));
    libbpf_oracle::linker::link(&files, &linked).expect("libbpf links it");
    let got = std::fs::read(&linked).expect("just written");
    let path = folder.join("libbpf.o");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &got).expect("writable");
    }
    assert!(std::fs::read(&path).expect("committed") == got);
}

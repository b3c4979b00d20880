//! CO-RE: every program of the corpus against every target, as libbpf relocates it, instruction by instruction.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{CPUS, compile, normal, sources};
use skep_btf::Btf;
use skep_btf::relo::TargetBtf;
use skep_isa::Insn;
use skep_object::{Inputs, Unlinked};
use skep_spec::Poisoned;

/// A target: a name, and the file that libbpf reads.
fn targets() -> Vec<(String, PathBuf)> {
    let mut out: Vec<_> = sources("targets").iter().map(|s| compile(s, "v3")).collect();
    let kernel = PathBuf::from("/sys/kernel/btf/vmlinux");
    if kernel.exists() {
        out.push(("vmlinux".into(), kernel));
    }
    out
}

/// The `.BTF` section of an object, or the whole file.
fn btf_of(path: &PathBuf) -> Btf {
    let bytes = std::fs::read(path).expect("readable");
    if !bytes.starts_with(b"\x7fELF") {
        return Btf::parse(&bytes).expect("BTF");
    }
    let section = skep_object::btf_section("target", &bytes).expect("an object").expect("with BTF");
    Btf::parse(section).expect("BTF")
}

#[test]
fn every_program_against_every_target() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let targets: Vec<_> = targets().into_iter().map(|(n, p)| (n, TargetBtf::from(btf_of(&p)), p)).collect();
    let (mut compared, mut refused, mut poisoned, mut changed) = (0, 0, 0, 0);
    let mut kinds = BTreeSet::new();
    let mut wrong = Vec::new();
    for source in sources("programs") {
        for cpu in CPUS {
            let (name, path) = compile(&source, cpu);
            let bytes = std::fs::read(&path).expect("just written");
            let unlinked = Unlinked::parse(&name, &bytes).expect("clang's object");
            kinds.extend(unlinked.core_relos().map(|r| r.kind));
            for (target, btf, target_path) in &targets {
                let ours = unlinked.link(&Inputs { target: Some(btf), ..Inputs::default() }).expect("links");
                let theirs = common::oracle(&path, Some(target_path));
                let what = format!("{name} (cpu {cpu}) on {target}");
                let spoiled: Vec<_> = ours
                    .programs
                    .iter()
                    .filter(|p| p.autoload)
                    .filter_map(|p| p.spec.as_ref().err().map(|e| format!("{}: {e}", p.name)))
                    .collect();
                let theirs = match theirs {
                    Ok(_) if !spoiled.is_empty() => {
                        wrong.push(format!("{what}: libbpf takes it, we do not: {spoiled:#?}"));
                        continue;
                    }
                    Err(messages) => {
                        refused += 1;
                        if spoiled.is_empty() {
                            wrong.push(format!("{what}: we take it, libbpf does not: {messages:#?}"));
                        }
                        continue;
                    }
                    Ok(theirs) => theirs,
                };
                for p in theirs.iter().filter(|p| p.autoload) {
                    let Some(our) = ours.program(&p.name) else {
                        wrong.push(format!("{what}: we have no program {}", p.name));
                        continue;
                    };
                    let spec = our.spec.as_ref().expect("looked at above");
                    compared += 1;
                    poisoned += spec.poisoned.len();
                    let calls = |insns: &[Insn]| {
                        insns.iter().filter(|i| i.opcode == 0x85 && i.imm == Poisoned::HELPER).count()
                    };
                    assert_eq!(
                        calls(&spec.insns),
                        spec.poisoned.len(),
                        "{what}: {} names what it poisons",
                        p.name
                    );
                    let (a, b) = (normal(&spec.insns), normal(&p.insns));
                    changed += usize::from(a != normal(&unrelocated(&unlinked, &p.name)));
                    if a != b {
                        let differ: Vec<_> = (0..a.len().max(b.len()))
                            .filter(|&i| a.get(i) != b.get(i))
                            .map(|i| format!("  insn {i}: ours {:?}, libbpf's {:?}", a.get(i), b.get(i)))
                            .collect();
                        wrong.push(format!("{what}: {}:\n{}", p.name, differ.join("\n")));
                    }
                }
            }
        }
    }
    println!(
        "{compared} programs equal, {changed} of them changed by relocation, {poisoned} instructions poisoned, \
         {refused} objects refused by both"
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        (0..13).collect::<Vec<_>>(),
        "each kind is in the corpus"
    );
    assert!(
        compared > 2500 && changed > 1000 && poisoned > 500 && refused > 20,
        "the corpus has all outcomes"
    );
}

/// The program as the compiler left it: relocated against its own types.
fn unrelocated(unlinked: &Unlinked<'_>, name: &str) -> Vec<Insn> {
    let Some(btf) = unlinked.btf() else { return Vec::new() };
    let own = TargetBtf::from(btf.clone());
    let object = unlinked.link(&Inputs { target: Some(&own), ..Inputs::default() }).expect("links");
    object.program(name).and_then(|p| p.spec.as_ref().ok()).map(|s| s.insns.clone()).unwrap_or_default()
}

/// The objects that skep-object's own tests have, which cannot ask libbpf: its word is committed beside them.
/// `BLESS=1` writes it.
#[test]
fn the_committed_word_is_libbpf_s() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/object/tests");
    let of = |ending: &str| {
        let mut found: Vec<_> = std::fs::read_dir(folder.join("fixtures/core"))
            .expect("a folder of the repository")
            .map(|e| e.expect("readable").path())
            .filter_map(|p| Some((p.file_name()?.to_str()?.strip_suffix(ending)?.to_owned(), p.clone())))
            .collect();
        found.sort();
        found
    };
    let mut got = String::new();
    for (target, target_path) in of(".target.o") {
        for (name, path) in of(".bpf.o") {
            let Ok(programs) = common::oracle(&path, Some(&target_path)) else {
                got += &format!("{name} on {target}: refused\n");
                continue;
            };
            for p in programs.iter().filter(|p| p.autoload) {
                let mut hash = 0xcbf2_9ce4_8422_2325u64;
                for b in normal(&p.insns).iter().flat_map(|i| i.to_bytes(skep_isa::Endian::Little)) {
                    hash = (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
                }
                got += &format!("{name} on {target}: {} insns {} {hash:016x}\n", p.name, p.insns.len());
            }
        }
    }
    let path = folder.join("libbpf/core-1.7.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &got).expect("writable");
    }
    assert_eq!(std::fs::read_to_string(&path).expect("committed"), got);
}

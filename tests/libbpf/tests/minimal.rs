//! Minimal types: every program of the corpus comes out of the part of a target that its relocations look at as out of
//! the whole, ours and libbpf's.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{compile, sources};
use skep_btf::relo::{Minimal, TargetBtf};
use skep_btf::{Btf, Endian, TypeId};
use skep_isa::Insn;
use skep_object::{Inputs, Object, Unlinked};

fn btf_of(path: &Path) -> Btf {
    let bytes = std::fs::read(path).expect("readable");
    if !bytes.starts_with(b"\x7fELF") {
        return Btf::parse(&bytes).expect("BTF");
    }
    let section = skep_object::btf_section("target", &bytes).expect("an object").expect("with BTF");
    Btf::parse(section).expect("BTF")
}

/// Programs by name, linked, or why not.
fn programs(o: &Object) -> Vec<(String, Result<Vec<Insn>, String>)> {
    let mut out: Vec<_> = o
        .programs
        .iter()
        .map(|p| {
            let insns = p.spec.as_ref().map(|s| s.insns.clone()).map_err(|e| e.to_string());
            (p.name.clone(), insns)
        })
        .collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

/// Equal, but for ids of the same type on either side.
fn same(a: &[Insn], b: &[Insn], whole: &Btf, part: &Btf) -> bool {
    let named = |btf: &Btf, id: i32| {
        let id = TypeId(id as u32);
        btf.ty(id).map(|t| (t.kind(), btf.name(id).unwrap_or("").to_owned()))
    };
    a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| {
            let ids = named(whole, x.imm).is_some_and(|t| named(part, y.imm) == Some(t));
            x == y || (ids && Insn { imm: 0, ..*x } == Insn { imm: 0, ..*y })
        })
}

/// Messages without ids of types.
fn words(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[test]
fn the_part_is_as_good_as_the_whole() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let mut targets: Vec<_> = sources("targets").iter().map(|s| compile(s, "v3")).collect();
    let kernel = PathBuf::from("/sys/kernel/btf/vmlinux");
    if kernel.exists() {
        targets.push(("vmlinux".into(), kernel));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("minimal");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("part.btf");
    let (mut compared, mut failed, mut theirs_compared) = (0, 0, 0);
    let mut largest = (0, String::new());
    let mut wrong = Vec::new();
    for (target, target_path) in &targets {
        let whole = btf_of(target_path);
        let whole_target = TargetBtf::from(whole.clone());
        let mut objects: Vec<_> = sources("programs").into_iter().map(|s| (s, vec!["v1", "v3"])).collect();
        if target == "vmlinux" {
            objects.extend(sources("features").into_iter().map(|s| (s, vec!["v4"])));
        }
        for (source, cpus) in objects {
            for cpu in cpus {
                let (name, path) = compile(&source, cpu);
                let what = format!("{name} (cpu {cpu}) on {target}");
                let bytes = std::fs::read(&path).expect("just written");
                let unlinked = Unlinked::parse(&name, &bytes).expect("clang's object");
                let Some(btf) = unlinked.btf() else { continue };
                let mut minimal = Minimal::new(&whole);
                minimal.add(btf, unlinked.core_relos()).expect("nothing too deep");
                let part = minimal.finish();
                let written = part.to_bytes(Endian::NATIVE);
                assert_eq!(Btf::parse(&written).expect("reads back"), part);
                if target == "vmlinux" && written.len() > largest.0 {
                    largest = (written.len(), format!("{name}: {} types", part.len()));
                }
                let part_target = TargetBtf::from(part.clone());
                let link =
                    |t| unlinked.link(&Inputs { target: Some(t), ..Inputs::default() }).expect("links");
                let (a, b) = (programs(&link(&whole_target)), programs(&link(&part_target)));
                assert_eq!(a.len(), b.len());
                for ((program, a), (_, b)) in a.iter().zip(&b) {
                    // Externs with a type and `struct_ops` are looked for by name, and libbpf asks the kernel itself.
                    let by_name = [": extern ", "the target has no struct bpf_struct_ops_"];
                    if b.as_ref().is_err_and(|e| by_name.iter().any(|words| e.contains(words))) {
                        continue;
                    }
                    let equal = match (a, b) {
                        (Ok(a), Ok(b)) => same(a, b, &whole, &part),
                        (Err(a), Err(b)) => {
                            failed += 1;
                            words(a) == words(b)
                        }
                        _ => false,
                    };
                    compared += 1;
                    if !equal {
                        wrong.push(format!("{what}: {program}:\n  {a:?}\n  {b:?}"));
                    }
                }
                if cpu == "v1" {
                    continue;
                }
                std::fs::write(&file, &written).expect("writable");
                match (common::oracle(&path, Some(target_path)), common::oracle(&path, Some(&file))) {
                    (Ok(a), Ok(b)) => {
                        for (a, b) in a.iter().zip(&b) {
                            theirs_compared += 1;
                            if !same(&common::normal(&a.insns), &common::normal(&b.insns), &whole, &part) {
                                wrong.push(format!("{what}: libbpf's {} differs", a.name));
                            }
                        }
                    }
                    (Err(_), Err(_)) => {}
                    (a, b) => wrong.push(format!("{what}: libbpf: {:?}, {:?}", a.err(), b.err())),
                }
            }
        }
    }
    println!(
        "{compared} programs equal, {failed} of them refused alike; {theirs_compared} equal in libbpf; the largest part of \
         vmlinux has {} bytes ({})",
        largest.0, largest.1
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 1000 && failed > 20 && theirs_compared > 500, "the corpus has all outcomes");
}

/// Beside bpftool's: about as many types, by kind.
#[test]
fn bpftool_keeps_about_the_same() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let kernel = Path::new("/sys/kernel/btf/vmlinux");
    if !kernel.exists() {
        return println!("skipped: this kernel does not show its types");
    }
    let whole = btf_of(kernel);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("minimal");
    std::fs::create_dir_all(&folder).expect("a folder");
    let (mut ours, mut theirs) = (0, 0);
    for source in sources("programs") {
        let (name, path) = compile(&source, "v3");
        let file = folder.join(format!("{name}.bpftool.btf"));
        let command =
            Command::new("bpftool").args(["gen", "min_core_btf"]).args([kernel, &file, &path]).output();
        match command {
            Ok(out) if out.status.success() => {}
            // An old one does not know every relocation.
            Ok(_) => continue,
            Err(e) => return println!("skipped: bpftool: {e}"),
        }
        let bytes = std::fs::read(&path).expect("just written");
        let unlinked = Unlinked::parse(&name, &bytes).expect("clang's object");
        let mut minimal = Minimal::new(&whole);
        minimal.add(unlinked.btf().expect("-g"), unlinked.core_relos()).expect("nothing too deep");
        let (a, b) = (minimal.finish().len(), btf_of(&file).len());
        println!("{name}: {a} types, bpftool {b}");
        (ours, theirs) = (ours + a, theirs + b);
    }
    println!("{ours} types, bpftool {theirs}");
    assert!(ours < theirs * 3, "{ours} types are many more than bpftool's {theirs}");
}

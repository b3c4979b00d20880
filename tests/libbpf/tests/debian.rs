//! Objects that others made: those of Debian's packages, files of their own and images in executables, as libbpf opens
//! and prepares them on the running kernel.
//!
//! The packages are fetched by `apt-get download` once and unpacked, not installed.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::Kernel;
use common::compare::{Score, compare};
use common::packages::unpacked;

/// All files below a folder.
fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(t) if t.is_dir() => files(&entry.path(), out),
            Ok(t) if t.is_file() => out.push(entry.path()),
            _ => {}
        }
    }
}

/// eBPF objects in a file: the file itself, or images in it. A relocatable file of 64 bits for machine 247.
fn images(bytes: &[u8]) -> Vec<&[u8]> {
    let magic = b"\x7fELF\x02\x01\x01";
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(magic.len()).position(|w| w == magic) {
        let image = &bytes[at + next..];
        at += next + 1;
        if let Some(len) = length(image).filter(|&len| len <= image.len()) {
            out.push(&image[..len]);
        }
    }
    out
}

/// Bytes of an eBPF object that something else may follow.
fn length(image: &[u8]) -> Option<usize> {
    let number = |at: usize, len: usize| {
        let mut b = [0; 8];
        b[..len].copy_from_slice(image.get(at..at + len)?);
        usize::try_from(u64::from_le_bytes(b)).ok()
    };
    if number(16, 2)? != 1 || number(18, 2)? != 247 {
        return None;
    }
    let (table, entry, count) = (number(40, 8)?, number(58, 2)?, number(60, 2)?);
    let mut end = table.checked_add(entry * count)?;
    for i in 0..count {
        let header = table.checked_add(entry * i)?;
        // Not of sections without contents in the file.
        if number(header.checked_add(4)?, 4)? != 8 {
            end = end.max(number(header + 24, 8)?.checked_add(number(header + 32, 8)?)?);
        }
    }
    Some(end)
}

#[test]
fn objects_of_others_are_what_libbpf_makes_of_them() {
    if let Err(why) = libbpf_oracle::available() {
        return println!("skipped: {why}");
    }
    let kernel = match Kernel::running("") {
        Ok(kernel) => kernel,
        Err(why) => return println!("skipped: {why}"),
    };
    let root = match unpacked() {
        Ok(root) => root,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut all = Vec::new();
    files(&root, &mut all);
    all.sort();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian/objects");
    std::fs::create_dir_all(&dir).expect("a folder for objects");
    let mut score = Score::default();
    let mut wrong = Vec::new();
    for file in &all {
        let bytes = std::fs::read(file).expect("just unpacked");
        let stem = file.file_stem().expect("a file").to_string_lossy();
        for (i, image) in images(&bytes).into_iter().enumerate() {
            let name = if i == 0 { format!("{stem}.o") } else { format!("{stem}_{i}.o") };
            let path = dir.join(&name);
            std::fs::write(&path, image).expect("writable");
            let before = score.refused;
            let differ = compare(&path, &name, &kernel.inputs(), &mut score);
            if score.refused > before {
                println!("refused by both: {name}");
            }
            if !differ.is_empty() {
                wrong.push(format!("{name} ({}):\n  {}", file.display(), differ.join("\n  ")));
            }
        }
    }
    println!("{score}");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(score.objects >= 70, "the packages have their objects");
}

/// bpftrace names its sections after its probes, which are no types of libbpf's.
#[test]
fn what_bpftrace_compiles_is_what_libbpf_makes_of_it() {
    if let Err(why) = libbpf_oracle::available() {
        return println!("skipped: {why}");
    }
    let kernel = match Kernel::running("") {
        Ok(kernel) => kernel,
        Err(why) => return println!("skipped: {why}"),
    };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bpftrace");
    std::fs::create_dir_all(&dir).expect("a folder for objects");
    let scripts = [
        ("begin", "BEGIN { @x = 1; exit(); }"),
        ("interval", r#"interval:s:1 { @[comm] = count(); printf("%d\n", pid); }"#),
        ("profile", "profile:hz:99 { @ = count(); }"),
        ("software", "software:cpu-clock:100 { @[tid] = hist(nsecs); }"),
    ];
    let mut score = Score::default();
    for (name, script) in scripts {
        let path = dir.join(format!("{name}.o"));
        let _ = std::fs::remove_file(&path);
        let made = Command::new("bpftrace").arg("--emit-elf").arg(&path).args(["-e", script]).output();
        if let Err(e) = made {
            return println!("skipped: bpftrace: {e}");
        }
        if !path.exists() {
            let output = made.expect("it ran");
            return println!("skipped: bpftrace: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let differ = compare(&path, name, &kernel.inputs(), &mut score);
        assert!(differ.is_empty(), "{name}:\n  {}", differ.join("\n  "));
    }
    println!("{score}");
}

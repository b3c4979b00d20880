//! Objects of the corpus, compiled once per run.
#![allow(dead_code, reason = "each test file uses some")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use libbpf_oracle::Program;
use skep_isa::Insn;

/// Instruction sets of clang.
pub const CPUS: [&str; 4] = ["v1", "v2", "v3", "v4"];

/// Whether clang and `bpf(2)` are there; the reason if not.
pub fn ready() -> Result<(), String> {
    match Command::new("clang-19").arg("--version").output() {
        Ok(out) if out.status.success() => libbpf_oracle::available(),
        Ok(out) => Err(format!("clang-19 ended with {}", out.status)),
        Err(e) => Err(format!("clang-19: {e}")),
    }
}

/// The sources of a folder of the corpus, in order of their names.
pub fn sources(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let mut out: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder of the corpus")
        .map(|e| e.expect("readable").path())
        .filter(|p| p.extension().is_some_and(|e| e == "c"))
        .collect();
    out.sort();
    assert!(!out.is_empty(), "{} has sources", folder.display());
    out
}

/// Compiles a source for an instruction set; gives its name and the object.
pub fn compile(source: &Path, cpu: &str) -> (String, PathBuf) {
    static DONE: Mutex<Option<HashMap<(PathBuf, String), PathBuf>>> = Mutex::new(None);
    let stem = source.file_stem().expect("a file").to_string_lossy().into_owned();
    let key = (source.to_path_buf(), cpu.to_owned());
    let mut done = DONE.lock().unwrap_or_else(|e| e.into_inner());
    let done = done.get_or_insert_default();
    let object = done.entry(key).or_insert_with(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus");
        std::fs::create_dir_all(&dir).expect("a folder for objects");
        let object = dir.join(format!("{stem}.{cpu}.o"));
        let status = Command::new("clang-19")
            .args(["-target", "bpf", "-g", "-O2", "-Wall", "-Werror", &format!("-mcpu={cpu}"), "-c"])
            .arg(source)
            .arg("-o")
            .arg(&object)
            .status()
            .expect("clang-19 was there");
        assert!(status.success(), "{} does not compile", source.display());
        object
    });
    (stem, object.clone())
}

/// libbpf's word on an object.
pub fn oracle(object: &Path, target: Option<&Path>) -> Result<Vec<Program>, Vec<String>> {
    libbpf_oracle::prepare(object, target, None).map(|o| o.programs)
}

/// Instructions that can be compared: maps by nothing, since one side has descriptors and the other indices.
pub fn normal(insns: &[Insn]) -> Vec<Insn> {
    let mut out = insns.to_vec();
    for insn in &mut out {
        if insn.is_wide() && (1..=2).contains(&insn.src.0) {
            insn.imm = 0;
        }
        if insn.is_wide() && matches!(insn.src.0, 5 | 6) {
            insn.src.0 -= 4;
            insn.imm = 0;
        }
    }
    out
}

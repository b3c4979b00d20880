//! Headers that the tests include, and their objects.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::source::TESTS;

/// The compiler that is known to take them.
const CLANG: &str = "clang-19";

/// Headers of libbpf that programs include as `bpf/…`.
const LIBBPF: &[&str] = &["bpf_core_read.h", "bpf_endian.h", "bpf_helpers.h", "bpf_tracing.h", "usdt.bpf.h"];

/// What came of compiling.
#[derive(Debug, Default)]
pub struct Built {
    /// Objects, in the order of their names.
    pub objects: Vec<PathBuf>,
    /// Sources that did not compile, with the first error.
    pub failed: Vec<(String, String)>,
}

/// Compiles all programs of the tree whose names begin with one of `wanted` (all, if that is empty) into
/// `dir`/objects, but for those that are there already.
///
/// # Errors
/// When the headers cannot be made.
pub fn objects(tree: &Path, dir: &Path, wanted: &[String], jobs: usize) -> Result<Built, String> {
    let include = headers(tree, dir)?;
    let objects = dir.join("objects");
    fs::create_dir_all(&objects).map_err(|e| format!("{}: {e}", objects.display()))?;
    let tests = tree.join(TESTS);
    let mut sources: Vec<PathBuf> = fs::read_dir(tests.join("progs"))
        .map_err(|e| format!("{}: {e}", tests.display()))?
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "c"))
        .filter(|p| wanted.is_empty() || wanted.iter().any(|w| stem(p).starts_with(w.as_str())))
        .collect();
    // Taken from the end, so that the verifier's own come out first.
    sources.sort_by_key(|p| (stem(p).starts_with("verifier_"), std::cmp::Reverse(p.clone())));
    let flags = flags(&include, &tests)?;
    let (left, built) = (Mutex::new(sources), Mutex::new(Built::default()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(source) = left.lock().ok().and_then(|mut l| l.pop()) {
                    let object = objects.join(stem(&source)).with_extension("o");
                    let result =
                        if object.exists() { Ok(()) } else { compile(&tests, &flags, &source, &object) };
                    let Ok(mut built) = built.lock() else { return };
                    match result {
                        Ok(()) => built.objects.push(object),
                        Err(why) => built.failed.push((stem(&source), why)),
                    }
                }
            });
        }
    });
    let mut built = built.into_inner().unwrap_or_default();
    built.objects.sort();
    built.failed.sort();
    Ok(built)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `vmlinux.h` of the running kernel, the helpers' declarations, libbpf's headers.
fn headers(tree: &Path, dir: &Path) -> Result<PathBuf, String> {
    let include = dir.join("include");
    let done = include.join("complete");
    if done.exists() {
        return Ok(include);
    }
    let bpf = include.join("bpf");
    fs::create_dir_all(&bpf).map_err(|e| format!("{}: {e}", bpf.display()))?;
    let vmlinux = Path::new("/sys/kernel/btf/vmlinux");
    let btf = skep::read_btf(vmlinux, None).map_err(|e| e.to_string())?;
    let text = skep_btf::dump::to_c(&btf).map_err(|e| format!("{}: {e}", vmlinux.display()))?;
    write(&include.join("vmlinux.h"), text.as_bytes())?;
    let doc = Command::new("python3")
        .arg(tree.join("scripts/bpf_doc.py"))
        .args(["--header", "--filename"])
        .arg(tree.join("tools/include/uapi/linux/bpf.h"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot start python3: {e}"))?;
    if !doc.status.success() {
        return Err(format!("bpf_doc.py ended with {}", doc.status));
    }
    for at in [&include, &bpf] {
        write(&at.join("bpf_helper_defs.h"), &doc.stdout)?;
    }
    for name in LIBBPF {
        let from = tree.join("tools/lib/bpf").join(name);
        fs::copy(&from, bpf.join(name)).map_err(|e| format!("{}: {e}", from.display()))?;
    }
    write(&done, b"")?;
    Ok(include)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

/// The flags of the tests' own makefile, without those that make warnings errors.
fn flags(include: &Path, tests: &Path) -> Result<Vec<String>, String> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        "riscv64" => "riscv",
        other => other,
    };
    let mut flags: Vec<String> =
        ["--target=bpf", "-mcpu=v3", "-O2", "-g", "-c", "-w", "-fno-strict-aliasing"]
            .map(str::to_owned)
            .into();
    flags.push(format!("-D__TARGET_ARCH_{arch}"));
    // Atomic operations of v3, which a macro of the makefile turns on.
    flags.push("-DENABLE_ATOMICS_TESTS".into());
    flags.push(format!("-I{}", include.display()));
    flags.push(format!("-I{}", tests.display()));
    flags.push(format!("-I{}", tests.join("../../../include/uapi").display()));
    for dir in system_headers()? {
        flags.extend(["-idirafter".to_owned(), dir]);
    }
    Ok(flags)
}

/// Where the host's compiler looks for headers.
fn system_headers() -> Result<Vec<String>, String> {
    let out = Command::new(CLANG)
        .args(["-v", "-E", "-"])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot start {CLANG}: {e}"))?;
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    let list = text.split("search starts here:").last().unwrap_or("");
    let list = list.split("End of search list").next().unwrap_or("");
    Ok(list.lines().map(str::trim).filter(|l| l.starts_with('/')).map(str::to_owned).collect())
}

fn compile(tests: &Path, flags: &[String], source: &Path, object: &Path) -> Result<(), String> {
    let partly = object.with_extension("partly");
    let out = Command::new(CLANG)
        .current_dir(tests)
        .args(flags)
        .arg(source)
        .arg("-o")
        .arg(&partly)
        .output()
        .map_err(|e| format!("cannot start {CLANG}: {e}"))?;
    if !out.status.success() {
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        let first = text.lines().find(|l| l.contains("error")).unwrap_or("").to_owned();
        return Err(first.rsplit_once("error: ").map_or(first.clone(), |(_, e)| e.to_owned()));
    }
    fs::rename(&partly, object).map_err(|e| format!("{}: {e}", object.display()))
}

//! Objects of the corpus, compiled once per run.
#![allow(dead_code, reason = "each test file uses some")]

pub mod compare;
pub mod packages;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use libbpf_oracle::Program;
#[allow(unused_imports, reason = "each test file uses some")]
pub use libbpf_oracle::normal;
use skep_btf::Btf;
use skep_btf::relo::TargetBtf;
use skep_object::{Inputs, Kconfig};

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

/// The first line of a source: what it shows, and what it asks for: `cpu v3` and later ones, `no -g`, `target bpfeb`.
pub fn asks(source: &Path, what: &str) -> Option<String> {
    let text = std::fs::read_to_string(source).expect("readable");
    let rest = text.lines().next()?.split_once(what)?.1;
    Some(rest.trim().split(' ').next()?.to_owned())
}

/// The instruction sets that a source can be compiled for.
pub fn cpus(source: &Path) -> &'static [&'static str] {
    let first = asks(source, ". cpu ");
    let from = CPUS.iter().position(|c| Some(*c) == first.as_deref()).unwrap_or(0);
    &CPUS[from..]
}

/// What the running kernel tells of itself.
pub struct Kernel {
    btf: TargetBtf,
    kconfig: Kconfig,
    symbols: BTreeMap<String, u64>,
}

impl Kernel {
    /// With configuration that comes first.
    ///
    /// # Errors
    /// What it does not show.
    pub fn running(given: &str) -> Result<Self, String> {
        let read = |path: &str| std::fs::read(path).map_err(|e| format!("{path}: {e}"));
        let own = Command::new("zcat").arg("/proc/config.gz").output().map(|o| o.stdout).unwrap_or_default();
        if own.is_empty() {
            return Err("the kernel does not show its configuration".into());
        }
        let mut kconfig = Kconfig::default();
        let release = read("/proc/sys/kernel/osrelease")?;
        let mut parts =
            release.split(|b| b".-\n".contains(b)).map(|p| String::from_utf8_lossy(p).parse::<u32>());
        let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
        kconfig.kernel_version = Some(next() << 16 | next() << 8 | next().min(255));
        (kconfig.has_bpf_cookie, kconfig.has_syscall_wrapper) = (true, true);
        kconfig.read(given)?;
        kconfig.read(&String::from_utf8_lossy(&own))?;
        let mut symbols = BTreeMap::new();
        for line in String::from_utf8_lossy(&read("/proc/kallsyms")?).lines() {
            let mut words = line.split_whitespace();
            if let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next()) {
                let address = u64::from_str_radix(address, 16).map_err(|e| format!("/proc/kallsyms: {e}"))?;
                symbols.entry(name.to_owned()).or_insert(address);
            }
        }
        let btf = Btf::parse(&read("/sys/kernel/btf/vmlinux")?).map_err(|e| e.to_string())?.into();
        Ok(Self { btf, kconfig, symbols })
    }

    /// For skep's linker.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            target: Some(&self.btf),
            kconfig: Some(&self.kconfig),
            symbols: Some(&self.symbols),
            ..Inputs::default()
        }
    }
}

/// Real traffic: the captures' names, and their packets from Ethernet on.
pub fn captured() -> Vec<(String, Vec<Vec<u8>>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|e| e == "pcap") {
            let (bytes, mut packets) = (std::fs::read(&path).expect("readable"), Vec::new());
            skep_user::source::capture::read(&bytes, |p| packets.push(p.data.to_vec())).expect("a capture");
            out.push((path.file_stem().expect("a file").to_string_lossy().into_owned(), packets));
        }
    }
    out.sort();
    assert!(out.len() == 5 && out.iter().all(|(_, p)| p.len() >= 16), "the captures are there");
    out
}

/// Compiles a source for an instruction set; gives its name and the object.
pub fn compile(source: &Path, cpu: &str) -> (String, PathBuf) {
    static DONE: Mutex<Option<HashMap<(PathBuf, String), PathBuf>>> = Mutex::new(None);
    let stem = source.file_stem().expect("a file").to_string_lossy().into_owned();
    let folder = source.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let key = (source.to_path_buf(), cpu.to_owned());
    let mut done = DONE.lock().unwrap_or_else(|e| e.into_inner());
    let done = done.get_or_insert_default();
    let object = done.entry(key).or_insert_with(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus").join(&*folder);
        std::fs::create_dir_all(&dir).expect("a folder for objects");
        let object = dir.join(format!("{stem}.{cpu}.o"));
        let target = asks(source, ". target ").unwrap_or_else(|| "bpf".into());
        let debug = if asks(source, ". no -g").is_some() { "-g0" } else { "-g" };
        let status = Command::new("clang-19")
            .args(["-target", &target, debug, "-O2", "-Wall", "-Werror", &format!("-mcpu={cpu}"), "-c"])
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

//! Time and memory of opening an object and relocating it against the running kernel's types, by skep and by libbpf.
//!
//!     cargo run --release --manifest-path tests/libbpf/Cargo.toml --target-dir target --bin load [OBJECT [TIMES]]
//!
//! Each runs in processes of its own, several times alternately; the least time and the least memory count. Without an
//! object it compiles the largest of the corpus. libbpf's time has creating the maps in the kernel in it: a line says
//! what preparing the same object without types to relocate costs at least.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use libbpf_oracle::{How, inspect};
use skep_btf::relo::TargetBtf;
use skep_object::{Inputs, Unlinked};

const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// Peak of this process's resident memory in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("Linux says it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn by_skep(object: &Path) -> usize {
    let bytes = std::fs::read(object).expect("readable");
    let target = TargetBtf::from(skep::read_btf(Path::new(KERNEL), None).expect("right"));
    let inputs = Inputs { target: Some(&target), ..Inputs::default() };
    let object = Unlinked::parse("object", &bytes).and_then(|u| u.link(&inputs)).expect("an object");
    object.programs.iter().filter_map(|p| p.spec.as_ref().ok()).map(|s| s.insns.len()).sum()
}

fn by_libbpf(object: &Path) -> usize {
    let view = inspect(object, How { all: true, ..How::default() }).expect("libbpf takes it");
    view.programs.iter().filter_map(|p| p.linked.as_ref()).map(|l| l.insns.len()).sum()
}

/// The child: prints microseconds, peak memory in KiB, instructions.
fn child(who: &str, object: &Path) {
    let before = peak_kib();
    let start = Instant::now();
    let insns = if who == "skep" { by_skep(object) } else { by_libbpf(object) };
    println!("{} {} {insns}", start.elapsed().as_micros(), peak_kib() - before);
}

fn run(who: &str, object: &Path) -> [u64; 3] {
    let me = std::env::current_exe().expect("this program");
    let out = Command::new(me).arg("--child").arg(who).arg(object).output().expect("this program starts");
    assert!(out.status.success(), "{who}: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("text");
    let mut numbers = text.split_whitespace().map(|w| w.parse().expect("a number"));
    std::array::from_fn(|_| numbers.next().expect("three"))
}

fn compiled(name: &str) -> PathBuf {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/features").join(name).with_extension("bpf.c");
    let object = std::env::temp_dir().join(format!("skep-{name}-{}.o", std::process::id()));
    let status = Command::new("clang-19")
        .args(["-target", "bpf", "-g", "-O2", "-mcpu=v1", "-c"])
        .arg(source)
        .arg("-o")
        .arg(&object)
        .status()
        .expect("clang-19");
    assert!(status.success(), "clang-19 ended with {status}");
    object
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, who, object] = &args[..]
        && flag == "--child"
    {
        return child(who, Path::new(object));
    }
    if let Err(why) = libbpf_oracle::available() {
        return println!("skipped: {why}");
    }
    let own = args.is_empty().then(|| compiled("large"));
    let object = own.clone().unwrap_or_else(|| PathBuf::from(&args[0]));
    let times = args.get(1).and_then(|t| t.parse().ok()).unwrap_or(15);
    let mut least = [[u64::MAX; 3]; 2];
    for _ in 0..times {
        for (who, least) in ["skep", "libbpf"].into_iter().zip(&mut least) {
            let now = run(who, &object);
            *least = std::array::from_fn(|i| least[i].min(now[i]));
        }
    }
    let [ours, theirs] = least;
    assert_eq!(ours[2], theirs[2], "both have the same instructions");
    let size = std::fs::metadata(&object).map_or(0, |m| m.len());
    println!("an object of {size} bytes, {} instructions, against {KERNEL}; least of {times}", ours[2]);
    let ratio = |i: usize| ours[i] as f64 / theirs[i] as f64;
    println!("time:   skep {:>8} us, libbpf {:>8} us, ratio {:.2}", ours[0], theirs[0], ratio(0));
    println!("memory: skep {:>8} KiB, libbpf {:>7} KiB, ratio {:.2}", ours[1], theirs[1], ratio(1));
    if let Some(own) = own {
        let plain = compiled("hash");
        let least = (0..times).map(|_| run("libbpf", &plain)[0]).min().unwrap_or(0);
        println!("libbpf prepares an object without types to relocate in {least} us");
        _ = (std::fs::remove_file(own), std::fs::remove_file(plain));
    }
}

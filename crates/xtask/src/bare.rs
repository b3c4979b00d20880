//! Builds what needs no operating system for targets that have none.
//!
//! Such a target's `core` is built on the way, from the source that a compiler brings along: rustup's component
//! `rust-src`, or Debian's packages `rustc-web` and `rust-web-src`. `SKEP_BARE_RUSTC` names the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that need `core` and `alloc` only (`crates/testkit/tests/no_std.rs` holds them to it).
const CRATES: &[&str] = &[
    "skep-isa",
    "skep-abi",
    "skep-btf",
    "skep-spec",
    "skep-object",
    "skep-verifier",
    "skep-maps",
    "skep-vm",
];

/// Targets without an operating system, and what does not go there.
const TARGETS: &[(&str, &[&str])] = &[
    ("armv7a-none-eabi", &[]),
    ("riscv64gc-unknown-none-elf", &[]),
    // Without atomic operations on 64 bits, which programs have.
    ("thumbv7em-none-eabihf", &["skep-vm"]),
];

/// Where `.ci/run` unpacks Debian's compiler.
const UNPACKED: &str = "target/bare";

/// A compiler that has the source of its library, and the folder of its own shared libraries.
struct Compiler {
    rustc: PathBuf,
    libraries: Option<PathBuf>,
}

impl Compiler {
    fn has_source(&self) -> bool {
        let out = self.command(Command::new(&self.rustc)).args(["--print", "sysroot"]).output();
        let Ok(out) = out else { return false };
        let sysroot = PathBuf::from(String::from_utf8_lossy(&out.stdout).trim());
        out.status.success() && sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists()
    }

    fn command(&self, mut c: Command) -> Command {
        if let Some(path) = &self.libraries {
            c.env("LD_LIBRARY_PATH", path);
        }
        c
    }
}

fn find() -> Option<Compiler> {
    let named =
        std::env::var_os("SKEP_BARE_RUSTC").map(|rustc| Compiler { rustc: rustc.into(), libraries: None });
    let root = std::env::current_dir().ok()?.join(UNPACKED).join("usr");
    let libraries = std::fs::read_dir(root.join("lib")).ok().and_then(|mut d| {
        d.find_map(|e| e.ok().map(|e| e.path()).filter(|p| p.to_string_lossy().contains("-linux-")))
    });
    let unpacked = Compiler { rustc: root.join("bin/rustc"), libraries };
    let own = Compiler { rustc: "rustc".into(), libraries: None };
    let debian = Compiler { rustc: "/usr/bin/rustc".into(), libraries: None };
    named.into_iter().chain([own, debian, unpacked]).find(Compiler::has_source)
}

/// Builds every crate for every target.
pub fn build(targets: &[String]) -> Result<(), String> {
    let Some(compiler) = find() else {
        eprintln!(
            "xtask: skipped: no compiler with its library's source (rustup component add rust-src, or Debian's rustc-web \
             and rust-web-src, unpacked in {UNPACKED})"
        );
        return Ok(());
    };
    for (target, without) in
        TARGETS.iter().filter(|(t, _)| targets.is_empty() || targets.iter().any(|n| n == t))
    {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut c = compiler.command(Command::new(cargo));
        // The library's source uses what only its own compiler knows.
        c.env("RUSTC", &compiler.rustc).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTC_WRAPPER");
        c.args(["build", "--quiet", "-Zbuild-std=core,alloc", "--target", target]);
        c.arg("--target-dir").arg(Path::new(UNPACKED).join("build"));
        for name in CRATES.iter().filter(|n| !without.contains(n)) {
            c.args(["-p", name]);
        }
        eprintln!("xtask: {} crates for {target}", CRATES.len() - without.len());
        match c.status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("{target}: cargo ended with {status}")),
            Err(e) => return Err(format!("cannot start cargo: {e}")),
        }
    }
    Ok(())
}

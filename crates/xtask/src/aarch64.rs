//! `cargo xtask aarch64`: tests of native code on another processor, under qemu's user emulation.

use std::path::Path;
use std::process::Command;

use crate::steps::Step;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
/// The libraries of the tree that the loader comes from: one that finds another build of libc, such as that of `libc6:arm64`,
/// which Debian's Rust brings along, does not agree with it about where things lie, and threads hang before they start.
const RUNNER: &str = "qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=/usr/aarch64-linux-gnu/lib";

/// What it takes, for those who lack something.
const NEEDS: &str = "it takes a Rust with the target's library, its C linker and qemu: with rustup \
`rustup target add aarch64-unknown-linux-gnu`, or on Debian `dpkg --add-architecture arm64`, `apt-get update` and \
`apt-get install rustc-web cargo-web libstd-rust-web-dev:arm64`; and `apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user`";

/// Tests that are run without arguments: native code of modules made by hand and at random, whole programs beside the
/// interpreter, and the file tests.
const TESTS: &[&str] = &[
    "-p",
    "skep-jit",
    "-p",
    "skep-testkit",
    "--test",
    "lower",
    "--test",
    "native",
    "--test",
    "compile",
    "--test",
    "files",
];

/// The steps; `args` go to `cargo test` in the place of the tests.
pub fn steps(args: &[String]) -> Vec<Step> {
    let args = args.to_vec();
    vec![Step::call("tests on aarch64", move || run(&args, tools()?))]
}

/// What builds and runs for the other processor: a cargo and its rustc.
type Tools = (&'static str, &'static str);

fn tools() -> Result<Tools, String> {
    let Some(toolchain) = toolchain() else { return Err(format!("no Rust for {TARGET}: {NEEDS}")) };
    for tool in [LINKER, "qemu-aarch64"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Err(format!("no {tool}: {NEEDS}"));
        }
    }
    Ok(toolchain)
}

fn run(args: &[String], (cargo, rustc): Tools) -> Result<(), String> {
    let mut command = Command::new(cargo);
    command.args(["test", "--target", TARGET, "--target-dir", "target/aarch64"]);
    match args {
        [] => command.args(TESTS),
        args => command.args(args),
    };
    command
        .env("RUSTC", rustc)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER)
        // Variables of the toolchain that runs this command.
        .env_remove("RUSTUP_TOOLCHAIN")
        // The kernel is not asked there, so tests are fewer than `tests/expected-counts.txt` says.
        .env_remove("CI");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(e) => Err(format!("cannot start {cargo}: {e}")),
    }
}

/// A cargo and a rustc that have the target's library.
fn toolchain() -> Option<Tools> {
    let all = [("cargo", "rustc"), ("/usr/bin/cargo", "/usr/bin/rustc")];
    all.into_iter().find(|(_, rustc)| {
        let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
        let Ok(asked) = asked else { return false };
        let dir = String::from_utf8_lossy(&asked.stdout);
        asked.status.success() && Path::new(dir.trim()).is_dir()
    })
}

//! What each command runs.

use std::process::{Command, ExitCode};
use std::time::Instant;

/// One thing to run; the first that fails ends the command.
pub struct Step {
    name: String,
    run: Box<dyn FnOnce() -> Result<(), String>>,
}

impl Step {
    /// A step that calls a function.
    pub fn call(name: &str, run: impl FnOnce() -> Result<(), String> + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }

    /// A step that runs cargo.
    pub fn cargo(name: &str, args: &[&str]) -> Self {
        Self::cargo_env(name, args, &[])
    }

    fn cargo_env(name: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(args).envs(env.iter().copied());
        Self::command(name, command)
    }

    fn command(name: &str, mut command: Command) -> Self {
        Self::call(name, move || match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{command:?} ended with {status}")),
            Err(e) => Err(format!("cannot start {:?}: {e}", command.get_program())),
        })
    }
}

/// Runs the steps in order and says how long each took.
pub fn run_all(steps: Vec<Step>) -> ExitCode {
    for step in steps {
        eprintln!("xtask: {} …", step.name);
        let start = Instant::now();
        if let Err(why) = (step.run)() {
            eprintln!("xtask: {} FAILED: {why}", step.name);
            return ExitCode::FAILURE;
        }
        eprintln!("xtask: {} took {:.1} s", step.name, start.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}

/// Format check and clippy.
pub fn lint() -> Vec<Step> {
    vec![
        Step::cargo("format check", &["fmt", "--all", "--check"]),
        Step::cargo("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ]
}

/// rustdoc without warnings.
pub fn doc() -> Step {
    Step::cargo_env("docs", &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}

/// Everything that a change must pass; further words go to `cargo test`.
pub fn test(args: &[String]) -> Vec<Step> {
    let mut cargo = vec!["test", "--workspace", "--no-fail-fast"];
    cargo.extend(args.iter().map(String::as_str));
    let mut steps = lint();
    steps.push(Step::call("licenses", crate::licenses::check));
    steps.push(doc());
    steps.push(Step::cargo("tests", &cargo));
    steps.extend(shuttle(&[]));
    steps.push(embedder("embed", "run"));
    steps.push(embedder("rules", "test"));
    steps.push(embedder("skeleton", "run"));
    steps.push(embedder("skeleton", "test"));
    steps.push(Step::call("libbpf", libbpf));
    steps.push(Step::call("fuzz targets", fuzz_targets));
    steps.extend(bare(&[]));
    steps
}

/// What needs no operating system, for targets without one.
pub fn bare(targets: &[String]) -> Vec<Step> {
    let targets = targets.to_vec();
    vec![Step::call("bare targets", move || crate::bare::build(&targets))]
}

/// The rules that the verifier computes with, asked of z3; `--print` shows the questions.
pub fn prove(args: &[String]) -> Vec<Step> {
    let mut cargo = vec!["run", "--quiet", "-p", "skep-verifier", "--example", "smt_domain", "--"];
    cargo.extend(args.iter().map(String::as_str));
    vec![Step::cargo("proofs", &cargo)]
}

/// The tests of our loader beside libbpf.
fn libbpf() -> Result<(), String> {
    beside_libbpf(&["test", "--quiet"], &[])
}

/// What stands in `tests/libbpf`, where libbpf can be built: it needs libelf, zlib, make and a C compiler.
fn beside_libbpf(verb: &[&str], rest: &[&str]) -> Result<(), String> {
    for library in ["libelf", "zlib"] {
        let found = Command::new("pkg-config").args(["--exists", library]).status();
        if !found.is_ok_and(|s| s.success()) {
            eprintln!("xtask: skipped: pkg-config finds no {library}, so libbpf cannot be built");
            return Ok(());
        }
    }
    let manifest = "tests/libbpf/Cargo.toml";
    let args = [verb, &["--manifest-path", manifest, "--target-dir", "target"], rest].concat();
    (Step::cargo("tests/libbpf", &args).run)()
}

/// libFuzzer's targets, as far as any compiler goes: they are checked, not run. libFuzzer itself is C++.
fn fuzz_targets() -> Result<(), String> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    if !Command::new(&compiler).arg("--version").output().is_ok_and(|o| o.status.success()) {
        eprintln!("xtask: skipped: no C++ compiler ({compiler}), which libFuzzer is built with");
        return Ok(());
    }
    let args = ["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target"];
    (Step::cargo("fuzz targets", &args).run)()
}

/// A crate in `examples` that stands outside the workspace, built and run or tested in the same target directory.
fn embedder(name: &str, verb: &str) -> Step {
    let manifest = format!("examples/{name}/Cargo.toml");
    let args = [verb, "--quiet", "--manifest-path", &manifest, "--target-dir", "target"];
    Step::cargo(&format!("examples/{name}"), &args)
}

/// Expectations from the present results.
pub fn bless(args: &[String]) -> Vec<Step> {
    let mut cargo = vec!["test", "--workspace", "--no-fail-fast"];
    cargo.extend(args.iter().map(String::as_str));
    vec![Step::cargo_env("tests with BLESS=1", &cargo, &[("BLESS", "1")])]
}

/// Benchmarks: all, those of `crates/benches` that the words for `cargo bench` name, for `load` the loader beside libbpf, or
/// for `verify` the verifier beside the kernel's (and, with `--prevail`, PREVAIL's), with their own words behind.
pub fn bench(args: &[String]) -> Vec<Step> {
    let load = |args: &[String]| {
        let args = args.to_vec();
        Step::call("load", move || {
            let rest: Vec<&str> =
                ["--bin", "load", "--"].into_iter().chain(args.iter().map(String::as_str)).collect();
            beside_libbpf(&["run", "--release", "--quiet"], &rest)
        })
    };
    if let Some((first, rest)) = args.split_first()
        && first == "load"
    {
        return vec![load(rest)];
    }
    if let Some((first, rest)) = args.split_first()
        && first == "verify"
    {
        let mut cargo = vec!["run", "--release", "--quiet", "-p", "benches", "--bin", "verify", "--"];
        let mut steps = Vec::new();
        for word in rest {
            cargo.push(word);
            if word == "--prevail" {
                let manifest = "tests/prevail/Cargo.toml";
                let build =
                    ["build", "--release", "--quiet", "--manifest-path", manifest, "--target-dir", "target"];
                steps.push(Step::cargo("tests/prevail", &build));
                cargo.push("target/release/prevail-peer");
            }
        }
        steps.push(Step::cargo("verify", &cargo));
        return steps;
    }
    let mut cargo = vec!["bench", "-p", "benches"];
    cargo.extend(args.iter().map(String::as_str));
    let mut steps = vec![Step::cargo("benchmarks", &cargo)];
    if args.is_empty() {
        steps.push(load(&[]));
    }
    steps
}

/// One fuzz target for a bounded time.
pub fn fuzz(args: &[String]) -> Vec<Step> {
    let target = args.first().map_or("elf", String::as_str);
    let seconds = args.get(1).map_or("600", String::as_str);
    let cargo =
        ["run", "--release", "-p", "skep-testkit", "--bin", "fuzz", "--", target, "--seconds", seconds];
    vec![Step::cargo("fuzz", &cargo)]
}

/// Generated programs on all oracles; words behind the two numbers go on as they are.
pub fn differential(args: &[String]) -> Vec<Step> {
    let count = args.first().map_or("20000", String::as_str);
    let seed = args.get(1).map_or("1", String::as_str);
    let mut cargo = vec!["run", "--release", "-p", "skep-testkit", "--bin", "differential", "--"];
    cargo.extend(["--count", count, "--seed", seed]);
    cargo.extend(args.iter().skip(2).map(String::as_str));
    vec![Step::cargo("differential", &cargo)]
}

/// The words that are numbers, and whether one says to record.
fn numbers(args: &[String]) -> (Vec<&str>, bool) {
    let words = args.iter().map(String::as_str);
    (words.clone().filter(|w| *w != RECORD).collect(), words.clone().any(|w| w == RECORD))
}

const RECORD: &str = "--record";

/// Processes that are killed while they work on shared maps.
pub fn kills(args: &[String]) -> Vec<Step> {
    let (numbers, record) = numbers(args);
    let mut env = vec![("SKEP_KILLS", numbers.first().copied().unwrap_or("10000"))];
    env.push(("SKEP_KILLS_SEED", numbers.get(1).copied().unwrap_or("1")));
    env.extend(record.then_some(("SKEP_KILLS_RECORD", "1")));
    let cargo = ["test", "--release", "--quiet", "-p", "skep-user", "--test", "kills", "--", "--nocapture"];
    vec![Step::cargo_env("kills", &cargo, &env)]
}

/// A process that writes over shared maps while others use them, and every byte of each kind's memory.
pub fn hostile(args: &[String]) -> Vec<Step> {
    let (numbers, record) = numbers(args);
    let (rounds, seed) = (numbers.first().copied().unwrap_or("400"), numbers.get(1).copied().unwrap_or("1"));
    let mut env = vec![("SKEP_HOSTILE", rounds), ("SKEP_HOSTILE_SEED", seed)];
    env.extend(record.then_some(("SKEP_HOSTILE_RECORD", "1")));
    let peer =
        ["test", "--release", "--quiet", "-p", "skep-testkit", "--test", "hostile", "--", "--nocapture"];
    // Steps are counted in builds with debug assertions.
    let bytes = ["test", "--quiet", "-p", "skep-maps", "--test", "hostile_bytes"];
    let times = [("SKEP_MAPS_CAMPAIGN", "9"), ("SKEP_MAPS_SEED", seed)];
    vec![
        Step::cargo_env("hostile peers", &peer, &env),
        Step::cargo_env("every byte of every kind", &bytes, &times),
    ]
}

/// The same operations on our maps and the kernel's: a thousand times as many as in the tests, or as often as said.
pub fn operations(args: &[String]) -> Vec<Step> {
    let (numbers, record) = numbers(args);
    let mut env = vec![("SKEP_MAPS_CAMPAIGN", numbers.first().copied().unwrap_or("1000"))];
    env.extend(record.then_some(("SKEP_MAPS_RECORD", "1")));
    let cargo = ["test", "--release", "--quiet", "-p", "skep-maps", "--test", "kernel_operations"];
    vec![Step::cargo_env("operations", &cargo, &env)]
}

/// The algorithms of the maps under shuttle: 1000 schedules of each test, or as many thousands as said.
pub fn shuttle(args: &[String]) -> Vec<Step> {
    let env = [
        ("RUSTFLAGS", "--cfg shuttle"),
        ("CARGO_PROFILE_DEV_DEBUG", "0"),
        ("SKEP_MAPS_CAMPAIGN", args.first().map_or("1", String::as_str)),
    ];
    let cargo = [
        "test",
        "--quiet",
        "-p",
        "skep-maps",
        "--lib",
        "--test",
        "shuttle",
        "--target-dir",
        "target/shuttle",
    ];
    vec![Step::cargo_env("shuttle", &cargo, &env)]
}

/// The kernel's own tests; the words go on as they are.
pub fn selftests(args: &[String]) -> Vec<Step> {
    let mut cargo = vec!["run", "-p", "skep-testkit", "--bin", "selftests", "--"];
    cargo.extend(args.iter().map(String::as_str));
    vec![Step::cargo("selftests", &cargo)]
}

/// The committed objects, by the makefile of the examples.
pub fn examples() -> Vec<Step> {
    let mut command = Command::new("make");
    command.args(["-C", "examples", "CLANG=clang-19", "all"]);
    command.args(["programs", "more"].map(|name| format!("../crates/benches/programs/{name}.bpf.o")));
    vec![Step::command("objects", command)]
}

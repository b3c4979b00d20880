//! Everyday commands: `cargo xtask help` lists them.
#![forbid(unsafe_code)]

mod aarch64;
mod bare;
mod licenses;
mod plot;
mod steps;

use std::process::ExitCode;

use steps::{Step, run_all};

/// A command: its name, what it is for, and what it runs.
struct Command {
    name: &'static str,
    about: &'static str,
    steps: fn(&[String]) -> Vec<Step>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        about: "everything that must hold before a change lands: fmt, lint, licenses, tests, docs",
        steps: steps::test,
    },
    Command {
        name: "fmt",
        about: "format the code",
        steps: |_| vec![Step::cargo("format", &["fmt", "--all"])],
    },
    Command { name: "lint", about: "format check and clippy, warnings are errors", steps: |_| steps::lint() },
    Command {
        name: "doc",
        about: "build the documentation, warnings are errors",
        steps: |_| vec![steps::doc()],
    },
    Command {
        name: "bless",
        about: "rewrite test expectations (BLESS=1); review them like code",
        steps: steps::bless,
    },
    Command {
        name: "plot",
        about: "draw docs/native-code.svg of the table in docs/performance.md",
        steps: plot::plot,
    },
    Command { name: "bench", about: "side-by-side benchmarks; prints ratios", steps: steps::bench },
    Command {
        name: "fuzz",
        about: "TARGET [SECONDS]: mutate one of elf, btf, core, insns, pcap for a while (stable toolchain)",
        steps: steps::fuzz,
    },
    Command {
        name: "differential",
        about: "[COUNT [SEED [--jobs N] [--record]]]: generated programs, interpreter against kernel",
        steps: steps::differential,
    },
    Command {
        name: "kills",
        about: "[COUNT [SEED]] [--record]: processes killed while they work on shared maps",
        steps: steps::kills,
    },
    Command {
        name: "hostile",
        about: "[ROUNDS [SEED]] [--record]: a process that spoils shared maps under those who use them",
        steps: steps::hostile,
    },
    Command {
        name: "operations",
        about: "[FACTOR] [--record]: the same random operations on our maps and the kernel's",
        steps: steps::operations,
    },
    Command {
        name: "shuttle",
        about: "[FACTOR]: the maps' algorithms under a scheduler that tries interleavings",
        steps: steps::shuttle,
    },
    Command {
        name: "selftests",
        about: "[--dir DIR] [--write] [NAME…]: the kernel's own verifier tests, asked of the kernel and of skep",
        steps: steps::selftests,
    },
    Command {
        name: "prove",
        about: "[--print]: the rules of the verifier's numbers, proved by z3 at 64 bits",
        steps: steps::prove,
    },
    Command {
        name: "bare",
        about: "[TARGET…]: build what needs no operating system for targets without one",
        steps: steps::bare,
    },
    Command {
        name: "aarch64",
        about: "[ARGS OF CARGO TEST…]: tests of native code on aarch64, under qemu",
        steps: aarch64::steps,
    },
    Command {
        name: "examples",
        about: "rebuild the committed example objects with clang",
        steps: |_| steps::examples(),
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else { return usage(ExitCode::from(2)) };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return usage(ExitCode::SUCCESS);
    }
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        eprintln!("xtask: no command '{name}'");
        return usage(ExitCode::from(2));
    };
    run_all((command.steps)(rest))
}

fn usage(code: ExitCode) -> ExitCode {
    println!("cargo xtask COMMAND\n");
    for c in COMMANDS {
        println!("  {:<13} {}", c.name, c.about);
    }
    code
}

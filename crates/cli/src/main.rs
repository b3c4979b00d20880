//! `skep`: verify, run and watch eBPF programs, in this process or in the kernel.
//!
//! Exit status: 0 done and all accepted; 1 a program was rejected or failed; 2 wrong usage, unreadable or damaged
//! input. Data goes to stdout, errors to stderr.
#![forbid(unsafe_code)]

mod args;
mod btf;
mod check;
mod diagnostic;
mod explain;
mod expression;
mod failure;
mod generate;
mod link;
mod map;
mod out;
mod prog;
mod run;
mod text;
mod values;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, BtfCommand, BtfDumpCommand, Command, GenCommand, MapCommand, ProgCommand};
use failure::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        Command::Run(args) => run::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Explain { code } => explain::main(code.as_deref()),
        Command::Asm(args) => text::assemble(&args),
        Command::Link(args) => link::main(&args),
        Command::Disasm(args) => text::disassemble(&args),
        Command::Prog(ProgCommand::Run(args)) => prog::run(&args),
        Command::Prog(ProgCommand::Show(args)) => prog::show(&args),
        Command::Prog(ProgCommand::Dump(args)) => prog::dump(&args),
        Command::Map(MapCommand::Dump(args)) => map::dump(&args),
        Command::Btf(BtfCommand::Dump(BtfDumpCommand::File(args))) => btf::dump(&args),
        Command::Btf(BtfCommand::Min(args)) => btf::minimal(&args),
        Command::Gen(GenCommand::Skeleton { file, records }) => generate::skeleton(&file, &records),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "skep", &mut script);
            out::write(&script)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(Failure::Reported(status)) => ExitCode::from(status),
        Err(Failure::Message(status, message)) => {
            diagnostic::error(&message);
            ExitCode::from(status)
        }
    }
}

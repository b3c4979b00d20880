//! What PREVAIL's Rust port says about one program of an object.
//!
//!     prevail-peer OBJECT SECTION PROGRAM [ROUNDS [SECONDS]]
//!
//! Prints one line: verdict, microseconds, KiB, reason, with tabs between them (README.md). The question is the kernel's: all
//! instructions that the port knows may be used, loops must end, a division by zero is no error.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use prevail::crab::ebpf_domain::DomainContext;
use prevail::crab::var_registry::VariableRegistry;
use prevail::elf_loader::ElfObject;
use prevail::fwd_analyzer;
use prevail::ir::program::Program;
use prevail::ir::unmarshal::unmarshal;
use prevail::linux::linux_platform::{LinuxPlatform, conformance_groups};
use prevail::platform::EbpfPlatform;
use prevail::spec::config::{EbpfRuntimeConfig, EbpfVerifierOptions, VerbosityOptions};
use prevail::spec::type_descriptors::RawProgram;
use rustix::process::{Resource, Rlimit, setrlimit};

/// No more rounds once they have taken this long.
const PATIENCE: Duration = Duration::from_secs(3);
/// Address space, in bytes.
const MEMORY: u64 = 4 << 30;

/// What it says.
enum Verdict {
    Accepts,
    Refuses(String),
    /// It does not get as far as to judge: the object, a relocation, an instruction or a function is beyond it.
    Cannot(String),
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: u64| args.get(at).map_or(Ok(usual), |n| n.parse());
    let (object, section, program, rounds, seconds) = match (&args[..], number(3, 1), number(4, 60)) {
        ([object, section, program, ..], Ok(rounds), Ok(seconds)) if args.len() <= 5 => {
            (object, section, program, rounds, seconds)
        }
        _ => {
            eprintln!("usage: prevail-peer OBJECT SECTION PROGRAM [ROUNDS [SECONDS]]");
            return ExitCode::from(2);
        }
    };
    for (what, most) in [(Resource::Cpu, seconds), (Resource::As, MEMORY)] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(e) = setrlimit(what, limit) {
            eprintln!("prevail-peer: cannot limit itself ({what:?}): {e}");
            return ExitCode::from(2);
        }
    }
    match ask(object, section, program, rounds) {
        Ok(line) => println!("{line}"),
        Err(why) => println!("cannot\t0\t0\t{}", one_line(&why)),
    }
    ExitCode::SUCCESS
}

/// The whole line; an error if the program cannot be had from the object.
fn ask(object: &str, section: &str, program: &str, rounds: u64) -> Result<String, String> {
    let options = options();
    let mut platform = LinuxPlatform::new();
    platform.conformance_groups = conformance_groups::GROUPS.iter().fold(0, |all, group| all | group.1);
    let mut elf = ElfObject::new(object, options).map_err(|e| e.to_string())?;
    // libbpf's mark of what is not loaded by itself is none of the port's.
    let marked = format!("?{section}");
    let programs = match elf.get_programs(section, program, &mut platform) {
        Err(e) if e.to_string().contains("not found") => {
            let there = elf.get_programs(&marked, program, &mut platform);
            // If it is there neither, the first answer tells more.
            there.or(Err(e))
        }
        found => found,
    };
    let programs = programs.map_err(|e| e.to_string())?;
    let mut raw = programs.into_iter().next().ok_or("no such program")?;
    raw.info.program_type = platform.get_program_type(section, object);
    platform.map_descriptors = raw.info.map_descriptors.clone();
    platform.set_program_type(&raw.info.program_type);

    // Linux: the peak counts from here on.
    std::fs::write("/proc/self/clear_refs", "5").map_err(|e| format!("/proc/self/clear_refs: {e}"))?;
    let (before, mut most) = (peak()?, 0);
    let (mut micros, start) = (Vec::new(), Instant::now());
    let mut last = Verdict::Cannot("not asked".into());
    for _ in 0..rounds.max(1) {
        let round = Instant::now();
        last = judge(raw.clone(), &platform, &options);
        micros.push(round.elapsed().as_secs_f64() * 1e6);
        if most == 0 {
            most = peak()?.saturating_sub(before);
        }
        if start.elapsed() > PATIENCE {
            break;
        }
    }
    micros.sort_by(f64::total_cmp);
    let (word, why) = match &last {
        Verdict::Accepts => ("accepts", ""),
        Verdict::Refuses(why) => ("refuses", why.as_str()),
        Verdict::Cannot(why) => ("cannot", why.as_str()),
    };
    Ok(format!("{word}\t{}\t{most}\t{}", micros[micros.len() / 2], one_line(why)))
}

fn options() -> EbpfVerifierOptions {
    EbpfVerifierOptions {
        must_have_exit: true,
        mock_map_fds: true,
        runtime: EbpfRuntimeConfig { check_for_termination: true, ..EbpfRuntimeConfig::default() },
        verbosity_opts: VerbosityOptions { simplify: true, ..VerbosityOptions::default() },
    }
}

/// From the instructions to the verdict, as in the port's own command.
fn judge(mut raw: RawProgram, platform: &LinuxPlatform, options: &EbpfVerifierOptions) -> Verdict {
    let mut notes = Vec::new();
    let sequence = match unmarshal(&raw.prog, &mut notes, &raw.info, platform, options) {
        Ok(sequence) => sequence,
        Err(e) => return Verdict::Cannot(e.to_string()),
    };
    let program = match Program::from_sequence(&sequence, &mut raw.info, platform, options) {
        Ok(program) => program,
        Err(e) => return Verdict::Cannot(e.to_string()),
    };
    let context = DomainContext {
        program_info: &raw.info,
        program: &program,
        runtime: &options.runtime,
        options,
        platform,
    };
    let result = fwd_analyzer::analyze(&program, &context, &mut VariableRegistry::new());
    if !result.failed {
        return Verdict::Accepts;
    }
    Verdict::Refuses(result.find_first_error().map_or_else(|| "no reason given".into(), |e| e.to_string()))
}

fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The peak of resident memory, in KiB.
fn peak() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let number = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
    number.ok_or_else(|| "/proc/self/status has no VmHWM".into())
}

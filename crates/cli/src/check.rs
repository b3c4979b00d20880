//! `skep check`: a verdict for every program of every file.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use skep::spec::{Environment, LoadOptions, ProgramSpec};
use skep::verifier::{Options, Rejection, verify};
use skep::{Backend, Error, Object, Target};

use crate::args::CheckArgs;
use crate::failure::{BAD_INPUT, FAILED, Failure};
use crate::{diagnostic, out};

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: &'a str,
    program: &'a str,
    section: &'a str,
    verdict: Verdict,
    error: Option<Reason>,
    insns_processed: u32,
    time_us: u64,
    #[serde(skip)]
    rejection: Option<Rejection>,
    #[serde(skip)]
    log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accepted,
    Rejected,
    Unsupported,
}

/// Why a program was not accepted.
#[derive(Debug, Serialize)]
struct Reason {
    /// A word that stays the same over releases; for `--linux` the kernel's error number by name.
    code: String,
    /// Slot of the instruction, if it is about one.
    insn: Option<usize>,
    /// Line of the source, if it is known.
    line: Option<u32>,
    message: String,
    /// What CO-RE did not find for the instruction.
    #[serde(skip)]
    poison: Option<String>,
}

/// Runs `skep check`.
pub fn main(args: &CheckArgs) -> Result<(), Failure> {
    let backend = if args.linux { Some(Backend::linux()?) } else { None };
    let target = args.target.target()?;
    let (mut damaged, mut refused) = (false, false);
    for path in &args.files {
        let mut object = match Object::open_for(path, &target) {
            Ok(object) => object,
            Err(e) => {
                diagnostic::error(&e.to_string());
                damaged = true;
                continue;
            }
        };
        args.set.apply(&mut object)?;
        for problem in object.problems() {
            diagnostic::warning(&problem.to_string());
        }
        if object.programs().is_empty() {
            diagnostic::warning(&format!("`{}` has no programs", path.display()));
        }
        for entry in object.programs() {
            let mut report = match (&entry.spec, &backend) {
                (Err(e), _) => unusable(e),
                (Ok(spec), None) => ours(args, spec, &target),
                (Ok(spec), Some(backend)) => kernel(args, backend, spec)?,
            };
            if let (Some(error), Ok(spec)) = (&mut report.error, &entry.spec)
                && let Some(why) = error.insn.and_then(|pc| skep::poison_at(spec, pc))
            {
                error.message = format!("{}: {why}", error.message);
                error.poison = Some(why);
            }
            (report.file, report.program, report.section) = (object.name(), &entry.name, &entry.section);
            refused |= report.verdict != Verdict::Accepted;
            if args.json {
                out::line(&serde_json::to_string(&report).map_err(|e| Failure::failed(e.to_string()))?)?;
            } else {
                show(args, &report)?;
            }
        }
    }
    match (damaged, refused) {
        (true, _) => Err(Failure::Reported(BAD_INPUT)),
        (false, true) => Err(Failure::Reported(FAILED)),
        (false, false) => Ok(()),
    }
}

fn report(verdict: Verdict, error: Option<Reason>, insns_processed: u32, time: Duration) -> Report<'static> {
    Report {
        file: "",
        program: "",
        section: "",
        verdict,
        error,
        insns_processed,
        time_us: u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        rejection: None,
        log: String::new(),
    }
}

/// A program that the object holds but nobody can load.
fn unusable(error: &Error) -> Report<'static> {
    let verdict = if error.is_unsupported() { Verdict::Unsupported } else { Verdict::Rejected };
    let reason = Reason {
        code: "unusable".to_owned(),
        insn: None,
        line: None,
        message: error.to_string(),
        poison: None,
    };
    report(verdict, Some(reason), 0, Duration::ZERO)
}

fn ours(args: &CheckArgs, spec: &ProgramSpec, target: &Target) -> Report<'static> {
    let mut env = if args.unprivileged { Environment::unprivileged() } else { Environment::default() };
    let options = Options { log_level: if args.log { 2 } else { 0 }, ..Options::default() };
    let start = Instant::now();
    let mut result = verify(spec, &env, &options);
    // Few programs need the kernel's types, and there are many.
    if let Err(rejection) = &result
        && rejection.is_unsupported()
        && let Some(types) = target.kernel_types()
    {
        env.kernel_types = Some(types);
        result = verify(spec, &env, &options);
    }
    let time = start.elapsed();
    match result {
        Ok(verified) => {
            let mut report = report(Verdict::Accepted, None, verified.stats().insns_processed, time);
            verified.log().clone_into(&mut report.log);
            report
        }
        Err(rejection) => {
            let verdict = if rejection.is_unsupported() { Verdict::Unsupported } else { Verdict::Rejected };
            let reason = Reason {
                code: rejection.code().as_str().to_owned(),
                insn: Some(rejection.pc()),
                line: rejection.source_line().map(|l| l.line),
                message: rejection.message().to_owned(),
                poison: None,
            };
            let mut report = report(verdict, Some(reason), rejection.stats().insns_processed, time);
            rejection.log().clone_into(&mut report.log);
            report.rejection = Some(rejection);
            report
        }
    }
}

fn kernel(args: &CheckArgs, backend: &Backend, spec: &ProgramSpec) -> Result<Report<'static>, Failure> {
    let load = || -> Result<(u32, Option<Duration>), Error> {
        let maps: Vec<_> = spec
            .maps
            .iter()
            .map(|def| backend.create_map((**def).clone()).map(|m| m.backend_map().clone()))
            .collect::<Result<_, _>>()?;
        let options = LoadOptions { log_level: if args.log { 2 } else { 0 } };
        let program = backend.load_with(&spec.clone().into(), &maps, options)?;
        let info = program.info();
        Ok((info.insns_processed, info.verify_time))
    };
    let start = Instant::now();
    let loaded =
        if args.unprivileged { skep::linux::unprivileged(load).map_err(Error::from)? } else { load() };
    let time = start.elapsed();
    let error = match loaded {
        Ok((insns, verify_time)) => {
            return Ok(report(Verdict::Accepted, None, insns, verify_time.unwrap_or(time)));
        }
        Err(e) => e,
    };
    let verdict = if error.is_rejected() { Verdict::Rejected } else { Verdict::Unsupported };
    let log = KernelLog::read(error.log());
    let reason = Reason {
        code: error_word(&error),
        insn: log.insn,
        line: log.line,
        message: log.message.map_or_else(|| error.to_string(), str::to_owned),
        poison: None,
    };
    let mut report = report(verdict, Some(reason), log.processed.unwrap_or(0), time);
    error.log().clone_into(&mut report.log);
    Ok(report)
}

/// The kernel's error number by name.
fn error_word(error: &Error) -> String {
    use std::error::Error as _;
    let cause = error.source().and_then(|e| e.downcast_ref::<skep::spec::Error>());
    cause.and_then(|e| e.errno.name()).unwrap_or("rejected").to_owned()
}

/// What the kernel's log says about its last instruction.
#[derive(Debug, Default, PartialEq, Eq)]
struct KernelLog<'a> {
    insn: Option<usize>,
    line: Option<u32>,
    message: Option<&'a str>,
    processed: Option<u32>,
}

impl<'a> KernelLog<'a> {
    /// Lines are `; source @ file.c:12`, `5: (b7) r0 = 0 ; R0=0`, `processed 6 insns …` and messages.
    fn read(log: &'a str) -> Self {
        let mut read = Self::default();
        for line in log.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
            let slot = line.split_once(": (").and_then(|(n, _)| n.trim().parse().ok());
            if let Some(rest) = line.strip_prefix("processed ") {
                read.processed = rest.split(' ').next().and_then(|n| n.parse().ok());
            } else if let Some(source) = line.strip_prefix("; ") {
                read.line = source.rsplit_once(':').and_then(|(_, n)| n.parse().ok()).or(read.line);
            } else if slot.is_some() {
                read.insn = slot;
            } else if !line.starts_with("verification time") && !line.starts_with("stack depth") {
                read.message = Some(line);
            }
        }
        read
    }
}

fn show(args: &CheckArgs, report: &Report<'_>) -> Result<(), Failure> {
    let colours = out::colours(&io::stdout());
    let (word, colour) = match report.verdict {
        Verdict::Accepted => ("accepted", "32"),
        Verdict::Rejected => ("rejected", "31"),
        Verdict::Unsupported => ("unsupported", "33"),
    };
    let word = if colours { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word.to_owned() };
    let section = if report.section.is_empty() { String::new() } else { format!(" ({})", report.section) };
    let cost = match report.insns_processed {
        0 => String::new(),
        n => format!("  {} insns processed, {} µs", out::thousands(n.into()), out::thousands(report.time_us)),
    };
    let file = Path::new(report.file).display();
    out::line(&format!("{word}  {file}: {}{section}{cost}", report.program))?;
    match (&report.rejection, &report.error) {
        (Some(rejection), reason) => {
            out::line(&diagnostic::rejection(rejection, report.program, colours))?;
            if let Some(why) = reason.as_ref().and_then(|r| r.poison.as_ref()) {
                out::line(&format!("  {why}"))?;
            }
        }
        (None, Some(reason)) => {
            let place = match (reason.insn, reason.line) {
                (Some(insn), Some(line)) => format!(" (insn {insn}, line {line})"),
                (Some(insn), None) => format!(" (insn {insn})"),
                (None, _) => String::new(),
            };
            out::line(&format!("  {}: {}{place}", reason.code, reason.message))?;
        }
        (None, None) => {}
    }
    if args.log && !report.log.is_empty() {
        out::line(report.log.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_log_is_read_to_its_end() {
        let log = "func#0 @0\n0: R1=ctx() R10=fp0\n; int x = *p; @ a.c:7\n0: (b7) r0 = 0    ; R0=0\n\
                   1: (61) r0 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\n\
                   processed 2 insns (limit 1000000) max_states_per_insn 0\n";
        let read = KernelLog::read(log);
        assert_eq!(
            read,
            KernelLog {
                insn: Some(1),
                line: Some(7),
                message: Some("R0 invalid mem access 'scalar'"),
                processed: Some(2)
            }
        );
        assert_eq!(KernelLog::read(""), KernelLog::default());
    }
}

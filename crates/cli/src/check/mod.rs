//! `skep check`: a verdict for every program of every file.

mod cost;
mod linux;
mod report;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep::spec::{Environment, ProgramSpec};
use skep::user::bind_kfuncs;
use skep::verifier::{Options, Rejection, Stats, verify};
use skep::{Backend, Error, Object, Target};

use crate::args::CheckArgs;
use crate::failure::{BAD_INPUT, FAILED, Failure};
use crate::{diagnostic, out};

use report::{Reason, Report, Verdict, micros};

/// Runs `skep check`.
pub fn main(args: &CheckArgs) -> Result<(), Failure> {
    let backend = if args.linux { Some(Backend::linux()?) } else { None };
    let target = args.target.target()?;
    let (mut damaged, mut refused) = (false, false);
    let extended = args.extended(&target)?;
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
            let mut report = match &entry.spec {
                Err(e) => unusable(e),
                Ok(spec) => ours(args, spec, &target, extended.clone()),
            };
            if let (Some(error), Ok(spec)) = (&mut report.error, &entry.spec)
                && let Some(why) = error.insn.and_then(|pc| skep::poison_at(spec, pc))
            {
                error.message = format!("{}: {why}", error.message);
                error.poison = Some(why);
            }
            if let (Ok(spec), Some(backend)) = (&entry.spec, &backend) {
                report.compare(linux::ask(args, backend, spec)?);
            }
            (report.file, report.program, report.section) = (object.name(), &entry.name, &entry.section);
            let linux = report.linux.as_ref().map_or(Verdict::Accepted, |l| l.verdict);
            refused |= report.verdict != Verdict::Accepted || linux != Verdict::Accepted;
            if args.json {
                out::line(&serde_json::to_string(&report).map_err(|e| Failure::failed(e.to_string()))?)?;
            } else {
                show(&report)?;
            }
        }
    }
    match (damaged, refused) {
        (true, _) => Err(Failure::Reported(BAD_INPUT)),
        (false, true) => Err(Failure::Reported(FAILED)),
        (false, false) => Ok(()),
    }
}

/// A program that the object holds but nobody can load.
fn unusable(error: &Error) -> Report<'static> {
    let verdict = if error.is_unsupported() { Verdict::Unsupported } else { Verdict::Rejected };
    let reason = Reason::unusable(error.to_string());
    Report::new(verdict, Some(reason), Stats::default(), Duration::ZERO)
}

fn ours(
    args: &CheckArgs,
    spec: &ProgramSpec,
    target: &Target,
    extended: Option<Arc<ProgramSpec>>,
) -> Report<'static> {
    let mut env = if args.unprivileged { Environment::unprivileged() } else { Environment::default() };
    env.extended = extended;
    let options = Options { log_level: args.log.unwrap_or(0), costs: args.stats, ..Options::default() };
    let start = Instant::now();
    let mut result = verify(spec, &env, &options);
    // Few programs need the kernel's types, and there are many.
    if let Err(rejection) = &result
        && rejection.is_unsupported()
        && let Some(types) = target.kernel_types()
    {
        env.kernel_types = Some(types);
        if spec.has_variables() {
            env.kernel_symbols = target.kernel_symbols();
        }
        result = verify(spec, &env, &options);
    } else if result.as_ref().is_err_and(Rejection::is_unsupported)
        && spec.has_open_kfuncs()
        && let Ok(Some((bound, own))) = bind_kfuncs(spec, &env)
    {
        // Without a kernel's types those functions count that programs may call in the user backend.
        result = verify(&bound, &own, &options);
    }
    let time = start.elapsed();
    let (mut report, log, costs) = match &result {
        Ok(v) => (Report::new(Verdict::Accepted, None, v.stats(), time), v.log(), v.costs()),
        Err(r) => {
            let verdict = if r.is_unsupported() { Verdict::Unsupported } else { Verdict::Rejected };
            (Report::new(verdict, Some(r.into()), r.stats(), time), r.log(), r.costs())
        }
    };
    report.log = args.log.map(|_| timed(log, time));
    report.costs = args.stats.then(|| cost::by_line(spec, costs));
    report.rejection = result.err();
    report
}

/// The log with the time in its statistics, as the kernel writes it: the verifier itself has no clock.
fn timed(log: &str, time: Duration) -> String {
    match log.rfind("stack depth ").filter(|&at| at == 0 || log[..at].ends_with('\n')) {
        Some(at) => format!("{}verification time {} usec\n{}", &log[..at], micros(time), &log[at..]),
        None => log.to_owned(),
    }
}

fn show(report: &Report<'_>) -> Result<(), Failure> {
    let colours = out::colours(&io::stdout());
    let section = if report.section.is_empty() { String::new() } else { format!(" ({})", report.section) };
    let file = Path::new(report.file).display();
    let cost = cost_words(report.insns_processed, report.time_us);
    out::line(&format!("{}  {file}: {}{section}{cost}", word(report.verdict, colours), report.program))?;
    match (&report.rejection, &report.error) {
        (Some(rejection), reason) => {
            out::line(&diagnostic::rejection(rejection, report.program, colours))?;
            if let Some(why) = reason.as_ref().and_then(|r| r.poison.as_ref()) {
                out::line(&format!("  {why}"))?;
            }
        }
        (None, Some(reason)) => {
            out::line(&format!("  {}: {}{}", reason.code, reason.message, place(reason.insn, reason.line)))?;
        }
        (None, None) => {}
    }
    if let Some(costs) = &report.costs {
        out::line(cost::table(costs).trim_end())?;
    }
    if let Some(log) = report.log.as_ref().filter(|log| !log.is_empty()) {
        out::line(log.trim_end())?;
    }
    let (Some(linux), Some(agreement)) = (&report.linux, report.agreement) else { return Ok(()) };
    let cost = cost_words(linux.insns_processed, linux.time_us);
    out::line(&format!("{}  by Linux: {}{cost}", word(linux.verdict, colours), agreement.words()))?;
    if let Some(error) = &linux.error {
        out::line(&format!("  {}: {}{}", error.errno, error.message, place(error.insn, error.line)))?;
    }
    if let Some(log) = linux.log.as_ref().filter(|log| !log.is_empty()) {
        out::line(log.trim_end())?;
    }
    Ok(())
}

fn word(verdict: Verdict, colours: bool) -> String {
    let (word, colour) = match verdict {
        Verdict::Accepted => ("accepted", "32"),
        Verdict::Rejected => ("rejected", "31"),
        Verdict::Unsupported => ("unsupported", "33"),
    };
    if colours { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

fn cost_words(insns: u32, micros: u64) -> String {
    match insns {
        0 => String::new(),
        n => format!("  {} insns processed, {} µs", out::thousands(n.into()), out::thousands(micros)),
    }
}

fn place(insn: Option<usize>, line: Option<u32>) -> String {
    match (insn, line) {
        (Some(insn), Some(line)) => format!(" (insn {insn}, line {line})"),
        (Some(insn), None) => format!(" (insn {insn})"),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_stands_before_the_stack() {
        let time = Duration::from_micros(17);
        assert_eq!(
            timed("stack depth 8\nprocessed 1\n", time),
            "verification time 17 usec\nstack depth 8\nprocessed 1\n"
        );
        assert_eq!(timed("processed 1\n", time), "processed 1\n");
    }
}

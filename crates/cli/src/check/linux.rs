//! What the running kernel says of a program.

use std::time::Instant;

use serde::Serialize;
use skep::spec::{LoadOptions, ProgramSpec};
use skep::{Backend, Error as SkepError};

use super::report::{Verdict, micros};
use crate::args::CheckArgs;
use crate::failure::Failure;

/// The kernel's answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub verdict: Verdict,
    pub error: Option<Error>,
    pub insns_processed: u32,
    pub time_us: u64,
    /// With `--log`.
    pub log: Option<String>,
}

/// Why the kernel refuses a program.
#[derive(Debug, Serialize)]
pub struct Error {
    /// The error number by name.
    pub errno: String,
    pub insn: Option<usize>,
    pub line: Option<u32>,
    pub message: String,
}

/// Asks the kernel.
pub fn ask(args: &CheckArgs, backend: &Backend, spec: &ProgramSpec) -> Result<Answer, Failure> {
    // Statistics say how long it took; with the words of a refusal comes where it was.
    let log_level = args.log.map_or(4 | 1, |level| level | 4);
    let load = || -> Result<_, SkepError> {
        let maps: Vec<_> = spec
            .maps
            .iter()
            .map(|def| backend.create_map((**def).clone()).map(|m| m.backend_map().clone()))
            .collect::<Result<_, _>>()?;
        Ok(backend.load_with(&spec.clone().into(), &maps, LoadOptions { log_level })?.info())
    };
    let start = Instant::now();
    let loaded =
        if args.unprivileged { skep::linux::unprivileged(load).map_err(SkepError::from)? } else { load() };
    let time = micros(start.elapsed());
    let wanted = |log: &str| args.log.map(|level| as_asked(log, level));
    let error = match loaded {
        Ok(info) => {
            return Ok(Answer {
                verdict: Verdict::Accepted,
                error: None,
                insns_processed: info.insns_processed,
                time_us: info.verify_time.map_or(time, micros),
                log: wanted(&info.log),
            });
        }
        Err(e) => e,
    };
    let read = KernelLog::read(error.log());
    Ok(Answer {
        verdict: if error.is_rejected() { Verdict::Rejected } else { Verdict::Unsupported },
        error: Some(Error {
            errno: error_word(&error),
            insn: read.insn,
            line: read.line,
            message: read.message.map_or_else(|| error.to_string(), str::to_owned),
        }),
        insns_processed: read.processed.unwrap_or(0),
        time_us: read.time.unwrap_or(time),
        log: wanted(error.log()),
    })
}

/// The log without the statistics that were only asked for to know the time.
fn as_asked(log: &str, level: u32) -> String {
    let statistics = |l: &&str| l.starts_with("verification time ") || l.starts_with("stack depth ");
    let lines = log.lines().filter(|l| level & 4 != 0 || !statistics(l));
    lines.flat_map(|l| [l, "\n"]).collect()
}

/// The kernel's error number by name.
fn error_word(error: &SkepError) -> String {
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
    /// Microseconds.
    time: Option<u64>,
}

impl<'a> KernelLog<'a> {
    /// Lines are `; source @ file.c:12`, `5: (b7) r0 = 0 ; R0=0`, `processed 6 insns …` and messages.
    fn read(log: &'a str) -> Self {
        let mut read = Self::default();
        for line in log.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
            let slot = line.split_once(": (").and_then(|(n, _)| n.trim().parse().ok());
            let first = |rest: &str| rest.split(' ').next().map(str::to_owned);
            if let Some(rest) = line.strip_prefix("processed ") {
                read.processed = first(rest).and_then(|n| n.parse().ok());
            } else if let Some(rest) = line.strip_prefix("verification time ") {
                read.time = first(rest).and_then(|n| n.parse().ok());
            } else if let Some(source) = line.strip_prefix("; ") {
                read.line = source.rsplit_once(':').and_then(|(_, n)| n.parse().ok()).or(read.line);
            } else if slot.is_some() {
                read.insn = slot;
            } else if !line.starts_with("stack depth") {
                read.message = Some(line);
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "func#0 @0\n0: R1=ctx() R10=fp0\n; int x = *p; @ a.c:7\n0: (b7) r0 = 0    ; R0=0\n\
                       1: (61) r0 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\n\
                       verification time 17 usec\nstack depth 0\n\
                       processed 2 insns (limit 1000000) max_states_per_insn 0\n";

    #[test]
    fn the_kernel_s_log_is_read_to_its_end() {
        let read = KernelLog::read(LOG);
        assert_eq!(
            read,
            KernelLog {
                insn: Some(1),
                line: Some(7),
                message: Some("R0 invalid mem access 'scalar'"),
                processed: Some(2),
                time: Some(17),
            }
        );
        assert_eq!(KernelLog::read(""), KernelLog::default());
    }

    #[test]
    fn statistics_are_shown_to_who_asked_for_them() {
        assert_eq!(as_asked(LOG, 6), LOG);
        let without = as_asked(LOG, 2);
        assert!(
            !without.contains("usec") && !without.contains("stack depth") && without.contains("processed 2")
        );
    }
}

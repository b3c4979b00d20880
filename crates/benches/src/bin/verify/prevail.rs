//! PREVAIL's Rust port (`tests/prevail`), asked in a process of its own for each program: it may hang, need much memory or fall.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::row::Row;

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepts,
    Refuses,
    /// It cannot read the object, a relocation, an instruction or a function.
    Cannot,
    /// Stopped at the limit of processor time.
    Time,
    /// It fell: a panic, or no more memory.
    Falls,
}

/// What PREVAIL says of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    pub outcome: Outcome,
    /// Microseconds, the median.
    pub micros: f64,
    /// By how many KiB the peak of resident memory grew.
    pub kib: u64,
    /// Why it does not accept.
    pub why: String,
}

impl Peer {
    fn without(outcome: Outcome, why: &str) -> Self {
        Self { outcome, micros: 0.0, kib: 0, why: why.into() }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end_matches('\n').split('\t');
        let outcome = match words.next()? {
            "accepts" => Outcome::Accepts,
            "refuses" => Outcome::Refuses,
            "cannot" => Outcome::Cannot,
            _ => return None,
        };
        let micros = words.next()?.parse().ok()?;
        let kib = words.next()?.parse().ok()?;
        Some(Self { outcome, micros, kib, why: words.next()?.into() })
    }
}

/// Asks `program`, which may take so many seconds of processor time.
pub fn ask(program: &Path, row: &Row, rounds: usize, seconds: u64) -> Result<Peer, String> {
    let numbers = [rounds.to_string(), seconds.to_string()];
    let mut command = Command::new(program);
    command.args([&row.path, &row.section, &row.program]).args(numbers);
    let out = command.output().map_err(|e| format!("cannot start {}: {e}", program.display()))?;
    // Linux: SIGKILL and SIGXCPU are what RLIMIT_CPU sends.
    if let Some(9 | 24) = out.status.signal() {
        return Ok(Peer::without(Outcome::Time, "processor time"));
    }
    if out.status.code() == Some(2) {
        return Err(String::from_utf8_lossy(&out.stderr).trim().to_owned());
    }
    if !out.status.success() {
        let words = String::from_utf8_lossy(&out.stderr);
        let why = words.lines().find(|l| !l.trim().is_empty()).unwrap_or("no word");
        return Ok(Peer::without(Outcome::Falls, why));
    }
    let line = String::from_utf8_lossy(&out.stdout);
    Peer::parse(&line).ok_or_else(|| format!("{}: no answer that is known: {line}", program.display()))
}

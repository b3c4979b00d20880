//! What both say of one program, as a line that goes from a child to its parent.

use std::fmt;
use std::path::Path;

use crate::prevail::Peer;

/// What was said of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: its maps, its types or where it belongs cannot be had, so that no verifier saw it.
    #[default]
    None,
    Refuses,
    Accepts,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::None, Self::Refuses, Self::Accepts];
}

/// What a verification took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    pub verdict: Verdict,
    /// Microseconds, the median of what the first question took, after the other verifier had the caches.
    pub micros: f64,
    /// The same for a second question right after the first.
    pub again: f64,
    /// Instructions processed.
    pub insns: u64,
    /// States stored.
    pub total_states: u64,
    /// Most states at the same time.
    pub peak_states: u64,
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The object.
    pub path: String,
    /// Without libbpf's `?`.
    pub section: String,
    pub program: String,
    pub kernel: Cost,
    pub skep: Cost,
    /// Most memory that skep took, if it was measured.
    pub kib: Option<u64>,
    /// What PREVAIL says, if it was asked.
    pub prevail: Option<Peer>,
}

impl Row {
    /// Both accept.
    pub fn both(&self) -> bool {
        self.kernel.verdict == Verdict::Accepts && self.skep.verdict == Verdict::Accepts
    }

    /// File and program.
    pub fn name(&self) -> String {
        let file = Path::new(&self.path).file_stem().unwrap_or_default().to_string_lossy();
        format!("{}: {}", file.trim_end_matches(".bpf"), self.program)
    }

    /// A line of [`fmt::Display`] again.
    pub fn parse(path: &str, line: &str) -> Option<Self> {
        let mut words = line.split('\t');
        let (section, program) = (words.next()?.into(), words.next()?.into());
        let mut row = Self { path: path.into(), section, program, ..Self::default() };
        for cost in [&mut row.kernel, &mut row.skep] {
            let mut number = || words.next()?.parse::<f64>().ok();
            *cost = Cost {
                verdict: *Verdict::ALL.get(number()? as usize)?,
                micros: number()?,
                again: number()?,
                insns: number()? as u64,
                total_states: number()? as u64,
                peak_states: number()? as u64,
            };
        }
        Some(row)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}", self.section, self.program)?;
        for Cost { verdict, micros, again, insns, total_states, peak_states } in [self.kernel, self.skep] {
            write!(f, "\t{}\t{micros}\t{again}\t{insns}\t{total_states}\t{peak_states}", verdict as u8)?;
        }
        Ok(())
    }
}

//! A line of results: one program, loaded by one kind of loader.

use std::fmt;

/// What somebody says of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// It loads.
    Accepted,
    /// A verifier refuses it, in these words.
    Refused(String),
    /// What it needs is not there yet.
    Unsupported(String),
    /// No verifier was asked: the load ended before.
    #[default]
    NoVerdict,
    /// As before, and why.
    NoVerdictFor(String),
    /// Whoever was asked did not come back.
    Died(String),
}

impl Answer {
    /// The verdict, if it is one.
    pub fn accepted(&self) -> Option<bool> {
        match self {
            Self::Accepted => Some(true),
            Self::Refused(_) => Some(false),
            Self::Unsupported(_) | Self::NoVerdict | Self::NoVerdictFor(_) | Self::Died(_) => None,
        }
    }

    /// The reason, if there is one.
    pub fn words(&self) -> &str {
        match self {
            Self::Accepted | Self::NoVerdict => "",
            Self::Refused(w) | Self::Unsupported(w) | Self::NoVerdictFor(w) | Self::Died(w) => w,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Unsupported(_) => "unsupported",
            Self::NoVerdict | Self::NoVerdictFor(_) => "none",
            Self::Died(_) => "died",
        }
    }

    fn parse(word: &str, words: &str) -> Option<Self> {
        let words = words.to_owned();
        Some(match word {
            "accepted" => Self::Accepted,
            "refused" => Self::Refused(words),
            "unsupported" => Self::Unsupported(words),
            "none" if words.is_empty() => Self::NoVerdict,
            "none" => Self::NoVerdictFor(words),
            "died" => Self::Died(words),
            _ => return None,
        })
    }
}

/// What a verification took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Instructions processed.
    pub insns: u32,
    /// Microseconds, of the verifier alone where it says so.
    pub micros: u64,
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The file, without its ending.
    pub file: String,
    /// The function.
    pub program: String,
    /// Its section.
    pub section: String,
    /// It was loaded without capabilities.
    pub unprivileged: bool,
    /// What its tags expect: that it loads, or not.
    pub expect: Option<bool>,
    /// The running kernel.
    pub kernel: Answer,
    /// What that took.
    pub kernel_cost: Cost,
    /// skep.
    pub skep: Answer,
    /// What that took.
    pub skep_cost: Cost,
    /// What a test run gave: `equal 7`, `differs: …`, `not run: …`; empty where none is wanted.
    pub returns: String,
}

impl Record {
    /// The verdict that counts: the kernel's, or the tags' where it has none.
    pub fn wanted(&self) -> Option<bool> {
        self.kernel.accepted().or(self.expect)
    }

    /// `file: program (section)`.
    pub fn name(&self) -> String {
        let who = if self.unprivileged { ", unprivileged" } else { "" };
        format!("{}: {} ({}{who})", self.file, self.program, self.section)
    }

    /// A line of [`fmt::Display`] again.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let mut record = Self {
            file: next()?.into(),
            program: next()?.into(),
            section: next()?.into(),
            unprivileged: next()? == "unprivileged",
            expect: match next()? {
                "success" => Some(true),
                "failure" => Some(false),
                _ => None,
            },
            ..Self::default()
        };
        for (answer, cost) in
            [(&mut record.kernel, &mut record.kernel_cost), (&mut record.skep, &mut record.skep_cost)]
        {
            *answer = Answer::parse(next()?, next()?)?;
            *cost = Cost { insns: next()?.parse().ok()?, micros: next()?.parse().ok()? };
        }
        record.returns = next()?.into();
        Some(record)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.unprivileged { "unprivileged" } else { "privileged" };
        let expect = match self.expect {
            Some(true) => "success",
            Some(false) => "failure",
            None => "-",
        };
        let Self { file, program, section, .. } = self;
        write!(f, "{file}\t{program}\t{section}\t{mode}\t{expect}")?;
        for (answer, cost) in [(&self.kernel, self.kernel_cost), (&self.skep, self.skep_cost)] {
            let words = one_line(answer.words());
            write!(f, "\t{}\t{words}\t{}\t{}", answer.word(), cost.insns, cost.micros)?;
        }
        write!(f, "\t{}", one_line(&self.returns))
    }
}

fn one_line(words: &str) -> String {
    words.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_again() {
        let record = Record {
            file: "f".into(),
            program: "p".into(),
            section: "tc".into(),
            unprivileged: true,
            expect: Some(false),
            kernel: Answer::Refused("R0 !read_ok".into()),
            kernel_cost: Cost { insns: 3, micros: 17 },
            skep: Answer::Unsupported("not supported yet: x".into()),
            skep_cost: Cost::default(),
            returns: "equal 7".into(),
        };
        assert_eq!(Record::parse(&record.to_string()), Some(record));
        assert_eq!(Record::parse("f\tp"), None);
    }
}

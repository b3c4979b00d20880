//! The log in the kernel's format: what its readers and parsers know.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::Options;
use crate::program::Program;
use crate::rejection::Known;
use crate::state::{State, known};

/// A log under way. At level 1 it holds the current path; at level 2 every path.
#[derive(Debug)]
pub(crate) struct Log {
    text: String,
    on: bool,
    keeps_accepted: bool,
    limit: usize,
    last_line: Option<(String, u32)>,
    /// What was known before the instruction; the log shows what changes.
    last: Vec<Known>,
}

impl Log {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            text: String::new(),
            on: options.logs_insns(),
            keeps_accepted: options.keeps_accepted(),
            limit: options.log_size,
            last_line: None,
            last: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// A line about the program.
    pub(crate) fn say(&mut self, words: impl FnOnce() -> String) {
        if self.on {
            let line = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
            let _ = writeln!(self.text, "{line}{}", words());
        }
    }

    /// The state at an entry.
    pub(crate) fn entry(&mut self, p: &Program<'_>, pc: usize, s: &State) {
        if self.on {
            let _ = writeln!(self.text, "{pc}: {}", state(p, s));
            self.last = known(p.spec, s);
        }
    }

    /// The source line, if it is another one, and the instruction.
    pub(crate) fn insn(&mut self, p: &Program<'_>, pc: usize) {
        if !self.on || self.text.len() > self.limit {
            return;
        }
        if let Some(line) = p.spec.source_line(pc) {
            let key = (line.file.clone(), line.line);
            if self.last_line.as_ref() != Some(&key) {
                let file = line.file.rsplit('/').next().unwrap_or("");
                let _ = writeln!(self.text, "; {} @ {file}:{}", line.text, line.line);
                self.last_line = Some(key);
            }
        }
        let _ = write!(self.text, "{pc}: ({:02x}) {}", p.spec.insns[pc].opcode, super::insn_text(p, pc));
    }

    /// What is known after the instruction.
    pub(crate) fn state(&mut self, p: &Program<'_>, s: &State) {
        if !self.on || self.text.len() > self.limit {
            return;
        }
        let now = known(p.spec, s);
        let changed: Vec<_> = now.iter().filter(|k| !self.last.contains(k)).cloned().collect();
        if changed.is_empty() {
            self.text.push('\n');
        } else {
            let width = self.text.len() - self.text.rfind('\n').map_or(0, |i| i + 1);
            let _ = writeln!(self.text, "{:1$} ; {2}", "", 40usize.saturating_sub(width), words(&changed));
        }
        self.last = now;
    }

    /// The path has ended.
    pub(crate) fn end(&mut self) {
        if self.on {
            self.text.push('\n');
        }
    }

    /// Another path begins, from a branch that was put aside when the log had `len` bytes.
    pub(crate) fn back_to(&mut self, len: usize, p: &Program<'_>, pc: usize, s: &State) {
        if !self.on {
            return;
        }
        if !self.keeps_accepted {
            self.text.truncate(len);
        }
        self.last_line = None;
        self.last = known(p.spec, s);
        if self.text.len() <= self.limit {
            let _ = writeln!(self.text, "\nto {pc}: {}", state(p, s));
        }
    }

    /// Ends the log with the refusal, if there is one, and the counters.
    pub(crate) fn finish(self, message: Option<&str>, stats: crate::Stats, level: u32) -> String {
        if level == 0 {
            return String::new();
        }
        let mut text = match message {
            None if !self.keeps_accepted => String::new(),
            _ => self.text,
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if let Some(message) = message {
            let _ = writeln!(text, "{message}");
        }
        let _ = writeln!(text, "{stats}");
        text
    }
}

fn state(p: &Program<'_>, s: &State) -> String {
    let frame = if s.depth() > 0 { format!("frame{}: ", s.depth()) } else { String::new() };
    frame + &words(&known(p.spec, s))
}

fn words(known: &[Known]) -> String {
    known.iter().map(|k| format!("{}={}", k.name, k.value)).collect::<Vec<_>>().join(" ")
}

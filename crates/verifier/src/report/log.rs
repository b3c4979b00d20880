//! The log in the kernel's format: what its readers and parsers know.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::Options;
use crate::program::Program;
use crate::state::{State, known};

/// A log under way. At level 1 it holds the current path; at level 2 every path.
#[derive(Debug)]
pub(crate) struct Log {
    text: String,
    on: bool,
    keeps_accepted: bool,
    limit: usize,
    last_line: Option<(String, u32)>,
}

impl Log {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            text: String::new(),
            on: options.logs_insns(),
            keeps_accepted: options.keeps_accepted(),
            limit: options.log_size,
            last_line: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The state at the entry.
    pub(crate) fn entry(&mut self, p: &Program<'_>, s: &State) {
        if self.on {
            let _ = writeln!(self.text, "0: {}", state(p, s));
        }
    }

    /// The source line, if it is another one, and the instruction.
    pub(crate) fn insn(&mut self, p: &Program<'_>, pc: usize) {
        if !self.on || self.text.len() > self.limit {
            return;
        }
        if let Some(line) = super::source_line(p.spec, pc) {
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
        if self.on && self.text.len() <= self.limit {
            let _ = writeln!(self.text, "          ; {}", state(p, s));
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
        if self.text.len() <= self.limit {
            let _ = writeln!(self.text, "\nto {pc}: {}", state(p, s));
        }
    }

    /// Ends the log with the refusal, if there is one, and the counters.
    pub(crate) fn finish(self, message: Option<&str>, stats: crate::Stats, level: u32) -> String {
        if level == 0 {
            return String::new();
        }
        let mut text = self.text;
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
    let words = known(p.spec, s).into_iter().map(|k| format!("{}={}", k.name, k.value));
    let mut out = String::new();
    if s.depth() > 0 {
        let _ = write!(out, "frame{}: ", s.depth());
    }
    for (i, w) in words.enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(&w);
    }
    out
}

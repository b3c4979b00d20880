//! The log in the kernel's format: what its readers and parsers know (`do_check` in `kernel/bpf/verifier.c` and
//! `kernel/bpf/log.c`, Linux 6.18).
//!
//! Lines on Linux's own working are left out: `SCC enter`, `live stack update`. Those on precision are in [`super::walk`].

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use skep_isa::{CallTarget, Op, RegSet};

use crate::Options;
use crate::check::{Facts, Target};
use crate::options::STATISTICS;
use crate::program::Program;
use crate::rejection::Known;
use crate::state::{State, known, known_in, place, references};
use crate::violation::Violation;

/// A log under way. At level 1 it holds the current path; at level 2 every path.
#[derive(Debug)]
pub(crate) struct Log {
    text: String,
    level: u32,
    limit: usize,
    last_line: Option<(String, u32)>,
    /// What was known before the instruction; the log shows which slots change.
    last: Vec<Known>,
    /// Bytes of the instruction's line so far.
    line: usize,
    /// Where in the text what is known after the instruction begins, and where it ends.
    after: (usize, usize),
    /// The state is shown whole before the next instruction.
    whole: bool,
    /// The path has just begun, behind a branch, or a function has returned.
    begun: bool,
    /// The `exit` that it returned from.
    exit: Option<usize>,
}

/// The column of what is known after an instruction (`BPF_LOG_ALIGNMENT`) …
const COLUMN: usize = 40;
/// … and where it goes behind longer ones: a multiple of this (`BPF_LOG_MIN_ALIGNMENT`).
const STEP: usize = 8;

impl Log {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            text: String::new(),
            level: options.log_level,
            limit: options.log_size,
            last_line: None,
            last: Vec::new(),
            line: 0,
            after: (0, 0),
            whole: false,
            begun: false,
            exit: None,
        }
    }

    /// Whether each instruction is written.
    const fn on(&self) -> bool {
        self.level & 3 != 0
    }

    /// Whether the paths that were accepted stay.
    pub(super) const fn keeps_accepted(&self) -> bool {
        self.level & 2 != 0
    }

    /// Whether instructions are still taken.
    pub(super) fn takes(&self) -> bool {
        self.on() && self.text.len() <= self.limit
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn put(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A line about the program.
    pub(crate) fn say(&mut self, words: impl FnOnce() -> String) {
        if self.on() {
            self.fresh_line();
            self.put(&words());
        }
    }

    pub(super) fn fresh_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Functions and live registers, before the first path: at level 2.
    pub(crate) fn program(&mut self, p: &Program<'_>) {
        if !self.keeps_accepted() {
            return;
        }
        for (i, subprog) in p.subprogs.iter().enumerate() {
            self.put(&format!("func#{i} @{}", subprog.start));
        }
        self.put("Live regs before insn:");
        for pc in (0..p.ops.len()).filter(|&pc| p.ops[pc].is_some()) {
            if !self.takes() {
                return;
            }
            let part = match p.loops[pc] {
                0 => String::new(),
                number => format!("{number}"),
            };
            let live: String = (0..10u8)
                .map(|r| if p.live[pc].contains(skep_isa::Reg(r)) { char::from(b'0' + r) } else { '.' })
                .collect();
            self.put(&format!("{part:>3} {pc:>3}: {live} {}", line(p, pc)));
        }
    }

    /// The state at an entry.
    pub(crate) fn entry(&mut self, p: &Program<'_>, pc: usize, s: &State) {
        if self.on() {
            self.put(&format!("{pc}:{}", whole(p, s, s.depth())));
            self.last = known(p, s);
        }
    }

    /// The source line, if it is another one, and the instruction.
    pub(crate) fn insn(&mut self, p: &Program<'_>, pc: usize, s: &State) {
        if !self.takes() {
            return;
        }
        if core::mem::take(&mut self.whole) {
            self.put(&format!("{pc}:{}", whole(p, s, s.depth())));
        }
        if let Some(source) = p.spec.source_line(pc) {
            let key = (source.file, source.line);
            if self.last_line.as_ref() != Some(&key) {
                let file = key.0.rsplit('/').next().unwrap_or("");
                self.put(&format!("; {} @ {file}:{}", source.text.trim_start(), source.line));
                self.last_line = Some(key);
            }
        }
        let text = format!("{pc}: {}", line(p, pc));
        self.line = text.len();
        self.text.push_str(&text);
    }

    /// What is known after the instruction at `pc`: the registers that it names, and the slots that it accesses or
    /// changes. `next`: the instruction that follows.
    pub(crate) fn state(
        &mut self,
        p: &Program<'_>,
        (pc, op): (usize, Op),
        facts: &Facts,
        next: usize,
        s: &State,
    ) {
        if !self.takes() {
            return;
        }
        let compares = matches!(op, Op::JumpIf { .. });
        let now = known(p, s);
        let slots = accessed(facts, s);
        let named = named(op);
        // A helper that calls back has shown another frame meanwhile.
        let all = facts.helper.as_ref().is_some_and(|h| h.callback.is_some());
        let shown = now.iter().filter(|k| match k.register() {
            _ if all => true,
            Some(reg) => named.contains(reg),
            // What a comparison teaches of slots is not told.
            None => slots.contains(&k.name) || (!compares && !self.last.contains(k)),
        });
        let shown: Vec<_> = shown.cloned().collect();
        let start = self.text.len();
        // Something was said behind the instruction.
        let broken = self.text.ends_with('\n');
        if shown.is_empty() {
            self.fresh_line();
        } else if broken {
            // The kernel tells it before the next instruction, of a comparison at once.
            let at = if compares { pc } else { next };
            let _ = writeln!(self.text, "{at}:{}", words(s, s.depth(), &shown));
        } else {
            // The kernel counts the line's end too.
            let len = self.line + 1;
            let width = (len + STEP / 2).max(COLUMN).next_multiple_of(STEP) - len - 1;
            let _ = writeln!(self.text, "{:width$};{}", "", words(s, s.depth(), &shown));
        }
        self.after = (start, self.text.len());
        self.last = now;
    }

    /// A call has made a frame.
    pub(crate) fn called(&mut self, p: &Program<'_>, s: &State) {
        if !self.takes() {
            return;
        }
        self.fresh_line();
        self.put("caller:");
        let mut caller = s.clone();
        caller.frames.pop();
        self.put(&whole(p, &caller, caller.depth()));
        self.put("callee:");
        self.put(&whole(p, s, s.depth()));
        self.whole = true;
        self.last = known(p, s);
    }

    /// A function ends, in this state …
    pub(crate) fn leaves(&mut self, p: &Program<'_>, s: &State) {
        if self.takes() {
            self.fresh_line();
            self.put("returning from callee:");
            self.put(&whole(p, s, s.depth()));
        }
    }

    /// … and its caller goes on.
    pub(crate) fn returned(&mut self, p: &Program<'_>, from: usize, to: usize, s: &State) {
        if self.takes() {
            self.put(&format!("to caller at {to}:\n{}", whole(p, s, s.depth())));
            (self.begun, self.exit) = (true, Some(from));
        }
    }

    /// The path has ended.
    pub(crate) fn end(&mut self) {
        if self.on() {
            self.fresh_line();
        }
    }

    /// Takes back what is known after the instruction: the kernel writes it when it comes to the next.
    pub(super) fn unsay_state(&mut self) {
        if self.after.1 == self.text.len() {
            self.text.truncate(self.after.0);
        }
        self.after = (0, 0);
        self.fresh_line();
    }

    /// A state that is known to be safe covers the path's.
    pub(crate) fn safe(&mut self, from: usize, pc: usize) {
        if self.takes() {
            self.unsay_state();
            let from = self.exit.take().unwrap_or(from);
            match self.begun {
                true => self.put(&format!("\nfrom {from} to {pc}: safe")),
                false => self.put(&format!("{pc}: safe")),
            }
            (self.whole, self.begun) = (false, false);
        }
    }

    /// All paths of a function have ended well.
    pub(crate) fn accepted(&mut self) {
        if !self.keeps_accepted() {
            self.text.clear();
        }
    }

    /// Another path begins, from a branch at `from` that was put aside when the log had `len` bytes.
    pub(crate) fn back_to(&mut self, len: usize) {
        if self.on() && !self.keeps_accepted() {
            self.text.truncate(len);
        }
        self.last_line = None;
        (self.whole, self.begun, self.exit) = (self.on(), self.on(), None);
    }

    /// The state that another path begins in, when it is not found superfluous at once.
    pub(crate) fn begins(&mut self, p: &Program<'_>, from: usize, pc: usize, s: &State) {
        if core::mem::take(&mut self.begun) && self.takes() {
            self.fresh_line();
            let from = self.exit.take().unwrap_or(from);
            self.put(&format!("\nfrom {from} to {pc}:{}", whole(p, s, s.depth())));
            self.last = known(p, s);
        }
    }

    /// Ends the log with the refusal, if there is one, statistics and counters. `depths`: the stack of each function.
    pub(crate) fn finish(
        mut self,
        refusal: Option<&Violation>,
        stats: crate::Stats,
        depths: &[u32],
    ) -> String {
        if self.level == 0 {
            return String::new();
        }
        self.fresh_line();
        for line in refusal.into_iter().flat_map(Violation::lines) {
            self.put(line);
        }
        if self.level & STATISTICS != 0 && !depths.is_empty() {
            let depths: Vec<_> = depths.iter().map(|d| format!("{d}")).collect();
            self.put(&format!("stack depth {}", depths.join("+")));
        }
        let _ = writeln!(self.text, "{stats}");
        self.text
    }
}

/// The instruction with its opcode.
pub(super) fn line(p: &Program<'_>, pc: usize) -> String {
    format!("({:02x}) {}", p.spec.insns[pc].opcode, super::insn_text(p, pc))
}

/// The registers that the log shows after an instruction: those whose fields it has. A call's arguments are gone.
fn named(op: Op) -> RegSet {
    match op {
        Op::Call(CallTarget::Helper(_) | CallTarget::Kfunc { .. } | CallTarget::Subprog(_)) => op.defs(),
        _ => op.uses().union(op.defs()),
    }
}

/// The slots of the running frame that a load or store accesses, or a helper writes.
fn accessed(facts: &Facts, s: &State) -> Vec<String> {
    let by_insn = match facts.target {
        Some(Target::Stack { frame, min, max }) => Some((frame, min, max)),
        _ => None,
    };
    let by_helper = facts.helper.iter().flat_map(|h| &h.stack_writes);
    let by_helper = by_helper.map(|w| (w.frame, w.off, w.off + w.len.max(1) as i32 - 1));
    let ranges = by_insn.into_iter().chain(by_helper);
    let own = ranges.filter(|(frame, min, max)| *frame == s.depth() && *min < 0 && *max < 0);
    own.flat_map(|(_, min, max)| place(max).0..=place(min).0)
        .map(|slot| format!("fp-{}", (slot + 1) * 8))
        .collect()
}

/// All that is known in a frame, behind a blank.
pub(crate) fn whole(p: &Program<'_>, s: &State, frame: usize) -> String {
    words(s, frame, &known_in(p, s, frame))
}

fn words(s: &State, frame: usize, known: &[Known]) -> String {
    let mut out = String::new();
    if frame > 0 {
        let _ = write!(out, " frame{frame}:");
    }
    for k in known {
        let _ = write!(out, " {}={}", k.name, k.value);
    }
    out.push_str(&references(s, frame));
    out
}

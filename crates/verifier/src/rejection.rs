//! A refused program, as data.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use skep_spec::SourceLine;

use crate::{Code, InsnCost, Stats};

/// A branch on the path to the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Instruction of the conditional jump.
    pub pc: usize,
    /// Whether the jump was taken.
    pub taken: bool,
}

/// A register or stack slot at the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `R0`–`R10`, or `fp-8` for a stack slot.
    pub name: String,
    /// What is known, in the spelling of the kernel's log: `map_value_or_null(map=counts,ks=4,vs=8,id=1)`.
    pub value: String,
}

impl Known {
    /// The register, if it is one.
    pub(crate) fn register(&self) -> Option<skep_isa::Reg> {
        self.name.strip_prefix('R')?.parse().ok().map(skep_isa::Reg)
    }
}

/// Why a program was refused, where, and what was known there.
///
/// [`fmt::Display`] gives one line; [`Rejection::explain`] gives the whole story.
#[derive(Clone)]
pub struct Rejection(pub(crate) Box<Inner>);

#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) code: Code,
    pub(crate) pc: usize,
    pub(crate) message: String,
    pub(crate) advice: Advice,
    pub(crate) insn: String,
    pub(crate) source_line: Option<SourceLine>,
    pub(crate) path: Vec<Decision>,
    pub(crate) state: Vec<Known>,
    pub(crate) stats: Stats,
    pub(crate) log: String,
    pub(crate) costs: Vec<InsnCost>,
}

/// What an obligation needs, what is known instead, and the way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) required: String,
    pub(crate) known: String,
    pub(crate) remedy: String,
}

impl Rejection {
    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Slot of the instruction that was refused; 0 when the program as a whole was.
    pub fn pc(&self) -> usize {
        self.0.pc
    }

    /// One line, in Linux's words where Linux has any.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether skep refused only because it does not know the feature yet.
    pub fn is_unsupported(&self) -> bool {
        self.0.code == Code::Unsupported
    }

    /// Text of the refused instruction; empty when the program as a whole was refused.
    pub fn insn(&self) -> &str {
        &self.0.insn
    }

    /// Source line of the refused instruction, if the program carries line information.
    pub fn source_line(&self) -> Option<&SourceLine> {
        self.0.source_line.as_ref()
    }

    /// Conditional jumps on the way to the failure, oldest first.
    pub fn path(&self) -> &[Decision] {
        &self.0.path
    }

    /// Registers and stack slots at the failure.
    pub fn state(&self) -> &[Known] {
        &self.0.state
    }

    /// Counters up to the failure.
    pub fn stats(&self) -> Stats {
        self.0.stats
    }

    /// With [`Options::costs`](crate::Options::costs): what each slot cost up to the failure; else empty.
    pub fn costs(&self) -> &[InsnCost] {
        &self.0.costs
    }

    /// The log in the kernel's format, by the options' log level.
    pub fn log(&self) -> &str {
        &self.0.log
    }

    /// What the instruction needs; empty where the message says it all.
    pub fn required(&self) -> &str {
        &self.0.advice.required
    }

    /// What is known instead.
    pub fn found(&self) -> &str {
        &self.0.advice.known
    }

    /// What to write instead.
    pub fn remedy(&self) -> &str {
        &self.0.advice.remedy
    }

    /// What was required, what is known and what to write instead, over several lines.
    pub fn explain(&self) -> String {
        crate::report::explain(&self.0)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insn {}: {}", self.0.pc, self.0.message)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("code", &self.0.code)
            .field("pc", &self.0.pc)
            .field("message", &self.0.message)
            .finish_non_exhaustive()
    }
}

impl core::error::Error for Rejection {}

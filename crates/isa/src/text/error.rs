//! Errors of the assembler.

use alloc::string::String;
use core::fmt;

/// Text that is not a program: where, and what was expected or is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    line: u32,
    column: u32,
    message: String,
}

impl AsmError {
    #[cold]
    pub(super) fn new(line: u32, column: u32, message: String) -> Self {
        Self { line, column, message }
    }

    /// Line, from 1.
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// Column in characters, from 1.
    pub const fn column(&self) -> u32 {
        self.column
    }

    /// What was expected, or what is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl core::error::Error for AsmError {}

//! A refusal as the rooms make it: what, not yet where.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Code;
use crate::rejection::Advice;

/// A refusal; `explore` adds instruction, path and state. Boxed by its users: it is large and rare.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) advice: Advice,
    /// Lines that the kernel's log has before and after the message.
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
}

impl Violation {
    /// What the log says of it.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.before.iter().chain([&self.message]).chain(&self.after).map(String::as_str)
    }
}

pub(crate) type Check<T> = Result<T, alloc::boxed::Box<Violation>>;

/// A refusal with the kernel's words.
#[cold]
pub(crate) fn refuse<T>(code: Code, message: impl Into<String>) -> Check<T> {
    Err(alloc::boxed::Box::new(Violation {
        code,
        message: message.into(),
        advice: Advice::default(),
        before: Vec::new(),
        after: Vec::new(),
    }))
}

/// A refusal of something that skep does not know yet.
#[cold]
pub(crate) fn unsupported<T>(what: impl core::fmt::Display) -> Check<T> {
    refuse(Code::Unsupported, format!("not supported yet: {what}"))
}

/// Adds the explanation to a refusal.
pub(crate) trait Explain<T> {
    /// What the instruction needs, what is known instead, what to write instead.
    fn explain(
        self,
        required: impl Into<String>,
        known: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self;

    /// What the kernel's log says after the message.
    fn then(self, line: impl Into<String>) -> Self;

    /// Nothing more after the message.
    fn alone(self) -> Self;
}

impl<T> Explain<T> for Check<T> {
    fn explain(
        self,
        required: impl Into<String>,
        known: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        self.map_err(|mut v| {
            v.advice = Advice { required: required.into(), known: known.into(), remedy: remedy.into() };
            v
        })
    }

    fn then(self, line: impl Into<String>) -> Self {
        self.map_err(|mut v| {
            v.after.push(line.into());
            v
        })
    }

    fn alone(self) -> Self {
        self.map_err(|mut v| {
            v.after.clear();
            v
        })
    }
}

//! Why there is no native code.

use core::fmt;

/// Why a program gets no native code; it can run in the interpreter all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    NotVerified,
    Instruction { pc: usize, what: String },
    Target(String),
    TooLarge,
    Generator { function: String, why: String },
    Memory(String),
}

impl Unsupported {
    #[cold]
    pub(crate) fn not_verified() -> Self {
        Self { kind: Kind::NotVerified }
    }

    #[cold]
    pub(crate) fn instruction(pc: usize, what: &str) -> Self {
        Self { kind: Kind::Instruction { pc, what: what.to_owned() } }
    }

    #[cold]
    pub(crate) fn target(why: &str) -> Self {
        Self { kind: Kind::Target(why.to_owned()) }
    }

    #[cold]
    pub(crate) fn too_large() -> Self {
        Self { kind: Kind::TooLarge }
    }

    #[cold]
    pub(crate) fn generator(function: &str, why: &str) -> Self {
        Self { kind: Kind::Generator { function: function.to_owned(), why: why.to_owned() } }
    }

    #[cold]
    pub(crate) fn memory(why: &std::io::Error) -> Self {
        Self { kind: Kind::Memory(why.to_string()) }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::NotVerified => f.write_str("no native code: the program has no proof by the verifier"),
            Kind::Instruction { pc, what } => {
                write!(f, "no native code: insn {pc}: {what}; only the interpreter runs it")
            }
            Kind::Target(why) => write!(f, "no native code for this machine: {why}"),
            Kind::TooLarge => f.write_str("no native code: the program has more than 128 MiB of it"),
            Kind::Generator { function, why } => write!(f, "no native code for function {function}: {why}"),
            Kind::Memory(why) => write!(f, "no memory for native code: {why}"),
        }
    }
}

impl core::error::Error for Unsupported {}

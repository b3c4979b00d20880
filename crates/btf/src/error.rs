//! What can be wrong with BTF, and where.

use alloc::string::String;
use core::fmt;

/// Where in the data an error lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// In the header of `.BTF` or `.BTF.ext`.
    Header,
    /// At this byte of the string section.
    String(u32),
    /// In the type with this id.
    Type(u32),
    /// At this byte after the header of `.BTF.ext`.
    Ext(u32),
    /// At this byte of a value that is printed.
    Value(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The data is damaged or contradicts itself.
    Malformed,
    /// Valid, but newer than or outside what this crate knows.
    Unsupported,
    /// The bytes end before the type does.
    Truncated,
}

/// BTF that cannot be read, built or applied: where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    fault: Fault,
    at: At,
    /// Of a type that was read: where its record begins in the section.
    byte: Option<u32>,
    what: String,
}

impl Error {
    #[cold]
    pub(crate) fn malformed(at: At, what: impl Into<String>) -> Self {
        Self { fault: Fault::Malformed, at, byte: None, what: what.into() }
    }

    #[cold]
    pub(crate) fn unsupported(at: At, what: impl Into<String>) -> Self {
        Self { fault: Fault::Unsupported, at, byte: None, what: what.into() }
    }

    #[cold]
    pub(crate) fn truncated(at: At, what: impl Into<String>) -> Self {
        Self { fault: Fault::Truncated, at, byte: None, what: what.into() }
    }

    pub(crate) fn at_byte(self, byte: Option<u32>) -> Self {
        Self { byte, ..self }
    }

    /// Where in the bytes that were read the type begins that the error is about.
    pub fn byte(&self) -> Option<u32> {
        self.byte
    }

    /// Where the error lies.
    pub fn at(&self) -> At {
        self.at
    }

    /// Whether the data may be right, but needs something that this crate does not know.
    pub fn is_unsupported(&self) -> bool {
        self.fault == Fault::Unsupported
    }

    /// Whether the data ended too early.
    pub fn is_truncated(&self) -> bool {
        self.fault == Fault::Truncated
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            At::Header => write!(f, "BTF header: ")?,
            At::String(off) => write!(f, "BTF string at {off:#x}: ")?,
            At::Type(id) => match self.byte {
                Some(byte) => write!(f, "BTF type [{id}] at byte {byte:#x}: ")?,
                None => write!(f, "BTF type [{id}]: ")?,
            },
            At::Ext(off) => write!(f, "BTF.ext offset {off:#x}: ")?,
            At::Value(off) => write!(f, "value byte {off}: ")?,
        }
        f.write_str(&self.what)
    }
}

impl core::error::Error for Error {}

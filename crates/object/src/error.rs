//! What can be wrong with an object, and where.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

/// What an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A section, or a byte of it.
    Section {
        /// Name of the section.
        name: String,
        /// Byte in it.
        off_bytes: Option<u64>,
    },
    /// A symbol.
    Symbol {
        /// Its name; its number if it has none.
        name: String,
    },
    /// A map.
    Map {
        /// Its name.
        name: String,
    },
    /// A function, or an instruction of it.
    Function {
        /// Its name.
        name: String,
        /// Slot in the function.
        insn: Option<usize>,
    },
}

impl Place {
    pub(crate) fn section(name: &str) -> Self {
        Self::Section { name: name.into(), off_bytes: None }
    }

    pub(crate) fn map(name: &str) -> Self {
        Self::Map { name: name.into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Malformed,
    Unsupported,
}

/// Why an object, or a part of it, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    fault: Fault,
    file: Arc<str>,
    place: Place,
    what: String,
}

impl Error {
    /// The file as it was named to [`Object::parse`](crate::Object::parse).
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What the error is about.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong, without the file and the place.
    pub fn message(&self) -> &str {
        &self.what
    }

    /// The same about an instruction that needs what this is about, which the words then name.
    #[cold]
    pub(crate) fn inside(mut self, place: Place) -> Self {
        if let Place::Symbol { name } = &self.place {
            self.what = alloc::format!("extern \"{name}\": {}", self.what);
            self.place = place;
        }
        self
    }

    /// Whether the object may be right, but needs something that this crate does not do.
    pub fn is_unsupported(&self) -> bool {
        self.fault == Fault::Unsupported
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        match &self.place {
            Place::File => {}
            Place::Section { name, off_bytes: None } => write!(f, "section \"{name}\": ")?,
            Place::Section { name, off_bytes: Some(off) } => write!(f, "section \"{name}\"+{off:#x}: ")?,
            Place::Symbol { name } => write!(f, "symbol \"{name}\": ")?,
            Place::Map { name } => write!(f, "map \"{name}\": ")?,
            Place::Function { name, insn: None } => write!(f, "function \"{name}\": ")?,
            Place::Function { name, insn: Some(i) } => write!(f, "function \"{name}\", instruction {i}: ")?,
        }
        f.write_str(&self.what)
    }
}

impl core::error::Error for Error {}

/// Makes errors of one file.
#[derive(Clone, Debug)]
pub(crate) struct File(pub(crate) Arc<str>);

impl File {
    #[cold]
    pub(crate) fn malformed(&self, place: Place, what: impl Into<String>) -> Error {
        Error { fault: Fault::Malformed, file: self.0.clone(), place, what: what.into() }
    }

    #[cold]
    pub(crate) fn unsupported(&self, place: Place, what: impl Into<String>) -> Error {
        Error { fault: Fault::Unsupported, file: self.0.clone(), place, what: what.into() }
    }
}

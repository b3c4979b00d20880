//! Why there is no skeleton.

use std::fmt;

/// A file that cannot be read, compiled or written, or that holds no object.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    #[cold]
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

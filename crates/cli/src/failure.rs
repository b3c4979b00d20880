//! Failures as exit statuses.

use std::io;

use skep::spec::Errno;
use skep::{Error, ErrorKind};

/// A program was rejected or failed.
pub const FAILED: u8 = 1;
/// Wrong usage, unreadable or damaged input.
pub const BAD_INPUT: u8 = 2;

/// Why the command ends early.
#[derive(Debug)]
pub enum Failure {
    /// Nobody reads our output any more.
    ClosedPipe,
    /// The reason has been told already.
    Reported(u8),
    /// A status and the reason.
    Message(u8, String),
}

impl Failure {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Message(BAD_INPUT, message.into())
    }

    /// Something failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Message(FAILED, message.into())
    }

    /// A file that cannot be read or written.
    pub fn file(what: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::Message(BAD_INPUT, format!("cannot {what} `{}`: {error}", path.display()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Unreadable | ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::Usage => BAD_INPUT,
            // A network interface or program that is not there: the command line is wrong.
            ErrorKind::System(Errno::ENODEV) => BAD_INPUT,
            ErrorKind::Rejected | ErrorKind::Unsupported | ErrorKind::System(_) => FAILED,
        };
        Self::Message(status, error.to_string())
    }
}

/// Writing our own output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::failed(format!("cannot write the output: {error}")),
        }
    }
}

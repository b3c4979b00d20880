//! What can go wrong, and whose fault it is.

use std::fmt;
use std::io;

use skep_spec::Errno;
use skep_verifier::Rejection;

/// A failure of this crate: what failed, and what to do about it.
///
/// [`Error::kind`] says whose fault it is; the text names the file, program or map.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    log: String,
    rejection: Option<Rejection>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A file cannot be read.
    Unreadable,
    /// A file is not what it should be, or is damaged.
    Damaged,
    /// The file is fine and has no program or map of that name.
    NotFound,
    /// The verifier, ours or the kernel's, refused a program.
    Rejected,
    /// The program or request needs something that skep does not have yet.
    Unsupported,
    /// The caller asked for something that makes no sense.
    Usage,
    /// A backend or the operating system refused an operation.
    System(Errno),
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let inner =
            Inner { kind, message: message.into(), log: String::new(), rejection: None, source: None };
        Self(Box::new(inner))
    }

    #[cold]
    pub(crate) fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    #[cold]
    pub(crate) fn with_log(mut self, log: String) -> Self {
        self.0.log = log;
        self
    }

    #[cold]
    pub(crate) fn with_rejection(mut self, rejection: Rejection) -> Self {
        self.0.rejection = Some(rejection);
        self
    }

    #[cold]
    pub(crate) fn reading(name: &str, error: io::Error) -> Self {
        Self::new(ErrorKind::Unreadable, format!("cannot read `{name}`: {error}")).caused_by(error)
    }

    #[cold]
    pub(crate) fn system(context: impl fmt::Display, error: skep_spec::Error) -> Self {
        let kind = Self::system_kind(error.errno);
        Self::new(kind, format!("{context}: {}", error.message)).caused_by(error)
    }

    /// As [`Self::system`] of a map; backends name it in most messages themselves.
    #[cold]
    pub(crate) fn of_map(name: &str, error: skep_spec::Error) -> Self {
        let map = format!("map `{name}`");
        match error.message.contains(&map) {
            true => {
                let kind = Self::system_kind(error.errno);
                Self::new(kind, error.message.clone()).caused_by(error)
            }
            false => Self::system(map, error),
        }
    }

    fn system_kind(errno: Errno) -> ErrorKind {
        match errno {
            Errno::EOPNOTSUPP | Errno::ENOTSUPP => ErrorKind::Unsupported,
            errno => ErrorKind::System(errno),
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The Linux error number, for failures of a backend.
    pub fn errno(&self) -> Option<Errno> {
        match self.0.kind {
            ErrorKind::System(errno) => Some(errno),
            _ => None,
        }
    }

    /// The verifier's log, if a program was refused and the log was asked for.
    pub fn log(&self) -> &str {
        &self.0.log
    }

    /// The verdict of skep's verifier as data, if that is what refused the program.
    pub fn rejection(&self) -> Option<&Rejection> {
        self.0.rejection.as_ref()
    }

    /// Whether a verifier refused a program.
    pub fn is_rejected(&self) -> bool {
        self.0.kind == ErrorKind::Rejected
    }

    /// Whether skep does not have what is needed yet.
    pub fn is_unsupported(&self) -> bool {
        self.0.kind == ErrorKind::Unsupported
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<skep_spec::Error> for Error {
    #[cold]
    fn from(error: skep_spec::Error) -> Self {
        let kind = match error.errno {
            Errno::EOPNOTSUPP | Errno::ENOTSUPP => ErrorKind::Unsupported,
            errno => ErrorKind::System(errno),
        };
        Self::new(kind, error.message.clone()).caused_by(error)
    }
}

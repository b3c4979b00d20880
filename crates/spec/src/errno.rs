//! Linux error numbers.

use core::fmt;

/// A Linux error number, positive; the same on every host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($num:literal $id:ident $text:literal,)*) => {
        impl Errno {
            $(#[doc = $text] pub const $id: Self = Self($num);)*

            /// The symbolic name, as `ENOENT`.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($num => Some(stringify!($id)),)* _ => None }
            }

            /// The words that `strerror` has for it.
            pub fn text(self) -> &'static str {
                match self.0 { $($num => $text,)* _ => "unknown error" }
            }
        }
    };
}

// Each row becomes a constant and an arm of `name` and of `text`.
errnos! {
    1 EPERM "Operation not permitted",
    2 ENOENT "No such file or directory",
    3 ESRCH "No such process",
    4 EINTR "Interrupted system call",
    5 EIO "Input/output error",
    6 ENXIO "No such device or address",
    7 E2BIG "Argument list too long",
    8 ENOEXEC "Exec format error",
    9 EBADF "Bad file descriptor",
    11 EAGAIN "Resource temporarily unavailable",
    12 ENOMEM "Cannot allocate memory",
    13 EACCES "Permission denied",
    14 EFAULT "Bad address",
    16 EBUSY "Device or resource busy",
    17 EEXIST "File exists",
    19 ENODEV "No such device",
    22 EINVAL "Invalid argument",
    28 ENOSPC "No space left on device",
    33 EDOM "Numerical argument out of domain",
    34 ERANGE "Numerical result out of range",
    35 EDEADLK "Resource deadlock avoided",
    38 ENOSYS "Function not implemented",
    40 ELOOP "Too many levels of symbolic links",
    62 ETIME "Timer expired",
    71 EPROTO "Protocol error",
    74 EBADMSG "Bad message",
    75 EOVERFLOW "Value too large for defined data type",
    88 ENOTSOCK "Socket operation on non-socket",
    90 EMSGSIZE "Message too long",
    95 EOPNOTSUPP "Operation not supported",
    97 EAFNOSUPPORT "Address family not supported by protocol",
    100 ENETDOWN "Network is down",
    105 ENOBUFS "No buffer space available",
    110 ETIMEDOUT "Connection timed out",
    114 EALREADY "Operation already in progress",
    115 EINPROGRESS "Operation now in progress",
    524 ENOTSUPP "Operation not supported (kernel-internal)",
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self:?})", self.text())
    }
}

impl core::error::Error for Errno {}

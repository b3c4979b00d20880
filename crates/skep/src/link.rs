//! Several object files as one.

use crate::{Error, ErrorKind};

/// Links object files, each a name for messages and its bytes, to one, as libbpf's static linker does
/// (`bpftool gen object`): sections of one name follow each other, names that files share become one, types are
/// deduplicated.
///
/// # Errors
/// `Damaged` or `Unsupported` for a file that cannot be read or does not fit those before it; the message names both
/// files, and the symbol or section.
pub fn static_link(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Error> {
    skep_object::static_link(files).map_err(|error| {
        let kind = if error.is_unsupported() { ErrorKind::Unsupported } else { ErrorKind::Damaged };
        Error::new(kind, error.to_string()).caused_by(error)
    })
}

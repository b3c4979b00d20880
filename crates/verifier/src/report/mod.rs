//! Renders what was decided elsewhere: the kernel-style log and the explanation. Decides nothing.

mod explain;
mod source;

pub(crate) use explain::explain;
pub(crate) use source::source_line;

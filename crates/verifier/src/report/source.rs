//! From an instruction to its source line.

use skep_spec::{ProgramSpec, SourceLine};

/// The source line of a slot: the last one that starts at or before it.
pub(crate) fn source_line(spec: &ProgramSpec, pc: usize) -> Option<SourceLine> {
    let at = |off: u32| off as usize <= pc;
    let n = spec.source_lines.partition_point(|(off, _)| at(*off));
    spec.source_lines[..n].last().map(|(_, line)| line.clone())
}

//! From an instruction to its source line.

use alloc::string::ToString;

use skep_spec::{ProgramSpec, SourceLine};

/// The source line of a slot: the last one that starts at or before it.
pub(crate) fn source_line(spec: &ProgramSpec, pc: usize) -> Option<SourceLine> {
    let at = |off: u32| off as usize <= pc;
    let n = spec.source_lines.partition_point(|(off, _)| at(*off));
    if let Some((_, line)) = spec.source_lines[..n].last() {
        return Some(line.clone());
    }
    let n = spec.line_info.partition_point(|l| at(l.insn_off));
    let (line, btf) = (spec.line_info[..n].last()?, spec.btf.as_ref()?);
    let text = |off: u32| btf.name_at(off).map(|n| btf.str(n)).unwrap_or_default();
    Some(SourceLine {
        file: text(line.file_name_off).to_string(),
        line: line.line_col >> 10,
        column: line.line_col & 0x3ff,
        text: text(line.line_off).trim().to_string(),
    })
}

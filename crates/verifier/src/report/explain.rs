//! The explanation: what was required, what is known, what to write instead.

use alloc::string::String;
use core::fmt::Write as _;

use crate::rejection::Inner;

/// Renders a rejection for a person.
pub(crate) fn explain(r: &Inner) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = render(&mut out, r);
    out
}

fn render(out: &mut String, r: &Inner) -> core::fmt::Result {
    writeln!(out, "rejected [{}]: {}", r.code, r.message)?;
    if let Some(l) = &r.source_line {
        writeln!(out, "  --> {}:{}:{}", l.file, l.line, l.column)?;
        writeln!(out, "   |  {}", l.text)?;
    }
    if !r.insn.is_empty() {
        writeln!(out, "  insn {}: {}", r.pc, r.insn)?;
    }
    let a = &r.advice;
    for (word, text) in [("required", &a.required), ("known", &a.known), ("instead", &a.remedy)] {
        if !text.is_empty() {
            writeln!(out, "  {word}: {text}")?;
        }
    }
    if a.required.is_empty() {
        writeln!(out, "  meaning: {}", r.code.meaning())?;
        if let Some(guide) = r.code.guide() {
            writeln!(out, "  instead: {}", guide.advice)?;
        }
    }
    for k in &r.state {
        writeln!(out, "  {} = {}", k.name, k.value)?;
    }
    if !r.path.is_empty() {
        write!(out, "  path:")?;
        let skipped = r.path.len().saturating_sub(16);
        if skipped > 0 {
            write!(out, " … {skipped} earlier,")?;
        }
        for d in &r.path[skipped..] {
            write!(out, " {}{}", d.pc, if d.taken { ":taken" } else { ":fall-through" })?;
        }
        writeln!(out)?;
    }
    Ok(())
}

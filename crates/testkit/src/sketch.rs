//! What tests write random programs with: lines of text, labels, and constants that stand in for a map's value.

use std::ops::Range;

use skep_isa::text::{Dialect, assemble};
use skep_isa::{Imm64, Insn, Op, decode_all};
use skep_spec::ProgramSpec;

use crate::generate::rng::Rng;

/// Loads of this constant become the address of the first map's first value.
pub const VALUE_MARK: i32 = 0xfeed;

/// A program that is being written.
pub struct Sketch {
    /// What decides.
    pub rng: Rng,
    /// The lines so far.
    pub text: String,
    labels: u32,
}

impl Sketch {
    /// Nothing yet, for a seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), text: String::new(), labels: 0 }
    }

    /// Adds lines, parted by `; ` or as they are.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.text += &line.as_ref().replace("; ", "\n");
        self.text.push('\n');
    }

    /// A label that is not used yet.
    pub fn label(&mut self) -> String {
        self.labels += 1;
        format!("l{}", self.labels)
    }

    /// One of these.
    pub fn pick<'s>(&mut self, of: &[&'s str]) -> &'s str {
        of[self.rng.below(of.len())]
    }

    /// The instructions. [`VALUE_MARK`] is replaced.
    ///
    /// # Panics
    /// Where the text is not well formed.
    pub fn insns(&self) -> Vec<Insn> {
        let mut insns = assemble(&self.text).unwrap_or_else(|e| panic!("{e}\n{}", self.text));
        for pc in 0..insns.len() {
            if insns[pc].is_wide() && insns[pc].imm == VALUE_MARK && insns[pc].src.0 == 0 {
                put(&mut insns, pc, Imm64::MapValueIdx { idx: 0, off_bytes: 0 });
            }
        }
        insns
    }
}

/// Puts another value into the wide load at a slot.
pub fn put(insns: &mut [Insn], pc: usize, value: Imm64) {
    let (first, second) = Op::LoadImm64 { dst: insns[pc].dst, value }.encode();
    insns[pc] = first;
    insns[pc + 1] = second.expect("two slots");
}

/// A program's instructions, one a line, in the kernel's spelling.
pub fn listing(spec: &ProgramSpec) -> String {
    let line = |r: Result<(usize, Op), skep_isa::DecodeError>| match r {
        Ok((pc, op)) => format!("{pc}: {}", op.text(Dialect::Kernel)),
        Err(e) => e.to_string(),
    };
    decode_all(&spec.insns).map(line).collect::<Vec<_>>().join("\n")
}

/// The seeds of a run: `few` from 1 on, unless `SKEP_FUZZ` says how many and `SKEP_SEED` from where on.
pub fn seeds(few: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let (count, first) = (number("SKEP_FUZZ").unwrap_or(few), number("SKEP_SEED").unwrap_or(1));
    first..first + count
}

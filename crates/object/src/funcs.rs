//! Functions of the executable sections.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_isa::Insn;

use crate::elf::{Elf, Home, Symbol, SymbolKind};
use crate::error::{Error, File, Place};

/// A function as it stands in its section.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Index of the section.
    pub(crate) section: usize,
    /// First slot in the section.
    pub(crate) start: usize,
    /// Slots.
    pub(crate) len: usize,
    /// Visible outside of the file.
    pub(crate) global: bool,
    /// Visible to files that are linked with this one, not beyond.
    pub(crate) hidden: bool,
}

impl Function {
    /// First byte in the section.
    pub(crate) fn off_bytes(&self) -> u64 {
        (self.start * Insn::SIZE) as u64
    }

    /// The byte after the last in the section.
    pub(crate) fn end_bytes(&self) -> u64 {
        ((self.start + self.len) * Insn::SIZE) as u64
    }

    /// An instruction of it, counted from its start.
    pub(crate) fn at(&self, insn: usize) -> Place {
        Place::Function { name: self.name.clone(), insn: Some(insn) }
    }
}

/// All functions of a file; they do not overlap.
pub(crate) struct Functions {
    /// In order of section and start.
    pub(crate) all: Vec<Function>,
    /// By section and first slot.
    by_start: BTreeMap<(usize, usize), usize>,
}

impl Functions {
    /// # Errors
    /// When code is not whole instructions, or functions overlap.
    pub(crate) fn find(file: &File, elf: &Elf<'_>) -> Result<Self, Error> {
        let mut out = Self { all: Vec::new(), by_start: BTreeMap::new() };
        let mut by_section: BTreeMap<usize, Vec<&Symbol<'_>>> = BTreeMap::new();
        for s in &elf.symbols {
            let Home::Section(i) = s.home else { continue };
            let code = match s.kind {
                SymbolKind::Function => true,
                // Assembled code without `.type name, @function`.
                SymbolKind::Untyped => !s.local,
                SymbolKind::Object | SymbolKind::Section | SymbolKind::Other => false,
            };
            if code && elf.sections[i].exec {
                by_section.entry(i).or_default().push(s);
            }
        }
        for (i, section) in elf.sections.iter().enumerate().filter(|(_, s)| s.exec && !s.data.is_empty()) {
            if section.data.len() % Insn::SIZE != 0 {
                let what = format!("{} bytes of code, not a multiple of 8", section.data.len());
                return Err(file.malformed(Place::section(section.name), what));
            }
            out.section(file, i, section.data.len(), by_section.remove(&i).unwrap_or_default())?;
        }
        Ok(out)
    }

    fn section(
        &mut self,
        file: &File,
        section: usize,
        section_len: usize,
        mut symbols: Vec<&Symbol<'_>>,
    ) -> Result<(), Error> {
        // At the same place the global name counts, then the one with a size.
        symbols.sort_by_key(|s| (s.off_bytes, s.local, s.size == 0));
        symbols.dedup_by_key(|s| s.off_bytes);
        let ends =
            symbols.iter().skip(1).map(|s| s.off_bytes).chain([section_len as u64]).collect::<Vec<_>>();
        for (s, next) in symbols.into_iter().zip(ends) {
            let bad = |what| Err(file.malformed(Place::Symbol { name: s.name.into() }, what));
            let len = if s.size == 0 { next.saturating_sub(s.off_bytes) } else { s.size };
            if s.off_bytes % 8 != 0 || len % 8 != 0 {
                return bad(format!(
                    "a function of bytes {:#x}+{len:#x}, not whole instructions",
                    s.off_bytes
                ));
            }
            if len == 0 {
                return bad("a function without instructions".into());
            }
            if s.off_bytes + len > next {
                return bad(format!(
                    "the function ends at {:#x}, after the next begins at {next:#x}",
                    s.off_bytes + len
                ));
            }
            let start = s.off_bytes as usize / Insn::SIZE;
            self.by_start.insert((section, start), self.all.len());
            self.all.push(Function {
                name: s.name.into(),
                section,
                start,
                len: len as usize / Insn::SIZE,
                global: !s.local,
                hidden: s.hidden,
            });
        }
        Ok(())
    }

    /// The function that starts at this slot of a section.
    pub(crate) fn starting_at(&self, section: usize, slot: usize) -> Option<usize> {
        self.by_start.get(&(section, slot)).copied()
    }
    /// The function that this slot of a section belongs to.
    pub(crate) fn containing(&self, section: usize, slot: usize) -> Option<usize> {
        let (_, &index) = self.by_start.range((section, 0)..=(section, slot)).next_back()?;
        (slot < self.all[index].start + self.all[index].len).then_some(index)
    }
}

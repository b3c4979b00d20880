//! Sections of the same name, one after the other.

use alloc::format;
use alloc::vec::Vec;

use ::object::elf::{self as consts, SectionFlags};

use super::input::{Input, Role, Section};
use super::{Linker, OutSection, Placed};
use crate::error::{Error, Place};

/// Largest section of a linked file: offsets in BTF have 32 bits, and signed ones are what programs reach.
const MAX_SIZE: u64 = i32::MAX as u64;

/// Most bytes that are put between sections of files for alignment, together: small files could ask for very many.
const MAX_PADDING: u64 = 64 << 20;

impl Linker {
    /// Where each section of the file goes, by its number.
    pub(super) fn append_sections(&mut self, input: &Input<'_>) -> Result<Vec<Option<Placed>>, Error> {
        let mut out = Vec::with_capacity(input.sections.len());
        for s in &input.sections {
            out.push(match s.role {
                Role::Other => None,
                Role::Contents | Role::TypesOnly => Some(self.append_section(input, s)?),
            });
        }
        Ok(out)
    }

    fn append_section(&mut self, input: &Input<'_>, s: &Section<'_>) -> Result<Placed, Error> {
        let known = self.section_numbers.get(&s.name).copied();
        let index = known.unwrap_or(self.sections.len());
        if known.is_none() {
            self.sections.push(OutSection::new(s, self.files.len()));
            self.section_numbers.insert(s.name.clone(), index);
        }
        let out = &mut self.sections[index];
        if s.role == Role::TypesOnly {
            return Ok(Placed { section: index, off: 0, dropped: false });
        }
        if out.types_only {
            // Only declared so far: `.maps` with externs.
            let new = OutSection::new(s, out.from);
            (out.types_only, out.kind, out.flags) = (false, new.kind, new.flags);
            (out.align, out.entry_size) = (new.align, new.entry_size);
        }
        let bad = |what| Err(input.file.malformed(Place::section(&s.name), what));
        if known.is_some() {
            // `from` is of an earlier file.
            let other = self.files.get(out.from).map_or("", |(f, _)| &f.0);
            let differs = match () {
                () if out.kind != s.kind => Some("type is"),
                () if out.flags != s.flags => Some("flags are"),
                () if out.entry_size != s.entry_size => Some("entry size is"),
                () => None,
            };
            if let Some(what) = differs {
                return bad(format!("its {what} not as in \"{other}\""));
            }
            if matches!(&*s.name, "license" | "version") {
                if out.data != s.data {
                    return bad(format!("its contents are not as in \"{other}\", but a linked file has one"));
                }
                return Ok(Placed { section: index, off: 0, dropped: true });
            }
        }
        out.align = out.align.max(s.align);
        let before = out.size;
        let off = out.size.checked_next_multiple_of(out.align);
        let end = off.and_then(|off| off.checked_add(s.size)).filter(|&end| end <= MAX_SIZE);
        let (Some(off), Some(end)) = (off, end) else {
            return bad(format!("together with the files before, it has more than {MAX_SIZE} bytes"));
        };
        self.padding += off - before;
        if self.padding > MAX_PADDING {
            return bad(format!(
                "together with the files before, alignment takes more than {MAX_PADDING} bytes"
            ));
        }
        if s.kind != consts::SHT_NOBITS {
            // Within the lengths of the files.
            out.data.resize(off as usize, 0);
            out.data.extend_from_slice(s.data);
        }
        out.size = end;
        Ok(Placed { section: index, off, dropped: false })
    }
}

impl OutSection {
    fn new(s: &Section<'_>, from: usize) -> Self {
        Self {
            name: s.name.clone(),
            types_only: s.role == Role::TypesOnly,
            kind: s.kind,
            flags: s.flags,
            align: s.align,
            entry_size: s.entry_size,
            size: 0,
            data: Vec::new(),
            from,
            relocs: Vec::new(),
            reloc_flags: SectionFlags::default(),
            has_types: false,
            vars: Vec::new(),
            funcs: Vec::new(),
            lines: Vec::new(),
            core_relos: Vec::new(),
            symbol: None,
        }
    }
}

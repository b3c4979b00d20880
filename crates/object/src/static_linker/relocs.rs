//! Relocations, and what stands in code and in jump tables for them.

use alloc::collections::BTreeMap;
use alloc::format;

use ::object::elf as consts;
use skep_isa::Endian;

use super::input::{Home, Input, Relocs};
use super::symbols::JUMP_TABLES;
use super::{Linker, OutReloc, Placed};
use crate::error::{Error, Place};

/// `BPF_JMP | BPF_CALL`: its immediate counts instructions, that of others bytes.
const CALL: u8 = 0x85;

impl Linker {
    pub(super) fn append_relocs(
        &mut self,
        input: &Input<'_>,
        placed: &[Option<Placed>],
        symbols: &[Option<usize>],
    ) -> Result<(), Error> {
        // Where the code is that each jump table leads to.
        let mut tables = BTreeMap::new();
        for relocs in &input.relocs {
            let Some(at) = placed[relocs.target].filter(|p| !p.dropped) else { continue };
            self.append_table(input, relocs, at, placed, symbols, &mut tables)?;
        }
        for (symbol, code) in tables {
            self.move_table(input, symbol, code, placed)?;
        }
        Ok(())
    }

    fn append_table(
        &mut self,
        input: &Input<'_>,
        relocs: &Relocs,
        at: Placed,
        placed: &[Option<Placed>],
        symbols: &[Option<usize>],
        tables: &mut BTreeMap<usize, Placed>,
    ) -> Result<(), Error> {
        let section = &input.sections[relocs.target];
        self.sections[at.section].reloc_flags = relocs.flags;
        for &(off, kind, number) in &relocs.records {
            let s = &input.symbols[number];
            let bad = |what| {
                let place = Place::Section { name: section.name.clone(), off_bytes: Some(off) };
                Err(input.file.malformed(place, what))
            };
            let Some(symbol) = symbols[number] else {
                return bad(format!("a reference to \"{}\", which is in a section that is left out", s.name));
            };
            if let (consts::STT_SECTION, Home::Section(home)) = (s.kind, s.home) {
                let Some(target) = placed[home] else {
                    return bad(format!("a reference to section \"{}\"", input.sections[home].name));
                };
                if !section.exec() {
                    let what = format!(
                        "data that refers to section \"{}\" without a symbol, which libbpf does not link either",
                        input.sections[home].name
                    );
                    return Err(input.file.unsupported(
                        Place::Section { name: section.name.clone(), off_bytes: Some(off) },
                        what,
                    ));
                }
                if !self.shift(at, off, target, input.endian) {
                    return bad("an offset that exceeds 32 bits after linking".into());
                }
            }
            if let (true, Home::Section(home)) = (section.exec(), s.home)
                && input.sections[home].name == JUMP_TABLES
                && tables.insert(number, at).is_some_and(|before| before.section != at.section)
            {
                return bad(format!("jump table \"{}\" is used in two sections", s.name));
            }
            self.sections[at.section].relocs.push(OutReloc { off: at.off + off, kind, symbol });
        }
        Ok(())
    }

    /// Adds a section's new place to the immediate of an instruction; whether that fits.
    fn shift(&mut self, at: Placed, off: u64, target: Placed, endian: Endian) -> bool {
        // Relocations lie within their sections, which are linked below 2^31 bytes.
        let insn = &mut self.sections[at.section].data[(at.off + off) as usize..][..8];
        let by = if insn[0] == CALL { target.off / 8 } else { target.off };
        let imm = [insn[4], insn[5], insn[6], insn[7]];
        let old = match endian {
            Endian::Little => i32::from_le_bytes(imm),
            Endian::Big => i32::from_be_bytes(imm),
        };
        let Some(new) = i32::try_from(by).ok().and_then(|by| old.checked_add(by)) else { return false };
        insn[4..].copy_from_slice(&match endian {
            Endian::Little => new.to_le_bytes(),
            Endian::Big => new.to_be_bytes(),
        });
        true
    }

    /// Entries of a jump table are bytes of the section that its code is in, without relocations.
    fn move_table(
        &mut self,
        input: &Input<'_>,
        number: usize,
        code: Placed,
        placed: &[Option<Placed>],
    ) -> Result<(), Error> {
        let s = &input.symbols[number];
        let Home::Section(home) = s.home else { return Ok(()) };
        let Some(at) = placed[home] else { return Ok(()) };
        let start = (at.off + s.value) as usize;
        let out = &mut self.sections[at.section];
        let Some(table) = out.data.get_mut(start..start + s.size as usize) else {
            let what = "a jump table in a section without contents";
            return Err(input.file.malformed(Place::Symbol { name: s.name.into() }, what));
        };
        for entry in table.as_chunks_mut::<8>().0 {
            *entry = match input.endian {
                Endian::Little => u64::from_le_bytes(*entry).wrapping_add(code.off).to_le_bytes(),
                Endian::Big => u64::from_be_bytes(*entry).wrapping_add(code.off).to_be_bytes(),
            };
        }
        Ok(())
    }
}

//! Sections and symbols to the bytes of a relocatable eBPF file.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ::object::Endianness;
use ::object::elf::{self as consts, FileFlags, OsAbi, SymbolInfo, SymbolSection};
use ::object::elf::{RelocationType, SectionFlags, SectionType, SymbolBind, SymbolOther, SymbolType};
use ::object::write::elf::{FileHeader, Rel, SectionHeader, Sym, Writer};
use skep_isa::Endian;

/// A section with its relocations.
pub(crate) struct Section<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: SectionType,
    pub(crate) flags: SectionFlags,
    pub(crate) align: u64,
    pub(crate) entry_size: u64,
    /// Bytes: more than there is data in a `NOBITS` section.
    pub(crate) size: u64,
    pub(crate) data: Cow<'a, [u8]>,
    pub(crate) relocs: Cow<'a, [Reloc]>,
    pub(crate) reloc_flags: SectionFlags,
    /// Left out, if not.
    pub(crate) is_written: bool,
}

impl<'a> Section<'a> {
    /// A section with contents.
    pub(crate) fn new(name: impl Into<Cow<'a, str>>, flags: SectionFlags, align: u64) -> Self {
        Self {
            name: name.into(),
            kind: consts::SHT_PROGBITS,
            flags,
            align,
            entry_size: 0,
            size: 0,
            data: Cow::Owned(Vec::new()),
            relocs: Cow::Owned(Vec::new()),
            reloc_flags: consts::SHF_INFO_LINK,
            is_written: true,
        }
    }

    /// The same with these contents.
    pub(crate) fn holding(self, data: impl Into<Cow<'a, [u8]>>) -> Self {
        let data = data.into();
        Self { size: data.len() as u64, data, ..self }
    }

    /// Nothing is mapped from the file, so great alignments need no padding there.
    fn align_in_file(&self) -> u64 {
        self.align.clamp(1, 16)
    }
}

/// A relocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reloc {
    /// Byte in the section.
    pub(crate) off: u64,
    pub(crate) kind: RelocationType,
    /// Index of the symbol.
    pub(crate) symbol: usize,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Undefined,
    /// Index of the section.
    Section(usize),
    Absolute,
}

/// A symbol.
pub(crate) struct Symbol {
    /// Empty for a section's own.
    pub(crate) name: String,
    pub(crate) bind: SymbolBind,
    pub(crate) kind: SymbolType,
    pub(crate) other: SymbolOther,
    pub(crate) home: Home,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

/// A file to be written.
pub(crate) struct Image<'a> {
    pub(crate) endian: Endian,
    pub(crate) sections: Vec<Section<'a>>,
    /// In any order: those that are local are written first.
    pub(crate) symbols: &'a [Symbol],
}

impl Image<'_> {
    /// The file.
    ///
    /// # Errors
    /// What does not fit into ELF's numbers.
    pub(crate) fn write(&self) -> Result<Vec<u8>, ::object::write::Error> {
        let endian = match self.endian {
            Endian::Little => Endianness::Little,
            Endian::Big => Endianness::Big,
        };
        // ELF wants local symbols before all others.
        let mut order: Vec<usize> = (0..self.symbols.len()).collect();
        order.sort_by_key(|&i| self.symbols[i].bind != consts::STB_LOCAL);
        let locals = order.iter().filter(|&&i| self.symbols[i].bind == consts::STB_LOCAL).count() as u32;
        let mut numbers = vec![0; order.len()];
        for (number, &i) in (1u32..).zip(&order) {
            numbers[i] = number;
        }
        let sections: Vec<&Section<'_>> = self.sections.iter().filter(|s| s.is_written).collect();
        // Numbers in the file.
        let mut next = 0;
        let number = |s: &Section<'_>| {
            next += u32::from(s.is_written);
            if s.is_written { next } else { 0 }
        };
        let section_numbers: Vec<u32> = self.sections.iter().map(number).collect();
        let with_relocs: Vec<usize> = (0..self.sections.len())
            .filter(|&i| self.sections[i].is_written && !self.sections[i].relocs.is_empty())
            .collect();
        let rel_names: Vec<String> =
            with_relocs.iter().map(|&i| format!(".rel{}", self.sections[i].name)).collect();

        let mut out = Vec::new();
        let mut w = Writer::new(endian, true, &mut out);
        // First everything gets its place.
        w.reserve_file_header();
        w.reserve_null_section_index();
        let names: Vec<_> = sections.iter().map(|s| w.add_section_name(s.name.as_bytes())).collect();
        let rel_ids: Vec<_> = rel_names.iter().map(|n| w.add_section_name(n.as_bytes())).collect();
        sections.iter().for_each(|_| _ = w.reserve_section_index());
        rel_ids.iter().for_each(|_| _ = w.reserve_section_index());
        w.reserve_symtab_section_index();
        w.reserve_strtab_section_index();
        w.reserve_shstrtab_section_index();
        let strings: Vec<_> = order
            .iter()
            .map(|&i| {
                Some(&self.symbols[i].name).filter(|n| !n.is_empty()).map(|n| w.add_string(n.as_bytes()))
            })
            .collect();
        w.reserve_null_symbol_index();
        order.iter().for_each(|_| _ = w.reserve_symbol_index(None));
        let places: Vec<u64> =
            sections.iter().map(|s| w.reserve(s.data.len() as u64, s.align_in_file())).collect();
        let rel_places: Vec<u64> =
            with_relocs.iter().map(|&i| w.reserve(self.sections[i].relocs.len() as u64 * 16, 8)).collect();
        w.reserve_symtab();
        w.reserve_strtab()?;
        w.reserve_shstrtab()?;
        w.reserve_section_headers();

        w.write_file_header(&FileHeader {
            os_abi: OsAbi::default(),
            abi_version: 0,
            e_type: consts::ET_REL,
            e_machine: consts::EM_BPF,
            e_entry: 0,
            e_flags: FileFlags::default(),
        })?;
        for s in &sections {
            w.write_align(s.align_in_file());
            w.write(&s.data);
        }
        for &i in &with_relocs {
            w.write_align_relocation();
            for &Reloc { off, kind, symbol } in &*self.sections[i].relocs {
                let rel = Rel { r_offset: off, r_sym: numbers[symbol], r_type: kind, r_addend: 0 };
                w.write_relocation(false, &rel);
            }
        }
        w.write_null_symbol();
        for (&i, name) in order.iter().zip(&strings) {
            let s = &self.symbols[i];
            let (section, st_shndx) = match s.home {
                Home::Section(i) => (Some(section_numbers[i]), SymbolSection::default()),
                Home::Undefined => (None, consts::SHN_UNDEF),
                Home::Absolute => (None, consts::SHN_ABS),
            };
            w.write_symbol(&Sym {
                section,
                st_name: w.string_offset(*name),
                st_info: SymbolInfo::new(s.bind, s.kind),
                st_other: s.other,
                st_shndx,
                st_value: s.value,
                st_size: s.size,
            });
        }
        w.write_strtab();
        w.write_shstrtab();
        w.write_null_section_header();
        for ((s, name), sh_offset) in sections.iter().zip(&names).zip(&places) {
            w.write_section_header(&SectionHeader {
                sh_name: w.section_name_offset(Some(*name)),
                sh_type: s.kind,
                sh_flags: s.flags,
                sh_addr: 0,
                sh_offset: *sh_offset,
                sh_size: s.size,
                sh_link: 0,
                sh_info: 0,
                sh_addralign: s.align,
                sh_entsize: s.entry_size,
            });
        }
        let symtab = w.symtab_index();
        for ((&i, name), sh_offset) in with_relocs.iter().zip(&rel_ids).zip(&rel_places) {
            w.write_section_header(&SectionHeader {
                sh_name: w.section_name_offset(Some(*name)),
                sh_type: consts::SHT_REL,
                sh_flags: self.sections[i].reloc_flags,
                sh_addr: 0,
                sh_offset: *sh_offset,
                sh_size: self.sections[i].relocs.len() as u64 * 16,
                sh_link: symtab.0,
                sh_info: section_numbers[i],
                sh_addralign: 8,
                sh_entsize: 16,
            });
        }
        w.write_symtab_section_header(locals + 1);
        w.write_strtab_section_header();
        w.write_shstrtab_section_header();
        Ok(out)
    }
}

//! Bytes to sections, symbols and relocations. Everything that refers to something else by number, and that
//! later stages use, is checked here.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ::object::elf::{self as consts, FileHeader64};
use ::object::read::elf::{FileHeader, Rel, SectionHeader, Sym};
use ::object::{Endianness, SectionIndex};
use skep_isa::Endian;

use crate::error::{Error, File, Place};
use crate::header;

/// A section with its bytes.
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    /// Size in bytes; more than there are bytes in a `NOBITS` section.
    pub(crate) size: u64,
    /// Contents; empty for `NOBITS`.
    pub(crate) data: &'a [u8],
    /// Machine code.
    pub(crate) exec: bool,
    /// `NOBITS`: zeros that are not in the file.
    pub(crate) zeroed: bool,
    /// Relocations of it, ascending by offset, at most one at each.
    pub(crate) relocs: Vec<Reloc>,
}

/// A relocation: put the address of a symbol there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reloc {
    /// Byte in the section.
    pub(crate) off_bytes: u64,
    /// `R_BPF_*`.
    pub(crate) kind: u32,
    /// Index into [`Elf::symbols`].
    pub(crate) symbol: usize,
}

/// What a symbol is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SymbolKind {
    Function,
    Object,
    Section,
    /// Assembled code does not say.
    Untyped,
    Other,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In another file or in the kernel.
    Undefined,
    /// Index into [`Elf::sections`].
    Section(usize),
    /// Nowhere that has contents.
    Other,
}

/// A name for a place in a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: SymbolKind,
    pub(crate) home: Home,
    /// Byte in the section.
    pub(crate) off_bytes: u64,
    /// Bytes; 0 when unknown.
    pub(crate) size: u64,
    /// Seen in its file only.
    pub(crate) local: bool,
    /// Need not be defined anywhere.
    pub(crate) weak: bool,
    /// Global among the files that are linked together, not beyond.
    pub(crate) hidden: bool,
}

/// A relocatable eBPF file.
pub(crate) struct Elf<'a> {
    pub(crate) endian: Endian,
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) symbols: Vec<Symbol<'a>>,
}

impl<'a> Elf<'a> {
    /// # Errors
    /// When the file is not a 64-bit relocatable ELF file for eBPF, or contradicts itself.
    pub(crate) fn parse(file: &File, bytes: &'a [u8]) -> Result<Self, Error> {
        let header = identify(file, bytes)?;
        let bad = |e: ::object::read::Error| file.malformed(Place::File, format!("damaged ELF file: {e}"));
        let e = header.endian().map_err(bad)?;
        let table = header::sections(file, header, e, bytes)?;

        let mut sections = Vec::with_capacity(table.len());
        for (index, s) in table.enumerate() {
            let i = index.0;
            let anonymous = || Place::Section { name: format!("#{i}"), off_bytes: None };
            let name = table
                .section_name(e, s)
                .map_err(|_| file.malformed(anonymous(), "its name lies outside the section name table"))?;
            let name = core::str::from_utf8(name)
                .map_err(|_| file.malformed(anonymous(), "its name is not UTF-8"))?;
            let data = header::contents(file, s, e, bytes, name)?;
            let kind = s.sh_type(e);
            let contents = kind == consts::SHT_PROGBITS || kind == consts::SHT_NOBITS;
            sections.push(Section {
                name,
                size: s.sh_size.get(e),
                data,
                exec: kind == consts::SHT_PROGBITS && s.sh_flags(e).contains(consts::SHF_EXECINSTR),
                zeroed: kind == consts::SHT_NOBITS,
                relocs: Vec::new(),
            });
            if !contents && is_wanted(name) {
                let what = format!("it has type {}, not PROGBITS or NOBITS", kind.0);
                return Err(file.malformed(Place::section(name), what));
            }
        }

        let symtab = header::symbols(file, &table, e, bytes)?;
        if symtab.is_empty() {
            return Err(file.malformed(Place::File, "there is no symbol table; was the file stripped?"));
        }
        let mut symbols = Vec::with_capacity(symtab.len());
        for (index, s) in symtab.enumerate() {
            let number = || Place::Symbol { name: format!("#{}", index.0) };
            let name =
                symtab.symbol_name(e, s).ok().and_then(|n| core::str::from_utf8(n).ok()).ok_or_else(
                    || file.malformed(number(), "its name is not a string of the string table"),
                )?;
            let place = || if name.is_empty() { number() } else { Place::Symbol { name: name.into() } };
            let home = match symtab.symbol_section(e, s, index) {
                Ok(Some(SectionIndex(i))) if i < sections.len() => Home::Section(i),
                Ok(None) if s.is_undefined(e) => Home::Undefined,
                Ok(None) => Home::Other,
                Ok(Some(SectionIndex(i))) => {
                    let what = format!("it is defined in section {i} of {}", sections.len());
                    return Err(file.malformed(place(), what));
                }
                Err(err) => return Err(file.malformed(place(), err.to_string())),
            };
            let (off_bytes, size) = (s.st_value.get(e), s.st_size.get(e));
            if let Home::Section(i) = home
                && off_bytes.checked_add(size).is_none_or(|end| end > sections[i].size)
            {
                let what = format!(
                    "it covers bytes {off_bytes:#x}+{size:#x} of section \"{}\", which has {:#x}",
                    sections[i].name, sections[i].size
                );
                return Err(file.malformed(place(), what));
            }
            symbols.push(Symbol {
                name: match (s.st_type(), home) {
                    (consts::STT_SECTION, Home::Section(i)) => sections[i].name,
                    _ => name,
                },
                kind: match s.st_type() {
                    consts::STT_FUNC => SymbolKind::Function,
                    consts::STT_OBJECT => SymbolKind::Object,
                    consts::STT_SECTION => SymbolKind::Section,
                    consts::STT_NOTYPE => SymbolKind::Untyped,
                    _ => SymbolKind::Other,
                },
                home,
                off_bytes,
                size,
                local: s.is_local(),
                weak: s.is_weak(),
                hidden: matches!(s.st_visibility(), consts::STV_HIDDEN | consts::STV_INTERNAL),
            });
        }

        for s in table.iter() {
            let of = s.sh_info(e) as usize;
            let kind = s.sh_type(e);
            if kind != consts::SHT_REL && kind != consts::SHT_RELA {
                continue;
            }
            let Some(target) = sections.get_mut(of) else {
                let what = format!("a relocation section is for section {of} of {}", sections.len());
                return Err(file.malformed(Place::File, what));
            };
            if !(target.exec || target.name == ".maps" || crate::struct_ops::is_section(target.name)) {
                continue; // debug information, and what libbpf leaves alone too
            }
            if kind == consts::SHT_RELA {
                let what = "its relocations have addends (RELA); clang writes REL for eBPF";
                return Err(file.unsupported(Place::section(target.name), what));
            }
            if s.link(e) != symtab.section() {
                let what = format!(
                    "its relocations are for symbol table {}, not {}",
                    s.link(e).0,
                    symtab.section().0
                );
                return Err(file.malformed(Place::section(target.name), what));
            }
            let rels = header::relocations(file, s, e, bytes, target.name)?;
            relocs(file, e, target, rels, symbols.len())?;
        }
        let endian = if e == Endianness::Little { Endian::Little } else { Endian::Big };
        Ok(Self { endian, sections, symbols })
    }

    /// The first section with this name that has contents.
    pub(crate) fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// A name for messages.
    pub(crate) fn symbol_name(&self, index: usize) -> String {
        match self.symbols[index].name {
            "" => format!("#{index}"),
            name => name.into(),
        }
    }
}

/// Sections that later stages read the contents of.
fn is_wanted(name: &str) -> bool {
    matches!(name, ".maps" | ".BTF" | ".BTF.ext" | "license" | "version" | "maps" | crate::arena::SECTION)
        || crate::data::Kind::of_section(name).is_some()
}

/// The contents of the first section with this name in an ELF file of any machine and type.
pub(crate) fn find_section<'a>(
    file: &File,
    bytes: &'a [u8],
    wanted: &str,
) -> Result<Option<&'a [u8]>, Error> {
    let bad = |e: ::object::read::Error| file.malformed(Place::File, format!("damaged ELF file: {e}"));
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(bad)?;
    let e = header.endian().map_err(bad)?;
    let table = header::sections(file, header, e, bytes)?;
    for (index, s) in table.enumerate() {
        let name = table.section_name(e, s).map_err(|_| {
            let place = Place::Section { name: format!("#{}", index.0), off_bytes: None };
            file.malformed(place, "its name lies outside the section name table")
        })?;
        if name == wanted.as_bytes() {
            return header::contents(file, s, e, bytes, wanted).map(Some);
        }
    }
    Ok(None)
}

/// What the file is, before anything in it is believed.
pub(crate) fn identify<'a>(file: &File, bytes: &'a [u8]) -> Result<&'a FileHeader64<Endianness>, Error> {
    let refuse = |what: String| Err(file.malformed(Place::File, what));
    let Some(ident) = bytes.get(..16) else {
        return refuse(format!("not an ELF file: {} bytes", bytes.len()));
    };
    if ident[..4] != consts::ELFMAG {
        return refuse(format!("not an ELF file: it starts with {:02x?}", &ident[..4]));
    }
    if ident[4] != consts::ELFCLASS64.0 {
        return refuse("a 32-bit ELF file; eBPF objects are 64-bit".into());
    }
    let header = FileHeader64::<Endianness>::parse(bytes)
        .map_err(|e| file.malformed(Place::File, format!("damaged ELF header: {e}")))?;
    let e = header.endian().map_err(|e| file.malformed(Place::File, e.to_string()))?;
    match header.e_machine(e) {
        consts::EM_BPF => {}
        m => {
            let name = match m {
                consts::EM_X86_64 => " (x86-64)",
                consts::EM_AARCH64 => " (aarch64)",
                consts::EM_RISCV => " (riscv)",
                consts::EM_S390 => " (s390)",
                _ => "",
            };
            return refuse(format!(
                "machine code for ELF machine {}{name}, not for eBPF (247): compile with -target bpf",
                m.0
            ));
        }
    }
    match header.e_type(e) {
        consts::ET_REL => Ok(header),
        t => {
            refuse(format!("ELF type {}, not a relocatable object (1): give clang -c, and do not link", t.0))
        }
    }
}

fn relocs(
    file: &File,
    e: Endianness,
    target: &mut Section<'_>,
    rels: &[consts::Rel64<Endianness>],
    symbols: usize,
) -> Result<(), Error> {
    for r in rels {
        let off_bytes = r.r_offset(e);
        let place = Place::Section { name: target.name.into(), off_bytes: Some(off_bytes) };
        if off_bytes.checked_add(8).is_none_or(|end| end > target.data.len() as u64) {
            let what = format!("a relocation outside the section's {:#x} bytes", target.data.len());
            return Err(file.malformed(place, what));
        }
        if off_bytes % 8 != 0 {
            return Err(file.malformed(place, "a relocation that is not at a multiple of 8"));
        }
        let symbol = r.r_sym(e) as usize;
        if symbol == 0 || symbol >= symbols {
            return Err(file.malformed(place, format!("a relocation against symbol {symbol} of {symbols}")));
        }
        target.relocs.push(Reloc { off_bytes, kind: r.r_type(e).0, symbol });
    }
    target.relocs.sort_by_key(|r| r.off_bytes);
    if let Some(twice) = target.relocs.windows(2).find(|w| w[0].off_bytes == w[1].off_bytes) {
        let place = Place::Section { name: target.name.into(), off_bytes: Some(twice[0].off_bytes) };
        return Err(file.malformed(place, "two relocations at the same place"));
    }
    Ok(())
}

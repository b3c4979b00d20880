//! The tables of an ELF file: sections, their contents, symbols. What is wrong with one is said with its byte in the file.

use alloc::format;

use ::object::Endianness;
use ::object::elf::{self as consts, FileHeader64, SectionHeader64};
use ::object::read::elf::{FileHeader, SectionHeader, SectionTable, SymbolTable};

use crate::error::{Error, File, Place};

pub(crate) type Table<'a> = SectionTable<'a, FileHeader64<Endianness>>;
pub(crate) type Symbols<'a> = SymbolTable<'a, FileHeader64<Endianness>>;

/// Bytes of a section's header.
const ENTRY: u64 = size_of::<SectionHeader64<Endianness>>() as u64;
/// Where the file's header has what concerns sections.
const E_SHOFF: u64 = 0x28;
const E_SHENTSIZE: u64 = 0x3a;
const E_SHSTRNDX: u64 = 0x3e;

/// The sections' headers, and the section that holds their names.
pub(crate) fn sections<'a>(
    file: &File,
    header: &FileHeader64<Endianness>,
    e: Endianness,
    bytes: &'a [u8],
) -> Result<Table<'a>, Error> {
    let bad = |at: u64, what| file.malformed(Place::File, format!("ELF header, byte {at:#x}: {what}"));
    let (off, count) = (header.e_shoff(e), u64::from(header.e_shnum(e)));
    let (size, names) = (header.e_shentsize(e), u64::from(header.e_shstrndx(e).0));
    if off != 0 {
        if u64::from(size) != ENTRY {
            return Err(bad(
                E_SHENTSIZE,
                format!("e_shentsize is {size}, and a section header has {ENTRY} bytes"),
            ));
        }
        // More than 65,279 are counted in the first section's own header, which has to be there.
        let end = off.saturating_add(count.max(1) * ENTRY);
        if end > bytes.len() as u64 {
            let what = format!(
                "{count} section headers at {off:#x} (e_shoff) lie outside the file of {:#x} bytes: is it cut off?",
                bytes.len()
            );
            return Err(bad(E_SHOFF, what));
        }
        if count != 0 && names >= count && names != u64::from(consts::SHN_XINDEX.0) {
            let what =
                format!("section {names} holds the names (e_shstrndx), and there are {count} sections");
            return Err(bad(E_SHSTRNDX, what));
        }
    }
    header.sections(e, bytes).map_err(|err| match names {
        names if names < count => {
            let at = off + names * ENTRY;
            let what =
                format!("section header at byte {at:#x}, section {names}, which holds the names: {err}");
            file.malformed(Place::File, what)
        }
        _ => bad(E_SHOFF, format!("{err}")),
    })
}

/// A section's bytes.
pub(crate) fn contents<'a>(
    file: &File,
    s: &SectionHeader64<Endianness>,
    e: Endianness,
    bytes: &'a [u8],
    name: &str,
) -> Result<&'a [u8], Error> {
    s.data(e, bytes).map_err(|_| {
        let (off, size) = (s.sh_offset.get(e), s.sh_size.get(e));
        let what =
            format!("its contents {off:#x}+{size:#x} lie outside the file of {:#x} bytes", bytes.len());
        file.malformed(Place::section(name), what)
    })
}

/// Relocations without addends: those of the section named here.
pub(crate) fn relocations<'a>(
    file: &File,
    s: &'a SectionHeader64<Endianness>,
    e: Endianness,
    bytes: &'a [u8],
    name: &str,
) -> Result<&'a [consts::Rel64<Endianness>], Error> {
    let rels = s.rel(e, bytes).map_err(|err| {
        let (off, size) = (s.sh_offset.get(e), s.sh_size.get(e));
        let what = format!("its relocations are bytes {off:#x}+{size:#x} of the file: {err}");
        file.malformed(Place::section(name), what)
    })?;
    Ok(rels.map_or(&[][..], |(rels, _)| rels))
}

/// The symbol table; empty if there is none.
pub(crate) fn symbols<'a>(
    file: &File,
    table: &Table<'a>,
    e: Endianness,
    bytes: &'a [u8],
) -> Result<Symbols<'a>, Error> {
    table.symbols(e, bytes, consts::SHT_SYMTAB).map_err(|err| {
        let index = table.iter().position(|s| s.sh_type(e) == consts::SHT_SYMTAB).unwrap_or(0);
        let place = Place::Section { name: format!("#{index}"), off_bytes: None };
        let at = table
            .iter()
            .nth(index)
            .map_or((0, 0, 0), |s| (s.sh_offset.get(e), s.sh_size.get(e), s.sh_link(e)));
        let what = format!("symbols at byte {:#x}+{:#x}, their names in section {}: {err}", at.0, at.1, at.2);
        file.malformed(place, what)
    })
}

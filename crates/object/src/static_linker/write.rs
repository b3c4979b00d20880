//! What was linked as an ELF file.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ::object::Endianness;
use ::object::elf::{self as consts, FileFlags, OsAbi, SymbolInfo, SymbolSection};
use ::object::write::elf::{FileHeader, Rel, SectionHeader, Sym, Writer};
use skep_btf::{Btf, BtfExt};
use skep_isa::Endian;

use super::{Linker, OutHome};
use crate::error::{Error, Place};

/// A section that is written: its header but for name and place, and its bytes.
struct Content<'a> {
    name: &'a str,
    header: SectionHeader,
    data: &'a [u8],
}

impl Content<'_> {
    /// Nothing is mapped from the file, so great alignments need no padding there.
    fn align_in_file(&self) -> u64 {
        self.header.sh_addralign.clamp(1, 16)
    }
}

pub(super) fn write(linker: &Linker, types: Option<(Btf, BtfExt)>) -> Result<Vec<u8>, Error> {
    let endian = linker.endian.unwrap_or(Endian::NATIVE);
    let (elf_endian, btf_endian) = match endian {
        Endian::Little => (Endianness::Little, skep_btf::Endian::Little),
        Endian::Big => (Endianness::Big, skep_btf::Endian::Big),
    };
    let (btf, ext) = match &types {
        Some((btf, ext)) => (btf.to_bytes(btf_endian), ext.to_bytes(btf_endian)),
        None => (Vec::new(), Vec::new()),
    };
    let has_ext = types.is_some_and(|(_, e)| e != BtfExt::default());
    let contents = contents(linker, &btf, if has_ext { &ext } else { &[] });
    let numbers = numbers(linker);
    let with_relocs: Vec<usize> = (0..linker.sections.len())
        .filter(|&i| linker.sections[i].is_written() && !linker.sections[i].relocs.is_empty())
        .collect();
    let rel_names: Vec<String> =
        with_relocs.iter().map(|&i| format!(".rel{}", linker.sections[i].name)).collect();

    // Local symbols come first.
    let mut order: Vec<usize> = (0..linker.symbols.len()).collect();
    order.sort_by_key(|&i| linker.symbols[i].bind != consts::STB_LOCAL);
    let locals = order.iter().filter(|&&i| linker.symbols[i].bind == consts::STB_LOCAL).count() as u32 + 1;
    let mut symbol_numbers = alloc::vec![0; order.len()];
    for (number, &i) in (1u32..).zip(&order) {
        symbol_numbers[i] = number;
    }

    let mut out = Vec::new();
    let mut w = Writer::new(elf_endian, true, &mut out);
    let unwritable =
        |e: ::object::write::Error| linker.first.malformed(Place::File, format!("the linked file: {e}"));
    // First everything gets its place.
    w.reserve_file_header();
    w.reserve_null_section_index();
    let content_names: Vec<_> = contents.iter().map(|c| w.add_section_name(c.name.as_bytes())).collect();
    let rel_ids: Vec<_> = rel_names.iter().map(|n| w.add_section_name(n.as_bytes())).collect();
    contents.iter().for_each(|_| _ = w.reserve_section_index());
    rel_ids.iter().for_each(|_| _ = w.reserve_section_index());
    w.reserve_symtab_section_index();
    w.reserve_strtab_section_index();
    w.reserve_shstrtab_section_index();
    let names: Vec<_> = order
        .iter()
        .map(|&i| Some(&linker.symbols[i].name).filter(|n| !n.is_empty()).map(|n| w.add_string(n.as_bytes())))
        .collect();
    w.reserve_null_symbol_index();
    order.iter().for_each(|_| _ = w.reserve_symbol_index(None));
    let places: Vec<u64> =
        contents.iter().map(|c| w.reserve(c.data.len() as u64, c.align_in_file())).collect();
    let rel_places: Vec<u64> =
        with_relocs.iter().map(|&i| w.reserve(linker.sections[i].relocs.len() as u64 * 16, 8)).collect();
    w.reserve_symtab();
    w.reserve_strtab().map_err(unwritable)?;
    w.reserve_shstrtab().map_err(unwritable)?;
    w.reserve_section_headers();

    w.write_file_header(&FileHeader {
        os_abi: OsAbi::default(),
        abi_version: 0,
        e_type: consts::ET_REL,
        e_machine: consts::EM_BPF,
        e_entry: 0,
        e_flags: FileFlags::default(),
    })
    .map_err(unwritable)?;
    for c in &contents {
        w.write_align(c.align_in_file());
        w.write(c.data);
    }
    for &i in &with_relocs {
        w.write_align_relocation();
        for r in &linker.sections[i].relocs {
            let rel = Rel { r_offset: r.off, r_sym: symbol_numbers[r.symbol], r_type: r.kind, r_addend: 0 };
            w.write_relocation(false, &rel);
        }
    }
    w.write_null_symbol();
    for (&i, name) in order.iter().zip(&names) {
        let s = &linker.symbols[i];
        let (section, st_shndx) = match s.home {
            OutHome::Section(i) => (Some(numbers[i]), SymbolSection::default()),
            OutHome::Undefined => (None, consts::SHN_UNDEF),
            OutHome::Absolute => (None, consts::SHN_ABS),
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
    for ((c, name), place) in contents.iter().zip(&content_names).zip(&places) {
        let sh_name = w.section_name_offset(Some(*name));
        w.write_section_header(&SectionHeader { sh_name, sh_offset: *place, ..c.header.clone() });
    }
    let symtab = w.symtab_index();
    for ((&i, name), place) in with_relocs.iter().zip(&rel_ids).zip(&rel_places) {
        let s = &linker.sections[i];
        let sh_name = w.section_name_offset(Some(*name));
        w.write_section_header(&SectionHeader {
            sh_name,
            sh_type: consts::SHT_REL,
            sh_flags: s.reloc_flags,
            sh_addr: 0,
            sh_offset: *place,
            sh_size: s.relocs.len() as u64 * 16,
            sh_link: symtab.0,
            sh_info: numbers[i],
            sh_addralign: 8,
            sh_entsize: 16,
        });
    }
    w.write_symtab_section_header(locals);
    w.write_strtab_section_header();
    w.write_shstrtab_section_header();
    Ok(out)
}

/// The number in the file of each linked section.
fn numbers(linker: &Linker) -> Vec<u32> {
    let mut next = 0;
    let number = |written: bool| {
        next += u32::from(written);
        if written { next } else { 0 }
    };
    linker.sections.iter().map(|s| s.is_written()).map(number).collect()
}

fn contents<'a>(linker: &'a Linker, btf: &'a [u8], ext: &'a [u8]) -> Vec<Content<'a>> {
    let header = |kind, flags, size, align, entry_size| SectionHeader {
        sh_name: 0,
        sh_type: kind,
        sh_flags: flags,
        sh_addr: 0,
        sh_offset: 0,
        sh_size: size,
        sh_link: 0,
        sh_info: 0,
        sh_addralign: align,
        sh_entsize: entry_size,
    };
    let linked = linker.sections.iter().filter(|s| s.is_written()).map(|s| Content {
        name: &s.name,
        header: header(s.kind, s.flags, s.size, s.align, s.entry_size),
        data: &s.data,
    });
    let types = [(".BTF", btf), (".BTF.ext", ext)].into_iter().filter(|(_, data)| !data.is_empty());
    let types = types.map(|(name, data)| Content {
        name,
        header: header(consts::SHT_PROGBITS, Default::default(), data.len() as u64, 8, 0),
        data,
    });
    linked.chain(types).collect()
}

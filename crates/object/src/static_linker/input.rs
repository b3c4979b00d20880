//! One file as the static linker takes it: every section, symbol and relocation, all indices checked.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ::object::Endianness;
use ::object::SectionIndex;
use ::object::elf::{self as consts, RelocationType, SectionFlags, SectionType};
use ::object::read::elf::{FileHeader, Rel, SectionHeader, Sym};
use skep_btf::{Btf, BtfExt, FuncLinkage, Kind, Type, TypeId, VarLinkage};
use skep_isa::{Endian, Insn};

use crate::elf::identify;
use crate::error::{Error, File, Place};
use crate::header;

/// Which symbols are referred to: nothing for a program.
const SHT_LLVM_ADDRSIG: SectionType = SectionType(0x6fff_4c03);
/// `R_BPF_64_ABS64` and `R_BPF_64_ABS32`: addresses in data.
const R_ABS64: RelocationType = RelocationType(2);
const R_ABS32: RelocationType = RelocationType(3);

/// Largest alignment of a section that is believed: padding is written out.
const MAX_ALIGN: u64 = 1 << 16;

/// A file to be linked.
pub(super) struct Input<'a> {
    pub(super) file: File,
    pub(super) endian: Endian,
    /// By section number, then those that only BTF has (`.ksyms`, `.kconfig`).
    pub(super) sections: Vec<Section<'a>>,
    /// The first section of each name.
    numbers: BTreeMap<String, usize>,
    /// By symbol number.
    pub(super) symbols: Vec<Symbol<'a>>,
    pub(super) relocs: Vec<Relocs>,
    /// Nothing but `void` if the file has none.
    pub(super) btf: Btf,
    pub(super) ext: BtfExt,
}

/// What the linker does with a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Code, data or zeros: goes into the result.
    Contents,
    /// Only in BTF: it has variables or functions that are elsewhere, and no bytes.
    TypesOnly,
    /// Symbols, strings, relocations, types, and what nobody needs after linking (DWARF).
    Other,
}

pub(super) struct Section<'a> {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) kind: SectionType,
    pub(super) flags: SectionFlags,
    pub(super) align: u64,
    pub(super) entry_size: u64,
    /// Bytes; there are none in `data` for `NOBITS`.
    pub(super) size: u64,
    pub(super) data: &'a [u8],
}

impl Section<'_> {
    pub(super) fn exec(&self) -> bool {
        self.kind == consts::SHT_PROGBITS && self.flags.contains(consts::SHF_EXECINSTR)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Undefined,
    /// Index into [`Input::sections`].
    Section(usize),
    /// No section: the name of the source file.
    Absolute,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    pub(super) bind: consts::SymbolBind,
    pub(super) kind: consts::SymbolType,
    pub(super) other: consts::SymbolOther,
    pub(super) home: Home,
    pub(super) value: u64,
    pub(super) size: u64,
}

/// Relocations of one section.
pub(super) struct Relocs {
    /// Index into [`Input::sections`].
    pub(super) target: usize,
    pub(super) flags: SectionFlags,
    /// Byte in the section, type, symbol.
    pub(super) records: Vec<(u64, RelocationType, usize)>,
}

impl<'a> Input<'a> {
    /// # Errors
    /// When the file is no relocatable eBPF file, damaged, or has what cannot be linked.
    pub(super) fn parse(name: &str, bytes: &'a [u8]) -> Result<Self, Error> {
        let file = File(name.into());
        let header = identify(&file, bytes)?;
        let bad = |e: ::object::read::Error| file.malformed(Place::File, format!("damaged ELF file: {e}"));
        let e = header.endian().map_err(bad)?;
        let table = header::sections(&file, header, e, bytes)?;
        let mut sections = Vec::with_capacity(table.len());
        for (index, s) in table.enumerate() {
            let anonymous = || Place::Section { name: format!("#{}", index.0), off_bytes: None };
            let name = table.section_name(e, s).ok().and_then(|n| core::str::from_utf8(n).ok());
            let name =
                name.ok_or_else(|| file.malformed(anonymous(), "its name is no string of the string table"))?;
            let data = header::contents(&file, s, e, bytes, name)?;
            let section = Section {
                name: name.into(),
                role: Role::Other,
                kind: s.sh_type(e),
                flags: s.sh_flags(e),
                align: s.sh_addralign(e).max(1),
                entry_size: s.sh_entsize(e),
                size: s.sh_size(e),
                data,
            };
            let role = role(&file, &section, index.0)?;
            sections.push(Section { role, ..section });
        }
        let symtab = header::symbols(&file, &table, e, bytes)?;
        if symtab.is_empty() {
            return Err(file.malformed(Place::File, "there is no symbol table; was the file stripped?"));
        }
        let mut symbols = Vec::with_capacity(symtab.len());
        for (index, s) in symtab.enumerate() {
            let name = symtab.symbol_name(e, s).ok().and_then(|n| core::str::from_utf8(n).ok());
            let place = || {
                let text = name.filter(|n| !n.is_empty());
                Place::Symbol { name: text.map_or_else(|| format!("#{}", index.0), Into::into) }
            };
            let Some(text) = name else {
                return Err(file.malformed(place(), "its name is no string of the string table"));
            };
            let home =
                match symtab.symbol_section(e, s, index) {
                    Ok(Some(SectionIndex(i))) if i < table.len() => Home::Section(i),
                    Ok(None) if s.is_undefined(e) => Home::Undefined,
                    Ok(None) if s.st_shndx(e) == consts::SHN_ABS => Home::Absolute,
                    Ok(None) if s.is_common(e) => {
                        return Err(file.unsupported(place(), "a common symbol: compile with -fno-common"));
                    }
                    Ok(None) => {
                        return Err(file
                            .unsupported(place(), format!("its section number is {:#x}", s.st_shndx(e).0)));
                    }
                    Ok(Some(SectionIndex(i))) => {
                        return Err(file
                            .malformed(place(), format!("it is defined in section {i} of {}", table.len())));
                    }
                    Err(err) => return Err(file.malformed(place(), err.to_string())),
                };
            let symbol = Symbol {
                name: text,
                bind: s.st_bind(),
                kind: s.st_type(),
                other: s.st_other(),
                home,
                value: s.st_value(e),
                size: s.st_size(e),
            };
            if let Err((what, unsupported)) = linkable(&symbol, index.0, &sections) {
                let make = if unsupported { File::unsupported } else { File::malformed };
                return Err(make(&file, place(), what));
            }
            symbols.push(symbol);
        }
        let mut relocs = Vec::new();
        for s in table.iter() {
            let kind = s.sh_type(e);
            if kind != consts::SHT_REL && kind != consts::SHT_RELA {
                continue;
            }
            let target = s.sh_info(e) as usize;
            let Some(section) = sections.get(target) else {
                let what = format!("a relocation section is for section {target} of {}", sections.len());
                return Err(file.malformed(Place::File, what));
            };
            if section.role != Role::Contents {
                continue;
            }
            if kind == consts::SHT_RELA {
                let what = "its relocations have addends (RELA); clang writes REL for eBPF";
                return Err(file.unsupported(Place::section(&section.name), what));
            }
            if s.link(e) != symtab.section() {
                let what = "its relocations are for another symbol table than the first";
                return Err(file.malformed(Place::section(&section.name), what));
            }
            let rels = header::relocations(&file, s, e, bytes, &section.name)?;
            let records = records(&file, e, section, rels, symbols.len())?;
            relocs.push(Relocs { target, flags: s.sh_flags(e), records });
        }
        let (btf, ext) = types(&file, &sections)?;
        let endian = if e == Endianness::Little { Endian::Little } else { Endian::Big };
        let mut numbers = BTreeMap::new();
        for (i, s) in sections.iter().enumerate().skip(1) {
            numbers.entry(s.name.clone()).or_insert(i);
        }
        let mut input = Self { file, endian, sections, numbers, symbols, relocs, btf: Btf::default(), ext };
        input.add_types_only(&btf)?;
        input.btf = btf;
        Ok(input)
    }

    /// Sections that only BTF has.
    fn add_types_only(&mut self, btf: &Btf) -> Result<(), Error> {
        for (id, t) in btf.iter_kinds([Kind::Datasec]) {
            let Type::Datasec { name, .. } = t else { continue };
            let name = btf.str(*name);
            if name.is_empty() {
                let what = format!("type {id} is a section without a name");
                return Err(self.file.malformed(Place::section(".BTF"), what));
            }
            if name != EXTERN && self.section(name).is_none() {
                self.numbers.insert(name.into(), self.sections.len());
                self.sections.push(Section {
                    name: name.into(),
                    role: Role::TypesOnly,
                    kind: consts::SHT_NULL,
                    flags: SectionFlags::default(),
                    align: 1,
                    entry_size: 0,
                    size: 0,
                    data: &[],
                });
            }
        }
        Ok(())
    }

    /// The first section of this name.
    pub(super) fn section(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }
}

/// Where symbols find their types: for each name the variable or function that is not static, and its section if it
/// is in one.
pub(super) fn described(btf: &Btf) -> BTreeMap<&str, Described<'_>> {
    let mut out: BTreeMap<&str, Described<'_>> = BTreeMap::new();
    for (id, t) in btf.iter() {
        if is_visible(t) {
            out.entry(btf.str(t.name())).or_default().free = Some(id);
        }
        let Type::Datasec { name, entries, .. } = t else { continue };
        for e in entries {
            let Some(var) = btf.ty(e.ty).filter(|v| is_visible(v)) else { continue };
            let known = out.entry(btf.str(var.name())).or_default();
            known.placed = known.placed.or(Some((e.ty, btf.str(*name))));
        }
    }
    out
}

/// Where BTF has what is in another file.
pub(super) const EXTERN: &str = ".extern";

/// What BTF says of a name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Described<'a> {
    /// The last variable or function of this name that is not static.
    pub(super) free: Option<TypeId>,
    /// The first in a section, and the section's name.
    pub(super) placed: Option<(TypeId, &'a str)>,
}

/// A variable or function that other files see.
pub(super) fn is_visible(t: &Type) -> bool {
    match t {
        Type::Var { linkage, .. } => *linkage != VarLinkage::Static,
        Type::Func { linkage, .. } => *linkage != FuncLinkage::Static,
        _ => false,
    }
}

fn role(file: &File, s: &Section<'_>, index: usize) -> Result<Role, Error> {
    let wrong = |what| Err(file.unsupported(Place::section(&s.name), what));
    let rel_of = s.name.strip_prefix(".rel").unwrap_or("");
    let dwarf = |name: &str| name.starts_with(".debug_");
    if index == 0 || dwarf(&s.name) || dwarf(rel_of) || matches!(rel_of, ".BTF" | ".BTF.ext") {
        return Ok(Role::Other);
    }
    if s.name.is_empty() {
        return Err(
            file.malformed(Place::Section { name: format!("#{index}"), off_bytes: None }, "it has no name")
        );
    }
    match s.kind {
        consts::SHT_STRTAB | consts::SHT_SYMTAB | consts::SHT_REL | consts::SHT_RELA | SHT_LLVM_ADDRSIG => {
            Ok(Role::Other)
        }
        consts::SHT_PROGBITS if matches!(&*s.name, ".BTF" | ".BTF.ext") => Ok(Role::Other),
        // What clang writes where there is no function.
        consts::SHT_PROGBITS if s.name == ".text" && s.size == 0 => Ok(Role::Other),
        consts::SHT_PROGBITS | consts::SHT_NOBITS => {
            if !s.align.is_power_of_two() || s.align > MAX_ALIGN {
                return wrong(format!(
                    "its alignment is {:#x}; powers of two to {MAX_ALIGN:#x} are linked",
                    s.align
                ));
            }
            if s.exec() && !s.size.is_multiple_of(Insn::SIZE as u64) {
                return wrong(format!("{} bytes of code, not a multiple of 8", s.size));
            }
            Ok(Role::Contents)
        }
        kind => wrong(format!("it has type {:#x}, which is neither code nor data", kind.0)),
    }
}

/// Whether a symbol can be linked; why not, and whether the file is right all the same.
fn linkable(s: &Symbol<'_>, index: usize, sections: &[Section<'_>]) -> Result<(), (String, bool)> {
    if index == 0 {
        return Ok(());
    }
    if !matches!(s.bind, consts::STB_LOCAL | consts::STB_GLOBAL | consts::STB_WEAK) {
        return Err((format!("its binding is {}: local, global and weak are linked", s.bind.0), true));
    }
    let visibility = s.other.visibility();
    if !matches!(visibility, consts::STV_DEFAULT | consts::STV_HIDDEN) {
        let what = format!("its visibility is {}: default and hidden are linked, as by libbpf", visibility.0);
        return Err((what, true));
    }
    match s.home {
        Home::Undefined if s.bind == consts::STB_LOCAL => {
            Err(("a local symbol that is not defined".into(), false))
        }
        Home::Section(i) if sections[i].role == Role::Contents || sections[i].size > 0 => {
            let size = sections[i].size;
            match s.value.checked_add(s.size) {
                Some(end) if end <= size => Ok(()),
                _ => {
                    let what = format!(
                        "it covers bytes {:#x}+{:#x} of section \"{}\", which has {size:#x}",
                        s.value, s.size, sections[i].name
                    );
                    Err((what, false))
                }
            }
        }
        Home::Undefined | Home::Section(_) | Home::Absolute => Ok(()),
    }
}

fn records(
    file: &File,
    e: Endianness,
    section: &Section<'_>,
    rels: &[consts::Rel64<Endianness>],
    symbols: usize,
) -> Result<Vec<(u64, RelocationType, usize)>, Error> {
    let mut out = Vec::with_capacity(rels.len());
    for r in rels {
        let off = r.r_offset(e);
        let bad = |what| {
            Err(file.malformed(Place::Section { name: section.name.clone(), off_bytes: Some(off) }, what))
        };
        let kind = r.r_type(e);
        let len = if kind == R_ABS32 { 4 } else { 8 };
        if off.checked_add(len).is_none_or(|end| end > section.data.len() as u64) {
            return bad(format!("a relocation outside the section's {:#x} bytes", section.data.len()));
        }
        let known = [consts::R_BPF_64_64, consts::R_BPF_64_32, R_ABS64, R_ABS32];
        if !known.contains(&kind) {
            return bad(format!("a relocation of type {}, which cannot be linked", kind.0));
        }
        if section.exec() && off % 8 != 0 {
            return bad("a relocation of code that is not at a multiple of 8".into());
        }
        let symbol = r.r_sym(e) as usize;
        if symbol == 0 || symbol >= symbols {
            return bad(format!("a relocation against symbol {symbol} of {symbols}"));
        }
        out.push((off, kind, symbol));
    }
    Ok(out)
}

fn types(file: &File, sections: &[Section<'_>]) -> Result<(Btf, BtfExt), Error> {
    let find = |name: &str| sections.iter().find(|s| s.name == name && s.kind == consts::SHT_PROGBITS);
    let bad = |name: &str, e: skep_btf::Error| file.malformed(Place::section(name), e.to_string());
    match (find(".BTF"), find(".BTF.ext")) {
        (None, None) => Ok((Btf::default(), BtfExt::default())),
        (None, Some(_)) => {
            Err(file.malformed(Place::section(".BTF.ext"), "there is no .BTF that it belongs to"))
        }
        (Some(btf), ext) => {
            let btf = Btf::parse(btf.data).map_err(|e| bad(".BTF", e))?;
            let ext = match ext {
                Some(s) => BtfExt::parse(s.data, &btf).map_err(|e| bad(".BTF.ext", e))?,
                None => BtfExt::default(),
            };
            Ok((btf, ext))
        }
    }
}

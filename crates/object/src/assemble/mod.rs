//! An assembled text as a relocatable file, such as clang writes: code, maps, licence, types, source lines.
//!
//! Programs stand in their sections; what they call stands in `.text`, as static functions, wherever the text has it:
//! libbpf knows no others. A text says nothing of types, so functions return `int`, programs take their type's context,
//! of which only the name is known, and maps have sizes of keys and values.

mod pieces;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::object::elf::{self as consts, SymbolBind, SymbolType};
use skep_btf::{
    Btf, BtfExt, Builder, DatasecEntry, ExtSection, FuncInfo, FuncLinkage, IntEncoding, LineInfo,
};
use skep_btf::{Type, TypeId, VarLinkage};
use skep_isa::text::{Assembly, RelocationKind};
use skep_isa::{Endian, Insn, Reg};
use skep_spec::{Environment, MapDef};

use crate::error::{Error, File, Place};
use crate::image::{Home, Image, Reloc, Section, Symbol};
use pieces::{Piece, pieces};

/// Where code before the first `.section` stands.
const DEFAULT_SECTION: &str = "socket";
const TEXT: &str = ".text";
/// Lines and columns of BTF have 22 and 10 bits.
const LINE_MAX: u32 = (1 << 22) - 1;
const COLUMN_MAX: u32 = (1 << 10) - 1;

/// Writes an assembled text as an object that libbpf, the kernel's loaders and [`Object::parse`](crate::Object::parse)
/// read. `file` and `text` are what source lines refer to; `maps` those that the text declares.
///
/// # Errors
/// A reference that objects do not have (an address in a map's value), a name that BTF does not take, a map or
/// function that is not there.
pub fn assemble(
    file: &str,
    text: &str,
    assembly: &Assembly,
    maps: &[Arc<MapDef>],
    endian: Endian,
) -> Result<Vec<u8>, Error> {
    let file = &File(file.into());
    let mut out = Output {
        file,
        assembly,
        pieces: pieces(file, assembly)?,
        lines: text.lines().collect(),
        endian,
        sections: Vec::new(),
        elf_symbols: Vec::new(),
        btf: Builder::new(),
        ext: BtfExt::default(),
        symbols: BTreeMap::new(),
        places: Vec::new(),
    };
    out.code();
    out.license();
    out.maps(maps)?;
    out.types();
    out.references()?;
    out.finish()
}

struct Output<'a> {
    file: &'a File,
    assembly: &'a Assembly,
    pieces: Vec<Piece<'a>>,
    lines: Vec<&'a str>,
    endian: Endian,
    sections: Vec<Section<'a>>,
    elf_symbols: Vec<Symbol>,
    btf: Builder,
    ext: BtfExt,
    /// Symbols of functions and maps by name.
    symbols: BTreeMap<String, usize>,
    /// Section and first byte of each piece.
    places: Vec<(usize, u64)>,
}

fn is_btf_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.len() < 128 && name.chars().all(legal)
}

impl<'a> Output<'a> {
    fn section(&mut self, name: &str) -> usize {
        let known = self.sections.iter().position(|s| s.name == name);
        known.unwrap_or_else(|| {
            let flags = consts::SHF_ALLOC | consts::SHF_EXECINSTR;
            self.add(Section::new(String::from(name), flags, Insn::SIZE as u64))
        })
    }

    fn add(&mut self, section: Section<'a>) -> usize {
        self.sections.push(section);
        self.sections.len() - 1
    }

    fn symbol(
        &mut self,
        name: &str,
        bind: SymbolBind,
        kind: SymbolType,
        at: (usize, u64),
        size: u64,
    ) -> usize {
        let (section, value) = at;
        let (name, home) = (name.into(), Home::Section(section));
        self.elf_symbols.push(Symbol { name, bind, kind, other: Default::default(), home, value, size });
        self.elf_symbols.len() - 1
    }

    /// Functions into their sections; what they refer to is filled in later.
    fn code(&mut self) {
        let pieces = core::mem::take(&mut self.pieces);
        for p in &pieces {
            let section = match (p.is_program, &*p.of.section) {
                (true, "") => self.section(DEFAULT_SECTION),
                (true, name) => self.section(name),
                (false, _) => self.section(TEXT),
            };
            let endian = self.endian;
            let code = p.of.insns[p.slots.clone()].iter().flat_map(|i| i.to_bytes(endian));
            let out = &mut self.sections[section];
            let start = out.size;
            out.data.to_mut().extend(code);
            out.size = out.data.len() as u64;
            let size = out.size - start;
            let bind = if p.is_program { consts::STB_GLOBAL } else { consts::STB_LOCAL };
            let symbol = self.symbol(&p.name, bind, consts::STT_FUNC, (section, start), size);
            self.symbols.insert(p.name.clone(), symbol);
            self.places.push((section, start));
        }
        self.pieces = pieces;
    }

    fn license(&mut self) {
        let Some(license) = &self.assembly.license else { return };
        let mut data = Vec::from(license.as_bytes());
        data.push(0);
        let size = data.len() as u64;
        let flags = consts::SHF_ALLOC | consts::SHF_WRITE;
        let section = self.add(Section::new("license", flags, 1).holding(data));
        self.symbol("_license", consts::STB_GLOBAL, consts::STT_OBJECT, (section, 0), size);
    }

    /// Maps as libbpf's `SEC(".maps")` has them: a struct of pointers whose types say the numbers.
    fn maps(&mut self, maps: &[Arc<MapDef>]) -> Result<(), Error> {
        if maps.is_empty() {
            return Ok(());
        }
        let section = self.add(Section::new(".maps", consts::SHF_ALLOC | consts::SHF_WRITE, 8));
        let int = self.btf.int("int", 4, IntEncoding::Signed);
        let mut entries = Vec::new();
        let mut off = 0;
        // Declarations are in the order of the text, as `maps` are.
        for (decl, def) in self.assembly.maps.iter().zip(maps) {
            if !is_btf_name(&def.name) {
                return Err(self.file.unsupported(Place::map(&def.name), "the name is none that BTF takes"));
            }
            let attributes = [
                ("type", def.kind.0),
                ("key_size", def.key_size),
                ("value_size", def.value_size),
                ("max_entries", def.max_entries),
                ("map_flags", def.flags.0),
            ];
            let mut members = Vec::new();
            for (name, n) in attributes.into_iter().filter(|&(name, n)| n != 0 || name == "type") {
                let array = self.btf.array(int, int, n);
                let ptr = self.btf.ptr(array);
                members.push((name, ptr, members.len() as u32 * 64));
            }
            let size = members.len() as u32 * 8;
            let ty = self.btf.structure("", size, &members);
            let name = self.btf.name(&def.name);
            let var = self.btf.add(Type::Var { name, ty, linkage: VarLinkage::Global });
            entries.push(DatasecEntry { ty: var, off_bytes: off, size });
            let at = (section, off.into());
            let symbol = self.symbol(&def.name, consts::STB_GLOBAL, consts::STT_OBJECT, at, size.into());
            self.symbols.insert(decl.name.clone(), symbol);
            off += size;
        }
        let out = &mut self.sections[section];
        out.data.to_mut().resize(off as usize, 0);
        out.size = off.into();
        let name = self.btf.name(".maps");
        self.btf.add(Type::Datasec { name, size: off, entries: entries.into() });
        Ok(())
    }

    /// Functions' types, and source lines.
    fn types(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let int = self.btf.int("int", 4, IntEncoding::Signed);
        let linux = Environment::default();
        let mut programs: BTreeMap<&str, TypeId> = BTreeMap::new();
        let other = self.btf.func_proto(int, &[]);
        let file = self.btf.name(&self.file.0);
        let mut funcs: BTreeMap<usize, Vec<FuncInfo>> = BTreeMap::new();
        let mut lines: BTreeMap<usize, Vec<LineInfo>> = BTreeMap::new();
        for (p, &(section, start)) in self.pieces.iter().zip(&self.places) {
            let ty = match p.is_program {
                true => {
                    // The context by its name alone, which is all that the kernel looks at.
                    let row = linux.section(&p.of.section).and_then(|s| linux.program_type(s.prog_type));
                    let name = row.map_or("__sk_buff", |r| r.ctx.name);
                    let proto = *programs.entry(name).or_insert_with(|| {
                        let ctx = match is_btf_name(name) {
                            true => self.btf.structure(name, 0, &[]),
                            false => TypeId::VOID,
                        };
                        let ctx = self.btf.ptr(ctx);
                        self.btf.func_proto(int, &[("ctx", ctx)])
                    });
                    self.btf.func(&p.name, proto, FuncLinkage::Global)
                }
                false => self.btf.func(&p.name, other, FuncLinkage::Static),
            };
            funcs.entry(section).or_default().push(FuncInfo { insn_off_bytes: start as u32, ty });
            let mut last = None;
            for (slot, &line) in p.of.lines[p.slots.clone()].iter().enumerate() {
                if last.replace(line) == Some(line) {
                    continue;
                }
                let whole = self.lines.get((line as usize).saturating_sub(1)).copied().unwrap_or("");
                let column = (whole.len() - whole.trim_start().len()) as u32 + 1;
                let text = self.btf.name(whole.trim_end());
                lines.entry(section).or_default().push(LineInfo {
                    insn_off_bytes: start as u32 + (slot * Insn::SIZE) as u32,
                    file,
                    text,
                    line_col: line.min(LINE_MAX) << 10 | column.min(COLUMN_MAX),
                });
            }
        }
        for (index, records) in funcs {
            let section = self.btf.name(&self.sections[index].name);
            self.ext.func_info.push(ExtSection { section, records });
        }
        for (index, records) in lines {
            let section = self.btf.name(&self.sections[index].name);
            self.ext.line_info.push(ExtSection { section, records });
        }
    }

    /// Relocations, with what libbpf wants to find in the instructions.
    fn references(&mut self) -> Result<(), Error> {
        let pieces = core::mem::take(&mut self.pieces);
        for (p, (section, start)) in pieces.iter().zip(self.places.clone()) {
            let f = p.of;
            for r in &p.references {
                let place = || Place::Function { name: f.name.clone(), insn: Some(r.slot) };
                let line = f.lines.get(r.slot).copied().unwrap_or(0);
                if r.kind == RelocationKind::Kfunc {
                    let what = format!(
                        "line {line}: a call of the kernel's function \"{}\", whose prototype an object must have: write \
                         it in C, or load the text itself",
                        r.name
                    );
                    return Err(self.file.unsupported(place(), what));
                }
                let Some(&symbol) = self.symbols.get(&*r.name) else {
                    let what =
                        format!("line {line}: it refers to \"{}\", which the text does not have", r.name);
                    return Err(self.file.malformed(place(), what));
                };
                let (src, imm, kind, symbol) = match r.kind {
                    RelocationKind::Map => (Reg(0), 0, consts::R_BPF_64_64, symbol),
                    RelocationKind::MapValue | RelocationKind::Kfunc => {
                        let what = format!(
                            "line {line}: an address in the value of map \"{}\": objects have addresses of global data \
                             only; look the value up instead",
                            r.name
                        );
                        return Err(self.file.unsupported(place(), what));
                    }
                    // What is called starts where the symbol does: -1 is the distance from there.
                    RelocationKind::Call => (Reg(1), -1, consts::R_BPF_64_32, symbol),
                    // libbpf takes addresses of static functions from the section's symbol, with the byte in place.
                    RelocationKind::Code => {
                        let byte = self.elf_symbols[symbol].value as i32;
                        (Reg(4), byte, consts::R_BPF_64_64, self.section_symbol(symbol))
                    }
                };
                let off = start + ((r.slot - p.slots.start) * Insn::SIZE) as u64;
                let insn = Insn { src, imm, ..f.insns[r.slot] };
                let endian = self.endian;
                let out = &mut self.sections[section];
                out.data.to_mut()[off as usize..][..Insn::SIZE].copy_from_slice(&insn.to_bytes(endian));
                out.relocs.to_mut().push(Reloc { off, kind, symbol });
            }
        }
        Ok(())
    }

    /// The symbol of the section that a function is in.
    fn section_symbol(&mut self, function: usize) -> usize {
        let home = self.elf_symbols[function].home;
        let own = |s: &Symbol| s.home == home && s.kind == consts::STT_SECTION;
        let known = self.elf_symbols.iter().position(own);
        known.unwrap_or_else(|| {
            let (kind, other) = (consts::STT_SECTION, Default::default());
            let name = String::new();
            self.elf_symbols.push(Symbol {
                name,
                bind: consts::STB_LOCAL,
                kind,
                other,
                home,
                value: 0,
                size: 0,
            });
            self.elf_symbols.len() - 1
        })
    }

    fn finish(self) -> Result<Vec<u8>, Error> {
        let Self { file, endian, mut sections, elf_symbols, btf, ext, .. } = self;
        let btf: Btf = btf.finish().map_err(|e| file.malformed(Place::section(".BTF"), e.to_string()))?;
        let btf_endian = match endian {
            Endian::Little => skep_btf::Endian::Little,
            Endian::Big => skep_btf::Endian::Big,
        };
        for (name, data) in [(".BTF", btf.to_bytes(btf_endian)), (".BTF.ext", ext.to_bytes(btf_endian))] {
            sections.push(Section::new(name, Default::default(), 4).holding(data));
        }
        let image = Image { endian, sections, symbols: &elf_symbols };
        image.write().map_err(|e| file.malformed(Place::File, e.to_string()))
    }
}

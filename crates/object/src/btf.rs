//! The object's BTF, with what the compiler leaves to the linker filled in: sizes of sections, offsets of
//! variables, and functions and variables that are not visible outside (libbpf's `btf_fixup_datasec` and its handling of
//! hidden symbols).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use skep_btf::{Btf, BtfExt, Builder, FuncLinkage, Kind, Type, TypeId, VarLinkage};

use crate::elf::{Elf, Home, SymbolKind};
use crate::error::{Error, File, Place};

/// `.BTF` and `.BTF.ext`, as far as there are any.
pub(crate) fn read(file: &File, elf: &Elf<'_>) -> Result<(Option<Btf>, BtfExt), Error> {
    let Some(section) = elf.section(".BTF") else {
        return Ok((None, BtfExt::default()));
    };
    let bad = |name, e: skep_btf::Error| file.malformed(Place::section(name), e.to_string());
    let btf = Btf::parse(section.data).map_err(|e| bad(".BTF", e))?;
    let ext = match elf.section(".BTF.ext") {
        Some(s) => BtfExt::parse(s.data, &btf).map_err(|e| bad(".BTF.ext", e))?,
        None => BtfExt::default(),
    };
    Ok((Some(fill_in(file, elf, btf)?), ext))
}

fn fill_in(file: &File, elf: &Elf<'_>, btf: Btf) -> Result<Btf, Error> {
    let mut changes: Vec<(TypeId, Type)> = Vec::new();
    let hidden: BTreeSet<&str> = elf
        .symbols
        .iter()
        .filter(|s| s.kind == SymbolKind::Function && s.hidden && !s.local)
        .map(|s| s.name)
        .collect();
    let variables: BTreeMap<(usize, &str), (u64, bool)> = elf
        .symbols
        .iter()
        .filter_map(|s| match (s.kind, s.home) {
            (SymbolKind::Object | SymbolKind::Untyped, Home::Section(i)) => {
                Some(((i, s.name), (s.off_bytes, s.hidden)))
            }
            _ => None,
        })
        .collect();
    for (id, t) in btf.iter_kinds([Kind::Func, Kind::Datasec]) {
        match t {
            Type::Func { name, proto, linkage: FuncLinkage::Global } if hidden.contains(btf.str(*name)) => {
                changes.push((id, Type::Func { name: *name, proto: *proto, linkage: FuncLinkage::Static }));
            }
            Type::Datasec { name, size, entries } => {
                let text = btf.str(*name);
                let Some(index) = elf.sections.iter().position(|s| s.name == text) else {
                    continue; // .ksyms and .kconfig have none
                };
                let bad = |what| file.malformed(Place::section(text), what);
                // Static linkers fill in sizes and offsets, compilers do not.
                let linked = *size != 0;
                let size = match linked {
                    true => *size,
                    false => u32::try_from(elf.sections[index].size)
                        .map_err(|_| bad("it is larger than 4 GiB".into()))?,
                };
                let mut entries = entries.clone();
                for e in &mut entries {
                    // clang writes the offset of static variables in place.
                    let Some(&Type::Var { name, ty, linkage: VarLinkage::Global }) = btf.ty(e.ty) else {
                        continue;
                    };
                    let var = btf.str(name);
                    let Some(&(off, hidden)) = variables.get(&(index, var)) else {
                        return Err(bad(format!(
                            "BTF has a variable \"{var}\" in it, the symbol table has none"
                        )));
                    };
                    if !linked {
                        e.off_bytes = off as u32; // at most `size`: symbols are checked
                    }
                    if hidden {
                        changes.push((e.ty, Type::Var { name, ty, linkage: VarLinkage::Static }));
                    }
                }
                entries.sort_by_key(|e| e.off_bytes);
                changes.push((id, Type::Datasec { name: *name, size, entries }));
            }
            _ => {}
        }
    }
    if changes.is_empty() {
        return Ok(btf);
    }
    let mut b = Builder::from(btf);
    for (id, t) in changes {
        if let Some(slot) = b.ty_mut(id) {
            *slot = t;
        }
    }
    b.finish().map_err(|e| file.malformed(Place::section(".BTF"), e.to_string()))
}

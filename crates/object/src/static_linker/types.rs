//! Types of all files as one set, and what `.BTF.ext` says of instructions.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use skep_btf::dedup::dedup;
use skep_btf::{
    Btf, BtfExt, Builder, CoreRelo, DatasecEntry, ExtSection, FuncInfo, FuncLinkage, Kind, LineInfo, Name,
    Type, TypeId, VarLinkage,
};

use super::input::{EXTERN, Home, Input, Symbol, is_visible};
use super::{Linker, OutSection, Placed};
use crate::error::{Error, Place};

/// Types of a file to those of the result; none for what belongs to sections that were dropped.
type Map = Vec<Option<TypeId>>;

/// Where symbols stand in their sections, by section and name.
type Places<'a> = BTreeMap<(usize, &'a str), u64>;

impl Linker {
    /// Appends the types of the last of [`Linker::files`].
    pub(super) fn append_types(&mut self, input: &Input<'_>, placed: &[Option<Placed>]) -> Result<(), Error> {
        let file = self.files.len() - 1;
        let btf = self.files[file].1.clone();
        let map = self.append_all(input, &btf)?;
        self.take_definitions(file, &btf, &map);
        let place = |s: &Symbol<'_>| match s.home {
            Home::Section(number) => Some((number, s.value)),
            Home::Undefined | Home::Absolute => None,
        };
        let symbols: Places<'_> = input
            .symbols
            .iter()
            .filter_map(|s| place(s).map(|(number, off)| ((number, s.name), off)))
            .collect();
        for (id, t) in btf.iter_kinds([Kind::Datasec]) {
            if let Type::Datasec { name, entries, .. } = t {
                self.append_vars(input, &btf, id, btf.str(*name), entries, placed, &map, &symbols)?;
            }
        }
        self.append_ext(input, &btf, placed, &map)
    }

    /// All types but sections. A variable or function that is known already is not added again.
    fn append_all(&mut self, input: &Input<'_>, btf: &Btf) -> Result<Map, Error> {
        let mut map: Map = vec![None; btf.len()];
        map[0] = Some(TypeId::VOID);
        let mut added = Vec::new();
        for (id, t) in btf.iter() {
            if matches!(t, Type::Datasec { .. }) {
                continue;
            }
            let mut global = None;
            if is_visible(t) {
                // Without a symbol: of a section that was dropped (license).
                let Some(g) = self.globals.get_mut(btf.str(t.name())) else { continue };
                if g.ty != TypeId::VOID {
                    map[id.0 as usize] = Some(g.ty);
                    continue;
                }
                global = Some(g);
            }
            let mut copy = t.clone();
            let types = &mut self.types;
            copy.each_name_mut(|n| *n = types.name(btf.str(*n)));
            let new = types.add(copy);
            map[id.0 as usize] = Some(new);
            added.push((id, new));
            if let Some(g) = global {
                g.ty = new;
            }
        }
        for (id, new) in added {
            let mut missing = None;
            let t = self.types.ty_mut(new).expect("just added");
            t.each_reference_mut(|r| match map[r.0 as usize] {
                Some(new) => *r = new,
                None => missing = Some(*r),
            });
            if let Some(r) = missing {
                let what = format!(
                    "type {id} refers to type {r}, which is a section, or a name without a symbol (or one in a section \
                     that an earlier file has already)"
                );
                return Err(input.file.malformed(Place::section(".BTF"), what));
            }
        }
        Ok(map)
    }

    /// Gives names that this file defines, or declares first, the types that they have here.
    fn take_definitions(&mut self, file: usize, btf: &Btf, map: &Map) {
        for g in self.globals.values_mut().filter(|g| g.refresh) {
            g.refresh = false;
            // What made it refresh made it described here.
            debug_assert_eq!(g.described.0, file);
            let inner = |id: TypeId| map.get(id.0 as usize).copied().flatten();
            match btf.ty(g.described.1) {
                Some(&Type::Var { ty, linkage, .. }) => {
                    let Some(new) = inner(ty) else { continue };
                    if let Some(Type::Var { ty, linkage: old, .. }) = self.types.ty_mut(g.ty) {
                        *ty = new;
                        if linkage == VarLinkage::Global {
                            *old = linkage;
                        }
                    }
                }
                Some(&Type::Func { proto, linkage, .. }) => {
                    let Some(new) = inner(proto) else { continue };
                    let mut old = TypeId::VOID;
                    if let Some(Type::Func { proto, linkage: was, .. }) = self.types.ty_mut(g.ty) {
                        old = core::mem::replace(proto, new);
                        if linkage == FuncLinkage::Global {
                            *was = linkage;
                        }
                    }
                    if old != new {
                        name_parameters(&mut self.types, old, btf, proto);
                    }
                }
                _ => {}
            }
        }
    }

    /// Variables of one section.
    #[allow(clippy::too_many_arguments, reason = "what is known of one section")]
    fn append_vars(
        &mut self,
        input: &Input<'_>,
        btf: &Btf,
        id: TypeId,
        name: &str,
        entries: &[DatasecEntry],
        placed: &[Option<Placed>],
        map: &Map,
        symbols: &Places<'_>,
    ) -> Result<(), Error> {
        let file = self.files.len() - 1;
        if name == EXTERN {
            return Ok(());
        }
        let bad = |what| Err(input.file.malformed(Place::section(name), what));
        let Some(number) = input.section(name) else { return Ok(()) };
        let Some(at) = placed[number] else {
            return bad(format!("type {id} describes it, but it has no data"));
        };
        if at.dropped {
            return Ok(());
        }
        self.sections[at.section].has_types = true;
        for e in entries {
            let var = btf.ty(e.ty).unwrap_or(&Type::Void);
            let var_name = btf.str(var.name());
            let Some(ty) = map[e.ty.0 as usize] else {
                return bad(format!("BTF has \"{var_name}\" in it, which no symbol names"));
            };
            // Compilers leave the offsets of global variables to the symbol table.
            let off = match var {
                Type::Var { linkage: VarLinkage::Global, .. } => match symbols.get(&(number, var_name)) {
                    Some(&off) => off,
                    None => {
                        return bad(format!(
                            "BTF has a variable \"{var_name}\" in it, the symbol table has none"
                        ));
                    }
                },
                _ => e.off_bytes.into(),
            };
            // Sections are linked below 2^31 bytes.
            let entry = DatasecEntry { ty, off_bytes: (at.off + off) as u32, size: e.size };
            if !is_visible(var) {
                self.sections[at.section].vars.push(entry);
                continue;
            }
            let Some(g) = self.globals.get_mut(var_name) else {
                return bad(format!("BTF has \"{var_name}\" in it, which no symbol names"));
            };
            let home = match g.section {
                Some(home) => &*self.sections[home].name,
                None => "",
            };
            let (defined_here, other) = (g.described.0 == file, &self.files[g.described.0].0.0);
            if defined_here && g.section == Some(at.section) {
                // Moved here from where a file before had it.
                if let Some((section, i)) = g.var {
                    self.sections[section].vars[i].ty = TypeId::VOID;
                }
                g.var = Some((at.section, self.sections[at.section].vars.len()));
                self.sections[at.section].vars.push(entry);
            } else if g.section != Some(at.section) && home != name {
                let what =
                    format!("\"{other}\" has \"{var_name}\" in section \"{home}\", this file in \"{name}\"");
                return bad(what);
            }
        }
        Ok(())
    }

    fn append_ext(
        &mut self,
        input: &Input<'_>,
        btf: &Btf,
        placed: &[Option<Placed>],
        map: &Map,
    ) -> Result<(), Error> {
        let find = |name: Name| {
            let name = btf.str(name);
            let at = input.section(name).and_then(|i| Some((placed[i]?, input.sections[i].size)));
            at.ok_or_else(|| {
                let what = format!("it describes section \"{name}\", which has no code");
                input.file.malformed(Place::section(".BTF.ext"), what)
            })
        };
        let moved = |(at, size): (Placed, u64), off: u32| match u64::from(off) < size {
            true => Ok((at.off + u64::from(off)) as u32),
            false => {
                let what = format!("it describes byte {off:#x} of a section of {size:#x} bytes");
                Err(input.file.malformed(Place::section(".BTF.ext"), what))
            }
        };
        let ty = |id: TypeId| {
            map[id.0 as usize].ok_or_else(|| {
                let what = format!("it refers to type {id}, which no symbol names");
                input.file.malformed(Place::section(".BTF.ext"), what)
            })
        };
        for s in &input.ext.func_info {
            let at = find(s.section)?;
            for r in &s.records {
                let record = FuncInfo { insn_off_bytes: moved(at, r.insn_off_bytes)?, ty: ty(r.ty)? };
                self.sections[at.0.section].funcs.push(record);
            }
        }
        for s in &input.ext.line_info {
            let at = find(s.section)?;
            for r in &s.records {
                let record = LineInfo {
                    insn_off_bytes: moved(at, r.insn_off_bytes)?,
                    file: self.types.name(btf.str(r.file)),
                    text: self.types.name(btf.str(r.text)),
                    line_col: r.line_col,
                };
                self.sections[at.0.section].lines.push(record);
            }
        }
        for s in &input.ext.core_relos {
            let at = find(s.section)?;
            for r in &s.records {
                let record = CoreRelo {
                    insn_off_bytes: moved(at, r.insn_off_bytes)?,
                    ty: ty(r.ty)?,
                    access: self.types.name(btf.str(r.access)),
                    kind: r.kind,
                };
                self.sections[at.0.section].core_relos.push(record);
            }
        }
        Ok(())
    }

    /// Sections of variables, and then every type once. Nothing if no file has types.
    pub(super) fn finish_types(&mut self) -> Result<Option<(Btf, BtfExt)>, Error> {
        let mut types = core::mem::take(&mut self.types);
        for s in self.sections.iter_mut().filter(|s| s.has_types) {
            let mut entries = core::mem::take(&mut s.vars);
            entries.retain(|e| e.ty != TypeId::VOID);
            if !s.types_only {
                entries.sort_by_key(|e| e.off_bytes);
            }
            let name = types.name(&s.name);
            // Sections are linked below 2^31 bytes.
            types.add(Type::Datasec { name, size: s.size as u32, entries: entries.into() });
        }
        if types.next_id() == TypeId(1) {
            return Ok(None);
        }
        let mut ext = BtfExt::default();
        for s in &mut self.sections {
            let section = types.name(&s.name);
            keep(&mut ext.func_info, section, core::mem::take(&mut s.funcs));
            keep(&mut ext.line_info, section, core::mem::take(&mut s.lines));
            keep(&mut ext.core_relos, section, core::mem::take(&mut s.core_relos));
        }
        let bad = |e: skep_btf::Error| self.first.malformed(Place::section(".BTF"), together(&e.to_string()));
        let all = types.finish().map_err(bad)?;
        let done = dedup(all, ext.names()).map_err(bad)?;
        ext.remap(&done.map);
        Ok(Some((done.btf, ext)))
    }
}

fn together(what: &str) -> String {
    format!("linked with the other files: {what}")
}

fn keep<T>(out: &mut Vec<ExtSection<T>>, section: Name, records: Vec<T>) {
    if !records.is_empty() {
        out.push(ExtSection { section, records });
    }
}

/// Names parameters of a declared function's prototype as its definition does, so that the two are one type.
fn name_parameters(types: &mut Builder, declared: TypeId, btf: &Btf, defined: TypeId) {
    let Some(Type::FuncProto { params: from, .. }) = btf.ty(defined) else { return };
    let names: Vec<Name> = from.iter().map(|p| types.name(btf.str(p.name))).collect();
    if let Some(Type::FuncProto { params, .. }) = types.ty_mut(declared) {
        for (p, name) in params.iter_mut().zip(names).filter(|(_, n)| !n.is_none()) {
            p.name = name;
        }
    }
}

impl OutSection {
    /// Whether it is in the file that is written.
    pub(super) fn is_written(&self) -> bool {
        !self.types_only
    }
}

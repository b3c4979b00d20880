//! What a file names and does not define: options of the kernel's configuration (`__kconfig`), and the kernel's
//! variables and functions (`__ksym`).
//!
//! | section | type | an instruction gets |
//! |---|---|---|
//! | `.kconfig` | number, text | a byte of the map that holds the values, laid out as libbpf does |
//! | `.ksyms` | `void` | the address, from [`Symbols`] |
//! | `.ksyms` | other | the id of the variable in the target's types |
//! | `.ksyms` | function | the id of the kfunc in the target's types |
//!
//! The target's types are the kernel's; what they do not have may be a module's, whose name stands beside the id. Where
//! the target's types are not given, a function's id is 0: whoever loads the program finds it by its name.
//!
//! Weak ones that are not there are 0; a weak function must not be called then.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType};
use skep_btf::relo::{self, TargetBtf};
use skep_btf::{Btf, Builder, FuncLinkage, IntEncoding, Kind as BtfKind, Name, Type, TypeId, VarLinkage};
use skep_isa::Endian;
use skep_spec::MapDef;

use crate::data::map_name;
use crate::elf::{Elf, Home};
use crate::error::{Error, File, Place};
use crate::kconfig::{self, Kconfig};
use crate::object::Inputs;

/// Where addresses of the kernel's symbols come from: `/proc/kallsyms`, a file, an embedder's own table.
pub trait Symbols {
    /// The address of a symbol.
    fn address(&self, name: &str) -> Option<u64>;
}

impl Symbols for BTreeMap<String, u64> {
    fn address(&self, name: &str) -> Option<u64> {
        self.get(name).copied()
    }
}

/// What an extern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// An option of the kernel's configuration.
    Kconfig,
    /// An address without a type.
    Address,
    /// A variable by its type.
    Variable,
    /// A function: a kfunc.
    Function,
}

/// A name that a file does not define.
#[derive(Clone, Debug)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternKind,
    /// Whether it need not be there.
    pub weak: bool,
    /// Of a kconfig variable: what it holds, first byte, size. Of others: its type, or its prototype.
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Config { kind: kconfig::Kind, off: u32, size: u32 },
    Typed(TypeId),
}

/// All externs of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Externs {
    /// In libbpf's order: configuration by alignment, size and name, then others by name.
    pub(crate) all: Vec<Extern>,
    /// Those that cannot be made sense of.
    bad: BTreeMap<String, Error>,
    /// Bytes of all configuration.
    config_size: u32,
}

/// What an extern is on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A byte of the configuration's map.
    Config(u32),
    /// A number to load: 0 for what is not there.
    Address(u64),
    /// A variable's id, and the module that has it.
    Variable(u32, Option<String>),
    /// A function's id, and the module that has it.
    Function(u32, Option<String>),
    /// A weak function that is not there, with its number among externs.
    NoFunction(u32),
}

fn align_of(btf: &Btf, ty: TypeId) -> u32 {
    match btf.resolved(ty) {
        Type::Array { element, .. } => match btf.resolved(*element) {
            Type::Array { .. } => 1,
            _ => btf.size_of(*element).unwrap_or(1).clamp(1, 8),
        },
        _ => btf.size_of(ty).unwrap_or(1).clamp(1, 8),
    }
}

impl Externs {
    /// Finds them, and lays the configuration out.
    pub(crate) fn find(file: &File, elf: &Elf<'_>, btf: &Btf) -> Self {
        let mut out = Self::default();
        let mut types: BTreeMap<&str, TypeId> = BTreeMap::new();
        let mut homes: BTreeMap<TypeId, &str> = BTreeMap::new();
        for (id, t) in btf.iter_kinds([BtfKind::Var, BtfKind::Func, BtfKind::Datasec]) {
            match t {
                Type::Var { name, linkage: VarLinkage::Extern, .. }
                | Type::Func { name, linkage: FuncLinkage::Extern, .. } => {
                    types.entry(btf.str(*name)).or_insert(id);
                }
                Type::Datasec { name, entries, .. } => {
                    homes.extend(entries.iter().map(|e| (e.ty, btf.str(*name))));
                }
                _ => {}
            }
        }
        let named = |s: &&crate::elf::Symbol<'_>| s.home == Home::Undefined && !s.local && !s.name.is_empty();
        let mut configs: Vec<(u32, u32, &str, bool, kconfig::Kind)> = Vec::new();
        for s in elf.symbols.iter().filter(named) {
            let mut bad = |what: String| {
                let place = Place::Symbol { name: s.name.into() };
                out.bad.insert(s.name.into(), file.unsupported(place, what));
            };
            let Some(&id) = types.get(s.name) else {
                bad("it is not defined in this file, and BTF does not describe it: link the files with `skep link` \
                     first, or declare it with __ksym or __kconfig"
                    .into());
                continue;
            };
            let home = homes.get(&id).copied().unwrap_or("");
            let (kind, shape) = match (home, btf.ty(id)) {
                (".kconfig", Some(&Type::Var { ty, .. })) => {
                    match (kconfig::Kind::of(btf, ty), btf.size_of(ty)) {
                        (Some(kind), Some(size)) if size > 0 => {
                            configs.push((align_of(btf, ty), size, s.name, s.weak, kind));
                        }
                        _ => bad(format!(
                            "type {ty} is none that configuration has values of: bool, enum libbpf_tristate, integers and \
                             char arrays are"
                        )),
                    }
                    continue;
                }
                (".ksyms", Some(&Type::Var { ty, .. })) => match btf.resolved(ty) {
                    Type::Void => (ExternKind::Address, Shape::Typed(TypeId::VOID)),
                    _ => (ExternKind::Variable, Shape::Typed(btf.resolve(ty))),
                },
                (".ksyms", Some(&Type::Func { proto, .. })) => (ExternKind::Function, Shape::Typed(proto)),
                ("" | ".extern", _) => {
                    bad("it is not defined in this file: link it with the one that has it (`skep link`), or declare \
                         it with __ksym or __kconfig"
                        .into());
                    continue;
                }
                _ => {
                    bad(format!("section \"{home}\" is neither .ksyms nor .kconfig"));
                    continue;
                }
            };
            out.all.push(Extern { name: s.name.into(), kind, weak: s.weak, shape });
        }
        out.all.sort_by(|a, b| a.name.cmp(&b.name));
        configs.sort_by_key(|&(align, size, name, ..)| (core::cmp::Reverse(align), size, name));
        let mut laid = Vec::new();
        for (align, size, name, weak, kind) in configs {
            let off = out.config_size.next_multiple_of(align);
            // The sizes of variables that are described in a file of at most 4 GiB.
            out.config_size = off.saturating_add(size);
            let shape = Shape::Config { kind, off, size };
            laid.push(Extern { name: name.into(), kind: ExternKind::Kconfig, weak, shape });
        }
        laid.append(&mut out.all);
        out.all = laid;
        out
    }

    pub(crate) fn needs_target(&self) -> bool {
        self.all.iter().any(|e| matches!(e.kind, ExternKind::Variable | ExternKind::Function))
    }

    /// Types as the kernel takes them: externs are variables and functions that are there (libbpf's
    /// `bpf_object__collect_externs`).
    pub(crate) fn in_btf(&self, file: &File, btf: Btf) -> Result<Btf, Error> {
        if self.all.is_empty() {
            return Ok(btf);
        }
        let find = |name: Name| self.all.iter().find(|e| e.name == btf.str(name));
        let mut changes: Vec<(TypeId, Type)> = Vec::new();
        let mut functions = false;
        let int = btf.iter_kinds([BtfKind::Int]).find_map(|(id, t)| match t {
            Type::Int { size: 4, off_bits: 0, bits: 32, .. } => Some(id),
            _ => None,
        });
        let mut b = Builder::from(btf.clone());
        let int = int.unwrap_or_else(|| b.int("int", 4, IntEncoding::Signed));
        let name = b.name("dummy_ksym");
        let dummy = b.next_id();
        for (id, t) in btf.iter_kinds([BtfKind::Datasec]) {
            let Type::Datasec { name: section, entries, .. } = t else { continue };
            let (section, mut entries, mut size) = (*section, entries.clone(), 0);
            match btf.str(section) {
                ".ksyms" => {
                    for e in &mut entries {
                        match btf.ty(e.ty) {
                            Some(&Type::Var { name, .. }) if find(name).is_some() => {
                                let linkage = VarLinkage::Global;
                                changes.push((e.ty, Type::Var { name, ty: int, linkage }));
                            }
                            Some(&Type::Func { name: func, proto, .. }) if find(func).is_some() => {
                                let linkage = FuncLinkage::Global;
                                changes.push((e.ty, Type::Func { name: func, proto, linkage }));
                                if let Some(Type::FuncProto { ret, params }) = btf.ty(proto) {
                                    let mut params = params.clone();
                                    let unnamed =
                                        |p: &&mut skep_btf::Param| p.ty != TypeId::VOID && p.name.is_none();
                                    params.iter_mut().filter(unnamed).for_each(|p| p.name = name);
                                    changes.push((proto, Type::FuncProto { ret: *ret, params }));
                                }
                                e.ty = dummy;
                                functions = true;
                            }
                            _ => {}
                        }
                        (e.off_bytes, e.size) = (size, 4);
                        size += 4;
                    }
                }
                ".kconfig" => {
                    size = self.config_size;
                    for e in &mut entries {
                        let Some(&Type::Var { name, ty, .. }) = btf.ty(e.ty) else { continue };
                        let Some(Shape::Config { off, size, .. }) = find(name).map(|e| e.shape) else {
                            continue;
                        };
                        (e.off_bytes, e.size) = (off, size);
                        changes.push((e.ty, Type::Var { name, ty, linkage: VarLinkage::Global }));
                    }
                    entries.sort_by_key(|e| e.off_bytes);
                }
                _ => continue,
            }
            changes.push((id, Type::Datasec { name: section, size, entries }));
        }
        if functions {
            b.add(Type::Var { name, ty: int, linkage: VarLinkage::Global });
        }
        for (id, t) in changes {
            if let Some(slot) = b.ty_mut(id) {
                *slot = t;
            }
        }
        b.finish().map_err(|e| file.malformed(Place::section(".BTF"), format!("{e}")))
    }

    /// The map that holds the configuration; `None` if nothing asks for any.
    pub(crate) fn config_map(
        &self,
        file: &File,
        stem: &str,
        endian: Endian,
        btf: Option<&Arc<Btf>>,
        config: Option<&Kconfig>,
    ) -> Option<Result<MapDef, Error>> {
        if self.config_size == 0 {
            return None;
        }
        let name = map_name(stem, ".kconfig");
        let value = self.config(file, &name, endian, config);
        let datasec = btf.and_then(|b| b.find_by_name(Some(BtfKind::Datasec), ".kconfig"));
        Some(value.map(|value| MapDef {
            name,
            kind: MapType::ARRAY,
            key_size: 4,
            value_size: self.config_size,
            max_entries: 1,
            flags: MapFlags(MapFlags::RDONLY_PROG | MapFlags::MMAPABLE),
            btf: btf.filter(|_| datasec.is_some()).cloned(),
            value_btf_id: datasec.map_or(0, |id| id.0),
            initial: Some(value),
            frozen: true,
            ..MapDef::default()
        }))
    }

    fn config(
        &self,
        file: &File,
        map: &str,
        endian: Endian,
        config: Option<&Kconfig>,
    ) -> Result<Vec<u8>, Error> {
        let big = endian == Endian::Big;
        // More than a map's value can hold is refused before it is made.
        if self.config_size >= i32::MAX as u32 / 2 {
            return Err(
                file.malformed(Place::map(map), "the configuration is larger than a map's value can be")
            );
        }
        let mut out = vec![0; self.config_size as usize];
        for e in &self.all {
            let Shape::Config { kind, off, size } = e.shape else { continue };
            let bytes = &mut out[off as usize..][..size as usize];
            let place = || Place::Symbol { name: e.name.clone() };
            let Some(config) = config else {
                let what = "it is a value of the kernel's configuration, and none is given: name a file, such as \
                            /proc/config.gz";
                return Err(file.unsupported(place(), what));
            };
            let done = match (config.special(&e.name), config.get(&e.name)) {
                (Some(n), _) => kconfig::set_number(kind, n, big, bytes),
                (None, Some(value)) if e.name.starts_with("CONFIG_") => kconfig::set(kind, value, big, bytes),
                _ if e.weak => Ok(()),
                _ if e.name.starts_with("CONFIG_") => {
                    Err("the configuration does not have it; if that may be, declare it __weak".into())
                }
                _ => Err(
                    "options begin with CONFIG_, and of LINUX_ there are KERNEL_VERSION, HAS_BPF_COOKIE and \
                          HAS_SYSCALL_WRAPPER"
                        .into(),
                ),
            };
            done.map_err(|what| file.malformed(place(), what))?;
        }
        Ok(out)
    }

    /// What a name stands for on a machine.
    pub(crate) fn resolve(
        &self,
        file: &File,
        btf: &Btf,
        name: &str,
        inputs: &Inputs<'_>,
    ) -> Result<Resolved, Error> {
        let place = || Place::Symbol { name: name.into() };
        let Some((number, e)) = (0..).zip(&self.all).find(|(_, e)| e.name == name) else {
            let unknown = || file.malformed(place(), "it is not defined in this file");
            return Err(self.bad.get(name).cloned().unwrap_or_else(unknown));
        };
        let missing = |what: &str| file.unsupported(place(), what);
        let ty = match e.shape {
            Shape::Config { off, .. } => return Ok(Resolved::Config(off)),
            Shape::Typed(ty) => ty,
        };
        if e.kind == ExternKind::Address {
            return match (inputs.symbols.and_then(|s| s.address(name)), inputs.symbols) {
                (Some(address), _) => Ok(Resolved::Address(address)),
                (None, _) if e.weak => Ok(Resolved::Address(0)),
                (None, Some(_)) => Err(file.malformed(
                    place(),
                    "the kernel has no symbol of this name; if that may be, declare it __weak",
                )),
                (None, None) => Err(missing(
                    "it is an address in the kernel, and no symbols are given: name a file, such as /proc/kallsyms",
                )),
            };
        }
        let (kind, none) = match e.kind {
            ExternKind::Function => (BtfKind::Func, Resolved::NoFunction(number)),
            ExternKind::Kconfig | ExternKind::Address | ExternKind::Variable => {
                (BtfKind::Var, Resolved::Address(0))
            }
        };
        let Some(target) = inputs.target else {
            if e.weak {
                return Ok(none);
            }
            return match kind {
                BtfKind::Func => Ok(Resolved::Function(0, None)),
                _ => Err(missing(
                    "it is a variable of the kernel, and the target's types are not given: name a BTF file",
                )),
            };
        };
        self.in_target(file, btf, e, ty, kind, target, none)
    }

    #[allow(clippy::too_many_arguments, reason = "what is known of one extern")]
    fn in_target(
        &self,
        file: &File,
        btf: &Btf,
        e: &Extern,
        ty: TypeId,
        kind: BtfKind,
        target: &TargetBtf,
        none: Resolved,
    ) -> Result<Resolved, Error> {
        let place = || Place::Symbol { name: e.name.clone() };
        let found = relo::find_symbol(btf, ty, target, kind, &e.name)
            .map_err(|err| file.unsupported(place(), format!("{err}")))?;
        match found {
            relo::Symbol::Missing if e.weak => Ok(none),
            relo::Symbol::Missing => Err(file.malformed(
                place(),
                "the target's types have nothing of this name; if that may be, declare it __weak",
            )),
            // As libbpf does for functions; a variable of another type is never what was meant.
            relo::Symbol::Differs(..) if e.weak && kind == BtfKind::Func => Ok(none),
            relo::Symbol::Differs(id, module) => {
                let whose = module.map_or_else(String::new, |m| format!(" of module {}", m.name));
                let what = format!("it is of another type in the target, where it is type {id}{whose}");
                Err(file.malformed(place(), what))
            }
            relo::Symbol::Found(id, module) => {
                let module = module.map(|m| m.name.clone());
                Ok(match kind {
                    BtfKind::Func => Resolved::Function(id.0, module),
                    _ => Resolved::Variable(id.0, module),
                })
            }
        }
    }
}

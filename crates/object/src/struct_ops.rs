//! Sets of functions that the kernel calls, defined as variables of the kernel's structure:
//!
//! ```text
//! SEC(".struct_ops.link") struct tcp_congestion_ops mine = { .ssthresh = (void *)ssthresh, .name = "mine" };
//! ```
//!
//! Each becomes a map whose value is the target's `struct bpf_struct_ops_NAME`: members are found there by name, numbers
//! are copied, functions are programs in sections `struct_ops`, which learn from it what they are. What the kernel's own
//! types do not have may be a module's. Rules are those of
//! libbpf 1.7 (`init_struct_ops_maps`, `bpf_object__collect_st_ops_relos`, `bpf_map__init_kern_struct_ops`): a member
//! that the target does not have must be zero, a type's flavour (`___x`) does not count.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_btf::relo::{TargetBtf, essential_name};
use skep_btf::{Btf, Kind as BtfKind, Member, Type, TypeId};
use skep_spec::{Environment, MapDef, StructOps};

use crate::elf::{Elf, Home, Section};
use crate::error::{Error, File, Place};
use crate::funcs::Functions;

/// Sections of such variables: name, whether they are attached by links, whether they are created only when asked for.
const SECTIONS: [(&str, bool, bool); 4] = [
    (".struct_ops", false, false),
    (".struct_ops.link", true, false),
    ("?.struct_ops", false, true),
    ("?.struct_ops.link", true, true),
];
/// What the kernel's type of the value is called before the name.
const PREFIX: &str = "bpf_struct_ops_";
/// A target's structures are some hundred bytes; what is larger is a lie.
const MAX_VALUE: u32 = 1 << 20;

/// Whether relocations of a section are wanted.
pub(crate) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(s, ..)| *s == name)
}

/// The member of a structure of the target that a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attach {
    /// Type of the structure.
    pub(crate) type_id: u32,
    /// Index of the member.
    pub(crate) index: u32,
    /// The module that has the structure; `None` for the kernel itself.
    pub(crate) module: Option<String>,
}

/// What maps make of a program.
#[derive(Clone, Debug, Default)]
struct Use {
    attach: Option<Attach>,
    /// Some map that is created by default has it.
    wanted: bool,
    /// Why a map that has it cannot be used.
    why: Option<Error>,
}

/// All such maps in the order of the file, and what programs are by them.
#[derive(Default)]
pub(crate) struct All {
    /// Name, whether it is created by default, and the map.
    pub(crate) maps: Vec<(String, bool, Result<MapDef, Error>)>,
    uses: BTreeMap<usize, Use>,
}

impl All {
    /// Whether a map that is created by default has a function; `None` if no map has it.
    pub(crate) fn wanted(&self, index: usize) -> Option<bool> {
        self.uses.get(&index).map(|u| u.wanted)
    }

    /// What a program is, by its function. `None` if no map has it: then it can be opened and not be loaded.
    ///
    /// # Errors
    /// When no map that has it can be used.
    pub(crate) fn attach(&self, index: usize) -> Result<Option<Attach>, Error> {
        match self.uses.get(&index) {
            Some(Use { attach: None, why: Some(why), .. }) => Err(why.clone()),
            Some(u) => Ok(u.attach.clone()),
            None => Ok(None),
        }
    }
}

/// One variable.
struct Variable<'a> {
    file: &'a File,
    name: &'a str,
    btf: &'a Arc<Btf>,
    /// Name of its structure.
    structure: &'a str,
    type_id: TypeId,
    members: &'a [Member],
    data: &'a [u8],
    /// By index of the member: the function.
    functions: BTreeMap<usize, usize>,
    link: bool,
    optional: bool,
}

/// Finds all variables and what the target makes of them.
///
/// # Errors
/// When BTF does not describe a section of them.
pub(crate) fn find(
    file: &File,
    elf: &Elf<'_>,
    btf: Option<&Arc<Btf>>,
    functions: &Functions,
    env: &Environment,
    target: Option<&TargetBtf>,
) -> Result<All, Error> {
    let mut all = All::default();
    for (index, section) in elf.sections.iter().enumerate().filter(|(_, s)| s.size > 0 && !s.zeroed) {
        let Some(&(_, link, optional)) = SECTIONS.iter().find(|(s, ..)| *s == section.name) else { continue };
        let bad = |what: String| file.malformed(Place::section(section.name), what);
        let Some(btf) = btf else {
            return Err(bad("it is described by BTF, and there is none: compile with -g".into()));
        };
        let Some(Type::Datasec { entries, .. }) =
            btf.find_by_name(Some(BtfKind::Datasec), section.name).and_then(|id| btf.ty(id))
        else {
            return Err(bad("BTF does not describe it (no DATASEC)".into()));
        };
        for r in &section.relocs {
            let inside = |e: &skep_btf::DatasecEntry| {
                let start = u64::from(e.off_bytes);
                start <= r.off_bytes && r.off_bytes < start + u64::from(e.size)
            };
            if !entries.iter().any(inside) {
                let place = Place::Section { name: section.name.into(), off_bytes: Some(r.off_bytes) };
                let what = format!("a reference to \"{}\" that is in no variable", elf.symbol_name(r.symbol));
                return Err(file.malformed(place, what));
            }
        }
        for e in entries {
            let Some(Type::Var { name, ty, .. }) = btf.ty(e.ty) else {
                return Err(bad(format!("type {} in it is not a VAR", e.ty)));
            };
            let name = btf.str(*name);
            let variable =
                Variable::read(file, elf, btf, name, *ty, (section, index, e.off_bytes)).and_then(|v| {
                    Variable { link, optional, ..v }.with_functions(elf, functions, env, section, e.off_bytes)
                });
            let def = match &variable {
                Ok(v) => v.on(target, functions, &mut all.uses),
                Err(e) => Err(e.clone()),
            };
            for &f in variable.iter().flat_map(|v| v.functions.values()) {
                let u = all.uses.entry(f).or_default();
                u.wanted |= !optional;
                if let Err(e) = &def {
                    u.why.get_or_insert_with(|| e.clone());
                }
            }
            all.maps.push((name.into(), !optional, def));
        }
    }
    Ok(all)
}

impl<'a> Variable<'a> {
    fn read(
        file: &'a File,
        elf: &'a Elf<'_>,
        btf: &'a Arc<Btf>,
        name: &'a str,
        ty: TypeId,
        (section, index, off): (&Section<'_>, usize, u32),
    ) -> Result<Self, Error> {
        let bad = |what: String| file.malformed(Place::map(name), what);
        let type_id = btf.resolve(ty);
        let Some(Type::Struct { size, members, .. }) = btf.ty(type_id) else {
            let kind = btf.resolved(ty).kind().name();
            return Err(bad(format!("its type is a {kind}, not a struct of the kernel's functions")));
        };
        let structure = btf.name(type_id).unwrap_or_default();
        if structure.is_empty() {
            return Err(file.unsupported(Place::map(name), "its structure has no name"));
        }
        let end = u64::from(off) + u64::from(*size);
        let Some(data) = elf.sections[index].data.get(off as usize..end as usize) else {
            return Err(bad(format!(
                "it has bytes {off:#x}+{size:#x} of section \"{}\", which has {:#x}",
                section.name, section.size
            )));
        };
        let functions = BTreeMap::new();
        Ok(Self {
            file,
            name,
            btf,
            structure,
            type_id,
            members,
            data,
            functions,
            link: false,
            optional: false,
        })
    }

    #[cold]
    fn bad(&self, what: impl Into<String>) -> Error {
        self.file.malformed(Place::map(self.name), what)
    }

    #[cold]
    fn unsupported(&self, what: impl Into<String>) -> Error {
        self.file.unsupported(Place::map(self.name), what)
    }

    /// What its relocations refer to.
    fn with_functions(
        mut self,
        elf: &Elf<'_>,
        functions: &Functions,
        env: &Environment,
        section: &Section<'_>,
        off: u32,
    ) -> Result<Self, Error> {
        let start = u64::from(off);
        let own = start..start + self.data.len() as u64;
        for r in section.relocs.iter().filter(|r| own.contains(&r.off_bytes)) {
            let at = r.off_bytes - start;
            let Some(index) = self.members.iter().position(|m| u64::from(m.off_bits) == at * 8) else {
                return Err(self.bad(format!("struct {} has no member at byte {at:#x}", self.structure)));
            };
            let member = self.btf.str(self.members[index].name);
            if !is_function(self.btf, self.members[index].ty) {
                let what = format!("member \"{member}\" has a reference, but is no pointer to a function");
                return Err(self.bad(what));
            }
            let symbol = &elf.symbols[r.symbol];
            let slot = symbol.off_bytes.is_multiple_of(8).then_some(symbol.off_bytes as usize / 8);
            let f = match symbol.home {
                Home::Section(s) => slot.and_then(|slot| functions.starting_at(s, slot)),
                Home::Undefined | Home::Other => None,
            };
            let is_ops = |f: &usize| {
                let f = &functions.all[*f];
                let name = elf.sections[f.section].name;
                let row = env.section(name.strip_prefix('?').unwrap_or(name));
                f.global && row.is_some_and(|r| r.prog_type == ProgramType::STRUCT_OPS)
            };
            let Some(f) = f.filter(is_ops) else {
                return Err(self.bad(format!(
                    "member \"{member}\" is \"{}\", which is no program in SEC(\"struct_ops\")",
                    elf.symbol_name(r.symbol)
                )));
            };
            self.functions.insert(index, f);
        }
        Ok(self)
    }

    /// The map for a target; programs learn what they are.
    fn on(
        &self,
        target: Option<&TargetBtf>,
        functions: &Functions,
        uses: &mut BTreeMap<usize, Use>,
    ) -> Result<MapDef, Error> {
        let Some(target) = target else {
            return Err(self.unsupported(
                "it is a set of the kernel's functions (struct_ops), and the target's types are not given: name a BTF file, \
                 such as /sys/kernel/btf/vmlinux",
            ));
        };
        let name = essential_name(self.structure);
        let value_name = format!("{PREFIX}{name}");
        let Some((value_id, kernel, module)) = target.having(BtfKind::Struct, &value_name) else {
            return Err(self.unsupported(format!(
                "the target has no struct {value_name}: it takes no programs for struct {name}"
            )));
        };
        let module = module.map(|m| m.name.clone());
        let Some(type_id) = kernel.find_by_name(Some(BtfKind::Struct), name) else {
            return Err(self.unsupported(format!("the target has no struct {name}")));
        };
        let (Some(Type::Struct { members: parts, size, .. }), Some(Type::Struct { members: theirs, .. })) =
            (kernel.ty(value_id), kernel.ty(type_id))
        else {
            return Err(self.bad(format!("the target's {value_name} is no struct")));
        };
        let Some(part) = parts.iter().find(|p| p.ty == type_id) else {
            return Err(self.bad(format!("the target's struct {value_name} holds no struct {name}")));
        };
        if *size > MAX_VALUE {
            return Err(self.bad(format!("the target's struct {value_name} has {size} bytes")));
        }
        let mut value = vec![0; *size as usize];
        let mut pointers = Vec::new();
        for (index, m) in self.members.iter().enumerate() {
            let copied = self.member(index, m, kernel, theirs)?;
            let (their_index, bytes) = match copied {
                Copied::Nothing => continue,
                Copied::Function(their_index) => (their_index, None),
                Copied::Bytes(their_index, bytes) => (their_index, Some(bytes)),
            };
            let off = (part.off_bits / 8).saturating_add(theirs[their_index].off_bits / 8) as usize;
            let len = bytes.map_or(8, <[u8]>::len);
            let Some(room) = off.checked_add(len).and_then(|end| value.get_mut(off..end)) else {
                let member = self.btf.str(m.name);
                return Err(
                    self.bad(format!("member \"{member}\" lies outside the target's struct {value_name}"))
                );
            };
            if let Some(bytes) = bytes {
                room.copy_from_slice(bytes);
                continue;
            }
            let f = self.functions[&index];
            let what = &functions.all[f].name;
            let is = Attach { type_id: type_id.0, index: their_index as u32, module: module.clone() };
            let known = uses.entry(f).or_default().attach.get_or_insert_with(|| is.clone());
            if *known != is {
                return Err(self.bad(format!(
                    "program \"{what}\" is member {} of type {} in another map, and member {} of type {} here",
                    known.index, known.type_id, is.index, is.type_id
                )));
            }
            pointers.push((off as u32, what.clone()));
        }
        Ok(MapDef {
            name: self.name.into(),
            kind: MapType::STRUCT_OPS,
            key_size: 4,
            value_size: *size,
            max_entries: 1,
            flags: MapFlags(if self.link { MapFlags::LINK } else { 0 }),
            btf: Some(Arc::clone(self.btf)),
            value_btf_id: self.type_id.0,
            initial: Some(value),
            struct_ops: Some(Box::new(StructOps {
                name: name.into(),
                types: module.is_none().then(|| Arc::clone(target.main())),
                module,
                type_id: type_id.0,
                value_type_id: value_id.0,
                link: self.link,
                functions: pointers,
            })),
            optional: self.optional,
            ..MapDef::default()
        })
    }

    /// What becomes of a member.
    fn member(&self, index: usize, m: &Member, kernel: &Btf, theirs: &[Member]) -> Result<Copied<'a>, Error> {
        let name = self.btf.str(m.name);
        let Some(size) = self.btf.size_of(m.ty) else {
            return Err(self.bad(format!("member \"{name}\" has no size")));
        };
        let start = (m.off_bits / 8) as usize;
        let Some(bytes) = start.checked_add(size as usize).and_then(|end| self.data.get(start..end)) else {
            return Err(self.bad(format!("member \"{name}\" lies outside struct {}", self.structure)));
        };
        let zero = bytes.iter().all(|b| *b == 0) && !self.functions.contains_key(&index);
        let Some(their_index) = theirs.iter().position(|t| kernel.str(t.name) == name) else {
            if zero {
                return Ok(Copied::Nothing);
            }
            let what = format!("the target's struct has no member \"{name}\", and it is not zero");
            return Err(self.unsupported(what));
        };
        let their = &theirs[their_index];
        if m.bitfield_bits != 0 || their.bitfield_bits != 0 {
            return Err(self.unsupported(format!("member \"{name}\" is a bit-field")));
        }
        let (ours, kind) = (self.btf.resolved(m.ty).kind(), kernel.resolved(their.ty).kind());
        if ours != kind {
            let what = format!("member \"{name}\" is of kind {}, in the target {}", ours.name(), kind.name());
            return Err(self.unsupported(what));
        }
        if ours == BtfKind::Ptr {
            return match self.functions.contains_key(&index) {
                true if is_function(kernel, their.ty) => Ok(Copied::Function(their_index)),
                true => {
                    Err(self
                        .unsupported(format!("the target's member \"{name}\" is no pointer to a function")))
                }
                false if zero => Ok(Copied::Nothing),
                false => {
                    Err(self.unsupported(format!("member \"{name}\" is a pointer, but not to a program")))
                }
            };
        }
        match kernel.size_of(their.ty) {
            Some(n) if n == size => Ok(Copied::Bytes(their_index, bytes)),
            n => Err(self.unsupported(format!(
                "member \"{name}\" has {size} bytes, in the target {}",
                n.map_or("no size".into(), |n| format!("{n}"))
            ))),
        }
    }
}

/// What becomes of a member, with the index of the target's.
enum Copied<'a> {
    Nothing,
    Function(usize),
    Bytes(usize, &'a [u8]),
}

/// Whether a type is a pointer to a function.
fn is_function(btf: &Btf, ty: TypeId) -> bool {
    match btf.resolved(ty) {
        Type::Ptr { target } => matches!(btf.resolved(*target), Type::FuncProto { .. }),
        _ => false,
    }
}

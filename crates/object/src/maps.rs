//! Maps that the source defines in `.maps`: attributes encoded in the types of a struct's members.
//!
//! ```text
//! struct {
//!     int (*type)[2];             a number: pointer to an array of that many elements,
//!                                 or an enum with that single value
//!     __u32 *key;                 a type: pointer to it
//!     struct inner *values[];     what elements are: maps or programs; always the last member
//! } name SEC(".maps");
//! ```
//!
//! What is right and what is not is as `parse_btf_map_def` and `bpf_object__collect_map_relos` of libbpf 1.7 have it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Btf, DatasecEntry, Kind as BtfKind, Member, Type, TypeId, VarLinkage};
use skep_spec::{MapDef, Pinning};

use crate::elf::{Elf, Section};
use crate::error::{Error, File, Place};
use crate::legacy;

/// `R_BPF_64_ABS64`: a 64-bit address in data.
const R_ABS64: u32 = 2;

/// A map with where it stands in `.maps`.
pub(crate) struct Found {
    pub(crate) name: String,
    /// Byte in the section.
    pub(crate) off_bytes: u64,
    pub(crate) def: Result<MapDef, Error>,
    /// Initialised elements: index and symbol.
    pub(crate) slots: Vec<(u32, usize)>,
}

impl Found {
    pub(crate) fn kind(&self) -> Option<MapType> {
        self.def.as_ref().ok().map(|d| d.kind)
    }
}

/// All maps of the file, in the order in which they stand in it.
///
/// # Errors
/// When there are maps, but nothing that describes them.
pub(crate) fn find(
    file: &File,
    elf: &Elf<'_>,
    btf: Option<&Arc<Btf>>,
    page: u32,
) -> Result<Vec<Found>, Error> {
    if let Some(index) = elf.sections.iter().position(|s| s.name == "maps") {
        return Err(legacy::refuse(file, elf, btf, index));
    }
    let Some(section) = elf.section(".maps").filter(|s| s.size > 0) else { return Ok(Vec::new()) };
    let Some(btf) = btf else {
        let what = "maps are described by BTF, and there is none: compile with -g";
        return Err(file.malformed(Place::section(".maps"), what));
    };
    let Some(Type::Datasec { entries, .. }) =
        btf.find_by_name(Some(BtfKind::Datasec), ".maps").and_then(|id| btf.ty(id))
    else {
        return Err(file.malformed(Place::section(".maps"), "BTF does not describe it (no DATASEC)"));
    };
    let mut maps = Vec::with_capacity(entries.len());
    for e in entries {
        let Some(Type::Var { name, ty, linkage }) = btf.ty(e.ty) else {
            return Err(file.malformed(Place::section(".maps"), format!("type {} in it is not a VAR", e.ty)));
        };
        let name = btf.str(*name);
        if name.is_empty() {
            let what = format!("the map at byte {:#x} has no name", e.off_bytes);
            return Err(file.malformed(Place::section(".maps"), what));
        }
        let scope = Scope { file, btf, name, page };
        let (off_bytes, size) = (u64::from(e.off_bytes), u64::from(e.size));
        if off_bytes + size > section.size {
            let what = format!(
                "BTF has it at bytes {off_bytes:#x}+{size:#x} of section \".maps\", which has {:#x}",
                section.size
            );
            return Err(file.malformed(Place::map(name), what));
        }
        if btf.size_of(*ty).is_none_or(|s| u64::from(s) > size) {
            let what = format!("its variable has {size} bytes, its type {ty} another size");
            return Err(file.malformed(Place::map(name), what));
        }
        let (mut def, mut slots) = match linkage {
            VarLinkage::Global => (scope.define(*ty, true), Vec::new()),
            VarLinkage::Static | VarLinkage::Extern => {
                let what = "a static map: libbpf takes only those that are global variables";
                (Err(file.unsupported(Place::map(name), what)), Vec::new())
            }
        };
        if let Ok((_, values)) = &def {
            match scope.slots(section, off_bytes, size, values.map(u64::from)) {
                Ok(found) => slots = found,
                Err(e) => def = Err(e),
            }
        }
        let def = def.map(|(def, _)| scope.ringbuf_record(def));
        maps.push(Found { name: name.into(), off_bytes, def, slots });
    }
    for r in &section.relocs {
        let inside = |e: &DatasecEntry| {
            let start = u64::from(e.off_bytes);
            start <= r.off_bytes && r.off_bytes + 8 <= start + u64::from(e.size)
        };
        if !entries.iter().any(inside) {
            let place = Place::Section { name: ".maps".into(), off_bytes: Some(r.off_bytes) };
            let what = format!("a reference to \"{}\" that is in no map", elf.symbol_name(r.symbol));
            return Err(file.malformed(place, what));
        }
    }
    Ok(maps)
}

/// One map being read.
struct Scope<'a> {
    file: &'a File,
    btf: &'a Arc<Btf>,
    name: &'a str,
    /// Bytes of a page.
    page: u32,
}

impl Scope<'_> {
    #[cold]
    fn bad(&self, what: impl Into<String>) -> Error {
        self.file.malformed(Place::map(self.name), what)
    }

    /// The definition, and the byte offset of `values` in it.
    fn define(&self, ty: TypeId, outer: bool) -> Result<(MapDef, Option<u32>), Error> {
        let Type::Struct { members, .. } = self.btf.resolved(ty) else {
            let kind = self.btf.resolved(ty).kind().name();
            return Err(self.bad(format!("its type is a {kind}, not a struct of attributes")));
        };
        let mut def = MapDef { name: self.name.into(), btf: Some(self.btf.clone()), ..MapDef::default() };
        let (mut has_type, mut values) = (false, None);
        let mut max_entries = 0;
        for (i, m) in members.iter().enumerate() {
            match self.btf.str(m.name) {
                "type" => {
                    def.kind = MapType(self.number(m)?);
                    has_type = true;
                }
                "max_entries" => max_entries = self.number(m)?,
                "map_flags" => def.flags = MapFlags(self.number(m)?),
                "numa_node" => def.numa_node = self.number(m)?,
                "map_extra" => def.map_extra = self.wide_number(m)?,
                "key_size" => self.agree(m, &mut def.key_size)?,
                "value_size" => self.agree(m, &mut def.value_size)?,
                "key" => (def.key_btf_id, def.key_size) = self.sized(m, def.key_size)?,
                "value" => (def.value_btf_id, def.value_size) = self.sized(m, def.value_size)?,
                "pinning" if !outer => return Err(self.bad("an inner map cannot be pinned")),
                "pinning" => {
                    def.pinning = match self.number(m)? {
                        0 => Pinning::None,
                        1 => Pinning::ByName,
                        n => {
                            return Err(
                                self.bad(format!("pinning is {n}; there is 0 (none) and 1 (by name)"))
                            );
                        }
                    }
                }
                "values" => {
                    if !outer {
                        return Err(self.bad("a map in a map in a map"));
                    }
                    if i + 1 != members.len() {
                        return Err(self.bad("\"values\" must be the last member"));
                    }
                    values = Some(m.off_bits / 8);
                    self.values(m, &mut def)?;
                }
                "" => return Err(self.bad("an attribute without a name")),
                other => {
                    let what =
                        format!("attribute \"{other}\" is unknown: remove it, or write it as libbpf does");
                    return Err(self.file.unsupported(Place::map(self.name), what));
                }
            }
        }
        if !has_type || def.kind == MapType::UNSPEC {
            return Err(self.bad("it has no attribute \"type\""));
        }
        def.set_max_entries(max_entries, self.page);
        Ok((def, values))
    }

    /// A number: `int (*name)[N]`.
    fn number(&self, m: &Member) -> Result<u32, Error> {
        let attr = self.btf.str(m.name);
        let Type::Ptr { target } = self.btf.resolved(m.ty) else {
            let kind = self.btf.resolved(m.ty).kind().name();
            return Err(self.bad(format!("\"{attr}\" is a {kind}: write __uint({attr}, N)")));
        };
        match self.btf.ty(*target) {
            Some(Type::Array { len, .. }) => Ok(*len),
            other => {
                let kind = other.map_or("void", |t| t.kind().name());
                Err(self.bad(format!("\"{attr}\" points to a {kind}: write __uint({attr}, N)")))
            }
        }
    }

    /// A number that may have 64 bits: as [`Self::number`], or an enum with one value.
    fn wide_number(&self, m: &Member) -> Result<u64, Error> {
        let attr = self.btf.str(m.name);
        match self.btf.resolved(m.ty) {
            Type::Ptr { .. } => self.number(m).map(u64::from),
            Type::Enum { values, .. } | Type::Enum64 { values, .. } if values.len() == 1 => {
                Ok(values[0].value.cast_unsigned())
            }
            other => {
                let kind = other.kind().name();
                Err(self
                    .bad(format!("\"{attr}\" is a {kind}: write __uint({attr}, N) or __ulong({attr}, N)")))
            }
        }
    }

    /// A size that may be said twice, but not differently.
    fn agree(&self, m: &Member, size: &mut u32) -> Result<(), Error> {
        let n = self.number(m)?;
        if *size != 0 && *size != n {
            return Err(
                self.bad(format!("\"{}\" is {n}, but the type has {size} bytes", self.btf.str(m.name)))
            );
        }
        *size = n;
        Ok(())
    }

    /// A type and its size.
    fn sized(&self, m: &Member, said: u32) -> Result<(u32, u32), Error> {
        let attr = self.btf.str(m.name);
        let Some(Type::Ptr { target }) = self.btf.ty(m.ty) else {
            return Err(self.bad(format!("\"{attr}\" is not a pointer: write __type({attr}, T)")));
        };
        let Some(size) = self.btf.size_of(*target) else {
            let kind = self.btf.resolved(*target).kind().name();
            return Err(self.bad(format!("\"{attr}\" is a {kind}, which has no size")));
        };
        if said != 0 && said != size {
            return Err(self.bad(format!("\"{attr}\" has {size} bytes, but \"{attr}_size\" is {said}")));
        }
        Ok((target.0, size))
    }

    /// `values`: an array of pointers to maps or programs.
    fn values(&self, m: &Member, def: &mut MapDef) -> Result<(), Error> {
        let wrong = || self.bad("\"values\" is not an array of pointers: write __array(values, T)");
        if !matches!(def.kind, MapType::PROG_ARRAY | MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS) {
            let kind = def.kind.name().map_or_else(|| format!("{}", def.kind.0), Into::into);
            let what = format!(
                "\"values\" in a map of type {kind}: maps of maps and program arrays have them, and \"type\" comes first"
            );
            return Err(self.file.unsupported(Place::map(self.name), what));
        }
        if def.value_size != 0 && def.value_size != 4 {
            return Err(self
                .bad(format!("values are references of 4 bytes, but \"value_size\" is {}", def.value_size)));
        }
        def.value_size = 4;
        let Some(Type::Array { element, len: 0, .. }) = self.btf.ty(m.ty) else { return Err(wrong()) };
        let Type::Ptr { target } = self.btf.resolved(*element) else { return Err(wrong()) };
        match (def.kind, self.btf.resolved(*target)) {
            (MapType::PROG_ARRAY, Type::FuncProto { .. }) => Ok(()),
            (MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS, Type::Struct { .. }) => {
                let name = format!("{}.inner", self.name);
                let (inner, _) = Scope { name: &name, ..*self }.define(*target, false)?;
                def.inner = Some(Box::new(inner));
                Ok(())
            }
            (_, other) => Err(self.bad(format!(
                "\"values\" point to a {}: those of maps of maps are structs of attributes, those of program arrays \
                 functions",
                other.kind().name(),
            ))),
        }
    }

    /// Elements that are initialised: relocations behind the byte where `values` begins.
    fn slots(
        &self,
        section: &Section<'_>,
        start: u64,
        size: u64,
        values: Option<u64>,
    ) -> Result<Vec<(u32, usize)>, Error> {
        let mut slots = Vec::new();
        for r in section.relocs.iter().filter(|r| (start..start + size).contains(&r.off_bytes)) {
            let at = r.off_bytes - start;
            let index = values.and_then(|v| at.checked_sub(v)).filter(|off| off.is_multiple_of(8));
            match index {
                Some(off) if r.kind == R_ABS64 => slots.push(((off / 8) as u32, r.symbol)),
                _ => {
                    let what = format!(
                        "relocation of type {} at byte {at:#x} of its initialiser; expected R_BPF_64_ABS64 (2) in \
                         \"values\"",
                        r.kind
                    );
                    return Err(self.bad(what));
                }
            }
        }
        Ok(slots)
    }

    /// A ring buffer may have no value type; a struct says with a tag `ringbuf:NAME` that it is the records'.
    fn ringbuf_record(&self, mut def: MapDef) -> MapDef {
        if def.kind != MapType::RINGBUF || def.value_btf_id != 0 {
            return def;
        }
        for (_, t) in self.btf.iter_kinds([BtfKind::DeclTag]) {
            if let Type::DeclTag { name, target, component: None, .. } = t
                && self.btf.str(*name).strip_prefix("ringbuf:") == Some(self.name)
            {
                def.value_btf_id = target.0;
                break;
            }
        }
        def
    }
}

//! Maps that the source defines in `.maps`: attributes encoded in the types of a struct's members.
//!
//! ```text
//! struct {
//!     int (*type)[2];             a number: pointer to an array of that many elements,
//!                                 or an enum with that single value
//!     __u32 *key;                 a type: pointer to it
//!     struct inner *values[];     what elements are: maps or programs
//! } name SEC(".maps");
//! ```

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Btf, Kind as BtfKind, Member, Type, TypeId};
use skep_spec::{MapDef, Pinning};

use crate::elf::{Elf, Section};
use crate::error::{Error, File, Place};

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

/// All maps of the file, in the order in which they stand in it.
///
/// # Errors
/// When there are maps, but nothing that describes them.
pub(crate) fn find(file: &File, elf: &Elf<'_>, btf: Option<&Arc<Btf>>) -> Result<Vec<Found>, Error> {
    if let Some(s) = elf.section("maps").filter(|s| s.size > 0) {
        let what = "maps in the legacy form (struct bpf_map_def), which libbpf 1.0 dropped: define them in \
                    SEC(\".maps\"), as `struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, …); … } name SEC(\".maps\");`";
        return Err(file.unsupported(Place::section(s.name), what));
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
        let Some(Type::Var { name, ty, .. }) = btf.ty(e.ty) else {
            return Err(file.malformed(Place::section(".maps"), format!("type {} in it is not a VAR", e.ty)));
        };
        let name = btf.str(*name);
        let scope = Scope { file, btf, name };
        let (off_bytes, size) = (u64::from(e.off_bytes), u64::from(e.size));
        if btf.size_of(*ty).is_none_or(|s| u64::from(s) > size) {
            let what = format!("its variable has {size} bytes, its type {ty} another size");
            return Err(file.malformed(Place::map(name), what));
        }
        let (mut def, mut slots) = (scope.define(*ty, true), Vec::new());
        if let Ok((_, Some(values))) = &def {
            match scope.slots(section, off_bytes + u64::from(*values), off_bytes + size) {
                Ok(found) => slots = found,
                Err(e) => def = Err(e),
            }
        }
        let def = def.map(|(def, _)| scope.ringbuf_record(def));
        maps.push(Found { name: name.into(), off_bytes, def, slots });
    }
    Ok(maps)
}

/// One map being read.
struct Scope<'a> {
    file: &'a File,
    btf: &'a Arc<Btf>,
    name: &'a str,
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
        for m in members {
            match self.btf.str(m.name) {
                "type" => {
                    def.kind = MapType(self.number(m)?);
                    has_type = true;
                }
                "max_entries" => def.max_entries = self.number(m)?,
                "map_flags" => def.flags = MapFlags(self.number(m)?),
                "numa_node" => def.numa_node = self.number(m)?,
                "map_extra" => def.map_extra = self.wide_number(m)?,
                "key_size" => self.agree(m, &mut def.key_size)?,
                "value_size" => self.agree(m, &mut def.value_size)?,
                "key" => (def.key_btf_id, def.key_size) = self.sized(m, def.key_size)?,
                "value" => (def.value_btf_id, def.value_size) = self.sized(m, def.value_size)?,
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
        if !has_type {
            return Err(self.bad("it has no attribute \"type\""));
        }
        if !outer && def.pinning != Pinning::None {
            return Err(self.bad("an inner map cannot be pinned"));
        }
        Ok((def, values))
    }

    /// A number: `int (*name)[N]`, or an enum with one value.
    fn wide_number(&self, m: &Member) -> Result<u64, Error> {
        let attr = self.btf.str(m.name);
        match self.btf.resolved(m.ty) {
            Type::Ptr { target } => match self.btf.resolved(*target) {
                Type::Array { len, .. } => Ok((*len).into()),
                other => Err(self
                    .bad(format!("\"{attr}\" points to a {}: write __uint({attr}, N)", other.kind().name()))),
            },
            Type::Enum { values, .. } | Type::Enum64 { values, .. } if values.len() == 1 => {
                Ok(values[0].value.cast_unsigned())
            }
            other => {
                Err(self.bad(format!("\"{attr}\" is a {}: write __uint({attr}, N)", other.kind().name())))
            }
        }
    }

    fn number(&self, m: &Member) -> Result<u32, Error> {
        let n = self.wide_number(m)?;
        u32::try_from(n)
            .map_err(|_| self.bad(format!("\"{}\" is {n:#x}, more than 32 bits", self.btf.str(m.name))))
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
        let Type::Ptr { target } = self.btf.resolved(m.ty) else {
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
        let Type::Array { element, .. } = self.btf.resolved(m.ty) else { return Err(wrong()) };
        let Type::Ptr { target } = self.btf.resolved(*element) else { return Err(wrong()) };
        if def.value_size != 0 && def.value_size != 4 {
            return Err(self
                .bad(format!("values are references of 4 bytes, but \"value_size\" is {}", def.value_size)));
        }
        def.value_size = 4;
        match (def.kind, self.btf.resolved(*target)) {
            (MapType::PROG_ARRAY, Type::FuncProto { .. }) => Ok(()),
            (MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS, Type::Struct { .. }) => {
                let name = format!("{}.inner", self.name);
                let (inner, _) = Scope { name: &name, ..*self }.define(*target, false)?;
                def.inner = Some(Box::new(inner));
                Ok(())
            }
            (kind, other) => Err(self.bad(format!(
                "\"values\" of type {} in a map of type {}: maps of maps take map structs, program arrays functions \
                 (and \"type\" comes first)",
                other.kind().name(),
                kind.name().map_or_else(|| format!("{}", kind.0), Into::into),
            ))),
        }
    }

    /// Elements that are initialised: relocations between two bytes of the section.
    fn slots(&self, section: &Section<'_>, start: u64, end: u64) -> Result<Vec<(u32, usize)>, Error> {
        let mut slots = Vec::new();
        for r in section.relocs.iter().filter(|r| (start..end).contains(&r.off_bytes)) {
            if r.kind != R_ABS64 || !(r.off_bytes - start).is_multiple_of(8) {
                let what = format!(
                    "relocation of type {} at byte {:#x} of its initialiser",
                    r.kind,
                    r.off_bytes - start
                );
                return Err(self.bad(what));
            }
            slots.push((((r.off_bytes - start) / 8) as u32, r.symbol));
        }
        Ok(slots)
    }

    /// A ring buffer may have no value type; a struct says with a tag `ringbuf:NAME` that it is the records'.
    fn ringbuf_record(&self, mut def: MapDef) -> MapDef {
        if def.kind != MapType::RINGBUF || def.value_btf_id != 0 {
            return def;
        }
        for (_, t) in self.btf.iter() {
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

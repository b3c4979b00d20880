//! A whole object as Rust code.

use std::fmt::Write as _;

use skep_abi::MapType;
use skep_btf::{Btf, Kind, Type, TypeId};
use skep_object::Object;
use skep_spec::MapDef;

use crate::error::Error;
use crate::names::{Unique, camel, item};
use crate::sections::{Section, kconfig, section};
use crate::types::{Types, value_impl};

/// Rust code for an object: a module of the object's name with everything in it, the object's bytes as well.
///
/// # Errors
/// When the bytes are no eBPF object.
pub fn generate(file: &str, bytes: &[u8]) -> Result<String, Error> {
    generate_with(file, bytes, &[])
}

/// As [`generate`], with the types of ring buffers' and perf event arrays' records where the object does not say them:
/// the map's name, and that of a struct, union or typedef.
///
/// # Errors
/// As [`generate`]; names that the object does not have.
pub fn generate_with(file: &str, bytes: &[u8], records: &[(String, String)]) -> Result<String, Error> {
    let object = Object::parse_any_endian(file, bytes).map_err(|e| Error::new(e.to_string()))?;
    let none = Btf::default();
    let btf = object.btf.as_deref().unwrap_or(&none);
    let mut types = Types::new(btf);

    let mut sections: Vec<Section> = Vec::new();
    let mut maps: Vec<(String, String, String, String)> = Vec::new();
    let mut unique = Unique::default();
    for (map, _) in records {
        let is_ring = |m: &&skep_object::Map| m.name == *map && m.def.as_ref().is_ok_and(|d| has_records(d));
        if !object.maps.iter().any(|m| is_ring(&m)) {
            return Err(Error::new(format!("there is no ring buffer or perf event array `{map}`")));
        }
    }
    for m in &object.maps {
        let Ok(def) = &m.def else { continue };
        if let Some(section) = section(btf, def) {
            sections.push(section);
        } else if def.initial.is_none() {
            let (rust, make) = map_type(btf, def, &mut types, records)?;
            maps.push((unique.take(item(&m.name)), m.name.clone(), rust, make));
        }
    }
    if !sections.iter().any(|s| s.name == ".kconfig") {
        sections.extend(kconfig(btf));
    }
    // Names of the module, those of sections first: the object's own gives way.
    let (mut outer, mut methods) = (Unique::default(), Unique::default());
    for taken in ["Maps", "Progs"] {
        outer.take(taken.into());
    }
    for s in &mut sections {
        s.type_name = outer.take(std::mem::take(&mut s.type_name));
        outer.take(format!("{}Before", s.type_name));
        s.method = methods.take(std::mem::take(&mut s.method));
    }
    let name = outer.take(camel(&object.name));
    let loaded_name = outer.take(format!("Loaded{name}"));
    let section_code: String = sections.iter().map(|s| s.code(btf, &mut types)).collect();
    let (mut before, mut live) = (String::new(), String::new());
    for s in &sections {
        let (method, ty) = (&s.method, &s.type_name);
        // Writing to a String cannot fail.
        let _ = write!(
            before,
            "\n    /// Variables of one section.\n    pub fn {method}(&mut self) -> {ty}Before<'_> {{\n        \
             {ty}Before(&mut self.object)\n    }}\n"
        );
        let _ = write!(
            live,
            "\n    /// Variables of one section.\n    pub fn {method}(&self) -> {ty}<'_> {{\n        \
             {ty}(&self.loaded)\n    }}\n"
        );
    }
    let (mut map_fields, mut map_new) = (String::new(), String::new());
    for (field, original, rust, make) in &maps {
        let _ = writeln!(map_fields, "    /// Map `{original}`.\n    pub {field}: {rust},");
        let _ = writeln!(map_new, "            {field}: {make}(loaded, {original:?})?,");
    }
    let (mut prog_fields, mut prog_new) = (String::new(), String::new());
    let mut unique = Unique::default();
    for p in object.programs.iter().filter(|p| p.autoload) {
        let field = unique.take(item(&p.name));
        let section = &p.section;
        let _ = writeln!(
            prog_fields,
            "    /// Program `{}` (`{section}`).\n    pub {field}: ::skep::Program,",
            p.name
        );
        let _ = writeln!(prog_new, "            {field}: skeleton::program(loaded, {:?})?,", p.name);
    }
    let result = |ok: &str| format!("::core::result::Result<{ok}, ::skep::Error>");
    let mut literal = String::new();
    for chunk in bytes.chunks(64) {
        for b in chunk {
            match b {
                // Blanks behind a line break would be left out.
                b' ' => literal.push_str("\\x20"),
                b => literal.extend(std::ascii::escape_default(*b).map(char::from)),
            }
        }
        // A line break that is not part of the literal.
        literal.push_str("\\\n");
    }
    let literal = literal.trim_end_matches("\\\n");
    let short = file.rsplit(['/', '\\']).next().unwrap_or(file);
    Ok(format!(
        r#"// Written by skep-build from {short}: changes are lost.

/// `{short}`: its programs, maps and variables.
#[allow(dead_code, unused_imports, unused_variables, unused_mut, reason = "an object may lack a part, a user may not need it")]
#[allow(non_camel_case_types, non_snake_case, non_upper_case_globals, reason = "names are those of the object")]
#[allow(clippy::all, reason = "lints of a user's project are not for generated code")]
pub mod {module} {{
use ::skep::skeleton;

/// The object.
pub static OBJECT: &[u8] = b"{literal}";

/// `{short}` before it is loaded.
#[derive(Debug)]
pub struct {name} {{
    /// The object.
    pub object: ::skep::Object,
}}

impl {name} {{
    /// Reads the object.
    pub fn open() -> {open} {{
        Self::open_for(&::skep::Target::default())
    }}

    /// Reads the object for a machine whose types CO-RE relocations need.
    pub fn open_for(target: &::skep::Target) -> {open} {{
        let object = ::skep::Object::parse_for({short:?}, OBJECT, target)?;
        ::core::result::Result::Ok(Self {{ object }})
    }}

    /// Creates the maps and loads all programs but those whose section has a `?`.
    pub fn load(self, backend: &::skep::Backend) -> {load} {{
        let loaded = self.object.load(backend)?;
        let (maps, progs) = (Maps::of(&loaded)?, Progs::of(&loaded)?);
        ::core::result::Result::Ok({loaded_name} {{ loaded, maps, progs }})
    }}
{before}}}

/// `{short}` in a backend. Dropping it releases what nobody else holds.
#[derive(Debug)]
pub struct {loaded_name} {{
    /// All of it, by name.
    pub loaded: ::skep::Loaded,
    /// Its maps.
    pub maps: Maps,
    /// Its programs.
    pub progs: Progs,
}}

impl {loaded_name} {{{live}}}

/// Maps with the types of their keys and values, as far as the object says them.
#[derive(Debug)]
pub struct Maps {{
{map_fields}}}

impl Maps {{
    fn of(loaded: &::skep::Loaded) -> {own} {{
        ::core::result::Result::Ok(Self {{
{map_new}        }})
    }}
}}

/// Programs.
#[derive(Debug)]
pub struct Progs {{
{prog_fields}}}

impl Progs {{
    fn of(loaded: &::skep::Loaded) -> {own} {{
        ::core::result::Result::Ok(Self {{
{prog_new}        }})
    }}
}}

{section_code}/// Types of keys, values and variables.
pub mod types {{
use super::types;
use ::skep::skeleton;

{types}}}
}}
"#,
        module = item(&object.name),
        open = result("Self"),
        own = result("Self"),
        load = result(&loaded_name),
        types = types.finish(),
    ))
}

/// The type of a map's field, and the function that makes it.
fn map_type(
    btf: &Btf,
    def: &MapDef,
    types: &mut Types<'_>,
    records: &[(String, String)],
) -> Result<(String, String), Error> {
    if has_records(def) {
        let untyped = ("::skep::Map".into(), "skeleton::map".into());
        let Some(ty) = record(btf, def, records)? else { return Ok(untyped) };
        let size = btf.size_of(ty).unwrap_or(0);
        let record = part(btf, def, types, "record", ty.0, size);
        return Ok((format!("skeleton::Records<{record}>"), "skeleton::Records::of".into()));
    }
    let typed = [
        MapType::ARRAY,
        MapType::HASH,
        MapType::PERCPU_ARRAY,
        MapType::PERCPU_HASH,
        MapType::LRU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::LPM_TRIE,
    ];
    let value = part(btf, def, types, "value", def.value_btf_id, def.value_size);
    if !typed.contains(&def.kind) {
        // The types of what others put into it.
        return Ok(("::skep::Map".into(), "skeleton::map".into()));
    }
    let key = part(btf, def, types, "key", def.key_btf_id, def.key_size);
    Ok((format!("skeleton::TypedMap<{key}, {value}>"), "skeleton::TypedMap::of".into()))
}

/// Whether programs write records into a map.
fn has_records(def: &MapDef) -> bool {
    matches!(def.kind, MapType::RINGBUF | MapType::PERF_EVENT_ARRAY)
}

/// The type of a map's records: what was said, else the map's own value type, else the struct with the tag
/// `ringbuf:MAP`.
fn record(btf: &Btf, def: &MapDef, records: &[(String, String)]) -> Result<Option<TypeId>, Error> {
    if let Some((_, name)) = records.iter().find(|(map, _)| *map == def.name) {
        let plain = ["struct ", "union "].iter().find_map(|w| name.strip_prefix(w)).unwrap_or(name);
        let kinds = [Kind::Struct, Kind::Union, Kind::Typedef];
        let found = kinds.iter().find_map(|k| btf.find_by_name(Some(*k), plain));
        let found = found.filter(|id| btf.size_of(*id).is_some());
        return found
            .map(Some)
            .ok_or_else(|| Error::new(format!("map `{}`: there is no type `{name}`", def.name)));
    }
    // The value of a perf event array is a descriptor, whatever its records are.
    if def.kind == MapType::RINGBUF && btf.size_of(TypeId(def.value_btf_id)).is_some() {
        return Ok(Some(TypeId(def.value_btf_id)));
    }
    let wanted = format!("ringbuf:{}", def.name);
    let tagged = btf.iter().find_map(|(_, t)| match t {
        Type::DeclTag { name, target, .. } if btf.str(*name) == wanted => Some(*target),
        _ => None,
    });
    Ok(tagged.filter(|id| btf.size_of(*id).is_some()))
}

/// A key's or value's type.
fn part(btf: &Btf, def: &MapDef, types: &mut Types<'_>, what: &str, id: u32, size: u32) -> String {
    let ty = TypeId(id);
    let known = id != 0 && btf.size_of(ty) == Some(size);
    let hint = format!("{}_{what}", def.name);
    let rust = if known { types.rust(ty, &hint) } else { None };
    let Some(rust) = rust else { return format!("[u8; {size}]") };
    let bytes = rust.starts_with("[u8; ") && !rust[5..].contains(';');
    if !matches!(btf.resolved(ty), Type::Array { .. }) || bytes {
        return rust;
    }
    // Arrays are no keys or values by themselves.
    let name = types.reserve(&hint);
    let (read, write) = (types.read(ty, "at", 0), types.write(ty, "self.0", "at", 0));
    types.push(&format!(
        "/// A {what} of `{map}`.\n#[derive(Clone, Copy, Debug, PartialEq)]\npub struct {name}(pub {rust});\n\n\
         impl {name} {{\n    /// Bytes.\n    pub const SIZE: usize = {size};\n\n    \
         pub(super) fn read(b: &[u8], at: usize) -> Self {{\n        Self({read})\n    }}\n\n    \
         pub(super) fn write(&self, b: &mut [u8], at: usize) {{\n        {write}\n    }}\n}}\n\n{value}",
        map = def.name,
        value = value_impl(&name),
    ));
    format!("types::{name}")
}

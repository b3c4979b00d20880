//! Maps as before libbpf 1.0: `struct bpf_map_def` in section `maps`. They are refused as libbpf refuses them, and the
//! refusal shows each of them as it would be written today.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use skep_abi::MapType;
use skep_btf::{Btf, Kind as BtfKind, Type, TypeId};
use skep_isa::Endian;

use crate::elf::{Elf, Home, SymbolKind};
use crate::error::{Error, File, Place};

/// Fields of `struct bpf_map_def`, all `unsigned int`; iproute2's `struct bpf_elf_map` begins with the same.
const FIELDS: [&str; 5] = ["type", "key_size", "value_size", "max_entries", "map_flags"];
/// Most maps that are shown: a hint is to be read.
const MAX_SHOWN: usize = 64;

/// Why the file cannot be used, with its maps to paste.
#[cold]
pub(crate) fn refuse(
    file: &File,
    elf: &Elf<'_>,
    btf: Option<&impl core::ops::Deref<Target = Btf>>,
    index: usize,
) -> Error {
    let section = &elf.sections[index];
    let mut what = String::from(
        "legacy map definitions (struct bpf_map_def) are not supported, as since libbpf 1.0: define maps in \
         SEC(\".maps\")",
    );
    let mut maps: alloc::vec::Vec<_> = elf
        .symbols
        .iter()
        .filter(|s| s.home == Home::Section(index) && !s.name.is_empty())
        .filter(|s| matches!(s.kind, SymbolKind::Object | SymbolKind::Untyped))
        .filter_map(|s| Some((s, fields(section.data, s.off_bytes, s.size, elf.endian)?)))
        .collect();
    maps.sort_by_key(|(s, _)| s.off_bytes);
    if !maps.is_empty() {
        what += ". Here:\n";
    }
    for (s, fields) in maps.iter().take(MAX_SHOWN) {
        what += "\n";
        what += &definition(s.name, *fields, btf.map(|b| &**b));
    }
    if maps.len() > MAX_SHOWN {
        // Writing to a string does not fail.
        _ = write!(what, "\n/* and {} more */\n", maps.len() - MAX_SHOWN);
    }
    file.unsupported(Place::section(section.name), what)
}

/// Numbers of a definition; what it is too short for is 0, but type and sizes have to be there.
fn fields(data: &[u8], off: u64, size: u64, endian: Endian) -> Option<[u32; 5]> {
    let bytes = data.get(usize::try_from(off).ok()?..)?;
    let bytes = if size == 0 { bytes } else { bytes.get(..usize::try_from(size).ok()?)? };
    let (words, _) = bytes.as_chunks::<4>();
    if words.len() < 4 {
        return None;
    }
    let mut out = [0; 5];
    for (o, w) in out.iter_mut().zip(words) {
        *o = match endian {
            Endian::Little => u32::from_le_bytes(*w),
            Endian::Big => u32::from_be_bytes(*w),
        };
    }
    Some(out)
}

fn definition(name: &str, fields: [u32; 5], btf: Option<&Btf>) -> String {
    let types = btf.and_then(|b| annotated(b, name));
    let mut out = String::from("struct {\n");
    for (field, n) in FIELDS.into_iter().zip(fields) {
        // Writing to a string does not fail.
        _ = match (field, MapType(n).name(), &types) {
            ("type", Some(kind), _) => {
                writeln!(out, "\t__uint(type, BPF_MAP_TYPE_{});", kind.to_ascii_uppercase())
            }
            ("key_size", _, Some((key, _))) => writeln!(out, "\t__type(key, {key});"),
            ("value_size", _, Some((_, value))) => writeln!(out, "\t__type(value, {value});"),
            ("map_flags", ..) if n == 0 => Ok(()),
            ("map_flags", ..) => writeln!(out, "\t__uint(map_flags, {n:#x});"),
            _ => writeln!(out, "\t__uint({field}, {n});"),
        };
    }
    out + &format!("}} {name} SEC(\".maps\");\n")
}

/// Types that `BPF_ANNOTATE_KV_PAIR` gave a map: members of `struct ____btf_map_NAME`.
fn annotated(btf: &Btf, map: &str) -> Option<(String, String)> {
    let id = btf.find_by_name(Some(BtfKind::Struct), &format!("____btf_map_{map}"))?;
    let Some(Type::Struct { members, .. }) = btf.ty(id) else { return None };
    let [key, value] = &members[..] else { return None };
    Some((spelled(btf, key.ty)?, spelled(btf, value.ty)?))
}

/// A type that has a name.
fn spelled(btf: &Btf, ty: TypeId) -> Option<String> {
    let name = btf.name(ty).filter(|n| !n.is_empty())?;
    match btf.ty(ty)? {
        Type::Int { .. } | Type::Typedef { .. } => Some(name.into()),
        Type::Struct { .. } => Some(format!("struct {name}")),
        Type::Union { .. } => Some(format!("union {name}")),
        Type::Enum { .. } | Type::Enum64 { .. } => Some(format!("enum {name}")),
        _ => None,
    }
}

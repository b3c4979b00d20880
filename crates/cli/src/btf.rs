//! `skep btf`: types, with bpftool's words.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};
use skep::btf::{Btf, FuncLinkage, IntEncoding, Kind, Name, Type, TypeId, VarLinkage, dump as c};

use crate::args::{BtfDumpArgs, BtfMinArgs};
use crate::failure::Failure;
use crate::out;

/// How types are printed, and which.
struct Words {
    c: bool,
    roots: Vec<TypeId>,
}

fn take(words: &[String]) -> Result<Words, Failure> {
    let mut out = Words { c: false, roots: Vec::new() };
    for pair in words.chunks(2) {
        let value =
            pair.get(1).ok_or_else(|| Failure::usage(format!("`{}` wants a value behind it", pair[0])))?;
        match (pair[0].as_str(), value.as_str()) {
            ("format", "c") => out.c = true,
            ("format", "raw") => out.c = false,
            ("format", other) => {
                return Err(Failure::usage(format!("`{other}` is no format: c and raw are")));
            }
            ("root_id", n) => match n.parse() {
                Ok(n) => out.roots.push(TypeId(n)),
                Err(e) => return Err(Failure::usage(format!("`{n}` is no type id: {e}"))),
            },
            (other, _) => {
                return Err(Failure::usage(format!(
                    "`{other}` is no word of `btf dump`: format and root_id are"
                )));
            }
        }
    }
    Ok(out)
}

/// Runs `skep btf dump file`.
pub fn dump(args: &BtfDumpArgs) -> Result<(), Failure> {
    let words = take(&args.words)?;
    let json = args.json || args.pretty;
    if words.c && json {
        return Err(Failure::usage("C and JSON do not go together: leave -j or `format c` out"));
    }
    let base = match &args.base_btf {
        Some(path) => Some(skep::read_btf(path, None)?.into()),
        None => None,
    };
    let btf = skep::read_btf(&args.file, base.as_ref())?;
    if let Some(id) = words.roots.iter().find(|id| btf.ty(**id).is_none()) {
        return Err(Failure::usage(format!(
            "`{}` has no type {id}: it has {}",
            args.file.display(),
            btf.len()
        )));
    }
    if words.c {
        let text = match &words.roots[..] {
            [] => c::to_c(&btf),
            roots => c::types_to_c(&btf, roots.iter().copied()),
        };
        let text = text.map_err(|e| Failure::failed(format!("`{}`: {e}", args.file.display())))?;
        return out::write(text.as_bytes());
    }
    let types: Vec<(TypeId, &Type)> = match &words.roots[..] {
        [] => btf.iter_own().collect(),
        roots => roots.iter().filter_map(|id| Some((*id, btf.ty(*id)?))).collect(),
    };
    let rows = types.iter().map(|(id, t)| row(&btf, *id, t));
    if json {
        let all = json!({ "types": rows.map(Json::Object).collect::<Vec<_>>() });
        let text = if args.pretty { serde_json::to_string_pretty(&all) } else { serde_json::to_string(&all) };
        return out::line(&text.map_err(|e| Failure::failed(e.to_string()))?);
    }
    let mut text = String::new();
    for (r, (_, t)) in rows.zip(&types) {
        print(&mut text, &btf, &r, t);
    }
    out::write(text.as_bytes())
}

/// Runs `skep btf min`.
pub fn minimal(args: &BtfMinArgs) -> Result<(), Failure> {
    let source = args.btf.as_deref().unwrap_or("/sys/kernel/btf/vmlinux".as_ref());
    let types = skep::minimal_btf(&args.files, &skep::read_btf(source, None)?)?;
    let bytes = types.to_bytes(skep::btf::Endian::NATIVE);
    std::fs::write(&args.output, bytes).map_err(|e| Failure::file("write", &args.output, &e))
}

fn name(btf: &Btf, name: Name) -> &str {
    if name.is_none() { "(anon)" } else { btf.str(name) }
}

/// A type by bpftool's keys.
fn row(btf: &Btf, id: TypeId, t: &Type) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("id".into(), id.0.into());
    out.insert("kind".into(), t.kind().name().into());
    out.insert("name".into(), name(btf, t.name()).into());
    let mut put = |key: &str, value: Json| {
        out.insert(key.into(), value);
    };
    match t {
        Type::Void => {}
        Type::Int { size, encoding, off_bits, bits, .. } => {
            put("size", (*size).into());
            put("bits_offset", (*off_bits).into());
            put("nr_bits", (*bits).into());
            let word = match encoding {
                IntEncoding::Unsigned => "(none)",
                IntEncoding::Signed => "SIGNED",
                IntEncoding::Char => "CHAR",
                IntEncoding::Bool => "BOOL",
            };
            put("encoding", word.into());
        }
        Type::Ptr { target }
        | Type::Typedef { target, .. }
        | Type::Volatile { target }
        | Type::Const { target }
        | Type::Restrict { target }
        | Type::TypeTag { target, .. } => put("type_id", target.0.into()),
        Type::Array { element, index, len } => {
            put("type_id", element.0.into());
            put("index_type_id", index.0.into());
            put("nr_elems", (*len).into());
        }
        Type::Struct { size, members, .. } | Type::Union { size, members, .. } => {
            put("size", (*size).into());
            put("vlen", members.len().into());
            let member = |m: &skep::btf::Member| {
                let mut row =
                    json!({ "name": name(btf, m.name), "type_id": m.ty.0, "bits_offset": m.off_bits });
                if m.bitfield_bits != 0 {
                    row["bitfield_size"] = m.bitfield_bits.into();
                }
                row
            };
            put("members", members.iter().map(member).collect());
        }
        Type::Enum { size, signed, values, .. } | Type::Enum64 { size, signed, values, .. } => {
            put("encoding", if *signed { "SIGNED" } else { "UNSIGNED" }.into());
            put("size", (*size).into());
            put("vlen", values.len().into());
            let value = |v: i64| if *signed { Json::from(v) } else { v.cast_unsigned().into() };
            let values = values.iter().map(|v| json!({ "name": name(btf, v.name), "val": value(v.value) }));
            put("values", values.collect());
        }
        Type::Fwd { is_union, .. } => put("fwd_kind", if *is_union { "union" } else { "struct" }.into()),
        Type::Func { proto, linkage, .. } => {
            put("type_id", proto.0.into());
            let word = match linkage {
                FuncLinkage::Static => "static",
                FuncLinkage::Global => "global",
                FuncLinkage::Extern => "extern",
            };
            put("linkage", word.into());
        }
        Type::FuncProto { ret, params } => {
            put("ret_type_id", ret.0.into());
            put("vlen", params.len().into());
            let param = |p: &skep::btf::Param| json!({ "name": name(btf, p.name), "type_id": p.ty.0 });
            put("params", params.iter().map(param).collect());
        }
        Type::Var { ty, linkage, .. } => {
            put("type_id", ty.0.into());
            let word = match linkage {
                VarLinkage::Static => "static",
                VarLinkage::Global => "global",
                VarLinkage::Extern => "extern",
            };
            put("linkage", word.into());
        }
        Type::Datasec { size, entries, .. } => {
            put("size", (*size).into());
            put("vlen", entries.len().into());
            let vars =
                entries.iter().map(|e| json!({ "type_id": e.ty.0, "offset": e.off_bytes, "size": e.size }));
            put("vars", vars.collect());
        }
        Type::Float { size, .. } => put("size", (*size).into()),
        Type::DeclTag { target, component, .. } => {
            put("type_id", target.0.into());
            put("component_idx", component.map_or(-1, i64::from).into());
        }
    }
    out
}

/// The row as lines of text.
fn print(out: &mut String, btf: &Btf, row: &Map<String, Json>, t: &Type) {
    let plain = |v: &Json| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let get = |key: &str| row.get(key).map_or_else(String::new, plain);
    // Writing to a String cannot fail.
    let _ = write!(out, "[{}] {} '{}'", get("id"), get("kind"), get("name"));
    let mut parts: &[Json] = &[];
    for (key, value) in row.iter().skip(3) {
        match value {
            Json::Array(values) => parts = values,
            value => {
                let comma = if t.kind() == Kind::Var && key == "linkage" { "," } else { "" };
                let _ = write!(out, "{comma} {key}={}", plain(value));
            }
        }
    }
    out.push('\n');
    for part in parts {
        let mut line = String::new();
        for (key, value) in part.as_object().into_iter().flatten() {
            let blank = if line.is_empty() { "" } else { " " };
            let _ = match (key.as_str(), t) {
                ("name", _) => write!(line, "{blank}'{}'", plain(value)),
                ("val", Type::Enum64 { signed, .. }) => {
                    write!(line, "{blank}val={}{}", plain(value), if *signed { "LL" } else { "ULL" })
                }
                _ => write!(line, "{blank}{key}={}", plain(value)),
            };
        }
        if let Type::Datasec { .. } = t
            && let Some(id) = part["type_id"].as_u64().and_then(|id| u32::try_from(id).ok()).map(TypeId)
        {
            let kind = btf.ty(id).map_or("VOID", |t| t.kind().name());
            let _ = write!(line, " ({kind} '{}')", btf.name(id).unwrap_or("(anon)"));
        }
        let _ = writeln!(out, "\t{line}");
    }
}

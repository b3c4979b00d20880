//! `skep map dump`: the elements of an object's maps, in bpftool's shape.

use std::path::Path;

use serde_json::{Value as Json, json};
use skep::{Elements, Map, Runner};

use crate::args::MapDumpArgs;
use crate::failure::Failure;
use crate::run::{self, choose_backend};
use crate::values::{Shape, element_json};
use crate::{diagnostic, out, text};

/// Runs `skep map dump`.
pub fn dump(args: &MapDumpArgs) -> Result<(), Failure> {
    if args.file == Path::new("pinned")
        && let Some(path) = &args.map
    {
        return dump_pinned(path, args);
    }
    let object = args.maps.open(&args.file, &args.target)?;
    for problem in object.problems() {
        diagnostic::warning(&problem.to_string());
    }
    if let Some(name) = &args.map
        && !object.maps().iter().any(|m| m.name == *name)
    {
        let names: Vec<&str> = object.maps().iter().map(|m| m.name.as_str()).collect();
        return Err(Failure::usage(format!("`{object}` has no map `{name}`; it has {}", names.join(", "))));
    }
    let backend = choose_backend(args.linux, args.maps.pin_root.as_deref(), args.engine.choice())?;
    let loaded = match &args.on {
        None => object.create_maps(&backend)?,
        Some(capture) => {
            let name = text::choose(&object, args.program.as_deref())?.name.clone();
            let loaded = run::load(&object, &backend, &name)?;
            let program = loaded.program(&name).ok_or_else(|| Failure::failed("the program is gone"))?;
            run::replay_quietly(&mut Runner::new(program)?.with_packet_clock(), capture)?;
            loaded
        }
    };
    let wanted: Vec<&Map> =
        loaded.maps().iter().filter(|m| args.map.as_ref().is_none_or(|n| n == m.name())).collect();
    let mut all = serde_json::Map::new();
    for map in &wanted {
        if !map.has_values() {
            if args.map.is_some() {
                return Err(Failure::usage(format!("map `{}` has no values to dump", map.name())));
            }
            continue;
        }
        let elements = map.elements()?;
        let elements = sorted(&elements);
        if !args.json {
            if args.map.is_none() {
                out::line(&format!("{}:", map.name()))?;
            }
            out::line(&plain(map, &elements)?)?;
            continue;
        }
        let list: Vec<Json> = elements.iter().map(|(key, value)| with_bytes(map, key, value)).collect();
        all.insert(map.name().to_owned(), Json::Array(list));
    }
    match &args.map {
        _ if !args.json => Ok(()),
        // One map: bpftool's own array. Several: under their names.
        Some(name) => out::line(&all.get(name).unwrap_or(&Json::Null).to_string()),
        None => out::line(&Json::Object(all).to_string()),
    }
}

/// A map that is pinned, whoever uses it meanwhile; in a folder of pins, or with `--linux` in the kernel's file system.
fn dump_pinned(path: &str, args: &MapDumpArgs) -> Result<(), Failure> {
    if args.on.is_some() {
        return Err(Failure::usage("a pinned map has no program to run: leave --on out"));
    }
    let backend = choose_backend(args.linux, None, None)?;
    let Some(map) = backend.pinned_map(path)? else {
        return Err(Failure::usage(format!("nothing is pinned at `{path}`")));
    };
    if !map.has_values() {
        return Err(Failure::usage(format!("map `{}` has no values to dump", map.name())));
    }
    let elements = map.elements()?;
    let elements = sorted(&elements);
    if !args.json {
        return out::line(&plain(&map, &elements)?);
    }
    let list: Vec<Json> = elements.iter().map(|(key, value)| with_bytes(&map, key, value)).collect();
    out::line(&Json::Array(list).to_string())
}

fn sorted(elements: &Elements) -> Vec<(&[u8], &[u8])> {
    let mut elements: Vec<_> = elements.iter().collect();
    elements.sort_unstable();
    elements
}

fn hex(bytes: &[u8]) -> Json {
    bytes.iter().map(|b| format!("{b:#04x}")).collect()
}

/// bpftool's element: the bytes, and what they mean under `formatted` if the types are known.
fn with_bytes(map: &Map, key: &[u8], value: &[u8]) -> Json {
    let mut element = if map.is_per_cpu() {
        let values: Vec<Json> = map
            .split(value)
            .enumerate()
            .map(|(cpu, bytes)| json!({ "cpu": cpu, "value": hex(bytes) }))
            .collect();
        json!({ "key": hex(key), "values": values })
    } else {
        json!({ "key": hex(key), "value": hex(value) })
    };
    if Shape::value(map).is_known() {
        element["formatted"] = element_json(map, key, value);
    }
    element
}

/// With types the formatted elements as JSON over lines, without them bytes in hex, as bpftool has it.
fn plain(map: &Map, elements: &[(&[u8], &[u8])]) -> Result<String, Failure> {
    if Shape::value(map).is_known() {
        let list: Vec<Json> = elements.iter().map(|(k, v)| element_json(map, k, v)).collect();
        return serde_json::to_string_pretty(&list).map_err(|e| Failure::failed(e.to_string()));
    }
    let spaced = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    let mut lines = Vec::new();
    for (key, value) in elements {
        if map.is_per_cpu() {
            lines.push(format!("key: {}", spaced(key)));
            lines.extend(
                map.split(value).enumerate().map(|(cpu, v)| format!("value (CPU {cpu:02}): {}", spaced(v))),
            );
        } else {
            lines.push(format!("key: {}  value: {}", spaced(key), spaced(value)));
        }
    }
    lines.push(format!("Found {} element{}", elements.len(), if elements.len() == 1 { "" } else { "s" }));
    Ok(lines.join("\n"))
}

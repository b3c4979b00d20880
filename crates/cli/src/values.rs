//! Keys and values as text and as JSON, by their BTF types where there are any.

use serde_json::{Value as Json, json};
use skep::btf::print::{Options, Tree, tree};
use skep::btf::{Btf, Kind, Type, TypeId};
use skep::{Map, tree_json};

/// The type of some bytes, if it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape<'a>(Option<(&'a Btf, TypeId)>);

impl<'a> Shape<'a> {
    /// A type of a BTF; unknown for id 0.
    pub fn of(btf: Option<&'a Btf>, id: u32) -> Self {
        Self(btf.filter(|_| id != 0).map(|b| (b, TypeId(id))))
    }

    /// The key of a map.
    pub fn key(map: &'a Map) -> Self {
        Self::of(map.def().btf.as_deref(), map.def().key_btf_id)
    }

    /// The value of a map.
    pub fn value(map: &'a Map) -> Self {
        match &map.def().struct_ops {
            // The kernel's structure, not the object's.
            Some(ops) => Self::of(ops.types.as_deref(), ops.value_type_id),
            None => Self::of(map.def().btf.as_deref(), map.def().value_btf_id),
        }
    }

    /// Whether the type is known.
    pub fn is_known(self) -> bool {
        self.0.is_some()
    }

    /// The bytes taken apart; a number where only the size is known, else the bytes as they are.
    pub fn tree(self, bytes: &[u8]) -> Tree {
        let typed = self.0.and_then(|(btf, id)| tree(btf, id, bytes, &Options::default()).ok());
        typed.unwrap_or_else(|| match *bytes {
            [a] => Tree::UInt(a.into()),
            [a, b] => Tree::UInt(u16::from_ne_bytes([a, b]).into()),
            [a, b, c, d] => Tree::UInt(u32::from_ne_bytes([a, b, c, d]).into()),
            [a, b, c, d, e, f, g, h] => Tree::UInt(u64::from_ne_bytes([a, b, c, d, e, f, g, h])),
            _ => Tree::Bytes(bytes.to_vec()),
        })
    }

    /// On one line.
    pub fn text(self, bytes: &[u8]) -> String {
        self.tree(bytes).to_string()
    }

    /// As JSON, in bpftool's spelling.
    pub fn json(self, bytes: &[u8]) -> Json {
        tree_json(&self.tree(bytes))
    }
}

/// A map's element as JSON: `{"key":…,"value":…}`, per CPU `{"key":…,"values":[{"cpu":0,"value":…}]}`.
pub fn element_json(map: &Map, key: &[u8], value: &[u8]) -> Json {
    let (key_shape, value_shape) = (Shape::key(map), Shape::value(map));
    if map.is_per_cpu() {
        let values: Vec<Json> = map
            .split(value)
            .enumerate()
            .map(|(cpu, bytes)| json!({ "cpu": cpu, "value": value_shape.json(bytes) }))
            .collect();
        json!({ "key": key_shape.json(key), "values": values })
    } else {
        json!({ "key": key_shape.json(key), "value": value_shape.json(value) })
    }
}

/// A map's value on one line; per CPU the CPUs that have anything but zero, as `cpu0:3 cpu2:1`.
pub fn value_text(map: &Map, value: &[u8]) -> String {
    let shape = Shape::value(map);
    if !map.is_per_cpu() {
        return shape.text(value);
    }
    let cpus: Vec<String> = map
        .split(value)
        .enumerate()
        .filter(|(_, bytes)| !is_zero(bytes))
        .map(|(cpu, bytes)| format!("cpu{cpu}:{}", shape.text(bytes)))
        .collect();
    if cpus.is_empty() { "0".to_owned() } else { cpus.join(" ") }
}

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

/// The struct that the records of a ring buffer map have: the one that `--event-type` names, else the map's own
/// value type, else the struct with the tag `ringbuf:MAP`.
pub fn record_shape<'a>(
    map: &'a Map,
    btf: Option<&'a Btf>,
    named: Option<&str>,
) -> Result<Shape<'a>, String> {
    if let Some(name) = named {
        let btf = btf.ok_or_else(|| format!("--event-type {name}: the object has no BTF"))?;
        let name = name.strip_prefix("struct ").unwrap_or(name);
        let id =
            [Kind::Struct, Kind::Union, Kind::Typedef].iter().find_map(|k| btf.find_by_name(Some(*k), name));
        let id = id.ok_or_else(|| format!("--event-type {name}: the object's BTF has no such struct"))?;
        return Ok(Shape(Some((btf, id))));
    }
    let own = Shape::value(map);
    // The value of a perf event array is a descriptor, whatever its records are.
    if own.is_known() && !map.is_perf_event_array() {
        return Ok(own);
    }
    let wanted = format!("ringbuf:{}", map.name());
    Ok(Shape(btf.and_then(|b| {
        let tagged = b.iter().find_map(|(_, t)| match t {
            Type::DeclTag { name, target, .. } if b.str(*name) == wanted => Some(*target),
            _ => None,
        })?;
        Some((b, tagged))
    })))
}

//! Types of BTF as Rust: how each is spelled, read from bytes and written to them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use skep_btf::assign::type_name;
use skep_btf::{Btf, IntEncoding, Member, Type, TypeId};

use crate::names::{Unique, camel, item, part};

/// How deep types may nest, as printing has it.
const MAX_DEPTH: u32 = 32;

/// Collects the structs and enums that code asks for.
pub(crate) struct Types<'a> {
    btf: &'a Btf,
    /// Names by what typedefs and qualifiers lead to.
    names: BTreeMap<TypeId, String>,
    unique: Unique,
    /// Code of types, finished.
    out: String,
}

impl<'a> Types<'a> {
    pub(crate) fn new(btf: &'a Btf) -> Self {
        Self { btf, names: BTreeMap::new(), unique: Unique::default(), out: String::new() }
    }

    /// The code of all types that were asked for.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// A name that no type has.
    pub(crate) fn reserve(&mut self, name: &str) -> String {
        self.unique.take(camel(name))
    }

    /// Adds code.
    pub(crate) fn push(&mut self, code: &str) {
        self.out.push_str(code);
    }

    /// How a type is spelled; `None` for one without values.
    pub(crate) fn rust(&mut self, ty: TypeId, hint: &str) -> Option<String> {
        self.spell(ty, hint, 0)
    }

    fn spell(&mut self, ty: TypeId, hint: &str, depth: u32) -> Option<String> {
        let size = self.btf.size_of(ty)?;
        if depth > MAX_DEPTH {
            return Some(format!("[u8; {size}]"));
        }
        let btf = self.btf;
        let id = btf.resolve(ty);
        Some(match btf.resolved(ty) {
            Type::Int { encoding: IntEncoding::Bool, size: 1, .. } => "bool".into(),
            Type::Int { name, size: 1, .. } if btf.str(*name) == "char" => "u8".into(),
            Type::Int { encoding: IntEncoding::Signed, size, .. } => format!("i{}", size * 8),
            Type::Int { size, .. } => format!("u{}", size * 8),
            Type::Float { size: 4, .. } => "f32".into(),
            Type::Float { size: 8, .. } => "f64".into(),
            Type::Ptr { .. } => format!("u{}", size * 8),
            Type::Enum { .. } | Type::Enum64 { .. } => {
                let name = self.name(ty, id, hint, Self::enumeration);
                format!("types::{name}")
            }
            Type::Struct { .. } => {
                let name = self.name(ty, id, hint, |s, id, name| s.structure(id, name, depth));
                format!("types::{name}")
            }
            Type::Union { .. } => {
                let name = self.name(ty, id, hint, |s, id, name| s.union(id, name, depth));
                format!("types::{name}")
            }
            Type::Array { element, len, .. } => {
                format!("[{}; {len}]", self.spell(*element, hint, depth + 1)?)
            }
            Type::Float { .. }
            | Type::Void
            | Type::Fwd { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::Func { .. }
            | Type::FuncProto { .. }
            | Type::Var { .. }
            | Type::Datasec { .. }
            | Type::DeclTag { .. }
            | Type::TypeTag { .. } => format!("[u8; {size}]"),
        })
    }

    /// The name of a struct or enum: its tag, else that of the first typedef, else what it is used for.
    fn name(
        &mut self,
        ty: TypeId,
        id: TypeId,
        hint: &str,
        define: impl FnOnce(&mut Self, TypeId, &str) -> String,
    ) -> String {
        if let Some(name) = self.names.get(&id) {
            return name.clone();
        }
        let mut named = self.btf.name(id);
        let mut at = ty;
        while let (None, Some(inner)) = (named, self.btf.ty(at).and_then(Type::modified)) {
            named = self.btf.name(at).filter(|_| matches!(self.btf.ty(at), Some(Type::Typedef { .. })));
            at = inner;
        }
        let name = self.unique.take(camel(named.unwrap_or(hint)));
        self.names.insert(id, name.clone());
        let code = define(self, id, &name);
        self.out.push_str(&code);
        name
    }

    fn enumeration(&mut self, id: TypeId, name: &str) -> String {
        let btf = self.btf;
        let (size, signed) = match btf.resolved(id) {
            Type::Enum { size, signed, .. } | Type::Enum64 { size, signed, .. } => (*size, *signed),
            _ => (4, false),
        };
        let number = format!("{}{}", if signed { 'i' } else { 'u' }, size * 8);
        let mut constants = String::new();
        let mut unique = Unique::default();
        for v in btf.resolved(id).values() {
            let value = if signed { v.value.to_string() } else { v.value.cast_unsigned().to_string() };
            let constant = unique.take(item(btf.str(v.name)));
            // Writing to a String cannot fail.
            let _ = writeln!(constants, "    /// {value}\n    pub const {constant}: Self = Self({value});");
        }
        format!(
            "/// `{c}`\n#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
             pub struct {name}(pub {number});\n\nimpl {name} {{\n    /// Bytes.\n    pub const SIZE: usize = {size};\n\
             {constants}\n    pub(super) fn read(b: &[u8], at: usize) -> Self {{\n        \
             Self({number}::from_ne_bytes(skeleton::take(b, at)))\n    }}\n\n    \
             pub(super) fn write(&self, b: &mut [u8], at: usize) {{\n        \
             skeleton::put(b, at, &self.0.to_ne_bytes());\n    }}\n}}\n\n{value}",
            c = type_name(btf, id),
            value = value_impl(name),
        )
    }

    fn structure(&mut self, id: TypeId, name: &str, depth: u32) -> String {
        let size = self.btf.size_of(id).unwrap_or(0);
        let mut parts = Fields::default();
        let members = self.btf.resolved(id).members();
        self.fields(members, 0, name, depth, &mut parts);
        let Fields { declared, read, write, .. } = parts;
        format!(
            "/// `{c}`\n#[derive(Clone, Copy, Debug, PartialEq)]\npub struct {name} {{\n{declared}}}\n\n\
             impl {name} {{\n    /// Bytes.\n    pub const SIZE: usize = {size};\n\n    \
             pub(super) fn read(b: &[u8], at: usize) -> Self {{\n        Self {{\n{read}        }}\n    }}\n\n    \
             pub(super) fn write(&self, b: &mut [u8], at: usize) {{\n{write}    }}\n}}\n\n\
             impl ::core::default::Default for {name} {{\n    fn default() -> Self {{\n        \
             Self::read(&[0; {size}], 0)\n    }}\n}}\n\n{value}",
            c = type_name(self.btf, id),
            value = value_impl(name),
        )
    }

    fn fields(&mut self, members: &[Member], base_bits: u32, owner: &str, depth: u32, out: &mut Fields) {
        let btf = self.btf;
        for m in members {
            let at = base_bits + m.off_bits;
            let text = btf.str(m.name);
            if let ("", Type::Struct { members, .. }) = (text, btf.resolved(m.ty)) {
                if depth < MAX_DEPTH {
                    self.fields(members, at, owner, depth + 1, out);
                }
                continue;
            }
            let text = if text.is_empty() { format!("anonymous_{}", at / 8) } else { text.to_owned() };
            let Some(rust) = self.spell(m.ty, &format!("{owner}_{text}"), depth + 1) else { continue };
            if rust.ends_with("; 0]") {
                continue; // a flexible array
            }
            let c = type_name(btf, m.ty);
            let field = out.unique.take(item(&text));
            let (doc, read, write) = match m.bitfield_bits {
                0 => {
                    let byte = at / 8;
                    let doc = format!("`{c}`, byte {byte}");
                    (
                        doc,
                        self.read(m.ty, &format!("at + {byte}"), 0),
                        self.write(m.ty, &format!("self.{field}"), &format!("at + {byte}"), 0),
                    )
                }
                n => {
                    let place = format!("at * 8 + {at}, {n}");
                    let (read, raw) = bit_field(btf.resolved(m.ty), &rust, &format!("self.{field}"), &place);
                    (format!("`{c}`, {n} bits"), read, format!("skeleton::put_bits(b, {place}, {raw});"))
                }
            };
            let _ = writeln!(out.declared, "    /// {doc}\n    pub {field}: {rust},");
            let _ = writeln!(out.read, "            {field}: {read},");
            let _ = writeln!(out.write, "        {write}");
        }
    }

    /// A union: its bytes, and a method for each of what they may be.
    fn union(&mut self, id: TypeId, name: &str, depth: u32) -> String {
        let size = self.btf.size_of(id).unwrap_or(0);
        let mut parts = Fields::default();
        for taken in ["read", "write", "SIZE"] {
            parts.unique.take(taken.into());
        }
        let members = self.btf.resolved(id).members();
        self.alternatives(members, 0, name, depth, &mut parts);
        let methods = parts.declared;
        format!(
            "/// `{c}`\n#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
             pub struct {name}(pub [u8; {size}]);\n\nimpl {name} {{\n    /// Bytes.\n    \
             pub const SIZE: usize = {size};\n\n{methods}    \
             pub(super) fn read(b: &[u8], at: usize) -> Self {{\n        Self(skeleton::take(b, at))\n    }}\n\n    \
             pub(super) fn write(&self, b: &mut [u8], at: usize) {{\n        \
             skeleton::put(b, at, &self.0);\n    }}\n}}\n\n\
             impl ::core::default::Default for {name} {{\n    fn default() -> Self {{\n        \
             Self([0; {size}])\n    }}\n}}\n\n{value}",
            c = type_name(self.btf, id),
            value = value_impl(name),
        )
    }

    /// Methods of a union: for each member one that gives it, and one that sets it.
    fn alternatives(
        &mut self,
        members: &[Member],
        base_bits: u32,
        owner: &str,
        depth: u32,
        out: &mut Fields,
    ) {
        let btf = self.btf;
        for m in members {
            let bits = base_bits + m.off_bits;
            let text = btf.str(m.name);
            if let ("", Type::Struct { members, .. } | Type::Union { members, .. }) =
                (text, btf.resolved(m.ty))
            {
                if depth < MAX_DEPTH {
                    self.alternatives(members, bits, owner, depth + 1, out);
                }
                continue;
            }
            let hint = format!("{owner}_{text}");
            let Some(rust) = self.spell(m.ty, &hint, depth + 1).filter(|r| !r.ends_with("; 0]")) else {
                continue;
            };
            let c = type_name(btf, m.ty);
            let (getter, setter) =
                (out.unique.take(item(text)), out.unique.take(item(&format!("set_{}", part(text)))));
            let (read, write, of) = match m.bitfield_bits {
                0 => {
                    let at = (bits / 8).to_string();
                    (self.read(m.ty, &at, 0), self.write(m.ty, "value", &at, 0), String::new())
                }
                n => {
                    let place = format!("{bits}, {n}");
                    let (read, raw) = bit_field(btf.resolved(m.ty), &rust, "value", &place);
                    (read, format!("skeleton::put_bits(b, {place}, {raw});"), format!(", {n} bits"))
                }
            };
            let _ = write!(
                out.declared,
                "    /// `{c} {text}`{of}\n    pub fn {getter}(&self) -> {rust} {{\n        let b = &self.0;\n        \
                 {read}\n    }}\n\n    /// Sets `{text}`; what is beside it stays.\n    \
                 pub fn {setter}(&mut self, value: {rust}) {{\n        let b = &mut self.0;\n        {write}\n    }}\n\n"
            );
        }
    }

    /// An expression: the value in `b` at a byte.
    pub(crate) fn read(&mut self, ty: TypeId, at: &str, depth: u32) -> String {
        let btf = self.btf;
        let rust = self.spell(ty, "", depth).unwrap_or_default();
        match btf.resolved(ty) {
            Type::Struct { .. } | Type::Union { .. } | Type::Enum { .. } | Type::Enum64 { .. }
                if rust.starts_with("types::") =>
            {
                format!("{rust}::read(b, {at})")
            }
            Type::Array { element, .. } if depth < MAX_DEPTH && !is_bytes(&rust) => {
                let step = btf.size_of(*element).unwrap_or(0);
                let inner = self.read(*element, &format!("{at} + i{depth} * {step}"), depth + 1);
                format!("::core::array::from_fn(|i{depth}| {inner})")
            }
            _ if is_bytes(&rust) => format!("skeleton::take(b, {at})"),
            _ if rust == "bool" => format!("skeleton::take::<1>(b, {at}) != [0]"),
            _ => format!("{rust}::from_ne_bytes(skeleton::take(b, {at}))"),
        }
    }

    /// A statement: the value of an expression into `b` at a byte.
    pub(crate) fn write(&mut self, ty: TypeId, value: &str, at: &str, depth: u32) -> String {
        let btf = self.btf;
        let rust = self.spell(ty, "", depth).unwrap_or_default();
        match btf.resolved(ty) {
            Type::Struct { .. } | Type::Union { .. } | Type::Enum { .. } | Type::Enum64 { .. }
                if rust.starts_with("types::") =>
            {
                format!("{value}.write(b, {at});")
            }
            Type::Array { element, .. } if depth < MAX_DEPTH && !is_bytes(&rust) => {
                let step = btf.size_of(*element).unwrap_or(0);
                let (i, v) = (format!("i{depth}"), format!("v{depth}"));
                let inner = self.write(*element, &v, &format!("{at} + {i} * {step}"), depth + 1);
                format!("for ({i}, {v}) in {value}.iter().enumerate() {{ {inner} }}")
            }
            _ if is_bytes(&rust) => format!("skeleton::put(b, {at}, &{value});"),
            // Through a name: a loop has a reference.
            _ if rust == "bool" => format!("skeleton::put(b, {at}, &[u8::from({value}{})]);", clone(value)),
            _ => format!("skeleton::put(b, {at}, &{value}.to_ne_bytes());"),
        }
    }
}

/// What makes a value of a loop's reference to one.
fn clone(value: &str) -> &'static str {
    if value.starts_with('v') && value[1..].bytes().all(|b| b.is_ascii_digit()) { ".to_owned()" } else { "" }
}

/// Whether a type is an array of bytes, which goes as a whole.
fn is_bytes(rust: &str) -> bool {
    rust.strip_prefix("[u8; ")
        .is_some_and(|rest| rest.trim_end_matches(']').bytes().all(|b| b.is_ascii_digit()))
}

#[derive(Default)]
struct Fields {
    declared: String,
    read: String,
    write: String,
    unique: Unique,
}

/// How a bit-field is read, and what number is written.
fn bit_field(ty: &Type, rust: &str, value: &str, place: &str) -> (String, String) {
    let signed = format!("skeleton::signed_bits(b, {place})");
    let unsigned = format!("skeleton::bits(b, {place})");
    match ty {
        Type::Enum { signed: true, size, .. } | Type::Enum64 { signed: true, size, .. } => {
            (format!("{rust}({signed} as i{})", size * 8), format!("{value}.0 as u64"))
        }
        Type::Enum { size, .. } | Type::Enum64 { size, .. } => {
            (format!("{rust}({unsigned} as u{})", size * 8), format!("{value}.0 as u64"))
        }
        _ if rust == "bool" => (format!("{unsigned} != 0"), format!("u64::from({value})")),
        _ if rust.starts_with('i') => (format!("{signed} as {rust}"), format!("{value} as u64")),
        _ => (format!("{unsigned} as {rust}"), format!("{value} as u64")),
    }
}

/// A type as a key or value of a map.
pub(crate) fn value_impl(name: &str) -> String {
    format!(
        "impl ::skep::Value for {name} {{\n    fn to_bytes(&self) -> ::std::borrow::Cow<'_, [u8]> {{\n        \
         let mut b = ::std::vec![0; Self::SIZE];\n        self.write(&mut b, 0);\n        \
         ::std::borrow::Cow::Owned(b)\n    }}\n\n    \
         fn from_bytes(bytes: &[u8]) -> ::core::option::Option<Self> {{\n        \
         (bytes.len() == Self::SIZE).then(|| Self::read(bytes, 0))\n    }}\n}}\n\n"
    )
}

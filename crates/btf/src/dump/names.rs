//! Identifiers: what C does not take is replaced, and of several equal names the later ones get a number.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

use super::Writer;
use crate::Btf;
use crate::types::{IntEncoding, Name, Type, TypeId};

/// Words that are no identifiers in clang's C.
const KEYWORDS: [&str; 46] = [
    "_Alignas",
    "_Alignof",
    "_Atomic",
    "_Bool",
    "_Complex",
    "_Generic",
    "_Imaginary",
    "_Noreturn",
    "_Static_assert",
    "_Thread_local",
    "asm",
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "typeof",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
];

/// Names of integers and floating point that need no declaration.
const KNOWN: [&str; 17] = [
    "char",
    "signed",
    "unsigned",
    "short",
    "int",
    "long",
    "float",
    "double",
    "_Bool",
    "__int128",
    "_Float16",
    "__int128_t",
    "__uint128_t",
    "__fp16",
    "__bf16",
    "__ibm128",
    "__float128",
];

/// A name as C takes it.
pub(super) fn identifier(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let mut out: String = name.chars().map(legal).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    if KEYWORDS.contains(&out.as_str()) {
        out.push('_');
    }
    out
}

/// Names of types by id, and of enumerators as they come.
pub(super) struct Names<'a> {
    btf: &'a Btf,
    /// Of structs, unions, enums and typedefs.
    types: BTreeMap<TypeId, String>,
    /// How often an ordinary identifier was declared: typedefs and enumerators.
    ordinary: BTreeMap<String, u32>,
}

/// The next of equal names.
fn numbered(used: &mut BTreeMap<String, u32>, name: String) -> String {
    let count = used.entry(name.clone()).or_insert(0);
    *count += 1;
    match *count {
        1 => name,
        n => format!("{name}___{n}"),
    }
}

impl<'a> Names<'a> {
    /// Gives every type its name, in order of ids, so that it does not depend on what is asked for.
    pub(super) fn new(btf: &'a Btf) -> Self {
        let mut tags: BTreeMap<String, u32> = BTreeMap::new();
        let mut ordinary = BTreeMap::new();
        // The compiler has one of its own, which may be of another size.
        numbered(&mut ordinary, "__builtin_va_list".to_string());
        let mut types = BTreeMap::new();
        for (id, t) in btf.iter().filter(|(_, t)| !t.name().is_none()) {
            let name = identifier(btf.str(t.name()));
            match t {
                Type::Struct { .. } | Type::Union { .. } | Type::Enum { .. } | Type::Enum64 { .. } => {
                    types.insert(id, numbered(&mut tags, name));
                }
                Type::Typedef { .. } => {
                    types.insert(id, numbered(&mut ordinary, name));
                }
                _ => {}
            }
        }
        // A declaration means the first definition of its name, as it does in C.
        for (id, t) in btf.iter() {
            if let Type::Fwd { name, .. } = t {
                types.insert(id, identifier(btf.str(*name)));
            }
        }
        Self { btf, types, ordinary }
    }

    /// The tag or typedef name of a type.
    pub(super) fn of(&self, id: TypeId) -> &str {
        self.types.get(&id).map_or("", String::as_str)
    }

    /// A new name for an enumerator.
    pub(super) fn enumerator(&mut self, name: Name) -> String {
        numbered(&mut self.ordinary, identifier(self.btf.str(name)))
    }

    /// The name of an integer or of floating point.
    pub(super) fn base(&self, name: Name) -> String {
        let text = self.btf.str(name);
        if text.split(' ').all(|w| KNOWN.contains(&w)) { text.to_string() } else { identifier(text) }
    }
}

impl Writer<'_> {
    /// Declares integers and floating point whose names C does not have, such as Rust's `u32`.
    pub(super) fn odd_base_types(&mut self) {
        let mut done = BTreeMap::new();
        for (id, t) in self.btf.iter() {
            let (name, size, signed) = match t {
                Type::Int { name, size, encoding, .. } => (*name, *size, *encoding == IntEncoding::Signed),
                Type::Float { name, size } => (*name, *size, false),
                _ => continue,
            };
            let text = self.btf.str(name);
            let known = text.is_empty() || text.split(' ').all(|w| KNOWN.contains(&w));
            // Of arrays' indices, which are never spelled out.
            if known || text.starts_with("__ARRAY_SIZE_TYPE__") || !self.referenced[id.0 as usize] {
                continue;
            }
            let word = match (t, size) {
                (Type::Float { .. }, 4) => "float",
                (Type::Float { .. }, _) => "double",
                (_, 1) => "char",
                (_, 2) => "short",
                (_, 4) => "int",
                (_, 8) => "long",
                _ => "__int128",
            };
            let sign = match t {
                Type::Float { .. } => "",
                _ if signed => "signed ",
                _ => "unsigned ",
            };
            if done.insert(identifier(text), ()).is_none() {
                self.out.push_str(&format!("typedef {sign}{word} {};\n", identifier(text)));
            }
        }
    }
}

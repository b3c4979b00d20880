//! A tree on one line.

use core::fmt::{self, Write};

use super::Tree;

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::UInt(v) => write!(f, "{v}"),
            Self::Int128(v) => write!(f, "{v}"),
            Self::UInt128(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v:?}"),
            Self::Str(s) => quoted(f, s),
            Self::Bytes(b) => list(f, b, |f, b| write!(f, "{b:#04x}")),
            Self::Enum { name: Some(name), .. } => f.write_str(name),
            Self::Enum { name: None, value, signed: true } => write!(f, "{value}"),
            Self::Enum { name: None, value, signed: false } => write!(f, "{}", value.cast_unsigned()),
            Self::Ptr(v) => write!(f, "{v:#x}"),
            Self::Struct(fields) => list(f, fields, |f, (name, value)| match name.as_str() {
                "" => write!(f, "{value}"),
                name => write!(f, ".{name} = {value}"),
            }),
            Self::Array(items) => list(f, items, |f, item| write!(f, "{item}")),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    each: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_char('{')?;
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        each(f, item)?;
    }
    f.write_char('}')
}

/// As a C string literal; control characters escaped, so that a value cannot steer a terminal.
fn quoted(f: &mut fmt::Formatter<'_>, s: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in s.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            // Octal: a C hexadecimal escape would swallow a digit that follows.
            c if c.is_ascii_control() => write!(f, "\\{:03o}", c as u32)?,
            c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

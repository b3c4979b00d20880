//! Declarators: a name with its type around it.

use alloc::format;
use alloc::string::String;

use super::names::identifier;
use super::{MAX_DEPTH, Writer, too_deep};
use crate::Error;
use crate::types::{Type, TypeId};

/// Text of a tag as a C string literal.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Adds a qualifier, which C takes only once.
fn qualify(all: &mut String, qualifier: &str) {
    if !all.contains(qualifier) {
        all.push_str(qualifier);
    }
}

impl Writer<'_> {
    /// Writes a type with a name, or with none: `const char *name[4]`. `indent` is of the line that it is on, `depth`
    /// of types within types.
    pub(super) fn declare(&mut self, id: TypeId, name: &str, indent: usize, depth: u32) -> Result<(), Error> {
        let (base, qualifiers, declarator) = self.declarator(id, name, depth)?;
        self.out.push_str(&qualifiers);
        self.base(base, indent, depth)?;
        if !declarator.is_empty() {
            self.out.push(' ');
            self.out.push_str(&declarator);
        }
        Ok(())
    }

    /// Goes from a name outwards: `*` to its left, lengths and parameters to its right. What is left is a type
    /// that has a name or a body of its own, and its qualifiers.
    fn declarator(
        &mut self,
        mut id: TypeId,
        name: &str,
        depth: u32,
    ) -> Result<(TypeId, String, String), Error> {
        let start = id;
        let (mut left, mut right) = (String::new(), String::new());
        let mut text = String::from(name);
        // Of the type that comes next.
        let mut qualifiers = String::new();
        for _ in 0..MAX_DEPTH {
            match self.ty(id).clone() {
                Type::Const { target } => {
                    qualify(&mut qualifiers, "const ");
                    id = target;
                }
                Type::Volatile { target } => {
                    qualify(&mut qualifiers, "volatile ");
                    id = target;
                }
                Type::Restrict { target } => {
                    if matches!(self.btf.resolved(target), Type::Ptr { .. }) {
                        qualify(&mut qualifiers, "restrict ");
                    }
                    id = target;
                }
                Type::TypeTag { name, target, attribute } => {
                    let tag = self.btf.str(name);
                    let tag =
                        if attribute { identifier(tag) } else { format!("btf_type_tag({})", quoted(tag)) };
                    qualifiers.push_str(&format!("__attribute__(({tag})) "));
                    id = target;
                }
                Type::Ptr { target } => {
                    left.insert_str(0, &format!("*{qualifiers}"));
                    qualifiers.clear();
                    id = target;
                    // `(*p)[3]` and `(*p)(void)`: what stands to the right binds more tightly.
                    if self.is_array_or_function(id) {
                        text = format!("({left}{text}{right})");
                        left.clear();
                        right.clear();
                    }
                }
                Type::Array { element, len, .. } => {
                    // A qualified array is an array of qualified elements.
                    right.push_str(&format!("[{len}]"));
                    id = element;
                }
                Type::FuncProto { ret, params } => {
                    qualifiers.clear();
                    let mut list = String::new();
                    for (i, p) in params.iter().enumerate() {
                        if i > 0 {
                            list.push_str(", ");
                        }
                        if p.ty == TypeId::VOID && p.name.is_none() && i + 1 == params.len() {
                            list.push_str(if i == 0 { "void" } else { "..." });
                            continue;
                        }
                        let name =
                            if p.name.is_none() { String::new() } else { identifier(self.btf.str(p.name)) };
                        // Into a text of its own, since what is around it is not finished.
                        let outer = core::mem::take(&mut self.out);
                        let inner =
                            depth.checked_add(1).filter(|d| *d < MAX_DEPTH).ok_or_else(|| too_deep(start))?;
                        let done = self.declare(p.ty, &name, 0, inner);
                        list.push_str(&core::mem::replace(&mut self.out, outer));
                        done?;
                        self.bounded(start)?;
                    }
                    if params.is_empty() {
                        list.push_str("void");
                    }
                    right.push_str(&format!("({list})"));
                    id = ret;
                }
                Type::Void
                | Type::Int { .. }
                | Type::Struct { .. }
                | Type::Union { .. }
                | Type::Enum { .. }
                | Type::Fwd { .. }
                | Type::Typedef { .. }
                | Type::Func { .. }
                | Type::Var { .. }
                | Type::Datasec { .. }
                | Type::Float { .. }
                | Type::DeclTag { .. }
                | Type::Enum64 { .. } => return Ok((id, qualifiers, format!("{left}{text}{right}"))),
            }
        }
        Err(too_deep(start))
    }

    /// Whether a pointer to it needs parentheses.
    fn is_array_or_function(&self, mut id: TypeId) -> bool {
        for _ in 0..MAX_DEPTH {
            match self.ty(id) {
                Type::Array { .. } | Type::FuncProto { .. } => return true,
                Type::Const { target }
                | Type::Volatile { target }
                | Type::Restrict { target }
                | Type::TypeTag { target, .. } => id = *target,
                _ => return false,
            }
        }
        false
    }

    /// A type without pointers and the like: by name, or with its body if it has none.
    fn base(&mut self, id: TypeId, indent: usize, depth: u32) -> Result<(), Error> {
        let text = match self.ty(id) {
            Type::Int { name, .. } | Type::Float { name, .. } => self.names.base(*name),
            Type::Typedef { .. } => self.names.of(id).into(),
            Type::Struct { name, .. } if !name.is_none() => format!("struct {}", self.names.of(id)),
            Type::Union { name, .. } if !name.is_none() => format!("union {}", self.names.of(id)),
            Type::Enum { name, .. } | Type::Enum64 { name, .. } if !name.is_none() => {
                format!("enum {}", self.names.of(id))
            }
            Type::Fwd { is_union, .. } => {
                format!("{} {}", if *is_union { "union" } else { "struct" }, self.names.of(id))
            }
            Type::Struct { .. } | Type::Union { .. } | Type::Enum { .. } | Type::Enum64 { .. } => {
                let depth = depth.checked_add(1).filter(|d| *d < MAX_DEPTH).ok_or_else(|| too_deep(id))?;
                return self.body(id, indent, depth);
            }
            _ => "void".into(),
        };
        self.out.push_str(&text);
        Ok(())
    }
}

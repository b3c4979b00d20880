//! Structs, unions and enums with what is in them.
//!
//! Members are placed as clang would place them. Where one lies further on, unnamed bit-fields fill the gap: they
//! have no name and do not align the struct. A filler of type `T` starts at a multiple of `T`, so it lies where it
//! is meant to.

use alloc::format;
use alloc::string::String;

use super::layout::bitfield;
use super::names::identifier;
use super::{Writer, too_deep};
use crate::Error;
use crate::types::{EnumValue, Member, Type, TypeId};

/// Gaps of more bytes than this are named arrays, lest they be very many lines.
const MAX_FILLED: u64 = 4096;

impl Writer<'_> {
    /// The type with its body, without a semicolon.
    pub(super) fn body(&mut self, id: TypeId, indent: usize, depth: u32) -> Result<(), Error> {
        self.bounded(id)?;
        match self.ty(id).clone() {
            Type::Struct { size, members, .. } => self.composite(id, size, &members, false, indent, depth),
            Type::Union { size, members, .. } => self.composite(id, size, &members, true, indent, depth),
            Type::Enum { size, signed, values, .. } | Type::Enum64 { size, signed, values, .. } => {
                self.enumeration(id, size, signed, &values, indent);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.out.extend(core::iter::repeat_n('\t', indent));
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Opens with keyword and tag.
    fn open(&mut self, id: TypeId, word: &str) {
        self.out.push_str(word);
        let name = self.names.of(id);
        if !name.is_empty() {
            self.out.push(' ');
            self.out.push_str(name);
        }
        self.out.push_str(" {");
    }

    fn close(&mut self, indent: usize, attribute: &str) {
        self.out.extend(core::iter::repeat_n('\t', indent));
        self.out.push('}');
        self.out.push_str(attribute);
    }

    fn composite(
        &mut self,
        id: TypeId,
        size: u32,
        members: &[Member],
        union: bool,
        indent: usize,
        depth: u32,
    ) -> Result<(), Error> {
        let layout = self.layouts.of(id);
        self.open(id, if union { "union" } else { "struct" });
        if layout.opaque {
            self.out.push_str(&format!(" /* its members overlap */ unsigned char __opaque[{size}]; }}"));
            return Ok(());
        }
        if members.is_empty() && size == 0 {
            self.out.push('}');
            return Ok(());
        }
        self.out.push('\n');
        let (mut at, mut end) = (0u64, 0u64);
        for m in members {
            let bits = bitfield(self.btf, m);
            let unit = u64::from(self.btf.size_of(m.ty).unwrap_or(0)) * 8;
            let (width, off) = bits.unwrap_or((unit, m.off_bits.into()));
            let composite = matches!(self.btf.resolved(m.ty), Type::Struct { .. } | Type::Union { .. });
            if m.name.is_none() && !composite {
                continue; // nothing that could be named; a filler takes its place
            }
            if !union {
                let step = if layout.packed { 1 } else { u64::from(self.layouts.of(m.ty).align) * 8 };
                let natural = match bits {
                    Some(_) if layout.packed || at % unit + width <= unit => at,
                    Some(_) => at.next_multiple_of(unit),
                    None => at.next_multiple_of(step.max(8)),
                };
                if natural != off {
                    self.fill(at, off, indent + 1);
                }
            }
            self.out.extend(core::iter::repeat_n('\t', indent + 1));
            let name = if m.name.is_none() { String::new() } else { identifier(self.btf.str(m.name)) };
            self.declare(m.ty, &name, indent + 1, depth)?;
            if bits.is_some() {
                self.out.push_str(&format!(": {width}"));
            }
            self.out.push_str(";\n");
            self.bounded(id)?;
            at = off + width;
            end = end.max(at);
        }
        let whole = u64::from(size) * 8;
        if end.next_multiple_of(u64::from(layout.align) * 8) != whole {
            if union {
                // A member without a name or alignment, of the size of the whole.
                self.line(indent + 1, "struct {");
                self.fill(0, whole, indent + 2);
                self.line(indent + 1, "};");
            } else {
                self.fill(end, whole, indent + 1);
            }
        }
        self.close(indent, if layout.packed { " __attribute__((packed))" } else { "" });
        Ok(())
    }

    /// Bits that nobody has a name for.
    fn fill(&mut self, mut at: u64, to: u64, indent: usize) {
        while at < to {
            let left = to - at;
            if at.is_multiple_of(8) && left / 8 > MAX_FILLED {
                self.line(indent, &format!("unsigned char __unnamed_{}[{}];", at / 8, left / 8));
                at += left / 8 * 8;
                continue;
            }
            let words = [("long", 64), ("int", 32), ("short", 16), ("char", 8)];
            let whole = words.into_iter().find(|(_, bits)| at.is_multiple_of(*bits) && *bits <= left);
            // To the next byte, or to the end within this one.
            let (word, bits) = whole.unwrap_or(("char", left.min(8 - at % 8)));
            self.line(indent, &format!("{word}: {bits};"));
            at += bits;
        }
    }

    fn enumeration(&mut self, id: TypeId, size: u32, signed: bool, values: &[EnumValue], indent: usize) {
        if values.is_empty() {
            let name = self.names.of(id);
            // C has no enum without enumerators: an unnamed one is a number of its size.
            let text = if name.is_empty() { "int".into() } else { format!("enum {name}") };
            self.out.push_str(&text);
            return;
        }
        self.open(id, "enum");
        self.out.push('\n');
        let mut wide = false;
        for v in values {
            let name = self.names.enumerator(v.name);
            let (text, fits) = if signed {
                (format!("{}", v.value), i32::try_from(v.value).is_ok())
            } else {
                let v = v.value.cast_unsigned();
                (format!("{v}"), u32::try_from(v).is_ok())
            };
            wide |= !fits;
            let suffix = match (fits, signed) {
                (true, _) => "",
                (false, true) => "LL",
                (false, false) => "ULL",
            };
            // The least number is not one: it is the negative of a number that there is not.
            let text = if v.value == i64::MIN && signed {
                "(-9223372036854775807LL - 1)".into()
            } else {
                text + suffix
            };
            self.line(indent + 1, &format!("{name} = {text},"));
        }
        let natural = if wide { 8 } else { 4 };
        let attribute = match size {
            s if s == natural => "",
            1 => " __attribute__((mode(byte)))",
            2 => " __attribute__((mode(HI)))",
            4 => " __attribute__((mode(SI)))",
            _ => " __attribute__((mode(DI)))",
        };
        self.close(indent, attribute);
    }

    /// A definition with everything on its own lines.
    pub(super) fn define(&mut self, id: TypeId) -> Result<(), Error> {
        match self.ty(id).clone() {
            Type::Typedef { target, .. } => {
                let name = String::from(self.names.of(id));
                self.out.push_str("typedef ");
                self.declare(target, &name, 0, 0)?;
            }
            Type::Struct { .. } | Type::Union { .. } | Type::Enum { .. } | Type::Enum64 { .. } => {
                self.body(id, 0, 0).map_err(|e| if self.out.is_empty() { too_deep(id) } else { e })?;
            }
            _ => return Ok(()),
        }
        self.out.push_str(";\n\n");
        Ok(())
    }
}

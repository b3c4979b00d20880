//! Bytes to a tree of named values.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Options;
use crate::assign::Spot;
use crate::types::{EnumValue, IntEncoding, Member, Type, TypeId};
use crate::{At, Btf, Endian, Error};

/// How deep structs and arrays may nest, as in the kernel (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: u32 = 32;

/// A value taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// `bool`; any byte but 0 is true.
    Bool(bool),
    /// Signed integer of up to 64 bits.
    Int(i64),
    /// Unsigned integer of up to 64 bits.
    UInt(u64),
    /// `__int128`.
    Int128(i128),
    /// `unsigned __int128`.
    UInt128(u128),
    /// Floating point number of 32 or 64 bits.
    Float(f64),
    /// An array of `char` that holds UTF-8 text, up to the first NUL.
    Str(String),
    /// An array of `char` that holds no UTF-8 text up to the first NUL, or a number of a size that has no
    /// other variant: the bytes as they are.
    Bytes(Vec<u8>),
    /// An enum: the name of the first enumerator of that value, if there is one.
    Enum {
        /// Enumerator.
        name: Option<String>,
        /// Number; of an unsigned enum to be read as `u64`.
        value: i64,
        /// Whether the enum is signed.
        signed: bool,
    },
    /// A pointer.
    Ptr(u64),
    /// A struct or union: fields in order; those of an anonymous field stand in its place.
    Struct(Vec<(String, Tree)>),
    /// An array.
    Array(Vec<Tree>),
}

/// Takes a value apart. `bytes` may be longer than the type: the rest is left alone. For a
/// [`Type::Var`] it is the variable's value, for a [`Type::Datasec`] a struct of its variables.
///
/// # Errors
/// [`Error::is_truncated`] when `bytes` end before the type does; when the type has no size, nests deeper
/// than 32 levels, or has more parts than `options` allow.
pub fn tree(btf: &Btf, ty: TypeId, bytes: &[u8], options: &Options) -> Result<Tree, Error> {
    let Some(size) = btf.size_of(ty) else {
        return Err(Error::malformed(At::Type(ty.0), "a value of this type has no size"));
    };
    if bytes.len() < size as usize {
        let what = format!("the value has {} bytes, its type {ty} {size}", bytes.len());
        return Err(Error::truncated(At::Value(bytes.len() as u64), what));
    }
    let mut walk = Walk { btf, bytes, endian: options.endian, nodes_left: options.max_nodes };
    walk.value(ty, 0, 0)
}

/// Takes a part of a value apart, as [`tree`](fn@tree) does the whole; it may be a bit-field.
///
/// # Errors
/// As there.
pub fn tree_at(btf: &Btf, spot: Spot, bytes: &[u8], options: &Options) -> Result<Tree, Error> {
    let mut walk = Walk { btf, bytes, endian: options.endian, nodes_left: options.max_nodes };
    walk.field(spot.ty, spot.off_bits, spot.bitfield_bits, 0)
}

struct Walk<'a> {
    btf: &'a Btf,
    bytes: &'a [u8],
    endian: Endian,
    nodes_left: u32,
}

impl Walk<'_> {
    /// The value of type `ty` that starts at bit `at`.
    fn value(&mut self, ty: TypeId, at: u64, depth: u32) -> Result<Tree, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::unsupported(
                At::Type(ty.0),
                format!("types nest deeper than {MAX_DEPTH} levels"),
            ));
        }
        let Some(left) = self.nodes_left.checked_sub(1) else {
            return Err(Error::unsupported(At::Value(at / 8), "the value has too many parts to print"));
        };
        self.nodes_left = left;
        let btf = self.btf;
        match btf.resolved(ty) {
            Type::Int { encoding, off_bits, bits, .. } => {
                self.int(*encoding, at + u64::from(*off_bits), u32::from(*bits))
            }
            Type::Ptr { .. } => Ok(Tree::Ptr(self.bits(at, btf.pointer_size() * 8)? as u64)),
            Type::Float { size, .. } => match size {
                4 => Ok(Tree::Float(f32::from_bits(self.bits(at, 32)? as u32).into())),
                8 => Ok(Tree::Float(f64::from_bits(self.bits(at, 64)? as u64))),
                size => Ok(Tree::Bytes(self.slice(at, *size)?.into())),
            },
            Type::Enum { size, signed, values, .. } | Type::Enum64 { size, signed, values, .. } => {
                self.enumeration(values, *signed, at, size * 8)
            }
            Type::Struct { members, .. } | Type::Union { members, .. } => {
                let mut fields = Vec::with_capacity(members.len().min(64));
                self.fields(members, at, depth, &mut fields)?;
                Ok(Tree::Struct(fields))
            }
            Type::Array { element, len, .. } => self.array(*element, *len, at, depth),
            Type::Var { ty, .. } => self.value(*ty, at, depth + 1),
            Type::Datasec { entries, .. } => {
                let mut fields = Vec::with_capacity(entries.len().min(64));
                for e in entries.iter().filter(|e| btf.size_of(e.ty).is_some()) {
                    let value = self.value(e.ty, at + u64::from(e.off_bytes) * 8, depth + 1)?;
                    fields.push((btf.name(e.ty).unwrap_or("").into(), value));
                }
                Ok(Tree::Struct(fields))
            }
            Type::Void
            | Type::Fwd { .. }
            | Type::Func { .. }
            | Type::FuncProto { .. }
            | Type::DeclTag { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::TypeTag { .. } => {
                Err(Error::malformed(At::Type(ty.0), "a value of this type has no size"))
            }
        }
    }

    fn fields(
        &mut self,
        members: &[Member],
        at: u64,
        depth: u32,
        out: &mut Vec<(String, Tree)>,
    ) -> Result<(), Error> {
        for m in members {
            let at = at + u64::from(m.off_bits);
            match self.field(m.ty, at, m.bitfield_bits, depth + 1)? {
                Tree::Struct(inner) if m.name.is_none() => out.extend(inner),
                value => out.push((self.btf.str(m.name).into(), value)),
            }
        }
        Ok(())
    }

    /// A value or a bit-field.
    fn field(&mut self, ty: TypeId, at: u64, bitfield_bits: u8, depth: u32) -> Result<Tree, Error> {
        match (bitfield_bits, self.btf.resolved(ty)) {
            (0, _) => self.value(ty, at, depth),
            (n, Type::Int { encoding, .. }) => self.int(*encoding, at, n.into()),
            (n, Type::Enum { signed, values, .. } | Type::Enum64 { signed, values, .. }) => {
                self.enumeration(values, *signed, at, n.into())
            }
            (_, _) => Err(Error::malformed(At::Type(ty.0), "a bit-field of this type")),
        }
    }

    fn array(&mut self, element: TypeId, len: u32, at: u64, depth: u32) -> Result<Tree, Error> {
        let step = self.btf.size_of(element).unwrap_or(0);
        if self.is_char(element) {
            return Ok(text(self.slice(at, len)?));
        }
        if step == 0 {
            return Ok(Tree::Array(Vec::new()));
        }
        let mut items = Vec::with_capacity((len as usize).min(1024));
        for i in 0..u64::from(len) {
            items.push(self.value(element, at + i * u64::from(step) * 8, depth + 1)?);
        }
        Ok(Tree::Array(items))
    }

    /// clang marks `char` as a signed (or unsigned) number, so the name decides.
    fn is_char(&self, ty: TypeId) -> bool {
        match self.btf.resolved(ty) {
            Type::Int { name, size: 1, encoding, bits: 8, .. } => {
                *encoding == IntEncoding::Char || self.btf.str(*name) == "char"
            }
            _ => false,
        }
    }

    fn int(&self, encoding: IntEncoding, at: u64, bits: u32) -> Result<Tree, Error> {
        let raw = self.bits(at, bits)?;
        Ok(match encoding {
            IntEncoding::Bool => Tree::Bool(raw != 0),
            IntEncoding::Signed => {
                let v = sign_extend(raw, bits);
                i64::try_from(v).ok().filter(|_| bits <= 64).map_or(Tree::Int128(v), Tree::Int)
            }
            IntEncoding::Unsigned | IntEncoding::Char => {
                u64::try_from(raw).ok().filter(|_| bits <= 64).map_or(Tree::UInt128(raw), Tree::UInt)
            }
        })
    }

    fn enumeration(&self, values: &[EnumValue], signed: bool, at: u64, bits: u32) -> Result<Tree, Error> {
        let raw = self.bits(at, bits)?;
        let value = if signed { sign_extend(raw, bits) as i64 } else { raw as u64 as i64 };
        let name = values.iter().find(|v| v.value == value).map(|v| self.btf.str(v.name).into());
        Ok(Tree::Enum { name, value, signed })
    }

    fn slice(&self, at: u64, len: u32) -> Result<&[u8], Error> {
        let start = (at / 8) as usize;
        self.bytes.get(start..start.saturating_add(len as usize)).ok_or_else(|| {
            Error::truncated(
                At::Value(at / 8),
                format!("{len} bytes wanted, the value has {}", self.bytes.len()),
            )
        })
    }

    /// `bits` bits from bit `at`. Bits are counted from the least significant in little endian, from the most
    /// significant in big endian, as C compilers lay out bit-fields.
    fn bits(&self, at: u64, bits: u32) -> Result<u128, Error> {
        let shift = (at % 8) as u32;
        let len = (shift + bits).div_ceil(8);
        let mut bytes = self.slice(at, len)?.iter().map(|&b| u128::from(b));
        // 128 bits that do not start at a byte take 17 bytes; the one that does not fit is added last.
        let raw = match self.endian {
            Endian::Little => {
                let low = bytes.by_ref().take(16).enumerate().fold(0, |v, (i, b)| v | b << (8 * i)) >> shift;
                bytes.next().map_or(low, |top| low | top << (128 - shift))
            }
            Endian::Big => {
                let spare = len * 8 - shift - bits;
                let last = if len == 17 { bytes.next_back() } else { None };
                let high = bytes.fold(0, |v, b| v << 8 | b);
                match last {
                    Some(last) => high << (8 - spare) | last >> spare,
                    None => high >> spare,
                }
            }
        };
        Ok(if bits >= 128 { raw } else { raw & ((1 << bits) - 1) })
    }
}

fn sign_extend(raw: u128, bits: u32) -> i128 {
    let unused = 128u32.saturating_sub(bits).min(127);
    (raw << unused).cast_signed() >> unused
}

fn text(bytes: &[u8]) -> Tree {
    let text = bytes.split(|&b| b == 0).next().unwrap_or(&[]);
    match core::str::from_utf8(text) {
        Ok(s) => Tree::Str(s.into()),
        Err(_) => Tree::Bytes(bytes.into()),
    }
}

//! A record of the type section as it is in the file: read where it lies, decoded when a [`Type`] is wanted.

use alloc::boxed::Box;

use crate::Endian;
use crate::types::*;

/// The 12 bytes that open every type, `struct btf_type`, and what follows them.
///
/// ```text
/// name   info   size or type   words by kind …
///
/// info:   31     30-29   28-24   23-16    15-0
///        kflag   unused  kind    unused   vlen
/// ```
///
/// Whether a record obeys the rules of its kind is [`parse`](crate::parse)'s to say, once. After that nothing here can
/// fail; words that are not there read as 0, and so the record of `void` is an empty one.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    kind: Kind,
    bytes: &'a [u8],
    endian: Endian,
}

/// Bytes that open every type.
pub(crate) const HEAD_LEN: usize = 12;

/// A set of kinds.
#[derive(Clone, Copy)]
pub(crate) struct Kinds(pub(crate) u32);

impl Kinds {
    /// Kinds whose types may have names.
    pub(crate) const NAMED: Self = Self::of(&[
        Kind::Int,
        Kind::Struct,
        Kind::Union,
        Kind::Enum,
        Kind::Fwd,
        Kind::Typedef,
        Kind::Func,
        Kind::Var,
        Kind::Datasec,
        Kind::Float,
        Kind::DeclTag,
        Kind::TypeTag,
        Kind::Enum64,
    ]);

    pub(crate) const fn of(kinds: &[Kind]) -> Self {
        let (mut set, mut i) = (0, 0);
        while i < kinds.len() {
            set |= 1 << kinds[i] as u32;
            i += 1;
        }
        Self(set)
    }

    pub(crate) const fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u32 & 1 != 0
    }

    pub(crate) const fn but(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

impl Kind {
    /// The kind of a record by the number in its info word.
    pub(crate) fn from_raw(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Void,
            1 => Self::Int,
            2 => Self::Ptr,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Fwd,
            8 => Self::Typedef,
            9 => Self::Volatile,
            10 => Self::Const,
            11 => Self::Restrict,
            12 => Self::Func,
            13 => Self::FuncProto,
            14 => Self::Var,
            15 => Self::Datasec,
            16 => Self::Float,
            17 => Self::DeclTag,
            18 => Self::TypeTag,
            19 => Self::Enum64,
            _ => return None,
        })
    }

    /// Words after the 12 bytes, and words for each part.
    pub(crate) fn words(self) -> (usize, usize) {
        match self {
            Self::Int | Self::Var | Self::DeclTag => (1, 0),
            Self::Array => (3, 0),
            Self::Struct | Self::Union | Self::Datasec | Self::Enum64 => (0, 3),
            Self::Enum | Self::FuncProto => (0, 2),
            Self::Void
            | Self::Ptr
            | Self::Fwd
            | Self::Typedef
            | Self::Volatile
            | Self::Const
            | Self::Restrict
            | Self::Func
            | Self::Float
            | Self::TypeTag => (0, 0),
        }
    }

    /// Whether what is known of such a type hangs on another: typedefs, qualifiers and type tags, variables, arrays.
    pub(crate) fn is_derived(self) -> bool {
        self.is_modifier() || matches!(self, Self::Array | Self::Var)
    }

    /// Typedefs, qualifiers and type tags: what stands before another type.
    pub(crate) fn is_modifier(self) -> bool {
        matches!(self, Self::Typedef | Self::Volatile | Self::Const | Self::Restrict | Self::TypeTag)
    }
}

impl<'a> Record<'a> {
    /// The kind and the length must be what the record says; `void` has no bytes.
    pub(crate) fn new(kind: Kind, bytes: &'a [u8], endian: Endian) -> Self {
        Self { kind, bytes, endian }
    }

    /// The word at this byte of the record.
    fn at(self, off: usize) -> u32 {
        let word = self.bytes.get(off..).and_then(|b| b.first_chunk());
        word.map_or(0, |b| self.endian.u32(*b))
    }

    /// Its length.
    pub(crate) fn len_bytes(self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn name(self) -> Name {
        Name(self.at(0))
    }

    /// Kind, flag and number of parts.
    pub(crate) fn info(self) -> u32 {
        self.at(4)
    }

    pub(crate) fn kind(self) -> Kind {
        self.kind
    }

    pub(crate) fn kflag(self) -> bool {
        self.info() >> 31 != 0
    }

    /// Number of parts: members, enumerators, parameters, entries. Of a function, its linkage.
    pub(crate) fn vlen(self) -> u32 {
        self.info() & 0xffff
    }

    /// Size in bytes or a type id, by kind.
    pub(crate) fn word(self) -> u32 {
        self.at(8)
    }

    /// The type that the record names in its third word, if its kind does.
    pub(crate) fn target(self) -> TypeId {
        TypeId(self.word())
    }

    /// The word after the 12 bytes, and those that follow it.
    pub(crate) fn extra(self, i: usize) -> u32 {
        self.at(HEAD_LEN + i * 4)
    }

    /// The words of each part, which has `4 * N` bytes.
    pub(crate) fn parts<const BYTES: usize, const N: usize>(
        self,
    ) -> impl ExactSizeIterator<Item = [u32; N]> + Clone + 'a {
        const { assert!(BYTES == 4 * N) };
        let endian = self.endian;
        let (parts, _) = self.bytes.get(HEAD_LEN..).unwrap_or(&[]).as_chunks::<BYTES>();
        parts.iter().map(move |p| {
            let (words, _) = p.as_chunks::<4>();
            core::array::from_fn(|i| endian.u32(words[i]))
        })
    }

    /// Fields of a struct or union.
    pub(crate) fn members(self) -> impl ExactSizeIterator<Item = Member> + Clone + 'a {
        let kflag = self.kflag();
        self.parts::<12, 3>().map(move |[name, ty, word]| member(name, ty, word, kflag))
    }

    /// Parameters of a prototype.
    pub(crate) fn params(self) -> impl ExactSizeIterator<Item = Param> + Clone + 'a {
        self.parts::<8, 2>().map(|[name, ty]| Param { name: Name(name), ty: TypeId(ty) })
    }

    /// Entries of a section.
    pub(crate) fn entries(self) -> impl ExactSizeIterator<Item = DatasecEntry> + Clone + 'a {
        self.parts::<12, 3>().map(|[ty, off_bytes, size]| DatasecEntry { ty: TypeId(ty), off_bytes, size })
    }

    /// The type of the `i`th part of three words whose second (`at` 1) or first (`at` 0) is one.
    pub(crate) fn part_type(self, i: usize, at: usize) -> Option<TypeId> {
        (i < self.vlen() as usize).then(|| TypeId(self.extra(i * 3 + at)))
    }

    /// Names of members, enumerators and parameters.
    pub(crate) fn part_names(self) -> impl Iterator<Item = Name> + 'a {
        let words = match self.kind() {
            Kind::Struct | Kind::Union | Kind::Enum64 => 3,
            Kind::Enum | Kind::FuncProto => 2,
            _ => 0,
        };
        let (count, each) = if words == 0 { (0, 1) } else { (self.vlen() as usize, words) };
        (0..count).map(move |i| Name(self.extra(i * each)))
    }

    /// First bit and width of an integer.
    pub(crate) fn int_bits(self) -> (u8, u8) {
        let word = self.extra(0);
        ((word >> 16) as u8, word as u8)
    }

    /// The type in full.
    pub(crate) fn decode(self) -> Type {
        let (name, target) = (self.name(), self.target());
        match self.kind() {
            Kind::Void => Type::Void,
            Kind::Int => {
                let (off_bits, bits) = self.int_bits();
                let encoding = int_encoding(self.extra(0)).unwrap_or(IntEncoding::Unsigned);
                Type::Int { name, size: self.word(), encoding, off_bits, bits }
            }
            Kind::Ptr => Type::Ptr { target },
            Kind::Array => {
                let (element, index) = (TypeId(self.extra(0)), TypeId(self.extra(1)));
                Type::Array { element, index, len: self.extra(2) }
            }
            Kind::Struct => Type::Struct { name, size: self.word(), members: self.members().collect() },
            Kind::Union => Type::Union { name, size: self.word(), members: self.members().collect() },
            Kind::Enum => {
                let signed = self.kflag();
                let value = |v: u32| if signed { v.cast_signed().into() } else { i64::from(v) };
                let parts = self.parts::<8, 2>();
                let values = parts.map(|[name, v]| EnumValue { name: Name(name), value: value(v) }).collect();
                Type::Enum { name, size: self.word(), signed, values }
            }
            Kind::Fwd => Type::Fwd { name, is_union: self.kflag() },
            Kind::Typedef => Type::Typedef { name, target },
            Kind::Volatile => Type::Volatile { target },
            Kind::Const => Type::Const { target },
            Kind::Restrict => Type::Restrict { target },
            Kind::Func => {
                let linkage = func_linkage(self.vlen()).unwrap_or(FuncLinkage::Static);
                Type::Func { name, proto: target, linkage }
            }
            Kind::FuncProto => Type::FuncProto { ret: target, params: self.params().collect() },
            Kind::Var => {
                let linkage = var_linkage(self.extra(0)).unwrap_or(VarLinkage::Static);
                Type::Var { name, ty: target, linkage }
            }
            Kind::Datasec => Type::Datasec { name, size: self.word(), entries: self.entries().collect() },
            Kind::Float => Type::Float { name, size: self.word() },
            Kind::DeclTag => {
                let component = self.component();
                Type::DeclTag { name, target, component, attribute: self.kflag() }
            }
            Kind::TypeTag => Type::TypeTag { name, target, attribute: self.kflag() },
            Kind::Enum64 => {
                let value = |low, high| (u64::from(high) << 32 | u64::from(low)).cast_signed();
                let parts = self.parts::<12, 3>();
                let values: Box<[_]> = parts
                    .map(|[name, low, high]| EnumValue { name: Name(name), value: value(low, high) })
                    .collect();
                Type::Enum64 { name, size: self.word(), signed: self.kflag(), values }
            }
        }
    }

    /// Which member or parameter a declaration tag is about; `None` for the whole.
    pub(crate) fn component(self) -> Option<u32> {
        Some(self.extra(0)).filter(|c| *c != u32::MAX)
    }
}

/// With kind_flag, a member's offset word is `bitfield_bits << 24 | off_bits`.
fn member(name: u32, ty: u32, word: u32, kflag: bool) -> Member {
    let (off_bits, bitfield_bits) = if kflag { (word & 0x00ff_ffff, (word >> 24) as u8) } else { (word, 0) };
    Member { name: Name(name), ty: TypeId(ty), off_bits, bitfield_bits }
}

/// The encoding in an integer's word.
pub(crate) fn int_encoding(word: u32) -> Option<IntEncoding> {
    match word >> 24 & 0xf {
        0 => Some(IntEncoding::Unsigned),
        1 => Some(IntEncoding::Signed),
        2 => Some(IntEncoding::Char),
        4 => Some(IntEncoding::Bool),
        _ => None,
    }
}

/// The linkage that stands for a function's `vlen`.
pub(crate) fn func_linkage(vlen: u32) -> Option<FuncLinkage> {
    match vlen {
        0 => Some(FuncLinkage::Static),
        1 => Some(FuncLinkage::Global),
        2 => Some(FuncLinkage::Extern),
        _ => None,
    }
}

/// The linkage in a variable's word.
pub(crate) fn var_linkage(word: u32) -> Option<VarLinkage> {
    match word {
        0 => Some(VarLinkage::Static),
        1 => Some(VarLinkage::Global),
        2 => Some(VarLinkage::Extern),
        _ => None,
    }
}

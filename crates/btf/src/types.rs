//! The types of BTF: one variant per kind.

use alloc::boxed::Box;

/// Number of a type; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, which has no record.
    pub const VOID: Self = Self(0);
}

impl core::fmt::Display for TypeId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// A string of the string section, by byte offset; 0 is the empty string (no name). Read it with
/// [`Btf::str`](crate::Btf::str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(pub(crate) u32);

impl Name {
    /// No name.
    pub const NONE: Self = Self(0);

    /// Whether there is no name.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The byte offset in the string section.
    pub fn offset(self) -> u32 {
        self.0
    }
}

/// How the bits of an integer are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntEncoding {
    /// Unsigned number.
    Unsigned,
    /// Two's complement number.
    Signed,
    /// Character.
    Char,
    /// `false` or `true`.
    Bool,
}

/// Linkage of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FuncLinkage {
    /// Visible in its file only.
    Static,
    /// Visible everywhere; the kernel's verifier checks it on its own.
    Global,
    /// Defined elsewhere.
    Extern,
}

/// Linkage of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VarLinkage {
    /// Visible in its file only.
    Static,
    /// Defined here, visible everywhere.
    Global,
    /// Defined elsewhere.
    Extern,
}

/// A field of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its name; none for an anonymous struct or union.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
    /// Offset from the start of the struct, in bits.
    pub off_bits: u32,
    /// Width of a bit-field in bits; 0 for an ordinary field. Old producers leave this 0 and give the width
    /// in the [`Type::Int`] instead.
    pub bitfield_bits: u8,
}

/// An enumerator. For an unsigned enum the value is to be read as `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnumValue {
    /// Its name.
    pub name: Name,
    /// Its value: sign-extended in a signed enum, zero-extended in an unsigned one.
    pub value: i64,
}

/// A parameter of a function. A last one without name and type stands for `...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Param {
    /// Its name, if known.
    pub name: Name,
    /// Its type.
    pub ty: TypeId,
}

/// A variable (or extern function) in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DatasecEntry {
    /// The [`Type::Var`] or [`Type::Func`].
    pub ty: TypeId,
    /// Offset in the section, in bytes. Compilers leave it 0: the symbol table has the truth.
    pub off_bytes: u32,
    /// Size in bytes.
    pub size: u32,
}

/// A type, one variant per kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `void`: type 0, never written.
    Void,
    /// Kind 1.
    Int {
        /// Name.
        name: Name,
        /// Size in bytes: 1, 2, 4, 8 or 16.
        size: u32,
        /// Meaning of the bits.
        encoding: IntEncoding,
        /// First bit of the value; 0 except for bit-fields of old producers.
        off_bits: u8,
        /// Width of the value; `size * 8` except for bit-fields of old producers.
        bits: u8,
    },
    /// Kind 2.
    Ptr {
        /// What it points to.
        target: TypeId,
    },
    /// Kind 3.
    Array {
        /// Type of an element.
        element: TypeId,
        /// Type of an index.
        index: TypeId,
        /// Number of elements; 0 for a flexible array.
        len: u32,
    },
    /// Kind 4.
    Struct {
        /// Tag; none when anonymous.
        name: Name,
        /// Size in bytes.
        size: u32,
        /// Fields in order of offset.
        members: Box<[Member]>,
    },
    /// Kind 5.
    Union {
        /// Tag; none when anonymous.
        name: Name,
        /// Size in bytes.
        size: u32,
        /// Alternatives.
        members: Box<[Member]>,
    },
    /// Kind 6.
    Enum {
        /// Tag; none when anonymous.
        name: Name,
        /// Size in bytes: 1, 2, 4 or 8.
        size: u32,
        /// Whether values are signed.
        signed: bool,
        /// Enumerators.
        values: Box<[EnumValue]>,
    },
    /// Kind 7: declared, not defined.
    Fwd {
        /// Tag.
        name: Name,
        /// A union rather than a struct.
        is_union: bool,
    },
    /// Kind 8.
    Typedef {
        /// Name.
        name: Name,
        /// What it stands for.
        target: TypeId,
    },
    /// Kind 9.
    Volatile {
        /// Qualified type.
        target: TypeId,
    },
    /// Kind 10.
    Const {
        /// Qualified type.
        target: TypeId,
    },
    /// Kind 11.
    Restrict {
        /// Qualified type.
        target: TypeId,
    },
    /// Kind 12: a function by name.
    Func {
        /// Name.
        name: Name,
        /// Its [`Type::FuncProto`].
        proto: TypeId,
        /// Linkage.
        linkage: FuncLinkage,
    },
    /// Kind 13: the type of a function.
    FuncProto {
        /// Type of the result.
        ret: TypeId,
        /// Parameters.
        params: Box<[Param]>,
    },
    /// Kind 14.
    Var {
        /// Name.
        name: Name,
        /// Type.
        ty: TypeId,
        /// Linkage.
        linkage: VarLinkage,
    },
    /// Kind 15: what stands in an ELF section.
    Datasec {
        /// Name of the section.
        name: Name,
        /// Size in bytes. Compilers leave it 0.
        size: u32,
        /// Variables in it.
        entries: Box<[DatasecEntry]>,
    },
    /// Kind 16.
    Float {
        /// Name.
        name: Name,
        /// Size in bytes: 2, 4, 8, 12 or 16.
        size: u32,
    },
    /// Kind 17: `btf_decl_tag` on a declaration.
    DeclTag {
        /// Text of the tag.
        name: Name,
        /// What is tagged.
        target: TypeId,
        /// Which member or parameter of it; `None` for the whole.
        component: Option<u32>,
        /// The tag stands for `__attribute__` rather than `btf_decl_tag` (Linux 6.15).
        attribute: bool,
    },
    /// Kind 18: `btf_type_tag` on a pointer's target.
    TypeTag {
        /// Text of the tag.
        name: Name,
        /// What is tagged.
        target: TypeId,
        /// The tag stands for `__attribute__` rather than `btf_type_tag` (Linux 6.15).
        attribute: bool,
    },
    /// Kind 19: an enum with 64-bit values.
    Enum64 {
        /// Tag; none when anonymous.
        name: Name,
        /// Size in bytes: 1, 2, 4 or 8.
        size: u32,
        /// Whether values are signed.
        signed: bool,
        /// Enumerators.
        values: Box<[EnumValue]>,
    },
}

/// The kind of a [`Type`], with the number that BTF gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "one per variant of `Type`, documented there")]
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

impl Kind {
    /// The word that bpftool prints for it (`INT`, `FUNC_PROTO` …).
    pub fn name(self) -> &'static str {
        match self {
            Self::Void => "VOID",
            Self::Int => "INT",
            Self::Ptr => "PTR",
            Self::Array => "ARRAY",
            Self::Struct => "STRUCT",
            Self::Union => "UNION",
            Self::Enum => "ENUM",
            Self::Fwd => "FWD",
            Self::Typedef => "TYPEDEF",
            Self::Volatile => "VOLATILE",
            Self::Const => "CONST",
            Self::Restrict => "RESTRICT",
            Self::Func => "FUNC",
            Self::FuncProto => "FUNC_PROTO",
            Self::Var => "VAR",
            Self::Datasec => "DATASEC",
            Self::Float => "FLOAT",
            Self::DeclTag => "DECL_TAG",
            Self::TypeTag => "TYPE_TAG",
            Self::Enum64 => "ENUM64",
        }
    }
}

impl Type {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Void => Kind::Void,
            Self::Int { .. } => Kind::Int,
            Self::Ptr { .. } => Kind::Ptr,
            Self::Array { .. } => Kind::Array,
            Self::Struct { .. } => Kind::Struct,
            Self::Union { .. } => Kind::Union,
            Self::Enum { .. } => Kind::Enum,
            Self::Fwd { .. } => Kind::Fwd,
            Self::Typedef { .. } => Kind::Typedef,
            Self::Volatile { .. } => Kind::Volatile,
            Self::Const { .. } => Kind::Const,
            Self::Restrict { .. } => Kind::Restrict,
            Self::Func { .. } => Kind::Func,
            Self::FuncProto { .. } => Kind::FuncProto,
            Self::Var { .. } => Kind::Var,
            Self::Datasec { .. } => Kind::Datasec,
            Self::Float { .. } => Kind::Float,
            Self::DeclTag { .. } => Kind::DeclTag,
            Self::TypeTag { .. } => Kind::TypeTag,
            Self::Enum64 { .. } => Kind::Enum64,
        }
    }

    /// Its name; [`Name::NONE`] for kinds without one and for anonymous types.
    pub fn name(&self) -> Name {
        match *self {
            Self::Int { name, .. }
            | Self::Struct { name, .. }
            | Self::Union { name, .. }
            | Self::Enum { name, .. }
            | Self::Fwd { name, .. }
            | Self::Typedef { name, .. }
            | Self::Func { name, .. }
            | Self::Var { name, .. }
            | Self::Datasec { name, .. }
            | Self::Float { name, .. }
            | Self::DeclTag { name, .. }
            | Self::TypeTag { name, .. }
            | Self::Enum64 { name, .. } => name,
            Self::Void
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Volatile { .. }
            | Self::Const { .. }
            | Self::Restrict { .. }
            | Self::FuncProto { .. } => Name::NONE,
        }
    }

    /// Fields of a struct or union; empty for any other kind.
    pub fn members(&self) -> &[Member] {
        match self {
            Self::Struct { members, .. } | Self::Union { members, .. } => members,
            _ => &[],
        }
    }

    /// Enumerators of an enum of either kind; empty for any other kind.
    pub fn values(&self) -> &[EnumValue] {
        match self {
            Self::Enum { values, .. } | Self::Enum64 { values, .. } => values,
            _ => &[],
        }
    }

    /// Calls `f` with each type that this one names.
    pub fn each_reference(&self, mut f: impl FnMut(TypeId)) {
        match self {
            Self::Void
            | Self::Int { .. }
            | Self::Enum { .. }
            | Self::Fwd { .. }
            | Self::Float { .. }
            | Self::Enum64 { .. } => {}
            Self::Ptr { target }
            | Self::Typedef { target, .. }
            | Self::Volatile { target }
            | Self::Const { target }
            | Self::Restrict { target }
            | Self::DeclTag { target, .. }
            | Self::TypeTag { target, .. } => f(*target),
            Self::Array { element, index, .. } => {
                f(*element);
                f(*index);
            }
            Self::Struct { members, .. } | Self::Union { members, .. } => {
                members.iter().for_each(|m| f(m.ty));
            }
            Self::Func { proto, .. } => f(*proto),
            Self::FuncProto { ret, params } => {
                f(*ret);
                params.iter().for_each(|p| f(p.ty));
            }
            Self::Var { ty, .. } => f(*ty),
            Self::Datasec { entries, .. } => entries.iter().for_each(|e| f(e.ty)),
        }
    }

    /// What a typedef, qualifier or type tag stands before.
    pub fn modified(&self) -> Option<TypeId> {
        match *self {
            Self::Typedef { target, .. }
            | Self::Volatile { target }
            | Self::Const { target }
            | Self::Restrict { target }
            | Self::TypeTag { target, .. } => Some(target),
            _ => None,
        }
    }
}

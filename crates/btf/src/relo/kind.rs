//! What a relocation asks for.

use alloc::format;

use crate::{At, CoreRelo, Error};

/// `enum bpf_core_relo_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum CoreKind {
    /// Offset of a field, in bytes.
    FieldByteOffset = 0,
    /// Size of a field, in bytes.
    FieldByteSize = 1,
    /// 1 if the field exists, else 0.
    FieldExists = 2,
    /// 1 if the field is signed, else 0.
    FieldSigned = 3,
    /// How far to shift a bit-field left in 64 bits.
    FieldLshiftU64 = 4,
    /// How far to shift it right again.
    FieldRshiftU64 = 5,
    /// Id of the type in the object's BTF.
    TypeIdLocal = 6,
    /// Id of the type in the target's BTF.
    TypeIdTarget = 7,
    /// 1 if the type exists, else 0.
    TypeExists = 8,
    /// Size of the type, in bytes.
    TypeSize = 9,
    /// 1 if the enumerator exists, else 0.
    EnumvalExists = 10,
    /// Value of the enumerator.
    EnumvalValue = 11,
    /// 1 if the type exists with all members that the local one has, else 0.
    TypeMatches = 12,
}

/// What the access string of a relocation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Field,
    Type,
    EnumValue,
}

impl CoreKind {
    /// All, by number.
    pub const ALL: [Self; 13] = [
        Self::FieldByteOffset,
        Self::FieldByteSize,
        Self::FieldExists,
        Self::FieldSigned,
        Self::FieldLshiftU64,
        Self::FieldRshiftU64,
        Self::TypeIdLocal,
        Self::TypeIdTarget,
        Self::TypeExists,
        Self::TypeSize,
        Self::EnumvalExists,
        Self::EnumvalValue,
        Self::TypeMatches,
    ];

    /// The kind with this number.
    pub fn from_raw(raw: u32) -> Option<Self> {
        Self::ALL.get(raw as usize).copied()
    }

    /// The kind of a relocation.
    pub(super) fn known(relo: &CoreRelo) -> Result<Self, Error> {
        Self::from_raw(relo.kind).ok_or_else(|| {
            let what = format!("CO-RE relocation of kind {}, and only 0 to 12 are known", relo.kind);
            Error::unsupported(At::Type(relo.ty.0), what)
        })
    }

    /// libbpf's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FieldByteOffset => "byte_off",
            Self::FieldByteSize => "byte_sz",
            Self::FieldExists => "field_exists",
            Self::FieldSigned => "signed",
            Self::FieldLshiftU64 => "lshift_u64",
            Self::FieldRshiftU64 => "rshift_u64",
            Self::TypeIdLocal => "local_type_id",
            Self::TypeIdTarget => "target_type_id",
            Self::TypeExists => "type_exists",
            Self::TypeSize => "type_size",
            Self::EnumvalExists => "enumval_exists",
            Self::EnumvalValue => "enumval_value",
            Self::TypeMatches => "type_matches",
        }
    }

    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::FieldByteOffset
            | Self::FieldByteSize
            | Self::FieldExists
            | Self::FieldSigned
            | Self::FieldLshiftU64
            | Self::FieldRshiftU64 => Subject::Field,
            Self::TypeIdLocal
            | Self::TypeIdTarget
            | Self::TypeExists
            | Self::TypeSize
            | Self::TypeMatches => Subject::Type,
            Self::EnumvalExists | Self::EnumvalValue => Subject::EnumValue,
        }
    }
}

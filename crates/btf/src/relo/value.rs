//! The number that a relocation puts into its instruction.

use alloc::format;

use super::CoreKind;
use super::kind::Subject;
use super::spec::Spec;
use crate::types::{IntEncoding, Type, TypeId};
use crate::{At, Btf, Endian, Error};

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its immediate or offset changes.
    Patch(Patch),
    /// There is no such type, field or enumerator: it must not be reached. libbpf puts a call of a helper there
    /// that nobody has.
    Poison,
}

/// How an instruction changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// What the compiler put there, by the local types.
    pub local: u64,
    /// What belongs there, by the target's.
    pub target: u64,
    /// Whether the instruction must hold `local` before. Bit-fields may be read in several ways, and ids change
    /// when objects are linked.
    pub validate: bool,
    /// Bytes of the field; 0 where that does not matter.
    pub local_size: u32,
    /// Bytes of the target's.
    pub target_size: u32,
    /// A load or store of this field would read other bits than were meant: sizes differ, and it is not both
    /// pointers or both unsigned integers.
    pub bad_resize: bool,
}

/// The value of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Side {
    value: u64,
    /// Of the field, for loads and stores.
    size: u32,
    ty: TypeId,
    validate: bool,
}

/// Puts both sides together. `None` for the target: there is nothing of that name.
pub(super) fn outcome(
    kind: CoreKind,
    local: &Spec<'_>,
    target: Option<&Spec<'_>>,
    endian: Endian,
) -> Result<Outcome, Error> {
    let side = |spec: &Spec<'_>| match kind.subject() {
        Subject::Field => field(kind, spec, endian),
        Subject::Type => of_type(kind, spec),
        Subject::EnumValue => enumerator(kind, spec),
    };
    let l = side(local)?;
    let t = match (target, kind) {
        (Some(spec), _) => side(spec)?,
        (
            None,
            CoreKind::FieldExists
            | CoreKind::TypeIdLocal
            | CoreKind::TypeIdTarget
            | CoreKind::TypeExists
            | CoreKind::TypeSize
            | CoreKind::EnumvalExists
            | CoreKind::TypeMatches,
        ) => Side::default(),
        (
            None,
            CoreKind::FieldByteOffset
            | CoreKind::FieldByteSize
            | CoreKind::FieldSigned
            | CoreKind::FieldLshiftU64
            | CoreKind::FieldRshiftU64
            | CoreKind::EnumvalValue,
        ) => return Ok(Outcome::Poison),
    };
    let bad_resize =
        target.is_some_and(|target| l.size != t.size && !resizable(local.btf.ty(l.ty), target.btf.ty(t.ty)));
    Ok(Outcome::Patch(Patch {
        local: l.value,
        target: t.value,
        validate: l.validate,
        local_size: l.size,
        target_size: t.size,
        bad_resize,
    }))
}

/// Whether reading fewer or more bytes gives the same value: pointers of 32-bit kernels, and unsigned numbers.
fn resizable(local: Option<&Type>, target: Option<&Type>) -> bool {
    let signed = |e: &IntEncoding| *e == IntEncoding::Signed;
    match (local, target) {
        (Some(Type::Ptr { .. }), Some(Type::Ptr { .. })) => true,
        (Some(Type::Int { encoding: l, .. }), Some(Type::Int { encoding: t, .. })) => {
            !signed(l) && !signed(t)
        }
        _ => false,
    }
}

#[cold]
fn no_size(btf: &Btf, ty: TypeId) -> Error {
    Error::malformed(At::Type(ty.0), format!("a {} has no size", btf.resolved(ty).kind().name()))
}

/// Size of what an array has at its innermost: loads are of elements.
fn innermost_size(btf: &Btf, ty: TypeId) -> Result<u32, Error> {
    let mut ty = btf.resolve(ty);
    while let Type::Array { element, .. } = btf.resolved(ty) {
        ty = btf.resolve(*element);
    }
    btf.size_of(ty).ok_or_else(|| no_size(btf, ty))
}

fn field(kind: CoreKind, spec: &Spec<'_>, endian: Endian) -> Result<Side, Error> {
    if kind == CoreKind::FieldExists {
        return Ok(Side { value: 1, validate: true, ..Side::default() });
    }
    let btf = spec.btf;
    let Some(step) = spec.steps.last() else { return Ok(Side::default()) };
    let members = btf.resolved(step.ty).members();
    let Some(m) = members.get(step.index as usize).filter(|_| step.name.is_some()) else {
        let side = Side { validate: true, ..Side::default() };
        return match kind {
            CoreKind::FieldByteOffset => Ok(Side {
                value: u64::from(spec.off_bits / 8),
                size: innermost_size(btf, step.ty)?,
                ty: step.ty,
                ..side
            }),
            CoreKind::FieldByteSize => {
                let size = btf.size_of(step.ty).ok_or_else(|| no_size(btf, step.ty))?;
                Ok(Side { value: size.into(), ..side })
            }
            _ => {
                let what = format!("{} cannot be asked of an array element", kind.name());
                Err(Error::malformed(At::Type(spec.root.0), what))
            }
        };
    };
    let ty = btf.resolve(m.ty);
    let size = btf.size_of(ty).ok_or_else(|| no_size(btf, ty))?;
    let bitfield = m.bitfield_bits != 0;
    let (at, bits) = (u64::from(spec.off_bits), u64::from(m.bitfield_bits));
    let (off, size, bits) =
        if bitfield { cover(spec, at, bits, size)? } else { (at / 8, size, u64::from(size) * 8) };
    let side = Side { validate: !bitfield, ..Side::default() };
    Ok(match kind {
        CoreKind::FieldByteOffset if bitfield => Side { value: off, ..side },
        CoreKind::FieldByteOffset => Side { value: off, size: innermost_size(btf, ty)?, ty, ..side },
        CoreKind::FieldByteSize => Side { value: size.into(), ..side },
        CoreKind::FieldSigned => {
            let signed = match btf.resolved(ty) {
                Type::Enum { signed, .. } | Type::Enum64 { signed, .. } => *signed,
                Type::Int { encoding, .. } => *encoding == IntEncoding::Signed,
                _ => false,
            };
            Side { value: signed.into(), validate: true, ..side }
        }
        // Numbers wrap as libbpf's 32-bit ones do, for fields that 64 bits cannot hold.
        CoreKind::FieldLshiftU64 => {
            let (at, off, bits, size) = (at as u32, off as u32, bits as u32, size);
            let value = match endian {
                Endian::Little => 64u32.wrapping_sub(at.wrapping_add(bits).wrapping_sub(off.wrapping_mul(8))),
                Endian::Big => {
                    8u32.wrapping_sub(size).wrapping_mul(8).wrapping_add(at.wrapping_sub(off.wrapping_mul(8)))
                }
            };
            Side { value: value.into(), ..side }
        }
        CoreKind::FieldRshiftU64 => {
            Side { value: 64u32.wrapping_sub(bits as u32).into(), validate: true, ..side }
        }
        CoreKind::FieldExists
        | CoreKind::TypeIdLocal
        | CoreKind::TypeIdTarget
        | CoreKind::TypeExists
        | CoreKind::TypeSize
        | CoreKind::EnumvalExists
        | CoreKind::EnumvalValue
        | CoreKind::TypeMatches => side,
    })
}

/// The smallest aligned integer that holds all of a bit-field: its byte, its size and the bits.
fn cover(spec: &Spec<'_>, at: u64, bits: u64, size: u32) -> Result<(u64, u32, u64), Error> {
    let mut size = u64::from(size);
    let mut off = at / 8 / size * size;
    while at + bits - off * 8 > size * 8 {
        if size >= 8 {
            let what = format!("the bit-field at bit {at} does not lie within any 8 aligned bytes");
            return Err(Error::unsupported(At::Type(spec.root.0), what));
        }
        size *= 2;
        off = at / 8 / size * size;
    }
    Ok((off, size as u32, bits))
}

fn of_type(kind: CoreKind, spec: &Spec<'_>) -> Result<Side, Error> {
    let side = Side { validate: true, ..Side::default() };
    match kind {
        CoreKind::TypeIdTarget => Ok(Side { value: spec.root.0.into(), validate: false, ..side }),
        CoreKind::TypeSize => {
            let size = spec.btf.size_of(spec.root).ok_or_else(|| no_size(spec.btf, spec.root))?;
            Ok(Side { value: size.into(), ..side })
        }
        _ => Ok(Side { value: 1, ..side }),
    }
}

fn enumerator(kind: CoreKind, spec: &Spec<'_>) -> Result<Side, Error> {
    let side = Side { validate: true, ..Side::default() };
    if kind == CoreKind::EnumvalExists {
        return Ok(Side { value: 1, ..side });
    }
    let Some(step) = spec.steps.first() else { return Ok(side) };
    let ty = spec.btf.resolved(step.ty);
    let value = ty.values().get(step.index as usize).map_or(0, |v| v.value.cast_unsigned());
    // libbpf widens an enumerator of 32 bits by its sign, whatever the enum's: so does the compiler.
    let value = match ty {
        Type::Enum { .. } => i64::from(value as u32 as i32).cast_unsigned(),
        _ => value,
    };
    Ok(Side { value, ..side })
}

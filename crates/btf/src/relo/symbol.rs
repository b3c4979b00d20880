//! Variables and functions of the target by name: what externs with a type stand for.

use super::compat::{self, Pair};
use super::{Module, TargetBtf, essential};
use crate::types::{Kind, Type, TypeId};
use crate::{Btf, Error};

/// What the target has of a name.
#[derive(Clone, Copy, Debug)]
pub enum Symbol<'t> {
    /// Nothing.
    Missing,
    /// A variable or function of that type; of which module, if it is not the kernel's own.
    Found(TypeId, Option<&'t Module>),
    /// One of another type.
    Differs(TypeId, Option<&'t Module>),
}

/// Looks for a variable ([`Kind::Var`]) or function ([`Kind::Func`]) in the kernel's types, then in each module's.
/// `ty` is the local type of the variable, or the local prototype; a function's flavour does not count.
///
/// # Errors
/// Types that nest too deep to be compared.
pub fn find_symbol<'t>(
    local: &Btf,
    ty: TypeId,
    target: &'t TargetBtf,
    kind: Kind,
    name: &str,
) -> Result<Symbol<'t>, Error> {
    let name = match kind {
        Kind::Func => core::str::from_utf8(essential(name.as_bytes())).unwrap_or(name),
        _ => name,
    };
    let Some((id, btf, module)) = target.having(kind, name) else { return Ok(Symbol::Missing) };
    let theirs = match btf.ty(id) {
        Some(Type::Var { ty, .. }) => btf.resolve(*ty),
        Some(Type::Func { proto, .. }) => *proto,
        _ => TypeId::VOID,
    };
    let same = compat::types(Pair { local, target: btf }, ty, theirs)?;
    Ok(if same { Symbol::Found(id, module) } else { Symbol::Differs(id, module) })
}

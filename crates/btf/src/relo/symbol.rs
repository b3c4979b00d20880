//! Variables and functions of the target by name: what externs with a type stand for.

use super::compat::{self, Pair};
use super::{TargetBtf, essential};
use crate::types::{Kind, Type, TypeId};
use crate::{Btf, Error};

/// What the target has of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// Nothing.
    Missing,
    /// A variable or function of that type.
    Found(TypeId),
    /// One of another type.
    Differs(TypeId),
    /// One of a module.
    InModule,
}

/// Looks for a variable ([`Kind::Var`]) or function ([`Kind::Func`]). `ty` is the local type of the variable, or the
/// local prototype; a function's flavour does not count.
///
/// # Errors
/// Types that nest too deep to be compared.
pub fn find_symbol(
    local: &Btf,
    ty: TypeId,
    target: &TargetBtf,
    kind: Kind,
    name: &str,
) -> Result<Symbol, Error> {
    let name = match kind {
        Kind::Func => core::str::from_utf8(essential(name.as_bytes())).unwrap_or(name),
        _ => name,
    };
    let main = target.main();
    let Some(id) = main.find_by_name(Some(kind), name) else {
        let has = |m: &Btf| m.find_by_name(Some(kind), name).is_some();
        return Ok(if target.modules().iter().any(|m| has(m)) { Symbol::InModule } else { Symbol::Missing });
    };
    let theirs = match main.ty(id) {
        Some(Type::Var { ty, .. }) => main.resolve(*ty),
        Some(Type::Func { proto, .. }) => *proto,
        _ => TypeId::VOID,
    };
    let same = compat::types(Pair { local, target: main }, ty, theirs)?;
    Ok(if same { Symbol::Found(id) } else { Symbol::Differs(id) })
}

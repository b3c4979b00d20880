//! What must be declared before what. A value needs its type's definition, a pointer to a struct only that there is
//! such a struct, and names of enums and typedefs must be there in any case.
//!
//! One definition after the other, each after what it needs, with a stack of our own: the file decides how deep
//! that goes. A struct that is only pointed to is declared (`struct name;`) first.

use alloc::format;
use alloc::vec::Vec;

use super::{MAX_DEPTH, Writer, too_deep};
use crate::types::{Type, TypeId};
use crate::{At, Error};

/// What a definition needs of another type.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    /// Its definition.
    Definition,
    /// That it is declared.
    Declaration,
}

/// Most needs that are held at a time: definitions that repeat others without names could have very many.
const MAX_NEEDS: usize = 1 << 22;

/// A type whose needs are being seen to.
struct Open {
    id: TypeId,
    needs: Vec<(TypeId, Need)>,
    next: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Declared,
    Open,
    Done,
}

impl Writer<'_> {
    pub(super) fn in_order(&mut self, roots: impl IntoIterator<Item = TypeId>) -> Result<(), Error> {
        let mut marks = alloc::vec![Mark::New; self.btf.len()];
        let mut open: Vec<Open> = Vec::new();
        let mut held = 0;
        for root in roots {
            if !self.stands_alone(root) || !matches!(marks[root.0 as usize], Mark::New | Mark::Declared) {
                continue;
            }
            marks[root.0 as usize] = Mark::Open;
            open.push(Open { id: root, needs: self.needs(root)?, next: 0 });
            held += open.last().map_or(0, |o| o.needs.len());
            while let Some(Open { id, needs, next }) = open.last_mut() {
                let id = *id;
                let Some(&(needed, need)) = needs.get(*next) else {
                    held -= needs.len();
                    self.bounded(id)?;
                    self.define_or_declare(id)?;
                    marks[id.0 as usize] = Mark::Done;
                    open.pop();
                    continue;
                };
                *next += 1;
                match (marks[needed.0 as usize], need) {
                    (Mark::Done, _) | (Mark::Declared | Mark::Open, Need::Declaration) => {}
                    (Mark::New, Need::Declaration) => {
                        self.forward(needed);
                        marks[needed.0 as usize] = Mark::Declared;
                    }
                    (Mark::New | Mark::Declared, Need::Definition) => {
                        marks[needed.0 as usize] = Mark::Open;
                        let needs = self.needs(needed)?;
                        held += needs.len();
                        if held > MAX_NEEDS {
                            return Err(too_deep(needed));
                        }
                        open.push(Open { id: needed, needs, next: 0 });
                    }
                    (Mark::Open, Need::Definition) => {
                        let what = format!(
                            "it needs type {needed} to be defined first, which needs it: C has no order for that"
                        );
                        return Err(Error::unsupported(At::Type(id.0), what));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a type has a definition of its own; others stand within those that use them.
    fn stands_alone(&self, id: TypeId) -> bool {
        match self.ty(id) {
            Type::Struct { name, .. } | Type::Union { name, .. } => !name.is_none(),
            Type::Enum { name, .. } | Type::Enum64 { name, .. } => {
                !name.is_none() || !self.referenced[id.0 as usize]
            }
            Type::Typedef { .. } | Type::Fwd { .. } => true,
            _ => false,
        }
    }

    fn define_or_declare(&mut self, id: TypeId) -> Result<(), Error> {
        match self.ty(id) {
            Type::Fwd { .. } => {
                self.forward(id);
                Ok(())
            }
            _ => self.define(id),
        }
    }

    fn forward(&mut self, id: TypeId) {
        let word = match self.ty(id) {
            Type::Union { .. } | Type::Fwd { is_union: true, .. } => "union",
            _ => "struct",
        };
        let text = format!("{word} {};\n\n", self.names.of(id));
        self.out.push_str(&text);
    }

    /// What the definition of a type needs.
    fn needs(&self, id: TypeId) -> Result<Vec<(TypeId, Need)>, Error> {
        let mut out = Vec::new();
        match self.ty(id) {
            Type::Typedef { target, .. } => self.uses(*target, false, 0, &mut out)?,
            _ => self.inside(id, 0, &mut out)?,
        }
        Ok(out)
    }

    /// What is written between a type's braces.
    fn inside(&self, id: TypeId, depth: u32, out: &mut Vec<(TypeId, Need)>) -> Result<(), Error> {
        if self.layouts.of(id).opaque {
            return Ok(());
        }
        self.ty(id).members().iter().try_for_each(|m| self.uses(m.ty, true, depth, out))
    }

    /// What a type that is written out needs; `value` if its size matters there.
    fn uses(
        &self,
        mut id: TypeId,
        mut value: bool,
        depth: u32,
        out: &mut Vec<(TypeId, Need)>,
    ) -> Result<(), Error> {
        let start = id;
        let deeper = depth + 1;
        if depth > MAX_DEPTH || out.len() > MAX_NEEDS {
            return Err(too_deep(start));
        }
        loop {
            match self.ty(id) {
                Type::Struct { name, .. } | Type::Union { name, .. } => {
                    if name.is_none() {
                        return self.inside(id, deeper, out);
                    }
                    out.push((id, if value { Need::Definition } else { Need::Declaration }));
                    return Ok(());
                }
                Type::Enum { name, .. } | Type::Enum64 { name, .. } => {
                    if !name.is_none() {
                        out.push((id, Need::Definition));
                    }
                    return Ok(());
                }
                Type::Fwd { .. } => {
                    out.push((id, Need::Declaration));
                    return Ok(());
                }
                Type::Typedef { target, .. } => {
                    out.push((id, Need::Definition));
                    if !value {
                        return Ok(());
                    }
                    // What has no name is defined with the typedef.
                    let end = self.ty(*target);
                    if end.name().is_none() && matches!(end, Type::Struct { .. } | Type::Union { .. }) {
                        return Ok(());
                    }
                    id = *target;
                }
                Type::Ptr { target } => (id, value) = (*target, false),
                // Elements must be complete even behind pointers.
                Type::Array { element, .. } => (id, value) = (*element, true),
                Type::Const { target }
                | Type::Volatile { target }
                | Type::Restrict { target }
                | Type::TypeTag { target, .. } => id = *target,
                Type::FuncProto { ret, params } => {
                    for p in params {
                        self.uses(p.ty, false, deeper, out)?;
                    }
                    (id, value) = (*ret, false);
                }
                Type::Void
                | Type::Int { .. }
                | Type::Func { .. }
                | Type::Var { .. }
                | Type::Datasec { .. }
                | Type::Float { .. }
                | Type::DeclTag { .. } => return Ok(()),
            }
        }
    }
}

//! Members that stay safe behind a safe pointer. The kernel's types name them: `struct task_struct__safe_rcu` has the
//! members of `struct task_struct` that are so (`BTF_TYPE_SAFE_RCU`, kernel/bpf/verifier.c, Linux 6.18).

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use skep_btf::{Btf, Type, TypeId};

/// How a member stays safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// As the pointer that it was reached through.
    Trusted,
    /// The same, or NULL.
    TrustedOrNull,
    /// While nothing goes away.
    Rcu,
    /// The same, or NULL.
    RcuOrNull,
}

const SUFFIXES: [(&str, How); 4] = [
    ("__safe_trusted", How::Trusted),
    ("__safe_trusted_or_null", How::TrustedOrNull),
    ("__safe_rcu", How::Rcu),
    ("__safe_rcu_or_null", How::RcuOrNull),
];

/// The structures of one type.
type Members<'a> = Rc<[(How, &'a Type)]>;

/// The structures that name such members, as far as they were asked for.
pub(super) struct Safe<'a> {
    btf: &'a Btf,
    /// By the type that they belong to.
    found: RefCell<Vec<(TypeId, Members<'a>)>>,
}

impl<'a> Safe<'a> {
    pub(super) fn new(btf: &'a Btf) -> Self {
        Self { btf, found: RefCell::default() }
    }

    /// The structures that belong to a type. Looks for them the first time.
    fn of(&self, id: TypeId) -> Option<Members<'a>> {
        if let Some((_, known)) = self.found.borrow().iter().find(|(of, _)| *of == id) {
            return Some(Rc::clone(known));
        }
        let ty = self.btf.ty(id)?;
        let name = self.btf.str(ty.name());
        let found = SUFFIXES.iter().filter_map(|(suffix, how)| {
            let id = self.btf.find_by_name(Some(ty.kind()), &format!("{name}{suffix}"))?;
            Some((*how, self.btf.ty(id)?))
        });
        let found: Members<'a> = found.collect();
        self.found.borrow_mut().push((id, Rc::clone(&found)));
        Some(found)
    }

    /// Whether the member of a type that has this name and points to `to` is safe so.
    pub(super) fn has(&self, of: TypeId, field: &str, to: TypeId, how: How) -> bool {
        let Some(found) = self.of(of) else { return false };
        let Some((_, safe)) = found.iter().find(|(h, _)| *h == how) else { return false };
        safe.members().iter().any(|m| {
            let points = match self.btf.ty(m.ty) {
                Some(Type::Ptr { target }) => self.btf.resolve(*target) == to,
                _ => false,
            };
            points && self.btf.str(m.name) == field
        })
    }
}

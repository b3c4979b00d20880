//! Members that stay safe behind a safe pointer. The kernel's types name them: `struct task_struct__safe_rcu` has the
//! members of `struct task_struct` that are so (`BTF_TYPE_SAFE_RCU`, kernel/bpf/verifier.c, Linux 6.18).

use alloc::vec::Vec;

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

/// The structures that name such members.
pub(super) struct Safe<'a> {
    btf: &'a Btf,
    found: Vec<(&'a str, How, &'a Type)>,
}

impl<'a> Safe<'a> {
    /// Looks at every type.
    pub(super) fn find(btf: &'a Btf) -> Self {
        let mut found = Vec::new();
        for (_, ty) in btf.iter() {
            if !matches!(ty, Type::Struct { .. } | Type::Union { .. }) {
                continue;
            }
            let name = btf.str(ty.name());
            for (suffix, how) in SUFFIXES {
                if let Some(of) = name.strip_suffix(suffix) {
                    found.push((of, how, ty));
                }
            }
        }
        Self { btf, found }
    }

    /// Whether the member of a type that has this name and points to `to` is safe so.
    pub(super) fn has(&self, of: TypeId, field: &str, to: TypeId, how: How) -> bool {
        let Some(ty) = self.btf.ty(of) else { return false };
        let name = self.btf.str(ty.name());
        let same_kind = |t: &Type| t.kind() == ty.kind();
        let Some((_, _, safe)) = self.found.iter().find(|(n, h, t)| (*n, *h) == (name, how) && same_kind(t))
        else {
            return false;
        };
        safe.members().iter().any(|m| {
            let points = match self.btf.ty(m.ty) {
                Some(Type::Ptr { target }) => self.btf.resolve(*target) == to,
                _ => false,
            };
            points && self.btf.str(m.name) == field
        })
    }
}

//! The kernel's own types: what a program finds in the arguments of what it is attached to, and behind pointers.

mod args;
mod function;
mod hook;
mod iter;
mod kfunc;
mod member;
mod safe;
mod variable;
mod walk;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use skep_abi::{CtxShape, ProgramType};
use skep_btf::{Btf, TypeId};
use skep_spec::{Environment, ProgramSpec};

pub(crate) use args::Attached;
pub(crate) use iter::{Element, IterFunction, IterStep};
pub(crate) use kfunc::{CastTo, KfuncArg, KfuncParam, KfuncProto, KfuncRet, Number, SizeBy};

use crate::state::{Kind, Marks};
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, program::Program};

/// What a load gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

impl Loaded {
    /// Any number.
    pub(crate) const NUMBER: Self = Self::of(Kind::Scalar);

    const fn of(kind: Kind) -> Self {
        Self { kind, nullable: false }
    }
}

/// The types of the kernel that a program is for.
pub(crate) struct Kernel<'a> {
    btf: &'a Btf,
    safe: safe::Safe<'a>,
    /// Structures that were asked for by name.
    named: RefCell<Vec<(&'static str, Option<TypeId>)>>,
    /// Functions that were asked whether they are an iterator's.
    iterators: iter::Asked,
    /// Functions that were called, by number; `None`: no program may.
    called: RefCell<Vec<(u32, Option<Rc<KfuncProto>>)>>,
    /// Types of the program's that were looked for here, by kind and name.
    counterparts: RefCell<kfunc::Counterparts>,
    /// What the program is attached to, if its context is made of arguments.
    pub(crate) attached: Option<Attached<'a>>,
}

/// The kernel's types, if they are known; a program whose context is made of them needs them.
pub(crate) fn types<'a>(
    spec: &'a ProgramSpec,
    env: &'a Environment,
    shape: CtxShape,
) -> Check<Option<Kernel<'a>>> {
    let attaches = shape == CtxShape::Arguments;
    if attaches && spec.attach_btf_id == 0 && spec.attach_target.is_none() {
        if spec.prog_type == ProgramType::STRUCT_OPS {
            let words = "no structure of functions refers to the program";
            return refuse(Code::BadAttachType, words).explain(
                "the member of a structure that the program is",
                "there is none",
                "name it in a variable in SEC(\".struct_ops\") or SEC(\".struct_ops.link\")",
            );
        }
        return refuse(Code::BadAttachType, "Tracing programs must provide btf_id").explain(
            "the tracepoint or iterator that the program is for",
            "there is none",
            "name it by the section, as SEC(\"tp_btf/sched_switch\") or SEC(\"iter/task\")",
        );
    }
    let Some(btf) = env.kernel_types.as_deref() else {
        return if attaches { unknown("what the program is attached to") } else { Ok(None) };
    };
    if let Some(module) = spec.attach_module.as_ref().filter(|_| attaches) {
        return unsupported(format!("programs for functions of a module ({module})"));
    }
    let attached = attaches.then(|| Attached::find(btf, spec)).transpose()?;
    Ok(Some(Kernel {
        btf,
        safe: safe::Safe::new(btf),
        named: RefCell::default(),
        iterators: Default::default(),
        called: RefCell::default(),
        counterparts: RefCell::default(),
        attached,
    }))
}

fn unknown<T>(what: &str) -> Check<T> {
    unsupported(format!(
        "{what} without the kernel's types: --btf names a file of them, as /sys/kernel/btf/vmlinux"
    ))
}

impl Kernel<'_> {
    /// The name of a function.
    pub(crate) fn function(&self, id: u32) -> Option<&str> {
        match self.btf.ty(TypeId(id)) {
            Some(skep_btf::Type::Func { name, .. }) => Some(self.btf.str(*name)),
            _ => None,
        }
    }

    /// The name of a structure.
    pub(crate) fn name(&self, id: u32) -> &str {
        self.btf.name(TypeId(id)).unwrap_or("(anon)")
    }

    /// What a load of `size` bytes at `off` gives, through a pointer that is marked so; `in_rcu`: no object goes away
    /// meanwhile (`check_ptr_to_btf_access`, kernel/bpf/verifier.c, Linux 6.18).
    pub(crate) fn load(
        &self,
        id: u32,
        marks: Marks,
        off: u32,
        size: u32,
        in_rcu: bool,
    ) -> Result<Loaded, String> {
        let (to, field, found) = match walk::access(self.btf, TypeId(id), off, size)? {
            walk::Found::Scalar => return Ok(Loaded::NUMBER),
            walk::Found::Memory => return Ok(Loaded::of(Kind::Probed)),
            walk::Found::Pointer { to, field, marks } => (to, field, marks),
        };
        let pointer = |marks, nullable| Ok(Loaded { kind: Kind::Btf { id: to.0, marks }, nullable });
        let field = self.btf.str(field);
        if marks.has(Marks::UNTRUSTED) {
            return pointer(Marks::UNTRUSTED, false);
        }
        if !marks.is_trusted() && !marks.has(Marks::RCU) {
            return pointer(found.without(Marks::TRUSTED | Marks::RCU), false);
        }
        let safe = |how| self.safe.has(TypeId(id), field, to, how);
        if safe(safe::How::Trusted) {
            pointer(found.with(Marks::TRUSTED), false)
        } else if safe(safe::How::TrustedOrNull) {
            pointer(found.with(Marks::TRUSTED), true)
        } else if !in_rcu {
            pointer(Marks::UNTRUSTED, false)
        } else if safe(safe::How::Rcu) {
            pointer(found.with(Marks::RCU), false)
        } else if safe(safe::How::RcuOrNull) {
            pointer(found.with(Marks::RCU).without(Marks::UNTRUSTED), true)
        } else if found.has(Marks::RCU) {
            pointer(found, true)
        } else if found.has(Marks::PER_CPU) || found.has(Marks::USER) {
            pointer(found, false)
        } else {
            pointer(found.without(Marks::TRUSTED | Marks::RCU), false)
        }
    }

    /// The number of the structure of a name.
    pub(crate) fn structure(&self, name: &'static str) -> Check<u32> {
        let known = self.named.borrow().iter().find(|(n, _)| *n == name).map(|(_, id)| *id);
        let id = known.unwrap_or_else(|| {
            let id = self.btf.find_by_name(Some(skep_btf::Kind::Struct), name);
            self.named.borrow_mut().push((name, id));
            id
        });
        match id {
            Some(id) => Ok(id.0),
            None => unsupported(format!("struct {name}, which is not in the kernel's types given")),
        }
    }

    /// The number of the structure or union of a name that is not known beforehand.
    pub(crate) fn by_name(&self, kind: skep_btf::Kind, name: &str) -> Option<u32> {
        self.btf.find_by_name(Some(kind), name).map(|id| id.0)
    }

    /// Whether a structure of this name stands at `off` in one of type `id`, as it or as its first member
    /// (`btf_struct_ids_match`).
    pub(crate) fn is_a(&self, id: u32, off: u32, name: &'static str) -> bool {
        let Ok(need) = self.structure(name) else { return false };
        self.contains(id, off, need)
    }

    /// The same for the structure of a number.
    pub(crate) fn contains(&self, id: u32, off: u32, need: u32) -> bool {
        let (mut id, mut off) = (TypeId(id), off);
        for _ in 0..walk::DEEPEST {
            if off == 0 && id.0 == need {
                return true;
            }
            match walk::step(self.btf, id, off, 1) {
                Ok(walk::Step::Struct { id: inner }) => (id, off) = (inner, 0),
                _ => return false,
            }
        }
        false
    }
}

/// What a member is, in any types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// A number.
    Number,
    /// A pointer to this structure.
    Pointer(u32),
    /// A pointer to something else.
    Memory,
}

/// The member at `off` of a structure.
///
/// # Errors
/// The kernel's words, where `size` bytes there are no member.
pub(crate) fn member_at(btf: &Btf, id: u32, off: u32, size: u32) -> Result<Member, String> {
    Ok(match walk::access(btf, TypeId(id), off, size)? {
        walk::Found::Pointer { to, .. } => Member::Pointer(to.0),
        walk::Found::Memory => Member::Memory,
        walk::Found::Scalar => Member::Number,
    })
}

/// The types, which are there where a register holds a pointer that they describe.
pub(crate) fn of<'p, 'a>(p: &'p Program<'a>) -> Check<&'p Kernel<'a>> {
    match &p.kernel {
        Some(kernel) => Ok(kernel),
        None => unknown("structures of the kernel"),
    }
}

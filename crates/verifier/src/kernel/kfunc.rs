//! What a function of the kernel takes and gives, as its types say (`get_kfunc_ptr_arg_type`, kernel/bpf/verifier.c,
//! Linux 6.18). What else is known of an argument stands in the end of its name.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use skep_abi::{Kfunc, KfuncFlags, kfunc};
use skep_btf::relo::essential_name as essential;
use skep_btf::{Btf, Kind, Param, Type, TypeId};

use super::Kernel;
use crate::program::Program;
use crate::signature;

/// What an argument must be, as far as types say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KfuncArg {
    /// Anything: the kernel itself gives it, or the function takes any address (`__ign`).
    Ignored,
    /// The program itself, which the kernel puts in (`__prog`).
    Program,
    /// A number.
    Number(Number),
    /// The program's context.
    Ctx,
    /// An object that the program made (`__alloc`).
    Allocated,
    /// The same, with a count of its references (`__refcounted_kptr`).
    Refcounted,
    /// A `struct bpf_dynptr`, which the function makes if `uninit`.
    Dynptr { uninit: bool },
    /// A `struct bpf_iter_…`.
    Iterator,
    /// A list in a map value or object.
    ListHead,
    /// What an object is in a list by.
    ListNode,
    /// A tree in a map value or object.
    TreeRoot,
    /// What an object is in a tree by.
    TreeNode,
    /// A string in a map that nobody can change (`__str`).
    ConstStr,
    /// A map (`__map`).
    Map,
    /// A `struct bpf_wq` in a map value.
    WorkQueue,
    /// A `struct bpf_task_work` in a map value.
    TaskWork,
    /// Where the state of interrupts is saved (`__irq_flag`).
    IrqFlag,
    /// A `struct bpf_res_spin_lock` in a map value or object.
    ResLock,
    /// A function of the program.
    Callback,
    /// A structure of the kernel, or memory: the register decides.
    Pointer {
        /// What it points to.
        to: TypeId,
        /// Whether the next argument is its size in bytes.
        sized: Option<SizeBy>,
    },
    /// A pointer or value that Linux does not know as an argument: the kind of its type.
    Unknown(&'static str),
}

/// What a number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Anything.
    Any,
    /// It must be known (`__k`).
    Constant,
    /// The size of the memory that the function returns, which is only read (`rdonly_buf_size`).
    ReadOnlySize,
    /// The same, which may be written (`rdwr_buf_size`).
    WritableSize,
}

/// How a size is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SizeBy {
    /// Any number (`__sz`).
    Number,
    /// A number that must be known (`__szk`).
    Constant,
}

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KfuncParam {
    pub(crate) arg: KfuncArg,
    /// It may be NULL (`__nullable`).
    pub(crate) nullable: bool,
    /// Memory with a size may be NULL, whatever the size (`__opt`).
    pub(crate) optional: bool,
}

/// What a function returns, as far as types say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KfuncRet {
    /// Nothing.
    Void,
    /// A number.
    Number,
    /// An address of which nothing is known (`void *`).
    Address,
    /// A structure.
    Struct(TypeId),
    /// Memory, of this size if its type has one.
    Memory(Option<u32>),
    /// What Linux does not know: the kind of its type.
    Unknown(&'static str),
}

/// Types by kind and name: the number, or how many there are.
pub(super) type Counterparts = Vec<(Kind, String, Result<u32, usize>)>;

/// What an address may be seen as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CastTo {
    /// A structure.
    Struct(u32),
    /// Memory of which nothing is known.
    Void,
    /// Nothing: the type is another.
    Other,
}

/// A function that programs may call.
pub(crate) struct KfuncProto {
    pub(crate) row: &'static Kfunc,
    pub(crate) params: Vec<KfuncParam>,
    pub(crate) ret: KfuncRet,
}

/// Structures that are arguments of their own, by name.
const OWN: &[(&str, KfuncArg)] = &[
    ("bpf_list_head", KfuncArg::ListHead),
    ("bpf_list_node", KfuncArg::ListNode),
    ("bpf_rb_root", KfuncArg::TreeRoot),
    ("bpf_rb_node", KfuncArg::TreeNode),
    ("bpf_wq", KfuncArg::WorkQueue),
    ("bpf_task_work", KfuncArg::TaskWork),
    ("bpf_res_spin_lock", KfuncArg::ResLock),
];

impl Kernel<'_> {
    /// What is known of the function of a number, if it is one that programs may call and skep knows.
    pub(crate) fn kfunc(&self, p: &Program<'_>, id: u32) -> Option<Rc<KfuncProto>> {
        if let Some((_, known)) = self.called.borrow().iter().find(|(called, _)| *called == id) {
            return known.clone();
        }
        let found = self.find_kfunc(p, id).filter(|_| self.is_kfunc(id)).map(Rc::new);
        self.called.borrow_mut().push((id, found.clone()));
        found
    }

    fn find_kfunc(&self, p: &Program<'_>, id: u32) -> Option<KfuncProto> {
        let Some(Type::Func { name, proto, .. }) = self.btf.ty(TypeId(id)) else { return None };
        let row = kfunc(self.btf.str(*name))?;
        let Some(Type::FuncProto { ret, params }) = self.btf.ty(*proto) else { return None };
        let sizes = params.iter().skip(1).map(Some).chain([None]);
        let found = params.iter().zip(sizes).enumerate();
        let params = found.map(|(i, (param, next))| self.kfunc_param(p, row, i, param, next)).collect();
        Some(KfuncProto { row, params, ret: self.kfunc_ret(*ret) })
    }

    /// Whether the kernel says of a function that programs may call it.
    pub(crate) fn is_kfunc(&self, id: u32) -> bool {
        self.btf.decl_tags(TypeId(id), None).any(|tag| tag == "bpf_kfunc")
    }

    fn kfunc_param(
        &self,
        p: &Program<'_>,
        row: &Kfunc,
        i: usize,
        param: &Param,
        next: Option<&Param>,
    ) -> KfuncParam {
        let name = self.btf.str(param.name);
        let is = |suffix: &str| name.ends_with(suffix);
        let arg = match self.btf.resolved(param.ty) {
            _ if is("__ign") => KfuncArg::Ignored,
            _ if is("__prog") => KfuncArg::Program,
            ty if is_number(ty) => KfuncArg::Number(match name {
                _ if is("__k") => Number::Constant,
                "rdonly_buf_size" => Number::ReadOnlySize,
                "rdwr_buf_size" => Number::WritableSize,
                _ => Number::Any,
            }),
            Type::Ptr { target } => self.kfunc_pointer(p, row, i, *target, name, next),
            other => KfuncArg::Unknown(other.kind().name()),
        };
        KfuncParam { arg, nullable: is("__nullable"), optional: is("__opt") }
    }

    fn kfunc_pointer(
        &self,
        p: &Program<'_>,
        row: &Kfunc,
        i: usize,
        target: TypeId,
        name: &str,
        next: Option<&Param>,
    ) -> KfuncArg {
        let is = |suffix: &str| name.ends_with(suffix);
        let iterates = [KfuncFlags::ITER_NEW, KfuncFlags::ITER_NEXT, KfuncFlags::ITER_DESTROY];
        let to = self.btf.resolve(target);
        let ty = self.btf.resolved(target);
        let structure = match ty {
            Type::Struct { name, .. } => self.btf.str(*name),
            _ => "",
        };
        if row.effect == skep_abi::KfuncEffect::CastsContext || signature::is_ctx(p, self.btf, target) {
            KfuncArg::Ctx
        } else if is("__alloc") {
            KfuncArg::Allocated
        } else if is("__refcounted_kptr") {
            KfuncArg::Refcounted
        } else if structure == "bpf_dynptr" {
            KfuncArg::Dynptr { uninit: is("__uninit") }
        } else if (i == 0 && iterates.iter().any(|f| row.flags.has(*f))) || is("__iter") {
            KfuncArg::Iterator
        } else if let Some((_, own)) = OWN.iter().find(|(n, _)| *n == structure) {
            *own
        } else if is("__str") {
            KfuncArg::ConstStr
        } else if is("__map") {
            KfuncArg::Map
        } else if is("__irq_flag") {
            KfuncArg::IrqFlag
        } else if matches!(ty, Type::FuncProto { .. }) {
            KfuncArg::Callback
        } else {
            KfuncArg::Pointer { to, sized: next.and_then(|next| self.size_by(next)) }
        }
    }

    fn size_by(&self, param: &Param) -> Option<SizeBy> {
        let name = self.btf.str(param.name);
        match is_number(self.btf.resolved(param.ty)) {
            true if name.ends_with("__sz") => Some(SizeBy::Number),
            true if name.ends_with("__szk") => Some(SizeBy::Constant),
            _ => None,
        }
    }

    fn kfunc_ret(&self, ret: TypeId) -> KfuncRet {
        match self.btf.resolved(ret) {
            Type::Void => KfuncRet::Void,
            ty if is_number(ty) => KfuncRet::Number,
            Type::Ptr { target } => match self.btf.resolved(*target) {
                Type::Void => KfuncRet::Address,
                Type::Struct { .. } | Type::Union { .. } => KfuncRet::Struct(self.btf.resolve(*target)),
                _ => KfuncRet::Memory(self.btf.size_of(*target)),
            },
            other => KfuncRet::Unknown(other.kind().name()),
        }
    }

    /// The kind of a type in the kernel's words, and its name.
    pub(crate) fn kind_and_name(&self, id: TypeId) -> (String, &str) {
        let ty = self.btf.resolved(id);
        (ty.kind().name().to_ascii_uppercase(), self.btf.str(ty.name()))
    }

    /// The offset of a member of a structure, bytes.
    pub(crate) fn member_off(&self, id: u32, name: &str) -> Option<u32> {
        let members = self.btf.ty(TypeId(id))?.members();
        members.iter().find(|m| self.btf.str(m.name) == name).map(|m| m.off_bits / 8)
    }

    /// The kernel's type that a type of the program's stands for, by its kind and name; else how many may be meant
    /// (`btf_get_ptr_to_btf_id`).
    pub(crate) fn counterpart(&self, own: &Btf, ty: &Type) -> Result<u32, usize> {
        let (kind, name) = (ty.kind(), essential(own.str(ty.name())));
        let known =
            self.counterparts.borrow().iter().find(|(k, n, _)| (*k, &**n) == (kind, name)).map(|k| k.2);
        if let Some(known) = known {
            return known;
        }
        let found = match self.btf.find_flavours(kind, name)[..] {
            [id] => Ok(id.0),
            ref several => Err(several.len()),
        };
        self.counterparts.borrow_mut().push((kind, name.into(), found));
        found
    }

    /// Whether a type is a structure.
    pub(crate) fn is_struct(&self, id: TypeId) -> bool {
        matches!(self.btf.ty(id), Some(Type::Struct { .. } | Type::Union { .. }))
    }

    /// The bytes of memory that a pointer may be to: of a number, or of a structure of numbers (`btf_type_is_scalar`,
    /// `__btf_type_is_scalar_struct`). With a size of its own it may be `void`, which has none.
    pub(crate) fn plain_size(&self, id: TypeId) -> Option<u32> {
        let plain = is_number(self.btf.resolved(id)) || only_numbers(self.btf, id, 0);
        plain.then(|| self.btf.size_of(id)).flatten()
    }

    /// Whether a type is `void`.
    pub(crate) fn is_void(&self, id: TypeId) -> bool {
        *self.btf.resolved(id) == Type::Void
    }

    /// Whether a structure of type `need` stands at `off` in one of type `id`, as it or as its first member; with
    /// `strict`, only as it (`btf_struct_ids_match`).
    pub(crate) fn stands_at(&self, id: u32, off: u32, need: TypeId, strict: bool) -> bool {
        match strict {
            true => off == 0 && self.btf.resolve(TypeId(id)) == need,
            false => self.contains(id, off, need.0),
        }
    }

    /// Whether one of two types is the other before it was made ready, for which it is never taken
    /// (`btf_type_ids_nocast_alias`).
    pub(crate) fn not_to_be_cast(&self, a: u32, b: TypeId) -> bool {
        const SUFFIX: &str = "___init";
        let (a, b) = (self.name(a), self.name(b.0));
        match (a.strip_suffix(SUFFIX), b.strip_suffix(SUFFIX)) {
            (Some(a), None) => a == b,
            (None, Some(b)) => a == b,
            _ => false,
        }
    }

    /// The kernel's own structure behind the context of a program type (`get_kern_ctx_btf_id`); or the number of what is
    /// none.
    pub(crate) fn kernel_context(&self, p: &Program<'_>) -> Result<u32, u32> {
        let name = p.spec.prog_type.name().unwrap_or_default();
        let all = self.btf.find_by_name(Some(Kind::Struct), "bpf_ctx_convert");
        let members = all.and_then(|id| self.btf.ty(id)).map_or(&[][..], Type::members);
        let is = |m: &&skep_btf::Member| {
            let member = self.btf.str(m.name);
            let of = member.strip_prefix("BPF_PROG_TYPE_").and_then(|m| m.strip_suffix("_kern"));
            of.is_some_and(|of| of.eq_ignore_ascii_case(name))
        };
        let found = members.iter().find(is).map_or(TypeId(0), |m| m.ty);
        match self.is_struct(found) {
            true => Ok(found.0),
            false => Err(found.0),
        }
    }

    /// What an address may be seen as by the number of a type (`bpf_rdonly_cast`).
    pub(crate) fn cast_to(&self, id: u64) -> Option<CastTo> {
        let number = u32::try_from(id).ok()?;
        Some(match self.btf.ty(TypeId(number))? {
            Type::Void => CastTo::Void,
            Type::Struct { .. } | Type::Union { .. } => CastTo::Struct(number),
            _ => CastTo::Other,
        })
    }
}

fn is_number(ty: &Type) -> bool {
    matches!(ty.kind(), Kind::Int | Kind::Enum | Kind::Enum64)
}

/// A structure whose members are numbers, arrays of them, and such structures, at most four deep.
fn only_numbers(btf: &Btf, id: TypeId, depth: u32) -> bool {
    let (Type::Struct { members, .. } | Type::Union { members, .. }) = btf.resolved(id) else { return false };
    members.iter().all(|m| match btf.resolved(m.ty) {
        Type::Struct { .. } | Type::Union { .. } => depth < 3 && only_numbers(btf, m.ty, depth + 1),
        Type::Array { element, len, .. } => *len != 0 && is_number(btf.resolved(*element)),
        other => is_number(other),
    })
}

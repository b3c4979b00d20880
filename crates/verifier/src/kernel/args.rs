//! What a program is attached to, and its arguments (`bpf_check_attach_target` in kernel/bpf/verifier.c and
//! `btf_ctx_access` in kernel/bpf/btf.c, Linux 6.18).

use alloc::format;

use skep_abi::{AttachType, IterArg};
use skep_btf::{Btf, Name, Param, Type, TypeId};
use skep_spec::ProgramSpec;

use super::{Loaded, function, walk};
use crate::Code;
use crate::state::{Kind, Marks};
use crate::violation::{Check, Explain, refuse, unsupported};

/// What a program is attached to.
pub(crate) struct Attached<'a> {
    btf: &'a Btf,
    name: &'a str,
    params: &'a [Param],
    iterator: Option<&'static [IterArg]>,
    /// The objects that arguments point to are there while the program runs (`prog_args_trusted`).
    trusted: bool,
    /// What the function returned, for a program that runs then.
    result: Option<Param>,
}

/// Prefix of the types of tracepoints.
const TRACE: &str = "btf_trace_";

impl<'a> Attached<'a> {
    pub(super) fn find(btf: &'a Btf, spec: &ProgramSpec) -> Check<Self> {
        let id = match (spec.attach_btf_id, spec.attach_target.as_deref()) {
            (0, Some(target)) => by_name(btf, spec, target)?,
            (id, _) => id,
        };
        let Some(ty) = btf.ty(TypeId(id)) else {
            return refuse(Code::BadAttachType, format!("attach_btf_id {id} is invalid"));
        };
        let name = btf.str(ty.name());
        match spec.attach_type {
            AttachType::TRACE_RAW_TP => Self::tracepoint(btf, id, ty, name),
            AttachType::TRACE_ITER => Self::iterator(btf, id, ty, name),
            AttachType::TRACE_FENTRY | AttachType::TRACE_FEXIT | AttachType::MODIFY_RETURN => {
                function::may_be_traced(spec, name)?;
                Self::function(btf, id, ty, name, spec.attach_type)
            }
            other => unsupported(format!("tracing programs with expected attach type {}", other.0)),
        }
    }

    fn tracepoint(btf: &'a Btf, id: u32, ty: &'a Type, name: &'a str) -> Check<Self> {
        let Type::Typedef { target, .. } = ty else {
            return not_one(format!("attach_btf_id {id} is not a typedef"), name, "a tracepoint");
        };
        let Some(name) = name.strip_prefix(TRACE) else {
            let words = format!("attach_btf_id {id} points to wrong type name {name}");
            return not_one(words, name, "a tracepoint");
        };
        let proto = match btf.resolved(*target) {
            Type::Ptr { target } => btf.resolved(*target),
            other => other,
        };
        match proto {
            // The first is `void *__data`.
            Type::FuncProto { params, .. } if !params.is_empty() => {
                Ok(Self { btf, name, params: &params[1..], iterator: None, trusted: true, result: None })
            }
            _ => not_one(format!("attach_btf_id {id} is not a function"), name, "a tracepoint"),
        }
    }

    fn iterator(btf: &'a Btf, id: u32, ty: &'a Type, name: &'a str) -> Check<Self> {
        let Type::Func { proto, .. } = ty else {
            return not_one(format!("attach_btf_id {id} is not a function"), name, "an iterator");
        };
        match (btf.ty(*proto), skep_abi::iterator(name)) {
            (Some(Type::FuncProto { params, .. }), Some(args)) => {
                Ok(Self { btf, name, params, iterator: Some(args), trusted: true, result: None })
            }
            _ => not_one(format!("{name} is no iterator of Linux 6.18"), name, "an iterator"),
        }
    }

    fn function(btf: &'a Btf, id: u32, ty: &'a Type, name: &'a str, attach: AttachType) -> Check<Self> {
        let Type::Func { proto, .. } = ty else {
            return not_one(format!("attach_btf_id {id} is not a function"), name, "a function");
        };
        let Some(Type::FuncProto { ret, params }) = btf.ty(*proto) else {
            return not_one(format!("attach_btf_id {id} is not a function"), name, "a function");
        };
        function::may_be_called(btf, name, *ret, params)?;
        let after = attach != AttachType::TRACE_FENTRY;
        // A program that changes the result gets only an integer (`btf_ctx_access`).
        let fits = attach != AttachType::MODIFY_RETURN
            || matches!(btf.resolved(*ret), Type::Int { size, .. } if *size <= 8);
        let result = (after && fits).then_some(Param { name: Name::default(), ty: *ret });
        Ok(Self { btf, name, params, iterator: None, trusted: false, result })
    }

    /// Whether the program has the helper because of what it is attached to.
    pub(crate) fn offers(&self, helper: u32) -> bool {
        let tracepoint = self.trusted && self.iterator.is_none();
        !tracepoint && skep_abi::target_offers(self.name, helper)
    }

    fn param(&self, n: usize) -> Option<&Param> {
        self.params.get(n).or(self.result.as_ref().filter(|_| n == self.params.len()))
    }

    /// What a load of `size` bytes at `off` gives.
    pub(crate) fn load(&self, off: u32, size: u32) -> Check<Loaded> {
        let words = || format!("invalid bpf_context access off={off} size={size}");
        let n = (off / 8) as usize;
        let (Some(param), true) = (self.param(n), off.is_multiple_of(8)) else {
            let known = format!("{} has {} arguments of 8 bytes each", self.name, self.params.len());
            return refuse(Code::BadContextAccess, words()).explain("a load of an argument", known, NAMES);
        };
        let iterator = self.iterator.and_then(|args| args.get(n)).copied();
        let target = match self.btf.resolved(param.ty) {
            Type::Int { size, .. } if *size <= 8 => return Ok(Loaded::NUMBER),
            Type::Enum { .. } | Type::Enum64 { .. } => return Ok(Loaded::NUMBER),
            Type::Struct { size, .. } | Type::Union { size, .. } if *size <= 8 => return Ok(Loaded::NUMBER),
            Type::Struct { .. } | Type::Union { .. } => return unsupported("arguments longer than 8 bytes"),
            Type::Ptr { target } => *target,
            other => {
                let kind = other.kind().name();
                let known = format!("argument {n} of {} is of type {kind}", self.name);
                return refuse(Code::BadContextAccess, words()).explain(
                    "a number or a pointer",
                    known,
                    NAMES,
                );
            }
        };
        if size != 8 {
            let known = format!("argument {n} of {} is a pointer", self.name);
            return refuse(Code::BadContextAccess, words()).explain("a load of 8 bytes", known, NAMES);
        }
        match iterator {
            Some(IterArg::ReadBufferOrNull) => return Ok(buffer(false)),
            Some(IterArg::BufferOrNull) => return Ok(buffer(true)),
            _ => {}
        }
        let to = self.btf.resolve(target);
        match self.btf.ty(to).unwrap_or(&Type::Void) {
            Type::Void | Type::Int { .. } => return Ok(Loaded::NUMBER),
            Type::Struct { .. } | Type::Union { .. } => {}
            other => {
                let known = format!("argument {n} of {} points to a {}", self.name, other.kind().name());
                return refuse(Code::BadContextAccess, words()).explain(
                    "a pointer to a structure",
                    known,
                    NAMES,
                );
            }
        }
        let (mut marks, nullable) = match iterator {
            Some(IterArg::TrustedOrNull) => return Ok(pointer(to, Marks::TRUSTED, true)),
            Some(IterArg::Trusted) => return Ok(pointer(to, Marks::TRUSTED, false)),
            Some(IterArg::OldOrNull) => return Ok(pointer(to, Marks::NONE, true)),
            Some(IterArg::Typed | IterArg::ReadBufferOrNull | IterArg::BufferOrNull) | None => {
                let suffix = self.btf.str(param.name).ends_with("__nullable");
                let listed = self.iterator.is_none()
                    && self.trusted
                    && skep_abi::tracepoint_arg_nullable(self.name, n as u32);
                (if self.trusted { Marks::TRUSTED } else { Marks::NONE }, suffix || listed)
            }
        };
        let tag = walk::tag(self.btf, target);
        if tag.has(Marks::USER) || tag.has(Marks::PER_CPU) {
            marks = marks.with(tag);
        }
        Ok(pointer(to, marks, nullable))
    }
}

/// The number that a loader would find (`libbpf_find_attach_btf_id`).
fn by_name(btf: &Btf, spec: &ProgramSpec, target: &str) -> Check<u32> {
    let Some((prefix, kind)) = spec.attach_kind() else {
        return unsupported("programs of this type that belong to a type of the kernel");
    };
    match btf.find_by_name(Some(kind), &format!("{prefix}{target}")) {
        Some(id) => Ok(id.0),
        None => refuse(Code::BadAttachType, format!("the kernel's types have no {prefix}{target}")).explain(
            "a tracepoint, iterator or function of the kernel",
            format!("there is none of the name {target}"),
            "look for it with `skep btf dump`",
        ),
    }
}

const NAMES: &str = "read the arguments by name: BPF_PROG(name, type argument, …)";

fn pointer(to: TypeId, marks: Marks, nullable: bool) -> Loaded {
    Loaded { kind: Kind::Btf { id: to.0, marks }, nullable }
}

fn buffer(writable: bool) -> Loaded {
    Loaded { kind: Kind::Buffer { writable }, nullable: true }
}

fn not_one<T>(words: alloc::string::String, name: &str, what: &str) -> Check<T> {
    refuse(Code::BadAttachType, words).explain(
        format!("a program for {what}"),
        format!("its types' number is that of '{name}'"),
        "let the loader find the number by the section's name",
    )
}

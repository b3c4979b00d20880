//! What a program is attached to, and its arguments (`bpf_check_attach_target` in kernel/bpf/verifier.c and
//! `btf_ctx_access` in kernel/bpf/btf.c, Linux 6.18).

use alloc::format;

use skep_abi::{AttachType, IterArg, ProgramType, ReturnRange};
use skep_btf::{Btf, Name, Param, Type, TypeId};
use skep_spec::ProgramSpec;

use super::member::Member;
use super::{Loaded, function, walk};
use crate::Code;
use crate::state::{Kind, Marks};
use crate::violation::{Check, Explain, refuse, unsupported};

/// What a program is attached to.
pub(crate) struct Attached<'a> {
    pub(super) btf: &'a Btf,
    /// Of the tracepoint, iterator or function, the hook, or the member.
    pub(super) name: &'a str,
    pub(super) params: &'a [Param],
    pub(super) point: Point<'a>,
    /// The objects that arguments point to are there while the program runs (`prog_args_trusted`).
    pub(super) trusted: bool,
    /// What the function returned, for a program that runs then.
    pub(super) result: Option<Param>,
    /// What the program may return, if that depends on what it is attached to.
    pub(super) returns: Option<ReturnRange>,
}

/// What sort of thing it is attached to.
pub(super) enum Point<'a> {
    Tracepoint,
    Iterator(&'static [IterArg]),
    Function,
    /// A hook of security modules; a program for one may belong to a control group.
    Hook {
        cgroup: bool,
    },
    Member(Member<'a>),
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
        if spec.prog_type == ProgramType::STRUCT_OPS {
            return Self::member(btf, spec, id, ty, name);
        }
        match spec.attach_type {
            AttachType::TRACE_RAW_TP => Self::tracepoint(btf, id, ty, name),
            AttachType::TRACE_ITER => Self::iterator(btf, id, ty, name),
            AttachType::TRACE_FENTRY | AttachType::TRACE_FEXIT | AttachType::MODIFY_RETURN => {
                function::may_be_traced(spec, name)?;
                Self::function(btf, spec, id, ty, name)
            }
            AttachType::LSM_MAC | AttachType::LSM_CGROUP => Self::hook(btf, spec, id, ty, name),
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
                let params = &params[1..];
                Ok(Self {
                    btf,
                    name,
                    params,
                    point: Point::Tracepoint,
                    trusted: true,
                    result: None,
                    returns: None,
                })
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
                let point = Point::Iterator(args);
                Ok(Self { btf, name, params, point, trusted: true, result: None, returns: None })
            }
            _ => not_one(format!("{name} is no iterator of Linux 6.18"), name, "an iterator"),
        }
    }

    fn function(btf: &'a Btf, spec: &ProgramSpec, id: u32, ty: &'a Type, name: &'a str) -> Check<Self> {
        let (ret, params) = prototype(btf, id, ty, name)?;
        function::may_be_called(btf, name, ret, params)?;
        function::is_listed(spec, btf, name, params)?;
        let attach = spec.attach_type;
        let after = attach != AttachType::TRACE_FENTRY;
        // A program that changes the result gets only an integer (`btf_ctx_access`).
        let fits = attach != AttachType::MODIFY_RETURN
            || matches!(btf.resolved(ret), Type::Int { size, .. } if *size <= 8);
        let result = (after && fits).then_some(Param { name: Name::default(), ty: ret });
        Ok(Self { btf, name, params, point: Point::Function, trusted: false, result, returns: None })
    }

    /// Whether the program has the helper because of what it is attached to.
    pub(crate) fn offers(&self, helper: u32) -> bool {
        match &self.point {
            Point::Tracepoint => false,
            Point::Iterator(_) | Point::Function => skep_abi::target_offers(self.name, helper),
            Point::Hook { cgroup } => skep_abi::hook_offers(self.name, *cgroup, helper),
            Point::Member(member) => member.ops.offers(self.name, helper),
        }
    }

    /// Whether the program has the helpers of its type.
    pub(crate) fn has_base_helpers(&self) -> bool {
        self.as_member().is_none_or(|member| member.ops.base_helpers)
    }

    /// What the program may return, if that depends on what it is attached to.
    pub(crate) fn returns(&self) -> Option<ReturnRange> {
        self.returns
    }

    /// The structure that the program is a member of.
    pub(crate) fn as_member(&self) -> Option<&Member<'a>> {
        match &self.point {
            Point::Member(member) => Some(member),
            Point::Tracepoint | Point::Iterator(_) | Point::Function | Point::Hook { .. } => None,
        }
    }

    /// The argument, or the result behind them, whose eight bytes at `off` are (`btf_ctx_arg_idx`): structures that are
    /// passed as such take as many as they have.
    fn param(&self, off: u32) -> Option<(usize, &Param)> {
        let mut end = 0u32;
        for (n, param) in self.params.iter().chain(&self.result).enumerate() {
            let bytes = match self.btf.resolved(param.ty) {
                Type::Ptr { .. } => 8,
                _ => self.btf.size_of(param.ty).unwrap_or(0).next_multiple_of(8),
            };
            end = end.checked_add(bytes)?;
            if off < end {
                return Some((n, param));
            }
        }
        None
    }

    /// What a load at `off` is in, if it is of what a hook has returned so far (`get_func_retval_range`).
    pub(crate) fn known_result(&self, off: u32) -> Option<(i32, i32)> {
        match (&self.point, self.returns) {
            (Point::Hook { cgroup: false }, Some(ReturnRange::LowWithin(min, max)))
                if off.is_multiple_of(8) && self.param(off)?.0 == self.params.len() =>
            {
                Some((min, max))
            }
            _ => None,
        }
    }

    /// What a load of `size` bytes at `off` gives.
    pub(crate) fn load(&self, off: u32, size: u32) -> Check<Loaded> {
        let words = || format!("invalid bpf_context access off={off} size={size}");
        let inside = off < ARGUMENT_BYTES && off.is_multiple_of(8);
        let (Some((n, param)), true) = (self.param(off), inside) else {
            let known =
                format!("{} has {} arguments, from multiples of 8 bytes on", self.name, self.params.len());
            return refuse(Code::BadContextAccess, words()).explain("a load of an argument", known, NAMES);
        };
        let iterator = match self.point {
            Point::Iterator(args) => args.get(n).copied(),
            Point::Tracepoint | Point::Function | Point::Hook { .. } | Point::Member(_) => None,
        };
        let target = match self.btf.resolved(param.ty) {
            Type::Int { size, .. } if *size <= 8 => return Ok(Loaded::NUMBER),
            Type::Enum { .. } | Type::Enum64 { .. } => return Ok(Loaded::NUMBER),
            // Linux takes the first argument of a tracepoint along when it counts.
            Type::Struct { size, .. } | Type::Union { size, .. }
                if *size > 8 && matches!(self.point, Point::Tracepoint) =>
            {
                return unsupported("arguments of tracepoints longer than 8 bytes");
            }
            Type::Struct { .. } | Type::Union { .. } => return Ok(Loaded::NUMBER),
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
                let suffix = self.btf.str(param.name).ends_with(NULLABLE);
                let listed = match &self.point {
                    Point::Tracepoint => skep_abi::tracepoint_arg_nullable(self.name, n as u32),
                    Point::Member(member) => member.may_be_null(n),
                    Point::Hook { .. } => skep_abi::hook_arg_nullable(self.name, n as u32),
                    Point::Iterator(_) | Point::Function => false,
                };
                (if self.trusted { Marks::TRUSTED } else { Marks::NONE }, suffix || listed)
            }
        };
        let tag = walk::tag(self.btf, target);
        if tag.has(Marks::USER) || tag.has(Marks::PER_CPU) {
            marks = marks.with(tag);
        }
        // The kernel says of these what they are, whatever the tags of their types.
        let to = match &self.point {
            Point::Member(member) => member.seen_as(to),
            Point::Tracepoint | Point::Iterator(_) | Point::Function | Point::Hook { .. } => to,
        };
        Ok(pointer(to, marks, nullable))
    }
}

/// Bytes of arguments that a context may have (`MAX_BPF_FUNC_ARGS`).
const ARGUMENT_BYTES: u32 = 96;

/// End of the names of parameters that may be NULL.
pub(super) const NULLABLE: &str = "__nullable";

/// What a function of the kernel returns and takes.
pub(super) fn prototype<'a>(btf: &'a Btf, id: u32, ty: &'a Type, name: &str) -> Check<(TypeId, &'a [Param])> {
    let proto = match ty {
        Type::Func { proto, .. } => btf.ty(*proto),
        _ => None,
    };
    match proto {
        Some(Type::FuncProto { ret, params }) => Ok((*ret, params)),
        _ => not_one(format!("attach_btf_id {id} is not a function"), name, "a function"),
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

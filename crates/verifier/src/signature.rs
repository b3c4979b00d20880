//! What a global function takes: it is verified once, for any arguments that its types and tags allow, and each
//! call for whether its arguments are such (`btf_prepare_func_args` in `kernel/bpf/btf.c`, Linux 6.18).

use alloc::format;
use alloc::vec::Vec;

use skep_abi::{AttachType, ProgramType};
use skep_btf::{Btf, Kind, Type, TypeId};
use skep_spec::ProgramSpec;

use crate::Code;
use crate::kernel;
use crate::program::Program;
use crate::structure;
use crate::violation::{Check, Explain, refuse};

/// An argument of a global function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Param {
    /// Any number.
    Number,
    /// The program's context.
    Ctx,
    /// Memory of the arena, or any number.
    Arena,
    /// Memory of `size` bytes, to be read and written, or NULL if so said.
    Mem { size: u32, nullable: bool },
    /// A dynptr.
    Dynptr,
    /// A structure of the kernel that is there, or NULL if so said.
    Object { id: u32, nullable: bool },
    /// A structure of the kernel that may be anywhere, to be read.
    Untrusted { id: u32 },
    /// The same, of which nothing is known.
    Probed,
}

/// Arguments that are passed in registers.
const MOST: usize = 5;

/// What the tags of an argument say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tags {
    ctx: bool,
    nonnull: bool,
    nullable: bool,
    arena: bool,
    trusted: bool,
    untrusted: bool,
}

impl Tags {
    const ARENA: Self = Self { arena: true, ..Self::NONE };
    const UNTRUSTED: Self = Self { untrusted: true, ..Self::NONE };
    const NONE: Self =
        Self { ctx: false, nonnull: false, nullable: false, arena: false, trusted: false, untrusted: false };
}

/// The arguments of a global function.
///
/// # Errors
/// Where Linux knows no global functions of such a type.
pub(crate) fn params(p: &Program<'_>, subprog: usize) -> Check<Vec<Param>> {
    let start = p.subprogs[subprog].start;
    let name = name(p.spec, start);
    let known = structure::func(p.spec, start).and_then(|(btf, id, t)| match *t {
        Type::Func { proto, .. } => match btf.ty(proto)? {
            Type::FuncProto { ret, params } => Some((btf, id, *ret, params)),
            _ => None,
        },
        _ => None,
    });
    let Some((btf, id, ret, params)) = known else {
        return refuse(Code::BadArgument, format!("Invalid type of function {name}()"));
    };
    if params.len() > MOST {
        let words = format!("Global function {name}() with {} > {MOST} args. Buggy compiler.", params.len());
        return refuse(Code::BadArgument, words);
    }
    if !is_number(btf, ret) {
        let words = format!("Global function {name}() doesn't return scalar. Only those are supported.");
        return refuse(Code::BadArgument, words);
    }
    let param = |(i, param): (usize, &skep_btf::Param)| {
        let tags = tags(btf, id, i)?;
        match btf.resolved(param.ty) {
            Type::Ptr { target } => pointer(p, btf, *target, i, tags),
            _ if tags != Tags::default() => {
                let words = format!("arg#{i} has pointer tag, but is not a pointer type");
                refuse(Code::BadArgument, words)
            }
            _ if is_number(btf, param.ty) => Ok(Param::Number),
            other => {
                let kind = other.kind().name();
                refuse(Code::BadArgument, format!("Arg#{i} type {kind} in {name}() is not supported yet."))
            }
        }
    };
    params.iter().enumerate().map(param).collect()
}

/// The name of the function that starts at a slot.
pub(crate) fn name(spec: &ProgramSpec, start: usize) -> &str {
    structure::func(spec, start).map_or("", |(btf, _, t)| btf.str(t.name()))
}

fn is_number(btf: &Btf, ty: TypeId) -> bool {
    matches!(btf.resolved(ty).kind(), Kind::Int | Kind::Enum | Kind::Enum64)
}

/// The declaration tags `arg:…` of an argument.
fn tags(btf: &Btf, func: TypeId, i: usize) -> Check<Tags> {
    let mut tags = Tags::default();
    for tag in btf.decl_tags(func, Some(i as u32)).filter_map(|tag| tag.strip_prefix("arg:")) {
        match tag {
            "ctx" => tags.ctx = true,
            "nonnull" => tags.nonnull = true,
            "nullable" => tags.nullable = true,
            "arena" => tags.arena = true,
            "trusted" => tags.trusted = true,
            "untrusted" => tags.untrusted = true,
            _ => return refuse(Code::BadArgument, format!("arg#{i} has unsupported set of tags")),
        }
    }
    Ok(tags)
}

fn pointer(p: &Program<'_>, btf: &Btf, target: TypeId, i: usize, tags: Tags) -> Check<Param> {
    if tags.ctx || is_ctx(p, btf, target) {
        if (Tags { ctx: false, ..tags }) != Tags::NONE {
            return refuse(Code::BadArgument, format!("arg#{i} has invalid combination of tags"));
        }
        if tags.ctx && !may_be_ctx(p, btf, target) {
            let words = format!("arg#{i} should be `struct {} *`", p.ctx.name);
            return refuse(Code::BadArgument, words);
        }
        return Ok(Param::Ctx);
    }
    if let Type::Struct { name, .. } | Type::Fwd { name, .. } = btf.resolved(target)
        && btf.str(*name) == "bpf_dynptr"
    {
        if tags != Tags::default() {
            return refuse(Code::BadArgument, format!("arg#{i} has invalid combination of tags"));
        }
        return Ok(Param::Dynptr);
    }
    if tags.trusted {
        if tags.nonnull {
            return refuse(Code::BadArgument, format!("arg#{i} has invalid combination of tags"));
        }
        return Ok(Param::Object { id: counterpart(p, btf, target, i)?, nullable: tags.nullable });
    }
    if tags.untrusted {
        return untrusted(p, btf, target, i, tags);
    }
    if tags.arena {
        if tags != Tags::ARENA {
            let words = format!("arg#{i} arena cannot be combined with any other tags");
            return refuse(Code::BadArgument, words);
        }
        return Ok(Param::Arena);
    }
    if tags.nullable {
        return refuse(Code::BadArgument, format!("arg#{i} has invalid combination of tags"));
    }
    match btf.size_of(target) {
        Some(size) => Ok(Param::Mem { size, nullable: !tags.nonnull }),
        None => {
            let words = format!("arg#{i} reference type size cannot be determined");
            refuse(Code::BadArgument, words)
        }
    }
}

/// What may be anywhere.
fn untrusted(p: &Program<'_>, btf: &Btf, target: TypeId, i: usize, tags: Tags) -> Check<Param> {
    if tags != Tags::UNTRUSTED {
        let words = format!("arg#{i} untrusted cannot be combined with any other tags");
        return refuse(Code::BadArgument, words);
    }
    let to = btf.resolved(target);
    if *to == Type::Void || is_primitive(to) {
        return Ok(Param::Probed);
    }
    let id = counterpart(p, btf, target, i)?;
    if matches!(to, Type::Struct { .. } | Type::Union { .. }) {
        return Ok(Param::Untrusted { id });
    }
    let words =
        format!("arg#{i} has type {}, but only struct or primitive types are allowed", to.kind().name());
    refuse(Code::BadArgument, words)
}

/// A number of 1, 2, 4, 8 or 16 bytes, or an enumeration (`btf_type_is_primitive`).
fn is_primitive(ty: &Type) -> bool {
    match ty {
        Type::Int { size, .. } => matches!(size, 1 | 2 | 4 | 8 | 16),
        other => matches!(other.kind(), Kind::Enum | Kind::Enum64),
    }
}

/// The kernel's type that the program's stands for.
fn counterpart(p: &Program<'_>, btf: &Btf, target: TypeId, i: usize) -> Check<u32> {
    let ty = btf.resolved(target);
    match kernel::of(p)?.counterpart(btf, ty) {
        Ok(id) => Ok(id),
        Err(n) => {
            let (kind, name) = (ty.kind().name().to_ascii_uppercase(), btf.str(ty.name()));
            let why = if n == 0 { "has no matches" } else { "is ambiguous" };
            refuse(Code::BadArgument, format!("arg#{i} reference type('{kind} {name}') {why}")).explain(
                "a structure that the kernel's types have once",
                format!("they have {n} of the name"),
                "use the kernel's own structure, as in vmlinux.h",
            )
        }
    }
}

/// Whether a type is by its name the program's context (`btf_is_prog_ctx_type`). Tracepoints, system calls and what is
/// attached by the kernel's types have contexts without a name.
pub(crate) fn is_ctx(p: &Program<'_>, btf: &Btf, target: TypeId) -> bool {
    match p.spec.prog_type {
        ProgramType::TRACEPOINT | ProgramType::SYSCALL | ProgramType::TRACING => false,
        ProgramType::LSM | ProgramType::STRUCT_OPS => false,
        ProgramType::KPROBE if is_user_regs(btf, target) => true,
        _ => is_ctx_struct(p, btf, target) || is_projected_ctx(p, btf, target),
    }
}

fn is_ctx_struct(p: &Program<'_>, btf: &Btf, target: TypeId) -> bool {
    matches!(btf.resolved(target), Type::Struct { name, .. } if btf.str(*name) == p.ctx.name)
}

/// The kernel's own structure, which stands for the one that programs see (`btf_is_projection_of`); and a structure that
/// has the name of the typedef for registers.
fn is_projected_ctx(p: &Program<'_>, btf: &Btf, target: TypeId) -> bool {
    let Type::Struct { name, .. } = btf.resolved(target) else { return false };
    let name = btf.str(*name);
    is_projection(p.ctx.name, name) || (p.ctx.name, name) == ("pt_regs", "bpf_user_pt_regs_t")
}

/// Whether programs see the kernel's structure `own` as `seen` (`btf_is_projection_of`).
pub(crate) fn is_projection(seen: &str, own: &str) -> bool {
    [("__sk_buff", "sk_buff"), ("xdp_md", "xdp_buff")].contains(&(seen, own))
}

/// Whether a type is `bpf_user_pt_regs_t`, behind qualifiers.
fn is_user_regs(btf: &Btf, mut ty: TypeId) -> bool {
    loop {
        match btf.ty(ty) {
            Some(Type::Typedef { name, .. }) => return btf.str(*name) == "bpf_user_pt_regs_t",
            Some(t) => match t.modified() {
                Some(inner) => ty = inner,
                None => return false,
            },
            None => return false,
        }
    }
}

/// Whether what is tagged `arg:ctx` may be the context (`btf_validate_prog_ctx_type`).
fn may_be_ctx(p: &Program<'_>, btf: &Btf, target: TypeId) -> bool {
    let t = btf.resolved(target);
    let is = |wanted: &str| matches!(t, Type::Struct { name, .. } if btf.str(*name) == wanted);
    let u64s = matches!(t, Type::Int { size: 8, .. });
    if *t == Type::Void {
        return true;
    }
    match p.spec.prog_type {
        ProgramType::KPROBE => is_user_regs(btf, target) || is("pt_regs"),
        ProgramType::PERF_EVENT => {
            is_user_regs(btf, target) || is("pt_regs") || is_ctx_struct(p, btf, target)
        }
        ProgramType::RAW_TRACEPOINT | ProgramType::RAW_TRACEPOINT_WRITABLE => {
            u64s || is_ctx_struct(p, btf, target)
        }
        ProgramType::TRACEPOINT | ProgramType::SYSCALL => true,
        ProgramType::LSM | ProgramType::STRUCT_OPS => u64s,
        ProgramType::TRACING => match p.spec.attach_type {
            AttachType::TRACE_RAW_TP => u64s || is("bpf_raw_tracepoint_args"),
            AttachType::TRACE_ITER => {
                matches!(t, Type::Struct { name, .. } if btf.str(*name).starts_with("bpf_iter__"))
            }
            _ => u64s,
        },
        _ => is_ctx_struct(p, btf, target),
    }
}

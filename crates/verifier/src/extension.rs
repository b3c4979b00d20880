//! Programs that replace a function of another (`freplace`): verified as that function, with the contexts and helpers of
//! the other's type (`bpf_check_attach_target` in kernel/bpf/verifier.c, `btf_check_func_type_match` in kernel/bpf/btf.c,
//! Linux 6.18). The machines that this was written on load no such programs: the kernel's tests and source decide.

use alloc::format;
use alloc::string::String;

use skep_abi::{AttachType, Capability, CtxShape, ProgramType, Sleep};
use skep_btf::{Btf, FuncLinkage, Param, Type, TypeId};
use skep_spec::{Environment, ProgramSpec};

use crate::program::Program;
use crate::signature::{self, Param as Takes};
use crate::structure::func;
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, cfg, structure};

/// The program as one of the type of what it extends; `None` if it extends nothing.
pub(crate) fn as_extended(spec: &ProgramSpec, env: &Environment) -> Check<Option<ProgramSpec>> {
    if spec.prog_type != ProgramType::EXT {
        return Ok(None);
    }
    let Some(extended) = env.extended.as_deref() else {
        return unsupported("extensions without the program that they extend: --extends names it");
    };
    if env.capability < Capability::Perfmon {
        return refuse(Code::NotPermitted, "program type ext needs CAP_PERFMON");
    }
    if spec.attach_type != AttachType::UNSPEC {
        return refuse(Code::BadAttachType, "extensions have no expected attach type of their own");
    }
    if spec.flags & ProgramSpec::SLEEPABLE != 0 {
        let words = "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable";
        return refuse(Code::BadAttachType, words);
    }
    if extended.prog_type == ProgramType::EXT {
        return refuse(Code::BadAttachType, "Cannot recursively attach").explain(
            "a program that is no extension itself",
            format!("{} is one", extended.name),
            "extend the program at its root",
        );
    }
    let row = env.program_type(extended.prog_type);
    let known = row.is_some_and(|row| {
        row.ctx.shape != CtxShape::Arguments && row.sleep_for(extended.attach_type) != Sleep::Always
    });
    if !known || extended.flags & ProgramSpec::SLEEPABLE != 0 {
        let kind = extended.prog_type.name().unwrap_or("unknown");
        return unsupported(format!("extensions of programs of type {kind}"));
    }
    Ok(Some(ProgramSpec {
        prog_type: extended.prog_type,
        attach_type: extended.attach_type,
        attach_btf_id: 0,
        ..spec.clone()
    }))
}

/// Whether the extension `p` may stand for the function that `spec`, as it was given, says.
pub(crate) fn fits(p: &Program<'_>, spec: &ProgramSpec, env: &Environment) -> Check<()> {
    let Some(extended) = env.extended.as_deref() else { return Ok(()) };
    let Some(btf) = extended.btf.as_deref().filter(|_| !extended.func_info.is_empty()) else {
        let words = "Tracing program can only be attached to another program annotated with BTF";
        return refuse(Code::BadAttachType, words);
    };
    let Some((own, _, this)) = func(spec, 0) else {
        return refuse(Code::BadAttachType, "Program extension requires BTF").explain(
            "the type of the extension",
            "there is none",
            "compile with -g",
        );
    };
    let start = replaced(spec, extended, btf)?;
    let mut whole = structure::prepare(extended, env).map_err(|(_, why)| why)?;
    cfg::check(&mut whole).map_err(|(_, why)| why)?;
    let Some(subprog) = whole.subprog_at(start) else {
        return refuse(Code::BadAttachType, "the function that is extended is not in its program");
    };
    if whole.exception_callback == Some(subprog) {
        return refuse(Code::BadAttachType, "Extension programs cannot attach to exception callback");
    }
    // Of the main function, only one that says that it takes the context.
    let reliable = match subprog {
        0 => signature::params(&whole, 0).is_ok_and(|params| params == [Takes::Ctx]),
        n => whole.subprogs[n].global,
    };
    if !reliable {
        return refuse(Code::BadAttachType, "Cannot replace static functions").explain(
            "a function that is verified on its own, or a main function that takes its context by type",
            "this one may be verified with its callers",
            "declare it without static, as __noinline",
        );
    }
    if p.subprogs[0].changes_packet && !whole.subprogs[subprog].changes_packet {
        let words = "Extension program changes packet data, while original does not";
        return refuse(Code::BadAttachType, words).explain(
            "a function that leaves the packet as it is",
            "callers keep pointers into the packet over the call",
            "extend a function that changes the packet itself",
        );
    }
    let Some((_, _, that)) = func(extended, start) else { return Ok(()) };
    match differs((own, this), (btf, that)) {
        None => Ok(()),
        Some(words) => refuse(Code::BadAttachType, words).explain(
            "the same arguments and result as the function that is replaced",
            "they differ",
            "copy the function's declaration",
        ),
    }
}

/// Where the function starts that is replaced: named by its type's number, or by the section.
fn replaced(spec: &ProgramSpec, extended: &ProgramSpec, btf: &Btf) -> Check<usize> {
    let is = |id: u32| match (spec.attach_btf_id, spec.attach_target.as_deref()) {
        (0, Some(name)) => btf.name(TypeId(id)) == Some(name),
        (wanted, _) => id == wanted,
    };
    if let Some(info) = extended.func_info.iter().find(|info| is(info.type_id)) {
        return Ok(info.insn_off as usize);
    }
    match (spec.attach_btf_id, spec.attach_target.as_deref()) {
        (0, None) => refuse(Code::BadAttachType, "Tracing programs must provide btf_id").explain(
            "the function that is replaced",
            "the extension names none",
            "name it by the section, as SEC(\"freplace/name\")",
        ),
        (0, Some(name)) => refuse(Code::BadAttachType, format!("Subprog {name} doesn't exist")).explain(
            format!("a function of {}", extended.name),
            format!("it has none of the name {name}"),
            "look at its functions with `skep disasm`",
        ),
        (id, _) => refuse(Code::BadAttachType, format!("attach_btf_id {id} is invalid")),
    }
}

/// How two functions differ, of all that they may have: numbers, and pointers to structures of one name.
fn differs(a: (&Btf, &Type), b: (&Btf, &Type)) -> Option<String> {
    let (a, b) = match (Function::of(a), Function::of(b)) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(words), _) | (_, Err(words)) => return Some(words),
    };
    let ((f, g), kind) = ((a.name, b.name), |t: &Type| t.kind().name());
    if a.params.len() != b.params.len() {
        return Some(format!("{f}() has {} args while {g}() has {} args", a.params.len(), b.params.len()));
    }
    let (ra, rb) = (a.btf.resolved(a.ret), b.btf.resolved(b.ret));
    if ra.kind() != rb.kind() {
        return Some(format!("Return type {} of {f}() doesn't match type {} of {g}()", kind(ra), kind(rb)));
    }
    a.params.iter().zip(b.params).enumerate().find_map(|(i, (pa, pb))| {
        let (ta, tb) = (a.btf.resolved(pa.ty), b.btf.resolved(pb.ty));
        if ta.kind() != tb.kind() {
            return Some(format!("arg{i} in {f}() is {} while {g}() has {}", kind(ta), kind(tb)));
        }
        match (ta, tb) {
            (Type::Ptr { target: sa }, Type::Ptr { target: sb }) => {
                let name = |btf: &Btf, id| match btf.resolved(id) {
                    Type::Struct { name, .. } => Some(String::from(btf.str(*name))),
                    _ => None,
                };
                match (name(a.btf, *sa), name(b.btf, *sb)) {
                    (None, _) => Some(format!("arg{i} in {f}() is not a pointer to context")),
                    (_, None) => Some(format!("arg{i} in {g}() is not a pointer to context")),
                    (Some(sa), Some(sb)) if sa != sb => {
                        Some(format!("arg{i} {f}(struct {sa} *) doesn't match {g}(struct {sb} *)"))
                    }
                    (Some(_), Some(_)) => None,
                }
            }
            (Type::Int { .. } | Type::Enum { .. } | Type::Enum64 { .. }, _) => {
                let (na, nb) = (a.btf.size_of(pa.ty)?, b.btf.size_of(pb.ty)?);
                (na != nb).then(|| format!("arg{i} in {f}() has size {na} while {g}() has {nb}"))
            }
            _ => Some(format!("arg{i} in {f}() has unrecognized type")),
        }
    })
}

struct Function<'a> {
    btf: &'a Btf,
    name: &'a str,
    ret: TypeId,
    params: &'a [Param],
}

impl<'a> Function<'a> {
    fn of((btf, ty): (&'a Btf, &'a Type)) -> Result<Self, String> {
        let name = btf.str(ty.name());
        let Type::Func { proto, linkage: FuncLinkage::Global, .. } = ty else {
            return Err(format!("{name}() is not a global function"));
        };
        match btf.ty(*proto) {
            Some(Type::FuncProto { ret, params }) => Ok(Self { btf, name, ret: *ret, params }),
            _ => Err(format!("{name}() is not a function")),
        }
    }
}

//! Objects of the kernel as arguments of its functions (`process_kf_arg_ptr_to_btf_id`).

use alloc::format;

use skep_btf::TypeId;
use skep_isa::Reg;

use super::args::Args;
use crate::check::memory::unmodified;
use crate::kernel;
use crate::state::{self, Kind, Marks, Sock, State, type_name};
use crate::violation::{Check, Explain, refuse};
use crate::{Code, signature};

/// The structure of the kernel that a kind of pointer is to, beside those that say it themselves (`reg2btf_ids`).
fn structure(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Sock(Sock::Full) => Some("sock"),
        Kind::Sock(Sock::Common) => Some("sock_common"),
        Kind::Sock(Sock::Tcp) => Some("tcp_sock"),
        Kind::Map(_) => Some("bpf_map"),
        _ => None,
    }
}

/// Whether a register holds an object of the kernel.
pub(super) fn is_object(value: &state::Reg) -> bool {
    matches!(value.kind, Kind::Btf { .. } | Kind::Local { .. }) || structure(value.kind).is_some()
}

/// Whether it is sure to stay as long as the program runs (`is_trusted_reg`).
fn is_trusted(value: &state::Reg) -> bool {
    let itself = match value.kind {
        Kind::Btf { marks, .. } => marks.is_trusted(),
        Kind::Local { marks, .. } => marks.is_owned(),
        kind => structure(kind).is_some(),
    };
    value.ref_id != 0 || (itself && !value.nullable)
}

/// Whether it stays as long as nothing goes away (`is_rcu_reg`).
fn is_rcu(value: &state::Reg) -> bool {
    matches!(value.kind, Kind::Btf { marks, .. } | Kind::Local { marks, .. } if marks.has(Marks::RCU))
}

/// A map, as its object. The kernel's own pointer to one will do, but not where it must be the map of another argument
/// (there, Linux 6.18 takes the pointer for the map).
pub(super) fn map(a: &mut Args<'_, '_>, i: usize, reg: Reg) -> Check<()> {
    let value = a.s.reg(reg);
    let is_map = match value.kind {
        Kind::Map(_) => !value.nullable,
        Kind::Btf { .. } => i == 0,
        _ => false,
    };
    if !is_map {
        return refuse(Code::BadArgument, format!("pointer in R{} isn't map pointer", reg.0)).explain(
            "a map of the program",
            format!("r{} is a {}", reg.0, type_name(value)),
            "pass the address of the map",
        );
    }
    let need = TypeId(kernel::of(a.p)?.structure("bpf_map")?);
    arg(a, i, reg, need)
}

/// An object that stands for a pointer to a structure.
pub(super) fn arg(a: &mut Args<'_, '_>, i: usize, reg: Reg, to: TypeId) -> Check<()> {
    let types = kernel::of(a.p)?;
    let (value, name) = (a.s.reg(reg), a.proto.row.name);
    if !types.is_struct(to) {
        let (kind, what) = types.kind_and_name(to);
        let words = format!("kernel function {name} args#{i} pointer type {kind} {what} is not supported");
        return refuse(Code::BadArgument, words);
    }
    let rcu = a.flag(skep_abi::KfuncFlags::RCU);
    let needs = match (is_trusted(value), a.trusted(), rcu) {
        (true, ..) | (_, false, false) => "",
        (false, _, true) if is_rcu(value) => "",
        (false, _, true) => "a rcu pointer",
        (false, true, false) => "referenced or trusted",
    };
    if !needs.is_empty() {
        return refuse(Code::BadArgument, format!("R{} must be {needs}", reg.0)).explain(
            "an object that is sure to stay while the function uses it",
            format!("r{} is {}", reg.0, state::register(a.p, a.s.depth(), value)),
            "acquire a reference, or take the pointer in a section of bpf_rcu_read_lock",
        );
    }
    may_have_moved(a.s, reg)?;
    // What may be NULL, in the user's memory, or one for each CPU, is none, whatever Linux 6.18 overlooks.
    let safe = match value.kind {
        Kind::Btf { marks, .. } => {
            let known = Marks::TRUSTED | Marks::RCU;
            marks.without(known) == Marks::NONE && !value.nullable
        }
        _ => !value.nullable,
    };
    if !safe {
        let words = format!("arg#{i} is {} expected ptr_ or socket", type_name(value));
        return refuse(Code::BadArgument, words).explain(
            "an object of the kernel that is there",
            format!("r{} is {}", reg.0, state::register(a.p, a.s.depth(), value)),
            "compare the pointer with 0 first; take it from where it is trusted",
        );
    }
    let id = match (value.kind, structure(value.kind)) {
        (Kind::Btf { id, .. }, _) => id,
        (_, Some(name)) => types.structure(name)?,
        (_, None) => {
            let (kind, need) = types.kind_and_name(to);
            let words = format!(
                "kernel function {name} args#{i} expected pointer to {kind} {need} but R{} has a pointer to an object of the program's",
                reg.0
            );
            return refuse(Code::BadArgument, words);
        }
    };
    let strict = (a.releases() && value.ref_id != 0) || types.not_to_be_cast(id, to);
    let off = u32::try_from(value.off).unwrap_or(u32::MAX);
    let projected = signature::is_projection(types.name(to.0), types.name(id));
    if projected || types.stands_at(id, off, to, strict) {
        return Ok(());
    }
    let ((kind, need), (own_kind, own)) = (types.kind_and_name(to), types.kind_and_name(TypeId(id)));
    let words = format!(
        "kernel function {name} args#{i} expected pointer to {kind} {need} but R{} has a pointer to {own_kind} {own}",
        reg.0
    );
    refuse(Code::BadArgument, words).explain(
        format!("a pointer to struct {need}"),
        format!("r{} is a {}{own}", reg.0, type_name(value)),
        "pass the object itself, or the member that is of this type",
    )
}

/// A pointer whose kind may not move has not (`check_func_arg_reg_off`).
pub(super) fn may_have_moved(s: &State, reg: Reg) -> Check<()> {
    let value = s.reg(reg);
    match value.kind {
        Kind::Scalar | Kind::Arena | Kind::Stack { .. } | Kind::Packet { .. } | Kind::PacketMeta { .. } => {
            Ok(())
        }
        Kind::MapValue(_) | Kind::MapKey(_) | Kind::Mem { .. } | Kind::Slice { .. } | Kind::Buffer { .. }
            if !value.nullable =>
        {
            Ok(())
        }
        Kind::Btf { .. } | Kind::Local { .. }
            if value.off >= 0 && value.val.as_const() == Some(0) && !value.nullable =>
        {
            Ok(())
        }
        Kind::MapValue(_)
        | Kind::MapKey(_)
        | Kind::Mem { .. }
        | Kind::Slice { .. }
        | Kind::Dynptr(_)
        | Kind::Buffer { .. }
        | Kind::Btf { .. }
        | Kind::Local { .. }
        | Kind::NotInit
        | Kind::Ctx
        | Kind::Map(_)
        | Kind::Func(_)
        | Kind::PacketEnd
        | Kind::FlowKeys
        | Kind::TracepointBuffer
        | Kind::Sock(_)
        | Kind::Probed => unmodified(s, reg),
    }
}

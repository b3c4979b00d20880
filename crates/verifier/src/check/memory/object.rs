//! Objects of the kernel: structs by their types, sockets.

use alloc::format;

use skep_abi::ProgramType;
use skep_btf::TypeId;
use skep_isa::Reg;

use super::Target;
use crate::Code;
use crate::kernel::{self, Loaded};
use crate::program::Program;
use crate::state::{self, Kind, Marks, Sock, State, type_name};
use crate::violation::{Check, Explain, refuse, unsupported};

/// A load from an object of the kernel (`check_ptr_to_btf_access`). `off` includes the fixed part.
pub(crate) fn object_load(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    (id, marks): (u32, Marks),
    off: i32,
    size: usize,
) -> Check<Target> {
    let at = object_place(p, s, base, (id, marks), off)?;
    let types = kernel::of(p)?;
    let marks = if s.reg(base).ref_id != 0 { Marks::TRUSTED } else { marks };
    match types.load(id, marks, at, size as u32, p.in_rcu(s)) {
        Ok(loaded) => Ok(Target::Kernel(loaded)),
        Err(words) => refuse(Code::OutOfBounds, words).explain(
            format!("a load of a member of struct {}, at its size", types.name(id)),
            format!("{size} bytes at {off} are none"),
            "load the member by its name; use CO-RE (preserve_access_index) for another kernel's layout",
        ),
    }
}

/// A store to one: what the program is a member of may allow it.
pub(super) fn object_store(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    (id, marks): (u32, Marks),
    off: i32,
    size: usize,
) -> Check<Target> {
    let at = object_place(p, s, base, (id, marks), off)?;
    let types = kernel::of(p)?;
    if let Some((stores, mark)) = connection_mark(p, id)? {
        let owned = s.reg(base).ref_id != 0 || marks.is_trusted();
        if owned && (mark..mark + 4).contains(&at) && at + size as u32 <= mark + 4 {
            return Ok(Target::Kernel(Loaded::NUMBER));
        }
        return refuse(Code::ForbiddenAccess, format!("no write support to {stores} at off {at}")).explain(
            "a store to the mark of a connection that is held",
            format!("{size} bytes at {at} are stored, the mark is at {mark}"),
            "use a function of the kernel for the other members",
        );
    }
    let Some(member) = types.attached.as_ref().and_then(|a| a.as_member()) else {
        return refuse(Code::ForbiddenAccess, "only read is supported").explain(
            "a load",
            "objects of the kernel are not written to",
            "use a function of the kernel, or keep your own data in a map",
        );
    };
    match member.stores(TypeId(id), at, size as u32) {
        Ok(()) if !marks.is_trusted() && s.reg(base).ref_id == 0 => {
            unsupported("stores to an object that was not given to the program")
        }
        Ok(()) => Ok(Target::Kernel(Loaded::NUMBER)),
        Err(words) => refuse(Code::ForbiddenAccess, words).explain(
            "a store to a member that the structure of functions opens to its programs",
            format!("{size} bytes at {off} of struct {} are none", types.name(id)),
            "store to these members only, each from its start on",
        ),
    }
}

/// A structure of connections that the program's type may store to, and the offset of the only member that it may
/// (`nfct_btf_struct_access`).
fn connection_mark(p: &Program<'_>, id: u32) -> Check<Option<(&'static str, u32)>> {
    let types = kernel::of(p)?;
    let may = matches!(p.spec.prog_type, ProgramType::XDP | ProgramType::SCHED_CLS | ProgramType::SCHED_ACT);
    let Some(name) = ["nf_conn", "nf_conn___init"].into_iter().find(|n| may && types.name(id) == *n) else {
        return Ok(None);
    };
    Ok(types.member_off(types.structure("nf_conn")?, "mark").map(|off| (name, off)))
}

/// Where in the object an access is, if such objects may be looked at so.
fn object_place(p: &Program<'_>, s: &State, base: Reg, (id, marks): (u32, Marks), off: i32) -> Check<u32> {
    let types = kernel::of(p)?;
    let name = types.name(id);
    if !p.may_leak() {
        let words = format!("'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN");
        return refuse(Code::PointerLeak, words);
    }
    if !p.spec.gpl_compatible() {
        let words = format!("Cannot access kernel 'struct {name}' from non-GPL compatible program");
        return refuse(Code::GplOnly, words);
    }
    place_in(s, base, name, marks, off)
}

/// Where in the structure `name` an access is: at a number that is known and not negative, in memory that is the
/// kernel's own and not each CPU's.
pub(super) fn place_in(s: &State, base: Reg, name: &str, marks: Marks, off: i32) -> Check<u32> {
    let var = &s.reg(base).val;
    let what = match (u32::try_from(off), var.as_const()) {
        (Err(_), _) => format!("invalid negative access: off={off}"),
        (_, None | Some(1..)) => format!("invalid variable offset: off={off}, var_off={}", var.tnum()),
        _ if marks.has(Marks::USER) => format!("access user memory: off={off}"),
        _ if marks.has(Marks::PER_CPU) => format!("access percpu memory: off={off}"),
        (Ok(at), Some(0)) => return Ok(at),
    };
    refuse(Code::OutOfBounds, format!("R{} is ptr_{name} {what}", base.0))
}

/// A load from a socket.
pub(super) fn socket(base: Reg, sock: Sock, off: i32, size: usize) -> Check<Target> {
    let fields = sock.fields();
    let at = u32::try_from(off).ok();
    if at.and_then(|off| fields.access(off, size as u32, false)).is_some() {
        return Ok(Target::Sock(sock));
    }
    let name = type_name(&state::Reg::pointer(Kind::Sock(sock)));
    let words = format!("R{} invalid {name} access off={off} size={size}", base.0);
    let known = match at.and_then(|o| fields.field_at(o)) {
        Some(f) => format!("{}.{} is {} bytes at {}", fields.name, f.name, f.size, f.off),
        None => format!("{} has no field there for a {name}", fields.name),
    };
    refuse(Code::BadContextAccess, words).explain(
        format!("a field of struct {}, at its size", fields.name),
        known,
        "bpf_sk_fullsock and bpf_tcp_sock give sockets of which more is seen",
    )
}

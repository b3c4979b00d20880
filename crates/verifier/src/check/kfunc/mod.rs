//! Calls of the kernel's own functions (`check_kfunc_call` in kernel/bpf/verifier.c, Linux 6.18).

mod args;
mod dynptr;
mod object;
mod returned;

pub(crate) use args::registers;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;

use skep_abi::{KfuncEffect, KfuncFlags};
use skep_isa::{CallTarget, Op};

use super::{Facts, allocated, lock, section, throw};
use crate::Code;
use crate::contract::{HelperFacts, Returned};
use crate::kernel::KfuncProto;
use crate::program::Program;
use crate::state::State;
use crate::violation::{Check, Explain, refuse, unsupported};

/// What needs no state and holds for dead code as well: there is such a function (`add_kfunc_call`).
pub(crate) fn known(p: &Program<'_>, btf_id: i32, module: i16) -> Check<()> {
    if !p.env.privileged() {
        let words = "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
        return refuse(Code::NotPermitted, words);
    }
    if !p.spec.gpl_compatible() {
        let words = "cannot call kernel function from non-GPL compatible program";
        return refuse(Code::GplOnly, words);
    }
    if module != 0 {
        return unsupported(format!("kernel function call of a module (BTF id {btf_id})"));
    }
    name(p, btf_id)?;
    // Wherever it stands, reached or not (`add_kfunc_call`).
    if proto(p, btf_id, module).is_some_and(|k| matches!(k.row.effect, KfuncEffect::NeedsDevice)) {
        return refuse(Code::BadAttachType, "metadata kfuncs require device-bound program");
    }
    Ok(())
}

/// The name of a function.
fn name<'p>(p: &'p Program<'_>, btf_id: i32) -> Check<&'p str> {
    let Some(types) = &p.kernel else {
        return unsupported(format!(
            "kernel function call (BTF id {btf_id}) without the kernel's types (--btf)"
        ));
    };
    match u32::try_from(btf_id).ok().and_then(|id| types.function(id)) {
        Some(name) => Ok(name),
        None => refuse(Code::BadInsn, format!("kernel btf_id {btf_id} is not a function")),
    }
}

/// What the kernel's types say of a function, if skep knows it. Dead code may name others.
pub(crate) fn proto(p: &Program<'_>, btf_id: i32, module: i16) -> Option<Rc<KfuncProto>> {
    let id = u32::try_from(btf_id).ok().filter(|_| module == 0)?;
    p.kernel.as_ref()?.kfunc(p, id)
}

/// The function, if the program may call it (`fetch_kfunc_meta`).
fn offered(p: &Program<'_>, btf_id: i32, module: i16) -> Check<Rc<KfuncProto>> {
    known(p, btf_id, module)?;
    let name = name(p, btf_id)?;
    let proto = match proto(p, btf_id, module) {
        Some(proto) => proto,
        None if p.kernel.as_ref().is_some_and(|k| k.is_kfunc(btf_id as u32)) => {
            return unsupported(format!("kernel function {name} (BTF id {btf_id})"));
        }
        None => return not_allowed(p, name, "no program may call it".into()),
    };
    if !proto.row.may_be_called(p.spec.prog_type, p.spec.attach_type) {
        return not_allowed(p, name, "it is for programs of other types".into());
    }
    Ok(proto)
}

fn not_allowed<T>(p: &Program<'_>, name: &str, known: String) -> Check<T> {
    refuse(Code::UnknownHelper, format!("calling kernel function {name} is not allowed")).explain(
        format!("a kernel function of program type {}", p.spec.prog_type.name().unwrap_or("unknown")),
        known,
        "use another function or program type",
    )
}

/// A call.
pub(super) fn call(p: &Program<'_>, s: &State, pc: usize, btf_id: i32, module: i16) -> Check<Facts> {
    let proto = offered(p, btf_id, module);
    let under_lock = proto.as_ref().is_ok_and(|k| k.row.flags.has(KfuncFlags::UNDER_LOCK));
    if !under_lock {
        lock::no_calls(s, "function calls are not allowed while holding a lock")?;
    }
    let proto = proto?;
    let row = proto.row;
    match row.effect {
        KfuncEffect::Traps => {
            let words = "unexpected __bpf_trap() due to uninitialized variable?";
            return refuse(Code::BadInsn, words).explain(
                "a program whose meaning is defined on every path",
                "the compiler put a trap where it is not",
                "initialise the variable; compile with warnings",
            );
        }
        KfuncEffect::NeedsDevice => {
            return refuse(Code::BadAttachType, "metadata kfuncs require device-bound program");
        }
        KfuncEffect::Throws => return throw::call(p, s),
        KfuncEffect::None
        | KfuncEffect::Enters(_)
        | KfuncEffect::Leaves(_)
        | KfuncEffect::CastsContext
        | KfuncEffect::CastsReadOnly
        | KfuncEffect::SessionCookie
        | KfuncEffect::TakesLock
        | KfuncEffect::GivesLock => {}
    }
    if row.flags.has(KfuncFlags::SLEEPABLE) && !p.may_sleep(s) {
        let words = format!("program must be sleepable to call sleepable kfunc {}", row.name);
        return refuse(Code::UnknownHelper, words);
    }
    if row.flags.has(KfuncFlags::RCU_PROTECTED) && !p.in_rcu(s) {
        let words = format!("kernel func {} requires RCU critical section protection", row.name);
        return refuse(Code::Lock, words).explain(
            "a place where nothing goes away",
            "the program may sleep here",
            "call bpf_rcu_read_lock first, and bpf_rcu_read_unlock behind",
        );
    }
    if let Some((name, what)) =
        allocated::function(p, Op::Call(CallTarget::Kfunc { btf_id, btf_idx: module }))
    {
        return allocated::call(p, s, name, what);
    }
    let mut args = args::Args::new(p, s, &proto, pc, btf_id as u32);
    args.all()?;
    section::change(p, s, row.name, row.effect)?;
    if row.flags.has(KfuncFlags::SLEEPABLE) {
        section::may_not_sleep(s, &format!("kernel func {} is sleepable within", row.name))?;
    }
    let taken = args.found.1.lock.is_some();
    if args.found.0.iter.is_some() || (args.found.0.irq.is_some() && !taken) {
        // What the iterator gives stands in what is known of it.
        return Ok(args.found.0);
    }
    let ret = match row.effect {
        // That it failed is another path.
        KfuncEffect::TakesLock => Returned::Within(0, 0),
        _ => args.returned()?,
    };
    let (mut facts, out) = args.found;
    facts.helper = Some(HelperFacts {
        ret,
        acquires: row.flags.has(KfuncFlags::ACQUIRE),
        changes_packet: out.changes_packet || row.flags.has(KfuncFlags::CHANGES_PACKET),
        ..out
    });
    facts.kfunc = Some(row.effect);
    Ok(facts)
}

//! Calls of helpers and of the program's own functions.

mod args;
mod returned;

use alloc::format;
use alloc::vec::Vec;

use skep_abi::{AttachType, HelperFlags, HelperProto, ProgramType, helper_name};
use skep_isa::Reg;
use skep_spec::Field;

use super::{Facts, dynptr, exit, global, lock, section};
use crate::contract;
use crate::program::Program;
use crate::state::State;
use crate::violation::{Check, Explain, refuse, unsupported};
use crate::{Code, limits};

pub(super) fn subprog(p: &Program<'_>, s: &State, pc: usize, off: i32) -> Check<Facts> {
    if let Some(callee) = p.global_callee(pc, off) {
        return global::call(p, s, callee);
    }
    room_for_frame(s)?;
    Ok(Facts::default())
}

/// One function more may be entered.
pub(in crate::check) fn room_for_frame(s: &State) -> Check<()> {
    let frames = s.frames.len() + 1;
    if frames > limits::FRAMES {
        return refuse(Code::CallDepth, format!("the call stack of {} frames is too deep", frames - 1))
            .explain(
                format!("at most {} functions at a time", limits::FRAMES),
                "one more is called",
                "inline some of them; recursion is not possible",
            );
    }
    Ok(())
}

/// The helper, if the environment offers it to this program.
fn offered<'a>(p: &Program<'a>, s: &State, id: u32) -> Check<&'a HelperProto> {
    let Some(proto) = p.env.helper_of(p.row, id) else {
        return match helper_name(id) {
            Some(name) => unsupported(format!("helper {name}#{id}")),
            None => refuse(Code::UnknownHelper, format!("invalid func unknown#{id}")),
        };
    };
    let name = proto.name;
    let attached = p.kernel.as_ref().and_then(|k| k.attached.as_ref());
    let of_type = match attached.is_none_or(|a| a.has_base_helpers()) {
        true => p.row.helper_capability(id, p.spec.attach_type),
        false => None,
    };
    match of_type {
        Some(needs) if p.env.capability >= needs => {}
        None if attached.is_some_and(|a| a.offers(id)) => {}
        other => {
            let known = match other {
                Some(needs) => {
                    format!("it needs the capability {needs:?}, the loader has {:?}", p.env.capability)
                }
                None => "the type does not offer it".into(),
            };
            return refuse(
                Code::UnknownHelper,
                format!("program of this type cannot use helper {name}#{id}"),
            )
            .explain(
                format!("a helper of program type {}", p.spec.prog_type.name().unwrap_or("unknown")),
                known,
                "use another helper or program type",
            );
        }
    }
    if proto.flags.has(HelperFlags::GPL_ONLY) && !p.spec.gpl_compatible() {
        let words = "cannot call GPL-restricted function from non-GPL compatible program";
        return refuse(Code::GplOnly, words).explain(
            "a GPL-compatible licence",
            format!("the licence is {:?}", p.spec.license),
            "declare char LICENSE[] SEC(\"license\") = \"GPL\", if that is what the program is under",
        );
    }
    if proto.flags.has(HelperFlags::MIGHT_SLEEP) && !p.may_sleep(s) {
        return refuse(Code::UnknownHelper, "helper call might sleep in a non-sleepable prog");
    }
    Ok(proto)
}

/// Whether a function of the kernel runs the program (`check_get_func_ip`).
fn runs_for_a_function(p: &Program<'_>) -> bool {
    let own = matches!(p.spec.attach_type, AttachType::TRACE_RAW_TP | AttachType::TRACE_ITER);
    p.spec.prog_type == ProgramType::KPROBE || (p.spec.prog_type == ProgramType::TRACING && !own)
}

struct Args<'a, 'p> {
    p: &'a Program<'p>,
    s: &'a State,
    proto: &'a HelperProto,
    facts: Facts,
    out: contract::HelperFacts,
    map: Option<u16>,
    alloc_size: Option<u32>,
    /// The most that the last size argument may be.
    size_max: u64,
    /// The string argument.
    text: Option<Vec<u8>>,
    const_key: Option<u64>,
    ref_id: u32,
    func: Option<u16>,
    /// The place that pointers are exchanged in.
    place: Option<(Reg, Field)>,
    /// The dynptr that it uses.
    dynptr: Option<dynptr::Given>,
    pc: usize,
}

pub(super) fn helper(p: &Program<'_>, s: &State, pc: usize, id: u32) -> Check<Facts> {
    if id != contract::SPIN_UNLOCK {
        lock::no_calls(s, "function calls are not allowed while holding a lock")?;
    }
    let proto = offered(p, s, id)?;
    if proto.flags.has(HelperFlags::MIGHT_SLEEP) {
        section::may_not_sleep(s, &format!("sleepable helper {}#{id} in", proto.name))?;
    }
    let mut a = Args {
        p,
        s,
        proto,
        facts: Facts::default(),
        out: contract::start(proto),
        map: None,
        alloc_size: None,
        size_max: 0,
        text: None,
        const_key: None,
        ref_id: 0,
        func: None,
        place: None,
        dynptr: None,
        pc,
    };
    for (i, arg) in proto.args.iter().enumerate() {
        let Some(arg) = arg else { break };
        a.arg(i, *arg)?;
    }
    if id == contract::SNPRINTF {
        a.format()?;
    }
    if id == contract::GET_FUNC_IP && !runs_for_a_function(p) {
        let kind = p.spec.prog_type.0;
        return refuse(
            Code::BadArgument,
            format!("func bpf_get_func_ip#{id} not supported for program type {kind}"),
        )
        .explain(
            "a program that a function runs: kprobe, fentry, fexit, fmod_ret",
            "an event of another sort",
            "find the address in the record of the event",
        );
    }
    if id == contract::TAIL_CALL {
        match s.depth() {
            0 => exit::no_references(s, "tail_call")?,
            // Its caller goes on, with all that is held.
            _ => lock::released(s, "tail_call")?,
        }
        exit::no_tail_call_in_callback(s)?;
    }
    a.callback()?;
    if proto.flags.has(HelperFlags::RELEASES) && a.out.dynptr.is_none() {
        if !s.holds(a.ref_id) {
            let words = format!("func {}#{id} reference has not been acquired before", proto.name);
            return refuse(Code::Reference, words);
        }
        a.out.releases = Some(a.ref_id);
    }
    if proto.flags.has(HelperFlags::CASTS) {
        a.out.derived_from = a.ref_id;
    }
    if id == contract::GET_LOCAL_STORAGE {
        a.no_flags(Reg(2))?;
    }
    // What a map of sockets gives is held, as what a lookup of a socket gives.
    a.out.acquires |= id == contract::LOOKUP && a.map.is_some_and(|m| p.map(m).kind.holds_sockets());
    a.out.ret = a.returned()?;
    a.out.key = a.const_key.and_then(|key| u32::try_from(key).ok());
    a.facts.helper = Some(a.out);
    Ok(a.facts)
}

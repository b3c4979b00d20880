//! What programs on tracepoints and iterators are given: their arguments, and what functions they may call.

use skep_abi::{AttachType, HELPERS, ITERATORS};
use skep_btf::{Kind, Type};
use skep_isa::Size;
use skep_spec::LoadOptions;
use skep_verifier::{Code, Options, verify};

use crate::common::{SIZES, compare, kernel, load, spec, text};

#[test]
fn arguments_of_every_tracepoint_and_iterator() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (mut wrong, mut targets, mut accepted) = (Vec::new(), Vec::new(), 0);
    for (id, ty) in btf.iter() {
        let name = btf.str(ty.name());
        match ty {
            Type::Typedef { .. } if name.starts_with("btf_trace_") => {
                targets.push((AttachType::TRACE_RAW_TP, id, name));
            }
            Type::Func { .. } if name.starts_with("bpf_iter_") => {
                targets.push((AttachType::TRACE_ITER, id, name))
            }
            _ => {}
        }
    }
    for (attach, id, name) in targets {
        for n in 0..9 {
            let mut insns = vec![load(Size::DW, 2, 1, n * 8)];
            insns.extend(text("r0 = 0\nexit"));
            let what = format!("{name}: argument {n}");
            if !compare(&kernel, &env, &spec(attach, id, insns), &mut wrong, &what) {
                break;
            }
            accepted += 1;
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(accepted > 1000, "{accepted}");
}

#[test]
fn narrow_loads_of_arguments() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let mut wrong = Vec::new();
    let targets = [
        (AttachType::TRACE_RAW_TP, "btf_trace_sched_switch", Kind::Typedef),
        (AttachType::TRACE_RAW_TP, "btf_trace_kfree_skb", Kind::Typedef),
        (AttachType::TRACE_ITER, "bpf_iter_task_file", Kind::Func),
        (AttachType::TRACE_ITER, "bpf_iter_bpf_map_elem", Kind::Func),
    ];
    for (attach, name, kind) in targets {
        let Some(id) = btf.find_by_name(Some(kind), name) else { continue };
        for off in 0..104 {
            for size in SIZES {
                let mut insns = vec![load(size, 2, 1, off)];
                insns.extend(text("r0 = 0\nexit"));
                compare(
                    &kernel,
                    &env,
                    &spec(attach, id, insns),
                    &mut wrong,
                    &format!("{name}: {size:?} at {off}"),
                );
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn kernel_offers_tracing_programs_the_same_helpers() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let mut wrong = Vec::new();
    let iterators = ITERATORS.iter().map(|(name, _)| (AttachType::TRACE_ITER, Kind::Func, *name));
    let tracepoint = (AttachType::TRACE_RAW_TP, Kind::Typedef, "btf_trace_sched_switch");
    for (attach, kind, name) in iterators.chain([tracepoint]) {
        let Some(id) = btf.find_by_name(Some(kind), name) else { continue };
        for helper in HELPERS {
            let spec = spec(attach, id, text(&format!("call {}\nr0 = 0\nexit", helper.id)));
            let ours = match verify(&spec, &env, &Options::default()) {
                Ok(_) => true,
                Err(r) => !matches!(r.code(), Code::UnknownHelper | Code::GplOnly),
            };
            let theirs = match kernel.load_program(&spec, &[], LoadOptions { log_level: 1 }) {
                Ok(_) => true,
                Err(e) => {
                    let not = [
                        "cannot use helper",
                        "unknown func",
                        "might sleep",
                        "GPL-restricted",
                        "not allowed in probe",
                    ];
                    !not.iter().any(|w| e.log.contains(w))
                }
            };
            if ours != theirs {
                wrong.push(format!("{name}: {}#{}: ours {ours}", helper.name, helper.id));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

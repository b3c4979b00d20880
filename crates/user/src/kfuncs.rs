//! Functions of the kernel that programs call here: this backend's own set, with types as a kernel has them.
//!
//! An object may have been opened for a kernel, whose numbers of functions mean nothing here, or for none. Its calls are
//! bound by name; their prototypes must be those of this set.

use std::sync::{Arc, OnceLock};

use skep_btf::relo::{Symbol, TargetBtf, essential_name, find_symbol};
use skep_btf::{Btf, Kind, Type};
use skep_isa::{CallTarget, Op, decode_all};
use skep_spec::{Environment, Errno, Error, KfuncCall, ProgramSpec};

/// The types of all functions that programs may call here, tagged as the kernel tags its own.
pub fn kfunc_types() -> &'static Arc<Btf> {
    static TYPES: OnceLock<Arc<Btf>> = OnceLock::new();
    TYPES.get_or_init(|| Arc::new(skep_vm::kfunc_types()))
}

/// Helpers whose arguments or results are objects of the kernel: those of local storage.
const OF_OBJECTS: [u32; 7] = [145, 146, 156, 157, 158, 210, 211];

/// Whether a program calls helpers that are judged by types of objects.
fn names_objects(spec: &ProgramSpec) -> bool {
    let calls = decode_all(&spec.insns).map_while(Result::ok);
    calls
        .into_iter()
        .any(|(_, op)| matches!(op, Op::Call(CallTarget::Helper(id)) if OF_OBJECTS.contains(&id)))
}

/// The program and the rules that it is verified by here, where it calls functions of the kernel or names its objects;
/// `None` where it does neither, and both are what they are.
///
/// # Errors
/// `ENOTSUPP` for a function that is not in this backend's set, and that the program does not ask for before
/// (`bpf_ksym_exists`); `EINVAL` when the program declares it with another prototype.
pub fn bind_kfuncs(
    spec: &ProgramSpec,
    env: &Environment,
) -> Result<Option<(ProgramSpec, Environment)>, Error> {
    if spec.kfuncs.is_empty() && (env.kernel_types.is_some() || !names_objects(spec)) {
        return Ok(None);
    }
    let types = kfunc_types();
    let target = TargetBtf::from(Arc::clone(types));
    let bound = spec.with_kfuncs(|call| number(spec, call, types, &target))?;
    let mut env = env.clone();
    env.kernel_types = Some(Arc::clone(types));
    Ok(Some((bound, env)))
}

fn number(
    spec: &ProgramSpec,
    call: &KfuncCall,
    types: &Btf,
    target: &TargetBtf,
) -> Result<Option<u32>, Error> {
    let refuse = |errno, why: &str| {
        let at = format!("program {}, insn {}", spec.name, call.insn_off);
        Err(Error::new(errno, format!("{at}: kernel function {} {why}", call.name)))
    };
    let Some(id) = types.find_by_name(Some(Kind::Func), essential_name(&call.name)) else {
        if spec.asks_for_kfunc(&call.name) {
            return Ok(None);
        }
        return refuse(
            Errno::ENOTSUPP,
            "has no body in the user backend: run the program in Linux, or only check it",
        );
    };
    let Some(own) = spec.btf.as_deref() else { return Ok(Some(id.0)) };
    let declared = own.find_by_name(Some(Kind::Func), &call.name).and_then(|func| match own.ty(func) {
        Some(Type::Func { proto, .. }) => Some(*proto),
        _ => None,
    });
    match declared.map(|proto| find_symbol(own, proto, target, Kind::Func, &call.name)) {
        Some(Ok(Symbol::Differs(..))) => refuse(
            Errno::EINVAL,
            "has another prototype in the user backend, which is that of Linux 6.18: declare it so",
        ),
        Some(Err(e)) => {
            refuse(Errno::EINVAL, &format!("is declared with a type that cannot be compared: {e}"))
        }
        Some(Ok(Symbol::Found(..) | Symbol::Missing)) | None => Ok(Some(id.0)),
    }
}

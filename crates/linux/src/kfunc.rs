//! Calls of the kernel's functions that were written without its types, by name: they get the running kernel's numbers.

use skep_btf::Kind;
use skep_btf::relo::essential_name;
use skep_spec::{Errno, Error, ProgramSpec};

use crate::attach::KernelTypes;

/// The program with the running kernel's numbers.
///
/// # Errors
/// `EINVAL` for a function that the kernel does not have and the program does not ask for first; `ESRCH` when the kernel
/// does not show its types.
pub(crate) fn bind(spec: &ProgramSpec, kernel: &KernelTypes) -> Result<ProgramSpec, Error> {
    spec.with_kfuncs(|call| {
        let refuse = |errno, why: &str| {
            let at = format!("program `{}`, insn {}", spec.name, call.insn_off);
            Err(Error::new(errno, format!("{at}: kernel function {}: {why}", call.name)))
        };
        let types = match kernel.get() {
            Ok(types) => types,
            Err(why) => {
                return refuse(Errno::ESRCH, &format!("the running kernel's types cannot be read ({why})"));
            }
        };
        let id = types.find_by_name(Some(Kind::Func), essential_name(&call.name)).map(|id| id.0);
        match id {
            None if !spec.asks_for_kfunc(&call.name) => refuse(
                Errno::EINVAL,
                "the running kernel has none of this name; if that may be, declare it __weak",
            ),
            id => Ok(id),
        }
    })
}

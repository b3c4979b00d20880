//! Renders what was decided elsewhere: the kernel-style log and the explanation. Decides nothing.

mod explain;
mod log;

use alloc::string::{String, ToString};

pub(crate) use explain::explain;
pub(crate) use log::Log;

use skep_isa::CallTarget;
use skep_isa::text::Dialect;

use crate::program::Program;

/// The text of an instruction, as in the kernel's log.
pub(crate) fn insn_text(p: &Program<'_>, pc: usize) -> String {
    let names = |target| match target {
        CallTarget::Helper(id) => p.env.helper(id).map(|h| h.name).or_else(|| skep_abi::helper_name(id)),
        CallTarget::Subprog(_) | CallTarget::Kfunc { .. } => None,
    };
    p.op(pc).text(Dialect::Kernel).without_opcode().with_names(&names).to_string()
}

//! Renders what was decided elsewhere: the kernel-style log and the explanation. Decides nothing.

mod explain;
mod guide;
mod log;
mod walk;

use alloc::string::{String, ToString};

pub(crate) use explain::explain;
pub use guide::{Example, GUIDES, Guide};
pub(crate) use log::{Log, whole};

use skep_isa::CallTarget;
use skep_isa::text::{Dialect, Names};
use skep_spec::ProgramSpec;

use crate::program::Program;

/// The text of an instruction of a program that may not be legal; empty if it is none.
pub(crate) fn bare_insn_text(spec: &ProgramSpec, pc: usize) -> String {
    let op = skep_isa::decode(&spec.insns, pc).ok();
    op.map_or_else(String::new, |op| op.text(Dialect::Kernel).without_opcode().to_string())
}

/// Helpers by the environment, functions of the kernel by its types.
impl Names for Program<'_> {
    fn name(&self, target: CallTarget) -> Option<&str> {
        match target {
            CallTarget::Kfunc { btf_id, btf_idx: 0 } => self.kernel.as_ref()?.function(btf_id as u32),
            CallTarget::Helper(_) | CallTarget::Kfunc { .. } | CallTarget::Subprog(_) => {
                self.env.name(target)
            }
        }
    }
}

/// The text of an instruction, as in the kernel's log.
pub(crate) fn insn_text(p: &Program<'_>, pc: usize) -> String {
    p.op(pc).text(Dialect::Kernel).without_opcode().with_names(p).to_string()
}

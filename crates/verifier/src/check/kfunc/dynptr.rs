//! Functions of the kernel that make dynptrs, and those that use them (`KF_ARG_PTR_TO_DYNPTR`).

use alloc::format;

use skep_abi::ProgramType;
use skep_isa::Reg;

use super::args::Args;
use crate::Code;
use crate::check::dynptr::{self, Given};
use crate::contract::{DynptrChange, Held, Returned};
use crate::state::DynptrType;
use crate::violation::{Check, Explain, refuse, unsupported};

/// Functions that write to the memory of their first dynptr as `bpf_dynptr_write` does, which may move a packet.
const WRITERS: &[&str] = &[
    "bpf_dynptr_copy",
    "bpf_dynptr_memset",
    "bpf_probe_read_user_dynptr",
    "bpf_probe_read_kernel_dynptr",
    "bpf_probe_read_user_str_dynptr",
    "bpf_probe_read_kernel_str_dynptr",
    "bpf_copy_from_user_dynptr",
    "bpf_copy_from_user_str_dynptr",
    "bpf_copy_from_user_task_dynptr",
    "bpf_copy_from_user_task_str_dynptr",
];

impl Args<'_, '_> {
    /// Argument `i`: a dynptr that there is.
    pub(super) fn used_dynptr(&mut self, i: usize, reg: Reg) -> Check<()> {
        let given = dynptr::used(self.s, reg)?;
        // Linux 6.18 forgets that.
        if i == 0 && WRITERS.contains(&self.proto.row.name) {
            self.found.1.changes_packet |= given.kind.write_changes_packet();
        }
        self.dynptr = Some(given);
        Ok(())
    }

    /// Room for a new one.
    pub(super) fn made_dynptr(&mut self, reg: Reg) -> Check<()> {
        let (kind, reference) = match (self.proto.row.name, self.dynptr) {
            ("bpf_dynptr_from_skb", _) => (DynptrType::Skb, Held::None),
            ("bpf_dynptr_from_skb_meta", _) => (DynptrType::SkbMeta, Held::None),
            ("bpf_dynptr_from_xdp", _) => (DynptrType::Xdp, Held::None),
            ("bpf_dynptr_clone", Some(Given { kind, ref_id: 0, .. })) => (kind, Held::None),
            ("bpf_dynptr_clone", Some(Given { kind, ref_id, .. })) => (kind, Held::Shared(ref_id)),
            (name, _) => return unsupported(format!("the dynptr that kernel function {name} makes")),
        };
        let at = dynptr::made(self.p, self.s, reg)?;
        self.found.0.touched.push((at.frame, at.off()));
        self.found.1.dynptr = Some(DynptrChange::Made { at, kind, reference });
        Ok(())
    }

    /// A part of the dynptr's memory, or a copy in the buffer: as many bytes as the size that had to be known.
    pub(super) fn slice(&self, writable: bool) -> Check<Returned> {
        let (Some(given), Some(size)) = (self.dynptr, self.constant) else {
            return refuse(Code::BadArgument, "the function returns memory but takes no dynptr or size");
        };
        // `may_access_direct_pkt_data`, whatever the dynptr is for.
        let kind = self.p.spec.prog_type;
        if writable && !self.p.row.packet.writes() && kind != ProgramType::CGROUP_SOCKOPT {
            return refuse(Code::ForbiddenAccess, "the prog does not allow writes to packet data").explain(
                "a program type that may change packets",
                format!("the program is a {}", kind.name().unwrap_or("program of another type")),
                "use bpf_dynptr_data, bpf_dynptr_write, or bpf_dynptr_slice if nothing is written",
            );
        }
        let (dynptr, packet) = (given.id, given.kind.is_packet());
        // The kernel's field is 32 bits wide, as is the function's parameter.
        Ok(Returned::Slice { size: size as u32, dynptr, ref_id: 0, writable, packet, stays: true })
    }
}

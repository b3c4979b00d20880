//! Legacy packet loads (`ld_abs`, `ld_ind`).

use alloc::format;

use skep_isa::{PacketMode, Reg};

use super::memory::unmodified;
use super::{Facts, exit, lock, readable};
use crate::Code;
use crate::program::Program;
use crate::state::{Kind, State};
use crate::violation::{Check, Explain, refuse};

pub(super) fn legacy_load(p: &Program<'_>, s: &State, mode: PacketMode) -> Check<Facts> {
    if !p.row.legacy_loads {
        return refuse(
            Code::ForbiddenAccess,
            "BPF_LD_[ABS|IND] instructions not allowed for this program type",
        );
    }
    if s.frame().callback {
        // Linux 6.18 calls it an error of its own: it cannot say what the callback's result rests on.
        return refuse(Code::ForbiddenAccess, "BPF_LD_[ABS|IND] in a callback").explain(
            "a function that the program calls itself",
            "a helper calls it back",
            "load bytes of the packet with bpf_skb_load_bytes",
        );
    }
    readable(s, Reg::R6)?;
    match s.depth() {
        0 => exit::no_references(s, "BPF_LD_[ABS|IND]")?,
        // Its caller goes on, with all that is held.
        _ => lock::released(s, "BPF_LD_[ABS|IND]")?,
    }
    if s.reg(Reg::R6).kind != Kind::Ctx {
        let words = "at the time of BPF_LD_ABS|IND R6 != pointer to skb";
        return refuse(Code::BadArgument, words).explain(
            "r6 holds the context",
            format!("r6 is a {}", crate::state::type_name(s.reg(Reg::R6))),
            "start the program with r6 = r1",
        );
    }
    if let PacketMode::Ind(src) = mode {
        readable(s, src)?;
    }
    unmodified(s, Reg::R6)?;
    Ok(Facts::default())
}

//! Legacy packet loads (`ld_abs`, `ld_ind`).

use alloc::format;

use skep_isa::{PacketMode, Reg};

use super::memory::unmodified;
use super::{Facts, exit, readable};
use crate::Code;
use crate::program::Program;
use crate::state::{Kind, State};
use crate::violation::{Check, Explain, refuse, unsupported};

pub(super) fn legacy_load(p: &Program<'_>, s: &State, mode: PacketMode) -> Check<Facts> {
    if !p.row.legacy_loads {
        return refuse(
            Code::ForbiddenAccess,
            "BPF_LD_[ABS|IND] instructions not allowed for this program type",
        );
    }
    if s.depth() > 0 {
        // Out of bounds it would end the function, not the program, with a value that its caller's check
        // has not seen.
        return unsupported("BPF_LD_[ABS|IND] in a function that is called");
    }
    readable(s, Reg::R6)?;
    exit::no_references(s, "BPF_LD_[ABS|IND]")?;
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

//! Memory whose size is another argument, and sizes that must be known: of helpers and of functions of the kernel.

use alloc::format;

use skep_abi::MemAccess;
use skep_isa::Reg;

use super::Facts;
use super::given::Used;
use crate::contract::HelperFacts;
use crate::program::Program;
use crate::state::{self, State};
use crate::violation::{Check, Explain, refuse};
use crate::{Code, limits};

/// Memory and its size (`check_mem_size_reg`).
pub(super) struct Pair {
    pub(super) memory: Reg,
    /// A register that holds a number.
    pub(super) size: Reg,
    /// There may be no bytes.
    pub(super) zero_ok: bool,
}

impl Pair {
    /// The callee may use so many bytes of the memory in all these ways. Gives the most that the size may be.
    pub(super) fn check(
        self,
        p: &Program<'_>,
        s: &State,
        uses: &[MemAccess],
        facts: &mut Facts,
        out: &mut HelperFacts,
    ) -> Check<u64> {
        let Self { memory, size: reg, zero_ok } = self;
        let val = s.reg(reg).val;
        let known = || format!("r{} is in [{}, {}]", reg.0, val.smin(), val.umax());
        let required = || format!("a size from {} to {}", u8::from(!zero_ok), limits::VAR_SIZE - 1);
        if val.smin() < 0 {
            let words = format!("R{} min value is negative, either use unsigned or 'var &= const'", reg.0);
            return refuse(Code::BadArgument, words).explain(required(), known(), "make the size unsigned");
        }
        if val.umin() == 0 && !zero_ok {
            let words = format!("R{} invalid zero-sized read: u64=[{},{}]", reg.0, val.umin(), val.umax());
            return refuse(Code::BadArgument, words).explain(
                required(),
                known(),
                "test that the size is not 0",
            );
        }
        if val.umax() >= limits::VAR_SIZE {
            let words =
                format!("R{} unbounded memory access, use 'var &= const' or 'if (var < const)'", reg.0);
            return refuse(Code::BadArgument, words).explain(required(), known(), "bound the size first");
        }
        for &access in uses {
            let used = Used { reg: memory, size: val.umax() as i64, access, zero_ok, exact: val.is_const() };
            used.check(p, s, facts, out)?;
        }
        facts.precise = facts.precise.with(reg);
        Ok(val.umax())
    }
}

/// A number that is known when the program is verified.
pub(super) fn constant(p: &Program<'_>, s: &State, reg: Reg, facts: &mut Facts) -> Check<u64> {
    let value = s.reg(reg);
    let Some(number) = value.as_const() else {
        return refuse(Code::BadArgument, format!("R{} is not a known constant'", reg.0)).explain(
            "a number known when the program is verified",
            format!("r{} is {}", reg.0, state::register(p, s.depth(), value)),
            "pass a constant; to reserve a record of any size, use bpf_ringbuf_output",
        );
    };
    facts.precise = facts.precise.with(reg);
    Ok(number)
}

//! Errors of Linux, and what skep means: disagreements that need no look any more (docs/parity.md).
//!
//! Each is told from others as narrowly as its words and the program allow, and has verdict cases of its own.

use skep_abi::{MapType, ProgramType};
use skep_isa::{AluOp, CallTarget, JumpOp, Op, Operand, Width, decode, decode_all};
use skep_spec::{Environment, ProgramSpec};
use skep_verifier::{Options, verify};

use super::MOST_INSNS;
use super::program::Generated;
use crate::functions;

/// What tells one of them.
type Tells = fn(&str, &Generated, &Environment) -> bool;

const KNOWN: &[Tells] = &[
    |what, _, _| deliberate(what),
    |what, _, _| behind_the_frame(what),
    |what, generated, _| over_its_address(what, generated),
    |what, generated, _| before_the_record(what, generated),
    |what, generated, _| left_in_a_register(what, generated),
    |what, generated, _| shorter_inside(what, generated),
    |what, generated, _| of_no_cpu(what, generated),
    |what, generated, _| thrown_by_a_function(what, generated),
    |what, generated, _| fetched_from_a_spill(what, generated),
    |what, generated, _| moved_back_from_behind_the_end(what, generated),
    |what, generated, _| null_on_another_path(what, generated),
    low_half_of_an_address,
];

/// Whether a disagreement is none that anybody need look at.
pub(super) fn meant(what: &str, generated: &Generated, env: &Environment) -> bool {
    KNOWN.iter().any(|tells| tells(what, generated, env))
}

fn linux_accepts(what: &str) -> bool {
    what.starts_with("verdict: kernel accepts")
}

fn ops(spec: &ProgramSpec) -> impl Iterator<Item = Op> {
    decode_all(&spec.insns).flatten().map(|(_, op)| op)
}

fn calls(spec: &ProgramSpec, helper: u32) -> bool {
    ops(spec).any(|op| op == Op::Call(CallTarget::Helper(helper)))
}

fn accepts(spec: &ProgramSpec, env: &Environment) -> bool {
    verify(spec, env, &Options { most_insns: MOST_INSNS, ..Options::default() }).is_ok()
}

/// A map of maps may hold a per-CPU array that is shorter than the one it is for; Linux takes a lookup at a constant index
/// for one that cannot fail (`tests/verdicts/inner_maps.txt`).
fn shorter_inside(what: &str, generated: &Generated) -> bool {
    let inside = |spec: &ProgramSpec| {
        let per_cpu = |kind| kind == MapType::PERCPU_ARRAY;
        spec.maps.iter().any(|m| m.inner.as_ref().is_some_and(|inner| per_cpu(inner.kind)))
    };
    let access = ["R0 invalid mem access", "map_value_or_null"].iter().any(|w| what.contains(w));
    linux_accepts(what) && access && generated.programs().any(inside)
}

/// `bpf_per_cpu_ptr` of an object of each CPU gives NULL for a CPU that is not there, which Linux forgets
/// (`tests/verdicts/map_pointers.txt`).
fn of_no_cpu(what: &str, generated: &Generated) -> bool {
    linux_accepts(what) && what.contains("rcu_ptr_or_null_") && generated.programs().any(|p| calls(p, 153))
}

/// What a global function throws may be outside the range of what the program returns
/// (`tests/verdicts/exceptions.txt`).
fn thrown_by_a_function(what: &str, generated: &Generated) -> bool {
    let thrown = |spec: &ProgramSpec| {
        let kernel = ops(spec).any(|op| matches!(op, Op::Call(CallTarget::Kfunc { .. })));
        kernel && ops(spec).any(|op| matches!(op, Op::Call(CallTarget::Subprog(_))))
    };
    linux_accepts(what)
        && what.contains("At program exit the register R1 has ")
        && generated.programs().any(thrown)
}

/// Linux does not see that what an atomic fetch takes from a spilled number matters (`tests/cases/atomic`).
fn fetched_from_a_spill(what: &str, generated: &Generated) -> bool {
    let fetches = |op: Op| matches!(op, Op::Atomic { .. }) && op.defs().iter().next().is_some();
    let numbers =
        ["invalid access to ", "unbounded ", " min value ", " max value ", "invalid variable-offset"];
    linux_accepts(what)
        && numbers.iter().any(|w| what.contains(w))
        && generated.programs().any(|p| ops(p).any(fetches))
}

/// Linux does not see that it matters that NULL was given: a number that comes there on another path passes
/// (`tests/verdicts/null_arguments.txt`, `sockets.txt`, `global_functions.txt`).
fn null_on_another_path(what: &str, generated: &Generated) -> bool {
    let zero = |op: Op| {
        matches!(op, Op::Alu { op: AluOp::Mov, src: Operand::Imm(0), .. })
            || matches!(op, Op::JumpIf { op: JumpOp::Eq | JumpOp::Ne, src: Operand::Imm(0), .. })
    };
    let joins = |op: Op| matches!(op, Op::JumpIf { .. });
    linux_accepts(what)
        && (what.contains(" type=scalar expected=") || what.contains("Caller passes invalid args into func#"))
        && generated.programs().any(|p| ops(p).any(zero) && ops(p).any(joins))
}

/// Linux takes an address behind the packet's end that moves back for one that is still behind it, and a comparison with
/// the end for decided (`tests/verdicts/packet_end.txt`): such a program compares, moves, and compares the same again.
fn moved_back_from_behind_the_end(what: &str, generated: &Generated) -> bool {
    let compared = |op: &Op| match *op {
        Op::JumpIf {
            width: Width::W64,
            op: JumpOp::Lt | JumpOp::Le | JumpOp::Gt | JumpOp::Ge,
            dst,
            src: Operand::Reg(src),
            ..
        } => Some((dst.min(src), dst.max(src))),
        _ => None,
    };
    let moved = |op: &Op| match *op {
        Op::Alu { width: Width::W64, op: AluOp::Add | AluOp::Sub, dst, .. } => Some(dst),
        _ => None,
    };
    let again = |spec: &ProgramSpec| {
        let ops: Vec<Op> = ops(spec).collect();
        let pairs: Vec<_> = ops.iter().enumerate().filter_map(|(at, op)| Some((at, compared(op)?))).collect();
        pairs.iter().any(|&(first, pair)| {
            pairs.iter().any(|&(second, other)| {
                let between = ops.get(first + 1..second).unwrap_or_default();
                pair == other && between.iter().filter_map(moved).any(|r| r == pair.0 || r == pair.1)
            })
        })
    };
    linux_accepts(what) && generated.programs().any(|p| p.prog_type != ProgramType::SYSCALL && again(p))
}

/// Whether a disagreement is one that skep means (`docs/parity.md`):
///
/// - it checks the reserved fields of every instruction, the kernel only of those that a path reaches;
/// - a descriptor in an altered program may happen to be one of ours to the kernel, while to skep it names nothing;
/// - the kernel lets memory be NULL though its size is not 0, and then reads from NULL (`csum_diff` and others);
/// - the kernel gives up on a program that has too many paths, where skep sees sooner that they are alike;
/// - the kernel refuses what it calls a bug of its own.
fn deliberate(what: &str) -> bool {
    let reserved = what.contains(": opcode 0x") && what.contains("must be");
    let gives_up = ["jumps is too complex", "BPF program is too large", "verifier bug: "]
        .iter()
        .any(|w| what.contains(w));
    what.starts_with("verdict: kernel accepts")
        && (reserved
            || what.contains("is not pointing to valid bpf_map")
            || what.contains("may be NULL, the size is not 0"))
        || what.starts_with("verdict: interpreter accepts") && gives_up
}

/// Whether Linux lets a load-acquire from the context pass because it replaces the context's address: Linux looks at
/// the register after the load, and reads its own structure. skep refuses it (`tests/verdicts/atomics.txt`).
fn over_its_address(what: &str, generated: &Generated) -> bool {
    let at = |what: &str| {
        let (_, at) = what.strip_prefix("verdict: kernel accepts")?.split_once("(insn ")?;
        let (pc, words) = at.split_once(": ")?;
        let forbidden = words.starts_with("BPF_ATOMIC loads from R") && words.contains(" ctx is not allowed");
        forbidden.then(|| pc.parse::<usize>().ok()).flatten()
    };
    let own = |op: Op| matches!(op, Op::LoadAcquire { dst, src, .. } if dst == src);
    at(what).is_some_and(|pc| {
        generated.programs().any(|p| pc < p.insns.len() && decode(&p.insns, pc).is_ok_and(own))
    })
}

/// Whether Linux lets a tracepoint's program load what lies before its record: it compares the offset without its sign
/// (`tp_prog_is_valid_access`, kernel/trace/bpf_trace.c, 6.18). skep refuses it (`tests/verdicts/tracing.txt`).
fn before_the_record(what: &str, generated: &Generated) -> bool {
    what.starts_with("verdict: kernel accepts")
        && what.contains("invalid bpf_context access off=-")
        && generated.programs().any(|p| p.prog_type == ProgramType::TRACEPOINT)
}

/// Whether Linux lets the end of a frame pass as the place of an iterator, or of interrupts' flags, in its last slot:
/// `__get_spi` (kernel/bpf/verifier.c, 6.18) divides -1 by 8, which is 0. The function then gets memory that is no stack.
/// skep refuses it (`tests/verdicts/iterators.txt`, `interrupts.txt`).
fn behind_the_frame(what: &str) -> bool {
    what.starts_with("verdict: kernel accepts")
        && ["iter", "irq_flag"].iter().any(|w| what.contains(&format!("cannot pass in {w} at an offset=0)")))
}

/// Whether Linux takes a 32-bit comparison of an address with 0 for decided (`is_branch_taken` asks for no width): the
/// low half of an address may be 0, so skep follows both sides. With one such comparison 64 bits wide it accepts too.
fn low_half_of_an_address(what: &str, generated: &Generated, env: &Environment) -> bool {
    let wide = |spec: &ProgramSpec, pc: usize| {
        let narrow = decode(&spec.insns, pc).ok()?;
        let Op::JumpIf { width: Width::W32, op: op @ (JumpOp::Eq | JumpOp::Ne), dst, src, off } = narrow
        else {
            return None;
        };
        let mut wide = spec.clone();
        wide.insns[pc] = Op::JumpIf { width: Width::W64, op, dst, src, off }.encode().0;
        Some(wide)
    };
    let refused: Vec<_> = generated.programs().filter(|spec| !accepts(spec, env)).collect();
    what.starts_with("verdict: kernel accepts")
        && !refused.is_empty()
        && refused.iter().all(|spec| {
            (0..spec.insns.len()).filter_map(|pc| wide(spec, pc)).any(|changed| accepts(&changed, env))
        })
}

/// Whether Linux ends a loop around a call that calls back, since it does not see that nothing changes: it compares the
/// bytes of registers (`states_maybe_looping`), and what is NULL now still has the number of the dynptr, or of the map,
/// that it would have been a part of. skep refuses such a loop (`tests/verdicts/callbacks.txt`).
fn left_in_a_register(what: &str, generated: &Generated) -> bool {
    let leaves = |spec: &ProgramSpec| {
        let slice = |op: Op| op == Op::Call(CallTarget::Helper(203));
        spec.maps.iter().any(|m| m.inner.is_some())
            || decode_all(&spec.insns).flatten().any(|(_, op)| slice(op))
    };
    what.starts_with("verdict: kernel accepts")
        && what.contains("infinite loop detected")
        && generated.programs().any(|spec| functions::calls_back(spec) && leaves(spec))
}

#[cfg(test)]
mod tests {
    use super::super::program;
    use super::*;

    use skep_abi::{MapType, ProgramType};
    use skep_isa::text::assemble;
    use skep_spec::MapDef;

    #[test]
    fn the_end_of_a_frame_is_told_from_other_places() {
        let meant = |kind: &str, off: i32| {
            behind_the_frame(&format!(
                "verdict: kernel accepts, interpreter: rejected (insn 7: cannot pass in {kind} at an offset={off})"
            ))
        };
        assert!(meant("iter", 0) && meant("irq_flag", 0));
        assert!(!meant("iter", -12) && !meant("irq_flag", 8) && !meant("dynptr", 0));
        assert!(!behind_the_frame(
            "verdict: interpreter accepts, kernel: rejected (insn 7: cannot pass in iter at an offset=0)"
        ));
    }

    #[test]
    fn what_moved_back_from_behind_the_end_is_told_from_others() {
        let meant = |back: &str| {
            let text = format!(
                "r2 = *(u32 *)(r1 + 0); r3 = *(u32 *)(r1 + 4); r4 = r2; r0 = 0; if r4 > r3 goto +1; exit
                 {back}; if r4 <= r3 goto +1; exit; r0 = r9; exit"
            );
            let spec = ProgramSpec::new(ProgramType::XDP, assemble(&text).expect("it is text"));
            let what = "verdict: kernel accepts, interpreter: rejected";
            moved_back_from_behind_the_end(what, &Generated::judged(spec))
        };
        assert!(meant("r4 -= 1"));
        assert!(meant("r4 += -1"));
        // Not moved; another one is.
        assert!(!meant("r5 = r4"));
        assert!(!meant("r2 -= 1"));
    }

    #[test]
    fn a_comparison_of_half_an_address_is_told_from_others() {
        let meant = |branch: &str| {
            let text = format!("r1 = map[idx:0][0]+0 ll; r0 = 0; {branch}; r0 = r9; exit");
            let insns = assemble(&text).expect("it is text");
            let mut spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, insns);
            spec.maps = vec![MapDef::new(MapType::ARRAY, 4, 8, 1).into()];
            let generated =
                Generated { spec, tails: Vec::new(), insides: Vec::new(), ..program::generate(0) };
            let what = "verdict: kernel accepts, interpreter: rejected";
            low_half_of_an_address(what, &generated, &Environment::default())
        };
        assert!(meant("if w1 != 0 goto +1"));
        // Accepted as it is; refused whatever the width; refused for another reason.
        assert!(!meant("if r1 != 0 goto +1"));
        assert!(!meant("if w1 == 0 goto +1"));
        assert!(!meant("if w1 != 1 goto +1"));
    }
}

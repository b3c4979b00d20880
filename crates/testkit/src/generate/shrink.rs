//! Makes a program that shows something as small as that allows.
//!
//! Delta debugging (Zeller, Hildebrandt 2002) over slots: runs of instructions become `goto +0`, halving the
//! length of the runs until single instructions remain; what is left of those is then taken out and the
//! jumps over it are shortened. Inputs that are not needed go as well.

use skep_isa::{CallTarget, Imm64, Insn, Op, Reg, decode};

use super::program::Generated;

const NOP: Insn = Insn::new(0x05, Reg(0), Reg(0), 0, 0);

/// The smallest program found for which `shows` still holds. `shows` holds for `generated` itself.
pub fn shrink(generated: &Generated, shows: &mut dyn FnMut(&Generated) -> bool) -> Generated {
    let mut best = generated.clone();
    while let Some(smaller) = without_one(&best.inputs, best.inputs.len() > 1, |inputs| {
        Some(Generated { inputs, ..best.clone() }).filter(&mut *shows)
    }) {
        best = smaller;
    }
    while let Some(smaller) =
        without_one(&best.tails, true, |tails| Some(Generated { tails, ..best.clone() }).filter(&mut *shows))
    {
        best = smaller;
    }
    for which in 0..=best.tails.len() {
        best = shrink_code(best, which, shows);
    }
    best
}

/// `f` of the list without one of its elements, the first for which there is something.
fn without_one<T: Clone, R>(list: &[T], try_it: bool, mut f: impl FnMut(Vec<T>) -> Option<R>) -> Option<R> {
    (0..list.len()).filter(|_| try_it).find_map(|i| {
        let mut rest = list.to_vec();
        rest.remove(i);
        f(rest)
    })
}

/// The slots of a program: 0 is the one that is run, then those of the tail calls.
fn code(g: &mut Generated, which: usize) -> &mut Vec<Insn> {
    match which.checked_sub(1) {
        None => &mut g.spec.insns,
        Some(i) => &mut g.tails[i].spec.insns,
    }
}

fn shrink_code(mut best: Generated, which: usize, shows: &mut dyn FnMut(&Generated) -> bool) -> Generated {
    let len = code(&mut best, which).len();
    let mut width = len.div_ceil(2).max(1);
    loop {
        let mut changed = false;
        let mut start = 0;
        while start < len {
            let end = (start + width).min(len);
            let mut smaller = best.clone();
            code(&mut smaller, which)[start..end].fill(NOP);
            if code(&mut smaller, which) != code(&mut best, which) && shows(&smaller) {
                best = smaller;
                changed = true;
            }
            start = end;
        }
        if width == 1 && !changed {
            break;
        }
        width = width.div_ceil(2).max(1);
        if width == 1 && !changed && len <= 1 {
            break;
        }
    }
    let mut packed = best.clone();
    *code(&mut packed, which) = without_nops(code(&mut best, which));
    if shows(&packed) { packed } else { best }
}

/// Takes out every `goto +0` and corrects distances.
fn without_nops(insns: &[Insn]) -> Vec<Insn> {
    let mut keep = vec![true; insns.len()];
    let mut pc = 0;
    while pc < insns.len() {
        let wide = insns[pc].is_wide() && pc + 1 < insns.len();
        keep[pc] = insns[pc] != NOP;
        pc += if wide { 2 } else { 1 };
    }
    // The new number of a slot: the kept slots before it.
    let place: Vec<i64> = keep
        .iter()
        .scan(0, |n, &k| {
            let here = *n;
            *n += i64::from(k);
            Some(here)
        })
        .collect();
    let moved = |from: usize, distance: i32| -> i32 {
        let target = from as i64 + 1 + i64::from(distance);
        let Some(&to) = usize::try_from(target).ok().and_then(|t| place.get(t)) else { return distance };
        (to - place[from] - 1) as i32
    };
    let mut out = Vec::new();
    for (pc, insn) in insns.iter().enumerate().filter(|(pc, _)| keep[*pc]) {
        let mut insn = *insn;
        match decode(insns, pc) {
            Ok(Op::Jump { off, long: true }) => insn.imm = moved(pc, off),
            Ok(Op::Jump { off, long: false }) => insn.off = moved(pc, off) as i16,
            Ok(Op::JumpIf { off, .. } | Op::MayGoto { off }) => insn.off = moved(pc, off.into()) as i16,
            Ok(Op::Call(CallTarget::Subprog(off)) | Op::LoadImm64 { value: Imm64::Code(off), .. }) => {
                insn.imm = moved(pc, off);
            }
            _ => {}
        }
        out.push(insn);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::program::generate;

    #[test]
    fn distances_survive_packing() {
        let jump = |off| Insn::new(0x15, Reg(0), Reg(0), off, 0);
        let exit = Insn::new(0x95, Reg(0), Reg(0), 0, 0);
        let packed = without_nops(&[jump(2), NOP, NOP, NOP, exit, jump(-6)]);
        assert_eq!(packed, [jump(0), exit, jump(-3)]);
    }

    /// A planted property, one instruction of a kind, leaves little else.
    #[test]
    fn a_single_instruction_is_what_remains() {
        let generated = (0..)
            .map(generate)
            .find(|g| !g.altered && g.spec.insns.iter().any(|i| i.opcode == 0xdb))
            .expect("one of the seeds has an atomic");
        let mut shows = |g: &Generated| g.spec.insns.iter().any(|i| i.opcode == 0xdb);
        let small = shrink(&generated, &mut shows);
        assert_eq!(small.spec.insns.len(), 1, "{:?}", small.spec.insns);
    }
}

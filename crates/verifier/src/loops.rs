//! Which instructions are parts of loops: the strongly connected components of each function's graph.
//!
//! Tarjan's algorithm with a stack of our own. A component counts if it has several instructions, one that
//! leads to itself, or a call that may call back: that is a loop too, through the callback. Only programs in
//! which exploration ends loops early (`may_goto`, callbacks) need them.

use alloc::vec;
use alloc::vec::Vec;

use crate::liveness::next_slots;
use crate::program::{Program, Store};

/// Fills [`Program::loops`].
pub(crate) fn compute(program: &mut Program<'_>) {
    let n = program.ops.len();
    let mut walk = Walk {
        program,
        order: vec![0; n],
        low: vec![0; n],
        open: Vec::new(),
        is_open: vec![false; n],
        loops: vec![0; n],
        next: 1,
        components: 0,
    };
    if walk.program.points.iter().any(|p| p.store.is_some()) {
        for pc in 0..n {
            if walk.order[pc] == 0 && walk.program.ops[pc].is_some() {
                walk.from(pc);
            }
        }
    }
    program.loops = walk.loops;
}

struct Walk<'w, 'a> {
    program: &'w Program<'a>,
    /// When an instruction was met, from 1; 0: not yet.
    order: Vec<u32>,
    /// The earliest instruction of the walk that an instruction leads back to.
    low: Vec<u32>,
    /// Instructions whose component is not closed.
    open: Vec<usize>,
    is_open: Vec<bool>,
    loops: Vec<u32>,
    next: u32,
    components: u32,
}

impl Walk<'_, '_> {
    fn meet(&mut self, pc: usize) -> (usize, Vec<usize>) {
        self.order[pc] = self.next;
        self.low[pc] = self.next;
        self.next += 1;
        self.open.push(pc);
        self.is_open[pc] = true;
        (pc, next_slots(self.program, pc, self.program.op(pc)).collect())
    }

    fn from(&mut self, root: usize) {
        let mut path = vec![self.meet(root)];
        while let Some((pc, successors)) = path.last_mut() {
            let pc = *pc;
            if let Some(to) = successors.pop() {
                if self.order[to] == 0 {
                    let met = self.meet(to);
                    path.push(met);
                } else if self.is_open[to] {
                    self.low[pc] = self.low[pc].min(self.order[to]);
                }
                continue;
            }
            path.pop();
            if let Some((before, _)) = path.last() {
                self.low[*before] = self.low[*before].min(self.low[pc]);
            }
            if self.low[pc] == self.order[pc] {
                self.close(pc);
            }
        }
    }

    /// Takes the component of which `pc` was met first.
    fn close(&mut self, pc: usize) {
        let at = self.open.iter().rposition(|&p| p == pc).unwrap_or(0);
        let component = self.open.split_off(at);
        let to_itself = || next_slots(self.program, pc, self.program.op(pc)).any(|to| to == pc);
        let is_loop =
            component.len() > 1 || self.program.points[pc].store == Some(Store::Callback) || to_itself();
        self.components += u32::from(is_loop);
        for pc in component {
            self.is_open[pc] = false;
            if is_loop {
                self.loops[pc] = self.components;
            }
        }
    }
}

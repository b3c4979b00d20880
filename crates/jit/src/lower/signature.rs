//! What functions of a module take and give.

use crate::ir::{Func, Function, Module, Op, Service, Term, Ty, Val};

/// What a function takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    /// Whether it takes the runtime's structure.
    pub(crate) rt: bool,
    /// Whether it takes the end of its stack frame.
    pub(crate) frame: bool,
    /// Which of `r1` to `r5` it takes.
    pub(crate) args: [bool; 5],
    /// Whether it gives a stop.
    pub(crate) stops: bool,
    /// Whether it has the convention of tail jumps: the main function, if it has tail calls, and pieces.
    pub(crate) tail: bool,
    /// Whether the runtime is told of its calls.
    pub(crate) tells_calls: bool,
    /// Whether it has `may_goto`.
    pub(crate) may_goto: bool,
}

/// The signatures of a module's functions.
pub(crate) fn signatures(module: &Module, entered: &[bool]) -> Vec<Signature> {
    let looked: Vec<_> = module.functions.iter().map(look).collect();
    let (mut all, calls): (Vec<_>, Vec<_>) = looked.into_iter().unzip();
    // The runtime walks over frames for functions that ask for the stack: it must know who called them.
    let walked = module.functions.iter().skip(1).any(asks_for_stack);
    // The main function's tail calls may stand in its pieces.
    let tail_calls = module.functions.iter().zip(&all).any(|(f, own)| f.piece && own.tail);
    for (at, own) in all.iter_mut().enumerate() {
        let main = at == 0;
        let piece = module.functions[at].piece;
        own.tail = piece || main && (own.tail || tail_calls);
        own.tells_calls = walked && !calls[at].is_empty();
        if own.tells_calls {
            (own.rt, own.frame, own.stops) = (true, true, true);
        }
        if main || entered.get(at) == Some(&true) {
            (own.rt, own.frame, own.stops) = (true, true, true);
        }
        if piece {
            (own.rt, own.frame, own.stops, own.args) = (true, true, true, [false; 5]);
        } else if own.tail {
            own.args = [true, false, false, false, false];
        } else if main || entered.get(at) == Some(&true) {
            let last = own.args.iter().rposition(|used| *used).map_or(0, |i| i + 1);
            own.args[..last].fill(true);
        }
    }
    // What a function needs, whoever calls it needs too.
    let mut changed = true;
    while changed {
        changed = false;
        for (at, callees) in calls.iter().enumerate() {
            for callee in callees {
                let Signature { rt, frame, stops, .. } = all[callee.0 as usize];
                let own = &mut all[at];
                let with = (own.rt || rt, own.frame || frame, own.stops || stops);
                changed |= with != (own.rt, own.frame, own.stops);
                (own.rt, own.frame, own.stops) = with;
            }
        }
    }
    all
}

/// What a function needs by itself, and what it calls.
fn look(function: &Function) -> (Signature, Vec<Func>) {
    let mut own = Signature {
        rt: false,
        frame: function.zeroed > 0,
        args: [false; 5],
        stops: false,
        tail: false,
        tells_calls: false,
        may_goto: false,
    };
    let mut calls = Vec::new();
    let params: Vec<Val> = function.block(crate::ir::Block(0)).params.clone();
    let mut used = |v: Val| {
        if let Some(at) = params.iter().position(|p| *p == v) {
            own.args[at] = true;
        }
    };
    for block in &function.blocks {
        for v in &block.insts {
            let op = &function.node(*v).op;
            op.operands(&mut used);
            match op {
                Op::Frame => own.frame = true,
                Op::Cell(_) | Op::Arg(_) | Op::Kept(_) => own.rt = true,
                Op::Service { service: Service::Find { .. } | Service::Quick { .. }, .. } => own.rt = true,
                Op::Service { .. } => (own.rt, own.frame, own.stops) = (true, true, true),
                Op::TailCall { .. } => (own.rt, own.frame, own.stops, own.tail) = (true, true, true, true),
                Op::Call { func, .. } => {
                    if !calls.contains(func) {
                        calls.push(*func);
                    }
                }
                Op::Param
                | Op::Const(_)
                | Op::Bin(..)
                | Op::Trunc(_)
                | Op::Zext(_)
                | Op::Sext(..)
                | Op::Swap(..)
                | Op::Cmp(..)
                | Op::Select(..)
                | Op::Load { .. }
                | Op::Store { .. }
                | Op::Atomic { .. }
                | Op::LoadAcquire { .. }
                | Op::StoreRelease { .. } => {}
            }
        }
        block.term.operands(&mut used);
        match block.term {
            // Each pass may end the run.
            Term::MayGoto { .. } => (own.may_goto, own.rt, own.stops) = (true, true, true),
            Term::Leave { .. } => (own.rt, own.frame, own.stops) = (true, true, true),
            Term::Jump(_) | Term::Branch { .. } | Term::Return(_) | Term::Unreachable => {}
        }
    }
    debug_assert!(params.iter().all(|p| function.ty(*p) == Ty::I64));
    (own, calls)
}

fn asks_for_stack(function: &Function) -> bool {
    let mut ops = function.blocks.iter().flat_map(|b| &b.insts).map(|v| &function.node(*v).op);
    ops.any(|op| matches!(op, Op::Service { service: Service::Stack { .. }, .. }))
}

//! Small functions, and those that are called once, go into their callers.
//!
//! The callee's frame lies 512 bytes below the caller's, as if it had been called. Functions stay calls if something looks at how
//! deep it is called (callbacks, stack traces), or means the function itself (tail calls, `may_goto`, exceptions).

use super::{
    Bin, Block, BlockData, Edge, Frame, FrameBytes, FrameUse, Func, Function, Module, Op, Service, Term, Ty,
    Val,
};

/// Most instructions of a function that goes into every caller.
const SMALL: usize = 48;
/// Most instructions of a function that is called once.
const ONCE: usize = 400;
/// Most instructions that a caller grows to.
const GROWN: usize = 8000;

/// Puts functions into their callers.
pub fn inline(m: &mut Module) {
    let mut calls = vec![0u32; m.functions.len()];
    for f in &m.functions {
        callees(f).for_each(|(_, _, callee)| calls[callee.0 as usize] += 1);
    }
    for caller in callees_first(m) {
        let at = caller.0 as usize;
        let mut f = core::mem::replace(&mut m.functions[at], Function::empty());
        let (mut block, mut grown) = (0, size(&f));
        while block < f.blocks.len() {
            let found = callees_in(&f, Block(block as u32)).find(|(_, _, callee)| {
                let body = &m.functions[callee.0 as usize];
                let most = if calls[callee.0 as usize] == 1 { ONCE } else { SMALL };
                *callee != caller
                    && size(body) <= most
                    && grown + size(body) <= GROWN
                    && body.zeroed == 0
                    && goes_anywhere(body)
            });
            if let Some((b, i, callee)) = found {
                let body = &m.functions[callee.0 as usize];
                grown += size(body);
                put(&mut f, b, i, body);
            }
            // What stood behind the call is in the last block now, and is looked at then.
            block += 1;
        }
        m.functions[at] = f;
    }
}

/// The calls of a function: block, place among its instructions, callee.
fn callees(f: &Function) -> impl Iterator<Item = (Block, usize, Func)> {
    (0..f.blocks.len() as u32).flat_map(move |b| callees_in(f, Block(b)))
}

/// The calls of a block.
fn callees_in(f: &Function, b: Block) -> impl Iterator<Item = (Block, usize, Func)> {
    f.block(b).insts.iter().enumerate().filter_map(move |(i, v)| match f.node(*v).op {
        Op::Call { func, .. } => Some((b, i, func)),
        _ => None,
    })
}

/// The functions, each behind those that it calls.
fn callees_first(m: &Module) -> Vec<Func> {
    fn visit(m: &Module, func: Func, seen: &mut [bool], order: &mut Vec<Func>) {
        if core::mem::replace(&mut seen[func.0 as usize], true) {
            return;
        }
        // Call chains are at most eight functions deep.
        callees(&m.functions[func.0 as usize]).for_each(|(_, _, callee)| visit(m, callee, seen, order));
        order.push(func);
    }
    let (mut seen, mut order) = (vec![false; m.functions.len()], Vec::new());
    (0..m.functions.len() as u32).for_each(|f| visit(m, Func(f), &mut seen, &mut order));
    order
}

fn size(f: &Function) -> usize {
    f.blocks.iter().map(|b| b.insts.len() + 1).sum()
}

/// Whether a function does the same when its instructions stand in its caller.
fn goes_anywhere(f: &Function) -> bool {
    let insts = f.blocks.iter().flat_map(|b| &b.insts);
    let mut ops = insts.map(|v| &f.node(*v).op);
    let plain = ops.all(|op| match op {
        Op::TailCall { .. } => false,
        Op::Service { service, .. } => !looks_at_depth(*service),
        _ => true,
    });
    // The frames of those that it calls would lie over its own, which no longer is one.
    let uses = f.uses();
    let frame = f.nodes.iter().zip(&uses).any(|(node, uses)| node.op == Op::Frame && *uses > 0);
    let covered = frame && callees(f).next().is_some();
    plain && !covered && !f.blocks.iter().any(|b| matches!(b.term, Term::MayGoto { .. } | Term::Leave { .. }))
}

/// Whether a service depends on which function asks for it.
fn looks_at_depth(service: Service) -> bool {
    match service {
        Service::CallBackBegin { .. } | Service::CallBackNext | Service::Stack { .. } | Service::Throw => {
            true
        }
        Service::Helper { .. }
        | Service::Lookup
        | Service::Find { .. }
        | Service::Quick { .. }
        | Service::PacketLoad { .. }
        | Service::LoadElsewhere { .. }
        | Service::StoreElsewhere { .. }
        | Service::Arena { .. }
        | Service::Check { .. }
        | Service::Tick => false,
    }
}

/// Puts a function in the place of its call, which is instruction `i` of a block.
fn put(f: &mut Function, b: Block, i: usize, callee: &Function) {
    let at = b.0 as usize;
    let rest = f.blocks[at].insts.split_off(i + 1);
    let Some(call) = f.blocks[at].insts.pop() else { return };
    let node = f.node(call).clone();
    let Op::Call { args, frame: touched, .. } = &node.op else { return };
    let pc = node.pc;

    let first = f.blocks.len() as u32;
    let block = |b: Block| Block(first + b.0);
    let behind = block(Block(callee.blocks.len() as u32));
    // Values of the callee by their numbers in the caller; the entry's parameters are the arguments.
    let base = f.nodes.len() as u32;
    let entry: Vec<Val> = callee.blocks[0].params.clone();
    let value = |v: Val| match entry.iter().position(|p| *p == v) {
        Some(n) => args[n],
        None => Val(base + v.0),
    };
    for node in &callee.nodes {
        let mut node = node.clone();
        node.op.map_operands(&mut |o| value(o));
        match &mut node.op {
            Op::Call { frame, .. } | Op::Service { frame, .. } => lower(frame, touched),
            _ => {}
        }
        f.nodes.push(node);
    }
    // The frame of the callee, where it names it.
    let below = f.add_constant((-Frame::BYTES) as u64, Ty::I64, pc);
    let frame = f.add(Op::Frame, Ty::I64, pc);
    f.blocks[at].insts.extend([below, frame]);
    for node in &mut f.nodes[base as usize..below.0 as usize] {
        if node.op == Op::Frame {
            node.op = Op::Bin(Bin::Add, frame, below);
        }
    }
    let (term, term_pc) =
        (core::mem::replace(&mut f.blocks[at].term, Term::Unreachable), f.blocks[at].term_pc);
    for (b, data) in callee.blocks() {
        let params = if b.0 == 0 { Vec::new() } else { data.params.iter().map(|p| value(*p)).collect() };
        let insts = data.insts.iter().map(|v| value(*v)).collect();
        let mut term = data.term.clone();
        term.map_operands(&mut |v| value(v));
        term.edges_mut().for_each(|e| e.to = block(e.to));
        if let Term::Return(v) = term {
            term = Term::Jump(Edge { to: behind, args: vec![v] });
        }
        f.blocks.push(BlockData { params, insts, term, term_pc: data.term_pc });
    }
    f.blocks[at].term = Term::Jump(Edge { to: block(Block(0)), args: Vec::new() });
    f.blocks[at].term_pc = pc;
    // The call itself becomes the parameter: its uses stay.
    f.nodes[call.0 as usize].op = Op::Param;
    f.blocks.push(BlockData { params: vec![call], insts: rest, term, term_pc });
}

/// The same bytes, seen from the caller's frame; and those of that which the call was to touch, for one of these does it now.
fn lower(frame: &mut FrameUse, touched: &FrameUse) {
    let down = |b: &FrameBytes| {
        let down = |at: i16| at.saturating_sub(Frame::BYTES as i16);
        FrameBytes { from: down(b.from), to: down(b.to) }
    };
    *frame = match (&*frame, touched) {
        (FrameUse::Bytes(own), FrameUse::Bytes(touched)) => {
            FrameUse::Bytes(own.iter().map(down).chain(touched.iter().copied()).collect())
        }
        (FrameUse::All, _) | (_, FrameUse::All) => FrameUse::All,
    };
}

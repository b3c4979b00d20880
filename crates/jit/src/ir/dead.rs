//! Takes away what nobody needs: blocks that are not reached, parameters that are always the same value or not used,
//! instructions without effect whose value is not used, blocks that only lead on; and joins blocks that follow only one another.

use super::{Block, Function, Op, Term, Val};

/// Most empty blocks that an edge is led past at once.
const STEPS: usize = 8;

/// Cleans a function. Values that are gone keep their numbers.
pub fn dead(f: &mut Function) {
    unreached(f);
    same_parameters(f);
    unused(f);
    forward(f);
    unreached(f);
    join(f);
}

/// Empties the blocks that no way leads to.
fn unreached(f: &mut Function) {
    let mut reached = vec![false; f.blocks.len()];
    f.order().iter().for_each(|b| reached[b.0 as usize] = true);
    for (block, _) in f.blocks.iter_mut().zip(&reached).filter(|(_, r)| !**r) {
        block.params.clear();
        block.insts.clear();
        block.term = Term::Unreachable;
    }
}

/// The edges to each block, by the block that they come from and their number there.
pub fn predecessors(f: &Function) -> Vec<Vec<(Block, usize)>> {
    let mut to = vec![Vec::new(); f.blocks.len()];
    for (b, block) in f.blocks() {
        for (n, edge) in block.term.edges().enumerate() {
            to[edge.to.0 as usize].push((b, n));
        }
    }
    to
}

/// Replaces parameters that all edges give the same value, or the parameter itself.
fn same_parameters(f: &mut Function) {
    let mut to: Vec<Val> = (0..f.nodes.len() as u32).map(Val).collect();
    let find = |to: &[Val], mut v: Val| {
        while to[v.0 as usize] != v {
            v = to[v.0 as usize];
        }
        v
    };
    let predecessors = predecessors(f);
    // By value: the blocks that edges hand it on to, which have to be looked at again when it goes.
    let mut handed: Vec<Vec<u32>> = vec![Vec::new(); f.nodes.len()];
    for edge in f.blocks.iter().flat_map(|b| b.term.edges()) {
        let params = edge.args.iter().filter(|a| f.node(**a).op == Op::Param);
        params.for_each(|a| handed[a.0 as usize].push(edge.to.0));
    }
    let mut open: Vec<u32> = (1..f.blocks.len() as u32).rev().collect();
    let mut waiting = vec![true; f.blocks.len()];
    while let Some(b) = open.pop() {
        waiting[b as usize] = false;
        for (i, &param) in f.blocks[b as usize].params.iter().enumerate() {
            if to[param.0 as usize] != param {
                continue;
            }
            let mut args = predecessors[b as usize].iter().filter_map(|&(from, n)| {
                let edge = f.block(from).term.edges().nth(n)?;
                Some(find(&to, edge.args[i])).filter(|arg| *arg != param)
            });
            let Some(only) = args.next() else { continue };
            if args.any(|arg| arg != only) {
                continue;
            }
            to[param.0 as usize] = only;
            let again = core::mem::take(&mut handed[param.0 as usize]);
            for next in &again {
                if *next != 0 && !core::mem::replace(&mut waiting[*next as usize], true) {
                    open.push(*next);
                }
            }
            // They have the other value now.
            handed[only.0 as usize].extend(again);
        }
    }
    drop_parameters(f, |v| to[v.0 as usize] != v);
    f.replace(&to);
}

/// Takes parameters away, and what edges give them. The entry's stay.
fn drop_parameters(f: &mut Function, goes: impl Fn(Val) -> bool) {
    let kept: Vec<Vec<bool>> = f
        .blocks
        .iter()
        .enumerate()
        .map(|(i, b)| b.params.iter().map(|p| i == 0 || !goes(*p)).collect())
        .collect();
    for block in &mut f.blocks {
        for edge in block.term.edges_mut() {
            let mut kept = kept[edge.to.0 as usize].iter();
            edge.args.retain(|_| kept.next().copied().unwrap_or(true));
        }
    }
    for (block, kept) in f.blocks.iter_mut().zip(&kept) {
        let mut kept = kept.iter();
        block.params.retain(|_| kept.next().copied().unwrap_or(true));
    }
}

/// Takes away instructions and parameters that nothing with an effect needs.
fn unused(f: &mut Function) {
    let mut used = vec![false; f.nodes.len()];
    let mut open: Vec<Val> = Vec::new();
    for block in &f.blocks {
        let effects = block.insts.iter().filter(|v| f.node(**v).op.has_effect());
        open.extend(effects);
        match &block.term {
            Term::Branch { a, b, .. } => open.extend([*a, *b]),
            Term::Return(v) => open.push(*v),
            Term::Jump(_) | Term::MayGoto { .. } | Term::Unreachable => {}
        }
    }
    // Where parameters get their values: by parameter, the arguments on all edges.
    let mut home = vec![(Block(0), 0usize); f.nodes.len()];
    for (b, block) in f.blocks() {
        block.params.iter().enumerate().for_each(|(i, p)| home[p.0 as usize] = (b, i));
    }
    let predecessors = predecessors(f);
    while let Some(v) = open.pop() {
        if core::mem::replace(&mut used[v.0 as usize], true) {
            continue;
        }
        match &f.node(v).op {
            Op::Param => {
                let (b, i) = home[v.0 as usize];
                for &(from, n) in &predecessors[b.0 as usize] {
                    open.extend(f.block(from).term.edges().nth(n).map(|e| e.args[i]));
                }
            }
            op => op.operands(&mut |o| open.push(o)),
        }
    }
    drop_parameters(f, |v| !used[v.0 as usize]);
    for block in &mut f.blocks {
        block.insts.retain(|v| used[v.0 as usize]);
    }
}

/// Leads edges past blocks that do nothing but lead on.
fn forward(f: &mut Function) {
    let uses = f.uses();
    // A block whose parameters nobody uses but its own edge, each once.
    let empty = |f: &Function, b: Block| {
        let block = f.block(b);
        let Term::Jump(edge) = &block.term else { return None };
        let own = |p: &Val| edge.args.contains(p) && uses[p.0 as usize] == 1;
        let leads_on = b.0 != 0 && edge.to != b && block.insts.is_empty() && block.params.iter().all(own);
        leads_on.then(|| (block.params.clone(), edge.clone()))
    };
    for b in f.order() {
        let mut term = core::mem::replace(&mut f.blocks[b.0 as usize].term, Term::Unreachable);
        for edge in term.edges_mut() {
            // Not for ever: empty blocks may lead to one another.
            for _ in 0..STEPS {
                if edge.to == b {
                    break;
                }
                let Some((params, next)) = empty(f, edge.to) else { break };
                let given = |v: &Val| params.iter().position(|p| p == v).map_or(*v, |i| edge.args[i]);
                let args = next.args.iter().map(given).collect();
                (edge.to, edge.args) = (next.to, args);
            }
        }
        f.blocks[b.0 as usize].term = term;
    }
}

/// Puts a block behind the only one that leads to it, if that leads nowhere else.
fn join(f: &mut Function) {
    let mut entries = vec![0u32; f.blocks.len()];
    let order = f.order();
    for b in &order {
        f.block(*b).term.edges().for_each(|e| entries[e.to.0 as usize] += 1);
    }
    let mut to: Vec<Val> = (0..f.nodes.len() as u32).map(Val).collect();
    let mut gone = vec![false; f.blocks.len()];
    for b in order {
        if gone[b.0 as usize] {
            continue;
        }
        while let Term::Jump(edge) = &f.block(b).term {
            let next = edge.to;
            if next == b || next.0 == 0 || entries[next.0 as usize] != 1 {
                break;
            }
            for (param, arg) in f.block(next).params.iter().zip(&edge.args) {
                to[param.0 as usize] = *arg;
            }
            gone[next.0 as usize] = true;
            let block = &mut f.blocks[next.0 as usize];
            block.params.clear();
            let insts = core::mem::take(&mut block.insts);
            let (term, term_pc) = (core::mem::replace(&mut block.term, Term::Unreachable), block.term_pc);
            let first = &mut f.blocks[b.0 as usize];
            first.insts.extend(insts);
            (first.term, first.term_pc) = (term, term_pc);
        }
    }
    f.replace(&to);
}

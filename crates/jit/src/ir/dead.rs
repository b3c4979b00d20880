//! Takes away what nobody needs: blocks that are not reached, parameters that are always the same value or not used,
//! instructions without effect whose value is not used, blocks that only lead on; and joins blocks that follow only one another.

use super::{Block, BlockData, Function, Op, Term, Val};

/// Most empty blocks that an edge is led past at once.
const STEPS: usize = 8;

/// Cleans a function. Values that are gone keep their numbers.
pub fn dead(f: &mut Function) {
    unreached(f);
    // What follows changes neither edges nor blocks, until they are led past.
    let predecessors = predecessors(f);
    same_parameters(f, &predecessors);
    unused(f, &predecessors);
    if forward(f) {
        unreached(f);
    }
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
pub struct Predecessors {
    /// By block, where its edges begin; one more for the end of the last one's.
    first: Vec<u32>,
    edges: Vec<(Block, usize)>,
}

impl Predecessors {
    /// How many edges lead to each block, by block.
    pub fn counts(&self) -> Vec<usize> {
        self.first.windows(2).map(|w| (w[1] - w[0]) as usize).collect()
    }
}

impl core::ops::Index<usize> for Predecessors {
    type Output = [(Block, usize)];

    fn index(&self, block: usize) -> &[(Block, usize)] {
        &self.edges[self.first[block] as usize..self.first[block + 1] as usize]
    }
}

/// The edges to each block.
pub fn predecessors(f: &Function) -> Predecessors {
    let mut first = vec![0u32; f.blocks.len() + 1];
    for edge in f.blocks.iter().flat_map(|b| b.term.edges()) {
        first[edge.to.0 as usize + 1] += 1;
    }
    for b in 0..f.blocks.len() {
        first[b + 1] += first[b];
    }
    let mut next = first.clone();
    let mut edges = vec![(Block(0), 0); first[f.blocks.len()] as usize];
    for (b, block) in f.blocks() {
        for (n, edge) in block.term.edges().enumerate() {
            let at = &mut next[edge.to.0 as usize];
            edges[*at as usize] = (b, n);
            *at += 1;
        }
    }
    Predecessors { first, edges }
}

/// Lists by value, one behind the other in one place.
struct Lists {
    /// By value: where its list begins.
    heads: Vec<u32>,
    /// What is listed, and where the list goes on.
    items: Vec<(u32, u32)>,
}

/// Where lists end.
const END: u32 = u32::MAX;

impl Lists {
    fn put(&mut self, v: Val, item: u32) {
        let head = core::mem::replace(&mut self.heads[v.0 as usize], self.items.len() as u32);
        self.items.push((item, head));
    }

    /// Shows the list of a value, and puts it before that of another.
    fn hand_on(&mut self, from: Val, to: Val, show: &mut dyn FnMut(u32)) {
        let first = core::mem::replace(&mut self.heads[from.0 as usize], END);
        let mut at = first;
        while at != END {
            let (item, next) = self.items[at as usize];
            show(item);
            if next == END {
                self.items[at as usize].1 = core::mem::replace(&mut self.heads[to.0 as usize], first);
            }
            at = next;
        }
    }
}

/// Replaces parameters that all edges give the same value, or the parameter itself.
fn same_parameters(f: &mut Function, predecessors: &Predecessors) {
    if f.blocks.iter().skip(1).all(|b| b.params.is_empty()) {
        return;
    }
    let mut to: Vec<Val> = (0..f.nodes.len() as u32).map(Val).collect();
    let find = |to: &[Val], mut v: Val| {
        while to[v.0 as usize] != v {
            v = to[v.0 as usize];
        }
        v
    };
    // By value: the blocks that edges hand it on to, which have to be looked at again when it goes.
    let mut handed = Lists { heads: vec![END; f.nodes.len()], items: Vec::new() };
    for edge in f.blocks.iter().flat_map(|b| b.term.edges()) {
        let params = edge.args.iter().filter(|a| f.node(**a).op == Op::Param);
        params.for_each(|a| handed.put(*a, edge.to.0));
    }
    let has_params = |b: &u32| !f.blocks[*b as usize].params.is_empty();
    let mut open: Vec<u32> = (1..f.blocks.len() as u32).filter(has_params).collect();
    open.reverse();
    let mut waiting = vec![true; f.blocks.len()];
    let mut gone = false;
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
            (to[param.0 as usize], gone) = (only, true);
            // They have the other value now.
            handed.hand_on(param, only, &mut |next| {
                if next != 0 && !core::mem::replace(&mut waiting[next as usize], true) {
                    open.push(next);
                }
            });
        }
    }
    if gone {
        drop_parameters(f, |v| to[v.0 as usize] != v);
        f.replace(&to);
    }
}

/// Takes parameters away, and what edges give them. The entry's stay.
fn drop_parameters(f: &mut Function, goes: impl Fn(Val) -> bool) {
    // By block, whether some of its parameters go; then edges there are looked at.
    let some: Vec<bool> = f.blocks.iter().map(|b| b.params.iter().any(|p| goes(*p))).collect();
    let mut blocks = core::mem::take(&mut f.blocks);
    let params: Vec<Vec<Val>> = blocks
        .iter_mut()
        .zip(&some)
        .enumerate()
        .map(|(i, (b, some))| if *some && i != 0 { core::mem::take(&mut b.params) } else { Vec::new() })
        .collect();
    for edge in blocks.iter_mut().flat_map(|b| b.term.edges_mut()) {
        let to = edge.to.0 as usize;
        if some[to] && to != 0 {
            let mut params = params[to].iter();
            edge.args.retain(|_| params.next().is_none_or(|p| !goes(*p)));
        }
    }
    for (block, mut params) in blocks.iter_mut().zip(params) {
        if !params.is_empty() {
            params.retain(|p| !goes(*p));
            block.params = params;
        }
    }
    f.blocks = blocks;
}

/// Takes away instructions and parameters that nothing with an effect needs.
fn unused(f: &mut Function, predecessors: &Predecessors) {
    let mut used = vec![false; f.nodes.len()];
    let mut open: Vec<Val> = Vec::new();
    for block in &f.blocks {
        let effects = block.insts.iter().filter(|v| f.node(**v).op.has_effect());
        open.extend(effects);
        match &block.term {
            Term::Branch { a, b, .. } => open.extend([*a, *b]),
            Term::Return(v) => open.push(*v),
            Term::Leave { kept, .. } => open.extend(kept.iter().map(|(_, v)| *v)),
            Term::Jump(_) | Term::MayGoto { .. } | Term::Unreachable => {}
        }
    }
    // Where parameters get their values: by parameter, the arguments on all edges.
    let mut home = vec![(Block(0), 0usize); f.nodes.len()];
    for (b, block) in f.blocks() {
        block.params.iter().enumerate().for_each(|(i, p)| home[p.0 as usize] = (b, i));
    }
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
    if f.blocks.iter().skip(1).flat_map(|b| &b.params).any(|p| !used[p.0 as usize]) {
        drop_parameters(f, |v| !used[v.0 as usize]);
    }
    for block in &mut f.blocks {
        block.insts.retain(|v| used[v.0 as usize]);
    }
}

/// Leads edges past blocks that do nothing but lead on. Whether there were any.
fn forward(f: &mut Function) -> bool {
    let leads_on = |b: &BlockData| b.insts.is_empty() && matches!(b.term, Term::Jump(_));
    if !f.blocks.iter().skip(1).any(leads_on) {
        return false;
    }
    let uses = f.uses();
    // A block whose parameters nobody uses but its own edge, each once.
    let empty = |f: &Function, b: Block| {
        let block = f.block(b);
        let Term::Jump(edge) = &block.term else { return None };
        let own = |p: &Val| edge.args.contains(p) && uses[p.0 as usize] == 1;
        let leads_on = b.0 != 0 && edge.to != b && block.insts.is_empty() && block.params.iter().all(own);
        leads_on.then(|| (block.params.clone(), edge.clone()))
    };
    let mut changed = false;
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
                (edge.to, edge.args, changed) = (next.to, args, true);
            }
        }
        f.blocks[b.0 as usize].term = term;
    }
    changed
}

/// Puts a block behind the only one that leads to it, if that leads nowhere else.
fn join(f: &mut Function) {
    let mut entries = vec![0u32; f.blocks.len()];
    let order = f.order();
    for b in &order {
        f.block(*b).term.edges().for_each(|e| entries[e.to.0 as usize] += 1);
    }
    let mut to: Vec<Val> = Vec::new();
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
            if to.is_empty() && !edge.args.is_empty() {
                to.extend((0..f.nodes.len() as u32).map(Val));
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
    if !to.is_empty() {
        f.replace(&to);
    }
}

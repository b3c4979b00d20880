//! Values that have been defined more than once get parameters where the definitions meet.
//!
//! A pass that copies blocks leaves uses behind that more than one definition may reach. [`Repair::value`] gives every use the
//! definition that reaches it.

use std::collections::HashMap;

use super::dead::{Predecessors, predecessors};
use super::{Block, Function, Op, Val};

/// Repairs values of a function whose edges stay as they are meanwhile.
pub struct Repair {
    predecessors: Predecessors,
    /// By block: its place in the order, each block behind those that dominate it.
    place: Vec<usize>,
    /// By value: the blocks that use it otherwise than behind its definition in the same block.
    users: HashMap<Val, Vec<Block>>,
}

impl Repair {
    /// Prepares for a function and values that may be repaired, with the blocks that define them.
    pub fn new(f: &Function, values: &[(Val, Block)]) -> Self {
        let mut place = vec![usize::MAX; f.blocks.len()];
        f.order().iter().enumerate().for_each(|(i, b)| place[b.0 as usize] = i);
        let mut users: HashMap<Val, Vec<Block>> = values.iter().map(|(v, _)| (*v, Vec::new())).collect();
        let home: HashMap<Val, Block> = values.iter().copied().collect();
        for (b, block) in f.blocks().filter(|(b, _)| place[b.0 as usize] != usize::MAX) {
            let mut note = |v: Val| {
                if home.get(&v).is_some_and(|home| *home != b)
                    && let Some(blocks) = users.get_mut(&v)
                    && blocks.last() != Some(&b)
                {
                    blocks.push(b);
                }
            };
            block.insts.iter().for_each(|v| f.node(*v).op.operands(&mut note));
            block.term.operands(&mut note);
        }
        Self { predecessors: predecessors(f), place, users }
    }

    /// Gives each use of `v` the definition that reaches it, of those at the ends of `defs`. All uses outside the blocks
    /// that define it are changed; those blocks use their own.
    pub fn value(&self, f: &mut Function, v: Val, defs: &[(Block, Val)]) {
        let Some(users) = self.users.get(&v).filter(|u| !u.is_empty()) else { return };
        let defined: HashMap<Block, Val> = defs.iter().copied().collect();
        // The blocks at whose start it is needed.
        let mut needed: HashMap<Block, Val> = HashMap::new();
        let mut open: Vec<Block> = users.iter().copied().filter(|b| !defined.contains_key(b)).collect();
        while let Some(b) = open.pop() {
            if needed.insert(b, v).is_some() {
                continue;
            }
            let before = self.predecessors[b.0 as usize].iter().map(|(from, _)| *from);
            open.extend(before.filter(|from| !defined.contains_key(from) && !needed.contains_key(from)));
        }
        let mut order: Vec<Block> = needed.keys().copied().collect();
        order.sort_unstable_by_key(|b| self.place[b.0 as usize]);
        let (ty, pc) = (f.ty(v), f.node(v).pc);
        let mut joins = Vec::new();
        for &b in &order {
            let start = match self.predecessors[b.0 as usize][..] {
                [(from, _)] => defined.get(&from).or_else(|| needed.get(&from)).copied().unwrap_or(v),
                _ => {
                    let param = f.add(Op::Param, ty, pc);
                    f.blocks[b.0 as usize].params.push(param);
                    joins.push(b);
                    param
                }
            };
            needed.insert(b, start);
        }
        for &b in &order {
            let start = needed[&b];
            let insts = f.blocks[b.0 as usize].insts.clone();
            let mut change = |o: Val| if o == v { start } else { o };
            for i in insts {
                f.nodes[i.0 as usize].op.map_operands(&mut change);
            }
            f.blocks[b.0 as usize].term.map_operands(&mut change);
        }
        for b in joins {
            for &(from, n) in &self.predecessors[b.0 as usize] {
                let end = defined.get(&from).or_else(|| needed.get(&from)).copied().unwrap_or(v);
                if let Some(edge) = f.blocks[from.0 as usize].term.edges_mut().nth(n) {
                    edge.args.push(end);
                }
            }
        }
    }
}

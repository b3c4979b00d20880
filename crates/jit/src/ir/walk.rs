//! Looking at and changing what instructions and blocks refer to.

use super::{Block, BlockData, Edge, Function, Op, Term, Ty, Val};

impl Op {
    /// Shows each operand.
    pub fn operands<F: FnMut(Val) + ?Sized>(&self, f: &mut F) {
        // Changes nothing: `map_operands` of a copy would do, too, at the cost of copies.
        match self {
            Self::Param | Self::Const(_) | Self::Frame | Self::Cell(_) | Self::Arg(_) | Self::Kept(_) => {}
            Self::Bin(_, a, b) | Self::Cmp(_, a, b) => [*a, *b].into_iter().for_each(f),
            Self::Select(_, a, b, x, y) => [*a, *b, *x, *y].into_iter().for_each(f),
            Self::Trunc(a) | Self::Zext(a) | Self::Sext(_, a) | Self::Swap(_, a) => f(*a),
            Self::Load { base, .. } | Self::LoadAcquire { base, .. } => f(*base),
            Self::Store { base, value, .. } | Self::StoreRelease { base, value, .. } => {
                [*base, *value].into_iter().for_each(f);
            }
            Self::Atomic { base, value, expected, .. } => {
                [*base, *value, *expected].into_iter().for_each(f);
            }
            Self::Call { args, .. } => args.iter().copied().for_each(f),
            Self::Service { args, .. } => args.iter().copied().for_each(f),
            Self::TailCall { args } => args.iter().copied().for_each(f),
        }
    }

    /// Puts another value in the place of each operand.
    pub fn map_operands<F: FnMut(Val) -> Val + ?Sized>(&mut self, f: &mut F) {
        let mut set = |v: &mut Val| *v = f(*v);
        match self {
            Self::Param | Self::Const(_) | Self::Frame | Self::Cell(_) | Self::Arg(_) | Self::Kept(_) => {}
            Self::Bin(_, a, b) | Self::Cmp(_, a, b) => [a, b].into_iter().for_each(set),
            Self::Select(_, a, b, x, y) => [a, b, x, y].into_iter().for_each(set),
            Self::Trunc(a) | Self::Zext(a) | Self::Sext(_, a) | Self::Swap(_, a) => set(a),
            Self::Load { base, .. } | Self::LoadAcquire { base, .. } => set(base),
            Self::Store { base, value, .. } | Self::StoreRelease { base, value, .. } => {
                [base, value].into_iter().for_each(set);
            }
            Self::Atomic { base, value, expected, .. } => [base, value, expected].into_iter().for_each(set),
            Self::Call { args, .. } => args.iter_mut().for_each(set),
            Self::Service { args, .. } => args.iter_mut().for_each(set),
            Self::TailCall { args } => args.iter_mut().for_each(set),
        }
    }

    /// Whether it does more than give a value: such an instruction stays where it is, and stays.
    pub fn has_effect(&self) -> bool {
        match self {
            Self::Param
            | Self::Const(_)
            | Self::Bin(..)
            | Self::Trunc(_)
            | Self::Zext(_)
            | Self::Sext(..)
            | Self::Swap(..)
            | Self::Cmp(..)
            | Self::Select(..)
            | Self::Frame
            | Self::Cell(_)
            | Self::Arg(_)
            | Self::Kept(_)
            | Self::Load { .. } => false,
            Self::Store { .. }
            | Self::Atomic { .. }
            | Self::LoadAcquire { .. }
            | Self::StoreRelease { .. }
            | Self::Call { .. }
            | Self::Service { .. }
            | Self::TailCall { .. } => true,
        }
    }

    /// Whether the value depends on nothing but the operands: it is the same wherever they are.
    pub fn is_pure(&self) -> bool {
        match self {
            Self::Load { .. } | Self::Cell(_) | Self::Arg(_) | Self::Kept(_) | Self::Param => false,
            _ => !self.has_effect(),
        }
    }
}

impl Term {
    /// The ways on.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        let (a, b) = match self {
            Self::Jump(to) => (Some(to), None),
            Self::Branch { then, other, .. } => (Some(then), Some(other)),
            Self::MayGoto { spent, other } => (Some(spent), Some(other)),
            Self::Leave { .. } | Self::Return(_) | Self::Unreachable => (None, None),
        };
        a.into_iter().chain(b)
    }

    /// The ways on, to change them.
    pub fn edges_mut(&mut self) -> impl Iterator<Item = &mut Edge> {
        let (a, b) = match self {
            Self::Jump(to) => (Some(to), None),
            Self::Branch { then, other, .. } => (Some(then), Some(other)),
            Self::MayGoto { spent, other } => (Some(spent), Some(other)),
            Self::Leave { .. } | Self::Return(_) | Self::Unreachable => (None, None),
        };
        a.into_iter().chain(b)
    }

    /// Shows each value that it uses, those that it hands on included.
    pub fn operands<F: FnMut(Val) + ?Sized>(&self, f: &mut F) {
        match self {
            Self::Branch { a, b, .. } => [*a, *b].into_iter().for_each(&mut *f),
            Self::Return(v) => f(*v),
            Self::Leave { kept, .. } => kept.iter().for_each(|(_, v)| f(*v)),
            Self::Jump(_) | Self::MayGoto { .. } | Self::Unreachable => {}
        }
        self.edges().flat_map(|e| &e.args).for_each(|v| f(*v));
    }

    /// Puts another value in the place of each that it uses.
    pub fn map_operands<F: FnMut(Val) -> Val + ?Sized>(&mut self, f: &mut F) {
        match self {
            Self::Branch { a, b, .. } => [a, b].into_iter().for_each(|v| *v = f(*v)),
            Self::Return(v) => *v = f(*v),
            Self::Leave { kept, .. } => kept.iter_mut().for_each(|(_, v)| *v = f(*v)),
            Self::Jump(_) | Self::MayGoto { .. } | Self::Unreachable => {}
        }
        self.edges_mut().flat_map(|e| &mut e.args).for_each(|v| *v = f(*v));
    }
}

impl Function {
    /// The blocks with their names.
    pub fn blocks(&self) -> impl Iterator<Item = (Block, &BlockData)> {
        self.blocks.iter().enumerate().map(|(i, b)| (Block(i as u32), b))
    }

    /// How often each value is used, by value.
    pub fn uses(&self) -> Vec<u32> {
        let mut uses = vec![0; self.nodes.len()];
        for block in &self.blocks {
            for v in &block.insts {
                self.node(*v).op.operands(&mut |o| uses[o.0 as usize] += 1);
            }
            block.term.operands(&mut |o| uses[o.0 as usize] += 1);
        }
        uses
    }

    /// Puts `to[v]` in the place of each value `v`, over chains of replacements.
    pub fn replace(&mut self, to: &[Val]) {
        let mut find = |mut v: Val| {
            while to[v.0 as usize] != v {
                v = to[v.0 as usize];
            }
            v
        };
        for block in &mut self.blocks {
            for v in &block.insts {
                self.nodes[v.0 as usize].op.map_operands(&mut find);
            }
            block.term.map_operands(&mut find);
        }
    }

    /// The blocks that can be reached, each before those that it leads to but for loops (reverse postorder).
    pub fn order(&self) -> Vec<Block> {
        let mut seen = vec![false; self.blocks.len()];
        let mut post = Vec::with_capacity(self.blocks.len());
        // The last way is looked at last, so that its block comes next in the order.
        let mut open = vec![(Block(0), 0)];
        seen[0] = true;
        while let Some((block, way)) = open.last_mut() {
            match self.block(*block).term.edges().nth(*way) {
                Some(edge) => {
                    *way += 1;
                    if !core::mem::replace(&mut seen[edge.to.0 as usize], true) {
                        open.push((edge.to, 0));
                    }
                }
                None => {
                    post.push(*block);
                    open.pop();
                }
            }
        }
        post.reverse();
        post
    }

    /// The constant of a type.
    pub fn add_constant(&mut self, value: u64, ty: Ty, pc: u32) -> Val {
        let value = if ty == Ty::I32 { u64::from(value as u32) } else { value };
        self.add(Op::Const(value), ty, pc)
    }
}

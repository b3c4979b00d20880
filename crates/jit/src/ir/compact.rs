//! A function's blocks in order, without those that cannot be reached, and values by new numbers, without those that no
//! block has.

use super::{Block, Function, Node, Op, Term, Val};

impl Function {
    /// Joins blocks that only follow one another, drops blocks that cannot be reached and nodes that no block has, puts blocks
    /// in reverse postorder, and numbers blocks and values anew in the order of the text.
    pub fn compact(&mut self) {
        self.join_chains();
        let order = self.order();
        let mut number = vec![Block(u32::MAX); self.blocks.len()];
        for (i, b) in order.iter().enumerate() {
            number[b.0 as usize] = Block(i as u32);
        }
        let mut blocks: Vec<_> = core::mem::take(&mut self.blocks).into_iter().map(Some).collect();
        self.blocks = order.iter().filter_map(|b| blocks[b.0 as usize].take()).collect();
        let mut to = vec![Val(u32::MAX); self.nodes.len()];
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for block in &mut self.blocks {
            for v in block.params.iter_mut().chain(&mut block.insts) {
                let new = Val(nodes.len() as u32);
                to[v.0 as usize] = new;
                let gone = Node { op: Op::Param, ..self.nodes[v.0 as usize] };
                nodes.push(core::mem::replace(&mut self.nodes[v.0 as usize], gone));
                *v = new;
            }
        }
        // Operands may stand in blocks that come later.
        for node in &mut nodes {
            node.op.map_operands(&mut |v| to[v.0 as usize]);
        }
        for block in &mut self.blocks {
            block.term.map_operands(&mut |v| to[v.0 as usize]);
            block.term.edges_mut().for_each(|e| e.to = number[e.to.0 as usize]);
        }
        self.nodes = nodes;
    }

    /// Puts a block behind the one that alone leads to it, and to nothing else.
    fn join_chains(&mut self) {
        let mut ways_in = vec![0u32; self.blocks.len()];
        let order = self.order();
        for b in &order {
            self.block(*b).term.edges().for_each(|e| ways_in[e.to.0 as usize] += 1);
        }
        let mut gone = vec![false; self.blocks.len()];
        for b in order {
            if gone[b.0 as usize] {
                continue;
            }
            while let Term::Jump(edge) = &self.block(b).term
                && edge.to != b
                && ways_in[edge.to.0 as usize] == 1
                && self.block(edge.to).params.is_empty()
            {
                let to = edge.to.0 as usize;
                gone[to] = true;
                let next = &mut self.blocks[to];
                let (mut insts, term_pc) = (core::mem::take(&mut next.insts), next.term_pc);
                let term = core::mem::replace(&mut next.term, Term::Unreachable);
                let block = &mut self.blocks[b.0 as usize];
                block.insts.append(&mut insts);
                (block.term, block.term_pc) = (term, term_pc);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::Module;

    #[test]
    fn blocks_are_joined_ordered_and_numbered() {
        let text = r#"function 0 "f" slot 0 {
block0(v9: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  jump block4
block1:
  return v7
block2:
  jump block1
block3:
  jump block1
block4:
  v7: i64 = frame
  store u64 frame [v7 - 8], v9
  branch eq v7, v1 -> block3, block2
block5:
  jump block1
}
"#;
        let want = r#"function 0 "f" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = frame
  store u64 frame [v5 - 8], v0
  branch eq v5, v1 -> block2, block1
block1:
  jump block3
block2:
  jump block3
block3:
  return v5
}
"#;
        let mut module = Module::parse(text).expect("a text");
        module.functions[0].compact();
        module.check().expect("valid");
        assert_eq!(module.to_string(), want);
        assert_eq!(Module::parse(want).expect("a text"), module, "numbers are those of the text");
    }
}

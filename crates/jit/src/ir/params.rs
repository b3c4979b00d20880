//! Parameters that are always the same value.
//!
//! A parameter to which every edge hands one value, or itself, is that value. When one goes, those that it was handed to
//! are looked at again.

use super::{Block, Function, Val};

/// Where a parameter is: its block and its place in the list.
type At = (Block, usize);

impl Function {
    /// Puts the value in the place of each parameter that is always the same value, and drops the parameter. Gives how
    /// many there were.
    pub fn drop_same_params(&mut self) -> usize {
        let mut edges = vec![Vec::new(); self.blocks.len()];
        for (b, block) in self.blocks() {
            for (i, edge) in block.term.edges().enumerate() {
                edges[edge.to.0 as usize].push((b, i));
            }
        }
        let arg = |f: &Self, (from, edge): (Block, usize), i: usize| {
            f.block(from).term.edges().nth(edge).expect("counted above").args[i]
        };
        // By value, the parameters that it is handed to.
        let mut handed: Vec<Vec<At>> = vec![Vec::new(); self.nodes.len()];
        let mut open: Vec<At> = Vec::new();
        for (b, block) in self.blocks().skip(1).filter(|(b, _)| !edges[b.0 as usize].is_empty()) {
            for i in 0..block.params.len() {
                for edge in &edges[b.0 as usize] {
                    handed[arg(self, *edge, i).0 as usize].push((b, i));
                }
                open.push((b, i));
            }
        }
        open.reverse();
        let mut to: Vec<Val> = (0..self.nodes.len() as u32).map(Val).collect();
        let mut dropped = 0;
        while let Some((b, i)) = open.pop() {
            let param = self.block(b).params[i];
            if to[param.0 as usize] != param {
                continue;
            }
            let mut same = None;
            let differ = edges[b.0 as usize].iter().any(|edge| {
                let v = find(&mut to, arg(self, *edge, i));
                v != param && *same.get_or_insert(v) != v
            });
            let (false, Some(v)) = (differ, same) else { continue };
            to[param.0 as usize] = v;
            dropped += 1;
            let again = core::mem::take(&mut handed[param.0 as usize]);
            open.extend(&again);
            handed[v.0 as usize].extend(again);
        }
        if dropped > 0 {
            self.drop_params(&|v| to[v.0 as usize] != v);
            self.replace(&to);
        }
        dropped
    }

    /// Takes parameters out of their blocks, and what edges hand to them.
    pub fn drop_params(&mut self, gone: &dyn Fn(Val) -> bool) {
        let keep: Vec<Vec<bool>> =
            self.blocks.iter().map(|b| b.params.iter().map(|p| !gone(*p)).collect()).collect();
        for (block, kept) in self.blocks.iter_mut().zip(&keep) {
            retain(&mut block.params, kept);
            for edge in block.term.edges_mut() {
                retain(&mut edge.args, &keep[edge.to.0 as usize]);
            }
        }
    }
}

/// What a value has been replaced by, with shorter ways afterwards.
fn find(to: &mut [Val], v: Val) -> Val {
    let mut end = v;
    while to[end.0 as usize] != end {
        end = to[end.0 as usize];
    }
    let mut at = v;
    while to[at.0 as usize] != end {
        at = core::mem::replace(&mut to[at.0 as usize], end);
    }
    end
}

fn retain(list: &mut Vec<Val>, keep: &[bool]) {
    let mut keep = keep.iter();
    list.retain(|_| *keep.next().expect("edges fit their blocks"));
}

#[cfg(test)]
mod tests {
    use crate::ir::Module;

    #[test]
    fn what_only_goes_round_is_found() {
        let text = r#"function 0 "f" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  jump block1(v0, v1)
block1(v5: i64, v6: i64):
  jump block2(v5, v6)
block2(v7: i64, v8: i64):
  v9: i64 = add v8, v7
  branch ult v9, v2 -> block2(v7, v9), block3
block3:
  branch ult v7, v2 -> block1(v7, v8), block4
block4:
  return v7
}
"#;
        let mut module = Module::parse(text).expect("a text");
        assert_eq!(module.functions[0].drop_same_params(), 2);
        module.check().expect("valid");
        let want = text
            .replace("(v0, v1)\n", "(v1)\n")
            .replace("block1(v5: i64, v6: i64)", "block1(v6: i64)")
            .replace("block2(v5, v6)", "block2(v6)")
            .replace("block2(v7: i64, v8: i64)", "block2(v8: i64)")
            .replace("block2(v7, v9)", "block2(v9)")
            .replace("block1(v7, v8)", "block1(v8)")
            .replace("v7", "v0");
        assert_eq!(module.to_string(), want);
    }
}

//! Branches one of whose ways is never taken go the other way.
//!
//! The builder leaves a comparison that the verifier has decided where it is, with a way to a block that is said not to be
//! reached: [`loops`](super::loops) counts rounds by it. Once that is done the comparison goes.

use super::{Block, Edge, Function, Term};

/// Takes the decided branches away; what they compared stays, for [`super::dead`]. Whether there were any.
pub fn never(f: &mut Function) -> bool {
    let mut changed = false;
    let never: Vec<bool> =
        f.blocks.iter().map(|b| b.insts.is_empty() && b.term == Term::Unreachable).collect();
    let is = |to: Block| never[to.0 as usize];
    for block in &mut f.blocks {
        if let Term::Branch { then, other, .. } = &mut block.term {
            let way = match (is(then.to), is(other.to)) {
                (true, false) => other,
                (false, true) => then,
                _ => continue,
            };
            let way = core::mem::replace(way, Edge { to: Block(0), args: Vec::new() });
            block.term = Term::Jump(way);
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::never;
    use crate::ir::Module;

    #[test]
    fn only_one_way_is_left() {
        let text = |ends: [&str; 2]| {
            format!(
                r#"function 0 "f" slot 0 {{
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  {}
block1(v5: i64):
  {}
block2:
  unreachable
block3:
  return v1
}}
"#,
                ends[0], ends[1]
            )
        };
        let before = text(["branch eq v0, v1 -> block2, block1(v2)", "branch ult v0, v5 -> block3, block2"]);
        let mut module = Module::parse(&before).expect("a text");
        assert!(never(&mut module.functions[0]));
        assert!(!never(&mut module.functions[0]));
        module.check().expect("valid");
        assert_eq!(module.to_string(), text(["jump block1(v2)", "jump block3"]));
    }
}

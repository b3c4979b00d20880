//! The control-flow graph as data: what `cfg` walks, cut into functions and basic blocks, for people to look at.
//!
//! It is made of any instructions, also of those that are refused. Its edges and their order are those of `cfg`'s walk
//! (a test compares them), and back-edges are what that walk calls so: they lead to a block that it has not finished.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use skep_isa::{CallTarget, Imm64, Insn, Op, decode};

use crate::program::target;

/// How control goes from a block to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EdgeKind {
    /// To the next instruction.
    Next,
    /// A jump without condition.
    Jump,
    /// A conditional jump that is taken.
    True,
    /// A conditional jump that is not taken.
    False,
    /// A call of a function of the program.
    Call,
    /// The address of a function, which a helper may call.
    Address,
}

impl EdgeKind {
    /// Whether it leads to another function, and control comes back or has not left.
    pub fn enters_function(self) -> bool {
        matches!(self, Self::Call | Self::Address)
    }
}

/// An edge of an instruction: its kind, and the slot that it leads to, which may lie outside the program.
pub(crate) type Edge = (EdgeKind, usize);

/// The edges of the instruction at slot `pc` in the order of the kernel's walk: the next instruction, then the target.
pub(crate) fn edges(op: &Op, pc: usize) -> impl DoubleEndedIterator<Item = Edge> + use<> {
    let next = pc + op.slots();
    let far = |off: i32| target(pc, off).unwrap_or(usize::MAX);
    let list = match *op {
        Op::Exit => [None, None],
        Op::Jump { off, .. } => [Some((EdgeKind::Jump, far(off))), None],
        Op::JumpIf { off, .. } | Op::MayGoto { off } => {
            [Some((EdgeKind::False, next)), Some((EdgeKind::True, far(off.into())))]
        }
        // Nobody knows where to: the verifier refuses these.
        Op::JumpIndirect { .. } | Op::CallIndirect { .. } => [None, None],
        Op::Call(CallTarget::Subprog(off)) => {
            [Some((EdgeKind::Next, next)), Some((EdgeKind::Call, far(off)))]
        }
        Op::LoadImm64 { value: Imm64::Code(off), .. } => {
            [Some((EdgeKind::Next, next)), Some((EdgeKind::Address, far(off)))]
        }
        _ => [Some((EdgeKind::Next, next)), None],
    };
    list.into_iter().flatten()
}

/// A program's control flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// Functions in order of their slots; the first is entered from outside.
    pub functions: Vec<Function>,
    /// Blocks in order of their slots.
    pub blocks: Vec<Block>,
}

/// A function of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// First slot.
    pub start: usize,
    /// Slot after the last.
    pub end: usize,
}

/// Instructions that run one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// First slot.
    pub start: usize,
    /// Slot after the last.
    pub end: usize,
    /// Index of its function in [`Graph::functions`].
    pub function: usize,
    /// Whether any path leads here from the program's start.
    pub reachable: bool,
    /// Where control goes, in the order of the verifier's walk; calls at their places before.
    pub out: Vec<BlockEdge>,
}

/// An edge between blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockEdge {
    /// Kind.
    pub kind: EdgeKind,
    /// Slot of the instruction that it comes from.
    pub from: usize,
    /// Slot that it leads to: the first of a block, or one outside the program.
    pub to: usize,
    /// It closes a loop: the walk meets a block that it has not finished.
    pub back: bool,
}

impl Graph {
    /// The graph of a program's slots. What is no instruction ends its block, and nothing follows it.
    pub fn of(insns: &[Insn]) -> Self {
        let len = insns.len();
        // Slots of instructions; `None` for what is none.
        let mut ops: Vec<(usize, Option<Op>)> = Vec::with_capacity(len);
        let mut pc = 0;
        while pc < len {
            let op = decode(insns, pc).ok();
            ops.push((pc, op));
            pc += op.map_or(1, |op| op.slots());
        }
        let mut functions = BTreeSet::from([0]);
        let mut starts = vec![false; len + 1];
        starts[0] = true;
        for &(pc, op) in &ops {
            let next = pc + op.map_or(1, |op| op.slots());
            let mut leaves = op.is_none_or(|op| op == Op::Exit);
            for (kind, to) in op.iter().flat_map(|op| edges(op, pc)) {
                if kind.enters_function() {
                    functions.insert(to);
                }
                if kind != EdgeKind::Next {
                    starts[to.min(len)] = true;
                    leaves |= !kind.enters_function();
                }
            }
            starts[next.min(len)] |= leaves;
        }
        let functions: Vec<usize> = functions.into_iter().filter(|&f| f < len).collect();
        let mut blocks: Vec<Block> = Vec::new();
        for &(pc, op) in &ops {
            let next = pc + op.map_or(1, |op| op.slots());
            // A jump into the second slot of an instruction starts no block.
            if starts[pc] {
                let function = functions.partition_point(|&f| f <= pc).saturating_sub(1);
                blocks.push(Block { start: pc, end: next, function, reachable: false, out: Vec::new() });
            }
            let Some(block) = blocks.last_mut() else { continue };
            block.end = next;
            let outside = |e: &Edge| e.0 != EdgeKind::Next || starts[next.min(len)] || next >= len;
            let list = op.iter().flat_map(|op| edges(op, pc)).filter(outside).collect::<Vec<_>>();
            block.out.extend(list.into_iter().map(|(kind, to)| BlockEdge {
                kind,
                from: pc,
                to,
                back: false,
            }));
        }
        let end_of = |list: &[usize], i: usize| list.get(i + 1).copied().unwrap_or(len);
        let functions = (0..functions.len())
            .map(|i| Function { start: functions[i], end: end_of(&functions, i) })
            .collect();
        let mut graph = Self { functions, blocks };
        graph.walk();
        graph
    }

    /// The block that starts at a slot.
    pub fn block_at(&self, slot: usize) -> Option<usize> {
        self.blocks.binary_search_by_key(&slot, |b| b.start).ok()
    }

    /// Marks what is reachable, and back-edges: depth first from the start, as `cfg` does.
    fn walk(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            Unseen,
            Open,
            Done,
        }
        let mut marks = vec![Mark::Unseen; self.blocks.len()];
        let mut stack: Vec<(usize, usize)> = Vec::new();
        if !self.blocks.is_empty() {
            marks[0] = Mark::Open;
            stack.push((0, 0));
        }
        while let Some((block, next)) = stack.last_mut() {
            let block = *block;
            let Some(edge) = self.blocks[block].out.get(*next).copied() else {
                marks[block] = Mark::Done;
                stack.pop();
                continue;
            };
            let at = *next;
            *next += 1;
            let Some(to) = self.block_at(edge.to) else { continue };
            match marks[to] {
                // A function that calls itself is refused for other reasons, and its own code has no loop by that.
                Mark::Open if edge.kind.enters_function() => {}
                Mark::Unseen => {
                    marks[to] = Mark::Open;
                    stack.push((to, 0));
                }
                Mark::Open => self.blocks[block].out[at].back = true,
                Mark::Done => {}
            }
        }
        for (block, mark) in self.blocks.iter_mut().zip(marks) {
            block.reachable = mark != Mark::Unseen;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::ProgramType;
    use skep_isa::text::assemble;
    use skep_spec::{Environment, ProgramSpec};

    fn graph(text: &str) -> Graph {
        Graph::of(&assemble(text).expect("assembles"))
    }

    fn shape(graph: &Graph) -> Vec<(usize, usize, bool)> {
        graph.blocks.iter().map(|b| (b.start, b.end, b.reachable)).collect()
    }

    fn all(graph: &Graph) -> Vec<(usize, EdgeKind, usize, bool)> {
        graph.blocks.iter().flat_map(|b| &b.out).map(|e| (e.from, e.kind, e.to, e.back)).collect()
    }

    #[test]
    fn branches_loops_and_dead_code() {
        use EdgeKind::*;
        let g = graph("r0 = 0\nr0 += 1\nif r0 < 5 goto -2\nif r0 == 9 goto +1\nexit\nexit\nr0 = 1\ngoto -2");
        assert_eq!(
            shape(&g),
            [(0, 1, true), (1, 3, true), (3, 4, true), (4, 5, true), (5, 6, true), (6, 8, false)]
        );
        assert_eq!(
            all(&g),
            [
                (0, Next, 1, false),
                (2, False, 3, false),
                (2, True, 1, true),
                (3, False, 4, false),
                (3, True, 5, false),
                (7, Jump, 6, false)
            ]
        );
        assert_eq!(g.functions, [Function { start: 0, end: 8 }]);
    }

    #[test]
    fn functions_and_what_leads_nowhere() {
        use EdgeKind::*;
        let mut insns = assemble("r1 = 0x100000000 ll\nr2 = 2\ncall +1\nexit").expect("assembles");
        insns.extend(assemble("r0 = 0\ngoto +9").expect("assembles"));
        insns.push(Insn { opcode: 0xff, ..Insn::default() });
        let g = Graph::of(&insns);
        assert_eq!(g.functions, [Function { start: 0, end: 5 }, Function { start: 5, end: 8 }]);
        assert_eq!(shape(&g), [(0, 5, true), (5, 7, true), (7, 8, false)]);
        assert_eq!(all(&g), [(3, Call, 5, false), (6, Jump, 16, false)]);
        assert_eq!((g.block_at(5), g.block_at(6)), (Some(1), None));
        assert_eq!(Graph::of(&[]).blocks, []);
        // A jump into an instruction, and one before the program.
        let g = graph("goto +1\nr1 = 1 ll\ngoto -9");
        assert_eq!(all(&g).iter().map(|e| e.2).collect::<Vec<_>>(), [2, usize::MAX]);
    }

    /// The verifier walks the same edges in the same order.
    #[test]
    fn edges_are_those_of_the_verifiers_walk() {
        let env = Environment::default();
        let texts = [
            "r0 = 0\nr0 += 1\nif r0 < 5 goto -2\nif r0 == 9 goto +1\nexit\nexit",
            "r1 = 0x100000000 ll\ncall +2\nr0 = 0\nexit\nr0 = 0\nmay_goto +1\ngoto -2\nexit",
            "r0 = 0\ncall 5\ngotol +1\nexit\nif w0 s> 3 goto -2\nexit",
        ];
        for text in texts {
            let spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, assemble(text).expect("assembles"));
            let Ok(mut program) = crate::structure::prepare(&spec, &env) else { panic!("{text}") };
            let mut seen = 0;
            for pc in 0..spec.insns.len() {
                let Some(op) = program.ops[pc] else { continue };
                let Ok(mut theirs) = crate::cfg::successors(&mut program, pc) else { panic!("{text}") };
                let theirs: Vec<usize> = core::iter::from_fn(|| theirs.pop()).collect();
                assert_eq!(edges(&op, pc).map(|e| e.1).collect::<Vec<_>>(), theirs, "{text}: {pc}");
                seen += theirs.len();
            }
            assert!(seen > 3);
        }
    }
}

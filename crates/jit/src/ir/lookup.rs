//! Lookups in arrays, in line: a comparison and an address.
//!
//! `bpf_map_lookup_elem(array, &key)` becomes a load of the key, a comparison with the number of elements, and a sum; with
//! a constant key what is left is a constant, once the key's slot is a value ([`super::slots`]).

use skep_isa::Size;

use super::{
    Bin, Block, BlockData, Cell, Cond, Edge, FrameUse, Function, Op, Region, Service, Term, Ty, Val,
};

/// Where an array has its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// Address of value 0 (of virtual CPU 0).
    pub base: u64,
    /// Bytes from a value to the next.
    pub stride: u64,
    /// Number of values.
    pub entries: u32,
    /// Of a per-CPU array: bytes from a CPU's values to the next one's.
    pub cpu_stride: Option<u64>,
}

/// Puts lookups in line; `array` tells what register content stands for an array.
pub fn lookup(f: &mut Function, array: &dyn Fn(u64) -> Option<Array>) {
    let mut at = 0;
    while at < f.blocks.len() {
        let found = f.blocks[at].insts.iter().enumerate().find_map(|(i, v)| {
            let Op::Service { service: Service::Lookup, args, frame } = &f.node(*v).op else { return None };
            let array = array(f.constant(args[0])?)?;
            Some((i, *v, args[1], array, *frame == FrameUse::Bytes(Box::default())))
        });
        if let Some((i, v, key, array, elsewhere)) = found {
            // What is not in a function's own frame may be in one of those that have called it.
            let region = match (elsewhere, f.slot) {
                (true, 0) => Region::Other,
                (true, _) => Region::Any,
                (false, _) => Region::Frame,
            };
            in_line(f, Block(at as u32), i, v, (key, region), array);
        }
        // The rest of the block is the last one now, and is looked at then.
        at += 1;
    }
}

/// Puts the lookup that is instruction `i` of a block in line.
fn in_line(f: &mut Function, b: Block, i: usize, v: Val, (key, region): (Val, Region), array: Array) {
    let pc = f.node(v).pc;
    let at = b.0 as usize;
    let rest = f.blocks[at].insts.split_off(i + 1);
    f.blocks[at].insts.pop();
    let (term, term_pc) =
        (core::mem::replace(&mut f.blocks[at].term, Term::Unreachable), f.blocks[at].term_pc);

    let found = Block(f.blocks.len() as u32);
    let behind = Block(found.0 + 1);
    let mut first = Vec::new();
    let put = |f: &mut Function, op: Op, ty: Ty, to: &mut Vec<Val>| {
        let v = f.add(op, ty, pc);
        to.push(v);
        v
    };
    let index = put(f, Op::Load { size: Size::W, base: key, off: 0, region }, Ty::I32, &mut first);
    let entries = put(f, Op::Const(array.entries.into()), Ty::I32, &mut first);
    let null = put(f, Op::Const(0), Ty::I64, &mut first);

    let mut inside = Vec::new();
    let wide = put(f, Op::Zext(index), Ty::I64, &mut inside);
    let stride = put(f, Op::Const(array.stride), Ty::I64, &mut inside);
    let mut off = put(f, Op::Bin(Bin::Mul, wide, stride), Ty::I64, &mut inside);
    if let Some(cpu_stride) = array.cpu_stride {
        let cpu = put(f, Op::Cell(Cell::Vcpu), Ty::I64, &mut inside);
        let stride = put(f, Op::Const(cpu_stride), Ty::I64, &mut inside);
        let of_cpu = put(f, Op::Bin(Bin::Mul, cpu, stride), Ty::I64, &mut inside);
        off = put(f, Op::Bin(Bin::Add, off, of_cpu), Ty::I64, &mut inside);
    }
    let base = put(f, Op::Const(array.base), Ty::I64, &mut inside);
    let address = put(f, Op::Bin(Bin::Add, base, off), Ty::I64, &mut inside);

    f.blocks[at].insts.extend(first);
    f.blocks[at].term = Term::Branch {
        cond: Cond::Ult,
        a: index,
        b: entries,
        then: Edge { to: found, args: Vec::new() },
        other: Edge { to: behind, args: vec![null] },
    };
    f.blocks[at].term_pc = pc;
    let term_to = Term::Jump(Edge { to: behind, args: vec![address] });
    f.blocks.push(BlockData { params: Vec::new(), insts: inside, term: term_to, term_pc: pc });
    // The call itself becomes the parameter: its uses stay.
    f.nodes[v.0 as usize].op = Op::Param;
    f.blocks.push(BlockData { params: vec![v], insts: rest, term, term_pc });
}

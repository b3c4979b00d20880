//! What the SSA form means, by doing it: slow, readable, and what passes are held against.
//!
//! [`run`] runs a function of a module. Memory, the runtime's numbers and its services are a [`World`]'s; [`Plain`] is one
//! of bytes at addresses. Scalar meanings are `skep_isa::eval`'s.

use std::collections::BTreeMap;

use skep_isa::{AluOp, AtomicOp, JumpOp, Size, SwapKind, Width, eval};

use super::{Bin, Block, Cell, Cond, Edge, Func, Function, KEPT, Module, Op, Service, Term, Ty, Val};

/// Why a run ends without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It took more steps than it was given.
    Steps,
    /// It accessed memory that is not there.
    Fault {
        /// Where.
        addr: u64,
        /// How much.
        size: Size,
        /// It was a store.
        write: bool,
    },
    /// It reached what is said not to be reached.
    Unreachable(Func, Block),
    /// More functions inside one another than there are frames.
    Depth,
    /// A tail call left the program.
    Left,
    /// A division whose divisor is said not to be zero had one that is.
    Divisor(Func, Val),
    /// A service ended it, with these words.
    Service(String),
}

/// What functions stand on.
pub trait World {
    /// A number of bytes at an address, zero-extended.
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Stop>;
    /// Puts the low bytes of a number at an address.
    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Stop>;
    /// A function is entered so many frames deep: the end of its frame, whose bytes may be anything.
    fn enter(&mut self, depth: usize) -> Result<u64, Stop>;
    /// What the runtime keeps.
    fn cell(&mut self, cell: Cell) -> Result<u64, Stop>;
    /// A service, which may leave arguments.
    fn service(&mut self, service: Service, args: &[u64], left: &mut [u64; 5]) -> Result<u64, Stop>;
    /// A tail call: what `r0` is if the function goes on.
    fn tail_call(&mut self, args: [u64; 3]) -> Result<u64, Stop>;
}

/// `a op b`
pub fn bin(op: Bin, ty: Ty, a: u64, b: u64) -> u64 {
    let op = match op {
        Bin::Add => AluOp::Add,
        Bin::Sub => AluOp::Sub,
        Bin::Mul => AluOp::Mul,
        Bin::And => AluOp::And,
        Bin::Or => AluOp::Or,
        Bin::Xor => AluOp::Xor,
        Bin::Shl => AluOp::Lsh,
        Bin::Shr => AluOp::Rsh,
        Bin::Sar => AluOp::Arsh,
        Bin::Udiv => AluOp::Div,
        Bin::Urem => AluOp::Mod,
        Bin::Sdiv => AluOp::Sdiv,
        Bin::Srem => AluOp::Smod,
    };
    eval::alu(op, width(ty), a, b)
}

/// Whether a comparison of two values of a type holds.
pub fn holds(cond: Cond, ty: Ty, a: u64, b: u64) -> bool {
    let op = match cond {
        Cond::Eq => JumpOp::Eq,
        Cond::Ne => JumpOp::Ne,
        Cond::Ult => JumpOp::Lt,
        Cond::Ule => JumpOp::Le,
        Cond::Ugt => JumpOp::Gt,
        Cond::Uge => JumpOp::Ge,
        Cond::Slt => JumpOp::Slt,
        Cond::Sle => JumpOp::Sle,
        Cond::Sgt => JumpOp::Sgt,
        Cond::Sge => JumpOp::Sge,
        Cond::Set => JumpOp::Set,
        Cond::Clear => return !eval::jump(JumpOp::Set, width(ty), a, b),
    };
    eval::jump(op, width(ty), a, b)
}

/// The low bytes with their sign, as a type.
pub fn sext(size: Size, ty: Ty, a: u64) -> u64 {
    eval::movsx(width(ty), size, a)
}

/// The low bytes swapped.
pub fn swap(size: Size, a: u64) -> u64 {
    match size {
        Size::B => eval::zero_extend(size, a),
        Size::H | Size::W | Size::DW => eval::swap(SwapKind::Bswap, size, skep_isa::Endian::NATIVE, a),
    }
}

fn width(ty: Ty) -> Width {
    if ty == Ty::I32 { Width::W32 } else { Width::W64 }
}

/// Frames that there are.
const FRAMES: usize = 16;
/// Passes of `may_goto` in a function.
const PASSES: u32 = skep_vm::MAY_GOTO_LIMIT;

/// Runs a function with `r1` to `r5` and so many steps at most.
///
/// # Errors
/// Why it has no result.
///
/// # Panics
/// If the module is not valid.
pub fn run(
    module: &Module,
    world: &mut dyn World,
    func: Func,
    args: [u64; 5],
    steps: u64,
) -> Result<u64, Stop> {
    Run { module, world, steps, left: [0; 5], kept: [0; KEPT] }.function(func, args, 0)
}

struct Run<'m> {
    module: &'m Module,
    world: &'m mut dyn World,
    steps: u64,
    /// What the last service has left.
    left: [u64; 5],
    /// What the last [`Term::Leave`] has handed over.
    kept: [u64; KEPT],
}

/// A function that runs.
struct Running<'m> {
    f: &'m Function,
    func: Func,
    values: Vec<u64>,
    frame: u64,
    depth: usize,
    passes: u32,
}

impl Running<'_> {
    fn get(&self, v: Val) -> u64 {
        self.values[v.0 as usize]
    }

    fn at(&self, base: Val, off: i32) -> u64 {
        self.get(base).wrapping_add_signed(off.into())
    }

    fn compare(&self, cond: Cond, a: Val, b: Val) -> bool {
        holds(cond, self.f.ty(a), self.get(a), self.get(b))
    }
}

impl Run<'_> {
    fn function(&mut self, func: Func, args: [u64; 5], depth: usize) -> Result<u64, Stop> {
        if depth == FRAMES {
            return Err(Stop::Depth);
        }
        let f = &self.module.functions[func.0 as usize];
        let frame = self.world.enter(depth)?;
        for below in (8..=u64::from(f.zeroed)).step_by(8) {
            self.world.store(frame.wrapping_sub(below), Size::DW, 0)?;
        }
        let mut r = Running { f, func, values: vec![0; f.nodes.len()], frame, depth, passes: 0 };
        for (p, v) in f.blocks[0].params.iter().zip(args) {
            r.values[p.0 as usize] = v;
        }
        let mut at = Block(0);
        loop {
            let block = r.f.block(at);
            for v in &block.insts {
                self.step()?;
                r.values[v.0 as usize] = self.inst(&r, *v)?;
            }
            self.step()?;
            let edge = match &block.term {
                Term::Jump(edge) => edge,
                Term::Branch { cond, a, b, then, other } => {
                    if r.compare(*cond, *a, *b) {
                        then
                    } else {
                        other
                    }
                }
                Term::MayGoto { spent, other } => {
                    if r.passes == PASSES {
                        spent
                    } else {
                        r.passes += 1;
                        other
                    }
                }
                Term::Leave { to, kept } => {
                    for (n, v) in kept {
                        self.kept[usize::from(*n)] = r.get(*v);
                    }
                    (r.func, r.f) = (*to, &self.module.functions[to.0 as usize]);
                    r.values = vec![0; r.f.nodes.len()];
                    at = Block(0);
                    continue;
                }
                Term::Return(v) => return Ok(r.get(*v)),
                Term::Unreachable => return Err(Stop::Unreachable(r.func, at)),
            };
            at = follow(&mut r, edge);
        }
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.steps = self.steps.checked_sub(1).ok_or(Stop::Steps)?;
        Ok(())
    }

    fn inst(&mut self, r: &Running<'_>, v: Val) -> Result<u64, Stop> {
        let node = r.f.node(v);
        let get = |v: &Val| r.get(*v);
        Ok(match &node.op {
            Op::Param => get(&v),
            Op::Const(c) => *c,
            Op::Bin(_, _, b) if node.proved && get(b) == 0 => return Err(Stop::Divisor(r.func, v)),
            Op::Bin(op, a, b) => bin(*op, node.ty, get(a), get(b)),
            Op::Trunc(a) => u64::from(get(a) as u32),
            Op::Zext(a) => get(a),
            Op::Sext(size, a) => sext(*size, node.ty, get(a)),
            Op::Swap(size, a) => swap(*size, get(a)),
            Op::Cmp(cond, a, b) => r.compare(*cond, *a, *b).into(),
            Op::Select(cond, a, b, x, y) => {
                if r.compare(*cond, *a, *b) {
                    get(x)
                } else {
                    get(y)
                }
            }
            Op::Frame => r.frame,
            Op::Cell(cell) => self.world.cell(*cell)?,
            Op::Arg(n) => self.left[usize::from(*n)],
            Op::Kept(n) => self.kept[usize::from(*n)],
            Op::Load { size, base, off, .. } | Op::LoadAcquire { size, base, off, .. } => {
                self.world.load(r.at(*base, *off), *size)?
            }
            Op::Store { size, base, off, value, .. } | Op::StoreRelease { size, base, off, value, .. } => {
                self.world.store(r.at(*base, *off), *size, get(value))?;
                0
            }
            Op::Atomic { op, size, base, off, value, expected, .. } => {
                self.atomic((*op, *size), r.at(*base, *off), get(value), get(expected))?
            }
            Op::Call { func, args, .. } => self.function(*func, args.map(|a| r.get(a)), r.depth + 1)?,
            Op::Service { service, args, .. } => {
                let args: Vec<u64> = args.iter().map(get).collect();
                self.world.service(*service, &args, &mut self.left)?
            }
            Op::TailCall { args } => self.world.tail_call(args.map(|a| r.get(a)))?,
        })
    }

    fn atomic(
        &mut self,
        (op, size): (AtomicOp, Size),
        addr: u64,
        value: u64,
        expected: u64,
    ) -> Result<u64, Stop> {
        let old = self.world.load(addr, size)?;
        let done = eval::atomic(op, size, old, value, expected);
        self.world.store(addr, size, done.new)?;
        Ok(done.returned.unwrap_or(0))
    }
}

/// Goes to a block: all of its parameters change at once.
fn follow(r: &mut Running<'_>, edge: &Edge) -> Block {
    let args: Vec<u64> = edge.args.iter().map(|a| r.get(*a)).collect();
    for (p, v) in r.f.block(edge.to).params.iter().zip(args) {
        r.values[p.0 as usize] = v;
    }
    edge.to
}

/// Bytes at addresses, frames below one another, and services that a function stands for.
pub struct Plain {
    /// Memory by where it begins; no two overlap.
    pub memory: BTreeMap<u64, Vec<u8>>,
    /// Where the first frame ends.
    pub top: u64,
    /// What frames hold when they are entered.
    pub dirt: u8,
    /// What services do.
    #[expect(clippy::type_complexity, reason = "one function")]
    pub services: fn(&mut Plain, Service, &[u64], &mut [u64; 5]) -> Result<u64, Stop>,
    /// For them to count with.
    pub count: u64,
    /// The virtual CPU, where there is one.
    pub vcpu: Option<u64>,
}

/// Bytes of a frame.
const FRAME: u64 = 512;

impl Plain {
    /// Frames that end at an address, and nothing else.
    pub fn new(top: u64) -> Self {
        let bytes = FRAME * FRAMES as u64;
        let memory = BTreeMap::from([(top - bytes, vec![0; bytes as usize])]);
        let services = |_: &mut Self, service: Service, _: &[u64], _: &mut [u64; 5]| {
            Err(Stop::Service(format!("there is no `{service}`")))
        };
        Self { memory, top, dirt: 0xa5, services, count: 0, vcpu: None }
    }

    fn bytes(&mut self, addr: u64, size: Size, write: bool) -> Result<&mut [u8], Stop> {
        let fault = Stop::Fault { addr, size, write };
        let Some((start, bytes)) = self.memory.range_mut(..=addr).next_back() else { return Err(fault) };
        let from = usize::try_from(addr - start).unwrap_or(usize::MAX);
        bytes.get_mut(from..).and_then(|b| b.get_mut(..size.bytes())).ok_or(fault)
    }
}

impl World for Plain {
    fn load(&mut self, addr: u64, size: Size) -> Result<u64, Stop> {
        let bytes = self.bytes(addr, size, false)?;
        let mut word = [0; 8];
        if cfg!(target_endian = "little") {
            word[..bytes.len()].copy_from_slice(bytes);
        } else {
            word[8 - bytes.len()..].copy_from_slice(bytes);
        }
        Ok(u64::from_ne_bytes(word))
    }

    fn store(&mut self, addr: u64, size: Size, value: u64) -> Result<(), Stop> {
        let word = value.to_ne_bytes();
        let n = size.bytes();
        let low = if cfg!(target_endian = "little") { &word[..n] } else { &word[8 - n..] };
        self.bytes(addr, size, true)?.copy_from_slice(low);
        Ok(())
    }

    fn enter(&mut self, depth: usize) -> Result<u64, Stop> {
        let end = self.top - FRAME * depth as u64;
        for below in (8..=FRAME).step_by(8) {
            self.store(end - below, Size::DW, u64::from_ne_bytes([self.dirt; 8]))?;
        }
        Ok(end)
    }

    fn cell(&mut self, cell: Cell) -> Result<u64, Stop> {
        match (cell, self.vcpu) {
            (Cell::Vcpu, Some(vcpu)) => Ok(vcpu),
            _ => Err(Stop::Service(format!("there is no {cell:?}"))),
        }
    }

    fn service(&mut self, service: Service, args: &[u64], left: &mut [u64; 5]) -> Result<u64, Stop> {
        (self.services)(self, service, args, left)
    }

    fn tail_call(&mut self, _: [u64; 3]) -> Result<u64, Stop> {
        Err(Stop::Left)
    }
}

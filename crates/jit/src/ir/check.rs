//! Whether a module is what the SSA form says: each value in one place, defined before it is used on every way,
//! operands of the right types, edges that fit their blocks.

use core::fmt;

use skep_isa::{AtomicOp, Size};

use super::dom::Dominators;
use super::{Block, Edge, FrameUse, Func, Function, KEPT, Module, Op, Service, Term, Ty, Val};

/// What is wrong with a module, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which function.
    pub func: Func,
    /// Which block, if it is one.
    pub block: Option<Block>,
    /// Which value, if it is one.
    pub val: Option<Val>,
    /// In words.
    pub what: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function {}", self.func.0)?;
        if let Some(b) = self.block {
            write!(f, ", {b}")?;
        }
        if let Some(v) = self.val {
            write!(f, ", {v}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl core::error::Error for Invalid {}

impl Module {
    /// Checks all functions.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Invalid> {
        for (i, f) in self.functions.iter().enumerate() {
            Checker::new(f, Func(i as u32), &self.functions)?.run()?;
        }
        Ok(())
    }

    /// In debug builds panics with the module's text if it is not valid: to be called behind each pass, by its name.
    pub fn debug_check(&self, pass: &str) {
        if cfg!(debug_assertions)
            && let Err(e) = self.check()
        {
            panic!("after {pass}: {e}\n{self}");
        }
    }
}

/// Shows the operands of something.
type Operands<'a> = dyn Fn(&mut dyn FnMut(Val)) + 'a;

struct Checker<'f> {
    f: &'f Function,
    func: Func,
    functions: &'f [Function],
    dominators: Dominators,
    /// By value, its block and its place in it; parameters are in place 0.
    place: Vec<Option<(Block, u32)>>,
}

type Result<T, E = Invalid> = core::result::Result<T, E>;

impl<'f> Checker<'f> {
    fn new(f: &'f Function, func: Func, functions: &'f [Function]) -> Result<Self> {
        let wrong = |what: &str| Err(Invalid { func, block: None, val: None, what: what.to_string() });
        let Some(entry) = f.blocks.first() else { return wrong("has no blocks") };
        if entry.params.len() != 5 {
            return wrong("the entry has five parameters, r1 to r5");
        }
        if f.zeroed > 512 || !f.zeroed.is_multiple_of(8) {
            return wrong("`zeroed` is a multiple of 8 up to 512");
        }
        let blocks = f.blocks.len();
        for (b, block) in f.blocks() {
            for edge in block.term.edges() {
                let to = edge.to.0 as usize;
                let what = match to {
                    0 => "an edge leads to the entry".to_string(),
                    _ if to >= blocks => format!("an edge leads to {}, which there is not", edge.to),
                    _ => continue,
                };
                return Err(Invalid { func, block: Some(b), val: None, what });
            }
        }
        let place = vec![None; f.nodes.len()];
        Ok(Self { f, func, functions, dominators: Dominators::of(f), place })
    }

    fn wrong<T>(&self, block: Block, val: Option<Val>, what: impl Into<String>) -> Result<T> {
        Err(Invalid { func: self.func, block: Some(block), val, what: what.into() })
    }

    fn run(mut self) -> Result<()> {
        for (b, block) in self.f.blocks() {
            for (i, v) in block.params.iter().chain(&block.insts).enumerate() {
                let is_param = i < block.params.len();
                let Some(at) = self.place.get_mut(v.0 as usize) else {
                    return self.wrong(b, Some(*v), "there is no such value");
                };
                let before = at.replace((b, if is_param { 0 } else { 1 + i as u32 }));
                if let Some((other, _)) = before {
                    return self.wrong(b, Some(*v), format!("is in {other}, too"));
                }
                if (self.f.node(*v).op == Op::Param) != is_param {
                    return self.wrong(
                        b,
                        Some(*v),
                        "parameters, and nothing else, stand in a block's list of parameters",
                    );
                }
            }
        }
        for (b, block) in self.f.blocks() {
            for v in &block.params {
                if self.f.ty(*v) == Ty::None || b.0 == 0 && self.f.ty(*v) != Ty::I64 {
                    return self.wrong(b, Some(*v), format!("a parameter of type {}", self.f.ty(*v)));
                }
            }
            let first = 1 + block.params.len() as u32;
            for (i, v) in block.insts.iter().enumerate() {
                self.uses(b, first + i as u32, Some(*v), &|f| self.f.node(*v).op.operands(f))?;
                if let Err(what) = self.types(*v) {
                    return self.wrong(b, Some(*v), what);
                }
            }
            self.uses(b, u32::MAX, None, &|f| block.term.operands(f))?;
            self.term(b, &block.term)?;
        }
        Ok(())
    }

    /// Checks that what an instruction or end uses is defined before.
    fn uses(&self, block: Block, place: u32, val: Option<Val>, operands: &Operands<'_>) -> Result<()> {
        let mut result = Ok(());
        operands(&mut |v| {
            if result.is_err() {
                return;
            }
            let Some(defined) = self.place.get(v.0 as usize).copied().flatten() else {
                result = self.wrong(block, val, format!("uses {v}, which is in no block"));
                return;
            };
            let before = if defined.0 == block {
                defined.1 < place
            } else {
                self.dominators.dominates(defined.0, block)
            };
            if !before {
                result = self.wrong(
                    block,
                    val,
                    format!("uses {v} of {}, which may not be defined yet", defined.0),
                );
            } else if self.f.ty(v) == Ty::None {
                result = self.wrong(block, val, format!("uses {v}, which gives nothing"));
            }
        });
        result
    }

    fn types(&self, v: Val) -> Result<(), String> {
        let node = self.f.node(v);
        let ty = |v: &Val| self.f.ty(*v);
        let is = |v: &Val, want: Ty| {
            if ty(v) == want { Ok(()) } else { Err(format!("{v} is {}, not {want}", ty(v))) }
        };
        let all = |vs: &[Val], want: Ty| vs.iter().try_for_each(|v| is(v, want));
        let gives = |want: Ty| {
            if node.ty == want { Ok(()) } else { Err(format!("gives {want}, not {}", node.ty)) }
        };
        let number = || if node.ty == Ty::None { Err("gives a number".to_string()) } else { Ok(()) };
        // Whether a value of a type has so many bytes.
        let has = |t: Ty, s: Size| t == Ty::I64 || t == Ty::I32 && s <= Size::W;
        let holds = |t: Ty, s: Size| {
            if has(t, s) { Ok(()) } else { Err(format!("{} bytes are too many for {t}", s.bytes())) }
        };
        match &node.op {
            Op::Param => Ok(()),
            Op::Const(c) => {
                number()?;
                if node.ty == Ty::I32 && *c > u32::MAX.into() {
                    return Err("a constant of 32 bits has zeros above".into());
                }
                Ok(())
            }
            Op::Bin(_, a, b) => {
                number()?;
                all(&[*a, *b], node.ty)
            }
            Op::Trunc(a) => {
                gives(Ty::I32)?;
                is(a, Ty::I64)
            }
            Op::Zext(a) => {
                gives(Ty::I64)?;
                is(a, Ty::I32)
            }
            Op::Sext(size, a) => {
                number()?;
                if node.ty == Ty::I32 {
                    is(a, Ty::I32)?;
                }
                holds(ty(a), *size)
            }
            Op::Swap(size, a) => {
                number()?;
                is(a, node.ty)?;
                holds(node.ty, *size)
            }
            Op::Cmp(_, a, b) => {
                number()?;
                is(b, ty(a))
            }
            Op::Select(_, a, b, x, y) => {
                number()?;
                is(b, ty(a))?;
                all(&[*x, *y], node.ty)
            }
            Op::Frame | Op::Cell(_) | Op::Arg(_) => gives(Ty::I64),
            Op::Kept(n) => match usize::from(*n) < KEPT && self.f.piece {
                true => gives(Ty::I64),
                false => Err(format!("a piece is handed {KEPT} numbers, other functions none")),
            },
            Op::Load { size, base, .. } | Op::LoadAcquire { size, base, .. } => {
                number()?;
                is(base, Ty::I64)?;
                holds(node.ty, *size)
            }
            Op::Store { size, base, value, .. } | Op::StoreRelease { size, base, value, .. } => {
                gives(Ty::None)?;
                is(base, Ty::I64)?;
                holds(ty(value), *size)
            }
            Op::Atomic { op, size, base, value, expected, .. } => {
                let want = match size {
                    Size::W => Ty::I32,
                    Size::DW => Ty::I64,
                    Size::B | Size::H => return Err("atomic operations have 4 or 8 bytes".into()),
                };
                is(base, Ty::I64)?;
                all(&[*value, *expected], want)?;
                if *op != AtomicOp::Cmpxchg && value != expected {
                    return Err("only cmpxchg compares with something".into());
                }
                gives(if op.fetches() { want } else { Ty::None })
            }
            Op::Call { func, args, frame } => {
                if self.functions.get(func.0 as usize).is_none_or(|f| f.piece) {
                    return Err(format!("there is no function {} to call", func.0));
                }
                gives(Ty::I64)?;
                frame_use(frame)?;
                all(&args[..], Ty::I64)
            }
            Op::Service { service, args, frame } => {
                gives(Ty::I64)?;
                frame_use(frame)?;
                if !operands(*service).contains(&args.len()) {
                    return Err(format!("{service} does not take {} operands", args.len()));
                }
                all(args, Ty::I64)
            }
            Op::TailCall { args } => {
                gives(Ty::I64)?;
                all(&args[..], Ty::I64)
            }
        }
    }

    fn term(&self, b: Block, term: &Term) -> Result<()> {
        match term {
            Term::Branch { a, b: with, .. } if self.f.ty(*a) != self.f.ty(*with) => {
                return self.wrong(b, None, format!("compares {a} and {with} of different types"));
            }
            Term::Return(v) if self.f.ty(*v) != Ty::I64 => {
                return self.wrong(b, None, format!("returns {v}, which is {}", self.f.ty(*v)));
            }
            Term::Leave { to, .. } if !self.functions.get(to.0 as usize).is_some_and(|f| f.piece) => {
                return self.wrong(b, None, format!("leaves for function {}, which is no piece", to.0));
            }
            Term::Leave { kept, .. } => {
                let wide = |v: Val| self.f.ty(v) == Ty::I64;
                if !kept.iter().all(|(n, v)| usize::from(*n) < KEPT && wide(*v)) {
                    return self.wrong(b, None, format!("hands over what is not an i64 below {KEPT}"));
                }
            }
            Term::Jump(_)
            | Term::Branch { .. }
            | Term::MayGoto { .. }
            | Term::Return(_)
            | Term::Unreachable => {}
        }
        term.edges().try_for_each(|e| self.edge(b, e))
    }

    fn edge(&self, b: Block, Edge { to, args }: &Edge) -> Result<()> {
        let params = &self.f.block(*to).params;
        if params.len() != args.len() {
            let (have, want) = (args.len(), params.len());
            return self.wrong(b, None, format!("gives {to} {have} values for {want} parameters"));
        }
        for (p, a) in params.iter().zip(args) {
            if self.f.ty(*p) != self.f.ty(*a) {
                return self.wrong(
                    b,
                    None,
                    format!("gives {to} {a}, {}, for {p}, {}", self.f.ty(*a), self.f.ty(*p)),
                );
            }
        }
        Ok(())
    }
}

/// How many operands a service takes.
fn operands(service: Service) -> core::ops::RangeInclusive<usize> {
    match service {
        Service::Helper { .. } | Service::Stack { .. } => 0..=5,
        Service::Lookup => 2..=2,
        Service::CallBackBegin { .. } => 5..=5,
        Service::Find { .. }
        | Service::CallBackNext
        | Service::PacketLoad { .. }
        | Service::LoadElsewhere { .. }
        | Service::Check { .. }
        | Service::Throw => 1..=1,
        Service::StoreElsewhere { .. } => 2..=2,
        Service::Arena { .. } => 3..=3,
        Service::Tick | Service::Quick { .. } => 0..=0,
    }
}

/// The lowest byte of a frame and of those that functions in line have below it.
const LOWEST: i16 = -(skep_vm::FRAME_BYTES as i16 * skep_vm::CALL_FRAMES as i16);

fn frame_use(frame: &FrameUse) -> Result<(), String> {
    let FrameUse::Bytes(ranges) = frame else { return Ok(()) };
    match ranges.iter().find(|r| !(LOWEST <= r.from && r.from < r.to && r.to <= 0)) {
        Some(r) => Err(format!("there are no bytes {}..{} of a frame", r.from, r.to)),
        None => Ok(()),
    }
}

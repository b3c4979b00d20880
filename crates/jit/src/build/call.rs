//! Calls: of helpers and functions of the kernel, of the program's own functions, of helpers that call these back, tail
//! calls; and the legacy packet loads, which may return from the function.

use skep_isa::{CallTarget, Reg, Size};
use skep_vm::native::{Called, Quick, quick};

use super::{Builder, Unsupported, cfg};
use crate::ir::{Block, Cond, Edge, FrameBytes, FrameUse, Func, Op, Service, Term, Ty, Val};

impl Builder<'_> {
    /// Translates a call. `true` when it ends the block.
    pub(super) fn call(&mut self, target: CallTarget) -> Result<bool, Unsupported> {
        let Some(called) = self.p.binding.called(self.pc) else {
            return self.unsupported("calls what has no body here");
        };
        let count = cfg::arguments(self.p.binding, self.pc, target);
        let args = |b: &mut Self| (1..=count as u8).map(|n| b.wide(Reg(n))).collect::<Vec<_>>();
        let r0 = match called {
            Called::Helper(index) => match quick(index) {
                Some(Quick { function, kept }) => {
                    let function = (function as *const ()).expose_provenance() as u64;
                    let kept = kept.map_or(0, |at| at as u16);
                    self.ask(Service::Quick { function, kept }, &[])
                }
                None => {
                    let args = args(self);
                    self.service(Service::Helper { index }, args)
                }
            },
            Called::Lookup => {
                let mut args = args(self);
                if let Some(map) = self.facts().map {
                    args[0] = self.constant(self.p.binding.map_content(map.into()));
                }
                self.service(Service::Lookup, args)
            }
            Called::Stack(buffer) => {
                let args = args(self);
                self.service(Service::Stack { buffer }, args)
            }
            Called::TailCall => {
                let mut args = Box::new([1, 2, 3].map(|n| self.wide(Reg(n))));
                if let Some(map) = self.facts().map {
                    args[1] = self.constant(self.p.binding.map_content(map.into()));
                }
                self.emit(Op::TailCall { args }, Ty::I64)
            }
            Called::Throw => {
                let args = args(self);
                self.service(Service::Throw, args);
                self.end(Term::Unreachable);
                return Ok(true);
            }
            Called::Function(slot) => {
                let Some(&func) = self.p.funcs.get(&(slot as usize)) else {
                    return self.unsupported("calls a function that is not reached");
                };
                let reads = self.p.reads(func);
                let args = [1, 2, 3, 4, 5].map(|n| match reads >> n & 1 {
                    0 => self.constant(0),
                    _ => self.wide(Reg(n)),
                });
                let frame = self.frame_use();
                self.emit(Op::Call { func, args: Box::new(args), frame }, Ty::I64)
            }
            Called::CallBack(kind) => self.call_back(kind, count)?,
        };
        self.regs.lose_arguments();
        self.regs.set(Reg::R0, r0);
        Ok(false)
    }

    /// Asks the runtime for what may touch the frame as the call at hand does.
    pub(super) fn service(&mut self, service: Service, args: Vec<Val>) -> Val {
        let frame = self.frame_use();
        self.emit(Op::Service { service, args: args.into(), frame }, Ty::I64)
    }

    /// What the instruction at hand may touch of the function's frame other than by `r10`.
    pub(super) fn frame_use(&self) -> FrameUse {
        let touched = self.p.binding.verified().touches(self.pc).or(self.part.escaped);
        FrameUse::Bytes(touched.ranges().map(|(from, to)| FrameBytes { from, to }).collect())
    }

    /// Ends the block at hand: to the first block if the value is not 0, else to the second.
    fn if_not_zero(&mut self, v: Val, then: Block, other: Block) {
        let zero = self.constant(0);
        let [then, other] = [then, other].map(|to| Edge { to, args: Vec::new() });
        self.end(Term::Branch { cond: Cond::Ne, a: v, b: zero, then, other });
    }

    /// A helper that calls a function of the program back:
    ///
    /// ```text
    ///   begin ─┬─ 1 → again: function(args), next ─┬─ 1 → again
    ///          └─ 0 → done ←───────────────────────┘ 0
    /// ```
    fn call_back(&mut self, kind: u8, count: usize) -> Result<Val, Unsupported> {
        let r = [1, 2, 3, 4, 5].map(|n| if n > count { self.constant(0) } else { self.wide(Reg(n as u8)) });
        let function = if kind == Called::TREE_ADD { r[2] } else { r[1] };
        let functions = self.functions(function)?;
        let begin = self.service(Service::CallBackBegin { kind }, r.into());
        let (again, done) = (self.block(), self.block());
        self.if_not_zero(begin, again, done);
        self.at = again;
        let reads = functions.iter().fold(0, |reads, (_, func)| reads | self.p.reads(*func));
        let args = [1, 2, 3, 4, 5].map(|n| match reads >> n & 1 {
            0 => self.constant(0),
            _ => self.emit(Op::Arg(n - 1), Ty::I64),
        });
        let returned = match functions[..] {
            [(_, func)] => self.call_function(func, args),
            _ => self.call_one_of(function, &functions, args),
        };
        let next = self.service(Service::CallBackNext, vec![returned]);
        self.if_not_zero(next, again, done);
        self.at = done;
        Ok(self.emit(Op::Arg(0), Ty::I64))
    }

    fn call_function(&mut self, func: Func, args: [Val; 5]) -> Val {
        let frame = self.frame_use();
        self.emit(Op::Call { func, args: Box::new(args), frame }, Ty::I64)
    }

    /// Calls the function that a value stands for, which is one of these.
    fn call_one_of(&mut self, function: Val, functions: &[(u64, Func)], args: [Val; 5]) -> Val {
        let join = self.block();
        let result = self.param(join, Ty::I64);
        for (i, &(content, func)) in functions.iter().enumerate() {
            let mut other = None;
            if i + 1 < functions.len() {
                let content = self.constant(content);
                let (then, next) = (self.block(), self.block());
                let [then_edge, next_edge] = [then, next].map(|to| Edge { to, args: Vec::new() });
                let term = Term::Branch {
                    cond: Cond::Eq,
                    a: function,
                    b: content,
                    then: then_edge,
                    other: next_edge,
                };
                self.end(term);
                self.at = then;
                other = Some(next);
            }
            let v = self.call_function(func, args);
            self.end(Term::Jump(Edge { to: join, args: vec![v] }));
            if let Some(next) = other {
                self.at = next;
            }
        }
        self.at = join;
        result
    }

    /// The functions that a value may stand for, with what stands for each: one if it is known, else all whose addresses the
    /// program loads.
    fn functions(&self, v: Val) -> Result<Vec<(u64, Func)>, Unsupported> {
        let (content, slot) = (self.f.constant(v), self.facts().callback);
        let candidates = self.p.named.iter().filter(|(c, s)| match (slot, content) {
            (Some(slot), _) => slot == *s,
            (None, Some(content)) => content == *c,
            (None, None) => true,
        });
        let all: Vec<(u64, Func)> =
            candidates.filter_map(|(content, slot)| Some((*content, *self.p.funcs.get(slot)?))).collect();
        if all.is_empty() { self.unsupported("calls back a function that is not known") } else { Ok(all) }
    }

    /// A legacy packet load into `r0`, which returns 0 from the function where the packet ends before.
    pub(super) fn packet_load(&mut self, size: Size, off: Val) {
        let found = self.ask(Service::PacketLoad { size }, &[off]);
        let (ok, fail) = (self.block(), self.block());
        self.if_not_zero(found, ok, fail);
        self.at = fail;
        let zero = self.constant(0);
        self.end(Term::Return(zero));
        self.at = ok;
        let v = self.emit(Op::Arg(0), Ty::I64);
        self.regs.lose_arguments();
        self.regs.set(Reg::R0, v);
    }
}

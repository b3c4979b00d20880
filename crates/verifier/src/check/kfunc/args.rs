//! Arguments of functions of the kernel (`check_kfunc_args`). Each kind has one arm in [`Args::arg`].

use alloc::format;

use skep_abi::{AttachType, KfuncEffect, KfuncFlags, MemAccess, ProgramType};
use skep_isa::{Reg, RegSet};

use super::object;
use crate::Code;
use crate::check::dynptr::Given;
use crate::check::given::Used;
use crate::check::memory::unmodified;
use crate::check::sized::Pair;
use crate::check::{Facts, allocated, irq, iter, lock, reference, strings};
use crate::contract::{HelperFacts, arg_reg};
use crate::kernel::{self, KfuncArg, KfuncParam, KfuncProto, Number, SizeBy};
use crate::program::Program;
use crate::state::{self, Kind, LockKind, Marks, State, type_name};
use crate::transfer::jump;
use crate::violation::{Check, Explain, refuse, unsupported};

/// The arguments of a call, and what was found out about them.
pub(super) struct Args<'a, 'p> {
    pub(super) p: &'a Program<'p>,
    pub(super) s: &'a State,
    pub(super) proto: &'a KfuncProto,
    /// The call.
    pc: usize,
    /// The number of the function.
    id: u32,
    pub(super) found: (Facts, HelperFacts),
    /// The reference among them.
    pub(super) ref_id: u32,
    /// The number that had to be known.
    pub(super) constant: Option<u64>,
    /// The dynptr among them that was used last.
    pub(super) dynptr: Option<Given>,
    /// The bytes of the memory that is returned, and whether they may be written.
    pub(super) memory: Option<(u64, bool)>,
}

impl<'a, 'p> Args<'a, 'p> {
    pub(super) fn new(p: &'a Program<'p>, s: &'a State, proto: &'a KfuncProto, pc: usize, id: u32) -> Self {
        let found = (Facts::default(), HelperFacts::default());
        Self { p, s, proto, pc, id, found, ref_id: 0, constant: None, dynptr: None, memory: None }
    }

    /// Checks all of them.
    pub(super) fn all(&mut self) -> Check<()> {
        let name = self.proto.row.name;
        let n = self.proto.params.len();
        if n > 5 {
            return refuse(Code::BadArgument, format!("Function {name} has {n} > 5 args"));
        }
        let mut i = 0;
        while let Some(&param) = self.proto.params.get(i) {
            i += self.arg(i, param)?;
        }
        if self.releases() && self.found.1.releases.is_none() {
            let words = format!("release kernel function {name} expects refcounted PTR_TO_BTF_ID");
            return refuse(Code::Reference, words).explain(
                "what a function that acquires returned",
                "no argument is a reference",
                "release only what was acquired, and once",
            );
        }
        Ok(())
    }

    pub(super) fn flag(&self, flag: KfuncFlags) -> bool {
        self.proto.row.flags.has(flag)
    }

    pub(super) fn releases(&self) -> bool {
        self.flag(KfuncFlags::RELEASE)
    }

    /// Objects must be trusted (`is_kfunc_trusted_args`); what is released is.
    pub(super) fn trusted(&self) -> bool {
        self.flag(KfuncFlags::TRUSTED_ARGS) || self.releases()
    }

    pub(super) fn precise(&mut self, reg: Reg) {
        self.found.0.precise = self.found.0.precise.with(reg);
    }

    /// One argument; gives how many registers it takes.
    fn arg(&mut self, i: usize, param: KfuncParam) -> Check<usize> {
        let (reg, value) = (arg_reg(i), self.s.reg(arg_reg(i)));
        match param.arg {
            KfuncArg::Ignored | KfuncArg::Program => return Ok(1),
            KfuncArg::Number(number) => {
                self.number(reg, number)?;
                return Ok(1);
            }
            KfuncArg::Unknown(kind) => {
                return refuse(Code::BadArgument, format!("Unrecognized arg#{i} type {kind}"));
            }
            _ => {}
        }
        let null = value.is_null() || value.nullable;
        if null && (self.trusted() || self.flag(KfuncFlags::RCU)) && !param.nullable {
            let words = format!("Possibly NULL pointer passed to trusted arg{i}");
            return refuse(Code::NullPointer, words).explain(
                "a pointer that is not NULL",
                format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), value)),
                format!("compare r{} with 0 first", reg.0),
            );
        }
        if self.releases() {
            self.ref_id = reference::given(self.s, reg, self.ref_id)?;
            if value.ref_id != 0 {
                self.found.1.releases = Some(value.ref_id);
                reference::unmoved(self.s, reg)?;
            }
        } else if value.ref_id != 0 {
            self.ref_id = value.ref_id;
        }
        match param.arg {
            KfuncArg::Ignored | KfuncArg::Program | KfuncArg::Number(_) | KfuncArg::Unknown(_) => {}
            KfuncArg::Ctx => self.context(i, reg)?,
            // Another number would be an address that nobody has looked at.
            _ if param.nullable && value.is_null() && !has_size(param.arg) => self.precise(reg),
            KfuncArg::ConstStr => {
                strings::constant(self.p, self.s, reg)?;
            }
            KfuncArg::Map => object::map(self, i, reg)?,
            KfuncArg::Pointer { to, sized } => {
                if object::is_object(value) {
                    object::arg(self, i, reg, to)?;
                } else if let Some(by) = sized.filter(|_| self.s.reg(arg_reg(i + 1)).is_scalar()) {
                    self.sized(i, param, by, to)?;
                    return Ok(2);
                } else {
                    self.memory(i, reg, to)?;
                }
            }
            KfuncArg::Iterator => self.iterator(reg)?,
            KfuncArg::IrqFlag => self.interrupts(reg)?,
            KfuncArg::ResLock => self.lock(i, reg)?,
            KfuncArg::Dynptr { uninit: false } => self.used_dynptr(i, reg)?,
            KfuncArg::Dynptr { uninit: true } => self.made_dynptr(reg)?,
            KfuncArg::Allocated
            | KfuncArg::Refcounted
            | KfuncArg::ListHead
            | KfuncArg::ListNode
            | KfuncArg::TreeRoot
            | KfuncArg::TreeNode
            | KfuncArg::WorkQueue
            | KfuncArg::TaskWork
            | KfuncArg::Callback => return self.not_yet(i, what(param.arg)),
        }
        Ok(1)
    }

    fn not_yet<T>(&self, i: usize, what: &str) -> Check<T> {
        unsupported(format!("argument {} of kernel function {}: {what}", i + 1, self.proto.row.name))
    }

    fn number(&mut self, reg: Reg, number: Number) -> Check<()> {
        let value = self.s.reg(reg);
        if !value.is_scalar() {
            return refuse(Code::BadArgument, format!("R{} is not a scalar", reg.0)).explain(
                "a number",
                format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), value)),
                "pass what the function's prototype asks for",
            );
        }
        let (words, known) = match (number, value.as_const()) {
            (Number::Any, _) => return Ok(()),
            (_, Some(known)) => ("", known),
            (Number::Constant, None) => ("must be a known constant", 0),
            (Number::ReadOnlySize | Number::WritableSize, None) => ("is not a const", 0),
        };
        if !words.is_empty() {
            return refuse(Code::BadArgument, format!("R{} {words}", reg.0)).explain(
                "a number known when the program is verified",
                format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), value)),
                "pass a constant",
            );
        }
        match number {
            Number::Any => {}
            Number::Constant => self.constant = Some(known),
            Number::ReadOnlySize => self.memory = Some((known, false)),
            Number::WritableSize => self.memory = Some((known, true)),
        }
        self.precise(reg);
        Ok(())
    }

    fn context(&self, i: usize, reg: Reg) -> Check<()> {
        let value = self.s.reg(reg);
        if value.kind == Kind::Ctx {
            return unmodified(self.s, reg);
        }
        let words = format!("arg#{i} expected pointer to ctx, but got {}", type_name(value));
        refuse(Code::BadArgument, words).explain(
            "the program's context",
            format!("r{} is a {}", reg.0, type_name(value)),
            "keep the context in r6 and pass it",
        )
    }

    /// Memory of a number or a structure of numbers, to be read and written.
    fn memory(&mut self, i: usize, reg: Reg, to: skep_btf::TypeId) -> Check<()> {
        let types = kernel::of(self.p)?;
        let Some(size) = types.plain_size(to) else { return self.no_memory(i, to, "") };
        // Linux 6.18 takes NULL for it, and functions then write there.
        object::may_have_moved(self.s, reg)?;
        for access in [MemAccess::Read, MemAccess::Write] {
            let used = Used { reg, size: size.into(), access, zero_ok: true, exact: false };
            used.check(self.p, self.s, &mut self.found.0, &mut self.found.1)?;
        }
        Ok(())
    }

    /// Memory whose size is the next argument.
    fn sized(&mut self, i: usize, param: KfuncParam, by: SizeBy, to: skep_btf::TypeId) -> Check<()> {
        let types = kernel::of(self.p)?;
        if types.plain_size(to).is_none() && !types.is_void(to) {
            return self.no_memory(i, to, "void, ");
        }
        let (reg, size) = (arg_reg(i), arg_reg(i + 1));
        object::may_have_moved(self.s, reg)?;
        if self.s.reg(reg).is_null() && param.optional {
            self.precise(reg);
        } else {
            let pair = Pair { memory: reg, size, zero_ok: true };
            let uses = [MemAccess::Read, MemAccess::Write];
            // If it is NULL, the function finds out.
            let mut there = self.s.clone();
            if there.reg(reg).nullable {
                jump::not_null(self.p, there.reg_mut(reg));
            }
            pair.check(self.p, &there, &uses, &mut self.found.0, &mut self.found.1)?;
        }
        match by {
            SizeBy::Number => Ok(()),
            SizeBy::Constant => self.number(size, Number::Constant),
        }
    }

    /// An iterator, which is begun, advanced or ended.
    fn iterator(&mut self, reg: Reg) -> Check<()> {
        let row = self.proto.row;
        if row.name == "bpf_iter_css_task_new" && !self.walks_tasks_of_groups() {
            let words = "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs";
            return refuse(Code::UnknownHelper, words);
        }
        let Some(function) = kernel::of(self.p)?.iter_function(self.id) else {
            return unsupported(format!("kernel function {}: an iterator of another's", row.name));
        };
        let marks = match (self.flag(KfuncFlags::RCU_PROTECTED), self.p.in_rcu(self.s)) {
            (true, true) => Marks::RCU,
            (true, false) => Marks::UNTRUSTED,
            (false, _) => Marks::NONE,
        };
        let call = iter::argument(self.p, self.s, reg, &function, marks)?;
        let off = -8 * (call.first as i32 + 1);
        self.found.0.touched.push((call.frame, off));
        self.found.0.stack_reads.push((call.frame, off, 8 * function.slots));
        self.found.0.iter = Some(call);
        Ok(())
    }

    /// `check_css_task_iter_allowlist`
    fn walks_tasks_of_groups(&self) -> bool {
        let iterates = self.p.spec.prog_type == ProgramType::TRACING
            && self.p.spec.attach_type == AttachType::TRACE_ITER;
        iterates || self.p.spec.prog_type == ProgramType::LSM || self.p.may_sleep(self.s)
    }

    /// Where it is kept whether interrupts come.
    fn interrupts(&mut self, reg: Reg) -> Check<()> {
        let effect = self.proto.row.effect;
        let begins = matches!(effect, KfuncEffect::Enters(_) | KfuncEffect::TakesLock);
        let by_lock = matches!(effect, KfuncEffect::TakesLock | KfuncEffect::GivesLock);
        let call = irq::argument(self.s, reg, begins, by_lock)?;
        self.found.0.touched.push((call.frame, call.off()));
        self.found.0.stack_reads.push((call.frame, call.off(), 8));
        self.found.0.irq = Some(call);
        Ok(())
    }

    /// A lock that is taken, or given back.
    fn lock(&mut self, i: usize, reg: Reg) -> Check<()> {
        let value = self.s.reg(reg);
        let fits = matches!(value.kind, Kind::MapValue(_) | Kind::Local { marks: Marks::ALLOC, .. });
        if !fits || value.nullable {
            let words = format!("arg#{i} doesn't point to map value or allocated object");
            return refuse(Code::BadArgument, words).explain(
                "the address of a struct bpf_res_spin_lock in a map value or an object of the program",
                format!("r{} is {}", reg.0, state::register(self.p, self.s.depth(), value)),
                "compare the pointer with NULL first, and pass the lock's own address",
            );
        }
        let kind = match self.proto.params.iter().any(|p| p.arg == KfuncArg::IrqFlag) {
            true => LockKind::NoInterrupts,
            false => LockKind::Noticing,
        };
        // Linux 6.18 forgets this of the locks that notice deadlocks.
        if allocated::is_sorting(self.p, self.s) {
            return refuse(Code::Lock, "can't spin_{lock,unlock} in rbtree cb");
        }
        let takes = self.proto.row.effect == KfuncEffect::TakesLock;
        self.found.1.lock = Some(lock::change(self.p, self.s, self.pc, reg, kind, takes)?);
        Ok(())
    }

    fn no_memory<T>(&self, i: usize, to: skep_btf::TypeId, or: &str) -> Check<T> {
        let types = kernel::of(self.p)?;
        let (kind, name) = types.kind_and_name(to);
        let words =
            format!("arg#{i} pointer type {kind} {name} must point to {or}scalar, or struct with scalar");
        let value = self.s.reg(arg_reg(i));
        refuse(Code::BadArgument, words).explain(
            format!("argument {} of {}: a pointer to {name}", i + 1, self.proto.row.name),
            format!("r{} is {}", i + 1, state::register(self.p, self.s.depth(), value)),
            "pass what the function's prototype asks for",
        )
    }
}

fn has_size(arg: KfuncArg) -> bool {
    matches!(arg, KfuncArg::Pointer { sized: Some(_), .. })
}

/// What the verifier lacks for an argument of a kind.
fn what(arg: KfuncArg) -> &'static str {
    match arg {
        KfuncArg::Allocated => "an object that the program made",
        KfuncArg::Refcounted => "an object with a count of references",
        KfuncArg::ListHead => "a list",
        KfuncArg::ListNode => "a node of a list",
        KfuncArg::TreeRoot => "a tree",
        KfuncArg::TreeNode => "a node of a tree",
        KfuncArg::WorkQueue => "a struct bpf_wq",
        KfuncArg::TaskWork => "a struct bpf_task_work",
        KfuncArg::Callback => "a function that is called back",
        KfuncArg::Ignored
        | KfuncArg::Program
        | KfuncArg::Number(_)
        | KfuncArg::Ctx
        | KfuncArg::Iterator
        | KfuncArg::IrqFlag
        | KfuncArg::ResLock
        | KfuncArg::Dynptr { .. }
        | KfuncArg::ConstStr
        | KfuncArg::Map
        | KfuncArg::Pointer { .. }
        | KfuncArg::Unknown(_) => "",
    }
}

/// The registers that a function takes; all five of one that is not known.
pub(crate) fn registers(proto: Option<&KfuncProto>) -> RegSet {
    let n = proto.map_or(5, |k| k.params.len().min(5));
    (0..n).map(arg_reg).collect()
}

//! Objects that programs allocate, lists and trees of them, and work that is done later: the functions of the kernel
//! for them (`check_kfunc_args`, `check_special_kfunc` in kernel/bpf/verifier.c, Linux 6.18).
//!
//! Idea: who has an object owns it (a reference), until it is dropped or put into a list, a tree or a map. Then it is
//! another's, and may be looked at only as long as the lock beside the list is held.

use alloc::format;

use skep_abi::ObjectFn;
use skep_btf::{Btf, Kind as BtfKind, Type, TypeId};
use skep_isa::{CallTarget, Op, Reg};
use skep_spec::{Field, FieldKind};

use super::memory::unmodified;
use super::{Facts, call, lock, timer};
use crate::Code;
use crate::contract::{Callback, CallbackArgs, HelperFacts, Later, Returned};
use crate::kernel;
use crate::program::Program;
use crate::state::{self, Kind, Marks, State};
use crate::violation::{Check, Explain, refuse, unsupported};

/// Largest object that each CPU has one of, bytes (`BPF_GLOBAL_PERCPU_MA_MAX_SIZE`).
const PER_CPU_MOST: u32 = 512;
/// Structs in structs of objects that each CPU has (`__btf_type_is_scalar_struct`).
const PER_CPU_DEPTH: u32 = 3;

/// The function that is called, if it is one of these.
pub(crate) fn function(p: &Program<'_>, op: Op) -> Option<(&'static str, ObjectFn)> {
    let Op::Call(CallTarget::Kfunc { btf_id, btf_idx: 0 }) = op else { return None };
    skep_abi::object_fn(p.kernel.as_ref()?.function(btf_id as u32)?)
}

/// Whether what runs was called to sort a tree, or by what was (`in_rbtree_lock_required_cb`).
pub(super) fn is_sorting(p: &Program<'_>, s: &State) -> bool {
    let sorts = |f: &state::Frame| {
        f.callback && matches!(function(p, p.op(f.callsite)), Some((_, ObjectFn::TreeAdd)))
    };
    s.frames.iter().any(|f| sorts(f))
}

struct Call<'a, 'p> {
    p: &'a Program<'p>,
    s: &'a State,
    name: &'static str,
    out: HelperFacts,
    facts: Facts,
}

/// A call.
pub(super) fn call(p: &Program<'_>, s: &State, name: &'static str, what: ObjectFn) -> Check<Facts> {
    let mut c = Call { p, s, name, out: HelperFacts::default(), facts: Facts::default() };
    match what {
        ObjectFn::New | ObjectFn::NewPerCpu => c.new_object(what)?,
        ObjectFn::Drop | ObjectFn::DropPerCpu => c.drop_object(what)?,
        ObjectFn::Acquire => c.acquire()?,
        ObjectFn::ListPush => {
            let root = c.root(FieldKind::ListHead)?;
            c.insert(FieldKind::ListNode, &root)?;
            c.number(Reg(4))?;
        }
        ObjectFn::TreeAdd => {
            let root = c.root(FieldKind::RbRoot)?;
            c.insert(FieldKind::RbNode, &root)?;
            let subprog = c.function_in(Reg(3), 2)?;
            c.number(Reg(5))?;
            call::room_for_frame(s)?;
            let args = CallbackArgs::Less { id: root.of.0, off: root.node_off as i32 };
            c.out.callback = Some(Callback { subprog, args });
        }
        ObjectFn::ListPop => {
            let root = c.root(FieldKind::ListHead)?;
            c.taken(&root);
        }
        ObjectFn::TreeRemove => {
            let root = c.root(FieldKind::RbRoot)?;
            c.member(&root)?;
            c.taken(&root);
        }
        ObjectFn::ListPeek => {
            let root = c.root(FieldKind::ListHead)?;
            c.seen(&root);
        }
        ObjectFn::TreePeek => {
            let root = c.root(FieldKind::RbRoot)?;
            c.seen(&root);
        }
        ObjectFn::TreeStep => {
            let root = c.root(FieldKind::RbRoot)?;
            c.member(&root)?;
            c.seen(&root);
        }
        ObjectFn::WorkInit => {
            let map = c.work()?;
            if !matches!(s.reg(Reg(2)).kind, Kind::Map(_) | Kind::MapValue(_) | Kind::MapKey(_)) {
                return c.wrong("pointer in R2 isn't map pointer", Reg(2));
            }
            timer::same_map(s, map, Reg(2), "workqueue")?;
            c.number(Reg(3))?;
        }
        ObjectFn::WorkSet => {
            let map = c.work()?;
            let subprog = c.function_in(Reg(2), 1)?;
            c.number(Reg(3))?;
            c.out.callback = Some(Callback {
                subprog,
                args: CallbackArgs::Later(Later { map, sleeps: true, any_result: false }),
            });
        }
        ObjectFn::WorkStart => {
            c.work()?;
            c.number(Reg(2))?;
        }
        ObjectFn::TaskWork => c.task_work()?,
    }
    c.facts.helper = Some(c.out);
    Ok(c.facts)
}

impl Call<'_, '_> {
    fn number(&self, reg: Reg) -> Check<()> {
        if self.s.reg(reg).is_scalar() {
            return Ok(());
        }
        refuse(Code::BadArgument, format!("R{} is not a scalar", reg.0))
    }

    /// The function that argument `i` gives.
    fn function_in(&self, reg: Reg, i: usize) -> Check<u16> {
        match self.s.reg(reg).kind {
            Kind::Func(subprog) => {
                unmodified(self.s, reg)?;
                Ok(subprog)
            }
            _ => refuse(Code::BadArgument, format!("arg{i} expected pointer to func")),
        }
    }

    fn new_object(&mut self, what: ObjectFn) -> Check<()> {
        self.number(Reg(1))?;
        let Some(id) = self.s.reg(Reg(1)).as_const() else {
            return refuse(Code::BadArgument, "R1 must be a known constant");
        };
        self.facts.precise = self.facts.precise.with(Reg(1));
        let Ok(id) = u32::try_from(id) else {
            return refuse(Code::BadArgument, "local type ID argument must be in range [0, U32_MAX]");
        };
        let Some(btf) = self.p.spec.btf.as_deref() else {
            return refuse(Code::BadArgument, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF");
        };
        let Some(size) = self.p.object_size(id) else {
            let words = "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct";
            return refuse(Code::BadArgument, words);
        };
        let fields = self.p.object_fields(id);
        if let Some(bad) = fields.as_ref().and_then(|f| f.bad()) {
            let words = format!("struct {} has {bad}", self.p.object_name(id));
            return refuse(Code::BadArgument, words);
        }
        let mut marks = Marks::ALLOC;
        if what == ObjectFn::NewPerCpu {
            marks = marks | Marks::PER_CPU;
            let words = if size > PER_CPU_MOST {
                format!("bpf_percpu_obj_new type size ({size}) is greater than {PER_CPU_MOST}")
            } else if !is_of_numbers(btf, TypeId(id), 0) {
                "bpf_percpu_obj_new type ID argument must be of a struct of scalars".into()
            } else if fields.is_some() {
                "bpf_percpu_obj_new type ID argument must not contain special fields".into()
            } else {
                alloc::string::String::new()
            };
            if !words.is_empty() {
                return refuse(Code::BadArgument, words);
            }
        }
        self.out.acquires = true;
        self.out.ret = Returned::Local { id, marks, off: 0, nullable: true };
        Ok(())
    }

    fn drop_object(&mut self, what: ObjectFn) -> Check<()> {
        let value = self.s.reg(Reg(1));
        if value.is_null() || value.nullable {
            return refuse(Code::NullPointer, "Possibly NULL pointer passed to trusted arg0");
        }
        self.unmoved(Reg(1), value.ref_id != 0)?;
        let words = match value.kind {
            Kind::Local { marks: Marks::ALLOC, .. } if what == ObjectFn::Drop => "",
            Kind::Local { marks: Marks::ALLOC, .. } => "arg#0 expected for bpf_obj_drop_impl()",
            Kind::Local { marks, .. } if marks == Marks::ALLOC | Marks::PER_CPU => match what {
                ObjectFn::DropPerCpu => "",
                _ => "arg#0 expected for bpf_percpu_obj_drop_impl()",
            },
            _ => "R1 must be referenced or trusted",
        };
        if !words.is_empty() {
            return self.wrong(words, Reg(1));
        }
        self.owned(Reg(1))?;
        self.out.releases = Some(value.ref_id);
        Ok(())
    }

    fn acquire(&mut self) -> Check<()> {
        let value = self.s.reg(Reg(1));
        if value.is_null() || value.nullable {
            return refuse(Code::NullPointer, "Possibly NULL pointer passed to trusted arg0");
        }
        self.unmoved(Reg(1), false)?;
        let Kind::Local { id, marks } = value.kind else {
            return self.wrong("arg#0 is neither owning or non-owning ref", Reg(1));
        };
        // Of one that may be gone nobody knows the count. (Linux 6.18 forgets that.)
        if !marks.has(Marks::ALLOC) || marks.has(Marks::UNTRUSTED) {
            return self.wrong("arg#0 is neither owning or non-owning ref", Reg(1));
        }
        if !self.p.object_fields(id).is_some_and(|f| f.has(FieldKind::Refcount)) {
            return self.wrong("arg#0 doesn't point to a type with bpf_refcount field", Reg(1));
        }
        // The count is looked for behind the pointer. (Linux 6.18 forgets that the pointer may have moved.)
        unmodified(self.s, Reg(1))?;
        let owning = !marks.has(Marks::NON_OWNING) && value.ref_id != 0;
        self.out.acquires = true;
        self.out.ret = Returned::Local { id, marks: Marks::ALLOC, off: 0, nullable: !owning };
        Ok(())
    }

    /// The list or tree that `r1` points to, whose lock is held.
    fn root(&self, kind: FieldKind) -> Check<Field> {
        let (value, name) = (self.s.reg(Reg(1)), kind.name());
        let fits = matches!(value.kind, Kind::MapValue(_) | Kind::Local { marks: Marks::ALLOC, .. });
        if !fits || value.nullable {
            return self.wrong("arg#0 expected pointer to map value or allocated object", Reg(1));
        }
        if matches!(value.kind, Kind::Local { .. }) {
            self.unmoved(Reg(1), false)?;
            self.owned(Reg(1))?;
        }
        let Some(off) = value.val.as_const().map(|var| i64::from(value.off).wrapping_add(var as i64)) else {
            let words = format!("R1 doesn't have constant offset. {name} has to be at the constant offset");
            return refuse(Code::BadArgument, words);
        };
        let fields = self.p.fields_of(value);
        let at = fields.as_ref().zip(u32::try_from(off).ok()).and_then(|(f, off)| f.at(off));
        let Some(field) = at.filter(|f| f.kind == kind).copied() else {
            return refuse(Code::BadArgument, format!("{name} not found at offset={off}"));
        };
        if let Err(why) = lock::held_for(self.s, Reg(1)) {
            let lock = fields.as_ref().and_then(|f| f.all().iter().find(|f| f.kind.is_lock()));
            let at = lock.map_or(0, |f| f.off_bytes);
            return refuse(Code::Lock, format!("bpf_spin_lock at off={at} must be held for {name}")).explain(
                format!("the lock beside the {name} is held"),
                why.unwrap_or_else(|| "no lock is held".into()),
                "take the lock of the same map value or object, through the same pointer",
            );
        }
        if let Kind::MapValue(map) = value.kind
            && !self.p.has_types_of(map)
        {
            return unsupported(format!("a {name} in a map with other types than the program"));
        }
        Ok(field)
    }

    /// The node `r2` of an object that the program owns becomes part of the list or tree.
    fn insert(&mut self, kind: FieldKind, root: &Field) -> Check<()> {
        let value = self.s.reg(Reg(2));
        self.unmoved(Reg(2), false)?;
        if !matches!(value.kind, Kind::Local { marks: Marks::ALLOC, .. }) || value.nullable {
            return self.wrong("arg#1 expected pointer to allocated object", Reg(2));
        }
        self.owned(Reg(2))?;
        self.node(kind, root)?;
        self.out.gives_away = Some(value.ref_id);
        self.out.ret = Returned::Integer;
        Ok(())
    }

    /// The node `r2` is in a tree, for all that is known.
    fn member(&self, root: &Field) -> Check<()> {
        let value = self.s.reg(Reg(2));
        self.unmoved(Reg(2), false)?;
        let known = match value.kind {
            Kind::Local { marks, .. } => marks.has(Marks::NON_OWNING) || value.ref_id != 0,
            _ => false,
        };
        if !known || value.nullable {
            let words = format!("{} can only take non-owning or refcounted bpf_rb_node pointer", self.name);
            return self.wrong(&words, Reg(2));
        }
        if is_sorting(self.p, self.s) {
            return refuse(Code::BadArgument, format!("{} not allowed in rbtree cb", self.name));
        }
        self.node(FieldKind::RbNode, root)
    }

    /// `r2` points to the node of such an object as the list or tree is for.
    fn node(&self, kind: FieldKind, root: &Field) -> Check<()> {
        let (value, node) = (self.s.reg(Reg(2)), kind.name());
        let Kind::Local { id, .. } = value.kind else {
            return self.wrong("arg#1 expected pointer to allocated object", Reg(2));
        };
        let off = value.off;
        let fields = self.p.object_fields(id);
        let at = fields.as_ref().zip(u32::try_from(off).ok()).and_then(|(f, off)| f.at(off));
        if at.is_none_or(|f| f.kind != kind) {
            return refuse(Code::BadArgument, format!("{node} not found at offset={off}"));
        }
        let (wanted, want_off) = (self.p.object_name(root.of.0), root.node_off);
        if id != root.of.0 {
            let (list, is) = (root.kind.name(), self.p.object_name(id));
            let words = format!(
                "operation on {list} expects arg#1 {node} at offset={want_off} in struct {wanted}, but arg is at \
                 offset={off} in struct {is}"
            );
            return refuse(Code::BadArgument, words);
        }
        if off as u32 != want_off {
            let words =
                format!("arg#1 offset={off}, but expected {node} at offset={want_off} in struct {wanted}");
            return refuse(Code::BadArgument, words);
        }
        Ok(())
    }

    /// What is taken out is the program's.
    fn taken(&mut self, root: &Field) {
        self.out.acquires = true;
        let (id, off) = (root.of.0, root.node_off as i32);
        self.out.ret = Returned::Local { id, marks: Marks::ALLOC, off, nullable: true };
    }

    /// What is looked at stays where it is.
    fn seen(&mut self, root: &Field) {
        let (id, off) = (root.of.0, root.node_off as i32);
        let counted = self.p.object_fields(id).is_some_and(|f| f.has(FieldKind::Refcount));
        let marks = Marks::ALLOC | Marks::NON_OWNING;
        let marks = if counted { marks | Marks::RCU } else { marks };
        self.out.ret = Returned::Local { id, marks, off, nullable: true };
    }

    /// The work queue that `r1` points to; gives its map.
    fn work(&mut self) -> Check<u16> {
        let value = self.s.reg(Reg(1));
        if !matches!(value.kind, Kind::MapValue(_)) || value.nullable {
            return self.wrong("arg#0 doesn't point to a map value", Reg(1));
        }
        self.out.ret = Returned::Integer;
        timer::field(self.p, self.s, Reg(1), FieldKind::Workqueue)
    }

    /// Work that a task does when it returns to its own code.
    fn task_work(&mut self) -> Check<()> {
        for i in 0..4u8 {
            let value = self.s.reg(Reg(i + 1));
            if value.is_null() || value.nullable {
                return refuse(Code::NullPointer, format!("Possibly NULL pointer passed to trusted arg{i}"));
            }
        }
        let task = self.s.reg(Reg(1));
        let is_task = match task.kind {
            Kind::Btf { id, marks } if marks == Marks::TRUSTED || task.ref_id != 0 => {
                kernel::of(self.p)?.is_a(id, 0, "task_struct")
            }
            _ => false,
        };
        if !is_task {
            return self.wrong("R1 must be referenced or trusted", Reg(1));
        }
        unmodified(self.s, Reg(1))?;
        if !matches!(self.s.reg(Reg(2)).kind, Kind::MapValue(_)) {
            return self.wrong("arg#1 doesn't point to a map value", Reg(2));
        }
        let map = timer::field(self.p, self.s, Reg(2), FieldKind::TaskWork)?;
        timer::same_map(self.s, map, Reg(3), "bpf_task_work")?;
        let subprog = self.function_in(Reg(4), 3)?;
        self.out.ret = Returned::Integer;
        self.out.callback = Some(Callback {
            subprog,
            args: CallbackArgs::Later(Later { map, sleeps: true, any_result: true }),
        });
        Ok(())
    }

    /// The program owns the object.
    fn owned(&self, reg: Reg) -> Check<()> {
        if self.s.reg(reg).ref_id != 0 {
            return Ok(());
        }
        self.wrong("allocated object must be referenced", reg)
    }

    /// An object's pointer has moved by a constant at most, and not at all where it is dropped
    /// (`check_func_arg_reg_off`).
    fn unmoved(&self, reg: Reg, released: bool) -> Check<()> {
        let value = self.s.reg(reg);
        if value.is_scalar() || matches!(value.kind, Kind::MapValue(_) | Kind::Stack { .. }) {
            return Ok(());
        }
        if released && value.off != 0 {
            let words = format!(
                "R{} must have zero offset when passed to release func or trusted arg to kfunc",
                reg.0
            );
            return refuse(Code::BadArgument, words);
        }
        let moves = match value.kind {
            Kind::Local { marks, .. } => {
                matches!(marks.without(Marks::NON_OWNING | Marks::RCU), Marks::ALLOC)
                    && (!marks.has(Marks::RCU) || marks.has(Marks::NON_OWNING))
            }
            Kind::Btf { .. } => true,
            _ => false,
        };
        if !moves || value.nullable {
            return unmodified(self.s, reg);
        }
        if value.val.as_const() != Some(0) && value.off >= 0 {
            let (name, var) = (state::type_name(value), value.val.tnum());
            return refuse(Code::BadArgument, format!("variable {name} access var_off={var} disallowed"));
        }
        if value.off < 0 { unmodified(self.s, reg) } else { Ok(()) }
    }

    #[cold]
    fn wrong<T>(&self, words: &str, reg: Reg) -> Check<T> {
        let have = state::register(self.p, self.s.depth(), self.s.reg(reg));
        refuse(Code::BadArgument, words).explain(
            format!("what {} takes", self.name),
            format!("r{} is {have}", reg.0),
            "pass the object as bpf_obj_new, bpf_list_pop_front or bpf_kptr_xchg gave it, while it is the program's",
        )
    }
}

/// Whether a struct holds numbers only, in structs and arrays too.
fn is_of_numbers(btf: &Btf, id: TypeId, depth: u32) -> bool {
    let Some(Type::Struct { members, .. }) = btf.ty(id) else { return false };
    members.iter().all(|m| {
        let mut ty = btf.resolve(m.ty);
        if let Some(Type::Array { element, .. }) = btf.ty(ty) {
            ty = btf.resolve(*element);
        }
        match btf.resolved(ty).kind() {
            BtfKind::Struct => depth < PER_CPU_DEPTH && is_of_numbers(btf, ty, depth + 1),
            BtfKind::Int | BtfKind::Enum | BtfKind::Enum64 => true,
            _ => false,
        }
    })
}

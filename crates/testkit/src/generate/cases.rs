//! Programs of the verdict files, changed: verdicts alone are compared.
//!
//! These files have a program for every rule, of every feature. A seed takes one of them, puts it behind or beside
//! another, into a loop, a section, or a function of its own, and changes a few instructions. The same seed gives the
//! same program as long as the files are the same.

use std::sync::{Arc, OnceLock};

use skep_btf::Kind;
use skep_isa::{CallTarget, Imm64, Insn, Op, Reg, Size, decode_all};
use skep_spec::ProgramSpec;

use super::mutate::change;
use super::program::Generated;
use super::rng::Rng;
use crate::verdicts::{self, Case, Verdict, kernel_types};
use crate::{functions, objects};

/// Slots of the longest program that is taken.
const LONGEST: usize = 400;
/// Where the context is kept: behind what the files use.
const CTX: i16 = -504;
/// An iterator, and the flags of interrupts.
const ITERATOR: i16 = -512;
const FLAGS: i16 = -496;

const FP: Reg = Reg::FP;
const R1: Reg = Reg::R1;
const R2: Reg = Reg::R2;

/// The programs that may be taken.
struct Bases {
    cases: Vec<Case>,
    specs: Vec<OnceLock<Option<ProgramSpec>>>,
}

fn bases() -> &'static Bases {
    static BASES: OnceLock<Bases> = OnceLock::new();
    BASES.get_or_init(|| {
        // What skep says differently on purpose has neighbours of which it does, too: those whose names refer to it.
        // Linux 6.18.44 fell over at some that schedule work in tasks with a function where a map should be.
        let usable = |case: &Case| {
            !case.unprivileged && case.differs.is_none() && !case.text().contains("bpf_task_work_schedule")
        };
        let mut cases = Vec::new();
        for file in verdicts::files() {
            let all = verdicts::cases(&file);
            let near = |at: usize| {
                let before = at.checked_sub(1).and_then(|at| all.get(at));
                all[at].name.starts_with("the same") && before.is_some_and(|case| case.differs.is_some())
            };
            let near: Vec<bool> = (0..all.len()).map(near).collect();
            cases.extend(
                all.into_iter().zip(near).filter(|(case, near)| !near && usable(case)).map(|(c, _)| c),
            );
        }
        let specs = cases.iter().map(|_| OnceLock::new()).collect();
        Bases { cases, specs }
    })
}

impl Bases {
    fn spec(&self, at: usize) -> Option<&ProgramSpec> {
        let make = || self.cases[at].spec().ok().filter(|s| s.insns.len() <= LONGEST);
        self.specs[at].get_or_init(make).as_ref()
    }

    /// One of them, mostly one that is accepted.
    fn pick(&self, rng: &mut Rng, fits: &dyn Fn(&ProgramSpec) -> bool) -> Option<&ProgramSpec> {
        (0..40).find_map(|_| {
            let at = rng.below(self.cases.len());
            let accepted = self.cases[at].expect == Some(Verdict::Accept);
            (accepted || rng.chance(15)).then(|| self.spec(at).filter(|s| fits(s))).flatten()
        })
    }
}

/// The program of a seed; `None` where this machine does not have what it needs.
pub fn generate(seed: u64) -> Option<Generated> {
    let mut rng = Rng::new(seed ^ 0x6361_7365_7321);
    let mut spec = bases().pick(&mut rng, &|_| true)?.clone();
    for _ in 0..2 {
        if is_plain(&spec) && rng.chance(50) {
            spec = combine(spec, &mut rng)?;
        }
    }
    for _ in 0..*rng.pick(&[0, 0, 1, 1, 1, 1, 1, 2, 2, 3]) {
        spec.insns = changed(&spec.insns, &mut rng);
    }
    spec.name = format!("case_{seed:x}");
    (!may_fall(&spec)).then(|| Generated::judged(spec))
}

/// One change. Few leave a reserved field that is not 0: there is nothing to be learned from that.
fn changed(insns: &[Insn], rng: &mut Rng) -> Vec<Insn> {
    let mut tried = insns.to_vec();
    for _ in 0..4 {
        tried = insns.to_vec();
        change(&mut tried, rng);
        if decode_all(&tried).all(|op| op.is_ok()) {
            break;
        }
    }
    tried
}

/// Whether Linux may fall over at it: `may_goto` where there are several calls of `bpf_loop` (docs/parity.md).
fn may_fall(spec: &ProgramSpec) -> bool {
    let ops = || decode_all(&spec.insns).flatten().map(|(_, op)| op);
    let loops = ops().filter(|op| matches!(op, Op::Call(CallTarget::Helper(181)))).count();
    loops > 1 && ops().any(|op| matches!(op, Op::MayGoto { .. }))
}

/// Whether a program is one function, whose types are nobody's concern.
fn is_plain(spec: &ProgramSpec) -> bool {
    let whole = |op: Op| {
        !matches!(op, Op::Call(CallTarget::Subprog(_)) | Op::LoadImm64 { value: Imm64::Code(_), .. })
    };
    let all = decode_all(&spec.insns).all(|r| r.is_ok_and(|(_, op)| whole(op)));
    all && (spec.btf.is_none() || has_objects(spec)) && spec.func_info.len() <= 1
}

fn has_objects(spec: &ProgramSpec) -> bool {
    spec.btf.is_some() && spec.func_info.len() <= 1
}

/// Instructions that are being put together.
#[derive(Default)]
struct Code(Vec<Insn>);

impl Code {
    fn op(&mut self, op: Op) -> &mut Self {
        let (first, second) = op.encode();
        self.0.push(first);
        self.0.extend(second);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend(skep_isa::text::assemble(text).expect("it is text"));
        self
    }

    fn keep_ctx(&mut self) -> &mut Self {
        self.op(Op::Store { size: Size::DW, dst: FP, off: CTX, src: skep_isa::Operand::Reg(R1) })
    }

    fn load_ctx(&mut self) -> &mut Self {
        self.op(Op::Load { size: Size::DW, signed: false, dst: R1, src: FP, off: CTX })
    }

    /// A program whose ends lead behind it.
    fn inside(&mut self, program: &[Insn]) -> &mut Self {
        let len = program.len();
        let mut pc = 0;
        while pc < len {
            let slots = if program[pc].is_wide() { 2 } else { 1 };
            match program[pc].opcode {
                0x95 => self.0.push(Insn::new(0x05, Reg(0), Reg(0), (len - pc - 1) as i16, 0)),
                _ => self.0.extend(program[pc..].iter().take(slots)),
            }
            pc += slots;
        }
        self
    }

    /// A call of the kernel's function of this name, with an address on the stack.
    fn kernel(&mut self, name: &str, place: Option<i16>) -> Option<&mut Self> {
        let id = kernel_types()?.find_by_name(Some(Kind::Func), name)?;
        if let Some(off) = place {
            self.text(&format!("r1 = r10; r1 += {off}"));
        }
        self.0.push(Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32));
        Some(self)
    }
}

/// Puts a program behind another, into a loop, a section or a function.
fn combine(mut spec: ProgramSpec, rng: &mut Rng) -> Option<ProgramSpec> {
    let body = std::mem::take(&mut spec.insns);
    let len = body.len() as i16;
    let mut code = Code::default();
    match rng.below(10) {
        how @ 0..=3 => {
            let objects = has_objects(&spec);
            let other = bases().pick(rng, &|other| {
                (other.prog_type, other.attach_type) == (spec.prog_type, spec.attach_type)
                    && is_plain(other)
                    && has_objects(other) == objects
            });
            let other = other?;
            code.keep_ctx();
            if how == 0 {
                // Behind it, or without it.
                code.text(&format!("call 7; if r0 == 5 goto +{}", len + 1)).load_ctx();
            }
            code.inside(&body).load_ctx();
            code.0.extend(add_maps(&mut spec, other));
        }
        4 => {
            code.keep_ctx().op(Op::MayGoto { off: len + 2 }).load_ctx().inside(&body);
            code.text(&format!("goto {}; r0 = 0; exit", -(len + 3)));
        }
        5 => {
            code.keep_ctx().text(&format!("r1 = r10; r1 += {ITERATOR}; r2 = 0; r3 = 3"));
            code.kernel("bpf_iter_num_new", None)?;
            let start = code.0.len() as i16;
            code.kernel("bpf_iter_num_next", Some(ITERATOR))?;
            code.text(&format!("if r0 == 0 goto +{}", len + 2)).load_ctx().inside(&body);
            let back = start - code.0.len() as i16 - 1;
            code.text(&format!("goto {back}"));
            code.kernel("bpf_iter_num_destroy", Some(ITERATOR))?.text("r0 = 0; exit");
        }
        6 => {
            let (begin, end, place) = *rng.pick(&[
                ("bpf_rcu_read_lock", "bpf_rcu_read_unlock", None),
                ("bpf_preempt_disable", "bpf_preempt_enable", None),
                ("bpf_local_irq_save", "bpf_local_irq_restore", Some(FLAGS)),
            ]);
            code.keep_ctx().kernel(begin, place)?.load_ctx().inside(&body);
            code.kernel(end, place)?.text("r0 = 0; exit");
        }
        how => {
            // A function: called, called back, or known by its types alone.
            match how {
                7 => {
                    code.text("*(u64 *)(r10 - 8) = 0; r1 = 3");
                    code.op(Op::LoadImm64 { dst: R2, value: Imm64::Code(6) });
                    code.text("r3 = r10; r4 = 0; call 181; r0 = 0; exit");
                    code.0[2].imm = code.0.len() as i32 - 3;
                }
                _ => {
                    code.op(Op::Call(CallTarget::Subprog(2))).text("r0 = 0; exit");
                }
            }
            code.0.extend(&body);
            spec.insns = code.0;
            return function(spec, how == 9);
        }
    }
    spec.insns = code.0;
    Some(spec)
}

/// Gives the functions of a program their types.
fn function(mut spec: ProgramSpec, global: bool) -> Option<ProgramSpec> {
    if has_objects(&spec) {
        functions::describe_in(&mut spec, objects::types());
        let btf = Arc::clone(spec.btf.as_ref()?);
        let maps = objects::maps(&btf);
        for map in &mut spec.maps {
            if let Some(at) = objects::MAPS.iter().position(|name| *name == map.name) {
                *map = Arc::new(maps[at].clone());
            }
        }
        return Some(spec);
    }
    if global {
        functions::declare(&mut spec, "global int (ctx *)").ok()?;
    } else {
        functions::declare(&mut spec, "static int (ctx *)").ok()?;
    }
    Some(spec)
}

/// The instructions of another program, with its maps added to those of this.
fn add_maps(spec: &mut ProgramSpec, other: &ProgramSpec) -> Vec<Insn> {
    let place: Vec<i32> = other
        .maps
        .iter()
        .map(|map| {
            let there = spec.maps.iter().position(|m| m.name == map.name);
            there.unwrap_or_else(|| {
                spec.maps.push(Arc::clone(map));
                spec.maps.len() - 1
            }) as i32
        })
        .collect();
    let mut insns = other.insns.clone();
    let mut pc = 0;
    while pc < insns.len() {
        let wide = insns[pc].is_wide();
        // `LDDW` of a map, or of its value, by index.
        if wide && matches!(insns[pc].src.0, 5 | 6) {
            insns[pc].imm =
                usize::try_from(insns[pc].imm).ok().and_then(|i| place.get(i).copied()).unwrap_or(-1);
        }
        pc += if wide { 2 } else { 1 };
    }
    insns
}

//! Holds runs against the facts that the verifier exports for engines that run without checks
//! ([`skep_verifier::InsnFacts`], [`Subprog`]).
//!
//! The interpreter checks each access by itself, so it can tell what an engine would do wrong that believed a fact: a jump
//! that goes the way that is said to be dead, an access to stack bytes that an engine would keep in a register, a byte read
//! that was never written and is not zeroed, a call for another map.

use skep_isa::{CallTarget, Op, Reg, decode};
use skep_verifier::{AccessBase, FrameBytes, InsnFacts, Subprog, Verified};
use skep_vm::{Place, Step};

/// What was held against facts, as counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Jumps that are said to go one way.
    pub one_way: u64,
    /// Accesses to the stack through pointers.
    pub through_pointers: u64,
    /// Calls, of which a function's stack frame was compared before and after.
    pub calls: u64,
    /// Calls that changed some byte of it.
    pub changing: u64,
    /// Calls for a map that is known.
    pub maps: u64,
    /// Lookups with a key that is known.
    pub keys: u64,
    /// Entries of functions that are called back.
    pub callbacks: u64,
    /// Loads of bytes that were not stored before.
    pub unwritten: u64,
}

impl Seen {
    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.one_way += other.one_way;
        self.through_pointers += other.through_pointers;
        self.calls += other.calls;
        self.changing += other.changing;
        self.maps += other.maps;
        self.keys += other.keys;
        self.callbacks += other.callbacks;
        self.unwritten += other.unwritten;
    }
}

/// A function that runs.
struct Running {
    /// Its program, by its address.
    program: usize,
    /// Its last instruction.
    pc: usize,
    op: Op,
    /// Bytes that it has stored with `r10` as base.
    written: FrameBytes,
    /// Its frame before the call that it stands at.
    before: Option<Box<[u8; FRAME]>>,
}

/// Bytes of a stack frame.
const FRAME: usize = 512;
/// `bpf_map_lookup_elem`.
const LOOKUP: u32 = 1;
/// `bpf_tail_call`.
const TAIL_CALL: u32 = 12;

/// The runs so far.
#[derive(Default)]
pub struct Facts {
    frames: Vec<Running>,
    seen: Seen,
}

impl Facts {
    /// What was held against facts.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Looks at the instruction that comes next, and how the run came there.
    ///
    /// # Errors
    /// Words for what does not agree with a fact.
    pub fn step(&mut self, program: usize, proof: &Verified, step: &Step<'_>) -> Result<(), String> {
        let Ok(op) = decode(step.program.insns(), step.pc) else { return Ok(()) };
        if self.begins(step) {
            self.frames.clear();
        }
        self.came(program, proof, step, op)?;
        let facts = proof.insns()[step.pc];
        if !facts.reached {
            return Err("is said not to be reached".into());
        }
        self.access(proof, step, op, &facts)?;
        if let Op::Call(target) = op {
            self.call(step, target, &facts)?;
        }
        Ok(())
    }

    /// Whether another run begins with this step.
    fn begins(&self, step: &Step<'_>) -> bool {
        let jumped = |r: &Running| matches!(r.op, Op::Jump { .. } | Op::JumpIf { .. } | Op::MayGoto { .. });
        let ended = |r: &Running| r.op == Op::Exit || (step.pc == 0 && !jumped(r));
        step.depth == 0 && self.frames.first().is_none_or(ended)
    }

    /// Follows the chain of calls; looks at the jump or call that led here.
    fn came(&mut self, program: usize, proof: &Verified, step: &Step<'_>, op: Op) -> Result<(), String> {
        self.frames.truncate(step.depth + 1);
        let fresh = Running { program, pc: step.pc, op, written: FrameBytes::NONE, before: None };
        // A function that has ended and is called again, and a program that a tail call has put in its place.
        let over = |r: &Running| {
            let left = r.op == Op::Call(CallTarget::Helper(TAIL_CALL)) && step.pc == 0;
            r.program != program || left || (step.depth > 0 && r.op == Op::Exit)
        };
        if self.frames.get(step.depth).is_some_and(over) {
            self.frames.truncate(step.depth);
        }
        if self.frames.len() == step.depth {
            if let Some(caller) = self.frames.last().filter(|r| r.program == program)
                && let Some(callback) = proof.insns()[caller.pc].callback
            {
                self.seen.callbacks += 1;
                if callback != step.pc {
                    return Err(format!(
                        "called back by insn {}, which is said to call {callback}",
                        caller.pc
                    ));
                }
            }
            self.frames.push(fresh);
            return Ok(());
        }
        let Some(running) = self.frames.get_mut(step.depth) else { return Ok(()) };
        let (from, led) = (running.pc, running.op);
        (running.pc, running.op) = (step.pc, op);
        if let Op::JumpIf { off, .. } | Op::MayGoto { off } = led {
            let facts = &proof.insns()[from];
            let far = (from as i64 + 1 + i64::from(off)) as usize;
            self.seen.one_way += u64::from(facts.taken != facts.falls);
            if !(step.pc == far && facts.taken || step.pc == from + led.slots() && facts.falls) {
                return Err(format!("insn {from} is said to go another way"));
            }
        }
        let Some(before) = running.before.take() else { return Ok(()) };
        let Some(after) = frame(step) else { return Ok(()) };
        let escaped = function(proof, step.pc).escaped;
        let may = proof.touches(from).or(escaped);
        self.seen.calls += 1;
        self.seen.changing += u64::from(before != after);
        let changed = (0..FRAME).filter(|i| before[*i] != after[*i]).map(|i| i as i16 - FRAME as i16);
        match changed.into_iter().find(|off| !may.has(*off)) {
            Some(off) => Err(format!("fp{off} was changed by insn {from}, which is said to touch {may:?}")),
            None => Ok(()),
        }
    }

    fn access(&mut self, proof: &Verified, step: &Step<'_>, op: Op, facts: &InsnFacts) -> Result<(), String> {
        let (base, off, size, loads) = match op {
            Op::Load { size, src, off, .. } | Op::LoadAcquire { size, src, off, .. } => {
                (src, off, size, true)
            }
            Op::Store { size, dst, off, .. } | Op::StoreRelease { size, dst, off, .. } => {
                (dst, off, size, false)
            }
            Op::Atomic { size, dst, off, .. } => (dst, off, size, true),
            _ => return Ok(()),
        };
        let Some(kind) = facts.access else { return Err("is said not to access memory".into()) };
        if kind == AccessBase::Arena {
            return Ok(());
        }
        let addr = step.regs[base.index()].wrapping_add_signed(off.into());
        let place = step.place(addr);
        let Some(Place::Stack { .. }) = place else {
            let fits = match (kind, &place) {
                (AccessBase::Stack, _) => false,
                (AccessBase::Ctx, place) => matches!(place, Some(Place::Ctx { .. }) | None),
                (AccessBase::Packet, place) => matches!(place, Some(Place::Packet { .. })),
                (AccessBase::MapValue, place) => {
                    !matches!(place, Some(Place::Ctx { .. } | Place::Packet { .. }))
                }
                _ => true,
            };
            return if fits { Ok(()) } else { Err(format!("accesses {place:?}, said to be {kind:?}")) };
        };
        // Frames lie below each other, each caller's above.
        let end = step.regs[10];
        let up = if addr < end { 0 } else { ((addr - end) as usize) / FRAME + 1 };
        let Some(at) = step.depth.checked_sub(up) else { return Ok(()) };
        let off = addr.wrapping_sub(end + (up * FRAME) as u64).cast_signed();
        let bytes = FrameBytes::range(off, off + size.bytes() as i64);
        let Some(running) = self.frames.get_mut(at) else { return Ok(()) };
        let function = function(proof, running.pc);
        if base != Reg::FP {
            self.seen.through_pointers += 1;
            let direct = matches!(kind, AccessBase::Stack | AccessBase::Various);
            let mut may = proof.touches(running.pc);
            if !direct {
                may = function.escaped;
            }
            if !bytes.without(may).is_empty() {
                let pc = running.pc;
                return Err(format!("as {kind:?} touches {bytes:?}, where {may:?} is said of insn {pc}"));
            }
        }
        if loads {
            let zeroed = FrameBytes::range(-i64::from(function.unwritten), 0);
            let unwritten = bytes.without(running.written);
            self.seen.unwritten += u64::from(!unwritten.is_empty());
            if !unwritten.without(zeroed).is_empty() {
                let n = function.unwritten;
                return Err(format!("reads {unwritten:?} unwritten, where {n} bytes are said to be"));
            }
        } else if base == Reg::FP {
            running.written = running.written.or(bytes);
        }
        Ok(())
    }

    fn call(&mut self, step: &Step<'_>, target: CallTarget, facts: &InsnFacts) -> Result<(), String> {
        if let Some(running) = self.frames.get_mut(step.depth) {
            running.before = frame(step);
        }
        let (map, key) = (facts.map, facts.key);
        if let Some(map) = map {
            self.seen.maps += 1;
            let is = |reg: &u64| step.place(*reg) == Some(Place::Map { map: map.into() });
            let given = match target {
                CallTarget::Helper(LOOKUP) => &step.regs[1..2],
                _ => &step.regs[1..6],
            };
            if !given.iter().any(is) {
                return Err(format!("is said to be for map {map}"));
            }
        }
        if let Some(key) = key {
            self.seen.keys += 1;
            let mut bytes = [0; 4];
            if !step.read(step.regs[2], &mut bytes) || u32::from_ne_bytes(bytes) != key {
                return Err(format!("is said to have the key {key}, it has {bytes:?}"));
            }
        }
        Ok(())
    }
}

/// The running function's frame.
fn frame(step: &Step<'_>) -> Option<Box<[u8; FRAME]>> {
    let mut bytes = Box::new([0; FRAME]);
    step.read(step.regs[10].wrapping_sub(FRAME as u64), &mut bytes[..]).then_some(bytes)
}

/// The function that a slot is part of.
fn function(proof: &Verified, pc: usize) -> Subprog {
    let subprogs = proof.subprogs();
    subprogs[subprogs.partition_point(|s| s.start <= pc).saturating_sub(1)]
}

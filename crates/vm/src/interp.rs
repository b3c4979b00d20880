//! The interpreter: the readable definition of what programs do.
//!
//! A program runs in up to eight frames. Each frame has the five argument registers of its caller at entry,
//! 512 zeroed bytes below `r10`, and gives back `r0`; `r6` to `r9` survive a call, and `r1` to `r5` keep
//! whatever the callee left in them (verified programs do not look). Arithmetic is `skep_isa::eval`'s; memory is
//! [`Mem`]'s; a context made of fields answers through [`CtxAccess`](crate::program::CtxAccess).
//!
//! What RFC 9669 leaves open follows Linux: a tail call replaces the frame that makes it, so that in a
//! subprogram the new program's `exit` returns to the subprogram's caller; a legacy packet load that fails
//! ends the function with 0; `may_goto` jumps after [`MAY_GOTO_LIMIT`] passes of a frame.

mod elsewhere;
mod frames;
mod legacy;
mod state;

use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::PacketAccess;
use skep_isa::{AluOp, AtomicOp, Endian, JumpOp, Size, Width, eval};
use skep_maps::{Element, Key};

use elsewhere::memory_fault;
pub(crate) use elsewhere::{load_elsewhere, store_elsewhere};
use frames::Frames;
pub(crate) use legacy::{load_packet, load_packet_forward};
pub(crate) use state::State;

use crate::Program;
use crate::arena;
use crate::callback::{self, Begin, Next};
use crate::code::{Code, NO_CALLBACK, Refusal, operations};
use crate::helpers::{self, Call, Place};
use crate::mem::{CtxKind, Mem, begin_at_line, move_on};
use crate::native;
use crate::observe::Step;
use crate::trap::TrapKind;

/// Tail calls of a run (`MAX_TAIL_CALL_CNT`).
pub const MAX_TAIL_CALLS: u32 = 33;

/// Passes of `may_goto` in a frame before it jumps (`BPF_MAX_LOOPS`).
pub const MAY_GOTO_LIMIT: u32 = 8 << 20;

/// How a program ended.
enum End {
    Value(u64),
    /// To this program, with the context.
    TailCall(Arc<Program>, u64),
    /// [`State::trap`] says why.
    Trap,
}

/// Runs a program from its first instruction in frame 0, and those that it tail-calls. Leaves the fuel that is
/// left. `None` after a trap.
#[inline(always)]
pub(crate) fn run_chain(program: &Program, mem: &mut Mem<'_>, state: &mut State<'_>) -> Option<u64> {
    state.begin();
    let (r1, others) = (state.r1, state.others);
    match state.observer {
        None => chain::<false>(program, mem, state, (r1, &others), 0),
        Some(_) => chain_apart::<true>(program, mem, state, (r1, &others), 0),
    }
}

/// Runs a function of a program that a timer or work calls: from its first slot in frame 0, with the map, a key and a
/// value. Leaves the fuel that is left. `None` after a trap.
#[cold]
pub(crate) fn run_callback(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    slot: usize,
    (map, key_size, element): (u64, u32, Element),
) -> Option<u64> {
    state.begin();
    let place = (0, state.vcpu);
    let end = mem.with_program(&program.bound, CtxKind::Fields, None, place, |mem| {
        let key = match element.key {
            Key::Index(index) => mem.grant_index(0, index),
            Key::At(addr) => mem.grant_key(0, addr, key_size),
        };
        let result = exec::<false>(program, mem, state, (map, &[key, element.value, 0, 0]), (0, slot));
        clean_up(program, mem, state, 0);
        result
    });
    match end {
        End::Value(v) => Some(v),
        // The verifier lets no such function make one.
        End::TailCall(..) => Some(0),
        End::Trap => None,
    }
}

/// As [`chain`], apart: for what is rare.
#[cold]
#[inline(never)]
fn chain_apart<const WATCHED: bool>(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    args: (u64, &[u64; 4]),
    depth: usize,
) -> Option<u64> {
    chain::<WATCHED>(program, mem, state, args, depth)
}

/// Runs a program in frame `depth`, and those that follow by tail calls from it. Recursion is bounded by the
/// frames: it happens only for a tail call in a subprogram, one frame deeper each time. `WATCHED` runs show each
/// instruction to the observer. `None` after a trap.
#[inline(always)]
fn chain<const WATCHED: bool>(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    mut args: (u64, &[u64; 4]),
    depth: usize,
) -> Option<u64> {
    let mut next: Option<Arc<Program>> = None;
    loop {
        let program = next.as_deref().unwrap_or(program);
        let packet = state.packet.filter(|_| program.packet != PacketAccess::None).map(|p| (p.meta, p.end));
        let place = (depth, state.vcpu);
        let end = mem.with_program(&program.bound, program.ctx.kind, packet, place, |mem| {
            let result = exec::<WATCHED>(program, mem, state, args, (depth, 0));
            clean_up(program, mem, state, depth);
            result
        });
        match end {
            End::Value(v) => return Some(v),
            End::TailCall(p, ctx) => {
                if !WATCHED && let Some(native) = native::ready(&p, mem, state, depth) {
                    return native::run(&p, native, mem, state, (ctx, depth));
                }
                next = Some(p);
                args = (ctx, &[0; 4]);
            }
            End::Trap => return None,
        }
    }
}

/// Runs a program that was called at the tail of a function in frame `depth`, and those that follow. `None` after a trap.
#[inline(never)]
pub(crate) fn follow(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    ctx: u64,
    depth: usize,
) -> Option<u64> {
    match native::ready(program, mem, state, depth) {
        Some(native) => native::run(program, native, mem, state, (ctx, depth)),
        None => chain_apart::<false>(program, mem, state, (ctx, &[0; 4]), depth),
    }
}

/// Runs a function of the program that runs, which native code has not got, with one argument in frame `depth`. `None`
/// after a trap.
#[cold]
pub(crate) fn run_function(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    (r1, depth, slot): (u64, usize, usize),
) -> Option<u64> {
    mem.set_depth(depth);
    let end = exec::<false>(program, mem, state, (r1, &[0; 4]), (depth, slot));
    match end {
        End::Value(v) => Some(v),
        End::TailCall(p, ctx) => follow(&p, mem, state, ctx, depth),
        End::Trap => None,
    }
}

/// Gives back what a program has left open that was entered in frame `depth`.
#[inline(always)]
pub(crate) fn clean_up(program: &Program, mem: &mut Mem<'_>, state: &mut State<'_>, depth: usize) {
    if mem.holds_records() {
        helpers::ringbuf::discard_open(program, mem, state.vcpu);
    }
    if mem.drains_from(depth) {
        callback::abandon(program, mem, depth, state.vcpu);
    }
    if state.held_lock.is_some() {
        helpers::lock::release(program, state);
    }
    if state.holdings.is_some() {
        helpers::kept::release(program, state);
    }
}

/// Interprets one program until it exits or tail-calls from its first frame.
fn exec<const WATCHED: bool>(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    (r1, others): (u64, &[u64; 4]),
    (base, entry): (usize, usize),
) -> End {
    let unfused = if WATCHED { program.unfused() } else { Vec::new() };
    let code = if WATCHED { &unfused[..] } else { &program.code[..] };
    let mut frames = Frames { base, depth: base, entry, may_goto: 0 };
    let mut regs = [0u64; 16];
    regs[1] = r1;
    regs[2..6].copy_from_slice(others);
    regs[10] = mem.clean_frame(program.stack_used);
    let mut slice = state.first_slice();
    // What stands behind the current instruction.
    let mut rest = code.get(entry..).unwrap_or_default().iter();
    let mut acc = 0u64;

    /// Goes on to the next part of a fused operation, which is the next slot.
    macro_rules! part {
        () => {
            _ = rest.next()
        };
    }
    /// The slot behind the current instruction.
    macro_rules! next {
        () => {
            code.len() - rest.len()
        };
    }
    /// A trap at the current instruction.
    macro_rules! trap {
        ($kind:expr) => {
            break $kind
        };
    }
    /// The value, or a trap at the current instruction.
    macro_rules! check {
        ($result:expr) => {
            match $result {
                Ok(v) => v,
                Err(kind) => trap!(kind),
            }
        };
    }

    /// What stands from a slot on.
    macro_rules! from {
        ($slot:expr) => {
            match code.get($slot..) {
                Some(rest) => rest.iter(),
                None => trap!(TrapKind::OutsideProgram),
            }
        };
    }
    macro_rules! r {
        ($n:expr) => {
            regs[$n as usize]
        };
    }
    /// The second operand of a part of a fused operation.
    macro_rules! operand {
        (reg, $s:expr, $imm:expr) => {{
            let _ = $imm;
            r!($s)
        }};
        (imm, $s:expr, $imm:expr) => {{
            let _ = $s;
            $imm as u64
        }};
    }
    /// Writes a register, and the accumulator.
    macro_rules! set {
        ($d:expr, $v:expr) => {{
            let v: u64 = $v;
            r!($d) = v;
            acc = v;
        }};
    }
    /// Two operations on `a` and what comes next, as a row of pairs says; the second one's first operand and its
    /// second one by register or constant.
    macro_rules! linked {
        (same, $v:expr, $op:ident $w:ident $k:ident, $d:expr, $d2:expr, $s2:expr, $imm2:expr) => {{
            let _ = $d2;
            set!($d, eval::alu(AluOp::$op, Width::$w, $v, operand!($k, $s2, $imm2)));
        }};
        (into, $v:expr, $op:ident $w:ident $k:ident, $d:expr, $d2:expr, $s2:expr, $imm2:expr) => {{
            let (_, _) = ($s2, $imm2);
            let v = $v;
            r!($d) = v;
            set!($d2, eval::alu(AluOp::$op, Width::$w, r!($d2), v));
        }};
        (apart, $v:expr, $op:ident $w:ident $k:ident, $d:expr, $d2:expr, $s2:expr, $imm2:expr) => {{
            r!($d) = $v;
            set!($d2, eval::alu(AluOp::$op, Width::$w, r!($d2), operand!($k, $s2, $imm2)));
        }};
    }
    macro_rules! burn {
        ($cost:expr) => {{
            let cost: u64 = $cost;
            if slice < cost {
                state.fuel += slice;
                slice = 0;
                slice += check!(state.refill(cost));
            }
            slice -= cost;
        }};
    }
    /// A taken jump. Backward ones pay for the slots between.
    macro_rules! jump {
        ($to:expr) => {{
            let there = from!($to as usize);
            if there.len() > rest.len() {
                burn!((there.len() - rest.len()) as u64);
            }
            rest = there;
        }};
    }
    macro_rules! loaded {
        ($word:ty, $size:expr, $base:expr, $off:expr) => {{
            let addr = $base.wrapping_add_signed(i64::from($off));
            match mem.load::<$word>(addr) {
                Some(v) => v,
                None => check!(load_elsewhere(program, mem, state, addr, $size)),
            }
        }};
    }
    macro_rules! load {
        ($word:ty, $size:expr, $d:expr, at $base:expr, $off:expr) => {{
            let v = loaded!($word, $size, $base, $off);
            set!($d, v);
        }};
        ($word:ty, $size:expr, $d:expr, $s:expr, $off:expr) => {{
            load!($word, $size, $d, at r!($s), $off);
        }};
    }
    macro_rules! store {
        ($word:ty, $size:expr, $d:expr, $off:expr, $v:expr) => {{
            let addr = r!($d).wrapping_add_signed(i64::from($off));
            let v: u64 = $v;
            if mem.store::<$word>(addr, v).is_none() {
                check!(store_elsewhere(program, mem, addr, $size, v));
            }
        }};
    }
    /// An atomic read-modify-write by one of [`Mem`]'s functions; gives the old content.
    macro_rules! atomic {
        ($by:ident, $op:expr, $size:expr, $d:expr, $s:expr, $off:expr) => {{
            let addr = check!(aligned(r!($d), $off, $size));
            let Some(old) = mem.$by($op, $size, addr, r!($s), regs[0]) else {
                trap!(memory_fault(program, mem, addr, $size, true))
            };
            old
        }};
    }

    move_on();
    let kind = loop {
        let Some(op) = rest.next() else {
            begin_at_line();
            return state.trapped(program, code.len() - 1, TrapKind::OutsideProgram);
        };
        if WATCHED && let Some(observer) = state.observer {
            Step::show(observer, program, (mem, state.packet), (next!() - 1, frames.depth), &regs);
        }
        macro_rules! dispatch {
            (
                alu { $(
                    $alu:ident $a64:ident $a64i:ident $a32:ident $a32i:ident,
                    $a64a:ident $a64ia:ident $a32a:ident $a32ia:ident, $a64s:ident $a32s:ident;
                )* }
                jump { $($jump:ident $j64:ident $j64i:ident $j32:ident $j32i:ident;)* }
                pairs { $(
                    $pair:ident $paira:ident: $pm:ident,
                    $pa:ident $paw:ident $pak:ident, $pb:ident $pbw:ident $pbk:ident;
                )* }
                branches { $($branch:ident: $ba:ident $baw:ident $bak:ident, $bj:ident $bjw:ident $bjk:ident;)* }
                loaded { $(
                    $loaded:ident $loadedc:ident: $lm:ident, $lt:ident $lsize:ident, $lb:ident $lbw:ident $lbk:ident;
                )* }
                indexed { $($indexed:ident $indexeda:ident: $it:ident $isize:ident;)* }
            ) => {
                match *op {
                    $(
                        Code::$a64 { d, s } => set!(d, eval::alu(AluOp::$alu, Width::W64, r!(d), r!(s))),
                        Code::$a64i { d, imm } => set!(d, eval::alu(AluOp::$alu, Width::W64, r!(d), imm as u64)),
                        Code::$a32 { d, s } => set!(d, eval::alu(AluOp::$alu, Width::W32, r!(d), r!(s))),
                        Code::$a32i { d, imm } => set!(d, eval::alu(AluOp::$alu, Width::W32, r!(d), imm as u64)),
                        Code::$a64a { d, s } => set!(d, eval::alu(AluOp::$alu, Width::W64, acc, r!(s))),
                        Code::$a64ia { d, imm } => set!(d, eval::alu(AluOp::$alu, Width::W64, acc, imm as u64)),
                        Code::$a32a { d, s } => set!(d, eval::alu(AluOp::$alu, Width::W32, acc, r!(s))),
                        Code::$a32ia { d, imm } => set!(d, eval::alu(AluOp::$alu, Width::W32, acc, imm as u64)),
                        Code::$a64s { d } => set!(d, eval::alu(AluOp::$alu, Width::W64, r!(d), acc)),
                        Code::$a32s { d } => set!(d, eval::alu(AluOp::$alu, Width::W32, r!(d), acc)),
                    )*
                    $(
                        Code::$j64 { d, s, to } => {
                            if eval::jump(JumpOp::$jump, Width::W64, r!(d), r!(s)) { jump!(to) }
                        }
                        Code::$j64i { d, imm, to } => {
                            if eval::jump(JumpOp::$jump, Width::W64, r!(d), imm as u64) { jump!(to) }
                        }
                        Code::$j32 { d, s, to } => {
                            if eval::jump(JumpOp::$jump, Width::W32, r!(d), r!(s)) { jump!(to) }
                        }
                        Code::$j32i { d, imm, to } => {
                            if eval::jump(JumpOp::$jump, Width::W32, r!(d), imm as u64) { jump!(to) }
                        }
                    )*
                    Code::Neg { width, d } => set!(d, eval::neg(width, r!(d))),
                    Code::MovSx { width, from, d, s } => set!(d, eval::movsx(width, from, r!(s))),
                    Code::Swap { kind, size, d } => set!(d, eval::swap(kind, size, Endian::NATIVE, r!(d))),
                    Code::Const { d, value } => {
                        set!(d, value);
                        part!();
                    }
                    Code::LoadB { d, s, off } => load!(u8, Size::B, d, s, off),
                    Code::LoadH { d, s, off } => load!(u16, Size::H, d, s, off),
                    Code::LoadW { d, s, off } => load!(u32, Size::W, d, s, off),
                    Code::LoadDw { d, s, off } => load!(u64, Size::DW, d, s, off),
                    Code::LoadBA { d, off } => load!(u8, Size::B, d, at acc, off),
                    Code::LoadHA { d, off } => load!(u16, Size::H, d, at acc, off),
                    Code::LoadWA { d, off } => load!(u32, Size::W, d, at acc, off),
                    Code::LoadDwA { d, off } => load!(u64, Size::DW, d, at acc, off),
                    Code::LoadSx { size, d, s, off } => {
                        let v = match size {
                            Size::B => loaded!(u8, size, r!(s), off),
                            Size::H => loaded!(u16, size, r!(s), off),
                            Size::W => loaded!(u32, size, r!(s), off),
                            Size::DW => loaded!(u64, size, r!(s), off),
                        };
                        set!(d, eval::sign_extend(size, v));
                    }
                    Code::StoreB { d, s, off } => store!(u8, Size::B, d, off, r!(s)),
                    Code::StoreH { d, s, off } => store!(u16, Size::H, d, off, r!(s)),
                    Code::StoreW { d, s, off } => store!(u32, Size::W, d, off, r!(s)),
                    Code::StoreDw { d, s, off } => store!(u64, Size::DW, d, off, r!(s)),
                    Code::StoreImm { size, d, off, imm } => match size {
                        Size::B => store!(u8, size, d, off, imm as u64),
                        Size::H => store!(u16, size, d, off, imm as u64),
                        Size::W => store!(u32, size, d, off, imm as u64),
                        Size::DW => store!(u64, size, d, off, imm as u64),
                    },
                    Code::AtomicAddW { d, s, off } => {
                        _ = atomic!(atomic, AtomicOp::Add { fetch: false }, Size::W, d, s, off);
                    }
                    Code::AtomicAddDw { d, s, off } => {
                        _ = atomic!(atomic, AtomicOp::Add { fetch: false }, Size::DW, d, s, off);
                    }
                    Code::Atomic { size, op, d, s, off } => {
                        let old = atomic!(any_atomic, op, size, d, s, off);
                        match op {
                            AtomicOp::Add { fetch: false }
                            | AtomicOp::Or { fetch: false }
                            | AtomicOp::And { fetch: false }
                            | AtomicOp::Xor { fetch: false } => {}
                            AtomicOp::Cmpxchg => regs[0] = old,
                            AtomicOp::Add { fetch: true }
                            | AtomicOp::Or { fetch: true }
                            | AtomicOp::And { fetch: true }
                            | AtomicOp::Xor { fetch: true }
                            | AtomicOp::Xchg => r!(s) = old,
                        }
                    }
                    Code::LoadAcquire { size, d, s, off } => {
                        let addr = check!(aligned(r!(s), off, size));
                        let Some(v) = mem.load_acquire(size, addr) else {
                            trap!(memory_fault(program, mem, addr, size, false))
                        };
                        r!(d) = v;
                    }
                    Code::StoreRelease { size, d, s, off } => {
                        let addr = check!(aligned(r!(d), off, size));
                        if mem.store_release(size, addr, r!(s)).is_none() {
                            trap!(memory_fault(program, mem, addr, size, true))
                        }
                    }
                    Code::PacketAbsB { imm } => packet_load!(Size::B, imm),
                    Code::PacketAbsH { imm } => packet_load!(Size::H, imm),
                    Code::PacketAbsW { imm } => packet_load!(Size::W, imm),
                    Code::PacketInd { size, s, imm } => {
                        let off = imm.wrapping_add(r!(s) as i32);
                        match size {
                            Size::B => packet_load!(Size::B, off),
                            Size::H => packet_load!(Size::H, off),
                            Size::W => packet_load!(Size::W, off),
                            Size::DW => trap!(refuse(program, Refusal::Undecodable, next!() - 1)),
                        }
                    }
                    Code::Jump { to } => jump!(to),
                    Code::MayGoto { to } => {
                        if frames.may_goto == MAY_GOTO_LIMIT {
                            jump!(to);
                        } else {
                            frames.may_goto += 1;
                        }
                    }
                    Code::Helper { index } => {
                        burn!(1);
                        let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                        regs[0] = check!(helpers::call(index, &mut Call { program, mem, state }, args));
                    }
                    Code::Stack { helper } => {
                        burn!(1);
                        let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                        let place = Place { pc: next!() - 1, depth: frames.depth, base: frames.base };
                        let mut call = Call { program, mem, state };
                        regs[0] = check!(helpers::stack(helper, &mut call, place, args));
                    }
                    Code::Lookup => {
                        burn!(1);
                        regs[0] = match helpers::lookup_in_array(program, mem, regs[1], regs[2]) {
                            Some(value) => value,
                            None => check!(helpers::lookup(program, mem, state.vcpu, regs[1], regs[2])),
                        };
                    }
                    Code::TailCall => {
                        burn!(1);
                        match check!(tail_call(program, state, [regs[1], regs[2], regs[3]])) {
                            None => regs[0] = 0,
                            Some(target) => {
                                let ctx = regs[1];
                                state.fuel += slice;
                                slice = 0;
                                if frames.is_outermost() {
                                    return End::TailCall(target, ctx);
                                }
                                let depth = frames.depth;
                                let value = if WATCHED {
                                    chain_apart::<WATCHED>(&target, mem, state, (ctx, &[0; 4]), depth)
                                } else {
                                    follow(&target, mem, state, ctx, depth)
                                };
                                let Some(value) = value else { return End::Trap };
                                regs[0] = value;
                                mem.set_ctx(program.ctx.kind);
                                leave!();
                            }
                        }
                    }
                    Code::Subprog { to } => {
                        burn!(1);
                        if !frames.call(program, mem, &mut regs, next!(), (to as usize, false)) {
                            trap!(TrapKind::CallDepth);
                        }
                        rest = from!(to as usize);
                    }
                    Code::CallBack { call } => {
                        burn!(1);
                        let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                        match check!(callback::begin(program, mem, state, call, args)) {
                            Begin::Result(v) => regs[0] = v,
                            Begin::Calls { slot, iteration } => {
                                if !frames.call(program, mem, &mut regs, next!(), (slot, true)) {
                                    trap!(TrapKind::CallDepth);
                                }
                                mem.set_iteration(frames.depth, iteration);
                                call_back!(false);
                            }
                        }
                    }
                    Code::Exit => leave!(),
                    Code::Arena { index } => check!(arena::access(program, &mut regs, index)),
                    Code::CastUser { d, s } => {
                        set!(d, program.arena().map_or(0, |arena| arena.to_host(r!(s))));
                    }
                    Code::Throw { to } => {
                        burn!(1);
                        if to == NO_CALLBACK {
                            state.fuel += slice;
                            return End::Value(regs[1]);
                        }
                        frames.unwind(program, mem, &mut regs, to as usize);
                        rest = from!(to as usize);
                    }
                    Code::Refuse(refusal) => trap!(refuse(program, refusal, next!() - 1)),
                    Code::Outside => trap!(TrapKind::OutsideProgram),
                    $(
                        Code::$pair { d, s, d2, s2, imm, imm2 } => {
                            let v = eval::alu(AluOp::$pa, Width::$paw, r!(d), operand!($pak, s, imm));
                            linked!($pm, v, $pb $pbw $pbk, d, d2, s2, imm2);
                            part!();
                        }
                        Code::$paira { d, s, d2, s2, imm, imm2 } => {
                            let v = match AluOp::$pa {
                                AluOp::Mov => eval::alu(AluOp::Mov, Width::$paw, 0, acc),
                                op => eval::alu(op, Width::$paw, acc, operand!($pak, s, imm)),
                            };
                            linked!($pm, v, $pb $pbw $pbk, d, d2, s2, imm2);
                            part!();
                        }
                    )*
                    $(
                        Code::$branch { d, s, d2, imm, s2, imm2, to } => {
                            set!(d, eval::alu(AluOp::$ba, Width::$baw, r!(d), operand!($bak, s, imm)));
                            part!();
                            if eval::jump(JumpOp::$bj, Width::$bjw, r!(d2), operand!($bjk, s2, imm2)) { jump!(to) }
                        }
                    )*
                    $(
                        Code::$loaded { d, s, off, d2, s2, imm2 } => {
                            let v = loaded!($lt, Size::$lsize, r!(s), off);
                            linked!(apart, v, $lb $lbw $lbk, d, d2, s2, imm2);
                            part!();
                        }
                        Code::$loadedc { d, s, off, d2, s2, imm2 } => {
                            let v = loaded!($lt, Size::$lsize, r!(s), off);
                            linked!($lm, v, $lb $lbw $lbk, d, d2, s2, imm2);
                            part!();
                        }
                    )*
                    $(
                        Code::$indexed { sum, s, s2, d, off } => {
                            r!(sum) = r!(s);
                            let v = r!(sum).wrapping_add(r!(s2));
                            r!(sum) = v;
                            part!();
                            part!();
                            load!($it, Size::$isize, d, at v, off);
                        }
                        Code::$indexeda { sum, s, d, off } => {
                            let v = r!(s).wrapping_add(acc);
                            r!(sum) = v;
                            part!();
                            part!();
                            load!($it, Size::$isize, d, at v, off);
                        }
                    )*
                }
            };
        }
        /// Calls the function in the innermost frame back once more, or returns from the helper that does.
        macro_rules! call_back {
            ($stop:expr) => {{
                let (step, left) = check!(callback::next(program, mem, state, frames.depth, $stop, slice));
                slice = left;
                match step {
                    Next::Call(args) => {
                        regs[1..6].copy_from_slice(&args);
                        frames.may_goto = 0;
                        regs[10] = mem.enter_frame(frames.depth, program.stack_used);
                        rest = from!(frames.entry);
                    }
                    Next::Result(v) => {
                        rest = from!(frames.leave(mem, &mut regs));
                        regs[0] = v;
                    }
                }
            }};
        }
        /// Returns from the function.
        macro_rules! leave {
            () => {{
                if frames.is_outermost() {
                    state.fuel += slice;
                    return End::Value(regs[0]);
                }
                burn!((next!() - 1).saturating_sub(frames.entry) as u64 + 1);
                if frames.is_called_back(mem) {
                    call_back!(regs[0] != 0);
                } else {
                    rest = from!(frames.leave(mem, &mut regs));
                }
            }};
        }
        /// A legacy packet load, which returns from the function when the packet ends before.
        macro_rules! packet_load {
            ($size:expr, $off:expr) => {{
                let (size, off): (Size, i32) = ($size, $off);
                if let Some(v) = load_packet_forward(program, mem, state, size, off) {
                    regs[0] = v;
                } else if let Some(v) = check!(load_packet(program, mem, state, size, off)) {
                    regs[0] = v;
                } else {
                    regs[0] = 0;
                    leave!();
                }
            }};
        }
        operations!(dispatch);
    };
    state.trapped(program, next!() - 1, kind)
}

/// The address of an atomic access, which must be aligned: hardware differs in what it does otherwise, and the
/// verifier refuses it.
#[inline]
fn aligned(base: u64, off: i16, size: Size) -> Result<u64, TrapKind> {
    let addr = base.wrapping_add_signed(off.into());
    if addr.is_multiple_of(size.bytes() as u64) {
        Ok(addr)
    } else {
        Err(TrapKind::Misaligned { addr, size: size.bytes() as u64 })
    }
}

/// `bpf_tail_call(ctx, map, index)`: the program to go on with, `None` when the slot is empty, the index too
/// large, or 33 tail calls have been made.
pub(crate) fn tail_call(
    program: &Program,
    state: &mut State<'_>,
    [ctx, map, index]: [u64; 3],
) -> Result<Option<Arc<Program>>, TrapKind> {
    if ctx != state.ctx_addr {
        return Err(TrapKind::NotTheContext(ctx));
    }
    let map = program.map(map, state.vcpu).ok_or(TrapKind::NotAMap(map))?;
    let map_type = map.kind();
    if map_type != skep_abi::MapType::PROG_ARRAY {
        return Err(TrapKind::WrongMap { helper: "bpf_tail_call", map_type });
    }
    if state.tail_calls >= MAX_TAIL_CALLS {
        return Ok(None);
    }
    let target = map
        .get_program(index as u32)
        .and_then(|id| state.programs.program(id))
        .filter(|p| p.prog_type() == program.prog_type() && (p.is_verified() || !program.is_verified()))
        // The same type of another environment may want more of a context than this run has.
        .filter(|p| p.ctx.need <= program.ctx.need);
    if target.is_some() {
        state.tail_calls += 1;
        helpers::lock::release(program, state);
    }
    Ok(target)
}

#[cold]
fn refuse(program: &Program, refusal: Refusal, pc: usize) -> TrapKind {
    match refusal {
        Refusal::Undecodable => {
            program.decode_error(pc).map_or(TrapKind::OutsideProgram, TrapKind::BadInstruction)
        }
        Refusal::SecondSlot => TrapKind::SecondSlot,
        Refusal::FramePointer => TrapKind::FramePointer,
        Refusal::UnknownHelper(id) => TrapKind::UnknownHelper(id),
        Refusal::Kfunc(id) => TrapKind::Kfunc(id),
        Refusal::CallIndirect => TrapKind::CallIndirect,
        Refusal::JumpIndirect => TrapKind::JumpIndirect,
        Refusal::AddrSpaceCast => TrapKind::NoArena,
        Refusal::UnboundMap(idx) => TrapKind::UnboundMap(idx),
        Refusal::Variable(id) => TrapKind::Variable(id),
    }
}

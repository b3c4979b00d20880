//! Guest memory: the one place that turns an address into an access.
//!
//! A guest address is a host virtual address and an allegation until a [`Mem`] finds it in a span that the run
//! was granted: the live part of the stack, the context, the packet, lent buffers, reserved ring buffer
//! records, and the values of the program's maps. Of each kind of access, the two spans found last are asked first.
//!
//! All memory that a guest can name is accessed by relaxed atomic operations of at most the access's alignment,
//! since map memory is shared with other threads and processes. An unaligned access is made of aligned
//! parts, as on hardware that has none.
#![allow(unsafe_code)]

mod arena;
mod bits;
mod bytes;
mod inner;
mod keys;
mod line;
mod links;
mod packet;
mod span;
mod values;
mod word;

use alloc::sync::Arc;
use core::marker::PhantomData;
use core::ptr::with_exposed_provenance_mut;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use skep_isa::{AtomicOp, Size};
use skep_maps::Map;
use skep_spec::CloneRedirect;

pub(crate) use arena::{arena_atomic, arena_load, arena_store};
pub(crate) use bits::WORDS as BITS_WORDS;
pub(crate) use line::{begin_at_line, move_on};
pub(crate) use links::{Alike, no_links};
pub use links::{LINKS, Link};
pub(crate) use span::Name;
use span::{Recent, Span, Tag};
pub(crate) use values::MapSet;
pub(crate) use word::Word;

use crate::bound;
use crate::callback::Iteration;
use crate::trap::{MemoryFault, NEAR, Region};

mod probe;

pub(crate) use probe::Probe;

/// Bytes of a function's stack frame (`MAX_BPF_STACK`).
pub const FRAME_BYTES: usize = 512;
/// Bytes of a frame that are zeroed together: most functions use no more.
const FEW: usize = 64;
/// Functions deep that one program may be (`MAX_CALL_FRAMES`).
pub const CALL_FRAMES: usize = 8;
/// Functions deep with all that tail calls out of functions leave waiting. Linux has room for seven of them for each
/// of 33 tail calls; here there is room for one, and for one program's own calls.
pub const FRAMES: usize = CALL_FRAMES + 33;
/// Ring buffer records that a run may hold at a time.
pub const RECORDS: usize = 32;
/// Copies of the packet that a run may send (`bpf_clone_redirect`).
pub const CLONES: usize = 16;
/// Buffers that may be lent to a run beside context and packet.
pub const BUFFERS: usize = 4;

/// Bytes of all frames.
const STACK_BYTES: usize = FRAMES * FRAME_BYTES;

/// The stack of a run: [`FRAMES`] of 512 bytes, and what the interpreter keeps for each. Reused from run to run,
/// so that a run need not clear it; a frame is zeroed when it is entered.
#[repr(C, align(16))]
pub struct Stack {
    bytes: [u8; STACK_BYTES + keys::BYTES],
    scratch: Scratch,
}

impl Stack {
    /// A zeroed stack.
    pub const fn new() -> Self {
        Self { bytes: [0; STACK_BYTES + keys::BYTES], scratch: Scratch::new() }
    }

    /// Lets go of the programs that runs on this stack have gone on with by tail calls: they are kept so that the next run
    /// finds them at once ([`Programs::version`](crate::Programs::version)).
    pub fn forget_programs(&mut self) {
        self.scratch.clear_links();
    }
}

impl Default for Stack {
    fn default() -> Self {
        Self::new()
    }
}

/// What a run keeps out of its programs' reach. Contents from before a run mean nothing.
pub(crate) struct Scratch {
    saved: [Saved; FRAMES],
    iterations: [Iteration; FRAMES],
    keys: keys::Keys,
    /// Records that the run holds: address, length, and the register content that stands for their map.
    records: [(u64, u64, u64); RECORDS],
    /// Copies of the packet that the run has sent.
    clones: [CloneRedirect; CLONES],
    inner: inner::Inner,
    bits: bits::Bits,
    links: links::Links,
}

impl Scratch {
    const fn new() -> Self {
        let saved = Saved { pc: 0, callee_saved: [0; 4], entry: 0, may_goto: 0, callback: false };
        let (iterations, keys) = ([Iteration::NONE; FRAMES], keys::NONE);
        let clone = CloneRedirect { ifindex: 0, ingress: false, len: 0 };
        let (records, clones) = ([(0, 0, 0); RECORDS], [clone; CLONES]);
        Self {
            saved: [saved; FRAMES],
            iterations,
            keys,
            records,
            clones,
            inner: inner::Inner::NONE,
            bits: bits::NONE,
            links: links::Links::NONE,
        }
    }

    /// The first `count` copies that the run has sent.
    pub(crate) fn clones(&self, count: usize) -> &[CloneRedirect] {
        &self.clones[..count]
    }
}

/// What a caller gets back when its callee returns.
#[derive(Clone, Copy)]
pub(crate) struct Saved {
    /// Slot to go on at.
    pub(crate) pc: usize,
    /// `r6` to `r9`.
    pub(crate) callee_saved: [u64; 4],
    /// First slot of the function.
    pub(crate) entry: usize,
    /// Passes of `may_goto`.
    pub(crate) may_goto: u32,
    /// The callee is called by a helper, which may call it again.
    pub(crate) callback: bool,
}

/// Memory that is lent for `'a`: if it is writable exclusively, so nobody else reads or writes it meanwhile,
/// otherwise such that nobody writes it.
#[derive(Clone, Copy)]
pub(crate) struct Lent<'a> {
    span: Span,
    life: PhantomData<&'a mut [u8]>,
}

impl<'a> Lent<'a> {
    pub(crate) const NONE: Self = Self { span: Span::EMPTY, life: PhantomData };

    #[inline(always)]
    pub(crate) fn new(bytes: &'a mut [u8], write: bool, name: Name) -> Self {
        let len = bytes.len() as u64;
        let start = bytes.as_mut_ptr().expose_provenance() as u64;
        Self { span: Span { start, len, tag: Tag::new(name, true, write) }, life: PhantomData }
    }

    /// Never written: not granted for stores, and [`Mem::packet_writable`] keeps helpers away.
    #[inline(always)]
    pub(crate) fn read_only(bytes: &'a [u8], name: Name) -> Self {
        let len = bytes.len() as u64;
        let start = bytes.as_ptr().expose_provenance() as u64;
        Self { span: Span { start, len, tag: Tag::new(name, true, false) }, life: PhantomData }
    }

    #[inline(always)]
    pub(crate) fn start(&self) -> u64 {
        self.span.start
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.span.len as usize
    }
}

/// What a run is lent.
pub(crate) struct Loan<'a> {
    pub(crate) stack: Lent<'a>,
    pub(crate) ctx: Lent<'a>,
    pub(crate) packet: Lent<'a>,
    pub(crate) buffers: [Lent<'a>; BUFFERS],
}

impl<'a> Loan<'a> {
    /// A stack and nothing else, and what the interpreter has of it.
    #[inline(always)]
    pub(crate) fn new(stack: &'a mut Stack) -> (Self, &'a mut Scratch) {
        let stack_bytes = Lent::new(&mut stack.bytes, true, Name::Stack);
        let buffers = [Lent::NONE; BUFFERS];
        let loan = Self { stack: stack_bytes, ctx: Lent::NONE, packet: Lent::NONE, buffers };
        (loan, &mut stack.scratch)
    }
}

/// How a context is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CtxKind {
    /// Bytes from this offset on, written if the flag says so.
    Buffer { from: usize, write: bool },
    /// Field by field, through [`Mem::ctx_load`] and [`Mem::ctx_store`].
    Fields,
}

/// The frames 0 to `depth` of a stack that ends at `top`.
#[inline(always)]
fn frames(top: u64, depth: usize) -> Span {
    let len = ((depth + 1) * FRAME_BYTES) as u64;
    Span { start: top - len, len, tag: Tag::new(Name::Stack, true, true) }
}

/// The part of the stack that is granted, which is always longer than a word.
#[inline(always)]
fn recent_stack(stack: &Span) -> Recent {
    Recent::of(stack, true).expect("a frame is 512 bytes that may be written")
}

#[inline(always)]
fn pointer(addr: u64) -> *mut u8 {
    with_exposed_provenance_mut(addr as usize)
}

/// What was granted before a program was entered.
#[derive(Debug)]
pub(crate) struct Entered {
    set: *const MapSet,
    record_base: usize,
    keys: u64,
    /// Maps in maps of maps that were told of the run; `usize::MAX` when nobody looked.
    told: usize,
}

/// What may be accessed now.
pub(crate) struct Mem<'m> {
    /// The spans that loads found last, the newest first: each is one of those below.
    loads: [Recent; 2],
    /// As `loads`, for stores.
    stores: [Recent; 2],
    stack: Span,
    ctx: Span,
    /// Bytes of the context that are accessed field by field: all or none.
    fields: u64,
    packet: Span,
    loan: &'m Loan<'m>,
    scratch: &'m mut Scratch,
    /// Frames whose function was called back with a key, by bit.
    keys: u64,
    /// Frames whose function is called with samples of a user ring buffer, by bit.
    drains: u64,
    /// Places of open iterators over bits, by bit.
    bits: u8,
    record_count: usize,
    /// Records before this one belong to the maps of an outer program.
    record_base: usize,
    /// Maps whose values are granted: null or valid, see `enter_program`.
    set: *const MapSet,
    life: PhantomData<&'m mut [u8]>,
}

impl<'m> Mem<'m> {
    /// Knows what is lent, and grants none of it but the buffers and the first frame yet.
    #[inline(always)]
    pub(crate) fn new(loan: &'m mut Loan<'_>, scratch: &'m mut Scratch) -> Self {
        let stack = frames(loan.stack.span.start + STACK_BYTES as u64, 0);
        Self {
            loads: [recent_stack(&stack); 2],
            stores: [recent_stack(&stack); 2],
            stack,
            ctx: Span::EMPTY,
            fields: 0,
            packet: Span::EMPTY,
            loan,
            scratch,
            keys: 0,
            drains: 0,
            bits: 0,
            record_count: 0,
            record_base: 0,
            set: core::ptr::null(),
            life: PhantomData,
        }
    }

    /// Runs `f` with what a program is granted instead of what was before: the frames 0 to `depth`, the values of its
    /// maps, the context as it accesses it, and the packet if it has any business there. Records that `f` leaves are no longer
    /// granted afterwards. The maps know that a run lasts on `vcpu`.
    #[inline(always)]
    pub(crate) fn with_program<R>(
        &mut self,
        maps: &MapSet,
        ctx: CtxKind,
        packet: Option<(usize, usize)>,
        (depth, vcpu): (usize, u32),
        f: impl FnOnce(&mut Self) -> R,
    ) -> R {
        struct Restore<'s, 'm> {
            mem: &'s mut Mem<'m>,
            waiting: &'s [Arc<Map>],
            vcpu: u32,
            entered: Entered,
        }
        impl Drop for Restore<'_, '_> {
            #[inline(always)]
            fn drop(&mut self) {
                self.mem.leave_program(&self.entered, self.waiting, self.vcpu);
            }
        }
        // SAFETY: `maps` is borrowed until `restore` has been dropped, also when `f` unwinds.
        let entered = unsafe { self.enter_program(maps, ctx, packet, (depth, vcpu)) };
        let restore = Restore { mem: self, waiting: maps.waiting(), vcpu, entered };
        f(&mut *restore.mem)
    }

    /// Grants what a program is granted, instead of what was before: see [`Self::with_program`].
    ///
    /// # Safety
    /// The maps live until [`Self::leave_program`] has taken it all back.
    #[inline(always)]
    pub(crate) unsafe fn enter_program(
        &mut self,
        maps: &MapSet,
        ctx: CtxKind,
        packet: Option<(usize, usize)>,
        (depth, vcpu): (usize, u32),
    ) -> Entered {
        // The outer program's keys lie in its own maps.
        let (set, record_base, keys) = (self.set, self.record_base, core::mem::take(&mut self.keys));
        self.set = maps;
        self.record_base = self.record_count;
        self.grant_ctx(ctx);
        if let Some((from, to)) = packet {
            self.grant_packet(from, to);
        }
        self.set_depth(depth);
        maps.waiting().iter().for_each(|map| map.begin_run(vcpu));
        // Most programs have no maps of maps, and look at none of this.
        let told = if maps.outer().is_empty() { usize::MAX } else { self.enter_maps(vcpu) };
        Entered { set, record_base, keys, told }
    }

    /// Takes back what a program was granted; `waiting` are its maps that are told.
    #[inline(always)]
    pub(crate) fn leave_program(&mut self, entered: &Entered, waiting: &[Arc<Map>], vcpu: u32) {
        self.set = entered.set;
        self.record_count = self.record_base;
        self.record_base = entered.record_base;
        self.keys = entered.keys;
        self.forget_all();
        if entered.told != usize::MAX {
            self.leave_maps(entered.told, vcpu);
        }
        waiting.iter().for_each(|map| map.end_run(vcpu));
    }

    /// Grants all of the stack, for functions whose frames nobody counts.
    pub(crate) fn grant_stack(&mut self) {
        self.set_depth(FRAMES - 1);
    }

    /// Bytes of the context.
    #[inline(always)]
    pub(crate) fn ctx_bytes(&self) -> usize {
        self.loan.ctx.len()
    }

    /// Whether an access of 1 to 8 bytes is granted, or is one of a context's image, whose fields are accessed where they lie.
    pub(crate) fn may_access(&mut self, addr: u64, size: u64, write: bool) -> bool {
        self.find_word(addr, size, write)
            || self.ctx_offset(addr).is_some_and(|off| size <= self.fields - off)
    }

    /// Where the first frame ends.
    #[inline(always)]
    pub(crate) fn stack_top(&self) -> u64 {
        self.loan.stack.span.start + STACK_BYTES as u64
    }

    fn set(&self) -> Option<&MapSet> {
        // SAFETY: set only by `new` (null) and `enter_program`, whose caller keeps the map set until `leave_program`
        // puts the former value back, also when something unwinds; the result's lifetime is a borrow of `self`, which
        // nobody holds over that.
        unsafe { self.set.as_ref() }
    }

    fn values(&self) -> &[Span] {
        self.set().map_or(&[], MapSet::values)
    }

    /// Forgets what was found: something may not be granted any longer. What a program is likely to look for
    /// takes the place: the stack, and the packet or the context.
    #[inline(always)]
    fn forget(&mut self) {
        let stack = recent_stack(&self.stack);
        let other = Recent::of(&self.packet, false).or_else(|| Recent::of(&self.ctx, false));
        self.loads = [stack, other.unwrap_or(stack)];
        self.stores = [stack; 2];
    }

    /// As [`Self::forget`], where nobody is about to look for anything.
    #[inline(always)]
    fn forget_all(&mut self) {
        let stack = recent_stack(&self.stack);
        self.loads = [stack; 2];
        self.stores = [stack; 2];
    }

    /// Says how the context is accessed.
    pub(crate) fn set_ctx(&mut self, kind: CtxKind) {
        self.grant_ctx(kind);
        self.forget();
    }

    #[inline(always)]
    fn grant_ctx(&mut self, kind: CtxKind) {
        let whole = &self.loan.ctx.span;
        (self.ctx, self.fields) = match kind {
            CtxKind::Fields => (Span::EMPTY, whole.len),
            CtxKind::Buffer { from, write } => {
                let from = (from as u64).min(whole.len);
                let tag = whole.tag.with_write(write);
                (Span { start: whole.start + from, len: whole.len - from, tag }, 0)
            }
        };
    }

    /// Grants the frames 0 to `depth` and nothing below; gives the address above frame `depth`, of which the upper
    /// `used` bytes at least are zeroed: all that the program can reach of a frame before it has
    /// written there.
    #[inline(always)]
    pub(crate) fn enter_frame(&mut self, depth: usize, used: u32) -> u64 {
        self.set_depth(depth);
        self.clean_frame(used)
    }

    /// The address above the innermost frame that is granted, which is zeroed as [`Self::enter_frame`] says.
    #[inline(always)]
    pub(crate) fn clean_frame(&mut self, used: u32) -> u64 {
        let top = self.stack.start + FRAME_BYTES as u64;
        match used as usize {
            0 => {}
            // SAFETY: the frame lies in the stack, which is lent to the run and 16-aligned; FRAME_BYTES bytes end at
            // `top`, more than are zeroed here.
            1..=FEW => unsafe { pointer(top - FEW as u64).write_bytes(0, FEW) },
            used => {
                let used = used.min(FRAME_BYTES);
                // SAFETY: as above.
                unsafe { pointer(top - used as u64).write_bytes(0, used) };
            }
        }
        top
    }

    /// As [`Self::enter_frame`] for a frame that is returned to.
    #[inline(always)]
    pub(crate) fn set_depth(&mut self, depth: usize) -> u64 {
        assert!(depth < FRAMES, "the interpreter counts frames");
        self.stack = frames(self.stack_top(), depth);
        self.forget();
        self.stack.start + FRAME_BYTES as u64
    }

    /// Grants the bytes `from..to` of the packet buffer and no others of it.
    pub(crate) fn set_packet(&mut self, from: usize, to: usize) {
        self.grant_packet(from, to);
        self.forget();
    }

    #[inline(always)]
    fn grant_packet(&mut self, from: usize, to: usize) {
        let whole = &self.loan.packet.span;
        let to = (to as u64).min(whole.len);
        let from = (from as u64).min(to);
        self.packet = Span { start: whole.start + from, len: to - from, tag: whole.tag };
    }

    /// Keeps a copy of the packet that is sent as number `count` of the run; `false` when there are too many.
    pub(crate) fn keep_clone(&mut self, count: usize, clone: CloneRedirect) -> bool {
        let free = self.scratch.clones.get_mut(count);
        free.map(|slot| *slot = clone).is_some()
    }

    /// Reserves a record in a ring buffer of the innermost program, or one that it found in a map of maps, and grants it;
    /// `value` stands for the map in registers. `None` when the run holds too many, or for the ring buffer's reasons.
    pub(crate) fn reserve_record(&mut self, value: u64, size: u64, flags: u64, vcpu: u32) -> Option<u64> {
        if self.record_count == RECORDS {
            return None;
        }
        // The record lives as long as its map: see `with_program` and `inner`.
        let start =
            bound::find(self.set()?.maps(), value, vcpu)?.ringbuf()?.reserve(size, flags, vcpu).ok()?;
        self.scratch.records[self.record_count] = (start, size, value);
        self.record_count += 1;
        Some(start)
    }

    /// Takes a record back, and gives what stands for its map; `None` when there is none at the address.
    pub(crate) fn remove_record(&mut self, addr: u64) -> Option<u64> {
        let open = &self.scratch.records[self.record_base..self.record_count];
        let i = self.record_base + open.iter().position(|r| r.0 == addr)?;
        let map = self.scratch.records[i].2;
        self.record_count -= 1;
        self.scratch.records[i] = self.scratch.records[self.record_count];
        self.forget();
        Some(map)
    }

    /// Whether the innermost program holds records.
    #[inline(always)]
    pub(crate) fn holds_records(&self) -> bool {
        self.record_count != self.record_base
    }

    /// The address of a record that the innermost program still holds.
    pub(crate) fn open_record(&self) -> Option<u64> {
        self.scratch.records[self.record_base..self.record_count].last().map(|r| r.0)
    }

    /// The records that are granted.
    fn records(&self) -> impl Iterator<Item = Span> {
        let open = self.scratch.records[..self.record_count].iter();
        open.map(|&(start, len, _)| Span { start, len, tag: Tag::new(Name::Record, true, true) })
    }

    /// Keeps what the caller of the function in frame `depth` gets back.
    pub(crate) fn save(&mut self, depth: usize, saved: Saved) {
        self.scratch.saved[depth] = saved;
    }

    /// What was kept for frame `depth`.
    pub(crate) fn saved(&self, depth: usize) -> Saved {
        self.scratch.saved[depth]
    }

    /// Whether a word (1 to 8 bytes) is granted.
    #[inline(always)]
    fn find_word(&mut self, addr: u64, size: u64, write: bool) -> bool {
        let recent = if write { &self.stores } else { &self.loads };
        recent[0].holds(addr, size) || self.find_again(addr, size, write)
    }

    /// Looks elsewhere, and remembers where it was.
    #[inline(never)]
    fn find_again(&mut self, addr: u64, size: u64, write: bool) -> bool {
        let recent = if write { &mut self.stores } else { &mut self.loads };
        if recent[1].holds(addr, size) {
            recent.swap(0, 1);
            return true;
        }
        let Some(span) = self.granting(addr, size, write) else { return false };
        if let Some(new) = Recent::of(&span.around(addr), write) {
            let recent = if write { &mut self.stores } else { &mut self.loads };
            *recent = [new, recent[0]];
        }
        true
    }

    /// Whether bytes (at least 1) are granted.
    #[inline]
    fn find(&mut self, addr: u64, size: u64, write: bool) -> bool {
        match size {
            1..=8 => self.find_word(addr, size, write),
            _ => self.granting(addr, size, write).is_some(),
        }
    }

    /// The span that grants an access.
    #[inline]
    fn granting(&self, addr: u64, size: u64, write: bool) -> Option<Span> {
        let grants = |span: &&Span| span.grants(addr, size, write);
        let fixed = [&self.stack, &self.packet, &self.ctx].into_iter().find(grants);
        let found = fixed.or_else(|| self.values().iter().find(grants));
        let found = found.or_else(|| self.loan.buffers.iter().map(|b| &b.span).find(grants)).copied();
        found
            .or_else(|| self.records().find(|s| s.grants(addr, size, write)))
            .or_else(|| self.keys().find(|s| s.grants(addr, size, write)))
            .or_else(|| self.inner_span(addr, size, write))
    }

    /// Loads a word, zero-extended; `None` when it is not granted.
    #[inline(always)]
    pub(crate) fn load<W: Word>(&mut self, addr: u64) -> Option<u64> {
        // SAFETY: `find` has said that the bytes lie in a span, and a span's memory lives: lent memory for 'm,
        // map values and keys while `maps` does, and what is in maps of maps with them (see `inner`), records while
        // their map does (see `with_program`).
        self.find_word(addr, W::BYTES, false).then(|| unsafe { W::load(pointer(addr)) })
    }

    /// Stores the low bytes of a word; `None` when it is not granted.
    #[inline(always)]
    pub(crate) fn store<W: Word>(&mut self, addr: u64, v: u64) -> Option<()> {
        // SAFETY: as in `load`; the span is writable.
        self.find_word(addr, W::BYTES, true).then(|| unsafe { W::store(pointer(addr), v) })
    }

    /// An atomic read-modify-write of 4 or 8 bytes, sequentially consistent as the kernel's; gives the old
    /// content, zero-extended. `None` when it is not granted. The address is aligned.
    #[inline(always)]
    pub(crate) fn atomic(&mut self, op: AtomicOp, size: Size, addr: u64, src: u64, r0: u64) -> Option<u64> {
        assert!(addr.is_multiple_of(size.bytes() as u64), "the interpreter checks alignment");
        if !self.find(addr, size.bytes() as u64, true) {
            return None;
        }
        // SAFETY: as in `store`, and aligned.
        Some(unsafe { word::atomic_word(pointer(addr), op, size, src, r0) })
    }

    /// As [`Self::atomic`], for an operation that is not known when this is compiled.
    #[inline(never)]
    pub(crate) fn any_atomic(
        &mut self,
        op: AtomicOp,
        size: Size,
        addr: u64,
        src: u64,
        r0: u64,
    ) -> Option<u64> {
        self.atomic(op, size, addr, src, r0)
    }

    /// A load with acquire order; as [`Self::load`] otherwise. The address is aligned.
    pub(crate) fn load_acquire(&mut self, size: Size, addr: u64) -> Option<u64> {
        assert!(addr.is_multiple_of(size.bytes() as u64), "the interpreter checks alignment");
        // SAFETY: as in `load`, and aligned.
        self.find(addr, size.bytes() as u64, false).then(|| unsafe {
            match size {
                Size::DW => AtomicU64::from_ptr(pointer(addr).cast()).load(Ordering::Acquire),
                Size::W => AtomicU32::from_ptr(pointer(addr).cast()).load(Ordering::Acquire).into(),
                Size::H => AtomicU16::from_ptr(pointer(addr).cast()).load(Ordering::Acquire).into(),
                Size::B => AtomicU8::from_ptr(pointer(addr)).load(Ordering::Acquire).into(),
            }
        })
    }

    /// A store with release order; as [`Self::store`] otherwise. The address is aligned.
    pub(crate) fn store_release(&mut self, size: Size, addr: u64, v: u64) -> Option<()> {
        assert!(addr.is_multiple_of(size.bytes() as u64), "the interpreter checks alignment");
        // SAFETY: as in `store`, and aligned.
        self.find(addr, size.bytes() as u64, true).then(|| unsafe {
            match size {
                Size::DW => AtomicU64::from_ptr(pointer(addr).cast()).store(v, Ordering::Release),
                Size::W => AtomicU32::from_ptr(pointer(addr).cast()).store(v as u32, Ordering::Release),
                Size::H => AtomicU16::from_ptr(pointer(addr).cast()).store(v as u16, Ordering::Release),
                Size::B => AtomicU8::from_ptr(pointer(addr)).store(v as u8, Ordering::Release),
            }
        })
    }

    /// The offset in a context of fields that an access names, if it starts inside.
    #[inline]
    pub(crate) fn ctx_offset(&self, addr: u64) -> Option<u64> {
        let off = addr.wrapping_sub(self.loan.ctx.span.start);
        (off < self.fields).then_some(off)
    }

    /// Loads from the context image. The part lies inside.
    pub(crate) fn ctx_load(&self, off: u64, size: Size) -> u64 {
        let at = pointer(self.ctx_part(off, size));
        // SAFETY: `ctx_part` has bounded the bytes; the context is lent for 'm.
        unsafe {
            match size {
                Size::B => u8::load(at),
                Size::H => u16::load(at),
                Size::W => u32::load(at),
                Size::DW => u64::load(at),
            }
        }
    }

    /// Stores to the context image. The part lies inside.
    pub(crate) fn ctx_store(&mut self, off: u64, size: Size, v: u64) {
        let at = pointer(self.ctx_part(off, size));
        // SAFETY: as in `ctx_load`; lent exclusively.
        unsafe {
            match size {
                Size::B => u8::store(at, v),
                Size::H => u16::store(at, v),
                Size::W => u32::store(at, v),
                Size::DW => u64::store(at, v),
            }
        }
    }

    fn ctx_part(&self, off: u64, size: Size) -> u64 {
        let len = self.fields;
        assert!(off <= len && size.bytes() as u64 <= len - off, "callers check against the context's rows");
        self.loan.ctx.span.start + off
    }

    /// What memory of the run an address lies in, or just behind, and its start.
    pub(crate) fn region_of(&self, addr: u64) -> Option<(Name, u64)> {
        let fixed = [&self.stack, &self.loan.ctx.span, &self.packet].into_iter();
        let all = fixed.chain(self.values()).chain(self.loan.buffers.iter().map(|b| &b.span)).copied();
        let all = || all.clone().chain(self.records()).chain(self.keys()).filter(|s| s.len > 0);
        let inside = all().find(|s| s.holds(addr, 1));
        inside.or_else(|| all().find(|s| s.start + s.len == addr)).map(|s| (s.tag.name(), s.start))
    }

    /// The frame, at most `depth`, that an address of the stack lies in or whose end it is, and the distance from
    /// that.
    pub(crate) fn frame_of(&self, addr: u64, depth: usize) -> (usize, i64) {
        let below = self.stack_top() - addr;
        let frame = (below as usize / FRAME_BYTES).min(depth);
        (frame, (frame * FRAME_BYTES) as i64 - below as i64)
    }

    /// Where the `r10` of a frame points.
    pub(crate) fn frame_end(&self, frame: usize) -> u64 {
        self.stack_top() - (frame * FRAME_BYTES) as u64
    }

    /// The fault of an access that was refused.
    #[cold]
    pub(crate) fn fault(&self, addr: u64, size: u64, write: bool) -> MemoryFault {
        let fields = Span { len: self.fields, ..self.loan.ctx.span };
        let fixed = [&self.stack, &fields, &self.ctx, &self.packet].into_iter();
        let all = fixed
            .chain(self.loan.buffers.iter().map(|b| &b.span))
            .chain(self.values())
            .copied()
            .chain(self.records())
            .chain(self.keys());
        let distance = |r: &Region| match addr.checked_sub(r.start) {
            None => r.start - addr,
            Some(off) => off.saturating_sub(r.len - 1),
        };
        let nearest = all.filter_map(|s| s.region()).min_by_key(distance);
        let near = nearest.filter(|r| distance(r) <= NEAR);
        MemoryFault { addr, size, write, near }
    }
}

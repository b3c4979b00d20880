//! Shared memory: blocks, and the only ways to read and write them.
//!
//! Others (programs, peer processes) write the same memory at any time, so there are no references to its
//! bytes: it is read and written in naturally aligned words, atomically with relaxed order, and whatever
//! was read may be anything. A copy is atomic by word, as the kernel's `bpf_long_memcpy` is, not as a
//! whole.
#![allow(unsafe_code)]

mod cell;

use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU8;

use crate::sync::{AtomicU32, AtomicUsize, Ordering::Relaxed, step};

/// Bytes of a machine word, the unit of copying.
const WORD: usize = size_of::<usize>();

/// Where maps get their memory.
///
/// # Safety
/// Each [`Block`] that an implementation returns
/// - is zeroed, or for a map that is opened as others left it,
/// - is at least as long as was asked for,
/// - starts at a multiple of [`Self::page_size`].
pub unsafe trait Memory {
    /// Bytes of a page, a power of two of at least 4096: the unit of the payload's layout.
    fn page_size(&self) -> usize;
    /// Memory that consumers may map: kernel layout from offset 0. `None` when there is not enough.
    fn payload(&self, len: usize) -> Option<Block>;
    /// Memory for headers, tables and locks, never given to consumers of the payload. `None` when there
    /// is not enough.
    fn metadata(&self, len: usize) -> Option<Block>;
}

/// A block of zeroed memory that others may write at any time.
pub struct Block {
    base: NonNull<u8>,
    len: usize,
    discard: Option<Discard>,
    _owner: Box<dyn Send + Sync>,
}

/// Gives pages back to the system, from an address on; whether it did. The caller promises that so many bytes from there on are whole
/// pages of a mapping that is his, and that nothing needs what they hold.
pub type Discard = unsafe fn(*mut u8, usize) -> bool;

// SAFETY: all access goes through atomics (this module), and the owner, which frees the memory, is Send.
unsafe impl Send for Block {}
// SAFETY: as above, and the owner is Sync.
unsafe impl Sync for Block {}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({:p}, {} bytes)", self.base, self.len)
    }
}

impl Block {
    /// A block over memory that `owner` frees when it is dropped.
    ///
    /// # Safety
    /// - `base` is aligned to 4096 bytes and valid for reads and writes of `len` bytes until `owner` is
    ///   dropped; `len` is at most `isize::MAX`;
    /// - nobody holds a Rust reference to the memory, and everybody in this process accesses it by atomic
    ///   operations or from outside Rust (programs).
    pub unsafe fn new(base: NonNull<u8>, len: usize, owner: Box<dyn Send + Sync>) -> Self {
        Self { base, len, discard: None, _owner: owner }
    }

    /// The same, of which pages can be given back.
    ///
    /// # Safety
    /// After `discard` with whole pages of the block
    /// - they are still valid for reads and writes, and hold zeros or what somebody has written since, if it gave `true`;
    /// - nothing else has changed.
    #[must_use]
    pub unsafe fn with_discard(self, discard: Discard) -> Self {
        Self { discard: Some(discard), ..self }
    }

    /// Gives whole pages back to the system, if it takes them: they are zeros then.
    pub(crate) fn discard(&self, off: usize, len: usize) {
        let at = self.span(off, len);
        if let Some(discard) = self.discard {
            // SAFETY: within the block by `span`; callers count in its pages.
            unsafe { discard(at, len) };
        }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The host address of an offset.
    pub fn addr(&self, off: usize) -> u64 {
        self.base.as_ptr() as usize as u64 + off as u64
    }

    /// The pointer to `len` bytes from `off`.
    ///
    /// Panics outside the block: callers bound what they read from shared memory against their private
    /// geometry, which the block was made for.
    #[inline(always)]
    fn span(&self, off: usize, len: usize) -> *mut u8 {
        if len > self.len || off > self.len - len {
            outside(off, len, self.len);
        }
        // SAFETY: `off <= self.len`, within the one allocation.
        unsafe { self.base.as_ptr().add(off) }
    }

    /// The 32-bit word at a multiple of 4.
    #[inline(always)]
    pub(crate) fn u32(&self, off: usize) -> &AtomicU32 {
        let [word] = self.words(off);
        word
    }

    /// The 32-bit words from a multiple of 4 on.
    #[inline(always)]
    pub(crate) fn words<const N: usize>(&self, off: usize) -> &[AtomicU32; N] {
        let p = self.span(off, 4 * N);
        if !off.is_multiple_of(4) {
            unaligned(off);
        }
        // SAFETY: in bounds and aligned (the base is aligned to 4096); valid while `self` lives; only accessed
        // atomically. `sync::AtomicU32` is core's, or a transparent wrapper of it.
        unsafe { &*p.cast::<[AtomicU32; N]>() }
    }

    /// The machine word at a multiple of its size.
    #[inline]
    pub(crate) fn word(&self, off: usize) -> &AtomicUsize {
        let p = self.span(off, WORD);
        if !off.is_multiple_of(WORD) {
            unaligned(off);
        }
        // SAFETY: as in `words`.
        unsafe { &*p.cast::<AtomicUsize>() }
    }

    /// The 8 bytes at a multiple of 8, as a number of native order.
    #[inline(always)]
    pub(crate) fn load_u64(&self, off: usize) -> u64 {
        let p = self.span(off, 8);
        if !off.is_multiple_of(8) {
            unaligned(off);
        }
        step();
        // SAFETY: in bounds and aligned; only loaded from.
        unsafe { load_u64(p) }
    }

    /// Says that what stands at an offset will be read soon.
    #[inline(always)]
    pub(crate) fn prefetch(&self, off: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if off < self.len {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: inside the block, and only a hint.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.base.as_ptr().add(off).cast()) };
        }
        let _ = off;
    }

    /// Writes bytes, and zeros behind them up to a multiple of 8. The offset is one too.
    #[inline(always)]
    pub(crate) fn write_padded(&self, off: usize, bytes: Bytes<'_>) {
        let len = bytes.len.next_multiple_of(8);
        let to = self.span(off, len);
        if !off.is_multiple_of(8) {
            unaligned(off);
        }
        for i in 0..len / 8 {
            // SAFETY: byte 8i+7 is below `len`, in bounds, aligned.
            unsafe { store_u64(to.add(8 * i), bytes.word_at(i)) };
        }
    }

    /// Writes bytes.
    #[inline]
    pub(crate) fn write(&self, off: usize, bytes: Bytes<'_>) {
        let to = self.span(off, bytes.len);
        // SAFETY: `to` is valid for writes of `bytes.len` bytes by `span`, `bytes` for reads by its
        // constructors.
        unsafe { copy(bytes.ptr, to, bytes.len) }
    }

    /// Writes zeros.
    pub(crate) fn zero(&self, off: usize, len: usize) {
        let to = self.span(off, len);
        // SAFETY: `to` is valid for writes of `len` bytes by `span`.
        unsafe { zero(to, len) }
    }

    /// A view of the bytes, to copy or compare.
    #[inline]
    pub(crate) fn bytes(&self, off: usize, len: usize) -> Bytes<'_> {
        Bytes { ptr: self.span(off, len), len, life: PhantomData }
    }
}

#[cold]
#[inline(never)]
fn outside(off: usize, len: usize, all: usize) -> ! {
    panic!("offset {off}+{len} of a block of {all}")
}

#[cold]
#[inline(never)]
fn unaligned(off: usize) -> ! {
    panic!("a word at offset {off}")
}

/// Bytes to copy from: private, or shared with others that may write them meanwhile.
///
/// Only ever read by word-wise relaxed atomic loads.
#[derive(Clone, Copy)]
pub struct Bytes<'a> {
    ptr: *const u8,
    len: usize,
    life: PhantomData<&'a [u8]>,
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len(), life: PhantomData }
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Bytes<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({:p}, {} bytes)", self.ptr, self.len)
    }
}

impl Bytes<'_> {
    /// Memory that a guest named and that was granted to it.
    ///
    /// # Safety
    /// For the lifetime, which the caller chooses,
    /// - the memory from host address `addr` is valid for reads of `len` bytes;
    /// - whoever writes it in this process does so atomically or from outside Rust (programs).
    #[inline(always)]
    pub unsafe fn shared(addr: u64, len: usize) -> Self {
        Self { ptr: core::ptr::with_exposed_provenance(addr as usize), len, life: PhantomData }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number in 4 bytes of native order; `None` for any other length.
    #[inline]
    pub(crate) fn as_u32(&self) -> Option<u32> {
        if self.len != 4 {
            return None;
        }
        // SAFETY: 4 readable bytes by the constructor.
        Some(unsafe { load_u32(self.ptr) })
    }

    /// Copies out as much as `to` takes.
    #[inline]
    pub(crate) fn copy_to(&self, to: &mut [u8]) {
        let len = self.len.min(to.len());
        // SAFETY: readable by the constructor; writable since `to` is a private slice of at least `len`.
        unsafe { copy(self.ptr, to.as_mut_ptr(), len) }
    }

    /// Part of the bytes; empty past the end.
    pub(crate) fn slice(&self, off: usize, len: usize) -> Self {
        let off = off.min(self.len);
        // SAFETY: `off <= self.len`, within the same memory.
        Self { ptr: unsafe { self.ptr.add(off) }, len: len.min(self.len - off), life: PhantomData }
    }

    /// Whether the bytes are equal, each read once.
    #[inline(always)]
    pub(crate) fn equals(&self, other: Bytes<'_>) -> bool {
        if self.len != other.len {
            return false;
        }
        // What most keys are.
        match self.len {
            4 => self.word_at(0) == other.word_at(0),
            8 => self.word_at(0) == other.word_at(0),
            _ => self.equals_by_words(other),
        }
    }

    #[inline(never)]
    fn equals_by_words(&self, other: Bytes<'_>) -> bool {
        self.words().zip(other.words()).all(|(a, b)| a == b)
    }

    /// The bytes as 64-bit words of native order, the last filled with zeros.
    #[inline(always)]
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> {
        (0..self.len.div_ceil(8)).map(|i| self.word_at(i))
    }

    /// A 64-bit word of the bytes, filled with zeros behind the end; 0 past it.
    #[inline(always)]
    pub(crate) fn word_at(&self, i: usize) -> u64 {
        step();
        let (ptr, left) = (self.ptr, self.len.saturating_sub(8 * i));
        match left {
            // SAFETY: bytes 8i to 8i+7 are below `len`, readable by the constructor.
            8.. => unsafe { load_u64(ptr.add(8 * i)) },
            // SAFETY: bytes 8i to 8i+3 are below `len`.
            4 => padded(unsafe { load_u32(ptr.add(8 * i)) }),
            // SAFETY: `left` bytes from 8i on are below `len`.
            _ => unsafe { load_tail(ptr.wrapping_add(8 * i), left) },
        }
    }
}

/// A number of 4 bytes as the 8 that begin with them.
#[inline(always)]
fn padded(v: u32) -> u64 {
    if cfg!(target_endian = "little") { v.into() } else { u64::from(v) << 32 }
}

/// Bytes to copy to: private, or shared with others that may read and write them meanwhile.
///
/// Only ever written by word-wise relaxed atomic stores.
pub struct BytesMut<'a> {
    ptr: *mut u8,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

impl<'a> From<&'a mut [u8]> for BytesMut<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Self { ptr: bytes.as_mut_ptr(), len: bytes.len(), life: PhantomData }
    }
}

impl fmt::Debug for BytesMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BytesMut({:p}, {} bytes)", self.ptr, self.len)
    }
}

impl BytesMut<'_> {
    /// Memory that a guest named and that was granted to it.
    ///
    /// # Safety
    /// For the lifetime, which the caller chooses,
    /// - the memory from host address `addr` is valid for writes of `len` bytes;
    /// - whoever accesses it in this process does so atomically or from outside Rust (programs).
    pub unsafe fn shared(addr: u64, len: usize) -> Self {
        Self { ptr: core::ptr::with_exposed_provenance_mut(addr as usize), len, life: PhantomData }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies in as much as there is room for.
    pub(crate) fn write(&mut self, from: Bytes<'_>) {
        // SAFETY: writable by the constructor, `from` readable by its own, both for the lesser length.
        unsafe { copy(from.ptr, self.ptr, from.len.min(self.len)) }
    }

    /// Writes zeros.
    pub(crate) fn zero(&mut self) {
        // SAFETY: writable by the constructor.
        unsafe { zero(self.ptr, self.len) }
    }
}

/// # Safety
/// `p` is readable, and written by others only atomically or from outside Rust.
#[inline]
unsafe fn load_u8(p: *const u8) -> u8 {
    // SAFETY: the caller's promise; a byte has no alignment; the pointer is only loaded from.
    unsafe { AtomicU8::from_ptr(p.cast_mut()) }.load(Relaxed)
}

/// Loads 4 bytes, at once where they are aligned.
///
/// # Safety
/// As [`load_u8`], for 4 bytes.
#[inline(always)]
unsafe fn load_u32(p: *const u8) -> u32 {
    if p.addr().is_multiple_of(4) {
        // SAFETY: aligned, readable by the caller's promise, only loaded from.
        return unsafe { core::sync::atomic::AtomicU32::from_ptr(p.cast_mut().cast()) }.load(Relaxed);
    }
    // SAFETY: the caller's promise.
    unsafe { load_parts(p, 4) as u32 }
}

/// Loads 8 bytes, at once where they are aligned and the machine can.
///
/// # Safety
/// As [`load_u8`], for 8 bytes.
#[inline(always)]
unsafe fn load_u64(p: *const u8) -> u64 {
    #[cfg(target_has_atomic = "64")]
    if p.addr().is_multiple_of(8) {
        // SAFETY: aligned, readable by the caller's promise, only loaded from.
        return unsafe { core::sync::atomic::AtomicU64::from_ptr(p.cast_mut().cast()) }.load(Relaxed);
    }
    // SAFETY: the caller's promise.
    unsafe { load_parts(p, 8) }
}

/// Loads 4 or 8 bytes in the widest units that the alignment allows.
///
/// # Safety
/// As [`load_u8`], for as many bytes.
#[inline(never)]
unsafe fn load_parts(p: *const u8, len: usize) -> u64 {
    let mut out = [0; 8];
    if p.addr().is_multiple_of(4) {
        for (i, part) in out[..len].chunks_exact_mut(4).enumerate() {
            // SAFETY: aligned, 4i+3 < len, readable by the caller's promise, only loaded from.
            let v = unsafe { core::sync::atomic::AtomicU32::from_ptr(p.add(4 * i).cast_mut().cast()) };
            part.copy_from_slice(&v.load(Relaxed).to_ne_bytes());
        }
    } else {
        for (i, byte) in out[..len].iter_mut().enumerate() {
            // SAFETY: i < len, readable by the caller's promise.
            *byte = unsafe { load_u8(p.add(i)) };
        }
    }
    match len {
        8 => u64::from_ne_bytes(out),
        _ => u32::from_ne_bytes([out[0], out[1], out[2], out[3]]).into(),
    }
}

/// Loads fewer than 8 bytes, with zeros behind.
///
/// # Safety
/// As [`load_u8`], for `len` bytes.
#[inline(never)]
unsafe fn load_tail(p: *const u8, len: usize) -> u64 {
    let mut out = [0; 8];
    for (i, byte) in out[..len].iter_mut().enumerate() {
        // SAFETY: i < len, readable by the caller's promise.
        *byte = unsafe { load_u8(p.add(i)) };
    }
    u64::from_ne_bytes(out)
}

/// # Safety
/// `p` is writable for 8 bytes and aligned to them; others access it only atomically or from outside Rust.
#[inline(always)]
unsafe fn store_u64(p: *mut u8, v: u64) {
    #[cfg(target_has_atomic = "64")]
    // SAFETY: aligned and writable by the caller's promise.
    unsafe {
        core::sync::atomic::AtomicU64::from_ptr(p.cast()).store(v, Relaxed);
    }
    #[cfg(not(target_has_atomic = "64"))]
    for (i, part) in v.to_ne_bytes().chunks_exact(4).enumerate() {
        let part = u32::from_ne_bytes([part[0], part[1], part[2], part[3]]);
        // SAFETY: as above, for each half.
        unsafe { core::sync::atomic::AtomicU32::from_ptr(p.add(4 * i).cast()).store(part, Relaxed) };
    }
}

/// Copies `len` bytes, by words where both sides are aligned alike, from low to high addresses.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes; others access them only atomically or from outside
/// Rust.
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // What most values are.
    if (from.addr() | to.addr() | len).is_multiple_of(WORD) && len <= 8 * WORD {
        let mut i = 0;
        while i < len {
            // SAFETY: i < len, all multiples of WORD.
            unsafe { copy_word(from.add(i), to.add(i)) };
            i += WORD;
        }
        return;
    }
    if len == 4 && (from.addr() | to.addr()).is_multiple_of(4) {
        step();
        // SAFETY: aligned; the caller's promise.
        unsafe { core::sync::atomic::AtomicU32::from_ptr(to.cast()).store(load_u32(from), Relaxed) };
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { copy_any(from, to, len) }
}

/// # Safety
/// As [`copy`], for WORD bytes; both are aligned to it.
#[inline(always)]
unsafe fn copy_word(from: *const u8, to: *mut u8) {
    step();
    // SAFETY: the caller's promise.
    unsafe {
        let word = core::sync::atomic::AtomicUsize::from_ptr(from.cast_mut().cast()).load(Relaxed);
        core::sync::atomic::AtomicUsize::from_ptr(to.cast()).store(word, Relaxed);
    }
}

/// # Safety
/// As [`copy`].
unsafe fn copy_any(from: *const u8, to: *mut u8, len: usize) {
    let mut i = 0;
    if from.addr() % WORD == to.addr() % WORD {
        let head = len.min(from.align_offset(WORD));
        // SAFETY: `head <= len`.
        unsafe { copy_bytes(from, to, head) };
        i = head;
        while len - i >= WORD {
            // SAFETY: i + WORD <= len, and both pointers are aligned to WORD at offset `i`.
            unsafe { copy_word(from.add(i), to.add(i)) };
            i += WORD;
        }
    }
    // SAFETY: `i <= len`.
    unsafe { copy_bytes(from.add(i), to.add(i), len - i) };
}

/// # Safety
/// As [`copy`].
unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    for i in 0..len {
        // SAFETY: i < len, by the caller's promise.
        unsafe { AtomicU8::from_ptr(to.add(i)).store(load_u8(from.add(i)), Relaxed) };
    }
}

/// # Safety
/// `to` is writable for `len` bytes; others access it only atomically or from outside Rust.
unsafe fn zero(to: *mut u8, len: usize) {
    let mut i = 0;
    while i < len {
        // SAFETY: i < len.
        let p = unsafe { to.add(i) };
        if p.addr().is_multiple_of(WORD) && len - i >= WORD {
            // SAFETY: aligned, i + WORD <= len.
            unsafe { core::sync::atomic::AtomicUsize::from_ptr(p.cast()) }.store(0, Relaxed);
            i += WORD;
        } else {
            // SAFETY: i < len.
            unsafe { AtomicU8::from_ptr(p) }.store(0, Relaxed);
            i += 1;
        }
    }
}

/// Memory of the global allocator, private to the process.
///
/// Large blocks are not touched before use where the allocator gets them from the system as zeroed pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Heap {
    const PAGE: usize = 4096;

    fn block(len: usize) -> Option<Block> {
        struct Free(NonNull<u8>, Layout);
        // SAFETY: owns the allocation, whoever drops it.
        unsafe impl Send for Free {}
        // SAFETY: has no method on a shared reference.
        unsafe impl Sync for Free {}
        impl Drop for Free {
            fn drop(&mut self) {
                // SAFETY: allocated in `block` with this layout, freed once.
                unsafe { dealloc(self.0.as_ptr(), self.1) }
            }
        }
        // An alignment of a page would make std's allocator clear the memory itself, page by page, instead of
        // taking zeroed pages from the system; so align by hand.
        let layout = Layout::from_size_align(len.checked_add(Self::PAGE)?, 16).ok()?;
        // SAFETY: the size is not 0.
        let raw = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let owner = Free(raw, layout);
        // SAFETY: `align_offset` gives less than a page, and the allocation is `len` and a page long.
        let base = unsafe { raw.add(raw.as_ptr().align_offset(Self::PAGE)) };
        // Programs reach the memory by address.
        let _ = base.as_ptr().expose_provenance();
        // SAFETY: aligned; the rest of the allocation is at least `len` bytes, zeroed, and lives as long as
        // `owner`; nobody else has a pointer to it. `Layout` holds sizes to `isize::MAX`.
        Some(unsafe { Block::new(base, len, Box::new(owner)) })
    }
}

// SAFETY: `block` zeroes, aligns to PAGE and gives exactly `len` bytes.
unsafe impl Memory for Heap {
    fn page_size(&self) -> usize {
        Self::PAGE
    }

    fn payload(&self, len: usize) -> Option<Block> {
        Self::block(len)
    }

    fn metadata(&self, len: usize) -> Option<Block> {
        Self::block(len)
    }
}

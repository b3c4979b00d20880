//! Atomics, spin locks, a value behind a lock for readers, and an append-only list. How long others are waited for is
//! [`wait`]'s.
//!
//! All shared words go through this module's atomics. With `--cfg shuttle` each operation on them is a
//! point where the `shuttle` scheduler may switch threads, so that the production source of the map
//! algorithms runs under it (sequentially consistent: weaker orderings are argued for in comments).
#![allow(unsafe_code)]

use alloc::boxed::Box;
use core::cell::UnsafeCell;

#[cfg(not(any(shuttle, debug_assertions)))]
pub use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};
pub use core::sync::atomic::{Ordering, fence};
#[cfg(any(shuttle, debug_assertions))]
pub use switching::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};

pub use wait::{PATIENCE, Wait, Waiting, spin};

mod wait;

/// A point where a model checker may switch threads, and where a test of a build with debug assertions may end the
/// process ([`on_step`]); nothing otherwise.
#[inline(always)]
pub fn step() {
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
    #[cfg(all(debug_assertions, not(shuttle)))]
    hook::step();
}

#[cfg(all(debug_assertions, not(shuttle)))]
pub use hook::on_step;

/// What is called at each step.
#[cfg(all(debug_assertions, not(shuttle)))]
mod hook {
    use core::sync::atomic::{AtomicPtr, Ordering};

    static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

    /// Calls `hook` before each access to shared words from now on, in all threads. Only in builds with debug
    /// assertions, for tests.
    pub fn on_step(hook: Option<fn()>) {
        HOOK.store(hook.map_or(core::ptr::null_mut(), |f| f as *mut ()), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn step() {
        let hook = HOOK.load(Ordering::Relaxed);
        if !hook.is_null() {
            // SAFETY: only `on_step` writes it, a `fn()`.
            unsafe { core::mem::transmute::<*mut (), fn()>(hook)() }
        }
    }
}

/// Exchanges a word that only the runs on one CPU write, one inside another, if it is `old`. One instruction does it, so
/// that a run in a signal handler comes before or behind, but none that waits for what other CPUs do.
#[inline]
pub fn exchange_here(word: &AtomicU32, old: u32, new: u32) -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        step();
        let mut found = old;
        let at = core::ptr::from_ref(word).cast::<core::sync::atomic::AtomicU32>();
        // SAFETY: `word` is core's atomic or a transparent wrapper of it; the instruction changes these 4 bytes, `eax` and
        // the flags. Others may read the word meanwhile: they see it before or after.
        unsafe {
            core::arch::asm!(
                "cmpxchg dword ptr [{at}], {new:e}",
                at = in(reg) (*at).as_ptr(), new = in(reg) new, inout("eax") found, options(nostack),
            );
        }
        found == old
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// The processes that share maps' memory, each of which has a number.
pub trait Peers: Send + Sync {
    /// Where the number of this process stands: 0 before [`Self::join`], and again in a forked child.
    fn number(&self) -> &core::sync::atomic::AtomicU32;

    /// Takes a number for this process, below [`PEERS`] and not 0: no other that lives has it.
    /// Called inside operations: must not allocate or wait.
    fn join(&self) -> u32;

    /// Whether the process of a number has died; `false` when nobody can tell.
    fn is_dead(&self, number: u32) -> bool;
}

/// Bits of a lock's word that say who holds it in his process.
const WHO_BITS: u32 = 14;
/// Numbers of processes are below.
pub const PEERS: u32 = 1 << (32 - WHO_BITS);
/// Virtual CPUs that a lock's word can tell apart.
pub const CPUS: u32 = (1 << WHO_BITS) - 2;

/// Who holds a lock: a virtual CPU or some thread of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// A thread outside any run.
    pub const HOST: Self = Self(CPUS + 1);

    /// The run on a virtual CPU.
    #[inline]
    pub fn cpu(cpu: u32) -> Self {
        Self(if cpu < CPUS { cpu + 1 } else { cpu % CPUS + 1 })
    }

    /// The virtual CPU, unless it is the host.
    #[inline]
    pub fn slot(self) -> Option<u32> {
        if self == Self::HOST { None } else { self.0.checked_sub(1) }
    }
}

/// A held lock; dropping it releases.
pub struct Guard<'a> {
    word: &'a AtomicU32,
    inherited: bool,
}

impl Guard<'_> {
    /// Leaves the lock taken, for somebody who gives it back otherwise.
    pub fn keep(self) {
        core::mem::forget(self);
    }

    /// Whether the holder before died, perhaps in the middle of what the lock guards.
    #[inline]
    pub fn is_inherited(&self) -> bool {
        self.inherited
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.word.store(0, Ordering::Release);
    }
}

/// Takes the lock in `word`: 0 is free, anything else names its holder, a process and a thread of it. The lock of a
/// process that died is taken over: see [`Guard::is_inherited`].
///
/// `None` when the same virtual CPU holds it already (a run nested in another on the same CPU, which the
/// kernel answers with EBUSY too), or when its holder, which lives, does not give it back as long as `wait` lasts.
#[inline]
pub fn lock(word: &AtomicU32, owner: Owner, wait: Waiting) -> Option<Guard<'_>> {
    let mine = wait.word(owner);
    match word.compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed) {
        Ok(_) => Some(Guard { word, inherited: false }),
        Err(_) => lock_waiting(word, owner, mine, wait),
    }
}

#[cold]
#[inline(never)]
fn lock_waiting(word: &AtomicU32, owner: Owner, mine: u32, wait: Waiting) -> Option<Guard<'_>> {
    let mut turns = wait.begin();
    loop {
        match word.compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(Guard { word, inherited: false }),
            Err(holder) if holder == mine && owner != Owner::HOST => return None,
            Err(holder) if turns.asks() && wait.is_dead(holder) => {
                if word.compare_exchange(holder, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return Some(Guard { word, inherited: true });
                }
            }
            Err(_) => {}
        }
        if !turns.again() {
            return None;
        }
    }
}

/// A value of the process that many read at a time, and one changes. Whoever waits spins, and nobody holds it long.
pub struct Shared<T> {
    /// Readers, and [`CHANGING`] while somebody changes the value or waits to.
    users: AtomicU32,
    wait: Waiting,
    value: UnsafeCell<T>,
}

/// Bit of [`Shared::users`].
const CHANGING: u32 = 1 << 31;

// SAFETY: the value moves with its owner.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: `read` gives shared references to many threads, hence T: Sync; `change` an exclusive one to some thread,
// hence T: Send. `users` keeps them apart.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

/// Gives back what was added to a word.
struct Leave<'a>(&'a AtomicU32, u32);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Release);
    }
}

impl<T> Shared<T> {
    /// A value; `wait` as for [`lock`].
    pub fn new(value: T, wait: Waiting) -> Self {
        Self { users: AtomicU32::new(0), wait, value: UnsafeCell::new(value) }
    }

    /// Looks at the value. `None` when whoever changes it does not come to an end (see [`lock`]): he died, or this is
    /// called from within a change.
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        let mut turns = self.wait.begin();
        loop {
            let users = self.users.fetch_add(1, Ordering::Acquire);
            let held = Leave(&self.users, 1);
            if users & CHANGING == 0 {
                // SAFETY: as long as the count stands, nobody changes the value: `change` waits until it is the only
                // user, and its bit was not set before, so it sees this reader.
                return Some(f(unsafe { &*self.value.get() }));
            }
            drop(held);
            if !turns.again() {
                return None;
            }
        }
    }

    /// Changes the value; `None` as for [`Self::read`].
    pub fn change<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut turns = self.wait.begin();
        loop {
            let users = self.users.load(Ordering::Relaxed);
            let taken = self.users.compare_exchange(
                users & !CHANGING,
                users | CHANGING,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            if taken.is_ok() {
                break;
            }
            if !turns.again() {
                return None;
            }
        }
        let _held = Leave(&self.users, CHANGING);
        while self.users.load(Ordering::Acquire) != CHANGING {
            if !turns.again() {
                return None;
            }
        }
        // SAFETY: there are no readers, and those to come see the bit and leave; only who set it is here.
        Some(f(unsafe { &mut *self.value.get() }))
    }
}

/// A list that only grows, read without locks; its elements live as long as the list.
pub struct AppendList<T> {
    head: AtomicPtr<Node<T>>,
}

struct Node<T> {
    item: T,
    next: *mut Node<T>,
}

// SAFETY: nodes are shared between threads by reference only, and freed by the list's only owner; they hold
// items of type T and pointers to each other.
unsafe impl<T: Send + Sync> Send for AppendList<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for AppendList<T> {}

impl<T> AppendList<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self { head: AtomicPtr::new(core::ptr::null_mut()) }
    }

    /// Adds an item.
    pub fn push(&self, item: T) {
        let node = Box::into_raw(Box::new(Node { item, next: core::ptr::null_mut() }));
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            // SAFETY: `node` came from `Box::into_raw` above and is not shared until the exchange succeeds.
            unsafe { (*node).next = head };
            match self.head.compare_exchange(head, node, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// The items, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let mut at = self.head.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            // SAFETY: `at` is null or a node that was published with Release after it was written whole; nodes
            // are not changed afterwards and live until the list is dropped, which `&self` excludes.
            let node = unsafe { at.as_ref() }?;
            at = node.next;
            Some(&node.item)
        })
    }
}

impl<T> Drop for AppendList<T> {
    fn drop(&mut self) {
        let mut at = self.head.load(Ordering::Acquire);
        while !at.is_null() {
            // SAFETY: each node came from `Box::into_raw` in `push` and is reached once; `&mut self` means that
            // nobody reads the list.
            let node = unsafe { Box::from_raw(at) };
            at = node.next;
        }
    }
}

/// The atomics of `core` with a [`step`] before each operation.
#[cfg(any(shuttle, debug_assertions))]
#[allow(dead_code, missing_docs, reason = "each atomic has the same methods")]
mod switching {
    use core::sync::atomic as real;
    use core::sync::atomic::Ordering;

    macro_rules! switching {
        ($($name:ident $(<$t:ident>)? of $inner:ty;)*) => {$(
            /// As the type of the same name in `core`.
            #[repr(transparent)]
            pub struct $name $(<$t>)? (real::$name $(<$t>)?);

            impl $(<$t>)? $name $(<$t>)? {
                pub fn new(v: $inner) -> Self {
                    Self(real::$name::new(v))
                }
                pub fn load(&self, order: Ordering) -> $inner {
                    super::step();
                    self.0.load(order)
                }
                pub fn store(&self, v: $inner, order: Ordering) {
                    super::step();
                    self.0.store(v, order);
                }
                pub fn swap(&self, v: $inner, order: Ordering) -> $inner {
                    super::step();
                    self.0.swap(v, order)
                }
                pub fn compare_exchange(
                    &self,
                    old: $inner,
                    new: $inner,
                    ok: Ordering,
                    err: Ordering,
                ) -> Result<$inner, $inner> {
                    super::step();
                    self.0.compare_exchange(old, new, ok, err)
                }
            }
        )*};
    }
    switching! {
        AtomicU32 of u32;
        AtomicUsize of usize;
        AtomicBool of bool;
        AtomicPtr<T> of *mut T;
    }

    impl AtomicU32 {
        pub fn fetch_add(&self, v: u32, order: Ordering) -> u32 {
            super::step();
            self.0.fetch_add(v, order)
        }
        pub fn fetch_sub(&self, v: u32, order: Ordering) -> u32 {
            super::step();
            self.0.fetch_sub(v, order)
        }
        pub fn fetch_or(&self, v: u32, order: Ordering) -> u32 {
            super::step();
            self.0.fetch_or(v, order)
        }
    }
}

/// `RUSTFLAGS="--cfg shuttle" cargo test -p skep-maps --lib --target-dir target/shuttle --release shared`
#[cfg(all(test, shuttle))]
mod tests {
    use alloc::sync::Arc;

    use shuttle::thread;

    use super::*;

    /// Two words that are the same but within a change; the compiler may not read them sooner or later than is said.
    #[derive(Default)]
    struct Pair(core::sync::atomic::AtomicU32, core::sync::atomic::AtomicU32);

    /// Readers never see half of a change, and no change is lost.
    #[test]
    fn shared_is_changed_by_one_and_read_whole() {
        let run = || {
            let shared = Arc::new(Shared::new(
                Pair::default(),
                Waiting::new(|| thread::yield_now(), |_| thread::yield_now(), PATIENCE, None),
            ));
            let writer = |shared: Arc<Shared<Pair>>| {
                thread::spawn(move || {
                    for _ in 0..2 {
                        let change = |v: &mut Pair| {
                            let n = v.0.load(Ordering::Relaxed) + 1;
                            v.0.store(n, Ordering::Relaxed);
                            thread::yield_now();
                            v.1.store(n, Ordering::Relaxed);
                        };
                        shared.change(change).expect("nobody holds it long");
                    }
                })
            };
            let read = |v: &Pair| {
                let first = v.0.load(Ordering::Relaxed);
                thread::yield_now();
                (first, v.1.load(Ordering::Relaxed))
            };
            let writers = [writer(shared.clone()), writer(shared.clone())];
            for _ in 0..3 {
                let (a, b) = shared.read(read).expect("nobody holds it long");
                assert_eq!(a, b, "half of a change");
            }
            for writer in writers {
                writer.join().expect("no panic");
            }
            assert_eq!(shared.read(read), Some((4, 4)));
        };
        shuttle::check_random(run, 2000);
    }
}

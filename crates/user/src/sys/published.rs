//! A value that runs read without locks or allocation while others replace it.
//!
//! Idea, that of read-copy-update. Readers count themselves in, read the pointer, use the value, and count themselves
//! out. A writer swaps in a new value and keeps the old one until nobody can have it: whoever loaded the old pointer
//! did so before the swap and is counted since before that load, so once a counter is seen at zero after the swap, those
//! whom it counted are gone. There are two counters, and new readers use the one that the epoch names: a writer
//! that moves the epoch sees the other one run empty also while there is always somebody reading.
//!
//! A writer never waits for long, since it may itself stand inside a read (a program that detaches itself): what it
//! cannot free it leaves to the next writer, or to the end of the cell.

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// How often a writer looks whether old readers have gone.
const PATIENCE: u32 = 4;

/// A shared value: reads never wait, writes replace it.
///
/// ```
/// let list = skep_user::Published::new(vec![1]);
/// list.update(|old| [&old[..], &[2]].concat());
/// assert_eq!(list.read(|now| now.len()), 2);
/// ```
pub struct Published<T> {
    /// From `Box::into_raw`, never null.
    current: AtomicPtr<T>,
    epoch: AtomicUsize,
    readers: [AtomicUsize; 2],
    /// Values of before that somebody may still read. The lock is the writers'.
    retired: Mutex<Vec<Retired<T>>>,
}

/// A value that is no longer current, from `Box::into_raw`.
struct Retired<T>(NonNull<T>);

// SAFETY: owns the value, which whoever frees it drops.
unsafe impl<T: Send> Send for Retired<T> {}

// SAFETY: owns values of `T`, and hands out only `&T`.
unsafe impl<T: Send + Sync> Send for Published<T> {}
// SAFETY: shared references give `&T` to any thread, and values are dropped by whichever thread writes.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

/// A reader, counted out when it goes, also by a panic.
struct Reader<'p>(&'p AtomicUsize);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl<T> Published<T> {
    /// A cell with a first value.
    pub fn new(value: T) -> Self {
        Self {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            epoch: AtomicUsize::new(0),
            readers: [AtomicUsize::new(0), AtomicUsize::new(0)],
            retired: Mutex::default(),
        }
    }

    /// Shows the current value to `f`. Never waits, allocates or frees. Reads may nest.
    pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let counter = &self.readers[self.epoch.load(SeqCst) % 2];
        counter.fetch_add(1, SeqCst);
        let _reader = Reader(counter);
        // SAFETY: from `Box::into_raw`. It is freed only by `reclaim`, after both counters were seen at zero later
        // than the swap that took it away; this reader is counted since before the load, so not while it is here.
        // In between there are only shared references to it.
        f(unsafe { &*self.current.load(SeqCst) })
    }

    /// Replaces the value by what `f` makes of it. Writers take turns; `f` must not write to the same cell.
    pub fn update(&self, f: impl FnOnce(&T) -> T) {
        {
            let mut retired = self.lock();
            // SAFETY: only writers retire values, and this one holds their lock: the current value stays.
            let new = f(unsafe { &*self.current.load(SeqCst) });
            let old = self.current.swap(Box::into_raw(Box::new(new)), SeqCst);
            retired.extend(NonNull::new(old).map(Retired));
        }
        self.reclaim();
    }

    /// Frees retired values, unless somebody still reads one.
    fn reclaim(&self) {
        let taken = std::mem::take(&mut *self.lock());
        if taken.is_empty() || !self.quiet() {
            self.lock().extend(taken);
            return;
        }
        for Retired(old) in taken {
            // SAFETY: from `Box::into_raw`, taken out of the list, so freed once. Both counters have been at zero
            // since it was retired: nobody has a reference to it (see `read`).
            drop(unsafe { Box::from_raw(old.as_ptr()) });
        }
    }

    /// Whether all that were reading have gone: each counter was seen at zero since the call.
    fn quiet(&self) -> bool {
        (0..2).all(|_| {
            let old = self.epoch.fetch_add(1, SeqCst) % 2;
            (0..PATIENCE).any(|_| {
                let empty = self.readers[old].load(SeqCst) == 0;
                if !empty {
                    thread::yield_now();
                }
                empty
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Retired<T>>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        let retired = std::mem::take(self.retired.get_mut().unwrap_or_else(PoisonError::into_inner));
        for Retired(old) in retired {
            // SAFETY: from `Box::into_raw`, freed once; readers borrow the cell, so there are none.
            drop(unsafe { Box::from_raw(old.as_ptr()) });
        }
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(*self.current.get_mut()) });
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|value| f.debug_tuple("Published").field(value).finish())
    }
}

impl<T: Default> Default for Published<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Counts its living copies.
    struct Counted(Arc<AtomicUsize>, u64, u64);

    impl Counted {
        fn new(count: &Arc<AtomicUsize>, v: u64) -> Self {
            count.fetch_add(1, SeqCst);
            Self(Arc::clone(count), v, !v)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            // What a late reader would see.
            (self.1, self.2) = (0, 0);
            self.0.fetch_sub(1, SeqCst);
        }
    }

    #[test]
    fn old_values_go_at_once_when_nobody_reads() {
        let count = Arc::default();
        let cell = Published::new(Counted::new(&count, 0));
        for i in 1..100 {
            cell.update(|old| Counted::new(&count, old.1 + 1));
            assert_eq!((count.load(SeqCst), cell.read(|v| v.1)), (1, i));
        }
        drop(cell);
        assert_eq!(count.load(SeqCst), 0);
    }

    #[test]
    fn a_reader_may_write_and_keeps_what_it_reads() {
        let count = Arc::default();
        let cell = Published::new(Counted::new(&count, 1));
        cell.read(|outer| {
            cell.update(|_| Counted::new(&count, 2));
            cell.update(|_| Counted::new(&count, 3));
            cell.read(|inner| assert_eq!((outer.1, inner.1), (1, 3)));
            assert_eq!(count.load(SeqCst), 3, "the old ones wait");
        });
        cell.update(|_| Counted::new(&count, 4));
        assert_eq!(count.load(SeqCst), 1);
    }

    #[test]
    fn readers_and_writers_on_many_threads() {
        let count = Arc::default();
        let cell = Published::new(Counted::new(&count, 1));
        let stop = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = 0;
                    while stop.load(SeqCst) < 2 {
                        let now = cell.read(|v| {
                            assert_eq!(v.1, !v.2, "a value that was freed");
                            v.1
                        });
                        assert!(now >= last, "values go forward");
                        last = now;
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        cell.update(|old| Counted::new(&count, old.1 + 1));
                    }
                    stop.fetch_add(1, SeqCst);
                });
            }
        });
        assert_eq!(cell.read(|v| v.1), 4001, "no update is lost");
        cell.update(|old| Counted::new(&count, old.1));
        assert_eq!(count.load(SeqCst), 1);
    }
}

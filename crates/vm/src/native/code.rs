//! Native code of a program.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

use skep_abi::MapType;

use super::{Binding, Pair, Rt};

/// A function in native code: `r10`, and `r1` to `r5`; gives `r0`.
///
/// What [`Pair::stop`] of a service or callee says is handed on at once.
pub type Entry =
    unsafe extern "C" fn(rt: *mut Rt, frame: u64, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> Pair;

/// Code that a compiler has made of a program.
pub struct Code {
    /// Keeps the memory that the code runs in.
    pub keep: Arc<dyn Any + Send + Sync>,
    /// The main function.
    pub entry: Entry,
    /// Where a tail call jumps to, with `rt`, the frame and the context as the compiler's own convention hands them over;
    /// 0 when there is no such place: then [`Self::entry`] is called.
    pub jump: usize,
    /// Other functions that are entered from outside ([`Binding::entered`]), by first slot. Those that are missing are
    /// interpreted.
    pub functions: Vec<(u32, Entry)>,
    /// Bytes of the context that the code accesses by itself. Runs with a shorter one are interpreted.
    pub ctx_bytes: usize,
    /// Bytes of code.
    pub bytes: usize,
    /// Nanoseconds that making it took.
    pub compile_ns: u64,
}

/// Native code, and the program that it belongs to.
pub struct Native {
    pub(super) code: Code,
    pub(crate) serial: u64,
    /// [`Binding::cpus`].
    cpus: u32,
    /// Whether the program may make tail calls.
    pub(super) calls_on: bool,
}

impl Native {
    /// Code of a program.
    ///
    /// # Safety
    /// - The code does what the program of the binding does, and nothing else, by what its [`Binding::verified`] proves;
    ///   it does so under the rules of [this module](super).
    /// - Its functions have the signature of [`Entry`], and are there as long as [`Code::keep`] is.
    /// - It accesses no more of the context than [`Code::ctx_bytes`] and what services access for it.
    pub unsafe fn new(binding: &Binding<'_>, mut code: Code) -> Self {
        code.functions.sort_unstable_by_key(|f| f.0);
        let calls_on = binding.maps().iter().any(|m| m.kind() == MapType::PROG_ARRAY);
        Self { code, serial: binding.serial(), cpus: binding.cpus(), calls_on }
    }

    /// Whether it runs on a virtual CPU: its per-CPU maps have values there.
    #[inline(always)]
    pub(super) fn runs_on(&self, vcpu: u32) -> bool {
        vcpu < self.cpus
    }

    /// Bytes of code.
    pub fn bytes(&self) -> usize {
        self.code.bytes
    }

    /// Nanoseconds that making it took.
    pub fn compile_ns(&self) -> u64 {
        self.code.compile_ns
    }

    /// What keeps the code's memory: for those who know what compiler made it.
    pub fn keep(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.code.keep
    }

    /// The function at a slot, if it is entered from outside.
    pub(super) fn function(&self, slot: usize) -> Option<Entry> {
        let slot = u32::try_from(slot).ok()?;
        let functions = &self.code.functions;
        functions.binary_search_by_key(&slot, |f| f.0).ok().map(|at| functions[at].1)
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native")
            .field("bytes", &self.code.bytes)
            .field("compile_ns", &self.code.compile_ns)
            .finish_non_exhaustive()
    }
}

//! Helpers of an embedder: bodies that the program's calls reach by id.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use skep_maps::Map;

use crate::helpers::Call;
use crate::trap::TrapKind;

/// The first helper id that no kernel will use: embedders take theirs from here on.
pub const OWN_HELPERS: u32 = 0x1_0000;

/// A body. What the verifier's contract promised holds for verified programs only: a body checks what it is given
/// by reading guest memory through [`HelperCall`], and returns the trap that it gets. It runs on the run path of
/// the program that calls it, on any thread.
pub type HelperBody = dyn Fn(&mut HelperCall<'_>) -> Result<u64, TrapKind> + Send + Sync;

/// Bodies by helper id.
#[derive(Clone, Default)]
pub struct OwnHelpers {
    bodies: Vec<(u32, Arc<HelperBody>)>,
}

impl fmt::Debug for OwnHelpers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.bodies.iter().map(|b| b.0)).finish()
    }
}

impl OwnHelpers {
    /// Adds a body, or replaces the one of the same id; `false`, and nothing is added, for an id below
    /// [`OWN_HELPERS`]: those are Linux's.
    pub fn add(
        &mut self,
        id: u32,
        body: impl Fn(&mut HelperCall<'_>) -> Result<u64, TrapKind> + Send + Sync + 'static,
    ) -> bool {
        if id < OWN_HELPERS {
            return false;
        }
        self.bodies.retain(|b| b.0 != id);
        self.bodies.push((id, Arc::new(body)));
        true
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Arc<HelperBody>> {
        self.bodies.iter().find(|b| b.0 == id).map(|b| &b.1)
    }
}

/// What a call can reach, whatever the lifetimes of the run.
trait Reach {
    fn vcpu(&self) -> u32;
    fn map(&self, value: u64) -> Result<&Arc<Map>, TrapKind>;
    fn read(&mut self, addr: u64, to: &mut [u8]) -> Result<(), TrapKind>;
    fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), TrapKind>;
}

impl Reach for Call<'_, '_, '_> {
    fn vcpu(&self) -> u32 {
        self.state.vcpu
    }

    fn map(&self, value: u64) -> Result<&Arc<Map>, TrapKind> {
        self.program.map(value).ok_or(TrapKind::NotAMap(value))
    }

    fn read(&mut self, addr: u64, to: &mut [u8]) -> Result<(), TrapKind> {
        let len = to.len() as u64;
        self.mem.read(addr, to).ok_or_else(|| TrapKind::Memory(self.mem.fault(addr, len, false)))
    }

    fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), TrapKind> {
        let len = from.len() as u64;
        self.mem.write(addr, from).ok_or_else(|| TrapKind::Memory(self.mem.fault(addr, len, true)))
    }
}

/// A call under way: its arguments, and checked access to what the program can reach.
pub struct HelperCall<'h> {
    args: [u64; 5],
    reach: &'h mut dyn Reach,
}

impl fmt::Debug for HelperCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperCall").field("args", &self.args).finish_non_exhaustive()
    }
}

impl HelperCall<'_> {
    /// Argument `n`, from 1 to 5: the content of `r<n>`; 0 for other numbers.
    pub fn arg(&self, n: usize) -> u64 {
        n.checked_sub(1).and_then(|i| self.args.get(i)).copied().unwrap_or(0)
    }

    /// The virtual CPU that the program runs on.
    pub fn vcpu(&self) -> u32 {
        self.reach.vcpu()
    }

    /// The map that an argument stands for.
    ///
    /// # Errors
    /// The trap to return, when it is no map of the program.
    pub fn map(&self, value: u64) -> Result<&Arc<Map>, TrapKind> {
        self.reach.map(value)
    }

    /// Copies guest memory out. Context fields are no memory, as for every helper.
    ///
    /// # Errors
    /// The trap to return, when the program may not read all of it.
    pub fn read(&mut self, addr: u64, to: &mut [u8]) -> Result<(), TrapKind> {
        self.reach.read(addr, to)
    }

    /// Copies into guest memory.
    ///
    /// # Errors
    /// The trap to return, when the program may not write all of it.
    pub fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), TrapKind> {
        self.reach.write(addr, from)
    }
}

/// Calls a body.
pub(crate) fn call(body: &HelperBody, mut call: Call<'_, '_, '_>, args: [u64; 5]) -> Result<u64, TrapKind> {
    body(&mut HelperCall { args, reach: &mut call })
}

//! Helpers of an embedder: bodies that the host has, under ids from [`EMBEDDER_HELPERS`] on.

use super::Call;
use crate::trap::TrapKind;

/// First id of an embedder's helpers; Linux counts from 1 and is far from it.
pub const EMBEDDER_HELPERS: u32 = 0x1_0000;

/// Embedder's helpers that there may be.
pub(super) const COUNT: u32 = 0x8000;
/// Where their places begin in the numbering of [`super::slot`].
pub(super) const FIRST_SLOT: u16 = 0x8000;

/// A call of an embedder's helper: its arguments, and guest memory as copies.
///
/// Memory that is not the program's is a trap, which the body passes on with `?`; verified programs cause none
/// as long as a body stays within what the helper's prototype says.
pub struct HelperCall<'h, 'c, 'm, 's> {
    inner: &'h mut Call<'c, 'm, 's>,
    args: [u64; 5],
}

impl core::fmt::Debug for HelperCall<'_, '_, '_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HelperCall").field("args", &self.args).finish_non_exhaustive()
    }
}

impl HelperCall<'_, '_, '_, '_> {
    /// Argument `n`, from 0; 0 for those that no helper has.
    pub fn arg(&self, n: usize) -> u64 {
        self.args.get(n).copied().unwrap_or(0)
    }

    /// Number of the virtual CPU, which nobody else has during the run.
    pub fn vcpu(&self) -> u32 {
        self.inner.state.vcpu
    }

    /// Copies guest memory out.
    ///
    /// # Errors
    /// A trap when the program may not read there.
    pub fn read(&mut self, addr: u64, to: &mut [u8]) -> Result<(), TrapKind> {
        let len = to.len() as u64;
        self.inner.mem.read(addr, to).ok_or_else(|| self.inner.fault(addr, len, false))
    }

    /// Copies bytes into guest memory: all of them or none.
    ///
    /// # Errors
    /// A trap when the program may not write there.
    pub fn write(&mut self, addr: u64, from: &[u8]) -> Result<(), TrapKind> {
        let len = from.len() as u64;
        self.inner.mem.write(addr, from).ok_or_else(|| self.inner.fault(addr, len, true))
    }
}

/// The id behind a slot, if it is an embedder's.
fn id(slot: u16) -> Option<u32> {
    slot.checked_sub(FIRST_SLOT).map(|n| EMBEDDER_HELPERS + u32::from(n))
}

/// Calls the host's body.
pub(super) fn call(slot: u16, call: &mut Call<'_, '_, '_>, args: [u64; 5]) -> Result<u64, TrapKind> {
    let id = id(slot).ok_or(TrapKind::UnknownHelper(u32::MAX))?;
    let host = call.state.host;
    let result = host.call_helper(id, &mut HelperCall { inner: call, args });
    result.unwrap_or(Err(TrapKind::UnknownHelper(id)))
}

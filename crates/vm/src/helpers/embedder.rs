//! Helpers of an embedder: bodies that the host has, under ids from [`EMBEDDER_HELPERS`] on.

pub use skep_abi::EMBEDDER_HELPERS;
use skep_abi::MapFlags;
use skep_spec::Errno;

use super::map::{has_values, no_maps};
use super::{Call, errno, status};
use crate::bound::MapRef;
use crate::trap::TrapKind;

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

impl<'c> HelperCall<'_, 'c, '_, '_> {
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

    /// Copies the value of a key out of the map that argument `n` stands for; per CPU that of the run's. Whether there
    /// is such a key. `to` may be shorter than the value.
    ///
    /// # Errors
    /// A trap when the argument is no map with values, or `to` is longer than them.
    pub fn map_lookup(&mut self, n: usize, key: &[u8], to: &mut [u8]) -> Result<bool, TrapKind> {
        let map = self.with_values(n)?;
        if to.len() > map.value_size() as usize {
            return Err(TrapKind::Size(to.len() as u64));
        }
        if key.len() != map.key_size() as usize || map.flags().has(MapFlags::WRONLY_PROG) {
            return Ok(false);
        }
        let Some(addr) = map.lookup(key.into(), self.inner.state.vcpu) else { return Ok(false) };
        self.read(addr, to).map(|()| true)
    }

    /// As `bpf_map_update_elem` on the map that argument `n` stands for: 0 or a negative error number.
    ///
    /// # Errors
    /// A trap when the argument is no map with values.
    pub fn map_update(&mut self, n: usize, key: &[u8], value: &[u8], flags: u64) -> Result<u64, TrapKind> {
        let map = self.with_values(n)?;
        if key.len() != map.key_size() as usize || value.len() != map.value_size() as usize {
            return Ok(errno(Errno::EINVAL));
        }
        if map.flags().has(MapFlags::RDONLY_PROG) {
            return Ok(errno(Errno::EPERM));
        }
        Ok(status(map.update(key.into(), value.into(), flags, self.inner.state.vcpu)))
    }

    /// As `bpf_map_delete_elem` on the map that argument `n` stands for: 0 or a negative error number.
    ///
    /// # Errors
    /// A trap when the argument is no map with values.
    pub fn map_delete(&mut self, n: usize, key: &[u8]) -> Result<u64, TrapKind> {
        let map = self.with_values(n)?;
        if key.len() != map.key_size() as usize {
            return Ok(errno(Errno::EINVAL));
        }
        if map.flags().has(MapFlags::RDONLY_PROG) {
            return Ok(errno(Errno::EPERM));
        }
        Ok(status(map.delete(key.into(), self.inner.state.vcpu)))
    }

    /// As `bpf_ringbuf_output` on the ring buffer that argument `n` stands for: 0 or a negative error number.
    ///
    /// # Errors
    /// A trap when the argument is no ring buffer.
    pub fn ringbuf_output(&mut self, n: usize, record: &[u8], flags: u64) -> Result<u64, TrapKind> {
        let map = self.map(n)?;
        let Some(ring) = map.ringbuf() else {
            return Err(TrapKind::WrongMap { helper: WHO, map_type: map.kind() });
        };
        Ok(status(ring.output(record.into(), flags, self.inner.state.vcpu)))
    }

    /// Name of the map that argument `n` stands for, as the object spells it; `None` for one that the program found in a
    /// map of maps.
    pub fn map_name(&self, n: usize) -> Option<&str> {
        match self.inner.program.map(self.arg(n), self.vcpu())? {
            MapRef::Own(map) => Some(map.name()),
            // Its definition has none.
            MapRef::Inner(_) => None,
        }
    }

    fn map(&self, n: usize) -> Result<MapRef<'c>, TrapKind> {
        self.inner.map(self.arg(n))
    }

    fn with_values(&self, n: usize) -> Result<MapRef<'c>, TrapKind> {
        let map = self.map(n)?;
        has_values(&map, WHO)?;
        no_maps(&map, WHO)?;
        Ok(map)
    }
}

/// What traps call the helper; bodies do not know their names.
const WHO: &str = "the helper";

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

//! Array: `max_entries` values side by side, in the payload, zero from the start.

use skep_abi::UpdateFlags;
use skep_spec::Errno;

use crate::geometry::{BadIndex, Geometry, HEADER_LEN, next_index};
use crate::kept::Kept;
use crate::map::Ops;
use crate::mem::{Block, Bytes, Memory};
use crate::percpu_array::Values;
use crate::sync::Owner;

pub(crate) struct Array {
    geometry: Geometry,
    metadata: Block,
    payload: Block,
    pub kept: Kept,
}

/// Where the values of an array stand: value `i` at `base + i * stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayGeometry {
    /// Host address of value 0.
    pub base: u64,
    /// Bytes from one value to the next.
    pub stride: usize,
    /// Values.
    pub max_entries: u32,
}

impl ArrayGeometry {
    /// The address of a value; `None` for an index outside.
    #[inline]
    pub fn value(&self, index: u32) -> Option<u64> {
        (index < self.max_entries).then(|| self.base + u64::from(index) * self.stride as u64)
    }
}

impl Array {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        let len = (geometry.max_entries as usize).checked_mul(geometry.stride).ok_or(Errno::ENOMEM)?;
        let len = geometry.pages(len).ok_or(Errno::ENOMEM)?;
        let payload = memory.payload(len).filter(|b| b.len() >= len).ok_or(Errno::ENOMEM)?;
        let metadata = geometry.metadata(memory, HEADER_LEN, 0)?;
        Ok(Self { geometry, metadata, payload, kept: Kept::default() })
    }

    pub fn geometry(&self) -> ArrayGeometry {
        ArrayGeometry {
            base: self.payload.addr(0),
            stride: self.geometry.stride,
            max_entries: self.geometry.max_entries,
        }
    }

    /// Writes the start of value 0; `bytes` is not longer than a value.
    pub fn write_initial(&self, bytes: Bytes<'_>) {
        self.payload.write(0, bytes);
    }

    /// The address of a value; the index is one of the array's.
    pub fn value(&self, index: u32) -> u64 {
        self.payload.addr(self.value_off(index))
    }

    /// The values.
    pub fn area(&self) -> Values<'_> {
        let len = self.value_off(self.geometry.max_entries);
        Values { block: &self.payload, base: 0, len, step: self.geometry.stride }
    }

    /// As `lookup_copy`, under the value's lock.
    pub fn copy_locked(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let index = self.geometry.index(key).map_err(|_| Errno::ENOENT)?;
        let off = self.value_off(index);
        let _held = self.geometry.lock_value(&self.payload, off, Owner::HOST)?;
        self.geometry.read_value(&self.payload, off, out);
        Ok(())
    }

    /// Writes into a value; the bytes lie inside it.
    pub fn write_part(&self, key: Bytes<'_>, off: usize, bytes: Bytes<'_>) -> Result<(), Errno> {
        let index = check_update(&self.geometry, key, UpdateFlags::ANY)?;
        self.payload.write(self.value_off(index) + off, bytes);
        Ok(())
    }

    fn put(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, owner: Owner) -> Result<(), Errno> {
        let off = self.value_off(check_update(&self.geometry, key, flags)?);
        let _held = match flags & UpdateFlags::LOCK {
            0 => None,
            _ => Some(self.geometry.lock_value(&self.payload, off, owner)?),
        };
        self.geometry.write_value(&self.payload, off, value);
        self.kept.release(&self.geometry, &self.payload, off);
        Ok(())
    }

    fn value_off(&self, index: u32) -> usize {
        index as usize * self.geometry.stride
    }
}

/// What `array_map_update_elem` and its kin check before they write, in the kernel's order; the index.
pub(crate) fn check_update(g: &Geometry, key: Bytes<'_>, flags: u64) -> Result<u32, Errno> {
    if flags & !UpdateFlags::LOCK > UpdateFlags::EXIST {
        return Err(Errno::EINVAL);
    }
    let index = g.index(key).map_err(|e| match e {
        BadIndex::Outside => Errno::E2BIG,
        BadIndex::Length => Errno::EINVAL,
    })?;
    if flags & UpdateFlags::NOEXIST != 0 {
        return Err(Errno::EEXIST);
    }
    if flags & UpdateFlags::LOCK != 0 && g.spin_lock.is_none() {
        return Err(Errno::EINVAL);
    }
    Ok(index)
}

impl Ops for Array {
    #[inline]
    fn lookup(&self, key: Bytes<'_>, _cpu: u32) -> Option<u64> {
        self.geometry().value(key.as_u32()?)
    }

    fn update(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64, cpu: u32) -> Result<(), Errno> {
        self.put(key, value, flags, Owner::cpu(cpu))
    }

    fn delete(&self, _key: Bytes<'_>, _owner: Owner) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let index = self.geometry.index(key).map_err(|_| Errno::ENOENT)?;
        self.geometry.read_value(&self.payload, self.value_off(index), out);
        Ok(())
    }

    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.put(key, value, flags, Owner::HOST)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(&self.geometry, key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        Some(self.area().range())
    }

    fn metadata(&self) -> &Block {
        &self.metadata
    }
}

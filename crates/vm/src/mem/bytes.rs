//! Guest memory of any length: what helpers read and write.

use skep_maps::{Bytes, BytesMut};

use super::{Mem, Word, pointer};

impl Mem<'_> {
    /// Bytes that a helper reads; `None` when they are not granted.
    pub(crate) fn bytes(&mut self, addr: u64, len: u64) -> Option<Bytes<'_>> {
        if len == 0 {
            return Some(Bytes::from(&[]));
        }
        // SAFETY: readable by `find`, for as long as `self` is borrowed: see `Mem::load`.
        self.find(addr, len, false).then(|| unsafe { Bytes::shared(addr, len as usize) })
    }

    /// Bytes that a helper writes; `None` when they are not granted.
    pub(crate) fn bytes_mut(&mut self, addr: u64, len: u64) -> Option<BytesMut<'_>> {
        if len == 0 {
            return Some(BytesMut::from(&mut [][..]));
        }
        // SAFETY: writable by `find`, for as long as `self` is borrowed: see `Mem::store`.
        self.find(addr, len, true).then(|| unsafe { BytesMut::shared(addr, len as usize) })
    }

    /// Two parts that a helper reads; `None` when either is not granted.
    pub(crate) fn two(&mut self, a: u64, a_len: u64, b: u64, b_len: u64) -> Option<(Bytes<'_>, Bytes<'_>)> {
        if !(a_len == 0 || self.find(a, a_len, false)) || !(b_len == 0 || self.find(b, b_len, false)) {
            return None;
        }
        let part = |addr, len| match len {
            0 => Bytes::from(&[]),
            // SAFETY: readable by `find`, for as long as `self` is borrowed: see `Mem::load`.
            _ => unsafe { Bytes::shared(addr, len as usize) },
        };
        Some((part(a, a_len), part(b, b_len)))
    }

    /// Copies guest memory out; `None` when it is not granted.
    pub(crate) fn read(&mut self, addr: u64, to: &mut [u8]) -> Option<()> {
        if to.is_empty() {
            return Some(());
        }
        if !self.find(addr, to.len() as u64, false) {
            return None;
        }
        for (i, byte) in to.iter_mut().enumerate() {
            // SAFETY: as in `Mem::load`.
            *byte = unsafe { u8::load(pointer(addr + i as u64)) } as u8;
        }
        Some(())
    }

    /// Copies guest memory out, for who only looks on; says whether it is granted.
    pub(crate) fn peek(&self, addr: u64, to: &mut [u8]) -> bool {
        if to.is_empty() || self.granting(addr, to.len() as u64, false).is_none() {
            return to.is_empty();
        }
        for (i, byte) in to.iter_mut().enumerate() {
            // SAFETY: as in `Mem::load`.
            *byte = unsafe { u8::load(pointer(addr + i as u64)) } as u8;
        }
        true
    }

    /// Copies bytes into guest memory; `None` when it is not granted.
    pub(crate) fn write(&mut self, addr: u64, from: &[u8]) -> Option<()> {
        if !from.is_empty() && !self.find(addr, from.len() as u64, true) {
            return None;
        }
        for (i, &byte) in from.iter().enumerate() {
            // SAFETY: as in `Mem::store`.
            unsafe { u8::store(pointer(addr + i as u64), byte.into()) };
        }
        Some(())
    }

    /// Fills guest memory with zeros; `None` when it is not granted.
    pub(crate) fn zero(&mut self, addr: u64, len: u64) -> Option<()> {
        if len > 0 && !self.find(addr, len, true) {
            return None;
        }
        for i in 0..len {
            // SAFETY: as in `Mem::store`.
            unsafe { u8::store(pointer(addr + i), 0) };
        }
        Some(())
    }
}

//! The packet buffer as helpers see it: all of it, by offsets that they check against the packet's bounds.

use skep_isa::Size;
use skep_maps::Bytes;

use super::{Mem, Word, pointer};

impl Mem<'_> {
    /// Bytes of the packet buffer, head- and tailroom included.
    pub(crate) fn packet_buffer_len(&self) -> usize {
        self.loan.packet.span.len as usize
    }

    /// Whether helpers may change the packet.
    pub(crate) fn packet_writable(&self) -> bool {
        self.loan.packet.span.tag.grants(true)
    }

    /// The address of a byte of the packet buffer.
    pub(crate) fn packet_addr(&self, off: usize) -> u64 {
        self.loan.packet.span.start + off as u64
    }

    /// Bytes that a helper reads, and a part of the packet buffer; `None` when the former are not granted. The part
    /// lies in the packet buffer.
    pub(crate) fn bytes_and_packet(
        &mut self,
        addr: u64,
        len: u64,
        off: usize,
        packet_len: usize,
    ) -> Option<[Bytes<'_>; 2]> {
        let part = match packet_len {
            0 => 0,
            _ => self.packet_part(off, packet_len),
        };
        let bytes = self.bytes(addr, len)?;
        let packet = match packet_len {
            0 => Bytes::from(&[]),
            // SAFETY: `packet_part` has bounded it; the packet is lent for 'm.
            _ => unsafe { Bytes::shared(part, packet_len) },
        };
        Some([bytes, packet])
    }

    /// Copies bytes of the packet buffer to guest memory; `None` when the guest may not write there.
    /// The part lies in the packet buffer.
    pub(crate) fn copy_packet(&mut self, off: usize, len: usize, to: u64) -> Option<()> {
        let from = self.packet_part(off, len);
        if len > 0 && !self.find(to, len as u64, true) {
            return None;
        }
        for i in 0..len as u64 {
            // SAFETY: `packet_part` has bounded the source, `find` the destination.
            unsafe { u8::store(pointer(to + i), u8::load(pointer(from + i))) };
        }
        Some(())
    }

    /// Copies guest memory to the packet buffer; `None` when the guest may not read there. The part lies in the
    /// packet buffer.
    pub(crate) fn copy_to_packet(&mut self, from: u64, off: usize, len: usize) -> Option<()> {
        assert!(self.packet_writable(), "callers check");
        let to = self.packet_part(off, len);
        if len > 0 && !self.find(from, len as u64, false) {
            return None;
        }
        for i in 0..len as u64 {
            // SAFETY: `find` has bounded the source, `packet_part` the destination; the packet is lent exclusively
            // for 'm.
            unsafe { u8::store(pointer(to + i), u8::load(pointer(from + i))) };
        }
        Some(())
    }

    /// Copies bytes of the packet buffer out. The part lies in the packet buffer.
    pub(crate) fn read_packet(&self, off: usize, to: &mut [u8]) {
        let from = self.packet_part(off, to.len());
        for (i, byte) in to.iter_mut().enumerate() {
            // SAFETY: `packet_part` has bounded the bytes; the packet is lent for 'm.
            *byte = unsafe { u8::load(pointer(from + i as u64)) } as u8;
        }
    }

    /// Overwrites bytes of the packet buffer. The part lies in the packet buffer.
    pub(crate) fn write_packet(&mut self, off: usize, from: &[u8]) {
        assert!(self.packet_writable(), "callers check");
        let to = self.packet_part(off, from.len());
        for (i, &byte) in from.iter().enumerate() {
            // SAFETY: `packet_part` has bounded the bytes; the packet is lent exclusively for 'm.
            unsafe { u8::store(pointer(to + i as u64), byte.into()) };
        }
    }

    /// A big-endian number of the packet buffer. The part lies in the packet buffer.
    #[inline]
    pub(crate) fn packet_number(&self, off: usize, size: Size) -> u64 {
        let from = pointer(self.packet_part(off, size.bytes()));
        // SAFETY: `packet_part` has bounded the bytes; the packet is lent for 'm.
        unsafe {
            match size {
                Size::B => u8::load(from),
                Size::H => u16::from_be(u16::load(from) as u16).into(),
                Size::W => u32::from_be(u32::load(from) as u32).into(),
                Size::DW => u64::from_be(u64::load(from)),
            }
        }
    }

    /// Moves a part of the packet buffer. Both parts lie in the packet buffer.
    pub(crate) fn move_packet(&mut self, from: usize, to: usize, len: usize) {
        assert!(self.packet_writable(), "callers check");
        let (from, to) = (self.packet_part(from, len), self.packet_part(to, len));
        // SAFETY: `packet_part` has bounded both; they may overlap; the packet is lent exclusively for 'm.
        unsafe { pointer(from).copy_to(pointer(to), len) };
    }

    /// Zeroes a part of the packet buffer. The part lies in the packet buffer.
    pub(crate) fn zero_packet(&mut self, off: usize, len: usize) {
        assert!(self.packet_writable(), "callers check");
        let at = self.packet_part(off, len);
        // SAFETY: `packet_part` has bounded it; the packet is lent exclusively for 'm.
        unsafe { pointer(at).write_bytes(0, len) };
    }

    #[inline]
    fn packet_part(&self, off: usize, len: usize) -> u64 {
        let whole = self.loan.packet.span.len as usize;
        assert!(off <= whole && len <= whole - off, "callers check against the packet's bounds");
        self.loan.packet.span.start + off as u64
    }
}

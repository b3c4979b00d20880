//! Writes pcap files.

use std::io::{self, Write};

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// Longest packet that other tools take (`MAXIMUM_SNAPLEN` of libpcap).
const SNAPLEN: u32 = 262_144;

/// A pcap file of Ethernet packets with nanosecond times, little endian.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    packets: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// The output's.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut header = [0u8; 24];
        header[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
        header[4..6].copy_from_slice(&2u16.to_le_bytes());
        header[6..8].copy_from_slice(&4u16.to_le_bytes());
        header[16..20].copy_from_slice(&SNAPLEN.to_le_bytes());
        header[20..24].copy_from_slice(&ETHERNET.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out, packets: 0 })
    }

    /// Appends a packet that was `wire_len` bytes long; bytes past 262,144 are left out, as the record says.
    /// Times past 2106 wrap: the format has 32 bits of seconds.
    ///
    /// # Errors
    /// The output's.
    pub fn write(&mut self, time_ns: u64, data: &[u8], wire_len: u32) -> io::Result<()> {
        let kept = &data[..data.len().min(SNAPLEN as usize)];
        let words = [
            (time_ns / 1_000_000_000) as u32,
            (time_ns % 1_000_000_000) as u32,
            kept.len() as u32,
            wire_len.max(data.len() as u32),
        ];
        for word in words {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(kept)?;
        self.packets += 1;
        Ok(())
    }

    /// Packets written.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Flushes and gives the output back.
    ///
    /// # Errors
    /// The output's.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

//! Capture files: pcap and pcapng, read as a stream.
//!
//! Memory stays bounded whatever the file claims: one block of at most [`MAX_BLOCK_BYTES`] is held. A file that
//! ends inside a block gives all its whole packets and then says where it was cut; a file whose structure makes
//! no sense ends in [`Error::Damaged`] after the packets before the damage.

mod link;
mod writer;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapHeader, create_reader};

pub use link::LinkType;
pub use writer::Writer;

use super::{Packet, SourceStats};

/// Longest block or record that is read: no real packet comes near.
pub const MAX_BLOCK_BYTES: usize = 16 << 20;
/// Interfaces that a section may declare: enough for any capture, too few to fill memory.
const MAX_INTERFACES: usize = 65_536;
const INITIAL_BUFFER: usize = 256 << 10;

/// Why a capture could not be read, or not to its end.
#[derive(Debug)]
pub enum Error {
    /// Opening or reading failed.
    Io(io::Error),
    /// Neither pcap nor pcapng.
    NotACapture,
    /// The structure makes no sense at this byte.
    Damaged {
        /// Offset of the block or record.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A packet's link type has no Ethernet meaning.
    LinkType {
        /// The type.
        link: LinkType,
        /// Interface of the file, from 1.
        interface: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => e.fmt(f),
            Self::NotACapture => f.write_str("not a capture: neither pcap nor pcapng"),
            Self::Damaged { offset, what } => write!(f, "damaged at byte {offset}: {what}"),
            Self::LinkType { link, interface } => write!(
                f,
                "interface {interface} has link type {link}, which is not supported; supported are Ethernet (1), \
                 raw IP (101, 228, 229), Linux cooked (113, 276) and BSD loopback (0, 108)"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            Self::NotACapture | Self::Damaged { .. } | Self::LinkType { .. } => None,
        }
    }
}

/// Where a file ended inside a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Offset of the incomplete block or record.
    pub offset: u64,
    /// Bytes of it that are there.
    pub present: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the capture is cut: {} bytes of an incomplete packet at byte {}",
            self.present, self.offset
        )
    }
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    /// `if_tsresol`: a power of ten, or of two with the top bit set.
    resolution: u8,
    offset_secs: i64,
}

/// A capture, packet by packet.
///
/// ```
/// use skep_user::source::capture::{Capture, Writer};
///
/// let mut file = Writer::new(Vec::new())?;
/// file.write(1_000_000_000, &[0; 60], 60)?;
/// let bytes = file.finish()?;
///
/// let mut capture = Capture::new(&bytes[..])?;
/// let packet = capture.next_packet()?.expect("one packet");
/// assert_eq!((packet.time_ns, packet.data.len()), (1_000_000_000, 60));
/// assert!(capture.next_packet()?.is_none());
/// assert_eq!(capture.cut(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Capture<'r> {
    reader: Box<dyn PcapReaderIterator + Send + 'r>,
    interfaces: Vec<Interface>,
    nanoseconds: bool,
    /// The current packet with its Ethernet header.
    frame: Vec<u8>,
    offset: u64,
    buffer_bytes: usize,
    stats: SourceStats,
    cut: Option<Cut>,
    done: bool,
}

impl fmt::Debug for Capture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("offset", &self.offset)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Capture<'static> {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened or does not begin like a capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(File::open(path).map_err(Error::Io)?)
    }
}

impl<'r> Capture<'r> {
    /// Reads from a stream.
    ///
    /// # Errors
    /// When it does not begin like a capture.
    pub fn new(input: impl Read + Send + 'r) -> Result<Self, Error> {
        let mut input = input;
        // The parser judges the format by its first read, which may be short on a pipe.
        let mut head = Vec::with_capacity(INITIAL_BUFFER);
        input.by_ref().take(4096).read_to_end(&mut head).map_err(Error::Io)?;
        let known = head.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
            || head.first_chunk().is_some_and(|m: &[u8; 4]| {
                let (a, b) = (u32::from_le_bytes(*m), u32::from_be_bytes(*m));
                [a, b].iter().any(|m| matches!(m, 0xa1b2_c3d4 | 0xa1b2_3c4d | 0xa1b2_cd34))
            });
        if !known {
            return Err(Error::NotACapture);
        }
        let present = head.len();
        let input = io::Cursor::new(head).chain(input);
        let reader = create_reader(INITIAL_BUFFER, input).map_err(|e| match e {
            PcapError::ReadError => Error::Io(io::Error::other("reading failed")),
            PcapError::Incomplete(_) | PcapError::UnexpectedEof | PcapError::Eof => Error::Damaged {
                offset: 0,
                what: format!("the file ends inside its header ({present} bytes)"),
            },
            _ => Error::Damaged { offset: 0, what: "the file header makes no sense".to_owned() },
        })?;
        Ok(Self {
            reader,
            interfaces: Vec::new(),
            nanoseconds: false,
            frame: Vec::new(),
            offset: 0,
            buffer_bytes: INITIAL_BUFFER,
            stats: SourceStats::default(),
            cut: None,
            done: false,
        })
    }

    /// The next packet; `None` at the end, see [`Capture::cut`].
    ///
    /// # Errors
    /// Damage, an unsupported link type or a failed read; after an error there is nothing more.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Error> {
        if self.done {
            return Ok(None);
        }
        match self.advance() {
            Ok(Some(found)) => {
                self.stats.packets += 1;
                self.stats.bytes += self.frame.len() as u64;
                self.stats.truncated += u64::from(self.frame.len() < found.wire_len as usize);
                Ok(Some(Packet { data: &self.frame, ..found }))
            }
            Ok(None) => {
                self.done = true;
                Ok(None)
            }
            Err(e) => {
                self.done = true;
                Err(e)
            }
        }
    }

    /// What has been read so far.
    pub fn stats(&self) -> SourceStats {
        self.stats
    }

    /// Where the file was cut, once the end has been reached.
    pub fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// Reads blocks until one is a packet, which then stands in `frame`.
    fn advance(&mut self) -> Result<Option<Packet<'static>>, Error> {
        loop {
            let offset = self.offset;
            let (len, found) = match self.reader.next() {
                Ok((len, block)) => {
                    let mut state = Sections {
                        interfaces: &mut self.interfaces,
                        nanoseconds: &mut self.nanoseconds,
                        frame: &mut self.frame,
                        offset,
                    };
                    (len, state.block(block)?)
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::UnexpectedEof) => {
                    self.cut = Some(Cut { offset, present: self.reader.data().len() as u64 });
                    return Ok(None);
                }
                Err(PcapError::Incomplete(_)) => {
                    self.refill()?;
                    continue;
                }
                Err(PcapError::BufferTooSmall) => {
                    self.grow()?;
                    continue;
                }
                Err(PcapError::ReadError) => return Err(Error::Io(io::Error::other("reading failed"))),
                Err(_) => return Err(damaged(offset, "the block's lengths contradict each other")),
            };
            self.reader.consume(len);
            self.offset += len as u64;
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn refill(&mut self) -> Result<(), Error> {
        let before = self.reader.data().len();
        self.reader.refill().map_err(|_| Error::Io(io::Error::other("reading failed")))?;
        if self.reader.data().len() == before && !self.reader.reader_exhausted() {
            self.grow()?;
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), Error> {
        // A short file is cut, whatever length its last block claims.
        if self.reader.data().len() < self.buffer_bytes {
            let before = self.reader.data().len();
            self.reader.refill().map_err(|_| Error::Io(io::Error::other("reading failed")))?;
            if self.reader.data().len() > before || self.reader.reader_exhausted() {
                return Ok(());
            }
        }
        if self.buffer_bytes >= MAX_BLOCK_BYTES {
            return Err(damaged(self.offset, "a block claims to be longer than 16 MiB"));
        }
        self.buffer_bytes *= 2;
        if !self.reader.grow(self.buffer_bytes) {
            return Err(damaged(self.offset, "a block does not fit in memory"));
        }
        self.reader.refill().map_err(|_| Error::Io(io::Error::other("reading failed")))
    }
}

#[cold]
fn damaged(offset: u64, what: impl Into<String>) -> Error {
    Error::Damaged { offset, what: what.into() }
}

/// The part of a capture's state that a block changes.
struct Sections<'a> {
    interfaces: &'a mut Vec<Interface>,
    nanoseconds: &'a mut bool,
    frame: &'a mut Vec<u8>,
    offset: u64,
}

impl Sections<'_> {
    fn block(&mut self, block: PcapBlockOwned<'_>) -> Result<Option<Packet<'static>>, Error> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => self.legacy_header(&header).map(|()| None),
            PcapBlockOwned::Legacy(packet) => {
                let data = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                let fraction = u64::from(packet.ts_usec) * if *self.nanoseconds { 1 } else { 1000 };
                let time_ns = u64::from(packet.ts_sec) * 1_000_000_000 + fraction;
                self.packet(0, data, packet.origlen, time_ns)
            }
            PcapBlockOwned::NG(block) => self.next_generation(block),
        }
    }

    fn legacy_header(&mut self, header: &PcapHeader) -> Result<(), Error> {
        *self.nanoseconds = header.is_nanosecond_precision();
        // The upper bits hold the length of a frame check sequence.
        let link = LinkType(header.network.0 as u32 & 0x03ff_ffff);
        self.interfaces.push(Interface { link, snaplen: header.snaplen, resolution: 6, offset_secs: 0 });
        if link.is_supported() { Ok(()) } else { Err(Error::LinkType { link, interface: 1 }) }
    }

    fn next_generation(&mut self, block: Block<'_>) -> Result<Option<Packet<'static>>, Error> {
        match block {
            Block::SectionHeader(_) => {
                self.interfaces.clear();
                Ok(None)
            }
            Block::InterfaceDescription(idb) => {
                if self.interfaces.len() >= MAX_INTERFACES {
                    return Err(damaged(self.offset, "a section declares more than 65,536 interfaces"));
                }
                // The parser keeps the type as little-endian bytes give it: 1 only in such a section.
                let big = idb.block_type != 1;
                let offset_secs = idb
                    .options
                    .iter()
                    .find(|o| o.code == OptionCode::IfTsoffset)
                    .and_then(|o| o.value.first_chunk())
                    .map_or(0, |b| if big { i64::from_be_bytes(*b) } else { i64::from_le_bytes(*b) });
                self.interfaces.push(Interface {
                    link: LinkType(idb.linktype.0 as u32),
                    snaplen: idb.snaplen,
                    resolution: idb.if_tsresol,
                    offset_secs,
                });
                Ok(None)
            }
            Block::EnhancedPacket(epb) => {
                let Some(interface) = self.interfaces.get(epb.if_id as usize) else {
                    let what =
                        format!("a packet names interface {}, of {}", epb.if_id, self.interfaces.len());
                    return Err(damaged(self.offset, what));
                };
                if epb.caplen as usize > epb.data.len() {
                    return Err(damaged(self.offset, "a packet is longer than its block"));
                }
                let ticks = u64::from(epb.ts_high) << 32 | u64::from(epb.ts_low);
                let time_ns = nanoseconds(ticks, interface);
                self.packet(epb.if_id, epb.packet_data(), epb.origlen, time_ns)
            }
            Block::SimplePacket(spb) => {
                let Some(interface) = self.interfaces.first() else {
                    return Err(damaged(self.offset, "a packet before any interface"));
                };
                // Its length is what the interface's limit leaves of it; the rest of the block is padding.
                let limit = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
                let len = spb.origlen.min(limit) as usize;
                let data = spb.data.get(..len).unwrap_or(spb.data);
                self.packet(0, data, spb.origlen, 0)
            }
            _ => Ok(None),
        }
    }

    fn packet(
        &mut self,
        interface: u32,
        data: &[u8],
        original: u32,
        time_ns: u64,
    ) -> Result<Option<Packet<'static>>, Error> {
        let Some(link) = self.interfaces.get(interface as usize).map(|i| i.link) else {
            return Err(damaged(self.offset, "a packet before any interface"));
        };
        if !link.is_supported() {
            return Err(Error::LinkType { link, interface: interface.saturating_add(1) });
        }
        let Some(framed) = link.to_ethernet(data, self.frame) else {
            let what = format!("a packet of {} bytes is shorter than its link header, {link}", data.len());
            return Err(damaged(self.offset, what));
        };
        Ok(Some(Packet {
            data: &[],
            // A writer that says less than it kept is wrong about the wire.
            wire_len: framed.wire_len(original).max(self.frame.len() as u32),
            ifindex: interface.saturating_add(1),
            protocol: framed.protocol,
            pkt_type: framed.pkt_type,
            vlan: None,
            hash: 0,
            time_ns,
        }))
    }
}

/// Ticks of an interface's clock as nanoseconds since 1970; what does not fit is cut at the ends.
fn nanoseconds(ticks: u64, interface: &Interface) -> u64 {
    let power = u32::from(interface.resolution & 0x7f);
    let per_second =
        if interface.resolution & 0x80 != 0 { 1u128.checked_shl(power) } else { 10u128.checked_pow(power) };
    // A finer clock than 10^38 has not ticked a nanosecond in 64 bits.
    let since = per_second.map_or(0, |per| u128::from(ticks) * 1_000_000_000 / per);
    let offset = i128::from(interface.offset_secs) * 1_000_000_000;
    u64::try_from((since as i128).saturating_add(offset).max(0)).unwrap_or(u64::MAX)
}

/// Reads a whole capture from memory: the entry for fuzzing and small files.
///
/// # Errors
/// As [`Capture::next_packet`], after `each` has seen the packets before.
pub fn read(bytes: &[u8], mut each: impl FnMut(Packet<'_>)) -> Result<(SourceStats, Option<Cut>), Error> {
    let mut capture = Capture::new(bytes)?;
    while let Some(packet) = capture.next_packet()? {
        each(packet);
    }
    Ok((capture.stats(), capture.cut()))
}

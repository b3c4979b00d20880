//! Where a type stands in a `.BTF` section: looked for again once something is wrong with it, to say so.

use crate::endian::Reader;
use crate::parse::{HEADER_LEN, header, section};
use crate::raw::HEAD_LEN;
use crate::{At, Error, Kind};

/// The byte of the section at which the record of type `id` begins, where `first` is the id of the first record's type.
/// `None` if the records before it do not lead there.
fn record(bytes: &[u8], first: u32, id: u32) -> Option<u32> {
    let (endian, hdr_len) = header(bytes, HEADER_LEN).ok()?;
    let mut r = Reader::new(bytes.get(8..HEADER_LEN)?, endian);
    let (off, len) = (r.u32()?, r.u32()?);
    let body = bytes.get(hdr_len..)?;
    let types = &body[section(body, off, len, "type").ok()?];
    let mut at = 0usize;
    for _ in first..id {
        let info = endian.u32(*types.get(at + 4..)?.first_chunk()?);
        let (words, by_part) = Kind::from_raw(info >> 24 & 0x1f)?.words();
        at = at.checked_add(HEAD_LEN + 4 * (words + by_part * (info & 0xffff) as usize))?;
    }
    (at < types.len()).then_some((hdr_len + off as usize + at) as u32)
}

impl Error {
    /// With the byte at which the type begins that this is about, if it is about one of these bytes' own.
    #[cold]
    pub(crate) fn located(self, bytes: &[u8], first: u32) -> Self {
        match self.at() {
            At::Type(id) => self.at_byte(record(bytes, first.max(1), id)),
            At::Header | At::String(_) | At::Ext(_) | At::Value(_) => self,
        }
    }
}

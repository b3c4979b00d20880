//! Where the types and strings of a `.BTF` section are. What a record says on its own is checked here, what it says
//! about other types in [`check`](crate::check).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::endian::Reader;
use crate::facts::Derived;
use crate::raw::{self, HEAD_LEN, Record};
use crate::store::{Layout, Place};
use crate::types::*;
use crate::{At, Btf, Endian, Error};

pub(crate) const MAGIC: u16 = 0xeb9f;
pub(crate) const HEADER_LEN: usize = 24;
/// Largest string section that Linux takes (`BTF_MAX_NAME_OFFSET`).
pub(crate) const MAX_STRINGS: usize = 0x00ff_ffff;

/// Byte order by the magic number.
pub(crate) fn endian_of(bytes: &[u8]) -> Result<Endian, Error> {
    let &[a, b, ..] = bytes else {
        return Err(Error::truncated(At::Header, format!("{} bytes, too short for a header", bytes.len())));
    };
    match (Endian::Little.u16([a, b]), Endian::Big.u16([a, b])) {
        (MAGIC, _) => Ok(Endian::Little),
        (_, MAGIC) => Ok(Endian::Big),
        (other, _) => Err(Error::malformed(At::Header, format!("magic is {other:#06x}, not {MAGIC:#06x}"))),
    }
}

/// Fields that `.BTF` and `.BTF.ext` headers share: magic, version, flags, header length. Returns the byte
/// order and the length of the header, which lies within `bytes` and is at least `min_len`.
pub(crate) fn header(bytes: &[u8], min_len: usize) -> Result<(Endian, usize), Error> {
    let endian = endian_of(bytes)?;
    let Some(&[_, _, version, flags, a, b, c, d]) = bytes.get(..8) else {
        return Err(Error::truncated(At::Header, format!("{} bytes, too short for a header", bytes.len())));
    };
    if version != 1 {
        return Err(Error::unsupported(At::Header, format!("version {version}; only 1 is known")));
    }
    if flags != 0 {
        return Err(Error::unsupported(At::Header, format!("flags {flags:#x}; none are known")));
    }
    let len = endian.u32([a, b, c, d]) as usize;
    if len < min_len {
        return Err(Error::malformed(At::Header, format!("hdr_len is {len}, less than {min_len}")));
    }
    if len > bytes.len() {
        return Err(Error::truncated(
            At::Header,
            format!("hdr_len is {len}, but there are {} bytes", bytes.len()),
        ));
    }
    Ok((endian, len))
}

/// The part of `body` that a header's offset and length name.
pub(crate) fn section(body: &[u8], off: u32, len: u32, what: &str) -> Result<Range<usize>, Error> {
    let start = off as usize;
    let end = start.checked_add(len as usize).filter(|end| *end <= body.len());
    end.map(|end| start..end).ok_or_else(|| {
        Error::truncated(
            At::Header,
            format!(
                "{what} section is {off:#x}+{len:#x}, but only {:#x} bytes follow the header",
                body.len()
            ),
        )
    })
}

/// Own types and strings; those of a split BTF go on where those of `base` end.
pub(crate) fn parse(bytes: &[u8], base: Option<&Btf>) -> Result<Layout, Error> {
    let (endian, hdr_len) = header(bytes, HEADER_LEN)?;
    let (head, body) = bytes.split_at(hdr_len);
    if let Some(i) = head[HEADER_LEN..].iter().position(|&b| b != 0) {
        let at = HEADER_LEN + i;
        return Err(Error::unsupported(At::Header, format!("byte {at} of a longer header is not zero")));
    }
    let mut r = Reader::new(&head[8..HEADER_LEN], endian);
    let mut field = || r.u32().expect("the header holds four fields after hdr_len");
    let (type_off, type_len, str_off, str_len) = (field(), field(), field(), field());
    if type_off % 4 != 0 || type_len % 4 != 0 {
        return Err(Error::malformed(
            At::Header,
            format!("type section {type_off:#x}+{type_len:#x} is not aligned to 4"),
        ));
    }
    let strings = section(body, str_off, str_len, "string")?;
    let ascii = check_strings(&body[strings.clone()], base)?;
    let types = section(body, type_off, type_len, "type")?;
    let (places, derived) = find_types(&body[types.clone()], endian, base)?;
    let behind = |r: Range<usize>| r.start + hdr_len..r.end + hdr_len;
    Ok(Layout { endian, types: behind(types), strings: behind(strings), ascii, places, derived })
}

/// Whether all strings are ASCII.
fn check_strings(bytes: &[u8], base: Option<&Btf>) -> Result<bool, Error> {
    let len = bytes.len() + base.map_or(0, |b| b.strings_end() as usize);
    if len > MAX_STRINGS {
        return Err(Error::malformed(
            At::Header,
            format!("string section has {len} bytes, more than {MAX_STRINGS}"),
        ));
    }
    if base.is_some() && bytes.is_empty() {
        return Ok(true);
    }
    if base.is_none() && bytes.first() != Some(&0) {
        return Err(Error::malformed(At::String(0), "the first string is not empty"));
    }
    if bytes.last() != Some(&0) {
        return Err(Error::malformed(
            At::String(bytes.len() as u32 - 1),
            "the last string is not terminated",
        ));
    }
    if bytes.is_ascii() {
        return Ok(true);
    }
    match core::str::from_utf8(bytes) {
        Ok(_) => Ok(false),
        Err(e) => Err(Error::malformed(At::String(e.valid_up_to() as u32), "not UTF-8")),
    }
}

/// Where records start, and which types hang on others.
fn find_types(bytes: &[u8], endian: Endian, base: Option<&Btf>) -> Result<(Vec<Place>, Derived), Error> {
    if bytes.len() >= Place::MAX_LEN {
        let what = format!("type section has {} bytes, not less than {}", bytes.len(), Place::MAX_LEN);
        return Err(Error::unsupported(At::Header, what));
    }
    let first = base.map_or(0, |b| b.len() as u32);
    if first as usize + bytes.len() / HEAD_LEN > i32::MAX as usize {
        return Err(Error::unsupported(At::Header, "with its base it may have more than 2^31 types"));
    }
    let mut places: Vec<Place> = Vec::with_capacity(bytes.len() / 24 + 2);
    let mut derived = Derived::default();
    if base.is_none() {
        places.push(Place::new(Kind::Void, 0));
        derived.push(false);
    }
    let mut at = 0;
    while at < bytes.len() {
        let found = Found { id: first + places.len() as u32, at, left: &bytes[at..], endian };
        let (kind, len) = found.check()?;
        derived.push(kind.is_derived());
        places.push(Place::new(kind, at));
        at += len;
    }
    places.push(Place::new(Kind::Void, at));
    Ok((places, derived))
}

/// A record that has been come upon.
struct Found<'a> {
    id: u32,
    /// Where it starts in the section.
    at: usize,
    /// The section from there on.
    left: &'a [u8],
    endian: Endian,
}

impl<'a> Found<'a> {
    /// The kind of a record that obeys its rules, and its length in bytes.
    fn check(&self) -> Result<(Kind, usize), Error> {
        if self.left.len() < HEAD_LEN {
            return Err(Error::truncated(
                At::Type(self.id),
                format!("the type section ends within it, at {:#x}", self.at),
            ));
        }
        let info = self.endian.u32([self.left[4], self.left[5], self.left[6], self.left[7]]);
        if info & 0x60ff_0000 != 0 {
            return Err(self.bad(format!("reserved bits set in info {info:#010x}")));
        }
        let number = info >> 24 & 0x1f;
        let Some(kind) = Kind::from_raw(number).filter(|k| *k != Kind::Void) else {
            return Err(Error::unsupported(At::Type(self.id), format!("kind {number} is unknown")));
        };
        let head = Record::new(kind, &self.left[..HEAD_LEN], self.endian);
        self.head(kind, head)?;
        let record = self.whole(kind, head)?;
        self.tail(kind, record)?;
        Ok((kind, record.len_bytes()))
    }

    #[cold]
    fn bad(&self, what: impl Into<String>) -> Error {
        Error::malformed(At::Type(self.id), what)
    }

    /// What the first 12 bytes may not have.
    fn head(&self, kind: Kind, head: Record<'_>) -> Result<(), Error> {
        let kflag = || match head.kflag() {
            true => Err(self.bad(format!("kind_flag is set in a {}", kind.name()))),
            false => Ok(()),
        };
        let plain = || {
            kflag()?;
            match head.vlen() {
                0 => Ok(()),
                n => Err(self.bad(format!("vlen is {n} in a {}, not 0", kind.name()))),
            }
        };
        let unnamed = || match head.name().is_none() {
            true => Ok(()),
            false => Err(self.bad(format!("a {} has a name", kind.name()))),
        };
        match kind {
            Kind::Int | Kind::Typedef | Kind::Var | Kind::Float => plain(),
            Kind::Ptr | Kind::Volatile | Kind::Const | Kind::Restrict => plain().and_then(|()| unnamed()),
            Kind::Array => {
                plain().and_then(|()| unnamed())?;
                match head.word() {
                    0 => Ok(()),
                    n => Err(self.bad(format!("size is {n} in an ARRAY, not 0"))),
                }
            }
            Kind::Fwd if head.vlen() != 0 || head.word() != 0 => Err(self.bad("a FWD has a vlen or a type")),
            Kind::Func => {
                kflag()?;
                match raw::func_linkage(head.vlen()) {
                    Some(_) => Ok(()),
                    None => Err(self.bad(format!("linkage {} of a FUNC is unknown", head.vlen()))),
                }
            }
            Kind::FuncProto => kflag().and_then(|()| unnamed()),
            Kind::Datasec => kflag(),
            Kind::DeclTag | Kind::TypeTag if head.vlen() != 0 => {
                Err(self.bad(format!("vlen of a {} is not 0", kind.name())))
            }
            Kind::Fwd | Kind::DeclTag | Kind::TypeTag => Ok(()),
            Kind::Void | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => Ok(()),
        }
    }

    /// All of a record, if it is there.
    fn whole(&self, kind: Kind, head: Record<'_>) -> Result<Record<'a>, Error> {
        let (words, each) = kind.words();
        let count = if each == 0 { 0 } else { head.vlen() as usize };
        let len = HEAD_LEN + (words + count * each) * 4;
        match self.left.get(..len) {
            Some(bytes) => Ok(Record::new(kind, bytes, self.endian)),
            None if each == 0 => Err(Error::truncated(At::Type(self.id), "the type section ends within it")),
            None => {
                let left = self.left.len() - HEAD_LEN;
                let what = format!("vlen is {count}, but the type section ends after {left} more bytes");
                Err(Error::truncated(At::Type(self.id), what))
            }
        }
    }

    /// What the words after the first 12 bytes may not have.
    fn tail(&self, kind: Kind, record: Record<'_>) -> Result<(), Error> {
        let word = record.extra(0);
        match kind {
            Kind::Int if word & 0xf000_ff00 != 0 => {
                Err(self.bad(format!("reserved bits set in the INT's word {word:#010x}")))
            }
            Kind::Int if raw::int_encoding(word).is_none() => {
                Err(self.bad(format!("encoding {} of an INT is unknown", word >> 24 & 0xf)))
            }
            Kind::Var if raw::var_linkage(word).is_none() => {
                Err(self.bad(format!("linkage {word} of a VAR is unknown")))
            }
            Kind::DeclTag if record.component().is_some_and(|n| n > i32::MAX as u32) => {
                Err(self.bad(format!("component_idx {} is negative", word.cast_signed())))
            }
            _ => Ok(()),
        }
    }
}

//! Bytes of a `.BTF` section to types, all at once.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::endian::Reader;
use crate::parse::{HEADER_LEN, MAX_STRINGS, header, section};
use crate::types::*;
use crate::{At, Btf, Endian, Error};

/// Own types and strings; those of a split BTF go on where those of `base` end.
pub(super) fn parse(bytes: &[u8], base: Option<&Btf>) -> Result<(Vec<Type>, String), Error> {
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
    let strings = strings(&body[section(body, str_off, str_len, "string")?], base)?;
    let types = types(&body[section(body, type_off, type_len, "type")?], endian, base)?;
    Ok((types, strings))
}

fn strings(bytes: &[u8], base: Option<&Btf>) -> Result<String, Error> {
    let len = bytes.len() + base.map_or(0, |b| b.strings_end() as usize);
    if len > MAX_STRINGS {
        return Err(Error::malformed(
            At::Header,
            format!("string section has {len} bytes, more than {MAX_STRINGS}"),
        ));
    }
    if base.is_some() && bytes.is_empty() {
        return Ok(String::new());
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
    match core::str::from_utf8(bytes) {
        Ok(s) => Ok(s.into()),
        Err(e) => Err(Error::malformed(At::String(e.valid_up_to() as u32), "not UTF-8")),
    }
}

fn types(bytes: &[u8], endian: Endian, base: Option<&Btf>) -> Result<Vec<Type>, Error> {
    let mut r = Reader::new(bytes, endian);
    let mut types = Vec::with_capacity(bytes.len() / 24 + 1);
    let first = base.map_or(0, |b| b.len() as u32);
    if base.is_none() {
        types.push(Type::Void);
    }
    while r.remaining() > 0 {
        let id = first + types.len() as u32;
        types.push(Record::read(&mut r, id)?.decode(&mut r)?);
    }
    Ok(types)
}

/// `struct btf_type`: the 12 bytes that open every type.
///
/// ```text
/// info:   31     30-29   28-24   23-16    15-0
///        kflag   unused  kind    unused   vlen
/// ```
struct Record {
    id: u32,
    name: Name,
    kind: u32,
    kflag: bool,
    vlen: u32,
    /// Size in bytes or a type id, by kind.
    word: u32,
}

impl Record {
    fn read(r: &mut Reader<'_>, id: u32) -> Result<Self, Error> {
        let off = r.pos();
        let (Some(name), Some(info), Some(word)) = (r.u32(), r.u32(), r.u32()) else {
            return Err(Error::truncated(
                At::Type(id),
                format!("the type section ends within it, at {off:#x}"),
            ));
        };
        if info & 0x60ff_0000 != 0 {
            return Err(Error::malformed(At::Type(id), format!("reserved bits set in info {info:#010x}")));
        }
        let (kind, kflag, vlen) = (info >> 24 & 0x1f, info >> 31 != 0, info & 0xffff);
        Ok(Self { id, name: Name(name), kind, kflag, vlen, word })
    }

    #[cold]
    fn bad(&self, what: impl Into<String>) -> Error {
        Error::malformed(At::Type(self.id), what)
    }

    fn plain(&self, kind: Kind) -> Result<(), Error> {
        self.no_kflag(kind)?;
        if self.vlen != 0 {
            return Err(self.bad(format!("vlen is {} in a {}, not 0", self.vlen, kind.name())));
        }
        Ok(())
    }

    fn no_kflag(&self, kind: Kind) -> Result<(), Error> {
        if self.kflag {
            return Err(self.bad(format!("kind_flag is set in a {}", kind.name())));
        }
        Ok(())
    }

    fn unnamed(&self, kind: Kind) -> Result<(), Error> {
        if !self.name.is_none() {
            return Err(self.bad(format!("a {} has a name", kind.name())));
        }
        Ok(())
    }

    fn qualifier(&self, kind: Kind) -> Result<TypeId, Error> {
        self.plain(kind)?;
        self.unnamed(kind)?;
        Ok(TypeId(self.word))
    }

    /// Reads `count` entries of `words` 32-bit words. Checks that they are there before allocating.
    fn entries<T>(
        &self,
        r: &mut Reader<'_>,
        words: usize,
        read: impl Fn(&mut Reader<'_>) -> Option<T>,
    ) -> Result<Box<[T]>, Error> {
        let count = self.vlen as usize;
        if r.remaining() < count * words * 4 {
            return Err(Error::truncated(
                At::Type(self.id),
                format!("vlen is {count}, but the type section ends after {} more bytes", r.remaining()),
            ));
        }
        let mut out = Vec::with_capacity(count);
        out.extend((0..count).map_while(|_| read(r)));
        Ok(out.into_boxed_slice())
    }

    fn word_after(&self, r: &mut Reader<'_>) -> Result<u32, Error> {
        r.u32().ok_or_else(|| Error::truncated(At::Type(self.id), "the type section ends within it"))
    }

    fn decode(self, r: &mut Reader<'_>) -> Result<Type, Error> {
        let name = self.name;
        Ok(match self.kind {
            1 => self.int(r)?,
            2 => Type::Ptr { target: self.qualifier(Kind::Ptr)? },
            3 => {
                self.plain(Kind::Array)?;
                self.unnamed(Kind::Array)?;
                if self.word != 0 {
                    return Err(self.bad(format!("size is {} in an ARRAY, not 0", self.word)));
                }
                let (element, index) = (TypeId(self.word_after(r)?), TypeId(self.word_after(r)?));
                Type::Array { element, index, len: self.word_after(r)? }
            }
            4 => Type::Struct { name, size: self.word, members: self.members(r)? },
            5 => Type::Union { name, size: self.word, members: self.members(r)? },
            6 => {
                let signed = self.kflag;
                let value = |v: i32| if signed { v.into() } else { i64::from(v.cast_unsigned()) };
                let values = self.entries(r, 2, |r| {
                    Some(EnumValue { name: Name(r.u32()?), value: value(r.u32()?.cast_signed()) })
                })?;
                Type::Enum { name, size: self.word, signed, values }
            }
            7 => {
                if self.vlen != 0 || self.word != 0 {
                    return Err(self.bad("a FWD has a vlen or a type"));
                }
                Type::Fwd { name, is_union: self.kflag }
            }
            8 => {
                self.plain(Kind::Typedef)?;
                Type::Typedef { name, target: TypeId(self.word) }
            }
            9 => Type::Volatile { target: self.qualifier(Kind::Volatile)? },
            10 => Type::Const { target: self.qualifier(Kind::Const)? },
            11 => Type::Restrict { target: self.qualifier(Kind::Restrict)? },
            12 => {
                self.no_kflag(Kind::Func)?;
                let linkage = match self.vlen {
                    0 => FuncLinkage::Static,
                    1 => FuncLinkage::Global,
                    2 => FuncLinkage::Extern,
                    n => return Err(self.bad(format!("linkage {n} of a FUNC is unknown"))),
                };
                Type::Func { name, proto: TypeId(self.word), linkage }
            }
            13 => {
                self.no_kflag(Kind::FuncProto)?;
                self.unnamed(Kind::FuncProto)?;
                let params =
                    self.entries(r, 2, |r| Some(Param { name: Name(r.u32()?), ty: TypeId(r.u32()?) }))?;
                Type::FuncProto { ret: TypeId(self.word), params }
            }
            14 => {
                self.plain(Kind::Var)?;
                let linkage = match self.word_after(r)? {
                    0 => VarLinkage::Static,
                    1 => VarLinkage::Global,
                    2 => VarLinkage::Extern,
                    n => return Err(self.bad(format!("linkage {n} of a VAR is unknown"))),
                };
                Type::Var { name, ty: TypeId(self.word), linkage }
            }
            15 => {
                self.no_kflag(Kind::Datasec)?;
                let entries = self.entries(r, 3, |r| {
                    Some(DatasecEntry { ty: TypeId(r.u32()?), off_bytes: r.u32()?, size: r.u32()? })
                })?;
                Type::Datasec { name, size: self.word, entries }
            }
            16 => {
                self.plain(Kind::Float)?;
                Type::Float { name, size: self.word }
            }
            17 => {
                if self.vlen != 0 {
                    return Err(self.bad("vlen of a DECL_TAG is not 0"));
                }
                let component = match self.word_after(r)? {
                    u32::MAX => None,
                    n if n > i32::MAX as u32 => {
                        return Err(self.bad(format!("component_idx {} is negative", n.cast_signed())));
                    }
                    n => Some(n),
                };
                Type::DeclTag { name, target: TypeId(self.word), component, attribute: self.kflag }
            }
            18 => {
                if self.vlen != 0 {
                    return Err(self.bad("vlen of a TYPE_TAG is not 0"));
                }
                Type::TypeTag { name, target: TypeId(self.word), attribute: self.kflag }
            }
            19 => {
                let values = self.entries(r, 3, |r| {
                    let (name, low, high) = (Name(r.u32()?), r.u32()?, r.u32()?);
                    Some(EnumValue { name, value: (u64::from(high) << 32 | u64::from(low)).cast_signed() })
                })?;
                Type::Enum64 { name, size: self.word, signed: self.kflag, values }
            }
            n => {
                return Err(Error::unsupported(At::Type(self.id), format!("kind {n} is unknown")));
            }
        })
    }

    fn int(&self, r: &mut Reader<'_>) -> Result<Type, Error> {
        self.plain(Kind::Int)?;
        let v = self.word_after(r)?;
        if v & 0xf000_ff00 != 0 {
            return Err(self.bad(format!("reserved bits set in the INT's word {v:#010x}")));
        }
        let encoding = match v >> 24 & 0xf {
            0 => IntEncoding::Unsigned,
            1 => IntEncoding::Signed,
            2 => IntEncoding::Char,
            4 => IntEncoding::Bool,
            n => return Err(self.bad(format!("encoding {n} of an INT is unknown"))),
        };
        Ok(Type::Int { name: self.name, size: self.word, encoding, off_bits: (v >> 16) as u8, bits: v as u8 })
    }

    /// With kind_flag, a member's offset word is `bitfield_bits << 24 | off_bits`.
    fn members(&self, r: &mut Reader<'_>) -> Result<Box<[Member]>, Error> {
        let split = |w: u32| if self.kflag { (w & 0x00ff_ffff, (w >> 24) as u8) } else { (w, 0) };
        self.entries(r, 3, |r| {
            let (name, ty, word) = (Name(r.u32()?), TypeId(r.u32()?), r.u32()?);
            let (off_bits, bitfield_bits) = split(word);
            Some(Member { name, ty, off_bits, bitfield_bits })
        })
    }
}

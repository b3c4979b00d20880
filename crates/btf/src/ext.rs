//! `.BTF.ext`: functions, source lines and CO-RE relocations of an object's sections.

use alloc::format;
use alloc::vec::Vec;

use crate::endian::Reader;
use crate::parse::{MAGIC, header, section};
use crate::{At, Btf, Endian, Error, Name, Type, TypeId};

/// Records for one ELF section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtSection<T> {
    /// Name of the section.
    pub section: Name,
    /// Records in the order of the file.
    pub records: Vec<T>,
}

/// Where a function starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Offset of its first instruction in the section, in bytes.
    pub insn_off_bytes: u32,
    /// Its [`Type::Func`].
    pub ty: TypeId,
}

/// Where a source line starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Offset of its first instruction in the section, in bytes.
    pub insn_off_bytes: u32,
    /// File.
    pub file: Name,
    /// Text of the line.
    pub text: Name,
    /// Line number in the upper 22 bits, column in the lower 10.
    pub line_col: u32,
}

impl LineInfo {
    /// Line number, from 1; 0 for code without a line.
    pub fn line(&self) -> u32 {
        self.line_col >> 10
    }

    /// Column, from 1; 0 if unknown.
    pub fn column(&self) -> u32 {
        self.line_col & 0x3ff
    }
}

/// A CO-RE relocation, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreRelo {
    /// Offset of the instruction in the section, in bytes.
    pub insn_off_bytes: u32,
    /// The type that the access starts from.
    pub ty: TypeId,
    /// The access, as `0:1:2`.
    pub access: Name,
    /// What is relocated (`enum bpf_core_relo_kind`).
    pub kind: u32,
}

/// A checked `.BTF.ext` section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BtfExt {
    /// Functions.
    pub func_info: Vec<ExtSection<FuncInfo>>,
    /// Source lines.
    pub line_info: Vec<ExtSection<LineInfo>>,
    /// CO-RE relocations.
    pub core_relos: Vec<ExtSection<CoreRelo>>,
}

/// Bytes of the header without and with CO-RE relocations.
const SHORT_HEADER: usize = 24;
const FULL_HEADER: usize = 32;

impl BtfExt {
    /// Reads and checks a `.BTF.ext` section that belongs to `btf`.
    ///
    /// # Errors
    /// Anything wrong with the header or a record, which is named by its offset after the header.
    pub fn parse(bytes: &[u8], btf: &Btf) -> Result<Self, Error> {
        let (endian, hdr_len) = header(bytes, SHORT_HEADER)?;
        let (head, body) = bytes.split_at(hdr_len);
        let mut r = Reader::new(&head[8..], endian);
        let mut part = |what| -> Result<Part<'_>, Error> {
            let (Some(off), Some(len)) = (r.u32(), r.u32()) else {
                return Ok(Part { bytes: &[], off: 0, endian, btf, what });
            };
            Ok(Part { bytes: &body[section(body, off, len, what)?], off, endian, btf, what })
        };
        let func_info = part("func_info")?;
        let line_info = part("line_info")?;
        // A header between the two lengths has no whole pair more.
        let core_relos =
            if hdr_len >= FULL_HEADER { part("core_relo")? } else { func_info.none("core_relo") };
        Ok(Self {
            func_info: func_info.read(8, Part::func)?,
            line_info: line_info.read(16, Part::line)?,
            core_relos: core_relos.read(16, Part::core)?,
        })
    }
}

impl BtfExt {
    /// The bytes of a `.BTF.ext` section, with the header that has CO-RE relocations. [`BtfExt::parse`] of them
    /// gives an equal one, but for sections without records, which are left out: the format has none.
    pub fn to_bytes(&self, endian: Endian) -> Vec<u8> {
        let (mut body, mut header) = (Vec::new(), Vec::new());
        let mut part = |words: Vec<u32>| {
            let off = body.len() as u32;
            body.extend(words.iter().flat_map(|w| endian.u32_bytes(*w)));
            header.extend([off, body.len() as u32 - off]);
        };
        part(table(&self.func_info, |f| [f.insn_off_bytes, f.ty.0]));
        part(table(&self.line_info, |l| [l.insn_off_bytes, l.file.0, l.text.0, l.line_col]));
        part(table(&self.core_relos, |r| [r.insn_off_bytes, r.ty.0, r.access.0, r.kind]));
        let mut out = Vec::with_capacity(FULL_HEADER + body.len());
        out.extend_from_slice(&endian.u16_bytes(MAGIC));
        out.extend_from_slice(&[1, 0]);
        out.extend(endian.u32_bytes(FULL_HEADER as u32));
        out.extend(header.iter().flat_map(|w| endian.u32_bytes(*w)));
        out.extend(body);
        out
    }
}

/// One table as words: nothing at all if it has no records.
fn table<T, const N: usize>(sections: &[ExtSection<T>], record: impl Fn(&T) -> [u32; N]) -> Vec<u32> {
    let mut out = Vec::new();
    for s in sections.iter().filter(|s| !s.records.is_empty()) {
        if out.is_empty() {
            out.push(N as u32 * 4);
        }
        out.extend([s.section.0, s.records.len() as u32]);
        out.extend(s.records.iter().flat_map(&record));
    }
    out
}

/// One of the three tables: a record size, then per ELF section a name, a count and records.
struct Part<'a> {
    bytes: &'a [u8],
    /// Where it starts after the header.
    off: u32,
    endian: Endian,
    btf: &'a Btf,
    what: &'static str,
}

impl<'a> Part<'a> {
    fn none(&self, what: &'static str) -> Self {
        Self { bytes: &[], off: 0, what, ..*self }
    }

    fn at(&self, pos: usize) -> At {
        At::Ext(self.off.wrapping_add(pos as u32))
    }

    fn read<T>(
        &self,
        min_record: u32,
        record: fn(&Self, &mut Reader<'_>, At) -> Result<T, Error>,
    ) -> Result<Vec<ExtSection<T>>, Error> {
        let mut out = Vec::new();
        if self.bytes.is_empty() {
            return Ok(out);
        }
        let mut r = Reader::new(self.bytes, self.endian);
        let short = |pos| Error::truncated(self.at(pos), format!("{} ends too early", self.what));
        let record_len = r.u32().ok_or_else(|| short(0))?;
        if record_len < min_record || record_len % 4 != 0 {
            let what = format!(
                "{} records have {record_len} bytes, not {min_record} or more in steps of 4",
                self.what
            );
            return Err(Error::malformed(self.at(0), what));
        }
        while r.remaining() > 0 {
            let pos = r.pos();
            let (Some(name), Some(count)) = (r.u32(), r.u32()) else { return Err(short(pos)) };
            let section = self.name(name, self.at(pos))?;
            if count == 0 {
                return Err(Error::malformed(self.at(pos), format!("{} section without records", self.what)));
            }
            if r.remaining() as u64 / u64::from(record_len) < u64::from(count) {
                let what = format!("{} section claims {count} records of {record_len} bytes", self.what);
                return Err(Error::truncated(self.at(pos), what));
            }
            let mut records = Vec::with_capacity(count as usize);
            for _ in 0..count {
                let at = self.at(r.pos());
                let bytes = r.take(record_len as usize).ok_or_else(|| short(r.pos()))?;
                records.push(record(self, &mut Reader::new(bytes, self.endian), at)?);
            }
            out.push(ExtSection { section, records });
        }
        Ok(out)
    }

    fn name(&self, off: u32, at: At) -> Result<Name, Error> {
        self.btf.name_at(off).ok_or_else(|| {
            Error::malformed(at, format!("string offset {off:#x} is not in the string section"))
        })
    }

    fn word(&self, r: &mut Reader<'_>, at: At) -> Result<u32, Error> {
        r.u32().ok_or_else(|| Error::truncated(at, format!("{} record ends too early", self.what)))
    }

    fn insn_off(&self, r: &mut Reader<'_>, at: At) -> Result<u32, Error> {
        let off = self.word(r, at)?;
        if off % 8 != 0 {
            return Err(Error::malformed(at, format!("insn_off {off:#x} is not a multiple of 8")));
        }
        Ok(off)
    }

    fn func(&self, r: &mut Reader<'_>, at: At) -> Result<FuncInfo, Error> {
        let (insn_off_bytes, ty) = (self.insn_off(r, at)?, TypeId(self.word(r, at)?));
        match self.btf.ty(ty) {
            Some(Type::Func { .. }) => Ok(FuncInfo { insn_off_bytes, ty }),
            Some(other) => {
                Err(Error::malformed(at, format!("type {ty} is a {}, not a FUNC", other.kind().name())))
            }
            None => Err(Error::malformed(at, format!("there is no type {ty}"))),
        }
    }

    fn line(&self, r: &mut Reader<'_>, at: At) -> Result<LineInfo, Error> {
        let insn_off_bytes = self.insn_off(r, at)?;
        let file = self.name(self.word(r, at)?, at)?;
        let text = self.name(self.word(r, at)?, at)?;
        Ok(LineInfo { insn_off_bytes, file, text, line_col: self.word(r, at)? })
    }

    fn core(&self, r: &mut Reader<'_>, at: At) -> Result<CoreRelo, Error> {
        let (insn_off_bytes, ty) = (self.insn_off(r, at)?, TypeId(self.word(r, at)?));
        if self.btf.ty(ty).is_none() {
            return Err(Error::malformed(at, format!("there is no type {ty}")));
        }
        let access = self.name(self.word(r, at)?, at)?;
        Ok(CoreRelo { insn_off_bytes, ty, access, kind: self.word(r, at)? })
    }
}

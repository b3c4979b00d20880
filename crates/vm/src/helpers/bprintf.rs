//! Formatting of `bpf_trace_printk`, `bpf_trace_vprintk` and `bpf_snprintf` (kernel/bpf/helpers.c
//! `bpf_bprintf_prepare`, lib/vsprintf.c `bstr_printf`). The grammar of formats is `skep_abi`'s.
//!
//! As in the kernel there are two passes. The first checks the format and packs the arguments, strings copied out
//! of guest memory: so an error leaves nothing written, and all arguments together take at most 512 bytes. The
//! second writes the text.
//!
//! `%ps` and its like print the number, since there are no symbols; `%p` prints it too, where the kernel prints a
//! hash. A string that cannot be read prints as nothing, an internet address as zeros. The text that the first
//! pass made (`%pi4` and its like, `%pks`, `%pB`) is not padded, and letters and digits behind any `%p` are
//! skipped: so it is in the kernel.

use core::fmt::{self, Write};

use skep_abi::{BPRINTF_ARG_BYTES, Conversion, FormatPiece, FormatSpec, format_piece};
use skep_spec::Errno;

use crate::mem::Mem;

/// Where a format stands.
#[derive(Clone, Copy)]
pub(super) enum Format<'f> {
    /// In the host's memory, without NUL.
    Text(&'f [u8]),
    /// In the program's, up to its NUL.
    Guest(u64),
}

impl Format<'_> {
    fn byte(self, mem: &mut Mem<'_>, at: usize) -> u8 {
        match self {
            Self::Text(text) => text.get(at).copied().unwrap_or(0),
            Self::Guest(addr) => mem.byte(addr.wrapping_add(at as u64)).unwrap_or(0),
        }
    }

    fn piece(self, mem: &mut Mem<'_>, at: usize) -> Result<(FormatPiece, usize), Errno> {
        format_piece(&mut |at| self.byte(mem, at), at).map_err(|_| Errno::EINVAL)
    }
}

/// Where the text goes: cut to what fits, and its length counted uncut.
pub(super) struct Out<'o> {
    to: Sink<'o>,
    /// Bytes that there would be.
    pub(super) total: u64,
}

pub(super) enum Sink<'o> {
    /// The host's memory; text is cut to one byte less than it has.
    Host(&'o mut [u8]),
    /// Memory that the program may write: address and bytes, one of which is for a NUL.
    Guest(u64, u64),
}

impl<'o> Out<'o> {
    pub(super) fn new(to: Sink<'o>) -> Self {
        Self { to, total: 0 }
    }

    fn capacity(&self) -> u64 {
        match &self.to {
            Sink::Host(bytes) => bytes.len() as u64,
            Sink::Guest(_, len) => *len,
        }
    }

    /// How many more bytes fit, with room for a NUL.
    fn room(&self) -> u64 {
        self.capacity().saturating_sub(1).saturating_sub(self.total)
    }

    fn extend(&mut self, mem: &mut Mem<'_>, bytes: &[u8]) {
        let fit = (bytes.len() as u64).min(self.room()) as usize;
        match &mut self.to {
            _ if fit == 0 => {}
            Sink::Host(to) => {
                let at = self.total as usize;
                to[at..at + fit].copy_from_slice(&bytes[..fit]);
            }
            // The caller has checked that all of it is writable.
            Sink::Guest(addr, _) => {
                let _ = mem.write(*addr + self.total, &bytes[..fit]);
            }
        }
        self.total += bytes.len() as u64;
    }

    fn fill(&mut self, mem: &mut Mem<'_>, byte: u8, count: u64) {
        let end = self.total + count;
        for _ in 0..count.min(self.room()) {
            self.extend(mem, &[byte]);
        }
        self.total = end;
    }

    /// Ends the text with a NUL, if there is room for anything.
    pub(super) fn finish(&mut self, mem: &mut Mem<'_>) {
        let Some(last) = self.capacity().checked_sub(1) else { return };
        let at = self.total.min(last);
        match &mut self.to {
            Sink::Host(to) => to[at as usize] = 0,
            Sink::Guest(addr, _) => {
                let _ = mem.write(*addr + at, &[0]);
            }
        }
    }
}

/// Formats `args`; gives nothing but what [`Out`] has then.
///
/// # Errors
/// `EINVAL` for a format that is none or needs more arguments, `ENOSPC` for arguments of more than 512 bytes.
/// Nothing is written then.
pub(super) fn format(
    mem: &mut Mem<'_>,
    format: Format<'_>,
    args: &[u64],
    out: &mut Out<'_>,
) -> Result<(), Errno> {
    let mut packed = Packed::new();
    let (mut at, mut rest) = (0, args.iter());
    loop {
        let (piece, next) = format.piece(mem, at)?;
        match piece {
            FormatPiece::End => break,
            FormatPiece::Byte(_) => {}
            FormatPiece::Conversion(_, conversion) => {
                packed.put(mem, conversion, *rest.next().ok_or(Errno::EINVAL)?)?;
            }
        }
        at = next;
    }
    packed.at = 0;
    at = 0;
    loop {
        let (piece, mut next) = format.piece(mem, at)?;
        match piece {
            FormatPiece::End => break,
            FormatPiece::Byte(b) => out.extend(mem, &[b]),
            FormatPiece::Conversion(spec, conversion) => {
                write(mem, &mut packed, spec, conversion, out);
                if of_pointer(conversion) {
                    while format.byte(mem, next).is_ascii_alphanumeric() {
                        next += 1;
                    }
                }
            }
        }
        at = next;
    }
    Ok(())
}

/// Whether the conversion is spelled with a `p`.
fn of_pointer(conversion: Conversion) -> bool {
    match conversion {
        Conversion::Pointer
        | Conversion::PointerStr
        | Conversion::Symbol
        | Conversion::Backtrace
        | Conversion::Ip { .. } => true,
        Conversion::Signed { .. }
        | Conversion::Unsigned { .. }
        | Conversion::Hex { .. }
        | Conversion::Char
        | Conversion::Str => false,
    }
}

/// Arguments as the first pass leaves them: numbers at multiples of 4, texts with a NUL.
struct Packed {
    bytes: [u8; BPRINTF_ARG_BYTES],
    at: usize,
}

impl Packed {
    fn new() -> Self {
        Self { bytes: [0; BPRINTF_ARG_BYTES], at: 0 }
    }

    fn room(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn take(&mut self, len: usize) -> Result<&mut [u8], Errno> {
        if self.room() < len {
            return Err(Errno::ENOSPC);
        }
        let at = self.at;
        self.at += len;
        Ok(&mut self.bytes[at..at + len])
    }

    fn put_number(&mut self, arg: u64, long: bool) -> Result<(), Errno> {
        self.at = self.at.next_multiple_of(4);
        match long {
            true => self.take(8)?.copy_from_slice(&arg.to_ne_bytes()),
            false => self.take(4)?.copy_from_slice(&(arg as u32).to_ne_bytes()),
        }
        Ok(())
    }

    fn number(&mut self, long: bool) -> u64 {
        self.at = self.at.next_multiple_of(4);
        let (mut wide, mut half) = ([0; 8], [0; 4]);
        match long {
            true => {
                let _room = self.take(8).map(|b| wide.copy_from_slice(b));
                u64::from_ne_bytes(wide)
            }
            false => {
                let _room = self.take(4).map(|b| half.copy_from_slice(b));
                u32::from_ne_bytes(half).into()
            }
        }
    }

    /// Text that is cut to the room.
    fn put_text(&mut self, text: &[u8]) {
        let fit = text.len().min(self.room().saturating_sub(1));
        self.bytes[self.at..self.at + fit].copy_from_slice(&text[..fit]);
        self.at += fit;
        let _nul = self.take(1).map(|b| b[0] = 0);
    }

    /// Copies a string of guest memory, cut to the room; one that cannot be read is empty.
    fn put_string(&mut self, mem: &mut Mem<'_>, addr: u64) -> Result<(), Errno> {
        let (start, room) = (self.at, self.room());
        if room == 0 {
            return Err(Errno::ENOSPC);
        }
        for i in 0..room - 1 {
            match mem.byte(addr.wrapping_add(i as u64)) {
                Some(0) => break,
                Some(byte) => {
                    self.bytes[self.at] = byte;
                    self.at += 1;
                }
                None => {
                    self.at = start;
                    break;
                }
            }
        }
        self.take(1)?[0] = 0;
        Ok(())
    }

    /// The next text, as a copy: at most `BPRINTF_ARG_BYTES` bytes.
    fn text(&mut self) -> ([u8; BPRINTF_ARG_BYTES], usize) {
        let mut copy = [0; BPRINTF_ARG_BYTES];
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let len = rest.iter().position(|&b| b == 0).unwrap_or(rest.len());
        copy[..len].copy_from_slice(&rest[..len]);
        self.at += len + 1;
        (copy, len)
    }

    fn put(&mut self, mem: &mut Mem<'_>, conversion: Conversion, arg: u64) -> Result<(), Errno> {
        match conversion {
            Conversion::Signed { long } | Conversion::Unsigned { long } | Conversion::Hex { long, .. } => {
                self.put_number(arg, long)
            }
            Conversion::Pointer | Conversion::Symbol => self.put_number(arg, true),
            Conversion::Char => {
                self.take(1)?[0] = arg as u8;
                Ok(())
            }
            Conversion::Str | Conversion::PointerStr => self.put_string(mem, arg),
            Conversion::Backtrace => {
                let mut text = Short::new();
                let _ = write!(text, "{arg:#x}");
                self.put_text(text.text());
                Ok(())
            }
            Conversion::Ip { v6, usual } => {
                let len = if v6 { 16 } else { 4 };
                if self.room() < len {
                    return Err(Errno::ENOSPC);
                }
                let mut ip = [0; 16];
                let _unreadable = mem.read(arg, &mut ip[..len]);
                let mut text = Short::new();
                let _ = address(&mut text, &ip[..len], usual);
                self.put_text(text.text());
                Ok(())
            }
        }
    }
}

fn address(text: &mut Short, ip: &[u8], usual: bool) -> fmt::Result {
    for (i, part) in ip.chunks_exact(ip.len() / 4).enumerate() {
        match (part, i) {
            ([byte], i) => {
                let dot = if i > 0 { "." } else { "" };
                if usual { write!(text, "{dot}{byte}")? } else { write!(text, "{dot}{byte:03}")? }
            }
            ([a, b, c, d], i) => {
                let colon = if usual { ":" } else { "" };
                let before = if i > 0 { colon } else { "" };
                write!(text, "{before}{a:02x}{b:02x}{colon}{c:02x}{d:02x}")?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn write(
    mem: &mut Mem<'_>,
    packed: &mut Packed,
    spec: FormatSpec,
    conversion: Conversion,
    out: &mut Out<'_>,
) {
    let mut text = Short::new();
    match conversion {
        Conversion::Signed { long } => {
            let arg = packed.number(long);
            let v = if long { arg as i64 } else { i64::from(arg as i32) };
            let sign = match (v < 0, spec.plus, spec.space) {
                (true, _, _) => "-",
                (false, true, _) => "+",
                (false, false, true) => " ",
                (false, false, false) => "",
            };
            let _ = write!(text, "{sign}{}", v.unsigned_abs());
            number(mem, out, spec, text.text());
        }
        Conversion::Unsigned { long } => {
            let _ = write!(text, "{}", packed.number(long));
            number(mem, out, spec, text.text());
        }
        Conversion::Hex { long, upper } => {
            let arg = packed.number(long);
            let _ = if upper { write!(text, "{arg:X}") } else { write!(text, "{arg:x}") };
            number(mem, out, spec, text.text());
        }
        Conversion::Pointer => {
            let _ = write!(text, "{:x}", packed.number(true));
            // Without a width, an address has all its digits.
            let all = FormatSpec { width: 16, zero: true, ..spec };
            number(mem, out, if spec.width == 0 { all } else { spec }, text.text());
        }
        Conversion::Symbol => {
            let _ = write!(text, "{:#x}", packed.number(true));
            padded(mem, out, spec, text.text());
        }
        Conversion::Char => {
            let byte = packed.take(1).map_or(0, |b| b[0]);
            padded(mem, out, spec, &[byte]);
        }
        Conversion::Str => {
            let (text, len) = packed.text();
            padded(mem, out, spec, &text[..len]);
        }
        Conversion::PointerStr | Conversion::Backtrace | Conversion::Ip { .. } => {
            // Where nothing fits any more the kernel leaves such a text for the next conversion.
            if out.total >= out.capacity() {
                return;
            }
            let (text, len) = packed.text();
            out.extend(mem, &text[..len]);
        }
    }
}

/// A number, filled with zeros behind its sign if the flags say so.
fn number(mem: &mut Mem<'_>, out: &mut Out<'_>, spec: FormatSpec, digits: &[u8]) {
    if !spec.zero || spec.left {
        return padded(mem, out, spec, digits);
    }
    let signs = usize::from(digits.first().is_some_and(|b| !b.is_ascii_alphanumeric()));
    let (sign, rest) = digits.split_at(signs);
    out.extend(mem, sign);
    out.fill(mem, b'0', u64::from(spec.width).saturating_sub(digits.len() as u64));
    out.extend(mem, rest);
}

fn padded(mem: &mut Mem<'_>, out: &mut Out<'_>, spec: FormatSpec, text: &[u8]) {
    let blanks = u64::from(spec.width).saturating_sub(text.len() as u64);
    if !spec.left {
        out.fill(mem, b' ', blanks);
    }
    out.extend(mem, text);
    if spec.left {
        out.fill(mem, b' ', blanks);
    }
}

/// Text of a number or an address: at most 39 bytes.
struct Short {
    bytes: [u8; 40],
    len: usize,
}

impl Short {
    const fn new() -> Self {
        Self { bytes: [0; 40], len: 0 }
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let to = self.bytes.get_mut(self.len..self.len + s.len()).ok_or(fmt::Error)?;
        to.copy_from_slice(s.as_bytes());
        self.len += s.len();
        Ok(())
    }
}

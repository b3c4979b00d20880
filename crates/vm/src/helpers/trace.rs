//! `bpf_trace_printk` (kernel/trace/bpf_trace.c, kernel/bpf/helpers.c `bpf_bprintf_prepare`).
//!
//! A conversion is `%`, flags and a width, then one of `d i u x X` with an optional `l` or `ll`, `c`, `s`, or `p`
//! with an optional `x`, `K`, `s`, `S` or `B`. `%ps` and its like print the number, since there are no
//! symbols; `%p` prints it too, where the kernel prints a hash. Strings and internet addresses are copied out
//! of guest memory; a string that cannot be read prints as nothing, such an address as zeros.

use core::fmt::{self, Write};

use skep_spec::Errno;

use super::{Args, Call, errno};
use crate::mem::Mem;
use crate::trap::TrapKind;

/// Longest line in bytes (`MAX_BPRINTF_BUF`).
const LINE: usize = 1024;
/// Longest format that is looked at: a line can hold no more of it.
const FORMAT: usize = LINE;
/// Largest width (`FIELD_WIDTH_MAX`); larger ones are cut to it.
const WIDTH_MAX: usize = (1 << 23) - 1;

/// `bpf_trace_printk(fmt, fmt_size, a, b, c)`: hands a line to the host; gives the length that it would have
/// uncut, or -EINVAL when the format is not one of the kernel's.
pub(super) fn trace_printk(call: &mut Call<'_, '_, '_>, [fmt, size, a, b, c]: Args) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if size == 0 {
        return Err(TrapKind::Size(size));
    }
    let mut format = [0; FORMAT];
    let len = size.min(FORMAT as u64) as usize;
    if call.mem.bytes(fmt, size).is_none() || call.mem.read(fmt, &mut format[..len]).is_none() {
        return Err(call.fault(fmt, size, false));
    }
    let mut line = Line::new();
    let Some(text) = format[..len].split(|&b| b == 0).next().filter(|t| t.len() < len) else {
        return Ok(errno(Errno::EINVAL));
    };
    match format_line(call.mem, text, [a, b, c], &mut line) {
        Ok(()) => {
            let bytes = line.text();
            call.state.host.printk(bytes.strip_suffix(b"\n").unwrap_or(bytes));
            Ok(line.total as u64)
        }
        Err(BadFormat) => Ok(errno(Errno::EINVAL)),
    }
}

struct BadFormat;

/// A line that is cut at its capacity, one byte of which the kernel keeps for a NUL.
struct Line {
    bytes: [u8; LINE],
    len: usize,
    /// Bytes with those that were cut.
    total: usize,
}

impl Line {
    const fn new() -> Self {
        Self { bytes: [0; LINE], len: 0, total: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.fill(byte, 1);
    }

    fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.push(b));
    }

    fn fill(&mut self, byte: u8, count: usize) {
        let fit = count.min(LINE - 1 - self.len);
        self.bytes[self.len..self.len + fit].fill(byte);
        self.len += fit;
        self.total += count;
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.extend(s.as_bytes());
        Ok(())
    }
}

/// Flags and width of a conversion.
#[derive(Clone, Copy, Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    width: usize,
}

fn format_line(mem: &mut Mem<'_>, text: &[u8], args: [u64; 3], out: &mut Line) -> Result<(), BadFormat> {
    if !text.iter().all(|&b| b.is_ascii_graphic() || is_space(b) || !b.is_ascii()) {
        return Err(BadFormat);
    }
    let mut args = args.into_iter();
    let mut at = 0;
    let peek = |at: usize| text.get(at).copied().unwrap_or(0);
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        if peek(at) == b'%' {
            out.push(b'%');
            at += 1;
            continue;
        }
        let arg = args.next().ok_or(BadFormat)?;
        let mut spec = Spec::default();
        loop {
            match peek(at) {
                b'0' => spec.zero = true,
                b'+' => spec.plus = true,
                b'-' => spec.left = true,
                b' ' => spec.space = true,
                _ => break,
            }
            at += 1;
        }
        while peek(at).is_ascii_digit() {
            spec.width = (spec.width * 10 + usize::from(peek(at) - b'0')).min(WIDTH_MAX);
            at += 1;
        }
        match peek(at) {
            b'p' => at = pointer(mem, text, at + 1, arg, spec, out)?,
            b's' => {
                at += 1;
                ends_conversion(peek(at))?;
                string(mem, arg, spec, out);
            }
            b'c' => {
                at += 1;
                padded(out, spec, &[arg as u8]);
            }
            _ => {
                let mut longs = 0;
                while longs < 2 && peek(at) == b'l' {
                    longs += 1;
                    at += 1;
                }
                integer(peek(at), longs > 0, arg, spec, out)?;
                at += 1;
            }
        }
    }
    Ok(())
}

fn is_space(b: u8) -> bool {
    b.is_ascii_whitespace() || b == 0x0b
}

/// `%s` and a bare `%p` must be followed by a blank, punctuation or the end.
fn ends_conversion(b: u8) -> Result<(), BadFormat> {
    if b == 0 || is_space(b) || b.is_ascii_punctuation() { Ok(()) } else { Err(BadFormat) }
}

fn integer(kind: u8, long: bool, arg: u64, spec: Spec, out: &mut Line) -> Result<(), BadFormat> {
    let mut digits = Line::new();
    let unsigned = if long { arg } else { u64::from(arg as u32) };
    let _ = match kind {
        b'd' | b'i' => {
            let v = if long { arg as i64 } else { i64::from(arg as i32) };
            match (v < 0, spec.plus, spec.space) {
                (true, _, _) => digits.push(b'-'),
                (false, true, _) => digits.push(b'+'),
                (false, false, true) => digits.push(b' '),
                (false, false, false) => {}
            }
            write!(digits, "{}", v.unsigned_abs())
        }
        b'u' => write!(digits, "{unsigned}"),
        b'x' => write!(digits, "{unsigned:x}"),
        b'X' => write!(digits, "{unsigned:X}"),
        _ => return Err(BadFormat),
    };
    number(out, spec, digits.text());
    Ok(())
}

/// A number, filled with zeros behind its sign if the flags say so.
fn number(out: &mut Line, spec: Spec, digits: &[u8]) {
    if !spec.zero || spec.left {
        return padded(out, spec, digits);
    }
    let signs = usize::from(digits.first().is_some_and(|b| !b.is_ascii_alphanumeric()));
    let (sign, rest) = digits.split_at(signs);
    out.extend(sign);
    out.fill(b'0', spec.width.saturating_sub(digits.len()));
    out.extend(rest);
}

fn padded(out: &mut Line, spec: Spec, text: &[u8]) {
    let blanks = spec.width.saturating_sub(text.len());
    if !spec.left {
        out.fill(b' ', blanks);
    }
    out.extend(text);
    if spec.left {
        out.fill(b' ', blanks);
    }
}

/// A NUL-terminated string of guest memory, at most a line long.
fn string(mem: &mut Mem<'_>, mut addr: u64, spec: Spec, out: &mut Line) {
    let mut text = [0; LINE];
    let mut len = 0;
    while len < LINE {
        let mut byte = [0];
        // What ends in memory that may not be read prints as nothing, as a failed copy does in the kernel.
        if mem.read(addr, &mut byte).is_none() {
            len = 0;
            break;
        }
        if byte[0] == 0 {
            break;
        }
        text[len] = byte[0];
        len += 1;
        addr = addr.wrapping_add(1);
    }
    padded(out, spec, &text[..len]);
}

/// `%p` and what may follow it; gives the place behind.
fn pointer(
    mem: &mut Mem<'_>,
    text: &[u8],
    at: usize,
    arg: u64,
    spec: Spec,
    out: &mut Line,
) -> Result<usize, BadFormat> {
    let peek = |at: usize| text.get(at).copied().unwrap_or(0);
    // Without a width, a pointer has all its digits.
    let hex = |out: &mut Line| {
        let mut digits = Line::new();
        let spec = if spec.width == 0 { Spec { width: 16, zero: true, ..spec } } else { spec };
        let _ = write!(digits, "{arg:x}");
        number(out, spec, digits.text());
    };
    match (peek(at), peek(at + 1)) {
        (b'k' | b'u', b's') => {
            ends_conversion(peek(at + 2))?;
            string(mem, arg, spec, out);
            Ok(at + 2)
        }
        (b'x' | b'K', _) => {
            hex(out);
            Ok(at + 1)
        }
        (b's' | b'S' | b'B', _) => {
            let mut digits = Line::new();
            let _ = write!(digits, "{arg:#x}");
            padded(out, spec, digits.text());
            Ok(at + 1)
        }
        (b'i' | b'I', b'4') => {
            let mut ip = [0; 4];
            let _unreadable = mem.read(arg, &mut ip);
            let ip = core::net::Ipv4Addr::from(ip);
            let _ = if peek(at) == b'I' { write!(out, "{ip}") } else { leading_zeros(out, ip) };
            Ok(at + 2)
        }
        (b'i' | b'I', b'6') => {
            let mut ip = [0; 16];
            let _unreadable = mem.read(arg, &mut ip);
            for (i, pair) in ip.chunks_exact(2).enumerate() {
                let colon = if peek(at) == b'I' && i > 0 { ":" } else { "" };
                let _ = write!(out, "{colon}{:02x}{:02x}", pair[0], pair[1]);
            }
            Ok(at + 2)
        }
        (next, _) => {
            ends_conversion(next)?;
            hex(out);
            Ok(at)
        }
    }
}

fn leading_zeros(out: &mut Line, ip: core::net::Ipv4Addr) -> fmt::Result {
    let [a, b, c, d] = ip.octets();
    write!(out, "{a:03}.{b:03}.{c:03}.{d:03}")
}

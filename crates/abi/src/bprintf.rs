//! The formats of `bpf_trace_printk`, `bpf_trace_vprintk` and `bpf_snprintf`
//! (kernel/bpf/helpers.c, `bpf_bprintf_prepare`).
//!
//! A conversion is `%`, flags and a width, then one of `d i u x X` with an optional `l` or `ll`, `c`, `s`, or `p`
//! with an optional `x`, `K`, `s`, `S`, `B`, `ks`, `us`, `i4`, `I4`, `i6` or `I6`. `%%` is a percent sign.

/// Most arguments of a format that takes them as an array (`MAX_BPRINTF_VARARGS`).
pub const BPRINTF_ARGS: usize = 12;
/// Bytes that all arguments of one call may take, strings and addresses as text (`MAX_BPRINTF_BIN_ARGS`).
pub const BPRINTF_ARG_BYTES: usize = 512;
/// Largest width (`FIELD_WIDTH_MAX`); larger ones are cut to it.
const WIDTH_MAX: u32 = (1 << 23) - 1;

/// A format that the kernel answers with `EINVAL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFormat;

/// Flags and width of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FormatSpec {
    /// `-`: blanks go behind.
    pub left: bool,
    /// `0`: filled with zeros.
    pub zero: bool,
    /// `+`: positive numbers have a sign.
    pub plus: bool,
    /// A blank: positive numbers have a blank for a sign.
    pub space: bool,
    /// Least number of characters; 0 when there is none.
    pub width: u32,
}

/// What a conversion does with its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// `d`, `i`; 64 bits of it when `long`, else 32.
    Signed {
        /// 64 bits.
        long: bool,
    },
    /// `u`, as above.
    Unsigned {
        /// 64 bits.
        long: bool,
    },
    /// `x`, `X`, as above.
    Hex {
        /// 64 bits.
        long: bool,
        /// `X`.
        upper: bool,
    },
    /// `c`.
    Char,
    /// `s`: the NUL-terminated string at an address.
    Str,
    /// `pks`, `pus`: the same.
    PointerStr,
    /// `p`, `px`, `pK`: an address.
    Pointer,
    /// `ps`, `pS`: a symbol.
    Symbol,
    /// `pB`: a symbol as in a backtrace; the kernel takes the text as an argument and ignores the width.
    Backtrace,
    /// `pi4`, `pI4`, `pi6`, `pI6`: the internet address at an address.
    Ip {
        /// 16 bytes, not 4.
        v6: bool,
        /// `I`: with separators as usual; `i` has leading zeros (IPv4) or no colons (IPv6).
        usual: bool,
    },
}

/// A part of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatPiece {
    /// The format ends.
    End,
    /// A character that stands for itself.
    Byte(u8),
    /// A conversion of the next argument.
    Conversion(FormatSpec, Conversion),
}

/// Reads the part of a format that starts at byte `at`; gives also where the next one starts. `byte` gives the
/// format's bytes, 0 at its end; it is not asked for bytes behind a 0.
///
/// # Errors
/// [`BadFormat`] for what is no conversion.
pub fn format_piece(
    byte: &mut impl FnMut(usize) -> u8,
    at: usize,
) -> Result<(FormatPiece, usize), BadFormat> {
    match byte(at) {
        0 => return Ok((FormatPiece::End, at)),
        b'%' => {}
        b if b.is_ascii_graphic() || is_space(b) || !b.is_ascii() => {
            return Ok((FormatPiece::Byte(b), at + 1));
        }
        _ => return Err(BadFormat),
    }
    let mut at = at + 1;
    if byte(at) == b'%' {
        return Ok((FormatPiece::Byte(b'%'), at + 1));
    }
    let mut spec = FormatSpec::default();
    loop {
        match byte(at) {
            b'0' => spec.zero = true,
            b'+' => spec.plus = true,
            b'-' => spec.left = true,
            b' ' => spec.space = true,
            _ => break,
        }
        at += 1;
    }
    while let digit @ b'0'..=b'9' = byte(at) {
        spec.width = (spec.width * 10 + u32::from(digit - b'0')).min(WIDTH_MAX);
        at += 1;
    }
    let (conversion, at) = match byte(at) {
        b'p' => pointer(byte, at + 1)?,
        b's' => (Conversion::Str, ends(byte, at + 1)?),
        b'c' => (Conversion::Char, at + 1),
        _ => integer(byte, at)?,
    };
    Ok((FormatPiece::Conversion(spec, conversion), at))
}

/// Whether the format is one, and needs no more than `args` arguments: what the verifier asks of a constant.
///
/// # Errors
/// [`BadFormat`] otherwise.
pub fn check_format(format: &[u8], args: usize) -> Result<(), BadFormat> {
    let mut byte = |at: usize| format.get(at).copied().unwrap_or(0);
    let (mut at, mut used) = (0, 0);
    loop {
        let (piece, next) = format_piece(&mut byte, at)?;
        match piece {
            FormatPiece::End => return Ok(()),
            FormatPiece::Byte(_) => {}
            FormatPiece::Conversion(..) if used == args => return Err(BadFormat),
            FormatPiece::Conversion(..) => used += 1,
        }
        at = next;
    }
}

/// The kernel's `isspace`, ASCII part.
fn is_space(b: u8) -> bool {
    b.is_ascii_whitespace() || b == 0x0b
}

/// A string and a bare address must be followed by a blank, punctuation or the end.
fn ends(byte: &mut impl FnMut(usize) -> u8, at: usize) -> Result<usize, BadFormat> {
    let b = byte(at);
    if b == 0 || is_space(b) || b.is_ascii_punctuation() { Ok(at) } else { Err(BadFormat) }
}

fn pointer(byte: &mut impl FnMut(usize) -> u8, at: usize) -> Result<(Conversion, usize), BadFormat> {
    let first = byte(at);
    let second = match first {
        b'k' | b'u' | b'i' | b'I' => byte(at + 1),
        _ => 0,
    };
    Ok(match (first, second) {
        (b'k' | b'u', b's') => (Conversion::PointerStr, ends(byte, at + 2)?),
        (b'x' | b'K', _) => (Conversion::Pointer, at + 1),
        (b's' | b'S', _) => (Conversion::Symbol, at + 1),
        (b'B', _) => (Conversion::Backtrace, at + 1),
        (b'i' | b'I', b'4' | b'6') => (Conversion::Ip { v6: second == b'6', usual: first == b'I' }, at + 2),
        _ => (Conversion::Pointer, ends(byte, at)?),
    })
}

fn integer(byte: &mut impl FnMut(usize) -> u8, mut at: usize) -> Result<(Conversion, usize), BadFormat> {
    let mut longs = 0;
    while longs < 2 && byte(at) == b'l' {
        longs += 1;
        at += 1;
    }
    let long = longs > 0;
    let conversion = match byte(at) {
        b'd' | b'i' => Conversion::Signed { long },
        b'u' => Conversion::Unsigned { long },
        upper @ (b'x' | b'X') => Conversion::Hex { long, upper: upper == b'X' },
        _ => return Err(BadFormat),
    };
    Ok((conversion, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_linux_takes() {
        for (format, args) in [
            ("", 0),
            ("100%%", 0),
            ("%d %5u %-08llx %+li % d", 5),
            ("%s, %pks! %c%c", 4),
            ("%p %px%pK %ps %pS %pB", 6),
            ("%pI4 %pi4 %pI6 %pi6", 4),
        ] {
            assert_eq!(check_format(format.as_bytes(), args), Ok(()), "{format}");
            if let Some(fewer) = args.checked_sub(1) {
                assert_eq!(check_format(format.as_bytes(), fewer), Err(BadFormat), "{format} of {fewer}");
            }
        }
    }

    #[test]
    fn formats_that_linux_refuses() {
        for format in ["%", "%l", "%llld", "%sx", "%pz", "%pI5", "%pk", "%#x", "%.3d", "%5", "\x01", "%f"] {
            assert_eq!(check_format(format.as_bytes(), 9), Err(BadFormat), "{format}");
        }
    }
}

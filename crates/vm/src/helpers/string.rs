//! Text: formatting, numbers, comparison (kernel/bpf/helpers.c, lib/kstrtox.c).

use skep_abi::BPRINTF_ARGS;
use skep_spec::Errno;

use super::bprintf::{self, Format, Out, Sink};
use super::trace::arguments;
use super::{Args, Call, errno};
use crate::trap::TrapKind;

/// `bpf_snprintf(str, str_size, fmt, args, args_size)`: gives the uncut length with its NUL, or -EINVAL for a
/// format or a number of arguments that the kernel does not take.
pub(super) fn snprintf(
    call: &mut Call<'_, '_, '_>,
    [to, size, fmt, args, args_size]: Args,
) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if !call.mem.writable(to, size) {
        return Err(call.fault(to, size, true));
    }
    ends(call, fmt)?;
    let mut words = [0; BPRINTF_ARGS];
    let Some(words) = arguments(call, args, args_size, &mut words)? else {
        return Ok(errno(Errno::EINVAL));
    };
    let mut out = Out::new(Sink::Guest(to, size));
    match bprintf::format(call.mem, Format::Guest(fmt), words, &mut out) {
        Ok(()) => {
            out.finish(call.mem);
            // An `int` in the kernel.
            Ok((out.total as i32).wrapping_add(1) as i64 as u64)
        }
        Err(e) => Ok(errno(e)),
    }
}

/// A string of the program's memory has an end.
fn ends(call: &mut Call<'_, '_, '_>, addr: u64) -> Result<(), TrapKind> {
    let mut at = addr;
    loop {
        match call.mem.byte(at) {
            Some(0) => return Ok(()),
            Some(_) => at = at.wrapping_add(1),
            None => return Err(call.fault(at, 1, false)),
        }
    }
}

/// `bpf_strncmp(s1, s1_size, s2)`: -1, 0 or 1.
pub(super) fn strncmp(call: &mut Call<'_, '_, '_>, [a, size, b, ..]: Args) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if call.mem.bytes(a, size).is_none() {
        return Err(call.fault(a, size, false));
    }
    for i in 0..size {
        let mut byte = |addr: u64| call.mem.byte(addr.wrapping_add(i)).ok_or(addr.wrapping_add(i));
        let (x, y) = match (byte(a), byte(b)) {
            (Ok(x), Ok(y)) => (x, y),
            (Err(at), _) | (_, Err(at)) => return Err(call.fault(at, 1, false)),
        };
        if x != y {
            return Ok(if x < y { -1i64 as u64 } else { 1 });
        }
        if x == 0 {
            break;
        }
    }
    Ok(0)
}

/// `bpf_strtol(buf, size, flags, res)`: the characters used, -EINVAL for no number or an unknown base, -ERANGE for
/// one that does not fit.
pub(super) fn strtol(call: &mut Call<'_, '_, '_>, [buf, size, flags, res, _]: Args) -> Result<u64, TrapKind> {
    parse(call, buf, size, flags, res, |negative, n| match negative {
        true if n <= 1 << 63 => Ok(n.wrapping_neg()),
        false if n < 1 << 63 => Ok(n),
        _ => Err(Errno::ERANGE),
    })
}

/// `bpf_strtoul(buf, size, flags, res)`: as [`strtol`]; -EINVAL for a negative number.
pub(super) fn strtoul(
    call: &mut Call<'_, '_, '_>,
    [buf, size, flags, res, _]: Args,
) -> Result<u64, TrapKind> {
    parse(call, buf, size, flags, res, |negative, n| if negative { Err(Errno::EINVAL) } else { Ok(n) })
}

/// Characters of a number that are looked at.
const DIGITS: usize = 63;

fn parse(
    call: &mut Call<'_, '_, '_>,
    buf: u64,
    size: u64,
    flags: u64,
    res: u64,
    value: impl Fn(bool, u64) -> Result<u64, Errno>,
) -> Result<u64, TrapKind> {
    let fault = |call: &mut Call<'_, '_, '_>, addr, len, write| Err(call.fault(addr, len, write));
    if call.mem.bytes(buf, size).is_none() {
        return fault(call, buf, size, false);
    }
    if call.mem.write(res, &[0; 8]).is_none() {
        return fault(call, res, 8, true);
    }
    let read = number(&mut |i| if i < size { call.mem.byte(buf + i) } else { None }, flags);
    match read.and_then(|(negative, n, used)| Ok((value(negative, n)?, used))) {
        Ok((n, used)) => {
            let _checked = call.mem.write(res, &n.to_ne_bytes());
            Ok(used)
        }
        Err(e) => Ok(errno(e)),
    }
}

/// Blanks, a minus and digits: whether there was a minus, the number, and the characters up to its end.
fn number(byte: &mut dyn FnMut(u64) -> Option<u8>, flags: u64) -> Result<(bool, u64, u64), Errno> {
    let base = flags & 31;
    if flags & !31 != 0 || !matches!(base, 0 | 8 | 10 | 16) {
        return Err(Errno::EINVAL);
    }
    let mut at = 0;
    while let Some(b) = byte(at)
        && is_space(b)
    {
        at += 1;
    }
    let negative = byte(at) == Some(b'-');
    at += u64::from(negative);
    let mut text = [0; DIGITS];
    let mut len = 0;
    while len < DIGITS
        && let Some(b) = byte(at + len as u64)
    {
        text[len] = b;
        len += 1;
    }
    let digit = |i: usize| text.get(i).and_then(|&b| char::from(b).to_digit(16)).map(u64::from);
    let hex = text[0] == b'0' && text[1].eq_ignore_ascii_case(&b'x');
    let base = match base {
        0 if hex && digit(2).is_some() => 16,
        0 if text[0] == b'0' => 8,
        0 => 10,
        base => base,
    };
    let start = if base == 16 && hex { 2 } else { 0 };
    let (mut n, mut end, mut fits) = (0u64, start, true);
    while let Some(d) = digit(end).filter(|&d| d < base) {
        match n.checked_mul(base).and_then(|n| n.checked_add(d)) {
            Some(next) => n = next,
            None => fits = false,
        }
        end += 1;
    }
    match (end > start, fits) {
        (false, _) => Err(Errno::EINVAL),
        (true, false) => Err(Errno::ERANGE),
        (true, true) => Ok((negative, n, at + end as u64)),
    }
}

/// The kernel's `isspace`: Latin-1, with the no-break space.
fn is_space(b: u8) -> bool {
    b.is_ascii_whitespace() || b == 0x0b || b == 0xa0
}

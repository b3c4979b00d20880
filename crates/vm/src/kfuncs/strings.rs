//! Functions on strings that may be anywhere (kernel/bpf/helpers.c, Linux 6.18).
//!
//! None looks at more than [`LONGEST`] bytes of a string. An address that nobody has gives -EFAULT, or -ERANGE where it
//! cannot be one of the kernel's and is that of the first byte. Every byte that is looked at costs fuel.

use skep_spec::Errno;

use super::{Row, row};
use crate::helpers::probe::kernel_error;
use crate::helpers::{Args, Call};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("int bpf_strcmp(const char *s1__ign, const char *s2__ign)", strcmp),
    row("int bpf_strcasecmp(const char *s1__ign, const char *s2__ign)", strcasecmp),
    row("int bpf_strchr(const char *s__ign, char c)", strchr),
    row("int bpf_strnchr(const char *s__ign, size_t count, char c)", strnchr),
    row("int bpf_strchrnul(const char *s__ign, char c)", strchrnul),
    row("int bpf_strrchr(const char *s__ign, int c)", strrchr),
    row("int bpf_strlen(const char *s__ign)", strlen),
    row("int bpf_strnlen(const char *s__ign, size_t count)", strnlen),
    row("int bpf_strspn(const char *s__ign, const char *accept__ign)", strspn),
    row("int bpf_strcspn(const char *s__ign, const char *reject__ign)", strcspn),
    row("int bpf_strstr(const char *s1__ign, const char *s2__ign)", strstr),
    row("int bpf_strnstr(const char *s1__ign, const char *s2__ign, size_t len)", strnstr),
];

/// Bytes of a string that are looked at (`XATTR_SIZE_MAX`).
const LONGEST: u64 = 1 << 16;

/// Why a function ends without its result.
enum Stop {
    /// It gives this error.
    Error(Errno),
    /// The run ends.
    Trap(TrapKind),
}

/// The result of a function: a number, whose upper half is zero.
fn given(result: Result<i32, Stop>) -> Result<u64, TrapKind> {
    match result {
        Ok(n) => Ok(u64::from(n as u32)),
        Err(Stop::Error(e)) => Ok(u64::from(-e.0 as u32)),
        Err(Stop::Trap(kind)) => Err(kind),
    }
}

/// A string.
#[derive(Clone, Copy)]
struct Text(u64);

impl Text {
    /// At an address that may be the kernel's; the byte there is not looked at yet.
    fn at(call: &mut Call<'_, '_, '_>, addr: u64) -> Result<Self, Stop> {
        match call.mem.byte(addr) {
            None if kernel_error(addr) == Errno::ERANGE => Err(Stop::Error(Errno::ERANGE)),
            _ => Ok(Self(addr)),
        }
    }

    fn byte(self, call: &mut Call<'_, '_, '_>, i: u64) -> Result<u8, Stop> {
        call.state.spend(1).map_err(Stop::Trap)?;
        call.mem.byte(self.0.wrapping_add(i)).ok_or(Stop::Error(Errno::EFAULT))
    }
}

fn compared(call: &mut Call<'_, '_, '_>, a: u64, b: u64, fold: fn(u8) -> u8) -> Result<i32, Stop> {
    let (a, b) = (Text::at(call, a)?, Text::at(call, b)?);
    for i in 0..LONGEST {
        let (x, y) = (fold(a.byte(call, i)?), fold(b.byte(call, i)?));
        match x.cmp(&y) {
            core::cmp::Ordering::Less => return Ok(-1),
            core::cmp::Ordering::Greater => return Ok(1),
            core::cmp::Ordering::Equal if x == 0 => return Ok(0),
            core::cmp::Ordering::Equal => {}
        }
    }
    Err(Stop::Error(Errno::E2BIG))
}

/// -1, 0 or 1.
fn strcmp(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    given(compared(call, a, b, |c| c))
}

/// The same without regard to case: the kernel's `tolower`, of Latin-1.
fn strcasecmp(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    given(compared(call, a, b, |c| match c {
        b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..=0xde => c + 32,
        _ => c,
    }))
}

fn found(call: &mut Call<'_, '_, '_>, s: u64, count: u64, c: u8) -> Result<i32, Stop> {
    let s = Text::at(call, s)?;
    for i in 0..count.min(LONGEST) {
        match s.byte(call, i)? {
            b if b == c => return Ok(i as i32),
            0 => return Err(Stop::Error(Errno::ENOENT)),
            _ => {}
        }
    }
    Err(Stop::Error(if count >= LONGEST { Errno::E2BIG } else { Errno::ENOENT }))
}

/// Where a character is first; -ENOENT.
fn strchr(call: &mut Call<'_, '_, '_>, [s, c, ..]: Args) -> Result<u64, TrapKind> {
    given(found(call, s, LONGEST, c as u8))
}

/// The same among the first `count` bytes.
fn strnchr(call: &mut Call<'_, '_, '_>, [s, count, c, ..]: Args) -> Result<u64, TrapKind> {
    given(found(call, s, count, c as u8))
}

/// Where a character is first, or the string's end.
fn strchrnul(call: &mut Call<'_, '_, '_>, [s, c, ..]: Args) -> Result<u64, TrapKind> {
    given(first(call, s, |b| b == 0 || b == c as u8))
}

/// Where a byte is first that is so.
fn first(call: &mut Call<'_, '_, '_>, s: u64, is: impl Fn(u8) -> bool) -> Result<i32, Stop> {
    let s = Text::at(call, s)?;
    for i in 0..LONGEST {
        if is(s.byte(call, i)?) {
            return Ok(i as i32);
        }
    }
    Err(Stop::Error(Errno::E2BIG))
}

/// Where a character is last; -ENOENT. The character is a whole number, and may be none.
fn strrchr(call: &mut Call<'_, '_, '_>, [s, c, ..]: Args) -> Result<u64, TrapKind> {
    given((|| {
        let s = Text::at(call, s)?;
        let mut last = Err(Stop::Error(Errno::ENOENT));
        for i in 0..LONGEST {
            let b = s.byte(call, i)?;
            if i32::from(b) == c as i32 {
                last = Ok(i as i32);
            }
            if b == 0 {
                return last;
            }
        }
        Err(Stop::Error(Errno::E2BIG))
    })())
}

/// How long the string is.
fn strlen(call: &mut Call<'_, '_, '_>, [s, ..]: Args) -> Result<u64, TrapKind> {
    strnlen(call, [s, LONGEST, 0, 0, 0])
}

/// The same, at most `count`.
fn strnlen(call: &mut Call<'_, '_, '_>, [s, count, ..]: Args) -> Result<u64, TrapKind> {
    given((|| {
        let s = Text::at(call, s)?;
        for i in 0..count.min(LONGEST) {
            if s.byte(call, i)? == 0 {
                return Ok(i as i32);
            }
        }
        if count >= LONGEST { Err(Stop::Error(Errno::E2BIG)) } else { Ok(count as i32) }
    })())
}

/// Whether a byte is in a set, which is a string.
fn contains(call: &mut Call<'_, '_, '_>, set: Text, b: u8) -> Result<bool, Stop> {
    for i in 0..LONGEST {
        match set.byte(call, i)? {
            x if x == b => return Ok(x != 0),
            0 => return Ok(false),
            _ => {}
        }
    }
    Err(Stop::Error(Errno::E2BIG))
}

/// How many bytes the string begins with that are in the set or not in it.
fn span(call: &mut Call<'_, '_, '_>, s: u64, set: u64, within: bool) -> Result<i32, Stop> {
    let (s, set) = (Text::at(call, s)?, Text::at(call, set)?);
    for i in 0..LONGEST {
        let b = s.byte(call, i)?;
        if b == 0 || contains(call, set, b)? != within {
            return Ok(i as i32);
        }
    }
    Err(Stop::Error(Errno::E2BIG))
}

/// How many bytes of the set the string begins with.
fn strspn(call: &mut Call<'_, '_, '_>, [s, accept, ..]: Args) -> Result<u64, TrapKind> {
    given(span(call, s, accept, true))
}

/// How many bytes the string begins with that are not in the set.
fn strcspn(call: &mut Call<'_, '_, '_>, [s, reject, ..]: Args) -> Result<u64, TrapKind> {
    given(span(call, s, reject, false))
}

/// Where the second string is in the first; -ENOENT.
fn strstr(call: &mut Call<'_, '_, '_>, [a, b, ..]: Args) -> Result<u64, TrapKind> {
    strnstr(call, [a, b, LONGEST, 0, 0])
}

/// The same among the first `len` bytes of the first.
fn strnstr(call: &mut Call<'_, '_, '_>, [a, b, len, ..]: Args) -> Result<u64, TrapKind> {
    given((|| {
        let (a, b) = (Text::at(call, a)?, Text::at(call, b)?);
        for i in 0..LONGEST {
            let mut j = 0;
            while i + j <= len && j < LONGEST {
                let y = b.byte(call, j)?;
                if y == 0 {
                    return Ok(i as i32);
                }
                // One byte more of the second was looked at, for one that ends the first `len`.
                if i + j == len {
                    break;
                }
                let x = a.byte(call, i + j)?;
                if x == 0 {
                    return Err(Stop::Error(Errno::ENOENT));
                }
                if x != y {
                    break;
                }
                j += 1;
            }
            if j == LONGEST {
                return Err(Stop::Error(Errno::E2BIG));
            }
            if i + j == len {
                return Err(Stop::Error(Errno::ENOENT));
            }
        }
        Err(Stop::Error(Errno::E2BIG))
    })())
}

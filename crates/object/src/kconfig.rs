//! Configuration of a kernel, and values of `__kconfig` variables by it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use skep_btf::{Btf, IntEncoding, Type, TypeId};

/// What a kernel was built with: the lines of its `.config`, and what libbpf says of it beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kconfig {
    /// Texts behind the `=`, by name with `CONFIG_`.
    values: BTreeMap<String, String>,
    /// `LINUX_KERNEL_VERSION`: `major << 16 | minor << 8 | patch`.
    pub kernel_version: Option<u32>,
    /// `LINUX_HAS_BPF_COOKIE`.
    pub has_bpf_cookie: bool,
    /// `LINUX_HAS_SYSCALL_WRAPPER`.
    pub has_syscall_wrapper: bool,
}

impl Kconfig {
    /// Adds the lines of a `.config`; of several for one name the first counts, those before included. Comments and
    /// other lines are skipped.
    ///
    /// # Errors
    /// A line of an option without a value, with its number.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        for (number, line) in (1..).zip(text.lines()) {
            if !line.starts_with("CONFIG_") {
                continue;
            }
            match line.split_once('=') {
                Some((name, value)) if !value.is_empty() => {
                    self.values.entry(name.into()).or_insert_with(|| value.into());
                }
                _ => return Err(format!("line {number} is not CONFIG_NAME=VALUE: `{line}`")),
            }
        }
        Ok(())
    }

    /// The text of an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// What a variable can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Tristate,
    /// A character: `y`, `n`, `m` or a number.
    Char {
        signed: bool,
    },
    Int {
        signed: bool,
    },
    Text,
}

impl Kind {
    /// By the variable's type; `None` for one that configuration has no values of.
    pub(crate) fn of(btf: &Btf, ty: TypeId) -> Option<Self> {
        match btf.resolved(ty) {
            Type::Int { size: 1, encoding: IntEncoding::Bool, .. } => Some(Self::Bool),
            Type::Int { encoding: IntEncoding::Bool, .. } => None,
            Type::Int { size: 1, encoding, .. } => {
                Some(Self::Char { signed: *encoding == IntEncoding::Signed })
            }
            Type::Int { size: 2 | 4 | 8, encoding, .. } => {
                Some(Self::Int { signed: *encoding == IntEncoding::Signed })
            }
            Type::Enum { name, size: 4, .. } | Type::Enum64 { name, .. } => {
                (btf.str(*name) == "libbpf_tristate").then_some(Self::Tristate)
            }
            Type::Array { element, len, .. } if *len > 0 => {
                matches!(Self::of(btf, *element), Some(Self::Char { .. })).then_some(Self::Text)
            }
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Tristate => "a tristate",
            Self::Char { .. } => "a char",
            Self::Int { .. } => "an integer",
            Self::Text => "a char array",
        }
    }
}

/// `strtoull` with base 0: decimal, `0x` and octal, with a sign.
fn number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (16, hex),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    let n = u64::from_str_radix(digits, base).ok().filter(|_| !digits.starts_with('+'))?;
    Some(if negative { n.wrapping_neg() } else { n })
}

/// Puts a value into a variable's bytes.
///
/// # Errors
/// A value that the variable cannot hold.
pub(crate) fn set(kind: Kind, value: &str, big_endian: bool, out: &mut [u8]) -> Result<(), String> {
    let wrong = || Err(format!("the value {value} does not go into {}", kind.word()));
    match (value.as_bytes().first(), kind) {
        (Some(b'y' | b'n'), Kind::Bool) => put(u64::from(value.starts_with('y')), big_endian, out),
        (Some(first @ (b'y' | b'n' | b'm')), Kind::Tristate) => {
            let n = match first {
                b'y' => 1,
                b'm' => 2,
                _ => 0,
            };
            put(n, big_endian, out);
        }
        (Some(first @ (b'y' | b'n' | b'm')), Kind::Char { .. }) => put((*first).into(), big_endian, out),
        (Some(b'"'), Kind::Text) => {
            let Some(text) = value[1..].strip_suffix('"') else {
                return Err(format!("the value {value} has no closing quote"));
            };
            // What is too long is cut, and ends with a NUL in any case.
            let len = text.len().min(out.len() - 1);
            out[..len].copy_from_slice(&text.as_bytes()[..len]);
        }
        (Some(b'y' | b'n' | b'm' | b'"'), _) => return wrong(),
        (_, Kind::Int { .. } | Kind::Char { .. }) => {
            let Some(n) = number(value) else { return Err(format!("the value {value} is no number")) };
            return set_number(kind, n, big_endian, out);
        }
        (_, Kind::Bool | Kind::Tristate | Kind::Text) => return wrong(),
    }
    Ok(())
}

/// Puts a number into a variable's bytes.
///
/// # Errors
/// One that does not fit.
pub(crate) fn set_number(kind: Kind, n: u64, big_endian: bool, out: &mut [u8]) -> Result<(), String> {
    let bits = out.len() as u32 * 8;
    let fits = match kind {
        _ if bits >= 64 => true,
        Kind::Bool => n <= 1,
        Kind::Int { signed: true } | Kind::Char { signed: true } => {
            n.wrapping_add(1 << (bits - 1)) < 1 << bits
        }
        Kind::Int { signed: false } | Kind::Char { signed: false } => n >> bits == 0,
        Kind::Tristate | Kind::Text => false,
    };
    if !fits {
        return Err(format!(
            "the value {} does not go into {} of {} bytes",
            n.cast_signed(),
            kind.word(),
            out.len()
        ));
    }
    put(n, big_endian, out);
    Ok(())
}

fn put(n: u64, big_endian: bool, out: &mut [u8]) {
    let len = out.len();
    if big_endian {
        out.copy_from_slice(&n.to_be_bytes()[8 - len..]);
    } else {
        out.copy_from_slice(&n.to_le_bytes()[..len]);
    }
}

impl Kconfig {
    /// The number of a variable that is not in the configuration.
    pub(crate) fn special(&self, name: &str) -> Option<u64> {
        match name {
            "LINUX_KERNEL_VERSION" => self.kernel_version.map(u64::from),
            "LINUX_HAS_BPF_COOKIE" => Some(self.has_bpf_cookie.into()),
            "LINUX_HAS_SYSCALL_WRAPPER" => Some(self.has_syscall_wrapper.into()),
            _ => None,
        }
    }
}

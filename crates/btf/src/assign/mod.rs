//! Values into bytes, by their type: the other way of [`print`](crate::print).
//!
//! [`locate`] finds a part of a value by a path such as `.limits[3].rate`; [`parse`] reads what a person wrote, in the
//! spelling that values are printed in; [`store`] checks it against the type and writes it. What does not fit is
//! refused in words that say what would.
//!
//! ```
//! use skep_btf::{Builder, IntEncoding, assign, print};
//! let mut b = Builder::new();
//! let byte = b.int("unsigned char", 1, IntEncoding::Unsigned);
//! let cfg = b.structure("cfg", 2, &[("limit", byte, 0), ("mode", byte, 8)]);
//! let btf = b.finish()?;
//! let mut value = [0; 2];
//! let limit = assign::locate(&btf, cfg, ".limit")?;
//! assign::store(&btf, limit, &assign::parse("200")?, &mut value, Default::default())?;
//! assert_eq!(value, [200, 0]);
//! let refused = assign::store(&btf, limit, &assign::parse("300")?, &mut value, Default::default());
//! assert_eq!(refused.unwrap_err().to_string(), "300 does not fit into `unsigned char`: 0 to 255");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod locate;
mod parse;
mod store;
mod words;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::TypeId;

pub use locate::locate;
pub use parse::{parse, parse_for};
pub use store::store;
pub use words::{fits, type_name};

/// How deep values may nest, as printing has it.
const MAX_DEPTH: u32 = 32;

/// A part of a value: what it is and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Its type.
    pub ty: TypeId,
    /// Its first bit, from the start of the whole.
    pub off_bits: u64,
    /// Width if it is a bit-field, else 0.
    pub bitfield_bits: u8,
}

impl Spot {
    /// The whole of a value of a type.
    pub fn whole(ty: TypeId) -> Self {
        Self { ty, off_bits: 0, bitfield_bits: 0 }
    }
}

/// A value that is to be stored, before its type is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A number below 2^127.
    Int(i128),
    /// A number from 2^127 on.
    Huge(u128),
    /// `true` or `false`.
    Bool(bool),
    /// A number with a fraction.
    Float(f64),
    /// Text, for arrays of characters; an enumerator's name.
    Text(String),
    /// An enumerator's name.
    Word(String),
    /// The bytes of a whole value as they are.
    Bytes(Vec<u8>),
    /// Fields by name, or in order; elements of an array. What is left out is 0, as in C.
    List(Vec<(Option<String>, Input)>),
}

/// Why a value or a path does not fit a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(String);

impl Misfit {
    #[cold]
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Misfit {}

/// Each type becomes a conversion by way of `i128`.
macro_rules! numbers {
    ($($t:ty)*) => {$(
        impl From<$t> for Input {
            fn from(n: $t) -> Self {
                Self::Int(n.into())
            }
        }
    )*};
}

numbers!(u8 i8 u16 i16 u32 i32 u64 i64 i128);

impl From<u128> for Input {
    fn from(n: u128) -> Self {
        i128::try_from(n).map_or(Self::Huge(n), Self::Int)
    }
}

impl From<usize> for Input {
    fn from(n: usize) -> Self {
        Self::Int(n as i128)
    }
}

impl From<bool> for Input {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<f32> for Input {
    fn from(f: f32) -> Self {
        Self::Float(f.into())
    }
}

impl From<f64> for Input {
    fn from(f: f64) -> Self {
        Self::Float(f)
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Input>> From<Vec<T>> for Input {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(|i| (None, i.into())).collect())
    }
}

impl<T: Into<Input>, const N: usize> From<[T; N]> for Input {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(|i| (None, i.into())).collect())
    }
}

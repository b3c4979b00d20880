//! Keys and values: Rust types as the bytes that maps hold.

use std::borrow::Cow;

/// A type that a map's key or value may be read and written as. Numbers are in native byte order, as programs
/// see them.
///
/// ```
/// use skep::Value;
/// assert_eq!(*7u32.to_bytes(), 7u32.to_ne_bytes());
/// assert_eq!(u64::from_bytes(&[0; 8]), Some(0));
/// assert_eq!(u64::from_bytes(&[0; 4]), None);
/// ```
pub trait Value: Sized {
    /// The bytes.
    fn to_bytes(&self) -> Cow<'_, [u8]>;
    /// Reads the bytes; `None` when their number is wrong.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($t:ty)*) => {$(
        impl Value for $t {
            fn to_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.to_ne_bytes().to_vec())
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_ne_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

// Each type becomes an impl over its `to_ne_bytes` and `from_ne_bytes`.
numbers!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 f32 f64);

/// One byte; any but 0 is true.
impl Value for bool {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(vec![u8::from(*self)])
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let [byte] = bytes { Some(*byte != 0) } else { None }
    }
}

impl<const N: usize> Value for [u8; N] {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Value for Vec<u8> {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

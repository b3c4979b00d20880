//! What generated skeletons stand on (crate `skep-build`, `skep gen skeleton`): maps with types, and values as bytes.

use std::fmt;
use std::marker::PhantomData;

use crate::{Error, ErrorKind, Loaded, Map, Program, RingBuffer, Value};

/// A map whose keys and values have types of Rust. Cheap to clone.
pub struct TypedMap<K, V> {
    map: Map,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Clone for TypedMap<K, V> {
    fn clone(&self) -> Self {
        Self { map: self.map.clone(), types: PhantomData }
    }
}

impl<K, V> fmt::Debug for TypedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}

impl<K: Value, V: Value> TypedMap<K, V> {
    /// The map of a name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn of(loaded: &Loaded, name: &str) -> Result<Self, Error> {
        Ok(Self { map: map(loaded, name)?, types: PhantomData })
    }

    /// The map, without types.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// As [`Map::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, key: &K) -> Result<Option<V>, Error> {
        self.map.get(key)
    }

    /// As [`Map::get_per_cpu`].
    ///
    /// # Errors
    /// As there.
    pub fn get_per_cpu(&self, key: &K) -> Result<Option<Vec<V>>, Error> {
        self.map.get_per_cpu(key)
    }

    /// As [`Map::put`].
    ///
    /// # Errors
    /// As there.
    pub fn put(&self, key: &K, value: &V) -> Result<(), Error> {
        self.map.put(key, value)
    }

    /// As [`Map::delete`].
    ///
    /// # Errors
    /// As there.
    pub fn delete(&self, key: &K) -> Result<bool, Error> {
        self.map.delete(key)
    }

    /// All elements. Those that come or go meanwhile may or may not be among them.
    ///
    /// # Errors
    /// As [`Map::entries`]; `Usage` for per-CPU maps, whose values are lists.
    pub fn entries(&self) -> Result<Vec<(K, V)>, Error> {
        let typed = |(key, value): (&[u8], &[u8])| Some((K::from_bytes(key)?, V::from_bytes(value)?));
        self.map.elements()?.iter().map(typed).collect::<Option<_>>().ok_or_else(|| {
            let words = format!("map `{}`: its elements are not of the skeleton's types", self.map.name());
            Error::new(ErrorKind::Usage, words)
        })
    }
}

/// A ring buffer or perf event array whose records have a type of Rust. Cheap to clone.
pub struct Records<T> {
    map: Map,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for Records<T> {
    fn clone(&self) -> Self {
        Self { map: self.map.clone(), types: PhantomData }
    }
}

impl<T> fmt::Debug for Records<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map.fmt(f)
    }
}

impl<T: Value> Records<T> {
    /// The map of a name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn of(loaded: &Loaded, name: &str) -> Result<Self, Error> {
        Ok(Self { map: map(loaded, name)?, types: PhantomData })
    }

    /// The map, without types.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// As [`Map::ring_buffer`].
    ///
    /// # Errors
    /// As there.
    pub fn reader(&self) -> Result<RecordReader<T>, Error> {
        Ok(RecordReader { ring: self.map.ring_buffer()?, types: PhantomData })
    }

    /// The record of some bytes: those of a perf event array's record may have zeros behind it. `None` when they are too
    /// few.
    pub fn record(bytes: &[u8]) -> Option<T> {
        (0..8).find_map(|more| T::from_bytes(bytes.get(..bytes.len().checked_sub(more)?)?))
    }
}

/// A consumer of a ring buffer whose records have a type of Rust.
#[derive(Debug)]
pub struct RecordReader<T> {
    ring: RingBuffer,
    types: PhantomData<fn() -> T>,
}

impl<T: Value> RecordReader<T> {
    /// Hands all records that are ready to `each`, without waiting; gives their number.
    ///
    /// # Errors
    /// As [`RingBuffer::poll`]; `Usage` for a record of another size, after all the others have been handed over.
    pub fn poll(&mut self, mut each: impl FnMut(T)) -> Result<usize, Error> {
        let mut odd = None;
        let count = self.ring.poll(|bytes| match T::from_bytes(bytes) {
            Some(record) => each(record),
            None => odd = Some(bytes.len()),
        })?;
        match odd {
            None => Ok(count),
            Some(len) => {
                let name = self.ring.map_name();
                let words = format!("map `{name}`: a record of {len} bytes is not of the skeleton's type");
                Err(Error::new(ErrorKind::Usage, words))
            }
        }
    }

    /// The ring buffer, without types: to wait, say.
    pub fn ring(&mut self) -> &mut RingBuffer {
        &mut self.ring
    }
}

/// The map of a name.
///
/// # Errors
/// `NotFound`.
pub fn map(loaded: &Loaded, name: &str) -> Result<Map, Error> {
    loaded.map(name).cloned().ok_or_else(|| missing("map", name))
}

/// The program of a name.
///
/// # Errors
/// `NotFound`.
pub fn program(loaded: &Loaded, name: &str) -> Result<Program, Error> {
    loaded.program(name).cloned().ok_or_else(|| missing("program", name))
}

#[cold]
fn missing(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what} `{name}`: does the skeleton fit the object?"))
}

/// Text as an array of characters, zeros behind it; `None` when it is too long.
pub fn text<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    out.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(out)
}

/// The bytes from `at` on; zeros past the end.
pub fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    let from = bytes.get(at..).unwrap_or(&[]);
    out.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    out
}

/// Puts bytes from `at` on; what is past the end is left out.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let to = bytes.get_mut(at..).unwrap_or(&mut []);
    to.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
}

/// Byte and mask of a bit, counted as C compilers lay out bit-fields: from the least significant in little endian, from
/// the most significant in big endian.
fn bit(at: usize) -> (usize, u8) {
    let in_byte = at % 8;
    (at / 8, if cfg!(target_endian = "little") { 1 << in_byte } else { 0x80 >> in_byte })
}

/// Which bit of the value the `i`th of `width` bits is.
fn weight(i: usize, width: usize) -> usize {
    if cfg!(target_endian = "little") { i } else { width - 1 - i }
}

/// An unsigned bit-field of `width` bits, at most 64, from bit `at` on.
pub fn bits(bytes: &[u8], at: usize, width: usize) -> u64 {
    (0..width.min(64)).fold(0, |value, i| {
        let (byte, mask) = bit(at + i);
        let set = bytes.get(byte).is_some_and(|b| b & mask != 0);
        value | u64::from(set) << weight(i, width.min(64))
    })
}

/// A signed bit-field.
pub fn signed_bits(bytes: &[u8], at: usize, width: usize) -> i64 {
    let unused = 64 - width.clamp(1, 64);
    (bits(bytes, at, width) << unused).cast_signed() >> unused
}

/// Puts the low bits of a value into a bit-field.
pub fn put_bits(bytes: &mut [u8], at: usize, width: usize, value: u64) {
    for i in 0..width.min(64) {
        let (byte, mask) = bit(at + i);
        let Some(byte) = bytes.get_mut(byte) else { return };
        if value >> weight(i, width.min(64)) & 1 == 1 { *byte |= mask } else { *byte &= !mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_fields_come_back() {
        for at in 0..20 {
            for width in 1..=64 {
                for value in [0u64, 1, 0x5555_5555_5555_5555, u64::MAX, 1 << 63 | 1] {
                    for fill in [0, 0xff] {
                        let mut bytes = [fill; 16];
                        put_bits(&mut bytes, at, width, value);
                        let mask = u64::MAX >> (64 - width);
                        assert_eq!(bits(&bytes, at, width), value & mask, "{at} {width}");
                        // Nothing beside it.
                        put_bits(&mut bytes, at, width, if fill == 0 { 0 } else { u64::MAX });
                        assert_eq!(bytes, [fill; 16], "{at} {width}");
                    }
                }
            }
        }
        let mut bytes = [0; 2];
        put_bits(&mut bytes, 3, 5, (-7i64).cast_unsigned());
        assert_eq!(signed_bits(&bytes, 3, 5), -7);
    }

    #[test]
    fn ends_are_no_panic() {
        assert_eq!(take::<4>(&[1, 2], 1), [2, 0, 0, 0]);
        assert_eq!(take::<4>(&[1, 2], 9), [0; 4]);
        let mut bytes = [0; 2];
        put(&mut bytes, 1, &[7, 8]);
        put(&mut bytes, 9, &[7, 8]);
        assert_eq!(bytes, [0, 7]);
        assert_eq!(bits(&[0xff], 4, 64) & 0xf0, 0);
        put_bits(&mut bytes, 12, 64, 0);
        assert_eq!((text::<3>("abc"), text::<3>("abcd")), (Some(*b"abc"), None));
    }
}

//! Values of maps where they stand.

use std::fmt;

use skep_spec::{Change, ValueMemory};

use crate::{Error, Map};

/// A number that a [`ValueView`] reads and writes at once.
pub trait Word: Copy + sealed::Word {}

mod sealed {
    pub trait Word {
        const WIDTH: usize;
        fn to_bits(self) -> u64;
        fn from_bits(bits: u64) -> Self;
    }
}

macro_rules! words {
    ($($t:ty)*) => {$(
        impl sealed::Word for $t {
            const WIDTH: usize = size_of::<$t>();
            fn to_bits(self) -> u64 {
                self as u64
            }
            fn from_bits(bits: u64) -> Self {
                bits as $t
            }
        }
        impl Word for $t {}
    )*};
}

// Each type becomes a `Word` by its conversions from and to `u64`.
words!(u8 i8 u16 i16 u32 i32 u64 i64);

/// A value of a map where it stands: read and written in place while programs do the same, without a call of the backend
/// or a copy of the rest. The memory stays while the view lives.
///
/// Numbers of 1, 2, 4 and 8 bytes at a multiple of their size are read, written and changed at once; longer pieces word by
/// word, so that a program may have changed the rest meanwhile. What only programs touch (locks, timers, pointers to objects)
/// reads as zeros and is left alone.
///
/// ```
/// use skep::{Backend, abi::{MapFlags, MapType}, spec::MapDef};
///
/// let mut def = MapDef::new(MapType::ARRAY, 4, 16, 2).named("counts");
/// def.flags = MapFlags(MapFlags::MMAPABLE); // the kernel needs it, the user backend does not
/// let map = Backend::user().create_map(def)?;
///
/// let counts = map.view(&1u32)?;
/// counts.set(8, 40u64)?;
/// assert_eq!(counts.fetch_add(8, 2u64)?, 40);
/// assert_eq!(counts.get::<u64>(8)?, 42);
/// assert_eq!(map.lookup(&1u32.to_ne_bytes())?.map(|v| v[8..].to_vec()), Some(42u64.to_ne_bytes().to_vec()), "the same memory");
/// assert!(counts.get::<u64>(4).is_err(), "not aligned");
/// # Ok::<(), skep::Error>(())
/// ```
///
/// An update of a hash puts a new element in the place of the old one: the view then shows memory that another element may
/// get. [`ValueView::is_current`] says whether it is still that of its key.
///
/// In the kernel only values of arrays with `BPF_F_MMAPABLE` are seen in place, and while a view may write the map cannot
/// be frozen (`EBUSY`); in the user backend a view of a map that is frozen later may only read from then on.
pub struct ValueView {
    memory: Box<dyn ValueMemory>,
    name: String,
}

impl fmt::Debug for ValueView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueView").field("map", &self.name).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Map {
    /// The value of a key where it stands.
    ///
    /// # Errors
    /// `ENOENT` when there is no such key, `EINVAL` for a key of another size and for per-CPU maps
    /// ([`Map::view_on_cpu`]), `ENOTSUPP` for kinds that are neither arrays nor hashes; in the kernel for all but arrays
    /// with `BPF_F_MMAPABLE`.
    pub fn view<K: crate::Value>(&self, key: &K) -> Result<ValueView, Error> {
        self.view_of(&key.to_bytes(), None)
    }

    /// The value that a CPU has of a key of a per-CPU map where it stands.
    ///
    /// # Errors
    /// As [`Map::view`]; `EINVAL` for a CPU that is not there.
    pub fn view_on_cpu<K: crate::Value>(&self, key: &K, cpu: u32) -> Result<ValueView, Error> {
        self.view_of(&key.to_bytes(), Some(cpu))
    }

    fn view_of(&self, key: &[u8], cpu: Option<u32>) -> Result<ValueView, Error> {
        let memory = self.inner.view(key, cpu).map_err(Error::from)?;
        Ok(ValueView { memory, name: self.name().to_owned() })
    }
}

impl ValueView {
    /// Bytes of the value.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// Whether the memory is still that of its key's value. An array's always is; a hash's is not once the element was
    /// deleted or replaced.
    pub fn is_current(&self) -> bool {
        self.memory.is_current()
    }

    /// A number, with all that was written before it was (acquire).
    ///
    /// # Errors
    /// `EINVAL` outside the value, and for an offset that is no multiple of its size; `EPERM` for what only programs touch
    /// and for maps with `BPF_F_WRONLY`.
    pub fn get<T: Word>(&self, off_bytes: usize) -> Result<T, Error> {
        Ok(T::from_bits(self.memory.load(off_bytes, T::WIDTH)?))
    }

    /// Stores a number, behind all that was written before (release).
    ///
    /// # Errors
    /// As [`Self::get`]; `EPERM` for maps that are frozen or read-only, `EACCES` for those with `BPF_F_RDONLY_PROG`.
    pub fn set<T: Word>(&self, off_bytes: usize, number: T) -> Result<(), Error> {
        Ok(self.memory.store(off_bytes, T::WIDTH, number.to_bits())?)
    }

    fn change<T: Word>(&self, off_bytes: usize, change: Change) -> Result<T, Error> {
        Ok(T::from_bits(self.memory.change(off_bytes, T::WIDTH, change)?))
    }

    /// Adds to a number, wrapping around; gives what was there.
    ///
    /// # Errors
    /// As [`Self::set`]; `ENOTSUPP` for 8 bytes on machines that cannot change them at once.
    pub fn fetch_add<T: Word>(&self, off_bytes: usize, number: T) -> Result<T, Error> {
        self.change(off_bytes, Change::Add(number.to_bits()))
    }

    /// Sets bits of a number; gives what was there.
    ///
    /// # Errors
    /// As [`Self::fetch_add`].
    pub fn fetch_or<T: Word>(&self, off_bytes: usize, bits: T) -> Result<T, Error> {
        self.change(off_bytes, Change::Or(bits.to_bits()))
    }

    /// Keeps only these bits of a number; gives what was there.
    ///
    /// # Errors
    /// As [`Self::fetch_add`].
    pub fn fetch_and<T: Word>(&self, off_bytes: usize, bits: T) -> Result<T, Error> {
        self.change(off_bytes, Change::And(bits.to_bits()))
    }

    /// Puts a number in another's place; gives what was there.
    ///
    /// # Errors
    /// As [`Self::fetch_add`].
    pub fn swap<T: Word>(&self, off_bytes: usize, number: T) -> Result<T, Error> {
        self.change(off_bytes, Change::Swap(number.to_bits()))
    }

    /// Puts `new` in the place of a number that is `expected`; gives what was there, which is `expected` if it was done.
    ///
    /// # Errors
    /// As [`Self::fetch_add`].
    pub fn compare_swap<T: Word>(&self, off_bytes: usize, expected: T, new: T) -> Result<T, Error> {
        let (expected, new) = (expected.to_bits(), new.to_bits());
        self.change(off_bytes, Change::CompareSwap { expected, new })
    }

    /// Copies bytes out, word by word.
    ///
    /// # Errors
    /// `EINVAL` outside the value, `EPERM` for maps with `BPF_F_WRONLY`.
    pub fn read(&self, off_bytes: usize, out: &mut [u8]) -> Result<(), Error> {
        Ok(self.memory.read(off_bytes, out)?)
    }

    /// A copy of the value.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn to_vec(&self) -> Result<Vec<u8>, Error> {
        let mut out = vec![0; self.len()];
        self.read(0, &mut out)?;
        Ok(out)
    }

    /// Copies bytes in, word by word.
    ///
    /// # Errors
    /// `EINVAL` outside the value; as [`Self::set`] for maps that are not written.
    pub fn write(&self, off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.memory.write(off_bytes, bytes)?)
    }
}

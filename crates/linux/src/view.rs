//! Values of arrays where the kernel has them.

use skep_spec::{Change, Errno, Error, ValueMemory};

use crate::sys::view::MappedValue;
use crate::words;

/// A value of an array with `BPF_F_MMAPABLE`, mapped.
pub(crate) struct View {
    value: MappedValue,
    name: String,
}

impl View {
    pub fn new(value: MappedValue, name: &str) -> Self {
        Self { value, name: name.into() }
    }

    #[cold]
    fn error(&self, errno: Errno, off: usize, len: usize) -> Error {
        let (name, size) = (&self.name, self.value.len());
        let words = match errno {
            Errno::EINVAL => format!(
                "map `{name}`: view: bytes {off}+{len} of a value of {size}: numbers have 1, 2, 4 or 8 bytes and stand at a \
                 multiple of it, inside the value"
            ),
            Errno::EPERM => format!("map `{name}`: view: it is frozen or read-only"),
            Errno::EACCES => format!(
                "map `{name}`: view: it was created with BPF_F_RDONLY_PROG: programs count on its values, which are not \
                 changed in place"
            ),
            _ => return words::error(errno, &format!("the view of a value of map `{name}`")),
        };
        Error::new(errno, words)
    }

    fn inside(&self, off: usize, len: usize) -> Result<(), Error> {
        match off.checked_add(len) {
            Some(end) if end <= self.value.len() => Ok(()),
            _ => Err(self.error(Errno::EINVAL, off, len)),
        }
    }
}

/// The pieces of a range of bytes that are aligned numbers: offset and width.
fn pieces(off: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = off + len;
    let mut at = off;
    std::iter::from_fn(move || {
        let width = [8, 4, 2, 1].into_iter().find(|w| at.is_multiple_of(*w) && at + w <= end)?;
        at += width;
        Some((at - width, width))
    })
}

/// The bytes of a number that are kept when it is `width` bytes wide.
fn low(number: u64, width: usize) -> [u8; 8] {
    // The low bytes come first, on either kind of machine.
    if cfg!(target_endian = "big") {
        (number << (8 * (8 - width))).to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}

impl ValueMemory for View {
    fn len(&self) -> usize {
        self.value.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_current(&self) -> bool {
        true
    }

    fn load(&self, off_bytes: usize, width: usize) -> Result<u64, Error> {
        self.value.load(off_bytes, width).map_err(|e| self.error(e, off_bytes, width))
    }

    fn store(&self, off_bytes: usize, width: usize, number: u64) -> Result<(), Error> {
        let cell = self.value.cell(off_bytes, width).map_err(|e| self.error(e, off_bytes, width))?;
        cell.store(number);
        Ok(())
    }

    fn change(&self, off_bytes: usize, width: usize, change: Change) -> Result<u64, Error> {
        let cell = self.value.cell(off_bytes, width).map_err(|e| self.error(e, off_bytes, width))?;
        Ok(cell.change(change))
    }

    fn read(&self, off_bytes: usize, out: &mut [u8]) -> Result<(), Error> {
        self.inside(off_bytes, out.len())?;
        for (at, width) in pieces(off_bytes, out.len()) {
            let number = self.load(at, width)?;
            out[at - off_bytes..][..width].copy_from_slice(&low(number, width)[..width]);
        }
        Ok(())
    }

    fn write(&self, off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        self.inside(off_bytes, bytes.len())?;
        if let Some(why) = self.value.read_only() {
            return Err(self.error(why, off_bytes, bytes.len()));
        }
        for (at, width) in pieces(off_bytes, bytes.len()) {
            let mut number = [0; 8];
            let piece = &bytes[at - off_bytes..][..width];
            let to =
                if cfg!(target_endian = "big") { &mut number[8 - width..] } else { &mut number[..width] };
            to.copy_from_slice(piece);
            self.store(at, width, u64::from_ne_bytes(number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_are_aligned_and_whole() {
        for off in 0..17 {
            for len in 0..40 {
                let mut at = off;
                for (piece, width) in pieces(off, len) {
                    assert!(piece == at && piece.is_multiple_of(width), "{off}+{len}: {piece}+{width}");
                    at += width;
                }
                assert_eq!(at, off + len);
            }
        }
    }
}

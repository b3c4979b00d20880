//! What is known of types once they have been checked, by id.
//!
//! Most records say it themselves. Only of those that hang on others, an array on its element, a typedef on its target,
//! it is kept: few, found by a bit for each type and a count for every 64.

use alloc::vec::Vec;

use crate::raw::Record;
use crate::types::*;

/// What is known of a type once it has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Bytes of a value, if it can have one.
    pub(crate) size: Option<u32>,
    /// Behind typedefs, qualifiers and type tags.
    pub(crate) resolved: TypeId,
}

impl Facts {
    /// What a record says itself; `None` for one that hangs on others.
    pub(crate) fn plain(id: TypeId, record: Record<'_>, pointer_size: u32) -> Option<Self> {
        let size = match record.kind() {
            Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag => None,
            // As compilers leave it: the linker fills in sizes and offsets.
            Kind::Datasec => Some(record.word()).filter(|size| *size != 0),
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 | Kind::Struct | Kind::Union => {
                Some(record.word())
            }
            Kind::Ptr => Some(pointer_size),
            Kind::Array
            | Kind::Var
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::TypeTag => return None,
        };
        Some(Self { size, resolved: id })
    }
}

/// Facts in 8 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    size: u32,
    /// The id, which has no 32 bits (`parse` sees to that), and above it whether there is a size.
    resolved: u32,
}

impl Kept {
    const SIZED: u32 = 1 << 31;
    /// Not known yet.
    pub(crate) const NOTHING: Self = Self { size: 0, resolved: 0 };

    pub(crate) fn get(self) -> Facts {
        let size = (self.resolved & Self::SIZED != 0).then_some(self.size);
        Facts { size, resolved: TypeId(self.resolved & !Self::SIZED) }
    }
}

impl From<Facts> for Kept {
    fn from(f: Facts) -> Self {
        let sized = if f.size.is_some() { Self::SIZED } else { 0 };
        Self { size: f.size.unwrap_or(0), resolved: f.resolved.0 | sized }
    }
}

/// Which types hang on others, by their index.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    /// A bit for each type.
    bits: Vec<u64>,
    /// How many there are before each 64.
    before: Vec<u32>,
    types: usize,
    count: u32,
}

impl Derived {
    /// The next type.
    pub(crate) fn push(&mut self, is_derived: bool) {
        let bit = self.types % 64;
        if bit == 0 {
            self.bits.push(0);
            self.before.push(self.count);
        }
        self.types += 1;
        if let Some(last) = self.bits.last_mut().filter(|_| is_derived) {
            *last |= 1 << bit;
            self.count += 1;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// The number of a type among those that hang on others.
    pub(crate) fn number(&self, index: usize) -> Option<usize> {
        let (bits, bit) = (*self.bits.get(index / 64)?, 1 << (index % 64));
        let before = self.before.get(index / 64)?;
        (bits & bit != 0).then(|| *before as usize + (bits & (bit - 1)).count_ones() as usize)
    }
}

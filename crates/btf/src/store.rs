//! The bytes of a `.BTF` section with what is needed to find a type in them. Types are decoded when they are asked for
//! and kept from then on.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use once_cell::race::OnceBox;

use crate::Endian;
use crate::facts::{Derived, Kept};
use crate::names::Names;
use crate::raw::{Kinds, Record};
use crate::tags::Tags;
use crate::types::*;

/// Types whose places for decoded ones are made together.
const CHUNK: usize = 128;

type Chunk = [OnceBox<Type>; CHUNK];

/// Own types and strings of a [`Btf`](crate::Btf).
pub(crate) struct Store {
    /// All of the section, header included.
    pub(crate) bytes: Cow<'static, [u8]>,
    pub(crate) layout: Layout,
    /// What is known of the types that hang on others, in their order.
    pub(crate) facts: Vec<Kept>,
    pub(crate) names: Names,
    pub(crate) tags: Tags,
    /// Types that have been asked for.
    decoded: Box<[OnceBox<Chunk>]>,
}

/// Where things are in the bytes of a section.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) endian: Endian,
    pub(crate) types: Range<usize>,
    pub(crate) strings: Range<usize>,
    /// Whether every string is ASCII: a name may begin at any byte then.
    pub(crate) ascii: bool,
    /// Kind and place of each own record, and where the last ends. `void`, which is the first without a base, starts
    /// and ends at 0.
    pub(crate) places: Vec<Place>,
    pub(crate) derived: Derived,
}

/// Kind of a record and where in the type section it starts.
///
/// ```text
/// 31-27   26-0
/// kind    start in words of 4 bytes
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(u32);

impl Place {
    /// Largest type section whose records have places. Linux takes 16 MiB.
    pub(crate) const MAX_LEN: usize = 1 << 29;

    /// `start` is a multiple of 4 and below [`Self::MAX_LEN`], or that of the end.
    pub(crate) fn new(kind: Kind, start: usize) -> Self {
        Self((kind as u32) << 27 | (start / 4) as u32)
    }

    fn kind(self) -> Kind {
        Kind::from_raw(self.0 >> 27).unwrap_or(Kind::Void)
    }

    fn is(self, kinds: Kinds) -> bool {
        kinds.0 >> (self.0 >> 27) & 1 != 0
    }

    fn start(self) -> usize {
        (self.0 & 0x07ff_ffff) as usize * 4
    }
}

/// Own records by their index.
#[derive(Clone, Copy)]
pub(crate) struct Records<'a> {
    types: &'a [u8],
    places: &'a [Place],
    endian: Endian,
}

impl<'a> Records<'a> {
    pub(crate) fn get(self, index: usize) -> Option<Record<'a>> {
        let [place, next] = self.places.get(index..)?.first_chunk()?;
        Some(Record::new(place.kind(), self.types.get(place.start()..next.start())?, self.endian))
    }

    /// The places of all, and not where the last ends.
    fn all(self) -> &'a [Place] {
        self.places.split_last().map_or(&[], |(_, all)| all)
    }

    pub(crate) fn kind(self, index: usize) -> Option<Kind> {
        self.all().get(index).map(|p| p.kind())
    }

    /// Whether there is such a record, and it is of one of these kinds.
    pub(crate) fn is(self, index: usize, kinds: Kinds) -> bool {
        self.all().get(index).is_some_and(|p| p.is(kinds))
    }

    /// Indices of records of these kinds.
    pub(crate) fn of_kinds(self, kinds: Kinds) -> impl Iterator<Item = usize> + 'a {
        self.all().iter().enumerate().filter(move |(_, p)| p.is(kinds)).map(|(index, _)| index)
    }

    pub(crate) fn len(self) -> usize {
        self.places.len().saturating_sub(1)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Record<'a>> {
        (0..self.len()).map_while(move |i| self.get(i))
    }
}

impl Store {
    pub(crate) fn new(bytes: Cow<'static, [u8]>, layout: Layout) -> Self {
        let chunks = (layout.places.len() - 1).div_ceil(CHUNK);
        let decoded = (0..chunks).map(|_| OnceBox::new()).collect();
        Self { bytes, layout, facts: Vec::new(), names: Names::default(), tags: Tags::default(), decoded }
    }

    /// The section as it was read.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn records(&self) -> Records<'_> {
        let Layout { endian, types, places, .. } = &self.layout;
        Records { types: &self.bytes[types.clone()], places, endian: *endian }
    }

    pub(crate) fn strings(&self) -> &[u8] {
        &self.bytes[self.layout.strings.clone()]
    }

    /// Whether a string begins at this byte, or goes on there.
    pub(crate) fn is_string(&self, at: usize) -> bool {
        let continues = |byte: u8| byte & 0xc0 == 0x80; // the second or a later byte of a character
        match self.layout.ascii {
            true => at < self.layout.strings.len(),
            false => self.strings().get(at).is_some_and(|b| !continues(*b)),
        }
    }

    /// Number of own types, `void` among them without a base.
    pub(crate) fn len(&self) -> usize {
        self.layout.places.len() - 1
    }

    pub(crate) fn ty(&self, index: usize) -> Option<&Type> {
        let record = self.records().get(index)?;
        let chunk = self.decoded.get(index / CHUNK)?;
        let chunk = chunk.get_or_init(|| Box::new(core::array::from_fn(|_| OnceBox::new())));
        Some(chunk[index % CHUNK].get_or_init(|| Box::new(record.decode())))
    }
}

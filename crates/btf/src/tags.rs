//! Declaration tags by what they are on: a look at every record for each question takes longer than all else that is asked
//! of a function.

use alloc::boxed::Box;
use alloc::vec::Vec;

use once_cell::race::OnceBox;

use crate::Kind;
use crate::raw::{Kinds, Record};
use crate::store::Records;

/// The tags of own records, made when the first is asked for.
#[derive(Default)]
pub(crate) struct Tags(OnceBox<Box<[Tag]>>);

/// The type that a tag is on and the tag's index, ascending.
type Tag = (u32, u32);

impl Tags {
    /// The tags on the type of a number or its parts, in the order of their records.
    pub(crate) fn on<'a>(&self, target: u32, records: Records<'a>) -> impl Iterator<Item = Record<'a>> {
        let tags = self.0.get_or_init(|| {
            let tag = |index| Some((records.get(index)?.target().0, index as u32));
            let tags = records.of_kinds(Kinds::of(&[Kind::DeclTag]));
            let mut tags: Vec<Tag> = tags.filter_map(tag).collect();
            tags.sort_unstable();
            Box::new(tags.into())
        });
        let from = tags.partition_point(|(on, _)| *on < target);
        let same = tags[from..].iter().take_while(move |(on, _)| *on == target);
        same.filter_map(move |(_, index)| records.get(*index as usize))
    }
}

//! Programs that runs have gone on with by tail calls, so that the next tail call to one is a few loads and a jump.
//!
//! A [`Link`] stands where the lower bits of the program's id say. It is made by a tail call that went the long way, and
//! holds for runs that are alike ([`Alike`]): the programs' host says that ids mean what they meant, and the run lends what
//! the linked program takes for granted. Links are never changed while a run lasts but where there was none, so code that
//! a run is in stays; another kind of run begins without any.

use alloc::sync::Arc;

use super::{Mem, Scratch};
use crate::Program;

/// Links; a power of two.
pub const LINKS: usize = 32;

/// A program to go on with. Native code reads it by the offsets of its fields.
#[repr(C)]
pub struct Link {
    /// The program's id; [`Link::NOTHING`] when there is none, which no slot of 32 bits holds.
    pub id: u64,
    /// Where its code is jumped to: [`Code::jump`](crate::native::Code::jump).
    pub jump: u64,
    /// Its address.
    pub program: u64,
    keep: Option<Arc<Program>>,
}

impl Link {
    /// [`Self::id`] where there is no program.
    pub const NOTHING: u64 = u64::MAX;
    const NONE: Self = Self { id: Self::NOTHING, jump: 0, program: 0, keep: None };
}

/// What links have to hold for: runs that differ in none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alike {
    /// [`Programs::version`](crate::Programs::version); 0 for nothing.
    pub(crate) version: u64,
    pub(crate) prog_type: u32,
    /// Bytes of the context that its programs' type has, and that the run lends.
    pub(crate) ctx: (usize, usize),
    pub(crate) last_cpu: u32,
    pub(crate) vcpu: u32,
    /// Whether there is a packet, and whether it may be written.
    pub(crate) packet: (bool, bool),
    pub(crate) flow_keys: bool,
}

/// All of a stack.
pub(super) struct Links {
    links: [Link; LINKS],
    alike: Alike,
}

impl Links {
    pub(super) const NONE: Self = Self {
        links: [const { Link::NONE }; LINKS],
        alike: Alike {
            version: 0,
            prog_type: 0,
            ctx: (0, 0),
            last_cpu: 0,
            vcpu: 0,
            packet: (false, false),
            flow_keys: false,
        },
    };

    fn clear(&mut self) {
        self.links = [const { Link::NONE }; LINKS];
    }
}

/// What is looked in where there are no links.
static NOTHING: [Link; LINKS] = [const { Link::NONE }; LINKS];

/// The address of [`LINKS`] links to nothing.
pub(crate) fn no_links() -> u64 {
    (&raw const NOTHING).expose_provenance() as u64
}

impl Scratch {
    /// Lets all programs go.
    pub(super) fn clear_links(&mut self) {
        if self.links.alike != Links::NONE.alike {
            self.links.clear();
            self.links.alike = Links::NONE.alike;
        }
    }
}

impl Mem<'_> {
    /// A run begins that is like this: the links that hold for it. Their address is good for the run.
    #[inline]
    pub(crate) fn links(&mut self, alike: Alike) -> u64 {
        let links = &mut self.scratch.links;
        if links.alike != alike {
            links.clear();
            links.alike = alike;
        }
        (&raw mut links.links).expose_provenance() as u64
    }

    /// What the links at hand hold for.
    pub(crate) fn alike(&self) -> &Alike {
        &self.scratch.links.alike
    }

    /// Links to a program whose code is jumped to at an address, unless another has its place.
    pub(crate) fn link(&mut self, program: &Arc<Program>, jump: usize) {
        let id = program.id();
        let link = &mut self.scratch.links.links[id as usize % LINKS];
        if link.id == Link::NOTHING {
            let address = Arc::as_ptr(program).expose_provenance() as u64;
            *link =
                Link { id: id.into(), jump: jump as u64, program: address, keep: Some(Arc::clone(program)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Native code finds a link by a shift.
    #[test]
    fn links_have_a_round_size() {
        assert_eq!((size_of::<Link>().is_power_of_two(), LINKS.is_power_of_two()), (true, true));
    }
}

//! Deduplication: types of several compilations, put one after the other, become one set without doubles.
//!
//! The rules are those of libbpf 1.7 (`btf__dedup`), and so is the order of work:
//!
//! ```text
//! names     equal strings become one string
//! prims     integers, floats, enums, forward declarations: equal records are one type;
//!           an enum without values stands for the enum of its name
//! graphs    structs, unions, typedefs: two are one if the graphs that start from them match (`equiv`)
//! forwards  a declared struct becomes the only one of its name that is defined
//! refs      pointers, arrays, qualifiers, prototypes, functions, tags: equal records once what they refer
//!           to is settled
//! compact   what stands for itself is kept, in order, and everything refers to that
//! ```
//!
//! `map[t]` is the type that stands for `t`, or `Work::NONE` while that is not known; a chain of these ends at
//! the type that is kept. Variables and sections always stand for themselves.
//!
//! Two types are made one only after their graphs were compared, so giving up on a comparison is safe: it leaves
//! a double. That bounds the time for input that was made to be slow (many types alike but for their depths):
//! comparisons are counted, and beyond a multiple of the input's size nothing more is compared.

mod equiv;
mod graphs;
mod names;
mod prims;
mod refs;
mod shallow;
mod table;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::remap::Names;
use crate::{Btf, Error, Name, Remap, Type, TypeId};

use table::Table;

/// What [`dedup`] gives.
#[derive(Clone, Debug)]
pub struct Deduped {
    /// The types without doubles.
    pub btf: Btf,
    /// Where ids and names have gone; for what refers to the types from outside
    /// ([`BtfExt::remap`](crate::BtfExt::remap)).
    pub map: Remap,
    /// Whether every comparison was made: false for input so repetitive that doubles may be left.
    pub complete: bool,
}

/// Makes one of types that are the same. Types of a base are never changed; own ones that are there give way to
/// them. Strings that no type has are dropped, except those of `keep`
/// ([`BtfExt::names`](crate::BtfExt::names)).
///
/// ```
/// use skep_btf::{Builder, IntEncoding, TypeId, dedup::dedup};
/// let mut b = Builder::new();
/// let first = b.int("int", 4, IntEncoding::Signed);
/// let second = b.int("int", 4, IntEncoding::Signed);
/// let a = b.structure("point", 8, &[("x", first, 0), ("y", first, 32)]);
/// let z = b.structure("point", 8, &[("x", second, 0), ("y", second, 32)]);
/// let done = dedup(b.finish()?, [])?;
/// assert_eq!(done.btf.len(), 3); // void, int, struct point
/// assert_eq!(done.map.id(a), done.map.id(z));
/// # Ok::<(), skep_btf::Error>(())
/// ```
///
/// # Errors
/// If what comes out is no BTF any more: a section of fixed size that has a variable of a declared struct, which
/// the struct's definition does not fit.
pub fn dedup(btf: Btf, keep: impl IntoIterator<Item = Name>) -> Result<Deduped, Error> {
    let (base, mut own, strings) = btf.into_parts();
    let (first, first_str) = base.as_ref().map_or((0, 0), |b| (b.len() as u32, b.strings_end()));
    let (strings, renamed) = names::unify(base.as_deref(), &mut own, &strings, first_str, keep);
    let mut work = Work::new(base, own);
    work.prims();
    work.graphs();
    work.forwards();
    work.refs();
    let complete = work.steps_left > 0;
    let (base, types, ids) = work.compact();
    let btf = Btf::from_parts(base, types.iter(), &strings)?;
    Ok(Deduped { btf, map: Remap { first, ids, first_str, names: Names::Table(renamed) }, complete })
}

/// The state of a deduplication.
struct Work {
    base: Option<Arc<Btf>>,
    own: Vec<Type>,
    /// The id of the first of `own`.
    first: u32,
    /// What stands for each type, the base's included.
    map: Vec<u32>,
    /// Types that stand for themselves, by hash: what a new one is compared with.
    table: Table,
    /// The pairs of the comparison at hand: by type of the known graph, the type of the new graph.
    paired: Vec<u32>,
    /// The types with an entry in `paired`, in the order of their entries.
    pairs: Vec<u32>,
    /// Whether the comparison found a forward declaration of the base that the new graph defines.
    defines_base: bool,
    /// How many more comparisons may be made.
    steps_left: u64,
}

impl Work {
    /// No type.
    const NONE: u32 = u32::MAX;

    fn new(base: Option<Arc<Btf>>, own: Vec<Type>) -> Self {
        let first = base.as_ref().map_or(0, |b| b.len() as u32);
        let len = first as usize + own.len();
        let mut map = vec![Self::NONE; len];
        // A base's types stand for themselves. So does `void`, the first own type without a base.
        for (id, to) in (0u32..).zip(map.iter_mut().take(first.max(1) as usize)) {
            *to = id;
        }
        for (id, t) in (first..).zip(&own) {
            if matches!(t, Type::Var { .. } | Type::Datasec { .. }) {
                map[id as usize] = id;
            }
        }
        let parts: usize = own.iter().map(shallow::parts).sum();
        let (paired, table) = (vec![Self::NONE; len], Table::new(len));
        // The kernel's types, twice, take less than 1 for each type and part.
        let steps_left = (1 << 20) + 32 * (own.len() + parts) as u64;
        let pairs = Vec::new();
        let mut work = Self { base, own, first, map, table, paired, pairs, defines_base: false, steps_left };
        work.offer_base();
        work
    }

    /// Puts the base's types where own ones find them.
    fn offer_base(&mut self) {
        let Some(base) = self.base.clone() else { return };
        for (id, t) in base.iter() {
            if let Some(hash) = shallow::hash(t, |id| base.ty(id).expect("ids are checked")) {
                self.table.insert(hash, id.0);
            }
        }
    }

    fn ty(&self, id: u32) -> &Type {
        let found = match id.checked_sub(self.first) {
            Some(own) => self.own.get(own as usize),
            None => self.base.as_ref().and_then(|b| b.ty(TypeId(id))),
        };
        found.expect("ids are checked")
    }

    /// See [`shallow::hash`].
    fn hash(&self, id: u32) -> Option<u64> {
        shallow::hash(self.ty(id), |TypeId(id)| self.ty(id))
    }

    /// Ids of the own types, `void` not among them.
    fn own_ids(&self) -> core::ops::Range<u32> {
        self.first.max(1)..self.map.len() as u32
    }

    fn is_mapped(&self, id: u32) -> bool {
        self.map[id as usize] != Self::NONE
    }

    /// The end of the chain from `id`: the type that stands for it as far as is known.
    fn resolve(&mut self, mut id: u32) -> u32 {
        loop {
            let next = self.map[id as usize];
            if next == id || next == Self::NONE {
                return id;
            }
            // Halve the way for who comes after.
            let after = self.map[next as usize];
            if after != Self::NONE {
                self.map[id as usize] = after;
            }
            id = next;
        }
    }

    /// Takes a comparison's cost from what may be spent; false when nothing is left.
    fn spend(&mut self, steps: usize) -> bool {
        self.steps_left = self.steps_left.saturating_sub(steps as u64);
        self.steps_left > 0
    }

    /// Lets a type stand for itself, and be found by those that come.
    fn keep(&mut self, id: u32, hash: u64) {
        self.map[id as usize] = id;
        self.table.insert(hash, id);
    }

    /// Drops what does not stand for itself and renumbers the rest. Gives the new ids of the own types too.
    fn compact(mut self) -> (Option<Arc<Btf>>, Vec<Type>, Vec<TypeId>) {
        let mut kept = self.first;
        let mut new = vec![0; self.own.len()];
        for (i, id) in (self.first..).take(new.len()).enumerate() {
            if self.map[id as usize] == id {
                new[i] = kept;
                kept += 1;
            }
        }
        let ids: Vec<TypeId> = (self.first..self.map.len() as u32)
            .map(|id| {
                let to = self.resolve(id);
                TypeId(to.checked_sub(self.first).map_or(to, |own| new[own as usize]))
            })
            .collect();
        let (first, map) = (self.first, self.map);
        let mut types = Vec::with_capacity((kept - first) as usize);
        for (id, mut t) in (first..).zip(self.own) {
            if map[id as usize] == id {
                t.each_reference_mut(|r| {
                    let mut to = r.0;
                    // A declaration of the base may be a type that is defined here.
                    while to < first && map[to as usize] != to {
                        to = map[to as usize];
                    }
                    *r = to.checked_sub(first).map_or(TypeId(to), |own| ids[own as usize]);
                });
                types.push(t);
            }
        }
        (self.base, types, ids)
    }
}

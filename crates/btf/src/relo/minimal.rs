//! The part of a target's types that some relocations look at: small enough to be carried beside an object, to
//! machines that do not show their own.
//!
//! A relocation against the part must come out as it does against the whole, so the part keeps
//!
//! - for a field, in every type of the name in which the field is found: the fields on the way, anonymous ones
//!   among them, with their types as far as sizes, signs and elements go (a pointer's target does not matter);
//! - for a question about a type, every type of the name, whether the answer is yes or no: with members and what
//!   they contain for `type_matches`, else as far as pointers, elements and signatures go;
//! - for an enumerator, every enum of the name that has it, with all others;
//! - sizes of structs, though not all of their members; the order of types and members;
//! - the member behind an array without length: an array that became the last would be taken for flexible;
//! - `long`, where a pointer has not 8 bytes: that is how the size of pointers is known.
//!
//! Only ids are others, so what `target_type_id` gives is of no use against a part. `bpftool gen min_core_btf`
//! keeps about the same.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::CoreKind;
use super::kind::Subject;
use super::resolve::search;
use super::spec::{Spec, Step};
use crate::btf::is_long;
use crate::raw::{Kinds, Record};
use crate::types::*;
use crate::{Btf, Builder, CoreRelo, Error};

/// Collects what relocations need of a target.
#[derive(Debug)]
pub struct Minimal<'a> {
    target: &'a Btf,
    /// Types that are kept; of structs and unions, which members.
    kept: BTreeMap<TypeId, BTreeSet<u32>>,
    /// Types whose pointers, elements and signatures were followed.
    followed: BTreeSet<TypeId>,
    /// Types of which everything contained was kept.
    whole: BTreeSet<TypeId>,
}

impl<'a> Minimal<'a> {
    /// Nothing of `target` yet.
    pub fn new(target: &'a Btf) -> Self {
        let (kept, followed, whole) = Default::default();
        let mut minimal = Self { target, kept, followed, whole };
        if target.pointer_size() != 8 {
            let long = |r: Record<'_>| is_long(r, target.str(r.name()).as_bytes()).is_some();
            let long = target.ids().find(|id| target.record(*id).is_some_and(long));
            minimal.kept.extend(long.map(|id| (id, BTreeSet::new())));
        }
        minimal
    }

    /// What relocations of an object with the types `local` need.
    ///
    /// # Errors
    /// When a relocation is damaged, of an unknown kind, or cannot be compared with the target's types.
    pub fn add<'r>(
        &mut self,
        local: &Btf,
        relos: impl IntoIterator<Item = &'r CoreRelo>,
    ) -> Result<(), Error> {
        let mut candidates: BTreeMap<TypeId, Vec<TypeId>> = BTreeMap::new();
        for relo in relos {
            let kind = CoreKind::known(relo)?;
            let spec = Spec::local(local, relo, kind)?;
            if kind == CoreKind::TypeIdLocal {
                continue;
            }
            let target = self.target;
            let candidates = candidates.entry(relo.ty).or_insert_with(|| {
                // Functions and variables have names too, and never match.
                let other = Kinds::of(&[Kind::Func, Kind::Var, Kind::Datasec, Kind::DeclTag]);
                let types = |target, kinds: Kinds| Btf::of_kinds(target, kinds.but(other));
                search(local, relo.ty, target, types).iter().map(|c| c.ty).collect()
            });
            for &root in &*candidates {
                match kind.subject() {
                    Subject::Type if kind == CoreKind::TypeMatches => self.contents(root),
                    Subject::Type => self.signature(root),
                    Subject::Field | Subject::EnumValue => {
                        if let Some(found) = spec.matching(kind, target, root)? {
                            self.path(root, &found);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The types, on no base.
    pub fn finish(self) -> Btf {
        let mut new = BTreeMap::from([(TypeId::VOID, TypeId::VOID)]);
        new.extend((1..).map(TypeId).zip(self.kept.keys()).map(|(new, old)| (*old, new)));
        let mut b = Builder::new();
        for (id, members) in &self.kept {
            let Some(mut t) = self.target.ty(*id).cloned() else { continue };
            if let Type::Struct { members: all, .. } | Type::Union { members: all, .. } = &mut t {
                *all = (0..).zip(&**all).filter(|(i, _)| members.contains(i)).map(|(_, m)| *m).collect();
            }
            // What was not asked for is behind pointers.
            t.each_reference_mut(|r| *r = new.get(r).copied().unwrap_or(TypeId::VOID));
            t.each_name_mut(|n| *n = b.name(self.target.str(*n)));
            b.add(t);
        }
        b.finish().expect("parts of what was right, with all that gives them their sizes")
    }

    /// A type with what it stands for and its elements, so that it has its size.
    fn plain(&mut self, id: TypeId) {
        let mut todo = Vec::from([id]);
        while let Some(id) = todo.pop() {
            if id == TypeId::VOID || self.kept.contains_key(&id) {
                continue;
            }
            self.kept.insert(id, BTreeSet::new());
            match self.target.ty(id) {
                Some(Type::Array { element, index, .. }) => todo.extend([*element, *index]),
                Some(t) => todo.extend(t.modified()),
                None => {}
            }
        }
    }

    /// A type as far as pointers, elements and signatures go.
    fn signature(&mut self, id: TypeId) {
        let mut todo = Vec::from([id]);
        while let Some(id) = todo.pop() {
            self.plain(id);
            let id = self.target.resolve(id);
            if !self.followed.insert(id) {
                continue;
            }
            match self.target.resolved(id) {
                Type::Ptr { target } => todo.push(*target),
                Type::Array { element, .. } => todo.push(*element),
                Type::FuncProto { ret, params } => {
                    todo.push(*ret);
                    todo.extend(params.iter().map(|p| p.ty));
                }
                _ => {}
            }
        }
    }

    /// A type with all members and theirs; pointers as in [`Self::signature`].
    fn contents(&mut self, id: TypeId) {
        let mut todo = Vec::from([id]);
        while let Some(id) = todo.pop() {
            self.signature(id);
            let id = self.target.resolve(id);
            if !self.whole.insert(id) {
                continue;
            }
            match self.target.resolved(id) {
                Type::Array { element, .. } => todo.push(*element),
                Type::FuncProto { ret, params } => {
                    todo.push(*ret);
                    todo.extend(params.iter().map(|p| p.ty));
                }
                Type::Struct { members, .. } | Type::Union { members, .. } => {
                    let all = 0..members.len() as u32;
                    self.kept.entry(id).or_default().extend(all);
                    todo.extend(members.iter().map(|m| m.ty));
                }
                _ => {}
            }
        }
    }

    /// A field or enumerator with what is on the way to it.
    fn path(&mut self, root: TypeId, found: &Spec<'_>) {
        self.plain(root);
        let members = found.anonymous.iter().copied();
        let named = found.steps.iter().filter(|s| s.name.is_some()).map(|s: &Step| (s.ty, s.index));
        for (id, index) in members.chain(named) {
            self.member(id, index);
        }
    }

    fn member(&mut self, id: TypeId, index: u32) {
        self.plain(id);
        // An enumerator is kept with its enum.
        let members = self.target.resolved(id).members();
        let Some(m) = members.get(index as usize) else { return };
        self.kept.entry(id).or_default().insert(index);
        self.plain(m.ty);
        let flexible = matches!(self.target.resolved(m.ty), Type::Array { len: 0, .. });
        if let Some(next) = members.get(index as usize + 1).filter(|_| flexible) {
            self.kept.entry(id).or_default().insert(index + 1);
            self.plain(next.ty);
        }
    }
}

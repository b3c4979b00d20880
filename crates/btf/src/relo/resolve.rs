//! Candidates by name, and what all of them that match agree on.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::OnceCell;
use core::fmt;

use super::kind::CoreKind;
use super::spec::Spec;
use super::value::{self, Outcome, Patch};
use super::{essential, meant};
use crate::raw::Kinds;
use crate::types::{Kind, Name, TypeId};
use crate::{At, Btf, CoreRelo, Endian, Error};

/// The types of a kernel module.
#[derive(Clone, Debug)]
pub struct Module {
    /// The module's name, as the kernel says it: `nf_conntrack`.
    pub name: String,
    /// Its types, split, on the kernel's.
    pub btf: Arc<Btf>,
}

/// The types of the machine that programs are to run on: the kernel's and its modules', or a file's.
pub struct TargetBtf {
    /// Types of the kernel proper.
    main: Arc<Btf>,
    /// Types of modules, on `main`. They are asked for what `main` does not have.
    modules: OnceCell<Vec<Module>>,
    /// Where `modules` comes from once it is needed.
    load: Option<LoadModules>,
}

/// Makes the types of modules, which stand on these.
type LoadModules = Box<dyn Fn(&Arc<Btf>) -> Vec<Module>>;

impl fmt::Debug for TargetBtf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules = self.modules.get().map(Vec::len);
        f.debug_struct("TargetBtf").field("types", &self.main.len()).field("modules", &modules).finish()
    }
}

impl From<Arc<Btf>> for TargetBtf {
    fn from(main: Arc<Btf>) -> Self {
        Self { main, modules: OnceCell::new(), load: None }
    }
}

impl From<Btf> for TargetBtf {
    fn from(main: Btf) -> Self {
        Arc::new(main).into()
    }
}

impl TargetBtf {
    /// With the types of modules, which are made when something is not found in `main` for the first time. Of
    /// several modules that have a type of a CO-RE relocation, all must give the same answer; of several that have a
    /// variable or function, the first counts.
    #[must_use]
    pub fn with_modules(mut self, load: impl Fn(&Arc<Btf>) -> Vec<Module> + 'static) -> Self {
        self.load = Some(Box::new(load));
        self
    }

    /// Types of the kernel proper.
    pub fn main(&self) -> &Arc<Btf> {
        &self.main
    }

    /// Types of modules.
    pub fn modules(&self) -> &[Module] {
        self.modules.get_or_init(|| self.load.as_ref().map_or_else(Vec::new, |load| load(&self.main)))
    }

    /// The kernel's types if they have one of this kind and name, else those of the first module that has, with the
    /// module (libbpf's `find_ksym_btf_id`).
    pub fn having(&self, kind: Kind, name: &str) -> Option<(TypeId, &Arc<Btf>, Option<&Module>)> {
        if let Some(id) = self.main.find_by_name(Some(kind), name) {
            return Some((id, &self.main, None));
        }
        self.modules().iter().find_map(|m| Some((m.btf.find_own(kind, name)?, &m.btf, Some(m))))
    }

    /// Types of the same name and kind as this local one.
    fn candidates(&self, local: &Btf, ty: TypeId) -> Vec<Candidate<'_>> {
        let main = search(local, ty, &self.main, Btf::of_kinds);
        if !main.is_empty() {
            return main;
        }
        self.modules().iter().flat_map(|m| search(local, ty, &m.btf, Btf::own_of_kinds)).collect()
    }
}

/// A type of the target that may be meant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'t> {
    btf: &'t Btf,
    pub(super) ty: TypeId,
}

/// Looks at every type of the kinds that may be meant, as much of a name as is equal.
pub(super) fn search<'t, I: Iterator<Item = TypeId>>(
    local: &Btf,
    ty: TypeId,
    btf: &'t Btf,
    of_kinds: impl FnOnce(&'t Btf, Kinds) -> I,
) -> Vec<Candidate<'t>> {
    let Some(wanted) = local.record(ty).filter(|r| !local.is_anonymous(r.name())) else { return Vec::new() };
    let (kind, name) = (wanted.kind(), essential(local.str(wanted.name()).as_bytes()));
    let same_name = |n: Name| {
        let rest = btf.bytes_from(n).strip_prefix(name);
        !n.is_none() && rest.is_some_and(|_| essential(btf.str(n).as_bytes()) == name)
    };
    let same = |id: &TypeId| btf.record(*id).is_some_and(|r| same_name(r.name()));
    of_kinds(btf, meant(kind)).filter(same).map(|ty| Candidate { btf, ty }).collect()
}

/// Resolves the relocations of an object in their order.
///
/// The order matters as it does in libbpf: candidates of a type that a relocation has ruled out are not asked
/// again for that type.
#[derive(Debug)]
pub struct Resolver<'a> {
    local: &'a Btf,
    target: &'a TargetBtf,
    endian: Endian,
    /// By local type.
    candidates: BTreeMap<TypeId, Vec<Candidate<'a>>>,
    /// Answers by type, access and kind. The same question has the same answer later: what has been ruled out since
    /// leaves candidates that all agreed on it, or none that could answer.
    known: BTreeMap<(TypeId, Name, u32), Outcome>,
}

impl<'a> Resolver<'a> {
    /// `endian` is of the machine that programs are to run on: it decides where bits of a bit-field lie.
    pub fn new(local: &'a Btf, target: &'a TargetBtf, endian: Endian) -> Self {
        Self { local, target, endian, candidates: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// What a relocation makes of its instruction.
    ///
    /// # Errors
    /// When the relocation is damaged or of an unknown kind, and when candidates match and do not agree.
    pub fn resolve(&mut self, relo: &CoreRelo) -> Result<Outcome, Error> {
        let question = (relo.ty, relo.access, relo.kind);
        if let Some(&known) = self.known.get(&question) {
            return Ok(known);
        }
        let outcome = self.ask(relo)?;
        self.known.insert(question, outcome);
        Ok(outcome)
    }

    fn ask(&mut self, relo: &CoreRelo) -> Result<Outcome, Error> {
        let local = self.local;
        let at = At::Type(relo.ty.0);
        let kind = CoreKind::known(relo)?;
        let ty = local.ty(relo.ty).ok_or_else(|| Error::malformed(at, "there is no such type"))?;
        let spec = Spec::local(local, relo, kind)?;
        if kind == CoreKind::TypeIdLocal {
            let id = relo.ty.0.into();
            return Ok(Outcome::Patch(Patch {
                local: id,
                target: id,
                validate: false,
                local_size: 0,
                target_size: 0,
                bad_resize: false,
            }));
        }
        if local.is_anonymous(ty.name()) {
            let what = format!("an anonymous {} cannot be looked for in the target", ty.kind().name());
            return Err(Error::unsupported(at, what));
        }
        let target = self.target;
        let candidates = self.candidates.entry(relo.ty).or_insert_with(|| target.candidates(local, relo.ty));
        let mut matching: Vec<Candidate<'_>> = Vec::new();
        let mut agreed: Option<(u32, Patch)> = None;
        for c in &*candidates {
            let Some(found) = spec.matching(kind, c.btf, c.ty)? else { continue };
            let Outcome::Patch(patch) = value::outcome(kind, &spec, Some(&found), self.endian)? else {
                continue;
            };
            matching.push(*c);
            let Some((off_bits, first)) = &agreed else {
                agreed = Some((found.off_bits, patch));
                continue;
            };
            let differ = |what: &str, a: u64, b: u64| {
                let what = format!(
                    "ambiguous: the target has several types \"{}\" that match, and {what} is {a} in {} and {b} in {}",
                    local.str(ty.name()),
                    matching[0].ty,
                    c.ty
                );
                Err(Error::malformed(at, what))
            };
            if *off_bits != found.off_bits {
                return differ("the bit offset", (*off_bits).into(), found.off_bits.into());
            }
            if first.target != patch.target {
                return differ(kind.name(), first.target, patch.target);
            }
        }
        match agreed {
            Some((_, patch)) => {
                *candidates = matching;
                Ok(Outcome::Patch(patch))
            }
            None => value::outcome(kind, &spec, None, self.endian),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two enums of different values whose names are the empty end of another string: libbpf takes them for nameless.
    #[test]
    fn an_empty_name_is_none() {
        let strings = b"\0A\x000\0";
        let (empty, zero) = (2u32, 3u32);
        let types = [[empty, 0x0600_0001, 4, 1, 5], [empty, 0x0600_0001, 4, 1, 6]].concat();
        let mut bytes = 0x0001_eb9fu32.to_le_bytes().to_vec();
        let (types_len, strings_len) = (types.len() as u32 * 4, strings.len() as u32);
        let header = [24, 0, types_len, types_len, strings_len];
        bytes.extend(header.iter().chain(&types).flat_map(|w| w.to_le_bytes()));
        bytes.extend(strings);
        let btf = Btf::parse(&bytes).expect("names are strings of the section");
        let access = btf.name_at(zero).expect("inside");
        let relo = CoreRelo { insn_off_bytes: 0, ty: TypeId(1), access, kind: 11 };
        let target = TargetBtf::from(btf.clone());
        let e = Resolver::new(&btf, &target, Endian::Little)
            .resolve(&relo)
            .expect_err("it has no name to look for");
        assert!(e.is_unsupported() && format!("{e}").contains("an anonymous ENUM"), "{e}");
        let mut minimal = super::super::Minimal::new(&btf);
        minimal.add(&btf, [&relo]).expect("nothing is looked for");
        assert!(minimal.finish().is_empty());
    }
}

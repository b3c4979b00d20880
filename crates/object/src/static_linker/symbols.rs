//! Which symbols of different files are one.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use ::object::elf::{self as consts};
use skep_btf::{Type, TypeId};

use super::compat::{self, Compared, Side};
use super::input::{EXTERN, Home, Input, Symbol, described};
use super::{Global, Linker, OutHome, OutSymbol, Placed};
use crate::error::{Error, Place};

/// Targets of indirect jumps. BTF does not describe its symbols, and each belongs to its file.
pub(super) const JUMP_TABLES: &str = ".jumptables";

impl Linker {
    /// The symbol of the result for each of the file's; none for those of sections that are left out. The file's
    /// types are the last of [`Linker::files`].
    pub(super) fn append_symbols(
        &mut self,
        input: &Input<'_>,
        placed: &[Option<Placed>],
    ) -> Result<Vec<Option<usize>>, Error> {
        let file = self.files.len() - 1;
        let btf = self.files[file].1.clone();
        let known = described(&btf);
        let mut compared = BTreeMap::new();
        let mut out = Vec::with_capacity(input.symbols.len());
        out.push(None);
        for s in &input.symbols[1..] {
            let place = match s.home {
                Home::Section(i) => match placed[i].filter(|p| !p.dropped) {
                    Some(p) => Some(p),
                    None => {
                        out.push(None);
                        continue;
                    }
                },
                Home::Undefined | Home::Absolute => None,
            };
            if let (consts::STT_SECTION, Some(p)) = (s.kind, place)
                && let Some(symbol) = self.sections[p.section].symbol
            {
                out.push(Some(symbol));
                continue;
            }
            let table = place.is_some_and(|p| self.sections[p.section].name == JUMP_TABLES);
            if table || s.bind == consts::STB_LOCAL {
                out.push(Some(self.new_symbol(s, place)));
                continue;
            }
            let found = known.get(s.name);
            out.push(Some(self.global(input, placed, s, place, found, &mut compared)?));
        }
        Ok(out)
    }

    fn new_symbol(&mut self, s: &Symbol<'_>, place: Option<Placed>) -> usize {
        let index = self.symbols.len();
        let is_section = s.kind == consts::STT_SECTION;
        if let (true, Some(p)) = (is_section, place) {
            self.sections[p.section].symbol = Some(index);
        }
        self.symbols.push(OutSymbol {
            name: s.name.into(),
            bind: s.bind,
            kind: s.kind,
            other: s.other,
            home: match (s.home, place) {
                (Home::Undefined, _) => OutHome::Undefined,
                (Home::Section(_), Some(p)) => OutHome::Section(p.section),
                (Home::Section(_), None) | (Home::Absolute, _) => OutHome::Absolute,
            },
            value: if is_section { 0 } else { s.value + place.map_or(0, |p| p.off) },
            size: s.size,
        });
        index
    }

    /// A symbol that other files see. `compared` has what was compared of this file and each before.
    fn global(
        &mut self,
        input: &Input<'_>,
        placed: &[Option<Placed>],
        s: &Symbol<'_>,
        place: Option<Placed>,
        found: Option<&super::input::Described>,
        compared: &mut BTreeMap<usize, Compared>,
    ) -> Result<usize, Error> {
        let file = self.files.len() - 1;
        let bad = |what| Err(input.file.malformed(Place::Symbol { name: s.name.into() }, what));
        let is_extern = s.home == Home::Undefined;
        let is_weak = s.bind == consts::STB_WEAK;
        let (ty, section) = match found {
            Some(d) => match (d.placed, d.free) {
                (Some((ty, _)), Some(free)) if free != ty => {
                    return bad(format!("BTF has two of this name: types {ty} and {free}"));
                }
                (Some((ty, section)), _) => (ty, Some(section)),
                (None, Some(free)) => (free, None),
                (None, None) => return bad("BTF does not describe it".into()),
            },
            None if self.files[file].1.is_empty() => {
                return bad("there is no BTF to tell what it is, which linking needs: compile with -g".into());
            }
            None => return bad("BTF does not describe it: only functions and variables are linked".into()),
        };
        // Externs are in a section of BTF, if in any.
        let home = match (is_extern, section) {
            (true, Some(EXTERN) | None) => None,
            (true, Some(name)) => input.section(name).and_then(|i| placed[i]).map(|p| p.section),
            (false, _) => place.map(|p| p.section),
        };
        let Some(g) = self.globals.get_mut(s.name) else {
            let symbol = self.new_symbol(s, place);
            let global = Global {
                symbol,
                section: home,
                ty: TypeId::VOID,
                described: (file, ty),
                is_extern,
                is_weak,
                refresh: true,
                var: None,
            };
            self.globals.insert(s.name.into(), global);
            return Ok(symbol);
        };
        let (other_file, other_ty) = g.described;
        let other = &self.files[other_file];
        if !is_extern && !g.is_extern && !g.is_weak && !is_weak {
            return bad(format!("it is defined in \"{}\" too, and neither is weak", other.0.0));
        }
        let ours = Side { btf: &self.files[file].1, ty };
        let theirs = Side { btf: &other.1, ty: other_ty };
        let is_map = g.section.is_some_and(|s| self.sections[s].name == ".maps");
        let is_var = matches!(self.files[file].1.ty(ty), Some(Type::Var { .. }));
        let work = compared.entry(other_file).or_default();
        let agree = match is_map && is_var {
            true => compat::same_map(theirs, ours, work),
            false => compat::same(theirs, ours, work),
        };
        if let Err(what) = agree {
            return bad(format!("\"{}\" means something else by it: {what}", other.0.0));
        }
        // A declaration in a section asks for a definition in it: .kconfig and .ksyms are for the kernel to fill in.
        if let (true, false, Some(declared)) = (g.is_extern, is_extern, g.section)
            && g.section != home
        {
            let home = home.map_or("", |h| &*self.sections[h].name);
            let declared = &self.sections[declared].name;
            return bad(format!("it is in section \"{home}\"; \"{}\" wants it in \"{declared}\"", other.0.0));
        }
        let symbol = &mut self.symbols[g.symbol];
        if s.bind == consts::STB_GLOBAL {
            symbol.bind = consts::STB_GLOBAL;
            g.is_weak = false;
        }
        // The stricter visibility counts, also that of a declaration.
        let visibility = s.other.visibility();
        if visibility.0 > symbol.other.visibility().0 {
            symbol.other = symbol.other.with_visibility(visibility);
        }
        // A declaration adds nothing, and a weak definition nothing to another.
        if is_extern || (!g.is_extern && is_weak) {
            return Ok(g.symbol);
        }
        let Some(p) = place else { return bad("it is defined in no section".into()) };
        symbol.kind = s.kind;
        symbol.home = OutHome::Section(p.section);
        (symbol.value, symbol.size) = (p.off + s.value, s.size);
        g.section = home;
        g.is_extern = false;
        g.described = (file, ty);
        g.refresh = true;
        Ok(g.symbol)
    }
}

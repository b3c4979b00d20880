//! Equal strings become one.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::hash::Hasher;

use super::table::{Quick, Table};
use crate::remap::NO_STRING;
use crate::{Btf, Name, Type};

/// Strings that were seen, by text.
struct Strings<'a> {
    base: Option<&'a Btf>,
    /// What comes out: own strings of the result.
    new: String,
    first_str: u32,
    /// Numbers of `known`.
    table: Table,
    known: Vec<Name>,
}

impl Strings<'_> {
    fn text(&self, name: Name) -> &[u8] {
        let bytes = match name.0.checked_sub(self.first_str) {
            Some(own) => self.new.as_bytes().get(own as usize..).unwrap_or(&[]),
            None => self.base.map_or(&[][..], |b| b.bytes_from(name)),
        };
        until_nul(bytes)
    }

    /// Where `text` stands, or will: `add` puts it there.
    fn place(&mut self, text: &[u8], add: impl FnOnce(&mut Self) -> Name) -> Name {
        let mut hash = Quick::default();
        hash.write(text);
        let hash = hash.finish();
        let mut at = self.table.first(hash);
        while let Some(i) = at {
            let name = self.known[i as usize];
            if self.text(name) == text {
                return name;
            }
            at = self.table.after(i);
        }
        let name = add(self);
        self.table.insert(hash, self.known.len() as u32);
        self.known.push(name);
        name
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or(&[])
}

/// Gives the own strings that are left, each once, and where each used old one (by offset from `first_str`) has
/// gone: to a string of the base if that has it. Names in `own` are changed to that.
pub(super) fn unify(
    base: Option<&Btf>,
    own: &mut [Type],
    old: &str,
    first_str: u32,
    keep: impl IntoIterator<Item = Name>,
) -> (String, Vec<u32>) {
    let mut names = 0;
    own.iter().for_each(|t| names += super::shallow::parts(t) + 1);
    base.iter().flat_map(|b| b.iter()).for_each(|(_, t)| names += super::shallow::parts(t) + 1);
    let keep: Vec<Name> = keep.into_iter().collect();
    // Each name has a text of its own at most.
    let most = names + keep.len();
    let new = if base.is_none() { String::from("\0") } else { String::new() };
    let mut strings = Strings { base, new, first_str, table: Table::new(most), known: Vec::new() };
    for (_, t) in base.iter().flat_map(|b| b.iter()) {
        each_name(t, |n| {
            let text = base.map_or(&[][..], |b| until_nul(b.bytes_from(n)));
            strings.place(text, |_| n);
        });
    }
    let mut renamed = vec![NO_STRING; old.len()];
    let mut rename = |name: Name| {
        let Some(at) = name.0.checked_sub(first_str).map(|at| at as usize) else {
            let text = base.map_or(&[][..], |b| until_nul(b.bytes_from(name)));
            return strings.place(text, |_| name);
        };
        match renamed.get(at) {
            Some(&NO_STRING) => {}
            Some(&place) => return Name(place),
            None => return Name::NONE,
        }
        let tail = old.get(at..).unwrap_or("");
        let text = &tail[..until_nul(tail.as_bytes()).len()];
        let name = if text.is_empty() {
            Name::NONE
        } else {
            strings.place(text.as_bytes(), |s| {
                let name = Name(s.first_str + s.new.len() as u32);
                s.new.push_str(text);
                s.new.push('\0');
                name
            })
        };
        renamed[at] = name.0;
        name
    };
    own.iter_mut().for_each(|t| t.each_name_mut(|n| *n = rename(*n)));
    keep.into_iter().for_each(|n| {
        rename(n);
    });
    (strings.new, renamed)
}

fn each_name(t: &Type, mut f: impl FnMut(Name)) {
    let mut some = |n: Name| {
        if !n.is_none() {
            f(n);
        }
    };
    some(t.name());
    t.members().iter().for_each(|m| some(m.name));
    t.values().iter().for_each(|v| some(v.name));
    if let Type::FuncProto { params, .. } = t {
        params.iter().for_each(|p| some(p.name));
    }
}

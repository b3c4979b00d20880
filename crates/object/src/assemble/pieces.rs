//! Functions of a text as libbpf knows them: each label that is called, or whose address is taken, begins one of its own.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_isa::text::{Assembly, Function, RelocationKind};
use skep_isa::{CallTarget, Imm64, Op, decode};

use super::is_btf_name;
use crate::error::{Error, File, Place};

/// A part of a function of the text that is a function of the file.
pub(super) struct Piece<'a> {
    pub(super) name: String,
    /// What it is a part of.
    pub(super) of: &'a Function,
    /// Its slots there.
    pub(super) slots: core::ops::Range<usize>,
    /// Entered from outside; what is only called is not.
    pub(super) is_program: bool,
    /// What its instructions refer to: slots of the whole function.
    pub(super) references: Vec<Reference>,
}

/// What an instruction refers to.
pub(super) struct Reference {
    /// Slot in the whole function.
    pub(super) slot: usize,
    pub(super) kind: RelocationKind,
    /// Name of a piece or map.
    pub(super) name: String,
}

/// Pieces in the order of the text.
///
/// # Errors
/// Calls and jumps that leave their function, names that BTF does not take.
pub(super) fn pieces<'a>(file: &File, assembly: &'a Assembly) -> Result<Vec<Piece<'a>>, Error> {
    let mut out = Vec::new();
    // Names of functions come first: labels may be the same in several.
    let mut taken: BTreeSet<String> = assembly.functions.iter().map(|f| f.name.clone()).collect();
    for f in &assembly.functions {
        let bad = |slot: usize, what: &str| {
            let line = f.lines.get(slot).copied().unwrap_or(0);
            let place = Place::Function { name: f.name.clone(), insn: Some(slot) };
            file.unsupported(place, format!("line {line}: {what}"))
        };
        if !is_btf_name(&f.name) {
            return Err(bad(0, "the function's name is none that BTF takes"));
        }
        let mut local: Vec<(usize, RelocationKind, usize)> = Vec::new();
        let mut jumps: Vec<(usize, usize)> = Vec::new();
        let open: BTreeSet<usize> = f.relocations.iter().map(|r| r.slot).collect();
        let mut slot = 0;
        while slot < f.insns.len() {
            let op = decode(&f.insns, slot).ok();
            let width = if f.insns[slot].is_wide() { 2 } else { 1 };
            let to = |distance: i32| {
                let to = slot as i64 + 1 + i64::from(distance);
                usize::try_from(to).ok().filter(|&to| to < f.insns.len())
            };
            let outside = || bad(slot, "it leads out of the function, which an object cannot say");
            match op {
                Some(Op::Call(CallTarget::Subprog(distance))) if !open.contains(&slot) => {
                    local.push((slot, RelocationKind::Call, to(distance).ok_or_else(outside)?));
                }
                Some(Op::LoadImm64 { value: Imm64::Code(distance), .. }) if !open.contains(&slot) => {
                    local.push((slot, RelocationKind::Code, to(distance).ok_or_else(outside)?));
                }
                Some(Op::Jump { off, .. }) => jumps.push((slot, to(off).unwrap_or(usize::MAX))),
                Some(Op::JumpIf { off, .. } | Op::MayGoto { off }) => {
                    jumps.push((slot, to(off.into()).unwrap_or(usize::MAX)));
                }
                Some(_) | None => {}
            }
            slot += width;
        }
        let mut starts: BTreeSet<usize> = local.iter().map(|&(_, _, to)| to).collect();
        starts.insert(0);
        let starts: Vec<usize> = starts.into_iter().collect();
        let piece = |slot: usize| starts.partition_point(|&s| s <= slot) - 1;
        // A jump out of the whole function stays what it is: wrong, wherever the function stands.
        if let Some((slot, _)) = jumps.iter().find(|&&(s, to)| to != usize::MAX && piece(s) != piece(to)) {
            let what = "it jumps into a function that is called: in an object that stands elsewhere";
            return Err(bad(*slot, what));
        }
        let mut names: BTreeMap<usize, String> = BTreeMap::from([(0, f.name.clone())]);
        for &start in &starts[1..] {
            let label = f.labels.iter().find(|(name, at)| *at == start && is_btf_name(name));
            let label = label.map(|(name, _)| name.clone()).filter(|name| taken.insert(name.clone()));
            names.insert(start, label.unwrap_or_else(|| format!("{}.{start}", f.name)));
        }
        let is_program = assembly.programs().any(|p| core::ptr::eq(p, f));
        for (i, &start) in starts.iter().enumerate() {
            let slots = start..starts.get(i + 1).copied().unwrap_or(f.insns.len());
            let theirs = f.relocations.iter().filter(|r| slots.contains(&r.slot));
            let mut references: Vec<Reference> =
                theirs.map(|r| Reference { slot: r.slot, kind: r.kind, name: r.name.clone() }).collect();
            references.extend(
                local.iter().filter(|(s, ..)| slots.contains(s)).map(|&(slot, kind, to)| Reference {
                    slot,
                    kind,
                    name: names[&to].clone(),
                }),
            );
            references.sort_by_key(|r| r.slot);
            let is_program = is_program && start == 0;
            out.push(Piece { name: names[&start].clone(), of: f, slots, is_program, references });
        }
    }
    Ok(out)
}

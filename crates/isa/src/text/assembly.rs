//! What assembling gives: functions, maps, references.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::{CallTarget, Imm64, Insn, Op, decode};

/// A whole assembled text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembly {
    /// Functions in the order of the text; those without instructions are left out.
    pub functions: Vec<Function>,
    /// `.map` lines.
    pub maps: Vec<MapDecl>,
    /// `.license`
    pub license: Option<String>,
}

/// A program or subprogram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its label; `main` for code before any label.
    pub name: String,
    /// The section it stands in; empty before the first `.section`.
    pub section: String,
    /// Declared with `.globl`.
    pub global: bool,
    /// Its slots.
    pub insns: Vec<Insn>,
    /// The line of the text that each slot came from, from 1.
    pub lines: Vec<u32>,
    /// Labels inside it, with their slots.
    pub labels: Vec<(String, usize)>,
    /// References to maps and to other functions, by slot.
    pub relocations: Vec<Relocation>,
}

/// A reference that stands open until maps exist and functions have their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Slot of the instruction.
    pub slot: usize,
    /// What it wants.
    pub kind: RelocationKind,
    /// The name of the map or function.
    pub name: String,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelocationKind {
    /// An `LDDW` of [`Imm64::MapFd`] whose descriptor is missing.
    Map,
    /// An `LDDW` of [`Imm64::MapValueFd`] whose descriptor is missing; the offset is there.
    MapValue,
    /// A [`CallTarget::Subprog`] whose distance is missing.
    Call,
    /// An `LDDW` of [`Imm64::Code`] whose distance is missing.
    Code,
    /// A [`CallTarget::Kfunc`] whose number is missing.
    Kfunc,
}

/// A `.map` line. Words are kept as written; the layers above know what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDecl {
    /// Name.
    pub name: String,
    /// `type=`: `array`, `hash`, `ringbuf` …
    pub map_type: String,
    /// `key=`: bytes, 0 when absent.
    pub key_size: u32,
    /// `value=`: bytes, 0 when absent.
    pub value_size: u32,
    /// `max_entries=`, 0 when absent.
    pub max_entries: u32,
    /// `flags=`: names or numbers joined by `|`.
    pub flags: Vec<String>,
    /// Any other `word=word`. Whoever creates the map refuses what it does not know.
    pub other: Vec<(String, String)>,
    /// The line of the text, from 1.
    pub line: u32,
}

/// A program with the functions that it calls, in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// All slots.
    pub insns: Vec<Insn>,
    /// The line of the text that each slot came from, from 1.
    pub lines: Vec<u32>,
    /// Name and first slot of each function, the entry first.
    pub functions: Vec<(String, usize)>,
    /// References to maps and to functions of the kernel.
    pub relocations: Vec<Relocation>,
}

impl Assembly {
    /// The function of this name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|f| f.name == name)
    }

    /// Functions that are programs: outside of section `.text`, and not called by another function.
    pub fn programs(&self) -> impl Iterator<Item = &Function> {
        let called = |name: &str| {
            let relocations = self.functions.iter().flat_map(|f| &f.relocations);
            relocations.filter(|r| r.kind.is_function()).any(|r| r.name == name)
        };
        self.functions.iter().filter(move |f| f.section != ".text" && !called(&f.name))
    }

    /// Puts the function and all that it calls or points to into one program: itself first, each other one behind
    /// those before it when it is first mentioned, and gone through before what follows that mention, as libbpf does.
    ///
    /// `None` when there is no such function.
    pub fn link(&self, name: &str) -> Option<Linked> {
        let position = |name: &str| self.functions.iter().position(|f| f.name == name);
        let main = position(name)?;
        let mut order = vec![main];
        // Functions that are being gone through, with what is left of their references.
        let mut open = vec![(main, 0)];
        while let Some((index, next)) = open.last_mut() {
            let Some(r) = self.functions[*index].relocations.get(*next) else {
                open.pop();
                continue;
            };
            *next += 1;
            if !r.kind.is_function() {
                continue;
            }
            let callee = position(&r.name)?;
            if !order.contains(&callee) {
                order.push(callee);
                open.push((callee, 0));
            }
        }
        Some(self.link_in_order(&order))
    }

    /// All functions in the order of the text.
    pub(super) fn link_all(&self) -> Linked {
        self.link_in_order(&(0..self.functions.len()).collect::<Vec<_>>())
    }

    fn link_in_order(&self, order: &[usize]) -> Linked {
        let mut linked = Linked::default();
        for function in order.iter().map(|&i| &self.functions[i]) {
            linked.functions.push((function.name.clone(), linked.insns.len()));
            linked.insns.extend(&function.insns);
            linked.lines.extend(&function.lines);
        }
        for (place, &index) in order.iter().enumerate() {
            let start = linked.functions[place].1;
            for r in &self.functions[index].relocations {
                let slot = start + r.slot;
                if !r.kind.is_function() {
                    linked.relocations.push(Relocation { slot, ..r.clone() });
                    continue;
                }
                let callee = linked.functions.iter().find(|(name, _)| *name == r.name);
                if let Some((_, callee)) = callee {
                    linked.insns[slot].imm = *callee as i32 - slot as i32 - 1;
                }
            }
        }
        linked
    }
}

impl RelocationKind {
    /// Whether a function of the text is wanted.
    pub const fn is_function(self) -> bool {
        match self {
            Self::Call | Self::Code => true,
            Self::Map | Self::MapValue | Self::Kfunc => false,
        }
    }
}

impl Relocation {
    /// Whether the instruction at `slot` of `insns` has the form that this reference needs.
    pub fn fits(&self, insns: &[Insn]) -> bool {
        match (self.kind, decode(insns, self.slot)) {
            (RelocationKind::Map, Ok(Op::LoadImm64 { value: Imm64::MapFd(_), .. }))
            | (RelocationKind::MapValue, Ok(Op::LoadImm64 { value: Imm64::MapValueFd { .. }, .. }))
            | (RelocationKind::Code, Ok(Op::LoadImm64 { value: Imm64::Code(_), .. }))
            | (RelocationKind::Kfunc, Ok(Op::Call(CallTarget::Kfunc { .. })))
            | (RelocationKind::Call, Ok(Op::Call(CallTarget::Subprog(_)))) => true,
            (_, Ok(_) | Err(_)) => false,
        }
    }
}

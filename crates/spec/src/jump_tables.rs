//! Jump tables taken apart: an indirect jump becomes a tree of comparisons, for verifiers and kernels that know no
//! `gotox` (Linux before 6.19, and the reference of skep's own verifier).
//!
//! A table's map holds for each of its entries where the program goes on. The program only ever loads such an entry and
//! jumps there; so an entry may as well be any number that tells the places apart. Here it is the place's number in the
//! program as it was, in 8 bytes, as the program loads them:
//!
//! ```text
//! insn_array { 7, 9, 7, 12 }          array of one value { 7u64, 9, 7, 12 }, which nobody may write
//!
//! gotox r2                            if r2 > 7 goto 1f
//!                                     goto P7
//!                                  1: if r2 > 9 goto 2f
//!                                     goto P9
//!                                  2: goto P12
//! ```
//!
//! The last place is where a number leads that is none of a table's; whether the program may go to any of them is for the
//! verifier to say, as it is with all branches.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType};
use skep_isa::{CallTarget, Imm64, Insn, Op, Reg, decode_all};

use crate::{Errno, Error, MapDef, ProgramSpec};

/// Bytes of `struct bpf_insn_array_value`, which begins with the instruction's number.
const ENTRY: usize = 16;

/// `if dst > imm goto off`, of 64 bits.
const JGT: u8 = 0x25;
/// `goto off`.
const JA: u8 = 0x05;
/// `gotol imm`.
const JA32: u8 = 0x06;

/// Instructions that a table's entries name.
fn places(def: &MapDef) -> Option<Vec<u32>> {
    let bytes = def.initial.as_deref().filter(|_| def.kind == MapType::INSN_ARRAY)?;
    let number = |entry: &[u8]| entry.first_chunk().map(|n| u32::from_ne_bytes(*n));
    let all: Option<Vec<u32>> = bytes.chunks(ENTRY).map(number).collect();
    all.filter(|all| !all.is_empty())
}

/// The map that holds the numbers.
fn numbers(def: &MapDef, places: &[u32]) -> MapDef {
    let bytes: Vec<u8> = places.iter().flat_map(|n| u64::from(*n).to_ne_bytes()).collect();
    MapDef {
        flags: MapFlags(MapFlags::RDONLY_PROG),
        initial: Some(bytes),
        frozen: true,
        ..MapDef::new(MapType::ARRAY, 4, 8 * places.len() as u32, 1).named(&def.name)
    }
}

/// The jumps from `at` on to places, which are ascending and at least one. A place is its number in the program as it was,
/// and `to` tells where it is now.
fn tree(reg: Reg, at: usize, places: &[u32], to: &dyn Fn(u32) -> usize, out: &mut Vec<Insn>) {
    if let [place] = places {
        // Both are below 2^31.
        let off = to(*place) as i32 - (at + out.len() + 1) as i32;
        out.push(match i16::try_from(off) {
            Ok(off) => Insn::new(JA, Reg(0), Reg(0), off, 0),
            Err(_) => Insn::new(JA32, Reg(0), Reg(0), 0, off),
        });
        return;
    }
    let (low, high) = places.split_at(places.len() / 2);
    let last = low.last().copied().unwrap_or(0);
    let branch = out.len();
    out.push(Insn::new(JGT, reg, Reg(0), 0, last as i32));
    tree(reg, at, low, to, out);
    // A tree of n places has 2n - 1 instructions.
    out[branch].off = (2 * low.len() - 1) as i16;
    tree(reg, at, high, to, out);
}

/// Where things are that have moved.
struct Moved {
    /// By old slot; one more than there are, for the end.
    new: Vec<usize>,
}

impl Moved {
    fn slot(&self, old: u32) -> u32 {
        self.new.get(old as usize).map_or(old, |n| *n as u32)
    }

    /// A distance between two slots, from the one behind `from`; the same where it leads nowhere.
    fn distance(&self, from: usize, off: i64) -> i64 {
        let to = usize::try_from(from as i64 + 1 + off).ok().and_then(|to| self.new.get(to));
        // What follows an instruction that was not taken apart follows it still.
        to.map_or(off, |to| *to as i64 - (self.new[from] as i64 + 1))
    }
}

impl ProgramSpec {
    /// The same without indirect jumps, if it has some whose tables are among its maps (type `insn_array`); its maps are
    /// others then, too.
    ///
    /// # Errors
    /// `E2BIG` when a jump gets longer than its instruction can say, and for more than 16,383 places.
    pub fn without_jump_tables(&self) -> Result<Option<Self>, Error> {
        let tables: Vec<Option<Vec<u32>>> = self.maps.iter().map(|m| places(m)).collect();
        let Ok(ops) = decode_all(&self.insns).collect::<Result<Vec<_>, _>>() else { return Ok(None) };
        let jumps: BTreeMap<usize, Reg> = ops
            .iter()
            .filter_map(|(at, op)| match op {
                Op::JumpIndirect { reg } => Some((*at, *reg)),
                _ => None,
            })
            .collect();
        if jumps.is_empty() || tables.iter().all(Option::is_none) {
            return Ok(None);
        }
        let starts = self.function_starts(&ops);
        let function = |slot: usize| starts.range(..=slot).next_back().copied();
        // Tables belong to the function that their places are in.
        let mut by_function: BTreeMap<Option<usize>, BTreeSet<u32>> = BTreeMap::new();
        for place in tables.iter().flatten().flatten() {
            by_function.entry(function(*place as usize)).or_default().insert(*place);
        }
        let trees: BTreeMap<usize, (Reg, Vec<u32>)> = jumps
            .into_iter()
            .filter_map(|(at, reg)| {
                let places = by_function.get(&function(at))?;
                Some((at, (reg, places.iter().copied().collect())))
            })
            .collect();
        let too_long = |at: usize, what: &str| {
            let words = format!(
                "program {}: instruction {at}: {what} once its jump table is taken apart: compile with -fno-jump-tables",
                self.name
            );
            Error::new(Errno::E2BIG, words)
        };
        let mut moved = Moved { new: Vec::with_capacity(self.insns.len() + 1) };
        let mut end = 0;
        for at in 0..self.insns.len() {
            moved.new.push(end);
            end += match trees.get(&at) {
                Some((_, places)) if places.len() > i16::MAX as usize / 2 => {
                    return Err(too_long(at, "it goes to too many places"));
                }
                Some((_, places)) => 2 * places.len() - 1,
                None => 1,
            };
        }
        moved.new.push(end);

        let mut insns = Vec::with_capacity(end);
        let mut second = false;
        for (at, insn) in self.insns.iter().enumerate() {
            let wide = !second && insn.is_wide();
            if let Some((reg, places)) = trees.get(&at) {
                let mut jumps = Vec::new();
                tree(*reg, moved.new[at], places, &|place| moved.slot(place) as usize, &mut jumps);
                insns.extend(jumps);
            } else if second {
                insns.push(*insn);
            } else {
                insns.push(far(*insn, at, &moved).ok_or_else(|| too_long(at, "its jump is too long"))?);
            }
            second = wide;
        }
        let mut out = Self { insns, ..self.clone() };
        for (map, places) in out.maps.iter_mut().zip(&tables) {
            if let Some(places) = places {
                *map = Arc::new(numbers(map, places));
            }
        }
        for off in (out.func_info.iter_mut().map(|f| &mut f.insn_off))
            .chain(out.line_info.iter_mut().map(|l| &mut l.insn_off))
            .chain(out.kfuncs.iter_mut().map(|k| &mut k.insn_off))
            .chain(out.poisoned.iter_mut().map(|p| &mut p.insn_off))
            .chain(out.source_lines.iter_mut().map(|(off, _)| off))
        {
            *off = moved.slot(*off);
        }
        Ok(Some(out))
    }

    /// First slots of functions, as far as something names them.
    fn function_starts(&self, ops: &[(usize, Op)]) -> BTreeSet<usize> {
        let named = ops.iter().filter_map(|(at, op)| match op {
            Op::Call(CallTarget::Subprog(off)) | Op::LoadImm64 { value: Imm64::Code(off), .. } => {
                usize::try_from(*at as i64 + 1 + i64::from(*off)).ok()
            }
            _ => None,
        });
        let described = self.func_info.iter().map(|f| f.insn_off as usize);
        named.chain(described).chain([0]).collect()
    }
}

/// An instruction with its distances as they are now; `None` when one does not fit.
fn far(insn: Insn, at: usize, moved: &Moved) -> Option<Insn> {
    const JMP: u8 = 5;
    const JMP32: u8 = 6;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    const PSEUDO_CALL: Reg = Reg(1);
    const PSEUDO_FUNC: Reg = Reg(4);
    const GOTOX: u8 = 0x0d;
    const CALLX: u8 = 0x8d;
    let by_imm = |insn: Insn| {
        let imm = i32::try_from(moved.distance(at, insn.imm.into())).ok()?;
        Some(Insn { imm, ..insn })
    };
    match insn.opcode {
        JA32 => by_imm(insn),
        CALL if insn.src == PSEUDO_CALL => by_imm(insn),
        _ if insn.is_wide() && insn.src == PSEUDO_FUNC => by_imm(insn),
        CALL | EXIT | GOTOX | CALLX => Some(insn),
        opcode if matches!(opcode & 7, JMP | JMP32) => {
            let off = i16::try_from(moved.distance(at, insn.off.into())).ok()?;
            Some(Insn { off, ..insn })
        }
        _ => Some(insn),
    }
}

#[cfg(test)]
mod tests;

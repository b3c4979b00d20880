//! Programs of compiled objects with a few instructions changed: verdicts alone are compared.
//!
//! A seed gives an object, one of its programs, and the changes. Sixteen seeds in a row share the program, so that it is
//! read, and its maps are made, once. Programs on which skep and Linux do not agree as they are stay out, and those that
//! take either of them long.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep::{Object, Target};
use skep_abi::{HELPERS, MapType};
use skep_isa::{CallTarget, Insn, Op, Reg, decode, table};
use skep_spec::{BackendMap, MapDef, ProgramSpec};

use super::Comparison;
use super::judge::Judge;
use super::program::Generated;
use super::rng::Rng;
use crate::oracle::Verdict;
use crate::selftests::ask::attach_point;

/// Seeds in a row that change the same program.
const TOGETHER: u64 = 16;
/// Programs that are looked at until one is found that may be changed.
const LOOKED_AT: usize = 8;
/// Slots of the longest program that is changed.
const LONGEST: usize = 4096;
/// Bytes of a map's contents: larger ones get fewer elements.
const MAP_BYTES: u64 = 1 << 22;

/// Programs to change.
pub struct Mutants {
    files: Vec<PathBuf>,
    target: Target,
    judge: Judge,
    /// The program of the seeds divided by [`TOGETHER`].
    current: Option<(u64, Option<Base>)>,
}

/// A program as it was compiled.
struct Base {
    name: String,
    spec: ProgramSpec,
    maps: Vec<Arc<dyn BackendMap>>,
}

impl Mutants {
    /// The objects (`*.o`) in folders separated by colons, and in theirs.
    ///
    /// # Errors
    /// When there are none.
    pub fn read(folders: &str) -> Result<Self, String> {
        let mut files = Vec::new();
        folders.split(':').for_each(|folder| objects(Path::new(folder), &mut files));
        files.sort();
        if files.is_empty() {
            return Err(format!("{folders}: no objects (*.o) in there"));
        }
        Ok(Self { files, target: Target::running_kernel(), judge: Judge::new(), current: None })
    }

    /// The program of a seed and what it is, in words; `None` where none was found that may be changed.
    pub fn program(&mut self, seed: u64) -> Option<(String, Generated)> {
        let group = seed / TOGETHER;
        if self.current.as_ref().is_none_or(|(of, _)| *of != group) {
            let base = self.base(group);
            self.current = Some((group, base));
        }
        let base = self.current.as_ref()?.1.as_ref()?;
        let mut spec = base.spec.clone();
        let mut rng = Rng::new(seed ^ 0x6d75_7461_6e74);
        let changes = 1 + usize::from(rng.chance(20)) + usize::from(rng.chance(10));
        let words: Vec<_> = (0..changes).map(|_| change(&mut spec.insns, &mut rng)).collect();
        // A call that is another now, or none, is not to be bound to a function.
        let kind = |insns: &[Insn], at: u32| insns.get(at as usize).map(|i| (i.opcode, i.src, i.imm));
        let insns = &spec.insns;
        spec.kfuncs.retain(|k| kind(insns, k.insn_off) == kind(&base.spec.insns, k.insn_off));
        Some((format!("{}: {}", base.name, words.join("; ")), Generated::judged(spec)))
    }

    /// The first of a few programs on which both agree.
    fn base(&self, group: u64) -> Option<Base> {
        let mut rng = Rng::new(group ^ 0x6f62_6a65_6374);
        (0..LOOKED_AT).find_map(|_| {
            let file = rng.pick(&self.files);
            let object = Object::open_for(file, &self.target).ok()?;
            let usable: Vec<_> = object.programs().iter().filter(|p| p.spec.is_ok()).collect();
            if usable.is_empty() {
                return None;
            }
            let entry = rng.pick(&usable);
            let mut spec = ProgramSpec::clone(entry.spec.as_ref().ok()?);
            if spec.insns.len() > LONGEST {
                return None;
            }
            if let (0, Some(kernel)) = (spec.attach_btf_id, self.judge.kernel()) {
                spec.attach_btf_id = attach_point(&spec, kernel).unwrap_or(0);
            }
            spec.maps.iter_mut().for_each(|map| shorten(Arc::make_mut(map)));
            let maps = self.judge.maps(&spec)?;
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let base = Base { name: format!("{stem}: {}", entry.name), spec, maps };
            let both = [self.judge.ask_skep(&base.spec), self.judge.ask_kernel(&base.spec, &base.maps)];
            let agree = match &both {
                [Ok(_), Ok(_)] => true,
                // One change seldom makes them legal.
                [Err(Verdict::Rejected { .. }), Err(Verdict::Rejected { .. })] => rng.chance(10),
                [_, Err(Verdict::Skipped(_))] => self.judge.linux().is_none() && both[0].is_ok(),
                _ => false,
            };
            agree.then_some(base)
        })
    }

    /// Both verdicts on a changed program.
    pub fn compare(&self, generated: &Generated) -> Comparison {
        let maps = self.current.as_ref().and_then(|(_, base)| base.as_ref()).map_or(&[][..], |b| &b.maps);
        self.judge.compare(generated, maps)
    }
}

fn objects(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()) {
        if path.is_dir() {
            objects(&path, found);
        } else if path.extension().is_some_and(|e| e == "o") {
            found.push(path);
        }
    }
}

/// Fewer elements, where there are so many that making the map takes time.
fn shorten(map: &mut MapDef) {
    let bytes = u64::from(map.key_size) + u64::from(map.value_size).max(8);
    let most = (MAP_BYTES / bytes).max(1);
    let long = u64::from(map.max_entries) > most;
    let counts = [
        MapType::HASH,
        MapType::LRU_HASH,
        MapType::PERCPU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::ARRAY,
        MapType::PERCPU_ARRAY,
        MapType::LPM_TRIE,
        MapType::QUEUE,
        MapType::STACK,
        MapType::STACK_TRACE,
    ];
    if long && counts.contains(&map.kind) {
        map.max_entries = 1 << most.ilog2();
    }
}

/// Slots at which instructions start.
fn starts(insns: &[Insn]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut pc = 0;
    while pc < insns.len() {
        starts.push(pc);
        pc += if insns[pc].is_wide() { 2 } else { 1 };
    }
    starts
}

const NOP: Insn = Insn::new(0x05, Reg(0), Reg(0), 0, 0);
/// Operations of conditional jumps, as in the upper half of an opcode.
const JUMPS: [u8; 11] = [0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0xa, 0xb, 0xc, 0xd];

/// Changes one place, and says how.
pub(super) fn change(insns: &mut [Insn], rng: &mut Rng) -> String {
    let starts = starts(insns);
    let at = *rng.pick(&starts);
    let before = insns[at];
    let op = decode(insns, at).ok();
    let is_narrow = |i: usize| i < insns.len() && !insns[i].is_wide();
    let how = match rng.below(100) {
        // Constants, next to what they are or at an edge.
        0..25 => {
            insns[at].imm = match rng.below(4) {
                0 => before.imm.wrapping_add(1),
                1 => before.imm.wrapping_sub(1),
                2 => before.imm.wrapping_neg(),
                _ => rng.immediate(),
            };
            "constant"
        }
        25..45 => {
            let by = *rng.pick(&[1, 2, 4, 8, 16]);
            insns[at].off = before.off.wrapping_add(if rng.chance(50) { by } else { -by });
            "offset"
        }
        45..60 => {
            let register = Reg(rng.below(11) as u8);
            if rng.chance(50) {
                insns[at].dst = register;
            } else {
                insns[at].src = register;
            }
            "register"
        }
        60..70 if matches!(op, Some(Op::JumpIf { .. })) => {
            insns[at].opcode = before.opcode & 0x0f | rng.pick(&JUMPS) << 4;
            "comparison"
        }
        60..70 if matches!(op, Some(Op::Call(CallTarget::Helper(_)))) => {
            insns[at].imm = rng.pick(HELPERS).id as i32;
            "helper"
        }
        70..80 => {
            let slots = if before.is_wide() { 2 } else { 1 };
            insns.iter_mut().skip(at).take(slots).for_each(|i| *i = NOP);
            "deleted"
        }
        80..88 if is_narrow(at) && is_narrow(at + 1) => {
            insns.swap(at, at + 1);
            "swapped"
        }
        80..96 if is_narrow(at) => {
            let from = *rng.pick(&starts);
            if is_narrow(from) {
                insns[at] = insns[from];
            }
            "copied"
        }
        _ => {
            insns[at].opcode = rng.pick(table::rows()).opcode;
            "opcode"
        }
    };
    format!("{how} at {at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeMap;

    use skep_isa::text::assemble;

    #[test]
    fn every_kind_of_change_is_made() {
        let text = "r2 = 0x123456789 ll; if r1 > 3 goto +1; r1 += 2; r0 = r1; call 5; r3 = r4; exit";
        let insns = assemble(text).expect("it is text");
        let mut mixture = BTreeMap::new();
        for seed in 0..2000 {
            let words = change(&mut insns.clone(), &mut Rng::new(seed));
            *mixture.entry(words.split(' ').next().unwrap_or("").to_owned()).or_insert(0) += 1;
        }
        let kinds: Vec<_> = mixture.keys().map(String::as_str).collect();
        let all = [
            "comparison",
            "constant",
            "copied",
            "deleted",
            "helper",
            "offset",
            "opcode",
            "register",
            "swapped",
        ];
        assert_eq!(kinds, all);
        assert!(mixture.values().all(|&n| n > 10), "{mixture:?}");
    }
}

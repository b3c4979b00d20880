//! A function and all that it calls, directly or through others, as the instructions of one program.
//!
//! The main function comes first. Each called function is appended once, when the first call of it is met, and
//! gone through before what follows that call: libbpf's order, so that instruction numbers are the same. A stack
//! of our own instead of recursion: the object decides how deep calls go.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_isa::{Insn, Reg};
use skep_spec::{KfuncCall, MapDef, Poisoned};

use crate::arena;
use crate::elf::{Elf, Home, Reloc, SymbolKind};
use crate::error::{Error, File, Place};
use crate::exceptions::Callbacks;
use crate::externs::Resolved;
use crate::funcs::{Function, Functions};
use crate::jump_tables;
use crate::relo::Relocated;

/// `R_BPF_64_64`: the 64-bit immediate of an `LDDW`.
const R_64_64: u32 = 1;
/// `R_BPF_64_32`: the immediate of a call.
const R_64_32: u32 = 10;

const CALL: u8 = 0x85;
const PSEUDO_CALL: Reg = Reg(1);
const PSEUDO_KFUNC_CALL: Reg = Reg(2);
const PSEUDO_BTF_ID: Reg = Reg(3);
const PSEUDO_FUNC: Reg = Reg(4);
const PSEUDO_MAP_IDX: Reg = Reg(5);
const PSEUDO_MAP_VALUE_IDX: Reg = Reg(6);

/// Maps by section and byte in it; global data by section alone.
pub(crate) type MapsAt = BTreeMap<(usize, Option<u64>), Result<Arc<MapDef>, Error>>;

/// The configuration's place among the maps: it is in no section.
pub(crate) const CONFIG: (usize, Option<u64>) = (usize::MAX, None);

/// All that linking looks at.
pub(crate) struct Linker<'a> {
    pub(crate) file: &'a File,
    pub(crate) elf: &'a Elf<'a>,
    pub(crate) functions: &'a Functions,
    pub(crate) maps: &'a MapsAt,
    /// What a name that the file does not define stands for.
    pub(crate) externs: &'a dyn Fn(&str) -> Result<Resolved, Error>,
    /// What CO-RE relocations make of instructions.
    pub(crate) relocated: &'a Relocated,
    /// Functions that programs name for when they throw.
    pub(crate) callbacks: &'a Callbacks,
}

/// A function's place in a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    /// Index into [`Functions::all`].
    pub(crate) function: usize,
    /// First slot in the program.
    pub(crate) start: usize,
}

/// A linked program.
#[derive(Default)]
pub(crate) struct Linked {
    pub(crate) insns: Vec<Insn>,
    pub(crate) maps: Vec<Arc<MapDef>>,
    pub(crate) functions: Vec<Placed>,
    pub(crate) poisoned: Vec<Poisoned>,
    pub(crate) kfuncs: Vec<KfuncCall>,
    pub(crate) modules: Vec<String>,
}

impl Linked {
    /// The number of a module: 0 is the kernel itself.
    fn module(&mut self, name: Option<String>) -> usize {
        let Some(name) = name else { return 0 };
        let known = self.modules.iter().position(|m| *m == name);
        known.unwrap_or_else(|| {
            self.modules.push(name);
            self.modules.len() - 1
        }) + 1
    }
}

/// What a relocation makes of an instruction.
enum Target {
    /// Nothing refers to anything.
    None,
    /// A function, by index.
    Function(usize),
    /// A map, by its key in [`Linker::maps`], and a byte in its value.
    Map((usize, Option<u64>), Option<u32>),
    /// A jump table: its section and its symbol.
    Table(usize, usize),
    /// What another file or the kernel has, and its name.
    Extern(Resolved, String),
}

/// Puts what a name stands for into its instruction.
fn external(out: &mut Linked, at: usize, resolved: Resolved, name: String) {
    let insn_off = at as u32;
    let wide = out.insns[at].is_wide();
    let (src, number) = match resolved {
        Resolved::Variable(id, module) => (PSEUDO_BTF_ID, u64::from(id) | (out.module(module) as u64) << 32),
        Resolved::Function(id, module) => {
            out.kfuncs.push(KfuncCall { insn_off, name });
            let module = out.module(module);
            if wide {
                (PSEUDO_BTF_ID, u64::from(id) | (module as u64) << 32)
            } else {
                // No machine has so many; the backend counts them again.
                out.insns[at].off = i16::try_from(module).unwrap_or(i16::MAX);
                (PSEUDO_KFUNC_CALL, u64::from(id))
            }
        }
        Resolved::NoFunction(number) if !wide => {
            out.poisoned.push(Poisoned { insn_off, what: format!("kfunc {name}") });
            let number = i32::try_from(number).unwrap_or(0);
            out.insns[at] = Insn::new(CALL, Reg(0), Reg(0), 0, Poisoned::KFUNC.saturating_add(number));
            return;
        }
        Resolved::Address(address) => (Reg(0), address),
        Resolved::NoFunction(_) | Resolved::Config(_) => (Reg(0), 0),
    };
    let slot = &mut out.insns[at];
    slot.src = src;
    slot.imm = number as u32 as i32;
    if wide {
        out.insns[at + 1].imm = (number >> 32) as u32 as i32;
    }
}

impl Linker<'_> {
    /// Links `main` and what it needs, and takes the instructions that it copies from `budget`.
    pub(crate) fn link(&self, main: usize, budget: &mut usize) -> Result<Linked, Error> {
        let mut out = Linked::default();
        let mut starts: BTreeMap<usize, usize> = BTreeMap::new();
        let mut map_indices: BTreeMap<_, i32> = BTreeMap::new();
        let mut tables: BTreeMap<(usize, usize), i32> = BTreeMap::new();
        // Functions that are being gone through: where each starts, and its next slot.
        let mut open = Vec::from([(main, self.place(main, &mut out, budget)?, 0)]);
        starts.insert(main, 0);
        let name = &self.functions.all[main].name;
        let mut callback = self.callbacks.of(self.file, self.elf, self.functions, name)?;
        loop {
            let Some((index, base, next)) = open.last_mut() else {
                // Behind all that the program calls, unless it is called itself.
                let Some(callback) = callback.take() else { break };
                if let Entry::Vacant(e) = starts.entry(callback) {
                    let start = *e.insert(self.place(callback, &mut out, budget)?);
                    open.push((callback, start, 0));
                }
                continue;
            };
            let (f, base, i) = (&self.functions.all[*index], *base, *next);
            let Some(&insn) = out.insns.get(base + i).filter(|_| i < f.len) else {
                open.pop();
                continue;
            };
            *next += if insn.is_wide() { 2 } else { 1 };
            let target = match self.target(f, i, insn)? {
                Target::Extern(Resolved::Config(off), _) => match self.maps.get(&CONFIG) {
                    Some(Err(e)) => return Err(e.clone().inside(f.at(i))),
                    _ => Target::Map(CONFIG, Some(off)),
                },
                target => target,
            };
            match target {
                Target::None => {}
                Target::Extern(resolved, name) => external(&mut out, base + i, resolved, name),
                Target::Function(callee) => {
                    let start = match starts.get(&callee) {
                        Some(&start) => start,
                        None => {
                            let start = self.place(callee, &mut out, budget)?;
                            starts.insert(callee, start);
                            open.push((callee, start, 0));
                            start
                        }
                    };
                    // The budget keeps both far below 2^31.
                    let slot = &mut out.insns[base + i];
                    slot.imm = (start as i64 - (base + i) as i64 - 1) as i32;
                    if insn.is_wide() {
                        slot.src = PSEUDO_FUNC;
                        out.insns[base + i + 1].imm = 0;
                    }
                }
                Target::Table(section, symbol) => {
                    let idx = match tables.get(&(symbol, *index)) {
                        Some(&idx) => idx,
                        None => {
                            let symbol_row = &self.elf.symbols[symbol];
                            let def = jump_tables::map(self.file, self.elf, section, symbol_row, f, base)?;
                            let idx = out.maps.len() as i32;
                            out.maps.push(Arc::new(def));
                            tables.insert((symbol, *index), idx);
                            idx
                        }
                    };
                    let slot = &mut out.insns[base + i];
                    (slot.imm, slot.src) = (idx, PSEUDO_MAP_VALUE_IDX);
                    out.insns[base + i + 1].imm = 0;
                }
                Target::Map(map, value_off) => {
                    let def = match &self.maps[&map] {
                        Ok(def) => def,
                        Err(e) => return Err(e.clone()),
                    };
                    // An arena is named both as a map and by its variables.
                    let next = out.maps.len() as i32;
                    let idx = *map_indices.entry(Arc::as_ptr(def)).or_insert(next);
                    if idx == next {
                        out.maps.push(Arc::clone(def));
                    }
                    let slot = &mut out.insns[base + i];
                    slot.imm = idx;
                    slot.src = if value_off.is_some() { PSEUDO_MAP_VALUE_IDX } else { PSEUDO_MAP_IDX };
                    out.insns[base + i + 1].imm = value_off.unwrap_or(0).cast_signed();
                }
            }
        }
        Ok(out)
    }

    /// Appends a function's instructions as they are in the file but for CO-RE; returns the slot where they start.
    fn place(&self, index: usize, out: &mut Linked, budget: &mut usize) -> Result<usize, Error> {
        let f = &self.functions.all[index];
        self.relocated.function(index)?;
        let Some(left) = budget.checked_sub(f.len) else {
            let what = "with all that it calls, the file's programs have too many instructions together";
            return Err(self.file.unsupported(Place::Function { name: f.name.clone(), insn: None }, what));
        };
        *budget = left;
        let start = out.insns.len();
        let code = &self.elf.sections[f.section].data[f.start * Insn::SIZE..][..f.len * Insn::SIZE];
        let (slots, _) = code.as_chunks::<{ Insn::SIZE }>();
        out.insns.extend(slots.iter().map(|b| Insn::from_bytes(*b, self.elf.endian)));
        for (slot, insn) in self.relocated.patched(f) {
            out.insns[start + slot] = insn;
        }
        for (slot, what) in self.relocated.poisoned(f) {
            out.poisoned.push(Poisoned { insn_off: (start + slot) as u32, what: what.into() });
        }
        out.functions.push(Placed { function: index, start });
        Ok(start)
    }

    fn reloc(&self, section: usize, off_bytes: u64) -> Option<Reloc> {
        let relocs = &self.elf.sections[section].relocs;
        relocs.binary_search_by_key(&off_bytes, |r| r.off_bytes).ok().map(|i| relocs[i])
    }

    /// What instruction `i` of `f` refers to.
    fn target(&self, f: &Function, i: usize, insn: Insn) -> Result<Target, Error> {
        let bad = |what| Err(self.file.malformed(f.at(i), what));
        let off = f.off_bytes() + (i * Insn::SIZE) as u64;
        if insn.is_wide() {
            if i + 1 >= f.len {
                return bad("an LDDW whose second slot lies outside the function".into());
            }
            if self.reloc(f.section, off + 8).is_some() {
                return bad("a relocation of the second slot of an LDDW".into());
            }
        }
        let call = insn.opcode == CALL && insn.src == PSEUDO_CALL;
        let Some(r) = self.reloc(f.section, off) else {
            if !call {
                return Ok(Target::None);
            }
            // Within the section.
            let slot = (f.start + i + 1) as i64 + i64::from(insn.imm);
            return self.function(f, i, f.section, slot);
        };
        let symbol = &self.elf.symbols[r.symbol];
        let name = self.elf.symbol_name(r.symbol);
        let home = match symbol.home {
            Home::Section(s) => s,
            Home::Undefined => return self.external(f, i, insn, call, r.kind, &name),
            Home::Other => return bad(format!("symbol \"{name}\" is in no section")),
        };
        let section = &self.elf.sections[home];
        match (r.kind, call, insn.is_wide()) {
            (R_64_32, true, _) if section.exec => {
                let slot = (symbol.off_bytes / 8) as i64 + i64::from(insn.imm) + 1;
                if !symbol.off_bytes.is_multiple_of(8) {
                    return bad(format!("a call of \"{name}\", which is in the middle of an instruction"));
                }
                self.function(f, i, home, slot)
            }
            (R_64_32, true, _) => {
                bad(format!("a call of \"{name}\" in section \"{}\", which is not code", section.name))
            }
            (R_64_64, _, true) if section.exec => {
                let byte = symbol.off_bytes as i64 + i64::from(insn.imm);
                if byte % 8 != 0 {
                    return bad(format!(
                        "the address of \"{name}\"+{:#x} is not that of an instruction",
                        insn.imm
                    ));
                }
                self.function(f, i, home, byte / 8)
            }
            (R_64_64, _, true) if section.name == jump_tables::SECTION => {
                if insn.imm != 0 || symbol.kind == SymbolKind::Section {
                    return bad(format!(
                        "the address of \"{name}\"{:+}, in the midst of jump tables",
                        insn.imm
                    ));
                }
                Ok(Target::Table(home, r.symbol))
            }
            (R_64_64, _, true) => self.map(f, i, home, symbol.off_bytes, symbol.kind, &name, insn.imm),
            (kind, ..) => {
                let what = format!(
                    "relocation type {kind} against \"{name}\" at opcode {:#04x}; expected R_BPF_64_64 (1) at an LDDW or \
                     R_BPF_64_32 (10) at a call",
                    insn.opcode
                );
                bad(what)
            }
        }
    }

    /// What is not in this file, at a call or an `LDDW`.
    fn external(
        &self,
        f: &Function,
        i: usize,
        insn: Insn,
        call: bool,
        kind: u32,
        name: &str,
    ) -> Result<Target, Error> {
        let resolved = (self.externs)(name).map_err(|e| e.inside(f.at(i)))?;
        let is_function = matches!(resolved, Resolved::Function(..) | Resolved::NoFunction(_));
        match (kind, call, insn.is_wide()) {
            (R_64_32, true, _) if is_function => Ok(Target::Extern(resolved, name.into())),
            (R_64_64, _, true) => Ok(Target::Extern(resolved, name.into())),
            _ => {
                let what = format!(
                    "relocation type {kind} against extern \"{name}\" at opcode {:#04x}",
                    insn.opcode
                );
                Err(self.file.malformed(f.at(i), what))
            }
        }
    }

    fn function(&self, f: &Function, i: usize, section: usize, slot: i64) -> Result<Target, Error> {
        let found = usize::try_from(slot).ok().and_then(|s| self.functions.starting_at(section, s));
        found.map(Target::Function).ok_or_else(|| {
            let name = self.elf.sections[section].name;
            self.file.malformed(f.at(i), format!("no function starts at slot {slot} of section \"{name}\""))
        })
    }

    /// A map, or a byte of global data.
    #[allow(clippy::too_many_arguments, reason = "what is known of one relocation")]
    fn map(
        &self,
        f: &Function,
        i: usize,
        section: usize,
        off_bytes: u64,
        kind: SymbolKind,
        name: &str,
        addend: i32,
    ) -> Result<Target, Error> {
        let bad = |what| Err(self.file.malformed(f.at(i), what));
        let section_name = self.elf.sections[section].name;
        let Some(at) = off_bytes.checked_add_signed(addend.into()) else {
            return bad(format!("\"{name}\"{addend:+} lies before section \"{section_name}\""));
        };
        let key = [Some(at), None].map(|off| (section, off)).into_iter().find(|k| self.maps.contains_key(k));
        let Some(key) = key else {
            return match section_name {
                ".maps" => bad(format!("no map at \"{name}\"{addend:+}")),
                ".kconfig" | ".ksyms" => {
                    Err(self.file.unsupported(f.at(i), format!("not supported yet: {section_name}")))
                }
                arena::SECTION => bad(format!("\"{name}\": {}", arena::NO_ARENA)),
                _ if kind == SymbolKind::Section || addend == 0 => {
                    bad(format!("the address of section \"{section_name}\", which is neither data nor code"))
                }
                _ => bad(format!("the address of \"{name}\" in section \"{section_name}\"")),
            };
        };
        if key.1.is_some() {
            return Ok(Target::Map(key, None));
        }
        // One past the end is a fine address.
        match u32::try_from(at) {
            Ok(off) if at <= self.elf.sections[section].size => Ok(Target::Map(key, Some(off))),
            _ => bad(format!(
                "byte {at:#x} of section \"{section_name}\", which has {:#x}",
                self.elf.sections[section].size
            )),
        }
    }
}

//! CO-RE relocations: what [`skep_btf::relo`] finds out, put into instructions.
//!
//! Relocations are resolved and applied in the order of `.BTF.ext`, several at one instruction one after the
//! other, before functions are linked: libbpf's order. One that fails spoils the function, not the file.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use skep_btf::relo::{CoreKind, Outcome, Patch, Resolver, TargetBtf, describe};
use skep_btf::{Btf, BtfExt, CoreRelo};
use skep_isa::{Endian, Insn, Reg};
use skep_spec::Poisoned;

use crate::elf::Elf;
use crate::error::{Error, File};
use crate::funcs::{Function, Functions};

/// What became of instructions, by section and slot.
#[derive(Default)]
pub(crate) struct Relocated {
    /// Very many: as few bytes each as will do.
    insns: BTreeMap<usize, BTreeMap<u32, Insn>>,
    /// What was looked for in vain.
    poisoned: BTreeMap<(usize, usize), String>,
    /// By function: why it cannot be used.
    failed: BTreeMap<usize, Error>,
}

impl Relocated {
    /// # Errors
    /// When a relocation in this function failed.
    pub(crate) fn function(&self, index: usize) -> Result<(), Error> {
        self.failed.get(&index).map_or(Ok(()), |e| Err(e.clone()))
    }

    /// Instructions of a function that are not as the file has them, by slot in the function.
    pub(crate) fn patched(&self, f: &Function) -> impl Iterator<Item = (usize, Insn)> {
        let (start, end) = (short(f.start), short(f.start + f.len));
        let section = self.insns.get(&f.section).into_iter();
        section
            .flat_map(move |s| s.range(start..end))
            .map(move |(slot, insn)| ((slot - start) as usize, *insn))
    }

    /// Instructions of a function that must not be reached, with what was looked for.
    pub(crate) fn poisoned(&self, f: &Function) -> impl Iterator<Item = (usize, &str)> {
        let start = f.start;
        self.poisoned.range(slots(f)).map(move |(&(_, slot), what)| (slot - start, what.as_str()))
    }
}

/// A slot that an offset of 32 bits in bytes may lead to, or the one behind; what is beyond is never relocated.
fn short(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}

fn slots(f: &Function) -> core::ops::Range<(usize, usize)> {
    (f.section, f.start)..(f.section, f.start + f.len)
}

/// Whether a relocation is about the target's types.
pub(crate) fn needs_target(relo: &CoreRelo) -> bool {
    CoreKind::from_raw(relo.kind) != Some(CoreKind::TypeIdLocal)
}

/// Resolves all relocations and applies them.
pub(crate) fn relocate(
    file: &File,
    elf: &Elf<'_>,
    functions: &Functions,
    btf: Option<&Btf>,
    ext: &BtfExt,
    target: Option<&TargetBtf>,
) -> Relocated {
    let mut out = Relocated::default();
    let Some(btf) = btf else { return out };
    // Ids of local types can be had without a target.
    let nothing: TargetBtf;
    let known = match target {
        Some(target) => target,
        None => {
            nothing = Btf::default().into();
            &nothing
        }
    };
    let endian = match elf.endian {
        Endian::Little => skep_btf::Endian::Little,
        Endian::Big => skep_btf::Endian::Big,
    };
    let mut loaded = Resolver::new(btf, known, endian);
    // What is not loaded by default must not decide for the rest.
    let mut others = Resolver::new(btf, known, endian);
    for s in &ext.core_relos {
        let name = btf.str(s.section);
        let Some(section) = elf.sections.iter().position(|e| e.name == name) else { continue };
        let resolver = if name.starts_with('?') { &mut others } else { &mut loaded };
        for (number, record) in s.records.iter().enumerate() {
            let slot = record.insn_off_bytes as usize / Insn::SIZE;
            // Of a function that a static linker has dropped.
            let Some(index) = functions.containing(section, slot) else { continue };
            let f = &functions.all[index];
            let place = || f.at(slot - f.start);
            if target.is_none() && needs_target(record) {
                let what = format!(
                    "it needs the types of the machine that it is to run on (CO-RE: {}), and none are given: \
                     name a BTF file, such as /sys/kernel/btf/vmlinux",
                    describe(btf, record)
                );
                out.failed.entry(index).or_insert_with(|| file.unsupported(place(), what));
                continue;
            }
            let result = match resolver.resolve(record) {
                Ok(outcome) => out.apply(elf, (section, slot), f, btf, record, outcome),
                Err(e) if e.is_unsupported() => Err(Refusal { unsupported: true, what: format!("{e}") }),
                Err(e) => Err(Refusal::new(format!("{e}"))),
            };
            if let Err(refusal) = result {
                let what = format!(
                    "CO-RE relocation {number} of section \"{name}\" ({}): {}",
                    describe(btf, record),
                    refusal.what
                );
                let make = if refusal.unsupported { File::unsupported } else { File::malformed };
                out.failed.entry(index).or_insert_with(|| make(file, place(), what));
            }
        }
    }
    out
}

/// Why a relocation cannot be applied.
struct Refusal {
    unsupported: bool,
    what: String,
}

impl Refusal {
    #[cold]
    fn new(what: String) -> Self {
        Self { unsupported: false, what }
    }
}

/// Classes of opcodes (RFC 9669, 3.1).
const LD: u8 = 0;
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const ALU64: u8 = 7;
/// The bit that says that an operation takes a register.
const SRC_REG: u8 = 0x08;
const SIZE_MASK: u8 = 0x18;
/// Sizes of loads and stores: bits in the opcode and bytes.
const SIZES: [(u8, u32); 4] = [(0x00, 4), (0x08, 2), (0x10, 1), (0x18, 8)];

impl Relocated {
    fn insn(&self, elf: &Elf<'_>, at: (usize, usize)) -> Option<Insn> {
        if let Some(&insn) = self.insns.get(&at.0).and_then(|s| s.get(&short(at.1))) {
            return Some(insn);
        }
        let bytes = elf.sections[at.0].data.get(at.1 * Insn::SIZE..)?;
        Some(Insn::from_bytes(*bytes.first_chunk()?, elf.endian))
    }

    fn apply(
        &mut self,
        elf: &Elf<'_>,
        at: (usize, usize),
        f: &Function,
        btf: &Btf,
        record: &CoreRelo,
        outcome: Outcome,
    ) -> Result<(), Refusal> {
        let after = (at.0, at.1 + 1);
        let insn = self.insn(elf, at).ok_or_else(|| Refusal::new("there is no instruction".into()))?;
        // The second slot of an LDDW must be the function's own.
        let second = if insn.is_wide() && after.1 < f.start + f.len { self.insn(elf, after) } else { None };
        if insn.is_wide() && second.is_none() {
            return Err(Refusal::new("an LDDW whose second slot lies outside the function".into()));
        }
        let changed = match outcome {
            Outcome::Poison => None,
            Outcome::Patch(patch) => patched(insn, second, &patch)?,
        };
        let insns = self.insns.entry(at.0).or_default();
        match changed {
            Some((first, wide)) => {
                insns.insert(short(at.1), first);
                if let Some(second) = wide {
                    insns.insert(short(after.1), second);
                }
            }
            None => {
                let call = Insn::new(0x85, Reg(0), Reg(0), 0, Poisoned::HELPER);
                insns.insert(short(at.1), call);
                self.poisoned.insert(at, describe(btf, record));
                if second.is_some() {
                    insns.insert(short(after.1), call);
                    self.poisoned.insert(after, describe(btf, record));
                }
            }
        }
        Ok(())
    }
}

/// The instruction, both slots of an LDDW, with its new number. `None` when it would load or store a field of
/// another size wrongly.
fn patched(
    mut insn: Insn,
    second: Option<Insn>,
    patch: &Patch,
) -> Result<Option<(Insn, Option<Insn>)>, Refusal> {
    let expect = |holds: u64| {
        if !patch.validate || holds == patch.local {
            return Ok(());
        }
        let (signed, local) = (holds.cast_signed(), patch.local.cast_signed());
        Err(Refusal::new(format!(
            "the instruction holds {signed}, and by the object's own types it should be {local}"
        )))
    };
    match (insn.opcode & 7, second) {
        (ALU | ALU64, _) => {
            if insn.opcode & SRC_REG != 0 {
                return Err(Refusal::new(format!("opcode {:#04x} has no immediate", insn.opcode)));
            }
            expect(i64::from(insn.imm).cast_unsigned())?;
            insn.imm = patch.target as u32 as i32;
            Ok(Some((insn, None)))
        }
        (LDX | ST | STX, _) => {
            expect(i64::from(insn.off).cast_unsigned())?;
            let Ok(off) = i16::try_from(patch.target) else {
                let what =
                    format!("{} is more than the offset of a load or store can hold (32767)", patch.target);
                return Err(Refusal::new(what));
            };
            if patch.bad_resize {
                return Ok(None);
            }
            insn.off = off;
            if patch.local_size != patch.target_size {
                let bytes = SIZES.iter().find(|s| s.0 == insn.opcode & SIZE_MASK).map_or(0, |s| s.1);
                if bytes != patch.local_size {
                    let what = format!("it accesses {bytes} bytes of a field of {}", patch.local_size);
                    return Err(Refusal::new(what));
                }
                let Some((bits, _)) = SIZES.iter().find(|s| s.1 == patch.target_size) else {
                    let what =
                        format!("the target's field has {} bytes, not 1, 2, 4 or 8", patch.target_size);
                    return Err(Refusal::new(what));
                };
                insn.opcode = insn.opcode & !SIZE_MASK | bits;
            }
            Ok(Some((insn, None)))
        }
        (LD, Some(mut second)) => {
            let plain = insn.src == Reg(0)
                && insn.off == 0
                && Insn { imm: 0, ..second } == Insn::new(0, Reg(0), Reg(0), 0, 0);
            if !plain {
                return Err(Refusal::new("it is an LDDW of another form than of a constant".into()));
            }
            let (low, high) = (insn.imm.cast_unsigned(), second.imm.cast_unsigned());
            expect(u64::from(high) << 32 | u64::from(low))?;
            insn.imm = patch.target as u32 as i32;
            second.imm = (patch.target >> 32) as u32 as i32;
            Ok(Some((insn, Some(second))))
        }
        _ => Err(Refusal::new(format!("opcode {:#04x} has no number to relocate", insn.opcode))),
    }
}

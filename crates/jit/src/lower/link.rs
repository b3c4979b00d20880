//! Calls between functions of a module, once their places are known.

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, Function};
use cranelift_codegen::{FinalizedMachReloc, FinalizedRelocTarget};

use crate::Unsupported;

/// A call whose distance is not known yet.
pub(super) struct Pending {
    /// Where in the code, bytes.
    at: u32,
    kind: Reloc,
    /// Whom: the function's symbol.
    symbol: u32,
    addend: i64,
}

impl Pending {
    /// What the generator left open in a function that starts at an offset.
    pub(super) fn of(
        start: u32,
        reloc: &FinalizedMachReloc,
        function: &Function,
    ) -> Result<Self, Unsupported> {
        let symbol = match &reloc.target {
            FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
                function.params.user_named_funcs()[*name].index
            }
            other => {
                return Err(Unsupported::target(&format!("a call of {other:?}, which no program makes")));
            }
        };
        Ok(Self { at: start + reloc.offset, kind: reloc.kind, symbol, addend: reloc.addend })
    }
}

/// Puts in the distance.
pub(super) fn resolve(code: &mut [u8], pending: &Pending, starts: &[u32]) -> Result<(), Unsupported> {
    let Pending { at, kind, symbol, addend } = *pending;
    let distance = i64::from(starts[symbol as usize]) - i64::from(at) + addend;
    let far = || Unsupported::too_large();
    let mut word = |at: u32, change: &dyn Fn(u32) -> u32| {
        let bytes = &mut code[at as usize..at as usize + 4];
        let old = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        bytes.copy_from_slice(&change(old).to_le_bytes());
    };
    match kind {
        Reloc::X86PCRel4 | Reloc::X86CallPCRel4 | Reloc::X86CallPLTRel4 => {
            let distance = i32::try_from(distance).map_err(|_| far())?;
            word(at, &|_| distance as u32);
        }
        Reloc::Arm64Call => {
            if !(-(1 << 27)..1 << 27).contains(&distance) {
                return Err(far());
            }
            word(at, &|old| old & !0x03ff_ffff | (distance >> 2) as u32 & 0x03ff_ffff);
        }
        Reloc::RiscvCallPlt => {
            // auipc: the upper 20 bits, rounded for the sign of the lower 12, which jalr adds.
            let distance = i32::try_from(distance).map_err(|_| far())?;
            let upper = distance.wrapping_add(0x800) as u32 & 0xffff_f000;
            word(at, &|old| old & 0xfff | upper);
            word(at + 4, &|old| old & 0x000f_ffff | (distance as u32) << 20);
        }
        Reloc::S390xPLTRel32Dbl | Reloc::S390xPCRel32Dbl => {
            let half = i32::try_from(distance >> 1).map_err(|_| far())?;
            code[at as usize..at as usize + 4].copy_from_slice(&half.to_be_bytes());
        }
        other => return Err(Unsupported::target(&format!("relocation {other:?}"))),
    }
    Ok(())
}

//! Jump tables: where an indirect jump (`gotox`) may lead, as clang 22 writes them for cpu v4.
//!
//! A table is a symbol of section `.jumptables`. Each of its entries is a byte of the section that the function is in
//! which uses it, in 64 bits and without a relocation:
//!
//! ```text
//! .jumptables   BPF.JT.0.0:  0x58  0xf8  0x40                        (bytes of ".text")
//! program       r3 = BPF.JT.0.0 ll;  r3 += r2 << 3;  r2 = *(u64 *)(r3 + 0);  gotox r2
//! map           { orig_off: u32, xlated_off: u32, jitted_off: u64 }   orig_off: instruction of the program
//! ```
//!
//! So each program gets a map of type `insn_array` for each table, of which instruction numbers are those of the
//! linked program (libbpf 1.7, `create_jt_map`). The kernel fills in the other fields (Linux 6.19 and later).

use alloc::format;
use alloc::vec::Vec;

use skep_abi::MapType;
use skep_isa::{Endian, Insn};
use skep_spec::MapDef;

use crate::elf::{Elf, Symbol};
use crate::error::{Error, File, Place};
use crate::funcs::Function;

/// The section.
pub(crate) const SECTION: &str = ".jumptables";

/// Bytes of an entry in the section.
const ENTRY: usize = 8;
/// Bytes of `struct bpf_insn_array_value`.
const VALUE: u32 = 16;

/// The map of a table that function `f` uses, which starts at slot `base` of its program.
pub(crate) fn map(
    file: &File,
    elf: &Elf<'_>,
    section: usize,
    symbol: &Symbol<'_>,
    f: &Function,
    base: usize,
) -> Result<MapDef, Error> {
    let bad = |what| Err(file.malformed(Place::Symbol { name: symbol.name.into() }, what));
    let (start, size) = (symbol.off_bytes as usize, symbol.size as usize);
    if start % ENTRY != 0 || size % ENTRY != 0 || size == 0 {
        return bad(format!("a jump table of bytes {start:#x}+{size:#x}, not whole entries of 8"));
    }
    let Some(bytes) = elf.sections[section].data.get(start..).and_then(|rest| rest.get(..size)) else {
        return bad("a jump table in a section without contents".into());
    };
    let mut value = Vec::with_capacity(size / ENTRY * VALUE as usize);
    for (i, entry) in bytes.as_chunks::<ENTRY>().0.iter().enumerate() {
        let off = match elf.endian {
            Endian::Little => u64::from_le_bytes(*entry),
            Endian::Big => u64::from_be_bytes(*entry),
        };
        let inside = (f.off_bytes()..f.end_bytes()).contains(&off) && off.is_multiple_of(Insn::SIZE as u64);
        if !inside {
            let what = format!(
                "entry {i} of the jump table is byte {off:#x} of section \"{}\", which is no instruction of \"{}\" \
                 ({:#x}..{:#x})",
                elf.sections[f.section].name,
                f.name,
                f.off_bytes(),
                f.end_bytes()
            );
            return bad(what);
        }
        // Programs have far fewer than 2^32 instructions.
        let insn = (base + (off - f.off_bytes()) as usize / Insn::SIZE) as u32;
        value.extend(match elf.endian {
            Endian::Little => insn.to_le_bytes(),
            Endian::Big => insn.to_be_bytes(),
        });
        value.extend([0; VALUE as usize - 4]);
    }
    Ok(MapDef {
        name: SECTION.into(),
        kind: MapType::INSN_ARRAY,
        key_size: 4,
        value_size: VALUE,
        max_entries: (size / ENTRY) as u32,
        initial: Some(value),
        frozen: true,
        ..MapDef::default()
    })
}

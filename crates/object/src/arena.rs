//! Variables that programs and user space share in an arena (`__arena`): they are its first bytes.
//!
//! libbpf 1.7 puts them at the end of the arena instead where the kernel takes any offset in an `LDDW` (after 6.18).

use alloc::format;

use skep_abi::MapType;

use crate::elf::Elf;
use crate::error::{Error, File, Place};
use crate::maps::Found;

/// Where clang puts variables of address space 1.
pub(crate) const SECTION: &str = ".addr_space.1";

/// What is wrong with variables that have no arena.
pub(crate) const NO_ARENA: &str = "variables in an arena (__arena), and no map of type BPF_MAP_TYPE_ARENA that could hold them: define one in \
     SEC(\".maps\")";

/// The variables' section and the arena that they are in, by its place among the maps.
///
/// # Errors
/// When there are variables and no arena that is right. A second arena, and one that is too small, are errors there.
pub(crate) fn place(
    file: &File,
    elf: &Elf<'_>,
    maps: &mut [Found],
    page: u32,
) -> Result<Option<(usize, usize)>, Error> {
    let of = |m: &Found| m.kind() == Some(MapType::ARENA);
    let first = maps.iter().position(of);
    if let Some(first) = first {
        let name = maps[first].name.clone();
        for m in maps.iter_mut().skip(first + 1).filter(|m| of(m)) {
            let what = format!("it is an arena beside \"{name}\": an object may have one");
            m.def = Err(file.unsupported(Place::map(&m.name), what));
        }
    }
    let Some(index) = elf.sections.iter().position(|s| s.name == SECTION && s.size > 0) else {
        return Ok(None);
    };
    let section = &elf.sections[index];
    let Some(first) = first else {
        // Without any maps libbpf does not look; then programs that use the variables are refused.
        if maps.is_empty() {
            return Ok(None);
        }
        return Err(file.malformed(Place::section(SECTION), NO_ARENA));
    };
    let arena = &mut maps[first];
    let name = Place::map(&arena.name);
    if let Ok(def) = &mut arena.def {
        let room = u64::from(def.max_entries) * u64::from(page);
        match section.size.div_ceil(page.into()).saturating_mul(page.into()) {
            need if need <= room => def.initial = Some(section.data.into()),
            need => {
                let what = format!(
                    "an arena of {room:#x} bytes, and its variables need {need:#x}: max_entries counts pages of {page}"
                );
                arena.def = Err(file.malformed(name, what));
            }
        }
    }
    Ok(Some((index, first)))
}

//! Global variables: each data section becomes an array map of one element.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Btf, Kind as BtfKind, Type, VarLinkage};
use skep_spec::MapDef;

use crate::elf::Section;
use crate::error::{Error, File, Place};

/// Kinds of data sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Initialised.
    Data,
    /// Constant.
    Rodata,
    /// Zero.
    Bss,
}

impl Kind {
    /// By the name of a section: `.data`, `.data.x` and so on.
    pub(crate) fn of_section(name: &str) -> Option<Self> {
        [(".data", Self::Data), (".rodata", Self::Rodata), (".bss", Self::Bss)].into_iter().find_map(
            |(prefix, kind)| {
                let rest = name.strip_prefix(prefix)?;
                (rest.is_empty() || rest.starts_with('.')).then_some(kind)
            },
        )
    }
}

/// The kernel keeps this many bytes of a map's name.
const NAME_MAX: usize = 15;

/// What libbpf calls the map: up to 8 bytes of the object's name and the section's, or the section's alone if
/// that has two dots: the whole of `.data.mine` and `.rodata.mine`, 15 bytes of `.bss.mine`.
pub(crate) fn map_name(object: &str, section: &str) -> String {
    let cut = |s: &str, n: usize| s.chars().take(n).collect::<String>();
    let own = section[1..].contains('.');
    if own && matches!(Kind::of_section(section), Some(Kind::Data | Kind::Rodata)) {
        return section.into();
    }
    let whole = if own {
        cut(section, NAME_MAX)
    } else {
        let room = NAME_MAX - section.len().max(".rodata".len());
        format!("{}{section}", cut(object, room))
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    whole.chars().map(|c| if legal(c) { c } else { '_' }).collect()
}

/// The map of a data section that is not empty.
pub(crate) fn map(
    file: &File,
    object: &str,
    kind: Kind,
    section: &Section<'_>,
    btf: Option<&Arc<Btf>>,
) -> Result<MapDef, Error> {
    // The kernel rounds the size of an array's element up and wants it below 2^31.
    let Some(size) = u32::try_from(section.size).ok().filter(|&s| s < i32::MAX as u32) else {
        let what = format!("{} bytes of global data, more than a map's value can hold", section.size);
        return Err(file.malformed(Place::section(section.name), what));
    };
    let datasec = btf.and_then(|b| b.find_by_name(Some(BtfKind::Datasec), section.name));
    let mut flags = if kind == Kind::Rodata { MapFlags::RDONLY_PROG } else { 0 };
    if let (Some(btf), Some(id)) = (btf, datasec)
        && let Some(Type::Datasec { entries, .. }) = btf.ty(id)
    {
        // Worth mapping into user space only if there is something to see.
        let visible = |t: Option<&Type>| {
            matches!(t, Some(Type::Var { linkage: VarLinkage::Global | VarLinkage::Extern, .. }))
        };
        if entries.iter().any(|e| visible(btf.ty(e.ty))) {
            flags |= MapFlags::MMAPABLE;
        }
    }
    let initial: Option<Vec<u8>> = (!section.zeroed).then(|| section.data.into());
    Ok(MapDef {
        name: map_name(object, section.name),
        kind: MapType::ARRAY,
        key_size: 4,
        value_size: size,
        max_entries: 1,
        flags: MapFlags(flags),
        btf: btf.filter(|_| datasec.is_some()).cloned(),
        value_btf_id: datasec.map_or(0, |id| id.0),
        initial,
        frozen: kind == Kind::Rodata,
        ..MapDef::default()
    })
}

//! What was linked as an ELF file.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use skep_btf::{Btf, BtfExt};
use skep_isa::Endian;

use super::{Linker, OutSection};
use crate::error::{Error, Place};
use crate::image::{Image, Section};

pub(super) fn write(linker: &Linker, types: Option<(Btf, BtfExt)>) -> Result<Vec<u8>, Error> {
    let endian = linker.endian.unwrap_or(Endian::NATIVE);
    let mut sections: Vec<Section<'_>> = linker.sections.iter().map(section).collect();
    if let Some((btf, ext)) = types {
        let endian = match endian {
            Endian::Little => skep_btf::Endian::Little,
            Endian::Big => skep_btf::Endian::Big,
        };
        let types = |name, data: Vec<u8>| Section::new(name, Default::default(), 8).holding(data);
        sections.push(types(".BTF", btf.to_bytes(endian)));
        if ext != BtfExt::default() {
            sections.push(types(".BTF.ext", ext.to_bytes(endian)));
        }
    }
    let image = Image { endian, sections, symbols: &linker.symbols };
    image.write().map_err(|e| linker.first.malformed(Place::File, format!("the linked file: {e}")))
}

fn section(s: &OutSection) -> Section<'_> {
    Section {
        name: Cow::Borrowed(&s.name),
        kind: s.kind,
        flags: s.flags,
        align: s.align,
        entry_size: s.entry_size,
        size: s.size,
        data: Cow::Borrowed(&s.data),
        relocs: Cow::Borrowed(&s.relocs),
        reloc_flags: s.reloc_flags,
        is_written: s.is_written(),
    }
}

//! Several files as one: libbpf's static linker (`bpf_linker`, behind `bpftool gen object`).
//!
//! Files are taken one after the other:
//!
//! ```text
//! input     bytes → sections, symbols, relocations, BTF, all checked
//! sections  each is appended to the one of its name, aligned; licence and version must be alike
//! symbols   a name that files share is one: strong before weak, defined before declared, if its types agree (compat)
//! relocs    follow sections and symbols; jump tables follow their code
//! types     appended; what is known already is used again; variables are collected by section
//! ```
//!
//! and in the end sections of variables are made anew, types are deduplicated and everything is `written`.
//!
//! As with libbpf, code and data of a weak symbol that gave way stay in their sections, without a name; and what no
//! file defines stays undefined, since a later link may have it.
//!
//! Where libbpf 1.7 and we differ: its `DATASEC` keeps the place of a weak variable that gave way, ours has the
//! place of the variable that is used; it leaves jump tables as they were, ours follow their code.

mod compat;
mod input;
mod relocs;
mod sections;
mod symbols;
mod types;
mod write;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::object::elf::{SectionFlags, SectionType};
use skep_btf::{Btf, Builder, CoreRelo, DatasecEntry, FuncInfo, LineInfo, TypeId};
use skep_isa::Endian;

use crate::error::{Error, File, Place};
use crate::image::{Home as OutHome, Reloc as OutReloc, Symbol as OutSymbol};
use input::Input;

/// Links files, each a name for messages and its bytes, to one.
///
/// ```
/// # if cfg!(target_endian = "big") { return Ok(()) }
/// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/protocols/protocols.bpf.o"));
/// let linked = skep_object::static_link(&[("protocols.bpf.o", bytes)])?;
/// let object = skep_object::Object::parse("linked.o", &linked)?;
/// assert!(object.program("count_protocols").is_some());
/// # Ok::<(), skep_object::Error>(())
/// ```
///
/// # Errors
/// When a file cannot be read, or does not fit those before it: the error is about that file, and names the other.
pub fn static_link(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Error> {
    let Some((first, _)) = files.first() else {
        return Err(File("".into()).malformed(Place::File, "there is no file to link"));
    };
    let mut linker = Linker::new(first);
    for (name, bytes) in files {
        linker.add(Input::parse(name, bytes)?)?;
    }
    linker.finish()
}

/// What has been linked so far.
struct Linker {
    /// The first file, which the rest must be like.
    first: File,
    endian: Option<Endian>,
    sections: Vec<OutSection>,
    section_numbers: BTreeMap<String, usize>,
    symbols: Vec<OutSymbol>,
    globals: BTreeMap<String, Global>,
    types: Builder,
    /// Bytes between sections of files.
    padding: u64,
    /// All files so far, with their types.
    files: Vec<(File, Arc<Btf>)>,
}

/// A section of the result.
struct OutSection {
    name: String,
    /// In BTF only, so far.
    types_only: bool,
    kind: SectionType,
    flags: SectionFlags,
    align: u64,
    entry_size: u64,
    size: u64,
    data: Vec<u8>,
    /// The file that had it first.
    from: usize,
    relocs: Vec<OutReloc>,
    reloc_flags: SectionFlags,
    /// BTF describes it.
    has_types: bool,
    vars: Vec<DatasecEntry>,
    funcs: Vec<FuncInfo>,
    lines: Vec<LineInfo>,
    core_relos: Vec<CoreRelo>,
    /// Its section symbol.
    symbol: Option<usize>,
}

/// A name that files share.
struct Global {
    /// Index into [`Linker::symbols`].
    symbol: usize,
    /// Its section, also one that only BTF has.
    section: Option<usize>,
    /// Where it stands in [`Linker::types`]; `void` until it is there.
    ty: TypeId,
    /// The file that defines it, or declared it first, and what it is there.
    described: (usize, TypeId),
    /// No file has defined it.
    is_extern: bool,
    is_weak: bool,
    /// The file that is being added says what it is.
    refresh: bool,
    /// Its place among [`OutSection::vars`].
    var: Option<(usize, usize)>,
}

/// Where a section of a file went.
#[derive(Clone, Copy, Debug)]
struct Placed {
    /// Index into [`Linker::sections`].
    section: usize,
    /// Its first byte there.
    off: u64,
    /// It was there already.
    dropped: bool,
}

impl Linker {
    fn new(first: &str) -> Self {
        Self {
            first: File(first.into()),
            endian: None,
            sections: Vec::new(),
            section_numbers: BTreeMap::new(),
            symbols: Vec::new(),
            globals: BTreeMap::new(),
            types: Builder::new(),
            padding: 0,
            files: Vec::new(),
        }
    }

    fn add(&mut self, mut input: Input<'_>) -> Result<(), Error> {
        let endian = *self.endian.get_or_insert(input.endian);
        if endian != input.endian {
            let word = |e| if e == Endian::Little { "little" } else { "big" };
            let what = format!(
                "it is for {}-endian machines, and \"{}\" for {}-endian ones",
                word(input.endian),
                self.first.0,
                word(endian)
            );
            return Err(input.file.malformed(Place::File, what));
        }
        let placed = self.append_sections(&input)?;
        self.files.push((input.file.clone(), Arc::new(core::mem::take(&mut input.btf))));
        let symbols = self.append_symbols(&input, &placed)?;
        self.append_relocs(&input, &placed, &symbols)?;
        self.append_types(&input, &placed)
    }

    fn finish(mut self) -> Result<Vec<u8>, Error> {
        let types = self.finish_types()?;
        write::write(&self, types)
    }
}

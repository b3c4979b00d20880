//! A file as programs and maps.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{AttachType, MapType, ProgramType};
use skep_btf::relo::TargetBtf;
use skep_btf::{Btf, BtfExt, CoreRelo};
use skep_isa::Endian;
use skep_spec::{Environment, MapDef, ProgramSpec};

use crate::elf::{Elf, Home};
use crate::error::{Error, File, Place};
use crate::exceptions::Callbacks;
use crate::externs::{Extern, ExternKind, Externs, Symbols};
use crate::funcs::{Function, Functions};
use crate::kconfig::Kconfig;
use crate::link::{CONFIG, Linker, MapsAt};
use crate::program::{self, Info};
use crate::{arena, btf, data, maps, relo, struct_ops};

/// Most instructions that all programs of a file may have together once they are linked: each gets its own
/// copy of what it calls, so a small file could ask for very many.
const MAX_LINKED: usize = 8 << 20;

/// An object file as specs.
#[derive(Clone, Debug)]
pub struct Object {
    /// libbpf's name of it: the file's name without folders and from the first dot on.
    pub name: String,
    /// Byte order of the machines that it was compiled for.
    pub endian: Endian,
    /// Programs in order of their sections.
    pub programs: Vec<Program>,
    /// Maps: first those of `.maps`, then global data.
    pub maps: Vec<Map>,
    /// Types, with sections' sizes and variables' offsets filled in.
    pub btf: Option<Arc<Btf>>,
    /// Contents of `license`; empty if there is none.
    pub license: String,
    /// Contents of `version`, for old kernels.
    pub kernel_version: u32,
}

/// A global function in an executable section other than `.text`.
#[derive(Clone, Debug)]
pub struct Program {
    /// Name of the function.
    pub name: String,
    /// Name of the section, without the `?` that says not to load it by default.
    pub section: String,
    /// Whether the program is loaded unless somebody says otherwise: its section's name has no `?`.
    pub autoload: bool,
    /// The program, or why it cannot be used.
    pub spec: Result<ProgramSpec, Error>,
}

/// A map of the file.
#[derive(Clone, Debug)]
pub struct Map {
    /// Its name.
    pub name: String,
    /// The map, or why it cannot be used. Programs that use it have the same `Arc` in their specs.
    pub def: Result<Arc<MapDef>, Error>,
    /// Whether it is created unless somebody says otherwise: its section's name has no `?`.
    pub autocreate: bool,
    /// Elements that the source initialises; to be filled in once programs are loaded.
    pub slots: Vec<Slot>,
}

/// An element of a program array or of a map of maps that the source initialises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its index.
    pub index: u32,
    /// What it holds.
    pub target: SlotTarget,
}

/// What an initialised element holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotTarget {
    /// The program with this name.
    Program(String),
    /// The map with this name.
    Map(String),
}

impl Object {
    /// Reads an object for this machine's byte order, without anything of the machine that it is to run on.
    /// `name` is the file's; errors begin with it.
    ///
    /// # Errors
    /// When the file is not a relocatable 64-bit ELF file for eBPF in this byte order, or is damaged: whatever
    /// concerns one program or map only is an error there.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        Unlinked::parse(name, bytes)?.link(&Inputs::default())
    }

    /// Reads an object of either byte order, to look at: its constants and its data are laid out for machines
    /// of [`Self::endian`], so on others it must not run.
    ///
    /// # Errors
    /// As [`Self::parse`], but for the byte order.
    pub fn parse_any_endian(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        Unlinked::parse_any_endian(name, bytes)?.link(&Inputs::default())
    }

    /// The program with this name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|p| p.name == name)
    }

    /// The map with this name.
    pub fn map(&self, name: &str) -> Option<&Map> {
        self.maps.iter().find(|m| m.name == name)
    }
}

/// A file that has been read and not yet been linked for a machine: it says what it needs of one.
///
/// ```
/// use skep_object::{Inputs, Unlinked};
/// # if cfg!(target_endian = "big") { return Ok(()) }
/// let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/protocols/protocols.bpf.o"));
/// let unlinked = Unlinked::parse("protocols.bpf.o", bytes)?;
/// assert!(!unlinked.needs_target());
/// let object = unlinked.link(&Inputs::default())?;
/// assert_eq!(object.programs.len(), 1);
/// # Ok::<(), skep_object::Error>(())
/// ```
pub struct Unlinked<'a> {
    file: File,
    stem: String,
    elf: Elf<'a>,
    btf: Option<Arc<Btf>>,
    ext: BtfExt,
    externs: Externs,
}

/// What an object asks of the machine that it is to run on.
///
/// A program that needs what is not given here cannot be used, and says so; weak externs are 0 then.
#[derive(Clone, Copy, Default)]
pub struct Inputs<'a> {
    /// Types for CO-RE relocations, and for externs that have a type.
    pub target: Option<&'a TargetBtf>,
    /// What sections' names say: an embedder's program types beside libbpf's.
    pub environment: Option<&'a Environment>,
    /// Configuration for `__kconfig` variables.
    pub kconfig: Option<&'a Kconfig>,
    /// Addresses for `__ksym` externs without a type.
    pub symbols: Option<&'a dyn Symbols>,
    /// Bytes of a page, which ring buffers are rounded up to; 4096 if not given.
    pub page_size: Option<u32>,
}

impl<'a> Unlinked<'a> {
    /// Reads a file for this machine's byte order.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn parse(name: &str, bytes: &'a [u8]) -> Result<Self, Error> {
        let unlinked = Self::parse_any_endian(name, bytes)?;
        if unlinked.elf.endian != Endian::NATIVE {
            let (built, here, arch) = match unlinked.elf.endian {
                Endian::Big => ("big", "little", "bpfel"),
                Endian::Little => ("little", "big", "bpfeb"),
            };
            let what = format!(
                "compiled for {built}-endian machines, and this one is {here}-endian: compile with -target bpf or -target {arch}"
            );
            return Err(unlinked.file.malformed(Place::File, what));
        }
        Ok(unlinked)
    }

    /// Reads a file of either byte order.
    ///
    /// # Errors
    /// As [`Object::parse_any_endian`].
    pub fn parse_any_endian(name: &str, bytes: &'a [u8]) -> Result<Self, Error> {
        let file = File(name.into());
        let elf = Elf::parse(&file, bytes)?;
        let (btf, ext) = btf::read(&file, &elf)?;
        let (btf, externs) = match btf {
            Some(btf) => {
                let externs = Externs::find(&file, &elf, &btf);
                (Some(Arc::new(externs.in_btf(&file, btf)?)), externs)
            }
            None => (None, Externs::default()),
        };
        Ok(Self { stem: stem(name), file, elf, btf, ext, externs })
    }

    /// Types of the file, with sections' sizes and variables' offsets filled in.
    pub fn btf(&self) -> Option<&Arc<Btf>> {
        self.btf.as_ref()
    }

    /// CO-RE relocations in the order of the file.
    pub fn core_relos(&self) -> impl Iterator<Item = &CoreRelo> {
        self.ext.core_relos.iter().flat_map(|s| &s.records)
    }

    /// What the file names and does not define.
    pub fn externs(&self) -> &[Extern] {
        &self.externs.all
    }

    /// Whether there are externs that need [`Inputs::kconfig`].
    pub fn needs_kconfig(&self) -> bool {
        self.externs.all.iter().any(|e| e.kind == ExternKind::Kconfig)
    }

    /// Whether there are externs that need [`Inputs::symbols`].
    pub fn needs_symbols(&self) -> bool {
        self.externs.all.iter().any(|e| e.kind == ExternKind::Address)
    }

    /// Whether there are CO-RE relocations, externs or `struct_ops` maps that need [`Inputs::target`].
    pub fn needs_target(&self) -> bool {
        let ops = self.elf.sections.iter().any(|s| struct_ops::is_section(s.name));
        ops || self.core_relos().any(relo::needs_target) || self.externs.needs_target()
    }

    /// Makes specs of all programs and maps.
    ///
    /// # Errors
    /// When the file is damaged: whatever concerns one program or map only is an error there.
    pub fn link(&self, inputs: &Inputs<'_>) -> Result<Object, Error> {
        let Self { file, stem, elf, btf, ext, externs } = self;
        let license = license(file, elf)?;
        let kernel_version = kernel_version(file, elf)?;
        let functions = Functions::find(file, elf)?;
        let (mut maps, mut places) =
            all_maps(file, elf, stem, btf.as_ref(), &functions, inputs.page_size.unwrap_or(4096))?;
        if let Some(def) = externs.config_map(file, stem, elf.endian, btf.as_ref(), inputs.kconfig) {
            let def = def.map(Arc::new);
            places.insert(CONFIG, def.clone());
            maps.push(Map {
                name: data::map_name(stem, ".kconfig"),
                def,
                autocreate: true,
                slots: Vec::new(),
            });
        }
        let linux = Environment::default();
        let env = inputs.environment.unwrap_or(&linux);
        let ops = struct_ops::find(file, elf, btf.as_ref(), &functions, env, inputs.target)?;
        for (name, autocreate, def) in &ops.maps {
            let (name, def) = (name.clone(), def.clone().map(Arc::new));
            maps.push(Map { name, def, autocreate: *autocreate, slots: Vec::new() });
        }
        let none = Btf::default();
        let local = btf.as_deref().unwrap_or(&none);
        let external = |name: &str| externs.resolve(file, local, name, inputs);

        let relocated = relo::relocate(file, elf, &functions, btf.as_deref(), ext, inputs.target);
        let info = Info::new(elf, btf.as_deref(), ext);
        let callbacks = Callbacks::find(btf.as_deref());
        let linker = Linker {
            file,
            elf,
            functions: &functions,
            maps: &places,
            externs: &external,
            relocated: &relocated,
            callbacks: &callbacks,
        };
        let mut budget = MAX_LINKED;
        let mut programs = Vec::new();
        for (index, f) in functions.all.iter().enumerate() {
            if !is_program(f, elf) {
                continue;
            }
            let section = elf.sections[f.section].name;
            let (section, mut autoload) = section.strip_prefix('?').map_or((section, true), |s| (s, false));
            let spec = program::by_section(file, section, env).and_then(|mut spec| {
                if spec.prog_type == ProgramType::STRUCT_OPS {
                    autoload = ops.wanted(index).unwrap_or(autoload);
                    if let Some(is) = ops.attach(index)? {
                        spec.attach_btf_id = is.type_id;
                        spec.attach_type = AttachType(is.index);
                        spec.attach_module = is.module;
                    }
                }
                let linked = linker.link(index, &mut budget)?;
                Ok(ProgramSpec {
                    name: f.name.clone(),
                    license: license.clone(),
                    kernel_version,
                    func_info: info.funcs(&functions, &linked),
                    line_info: info.lines(&functions, &linked),
                    btf: btf.clone(),
                    insns: linked.insns,
                    maps: linked.maps,
                    poisoned: linked.poisoned,
                    kfuncs: linked.kfuncs,
                    modules: linked.modules,
                    ..spec
                })
            });
            programs.push(Program { name: f.name.clone(), section: section.into(), autoload, spec });
        }
        let btf = btf.clone();
        Ok(Object { name: stem.clone(), endian: elf.endian, programs, maps, btf, license, kernel_version })
    }
}

/// The `.BTF` section of an ELF file of any machine: types of a kernel image, a module or a program.
///
/// # Errors
/// When the file is no 64-bit ELF file or damaged.
pub fn btf_section<'a>(name: &str, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
    crate::elf::find_section(&File(name.into()), bytes, ".BTF")
}

/// Whether a function is entered from outside; others are only called.
fn is_program(f: &Function, elf: &Elf<'_>) -> bool {
    f.global && elf.sections[f.section].name != ".text"
}

/// `dir/flows.bpf.o` is `flows`.
fn stem(path: &str) -> String {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).into()
}

fn license(file: &File, elf: &Elf<'_>) -> Result<String, Error> {
    let Some(s) = elf.section("license") else { return Ok(String::new()) };
    let text = s.data.split(|&b| b == 0).next().unwrap_or(&[]);
    match core::str::from_utf8(text) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(file.malformed(Place::section(s.name), "the licence is not UTF-8")),
    }
}

fn kernel_version(file: &File, elf: &Elf<'_>) -> Result<u32, Error> {
    let Some(s) = elf.section("version") else { return Ok(0) };
    match (<[u8; 4]>::try_from(s.data), elf.endian) {
        (Ok(b), Endian::Little) => Ok(u32::from_le_bytes(b)),
        (Ok(b), Endian::Big) => Ok(u32::from_be_bytes(b)),
        (Err(_), _) => {
            let what = format!("a kernel version has 4 bytes, this one {}", s.data.len());
            Err(file.malformed(Place::section(s.name), what))
        }
    }
}

/// Maps as callers see them, and where the linker finds them.
fn all_maps(
    file: &File,
    elf: &Elf<'_>,
    stem: &str,
    btf: Option<&Arc<Btf>>,
    functions: &Functions,
    page: u32,
) -> Result<(Vec<Map>, MapsAt), Error> {
    let mut maps = Vec::new();
    let mut places = MapsAt::new();
    let mut found = maps::find(file, elf, btf, page)?;
    let arena = arena::place(file, elf, &mut found, page)?;
    let section = elf.sections.iter().position(|s| s.name == ".maps");
    for (m, section) in found.iter().zip(section.into_iter().cycle()) {
        let slots = m.slots.iter().map(|&(index, symbol)| {
            let s = &elf.symbols[symbol];
            let wrong = || {
                let kind = match m.kind() {
                    Some(MapType::PROG_ARRAY) => "program",
                    _ => "map of this file",
                };
                let what = format!("element {index} is \"{}\", which is no {kind}", elf.symbol_name(symbol));
                file.malformed(Place::map(&m.name), what)
            };
            let Home::Section(home) = s.home else { return Err(wrong()) };
            let target = if m.kind() != Some(MapType::PROG_ARRAY) {
                if home != section {
                    return Err(wrong());
                }
                let inner = found.iter().find(|o| o.off_bytes == s.off_bytes).ok_or_else(wrong)?;
                SlotTarget::Map(inner.name.clone())
            } else {
                let slot = s.off_bytes.is_multiple_of(8).then_some(s.off_bytes as usize / 8);
                let f = slot.and_then(|slot| functions.starting_at(home, slot)).ok_or_else(wrong)?;
                let f = &functions.all[f];
                if !is_program(f, elf) {
                    return Err(wrong());
                }
                SlotTarget::Program(f.name.clone())
            };
            Ok(Slot { index, target })
        });
        let narrow = m.def.as_ref().is_ok_and(|d| d.kind == MapType::HASH_OF_MAPS && d.key_size != 4);
        let m_def = match m.slots.first() {
            Some(_) if narrow => {
                let what = "initial values are numbered by 4 bytes, and its keys have another size";
                Err(file.malformed(Place::map(&m.name), what))
            }
            _ => m.def.clone(),
        };
        let (def, slots) = match (m_def, slots.collect::<Result<Vec<_>, _>>()) {
            (Ok(def), Ok(slots)) => (Ok(Arc::new(def)), slots),
            (Err(e), _) | (_, Err(e)) => (Err(e), Vec::new()),
        };
        places.insert((section, Some(m.off_bytes)), def.clone());
        maps.push(Map { name: m.name.clone(), def, autocreate: true, slots });
    }
    if let Some((section, map)) = arena {
        places.insert((section, None), maps[map].def.clone());
    }
    for (section, s) in elf.sections.iter().enumerate() {
        let Some(kind) = data::Kind::of_section(s.name).filter(|_| s.size > 0) else { continue };
        let def = data::map(file, stem, kind, s, btf).map(Arc::new)?;
        places.insert((section, None), Ok(def.clone()));
        maps.push(Map { name: def.name.clone(), def: Ok(def), autocreate: true, slots: Vec::new() });
    }
    Ok((maps, places))
}

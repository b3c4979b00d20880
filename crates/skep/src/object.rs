//! Objects: files with programs and maps, before anything is loaded.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_btf::Btf;
use skep_isa::Endian;
use skep_object::{Inputs, SlotTarget, Unlinked};
use skep_spec::{Environment, MapDef, ProgramSpec};

use crate::{Backend, Error, ErrorKind, Loaded, Target, assembly, pin};

const ELF_MAGIC: &[u8] = b"\x7fELF";

/// An error of the object reader, which names the file itself.
#[cold]
pub(crate) fn in_file(error: skep_object::Error) -> Error {
    let kind = if error.is_unsupported() { ErrorKind::Unsupported } else { ErrorKind::Damaged };
    Error::new(kind, error.to_string()).caused_by(error)
}

/// Neither skep's verifier nor Linux before 6.19 knows indirect jumps.
fn without_jump_tables(spec: ProgramSpec) -> Result<Arc<ProgramSpec>, Error> {
    let apart = spec.without_jump_tables()?;
    Ok(Arc::new(apart.unwrap_or(spec)))
}

/// A program of an object: its specification, or why it cannot be used. One bad program leaves the others alone.
#[derive(Debug)]
pub struct ProgramEntry {
    /// Function name.
    pub name: String,
    /// Section, as `socket` or `xdp`; empty if there is none.
    pub section: String,
    /// Whether [`Object::load`] loads it: its section's name has no `?`.
    pub autoload: bool,
    /// The program.
    pub spec: Result<Arc<ProgramSpec>, Error>,
}

/// An element of a program array or a map of maps that the object fills.
#[derive(Clone, Debug)]
pub struct SlotEntry {
    /// The array, or hash.
    pub map: Arc<MapDef>,
    /// Its element.
    pub index: u32,
    /// What it holds, by name.
    pub target: SlotTarget,
}

impl SlotEntry {
    /// The program that it holds, if it holds one.
    pub fn program(&self) -> Option<&str> {
        match &self.target {
            SlotTarget::Program(name) => Some(name),
            SlotTarget::Map(_) => None,
        }
    }
}

/// A file of programs and maps: clang's ELF object or assembly text.
///
/// Reading one asks nothing of the host and gives the same on every machine.
///
/// ```
/// use skep::{Backend, Map, Object};
///
/// let object = Object::parse("answer.s", b".license GPL\n.section socket\nmain: r0 = 42\nexit\n")?;
/// assert_eq!(object.program("main")?.insns.len(), 2);
/// # Ok::<(), skep::Error>(())
/// ```
#[derive(Debug)]
pub struct Object {
    pub(crate) name: String,
    pub(crate) programs: Vec<ProgramEntry>,
    pub(crate) maps: Vec<Arc<MapDef>>,
    pub(crate) slots: Vec<SlotEntry>,
    pub(crate) btf: Option<Arc<Btf>>,
    pub(crate) problems: Vec<Error>,
    pub(crate) text: Option<Arc<str>>,
    /// Where maps are pinned that want to be; libbpf's place if nobody says another.
    pub(crate) pin_root: Option<PathBuf>,
}

impl Object {
    /// Reads a file: ELF by its magic number, assembly text by its name (`.s`, `.S`, `.asm`) .
    ///
    /// # Errors
    /// `Unreadable` or `Damaged`, with the file's name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let name = path.as_ref().display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Error::reading(&name, e))?;
        Self::parse(&name, &bytes)
    }

    /// As [`Object::open`], for a machine whose types CO-RE relocations need.
    ///
    /// # Errors
    /// As there.
    pub fn open_for(path: impl AsRef<Path>, target: &Target) -> Result<Self, Error> {
        let name = path.as_ref().display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Error::reading(&name, e))?;
        Self::parse_for(&name, &bytes, target)
    }

    /// Reads bytes; `name` is for messages, and its ending tells assembly text.
    ///
    /// # Errors
    /// `Damaged`, with the name.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_for(name, bytes, &Target::default())
    }

    /// As [`Object::parse`], for a machine whose types CO-RE relocations need.
    ///
    /// # Errors
    /// As there.
    pub fn parse_for(name: &str, bytes: &[u8], target: &Target) -> Result<Self, Error> {
        Self::parse_with(name, bytes, target, &Environment::default())
    }

    /// As [`Object::parse`], where sections may have the names of an embedder's program types and assembly text those of
    /// its helpers.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn parse_in(name: &str, bytes: &[u8], env: &Environment) -> Result<Self, Error> {
        Self::parse_with(name, bytes, &Target::default(), env)
    }

    fn parse_with(name: &str, bytes: &[u8], target: &Target, env: &Environment) -> Result<Self, Error> {
        if bytes.starts_with(ELF_MAGIC) {
            let link = |unlinked: Unlinked<'_>| {
                unlinked.link(&Inputs {
                    target: if unlinked.needs_target() { target.btf() } else { None },
                    kconfig: if unlinked.needs_kconfig() { target.kconfig() } else { None },
                    environment: Some(env),
                    symbols: if unlinked.needs_symbols() { target.symbols() } else { None },
                    page_size: Some(target.page_size()),
                })
            };
            let object = Unlinked::parse(name, bytes).and_then(link).map_err(in_file)?;
            return Ok(Self::from_elf(name, object));
        }
        let is_assembly = Path::new(name)
            .extension()
            .is_some_and(|e| ["s", "asm"].iter().any(|known| e.eq_ignore_ascii_case(known)));
        if !is_assembly {
            let what = if bytes.is_empty() { "the file is empty" } else { "it is no ELF file" };
            let words = format!(
                "`{name}` is neither an eBPF object nor assembly: {what}, and its name does not end in .s"
            );
            return Err(Error::new(ErrorKind::Damaged, words));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => assembly::parse(name, text, env),
            Err(e) => {
                let words = format!("`{name}` is no text: byte {} is not UTF-8", e.valid_up_to());
                Err(Error::new(ErrorKind::Damaged, words).caused_by(e))
            }
        }
    }

    /// Reads an object of either byte order, to look at: on machines of the other order it must not run.
    ///
    /// # Errors
    /// As [`Object::parse`], but for the byte order.
    pub fn inspect(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        if !bytes.starts_with(ELF_MAGIC) {
            return Self::parse(name, bytes);
        }
        match skep_object::Object::parse_any_endian(name, bytes) {
            Ok(object) => Ok(Self::from_elf(name, object)),
            Err(e) => Err(in_file(e)),
        }
    }

    fn from_elf(name: &str, object: skep_object::Object) -> Self {
        let mut out = Self {
            name: name.to_owned(),
            programs: Vec::new(),
            maps: Vec::new(),
            slots: Vec::new(),
            btf: object.btf,
            problems: Vec::new(),
            text: None,
            pin_root: None,
        };
        for program in object.programs {
            let spec = program.spec.map_err(in_file).and_then(without_jump_tables);
            let skep_object::Program { name, section, autoload, .. } = program;
            out.programs.push(ProgramEntry { name, section, autoload, spec });
        }
        for map in object.maps {
            let def = match map.def {
                Ok(def) => def,
                Err(e) => {
                    out.problems.push(in_file(e));
                    continue;
                }
            };
            for skep_object::Slot { index, target } in map.slots {
                out.slots.push(SlotEntry { map: Arc::clone(&def), index, target });
            }
            out.maps.push(def);
        }
        out
    }

    /// The name that it was opened under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All programs, in the order of the file, with those that cannot be used.
    pub fn programs(&self) -> &[ProgramEntry] {
        &self.programs
    }

    /// The program of a name.
    ///
    /// # Errors
    /// `NotFound` with the names there are; the program's own error if it cannot be used.
    pub fn program(&self, name: &str) -> Result<&Arc<ProgramSpec>, Error> {
        let Some(entry) = self.programs.iter().find(|p| p.name == name) else {
            let words = format!("`{}` has no program `{name}`; it has {}", self.name, self.program_names());
            return Err(Error::new(ErrorKind::NotFound, words));
        };
        entry.spec.as_ref().map_err(|e| Error::new(e.kind(), e.to_string()))
    }

    /// The only program of an object that has one.
    ///
    /// # Errors
    /// `NotFound` for none, `Usage` for several, with their names.
    pub fn only_program(&self) -> Result<&Arc<ProgramSpec>, Error> {
        match &self.programs[..] {
            [] => Err(Error::new(ErrorKind::NotFound, format!("`{}` has no programs", self.name))),
            [one] => self.program(&one.name),
            _ => {
                let words =
                    format!("`{}` has several programs, name one: {}", self.name, self.program_names());
                Err(Error::new(ErrorKind::Usage, words))
            }
        }
    }

    fn program_names(&self) -> String {
        if self.programs.is_empty() {
            return "none".to_owned();
        }
        self.programs.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// All maps, in the order of the file, global data among them.
    pub fn maps(&self) -> &[Arc<MapDef>] {
        &self.maps
    }

    /// Says in which folder maps are found and pinned that the source wants to be (`pin_root_path`), instead of
    /// `/sys/fs/bpf`.
    pub fn set_pin_root(&mut self, folder: impl Into<PathBuf>) {
        self.pin_root = Some(folder.into());
    }

    /// Says how many elements a map is to have (`bpf_map__set_max_entries`): for ring buffers their bytes, which become
    /// the next power of two of pages. Counts for what is created from now on.
    ///
    /// # Errors
    /// `NotFound` with the names there are.
    pub fn set_max_entries(&mut self, map: &str, max_entries: u32) -> Result<(), Error> {
        let page = skep_user::page_size();
        self.change_map(map, |def| def.set_max_entries(max_entries, page))
    }

    /// Changes a map's definition everywhere: programs and slots share it.
    fn change_map(&mut self, name: &str, change: impl FnOnce(&mut MapDef)) -> Result<(), Error> {
        let Some(at) = self.maps.iter().position(|m| m.name == name) else {
            let names = self.maps.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(", ");
            let names = if names.is_empty() { "none" } else { &names };
            let words = format!("`{}` has no map `{name}`; it has {names}", self.name);
            return Err(Error::new(ErrorKind::NotFound, words));
        };
        let old = Arc::clone(&self.maps[at]);
        self.change_def(&old, change);
        Ok(())
    }

    /// Changes one map's definition everywhere.
    pub(crate) fn change_def(&mut self, old: &Arc<MapDef>, change: impl FnOnce(&mut MapDef)) {
        let mut def = MapDef::clone(old);
        change(&mut def);
        let new = Arc::new(def);
        let replace = |place: &mut Arc<MapDef>| {
            if Arc::ptr_eq(place, old) {
                *place = Arc::clone(&new);
            }
        };
        self.maps.iter_mut().for_each(replace);
        self.slots.iter_mut().map(|s| &mut s.map).for_each(replace);
        for spec in self.programs.iter_mut().filter_map(|p| p.spec.as_mut().ok()) {
            if spec.maps.iter().any(|m| Arc::ptr_eq(m, old)) {
                Arc::make_mut(spec).maps.iter_mut().for_each(replace);
            }
        }
    }

    /// Elements of program arrays and maps of maps that the source fills.
    pub fn slots(&self) -> &[SlotEntry] {
        &self.slots
    }

    /// Maps and the like that cannot be used; programs that need them say so too.
    pub fn problems(&self) -> &[Error] {
        &self.problems
    }

    /// Types, if the object has any.
    pub fn btf(&self) -> Option<&Arc<Btf>> {
        self.btf.as_ref()
    }

    /// The text, if the object was assembly.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Assembly text as an ELF object (`EM_BPF`) that libbpf and [`Object::parse`] read: programs in their sections,
    /// what they call in `.text`, maps, licence, types, and lines of the text. Code before the first `.section` goes
    /// into `socket`.
    ///
    /// # Errors
    /// `Usage` for an object that was not text; `Unsupported` for what an object cannot hold: an address in a map's
    /// value, names that BTF does not take.
    pub fn to_elf(&self, endian: Endian) -> Result<Vec<u8>, Error> {
        match &self.text {
            Some(text) => assembly::to_elf(&self.name, text, endian),
            None => {
                let words =
                    format!("`{}` is an object already, and only assembly text is written as one", self.name);
                Err(Error::new(ErrorKind::Usage, words))
            }
        }
    }

    /// Creates the maps and loads all programs but those whose section has a `?`.
    ///
    /// # Errors
    /// The first map or program that the backend refuses, or that cannot be used.
    pub fn load(&self, backend: &Backend) -> Result<Loaded, Error> {
        self.loaded(backend, |loaded| {
            for program in self.programs.iter().filter(|p| p.autoload) {
                let spec = program.spec.as_ref().map_err(|e| Error::new(e.kind(), e.to_string()))?;
                loaded.load(spec)?;
            }
            loaded.fill(self.slots.iter().filter(|s| s.program().is_some()))
        })
    }

    /// Creates the maps and loads one program and those that its program arrays name.
    ///
    /// # Errors
    /// As [`Object::load`], for the programs that are loaded.
    pub fn load_program(&self, backend: &Backend, name: &str) -> Result<Loaded, Error> {
        self.loaded(backend, |loaded| {
            loaded.load(self.program(name)?)?;
            for program in self.slots.iter().filter_map(SlotEntry::program) {
                if loaded.program(program).is_none() {
                    loaded.load(self.program(program)?)?;
                }
            }
            loaded.fill(self.slots.iter().filter(|s| s.program().is_some()))
        })
    }

    /// Creates the maps and goes on; where that fails, nothing stays pinned.
    fn loaded(
        &self,
        backend: &Backend,
        go_on: impl FnOnce(&mut Loaded) -> Result<(), Error>,
    ) -> Result<Loaded, Error> {
        let mut loaded = self.create_maps(backend)?;
        match go_on(&mut loaded) {
            Ok(()) => Ok(loaded),
            Err(e) => {
                loaded.unpin();
                Err(e)
            }
        }
    }

    /// Creates the maps alone, but for those that are created only when asked for (`SEC("?.struct_ops")`), and puts maps
    /// into maps of maps as the source says.
    ///
    /// # Errors
    /// The first map that the backend refuses.
    pub fn create_maps(&self, backend: &Backend) -> Result<Loaded, Error> {
        let root = self.pin_root.as_deref().unwrap_or(Path::new(pin::ROOT));
        let mut loaded = Loaded::new(backend, root, self.maps.iter().filter(|m| !m.optional))?;
        match loaded.fill(self.slots.iter().filter(|s| s.program().is_none())) {
            Ok(()) => Ok(loaded),
            Err(e) => {
                loaded.unpin();
                Err(e)
            }
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

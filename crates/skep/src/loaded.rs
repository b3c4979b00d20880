//! What a backend holds: loaded programs and their maps.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_isa::text::{Dialect, Listing};
use skep_object::SlotTarget;
use skep_spec::{
    BackendLink, BackendMap, BackendProgram, Errno, LoadError, LoadOptions, MapDef, ProgramInfo, ProgramSpec,
    RunInput, RunOutput, RunStats,
};
use skep_vm::Observer;

use crate::object::SlotEntry;
use crate::{Backend, Error, ErrorKind, Map, map, pin};

/// Maps and programs of an object on a backend. Dropping it releases what nobody else holds.
#[derive(Debug)]
pub struct Loaded {
    backend: Backend,
    maps: Vec<Map>,
    programs: Vec<Program>,
    /// Where maps are pinned that want to be.
    pin_root: PathBuf,
    /// What has been pinned by this.
    pinned: Vec<PathBuf>,
}

impl Loaded {
    pub(crate) fn new<'d>(
        backend: &Backend,
        pin_root: &Path,
        defs: impl Iterator<Item = &'d Arc<MapDef>>,
    ) -> Result<Self, Error> {
        let mut loaded = Self {
            backend: backend.clone(),
            maps: Vec::new(),
            programs: Vec::new(),
            pin_root: pin_root.to_owned(),
            pinned: Vec::new(),
        };
        for def in defs {
            if let Err(e) = loaded.create(def) {
                loaded.unpin();
                return Err(e);
            }
        }
        Ok(loaded)
    }

    fn create(&mut self, def: &Arc<MapDef>) -> Result<Map, Error> {
        let (map, pinned) = pin::create(&self.backend, &self.pin_root, def)?;
        self.maps.push(map.clone());
        self.pinned.extend(pinned);
        Ok(map)
    }

    /// Takes back what has been pinned: the object could not be loaded.
    pub(crate) fn unpin(&mut self) {
        for path in self.pinned.drain(..) {
            // Whoever removed it before wanted the same.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Loads one more program; maps that it shares with those before are the same ones.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`; maps that are not there yet are created, as `BPF_MAP_CREATE`.
    pub fn load(&mut self, spec: &Arc<ProgramSpec>) -> Result<&Program, Error> {
        let mut handles = Vec::with_capacity(spec.maps.len());
        for def in &spec.maps {
            let known = self.maps.iter().find(|m| Arc::ptr_eq(m.def(), def));
            let map = match known {
                Some(map) => map.clone(),
                None => self.create(def)?,
            };
            handles.push(map.inner);
        }
        let program = self.backend.load_with(spec, &handles, LoadOptions::default())?;
        let at = self.programs.len();
        self.programs.push(program);
        Ok(&self.programs[at])
    }

    /// Puts maps and programs into the slots that the source fills.
    pub(crate) fn fill<'s>(&self, slots: impl Iterator<Item = &'s SlotEntry>) -> Result<(), Error> {
        for slot in slots {
            let missing = |what: &str| {
                let words = format!("slot {} of map `{}` wants {what}", slot.index, slot.map.name);
                Err(Error::new(ErrorKind::NotFound, words))
            };
            let Some(map) = self.maps.iter().find(|m| Arc::ptr_eq(m.def(), &slot.map)) else {
                return missing("a value, and the map has not been created");
            };
            match &slot.target {
                SlotTarget::Program(name) => match self.program(name) {
                    Some(program) => map.set_program(slot.index, program)?,
                    None => return missing(&format!("program `{name}`, which is not loaded")),
                },
                // As it was found.
                SlotTarget::Map(_) if map.is_reused() => {}
                SlotTarget::Map(name) => match self.map(name) {
                    Some(inner) => map.set_map(&slot.index.to_ne_bytes(), inner)?,
                    None => return missing(&format!("map `{name}`, which has not been created")),
                },
            }
        }
        Ok(())
    }

    /// Gives the kernel the functions that a `struct_ops` map holds (`bpf_map__attach_struct_ops`). Dropping the link takes
    /// them back.
    ///
    /// # Errors
    /// `NotFound` without such a map or its programs; `EEXIST` for a name that is taken; `Unsupported` on the user backend.
    pub fn attach_struct_ops(&self, map: &str) -> Result<Link, Error> {
        let of = |m: &&Map| m.name() == map && m.def().struct_ops.is_some();
        let Some(map) = self.maps.iter().find(of) else {
            let words = format!("there is no struct_ops map `{map}`");
            return Err(Error::new(ErrorKind::NotFound, words));
        };
        let def = map.def();
        let mut functions = Vec::new();
        for (off, name) in def.struct_ops.iter().flat_map(|ops| &ops.functions) {
            let Some(program) = self.program(name) else {
                let words = format!("map `{}` wants program `{name}`, which is not loaded", def.name);
                return Err(Error::new(ErrorKind::NotFound, words));
            };
            functions.push((*off, program.clone()));
        }
        self.backend.attach_struct_ops(map, def.initial.as_deref().unwrap_or(&[]), &functions)
    }

    /// The backend.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// All maps.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// The map of a name.
    pub fn map(&self, name: &str) -> Option<&Map> {
        self.maps.iter().find(|m| m.name() == name)
    }

    /// All programs, in the order of loading.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// The program of a name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|p| p.name() == name)
    }
}

/// A loaded program. Cheap to clone.
#[derive(Clone)]
pub struct Program {
    pub(crate) inner: Arc<dyn BackendProgram>,
    pub(crate) backend: Backend,
    spec: Arc<ProgramSpec>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("info", &self.info()).finish()
    }
}

impl Program {
    pub(crate) fn new(inner: Arc<dyn BackendProgram>, backend: &Backend, spec: Arc<ProgramSpec>) -> Self {
        Self { inner, backend: backend.clone(), spec }
    }

    /// The specification that it was loaded from.
    pub fn spec(&self) -> &Arc<ProgramSpec> {
        &self.spec
    }

    /// Its full name, as the object spells it.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its instructions, one a line after its slot number, as the kernel's log prints them; helpers by name, an
    /// embedder's too.
    pub fn listing(&self) -> String {
        let env = self.backend.environment();
        Listing::new(&self.spec.insns, Dialect::Kernel).with_names(&*env).to_string()
    }

    /// Id, type and what verifying it took.
    pub fn info(&self) -> ProgramInfo {
        self.inner.info()
    }

    /// The handle of the backend.
    pub fn backend_program(&self) -> &Arc<dyn BackendProgram> {
        &self.inner
    }

    /// Runs on given bytes, as `BPF_PROG_TEST_RUN`.
    ///
    /// # Errors
    /// As there; a trap says which instruction did what.
    pub fn test_run(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        // Backends name the program themselves.
        Ok(self.inner.test_run(input)?)
    }

    /// As [`Program::test_run`], with each instruction shown to an observer before it executes.
    ///
    /// # Errors
    /// As there; `Unsupported` on a backend that is not the user backend.
    pub fn test_run_watched(&self, input: RunInput<'_>, observer: &dyn Observer) -> Result<RunOutput, Error> {
        let program = self.as_user().ok_or_else(|| {
            let words = format!("program `{}`: only the user backend shows its runs", self.name());
            Error::new(ErrorKind::Unsupported, words)
        })?;
        Ok(program.test_run_watched(input, observer)?)
    }

    /// Attaches a socket filter to a raw socket on a network interface.
    ///
    /// # Errors
    /// `ENODEV` for an unknown interface, `EPERM` without `CAP_NET_RAW`.
    pub fn attach_socket(&self, interface: &str) -> Result<Link, Error> {
        Ok(Link { inner: self.backend.as_dyn().attach_socket(&self.inner, interface)? })
    }
}

/// An attached program; dropping it detaches.
pub struct Link {
    pub(crate) inner: Box<dyn BackendLink>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("stats", &self.stats()).finish()
    }
}

impl Link {
    /// Runs, drops and faults so far.
    pub fn stats(&self) -> RunStats {
        self.inner.stats()
    }
}

/// Words for a failed load. The verifier's own verdict is told from other failures by its log.
#[cold]
pub(crate) fn load_error(spec: &ProgramSpec, error: LoadError) -> Error {
    let LoadError { error, log } = error;
    let kind = match error.errno {
        Errno::EOPNOTSUPP | Errno::ENOTSUPP => ErrorKind::Unsupported,
        _ if !log.is_empty() => ErrorKind::Rejected,
        Errno::EACCES | Errno::EINVAL | Errno::E2BIG => ErrorKind::Rejected,
        errno => ErrorKind::System(errno),
    };
    let name = format!("program `{}`", spec.name);
    let mut words = match error.message.contains(&name) {
        true => error.message.clone(),
        false => format!("{name}: {}", error.message),
    };
    if let Some(why) = crate::target::poison_in_log(spec, &log) {
        words += &format!(": {why}");
    }
    Error::new(kind, words).caused_by(error).with_log(log)
}

/// The maps of a program by their definitions, for programs that stand alone.
pub(crate) fn create_all(backend: &Backend, spec: &ProgramSpec) -> Result<Vec<Arc<dyn BackendMap>>, Error> {
    spec.maps.iter().map(|def| map::create(backend.as_dyn(), def).map(|m| m.inner)).collect()
}

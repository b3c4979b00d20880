//! The backend: creates maps, verifies and loads programs, attaches them.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use skep_abi::{MAP_TYPES, MapType, ProgramType};
use skep_isa::Insn;
use skep_maps::{Config, Map, PATIENCE};
use skep_spec::{
    Backend, BackendLink, BackendMap, BackendProgram, Environment, Errno, Error, LoadError, LoadOptions,
    MapDef, ProgramInfo, ProgramSpec,
};
use skep_verifier::{Code, Options, Rejection, verify};
use skep_vm::{HelperCall, TrapKind};

use crate::descriptors::Descriptors;
use crate::engine::{Engine, Order};
use crate::identity::Identity;
use crate::kfuncs::bind_kfuncs;
use crate::map::{Owner, UserMap};
use crate::os::{self, MapMemory};
use crate::pins::{self, can_be_pinned};
use crate::program::UserProgram;
use crate::programs::{ElementPrograms, ProgramTable};
use crate::timers::Timers;
use crate::vcpu::{CPU_PATIENCE, Domain};

/// Takes lines of `bpf_trace_printk`.
pub type Printk = Box<dyn Fn(&[u8]) + Send + Sync>;

/// The body of an embedder's helper; its result is what `r0` gets.
pub type HelperBody = Box<dyn Fn(&mut HelperCall<'_, '_, '_, '_>) -> Result<u64, TrapKind> + Send + Sync>;

/// The embedded backend: programs run in this process, natively or by the interpreter. Cheap to clone; clones share maps'
/// and programs' ids and virtual CPUs.
#[derive(Clone)]
pub struct UserBackend {
    pub(crate) shared: Arc<Shared>,
}

/// How to make a [`UserBackend`].
pub struct UserOptions {
    /// Virtual CPUs; `None` for as many as the machine has.
    pub cpus: Option<u32>,
    /// Rules that programs are verified by; the number of CPUs is set to the above.
    pub environment: Environment,
    /// Where lines of `bpf_trace_printk` go: standard error unless set.
    pub printk: Printk,
    /// Bodies of the embedder's helpers: the first has the id [`skep_vm::EMBEDDER_HELPERS`], the others follow.
    /// Their contracts are in `environment`. A body that panics ends the run with a trap.
    pub helpers: Vec<HelperBody>,
    /// What runs programs; `None`: native code where there can be some, else the interpreter.
    pub engine: Option<Engine>,
    /// Where `engine` is `None`: runs begin in the interpreter while a thread makes the program's native code, and are native once
    /// that is there. For short jobs: the first result comes earlier. [`UserProgram::wait_native`] waits for the code, and so
    /// does dropping the program.
    pub beside: bool,
    /// For how long a lock in a map is waited for that somebody holds who lives, before an operation fails with `EBUSY`:
    /// [`skep_maps::PATIENCE`] unless set.
    pub patience: Duration,
    /// For how long a run waits for a virtual CPU while others have all of them, before it fails: [`CPU_PATIENCE`] unless
    /// set.
    pub cpu_patience: Duration,
}

impl Default for UserOptions {
    fn default() -> Self {
        Self {
            cpus: None,
            environment: Environment::default(),
            printk: Box::new(to_stderr),
            helpers: Vec::new(),
            engine: None,
            beside: false,
            patience: PATIENCE,
            cpu_patience: CPU_PATIENCE,
        }
    }
}

fn to_stderr(line: &[u8]) {
    // Nobody to tell when standard error is closed.
    let _ = std::io::stderr().write_all(&[line, b"\n"].concat());
}

/// What a backend's objects share.
pub(crate) struct Shared {
    pub(crate) domain: Domain,
    pub(crate) environment: Environment,
    pub(crate) programs: ProgramTable,
    /// Programs of devmaps' and cpumaps' elements.
    pub(crate) elements: ElementPrograms,
    pub(crate) identity: Identity,
    pub(crate) timers: Timers,
    printk: Printk,
    pub(crate) helpers: Vec<HelperBody>,
    engine: Option<Engine>,
    beside: bool,
    last_map_id: AtomicU32,
    pub(crate) descriptors: Descriptors,
    seed: AtomicU64,
    /// Where maps can be pinned.
    pub(crate) folder: Option<PathBuf>,
    patience: Duration,
}

impl Shared {
    /// The id of another map.
    pub(crate) fn next_map_id(&self) -> u32 {
        self.last_map_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What a map of so many virtual CPUs takes from this backend.
    pub(crate) fn config(&self, cpus: u32) -> Config {
        Config { domain: self.domain.number(), patience: self.patience, ..os::config(cpus) }
    }

    /// A seed that no run before had.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }

    pub(crate) fn printk(&self, line: &[u8]) {
        (self.printk)(line);
    }
}

impl fmt::Debug for UserBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserBackend").field("cpus", &self.domain().cpus()).finish_non_exhaustive()
    }
}

impl Default for UserBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl UserBackend {
    /// A backend with privileged rules and as many virtual CPUs as the machine has.
    pub fn new() -> Self {
        Self::with_options(UserOptions::default())
    }

    /// A backend with options.
    pub fn with_options(options: UserOptions) -> Self {
        let domain = options.cpus.map_or_else(Domain::of_machine, Domain::new);
        Self::on(domain, options, None)
    }

    /// A backend whose maps can be pinned in a folder, and whose virtual CPUs all backends share that use it, in whatever
    /// processes: the first says how many.
    ///
    /// # Errors
    /// `EINVAL` for a folder whose table of CPUs is none, `EOPNOTSUPP` elsewhere than on Linux, and what the system says.
    pub fn in_folder(folder: impl Into<PathBuf>, options: UserOptions) -> Result<Self, Error> {
        let folder = folder.into();
        let folder = folder.canonicalize().map_err(|e| {
            let errno = e.raw_os_error().map_or(Errno::EIO, Errno);
            Error::new(errno, format!("folder of pins {}: {e}", folder.display()))
        })?;
        let domain = Domain::in_folder(&folder, options.cpus)?;
        Ok(Self::on(domain, options, Some(folder)))
    }

    fn on(domain: Domain, options: UserOptions, folder: Option<PathBuf>) -> Self {
        let UserOptions { cpus: _, mut environment, printk, helpers, engine, beside, patience, cpu_patience } =
            options;
        let domain = domain.with_patience(cpu_patience);
        environment.cpus = domain.cpus();
        let shared = Shared {
            domain,
            environment,
            programs: ProgramTable::new(),
            elements: ElementPrograms::default(),
            identity: Identity::of_process(),
            timers: Timers::default(),
            printk,
            helpers,
            engine,
            beside,
            last_map_id: AtomicU32::new(0),
            descriptors: Descriptors::default(),
            seed: AtomicU64::new(random_seed()),
            folder,
            patience,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The rules that programs are verified by.
    pub fn environment(&self) -> &Environment {
        &self.shared.environment
    }

    /// The virtual CPUs.
    pub fn domain(&self) -> &Domain {
        &self.shared.domain
    }

    /// As [`Backend::load`], with the type of this backend.
    ///
    /// # Errors
    /// As [`Backend::load`].
    pub fn load_program(
        &self,
        spec: &ProgramSpec,
        maps: &[Arc<dyn BackendMap>],
        options: LoadOptions,
    ) -> Result<Arc<UserProgram>, LoadError> {
        let refused = |error| LoadError { error, log: String::new() };
        let own = self.own_maps(spec, maps).map_err(refused)?;
        let bound = bind_kfuncs(spec, &self.shared.environment).map_err(refused)?;
        let (spec, environment) = match &bound {
            Some((spec, environment)) => (spec, environment),
            None => (spec, &self.shared.environment),
        };
        let options = Options { log_level: options.log_level, ..Options::default() };
        let start = Instant::now();
        let verified = verify(spec, environment, &options);
        let verify_time = start.elapsed();
        let verified = verified.map_err(|r| rejected(spec, &r))?;
        let log = verified.log().to_owned();
        let failed = |error| LoadError { error, log: log.clone() };
        let mut program = skep_vm::Program::new(&verified, environment, own).map_err(failed)?;
        let order = Order::take(&mut program, self.shared.engine, self.shared.beside).map_err(failed)?;
        let info = ProgramInfo {
            insns_processed: verified.stats().insns_processed,
            verify_time: Some(verify_time),
            ..ProgramInfo::default()
        };
        self.add(spec, program, info, log.clone(), Some(order)).map_err(failed)
    }

    /// Loads a program without verifying it. It runs with every access checked and bounded in time
    /// ([`skep_vm::DEFAULT_FUEL`]); what a verifier would have refused ends a run with an error.
    ///
    /// # Errors
    /// `EINVAL` when `maps` are not those of the specification.
    pub fn load_unverified(
        &self,
        spec: &ProgramSpec,
        maps: &[Arc<dyn BackendMap>],
    ) -> Result<Arc<UserProgram>, Error> {
        let own = self.own_maps(spec, maps)?;
        let bound = bind_kfuncs(spec, &self.shared.environment)?;
        let (spec, environment) = match &bound {
            Some((spec, environment)) => (spec, environment),
            None => (spec, &self.shared.environment),
        };
        let program = skep_vm::Program::unverified(spec, environment, own)?;
        self.add(spec, program, ProgramInfo::default(), String::new(), None)
    }

    fn add(
        &self,
        spec: &ProgramSpec,
        program: skep_vm::Program,
        info: ProgramInfo,
        log: String,
        order: Option<Order>,
    ) -> Result<Arc<UserProgram>, Error> {
        let program = self.shared.programs.add(program).ok_or_else(|| {
            Error::new(Errno::ENOMEM, "this backend has loaded four million programs: make a new one")
        })?;
        let name = spec.name.chars().take(15).collect();
        let info =
            ProgramInfo { id: program.id(), name, prog_type: spec.prog_type, log: log.clone(), ..info };
        let xlated_bytes = u32::try_from(spec.insns.len() * Insn::SIZE).unwrap_or(u32::MAX);
        let info = ProgramInfo { xlated_bytes, ..info };
        let making = order.map(|order| order.start(&program));
        Ok(Arc::new(UserProgram::new(Arc::clone(&self.shared), program, spec, info, log, making)))
    }

    /// The maps as they are inside, once they agree to a program's type.
    fn own_maps(&self, spec: &ProgramSpec, maps: &[Arc<dyn BackendMap>]) -> Result<Vec<Arc<Map>>, Error> {
        let own = maps.iter().map(|m| {
            let map = self.own_map(&**m, &spec.name)?;
            map.check_owner(Owner::of(spec))?;
            Ok(Arc::clone(map.map()))
        });
        own.collect()
    }

    fn own_map<'m>(&self, map: &'m dyn BackendMap, program: &str) -> Result<&'m UserMap, Error> {
        let own = map.as_any().downcast_ref::<UserMap>().filter(|m| m.belongs_to(&self.shared));
        let own = own.ok_or_else(|| {
            let text = format!("program {program}: map {} belongs to another backend", map.info().name);
            Error::new(Errno::EINVAL, text)
        })?;
        if own.is_foreign() {
            let text = format!(
                "program {program}: map {} is pinned in a folder with virtual CPUs of its own: load the program by a \
                 backend of that folder",
                map.info().name
            );
            return Err(Error::new(Errno::EINVAL, text));
        }
        Ok(own)
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(os::monotonic_ns())
}

/// A rejection as `bpf(2)` would report it.
#[cold]
fn rejected(spec: &ProgramSpec, rejection: &Rejection) -> LoadError {
    let errno = match rejection.code() {
        Code::NotPermitted => Errno::EPERM,
        Code::Unsupported => Errno::EOPNOTSUPP,
        Code::ProgramTooLong | Code::TooManySubprogs => Errno::E2BIG,
        Code::UnknownProgramType
        | Code::BadAttachType
        | Code::EmptyProgram
        | Code::BadInsn
        | Code::BadJump
        | Code::UnknownHelper => Errno::EINVAL,
        _ => Errno::EACCES,
    };
    let text = format!("program {}: instruction {}: {}", spec.name, rejection.pc(), rejection.message());
    LoadError { error: Error::new(errno, text), log: rejection.log().to_owned() }
}

impl Backend for UserBackend {
    fn name(&self) -> &'static str {
        "user"
    }

    fn create_map(&self, def: &MapDef) -> Result<Arc<dyn BackendMap>, Error> {
        if let Some(kind) = def.kind.name()
            && def.kind != MapType::UNSPEC
            && !MAP_TYPES.iter().any(|row| row.id == def.kind)
        {
            let text =
                format!("map `{}`: {kind} maps are not supported yet here: use the linux backend", def.name);
            return Err(Error::new(Errno::EOPNOTSUPP, text));
        }
        let memory = match &self.shared.folder {
            Some(folder) if can_be_pinned(def) => MapMemory::in_folder(&def.name, folder),
            _ => MapMemory::new(&def.name),
        };
        let config = Config {
            seed: self.shared.seed(),
            peers: self.shared.domain.peers(),
            ..self.shared.config(self.shared.domain.cpus())
        };
        let sized;
        let def = match def.entries_on(config.cpus) {
            n if n == def.max_entries => def,
            max_entries => {
                sized = MapDef { max_entries, ..def.clone() };
                &sized
            }
        };
        let map = Map::create_kept(def, &config, os::memory(&memory), &|| self.shared.timers.keeper())?;
        self.shared.timers.serve(&self.shared, def)?;
        let id = self.shared.next_map_id();
        Ok(Arc::new(UserMap::new(Arc::clone(&self.shared), map, id, memory)))
    }

    fn pinned_map(&self, path: &str) -> Result<Option<Arc<dyn BackendMap>>, Error> {
        let id = || self.shared.next_map_id();
        let map = pins::open(&self.shared, Path::new(path), id)?;
        Ok(map.map(|m| Arc::new(m) as Arc<dyn BackendMap>))
    }

    fn pin_map(&self, map: &dyn BackendMap, path: &str) -> Result<(), Error> {
        let own = map.as_any().downcast_ref::<UserMap>().ok_or_else(|| {
            Error::new(Errno::EINVAL, format!("map {} belongs to another backend", map.info().name))
        })?;
        pins::pin(&self.shared, own, Path::new(path))
    }

    fn load(
        &self,
        spec: &ProgramSpec,
        maps: &[Arc<dyn BackendMap>],
        options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError> {
        Ok(self.load_program(spec, maps, options)?)
    }

    fn load_extension(
        &self,
        spec: &ProgramSpec,
        _maps: &[Arc<dyn BackendMap>],
        extended: &Arc<dyn BackendProgram>,
        _options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError> {
        let (name, whole) = (&spec.name, extended.info().name);
        let text = format!(
            "program `{name}`: the user backend does not replace functions of loaded programs: link it with `{whole}`, or \
             use the linux backend"
        );
        Err(LoadError { error: Error::new(Errno::EOPNOTSUPP, text), log: String::new() })
    }

    fn attach_struct_ops(
        &self,
        map: &Arc<dyn BackendMap>,
        _value: &[u8],
        _functions: &[(u32, Arc<dyn BackendProgram>)],
    ) -> Result<Box<dyn BackendLink>, Error> {
        let name = map.info().name;
        let text = format!(
            "map `{name}`: there is no kernel here that its functions could serve: use the linux backend"
        );
        Err(Error::new(Errno::EOPNOTSUPP, text))
    }

    fn attach_socket(
        &self,
        program: &Arc<dyn BackendProgram>,
        interface: &str,
    ) -> Result<Box<dyn BackendLink>, Error> {
        let info = program.info();
        let own = program.as_any().downcast_ref::<UserProgram>().ok_or_else(|| {
            Error::new(Errno::EINVAL, format!("program {} belongs to another backend", info.name))
        })?;
        if info.prog_type != ProgramType::SOCKET_FILTER {
            let kind = info.prog_type.name().unwrap_or("unknown");
            let text = format!("program {} has type {kind}; a socket takes socket filters", info.name);
            return Err(Error::new(Errno::EINVAL, text));
        }
        attach(own, interface)
    }
}

#[cfg(target_os = "linux")]
fn attach(program: &UserProgram, interface: &str) -> Result<Box<dyn BackendLink>, Error> {
    crate::link::SocketLink::attach(program, interface).map(|l| Box::new(l) as Box<dyn BackendLink>)
}

#[cfg(not(target_os = "linux"))]
fn attach(_: &UserProgram, _: &str) -> Result<Box<dyn BackendLink>, Error> {
    Err(Error::new(Errno::EOPNOTSUPP, "packet sockets exist on Linux only: use a capture file"))
}

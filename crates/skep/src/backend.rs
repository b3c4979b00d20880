//! The choice of backend.

use std::fmt;
use std::sync::Arc;

use skep_abi::ProgramType;
use skep_isa::Insn;
use skep_linux::LinuxBackend;
use skep_spec::{BackendMap, Environment, LoadOptions, MapDef, ProgramSpec};
use skep_user::{UserBackend, UserOptions, bind_kfuncs};
use skep_verifier::{Options, verify};

use crate::{Error, ErrorKind, Link, Map, Program, loaded, map};

/// What runs programs: the virtual machine in this process, or the kernel. Cheap to clone.
#[derive(Clone)]
pub struct Backend {
    inner: Arc<dyn skep_spec::Backend>,
    /// The rules that skep's own verifier goes by, where that is what verifies.
    environment: Option<Arc<Environment>>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Backend").field(&self.name()).finish()
    }
}

impl Backend {
    /// The virtual machine in this process, with privileged rules: needs no privilege. Lines of
    /// `bpf_trace_printk` go to standard error.
    pub fn user() -> Self {
        Self::user_with(UserOptions::default())
    }

    /// The virtual machine in this process, with options: an embedder's own helpers and rules, virtual CPUs,
    /// where `bpf_trace_printk` goes.
    pub fn user_with(options: UserOptions) -> Self {
        let backend = UserBackend::with_options(options);
        let environment = Some(Arc::new(backend.environment().clone()));
        Self { inner: Arc::new(backend), environment }
    }

    /// As [`Self::user_with`], with a folder in which maps are pinned that want to be found by name
    /// ([`Object::set_pin_root`](crate::Object::set_pin_root) is the same folder then). All that use the folder, in
    /// whatever processes, have the same virtual CPUs: the first says how many.
    ///
    /// # Errors
    /// For a folder that is not there or whose table of CPUs is none; elsewhere than on Linux.
    pub fn user_in(folder: impl Into<std::path::PathBuf>, options: UserOptions) -> Result<Self, Error> {
        let backend = UserBackend::in_folder(folder, options)?;
        let environment = Some(Arc::new(backend.environment().clone()));
        Ok(Self { inner: Arc::new(backend), environment })
    }

    /// The map that is pinned at a path; `None` when there is nothing. Its types are not known.
    ///
    /// # Errors
    /// As `BPF_OBJ_GET`: what is there is no map, or was damaged.
    pub fn pinned_map(&self, path: impl AsRef<std::path::Path>) -> Result<Option<Map>, Error> {
        let path = path.as_ref().display().to_string();
        let Some(inner) = self.as_dyn().pinned_map(&path)? else { return Ok(None) };
        let info = inner.info();
        let def = MapDef::new(info.kind, info.key_size, info.value_size, info.max_entries).named(&info.name);
        let def = MapDef { flags: skep_abi::MapFlags(info.flags), ..def };
        Ok(Some(Map::new(inner, Arc::new(def)).reused()))
    }

    /// The running Linux kernel, through `bpf(2)`.
    ///
    /// # Errors
    /// `EPERM` without the capability, `ENOSYS` where there is no `bpf(2)`.
    pub fn linux() -> Result<Self, Error> {
        match LinuxBackend::probe() {
            skep_linux::Probe::No(why) => Err(Error::new(
                ErrorKind::System(skep_spec::Errno::EPERM),
                format!("the linux backend cannot be used here: {why}"),
            )),
            skep_linux::Probe::Yes | skep_linux::Probe::Inconclusive(_) => {
                Ok(Self::from_dyn(Arc::new(LinuxBackend::new())))
            }
        }
    }

    /// A backend of the caller's own.
    pub fn from_dyn(backend: Arc<dyn skep_spec::Backend>) -> Self {
        Self { inner: backend, environment: None }
    }

    /// `user` or `linux`.
    pub fn name(&self) -> &'static str {
        self.inner.name()
    }

    /// The tables that programs are described by: an embedder's beside Linux's, or Linux's alone.
    pub fn environment(&self) -> Arc<Environment> {
        self.environment.clone().unwrap_or_default()
    }

    pub(crate) fn as_dyn(&self) -> &dyn skep_spec::Backend {
        &*self.inner
    }

    /// Creates a map.
    ///
    /// # Errors
    /// As `BPF_MAP_CREATE`.
    pub fn create_map(&self, def: MapDef) -> Result<Map, Error> {
        map::create(self.as_dyn(), &Arc::new(def))
    }

    /// Gives the kernel a set of functions: a `struct_ops` map, its value, and the programs that pointers in it are to point
    /// to, by their bytes. [`Loaded::attach_struct_ops`](crate::Loaded::attach_struct_ops) does it as the object says.
    ///
    /// # Errors
    /// `EEXIST` for a name that is taken, `EINVAL` for a value that the kernel refuses; `Unsupported` on the user backend.
    pub fn attach_struct_ops(
        &self,
        map: &Map,
        value: &[u8],
        functions: &[(u32, Program)],
    ) -> Result<Link, Error> {
        let functions: Vec<_> = functions.iter().map(|(off, p)| (*off, Arc::clone(&p.inner))).collect();
        Ok(Link { inner: self.as_dyn().attach_struct_ops(&map.inner, value, &functions)? })
    }

    /// Loads a program that stands alone; maps that it names are created.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`.
    pub fn load(&self, spec: ProgramSpec) -> Result<Program, Error> {
        let maps = loaded::create_all(self, &spec)?;
        self.load_with(&Arc::new(spec), &maps, LoadOptions::default())
    }

    /// Loads a program that replaces a function of a loaded one (`SEC("freplace/FUNCTION")`); maps that it names are
    /// created.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`; when `whole` has no such function or no types; `Unsupported` on the user backend.
    pub fn load_extension(&self, spec: ProgramSpec, whole: &Program) -> Result<Program, Error> {
        let maps = loaded::create_all(self, &spec)?;
        let loaded = self.inner.load_extension(&spec, &maps, &whole.inner, LoadOptions::default());
        let spec = Arc::new(spec);
        match loaded {
            Ok(inner) => Ok(Program::new(inner, self, spec)),
            Err(e) => Err(loaded::load_error(&spec, e)),
        }
    }

    /// Loads bare instructions under the GPL. An `LDDW` with `src` 5 (`BPF_PSEUDO_MAP_IDX`) names `maps` by index.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`.
    pub fn load_insns(
        &self,
        name: &str,
        prog_type: ProgramType,
        insns: &[Insn],
        maps: &[Map],
    ) -> Result<Program, Error> {
        let mut spec = ProgramSpec::new(prog_type, insns.to_vec());
        spec.name = name.to_owned();
        spec.maps = maps.iter().map(|m| Arc::clone(m.def())).collect();
        let handles: Vec<_> = maps.iter().map(|m| Arc::clone(&m.inner)).collect();
        self.load_with(&Arc::new(spec), &handles, LoadOptions::default())
    }

    /// Loads a program with given maps: `maps[i]` stands for `spec.maps[i]`.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`, with the verifier's log if `options` ask for one.
    pub fn load_with(
        &self,
        spec: &Arc<ProgramSpec>,
        maps: &[Arc<dyn BackendMap>],
        options: LoadOptions,
    ) -> Result<Program, Error> {
        match self.inner.load(spec, maps, options) {
            Ok(inner) => Ok(Program::new(inner, self, Arc::clone(spec))),
            Err(e) => {
                let error = loaded::load_error(spec, e);
                // The seam carries words only; the verifier says the same again as data.
                let verdict = self.environment.as_ref().map(|env| match bind_kfuncs(spec, env) {
                    Ok(Some((spec, env))) => verify(&spec, &env, &Options::default()).err(),
                    Ok(None) => verify(spec, env, &Options::default()).err(),
                    Err(_) => None,
                });
                Err(match verdict.flatten() {
                    Some(rejection) => error.with_rejection(rejection),
                    None => error,
                })
            }
        }
    }
}

//! The backend.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::{Insn, Reg};
use skep_spec::{
    Backend, BackendLink, BackendMap, BackendProgram, Errno, Error, LoadError, LoadOptions, MapDef,
    ProgramSpec,
};

use crate::attach::{KernelTypes, Point};
use crate::btf::Cache;
use crate::map::LinuxMap;
use crate::program::{LinuxProgram, RawLoad};
use crate::socket::SocketLink;
use crate::struct_ops::StructOpsLink;
use crate::sys::{self, MapFd, attr};
use crate::{Probe, attach, extension, kfunc, module, pin, words};

/// The running kernel.
#[derive(Default)]
pub struct LinuxBackend {
    btf: Cache,
    kernel: KernelTypes,
}

impl LinuxBackend {
    /// The running kernel; see [`Self::probe`] for whether it can be used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether this thread may use `bpf(2)`: loads and forgets a program that returns 0.
    pub fn probe() -> Probe {
        let insns = [
            Insn::new(0xb7, Reg::R0, Reg(0), 0, 0), // r0 = 0
            Insn::new(0x95, Reg(0), Reg(0), 0, 0),  // exit
        ];
        let load = RawLoad {
            prog_type: ProgramType::SOCKET_FILTER,
            license: "GPL",
            insns: &insns,
            ..RawLoad::default()
        };
        let Err(e) = load.load() else { return Probe::Yes };
        match e.error.errno {
            Errno::EPERM | Errno::EACCES | Errno::ENOSYS => Probe::No(e.error.message),
            _ => Probe::Inconclusive(e.error.message),
        }
    }

    /// Creates a map, as [`Backend::create_map`] does, with its own type.
    ///
    /// # Errors
    /// As `BPF_MAP_CREATE`.
    pub fn create(&self, def: &MapDef) -> Result<LinuxMap, Error> {
        let kind = def.kind.name().unwrap_or("unknown type");
        let what = format!("creating map `{}` ({kind})", def.name);
        let inner = def.inner.as_ref().map(|d| self.create(d)).transpose()?;
        let cpus = u32::try_from(sys::possible_cpus()).unwrap_or(u32::MAX);
        let mut attr = attr::MapCreate {
            map_type: def.kind.0,
            key_size: def.key_size,
            value_size: def.value_size,
            max_entries: def.entries_on(cpus),
            map_flags: def.flags.0,
            inner_map_fd: inner.as_ref().map_or(0, |m| m.as_fd().as_raw_fd() as u32),
            numa_node: def.numa_node,
            map_name: attr::object_name(&def.name),
            map_extra: def.map_extra,
            ..attr::MapCreate::default()
        };
        let btf = def.btf.as_ref().filter(|_| def.value_btf_id != 0 && takes_btf(def.kind));
        let btf = btf.and_then(|b| self.btf.get(b).ok());
        if let Some(btf) = &btf {
            attr.btf_fd = btf.as_raw_fd() as u32;
        }
        let types = def.struct_ops.as_ref().and_then(|ops| ops.module.as_ref());
        let types = types.map(|m| module::types(m, &what)).transpose()?;
        if let Some(types) = &types {
            attr.map_flags |= attr::MapCreate::VTYPE_BTF_OBJ_FD;
            attr.value_type_btf_obj_fd = types.as_raw_fd() as u32;
        }
        if let Some(ops) = &def.struct_ops {
            attr.btf_vmlinux_value_type_id = ops.value_type_id;
        } else if btf.is_some() {
            attr.btf_key_type_id = def.key_btf_id;
            attr.btf_value_type_id = def.value_btf_id;
        }
        let mut result = MapFd::create(attr);
        let refused = matches!(result, Err(Errno::EINVAL | Errno::ENOTSUPP));
        if btf.is_some() && refused && def.spin_lock_off().is_none() && def.struct_ops.is_none() {
            // Some map types take no BTF (`map_check_btf`). The types only serve those who print values; but locks
            // are found by them.
            (attr.btf_fd, attr.btf_key_type_id, attr.btf_value_type_id) = (0, 0, 0);
            result = MapFd::create(attr);
        }
        if matches!(result, Err(Errno::EPERM)) && sys::raise_memlock() {
            result = MapFd::create(attr);
        }
        let fd = result.map_err(|errno| explain_create(errno, def, &what))?;
        let map = LinuxMap::new(fd, &def.name);
        if def.kind == MapType::STRUCT_OPS {
            return Ok(map); // its value comes with the programs
        }
        if def.kind == MapType::ARENA {
            let map = map.with_arena(def.map_extra)?;
            map.arena_write(0, def.initial.as_deref().unwrap_or(&[]))?;
            return Ok(map);
        }
        if let (MapType::INSN_ARRAY, Some(initial)) = (def.kind, &def.initial) {
            // All elements, of a jump table.
            for (index, value) in (0u32..).zip(initial.chunks_exact(map.value_len().max(1))) {
                map.update(&index.to_ne_bytes(), value, 0)?;
            }
        } else if let Some(initial) = &def.initial {
            // A section may be shorter than the value: the rest is zero.
            let mut value = initial.clone();
            value.resize(value.len().max(map.value_len()), 0);
            map.update(&0u32.to_ne_bytes(), &value, 0)?;
        }
        if def.frozen {
            map.freeze()?;
        }
        Ok(map)
    }

    /// Loads a program, as [`Backend::load`] does, with its own type.
    ///
    /// # Errors
    /// As `BPF_PROG_LOAD`, with the verifier's log.
    pub fn load_program(
        &self,
        spec: &ProgramSpec,
        maps: &[BorrowedFd<'_>],
        options: LoadOptions,
    ) -> Result<LinuxProgram, LoadError> {
        self.load_onto(spec, maps, None, options)
    }

    /// Loads a program that may replace a function of a loaded one.
    fn load_onto(
        &self,
        spec: &ProgramSpec,
        maps: &[BorrowedFd<'_>],
        extended: Option<&LinuxProgram>,
        options: LoadOptions,
    ) -> Result<LinuxProgram, LoadError> {
        if spec.prog_type == ProgramType::STRUCT_OPS && spec.attach_btf_id == 0 {
            let words = format!(
                "program `{}`: no variable in SEC(\".struct_ops\") or SEC(\".struct_ops.link\") refers to it, so that nobody \
                 knows what it is",
                spec.name
            );
            return Err(LoadError { error: Error::new(Errno::EINVAL, words), log: String::new() });
        }
        let found;
        let spec = match spec.has_open_kfuncs() {
            true => {
                let bound = kfunc::bind(spec, &self.kernel);
                found = bound.map_err(|error| LoadError { error, log: String::new() })?;
                &found
            }
            false => spec,
        };
        let what = format!("program `{}`", spec.name);
        let types = |m: &String| module::types(m, &what);
        let refused = |error| LoadError { error, log: String::new() };
        let point = match extended {
            Some(whole) => extension::find(spec, whole).map(|id| Point { id, module: None }),
            None => attach::find(spec, &self.kernel),
        };
        let point = point.map_err(refused)?;
        let attach = point.module.as_ref().map(types).transpose().map_err(refused)?;
        let modules: Vec<OwnedFd> =
            spec.modules.iter().map(types).collect::<Result<_, _>>().map_err(refused)?;
        let modules: Vec<BorrowedFd<'_>> = modules.iter().map(AsFd::as_fd).collect();
        let bound;
        let insns = match modules.is_empty() {
            true => &spec.insns,
            false => {
                bound = module::bind(&spec.insns, &modules, maps.len(), &what).map_err(refused)?;
                &bound
            }
        };
        let btf = spec.btf.as_ref().filter(|_| !spec.func_info.is_empty()).map(|b| self.btf.get(b));
        // `syscall` programs may always sleep; the kernel still wants to be told.
        let sleepable = if spec.prog_type == ProgramType::SYSCALL { ProgramSpec::SLEEPABLE } else { 0 };
        let flags = spec.flags | sleepable;
        let mut load = RawLoad {
            name: &spec.name,
            prog_type: spec.prog_type,
            attach_type: spec.attach_type,
            attach_btf_id: point.id,
            flags,
            license: &spec.license,
            kernel_version: spec.kernel_version,
            attach_btf: attach.as_ref().map(AsFd::as_fd),
            attach_prog: extended.map(AsFd::as_fd),
            insns,
            maps,
            modules: &modules,
            log_level: options.log_level,
            ..RawLoad::default()
        };
        match &btf {
            Some(Ok(fd)) => {
                load.btf = Some(fd.as_fd());
                load.func_info = &spec.func_info;
                load.line_info = &spec.line_info;
                load.load()
            }
            None => load.load(),
            Some(Err(why)) => match load.load() {
                Ok(mut program) => {
                    program.note(format!("program `{}` was loaded without BTF: {why}", spec.name));
                    Ok(program)
                }
                Err(mut e) => {
                    e.error.message.push_str(&format!(" (without BTF: {why})"));
                    Err(e)
                }
            },
        }
    }
}

/// The descriptors of a program's maps.
fn own<'m>(spec: &ProgramSpec, maps: &'m [Arc<dyn BackendMap>]) -> Result<Vec<BorrowedFd<'m>>, LoadError> {
    let fd = |map: &'m Arc<dyn BackendMap>| {
        let own = map.as_any().downcast_ref::<LinuxMap>().map(AsFd::as_fd);
        own.ok_or_else(|| {
            let words =
                format!("program `{}`: map `{}` belongs to another backend", spec.name, map.info().name);
            LoadError { error: Error::new(Errno::EINVAL, words), log: String::new() }
        })
    };
    maps.iter().map(fd).collect()
}

/// Whether maps of a type may have types of keys and values (libbpf's `bpf_object__create_map`).
fn takes_btf(kind: MapType) -> bool {
    !matches!(
        kind,
        MapType::PERF_EVENT_ARRAY
            | MapType::CGROUP_ARRAY
            | MapType::STACK_TRACE
            | MapType::ARRAY_OF_MAPS
            | MapType::HASH_OF_MAPS
            | MapType::DEVMAP
            | MapType::DEVMAP_HASH
            | MapType::CPUMAP
            | MapType::XSKMAP
            | MapType::SOCKMAP
            | MapType::SOCKHASH
            | MapType::QUEUE
            | MapType::STACK
            | MapType::ARENA
    )
}

#[cold]
fn explain_create(errno: Errno, def: &MapDef, what: &str) -> Error {
    let (key, value, entries) = (def.key_size, def.value_size, def.max_entries);
    let outer = def.kind.holds_maps();
    match errno {
        Errno::EINVAL | Errno::EBADF if outer && def.inner.is_none() => Error::new(
            errno,
            format!("{what}: it does not say what its maps look like: write __array(values, struct INNER)"),
        ),
        Errno::EINVAL if def.kind == MapType::INSN_ARRAY => Error::new(
            errno,
            format!(
                "{what}: jump tables need maps of type insn_array, which Linux has from 6.19 on: compile with \
                 -fno-jump-tables, or for cpu v3"
            ),
        ),
        Errno::EINVAL | Errno::E2BIG => Error::new(
            errno,
            format!(
                "{what}: {}: the kernel refuses this combination of key size {key}, value size {value}, \
                 max_entries {entries} and flags {:#x}",
                errno.text(),
                def.flags.0
            ),
        ),
        Errno::ENOMEM => Error::new(
            errno,
            format!("{what}: not enough memory for {entries} entries of {key} + {value} bytes"),
        ),
        _ => words::error(errno, what),
    }
}

impl Backend for LinuxBackend {
    fn name(&self) -> &'static str {
        "linux"
    }

    fn create_map(&self, def: &MapDef) -> Result<Arc<dyn BackendMap>, Error> {
        Ok(Arc::new(self.create(def)?))
    }

    fn pinned_map(&self, path: &str) -> Result<Option<Arc<dyn BackendMap>>, Error> {
        pin::open(path).map(|map| map.map(|m| Arc::new(m) as Arc<dyn BackendMap>))
    }

    fn pin_map(&self, map: &dyn BackendMap, path: &str) -> Result<(), Error> {
        pin::pin(map, path)
    }

    fn load(
        &self,
        spec: &ProgramSpec,
        maps: &[Arc<dyn BackendMap>],
        options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError> {
        Ok(Arc::new(self.load_program(spec, &own(spec, maps)?, options)?))
    }

    fn load_extension(
        &self,
        spec: &ProgramSpec,
        maps: &[Arc<dyn BackendMap>],
        extended: &Arc<dyn BackendProgram>,
        options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError> {
        let Some(whole) = extended.as_any().downcast_ref::<LinuxProgram>() else {
            let name = extended.info().name;
            let words = format!("program `{}`: program `{name}` belongs to another backend", spec.name);
            return Err(LoadError { error: Error::new(Errno::EINVAL, words), log: String::new() });
        };
        Ok(Arc::new(self.load_onto(spec, &own(spec, maps)?, Some(whole), options)?))
    }

    fn attach_struct_ops(
        &self,
        map: &Arc<dyn BackendMap>,
        value: &[u8],
        functions: &[(u32, Arc<dyn BackendProgram>)],
    ) -> Result<Box<dyn BackendLink>, Error> {
        Ok(Box::new(StructOpsLink::attach(map, value, functions)?))
    }

    fn attach_socket(
        &self,
        program: &Arc<dyn BackendProgram>,
        interface: &str,
    ) -> Result<Box<dyn BackendLink>, Error> {
        Ok(Box::new(SocketLink::attach(program, interface)?))
    }
}

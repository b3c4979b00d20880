//! The kernel's compiler, by `BPF_PROG_TEST_RUN`.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use skep_linux::{LinuxBackend, LinuxMap, LinuxProgram};
use skep_spec::{BackendMap, BackendProgram, LoadOptions, MapDef, ProgramSpec, RunInput};

/// Maps in the kernel, by their names.
pub struct Kernel {
    backend: LinuxBackend,
    maps: Vec<(String, LinuxMap)>,
}

impl Kernel {
    /// `Err` with the reason when `bpf(2)` may not be used here.
    pub fn new(defs: &[Arc<MapDef>]) -> Result<Self, String> {
        let probe = LinuxBackend::probe();
        if let Some(why) = probe.reason() {
            return Err(why.to_owned());
        }
        let backend = LinuxBackend::new();
        let create =
            |def: &Arc<MapDef>| Ok((def.name.clone(), backend.create(def).map_err(|e| e.to_string())?));
        let maps = defs.iter().map(create).collect::<Result<_, String>>()?;
        Ok(Self { backend, maps })
    }

    /// The map of a name.
    pub fn map(&self, name: &str) -> Option<&LinuxMap> {
        self.maps.iter().find(|(n, _)| n == name).map(|(_, map)| map)
    }

    /// Puts a value into a map.
    pub fn put(&self, name: &str, key: &[u8], value: &[u8]) {
        self.map(name).expect("there is such a map").update(key, value, 0).expect("there is room");
    }

    /// Loads a program.
    pub fn load(&self, spec: &ProgramSpec) -> Result<LinuxProgram, String> {
        let fds: Vec<BorrowedFd<'_>> = spec
            .maps
            .iter()
            .map(|m| self.map(&m.name).map(AsFd::as_fd).ok_or_else(|| format!("no map {}", m.name)))
            .collect::<Result<_, _>>()?;
        self.backend.load_program(spec, &fds, LoadOptions::default()).map_err(|e| e.to_string())
    }
}

/// Runs a program so many times; what the last run gave.
pub fn run(program: &LinuxProgram, times: u32) -> u32 {
    let input = RunInput { data: &[0; 64], repeat: times, ..RunInput::default() };
    program.test_run(input).expect("it runs").retval
}

//! The backend on systems that are not Linux: every operation says so.

use std::sync::Arc;

use skep_spec::{
    Backend, BackendLink, BackendMap, BackendProgram, Errno, Error, LoadError, LoadOptions, MapDef,
    ProgramSpec,
};

use crate::Probe;

const WHY: &str = "the linux backend needs Linux; use the user backend";

fn error() -> Error {
    Error::new(Errno::ENOSYS, WHY)
}

/// None: other systems have no such types.
pub fn kernel_types() -> Option<&'static [u8]> {
    None
}

/// The backend of another system.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinuxBackend;

impl LinuxBackend {
    /// A backend whose every operation fails.
    pub fn new() -> Self {
        Self
    }

    /// Always no.
    pub fn probe() -> Probe {
        Probe::No(WHY.into())
    }
}

impl Backend for LinuxBackend {
    fn name(&self) -> &'static str {
        "linux"
    }

    fn create_map(&self, _def: &MapDef) -> Result<Arc<dyn BackendMap>, Error> {
        Err(error())
    }

    fn pinned_map(&self, _path: &str) -> Result<Option<Arc<dyn BackendMap>>, Error> {
        Err(error())
    }

    fn pin_map(&self, _map: &dyn BackendMap, _path: &str) -> Result<(), Error> {
        Err(error())
    }

    fn load(
        &self,
        _spec: &ProgramSpec,
        _maps: &[Arc<dyn BackendMap>],
        _options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError> {
        Err(LoadError { error: error(), log: String::new() })
    }

    fn load_extension(
        &self,
        _spec: &ProgramSpec,
        _maps: &[Arc<dyn BackendMap>],
        _extended: &Arc<dyn BackendProgram>,
        _options: LoadOptions,
    ) -> Result<Arc<dyn BackendProgram>, LoadError> {
        Err(LoadError { error: error(), log: String::new() })
    }

    fn attach_struct_ops(
        &self,
        _map: &Arc<dyn BackendMap>,
        _value: &[u8],
        _functions: &[(u32, Arc<dyn BackendProgram>)],
    ) -> Result<Box<dyn BackendLink>, Error> {
        Err(error())
    }

    fn attach_socket(
        &self,
        _program: &Arc<dyn BackendProgram>,
        _interface: &str,
    ) -> Result<Box<dyn BackendLink>, Error> {
        Err(error())
    }
}

/// Runs `f` in a thread without capabilities.
///
/// # Errors
/// Always `ENOSYS`.
pub fn unprivileged<T: Send>(_f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    Err(error())
}

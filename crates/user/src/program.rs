//! Programs of this backend.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use skep_spec::{BackendProgram, Error, ProgramInfo, RunInput, RunOutput};
use skep_vm::Program;

use crate::backend::Shared;
use crate::test_run;

/// A loaded program.
pub struct UserProgram {
    shared: Arc<Shared>,
    program: Arc<Program>,
    info: ProgramInfo,
    log: String,
}

impl fmt::Debug for UserProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserProgram").field("info", &self.info).finish_non_exhaustive()
    }
}

impl UserProgram {
    pub(crate) fn new(shared: Arc<Shared>, program: Arc<Program>, info: ProgramInfo, log: String) -> Self {
        Self { shared, program, info, log }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// The prepared program.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The verifier's log, as much as the load options asked for.
    pub fn log(&self) -> &str {
        &self.log
    }
}

impl BackendProgram for UserProgram {
    fn info(&self) -> ProgramInfo {
        self.info.clone()
    }

    fn test_run(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        test_run::test_run(&self.shared, &self.program, input)
    }

    fn raw_fd(&self) -> Option<i32> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

//! The interpreter, through the user backend.

use skep_spec::ProgramSpec;

use super::{Input, Oracle, Outcome, Privilege, Verdict};

/// The user backend with the interpreter as its engine.
pub struct Interpreter;

const MISSING: &str = "the user backend is not built yet";

impl Oracle for Interpreter {
    fn name(&self) -> &'static str {
        "interpreter"
    }

    fn available(&self) -> Result<(), String> {
        Err(MISSING.into())
    }

    fn verdict(&self, _spec: &ProgramSpec, _privilege: Privilege) -> Verdict {
        Verdict::Skipped(MISSING.into())
    }

    fn run(&self, _spec: &ProgramSpec, _privilege: Privilege, _inputs: &[Input]) -> Result<Outcome, Verdict> {
        Err(Verdict::Skipped(MISSING.into()))
    }
}

//! Native code, over the same maps and under the same verdict as the interpreter.

use std::sync::OnceLock;

use skep_abi::ProgramType;
use skep_isa::text::assemble;
use skep_spec::ProgramSpec;

use super::interpreter::{How, Interpreter, answer};
use super::{Answer, Native, Oracle, Privilege, Question, Verdict};

/// Programs as native code. What cannot be compiled runs in the interpreter, and the outcome says so.
pub struct Jit;

impl Oracle for Jit {
    fn name(&self) -> &'static str {
        "jit"
    }

    fn available(&self) -> Result<(), String> {
        static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
        let ask = || {
            let insns = assemble("r0 = 0; exit").map_err(|e| e.to_string())?;
            let spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, insns);
            match answer(&Question::new(&spec, Privilege::Privileged, &[]), How::Native) {
                Ok(outcome) => match outcome.native {
                    Native::No(why) => Err(why),
                    Native::Ran | Native::NotAsked => Ok(()),
                },
                Err(verdict) => Err(verdict.last_words()),
            }
        };
        ANSWER.get_or_init(ask).clone()
    }

    fn verdict(&self, spec: &ProgramSpec, privilege: Privilege) -> Verdict {
        Interpreter.verdict(spec, privilege)
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        answer(question, How::Native)
    }
}

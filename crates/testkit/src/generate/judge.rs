//! Who is asked about programs of which the verdict alone is compared: they may need the kernel's own types, and maps
//! or functions that no machine of ours runs.

use std::sync::{Arc, OnceLock};

use skep_btf::Btf;
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, Environment, ProgramSpec};
use skep_verifier::{Code, Options, verify};

use super::program::Generated;
use super::{Comparison, MOST_INSNS, dead_path, meant};
use crate::oracle::{self, Answer, Outcome, Verdict, drive};
use crate::selftests::ask::symbols;
use crate::verdicts;

/// `BPF_F_TEST_STATE_FREQ`.
const TEST_STATE_FREQ: u32 = 1 << 3;

/// The verifier with the running kernel's types, and the running kernel.
pub struct Judge {
    kernel: Option<Arc<Btf>>,
    linux: Option<LinuxBackend>,
    cpus: u32,
}

impl Judge {
    /// With the running kernel, where there is one to ask.
    pub fn new() -> Self {
        let kernel = verdicts::kernel_types().cloned();
        let linux = LinuxBackend::probe().is_yes().then(LinuxBackend::new);
        Self { kernel, linux, cpus: verdicts::cpus() }
    }

    /// Without a kernel to ask.
    pub fn alone() -> Self {
        Self { linux: None, ..Self::new() }
    }

    /// The running kernel's types.
    pub fn kernel(&self) -> Option<&Arc<Btf>> {
        self.kernel.as_ref()
    }

    /// The running kernel.
    pub fn linux(&self) -> Option<&LinuxBackend> {
        self.linux.as_ref()
    }

    fn environment(&self, spec: &ProgramSpec) -> Environment {
        static SYMBOLS: OnceLock<Option<Arc<std::collections::BTreeSet<String>>>> = OnceLock::new();
        let mut env = Environment::default();
        env.kernel_types.clone_from(&self.kernel);
        env.cpus = self.cpus;
        if spec.has_variables() {
            env.kernel_symbols.clone_from(SYMBOLS.get_or_init(symbols));
        }
        env
    }

    /// Makes the maps of a program.
    pub fn maps(&self, spec: &ProgramSpec) -> Option<Vec<Arc<dyn BackendMap>>> {
        match &self.linux {
            Some(linux) => drive::maps(linux, spec).ok(),
            None => Some(Vec::new()),
        }
    }

    /// Both verdicts on a program.
    pub fn compare(&self, generated: &Generated, maps: &[Arc<dyn BackendMap>]) -> Comparison {
        let spec = &generated.spec;
        let mut answers = vec![self.ask_skep(spec)];
        if !matches!(answers[0], Err(Verdict::Skipped(_))) {
            answers.push(self.ask_kernel(spec, maps));
        }
        let what = match &answers[..] {
            [ours, kernel] => oracle::disagreement(("interpreter", ours), ("kernel", kernel)),
            _ => None,
        };
        let env = self.environment(spec);
        let what = what.filter(|what| !meant(what, generated, &env));
        let refused = what.as_ref().is_some_and(|w| w.starts_with("verdict: interpreter accepts, kernel: "));
        let dead_path = refused && dead_path::only_dead_paths(generated, &env);
        let known_better = refused && !dead_path && dead_path::number_known_better(generated, &env);
        let what = what.filter(|_| !dead_path && !known_better);
        Comparison { what, answers, dead_path, known_better }
    }

    /// skep's verdict.
    pub fn ask_skep(&self, spec: &ProgramSpec) -> Answer {
        let test_state_freq = spec.flags & TEST_STATE_FREQ != 0;
        let options = Options { most_insns: MOST_INSNS, test_state_freq, ..Options::default() };
        match verify(spec, &self.environment(spec), &options) {
            Ok(_) => Ok(Outcome::default()),
            Err(r) if r.is_unsupported() => Err(Verdict::Unsupported(r.message().into())),
            // What a path comes to in spite of that says nothing, and may take Linux for ever.
            Err(r) if r.code() == Code::BadInsn && r.stats().insns_processed == 0 => {
                Err(Verdict::Skipped(r.message().into()))
            }
            Err(r) if r.code() == Code::TooComplex => Err(Verdict::Skipped(r.message().into())),
            Err(r) => Err(Verdict::Rejected { log: r.to_string() }),
        }
    }

    /// Linux's verdict.
    pub fn ask_kernel(&self, spec: &ProgramSpec, maps: &[Arc<dyn BackendMap>]) -> Answer {
        let Some(linux) = &self.linux else {
            return Err(Verdict::Skipped("no kernel to ask".into()));
        };
        let loaded = drive::load(linux as &dyn Backend, spec, maps, true).map(|_| Outcome::default());
        loaded.map_err(|verdict| match verdict {
            // It does not come to a verdict on programs for its functions, where it forbids them.
            Verdict::Rejected { log } if log.contains("Operation not permitted") => Verdict::Unsupported(log),
            other => other,
        })
    }
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

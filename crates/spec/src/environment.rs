//! The environment that a program is verified and run in.

use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{
    Capability, HELPERS, HelperProto, MAP_TYPES, MapType, MapTypeRow, PROGRAM_TYPES, ProgramType,
    ProgramTypeRow,
};

/// Which kernel's rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Linux 6.18.
    #[default]
    Linux6_18,
}

/// `NR_CPUS` at its largest.
const MAX_CPUS: u32 = 8192;

/// The tables and rights that verifier and engines consult: skep's own rows and an embedder's.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Kernel whose verdicts are given.
    pub profile: Profile,
    /// The loader's capability: `None` is the kernel's unprivileged mode, `Bpf` is `CAP_BPF` alone,
    /// `Perfmon` both (what root has).
    pub capability: Capability,
    /// Require natural alignment everywhere (`BPF_F_STRICT_ALIGNMENT`).
    pub strict_alignment: bool,
    /// CPU numbers that programs see are below this (`nr_cpu_ids`); at least 1. Unless set the most that Linux
    /// can have.
    pub cpus: u32,
    helpers: Vec<Arc<HelperProto>>,
    prog_types: Vec<Arc<ProgramTypeRow>>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            capability: Capability::Perfmon,
            strict_alignment: false,
            cpus: MAX_CPUS,
            helpers: Vec::new(),
            prog_types: Vec::new(),
        }
    }
}

impl Environment {
    /// The kernel's unprivileged rules.
    pub fn unprivileged() -> Self {
        Self { capability: Capability::None, ..Self::default() }
    }

    /// Whether pointers may be leaked and compared, loops and subprograms used without limit, and programs
    /// be as long as 1,000,000 instructions (`CAP_BPF`).
    pub fn privileged(&self) -> bool {
        self.capability >= Capability::Bpf
    }

    /// Adds a helper, or replaces one of the same id.
    pub fn add_helper(&mut self, proto: HelperProto) {
        self.helpers.retain(|h| h.id != proto.id);
        self.helpers.push(Arc::new(proto));
    }

    /// Adds a program type, or replaces one of the same id.
    pub fn add_program_type(&mut self, row: ProgramTypeRow) {
        self.prog_types.retain(|p| p.id != row.id);
        self.prog_types.push(Arc::new(row));
    }

    /// The contract of a helper.
    pub fn helper(&self, id: u32) -> Option<&HelperProto> {
        self.helpers.iter().find(|h| h.id == id).map(|h| &**h).or_else(|| HELPERS.iter().find(|h| h.id == id))
    }

    /// The row of a program type.
    pub fn program_type(&self, id: ProgramType) -> Option<&ProgramTypeRow> {
        self.prog_types
            .iter()
            .find(|p| p.id == id)
            .map(|p| &**p)
            .or_else(|| PROGRAM_TYPES.iter().find(|p| p.id == id))
    }

    /// The row of a map type.
    pub fn map_type(&self, id: MapType) -> Option<&'static MapTypeRow> {
        MAP_TYPES.iter().find(|m| m.id == id)
    }
}

//! The environment that a program is verified and run in.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{
    AttachType, Capability, HELPER_NAMES, HelperProto, KERNEL_MAP_TYPES, KERNEL_PROGRAM_TYPES, MAP_TYPES,
    MapType, MapTypeRow, PROGRAM_TYPES, ProgramType, ProgramTypeRow, SectionFlags, find_section, helper_name,
};
use skep_btf::Btf;
use skep_isa::CallTarget;
use skep_isa::text::Names;

use crate::ProgramSpec;

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
    /// The kernel's own types (`/sys/kernel/btf/vmlinux`), for programs on what is the kernel's.
    pub kernel_types: Option<Arc<Btf>>,
    /// Names of the kernel's symbols, where they are known: it finds the addresses of its variables by them, and without
    /// `CONFIG_KALLSYMS_ALL` does not have those. Unless set all that the types name are there.
    pub kernel_symbols: Option<Arc<BTreeSet<String>>>,
    /// The program of which programs of type `ext` replace a function.
    pub extended: Option<Arc<ProgramSpec>>,
    /// CPU numbers that programs see are below this (`nr_cpu_ids`); at least 1. Unless set the most that Linux
    /// can have.
    pub cpus: u32,
    helpers: Vec<Arc<HelperProto>>,
    prog_types: Vec<Arc<ProgramTypeRow>>,
    sections: Vec<(&'static str, ProgramType)>,
}

/// What the name of a section says of the program in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SectionMeaning<'n> {
    /// Program type.
    pub prog_type: ProgramType,
    /// Expected attach type.
    pub attach_type: AttachType,
    /// What else the row says.
    pub flags: SectionFlags,
    /// The part behind the `/`, where the type has one: `sched/sched_switch` of `tp/sched/sched_switch`.
    pub target: Option<&'n str>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            capability: Capability::Perfmon,
            strict_alignment: false,
            kernel_types: None,
            kernel_symbols: None,
            extended: None,
            cpus: MAX_CPUS,
            helpers: Vec::new(),
            prog_types: Vec::new(),
            sections: Vec::new(),
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

    /// Gives programs in sections of this name, alone or followed by `/` and a target, a type: `SEC("rule/admit")`.
    pub fn add_section(&mut self, name: &'static str, prog_type: ProgramType) {
        self.sections.retain(|(n, _)| *n != name);
        self.sections.push((name, prog_type));
    }

    /// What a section's name (without a leading `?`) says: the embedder's names count before libbpf's.
    pub fn section<'n>(&self, name: &'n str) -> Option<SectionMeaning<'n>> {
        let own = self.sections.iter().find_map(|&(section, prog_type)| {
            let rest = name.strip_prefix(section)?;
            let target = rest.strip_prefix('/');
            (rest.is_empty() || target.is_some()).then_some((prog_type, target))
        });
        if let Some((prog_type, target)) = own {
            let flags = SectionFlags(SectionFlags::NONE);
            return Some(SectionMeaning { prog_type, attach_type: AttachType::default(), flags, target });
        }
        let row = find_section(name)?;
        Some(SectionMeaning {
            prog_type: row.prog_type,
            attach_type: row.attach_type,
            flags: row.flags,
            target: row.target(name),
        })
    }

    /// The helper of a name: the embedder's, or any that Linux has, also those without a contract here.
    pub fn helper_by_name(&self, name: &str) -> Option<u32> {
        let own = self.helpers.iter().find(|h| h.name == name).map(|h| h.id);
        own.or_else(|| HELPER_NAMES.iter().find(|(_, n)| *n == name).map(|&(id, _)| id))
    }

    /// The contract that most program types have of a helper.
    pub fn helper(&self, id: u32) -> Option<&HelperProto> {
        self.own_helper(id).or_else(|| skep_abi::helper(id))
    }

    /// The contract that programs of a type have of a helper.
    pub fn helper_of(&self, row: &ProgramTypeRow, id: u32) -> Option<&HelperProto> {
        self.own_helper(id).or_else(|| row.own_helper(id)).or_else(|| skep_abi::helper(id))
    }

    /// The helpers that an embedder added.
    pub fn own_helpers(&self) -> impl Iterator<Item = &HelperProto> {
        self.helpers.iter().map(|h| &**h)
    }

    /// The embedder's row of a program type.
    pub fn own_program_type(&self, id: ProgramType) -> Option<&ProgramTypeRow> {
        self.prog_types.iter().find(|p| p.id == id).map(|p| &**p)
    }

    /// The embedder's.
    fn own_helper(&self, id: u32) -> Option<&HelperProto> {
        self.helpers.iter().find(|h| h.id == id).map(|h| &**h)
    }

    /// The row of a program type.
    pub fn program_type(&self, id: ProgramType) -> Option<&ProgramTypeRow> {
        self.own_program_type(id)
            .or_else(|| PROGRAM_TYPES.iter().chain(KERNEL_PROGRAM_TYPES).find(|p| p.id == id))
    }

    /// The row of a map type: of the user backend, or of a kernel's only.
    pub fn map_type(&self, id: MapType) -> Option<&'static MapTypeRow> {
        MAP_TYPES.iter().chain(KERNEL_MAP_TYPES).find(|m| m.id == id)
    }
}

/// Listings name the embedder's helpers too.
impl Names for Environment {
    fn name(&self, target: CallTarget) -> Option<&str> {
        match target {
            CallTarget::Helper(id) => self.helper(id).map(|h| h.name).or_else(|| helper_name(id)),
            CallTarget::Subprog(_) | CallTarget::Kfunc { .. } => None,
        }
    }
}

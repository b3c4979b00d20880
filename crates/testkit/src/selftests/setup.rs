//! What the tests' own runner does before it loads: rights, flags, first values of maps.

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use skep_abi::Capability;

/// Randomise the upper halves that 32-bit operations leave undefined.
pub const TEST_RND_HI32: u32 = 1 << 2;
/// Store a state at every jump.
pub const TEST_STATE_FREQ: u32 = 1 << 3;
/// Fail where ranges contradict each other.
pub const TEST_REG_INVARIANTS: u32 = 1 << 7;

/// Bytes, all zero, of the packet of a test run.
pub const PACKET_LEN: usize = 64;

/// Files of `verifier_*` that are loaded with `CAP_SYS_ADMIN`; the others are not.
const WITH_ADMIN: &[&str] = &["verifier_ctx", "verifier_default_trusted_ptr"];

/// Who loads a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Root.
    All,
    /// Root without `CAP_SYS_ADMIN`.
    NoAdmin,
    /// Without `CAP_SYS_ADMIN` and `CAP_PERFMON`.
    NoPerfmon,
    /// Without any capability that `bpf(2)` asks for.
    None,
}

impl Rights {
    /// Of the privileged tests of a file.
    pub fn of_file(file: &str) -> Self {
        match file {
            "verifier_mtu" => Self::NoPerfmon,
            f if f.starts_with("verifier_") && !WITH_ADMIN.contains(&f) => Self::NoAdmin,
            _ => Self::All,
        }
    }

    /// What skep's verifier calls it.
    pub fn capability(self) -> Capability {
        match self {
            Self::All | Self::NoAdmin => Capability::Perfmon,
            Self::NoPerfmon => Capability::Bpf,
            Self::None => Capability::None,
        }
    }

    fn dropped(self) -> CapabilitySet {
        let bpf = CapabilitySet::BPF | CapabilitySet::NET_ADMIN;
        match self {
            Self::All => CapabilitySet::empty(),
            Self::NoAdmin => CapabilitySet::SYS_ADMIN,
            Self::NoPerfmon => CapabilitySet::SYS_ADMIN | CapabilitySet::PERFMON,
            Self::None => CapabilitySet::SYS_ADMIN | CapabilitySet::PERFMON | bpf,
        }
    }
}

/// Runs `f` while this thread's effective capabilities lack some.
///
/// # Errors
/// When the kernel does not let it drop them or take them back.
pub fn with<T>(rights: Rights, f: impl FnOnce() -> T) -> Result<T, String> {
    let words = |e| format!("capabilities: {e}");
    let all = capabilities(None).map_err(words)?;
    let mut fewer = all;
    fewer.effective -= rights.dropped();
    set_capabilities(None, fewer).map_err(words)?;
    let result = f();
    set_capabilities(None, all).map_err(words)?;
    Ok(result)
}

/// What the first element of a map holds before the programs of a file run: an index of 28 and, at that byte, a number.
pub fn first_value(file: &str, map: &str) -> Option<Vec<u8>> {
    let at = [("verifier_array_access", "map_array_ro"), ("verifier_value_ptr_arith", "map_array_48b")];
    at.contains(&(file, map)).then(|| {
        let mut value = vec![0; 48];
        value[..4].copy_from_slice(&28u32.to_ne_bytes());
        value[28..32].copy_from_slice(&0xabcd_ef12_u32.to_ne_bytes());
        value
    })
}

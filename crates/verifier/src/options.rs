//! What a caller may ask of a verification.

use crate::limits::PROCESSED_INSNS;

/// The bit of the log level for statistics (`BPF_LOG_STATS`).
pub(crate) const STATISTICS: u32 = 4;

/// How to verify. The rules themselves come from the program and its `Environment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bits as in `bpf(2)`: 1 the failing path and a summary, 2 every instruction on every path,
    /// 4 statistics. 0 writes no log; any other ends with a summary.
    pub log_level: u32,
    /// Bytes after which the log takes no more instructions. Refusal and summary are always written.
    pub log_size: usize,
    /// Keep what was known at each instruction, for checking it against concrete runs. Every number counts
    /// then when states are compared, so that each concrete state is one that was kept.
    pub record_states: bool,
    /// Store a state at every point where paths may meet (`BPF_F_TEST_STATE_FREQ`): slower, finds more.
    pub test_state_freq: bool,
    /// Instructions that may be processed, over all paths, before the verification gives up: the kernel's limit,
    /// or less for who has no time.
    pub most_insns: u32,
    /// Keep what each instruction cost.
    pub costs: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            log_level: 0,
            log_size: 16 << 20,
            record_states: false,
            test_state_freq: false,
            most_insns: PROCESSED_INSNS,
            costs: false,
        }
    }
}

//! Headers of records in ring buffers, and of samples in user ring buffers (`include/uapi/linux/bpf.h`, Linux 6.18).

/// `BPF_RINGBUF_BUSY_BIT` of a length: the record is still being written.
pub const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT` of a length: the record was discarded.
pub const DISCARD: u32 = 1 << 30;
/// `BPF_RINGBUF_HDR_SZ`: bytes before a record's payload.
pub const HDR_SZ: usize = 8;

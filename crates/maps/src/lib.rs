//! Concurrent eBPF maps and ring buffers in shareable memory.

//! The Linux kernel as an eBPF backend through bpf(2).

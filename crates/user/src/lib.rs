//! The embedded eBPF backend: event sources, vCPUs.

//! eBPF as a whole system: one API over an embedded VM and the Linux kernel.

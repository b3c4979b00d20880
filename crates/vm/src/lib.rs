//! eBPF interpreter, guest memory and helper bodies.

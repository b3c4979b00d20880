//! Proves that an eBPF program terminates and stays in bounds.
#![no_std]
#![forbid(unsafe_code)]

//! clang's eBPF ELF objects to specs.
#![no_std]
#![forbid(unsafe_code)]

//! The embedded eBPF backend: event sources, vCPUs.
//!
//! `unsafe` stands in [`sys`] alone: thin layers over system calls and memory shared with the kernel.
#![deny(unsafe_code)]

pub mod source;
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "system calls and memory shared with the kernel")]
mod sys;

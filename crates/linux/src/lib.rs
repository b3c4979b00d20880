//! The Linux kernel as a backend, through `bpf(2)` itself.
//!
//! [`LinuxBackend`] implements [`skep_spec::Backend`]: maps and programs are the kernel's, an error is the
//! kernel's number plus words that name the map or program and what to do. [`LinuxBackend::probe`] says
//! whether `bpf(2)` can be used here at all. Beyond the trait, [`RawLoad`] loads slots as they stand and
//! [`unprivileged`] runs a closure in a thread that has given up its capabilities: the differential tests
//! need both.
//!
//! On systems other than Linux everything compiles and every operation fails with `ENOSYS`.
#![deny(missing_docs)]

mod probe;

#[cfg(target_os = "linux")]
mod attach;
#[cfg(target_os = "linux")]
mod backend;
#[cfg(target_os = "linux")]
mod btf;
#[cfg(target_os = "linux")]
mod extension;
#[cfg(target_os = "linux")]
mod kfunc;
#[cfg(target_os = "linux")]
mod map;
#[cfg(target_os = "linux")]
mod module;
#[cfg(target_os = "linux")]
mod perf;
#[cfg(target_os = "linux")]
mod pin;
#[cfg(target_os = "linux")]
mod produce;
mod program;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod struct_ops;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod view;
#[cfg(target_os = "linux")]
mod words;

#[cfg(not(target_os = "linux"))]
mod unsupported;

pub use probe::Probe;

#[cfg(target_os = "linux")]
pub use {
    backend::LinuxBackend,
    map::LinuxMap,
    program::{LinuxProgram, RawLoad},
    sys::caps::unprivileged,
    sys::mapped::kernel_types,
};

#[cfg(not(target_os = "linux"))]
pub use unsupported::{LinuxBackend, kernel_types, unprivileged};

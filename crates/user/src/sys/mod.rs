//! System calls, kernel-shared memory, and what runs read without locks: the only `unsafe` code of this crate.

#[cfg(target_os = "linux")]
pub(crate) mod fd;
#[cfg(target_os = "linux")]
pub(crate) mod folder;
#[cfg(all(test, target_os = "linux"))]
mod fork_tests;
#[cfg(target_os = "linux")]
pub(crate) mod memfd;
#[cfg(target_os = "linux")]
mod mend;
#[cfg(target_os = "linux")]
pub(crate) mod namespace;
#[cfg(target_os = "linux")]
pub(crate) mod objects;
#[cfg(target_os = "linux")]
pub(crate) mod packet;
#[cfg(target_os = "linux")]
mod peers;
pub(crate) mod published;
#[cfg(target_os = "linux")]
pub(crate) mod slots;
#[cfg(target_os = "linux")]
pub(crate) mod task;
#[cfg(target_os = "linux")]
pub(crate) mod time;

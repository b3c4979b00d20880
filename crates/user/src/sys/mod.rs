//! System calls and kernel-shared memory: the only `unsafe` code of this crate.

pub(crate) mod fd;
pub(crate) mod memfd;
pub(crate) mod namespace;
pub(crate) mod packet;
pub(crate) mod task;
pub(crate) mod time;

//! The kernel's own verifier tests as a measure: annotation, running kernel and skep side by side.
//!
//! The tests are C programs of Linux's source (tools/testing/selftests/bpf/progs) whose functions say in declaration
//! tags what is to become of them. They are unpacked and compiled outside the repository, and nothing of them is
//! ever committed: only figures are.
//!
//! - [`source`]: the tree, from Debian's package.
//! - [`build`]: headers and objects.
//! - [`tags`]: what a function's tags expect.
//! - [`setup`]: the rights and first values that a file of tests wants.
//! - [`ask`]: one object, asked program by program; runs in a process of its own.
//! - [`campaign`]: all objects, and children that die.
//! - [`record`]: a line of results.
//! - [`report`]: totals and groups.

pub mod ask;
pub mod build;
pub mod campaign;
pub mod record;
pub mod report;
pub mod setup;
pub mod source;
pub mod tags;

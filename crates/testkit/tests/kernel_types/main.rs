//! Programs on the kernel's own types against the running kernel.

mod common;

mod arguments;
mod iterators;
mod maps;
mod objects;
mod sections;
mod variables;

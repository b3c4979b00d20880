//! BTF: read, write, print values.
#![no_std]
#![forbid(unsafe_code)]

#![no_std]
#![forbid(unsafe_code)]
//! BTF.
/// BTF.
#[derive(Debug)]
pub struct Btf;

//! What all sides of skep speak: ProgramSpec, MapDef, Environment, Backend, Errno.
#![no_std]
#![forbid(unsafe_code)]

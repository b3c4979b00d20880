//! Other implementations, behind one shape.

pub mod rbpf_map;
pub mod sbpf;

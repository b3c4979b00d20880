//! Other implementations, behind one shape.

pub mod sbpf;

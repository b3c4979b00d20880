//! The Linux eBPF contract as tables: helpers, map types, program types, contexts, sections.
#![no_std]
#![forbid(unsafe_code)]

//! Code as the runtime takes it.

use core::mem::transmute;
use std::sync::Arc;

use skep_vm::native::{self as vm, Binding, Entry, Native};

use crate::compile::Compiled;

/// The native code of a program.
///
/// `entries`: slots of functions with the offsets of their entries; the main function's slot is 0. `tail_entry`: offset of what
/// tail calls jump to. `ctx_bytes`: how much of the context is accessed.
pub(crate) fn native(
    binding: &Binding<'_>,
    compiled: Arc<Compiled>,
    entries: &[(u32, u32)],
    tail_entry: u32,
    ctx_bytes: usize,
) -> Native {
    let entry = |offset: u32| -> Entry {
        let at = core::ptr::with_exposed_provenance::<()>(compiled.code.address(offset) as usize);
        // SAFETY: a function that was generated with the C convention and this signature (as many parameters as it uses), in
        // memory that `Compiled` keeps, which `Native` keeps.
        unsafe { transmute::<*const (), Entry>(at) }
    };
    let main = entries.iter().find(|(slot, _)| *slot == 0).expect("every program has a main function").1;
    let functions =
        entries.iter().filter(|(slot, _)| *slot != 0).map(|(slot, at)| (*slot, entry(*at))).collect();
    let code = vm::Code {
        entry: entry(main),
        jump: compiled.code.address(tail_entry) as usize,
        functions,
        ctx_bytes,
        bytes: compiled.report().bytes,
        compile_ns: compiled.report().total_ns(),
        keep: compiled,
    };
    // SAFETY: the code is what `build` and the passes made of this binding's program, by its proof, and lowered for the
    // runtime's own services; entries as above; `build` counts what it accesses of the context.
    unsafe { Native::new(binding, code) }
}

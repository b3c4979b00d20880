//! The running kernel, as tests ask it: its types, and whether it gives verdicts.

use std::sync::{Arc, OnceLock};

use skep_btf::Btf;
use skep_linux::LinuxBackend;
use skep_spec::Environment;

/// The running kernel's own types, parsed once; `None` where it shows none.
pub fn types() -> Option<&'static Arc<Btf>> {
    static TYPES: OnceLock<Option<Arc<Btf>>> = OnceLock::new();
    let read = || {
        let bytes = std::fs::read("/sys/kernel/btf/vmlinux").ok()?;
        Some(Arc::new(Btf::parse(&bytes).expect("the kernel's types are legal")))
    };
    TYPES.get_or_init(read).as_ref()
}

/// The types, and an environment with them; says why there are none.
pub fn typed() -> Option<(Arc<Btf>, Environment)> {
    let Some(btf) = types() else {
        println!("skipped: no types of the kernel");
        return None;
    };
    let mut env = Environment::default();
    env.kernel_types = Some(btf.clone());
    Some((btf.clone(), env))
}

/// The kernel to ask; says why not.
pub fn asked() -> Option<LinuxBackend> {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return None;
    }
    Some(LinuxBackend::new())
}

/// The kernel to ask, and an environment with its types; says why not.
pub fn with_types() -> Option<(LinuxBackend, Environment)> {
    let linux = asked()?;
    typed().map(|(_, env)| (linux, env))
}

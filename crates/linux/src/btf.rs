//! BTF objects of the kernel.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use skep_btf::{Btf, Endian};
use skep_spec::Errno;

use crate::program::text;
use crate::sys;

/// Bytes for the kernel's log about BTF; it is only for messages, so it need not be complete.
const LOG_BYTES: usize = 64 << 10;

/// A BTF object, or why the kernel has none of it.
pub(crate) type Loaded = Result<Arc<OwnedFd>, String>;

/// The objects that this backend has loaded, so that all maps and programs of a file share one.
#[derive(Default)]
pub(crate) struct Cache {
    objects: Mutex<HashMap<usize, (Weak<Btf>, Loaded)>>,
}

impl Cache {
    /// The kernel's object for `btf`.
    pub(crate) fn get(&self, btf: &Arc<Btf>) -> Loaded {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.retain(|_, (owner, _)| owner.strong_count() > 0);
        let key = Arc::as_ptr(btf) as usize;
        // A live owner keeps its address, so the key is unique among the entries that are left.
        let entry = objects.entry(key).or_insert_with(|| (Arc::downgrade(btf), load(btf)));
        entry.1.clone()
    }
}

fn load(btf: &Btf) -> Loaded {
    let bytes = btf.to_bytes(Endian::NATIVE);
    match sys::btf_load(&bytes, &mut []) {
        Ok(fd) => Ok(Arc::new(fd)),
        Err(Errno::EPERM) => Err("the kernel does not let us load BTF".into()),
        Err(_) => {
            let mut log = vec![0; LOG_BYTES];
            match sys::btf_load(&bytes, &mut log) {
                Ok(fd) => Ok(Arc::new(fd)),
                Err(errno) => {
                    let log = text(&log);
                    let last = log.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no reason given");
                    Err(format!("the kernel refuses the BTF: {errno}: {}", last.trim()))
                }
            }
        }
    }
}

//! libbpf's static linker.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use libbpf_sys as sys;

/// Links files to `output`; its messages if it does not.
pub fn link(files: &[PathBuf], output: &Path) -> Result<(), Vec<String>> {
    let _one = crate::ONE.lock().unwrap_or_else(|e| e.into_inner());
    // SAFETY: the function lives as long as the process.
    unsafe { sys::libbpf_set_print(Some(crate::collect)) };
    crate::MESSAGES.lock().expect("nobody panics with it").clear();
    let text = |p: &Path| CString::new(p.to_str().expect("UTF-8")).expect("a path");
    let output = text(output);
    // SAFETY: names outlive the calls; the linker is used until it is freed.
    let done = unsafe {
        let linker = sys::bpf_linker__new(output.as_ptr(), std::ptr::null_mut());
        assert!(!linker.is_null(), "{output:?} can be written");
        let added =
            files.iter().all(|f| sys::bpf_linker__add_file(linker, text(f).as_ptr(), std::ptr::null()) == 0);
        let done = added && sys::bpf_linker__finalize(linker) == 0;
        sys::bpf_linker__free(linker);
        done
    };
    match done {
        true => Ok(()),
        false => Err(std::mem::take(&mut *crate::MESSAGES.lock().expect("nobody panics with it"))),
    }
}

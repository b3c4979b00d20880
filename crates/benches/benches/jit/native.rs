//! The same C for this machine: each compiler that there is makes a shared object of it, at -O2.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_void};
use std::path::Path;
use std::process::Command;

/// Compilers that are tried, newest first.
const COMPILERS: &[&str] = &["clang-22", "clang-21", "clang-20", "clang-19", "clang", "gcc", "cc"];

/// A program as the machine's own function.
pub type Function = unsafe extern "C" fn(memory: *mut u8) -> i32;

/// A shared object that one compiler made.
pub struct Native {
    /// The compiler.
    pub compiler: &'static str,
    handle: *mut c_void,
}

impl Native {
    /// What the compilers of this machine make of a file: clang's newest, and gcc's.
    pub fn all(source: &str) -> Vec<Self> {
        let mut families = Vec::new();
        let mut made = Vec::new();
        for compiler in COMPILERS {
            let family = if compiler.starts_with("clang") { "clang" } else { "gcc" };
            if families.contains(&family) {
                continue;
            }
            if let Some(native) = Self::compile(compiler, source) {
                families.push(family);
                made.push(native);
            }
        }
        made
    }

    fn compile(compiler: &'static str, source: &str) -> Option<Self> {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        let name = format!("{source}-{compiler}-{}.so", std::process::id());
        let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let made = Command::new(compiler)
            .args(["-O2", "-fPIC", "-shared", "-fno-strict-aliasing", "-w", "-I"])
            .arg(programs.join("native"))
            .arg("-o")
            .arg(&object)
            .arg(programs.join(format!("{source}.bpf.c")))
            .output();
        if !made.is_ok_and(|made| made.status.success()) {
            return None;
        }
        let path = CString::new(object.to_str()?).ok()?;
        // SAFETY: a path that ends in NUL; the object runs nothing when it is loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        _ = std::fs::remove_file(&object);
        (!handle.is_null()).then_some(Self { compiler, handle })
    }

    fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is of `dlopen` and is never closed.
        unsafe { libc::dlsym(self.handle, name.as_ptr()) }
    }

    /// The function over memory at its argument.
    pub fn function(&self, name: &str) -> Option<Function> {
        let symbol = self.symbol(&CString::new(format!("{name}_mem")).ok()?);
        // SAFETY: the source defines it as `int NAME_mem(void *)`.
        (!symbol.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, Function>(symbol) })
    }
}

/// Calls a function so many times; what the last call gave.
pub fn call(function: Function, memory: &mut [u8], times: u32) -> i32 {
    assert!(memory.len() >= benches::MEMORY);
    let mut result = 0;
    for _ in 0..times {
        // SAFETY: the programs access the first 512 bytes at their argument, and counters of their own.
        result = std::hint::black_box(unsafe { function(std::hint::black_box(memory.as_mut_ptr())) });
    }
    result
}

//! libbpf 1.7 as an oracle for skep's loader: what it makes of an object file.
//!
//! An object is *prepared* (`bpf_object__prepare`): externs resolved, types relocated, functions linked, maps
//! created; no program is loaded, so that what the verifier would say does not matter. That needs `bpf(2)`.
//! [`btf`] is its word on types alone.

mod inspect;
pub mod linker;
pub mod maps;
pub mod sections;
mod view;

pub mod btf;

use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use libbpf_sys as sys;
use skep_isa::Insn;

pub use inspect::{How, Refused, inspect};
pub use view::{LinkedView, MapView, ProgramView, View, normal};

/// A program as libbpf would load it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Name of the function.
    pub name: String,
    /// Whether it is loaded by default.
    pub autoload: bool,
    /// Linked and relocated instructions, with descriptors of maps.
    pub insns: Vec<Insn>,
}

/// Messages of libbpf in the order that it printed them. It prints through one function for the whole process.
static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Only one object at a time, so that messages are its own.
static ONE: Mutex<()> = Mutex::new(());

unsafe extern "C" fn collect(
    level: sys::libbpf_print_level,
    format: *const std::ffi::c_char,
    args: *mut sys::__va_list_tag,
) -> i32 {
    if level == sys::LIBBPF_DEBUG {
        return 0;
    }
    let mut text = [0u8; 1024];
    // SAFETY: libbpf hands a format and its arguments; the buffer's length is given.
    let len = unsafe { vsnprintf(text.as_mut_ptr().cast(), text.len(), format, args) };
    let len = usize::try_from(len).unwrap_or(0).min(text.len() - 1);
    if let Ok(mut messages) = MESSAGES.lock() {
        messages.push(String::from_utf8_lossy(&text[..len]).trim_end().to_owned());
    }
    0
}

unsafe extern "C" {
    fn vsnprintf(
        buf: *mut std::ffi::c_char,
        len: usize,
        format: *const std::ffi::c_char,
        args: *mut sys::__va_list_tag,
    ) -> i32;
}

/// Nobody else's messages from now on, as long as the guard lives.
fn quiet_start() -> MutexGuard<'static, ()> {
    let one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    // SAFETY: the function lives as long as the process.
    unsafe { sys::libbpf_set_print(Some(collect)) };
    messages();
    one
}

/// Messages since the last call of this.
fn messages() -> Vec<String> {
    std::mem::take(&mut *MESSAGES.lock().expect("nobody panics with it"))
}

/// What libbpf makes of a whole object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Programs in order.
    pub programs: Vec<Program>,
    /// Name, size, flags and first value of the map that holds the kernel's configuration.
    pub kconfig: Option<(String, u32, u32, Vec<u8>)>,
}

/// Whether this process may use `bpf(2)`; the reason if not.
pub fn available() -> Result<(), String> {
    let opts =
        sys::bpf_map_create_opts { sz: size_of::<sys::bpf_map_create_opts>() as u64, ..Default::default() };
    // SAFETY: options with their size; no name.
    let fd = unsafe { sys::bpf_map_create(sys::BPF_MAP_TYPE_ARRAY, std::ptr::null(), 4, 4, 1, &opts) };
    if fd < 0 {
        return Err(format!("bpf(2): error {}", -fd));
    }
    // SAFETY: the descriptor is ours.
    unsafe { libc_close(fd) };
    Ok(())
}

unsafe extern "C" {
    #[link_name = "close"]
    fn libc_close(fd: i32) -> i32;
}

/// What libbpf makes of an object: its programs, or its messages.
///
/// `target` is a file with BTF for CO-RE; without one it takes the running kernel's. `kconfig` is configuration
/// that overrides the kernel's.
pub fn prepare(object: &Path, target: Option<&Path>, kconfig: Option<&str>) -> Result<Object, Vec<String>> {
    let _one = quiet_start();
    let failed = || Err(messages());
    let text = |p: &str| CString::new(p).expect("a path");
    let path = text(object.to_str().expect("UTF-8"));
    let target = target.map(|t| text(t.to_str().expect("UTF-8")));
    let kconfig = kconfig.map(text);
    let opts = sys::bpf_object_open_opts {
        sz: size_of::<sys::bpf_object_open_opts>() as u64,
        btf_custom_path: target.as_ref().map_or(std::ptr::null(), |t| t.as_ptr()),
        kconfig: kconfig.as_ref().map_or(std::ptr::null(), |t| t.as_ptr()),
        ..Default::default()
    };
    // SAFETY: strings and options outlive the call.
    let o = unsafe { sys::bpf_object__open_file(path.as_ptr(), &opts) };
    if o.is_null() {
        return failed();
    }
    // SAFETY: the object is open.
    let err = unsafe { sys::bpf_object__prepare(o) };
    let mut out = Vec::new();
    let mut p = std::ptr::null_mut();
    loop {
        // SAFETY: the object is open, and `p` is null or one of its programs.
        p = unsafe { sys::bpf_object__next_program(o, p) };
        if p.is_null() || err != 0 {
            break;
        }
        // SAFETY: a program of the open object; names and instructions live as long as it.
        let (name, autoload, insns) = unsafe {
            let insns = std::slice::from_raw_parts(
                sys::bpf_program__insns(p).cast::<[u8; 8]>(),
                sys::bpf_program__insn_cnt(p) as usize,
            );
            (CStr::from_ptr(sys::bpf_program__name(p)), sys::bpf_program__autoload(p), insns)
        };
        let insns = insns.iter().map(|b| Insn::from_bytes(*b, skep_isa::Endian::NATIVE)).collect();
        out.push(Program { name: name.to_string_lossy().into_owned(), autoload, insns });
    }
    let mut config = None;
    let mut m = std::ptr::null_mut();
    loop {
        // SAFETY: the object is open, and `m` is null or one of its maps.
        m = unsafe { sys::bpf_object__next_map(o, m) };
        if m.is_null() || err != 0 {
            break;
        }
        // SAFETY: a map of the open object; its name and first value live as long as it.
        unsafe {
            let name = CStr::from_ptr(sys::bpf_map__name(m)).to_string_lossy().into_owned();
            let mut size = 0;
            let value = sys::bpf_map__initial_value(m, &mut size);
            if name.ends_with(".kconfig") && !value.is_null() {
                let bytes = std::slice::from_raw_parts(value.cast::<u8>(), size as usize).to_vec();
                config = Some((name, sys::bpf_map__value_size(m), sys::bpf_map__map_flags(m), bytes));
            }
        }
    }
    // SAFETY: it is not used after this.
    unsafe { sys::bpf_object__close(o) };
    if err != 0 { failed() } else { Ok(Object { programs: out, kconfig: config }) }
}

/// Opens and loads an object, and lets it go again; libbpf's messages if it does not load.
pub fn load(object: &Path) -> Result<(), Vec<String>> {
    let _one = quiet_start();
    let path = CString::new(object.to_str().expect("UTF-8")).expect("a path");
    // SAFETY: the path outlives the call; the object is not used after it is closed.
    let done = unsafe {
        let o = sys::bpf_object__open_file(path.as_ptr(), std::ptr::null());
        !o.is_null() && {
            let done = sys::bpf_object__load(o) == 0;
            sys::bpf_object__close(o);
            done
        }
    };
    if done { Ok(()) } else { Err(messages()) }
}

//! Maps of an object as libbpf opens it.

use std::ffi::{CStr, CString};
use std::path::Path;

use libbpf_sys as sys;

use crate::{MESSAGES, ONE, collect};

/// A map's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Name, uncut.
    pub name: String,
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Bytes of a key, bytes of a value, elements.
    pub geometry: (u32, u32, u32),
    /// Creation flags.
    pub flags: u32,
    /// NUMA node.
    pub numa_node: u32,
    /// `map_extra`.
    pub map_extra: u64,
    /// Types of key and value.
    pub types: (u32, u32),
    /// Whether it has a place to be pinned at.
    pub pinned: bool,
    /// Whether it is created unless somebody says otherwise.
    pub autocreate: bool,
    /// First value of global data, first bytes of an arena.
    pub initial: Option<Vec<u8>>,
    /// What its elements look like.
    pub inner: Option<Box<Map>>,
}

fn text(p: *const std::ffi::c_char) -> String {
    // SAFETY: names of an open object live as long as it.
    if p.is_null() { String::new() } else { unsafe { CStr::from_ptr(p) }.to_string_lossy().into_owned() }
}

/// # Safety
/// `m` is a map of an open object.
unsafe fn describe(m: *mut sys::bpf_map) -> Map {
    let mut size = 0;
    // SAFETY: the caller's map; what is handed out lives as long as the object and is copied.
    unsafe {
        let kind = sys::bpf_map__type(m);
        let value = sys::bpf_map__initial_value(m, &mut size);
        // That of struct_ops holds pointers.
        let initial = (!value.is_null() && kind != sys::BPF_MAP_TYPE_STRUCT_OPS)
            .then(|| std::slice::from_raw_parts(value.cast::<u8>(), size as usize).to_vec());
        let inner = sys::bpf_map__inner_map(m);
        Map {
            name: text(sys::bpf_map__name(m)),
            kind,
            geometry: (sys::bpf_map__key_size(m), sys::bpf_map__value_size(m), sys::bpf_map__max_entries(m)),
            flags: sys::bpf_map__map_flags(m),
            numa_node: sys::bpf_map__numa_node(m),
            map_extra: sys::bpf_map__map_extra(m),
            types: (sys::bpf_map__btf_key_type_id(m), sys::bpf_map__btf_value_type_id(m)),
            pinned: !sys::bpf_map__pin_path(m).is_null(),
            autocreate: sys::bpf_map__autocreate(m),
            initial,
            // An inner map comes with its outer one.
            inner: (!inner.is_null()).then(|| Box::new(Map { autocreate: true, ..describe(inner) })),
        }
    }
}

/// Opens an object; gives its maps, or libbpf's messages.
pub fn open(object: &Path) -> Result<Vec<Map>, Vec<String>> {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    // SAFETY: the function lives as long as the process.
    unsafe { sys::libbpf_set_print(Some(collect)) };
    MESSAGES.lock().expect("nobody panics with it").clear();
    let path = CString::new(object.to_str().expect("UTF-8")).expect("a path");
    // SAFETY: the path outlives the call.
    let o = unsafe { sys::bpf_object__open_file(path.as_ptr(), std::ptr::null()) };
    if o.is_null() {
        return Err(std::mem::take(&mut *MESSAGES.lock().expect("nobody panics with it")));
    }
    let mut out = Vec::new();
    let mut m = std::ptr::null_mut();
    loop {
        // SAFETY: the object is open, and `m` is null or one of its maps.
        m = unsafe { sys::bpf_object__next_map(o, m) };
        if m.is_null() {
            break;
        }
        // SAFETY: a map of the open object.
        out.push(unsafe { describe(m) });
    }
    // SAFETY: it is not used after this.
    unsafe { sys::bpf_object__close(o) };
    Ok(out)
}

/// What libbpf makes of `struct_ops` maps and their programs once it has loaded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ops {
    /// Name, bytes of the value, flags and whether it was created, of each map.
    pub maps: Vec<(String, u32, u32, bool)>,
    /// Name, whether it was loaded, and the expected attach type, of each program.
    pub programs: Vec<(String, bool, u32)>,
}

/// Loads an object into the kernel; gives what it has then, or libbpf's messages.
pub fn load(object: &Path) -> Result<Ops, Vec<String>> {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    // SAFETY: the function lives as long as the process.
    unsafe { sys::libbpf_set_print(Some(collect)) };
    MESSAGES.lock().expect("nobody panics with it").clear();
    let failed = || Err(std::mem::take(&mut *MESSAGES.lock().expect("nobody panics with it")));
    let path = CString::new(object.to_str().expect("UTF-8")).expect("a path");
    // SAFETY: the path outlives the call; the object is closed once, at the end, and its maps and programs are asked
    // before that.
    unsafe {
        let o = sys::bpf_object__open_file(path.as_ptr(), std::ptr::null());
        if o.is_null() {
            return failed();
        }
        let err = sys::bpf_object__load(o);
        let mut out = Ops { maps: Vec::new(), programs: Vec::new() };
        let mut m = sys::bpf_object__next_map(o, std::ptr::null());
        while !m.is_null() && err == 0 {
            if sys::bpf_map__type(m) == sys::BPF_MAP_TYPE_STRUCT_OPS {
                let created = sys::bpf_map__autocreate(m);
                // Of those that are not created it is the local type's.
                let size = if created { sys::bpf_map__value_size(m) } else { 0 };
                out.maps.push((text(sys::bpf_map__name(m)), size, sys::bpf_map__map_flags(m), created));
            }
            m = sys::bpf_object__next_map(o, m);
        }
        let mut p = sys::bpf_object__next_program(o, std::ptr::null_mut());
        while !p.is_null() && err == 0 {
            let loaded = sys::bpf_program__autoload(p);
            let attach = if loaded { sys::bpf_program__expected_attach_type(p) } else { 0 };
            out.programs.push((text(sys::bpf_program__name(p)), loaded, attach));
            p = sys::bpf_object__next_program(o, p);
        }
        sys::bpf_object__close(o);
        if err == 0 { Ok(out) } else { failed() }
    }
}

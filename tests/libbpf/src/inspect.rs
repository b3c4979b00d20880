//! What libbpf makes of an object, in all that its functions tell.

use std::ffi::{CStr, CString};
use std::path::Path;

use libbpf_sys as sys;
use skep_isa::{Endian, Insn};

use crate::view::{LinkedView, MapView, ProgramView, View, normal};
use crate::{messages, quiet_start};

/// Why libbpf does not take an object.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Whether it opened the object, and refused to prepare it.
    pub opened: bool,
    /// Its messages.
    pub messages: Vec<String>,
}

/// How to prepare an object.
#[derive(Clone, Copy, Default)]
pub struct How<'a> {
    /// A file with types for CO-RE; without one the running kernel's.
    pub target: Option<&'a Path>,
    /// Configuration that overrides the kernel's.
    pub kconfig: Option<&'a str>,
    /// Whether programs that are not loaded by default are wanted as well.
    pub all: bool,
}

struct Open(*mut sys::bpf_object);

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: it is open, and nothing of it is used after this.
        unsafe { sys::bpf_object__close(self.0) }
    }
}

/// Opens and prepares an object. Nothing is pinned, and nothing stays.
pub fn inspect(object: &Path, how: How<'_>) -> Result<View, Refused> {
    let _one = quiet_start();
    let text = |p: &str| CString::new(p).expect("no NUL");
    let path = text(object.to_str().expect("UTF-8"));
    let target = how.target.map(|t| text(t.to_str().expect("UTF-8")));
    let kconfig = how.kconfig.map(text);
    let opts = sys::bpf_object_open_opts {
        sz: size_of::<sys::bpf_object_open_opts>() as u64,
        btf_custom_path: target.as_ref().map_or(std::ptr::null(), |t| t.as_ptr()),
        kconfig: kconfig.as_ref().map_or(std::ptr::null(), |t| t.as_ptr()),
        ..Default::default()
    };
    // SAFETY: strings and options outlive the call.
    let o = unsafe { sys::bpf_object__open_file(path.as_ptr(), &opts) };
    if o.is_null() {
        return Err(Refused { opened: false, messages: messages() });
    }
    let o = Open(o);
    let mut view = View::default();
    each_map(&o, |m| {
        view.maps.push(map(m));
        // SAFETY: a map of the open object; without a path it is not pinned.
        unsafe {
            sys::bpf_map__set_pin_path(m, std::ptr::null());
            sized(m);
        }
    });
    each_program(&o, |p| {
        view.programs.push(program(p));
        if how.all {
            // SAFETY: a program of the object, which is not loaded yet.
            unsafe { sys::bpf_program__set_autoload(p, true) };
        }
    });
    // SAFETY: the object is open.
    if unsafe { sys::bpf_object__prepare(o.0) } != 0 {
        return Err(Refused { opened: true, messages: messages() });
    }
    let mut i = 0;
    each_program(&o, |p| {
        // SAFETY: a program of the object.
        let wanted = unsafe { sys::bpf_program__autoload(p) };
        // Of the kernel's operations: switched on or off with them.
        let known = &mut view.programs[i];
        known.autoload = if how.all { known.autoload } else { wanted };
        if wanted && known.kind != 0 {
            known.linked = Some(linked(p));
        }
        i += 1;
    });
    if !native(object) {
        // It says so only now.
        // SAFETY: the object is open and prepared, and its programs are not to be loaded.
        let err = unsafe {
            each_program(&o, |p| _ = sys::bpf_program__set_autoload(p, false));
            sys::bpf_object__load(o.0)
        };
        if err != 0 {
            return Err(Refused { opened: true, messages: messages() });
        }
    }
    let mut i = 0;
    each_map(&o, |m| {
        let known = &mut view.maps[i];
        if known.name.ends_with(".kconfig") {
            known.initial = initial(m); // filled in just now
        }
        i += 1;
    });
    Ok(view)
}

/// Whether an ELF file has this machine's byte order.
fn native(object: &Path) -> bool {
    let big = std::fs::read(object).is_ok_and(|b| b.get(5) == Some(&2));
    big == cfg!(target_endian = "big")
}

fn each_map(o: &Open, mut f: impl FnMut(*mut sys::bpf_map)) {
    let mut m = std::ptr::null_mut();
    loop {
        // SAFETY: the object is open, and `m` is null or one of its maps.
        m = unsafe { sys::bpf_object__next_map(o.0, m) };
        if m.is_null() {
            return;
        }
        f(m);
    }
}

fn each_program(o: &Open, mut f: impl FnMut(*mut sys::bpf_program)) {
    let mut p = std::ptr::null_mut();
    loop {
        // SAFETY: the object is open, and `p` is null or one of its programs.
        p = unsafe { sys::bpf_object__next_program(o.0, p) };
        if p.is_null() {
            return;
        }
        f(p);
    }
}

fn string(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: libbpf's strings end with NUL and live as long as the object, which is open.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn initial(m: *mut sys::bpf_map) -> Option<Vec<u8>> {
    let mut size = 0;
    // SAFETY: a map of an open object.
    let value = unsafe { sys::bpf_map__initial_value(m, &mut size) };
    if value.is_null() {
        return None;
    }
    // SAFETY: libbpf hands that many bytes, which live as long as the object.
    Some(unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size as usize) }.to_vec())
}

fn map(m: *mut sys::bpf_map) -> MapView {
    // SAFETY: a map of an open object, in all of these.
    unsafe {
        let inner = sys::bpf_map__inner_map(m);
        let data = sys::bpf_map__is_internal(m) || sys::bpf_map__type(m) == sys::BPF_MAP_TYPE_ARENA;
        MapView {
            name: string(sys::bpf_map__name(m)),
            kind: sys::bpf_map__type(m),
            key_size: sys::bpf_map__key_size(m),
            value_size: sys::bpf_map__value_size(m),
            max_entries: sys::bpf_map__max_entries(m),
            flags: sys::bpf_map__map_flags(m),
            numa_node: sys::bpf_map__numa_node(m),
            map_extra: sys::bpf_map__map_extra(m),
            types: (sys::bpf_map__btf_key_type_id(m), sys::bpf_map__btf_value_type_id(m)),
            pinned: !sys::bpf_map__pin_path(m).is_null(),
            initial: if data { initial(m) } else { None },
            inner: (!inner.is_null()).then(|| Box::new(map(inner))),
        }
    }
}

fn program(p: *mut sys::bpf_program) -> ProgramView {
    // SAFETY: a program of an open object, in all of these.
    unsafe {
        ProgramView {
            name: string(sys::bpf_program__name(p)),
            section: string(sys::bpf_program__section_name(p)),
            kind: sys::bpf_program__type(p),
            attach_type: sys::bpf_program__expected_attach_type(p),
            autoload: sys::bpf_program__autoload(p),
            linked: None,
        }
    }
}

/// Gives a map the sizes that programs with objects in them often set before they load it: without them the kernel
/// would not create it, which says nothing about the object.
///
/// # Safety
/// `m` is a map of an open object.
unsafe fn sized(m: *mut sys::bpf_map) {
    // SAFETY: the caller's word.
    unsafe {
        let kind = sys::bpf_map__type(m);
        // Values that hang on objects have no number, and perf events one for each CPU.
        let unnumbered = [
            sys::BPF_MAP_TYPE_PERF_EVENT_ARRAY,
            sys::BPF_MAP_TYPE_CGROUP_STORAGE,
            sys::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
            sys::BPF_MAP_TYPE_SK_STORAGE,
            sys::BPF_MAP_TYPE_INODE_STORAGE,
            sys::BPF_MAP_TYPE_TASK_STORAGE,
            sys::BPF_MAP_TYPE_CGRP_STORAGE,
        ];
        let keyed = sys::bpf_map__key_size(m) != 0 && !unnumbered.contains(&kind);
        if keyed && sys::bpf_map__max_entries(m) == 0 {
            sys::bpf_map__set_max_entries(m, 1);
        }
        if kind == sys::BPF_MAP_TYPE_STACK_TRACE && sys::bpf_map__value_size(m) == 0 {
            sys::bpf_map__set_value_size(m, 127 * 8);
        }
    }
}

/// An array of libbpf's; it gives no address for an empty one.
///
/// # Safety
/// `first` is null or the first of `len` elements, which live as long as `'a`.
unsafe fn slice<'a, T>(first: *const T, len: u32) -> &'a [T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: the caller's word.
    unsafe { std::slice::from_raw_parts(first, len as usize) }
}

fn linked(p: *mut sys::bpf_program) -> LinkedView {
    // SAFETY: a program of an open object; what it gives lives as long as that.
    unsafe {
        let insns = slice(sys::bpf_program__insns(p).cast::<[u8; 8]>(), sys::bpf_program__insn_cnt(p) as u32);
        let insns: Vec<_> = insns.iter().map(|b| Insn::from_bytes(*b, Endian::NATIVE)).collect();
        let funcs = slice(sys::bpf_program__func_info(p), sys::bpf_program__func_info_cnt(p));
        let lines = slice(sys::bpf_program__line_info(p), sys::bpf_program__line_info_cnt(p));
        LinkedView {
            insns: normal(&insns),
            funcs: funcs.iter().map(|f| (f.insn_off, f.type_id)).collect(),
            lines: lines.iter().map(|l| [l.insn_off, l.file_name_off, l.line_off, l.line_col]).collect(),
        }
    }
}

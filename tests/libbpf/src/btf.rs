//! What libbpf makes of types.

use std::ffi::CString;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use libbpf_sys as sys;

use crate::vsnprintf;

unsafe extern "C" fn append(
    ctx: *mut std::ffi::c_void,
    format: *const std::ffi::c_char,
    args: *mut sys::__va_list_tag,
) {
    let mut text = [0u8; 4096];
    // SAFETY: libbpf hands a format and its arguments; the buffer's length is given.
    let len = unsafe { vsnprintf(text.as_mut_ptr().cast(), text.len(), format, args) };
    // SAFETY: `dump_c` hands its string, and nothing else uses it meanwhile.
    let out = unsafe { &mut *ctx.cast::<String>() };
    out.push_str(&String::from_utf8_lossy(&text[..usize::try_from(len).unwrap_or(0).min(text.len() - 1)]));
}

/// Types that libbpf holds.
struct Held(*mut sys::btf);

impl Held {
    fn new(bytes: &[u8], base: Option<&Held>) -> Self {
        let base = base.map_or(null_mut(), |b| b.0);
        // SAFETY: libbpf copies the bytes; the base outlives what stands on it.
        let btf = unsafe { sys::btf__new_split(bytes.as_ptr().cast(), bytes.len() as u32, base) };
        assert!(!btf.is_null(), "libbpf reads the types");
        Self(btf)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut len = 0;
        // SAFETY: the types are held; the bytes are copied before anything else happens to them.
        unsafe {
            let data = sys::btf__raw_data(self.0, &mut len);
            assert!(!data.is_null(), "libbpf writes the types");
            std::slice::from_raw_parts(data.cast::<u8>(), len as usize).to_vec()
        }
    }

    fn c(&self) -> String {
        let mut out = String::new();
        // SAFETY: the types are held; what is made is checked, used for its own functions and freed.
        unsafe {
            let d = sys::btf_dump__new(self.0, Some(append), (&raw mut out).cast(), null());
            assert!(!d.is_null(), "libbpf makes a dumper");
            for id in 1..sys::btf__type_cnt(self.0) {
                assert_eq!(sys::btf_dump__dump_type(d, id), 0, "libbpf dumps type {id}");
            }
            sys::btf_dump__free(d);
        }
        out
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: it is not used after this.
        unsafe { sys::btf__free(self.0) };
    }
}

/// Sections of types as C.
pub fn to_c(bytes: &[u8]) -> String {
    Held::new(bytes, None).c()
}

/// Several sections of types one after the other, deduplicated, on a base if one is given; and the time that
/// the deduplication took.
pub fn dedup<'a>(
    all: impl IntoIterator<Item = &'a [u8]>,
    base: Option<&[u8]>,
) -> Result<(Vec<u8>, Duration), i32> {
    let base = base.map(|b| Held::new(b, None));
    // SAFETY: the base, if any, outlives what stands on it.
    let sum = Held(unsafe { sys::btf__new_empty_split(base.as_ref().map_or(null_mut(), |b| b.0)) });
    assert!(!sum.0.is_null(), "libbpf makes an empty BTF");
    for bytes in all {
        let one = Held::new(bytes, None);
        // SAFETY: both are held.
        let first = unsafe { sys::btf__add_btf(sum.0, one.0) };
        if first < 0 {
            return Err(first);
        }
    }
    let start = Instant::now();
    // SAFETY: the types are held; no options.
    let err = unsafe { sys::btf__dedup(sum.0, null()) };
    let time = start.elapsed();
    if err == 0 { Ok((sum.bytes(), time)) } else { Err(err) }
}

/// All types of a BTF file as C, as bpftool's `btf dump file … format c` has them between its frame.
pub fn dump_c(path: &Path) -> String {
    let path = CString::new(path.to_str().expect("UTF-8")).expect("a path");
    // SAFETY: the path outlives the call.
    let btf = Held(unsafe { sys::btf__parse(path.as_ptr(), null_mut()) });
    assert!(!btf.0.is_null(), "libbpf reads {path:?}");
    btf.c()
}

//! What libbpf makes of section names.
//!
//! Type and attach type are those of the program in an open object. Flags and the name that a BTF id is looked up for
//! exist only while libbpf loads; a *generated loader* (`bpf_object__gen_loader`) has them in its data, and asks no
//! kernel for anything.

use std::ffi::CString;
use std::sync::Mutex;

use libbpf_sys as sys;

/// libbpf's word on a section's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Program type.
    pub prog_type: u32,
    /// `expected_attach_type` as the object says it.
    pub attach_type: u32,
    /// Whether it is loaded by default.
    pub autoload: bool,
    /// `prog_flags` of `BPF_PROG_LOAD`; `None` where libbpf wants something more before it loads (a target).
    pub flags: Option<u32>,
    /// The kernel's name of the target, where its BTF id is looked up.
    pub target: Option<String>,
}

static NAMES: Mutex<String> = Mutex::new(String::new());

unsafe extern "C" fn keep(
    _: sys::libbpf_print_level,
    format: *const std::ffi::c_char,
    args: *mut sys::__va_list_tag,
) -> i32 {
    let mut text = vec![0u8; 1 << 16];
    // SAFETY: libbpf hands a format and its arguments; the buffer's length is given.
    let len = unsafe { crate::vsnprintf(text.as_mut_ptr().cast(), text.len(), format, args) };
    let text = String::from_utf8_lossy(&text[..usize::try_from(len).unwrap_or(0)]).into_owned();
    if let (Some((_, names)), Ok(mut all)) =
        (text.split_once("supported section(type) names are:"), NAMES.lock())
    {
        *all = names.trim().into();
    }
    0
}

/// All names of libbpf's table, with its `+` where a target may follow. It tells them who asks for a wrong one.
pub fn names() -> Vec<String> {
    let _one = crate::ONE.lock().unwrap_or_else(|e| e.into_inner());
    let (mut prog_type, mut attach_type) = (0, 0);
    // SAFETY: the function lives as long as the process, the other arguments as long as the call.
    unsafe {
        sys::libbpf_set_print(Some(keep));
        assert!(
            sys::libbpf_prog_type_by_name(c"no such name".as_ptr(), &mut prog_type, &mut attach_type) < 0
        );
    }
    NAMES.lock().expect("nobody panics with it").split_whitespace().map(str::to_owned).collect()
}

/// What it makes of the one program of an object, the bytes of which are given; `None` for a section without a type.
///
/// `target` is the end of the section's name that stands for a target.
pub fn of_program(object: &[u8], target: &str) -> Option<Section> {
    let _one = crate::ONE.lock().unwrap_or_else(|e| e.into_inner());
    // SAFETY: the function lives as long as the process.
    unsafe { sys::libbpf_set_print(Some(crate::collect)) };
    let name = CString::new("one").expect("no NUL");
    let opts = sys::bpf_object_open_opts {
        sz: size_of::<sys::bpf_object_open_opts>() as u64,
        object_name: name.as_ptr(),
        ..Default::default()
    };
    // SAFETY: the bytes outlive the object, which is closed below; what it hands out is read before that.
    unsafe {
        let o = sys::bpf_object__open_mem(object.as_ptr().cast(), object.len() as u64, &opts);
        assert!(!o.is_null(), "libbpf opens it");
        let p = sys::bpf_object__next_program(o, std::ptr::null_mut());
        assert!(!p.is_null(), "it has a program");
        let autoload = sys::bpf_program__autoload(p);
        let (prog_type, attach_type) = (sys::bpf_program__type(p), sys::bpf_program__expected_attach_type(p));
        sys::bpf_program__set_autoload(p, true);
        let mut gen_opts =
            sys::gen_loader_opts { sz: size_of::<sys::gen_loader_opts>() as u64, ..Default::default() };
        assert_eq!(sys::bpf_object__gen_loader(o, &mut gen_opts), 0);
        let loads = sys::bpf_object__load(o) == 0;
        let data = match loads {
            true => std::slice::from_raw_parts(gen_opts.data.cast::<u8>(), gen_opts.data_sz as usize),
            false => &[],
        };
        // `union bpf_attr` of BPF_PROG_LOAD: prog_flags, prog_name[16].
        let find = |what: &[u8]| data.windows(what.len()).position(|w| w == what);
        let flags = find(b"main\0\0\0\0\0\0\0\0\0\0\0\0")
            .map(|at| u32::from_ne_bytes(data[at - 4..at].try_into().expect("four bytes")));
        let target = find(format!("{target}\0").as_bytes()).filter(|_| !target.is_empty()).map(|at| {
            let start = data[..at].iter().rposition(|&b| b == 0).map_or(0, |nul| nul + 1);
            String::from_utf8_lossy(&data[start..at + target.len()]).into_owned()
        });
        sys::bpf_object__close(o);
        (prog_type != 0).then_some(Section { prog_type, attach_type, autoload, flags, target })
    }
}

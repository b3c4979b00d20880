//! A kernel with modules, pretended: `syscall(3)` of this process, which libbpf and skep call the kernel through, tells of
//! BTF objects that are not there, and notes down what is loaded for them instead of loading it. All other calls go to
//! the kernel.

use std::ffi::{c_char, c_long};
use std::sync::Mutex;

use skep_isa::{Endian, Insn};

/// Ids of pretended objects begin here: no kernel has made so many.
const FIRST_ID: u32 = 0x7000_0000;
const FD_NAME: &str = "skep-module-";
const SYS_BPF: c_long = 321;
const ENOENT: c_long = 2;
const STRUCT_OPS: u32 = 26;
const VTYPE_BTF_OBJ_FD: u32 = 1 << 15;

/// A module's name and its types as the kernel shows them.
#[derive(Clone)]
pub struct Module {
    pub name: String,
    pub btf: Vec<u8>,
}

/// What the kernel was asked to load, with modules' names for descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// Name; instructions, without what names maps and modules; by slot: the module that it names; type that it belongs
    /// to, the module that has it, and the attach type.
    Program(String, Vec<Insn>, Vec<(usize, String)>, (u32, String, u32)),
    /// Name, the value's type and the module that has it, bytes of the value, flags.
    Ops(String, u32, String, u32, u32),
}

struct Pretence {
    modules: Vec<Module>,
    loaded: Vec<Loaded>,
}

static PRETENCE: Mutex<Option<Pretence>> = Mutex::new(None);

/// Runs something on a kernel with these modules; gives what was loaded there for them: programs whose names begin with
/// `m_`, and sets of modules' operations.
pub fn with<T>(modules: &[Module], run: impl FnOnce() -> T) -> (T, Vec<Loaded>) {
    let state = |s| std::mem::replace(&mut *PRETENCE.lock().unwrap_or_else(|e| e.into_inner()), s);
    state(Some(Pretence { modules: modules.to_vec(), loaded: Vec::new() }));
    let out = run();
    (out, state(None).map(|p| p.loaded).unwrap_or_default())
}

unsafe extern "C" {
    fn __errno_location() -> *mut i32;
    fn memfd_create(name: *const c_char, flags: u32) -> i32;
}

/// What libc's function of this name does: this one takes its place in the whole process.
///
/// # Safety
/// As of the system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    let result = if number == SYS_BPF {
        // SAFETY: `bpf(2)` takes a command, the address of an attribute and its size.
        unsafe { bpf(a, b as *mut u8, c as usize) }
    } else {
        // SAFETY: the caller's call.
        unsafe { kernel(number, [a, b, c, d, e, f]) }
    };
    if (-4095..0).contains(&result) {
        // SAFETY: libc's own variable of this thread.
        unsafe { *__errno_location() = -result as i32 };
        return -1;
    }
    result
}

/// # Safety
/// As of the system call.
unsafe fn kernel(number: c_long, args: [c_long; 6]) -> c_long {
    let result;
    // SAFETY: the caller's word; registers are those of the kernel's convention.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// An attribute of `bpf(2)`: fields by their offsets in `union bpf_attr`.
struct Attr(*mut u8, usize);

impl Attr {
    fn get(&self, at: usize) -> u32 {
        // SAFETY: within the attribute, which the caller of `bpf(2)` owns.
        if at + 4 <= self.1 { unsafe { self.0.add(at).cast::<u32>().read_unaligned() } } else { 0 }
    }

    fn address(&self, at: usize) -> usize {
        self.get(at) as usize | (self.get(at + 4) as usize) << 32
    }

    fn set(&self, at: usize, value: u32) {
        assert!(at + 4 <= self.1);
        // SAFETY: as above.
        unsafe { self.0.add(at).cast::<u32>().write_unaligned(value) }
    }

    fn name(&self, at: usize) -> String {
        let words: Vec<u8> = (0..4).flat_map(|i| self.get(at + 4 * i).to_ne_bytes()).collect();
        words.into_iter().take_while(|c| *c != 0).map(char::from).collect()
    }
}

fn open(what: &str) -> c_long {
    let name = std::ffi::CString::new(what).expect("no NUL");
    // SAFETY: a name that ends in NUL.
    unsafe { memfd_create(name.as_ptr(), 0) }.into()
}

/// The module that a descriptor stands for; empty for 0 and all others.
fn module_of(fd: u32) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    let link = link.to_string_lossy();
    let name = link.strip_prefix("/memfd:").and_then(|l| l.strip_prefix(FD_NAME));
    name.and_then(|n| n.split(' ').next()).unwrap_or_default().to_owned()
}

/// # Safety
/// As of `bpf(2)`.
unsafe fn bpf(command: c_long, attr: *mut u8, size: usize) -> c_long {
    // SAFETY: the caller's call, for what is not pretended.
    let real = || unsafe { kernel(SYS_BPF, [command, attr as c_long, size as c_long, 0, 0, 0]) };
    let mut guard = PRETENCE.lock().unwrap_or_else(|e| e.into_inner());
    let Some(pretence) = guard.as_mut() else { return real() };
    let attr = Attr(attr, size);
    let ids = FIRST_ID..FIRST_ID + pretence.modules.len() as u32;
    match command {
        // BPF_MAP_CREATE
        0 if attr.get(0) == STRUCT_OPS && attr.get(16) & VTYPE_BTF_OBJ_FD != 0 => {
            let module = module_of(attr.get(72));
            let (ty, bytes, flags) = (attr.get(60), attr.get(8), attr.get(16));
            pretence.loaded.push(Loaded::Ops(attr.name(28), ty, module, bytes, flags));
            // An array of the same geometry, so that whoever asks about it gets answers.
            let array: [u32; 5] = [2, 4, bytes, 1, 0];
            // SAFETY: a whole attribute of ours.
            unsafe { kernel(SYS_BPF, [0, array.as_ptr() as c_long, 20, 0, 0, 0]) }
        }
        // BPF_PROG_LOAD
        5 if attr.name(48).starts_with("m_") => {
            let loaded = program(&attr);
            pretence.loaded.push(loaded);
            open("skep-program")
        }
        // BPF_OBJ_GET_INFO_BY_FD
        15 => match pretence.modules.iter().find(|m| m.name == module_of(attr.get(0))) {
            // SAFETY: the caller hands a `struct bpf_btf_info` of the length that it says.
            Some(m) => unsafe { info(m, &Attr(attr.address(8) as *mut u8, attr.get(4) as usize)) },
            None => real(),
        },
        // BPF_BTF_GET_FD_BY_ID
        19 if ids.contains(&attr.get(0)) => {
            open(&format!("{FD_NAME}{}", pretence.modules[(attr.get(0) - FIRST_ID) as usize].name))
        }
        // BPF_BTF_GET_NEXT_ID
        23 => match real() {
            e if e == -ENOENT => {
                let next = (attr.get(0) + 1).max(FIRST_ID);
                attr.set(4, next);
                if ids.contains(&next) { 0 } else { -ENOENT }
            }
            r => r,
        },
        _ => real(),
    }
}

/// # Safety
/// `info` is a `struct bpf_btf_info` whose addresses have the lengths beside them.
unsafe fn info(module: &Module, info: &Attr) -> c_long {
    let copy = |from: &[u8], to: usize, room: u32| {
        if to != 0 {
            let len = from.len().min(room as usize);
            // SAFETY: the caller's word.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut u8, len) };
        }
    };
    copy(&module.btf, info.address(0), info.get(8));
    info.set(8, module.btf.len() as u32);
    copy(format!("{}\0", module.name).as_bytes(), info.address(16), info.get(24));
    info.set(28, 1);
    0
}

fn program(attr: &Attr) -> Loaded {
    let (insns, len) = (attr.address(8) as *const [u8; 8], attr.get(4) as usize);
    // SAFETY: the caller of `bpf(2)` hands that many instructions.
    let insns = unsafe { std::slice::from_raw_parts(insns, len) };
    let mut insns: Vec<Insn> = insns.iter().map(|b| Insn::from_bytes(*b, Endian::NATIVE)).collect();
    let fds = attr.address(120) as *const u32;
    let (mut modules, mut at) = (Vec::new(), 0);
    while at < insns.len() {
        let wide = insns[at].is_wide();
        if wide && insns[at].src.0 == 3 && insns[at + 1].imm != 0 {
            modules.push((at, module_of(std::mem::take(&mut insns[at + 1].imm) as u32)));
        } else if !wide && insns[at].opcode == 0x85 && insns[at].src.0 == 2 && insns[at].off != 0 {
            let index = std::mem::take(&mut insns[at].off) as usize;
            // SAFETY: the array has what instructions name.
            modules.push((at, module_of(unsafe { *fds.add(index) })));
        } else if wide && matches!(insns[at].src.0, 1 | 2 | 5 | 6) {
            insns[at] = Insn { imm: 0, src: skep_isa::Reg(2 - insns[at].src.0 % 2), ..insns[at] };
        }
        at += if wide { 2 } else { 1 };
    }
    let attach = (attr.get(108), module_of(attr.get(112)), attr.get(68));
    Loaded::Program(attr.name(48), insns, modules, attach)
}

//! Native code made known to debuggers: the interface that gdb and lldb have for it ("JIT Compilation Interface" of gdb's
//! manual).
//!
//! A list of object files in memory, with a function that the debugger has a breakpoint in: it is called after each change.
//! Each object has the names of a program's functions and how their frames are unwound.

use core::ptr;
use std::sync::{Mutex, PoisonError};

use crate::lower::Placed;

#[repr(C)]
struct Entry {
    next: *mut Entry,
    prev: *mut Entry,
    symfile: *const u8,
    symfile_bytes: u64,
}

#[repr(C)]
pub struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

const NOTHING: u32 = 0;
const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// What debuggers read, by this name.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "debuggers look for this name")]
pub static mut __jit_debug_descriptor: Descriptor =
    Descriptor { version: 1, action: NOTHING, relevant: ptr::null_mut(), first: ptr::null_mut() };

/// Where debuggers stop, by this name.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn __jit_debug_register_code() {
    // Calls may not go: the compiler knows nothing of what reads behind them.
    core::hint::black_box(());
}

/// Guards the list.
static LIST: Mutex<()> = Mutex::new(());

/// An object that debuggers know, until dropped.
pub(super) struct Known {
    entry: *mut Entry,
    object: *mut [u8],
}

// SAFETY: the pointers are owned boxes, which only `drop` and, under `LIST`, the list use.
unsafe impl Send for Known {}
// SAFETY: as above; nothing can be done with a shared one.
unsafe impl Sync for Known {}

impl Known {
    /// Makes functions of code at an address known.
    pub(super) fn register(
        base: u64,
        bytes: u64,
        functions: &[Placed],
        program: &str,
        eh_frame: &[u8],
    ) -> Self {
        let object = Box::into_raw(object(base, bytes, functions, program, eh_frame).into_boxed_slice());
        let entry = Box::into_raw(Box::new(Entry {
            next: ptr::null_mut(),
            prev: ptr::null_mut(),
            symfile: object.cast(),
            symfile_bytes: object.len() as u64,
        }));
        let _list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: all entries of the list live until they are taken out of it, and nobody else of this process changes it
        // meanwhile: the lock is held. A debugger only reads, while the process stands still.
        unsafe {
            let descriptor = &raw mut __jit_debug_descriptor;
            let first = (*descriptor).first;
            (*entry).next = first;
            if !first.is_null() {
                (*first).prev = entry;
            }
            (*descriptor).first = entry;
            tell(descriptor, entry, REGISTER);
        }
        Self { entry, object }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let _list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: as in `register`; the entry is in the list once, and gone from it before its memory goes.
        unsafe {
            let descriptor = &raw mut __jit_debug_descriptor;
            let Entry { next, prev, .. } = *self.entry;
            match prev.is_null() {
                true => (*descriptor).first = next,
                false => (*prev).next = next,
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
            tell(descriptor, self.entry, UNREGISTER);
            drop(Box::from_raw(self.entry));
            drop(Box::from_raw(self.object));
        }
    }
}

/// Lets a debugger look.
///
/// # Safety
/// `LIST` is held, and the descriptor is the one that debuggers know.
unsafe fn tell(descriptor: *mut Descriptor, entry: *mut Entry, action: u32) {
    // SAFETY: the caller's.
    unsafe {
        (*descriptor).relevant = entry;
        (*descriptor).action = action;
        __jit_debug_register_code();
        (*descriptor).action = NOTHING;
    }
}

const NULL: u32 = 0;
const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const NOBITS: u32 = 8;
const ALLOC: u64 = 2;
const EXECUTABLE: u64 = 4;
const HEADER_BYTES: usize = 64;
const SYMBOL_BYTES: u64 = 24;

/// A section: its name, and what its header says.
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    addr: u64,
    bytes: Vec<u8>,
    /// Bytes that it has in memory but not in the file.
    only_memory: u64,
    link: u32,
    info: u32,
    entry_bytes: u64,
    align: u64,
}

impl Section {
    fn new(name: &'static str, kind: u32, bytes: Vec<u8>) -> Self {
        Self {
            name,
            kind,
            flags: 0,
            addr: 0,
            bytes,
            only_memory: 0,
            link: 0,
            info: 0,
            entry_bytes: 0,
            align: 1,
        }
    }
}

/// A relocatable ELF file whose sections say where they lie already.
fn object(base: u64, bytes: u64, functions: &[Placed], program: &str, eh_frame: &[u8]) -> Vec<u8> {
    let (mut names, mut symbols) = (vec![0], vec![0; SYMBOL_BYTES as usize]);
    for f in functions {
        let name = names.len() as u32;
        let text =
            if f.name == program { format!("bpf:{program}") } else { format!("bpf:{program}:{}", f.name) };
        names.extend_from_slice(text.as_bytes());
        names.push(0);
        symbols.extend_from_slice(&name.to_ne_bytes());
        // A local function in section 1.
        symbols.extend_from_slice(&[2, 0, 1_u16.to_ne_bytes()[0], 1_u16.to_ne_bytes()[1]]);
        symbols.extend_from_slice(&u64::from(f.start).to_ne_bytes());
        symbols.extend_from_slice(&u64::from(f.end - f.start).to_ne_bytes());
    }
    let count = functions.len() as u32 + 1;
    let sections = [
        Section { align: 0, ..Section::new("", NULL, vec![]) },
        Section {
            flags: ALLOC | EXECUTABLE,
            addr: base,
            only_memory: bytes,
            align: 16,
            ..Section::new(".text", NOBITS, vec![])
        },
        Section {
            flags: ALLOC,
            addr: eh_frame.as_ptr().addr() as u64,
            align: 8,
            ..Section::new(".eh_frame", PROGBITS, eh_frame.to_vec())
        },
        Section {
            link: 4,
            info: count,
            entry_bytes: SYMBOL_BYTES,
            align: 8,
            ..Section::new(".symtab", SYMTAB, symbols)
        },
        Section::new(".strtab", STRTAB, names),
        Section::new(".shstrtab", STRTAB, vec![]),
    ];
    file(sections)
}

fn file<const N: usize>(mut sections: [Section; N]) -> Vec<u8> {
    let mut section_names = Vec::new();
    let at: Vec<u32> = sections
        .iter()
        .map(|s| {
            let at = section_names.len() as u32;
            section_names.extend_from_slice(s.name.as_bytes());
            section_names.push(0);
            at
        })
        .collect();
    sections[N - 1].bytes = section_names;
    let mut out = vec![0; HEADER_BYTES];
    let mut headers = Vec::new();
    for (s, name) in sections.iter().zip(at) {
        while !out.len().is_multiple_of(8) {
            out.push(0);
        }
        let size = s.bytes.len() as u64 + s.only_memory;
        headers.extend_from_slice(&name.to_ne_bytes());
        headers.extend_from_slice(&s.kind.to_ne_bytes());
        for n in [s.flags, s.addr, out.len() as u64, size] {
            headers.extend_from_slice(&n.to_ne_bytes());
        }
        headers.extend_from_slice(&s.link.to_ne_bytes());
        headers.extend_from_slice(&s.info.to_ne_bytes());
        headers.extend_from_slice(&s.align.to_ne_bytes());
        headers.extend_from_slice(&s.entry_bytes.to_ne_bytes());
        out.extend_from_slice(&s.bytes);
    }
    while !out.len().is_multiple_of(8) {
        out.push(0);
    }
    let headers_at = out.len() as u64;
    out.extend_from_slice(&headers);
    let little = if cfg!(target_endian = "little") { 1 } else { 2 };
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, little, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |header: &mut Vec<u8>, n: u16| header.extend_from_slice(&n.to_ne_bytes());
    // A relocatable file for this machine.
    half(&mut header, 1);
    half(&mut header, super::profile::MACHINE as u16);
    header.extend_from_slice(&1_u32.to_ne_bytes());
    for n in [0, 0, headers_at] {
        header.extend_from_slice(&u64::to_ne_bytes(n));
    }
    header.extend_from_slice(&0_u32.to_ne_bytes());
    for n in [HEADER_BYTES as u16, 0, 0, HEADER_BYTES as u16, N as u16, N as u16 - 1] {
        half(&mut header, n);
    }
    out[..HEADER_BYTES].copy_from_slice(&header);
    out
}

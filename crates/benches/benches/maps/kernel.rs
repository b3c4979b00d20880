//! The kernel's side: programs with a loop, run by `BPF_PROG_TEST_RUN`, and what the library does not have of `bpf(2)`.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use skep_linux::{LinuxBackend, LinuxMap, LinuxProgram};
use skep_spec::{BackendMap, BackendProgram, LoadOptions, MapDef, ProgramSpec, RunInput};

use crate::clock::thread_ns;
use crate::programs::{OPS, programs};

/// Maps and programs in the kernel.
pub struct Kernel {
    maps: HashMap<String, LinuxMap>,
    programs: Vec<LinuxProgram>,
}

impl Kernel {
    /// `Err` with the reason when `bpf(2)` may not be used here.
    pub fn new() -> Result<Self, String> {
        let probe = LinuxBackend::probe();
        if let Some(why) = probe.reason() {
            return Err(why.to_owned());
        }
        let (specs, defs) = programs();
        Self::load(&specs, &defs)
    }

    /// The same for one program.
    pub fn of(spec: &ProgramSpec) -> Result<Self, String> {
        match LinuxBackend::probe().reason() {
            Some(why) => Err(why.to_owned()),
            None => Self::load(core::slice::from_ref(spec), &spec.maps),
        }
    }

    fn load(specs: &[ProgramSpec], defs: &[Arc<MapDef>]) -> Result<Self, String> {
        let backend = LinuxBackend::new();
        let maps: HashMap<_, _> = defs
            .iter()
            .map(|def| Ok((def.name.clone(), backend.create(def).map_err(|e| e.to_string())?)))
            .collect::<Result<_, String>>()?;
        let programs = specs.iter().map(|spec| {
            let fds: Vec<BorrowedFd<'_>> = spec.maps.iter().map(|m| maps[&m.name].as_fd()).collect();
            backend.load_program(spec, &fds, LoadOptions::default()).map_err(|e| e.to_string())
        });
        let programs = programs.collect::<Result<_, _>>()?;
        Ok(Self { maps, programs })
    }

    /// A map by its name.
    pub fn map(&self, name: &str) -> &LinuxMap {
        &self.maps[name]
    }

    /// Runs the program of a row; nanoseconds of this thread for each operation.
    pub fn run(&self, row: usize, repeat: u32) -> f64 {
        let start = thread_ns();
        let input = RunInput { data: &[0; 64], repeat, ..RunInput::default() };
        self.programs[row].test_run(input).expect("it runs");
        (thread_ns() - start) / f64::from(repeat * OPS)
    }

    /// How often an operation did not do what its name says.
    pub fn failed(&self) -> u64 {
        let state = self.map("state").lookup(&[0; 4], 0).expect("an array has it");
        u64::from_ne_bytes(state[8..].try_into().expect("eight bytes"))
    }
}

/// Creates a map; its `memlock` afterwards is told by [`memlock`].
pub fn create(def: &MapDef) -> Option<LinuxMap> {
    LinuxBackend::new().create(def).ok()
}

/// Bytes that the kernel charges for a map (`memlock` in its descriptor's `fdinfo`).
pub fn memlock(map: &LinuxMap) -> Option<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd())).ok()?;
    info.lines().find_map(|l| l.strip_prefix("memlock:"))?.trim().parse().ok()
}

/// `union bpf_attr` of batch operations.
#[repr(C)]
#[derive(Default)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

const LOOKUP_BATCH: i64 = 24;
const UPDATE_BATCH: i64 = 26;

fn batch(command: i64, attr: &mut Batch) -> i32 {
    // SAFETY: the attribute is as long as said; the callers keep the buffers that it names alive, which are as long as
    // `count` elements need.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<Batch>()) };
    if result < 0 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 }
}

/// Puts in elements with keys of 4 bytes and values of 8.
pub fn fill(map: &LinuxMap, keys: &[u32], values: &[u64]) {
    assert_eq!(keys.len(), values.len());
    let mut attr = Batch {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: keys.len() as u32,
        map_fd: map.as_fd().as_raw_fd() as u32,
        ..Batch::default()
    };
    assert_eq!(batch(UPDATE_BATCH, &mut attr), 0, "the kernel takes all elements");
}

/// Reads all elements with keys of 4 bytes and values of 8, at most `step` at a time; how many there were.
pub fn dump(map: &LinuxMap, keys: &mut [u32], values: &mut [u64], step: u32) -> usize {
    let (mut done, mut position) = (0, [0u64; 2]);
    loop {
        let count = step.min((keys.len().min(values.len()) - done) as u32);
        let mut attr = Batch {
            in_batch: if done == 0 { 0 } else { (&raw const position) as u64 },
            out_batch: (&raw mut position) as u64,
            keys: keys[done..].as_mut_ptr() as u64,
            values: values[done..].as_mut_ptr() as u64,
            count,
            map_fd: map.as_fd().as_raw_fd() as u32,
            ..Batch::default()
        };
        let result = batch(LOOKUP_BATCH, &mut attr);
        done += attr.count as usize;
        match result {
            0 if done < keys.len() => {}
            0 | libc::ENOENT => return done,
            error => panic!("batch lookup: error {error}"),
        }
    }
}

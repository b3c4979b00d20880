//! Native code made known to profilers: `/tmp/perf-PID.map` and `/tmp/jit-PID.dump`, as perf reads them.
//!
//! The first has a line for each function, which `perf report` finds by itself. The second is a log of all code that there ever
//! was, with its bytes (`tools/perf/Documentation/jitdump-specification.txt` of the kernel): after `perf record -k mono`,
//! `perf inject --jit` puts the code into the recording, so that `perf annotate` shows it.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Code;
use crate::lower::Machine;

/// Whom code is made known to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `/tmp/perf-PID.map`.
    pub map: bool,
    /// `/tmp/jit-PID.dump`.
    pub dump: bool,
    /// Debuggers: gdb and lldb name and unwind the functions.
    pub debugger: bool,
}

impl Profile {
    /// What `SKEP_PROFILE` asks for.
    fn environment() -> Self {
        static ASKED: OnceLock<Profile> = OnceLock::new();
        *ASKED.get_or_init(|| {
            let asked = env::var("SKEP_PROFILE").unwrap_or_default();
            let has = |word| asked.split(',').any(|w| w.trim() == word);
            Self { map: has("map"), dump: has("dump"), debugger: has("debugger") }
        })
    }
}

/// Makes the code of a program known to those who ask for it. Files that cannot be written are left alone: nobody's run
/// depends on them.
pub(crate) fn profile(code: &mut Code, program: &str, machine: &Machine, asked: Profile) {
    let environment = Profile::environment();
    if asked.debugger || environment.debugger {
        code.debug(program, machine);
    }
    let code = &*code;
    let named = machine.functions.iter().map(|f| {
        let name =
            if f.name == program { format!("bpf:{program}") } else { format!("bpf:{program}:{}", f.name) };
        (code.address(f.start), &machine.code[f.start as usize..f.end as usize], name)
    });
    if asked.map || environment.map {
        let _ = map(named.clone());
    }
    if asked.dump || environment.dump {
        let _ = dump(named);
    }
}

fn map<'a>(named: impl Iterator<Item = (u64, &'a [u8], String)>) -> io::Result<()> {
    let path = format!("/tmp/perf-{}.map", process::id());
    let mut text = String::new();
    for (at, bytes, name) in named {
        text.push_str(&format!("{at:x} {:x} {name}\n", bytes.len()));
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

/// The log, open for as long as the process lives.
struct Log {
    file: File,
    /// Perf learns of the file by this mapping.
    _mark: memmap2::Mmap,
    count: u64,
}

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 40;
const CODE_LOAD: u32 = 0;
/// Bytes of a record of that kind before the name.
const LOAD_BYTES: usize = 56;

/// `e_machine` of ELF.
pub(super) const MACHINE: u32 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "riscv64") {
    243
} else {
    22
};

fn dump<'a>(named: impl Iterator<Item = (u64, &'a [u8], String)>) -> io::Result<()> {
    static LOG: Mutex<Option<Log>> = Mutex::new(None);
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let log = match &mut *log {
        Some(log) => log,
        none => none.insert(Log::open()?),
    };
    for (at, bytes, name) in named {
        let total = LOAD_BYTES + name.len() + 1 + bytes.len();
        let mut record = Vec::with_capacity(total);
        record.extend_from_slice(&CODE_LOAD.to_ne_bytes());
        record.extend_from_slice(&(total as u32).to_ne_bytes());
        record.extend_from_slice(&now().to_ne_bytes());
        let id = process::id();
        record.extend_from_slice(&id.to_ne_bytes());
        record.extend_from_slice(&id.to_ne_bytes());
        for n in [at, at, bytes.len() as u64, log.count] {
            record.extend_from_slice(&n.to_ne_bytes());
        }
        record.extend_from_slice(name.as_bytes());
        record.push(0);
        record.extend_from_slice(bytes);
        log.count += 1;
        log.file.write_all(&record)?;
    }
    Ok(())
}

impl Log {
    fn open() -> io::Result<Self> {
        let path = format!("/tmp/jit-{}.dump", process::id());
        let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path)?;
        let mut header = Vec::with_capacity(HEADER_BYTES as usize);
        for n in [MAGIC, VERSION, HEADER_BYTES, MACHINE, 0, process::id()] {
            header.extend_from_slice(&n.to_ne_bytes());
        }
        header.extend_from_slice(&now().to_ne_bytes());
        header.extend_from_slice(&0_u64.to_ne_bytes());
        file.write_all(&header)?;
        // SAFETY: nobody reads or executes through this mapping; it only has to be there.
        let mark = unsafe { memmap2::MmapOptions::new().len(HEADER_BYTES as usize).map_exec(&file)? };
        Ok(Self { file, _mark: mark, count: 0 })
    }
}

/// `CLOCK_MONOTONIC`, in nanoseconds.
fn now() -> u64 {
    #[cfg(unix)]
    {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
    }
    #[cfg(not(unix))]
    0
}

//! The running kernel's maps through bare `bpf(2)`, and a small random number generator.
#![allow(dead_code, reason = "each test binary uses a part")]

#[cfg(target_os = "linux")]
pub mod guarded;

use std::ffi::c_long;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use skep_spec::{Errno, MapDef};

const MAP_CREATE: c_long = 0;
const MAP_LOOKUP: c_long = 1;
const MAP_UPDATE: c_long = 2;
const MAP_DELETE: c_long = 3;
const MAP_NEXT_KEY: c_long = 4;
const PROG_LOAD: c_long = 5;
const PROG_RUN: c_long = 10;
const OBJ_GET_INFO: c_long = 15;
const MAP_LOOKUP_AND_DELETE: c_long = 21;
const MAP_FREEZE: c_long = 22;

/// `union bpf_attr`, large enough for what is used here; 64-bit fields are cut in two.
type Attr = [u32; 40];

fn put64(attr: &mut Attr, at: usize, v: u64) {
    attr[at] = v as u32;
    attr[at + 1] = (v >> 32) as u32;
}

fn ptr(bytes: &[u8]) -> u64 {
    if bytes.is_empty() { 0 } else { bytes.as_ptr() as u64 }
}

fn bpf(cmd: c_long, attr: &mut Attr) -> Result<i32, Errno> {
    // SAFETY: the attribute is as long as said, and its callers keep what it points to alive.
    let r = unsafe { libc::syscall(libc::SYS_bpf, cmd, attr.as_mut_ptr(), size_of::<Attr>()) };
    if r < 0 { Err(Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))) } else { Ok(r as i32) }
}

/// A map of the kernel.
pub struct KernelMap {
    fd: OwnedFd,
    key_size: usize,
    host_value_size: usize,
}

impl KernelMap {
    pub fn create(def: &MapDef, host_value_size: usize) -> Result<Self, Errno> {
        let mut attr = [0; 40];
        attr[0] = def.kind.0;
        attr[1] = def.key_size;
        attr[2] = def.value_size;
        attr[3] = def.max_entries;
        attr[4] = def.flags.0;
        let inner = def.inner.as_deref().map(|d| Self::create(d, 0)).transpose()?;
        attr[5] = inner.as_ref().map_or(0, |m| m.fd() as u32);
        attr[6] = def.numa_node;
        put64(&mut attr, 16, def.map_extra);
        let fd = bpf(MAP_CREATE, &mut attr)?;
        // SAFETY: the kernel just gave it to us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, key_size: def.key_size as usize, host_value_size })
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    fn elem(&self, key: Option<&[u8]>, value: &[u8], flags: u64) -> Attr {
        let mut attr = [0; 40];
        attr[0] = self.fd() as u32;
        put64(&mut attr, 2, key.map_or(0, ptr));
        put64(&mut attr, 4, ptr(value));
        put64(&mut attr, 6, flags);
        attr
    }

    pub fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        let out = vec![0; self.host_value_size];
        bpf(MAP_LOOKUP, &mut self.elem(Some(key), &out, flags))?;
        Ok(out)
    }

    /// Whether a bloom filter has a value.
    pub fn has(&self, value: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        let asked = value.to_vec();
        bpf(MAP_LOOKUP, &mut self.elem(None, &asked, flags))?;
        Ok(asked)
    }

    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        bpf(MAP_UPDATE, &mut self.elem(Some(key), value, flags)).map(drop)
    }

    pub fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        bpf(MAP_DELETE, &mut self.elem(Some(key), &[], 0)).map(drop)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM` without a key.
    pub fn pop(&self) -> Result<Vec<u8>, Errno> {
        let out = vec![0; self.host_value_size];
        bpf(MAP_LOOKUP_AND_DELETE, &mut self.elem(None, &out, 0))?;
        Ok(out)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM` of a key.
    pub fn take(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        let out = vec![0; self.host_value_size];
        bpf(MAP_LOOKUP_AND_DELETE, &mut self.elem(Some(key), &out, flags))?;
        Ok(out)
    }

    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        let out = vec![0; self.key_size];
        bpf(MAP_NEXT_KEY, &mut self.elem(key, &out, 0))?;
        Ok(out)
    }

    pub fn freeze(&self) -> Result<(), Errno> {
        let mut attr = [0; 40];
        attr[0] = self.fd() as u32;
        bpf(MAP_FREEZE, &mut attr).map(drop)
    }
}

/// Loads a GPL program of raw instructions.
pub fn load_program(prog_type: u32, flags: u32, insns: &[u64]) -> Result<OwnedFd, Errno> {
    let license = b"GPL\0";
    let log = vec![0u8; 1 << 16];
    let mut attr = [0; 40];
    attr[0] = prog_type;
    attr[1] = insns.len() as u32;
    put64(&mut attr, 2, insns.as_ptr() as u64);
    put64(&mut attr, 4, ptr(license));
    attr[6] = 1;
    attr[7] = log.len() as u32;
    put64(&mut attr, 8, ptr(&log));
    attr[11] = flags;
    let fd = bpf(PROG_LOAD, &mut attr).inspect_err(|e| {
        let end = log.iter().position(|&b| b == 0).unwrap_or(0);
        eprintln!("load: {e}: {}", String::from_utf8_lossy(&log[..end]));
    })?;
    // SAFETY: the kernel just gave it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Runs a program with a context; its return value.
pub fn run_program(fd: &OwnedFd, ctx: &[u8]) -> Result<u32, Errno> {
    let mut attr = [0; 40];
    attr[0] = fd.as_raw_fd() as u32;
    attr[10] = ctx.len() as u32;
    put64(&mut attr, 12, ptr(ctx));
    bpf(PROG_RUN, &mut attr)?;
    Ok(attr[1])
}

/// The id of a map.
pub fn map_id(map: &KernelMap) -> Result<u32, Errno> {
    id_of(&map.fd)
}

/// The id of a program.
pub fn program_id(fd: &OwnedFd) -> Result<u32, Errno> {
    id_of(fd)
}

fn id_of(fd: &OwnedFd) -> Result<u32, Errno> {
    let info = [0u32; 64];
    let mut attr = [0; 40];
    attr[0] = fd.as_raw_fd() as u32;
    attr[1] = size_of_val(&info) as u32;
    put64(&mut attr, 2, info.as_ptr() as u64);
    bpf(OBJ_GET_INFO, &mut attr)?;
    // SAFETY: the second word of `info`, which the kernel has written.
    Ok(unsafe { info.as_ptr().add(1).read_volatile() })
}

/// Whether maps can be created here; otherwise says that the test is skipped.
pub fn kernel_or_skip() -> bool {
    let def = MapDef::new(skep_abi::MapType::ARRAY, 4, 8, 1);
    match KernelMap::create(&def, 8) {
        Ok(_) => true,
        Err(e) => {
            eprintln!("skipped: bpf(2) cannot create maps here: {e}");
            false
        }
    }
}

/// Virtual CPUs as the kernel counts them (`/sys/devices/system/cpu/possible`).
pub fn possible_cpus() -> u32 {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    text.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<u32>().ok()).map_or(1, |n| n + 1)
}

/// xorshift64*: reproducible by its seed.
pub struct Rng(pub u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// How much longer than by default a campaign shall be: `SKEP_MAPS_CAMPAIGN`, 1 when it is not set.
pub fn campaign() -> u64 {
    std::env::var("SKEP_MAPS_CAMPAIGN").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// What a campaign's randomness begins with: `SKEP_MAPS_SEED`, 1 when it is not set.
pub fn seed() -> u64 {
    std::env::var("SKEP_MAPS_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

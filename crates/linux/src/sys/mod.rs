//! The system calls: the only unsafe code of the crate, behind functions that are safe to call.

pub mod arena;
pub mod attr;
mod batch;
pub mod caps;
pub mod mapped;
pub mod net;
pub mod perf;
pub mod produce;
pub mod ring;
pub mod types;
pub mod values;
pub mod view;

use std::ffi::{CStr, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use attr::{
    BtfLoad, LinkCreate, MapCreate, MapElem, MapInfo, ObjInfo, ObjPath, ProgInfo, ProgLoad, TestRun, cmd,
};
use skep_spec::Errno;
pub use types::{btf_by_id, btf_bytes, btf_next_id, kernel_btf_name};

/// The error number of the last system call.
fn last_errno() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// `bpf(2)`.
///
/// # Safety
/// - `T` is the part of `union bpf_attr` that `command` reads, without padding.
/// - Every address in `attr` points to memory of the size that the command reads or writes there.
unsafe fn bpf<T>(command: c_long, attr: &mut T) -> Result<i32, Errno> {
    for _ in 0..8 {
        // SAFETY: `attr` is a live, exclusively borrowed value of the given size; the caller answers for
        // the addresses inside.
        let r = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
        if r >= 0 {
            return Ok(r as i32);
        }
        // A load is interrupted by signals with EAGAIN, and may then simply be tried again.
        if last_errno() != Errno::EAGAIN {
            break;
        }
    }
    Err(last_errno())
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: callers pass a descriptor that the kernel has just made for us; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

fn address(bytes: &[u8]) -> u64 {
    if bytes.is_empty() { 0 } else { bytes.as_ptr() as u64 }
}

fn address_mut(bytes: &mut [u8]) -> u64 {
    if bytes.is_empty() { 0 } else { bytes.as_mut_ptr() as u64 }
}

/// Length for a `u32` field.
fn length(len: usize) -> Result<u32, Errno> {
    u32::try_from(len).map_err(|_| Errno::E2BIG)
}

/// A map's descriptor with the geometry that the kernel reports: what makes element operations safe.
#[derive(Debug)]
pub struct MapFd {
    fd: OwnedFd,
    info: MapInfo,
    value_len: usize,
}

impl MapFd {
    /// Creates a map.
    pub fn create(mut attr: MapCreate) -> Result<Self, Errno> {
        // SAFETY: `MapCreate` holds no addresses.
        let fd = owned(unsafe { bpf(cmd::MAP_CREATE, &mut attr) }?);
        Self::from_fd(fd)
    }

    /// Takes over a descriptor; fails when it is not a map's.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, Errno> {
        let mut info = MapInfo::default();
        let mut attr = ObjInfo {
            bpf_fd: raw(fd.as_fd()),
            info_len: size_of::<MapInfo>() as u32,
            info: std::ptr::from_mut(&mut info) as u64,
        };
        // SAFETY: `info` is `info_len` bytes of plain numbers, live during the call. For a descriptor of
        // another kind (program, BTF) the structure is also read as input: it is all zero, so no address in
        // it is followed.
        unsafe { bpf(cmd::OBJ_GET_INFO_BY_FD, &mut attr) }?;
        const PER_CPU: [u32; 4] = [5, 6, 10, 21];
        let value = info.value_size as usize;
        let value_len = if PER_CPU.contains(&info.map_type) {
            value.next_multiple_of(8) * possible_cpus()
        } else {
            value
        };
        Ok(Self { fd, info, value_len })
    }

    /// What the kernel said at creation.
    pub fn info(&self) -> &MapInfo {
        &self.info
    }

    /// Bytes that lookups give and updates take.
    pub fn value_len(&self) -> usize {
        self.value_len
    }

    fn elem(&self, command: c_long, key: u64, value: u64, flags: u64) -> Result<(), Errno> {
        let mut attr = MapElem { map_fd: raw(self.fd.as_fd()), pad: 0, key, value, flags };
        // SAFETY: callers in this impl pass addresses of slices whose lengths they have compared with the
        // kernel's key and value sizes; map fds cannot change size.
        unsafe { bpf(command, &mut attr) }.map(drop)
    }

    fn key(&self, key: &[u8]) -> Result<u64, Errno> {
        if key.len() != self.info.key_size as usize {
            return Err(Errno::EINVAL);
        }
        Ok(address(key))
    }

    /// Whether it is asked for values, which stand in the key's place.
    pub fn holds_values_only(&self) -> bool {
        const BLOOM_FILTER: u32 = 30;
        self.info.map_type == BLOOM_FILTER
    }

    /// `BPF_MAP_LOOKUP_ELEM`.
    pub fn lookup(&self, key: &[u8], flags: u64) -> Result<Vec<u8>, Errno> {
        if self.holds_values_only() {
            let mut value = key.to_vec();
            if value.len() != self.value_len {
                return Err(Errno::EINVAL);
            }
            self.elem(cmd::MAP_LOOKUP_ELEM, 0, address_mut(&mut value), flags)?;
            return Ok(value);
        }
        let key = self.key(key)?;
        let mut value = vec![0; self.value_len];
        self.elem(cmd::MAP_LOOKUP_ELEM, key, address_mut(&mut value), flags)?;
        Ok(value)
    }

    /// `BPF_MAP_UPDATE_ELEM`.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        if value.len() != self.value_len {
            return Err(Errno::EINVAL);
        }
        self.elem(cmd::MAP_UPDATE_ELEM, self.key(key)?, address(value), flags)
    }

    /// `BPF_MAP_DELETE_ELEM`.
    pub fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.elem(cmd::MAP_DELETE_ELEM, self.key(key)?, 0, 0)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    pub fn lookup_and_delete(&self, key: &[u8]) -> Result<Vec<u8>, Errno> {
        let key = self.key(key)?;
        let mut value = vec![0; self.value_len];
        self.elem(cmd::MAP_LOOKUP_AND_DELETE_ELEM, key, address_mut(&mut value), 0)?;
        Ok(value)
    }

    /// `BPF_MAP_GET_NEXT_KEY`.
    pub fn next_key(&self, key: Option<&[u8]>) -> Result<Vec<u8>, Errno> {
        let key = key.map_or(Ok(0), |k| self.key(k))?;
        let mut next = vec![0; self.info.key_size as usize];
        self.elem(cmd::MAP_GET_NEXT_KEY, key, address_mut(&mut next), 0)?;
        Ok(next)
    }

    /// `BPF_MAP_FREEZE`.
    pub fn freeze(&self) -> Result<(), Errno> {
        self.elem(cmd::MAP_FREEZE, 0, 0, 0)
    }
}

impl AsFd for MapFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Bytes of a page.
pub fn page_size() -> usize {
    // SAFETY: no pointers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// CPUs that the kernel reserves per-CPU memory for (`/sys/devices/system/cpu/possible`, as `0-3,8`).
pub fn possible_cpus() -> usize {
    static COUNT: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *COUNT.get_or_init(|| {
        let text = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
        count_cpus(text.trim()).unwrap_or(1)
    })
}

/// Possible CPUs are counted up to the highest number: the kernel copies a value for each.
fn count_cpus(list: &str) -> Option<usize> {
    let mut n = 0;
    for part in list.split(',') {
        let (lo, hi) = part.split_once('-').unwrap_or((part, part));
        let (lo, hi) = (lo.parse::<usize>().ok()?, hi.parse::<usize>().ok()?);
        n += hi.checked_sub(lo)? + 1;
    }
    Some(n)
}

/// What `BPF_PROG_LOAD` takes.
#[derive(Clone, Copy, Default)]
pub struct Load<'a> {
    pub prog_type: u32,
    pub attach_type: u32,
    pub flags: u32,
    pub kernel_version: u32,
    pub name: [u8; 16],
    /// Whole slots.
    pub insns: &'a [u8],
    pub license: &'a CStr,
    pub btf: Option<BorrowedFd<'a>>,
    /// Records of 8 bytes.
    pub func_info: &'a [u8],
    /// Records of 16 bytes.
    pub line_info: &'a [u8],
    pub attach_btf_id: u32,
    /// The module whose types have it.
    pub attach_btf: Option<BorrowedFd<'a>>,
    /// Or the program whose types have it, for one that replaces a function of that.
    pub attach_prog: Option<BorrowedFd<'a>>,
    pub fd_array: &'a [i32],
    pub log_level: u32,
}

/// `BPF_PROG_LOAD`, writing the verifier's log into `log` if `log_level` is not 0. Also the bytes that the whole log
/// has, with its final NUL; 0 before Linux 6.4.
pub fn prog_load(load: &Load<'_>, log: &mut [u8]) -> (Result<OwnedFd, Errno>, usize) {
    let mut log_true_size = 0;
    let result = try_prog_load(load, log, &mut log_true_size);
    (result, log_true_size as usize)
}

fn try_prog_load(load: &Load<'_>, log: &mut [u8], log_true_size: &mut u32) -> Result<OwnedFd, Errno> {
    let mut attr = ProgLoad {
        prog_type: load.prog_type,
        insn_cnt: length(load.insns.len() / 8)?,
        insns: address(load.insns),
        license: load.license.as_ptr() as u64,
        kern_version: load.kernel_version,
        prog_flags: load.flags,
        prog_name: load.name,
        expected_attach_type: load.attach_type,
        attach_btf_id: load.attach_btf_id,
        attach_fd: load.attach_prog.or(load.attach_btf).map_or(0, raw),
        ..ProgLoad::default()
    };
    if load.log_level != 0 {
        attr.log_level = load.log_level;
        attr.log_size = length(log.len())?;
        attr.log_buf = address_mut(log);
    }
    if let Some(btf) = load.btf {
        attr.prog_btf_fd = raw(btf);
        attr.func_info_rec_size = 8;
        attr.func_info_cnt = length(load.func_info.len() / 8)?;
        attr.func_info = address(load.func_info);
        attr.line_info_rec_size = 16;
        attr.line_info_cnt = length(load.line_info.len() / 16)?;
        attr.line_info = address(load.line_info);
    }
    if !load.fd_array.is_empty() {
        attr.fd_array = load.fd_array.as_ptr() as u64;
    }
    // SAFETY: counts are the lengths of live slices; the licence ends in NUL; `log` is exclusively ours.
    // `fd_array` is read at the indices that the program holds, as user memory: an index beyond its end
    // reads other memory of ours as a descriptor, or fails with EFAULT, and writes nothing.
    let result = unsafe { bpf(cmd::PROG_LOAD, &mut attr) };
    *log_true_size = attr.log_true_size;
    result.map(owned)
}

/// What `BPF_PROG_TEST_RUN` takes. Empty slices are passed as NULL.
pub struct Run<'a> {
    pub data_in: &'a [u8],
    pub data_out: &'a mut [u8],
    /// The kernel writes a `syscall` program's context back here.
    pub ctx_in: &'a mut [u8],
    pub ctx_out: &'a mut [u8],
    pub repeat: u32,
}

/// What `BPF_PROG_TEST_RUN` gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran {
    pub retval: u32,
    pub data_len: usize,
    pub ctx_len: usize,
    pub duration_ns: u32,
}

/// `BPF_PROG_TEST_RUN`.
pub fn test_run(program: BorrowedFd<'_>, run: Run<'_>) -> Result<Ran, Errno> {
    let mut attr = TestRun {
        prog_fd: raw(program),
        data_size_in: length(run.data_in.len())?,
        data_in: address(run.data_in),
        data_size_out: length(run.data_out.len())?,
        data_out: address_mut(run.data_out),
        ctx_size_in: length(run.ctx_in.len())?,
        ctx_in: address_mut(run.ctx_in),
        ctx_size_out: length(run.ctx_out.len())?,
        ctx_out: address_mut(run.ctx_out),
        repeat: run.repeat,
        ..TestRun::default()
    };
    // SAFETY: sizes are the lengths of live slices, those that the kernel writes are exclusively ours.
    unsafe { bpf(cmd::PROG_TEST_RUN, &mut attr) }?;
    Ok(Ran {
        retval: attr.retval,
        data_len: (attr.data_size_out as usize).min(run.data_out.len()),
        ctx_len: (attr.ctx_size_out as usize).min(run.ctx_out.len()),
        duration_ns: attr.duration,
    })
}

/// `BPF_OBJ_GET_INFO_BY_FD` for a program; `EINVAL` for other descriptors.
pub fn prog_info(program: BorrowedFd<'_>) -> Result<ProgInfo, Errno> {
    let mut info = ProgInfo::default();
    let mut attr = ObjInfo {
        bpf_fd: raw(program),
        info_len: size_of::<ProgInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    // SAFETY: `info` is `info_len` bytes, live during the call, and all zero: no address in it is followed.
    unsafe { bpf(cmd::OBJ_GET_INFO_BY_FD, &mut attr) }?;
    Ok(info)
}

/// `BPF_BTF_LOAD`.
pub fn btf_load(bytes: &[u8], log: &mut [u8]) -> Result<OwnedFd, Errno> {
    let mut attr = BtfLoad {
        btf: address(bytes),
        btf_size: length(bytes.len())?,
        btf_log_buf: address_mut(log),
        btf_log_size: length(log.len())?,
        btf_log_level: u32::from(!log.is_empty()),
        pad: 0,
    };
    // SAFETY: sizes are the lengths of live slices, `log` is exclusively ours.
    unsafe { bpf(cmd::BTF_LOAD, &mut attr) }.map(owned)
}

/// `BPF_OBJ_PIN`.
pub fn obj_pin(fd: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let mut attr = ObjPath { pathname: path.as_ptr() as u64, bpf_fd: raw(fd), file_flags: 0 };
    // SAFETY: the path ends in NUL and lives during the call.
    unsafe { bpf(cmd::OBJ_PIN, &mut attr) }.map(drop)
}

/// `BPF_OBJ_GET`: what is pinned, of whatever kind.
pub fn obj_get(path: &CStr) -> Result<OwnedFd, Errno> {
    let mut attr = ObjPath { pathname: path.as_ptr() as u64, ..ObjPath::default() };
    // SAFETY: as above.
    unsafe { bpf(cmd::OBJ_GET, &mut attr) }.map(owned)
}

/// Whether a path is on a file system of BPF's.
pub fn on_bpffs(path: &CStr) -> Result<bool, Errno> {
    /// `BPF_FS_MAGIC`.
    const MAGIC: i64 = 0xcafe_4a11;
    let mut fs = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends in NUL; `fs` is a live structure that is written.
    if unsafe { libc::statfs(path.as_ptr(), fs.as_mut_ptr()) } != 0 {
        return Err(last_errno());
    }
    // SAFETY: written, since the call succeeded.
    let fs = unsafe { fs.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "the field's type depends on the machine")]
    let magic = fs.f_type as i64;
    Ok(magic & 0xffff_ffff == MAGIC)
}

/// `BPF_LINK_CREATE` for a `struct_ops` map; dropping the descriptor detaches.
pub fn link_struct_ops(map: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    /// `BPF_STRUCT_OPS`.
    const STRUCT_OPS: u32 = 44;
    let mut attr = LinkCreate { prog_fd: raw(map), attach_type: STRUCT_OPS, ..LinkCreate::default() };
    // SAFETY: the attribute holds no addresses.
    unsafe { bpf(cmd::LINK_CREATE, &mut attr) }.map(owned)
}

/// `BPF_ENABLE_STATS` for run counts; they are counted while the descriptor is open.
pub fn enable_run_stats() -> Result<OwnedFd, Errno> {
    // SAFETY: the attribute is one number, `BPF_STATS_RUN_TIME`.
    unsafe { bpf(cmd::ENABLE_STATS, &mut 0u32) }.map(owned)
}

/// Lets this process lock any amount of memory: kernels before 5.11 count maps and programs against
/// `RLIMIT_MEMLOCK` and fail with `EPERM` when it is spent. Says whether the limit has been raised just now,
/// so that another try may help.
pub fn raise_memlock() -> bool {
    static TRIED: AtomicBool = AtomicBool::new(false);
    if TRIED.swap(true, Ordering::Relaxed) {
        return false;
    }
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a live structure that is only read.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) == 0 }
}

/// `poll(2)` on one descriptor; the events that came, 0 after the timeout. A signal ends the wait early.
pub fn poll(fd: BorrowedFd<'_>, events: i16, timeout: Duration) -> Result<i16, Errno> {
    let mut pollfd = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // Rounded up, so that a wait of less than a millisecond does not spin.
    let ms = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32;
    // SAFETY: one live, exclusively borrowed structure.
    match unsafe { libc::poll(&mut pollfd, 1, ms) } {
        -1 if last_errno() == Errno::EINTR => Ok(0),
        -1 => Err(last_errno()),
        _ => Ok(pollfd.revents),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(count_cpus("0"), Some(1));
        assert_eq!(count_cpus("0-3"), Some(4));
        assert_eq!(count_cpus("0-1,4,6-7"), Some(5));
        assert_eq!(count_cpus(""), None);
        assert_eq!(count_cpus("3-1"), None);
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(attr::name_text(&attr::object_name("a-name of more than 15")), "a_name_of_more_");
    }

    /// Padding would hand uninitialised bytes to the kernel and shift fields.
    #[test]
    fn attributes_have_the_kernels_sizes() {
        assert_eq!(size_of::<MapCreate>(), 80);
        assert_eq!(size_of::<MapElem>(), 32);
        assert_eq!(std::mem::offset_of!(ProgLoad, fd_array), 120);
        assert_eq!(std::mem::offset_of!(ProgLoad, log_true_size), 140);
        assert_eq!(size_of::<ProgLoad>(), 144);
        assert_eq!(std::mem::offset_of!(TestRun, ctx_out), 56);
        assert_eq!(size_of::<TestRun>(), 80);
        assert_eq!(std::mem::offset_of!(ProgInfo, run_cnt), 200);
        assert_eq!(std::mem::offset_of!(ProgInfo, verified_insns), 216);
    }
}

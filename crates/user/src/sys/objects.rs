//! What descriptors and numbers of this process stand for: threads, files, control groups, sockets, interfaces.

use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::fs;
use std::mem::MaybeUninit;

use skep_abi::MapType;
use skep_maps::Object;
use skep_spec::Errno;

fn last_errno() -> Errno {
    Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// What an element of local storage belongs to, by the descriptor in its key: a pidfd's thread, a socket, a file or a
/// control group's folder.
///
/// # Errors
/// `EBADF` no such descriptor, or of another kind; `ENOTSOCK`; `ENOENT` a thread that has ended.
pub(crate) fn object(kind: MapType, fd: i32) -> Result<Object, Errno> {
    match kind {
        MapType::TASK_STORAGE => task_of_pidfd(fd),
        MapType::SK_STORAGE => cookie(fd).map(|cookie| [0, cookie]),
        MapType::INODE_STORAGE => stat(fd).map(|stat| [stat.st_dev, stat.st_ino]),
        _ => cgroup(fd),
    }
}

fn stat(fd: i32) -> Result<libc::stat, Errno> {
    let mut stat = MaybeUninit::uninit();
    // SAFETY: `stat` has room for the structure.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return Err(last_errno());
    }
    // SAFETY: the call has filled it.
    Ok(unsafe { stat.assume_init() })
}

fn cgroup(fd: i32) -> Result<Object, Errno> {
    /// `CGROUP_SUPER_MAGIC`, `CGROUP2_SUPER_MAGIC`.
    const MAGIC: [u32; 2] = [0x0027_e0eb, 0x6367_7270];
    let stat = stat(fd)?;
    let mut system = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `system` has room for the structure.
    if unsafe { libc::fstatfs(fd, system.as_mut_ptr()) } != 0 {
        return Err(last_errno());
    }
    // SAFETY: the call has filled it.
    let system = unsafe { system.assume_init() };
    let folder = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
    match folder && MAGIC.contains(&(system.f_type as u32)) {
        true => Ok([stat.st_dev, stat.st_ino]),
        false => Err(Errno::EBADF),
    }
}

/// The thread of a pidfd: of one without `PIDFD_THREAD` the first of its process.
fn task_of_pidfd(fd: i32) -> Result<Object, Errno> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).map_err(|_| Errno::EBADF)?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).ok_or(Errno::EBADF)?;
    let pid: i64 = pid.trim().parse().map_err(|_| Errno::EBADF)?;
    // -1 once it has ended.
    let tid = u32::try_from(pid).ok().filter(|tid| *tid != 0).ok_or(Errno::ENOENT)?;
    start_of(tid).map(|start| [start, tid.into()]).ok_or(Errno::ENOENT)
}

/// Whether a thread that has a value in task storage has ended.
pub(crate) fn has_ended([start, tid]: Object) -> bool {
    u32::try_from(tid).is_ok_and(|tid| start_of(tid) != Some(start))
}

/// When a thread began, in ticks since boot; `None` when there is no such thread.
fn start_of(tid: u32) -> Option<u64> {
    start(&fs::read(format!("/proc/{tid}/stat")).ok()?)
}

/// The 22nd field; the second, a name in parentheses, may hold anything.
fn start(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|b| *b == b')')?;
    let field = stat.get(name_end + 2..)?.split(|b| *b == b' ').nth(19)?;
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

/// The calling thread. A thread's start is read once, by bare system calls and into its stack: 0 where the system does
/// not tell.
pub(crate) fn task_object() -> Object {
    thread_local!(static START: Cell<(u32, u64)> = const { Cell::new((0, 0)) });
    let tid = super::task::task().pid;
    // A forked child has the parent's.
    if START.get().0 != tid {
        START.set((tid, own_start().unwrap_or(0)));
    }
    [START.get().1, tid.into()]
}

fn own_start() -> Option<u64> {
    const PATH: &CStr = c"/proc/thread-self/stat";
    let mut bytes = [0u8; 512];
    // SAFETY: a C string; the descriptor is closed by nobody else; `bytes` has the room that is said.
    let read = unsafe {
        let fd = libc::open(PATH.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return None;
        }
        let read = libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len());
        libc::close(fd);
        read
    };
    start(bytes.get(..usize::try_from(read).ok()?)?)
}

fn option<T: Default>(fd: i32, level: c_int, name: c_int) -> Result<T, Errno> {
    let (mut value, mut len) = (T::default(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `value` is a number or an array of numbers of `len` bytes.
    let done = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) };
    if done == 0 { Ok(value) } else { Err(last_errno()) }
}

/// The number by which a socket is known as long as the system runs.
fn cookie(fd: i32) -> Result<u64, Errno> {
    option(fd, libc::SOL_SOCKET, libc::SO_COOKIE)
}

/// The cookie of a socket that may be in a sockmap: TCP that is connected or listens, UDP, a connected stream or any
/// datagrams of Unix, a connected stream of vsock (`sock_map_update_elem_sys`).
///
/// # Errors
/// `EINVAL` no number of a descriptor, `EBADF`, `ENOTSOCK`, `EOPNOTSUPP` another socket or state.
pub(crate) fn socket(fd: u64) -> Result<u64, Errno> {
    const TCP_ESTABLISHED: u8 = 1;
    const TCP_LISTEN: u8 = 10;
    let fd = i32::try_from(fd).map_err(|_| Errno::EINVAL)?;
    let get = |name| option::<c_int>(fd, libc::SOL_SOCKET, name);
    let (domain, kind, protocol) = (get(libc::SO_DOMAIN)?, get(libc::SO_TYPE)?, get(libc::SO_PROTOCOL)?);
    let may = match (domain, kind, protocol) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP) => {
            let [state]: [u8; 1] = option(fd, libc::IPPROTO_TCP, libc::TCP_INFO)?;
            matches!(state, TCP_ESTABLISHED | TCP_LISTEN)
        }
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP) => true,
        (libc::AF_UNIX, libc::SOCK_DGRAM, _) => true,
        (libc::AF_UNIX | libc::AF_VSOCK, libc::SOCK_STREAM, _) => has_peer(fd),
        _ => false,
    };
    if may { cookie(fd) } else { Err(Errno::EOPNOTSUPP) }
}

fn has_peer(fd: i32) -> bool {
    let mut address = MaybeUninit::<libc::sockaddr_storage>::uninit();
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `address` has the room that is said.
    unsafe { libc::getpeername(fd, address.as_mut_ptr().cast(), &raw mut len) == 0 }
}

/// Whether the namespace has an interface.
pub(crate) fn has_interface(ifindex: u32) -> bool {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: `name` has the room that the function asks for.
    !unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr()) }.is_null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_finds_itself_as_others_find_it() {
        let here = task_object();
        assert_eq!(start_of(here[1] as u32), Some(here[0]));
        assert!(!has_ended(here));
        let there = std::thread::spawn(task_object).join().expect("no panic");
        assert_ne!(here, there);
        assert!(has_ended(there) || cfg!(not(target_os = "linux")));
    }

    #[test]
    fn names_of_threads_do_not_confuse() {
        let fields: Vec<String> = (3..=52).map(|n| n.to_string()).collect();
        let stat = format!("7 (a) 9 ((b) {}", fields.join(" "));
        assert_eq!(start(stat.as_bytes()), Some(22));
        assert_eq!(start(b"7 (a"), None);
    }
}

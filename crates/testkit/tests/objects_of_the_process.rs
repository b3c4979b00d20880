//! Maps whose keys or values are descriptors of what a process has: local storage and sockmaps answer the same on both
//! backends for the same descriptors.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Builder, IntEncoding};
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, Errno, LoadOptions, MapDef, RunInput};
use skep_testkit::case::source::assemble;
use skep_user::UserBackend;

const FLAGS: &[u64] = &[0, 0, 0, 1, 1, 2, 2, 3, 4, 8, u64::MAX];

fn linux() -> Option<LinuxBackend> {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return None;
    }
    Some(LinuxBackend::new())
}

fn storage(kind: MapType) -> MapDef {
    let mut types = Builder::new();
    let int = types.int("int", 4, IntEncoding::Signed);
    let value = types.structure("value", 12, &[]);
    let btf = types.finish().ok().map(Arc::new);
    let flags = MapFlags(MapFlags::NO_PREALLOC);
    MapDef { flags, btf, key_btf_id: int.0, value_btf_id: value.0, ..MapDef::new(kind, 4, 12, 0) }
        .named("kept")
}

/// xorshift64*.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn pidfd(pid: i32, flags: u32) -> Option<OwnedFd> {
    // SAFETY: no pointers; the new descriptor is owned by nobody else.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, flags);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd as i32))
    }
}

/// The same operations with the same keys on two maps.
fn compare(what: &str, maps: &[Arc<dyn BackendMap>; 2], keys: &[i32], rounds: u32) -> [u32; 3] {
    let mut rng = Rng(0x5eed);
    let mut seen = [0; 3];
    let errno = |e: skep_spec::Error| e.errno;
    for _ in 0..rounds {
        let fd = rng.pick(keys);
        let key = fd.to_ne_bytes();
        let flags = rng.pick(FLAGS);
        match rng.below(8) {
            0..4 => {
                let value: Vec<u8> = (0..12).map(|_| rng.below(256) as u8).collect();
                let [ours, kernels] =
                    [0, 1].map(|i: usize| maps[i].update(&key, &value, flags).map_err(errno));
                assert_eq!(ours, kernels, "{what}: update {fd} flags {flags:#x}");
                seen[0] += u32::from(ours.is_ok());
            }
            4..6 => {
                let flags = if rng.below(4) == 0 { flags } else { 0 };
                let [ours, kernels] = [0, 1].map(|i: usize| maps[i].lookup(&key, flags).map_err(errno));
                assert_eq!(ours, kernels, "{what}: lookup {fd} flags {flags:#x}");
                seen[1] += u32::from(ours.is_ok());
            }
            6 => {
                let [ours, kernels] = [0, 1].map(|i: usize| maps[i].delete(&key).map_err(errno));
                assert_eq!(ours, kernels, "{what}: delete {fd}");
                seen[2] += u32::from(ours.is_ok());
            }
            _ => {
                let [ours, kernels] = [0, 1].map(|i: usize| maps[i].next_key(Some(&key)).map_err(errno));
                assert_eq!(ours, kernels, "{what}: next key");
            }
        }
    }
    seen
}

#[test]
fn local_storage() {
    let Some(linux) = linux() else { return };
    let user = UserBackend::new();
    let file = File::open("/proc/self/status").expect("there is one");
    let (null, zero) = (File::open("/dev/null").expect("a file"), File::open("/dev/zero").expect("a file"));
    let again = File::open("/dev/null").expect("a file");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let group = mounts.lines().filter_map(|line| line.split_once(" - cgroup2 "));
    let folder = group.filter_map(|(place, _)| File::open(place.split(' ').nth(4)?).ok()).next();
    let (a, b) = UnixStream::pair().expect("sockets");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let (own, parent) = (pidfd(std::process::id() as i32, 0), pidfd(1, 0));
    // A thread's own, and one of a thread that has ended.
    const PIDFD_THREAD: u32 = libc::O_EXCL as u32;
    // SAFETY: no pointers.
    let tid = || unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let here = pidfd(tid(), PIDFD_THREAD);
    let ended = std::thread::spawn(move || pidfd(tid(), PIDFD_THREAD)).join().expect("no panic");
    let files: [&dyn AsRawFd; 7] = [&file, &null, &zero, &again, &a, &b, &udp];
    let mut keys: Vec<i32> = files.iter().map(|f| f.as_raw_fd()).collect();
    for fd in [&own, &parent, &here, &ended].into_iter().flatten() {
        keys.push(fd.as_raw_fd());
    }
    keys.extend(folder.as_ref().map(AsRawFd::as_raw_fd));
    keys.extend([-1, 100_000, i32::MAX, i32::MIN]);
    for kind in [MapType::TASK_STORAGE, MapType::SK_STORAGE, MapType::INODE_STORAGE, MapType::CGRP_STORAGE] {
        let name = kind.name().unwrap_or("?");
        let kernels = match linux.create_map(&storage(kind)) {
            Ok(map) => map,
            Err(e) => {
                println!("skipped: the kernel makes no {name}: {e}");
                continue;
            }
        };
        let maps = [user.create_map(&storage(kind)).expect("a legal map"), kernels];
        let seen = compare(name, &maps, &keys, 3000);
        let has_one = kind != MapType::CGRP_STORAGE || folder.is_some();
        assert!(
            !has_one || seen.iter().all(|n| *n > 0),
            "{name}: each operation succeeds at times: {seen:?}"
        );
        // What a definition may say.
        for def in [
            MapDef { btf: None, ..storage(kind) },
            MapDef { max_entries: 1, ..storage(kind) },
            MapDef { key_size: 8, ..storage(kind) },
            MapDef { value_size: 0, ..storage(kind) },
            MapDef { value_size: 65407, ..storage(kind) },
            MapDef { value_size: 65408, ..storage(kind) },
            MapDef { flags: MapFlags(0), ..storage(kind) },
            MapDef { flags: MapFlags(MapFlags::NO_PREALLOC | MapFlags::CLONE), ..storage(kind) },
            MapDef { flags: MapFlags(MapFlags::NO_PREALLOC | MapFlags::RDONLY), ..storage(kind) },
        ] {
            let [ours, kernels] =
                [&user as &dyn Backend, &linux].map(|b| b.create_map(&def).map(drop).map_err(|e| e.errno));
            // Sizes that the types do not have stop the kernel first, where they are legal themselves.
            let typed = def.value_size == 12 && def.key_size == 4;
            if typed || ours.is_err() {
                assert_eq!(ours.is_ok(), kernels.is_ok(), "{name}: {def:?}: {ours:?} {kernels:?}");
            }
        }
    }
}

/// What a program keeps with its thread the host finds under the thread's pidfd, and the other way round.
#[test]
fn host_and_program_mean_the_same_thread() {
    let text = "
.map kept type=task_storage key=4 value=8 max_entries=0 flags=BPF_F_NO_PREALLOC
.section syscall
main:
    call bpf_get_current_task_btf
    r1 = map[kept] ll
    r2 = r0
    r3 = 0
    r4 = 1
    call bpf_task_storage_get
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
    r0 = r1
out:
    exit
";
    let spec = assemble(text).expect("it assembles").remove(0);
    // SAFETY: no pointers.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let Some(here) = pidfd(tid, libc::O_EXCL as u32) else {
        println!("skipped: no pidfds of threads");
        return;
    };
    let key = here.as_raw_fd().to_ne_bytes();
    let user = UserBackend::new();
    let kernel = linux();
    let backends = [Some(&user as &dyn Backend), kernel.as_ref().map(|b| b as &dyn Backend)];
    for backend in backends.into_iter().flatten() {
        let who = backend.name();
        let map = backend.create_map(&spec.maps[0]).expect("a legal map");
        let maps = [Arc::clone(&map)];
        let program =
            backend.load(&spec, &maps, LoadOptions::default()).unwrap_or_else(|e| panic!("{who}: {e}"));
        let run = || program.test_run(RunInput::default()).expect("it runs").retval;
        assert_eq!((run(), run()), (1, 2), "{who}");
        assert_eq!(map.lookup(&key, 0), Ok(2u64.to_ne_bytes().to_vec()), "{who}");
        map.update(&key, &40u64.to_ne_bytes(), 0).unwrap_or_else(|e| panic!("{who}: {e}"));
        assert_eq!(run(), 41, "{who}");
        // Another thread has a value of its own.
        let other = std::thread::scope(|s| s.spawn(run).join().expect("no panic"));
        assert_eq!(other, 1, "{who}");
        map.delete(&key).unwrap_or_else(|e| panic!("{who}: {e}"));
        assert_eq!(map.lookup(&key, 0).map_err(|e| e.errno), Err(Errno::ENOENT), "{who}");
        assert_eq!(run(), 1, "{who}");
    }
}

#[test]
fn sockmaps() {
    let Some(linux) = linux() else { return };
    let user = UserBackend::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (server, _) = listener.accept().expect("one has come");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let (a, b) = UnixStream::pair().expect("sockets");
    let (c, d) = UnixDatagram::pair().expect("sockets");
    let file = File::open("/dev/null").expect("a file");
    let path = std::env::temp_dir().join(format!("skep-sockmap-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let unix = UnixListener::bind(&path).expect("a socket's name");
    let raw = |domain, kind, protocol| {
        // SAFETY: no pointers; the new descriptor is owned by nobody else.
        unsafe {
            let fd = libc::socket(domain, kind, protocol);
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        }
    };
    // Not connected; raw packets; a netlink socket.
    let others = [
        raw(libc::AF_INET, libc::SOCK_STREAM, 0),
        raw(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        raw(libc::AF_NETLINK, libc::SOCK_RAW, 0),
        raw(libc::AF_PACKET, libc::SOCK_RAW, 0),
    ];
    let sockets: [&dyn AsRawFd; 11] =
        [&listener, &client, &server, &udp, &a, &b, &c, &d, &file, &unix, &client];
    let mut fds: Vec<u64> = sockets.iter().map(|s| s.as_raw_fd() as u64).collect();
    fds.extend(others.iter().flatten().map(|s| s.as_raw_fd() as u64));
    fds.extend([100_000, i32::MAX as u64, 1 << 31, u64::from(u32::MAX), u64::MAX]);
    let errno = |e: skep_spec::Error| e.errno;
    let mut rng = Rng(0x50c7);
    for kind in [MapType::SOCKMAP, MapType::SOCKHASH] {
        for value_size in [4, 8] {
            let def = MapDef::new(kind, 4, value_size, 6).named("sockets");
            let maps = [user.create_map(&def).expect("legal"), linux.create_map(&def).expect("legal")];
            let mut stored = 0;
            for _ in 0..1500 {
                let key = (rng.below(8) as u32).to_ne_bytes();
                let fd = rng.pick(&fds);
                let value = if value_size == 4 {
                    (fd as u32).to_ne_bytes().to_vec()
                } else {
                    fd.to_ne_bytes().to_vec()
                };
                let flags = rng.pick(FLAGS);
                let answer = |map: &Arc<dyn BackendMap>, what| match what {
                    0..3 => map.update(&key, &value, flags).map(|()| Vec::new()).map_err(errno),
                    3 => map.lookup(&key, 0).map_err(errno),
                    _ => map.delete(&key).map(|()| Vec::new()).map_err(errno),
                };
                let what = rng.below(5);
                let [ours, kernels] = [0, 1].map(|i: usize| answer(&maps[i], what));
                let name = kind.name().unwrap_or("?");
                assert_eq!(
                    ours, kernels,
                    "{name} of {value_size} bytes: {what} {key:?} fd {fd} flags {flags:#x}"
                );
                stored += u32::from(what < 3 && ours.is_ok());
            }
            assert!(stored > 100, "sockets go in: {stored}");
        }
    }
    let _ = std::fs::remove_file(&path);
}

//! Devmaps, cpumaps and sockmaps: the same operations on ours and on the running kernel's give the same results and
//! error numbers.
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use skep_abi::{MapFlags, MapType};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Errno, MapDef};
use support::{KernelMap, Rng};

const FLAGS: &[u64] = &[0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 8, u64::MAX];

struct Pair {
    ours: std::sync::Arc<Map>,
    kernel: KernelMap,
    what: String,
}

impl Pair {
    fn new(def: &MapDef) -> Self {
        let ours = Map::create(def, &Config::new(support::possible_cpus()), &Heap).expect("a legal map");
        let kernel = KernelMap::create(def, def.value_size as usize).expect("the kernel makes it too");
        let name = def.kind.name().unwrap_or("?");
        let what = format!("{name} key {} value {} of {}", def.key_size, def.value_size, def.max_entries);
        Self { ours, kernel, what }
    }

    /// One operation beside updates.
    fn other(&self, rng: &mut Rng, key: &[u8]) {
        let what = &self.what;
        match rng.below(8) {
            0..3 => {
                let flags = rng.pick(&[0, 0, 4, 8]);
                let ours = self.ours.lookup_copy(key, flags).map_err(|e| e.errno);
                assert_eq!(ours, self.kernel.lookup(key, flags), "{what}: lookup {key:?} flags {flags:#x}");
            }
            3..6 => {
                let ours = self.ours.delete_from_host(key).map_err(|e| e.errno);
                assert_eq!(ours, self.kernel.delete(key), "{what}: delete {key:?}");
            }
            6 if !matches!(self.ours.kind(), MapType::DEVMAP_HASH | MapType::SOCKHASH) => {
                let ours = self.ours.next_key(Some(key)).map_err(|e| e.errno);
                assert_eq!(ours, self.kernel.next_key(Some(key)), "{what}: next key of {key:?}");
            }
            _ => {
                let ours = walk(&|k| self.ours.next_key(k).map_err(|e| e.errno));
                assert_eq!(ours, walk(&|k| self.kernel.next_key(k)), "{what}: keys");
            }
        }
    }
}

type NextKey<'a> = &'a dyn Fn(Option<&[u8]>) -> Result<Vec<u8>, Errno>;

fn walk(next: NextKey) -> Result<BTreeSet<Vec<u8>>, Errno> {
    let (mut keys, mut last): (BTreeSet<_>, Option<Vec<u8>>) = (BTreeSet::new(), None);
    loop {
        match next(last.as_deref()) {
            Ok(key) => {
                assert!(keys.insert(key.clone()), "no key comes twice");
                last = Some(key);
            }
            Err(Errno::ENOENT) => return Ok(keys),
            Err(e) => return Err(e),
        }
    }
}

#[test]
fn interfaces_and_cpus() {
    if !support::kernel_or_skip() {
        return;
    }
    let exists = |ifindex| ifindex == 1;
    let cpus = support::possible_cpus();
    for (kind, rounds) in [(MapType::DEVMAP, 1500), (MapType::DEVMAP_HASH, 1500), (MapType::CPUMAP, 400)] {
        for value_size in [4, 8] {
            for entries in [1, 3, cpus + 2] {
                let pair = Pair::new(&MapDef::new(kind, 4, value_size, entries));
                let mut rng = Rng::new(u64::from(kind.0 * value_size + entries));
                for _ in 0..rounds * support::campaign() {
                    let key = rng.pick(&[0, 0, 1, 2, 3, cpus, entries, u32::MAX]).to_ne_bytes();
                    if rng.below(2) == 0 {
                        pair.other(&mut rng, &key);
                        continue;
                    }
                    let target = match kind {
                        MapType::CPUMAP => rng.pick(&[0, 1, 64, 16384, 16385, u32::MAX]),
                        _ => rng.pick(&[0, 1, 1, 1, 1_000_000, u32::MAX]),
                    };
                    // No descriptor is a program's.
                    let program = rng.pick(&[0, 0, 0, -1, i32::MIN, 0, 1_000_000, i32::MAX]);
                    let value = [target.to_ne_bytes(), program.to_ne_bytes()].concat();
                    let (value, flags) = (&value[..value_size as usize], rng.pick(FLAGS));
                    assert_eq!(
                        pair.ours.update_device(&key, value, flags, &exists).map_err(|e| e.errno),
                        pair.kernel.update(&key, value, flags),
                        "{}: update {key:?} to {value:?} flags {flags:#x}",
                        pair.what
                    );
                }
            }
        }
    }
    // Who may do what.
    for kind in [MapType::DEVMAP, MapType::DEVMAP_HASH] {
        for flags in [0, MapFlags::RDONLY, MapFlags::WRONLY] {
            let pair = Pair::new(&MapDef { flags: MapFlags(flags), ..MapDef::new(kind, 4, 4, 2) });
            let (mut rng, key) = (Rng::new(u64::from(flags)), [0; 4]);
            for round in 0..60 {
                if round == 30 {
                    assert_eq!(
                        pair.ours.freeze().map_err(|e| e.errno),
                        pair.kernel.freeze(),
                        "{}",
                        pair.what
                    );
                }
                let value = 1u32.to_ne_bytes();
                let ours = pair.ours.update_device(&key, &value, 0, &exists).map_err(|e| e.errno);
                assert_eq!(ours, pair.kernel.update(&key, &value, 0), "{}: flags {flags:#x}", pair.what);
                pair.other(&mut rng, &key);
            }
        }
    }
}

fn cookie(socket: &dyn AsRawFd) -> u64 {
    let (mut cookie, mut len) = (0u64, 8);
    // SAFETY: room for a number of 8 bytes.
    let done = unsafe {
        let to = (&raw mut cookie).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, to, &raw mut len)
    };
    assert_eq!(done, 0);
    cookie
}

#[test]
fn sockets() {
    if !support::kernel_or_skip() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (server, _) = listener.accept().expect("one has come");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let sockets: [&dyn AsRawFd; 4] = [&listener, &client, &server, &udp];
    for (kind, key_size) in [(MapType::SOCKMAP, 4), (MapType::SOCKHASH, 4), (MapType::SOCKHASH, 9)] {
        for value_size in [4, 8] {
            for entries in [1, 3, 5] {
                let pair = Pair::new(&MapDef::new(kind, key_size, value_size, entries));
                let mut rng = Rng::new(u64::from(kind.0 * value_size + entries));
                for _ in 0..800 * support::campaign() {
                    let mut key = vec![0; key_size as usize];
                    key[..4].copy_from_slice(&rng.pick(&[0, 0, 1, 2, 3, 4, 5, u32::MAX]).to_ne_bytes());
                    if rng.below(2) == 0 {
                        pair.other(&mut rng, &key);
                        continue;
                    }
                    let (socket, flags) = (rng.pick(&sockets), rng.pick(FLAGS));
                    let fd = (socket.as_raw_fd() as u64).to_ne_bytes();
                    let fd = if cfg!(target_endian = "big") && value_size == 4 { &fd[4..] } else { &fd[..] };
                    // The kernel's next word about a flag of locks comes before all others.
                    assert_eq!(
                        match flags & 4 {
                            0 => pair.ours.update_socket(&key, cookie(socket), flags),
                            _ => pair.ours.update_from_host(&key, &fd[..value_size as usize], flags),
                        }
                        .map_err(|e| e.errno),
                        pair.kernel.update(&key, &fd[..value_size as usize], flags),
                        "{}: update {key:?} flags {flags:#x}",
                        pair.what
                    );
                }
            }
        }
    }
}

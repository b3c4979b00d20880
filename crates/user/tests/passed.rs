//! Maps that one process hands to another over a Unix socket: both have the same; and what is no map is refused with the
//! reason.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use skep_abi::{MapFlags, MapType};
use skep_spec::{Backend, BackendMap, Errno, MapDef};
use skep_user::{MapFds, UserBackend, UserOptions};

const SOCKET: &str = "SKEP_PASSED_SOCKET";

fn kinds() -> Vec<MapDef> {
    let flagged = |flags, def| MapDef { flags: MapFlags(flags), ..def };
    let keyed = [
        MapType::ARRAY,
        MapType::PERCPU_ARRAY,
        MapType::HASH,
        MapType::PERCPU_HASH,
        MapType::LRU_HASH,
        MapType::LRU_PERCPU_HASH,
    ];
    let mut kinds: Vec<_> = keyed.map(|kind| MapDef::new(kind, 4, 8, 16)).into();
    kinds.extend([
        flagged(MapFlags::NO_PREALLOC, MapDef::new(MapType::LPM_TRIE, 8, 8, 16)),
        MapDef::new(MapType::QUEUE, 0, 8, 16),
        MapDef::new(MapType::STACK, 0, 8, 16),
        MapDef::new(MapType::BLOOM_FILTER, 0, 8, 16),
        MapDef::new(MapType::RINGBUF, 0, 0, 4096),
        MapDef::new(MapType::USER_RINGBUF, 0, 0, 4096),
        flagged(MapFlags::MMAPABLE, MapDef::new(MapType::ARENA, 0, 0, 4)),
    ]);
    kinds
}

fn key_of(map: &dyn BackendMap) -> Vec<u8> {
    match map.info().key_size {
        0 => Vec::new(),
        8 => vec![8, 0, 0, 0, 1, 0, 0, 0],
        _ => vec![3, 0, 0, 0],
    }
}

fn value_of(map: &dyn BackendMap, byte: u8, cpus: usize) -> Vec<u8> {
    let percpu =
        matches!(map.info().kind, MapType::PERCPU_ARRAY | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH);
    vec![byte; if percpu { 8 * cpus } else { 8 }]
}

fn backend() -> UserBackend {
    UserBackend::with_options(UserOptions { cpus: Some(3), ..UserOptions::default() })
}

/// What a process does with each map that it gets: finds what the other has put in, and puts something in.
fn other(socket: &UnixStream) {
    let backend = UserBackend::new();
    for def in kinds() {
        let fds = MapFds::receive(socket).expect("a map");
        let map = backend.map_of_fds(fds).expect("sound");
        assert_eq!(map.info().kind, def.kind);
        match def.kind {
            MapType::RINGBUF => {
                let mut reader = map.reader().expect("the first here");
                let _ = reader.poll(&mut |_| panic!("nothing is there"));
            }
            MapType::USER_RINGBUF => {
                let mut producer = map.producer().expect("the first here");
                let sample = producer.reserve(8).expect("room");
                producer.write(&sample, 0, &[9; 8]).expect("inside");
                producer.submit(sample);
            }
            MapType::ARENA => {
                let mut seen = [0; 8];
                map.arena_read(4100, &mut seen).expect("inside");
                assert_eq!(seen, [7; 8]);
                map.arena_write(4100, &[9; 8]).expect("inside");
            }
            MapType::BLOOM_FILTER => {
                assert!(map.lookup(&[7; 8], 0).is_ok());
                map.update(&[], &[9; 8], 0).expect("it takes all");
            }
            _ => {
                let key = key_of(&*map);
                assert_eq!(
                    map.lookup(&key, 0).expect("it is there"),
                    value_of(&*map, 7, 3),
                    "{:?}",
                    def.kind
                );
                map.update(&key, &value_of(&*map, 9, 3), 0).expect("room");
            }
        }
        std::io::Write::write_all(&mut &*socket, &[1]).expect("he waits");
    }
}

/// Runs in another process, which the test below starts.
#[test]
fn the_other_process() {
    let Some(fd) = std::env::var(SOCKET).ok().and_then(|fd| fd.parse().ok()) else { return };
    // SAFETY: the parent has left it to us under this number.
    other(&UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) }));
}

#[test]
fn every_kind_is_had_by_two_processes() {
    let backend = backend();
    let (mine, theirs) = UnixStream::pair().expect("sockets");
    // SAFETY: no pointers: the child keeps the descriptor.
    assert_eq!(unsafe { libc::fcntl(theirs.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_other_process", "--nocapture"])
        .env(SOCKET, theirs.as_raw_fd().to_string())
        .spawn()
        .expect("it starts");
    drop(theirs);
    for def in kinds() {
        let map = backend.create_map(&def).expect("legal");
        match def.kind {
            MapType::RINGBUF | MapType::USER_RINGBUF => {}
            MapType::ARENA => map.arena_write(4100, &[7; 8]).expect("inside"),
            _ => map.update(&key_of(&*map), &value_of(&*map, 7, 3), 0).expect("room"),
        }
        backend.map_fds(&*map).expect("not private").send(&mine).expect("sent");
        let mut done = [0];
        std::io::Read::read_exact(&mut &mine, &mut done).unwrap_or_else(|e| panic!("{:?}: {e}", def.kind));
        match def.kind {
            MapType::RINGBUF | MapType::USER_RINGBUF => {}
            MapType::ARENA => {
                let mut seen = [0; 8];
                map.arena_read(4100, &mut seen).expect("inside");
                assert_eq!(seen, [9; 8]);
            }
            MapType::BLOOM_FILTER => assert!(map.lookup(&[9; 8], 0).is_ok()),
            MapType::QUEUE => {
                assert_eq!(map.lookup_and_delete(&[]).expect("the first"), [7; 8]);
                assert_eq!(map.lookup_and_delete(&[]).expect("the second"), [9; 8]);
            }
            _ => assert_eq!(
                map.lookup(&key_of(&*map), 0).expect("there"),
                value_of(&*map, 9, 3),
                "{:?}",
                def.kind
            ),
        }
    }
    assert!(child.wait().expect("a child").success());
}

/// Where both use one folder of pins, maps need no names for programs of both to use them.
#[test]
fn in_a_folder_programs_can_have_it() {
    let folder = std::env::temp_dir().join(format!("skep-passed-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    let open = || UserBackend::in_folder(&folder, UserOptions::default()).expect("a folder of pins");
    let (first, second, elsewhere) = (open(), open(), UserBackend::new());
    let def = MapDef::new(MapType::ARRAY, 4, 8, 1);
    let map = first.create_map(&def).expect("legal");
    let spec = || {
        let insns = skep_isa::text::assemble("r1 = map[idx:0] ll\nr0 = 0\nexit").expect("assembles");
        let spec = skep_spec::ProgramSpec::new(skep_abi::ProgramType::RAW_TRACEPOINT, insns);
        skep_spec::ProgramSpec { maps: vec![Arc::new(def.clone())], ..spec }
    };
    for (backend, may) in [(&second, true), (&elsewhere, false)] {
        let had = backend.map_of_fds(first.map_fds(&*map).expect("not private")).expect("sound");
        let loaded = backend.load_program(&spec(), &[had], skep_spec::LoadOptions::default());
        assert_eq!(
            loaded.map(drop).map_err(|e| e.error.errno),
            if may { Ok(()) } else { Err(Errno::EINVAL) }
        );
    }
    let _ = fs::remove_dir_all(&folder);
}

/// The consumer of a ring buffer sleeps until whoever has the map elsewhere has a record for it.
#[test]
fn a_bell_goes_with_a_ring() {
    let backend = backend();
    let map = backend.create_map(&MapDef::new(MapType::USER_RINGBUF, 0, 0, 4096)).expect("legal");
    let had = UserBackend::new().map_of_fds(backend.map_fds(&*map).expect("not private")).expect("sound");
    let mut producer = had.producer().expect("the first");
    assert!(producer.wait(8, Duration::from_millis(1)).expect("it waits"), "there is room");
    assert!(producer.raw_fd().is_some());
}

#[test]
fn what_is_private_or_no_map_is_refused() {
    let backend = backend();
    for kind in [MapType::PROG_ARRAY, MapType::PERF_EVENT_ARRAY] {
        let map = backend.create_map(&MapDef::new(kind, 4, 4, 3)).expect("legal");
        let error = backend.map_fds(&*map).expect_err("private");
        assert!(error.message.contains("private to the process"), "{error}");
    }
    let map = backend.create_map(&MapDef::new(MapType::ARRAY, 4, 8, 16)).expect("legal");
    assert!(UserBackend::new().map_fds(&*map).expect_err("of another").message.contains("another backend"));
    // Messages.
    let receive = |bytes: &[u8]| {
        let (a, b) = UnixStream::pair().expect("sockets");
        std::io::Write::write_all(&mut &a, bytes).expect("room");
        drop(a);
        MapFds::receive(&b).expect_err("no map").message
    };
    let head = |words: [u32; 4]| words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<u8>>();
    let magic = u32::from_le_bytes(*b"SKPF");
    for (bytes, why) in [
        (vec![], "has gone"),
        (vec![1; 8], "too few"),
        (vec![1; 16], "no map of skep"),
        (head([magic, 9, 0, 0]), "layout 9"),
        (head([magic, 1, 0, 0]), "0 descriptors, it says 2"),
        (head([magic, 1, 7, 0]), "0 descriptors"),
    ] {
        let words = receive(&bytes);
        assert!(words.contains(why), "{words}");
    }
    // Descriptors in each other's places, and others'.
    let fds = || backend.map_fds(&*map).expect("not private");
    let file = |bytes: &[u8]| -> OwnedFd {
        let path = std::env::temp_dir().join(format!("skep-passed-file-{}", std::process::id()));
        fs::write(&path, bytes).expect("a file");
        let file = fs::File::options().read(true).write(true).open(&path).expect("a file");
        let _ = fs::remove_file(path);
        file.into()
    };
    let pipe = || -> OwnedFd { std::io::pipe().expect("a pipe").1.into() };
    let hash = backend.create_map(&MapDef::new(MapType::HASH, 4, 8, 16)).expect("legal");
    let of_hash = backend.map_fds(&*hash).expect("not private").metadata;
    let with = |change: &dyn Fn(&mut MapFds)| {
        let mut fds = fds();
        change(&mut fds);
        UserBackend::new().map_of_fds(fds).map(|map| map.info())
    };
    type Change<'c> = &'c dyn Fn(&mut MapFds);
    let cases: [(Change<'_>, &str); 10] = [
        (&|f| f.processes = pipe(), "its processes: it is no file"),
        (&|f| f.processes = file(&[0; 20]), "no file of processes"),
        (
            &|f| {
                f.processes = file(&[0; 100]);
                f.counter = 62;
            },
            "no file of processes",
        ),
        (&|f| f.metadata = pipe(), "its metadata: it is no file"),
        (&|f| f.metadata = file(&[]), "0 bytes, the header of a map has 128"),
        (&|f| f.metadata = file(&[b'x'; 5000]), "it is no map of skep"),
        (&|f| f.payload = Some(pipe()), "its payload: it is no file"),
        (&|f| f.payload = Some(file(&[0; 4095])), "its payload has 4095 bytes"),
        (&|f| f.payload = None, "its payload is missing"),
        (&|f| f.metadata = file(&[&header(f)[..], &[0; 1]].concat()), "its metadata has 129 bytes"),
    ];
    for (change, why) in cases {
        let e = with(change).expect_err(why);
        assert!(e.errno == Errno::EINVAL && e.message.contains(why), "{why}: {e}");
    }
    // The metadata of a hash are a whole map, which has no payload.
    let info = with(&|f| f.metadata = of_hash.try_clone().expect("a descriptor")).expect("a hash");
    assert_eq!(info.kind, MapType::HASH);
}

/// The first bytes of a map's metadata.
fn header(fds: &MapFds) -> [u8; 128] {
    let mut bytes = [0; 128];
    let file = fs::File::from(fds.metadata.try_clone().expect("a descriptor"));
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).expect("a header");
    bytes
}

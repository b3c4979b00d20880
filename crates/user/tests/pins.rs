//! Maps in a folder of pins: shared by backends and processes, and refused with the reason when they are not what they
//! should be.
#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_isa::text::assemble;
use skep_spec::{Backend, BackendMap, Errno, LoadOptions, MapDef, ProgramSpec};
use skep_user::{UserBackend, UserOptions};

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("skep-pins-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn backend(&self) -> UserBackend {
        let options = UserOptions { cpus: Some(3), ..UserOptions::default() };
        UserBackend::in_folder(&self.0, options).expect("a folder of pins")
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

/// Every kind that has elements of its own.
fn kinds() -> Vec<MapDef> {
    let no_prealloc = MapFlags(MapFlags::NO_PREALLOC);
    let mut kinds: Vec<MapDef> = [
        MapType::ARRAY,
        MapType::PERCPU_ARRAY,
        MapType::HASH,
        MapType::PERCPU_HASH,
        MapType::LRU_HASH,
        MapType::LRU_PERCPU_HASH,
    ]
    .map(|kind| MapDef::new(kind, 4, 8, 16))
    .into();
    kinds.push(MapDef { flags: no_prealloc, ..MapDef::new(MapType::HASH, 4, 8, 16) });
    kinds.push(MapDef { flags: no_prealloc, ..MapDef::new(MapType::LPM_TRIE, 8, 8, 16) });
    kinds.extend([MapType::QUEUE, MapType::STACK].map(|kind| MapDef::new(kind, 0, 8, 16)));
    kinds.push(MapDef::new(MapType::STACK_TRACE, 4, 80, 16));
    kinds.push(MapDef::new(MapType::RINGBUF, 0, 0, 8192));
    kinds.push(MapDef::new(MapType::USER_RINGBUF, 0, 0, 8192));
    kinds.push(MapDef::new(MapType::BLOOM_FILTER, 0, 8, 16));
    kinds.push(MapDef { flags: MapFlags(MapFlags::MMAPABLE), ..MapDef::new(MapType::ARENA, 0, 0, 4) });
    kinds
}

/// Kinds whose keys name what the system knows.
fn of_objects() -> Vec<MapDef> {
    let storages =
        [MapType::TASK_STORAGE, MapType::SK_STORAGE, MapType::INODE_STORAGE, MapType::CGRP_STORAGE];
    let flags = MapFlags(MapFlags::NO_PREALLOC);
    let mut types = skep_btf::Builder::new();
    let int = types.int("int", 4, skep_btf::IntEncoding::Signed);
    let value = types.structure("value", 8, &[("a", int, 0)]);
    let btf = Some(Arc::new(types.finish().expect("legal")));
    let storages = storages.map(|kind| {
        let (key_btf_id, value_btf_id) = (int.0, value.0);
        MapDef { flags, btf: btf.clone(), key_btf_id, value_btf_id, ..MapDef::new(kind, 4, 8, 0) }
    });
    let targets = [MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::CPUMAP];
    storages.into_iter().chain(targets.map(|kind| MapDef::new(kind, 4, 4, 3))).collect()
}

/// What one process keeps with a file, a socket or a thread, or has sent to an interface, another one finds.
#[test]
fn what_belongs_to_objects_of_the_system_is_found_by_another_backend() {
    use std::os::fd::AsRawFd;
    let folder = Folder::new("objects");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let file = File::open("/proc/self/exe").expect("a file");
    // SAFETY: no pointers.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) } as i32;
    assert!(pidfd >= 0, "a pidfd");
    for def in of_objects() {
        let path = folder.path(&format!("map{}", def.kind.0));
        let mine = folder.backend();
        let map = mine.create_map(&def).expect("legal");
        mine.pin_map(&*map, &path).expect("a name");
        let theirs = folder.backend().pinned_map(&path).expect("it can be opened").expect("it is there");
        let (a, b) = (map.info(), theirs.info());
        assert_eq!((a.kind, a.key_size, a.value_size, a.flags), (b.kind, b.key_size, b.value_size, b.flags));
        assert_eq!(a.max_entries, b.max_entries, "{:?}", def.kind);
        let (k, value) = match def.kind {
            MapType::TASK_STORAGE => (pidfd, 7u64.to_ne_bytes().to_vec()),
            MapType::SK_STORAGE => (socket.as_raw_fd(), 7u64.to_ne_bytes().to_vec()),
            MapType::INODE_STORAGE => (file.as_raw_fd(), 7u64.to_ne_bytes().to_vec()),
            MapType::CGRP_STORAGE => continue,
            _ => (1, 1u32.to_ne_bytes().to_vec()),
        };
        map.update(&k.to_ne_bytes(), &value, 0).unwrap_or_else(|e| panic!("{:?}: {e}", def.kind));
        if def.kind != MapType::CPUMAP {
            assert_eq!(theirs.lookup(&k.to_ne_bytes(), 0).expect("there")[..4], value[..4], "{:?}", def.kind);
        }
    }
}

/// Programs and sockets stay with who put them there.
#[test]
fn targets_with_programs_and_sockets_are_not_pinned() {
    let folder = Folder::new("targets");
    let backend = folder.backend();
    let programs = [MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::CPUMAP];
    let sockets = [MapType::SOCKMAP, MapType::SOCKHASH];
    for def in programs
        .map(|kind| MapDef::new(kind, 4, 8, 3))
        .into_iter()
        .chain(sockets.map(|k| MapDef::new(k, 4, 8, 3)))
    {
        let map = backend.create_map(&def).expect("legal");
        let error = backend.pin_map(&*map, &folder.path("private")).expect_err("refused");
        assert_eq!(error.errno, Errno::EOPNOTSUPP);
        assert!(error.message.contains("private to this process"), "{error}");
    }
}

#[test]
fn every_kind_is_found_by_another_backend() {
    let folder = Folder::new("kinds");
    for (i, def) in kinds().into_iter().enumerate() {
        let path = folder.path(&format!("map{i}"));
        let mine = folder.backend();
        assert!(mine.pinned_map(&path).expect("nothing is wrong").is_none());
        let map = mine.create_map(&def).expect("legal");
        mine.pin_map(&*map, &path).expect("a name");
        assert_eq!(mine.pin_map(&*map, &path).map_err(|e| e.errno), Err(Errno::EEXIST));
        let theirs = folder.backend().pinned_map(&path).expect("it can be opened").expect("it is there");
        let (a, b) = (map.info(), theirs.info());
        assert_eq!(
            (a.kind, a.key_size, a.value_size, a.max_entries, a.flags),
            (b.kind, b.key_size, b.value_size, b.max_entries, b.flags)
        );
        if def.key_size == 0 || def.kind == MapType::STACK_TRACE {
            // Without keys, or without updates.
            continue;
        }
        let k: Vec<u8> = if def.key_size == 4 { key(3).into() } else { vec![8, 0, 0, 0, 1, 0, 0, 0] };
        let value: Vec<u8> = match def.kind {
            MapType::PERCPU_ARRAY | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH => {
                (0..3u64).flat_map(u64::to_ne_bytes).collect()
            }
            _ => 7u64.to_ne_bytes().into(),
        };
        map.update(&k, &value, 0).expect("room");
        assert_eq!(theirs.lookup(&k, 0).expect("it is there"), value, "{:?}", def.kind);
        drop(map);
        assert_eq!(
            folder
                .backend()
                .pinned_map(&path)
                .expect("sound")
                .expect("it outlives its maker")
                .lookup(&k, 0)
                .expect("so do elements"),
            value
        );
    }
}

/// What others hold by numbers of their own process is no use to this one.
#[test]
fn private_kinds_are_not_pinned() {
    let folder = Folder::new("private");
    let backend = folder.backend();
    for kind in [MapType::PROG_ARRAY, MapType::PERF_EVENT_ARRAY] {
        let map = backend.create_map(&MapDef::new(kind, 4, 4, 3)).expect("legal");
        let error = backend.pin_map(&*map, &folder.path("private")).expect_err("refused");
        assert_eq!(error.errno, Errno::EOPNOTSUPP);
        assert!(error.message.contains("private to this process"), "{error}");
    }
    let elsewhere = UserBackend::new();
    let map = elsewhere.create_map(&MapDef::new(MapType::ARRAY, 4, 4, 3)).expect("legal");
    assert_eq!(elsewhere.pin_map(&*map, &folder.path("x")).map_err(|e| e.errno), Err(Errno::EOPNOTSUPP));
    let map = backend.create_map(&MapDef::new(MapType::ARRAY, 4, 4, 3)).expect("legal");
    assert_eq!(backend.pin_map(&*map, "/tmp/x").map_err(|e| e.errno), Err(Errno::EPERM));
}

/// A program that counts in a pinned map.
fn counting(backend: &UserBackend, map: &Arc<dyn BackendMap>) -> Result<Arc<skep_user::UserProgram>, Errno> {
    let text = "
        *(u32*)(r10 - 4) = 0
        r2 = r10
        r2 += -4
        r1 = map[idx:0] ll
        call 1
        if r0 == 0 goto +2
        r1 = 1
        lock *(u64*)(r0 + 0) += r1
        r0 = 0
        exit";
    let insns = assemble(text).expect("assembles");
    let def = MapDef::new(MapType::ARRAY, 4, 8, 1);
    let mut spec = ProgramSpec::new(ProgramType::RAW_TRACEPOINT, insns);
    spec.maps = vec![def.into()];
    backend.load_program(&spec, std::slice::from_ref(map), LoadOptions::default()).map_err(|e| {
        eprintln!("{} {}", e.error, e.log);
        e.error.errno
    })
}

/// A second loader gets the map of the first, and both count in it. Who does not use the folder may look, but its
/// programs have other virtual CPUs.
#[test]
fn programs_share_a_map_within_the_folder() {
    let folder = Folder::new("programs");
    let first = folder.backend();
    let map = first.create_map(&MapDef::new(MapType::ARRAY, 4, 8, 1)).expect("legal");
    first.pin_map(&*map, &folder.path("counts")).expect("a name");
    let second = folder.backend();
    assert_eq!(second.domain().cpus(), 3);
    let again = second.pinned_map(&folder.path("counts")).expect("sound").expect("there");
    for (backend, map) in [(&first, &map), (&second, &again)] {
        let program = counting(backend, map).expect("accepted");
        for _ in 0..5 {
            program.run(&mut [0; 96], None, None).expect("it ends");
        }
    }
    assert_eq!(map.lookup(&key(0), 0).expect("an array"), 10u64.to_ne_bytes());
    let stranger = UserBackend::new();
    let seen = stranger.pinned_map(&folder.path("counts")).expect("sound").expect("there");
    assert_eq!(seen.lookup(&key(0), 0).expect("an array"), 10u64.to_ne_bytes());
    assert_eq!(counting(&stranger, &seen).map(drop), Err(Errno::EINVAL));
}

fn refused(folder: &Folder, name: &str) -> (Errno, String) {
    match folder.backend().pinned_map(&folder.path(name)) {
        Ok(map) => panic!("{name}: accepted, {:?}", map.map(|m| m.info())),
        Err(e) => (e.errno, e.message),
    }
}

/// What is no map, what was cut, and what contradicts itself is refused, and the reason said.
#[test]
fn foreign_and_damaged_files_are_refused() {
    let folder = Folder::new("damaged");
    let backend = folder.backend();
    for (name, contents) in [("empty", &[][..]), ("short", &[1; 100]), ("text", &[b'x'; 5000])] {
        fs::write(folder.path(name), contents).expect("a file");
    }
    assert!(refused(&folder, "empty").1.contains("0 bytes, the header of a map has 128"));
    assert!(refused(&folder, "short").1.contains("100 bytes"));
    assert!(refused(&folder, "text").1.contains("it is no map of skep"));
    fs::create_dir(folder.path("folder")).expect("a folder");
    let error = refused(&folder, "folder");
    assert!(error.0 == Errno(libc::EISDIR) || error.1.contains("it is no file"), "{error:?}");
    std::os::unix::fs::symlink("/etc/passwd", folder.path("link")).expect("a link");
    assert_eq!(refused(&folder, "link").0, Errno(libc::ELOOP));
    for (i, def) in kinds().into_iter().enumerate() {
        let name = format!("map{i}");
        let path = folder.path(&name);
        let map = backend.create_map(&def).expect("legal");
        backend.pin_map(&*map, &path).expect("a name");
        drop(map);
        let file = OpenOptions::new().read(true).write(true).open(&path).expect("a file");
        let whole = fs::read(&path).expect("readable");
        // Each word of the header with many values: refused, or a map with other sizes that fits the file. Never a panic.
        // Not the lock at 36: one that nobody gives back is waited for.
        for off in (0..80).step_by(4).filter(|&off| off != 36) {
            let lies = [
                0,
                1,
                2,
                3,
                4,
                5,
                7,
                8,
                9,
                15,
                17,
                27,
                64,
                4096,
                1 << 14,
                1 << 20,
                1 << 30,
                u32::MAX,
                u32::MAX - 7,
            ];
            for lie in lies {
                file.write_all_at(&lie.to_ne_bytes(), off).expect("written");
                match backend.pinned_map(&path) {
                    Err(e) => assert!(e.message.starts_with(&path), "{off}: {lie:#x}: {e}"),
                    Ok(map) => {
                        let map = map.expect("there");
                        // The kinds of the same shape, and flags and words without an effect on the layout.
                        let _ = (map.lookup(&key(0), 0), map.next_key(None), map.update(&key(1), &[0; 8], 0));
                    }
                }
            }
            file.write_all_at(&whole, 0).expect("written");
        }
        // Where a word decides the layout a lie is told apart.
        for (off, lie, words) in [
            (0, 0x1234_5678, "it is no map of skep"),
            (0, u32::from_be_bytes(*b"SKPM"), "other byte order"),
            (4, 4, "layout 4, this build of skep has layout 5"),
            (4, 6, "layout 6"),
            (8, MapType::PROG_ARRAY.0, "private to the process"),
            (8, 999, "not supported"),
            (28, 0, "0 CPUs"),
            (28, 4, "virtual CPUs"),
            (32, 8192, "pages of 8192 bytes"),
            (56, 12, "does not agree with itself"),
            (64, 3, "a spin lock at 2"),
            (72, 1, "another table of virtual CPUs"),
        ] {
            file.write_all_at(&u32::to_ne_bytes(lie), off).expect("written");
            let (errno, message) = refused(&folder, &name);
            assert!(errno == Errno::EINVAL && message.contains(words), "{:?} {off}: {message}", def.kind);
            file.write_all_at(&whole[off as usize..off as usize + 4], off).expect("written");
        }
        assert!(backend.pinned_map(&path).expect("sound again").is_some());
        // Cut, and too long.
        for len in [0, 64, 127, whole.len() as u64 - 1, whole.len() as u64 + 4096] {
            file.set_len(len).expect("cut");
            let (errno, message) = refused(&folder, &name);
            assert!(errno == Errno::EINVAL && message.contains("bytes"), "{message}");
            file.set_len(whole.len() as u64).expect("whole");
            file.write_all_at(&whole, 0).expect("written");
        }
        let payload = format!("{path}.payload");
        if Path::new(&payload).exists() {
            let len = fs::metadata(&payload).expect("there").len();
            File::options().write(true).open(&payload).expect("there").set_len(len - 1).expect("cut");
            assert!(refused(&folder, &name).1.contains("its payload has"));
            fs::remove_file(&payload).expect("there");
            assert!(refused(&folder, &name).1.contains("its payload is missing"));
        }
    }
}

/// A file that another process cuts while it is mapped loses its contents; this process goes on.
#[test]
fn a_map_that_is_cut_under_its_users() {
    let folder = Folder::new("cut");
    let backend = folder.backend();
    for (i, def) in kinds().into_iter().enumerate() {
        let path = folder.path(&format!("map{i}"));
        let map = backend.create_map(&def).expect("legal");
        backend.pin_map(&*map, &path).expect("a name");
        let seen = folder.backend().pinned_map(&path).expect("sound").expect("there");
        for file in [path.clone(), format!("{path}.payload")] {
            if let Ok(file) = File::options().write(true).open(file) {
                file.set_len(0).expect("cut");
            }
        }
        for map in [&map, &seen] {
            let k = vec![0; def.key_size as usize];
            let value = vec![0; if def.kind == MapType::RINGBUF { 0 } else { 24 }];
            let _ = (
                map.lookup(&k, 0),
                map.update(&k, &value[..8.min(value.len())], 0),
                map.update(&k, &value, 0),
            );
            let _ = (map.next_key(None), map.delete(&k), map.lookup_and_delete(&k));
        }
    }
}

/// Forks; the child leaves with what `child` gives.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `child`, and leaves without destructors. The other threads of the test hold no locks of the
    // allocator that the C library would not take care of.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(child()),
            pid => {
                assert!(pid > 0, "fork");
                let mut status = 0;
                assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
                if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 }
            }
        }
    }
}

/// A reader in one process sleeps until a producer in another has a record for it.
#[test]
fn a_ring_buffer_wakes_across_processes() {
    let folder = Folder::new("ring");
    let backend = folder.backend();
    let map = backend.create_map(&MapDef::new(MapType::RINGBUF, 0, 0, 4096)).expect("legal");
    backend.pin_map(&*map, &folder.path("ring")).expect("a name");
    let mut reader = map.reader().expect("the first");
    assert!(!reader.wait(Duration::from_millis(1)).expect("it waits"));
    let status = in_child(|| {
        let backend = folder.backend();
        let Ok(Some(map)) = backend.pinned_map(&folder.path("ring")) else { return 1 };
        let text = "
            *(u64*)(r10 - 8) = 77
            r2 = r10
            r2 += -8
            r1 = map[idx:0] ll
            r3 = 8
            r4 = 0
            call 130
            exit";
        let Ok(insns) = assemble(text) else { return 2 };
        let mut spec = ProgramSpec::new(ProgramType::RAW_TRACEPOINT, insns);
        spec.maps = vec![MapDef::new(MapType::RINGBUF, 0, 0, 4096).into()];
        let Ok(program) = backend.load_program(&spec, &[map], LoadOptions::default()) else { return 3 };
        match program.run(&mut [0; 96], None, None) {
            Ok(0) => 0,
            _ => 4,
        }
    });
    assert_eq!(status, 0);
    assert!(reader.wait(Duration::from_secs(10)).expect("it waits"), "the producer rang");
    let mut seen = Vec::new();
    reader.poll(&mut |record| seen.push(record.to_vec())).expect("sound");
    assert_eq!(seen, [77u64.to_ne_bytes()]);
}

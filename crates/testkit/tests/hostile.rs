//! A hostile process writes over every byte of the files of shared maps, and cuts them, while others run programs and do
//! what hosts do on the same maps: these neither crash nor hang, nor touch anything but the maps.
//!
//! In each round maps of all kinds that can be shared are made in a folder of pins. Two victims work on them, one of which
//! has opened them anew, while a third process maps the files for itself and spoils them: words and bytes that mean
//! something and random ones, one word again and again, whole regions, parts copied over others; in some rounds it cuts
//! the files too. A victim must end by itself and in time: a signal, a panic, an operation that takes longer than its locks
//! may, or a neighbouring map that has changed, fails the test. Around each map stand pages that cannot be touched.
//!
//! A slice by default; `cargo xtask hostile [ROUNDS [SEED]]` makes as many rounds as said, and `--record` writes what came
//! of it to `tests/hostile.txt`.
#![cfg(target_os = "linux")]

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_spec::{Backend, BackendMap, BackendProgram, LoadOptions, MapDef, RunInput};
use skep_testkit::case::source::assemble;
use skep_user::{UserBackend, UserOptions};

const CPUS: u32 = 2;
/// How long a victim works, and how long it may take to come to an end.
const WORK: Duration = Duration::from_millis(120);
const END: u32 = 30;
/// How long a lock is waited for, and how much of the processor's time an operation may take, which waits for a few of these.
const PATIENCE: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_secs(5);
/// What stands in the maps beside.
const CANARY: u8 = 0xc5;

/// A kind: name, declaration, key of a number, programs.
struct Kind {
    name: &'static str,
    decl: &'static str,
    programs: &'static [&'static str],
}

const LOOKUP: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r8 = *(u64 *)(r0 + 0)
    *(u64 *)(r0 + 16) = r7
    lock *(u64 *)(r0 + 8) += r7
    *(u64 *)(r0 + 0) = r8";
const UPDATE: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -32
    r4 = 0
    call bpf_map_update_elem";
const DELETE: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem";
const EACH: &str = "
    r1 = map[m] ll
    r2 = subprog[see]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_for_each_map_elem
    r0 = 0
    exit
see:
    r5 = *(u32 *)(r2 + 0)
    r5 = *(u64 *)(r3 + 8)
    *(u64 *)(r3 + 16) = r5
    r0 = 0
    exit";
const LOCKED: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    r1 = r6
    r1 += 8
    call bpf_spin_lock
    *(u64 *)(r6 + 0) = r7
    r1 = r6
    r1 += 8
    call bpf_spin_unlock";
const PUSH: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -32
    r3 = 2
    call bpf_map_push_elem";
const POP: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -32
    call bpf_map_pop_elem
    r1 = map[m] ll
    r2 = r10
    r2 += -32
    call bpf_map_peek_elem";
const BLOOM: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -32
    r3 = 0
    call bpf_map_push_elem
    r1 = map[m] ll
    r2 = r10
    r2 += -32
    call bpf_map_peek_elem";
const OUTPUT: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -32
    r3 = 24
    r4 = 0
    call bpf_ringbuf_output";
const RESERVE: &str = "
    r1 = map[m] ll
    r2 = 3000
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    *(u64 *)(r0 + 0) = r7
    *(u64 *)(r0 + 2992) = r7
    r1 = r0
    r2 = 0
    call bpf_ringbuf_submit";
const DRAIN: &str = "
    r1 = map[m] ll
    r2 = subprog[see]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_user_ringbuf_drain
    r0 = 0
    exit
see:
    r6 = r1
    *(u64 *)(r10 - 8) = 0
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = r6
    r4 = 0
    r5 = 0
    call bpf_dynptr_read
    r1 = r6
    r2 = 0
    r3 = r10
    r3 += -8
    r4 = 8
    r5 = 0
    call bpf_dynptr_write
    r0 = 0
    exit";
const ARENA: &str = "
    r1 = map[m]
    r2 = 0
    r3 = 2
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    r6 = r0
    if r0 == 0 goto out
    r1 = addr_space_cast(r6, 0, 1)
    *(u64 *)(r1 + 8) = r7
    r2 = *(u64 *)(r1 + 4092)
    r3 = *(u64 *)(r1 + 8)
    r1 = addr_space_cast(r3, 0, 1)
    r2 = *(u64 *)(r1 + 0)
    r1 = map[m]
    r2 = r6
    r3 = 2
    call bpf_arena_free_pages";

const INNER: &str = "
    r1 = map[m] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    *(u32 *)(r10 - 16) = 0
    r2 = r10
    r2 += -16
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r8 = r0
    r9 = 200
again:
    r1 = *(u64 *)(r8 + 4000)
    *(u64 *)(r8 + 0) = r1
    lock *(u64 *)(r8 + 8) += r7
    r9 -= 1
    if r9 != 0 goto again";

const KEYED: &[&str] = &[LOOKUP, UPDATE, DELETE];
const WALKED: &[&str] = &[LOOKUP, UPDATE, DELETE, EACH];
const ARRAY: &[&str] = &[LOOKUP, UPDATE, EACH];

/// What stands in the array of maps.
const INNER_MAP: &str = ".map one type=array key=4 value=4096 max_entries=1\n";

const KINDS: &[Kind] = &[
    Kind { name: "array", decl: "type=array key=4 value=24 max_entries=16", programs: ARRAY },
    Kind { name: "array_lock", decl: "type=array key=4 value=24 max_entries=16 lock=8", programs: &[LOCKED] },
    Kind { name: "percpu_array", decl: "type=percpu_array key=4 value=24 max_entries=16", programs: ARRAY },
    Kind { name: "hash", decl: "type=hash key=8 value=24 max_entries=32", programs: WALKED },
    Kind {
        name: "hash_no_prealloc",
        decl: "type=hash key=8 value=24 max_entries=32 flags=BPF_F_NO_PREALLOC",
        programs: WALKED,
    },
    Kind { name: "hash_lock", decl: "type=hash key=4 value=24 max_entries=16 lock=8", programs: &[LOCKED] },
    Kind { name: "percpu_hash", decl: "type=percpu_hash key=8 value=24 max_entries=32", programs: WALKED },
    Kind { name: "lru_hash", decl: "type=lru_hash key=8 value=24 max_entries=32", programs: WALKED },
    Kind {
        name: "lru_percpu_hash",
        decl: "type=lru_percpu_hash key=8 value=24 max_entries=32",
        programs: WALKED,
    },
    Kind {
        name: "lpm_trie",
        decl: "type=lpm_trie key=8 value=24 max_entries=32 flags=BPF_F_NO_PREALLOC",
        programs: KEYED,
    },
    Kind { name: "queue", decl: "type=queue key=0 value=24 max_entries=16", programs: &[PUSH, POP] },
    Kind { name: "stack", decl: "type=stack key=0 value=24 max_entries=16", programs: &[PUSH, POP] },
    Kind {
        name: "bloom_filter",
        decl: "type=bloom_filter key=0 value=24 max_entries=64",
        programs: &[BLOOM],
    },
    Kind { name: "stack_trace", decl: "type=stack_trace key=4 value=80 max_entries=16", programs: &[] },
    Kind {
        name: "ringbuf",
        decl: "type=ringbuf key=0 value=0 max_entries=4096",
        programs: &[OUTPUT, RESERVE],
    },
    Kind {
        name: "user_ringbuf",
        decl: "type=user_ringbuf key=0 value=0 max_entries=4096",
        programs: &[DRAIN],
    },
    // Not shared, but its programs lease CPUs by a table that is.
    Kind {
        name: "array_of_maps",
        decl: "type=array_of_maps key=4 value=4 max_entries=16 inner=one",
        programs: &[INNER],
    },
    Kind { name: "arena", decl: "type=arena max_entries=8 flags=BPF_F_MMAPABLE", programs: &[ARENA] },
];

impl Kind {
    fn program(&self, body: &str) -> String {
        let Kind { decl, .. } = self;
        let inner = if self.name == "array_of_maps" { INNER_MAP } else { "" };
        let end = "out:\n    r0 = 0\n    exit\n";
        let end = if body.contains("see:") { "" } else { end };
        // Some kinds are not for programs that may sleep, locks not for those of tracepoints.
        let section = match self.name {
            "lpm_trie" | "bloom_filter" => "raw_tp/sys_enter",
            _ => "syscall",
        };
        format!(
            "{inner}.map m {decl}\n.section {section}\nmain:\n    r6 = *(u64 *)(r1 + 0)\n    r7 = *(u64 *)(r1 + 8)\n    \
             *(u64 *)(r10 - 8) = r6\n    *(u64 *)(r10 - 16) = r7\n    *(u64 *)(r10 - 24) = r7\n    \
             *(u64 *)(r10 - 32) = r7{body}\n{end}"
        )
    }

    fn def(&self) -> Arc<MapDef> {
        let text = self.program("\n    r1 = map[m]");
        let spec = assemble(&text).unwrap_or_else(|e| panic!("{}: {e}", self.name)).remove(0);
        spec.maps.iter().find(|def| def.name == "m").expect("it names the map").clone()
    }
}

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }
}

/// A map with its neighbours, which nobody else has.
struct Opened {
    kind: &'static Kind,
    map: Arc<dyn BackendMap>,
    programs: Vec<Arc<dyn BackendProgram>>,
    beside: [Arc<dyn BackendMap>; 2],
}

/// Puts a new map into a slot; the one that was there goes, once no run can have it.
fn replace(backend: &UserBackend, outer: &dyn BackendMap, slot: u32) {
    let inner = backend.create_map(&MapDef::new(skep_abi::MapType::ARRAY, 4, 4096, 1)).expect("legal");
    outer.set_map(&slot.to_ne_bytes(), &*inner).expect("it fits");
}

/// The time that the thread had of the processor.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The maps, as one process has opened them.
struct World(Vec<Opened>, UserBackend);

fn beside(backend: &UserBackend) -> Arc<dyn BackendMap> {
    let map = backend.create_map(&MapDef::new(skep_abi::MapType::ARRAY, 4, 4096, 2)).expect("legal");
    for n in 0..2u32 {
        map.update(&n.to_ne_bytes(), &[CANARY; 4096], 0).expect("an array");
    }
    map
}

impl World {
    /// Makes the maps in a folder, or opens them if they are there.
    fn new(folder: &Path) -> Self {
        let patience = UserOptions { patience: PATIENCE, cpu_patience: PATIENCE, ..UserOptions::default() };
        let options = UserOptions { cpus: Some(CPUS), ..patience };
        let backend = UserBackend::in_folder(folder, options).expect("a folder of pins");
        let open = |kind: &'static Kind| {
            let path = folder.join(kind.name);
            let path = path.to_str().expect("text");
            let before = beside(&backend);
            let map = backend.pinned_map(path).expect("sound").unwrap_or_else(|| {
                let map = backend.create_map(&kind.def()).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
                if kind.name == "array_of_maps" {
                    (0..16u32).for_each(|n| replace(&backend, &*map, n));
                } else {
                    backend.pin_map(&*map, path).expect("a name");
                }
                map
            });
            let after = beside(&backend);
            let load = |body: &&str| {
                let spec =
                    assemble(&kind.program(body)).unwrap_or_else(|e| panic!("{}: {e}", kind.name)).remove(0);
                let made = |def: &Arc<MapDef>| match def.name == "m" {
                    true => Arc::clone(&map),
                    false => backend.create_map(def).expect("legal"),
                };
                let maps: Vec<_> = spec.maps.iter().map(made).collect();
                let loaded = backend.load(&spec, &maps, LoadOptions { log_level: 1 });
                loaded.unwrap_or_else(|e| panic!("{}: {}\n{}", kind.name, e.error, e.log))
            };
            Opened { kind, programs: kind.programs.iter().map(load).collect(), map, beside: [before, after] }
        };
        let maps = KINDS.iter().map(open).collect();
        Self(maps, backend)
    }

    /// Works for a while on maps that somebody spoils.
    fn work(&self, rng: &mut Rng) {
        let seeds = [rng.next(), rng.next()];
        // Two threads: a table that lies may give them one CPU.
        std::thread::scope(|scope| {
            for seed in seeds {
                scope.spawn(move || self.work_alone(&mut Rng(seed)));
            }
        });
    }

    fn work_alone(&self, rng: &mut Rng) {
        let start = Instant::now();
        let mut operations = 0u64;
        while start.elapsed() < WORK {
            let opened = &self.0[rng.below(self.0.len() as u64) as usize];
            for _ in 0..16 {
                let (before, operation) = (processor_time(), rng.below(24));
                if opened.kind.name == "array_of_maps" && operation > 12 {
                    replace(&self.1, &*opened.map, rng.below(16) as u32);
                } else {
                    opened.operate(operation, rng);
                }
                operations += 1;
                assert!(
                    processor_time() - before < LONGEST,
                    "{}: operation {operation} took {:?}",
                    opened.kind.name,
                    processor_time() - before
                );
            }
        }
        assert!(operations > 0);
        for opened in &self.0 {
            for (beside, n) in opened.beside.iter().flat_map(|b| [(b, 0u32), (b, 1)]) {
                let value = beside.lookup(&n.to_ne_bytes(), 0).expect("an array");
                assert!(value.iter().all(|b| *b == CANARY), "beside {}: {value:x?}", opened.kind.name);
            }
        }
    }
}

impl Opened {
    fn key(&self, rng: &mut Rng) -> Vec<u8> {
        let n = rng.below(40) as u32;
        match self.map.info().key_size as usize {
            0 => Vec::new(),
            8 if self.kind.name == "lpm_trie" => {
                let bits = 16 + n % 17;
                [bits.to_ne_bytes(), ((n / 3) << 16 | 0x5a5a).to_be_bytes()].concat()
            }
            len => [n.to_ne_bytes(), [0; 4]].concat()[..len].to_vec(),
        }
    }

    /// One operation, whatever comes of it but a trap.
    fn operate(&self, operation: u64, rng: &mut Rng) {
        let map = &*self.map;
        let key = self.key(rng);
        let size = map.info().value_size as usize;
        let percpu = self.kind.name.contains("percpu");
        let value =
            vec![rng.next() as u8; if percpu { size.next_multiple_of(8) * CPUS as usize } else { size }];
        match operation {
            0..10 => {
                let Some(program) = self.programs.get(operation as usize % self.programs.len().max(1)) else {
                    return;
                };
                let mut ctx = [0; 16];
                ctx[..key.len()].copy_from_slice(&key);
                ctx[8..].copy_from_slice(&rng.next().to_ne_bytes());
                if let Err(e) = program.test_run(RunInput { ctx: &ctx, ..RunInput::default() }) {
                    let known = e.message.contains("lock") || e.message.contains("virtual CPUs");
                    assert!(known, "{}: {e}", self.kind.name);
                }
            }
            10 | 11 => drop(map.lookup(if key.is_empty() { &value } else { &key }, 4 * rng.below(2))),
            12 | 13 => drop(map.update(&key, &value, rng.below(5))),
            14 => drop(map.delete(&key)),
            15 => drop(map.lookup_and_delete(&key)),
            16 => {
                let mut at = None;
                for _ in 0..100 {
                    match map.next_key(at.as_deref()) {
                        Ok(key) => at = Some(key),
                        Err(_) => break,
                    }
                }
            }
            17 | 18 => {
                let mut after = None;
                for _ in 0..100 {
                    match map.lookup_batch(after.as_deref(), 7, 0, operation == 18) {
                        Ok(batch) if batch.next.is_some() => after = batch.next,
                        _ => break,
                    }
                }
            }
            19 => _ = map.update_batch(&[key.clone(), key].concat(), &[value.clone(), value].concat(), 0),
            20 => _ = (map.delete_batch(&key, 0), map.write_value(&key, 8, &[1; 16])),
            21 => {
                let Ok(view) = map.view(&key, percpu.then_some(1)) else { return };
                let _ =
                    (view.load(8, 8), view.store(16, 8, 1), view.is_current(), view.read(0, &mut [0; 24]));
            }
            22 => {
                if let Ok(mut reader) = map.reader() {
                    for _ in 0..3 {
                        let _ = reader.poll(&mut |record| assert!(record.len() <= 4096));
                    }
                }
                if let Ok(mut producer) = map.producer() {
                    for len in [0, 8, 100, 3000] {
                        let Ok(sample) = producer.reserve(len) else { continue };
                        let _ = producer.write(&sample, 0, &vec![7; len as usize]);
                        producer.submit(sample);
                    }
                }
            }
            _ => {
                let off = rng.below(9 * 4096);
                let _ = (map.arena_read(off, &mut [0; 32]), map.arena_write(off, &[7; 32]));
            }
        }
    }
}

/// A file of a map, as somebody sees it who knows nothing of maps.
struct File {
    file: fs::File,
    at: *mut u32,
    words: u64,
}

impl File {
    fn all(folder: &Path) -> Vec<Self> {
        let names = KINDS.iter().flat_map(|k| [k.name.to_owned(), format!("{}.payload", k.name)]);
        // The table of CPUs, again and again: there is one of it, and many maps.
        let names = names.chain([(); 8].map(|()| ".skep".to_owned()));
        let open = |name: String| {
            let file = fs::File::options().read(true).write(true).open(folder.join(name)).ok()?;
            let len = file.metadata().ok()?.len() as usize;
            // SAFETY: a new shared mapping of a file, which only this process's volatile writes go through.
            let at = unsafe {
                let prot = libc::PROT_READ | libc::PROT_WRITE;
                let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
                libc::mmap(ptr::null_mut(), len, prot, libc::MAP_SHARED, fd, 0)
            };
            assert!(at != libc::MAP_FAILED, "mapped");
            Some(Self { file, at: at.cast(), words: len as u64 / 4 })
        };
        names.filter_map(open).collect()
    }

    fn put(&self, word: u64, value: u32) {
        // SAFETY: within the mapping.
        unsafe { self.at.add((word % self.words) as usize).write_volatile(value) };
    }

    fn get(&self, word: u64) -> u32 {
        // SAFETY: within the mapping.
        unsafe { self.at.add((word % self.words) as usize).read_volatile() }
    }

    /// A place, rather one where the small tables are.
    fn place(&self, rng: &mut Rng) -> u64 {
        match rng.below(4) {
            0 => rng.below(self.words),
            1 => rng.below(self.words.min(2048)),
            _ => rng.below(self.words.min(420)),
        }
    }
}

/// A word that might mean something.
fn word(rng: &mut Rng, now: u32) -> u32 {
    let process = (1 + rng.below(8) as u32) << 14;
    match rng.below(10) {
        0 => rng.next() as u32,
        1 => 0,
        2 => u32::MAX,
        3 => rng.below(64) as u32,
        4 => now ^ 1 << rng.below(32),
        5 => now.wrapping_add(rng.below(17) as u32).wrapping_sub(8),
        // A lock that somebody holds: a process that lives, has lived, or never did.
        6 => process | if rng.below(2) == 0 { 0x3fff } else { 1 + rng.below(2) as u32 },
        7 => 1 << 31 | rng.below(8192) as u32,
        8 => 3 << 30 | rng.below(64) as u32,
        _ => 8 * rng.below(1024) as u32,
    }
}

/// Spoils the maps until it is killed, or has cut what it stands on.
fn spoil(folder: &Path, rng: &mut Rng, cuts: bool) -> ! {
    let files = File::all(folder);
    loop {
        let file = &files[rng.below(files.len() as u64) as usize];
        let place = file.place(rng);
        match rng.below(16) {
            // One word again and again, in the middle of whatever is done.
            0 | 1 => {
                let values = [word(rng, file.get(place)), file.get(place), word(rng, 0)];
                (0..20_000).for_each(|i| file.put(place, values[i % 3]));
            }
            2 => (0..64).for_each(|i| file.put(place + i, 0)),
            3 => (0..64).for_each(|i| file.put(place + i, u32::MAX)),
            4 => {
                let from = file.place(rng);
                (0..32).for_each(|i| file.put(place + i, file.get(from + i)));
            }
            5 if cuts && rng.below(8) == 0 => {
                let _ = file.file.set_len(rng.below(file.words * 4 + 1) & !rng.below(4096));
            }
            _ => (0..8).for_each(|_| {
                let place = file.place(rng);
                file.put(place, word(rng, file.get(place)));
            }),
        }
    }
}

/// Forks; the child leaves with 1 after a panic.
fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs `child` and leaves without destructors. Of the allocator's locks the C library takes care.
    unsafe {
        match libc::fork() {
            0 => {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // Whoever hangs is ended by a signal.
                libc::alarm(END);
                let done = std::panic::catch_unwind(AssertUnwindSafe(child));
                libc::_exit(i32::from(done.is_err()))
            }
            pid => {
                assert!(pid > 0, "fork");
                pid
            }
        }
    }
}

/// What a child ended with.
fn wait(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a child of ours that was not waited for.
    unsafe { assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid) };
    status
}

fn round(folder: &Path, seed: u64) {
    fs::create_dir(folder).expect("a folder");
    let world = World::new(folder);
    let mut rng = Rng(seed);
    let seeds = [rng.next(), rng.next(), rng.next()];
    let cuts = seed % 4 == 3;
    let work = |world: &World, seed| world.work(&mut Rng(seed));
    // One who has opened the maps anew begins before they are spoilt.
    let (ready, go) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let victims = [
        fork(|| work(&world, seeds[0])),
        fork(|| {
            let world = World::new(folder);
            std::io::Write::write_all(&mut &ready, &[1]).expect("he waits");
            work(&world, seeds[1]);
        }),
    ];
    std::io::Read::read_exact(&mut &go, &mut [0]).expect("it has opened them");
    let peer = fork(|| spoil(folder, &mut Rng(seeds[2]), cuts));
    for (i, victim) in victims.into_iter().enumerate() {
        let status = wait(victim);
        let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
        assert!(signal != Some(libc::SIGALRM), "seed {seed}: victim {i} hangs");
        assert_eq!(signal, None, "seed {seed}: victim {i} died of a signal");
        assert_eq!(status, 0, "seed {seed}: victim {i} panicked");
    }
    // SAFETY: no pointers; a child of ours that was not waited for.
    unsafe { libc::kill(peer, libc::SIGKILL) };
    wait(peer);
    drop(world);
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn a_hostile_peer_spoils_data_and_nothing_else() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    let rounds = number("SKEP_HOSTILE").unwrap_or(4u64);
    let seed = number("SKEP_HOSTILE_SEED").unwrap_or(1u64);
    let folder: PathBuf = std::env::temp_dir().join(format!("skep-hostile-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let start = Instant::now();
    for n in 0..rounds {
        round(&folder, seed.wrapping_mul(1_000_003).wrapping_add(n));
    }
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    let report = format!(
        "rounds {rounds}, seed {seed}, took {} s\nmaps: {}\ncrashes 0, hangs 0, writes beside 0\n",
        start.elapsed().as_secs(),
        names.join(", ")
    );
    print!("{report}");
    if std::env::var_os("SKEP_HOSTILE_RECORD").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/hostile.txt");
        fs::write(path, format!("cargo xtask hostile {rounds} {seed} --record\n{report}")).expect("written");
    }
}

//! Spin locks: exclusion between threads, and programs that no verifier has seen.

mod common;

use std::sync::Arc;

use skep_abi::{MapType, ProgramType, UpdateFlags};
use skep_btf::{Builder, IntEncoding};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, Errno, MapDef, ProgramSpec};
use skep_vm::{NullHost, Program, Run, Stack, TrapKind};

/// Values `struct { long a; struct bpf_spin_lock lock; int n; long b; }`.
fn def(kind: MapType) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
    let members = [("a", long, 0), ("lock", lock, 64), ("n", int, 96), ("b", long, 128)];
    let value = b.structure("value", 24, &members);
    let btf = Some(Arc::new(b.finish().expect("legal types")));
    MapDef { btf, value_btf_id: value.0, ..MapDef::new(kind, 4, 24, 2) }
}

fn map(kind: MapType) -> Arc<Map> {
    let config = Config { relax: std::thread::yield_now, ..Config::new(4) };
    let map = Map::create(&def(kind), &config, &Heap).expect("a legal map");
    if kind == MapType::HASH {
        map.update_from_host(&KEY, &[0; 24], 0).expect("there is room");
    }
    map
}

const KEY: [u8; 4] = [0; 4];

fn program(kind: MapType, map: &Arc<Map>, text: &str) -> Program {
    let spec = ProgramSpec {
        insns: skep_isa::text::assemble(text).expect("assembles"),
        maps: vec![Arc::new(def(kind))],
        ..ProgramSpec::new(ProgramType::SYSCALL, vec![])
    };
    let env = Environment::default();
    Program::unverified(&spec, &env, vec![map.clone()]).expect("the map fits")
}

/// Looks the value up (`r6`), and its lock (`r7`).
const FIND: &str = "
    *(u32 *)(r10 - 4) = 0
    r1 = map[idx:0] ll
    r2 = r10
    r2 += -4
    call 1
    r6 = r0
    r7 = r0
    r7 += 8
";

fn run(program: &Program, vcpu: u32) -> Result<u64, TrapKind> {
    let mut stack = Stack::new();
    let mut run = Run::new(&mut stack, &NullHost).with_vcpu(vcpu);
    program.run(&mut run).map(|o| o.r0).map_err(|t| t.kind)
}

fn lock_word(map: &Map) -> u64 {
    map.lookup((&KEY).into(), 0).expect("the element is there") + 8
}

/// Two threads add to two numbers under a lock; programs and the host always see them equal.
#[test]
fn what_a_lock_guards_is_never_torn() {
    const ROUNDS: u64 = 20_000;
    for kind in [MapType::ARRAY, MapType::HASH] {
        let map = map(kind);
        let add = format!(
            "{FIND}
            r1 = r7
            call 93
            r8 = *(u64 *)(r6 + 0)
            r9 = *(u64 *)(r6 + 16)
            r9 -= r8
            r8 += 1
            *(u64 *)(r6 + 0) = r8
            *(u64 *)(r6 + 16) = r8
            r1 = r7
            call 94
            r0 = r9
            exit"
        );
        let add = &program(kind, &map, &add);
        std::thread::scope(|s| {
            let threads: Vec<_> = (1..3)
                .map(|vcpu| {
                    s.spawn(move || {
                        for _ in 0..ROUNDS {
                            assert_eq!(run(add, vcpu), Ok(0), "the numbers are equal under the lock");
                        }
                    })
                })
                .collect();
            while threads.iter().any(|t| !t.is_finished()) {
                let value = map.lookup_copy(&KEY, UpdateFlags::LOCK).expect("the element is there");
                assert_eq!(value[..8], value[16..], "a copy under the lock is whole");
                assert_eq!(value[8..12], [0; 4], "the lock is in no copy");
            }
        });
        let value = map.lookup_copy(&KEY, 0).expect("the element is there");
        assert_eq!(value[..8], (2 * ROUNDS).to_ne_bytes(), "no round is lost");
    }
}

/// The host writes whole values while programs look.
#[test]
fn the_host_writes_under_the_lock() {
    for kind in [MapType::ARRAY, MapType::HASH] {
        let map = map(kind);
        let compare = format!(
            "{FIND}
            r1 = r7
            call 93
            r8 = *(u64 *)(r6 + 0)
            r9 = *(u64 *)(r6 + 16)
            r1 = r7
            call 94
            r0 = r8
            r0 -= r9
            exit"
        );
        let compare = &program(kind, &map, &compare);
        let map = &map;
        std::thread::scope(|s| {
            let writer = s.spawn(move || {
                for n in 0..20_000u64 {
                    let mut value = [0xff; 24];
                    value[..8].copy_from_slice(&n.to_ne_bytes());
                    value[16..].copy_from_slice(&n.to_ne_bytes());
                    map.update_from_host(&KEY, &value, UpdateFlags::LOCK).expect("the element is there");
                }
            });
            while !writer.is_finished() {
                assert_eq!(run(compare, 1), Ok(0));
            }
        });
        assert!(
            map.spin_lock(lock_word(map), 0).expect("a lock").is_ok(),
            "0xff was not written to the lock"
        );
        assert!(map.spin_unlock(lock_word(map)));
    }
}

#[test]
fn a_run_gives_its_lock_back_however_it_ends() {
    let map = map(MapType::ARRAY);
    for (end, expect) in [
        ("r0 = 5\nexit", Ok(5)),
        ("r0 = *(u64 *)(r7 + 30000)\nexit", Err(())),
        ("again:\ngoto again", Err(())),
    ] {
        let text = format!("{FIND}\nr1 = r7\ncall 93\n{end}");
        let program = program(MapType::ARRAY, &map, &text);
        let mut stack = Stack::new();
        let mut run = Run::new(&mut stack, &NullHost).with_fuel(10_000);
        let result = program.run(&mut run).map(|o| o.r0).map_err(|_| ());
        assert_eq!(result, expect);
        assert_eq!(map.spin_lock(lock_word(&map), 3), Some(Ok(())), "{end}");
        map.spin_unlock(lock_word(&map));
    }
}

#[test]
fn misuse_traps() {
    let map = map(MapType::ARRAY);
    let result = |text: &str| run(&program(MapType::ARRAY, &map, &format!("{FIND}{text}\nr0 = 0\nexit")), 0);
    assert_eq!(result("r1 = r7\ncall 93\nr1 = r7\ncall 93"), Err(TrapKind::SecondLock));
    assert!(matches!(result("r1 = r7\ncall 94"), Err(TrapKind::NotALock(_))));
    assert!(matches!(result("r1 = r6\ncall 93"), Err(TrapKind::NotALock(_))), "beside the lock");
    assert!(matches!(result("r1 = r7\nr1 += 48\ncall 93"), Err(TrapKind::NotALock(_))), "behind the map");
    assert!(matches!(result("r1 = r10\nr1 += -8\ncall 93"), Err(TrapKind::NotALock(_))));
    assert!(matches!(result("r1 = 0\ncall 93"), Err(TrapKind::NotALock(_))));
    // The second element's lock is another one.
    assert!(matches!(result("r1 = r7\ncall 93\nr1 = r7\nr1 += 24\ncall 94"), Err(TrapKind::NotALock(_))));
    assert_eq!(result("r1 = r7\nr1 += 24\ncall 93\nr1 = r7\nr1 += 24\ncall 94"), Ok(0));
}

/// A lock that the same CPU holds is not waited for.
#[test]
fn a_nested_run_does_not_wait_for_its_own_cpu() {
    let map = map(MapType::ARRAY);
    map.spin_lock(lock_word(&map), 2).expect("a lock").expect("free");
    let program = program(MapType::ARRAY, &map, &format!("{FIND}r1 = r7\ncall 93\nr0 = 0\nexit"));
    assert_eq!(run(&program, 2), Err(TrapKind::LockBusy));
    // Nor does an update under the lock.
    let update = map.update((&KEY).into(), (&[1; 24]).into(), UpdateFlags::LOCK, 2);
    assert_eq!(update, Err(Errno::EBUSY));
}

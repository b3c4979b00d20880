//! Maps whose values have a `bpf_spin_lock`: the same operations on both backends, the same results.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Builder, IntEncoding};
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, Errno, MapDef};
use skep_user::UserBackend;

/// A map whose values have locks at these offsets, in bits.
fn def(kind: MapType, flags: u32, locks: &[u32]) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
    let names = ["l0", "l1"];
    let members: Vec<_> = names.iter().zip(locks).map(|(name, off)| (*name, lock, *off)).collect();
    let value = b.structure("value", 20, &members);
    let btf = Some(Arc::new(b.finish().expect("legal types")));
    let def = MapDef { btf, key_btf_id: int.0, value_btf_id: value.0, ..MapDef::new(kind, 4, 20, 3) };
    MapDef { flags: MapFlags(flags), ..def }
}

type Maps = [Arc<dyn BackendMap>; 2];

fn create(def: &MapDef) -> [Result<Arc<dyn BackendMap>, Errno>; 2] {
    let backends: [&dyn Backend; 2] = [&UserBackend::new(), &LinuxBackend::new()];
    backends.map(|b| b.create_map(def).map_err(|e| e.errno))
}

fn kernel() -> bool {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
    }
    probe.is_yes()
}

fn same<T: PartialEq + std::fmt::Debug>(maps: &Maps, what: &str, op: impl Fn(&dyn BackendMap) -> T) -> T {
    let [ours, theirs] = [0, 1].map(|i| op(&*maps[i]));
    assert_eq!(ours, theirs, "{what}");
    ours
}

#[test]
fn operations_agree() {
    if !kernel() {
        return;
    }
    for (kind, flags, lock) in [
        (MapType::ARRAY, 0, Some(32)),
        (MapType::ARRAY, 0, Some(128)),
        (MapType::ARRAY, 0, None),
        (MapType::HASH, 0, Some(0)),
        (MapType::HASH, MapFlags::NO_PREALLOC, Some(64)),
        (MapType::HASH, 0, None),
        (MapType::PERCPU_HASH, 0, None),
        (MapType::PERCPU_ARRAY, 0, None),
    ] {
        let maps = create(&def(kind, flags, lock.as_slice())).map(|m| m.expect("a legal map"));
        let len = maps[0].lookup(&[0; 4], 0).map_or(20, |v| v.len());
        let what = format!("{kind:?} lock at bit {lock:?}");
        let mut fill = 0u8;
        for update in [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 4, 0] {
            for key in [0u32, 1, 2, 3, 9] {
                fill = fill.wrapping_add(7);
                let key = key.to_ne_bytes();
                let what = format!("{what}: update {key:?} with flags {update}");
                let value = vec![fill | 1; len];
                if maps[0].lookup(&[0; 4], 0).is_ok_and(|v| v.len() != len) {
                    continue;
                }
                let _agreed = same(&maps, &what, |m| m.update(&key, &value, update).map_err(|e| e.errno));
                for lookup in [0, 4, 1, 8] {
                    let what = format!("{what}, lookup with flags {lookup}");
                    let found = same(&maps, &what, |m| m.lookup(&key, lookup).map_err(|e| e.errno));
                    if let (Ok(value), Some(bit)) = (found, lock) {
                        assert_eq!(value[bit as usize / 8..][..4], [0; 4], "{what}: the lock is in no copy");
                    }
                }
            }
        }
    }
}

#[test]
fn creation_agrees() {
    if !kernel() {
        return;
    }
    for kind in
        [MapType::ARRAY, MapType::HASH, MapType::LRU_HASH, MapType::PERCPU_HASH, MapType::PERCPU_ARRAY]
    {
        for (flags, locks) in [
            (0, &[32][..]),
            (0, &[]),
            (MapFlags::RDONLY_PROG, &[32]),
            (MapFlags::WRONLY_PROG, &[32]),
            (0, &[0, 32]),
        ] {
            let [ours, theirs] = create(&def(kind, flags, locks)).map(|r| r.map(drop));
            assert_eq!(ours, theirs, "{kind:?} flags {flags:#x} locks at {locks:?}");
        }
    }
}

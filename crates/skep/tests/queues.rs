//! Queues and stacks from Rust, on both backends.

use skep::abi::{MapType, UpdateFlags};
use skep::spec::{Backend, BackendMap, MapDef};

fn first_in_first_out(backend: &dyn Backend) {
    for (kind, order) in [(MapType::QUEUE, [2, 3]), (MapType::STACK, [3, 2])] {
        let map = backend.create_map(&MapDef::new(kind, 0, 4, 2)).expect("a legal map");
        let push = |n: u32, flags| map.update(&[], &n.to_ne_bytes(), flags).map_err(|e| e.errno);
        assert_eq!(push(1, 0), Ok(()));
        assert_eq!(push(2, 0), Ok(()));
        assert_eq!(push(3, 0), Err(skep::spec::Errno::E2BIG));
        assert_eq!(push(3, UpdateFlags::EXIST), Ok(()), "1 goes");
        let pop = || map.lookup_and_delete(&[]).map_err(|e| e.errno);
        assert_eq!(order.map(|_| pop()), order.map(|n: u32| Ok(n.to_ne_bytes().to_vec())));
        assert_eq!(pop(), Err(skep::spec::Errno::ENOENT));
        check_other_kinds(
            backend.create_map(&MapDef::new(MapType::ARRAY, 4, 4, 1)).expect("a legal map").as_ref(),
        );
    }
}

fn check_other_kinds(map: &dyn BackendMap) {
    assert!(map.lookup_and_delete(&[0; 4]).is_err(), "elements of an array stay");
}

#[test]
fn user() {
    first_in_first_out(&skep::user::UserBackend::new());
}

#[test]
fn linux() {
    let probe = skep::linux::LinuxBackend::probe();
    match probe.is_yes() {
        true => first_in_first_out(&skep::linux::LinuxBackend::new()),
        false => println!("skipped: no kernel to ask: {probe:?}"),
    }
}

//! Arenas: which pages are there, and what a peer that writes over the states can do.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Errno, MapDef};

const PAGE: u64 = 4096;

fn def(pages: u32, flags: u32) -> MapDef {
    MapDef {
        flags: MapFlags(MapFlags::MMAPABLE | flags),
        ..MapDef::new(MapType::ARENA, 0, 0, pages).named("a")
    }
}

fn arena(pages: u32) -> Arc<Map> {
    Map::create(&def(pages, 0), &Config::new(2), &Heap).expect("legal")
}

#[test]
fn what_linux_refuses_is_refused() {
    let bad = |def: &MapDef| Map::create(def, &Config::new(2), &Heap).expect_err("refused").errno;
    assert_eq!(bad(&def(0, 0)), Errno::EINVAL);
    assert_eq!(bad(&MapDef { flags: MapFlags(0), ..def(1, 0) }), Errno::EINVAL);
    assert_eq!(bad(&def(1, MapFlags::NUMA_NODE)), Errno::EINVAL);
    assert_eq!(bad(&MapDef { key_size: 4, ..def(1, 0) }), Errno::EINVAL);
    assert_eq!(bad(&MapDef { value_size: 8, ..def(1, 0) }), Errno::EINVAL);
    assert_eq!(bad(&MapDef { map_extra: 4095, ..def(1, 0) }), Errno::EINVAL);
    assert_eq!(bad(&def((1 << 20) + 1, 0)), Errno::E2BIG);
    assert_eq!(bad(&MapDef { map_extra: (1 << 32) - PAGE, ..def(2, 0) }), Errno::ERANGE);
    let at = MapDef { map_extra: (1 << 32) - PAGE, ..def(1, 0) };
    let map = Map::create(&at, &Config::new(2), &Heap).expect("just fits");
    assert_eq!(map.arena().expect("one").base(), (1 << 32) - PAGE);
}

#[test]
fn pages_are_there_when_they_are_given_out_or_touched() {
    let map = arena(8);
    let arena = map.arena().expect("one");
    let low = |page: u64| (arena.base() + page * PAGE) as u32;
    assert_eq!(arena.at(low(0), 0, 8), None);
    assert_eq!(arena.alloc_pages(0, 2, -1), arena.base());
    let first = arena.at(low(0), 0, 8).expect("there");
    assert_eq!(arena.at(low(1), -1, 2), Some(first + PAGE - 1), "over the end of a page into the next");
    assert_eq!(arena.at(low(1), i16::MAX, 1), None);
    assert_eq!((arena.at(low(2), -1, 1), arena.at(low(2), -1, 2)), (Some(first + 2 * PAGE - 1), None));
    // Nothing before the first page, and nothing that wraps around to it.
    assert_eq!((arena.at(low(0), -1, 1), arena.at(low(0), i16::MIN, 8)), (None, None));
    arena.write(3 * PAGE - 2, &[1, 2, 3, 4]).expect("the host's pages come by themselves");
    assert!(arena.at(low(2), 0, 8).is_some() && arena.at(low(3), 0, 8).is_some());
    let mut read = [0; 6];
    arena.read(3 * PAGE - 3, &mut read).expect("there");
    assert_eq!(read, [0, 1, 2, 3, 4, 0]);
    // What is given back is gone, and zero when it comes again.
    arena.free_pages(arena.base() + 2 * PAGE, 100);
    assert_eq!(arena.at(low(3), 0, 1), None);
    arena.read(3 * PAGE - 3, &mut read).expect("comes again");
    assert_eq!(read, [0; 6]);
    for (off, len) in [(8 * PAGE, 1), (8 * PAGE - 1, 2), (u64::MAX, 1), (u64::MAX - 1, 8)] {
        assert_eq!(arena.write(off, &vec![0; len]), Err(Errno::EINVAL));
    }
}

#[test]
fn nothing_comes_by_itself_where_the_map_says_so() {
    let map = Map::create(&def(2, MapFlags::SEGV_ON_FAULT), &Config::new(2), &Heap).expect("legal");
    let arena = map.arena().expect("one");
    assert_eq!(arena.write(0, &[1]), Err(Errno::EFAULT));
    assert_eq!(arena.alloc_pages(0, 1, -1), arena.base());
    assert_eq!(arena.write(0, &[1]), Ok(()));
    assert_eq!(arena.reserve_pages(arena.base() + PAGE, 1), Ok(()));
    assert_eq!(arena.alloc_pages(arena.base() + PAGE, 1, -1), 0);
    assert_eq!(arena.reserve_pages(arena.base() + PAGE, 1), Err(Errno::EBUSY));
    assert_eq!(arena.reserve_pages(arena.base() + PAGE, 2), Err(Errno::EINVAL));
}

#[test]
fn threads_get_pages_of_their_own() {
    let map = arena(64);
    let (map, mut got) = (&map, Vec::new());
    std::thread::scope(|s| {
        let threads: Vec<_> = (0..4)
            .map(|t: u64| {
                s.spawn(move || {
                    let arena = map.arena().expect("one");
                    let mut held = Vec::new();
                    for round in 0..2000u64 {
                        if held.len() < 5 && !(round + t).is_multiple_of(3) {
                            match arena.alloc_pages(0, 1 + (round % 3) as u32, -1) {
                                0 => {}
                                addr => held.push((addr, 1 + (round % 3) as u32)),
                            }
                        } else if let Some((addr, count)) = held.pop() {
                            arena.free_pages(addr, count);
                        }
                    }
                    held
                })
            })
            .collect();
        got = threads.into_iter().flat_map(|t| t.join().expect("no panic")).collect::<Vec<_>>();
    });
    got.sort_unstable();
    for pair in got.windows(2) {
        assert!(pair[0].0 + u64::from(pair[0].1) * PAGE <= pair[1].0, "{pair:x?}");
    }
}

#[test]
fn addresses_that_are_cast_have_the_upper_half_of_the_base() {
    let map =
        Map::create(&MapDef { map_extra: 1 << 44, ..def(1, 0) }, &Config::new(2), &Heap).expect("legal");
    let arena = map.arena().expect("one");
    assert_eq!(arena.to_host(0xffff_0000_0000_0018), (1 << 44) + 24);
    assert_eq!(arena.to_host(7 << 32), 0, "NULL stays NULL");
    let plain =
        Map::create(&MapDef { map_extra: 1 << 44, ..def(1, MapFlags::NO_USER_CONV) }, &Config::new(2), &Heap);
    assert_eq!(plain.expect("legal").arena().expect("one").to_host(5 << 32 | 9), 9);
}

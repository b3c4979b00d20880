//! Perf event arrays: who may write where, what a reader finds, and what is lost.

mod support;

use std::sync::Arc;

use skep_abi::MapType;
use skep_maps::{Bytes, Config, Heap, Map};
use skep_spec::{Errno, MapDef, PerfRecord};
use support::Rng;

const CPUS: u32 = 3;

fn map(entries: u32) -> Arc<Map> {
    let def = MapDef::new(MapType::PERF_EVENT_ARRAY, 4, 4, entries);
    Map::create(&def, &Config::new(CPUS), &Heap).expect("legal")
}

fn put(map: &Map, index: u32, data: &[u8], more: &[u8], cpu: u32) -> Result<(), Errno> {
    map.perf_output(index, [Bytes::from(data), Bytes::from(more)], cpu)
}

#[test]
fn slots() {
    let m = map(5);
    assert_eq!(put(&m, 0, b"early", b"", 0), Err(Errno::ENOENT), "nobody reads");
    let mut reader = m.perf_reader(0).expect("the first");
    assert_eq!(m.perf_reader(0).map(drop).map_err(|e| e.errno), Err(Errno::EBUSY));
    assert_eq!(put(&m, 5, b"", b"", 0), Err(Errno::E2BIG));
    assert_eq!(put(&m, 4, b"", b"", 0), Err(Errno::ENOENT), "there are 3 CPUs");
    assert_eq!(put(&m, 1, b"", b"", 0), Err(Errno::EOPNOTSUPP), "another CPU's");
    assert_eq!(put(&m, 1, b"rec", b"ord", 1), Ok(()));
    assert_eq!(put(&m, 0, b"", b"", 0), Ok(()), "an empty record is one");
    assert!(reader.ready());
    let mut seen = Vec::new();
    let n = reader.poll(&mut |r| seen.push(format!("{r:?}"))).expect("sound");
    assert_eq!(n, 2);
    let expected = [PerfRecord::Sample { cpu: 0, data: b"" }, PerfRecord::Sample { cpu: 1, data: b"record" }];
    assert_eq!(seen, expected.map(|r| format!("{r:?}")));
    assert!(!reader.ready());
    m.delete_from_host(&1u32.to_ne_bytes()).expect("it was open");
    assert_eq!(put(&m, 1, b"", b"", 1), Err(Errno::ENOENT));
    drop(reader);
    assert_eq!(put(&m, 0, b"", b"", 0), Err(Errno::ENOENT));
    let mut again = m.perf_reader(9000).expect("the former is gone");
    assert_eq!(again.poll(&mut |r| panic!("{r:?}")).expect("sound"), 0);
    assert_eq!(put(&m, 1, b"x", b"", 1), Ok(()));
    assert_eq!(map(1).consumer().map(drop).map_err(|e| e.errno), Err(Errno::EINVAL));
}

/// What comes out is what went in, in order per CPU; what did not fit is counted.
#[test]
fn records_in_order_or_lost() {
    let m = map(CPUS);
    let mut reader = m.perf_reader(4096).expect("the first");
    let mut rng = Rng::new(7);
    let mut waiting: Vec<Vec<Vec<u8>>> = vec![Vec::new(); CPUS as usize];
    let mut lost = [0u64; CPUS as usize];
    for _ in 0..20_000 * support::campaign() {
        let cpu = rng.below(CPUS.into()) as u32;
        let (a, b) = (rng.below(200) as usize, rng.below(600) as usize);
        let (a, b) = (rng.bytes(a), rng.bytes(b));
        match put(&m, cpu, &a, &b, cpu) {
            Ok(()) => waiting[cpu as usize].push([a, b].concat()),
            Err(e) => {
                assert_eq!(e, Errno::ENOSPC);
                let used: usize = waiting[cpu as usize].iter().map(|r| 8 + r.len().next_multiple_of(8)).sum();
                assert!(used + 8 + (a.len() + b.len()).next_multiple_of(8) > 4096, "there was room");
                lost[cpu as usize] += 1;
            }
        }
        if rng.below(12) == 0 {
            let mut got = vec![Vec::new(); CPUS as usize];
            let mut told = [0; CPUS as usize];
            let each = &mut |r: PerfRecord<'_>| match r {
                PerfRecord::Sample { cpu, data } => got[cpu as usize].push(data.to_vec()),
                PerfRecord::Lost { cpu, count } => told[cpu as usize] += count,
            };
            reader.poll(each).expect("sound");
            assert_eq!(got, waiting);
            assert_eq!(told, lost);
            waiting.iter_mut().for_each(Vec::clear);
            lost = [0; CPUS as usize];
        }
    }
    assert_eq!(put(&m, 0, &[0; 65_501], b"", 0), Err(Errno::E2BIG));
}

/// Writers on their CPUs, a reader beside them that comes and goes: nothing is torn, nothing comes twice.
#[test]
fn while_others_write() {
    let m = map(CPUS);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for cpu in 0..CPUS {
            let (m, done) = (&m, &done);
            scope.spawn(move || {
                let mut n = 0u64;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    n += 1;
                    let record = n.to_ne_bytes().repeat(1 + n as usize % 40);
                    match put(m, cpu, &record, &n.to_ne_bytes(), cpu) {
                        Ok(()) | Err(Errno::ENOSPC | Errno::ENOENT | Errno::EBUSY) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
            });
        }
        let mut last = [0u64; CPUS as usize];
        let mut records = 0;
        for round in 0..60 {
            let mut reader = m.perf_reader(4096 << (round % 3)).expect("the only one");
            for _ in 0..20 {
                let each = &mut |r: PerfRecord<'_>| {
                    let PerfRecord::Sample { cpu, data } = r else { return };
                    let n = u64::from_ne_bytes(data[..8].try_into().expect("8 bytes"));
                    assert_eq!(data, n.to_ne_bytes().repeat(2 + n as usize % 40), "torn");
                    assert!(n > last[cpu as usize], "{n} after {}", last[cpu as usize]);
                    last[cpu as usize] = n;
                };
                records += reader.poll(each).expect("sound");
                std::thread::yield_now();
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(records > 0);
    });
}

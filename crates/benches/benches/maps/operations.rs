//! Operations of programs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

use benches::ROUNDS;
use skep_spec::BackendMap;

use crate::clock::{median, pin};
use crate::kernel::{self, Kernel};
use crate::ours::Ours;
use crate::programs::{LARGE, OPS, PREFIXES, RING_ROW, ROWS, programs};

/// Runs of an operation in a round: some hundred thousand operations.
const REPEAT: u32 = 200;
/// Runs of the ring buffer's: what they put in fits into the ring.
const RING_REPEAT: u32 = 150;

/// The table of operations.
pub fn measure() {
    let (_, defs) = programs();
    let mut ours = Ours::new(&defs);
    let kernel = Kernel::new().inspect_err(|why| println!("skipped the kernel: {why}")).ok();
    fill(&ours, kernel.as_ref());
    let mut samples = vec![[const { Vec::new() }; 2]; ROWS.len()];
    // What a consumer was given each second, in millions.
    let mut rates = [const { Vec::new() }; 2];
    for round in 0..=ROUNDS {
        for (row, samples) in ROWS.iter().zip(&mut samples).enumerate().map(|(i, (row, s))| ((i, row), s)) {
            let (index, row) = row;
            let (mine, theirs) = if row.name == RING_ROW {
                let map = ours.map(RING_ROW).clone();
                let mut consumer = map.consumer().expect("nobody else reads");
                let poll = move || consumer.poll(&mut |_| {}).expect("nobody damages it");
                let mine = with_consumer(poll, &mut rates[0], || ours.run(row.name, RING_REPEAT));
                let theirs = kernel.as_ref().map(|k| {
                    let mut reader = k.map(RING_ROW).reader().expect("nobody else reads");
                    let poll = move || reader.poll(&mut |_| {}).expect("nobody damages it");
                    with_consumer(poll, &mut rates[1], || k.run(index, RING_REPEAT))
                });
                (mine, theirs)
            } else {
                (ours.run(row.name, REPEAT), kernel.as_ref().map(|k| k.run(index, REPEAT)))
            };
            // The first round warms caches and touches memory.
            if round > 0 {
                samples[0].push(mine);
                samples[1].extend(theirs);
            }
        }
    }
    let middle: Vec<[Option<f64>; 2]> =
        samples.into_iter().map(|sides| sides.map(|s| (!s.is_empty()).then(|| median(s)))).collect();
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.1}"));
    println!("{:<32} {:>8} {:>8} {:>9} {:>7}", "operation (ns)", "skep", "target", "kernel", "ratio");
    let [empty, rest @ ..] = &middle[..] else { return };
    for (row, ns) in ROWS[1..].iter().zip(rest) {
        let net = |side: usize| Some(ns[side]? - empty[side]?);
        let ratio = net(0).zip(net(1)).map(|(a, b)| b / a);
        let (mine, theirs) = (number(net(0)), number(net(1)));
        let target = row.target.map_or("–".to_owned(), |t| format!("{t:.0}"));
        let ratio = ratio.map_or("–".to_owned(), |r| format!("{r:.2}"));
        println!("{:<32} {mine:>8} {target:>8} {theirs:>9} {ratio:>7}", row.what);
    }
    crate::drain::measure();
    let rates = rates.map(|r| (!r.is_empty()).then(|| median(r)));
    println!(
        "ring buffer: {} million events a second delivered (target 10), kernel {}",
        number(rates[0]),
        number(rates[1])
    );
    println!("empty loop: {} ns, kernel {}", number(empty[0]), number(empty[1]));
    let failed = [ours.failed(), kernel.map_or(0, |k| k.failed())];
    if failed != [0, 0] {
        println!("operations that failed: {failed:?}");
    }
}

/// Runs while a thread on the other CPU consumes all that the ring is given; notes at what rate it got it.
fn with_consumer(
    mut poll: impl FnMut() -> usize + Send,
    rates: &mut Vec<f64>,
    run: impl FnOnce() -> f64,
) -> f64 {
    let (ready, got) = (AtomicBool::new(false), AtomicU64::new(0));
    let records = u64::from(RING_REPEAT * OPS);
    thread::scope(|s| {
        s.spawn(|| {
            pin(0);
            ready.store(true, SeqCst);
            let mut all = 0;
            while all < records {
                all += poll() as u64;
                std::hint::spin_loop();
            }
            got.store(all, SeqCst);
        });
        while !ready.load(SeqCst) {
            thread::yield_now();
        }
        let start = Instant::now();
        let ns = run();
        while got.load(SeqCst) < records {
            std::hint::spin_loop();
        }
        rates.push(records as f64 / start.elapsed().as_secs_f64() / 1e6);
        ns
    })
}

/// The same elements on both sides.
fn fill(ours: &Ours, kernel: Option<&Kernel>) {
    for (name, count) in [
        ("hash", 1024),
        ("percpu_hash", 1024),
        ("room", 1024),
        ("large", LARGE),
        ("lru", 1024),
        ("lru_full", 1024),
    ] {
        let map = ours.map(name);
        let value = vec![0; map.host_value_size()];
        for key in 0..count {
            map.update_from_host(&key.to_ne_bytes(), &value, 0).expect("there is room");
        }
        let Some(theirs) = kernel.map(|k| k.map(name)) else { continue };
        if name == "large" {
            let keys: Vec<u32> = (0..count).collect();
            kernel::fill(theirs, &keys, &vec![0; keys.len()]);
            continue;
        }
        let value = vec![0; theirs.value_len()];
        for key in 0..count {
            theirs.update(&key.to_ne_bytes(), &value, 0).expect("there is room");
        }
    }
    for key in 0..1024u32 {
        let loopback = 1u32.to_ne_bytes();
        ours.map("bloom").update_from_host(&[], &key.to_ne_bytes(), 0).expect("a filter is never full");
        ours.map("devmap").update_from_host(&key.to_ne_bytes(), &loopback, 0).expect("there is one");
        if let Some(k) = kernel {
            k.map("bloom").update(&[], &key.to_ne_bytes(), 0).expect("a filter is never full");
            k.map("devmap").update(&key.to_ne_bytes(), &loopback, 0).expect("there is one");
        }
    }
    for key in prefixes(PREFIXES) {
        ours.map("lpm").update_from_host(&key, &[0; 8], 0).expect("there is room");
        if let Some(k) = kernel {
            k.map("lpm").update(&key, &[0; 8], 0).expect("there is room");
        }
    }
}

/// Different random prefixes of 8 to 32 bits.
pub fn prefixes(count: u32) -> Vec<[u8; 8]> {
    let mut seen = std::collections::HashSet::new();
    let mut state = 0x1234_5678_9abc_def1u64;
    while seen.len() < count as usize {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let len = 8 + (state >> 40) as u32 % 25;
        let data = state as u32 & (u32::MAX << (32 - len));
        let mut key = [0; 8];
        key[..4].copy_from_slice(&len.to_ne_bytes());
        key[4..].copy_from_slice(&data.to_be_bytes());
        seen.insert(key);
    }
    let mut keys: Vec<_> = seen.into_iter().collect();
    keys.sort_by_key(|k| u64::from_ne_bytes(*k).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    keys
}

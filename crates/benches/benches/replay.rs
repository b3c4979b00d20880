//! Packets a second through the protocol counter of `examples/protocols`, from memory on one thread: 1,000,000
//! packets of one kind, and as many of five kinds in no order that a branch predictor could learn.
//!
//! `cargo bench -p benches --bench replay`; a number behind `--` makes it as many packets, for a profiler.

use std::hint::black_box;
use std::time::Instant;

use benches::ROUNDS;
use skep::source::Packet;
use skep::{Backend, Object, Runner};

/// Packets, unless an argument says otherwise.
const PACKETS: usize = 1_000_000;
const LEN: usize = 64;

fn main() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/protocols/protocols.bpf.o");
    let object = Object::open(file).expect("the example is there");
    let count = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(PACKETS);
    measure(&object, count, "TCP alone", |_| frame(7));
    measure(&object, count, "mixed at random", |i| {
        frame((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)
    });
}

fn measure(object: &Object, count: usize, name: &str, frame: impl Fn(usize) -> [u8; LEN]) {
    let loaded = object.load(&Backend::user()).expect("the example loads");
    let mut runner = Runner::new(&loaded.programs()[0]).expect("it is a socket filter");
    let frames: Vec<[u8; LEN]> = (0..count).map(frame).collect();
    let packets: Vec<Packet<'_>> = frames
        .iter()
        .map(|data| Packet {
            data,
            wire_len: LEN as u32,
            ifindex: 1,
            protocol: u16::from_be_bytes([data[12], data[13]]),
            ..Packet::default()
        })
        .collect();
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            runner.run_all(&packets, |_, result| {
                black_box(result.expect("no packet is too short"));
            });
            count as f64 / start.elapsed().as_secs_f64() / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let map = loaded.map("packets").expect("the counter's map");
    let counts = [1u32, 6, 17, 58].map(|p| {
        let value = map.lookup(&p.to_ne_bytes()).expect("an array has every key").expect("below 256");
        u64::from_ne_bytes(value.try_into().expect("eight bytes")) / ROUNDS as u64
    });
    println!(
        "{name}: {:.2} million packets a second ({:.2} to {:.2}), {:.0} ns a packet; ICMP, TCP, UDP, ICMPv6: {counts:?}",
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1],
        1e3 / rates[ROUNDS / 2]
    );
}

/// IPv4 with ICMP, TCP or UDP, IPv6 with ICMPv6, or ARP.
fn frame(kind: u64) -> [u8; LEN] {
    let mut frame = [0; LEN];
    let (ethertype, at, protocol): (u16, usize, u8) = match kind % 8 {
        0 => (0x0806, 0, 0),
        1 => (0x86dd, 20, 58),
        2 => (0x0800, 23, 1),
        3 | 4 => (0x0800, 23, 17),
        _ => (0x0800, 23, 6),
    };
    frame[at] = protocol;
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    frame
}

//! Capture files: formats, byte orders, clocks, link types, and files that are cut or lie.

use skep_user::source::capture::{Capture, Cut, Error, LinkType, MAX_BLOCK_BYTES, Writer, read};
use skep_user::source::{PacketType, SourceStats};

/// Byte order of a generated file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, v: u16) -> [u8; 2] {
        if self == Self::Big { v.to_be_bytes() } else { v.to_le_bytes() }
    }
    fn u32(self, v: u32) -> [u8; 4] {
        if self == Self::Big { v.to_be_bytes() } else { v.to_le_bytes() }
    }
    fn u64(self, v: u64) -> [u8; 8] {
        if self == Self::Big { v.to_be_bytes() } else { v.to_le_bytes() }
    }
}

fn pcap(order: Order, magic: u32, link: u32, packets: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
    let mut out = order.u32(magic).to_vec();
    out.extend(order.u16(2));
    out.extend(order.u16(4));
    out.extend([0; 8]);
    out.extend(order.u32(65535));
    out.extend(order.u32(link));
    for &(sec, fraction, data, original) in packets {
        for word in [sec, fraction, data.len() as u32, original] {
            out.extend(order.u32(word));
        }
        out.extend(data);
    }
    out
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let len = order.u32(padded as u32 + 12);
    let mut out = order.u32(kind).to_vec();
    out.extend(len);
    out.extend(body);
    out.resize(8 + padded, 0);
    out.extend(len);
    out
}

fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend(order.u64(u64::MAX));
    block(order, 0x0a0d_0d0a, &body)
}

fn interface(order: Order, link: u16, resolution: u8, offset: u64) -> Vec<u8> {
    let mut body = order.u16(link).to_vec();
    body.extend([0; 2]);
    body.extend(order.u32(262_144));
    body.extend(order.u16(9));
    body.extend(order.u16(1));
    body.extend([resolution, 0, 0, 0]);
    body.extend(order.u16(14));
    body.extend(order.u16(8));
    body.extend(order.u64(offset));
    body.extend([0; 4]);
    block(order, 1, &body)
}

fn enhanced(order: Order, interface: u32, ticks: u64, data: &[u8], original: u32) -> Vec<u8> {
    let mut body = order.u32(interface).to_vec();
    body.extend(order.u32((ticks >> 32) as u32));
    body.extend(order.u32(ticks as u32));
    body.extend(order.u32(data.len() as u32));
    body.extend(order.u32(original));
    body.extend(data);
    block(order, 6, &body)
}

fn frame(len: usize, mark: u8) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45];
    f.resize(len, mark);
    f
}

type Seen = (Vec<u8>, u32, u32, u64, u16);

type End = Result<(SourceStats, Option<Cut>), Error>;

fn all(bytes: &[u8]) -> (Vec<Seen>, End) {
    let mut seen = Vec::new();
    let end = read(bytes, |p| seen.push((p.data.to_vec(), p.wire_len, p.ifindex, p.time_ns, p.protocol)));
    (seen, end)
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    let (a, b) = (frame(60, 1), frame(90, 2));
    for order in [Order::Little, Order::Big] {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let file = pcap(order, magic, 1, &[(5, 7, &a, 60), (6, 8, &b, 1500)]);
            let (seen, end) = all(&file);
            assert_eq!(seen[0], (a.clone(), 60, 1, 5_000_000_000 + 7 * unit, 0x800), "{order:?} {magic:x}");
            assert_eq!(seen[1], (b.clone(), 1500, 1, 6_000_000_000 + 8 * unit, 0x800));
            let (stats, cut) = end.expect("a good file");
            assert_eq!(stats, SourceStats { packets: 2, bytes: 150, truncated: 1, dropped: 0 });
            assert_eq!(cut, None);
        }
    }
}

#[test]
fn pcapng_with_several_interfaces_clocks_and_sections() {
    let a = frame(61, 1);
    let ip = &a[14..];
    let mut file = Vec::new();
    for order in [Order::Big, Order::Little] {
        file.extend(section(order));
        file.extend(interface(order, 1, 6, 0));
        file.extend(interface(order, 101, 9, 100));
        file.extend(interface(order, 1, 0x8a, (-1i64) as u64));
        file.extend(block(order, 0x0000_0bad, &[1, 2, 3]));
        file.extend(enhanced(order, 0, 1_500_000, &a, 61));
        file.extend(enhanced(order, 1, 7, ip, ip.len() as u32));
        file.extend(enhanced(order, 2, 3 * 1024 + 512, &a, 99));
        let mut simple = order.u32(61).to_vec();
        simple.extend(&a);
        file.extend(block(order, 3, &simple));
    }
    let (seen, end) = all(&file);
    let mut synthetic = vec![0; 12];
    synthetic.extend([8, 0]);
    synthetic.extend(ip);
    let expect = [
        (a.clone(), 61, 1, 1_500_000_000, 0x800),
        (synthetic, 61, 2, 100_000_000_007, 0x800),
        (a.clone(), 99, 3, 2_500_000_000, 0x800),
        (a.clone(), 61, 1, 0, 0x800),
    ];
    assert_eq!(seen.len(), 8);
    assert_eq!(seen[..4], expect, "big endian section");
    assert_eq!(seen[4..], expect, "little endian section");
    assert_eq!(end.expect("a good file").0.packets, 8);
}

#[test]
fn odd_clocks_do_not_overflow() {
    for resolution in 0..=255 {
        for offset in [0, i64::MAX, i64::MIN] {
            let mut file = section(Order::Little);
            file.extend(interface(Order::Little, 1, resolution, offset as u64));
            file.extend(enhanced(Order::Little, 0, u64::MAX, &frame(60, 0), 60));
            assert_eq!(all(&file).0.len(), 1);
        }
    }
}

/// Cut at every byte, both formats give exactly the packets that are whole, and say where the cut is.
#[test]
fn a_cut_file_gives_its_whole_packets_and_reports_the_cut() {
    let packets: Vec<Vec<u8>> = (0..4).map(|i| frame(60 + i, i as u8)).collect();
    let legacy: Vec<_> = packets.iter().map(|p| (1, 1, &p[..], p.len() as u32)).collect();
    let mut ng = [section(Order::Little), interface(Order::Little, 1, 6, 0)].concat();
    let mut ng_ends = vec![ng.len()];
    for p in &packets {
        ng.extend(enhanced(Order::Little, 0, 1, p, p.len() as u32));
        ng_ends.push(ng.len());
    }
    let mut legacy_ends = vec![24];
    legacy_ends.extend(packets.iter().scan(24, |at, p| {
        *at += 16 + p.len();
        Some(*at)
    }));
    for (file, ends) in [(pcap(Order::Big, 0xa1b2_c3d4, 1, &legacy), legacy_ends), (ng, ng_ends)] {
        assert_eq!(*ends.last().expect("ends"), file.len());
        for len in ends[0]..=file.len() {
            let (seen, end) = all(&file[..len]);
            let whole = ends.iter().filter(|e| **e <= len).count() - 1;
            assert_eq!(seen.len(), whole, "cut at {len}");
            let last = ends[whole];
            let expect = (last < len).then(|| Cut { offset: last as u64, present: (len - last) as u64 });
            assert_eq!(end.expect("a cut is not an error").1, expect, "cut at {len}");
        }
        for len in 0..20 {
            assert!(read(&file[..len], |_| panic!("no packet")).is_err(), "header cut at {len}");
        }
    }
}

#[test]
fn lying_lengths_neither_panic_nor_allocate() {
    let good = frame(60, 1);
    let mut file = pcap(Order::Little, 0xa1b2_c3d4, 1, &[(0, 0, &good, 60), (0, 0, &good, 60)]);
    let second = 24 + 16 + 60;
    file[second + 8..second + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let (seen, end) = all(&file);
    assert_eq!(seen.len(), 1);
    assert_eq!(end.expect("a short file is cut").1.map(|c| c.offset), Some(second as u64));
    // With enough bytes behind it the claim is seen to be a lie, and only a bounded part is held.
    file.resize(second + MAX_BLOCK_BYTES * 2, 0);
    let (seen, end) = all(&file);
    assert_eq!(seen.len(), 1);
    assert!(matches!(end, Err(Error::Damaged { offset, .. }) if offset == second as u64), "{end:?}");
}

#[test]
fn a_large_packet_grows_the_buffer() {
    let big = frame(3 << 20, 9);
    let file = pcap(Order::Little, 0xa1b2_c3d4, 1, &[(0, 0, &big, big.len() as u32), (0, 0, &big[..60], 60)]);
    let (seen, end) = all(&file);
    assert_eq!(seen.iter().map(|s| s.0.len()).collect::<Vec<_>>(), [3 << 20, 60]);
    assert_eq!(end.expect("a good file").1, None);
}

#[test]
fn unsupported_link_types_are_named() {
    let file = pcap(Order::Little, 0xa1b2_c3d4, 105, &[(0, 0, &[0; 60], 60)]);
    let mut capture = Capture::new(&file[..]).expect("a pcap header");
    let error = capture.next_packet().expect_err("802.11");
    assert!(matches!(error, Error::LinkType { link: LinkType(105), interface: 1 }));
    assert!(error.to_string().contains("105 (IEEE 802.11)"), "{error}");
    assert!(capture.next_packet().expect("ended").is_none());
    assert!(matches!(Capture::new(&b"hello, world"[..]), Err(Error::NotACapture)));
    assert!(matches!(Capture::new(&b""[..]), Err(Error::NotACapture)));
}

#[test]
fn what_the_writer_writes_the_reader_reads() {
    let mut out = Writer::new(Vec::new()).expect("memory");
    out.write(1_234_567_890_123_456_789, &frame(60, 1), 60).expect("memory");
    out.write(5, &frame(60, 2), 90).expect("memory");
    let bytes = out.finish().expect("memory");
    let (seen, _) = all(&bytes);
    assert_eq!(seen[0], (frame(60, 1), 60, 1, 1_234_567_890_123_456_789, 0x800));
    assert_eq!((seen[1].1, seen[1].3), (90, 5));
}

#[test]
fn group_addresses_set_the_packet_type() {
    let mut broadcast = frame(60, 0);
    broadcast[..6].fill(0xff);
    let mut group = frame(60, 0);
    group[0] = 1;
    let file = pcap(
        Order::Little,
        0xa1b2_c3d4,
        1,
        &[(0, 0, &broadcast, 60), (0, 0, &group, 60), (0, 0, &frame(60, 0), 60)],
    );
    let mut kinds = Vec::new();
    read(&file, |p| kinds.push(p.pkt_type)).expect("a good file");
    assert_eq!(kinds, [PacketType::BROADCAST, PacketType::MULTICAST, PacketType::HOST]);
}

/// Flips bytes and words of good files: no panic, no endless loop. `SKEP_FUZZ_ROUNDS` sets how many.
#[test]
fn mutated_files_never_panic() {
    let rounds = std::env::var("SKEP_FUZZ_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(20_000);
    let a = frame(61, 3);
    let mut ng = [section(Order::Little), interface(Order::Little, 113, 9, 3)].concat();
    ng.extend(interface(Order::Little, 1, 6, 3));
    ng.extend(enhanced(Order::Little, 1, 7, &a, 61));
    ng.extend(section(Order::Big));
    ng.extend(interface(Order::Big, 276, 9, 3));
    ng.extend(enhanced(Order::Big, 0, 7, &a, 61));
    for kind in [2, 3, 4, 5, 9, 10, 0xbad, 0x8000_0001] {
        ng.extend(block(Order::Big, kind, &a));
    }
    let seeds = [
        ng,
        pcap(Order::Big, 0xa1b2_c3d4, 1, &[(1, 2, &a[..], 61); 3]),
        pcap(Order::Little, 0xa1b2_cd34, 1, &[(1, 2, &a[..], 61); 3]),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let mut packets = 0;
    for _ in 0..rounds {
        let mut file = seeds[random(seeds.len())].clone();
        for _ in 0..1 + random(4) {
            let at = random(file.len());
            match random(3) {
                0 => file[at] ^= 1 << random(8),
                1 => file[at] = [0, 0xff, 0x7f, 0x80, 4, 12][random(6)],
                _ => file.truncate(at.max(1)),
            }
        }
        let _ = read(&file, |_| packets += 1);
    }
    assert!(packets > rounds / 4, "the mutations leave too little to read");
}

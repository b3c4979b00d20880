//! The same records put into a ring buffer of ours and, by a program, into one of the running kernel leave
//! the same positions, headers and bytes for a consumer that maps them.

mod support;

use std::sync::Arc;

use skep_abi::MapType;
use skep_maps::{Bytes, Config, Heap, Map, Query};
use skep_spec::{Errno, MapDef};
use support::{KernelMap, Rng};

const PAGE: usize = 4096;
const RING: usize = 4096;
/// Longest record that the program below puts in.
const LONGEST: u64 = 4096;

fn insn(op: u8, dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    u64::from(op) | u64::from(dst | src << 4) << 8 | u64::from(off as u16) << 16 | u64::from(imm as u32) << 32
}

/// A syscall program that calls one ring buffer helper. Its context is four u64: size (bounded to 0 … 4095),
/// flags, what (0 output, 1 reserve and submit, 2 reserve and discard, 3 query), room for a result. The bytes
/// of an output come from the value of an array.
fn program(map_fd: i32, array_fd: i32) -> Vec<u64> {
    let map = |dst| [insn(0x18, dst, 1, 0, map_fd), 0];
    let call = |id| insn(0x85, 0, 0, 0, id);
    let exit = insn(0x95, 0, 0, 0, 0);
    let mut p = vec![
        insn(0xbf, 6, 1, 0, 0), // r6 = ctx
        insn(0x79, 7, 6, 0, 0), // r7 = size
        insn(0x57, 7, 0, 0, 0xfff),
        insn(0x79, 8, 6, 8, 0),        // r8 = flags
        insn(0x79, 9, 6, 16, 0),       // r9 = what
        insn(0x55, 9, 0, 8, 0),        // not output: on
        insn(0x18, 2, 2, 0, array_fd), // r2 = the array's value
        0,
        insn(0xbf, 3, 7, 0, 0),
        insn(0xbf, 4, 8, 0, 0),
    ];
    p.extend(map(1));
    p.extend([call(130), exit]); // bpf_ringbuf_output
    p.push(insn(0x55, 9, 0, 6, 3)); // not query: on
    p.extend(map(1));
    p.extend([insn(0xbf, 2, 8, 0, 0), call(134), insn(0x7b, 6, 0, 24, 0), exit]); // bpf_ringbuf_query
    // Reservations have a constant size for the verifier: 40.
    p.extend(map(1));
    p.extend([insn(0xb7, 2, 0, 0, 40), insn(0xb7, 3, 0, 0, 0), call(131)]);
    p.extend([insn(0x55, 0, 0, 2, 0), insn(0xb7, 0, 0, 0, 1), exit]);
    p.extend([insn(0x7b, 0, 7, 0, 0), insn(0x7b, 0, 7, 32, 0)]); // first and last word = size
    p.extend([insn(0x7b, 0, 7, 8, 0), insn(0x7b, 0, 7, 16, 0), insn(0x7b, 0, 7, 24, 0)]);
    p.extend([insn(0xbf, 1, 0, 0, 0), insn(0xbf, 2, 8, 0, 0), insn(0x55, 9, 0, 3, 1)]);
    p.extend([call(132), insn(0xb7, 0, 0, 0, 0), exit]); // bpf_ringbuf_submit
    p.extend([call(133), insn(0xb7, 0, 0, 0, 0), exit]); // bpf_ringbuf_discard
    p
}

/// The kernel's ring as a consumer maps it: consumer page; producer page and data, twice.
struct Mapped {
    consumer: *mut u64,
    rest: *const u8,
}

impl Mapped {
    fn new(map: &KernelMap) -> Self {
        // SAFETY: new mappings of a descriptor; they stay until the test process ends.
        let (consumer, rest) = unsafe {
            let rw = libc::PROT_READ | libc::PROT_WRITE;
            (
                libc::mmap(std::ptr::null_mut(), PAGE, rw, libc::MAP_SHARED, map.fd(), 0),
                libc::mmap(
                    std::ptr::null_mut(),
                    PAGE + 2 * RING,
                    libc::PROT_READ,
                    libc::MAP_SHARED,
                    map.fd(),
                    PAGE as libc::off_t,
                ),
            )
        };
        assert!(consumer != libc::MAP_FAILED && rest != libc::MAP_FAILED);
        Self { consumer: consumer.cast(), rest: rest.cast() }
    }

    fn bytes(&self, off: usize, len: usize) -> Vec<u8> {
        assert!(off + len <= PAGE + 2 * RING);
        // SAFETY: within the mapping.
        (off..off + len).map(|i| unsafe { self.rest.add(i).read_volatile() }).collect()
    }

    fn set_consumer(&self, pos: u64) {
        // SAFETY: the start of the consumer's page.
        unsafe { self.consumer.write_volatile(pos) }
    }
}

/// Our ring, read as a consumer that knows only the documented offsets would.
struct Raw(u64);

impl Raw {
    fn new(map: &Map) -> Self {
        // The data range starts two pages into the payload.
        Self(map.value_area().expect("one").addr - 2 * PAGE as u64)
    }

    fn bytes(&self, off: usize, len: usize) -> Vec<u8> {
        assert!(off + len <= 2 * PAGE + 2 * RING);
        let at = std::ptr::with_exposed_provenance::<u8>(self.0 as usize);
        // SAFETY: within the payload of a map that is alive; nobody writes meanwhile.
        (off..off + len).map(|i| unsafe { at.add(i).read_volatile() }).collect()
    }

    fn set_consumer(&self, pos: u64) {
        // SAFETY: the start of the payload, aligned to a page.
        unsafe { std::ptr::with_exposed_provenance_mut::<u64>(self.0 as usize).write_volatile(pos) }
    }
}

fn u64_at(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes[..8].try_into().expect("8 bytes"))
}

fn ours() -> Arc<Map> {
    let def = MapDef::new(MapType::RINGBUF, 0, 0, RING as u32);
    Map::create(&def, &Config::new(1), &Heap).expect("legal")
}

#[test]
fn same_records_and_positions() {
    if !support::kernel_or_skip() {
        return;
    }
    let def = MapDef::new(MapType::RINGBUF, 0, 0, RING as u32);
    let kernel = KernelMap::create(&def, 0).expect("the kernel makes it");
    const SYSCALL: u32 = 31;
    const SLEEPABLE: u32 = 1 << 4;
    let source = MapDef::new(MapType::ARRAY, 4, LONGEST as u32, 1);
    let source = KernelMap::create(&source, LONGEST as usize).expect("the kernel makes it");
    let fd = match support::load_program(SYSCALL, SLEEPABLE, &program(kernel.fd(), source.fd())) {
        Err(e @ (Errno::EPERM | Errno::EINVAL)) => {
            eprintln!("skipped: the kernel loads no syscall programs: {e}");
            return;
        }
        fd => fd.expect("a program that the verifier takes"),
    };
    let map = ours();
    let ring = map.ringbuf().expect("a ring buffer");
    let (theirs, mine) = (Mapped::new(&kernel), Raw::new(&map));
    let mut rng = Rng::new(7);
    let mut consumed = 0u64;
    let (mut full, mut wrapped) = (0, 0);
    for _ in 0..3000 * support::campaign() {
        let size = match rng.below(8) {
            0 => rng.below(LONGEST),
            1 => 4080 + rng.below(16),
            _ => rng.below(200),
        };
        let flags = rng.pick(&[0, 0, 1, 2, 3, 4, 1 << 40]);
        let what = rng.below(4);
        let data = rng.bytes(size as usize);
        let mut value = data.clone();
        value.resize(LONGEST as usize, 0);
        source.update(&[0; 4], &value, 0).expect("legal");
        let ctx: Vec<u8> = [size, flags, what, 0].iter().flat_map(|w| w.to_ne_bytes()).collect();
        let answer = support::run_program(&fd, &ctx).expect("it runs") as i32;
        match what {
            0 => {
                let expected =
                    ring.output(Bytes::from(data.as_slice()), flags, 0).map_or_else(|e| -e.0, |()| 0);
                assert_eq!(answer, expected, "output of {size} bytes, flags {flags:#x}");
                full += u32::from(answer == -Errno::EAGAIN.0);
            }
            1 | 2 => match ring.reserve(40, 0, 0) {
                Err(e) => {
                    assert_eq!((answer, e), (1, Errno::EAGAIN), "reserve");
                    full += 1;
                }
                Ok(addr) => {
                    assert_eq!(answer, 0, "reserve");
                    let record = std::ptr::with_exposed_provenance_mut::<u64>(addr as usize);
                    // SAFETY: 40 reserved bytes, aligned to 8.
                    (0..5).for_each(|i| unsafe { record.add(i).write_volatile(size) });
                    if what == 1 { ring.submit(addr, flags) } else { ring.discard(addr, flags) }
                        .expect("ours");
                }
            },
            // The kernel wrote the result of the query behind our back into a copy of the context: its lower half
            // is also what it returned.
            _ => assert_eq!(answer, ring.query(flags) as i32, "query {flags:#x}"),
        }
        let producer = u64_at(&theirs.bytes(0, 8));
        assert_eq!(u64_at(&mine.bytes(PAGE, 8)), producer, "producer's position");
        if rng.below(3) != 0 {
            continue;
        }
        // Consume: every record has the same header, and the same bytes in one piece behind it.
        while consumed != producer {
            let off = consumed as usize & (RING - 1);
            let header = theirs.bytes(PAGE + off, 8);
            let our_header = mine.bytes(2 * PAGE + off, 8);
            let len = u32::from_ne_bytes(header[..4].try_into().expect("4 bytes"));
            assert_eq!(our_header, header, "header at {consumed}");
            let bytes = (len & !(3 << 30)) as usize;
            if len >> 30 == 0 {
                let payload = theirs.bytes(PAGE + off + 8, bytes);
                assert_eq!(mine.bytes(2 * PAGE + off + 8, bytes), payload, "record at {consumed}");
                if off + 8 + bytes > RING {
                    wrapped += 1;
                    // Consumers that take the position modulo the ring for each byte see it too.
                    let masked: Vec<u8> = (0..bytes)
                        .map(|i| mine.bytes(2 * PAGE + ((off + 8 + i) & (RING - 1)), 1)[0])
                        .collect();
                    assert_eq!(masked, payload, "record at {consumed}, byte by byte");
                }
            }
            consumed += (bytes as u64 + 8).next_multiple_of(8);
            theirs.set_consumer(consumed);
            mine.set_consumer(consumed);
        }
    }
    assert!(full > 20 && wrapped > 20, "the test met a full ring {full} times and the end {wrapped} times");
}

/// A lying consumer or a peer that writes into the data costs records, nothing else.
#[test]
fn hostile_positions_and_headers() {
    let map = ours();
    let ring = map.ringbuf().expect("a ring buffer");
    let raw = Raw::new(&map);
    let mut consumer = map.consumer().expect("the first");
    let mut rng = Rng::new(3);
    let mut held: Vec<(u64, usize)> = Vec::new();
    for round in 0..20_000u64 {
        if rng.below(4) == 0 {
            let pos = rng.pick(&[0, 1, 7, RING as u64, u64::MAX, u64::MAX / 2, rng.0]);
            raw.set_consumer(pos);
        }
        if rng.below(4) == 0 {
            // Anything anywhere in the data or over the producer's page.
            let off = PAGE as u64 + rng.below((PAGE + 2 * RING - 8) as u64);
            let at = std::ptr::with_exposed_provenance_mut::<u64>((raw.0 + off) as usize);
            // SAFETY: within the payload.
            unsafe { at.write_unaligned(rng.next()) };
        }
        match rng.below(3) {
            0 => {
                let size = rng.below(600);
                if let Ok(addr) = ring.reserve(size, 0, 0) {
                    let data = raw.0 + 2 * PAGE as u64;
                    assert!(addr >= data + 8 && addr + size <= data + 2 * RING as u64, "inside the data");
                    let len = size as usize + 8;
                    // No two live reservations overlap, whatever the consumer says.
                    let span = |addr: u64, len: usize| {
                        let from = (addr - data - 8) as usize;
                        (0..len.div_ceil(8)).map(move |i| (from + 8 * i) & (RING - 1))
                    };
                    for &(other, other_len) in &held {
                        assert!(
                            !span(addr, len).any(|a| span(other, other_len).any(|b| a == b)),
                            "round {round}: {addr:#x}+{len} over {other:#x}+{other_len}"
                        );
                    }
                    held.push((addr, len));
                }
            }
            1 if !held.is_empty() => {
                let (addr, len) = held.swap_remove(rng.below(held.len() as u64) as usize);
                assert_eq!(ring.reserved_len(addr), Some(len - 8), "the length is not the header's");
                ring.submit(addr, rng.below(4)).expect("reserved");
            }
            _ => {
                let _ = consumer.poll(&mut |record| assert!(record.len() <= RING));
            }
        }
        for addr in [0, 8, raw.0, raw.0 + 2 * PAGE as u64, u64::MAX] {
            assert_eq!(ring.submit(addr, 0), Err(Errno::EINVAL));
        }
    }
    // Query answers whatever the consumer's page says.
    raw.set_consumer(u64::MAX);
    let _ = ring.query(Query::AVAIL_DATA);
}

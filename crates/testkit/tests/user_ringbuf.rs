//! A producer that is written to the kernel's documented layout, and knows nothing else, fills user ring buffers of both
//! backends with the same bytes: programs drain the same from them, whatever it writes.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, BackendProgram, Errno, LoadOptions, RunInput};
use skep_testkit::case::source::assemble;
use skep_user::UserBackend;

const RING: usize = 4096;
const PAGE: usize = 4096;
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;

/// Drains with the flags of the first word, for as many samples as the second says, and leaves a digest in the third. A
/// sample's first word says where another one is. With a fourth word the callback drains as well.
const PROGRAM: &str = r"
.map samples type=user_ringbuf key=0 value=0 max_entries=4096
.section syscall
main:
    r6 = r1
    *(u64 *)(r10 - 24) = 0
    r1 = *(u64 *)(r6 + 8)
    *(u64 *)(r10 - 16) = r1
    r1 = *(u64 *)(r6 + 24)
    *(u64 *)(r10 - 8) = r1
    r1 = map[samples] ll
    r2 = subprog[see]
    r3 = r10
    r3 += -24
    r4 = *(u64 *)(r6 + 0)
    call bpf_user_ringbuf_drain
    r1 = *(u64 *)(r10 - 24)
    *(u64 *)(r6 + 16) = r1
    exit
see:
    r6 = r2
    r7 = r1
    *(u64 *)(r10 - 8) = 0
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = r7
    r4 = 0
    r5 = 0
    call bpf_dynptr_read
    r8 = *(u64 *)(r6 + 0)
    r8 *= 31
    r8 += r0
    r4 = *(u64 *)(r10 - 8)
    r8 += r4
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = r7
    r5 = 0
    call bpf_dynptr_read
    r8 *= 31
    r8 += r0
    r4 = *(u64 *)(r10 - 8)
    r8 += r4
    r1 = r7
    r2 = 0
    r3 = r10
    r3 += -8
    r4 = 2
    r5 = 0
    call bpf_dynptr_write
    r8 *= 31
    r8 += r0
    r3 = *(u64 *)(r6 + 16)
    if r3 == 0 goto counted
    r1 = map[samples] ll
    r2 = subprog[none]
    r3 = r6
    r4 = 0
    call bpf_user_ringbuf_drain
    r8 *= 31
    r8 += r0
counted:
    *(u64 *)(r6 + 0) = r8
    r3 = *(u64 *)(r6 + 8)
    r3 += -1
    *(u64 *)(r6 + 8) = r3
    r0 = 0
    if r3 != 0 goto done
    r0 = 1
done:
    exit
none:
    r0 = 0
    exit
";

/// A user ring buffer as a producer maps it: the consumer's page to read; the producer's page and the data, at twice its
/// size, to write.
struct Raw {
    consumer: *const u8,
    producer: *mut u8,
}

impl Raw {
    fn map(fd: i32) -> Self {
        let shared = |prot, off: usize, len| {
            // SAFETY: new mappings of a descriptor, which stay until the test's process ends.
            let at = unsafe {
                libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, fd, off as libc::off_t)
            };
            assert_ne!(at, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
            at.cast::<u8>()
        };
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        Self { consumer: shared(libc::PROT_READ, 0, PAGE), producer: shared(rw, PAGE, PAGE + 2 * RING) }
    }

    fn consumer_pos(&self) -> u64 {
        // SAFETY: the first word of a page that is mapped; a load does not write.
        unsafe { AtomicU64::from_ptr(self.consumer.cast_mut().cast()) }.load(Ordering::Acquire)
    }

    fn producer_pos(&self) -> &AtomicU64 {
        // SAFETY: the first word of a page that is mapped.
        unsafe { AtomicU64::from_ptr(self.producer.cast()) }
    }

    fn header(&self, pos: u64) -> &AtomicU32 {
        let at = PAGE + (pos as usize & (RING - 1) & !7);
        // SAFETY: inside of the mapping, aligned.
        unsafe { AtomicU32::from_ptr(self.producer.add(at).cast()) }
    }

    /// A sample's bytes, in one piece from behind its header.
    fn put(&self, pos: u64, bytes: &[u8]) {
        let at = PAGE + ((pos as usize + 8) & (RING - 1));
        assert!(bytes.len() <= RING);
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: the data is mapped at twice its size.
            unsafe { AtomicU8::from_ptr(self.producer.add(at + i)) }.store(*byte, Ordering::Relaxed);
        }
    }
}

struct Side {
    map: Arc<dyn BackendMap>,
    program: Arc<dyn BackendProgram>,
}

impl Side {
    fn new(backend: &dyn Backend) -> Self {
        let spec = assemble(PROGRAM).expect("it assembles").remove(0);
        let map = backend.create_map(&spec.maps[0]).expect("a legal map");
        let maps = [Arc::clone(&map)];
        let program = backend.load(&spec, &maps, LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        Self { map, program }
    }

    fn drain(&self, flags: u64, most: u64, nested: bool) -> (u32, Vec<u8>) {
        let words = [flags, most, 0, nested.into()];
        let ctx: Vec<u8> = words.iter().flat_map(|w: &u64| w.to_ne_bytes()).collect();
        let out = self.program.test_run(RunInput { ctx: &ctx, ..RunInput::default() }).expect("it runs");
        (out.retval, out.ctx)
    }
}

fn sides() -> Option<[Side; 2]> {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return None;
    }
    Some([Side::new(&UserBackend::new()), Side::new(&LinuxBackend::new())])
}

/// xorshift64*.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }
}

#[test]
fn what_is_written_is_drained() {
    let Some(sides) = sides() else { return };
    let rings = [0, 1].map(|i: usize| Raw::map(sides[i].map.raw_fd().expect("it has one")));
    let mut rng = Rng(0x5eed);
    let (mut pos, mut busy): (u64, Option<(u64, u32)>) = (0, None);
    let mut errors = [0; 2];
    for round in 0..4000 {
        match rng.below(16) {
            0..8 => {
                // What does not fit a producer keeps to itself.
                let len = if rng.below(8) == 0 { rng.below(4089) } else { rng.below(150) } as u32;
                let total = (u64::from(len) + 8).next_multiple_of(8);
                if pos + total - rings[0].consumer_pos() > RING as u64 {
                    continue;
                }
                let mut bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
                if let Some(word) = bytes.first_chunk_mut::<8>() {
                    *word = rng.below(u64::from(len) + 4).to_ne_bytes();
                }
                let flag = [0, 0, 0, 0, DISCARD, BUSY][rng.below(6) as usize];
                let flag = if busy.is_some() { flag & DISCARD } else { flag };
                for ring in &rings {
                    ring.header(pos).store(len | BUSY, Ordering::Relaxed);
                    ring.producer_pos().store(pos + total, Ordering::Release);
                    ring.put(pos, &bytes);
                    ring.header(pos).swap(len | flag, Ordering::AcqRel);
                }
                if flag == BUSY {
                    busy = Some((pos, len));
                }
                pos += total;
            }
            8..10 => {
                if let Some((at, len)) = busy.take() {
                    rings.iter().for_each(|ring| ring.header(at).store(len, Ordering::Release));
                }
            }
            10 if round % 8 == 0 => {
                // Nonsense: a position or a length, which the drain below meets. Then both begin anew.
                let consumer = rings[1].consumer_pos();
                let (at, word) = (rng.next(), rng.next() as u32);
                let kind = rng.below(4);
                for ring in &rings {
                    let place = match kind {
                        0 => at,
                        1 => consumer + at % 64,
                        2 => consumer + 16 + at % 4096 / 8 * 8,
                        _ => consumer + (1 << 30),
                    };
                    ring.header(consumer)
                        .store(word & [u32::MAX, 0xfff, 0x1ff_ffff][at as usize % 3], Ordering::Relaxed);
                    ring.producer_pos().store(place, Ordering::Release);
                }
                let [ours, kernels] = [0, 1].map(|i: usize| sides[i].drain(0, 1, false));
                assert_eq!(ours, kernels, "round {round}: producer at {at:#x}, header {word:#x}");
                for (count, errno) in errors.iter_mut().zip([Errno::EINVAL, Errno::E2BIG]) {
                    *count += i32::from(kernels.0 as i32 == -errno.0);
                }
                pos = rings[1].consumer_pos().next_multiple_of(8);
                assert_eq!(rings[0].consumer_pos(), rings[1].consumer_pos(), "round {round}");
                rings.iter().for_each(|ring| ring.producer_pos().store(pos, Ordering::Release));
                busy = None;
            }
            _ => {
                let flags = [0, 0, 0, 1, 2, 3, 4, 1 << 32][rng.below(8) as usize];
                let (most, nested) = (1 + rng.below(6), rng.below(4) == 0);
                let [ours, kernels] = [0, 1].map(|i: usize| sides[i].drain(flags, most, nested));
                assert_eq!(ours, kernels, "round {round}: flags {flags:#x}, at most {most}, nested {nested}");
                assert_eq!(rings[0].consumer_pos(), rings[1].consumer_pos(), "round {round}");
            }
        }
    }
    assert!(errors.iter().all(|n| *n > 0), "EINVAL and E2BIG both come: {errors:?}");
}

/// The producers of the two backends, by the same calls.
#[test]
fn producers() {
    let Some(sides) = sides() else { return };
    let errno = |e: skep_spec::Error| e.errno;
    let answers = sides.map(|side| {
        let mut answers = Vec::new();
        let mut producer = side.map.producer().expect("the first");
        assert_eq!(side.map.producer().err().map(errno), Some(Errno::EBUSY));
        let mut rng = Rng(7);
        let mut open = Vec::new();
        for _ in 0..1500 {
            match rng.below(8) {
                0..4 => {
                    let len = [rng.below(60), rng.below(60), 8, 4088, 4089, 1 << 30][rng.below(6) as usize];
                    match producer.reserve(len as u32) {
                        Ok(sample) => {
                            let words: Vec<u8> = (0..sample.len()).map(|i| i as u8).collect();
                            producer.write(&sample, 0, &words).expect("inside");
                            let outside = producer.write(&sample, words.len(), &[0]).map_err(errno);
                            assert_eq!(outside, Err(Errno::EINVAL));
                            open.push(sample);
                            answers.push((1, Vec::new()));
                        }
                        Err(e) => answers.push((-e.errno.0, Vec::new())),
                    }
                }
                4..7 if !open.is_empty() => {
                    let sample = open.swap_remove(rng.below(open.len() as u64) as usize);
                    match rng.below(4) {
                        0 => producer.discard(sample),
                        _ => producer.submit(sample),
                    }
                }
                _ => {
                    let (n, digest) = side.drain(0, 1 + rng.below(9), false);
                    answers.push((n as i32, digest));
                }
            }
        }
        // What is still open is discarded, so that others go on.
        drop(producer);
        let mut again = side.map.producer().expect("the first is gone");
        while side.drain(0, 1000, false).0 != 0 {}
        assert_eq!(again.wait(4088, Duration::from_secs(5)).map_err(errno), Ok(true));
        let whole = again.reserve(4088).expect("nothing is in there");
        assert_eq!(again.wait(1, Duration::from_millis(1)).map_err(errno), Ok(false));
        again.submit(whole);
        answers.push((side.drain(0, 1, false).0 as i32, Vec::new()));
        answers
    });
    let [ours, kernels] = answers;
    assert!(kernels.iter().any(|(n, _)| *n == -Errno::ENOSPC.0), "it was full at times");
    assert_eq!(ours, kernels);
}

/// A program that ends in a callback leaves the buffer to others.
#[test]
fn a_trap_ends_the_drain() {
    let backend = UserBackend::new();
    let text = PROGRAM.replace("    r3 = *(u64 *)(r6 + 16)\n", "    r3 = *(u64 *)(r8 + 0)\n");
    let spec = assemble(&text).expect("it assembles").remove(0);
    let map = backend.create_map(&spec.maps[0]).expect("a legal map");
    let program = backend.load_unverified(&spec, &[Arc::clone(&map)]).expect("without a verdict");
    let mut producer = map.producer().expect("the first");
    for n in 1..3 {
        let sample = producer.reserve(16).expect("room");
        producer.submit(sample);
        let error =
            program.test_run(RunInput { ctx: &[0; 32], ..RunInput::default() }).expect_err("it traps");
        assert!(error.message.contains("null pointer"), "{n}: {error}");
    }
    let good = assemble(PROGRAM).expect("it assembles").remove(0);
    let good = backend.load(&good, &[Arc::clone(&map)], LoadOptions::default()).expect("it loads");
    let side = Side { map, program: good };
    assert_eq!(side.drain(0, 9, false).0, 0, "samples of runs that ended so are gone, and nobody drains");
}

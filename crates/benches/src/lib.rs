//! Side-by-side benchmarks: what is compared runs interleaved in one process, and ratios are printed.
//!
//! The programs are C (`programs/programs.bpf.c`, and `more.bpf.c`), committed as objects.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use skep_object::Object;
use skep_spec::ProgramSpec;

/// Bytes of memory that each program works on.
pub const MEMORY: usize = 512;

/// Rounds of a comparison; medians are taken over them.
pub const ROUNDS: usize = 9;

/// The object with the programs of a source: `programs`, or `more`, which nothing was tuned on.
///
/// # Panics
/// When there is no such one, or the committed object cannot be read.
pub fn object(source: &str) -> Object {
    let bytes: &[u8] = match source {
        "programs" => include_bytes!("../programs/programs.bpf.o"),
        "more" => include_bytes!("../programs/more.bpf.o"),
        _ => panic!("there is no source {source}"),
    };
    Object::parse(source, bytes).expect("the committed object is whole")
}

/// As [`programs_of`], of `programs`.
///
/// # Panics
/// When one of them does not link.
pub fn programs(suffix: &str) -> Vec<(String, ProgramSpec)> {
    programs_of("programs", suffix)
}

/// The programs of a source whose name ends in `suffix`, by the name before it, in the order of the source.
///
/// # Panics
/// When one of them does not link.
pub fn programs_of(source: &str, suffix: &str) -> Vec<(String, ProgramSpec)> {
    let object = object(source);
    let named = object.programs.iter().filter_map(|p| Some((p.name.strip_suffix(suffix)?, p)));
    let named = named.filter(|(name, _)| !name.ends_with("_mem"));
    named.map(|(name, p)| (name.to_owned(), p.spec.clone().expect("every program links"))).collect()
}

/// The memory that programs find: bytes that look like a TCP packet, then noise.
pub fn memory() -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..MEMORY as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x7f).collect();
    bytes[12..14].copy_from_slice(&[0x08, 0x00]);
    bytes[14] = 0x45;
    bytes[23] = 6;
    bytes[46] = 0x50;
    bytes
}

/// As [`memory`], for the program that counts packets by protocol: eight of 64 bytes.
pub fn packets() -> Vec<u8> {
    let mut bytes = memory();
    let kinds: [(u16, usize, u8); 8] = [
        (0x0800, 23, 6),
        (0x0800, 23, 17),
        (0x86dd, 20, 58),
        (0x0800, 23, 6),
        (0x0806, 0, 0),
        (0x0800, 23, 1),
        (0x86dd, 20, 6),
        (0x0800, 23, 17),
    ];
    for (frame, (ethertype, at, protocol)) in bytes.chunks_exact_mut(64).zip(kinds) {
        frame[at] = protocol;
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    }
    bytes
}

/// Something that is measured: a name and one round of it.
pub struct Contender<'a> {
    /// Name in the table.
    pub name: &'a str,
    /// Runs the program once.
    pub run: Box<dyn FnMut() + 'a>,
}

/// Nanoseconds a run, the median over [`ROUNDS`] interleaved rounds, each at least `round` long.
pub fn compare(contenders: &mut [Contender<'_>], round: Duration) -> Vec<f64> {
    let mut samples = vec![Vec::new(); contenders.len()];
    let counts: Vec<u32> = contenders.iter_mut().map(|c| calibrate(&mut c.run, round)).collect();
    for _ in 0..ROUNDS {
        for ((contender, count), samples) in contenders.iter_mut().zip(&counts).zip(&mut samples) {
            let start = Instant::now();
            for _ in 0..*count {
                (contender.run)();
            }
            samples.push(start.elapsed().as_nanos() as f64 / f64::from(*count));
        }
    }
    samples.into_iter().map(median).collect()
}

fn calibrate(run: &mut dyn FnMut(), round: Duration) -> u32 {
    let start = Instant::now();
    let mut count = 0u32;
    while start.elapsed() < round && count < 1 << 24 {
        run();
        count += 1;
    }
    count.max(1)
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// The geometric mean.
pub fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp()
}

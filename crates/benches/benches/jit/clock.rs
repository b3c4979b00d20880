//! Interleaved rounds on one CPU, by the processor time of this thread.

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Rounds; medians are taken over them.
pub const ROUNDS: usize = 11;
/// Least length of a round, in nanoseconds.
const ROUND: f64 = 8e6;

/// What is measured: a name, and something that runs it so many times.
pub struct Contender<'a> {
    /// Name in the table.
    pub name: &'static str,
    /// Runs it so many times.
    pub run: Box<dyn FnMut(u32) + 'a>,
}

/// Keeps this thread on a CPU; whether it may.
pub fn pin(cpu: usize) -> bool {
    let mut one = CpuSet::new();
    one.set(cpu);
    sched_setaffinity(None, &one).is_ok()
}

/// Processor time of this thread, in nanoseconds: what others do on its CPU does not count.
fn thread_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn time(contender: &mut Contender<'_>, times: u32) -> f64 {
    let start = thread_ns();
    (contender.run)(times);
    thread_ns() - start
}

/// Nanoseconds a time, the median over [`ROUNDS`] interleaved rounds.
pub fn compare(contenders: &mut [Contender<'_>]) -> Vec<f64> {
    let calibrated = |contender: &mut Contender<'_>| {
        let mut times = 1u32;
        // The second of two looks: the first one warms up.
        while time(contender, times).min(time(contender, times)) < ROUND && times < 1 << 24 {
            times *= 2;
        }
        times
    };
    let counts: Vec<u32> = contenders.iter_mut().map(calibrated).collect();
    let mut samples = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for ((contender, count), samples) in contenders.iter_mut().zip(&counts).zip(&mut samples) {
            samples.push(time(contender, *count) / f64::from(*count));
        }
    }
    samples.into_iter().map(median).collect()
}

/// The middle one.
pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

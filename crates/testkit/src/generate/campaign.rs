//! Many programs on several threads.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::coverage::Coverage;
use super::{Divergence, compare, program};
use crate::oracle::Oracle;

/// What a campaign is to do.
pub struct Campaign<'a> {
    /// The seeds to try; each is one program.
    pub seeds: Range<u64>,
    /// Threads that share them, at least one.
    pub jobs: usize,
    /// No program is begun after this.
    pub until: Option<Instant>,
    /// Who is asked.
    pub oracles: &'a [&'a dyn Oracle],
}

impl Campaign<'_> {
    /// Tries the seeds. Disagreements are collected, in the order of their seeds; none ends the campaign.
    /// `progress` hears of each program that is done: how many there are.
    pub fn run(&self, progress: &(dyn Fn(u64) + Sync)) -> (Coverage, Vec<Divergence>) {
        let (next, done) = (AtomicU64::new(self.seeds.start), AtomicU64::new(0));
        let all = Mutex::new((Coverage::default(), Vec::new()));
        let work = || {
            let (mut coverage, mut found) = (Coverage::default(), Vec::new());
            while self.until.is_none_or(|t| Instant::now() < t) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.seeds.end {
                    break;
                }
                let generated = program::generate(seed);
                let compared = compare(&generated, self.oracles);
                coverage.add(&generated, &compared.answers);
                if compared.dead_path {
                    coverage.dead_paths.insert(seed);
                }
                found.extend(compared.what.map(|what| Divergence { seed, what }));
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.0.merge(coverage);
            all.1.append(&mut found);
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(work);
            }
        });
        let (coverage, mut found) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|d| d.seed);
        (coverage, found)
    }
}

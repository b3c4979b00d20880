//! Reading perf event arrays.

use std::time::{Duration, Instant};

use skep_maps::PerfReader;
use skep_spec::{Error, PerfEventReader, PerfRecord};

use crate::map::waiting;
use crate::os::{self, Bell};

/// A reader with what wakes it. It keeps the map alive.
pub(crate) struct Events {
    pub(crate) reader: PerfReader,
    pub(crate) bell: Bell,
}

impl PerfEventReader for Events {
    fn poll(&mut self, each: &mut dyn FnMut(PerfRecord<'_>)) -> Result<usize, Error> {
        // First: a ring after this means records that are not read yet.
        self.bell.silence();
        self.reader.poll(each)
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        let start = Instant::now();
        loop {
            if self.reader.ready() {
                return Ok(true);
            }
            let Some(left) = os::left(start, timeout) else { return Ok(false) };
            // Below a millisecond poll(2) would not wait at all.
            self.bell.wait(left.max(Duration::from_millis(1))).map_err(waiting)?;
            self.bell.silence();
        }
    }

    fn raw_fd(&self) -> Option<i32> {
        self.bell.raw_fd()
    }
}

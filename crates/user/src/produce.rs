//! The producer of a user ring buffer.

use std::time::{Duration, Instant};

use skep_maps::{Producer, Reserved};
use skep_spec::{Error, RingProducer, RingSample};

use crate::map::waiting;
use crate::os::{self, Bell};

/// A producer with what programs wake when they have drained. It keeps the map alive.
pub(crate) struct Samples {
    pub(crate) producer: Producer,
    pub(crate) bell: Bell,
    /// Samples that are being written.
    pub(crate) reserved: Vec<(u64, Reserved)>,
    pub(crate) last: u64,
}

impl Samples {
    pub(crate) fn new(producer: Producer, bell: Bell) -> Self {
        Self { producer, bell, reserved: Vec::new(), last: 0 }
    }

    fn take(&mut self, sample: RingSample) -> Option<Reserved> {
        let at = self.reserved.iter().position(|(id, _)| *id == sample.id())?;
        Some(self.reserved.swap_remove(at).1)
    }
}

impl RingProducer for Samples {
    fn reserve(&mut self, len: u32) -> Result<RingSample, Error> {
        let reserved = self.producer.reserve(len)?;
        self.last += 1;
        self.reserved.push((self.last, reserved));
        Ok(RingSample::new(self.last, len))
    }

    fn write(&mut self, sample: &RingSample, off_bytes: usize, bytes: &[u8]) -> Result<(), Error> {
        let found = self.reserved.iter().find(|(id, _)| *id == sample.id());
        let (_, reserved) = found.ok_or_else(|| RingSample::foreign(self.producer.map().name()))?;
        self.producer.write(reserved, off_bytes, bytes)
    }

    fn submit(&mut self, sample: RingSample) {
        if let Some(reserved) = self.take(sample) {
            self.producer.submit(reserved);
        }
    }

    fn discard(&mut self, sample: RingSample) {
        if let Some(reserved) = self.take(sample) {
            self.producer.discard(reserved);
        }
    }

    fn wait(&mut self, len: u32, timeout: Duration) -> Result<bool, Error> {
        let start = Instant::now();
        loop {
            self.bell.silence();
            if self.producer.has_room(len) {
                return Ok(true);
            }
            let Some(left) = os::left(start, timeout) else { return Ok(false) };
            self.bell.wait(left.max(Duration::from_millis(1))).map_err(waiting)?;
        }
    }

    fn raw_fd(&self) -> Option<i32> {
        self.bell.raw_fd()
    }
}

/// A sample that nobody gives out would stop programs for ever.
impl Drop for Samples {
    fn drop(&mut self) {
        for (_, reserved) in std::mem::take(&mut self.reserved) {
            self.producer.discard(reserved);
        }
    }
}

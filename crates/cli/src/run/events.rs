//! Records of ring buffers and perf event arrays as they arrive.

use skep::btf::Btf;
use skep::btf::print::Tree;
use skep::spec::PerfRecord;
use skep::{Loaded, Map, PerfBuffer, RingBuffer};

use crate::diagnostic;
use crate::failure::Failure;
use crate::values::{Shape, record_shape};

/// Bytes of a perf event array's buffer for each CPU.
const PERF_BYTES: usize = 256 << 10;

/// The consumers of all ring buffers and perf event arrays of an object.
#[derive(Debug)]
pub struct Events<'a> {
    sources: Vec<(&'a Map, Source, Shape<'a>)>,
}

#[derive(Debug)]
enum Source {
    Ring(RingBuffer),
    Perf(PerfBuffer),
}

/// A record, taken apart.
#[derive(Debug)]
pub struct Event {
    /// Name of the map.
    pub map: String,
    /// Its value.
    pub value: Tree,
}

impl<'a> Events<'a> {
    /// Starts consuming.
    pub fn open(loaded: &'a Loaded, btf: Option<&'a Btf>, named: Option<&str>) -> Result<Self, Failure> {
        let mut sources = Vec::new();
        for map in loaded.maps().iter().filter(|m| m.is_ring_buffer() || m.is_perf_event_array()) {
            let shape = record_shape(map, btf, named).map_err(Failure::usage)?;
            if !shape.is_known() {
                diagnostic::note(&format!(
                    "the type of the records of `{}` is not known: they are shown as bytes; name it with \
                     --event-type, or tag it with btf_decl_tag(\"ringbuf:{}\")",
                    map.name(),
                    map.name()
                ));
            }
            let source = match map.is_ring_buffer() {
                true => Source::Ring(map.ring_buffer()?),
                false => Source::Perf(map.perf_buffer(PERF_BYTES)?),
            };
            sources.push((map, source, shape));
        }
        if named.is_some() && sources.is_empty() {
            return Err(Failure::usage("--event-type: the object has no ring buffer or perf event array"));
        }
        Ok(Self { sources })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// All records that are ready, in order per ring buffer or CPU.
    pub fn poll(&mut self) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        for (map, source, shape) in &mut self.sources {
            let mut event =
                |record: &[u8]| events.push(Event { map: map.name().to_owned(), value: shape.tree(record) });
            match source {
                Source::Ring(ring) => ring.poll(event)?,
                Source::Perf(perf) => perf.poll(|record| match record {
                    PerfRecord::Sample { data, .. } => event(data),
                    PerfRecord::Lost { cpu, count } => diagnostic::note(&format!(
                        "`{}`: {count} records of CPU {cpu} were lost, its buffer was full",
                        map.name()
                    )),
                })?,
            };
        }
        Ok(events)
    }
}

//! Ring buffer records as they arrive.

use skep::btf::Btf;
use skep::btf::print::Tree;
use skep::{Loaded, Map, RingBuffer};

use crate::diagnostic;
use crate::failure::Failure;
use crate::values::{Shape, record_shape};

/// The consumers of all ring buffers of an object.
#[derive(Debug)]
pub struct Events<'a> {
    rings: Vec<(&'a Map, RingBuffer, Shape<'a>)>,
}

/// A record, taken apart.
#[derive(Debug)]
pub struct Event {
    /// Name of the ring buffer map.
    pub map: String,
    /// Its value.
    pub value: Tree,
}

impl<'a> Events<'a> {
    /// Starts consuming.
    pub fn open(loaded: &'a Loaded, btf: Option<&'a Btf>, named: Option<&str>) -> Result<Self, Failure> {
        let mut rings = Vec::new();
        for map in loaded.maps().iter().filter(|m| m.is_ring_buffer()) {
            let shape = record_shape(map, btf, named).map_err(Failure::usage)?;
            if !shape.is_known() {
                diagnostic::note(&format!(
                    "the type of the records of `{}` is not known: they are shown as bytes; name it with \
                     --event-type, or tag it with btf_decl_tag(\"ringbuf:{}\")",
                    map.name(),
                    map.name()
                ));
            }
            rings.push((map, map.ring_buffer()?, shape));
        }
        if named.is_some() && rings.is_empty() {
            return Err(Failure::usage("--event-type: the object has no ring buffer"));
        }
        Ok(Self { rings })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// All records that are ready, in order per ring buffer.
    pub fn poll(&mut self) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        for (map, ring, shape) in &mut self.rings {
            ring.poll(|record| {
                events.push(Event { map: map.name().to_owned(), value: shape.tree(record) });
            })?;
        }
        Ok(events)
    }
}

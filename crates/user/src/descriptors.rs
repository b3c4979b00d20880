//! The maps of a backend by their descriptors: as `bpf(2)` has it, the elements of maps of maps are written as these.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skep_maps::Map;

/// A map that somebody has a handle on.
struct Known {
    fd: i32,
    id: u32,
    map: Weak<Map>,
}

/// The maps that somebody has a handle on.
#[derive(Default)]
pub(crate) struct Descriptors(Mutex<Vec<Known>>);

impl Descriptors {
    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle is made.
    pub(crate) fn add(&self, fd: i32, id: u32, map: &Arc<Map>) {
        self.lock().push(Known { fd, id, map: Arc::downgrade(map) });
    }

    /// A handle goes, before its descriptor is closed.
    pub(crate) fn remove(&self, id: u32) {
        self.lock().retain(|known| known.id != id);
    }

    /// The map of a descriptor, as 4 bytes say it, and its id.
    pub(crate) fn get(&self, fd: &[u8]) -> Option<(u32, Arc<Map>)> {
        let fd = i32::from_ne_bytes(fd.try_into().ok()?);
        let known = self.lock();
        let found = known.iter().find(|known| known.fd == fd)?;
        Some((found.id, found.map.upgrade()?))
    }
}

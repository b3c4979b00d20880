//! Lookups in maps that are no arrays, by the runtime's function for the map instead of the one for all: what stands for the map
//! in registers need not be looked up, nor the key's length.

use super::{Module, Op, Service};

/// The function for a map, and the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Address of the function.
    pub function: u64,
    /// Address of the map.
    pub map: u64,
}

/// Makes lookups those of their maps; `place` tells what register content stands for which.
pub fn find(m: &mut Module, place: &dyn Fn(u64) -> Option<Place>) {
    for f in &mut m.functions {
        for at in 0..f.nodes.len() {
            let Op::Service { service: Service::Lookup, args, .. } = &f.nodes[at].op else { continue };
            let (map, key) = (args[0], args[1]);
            let Some(Place { function, map }) = f.constant(map).and_then(place) else { continue };
            if let Op::Service { service, args, .. } = &mut f.nodes[at].op {
                (*service, *args) = (Service::Find { function, map }, Box::new([key]));
            }
        }
    }
    m.debug_check("find");
}

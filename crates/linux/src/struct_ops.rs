//! Sets of functions that the kernel calls.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use skep_abi::{MapFlags, MapType};
use skep_spec::{BackendLink, BackendMap, BackendProgram, Errno, Error, RunStats};

use crate::map::LinuxMap;
use crate::program::LinuxProgram;
use crate::{sys, words};

/// A set that the kernel has. It has the programs itself.
pub(crate) struct StructOpsLink {
    /// Without a link the set goes when its element is deleted.
    map: Arc<dyn BackendMap>,
    link: Option<OwnedFd>,
}

impl StructOpsLink {
    /// Writes descriptors of programs into the value, updates the map with it and makes a link if the map wants one
    /// (libbpf's `bpf_map__attach_struct_ops`).
    pub(crate) fn attach(
        map: &Arc<dyn BackendMap>,
        value: &[u8],
        functions: &[(u32, Arc<dyn BackendProgram>)],
    ) -> Result<Self, Error> {
        let info = map.info();
        let refuse = |what: String| Err(Error::new(Errno::EINVAL, format!("map `{}`: {what}", info.name)));
        let Some(linux) = map.as_any().downcast_ref::<LinuxMap>() else {
            return refuse("it belongs to another backend".into());
        };
        if info.kind != MapType::STRUCT_OPS {
            return refuse("it is not a struct_ops map".into());
        }
        let mut value = value.to_vec();
        for (off, program) in functions {
            let Some(program) = program.as_any().downcast_ref::<LinuxProgram>() else {
                return refuse("a program belongs to another backend".into());
            };
            let off = *off as usize;
            let Some(room) = value.get_mut(off..off.saturating_add(8)) else {
                return refuse(format!("program `{}` at byte {off} of {}", program.name(), value.len()));
            };
            room.copy_from_slice(&(program.as_fd().as_raw_fd() as u64).to_ne_bytes());
        }
        let linked = MapFlags(info.flags).has(MapFlags::LINK);
        match map.update(&0u32.to_ne_bytes(), &value, 0) {
            // The value is there already, and never changes.
            Err(e) if linked && e.errno == Errno::EBUSY => {}
            Err(e) => return Err(explain(e, &info.name)),
            Ok(()) => {}
        }
        let what = || format!("attaching the functions of map `{}`", info.name);
        let link = match linked {
            true => Some(
                sys::link_struct_ops(linux.as_fd())
                    .map_err(|e| explain(words::error(e, &what()), &info.name))?,
            ),
            false => None,
        };
        Ok(Self { map: Arc::clone(map), link })
    }
}

/// What a subsystem of the kernel says of a set of functions.
#[cold]
fn explain(e: Error, map: &str) -> Error {
    let why = match e.errno {
        Errno::EEXIST => "the kernel has functions of this name already",
        Errno::EINVAL => {
            "the kernel refuses the values: a name is missing or too long, or a function that must be there is not"
        }
        _ => return e,
    };
    Error::new(e.errno, format!("map `{map}`: {why}"))
}

impl Drop for StructOpsLink {
    fn drop(&mut self) {
        if self.link.is_none() {
            // Nobody to tell; the kernel keeps the set while a socket uses it.
            let _ = self.map.delete(&0u32.to_ne_bytes());
        }
    }
}

impl BackendLink for StructOpsLink {
    /// The kernel counts runs by program, not by set.
    fn stats(&self) -> RunStats {
        RunStats::default()
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Error> {
        std::thread::sleep(timeout);
        Ok(false)
    }
}

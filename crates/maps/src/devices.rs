//! Devmaps, their hashes, cpumaps: where XDP programs send packets (kernel/bpf/devmap.c, cpumap.c, Linux 6.18).
//!
//! A cell holds the number of an interface, or the length of a CPU's queue, and the id of a program that runs there,
//! which none can have here yet.

use skep_abi::MapType;
use skep_spec::{Errno, Error};

use crate::cells::Cells;
use crate::geometry::Geometry;
use crate::hash::Hash;
use crate::map::{Kind, Map, Ops};
use crate::mem::{Block, Bytes, Memory};
use crate::sync::Owner;

/// `BPF_EXIST`, the last flag.
const EXIST: u64 = 2;
/// `BPF_NOEXIST`.
const NOEXIST: u64 = 1;
/// The longest queue of a CPU.
const QUEUE: u32 = 16384;
/// The interface that every namespace has.
const LOOPBACK: u32 = 1;

pub(crate) struct Devices {
    geometry: Geometry,
    cells: Cells,
}

impl Devices {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        Cells::new(geometry, memory).map(|cells| Self { geometry, cells })
    }

    /// The hash that the cells are in.
    pub fn hash(&self) -> Option<&Hash> {
        self.cells.hash()
    }

    /// Update by the host; `exists` says whether there is an interface.
    fn put(
        &self,
        key: Bytes<'_>,
        value: Bytes<'_>,
        flags: u64,
        exists: &dyn Fn(u32) -> bool,
    ) -> Result<(), Errno> {
        let target = value.slice(0, 4).as_u32().ok_or(Errno::EINVAL)?;
        let program = value.slice(4, 4).as_u32().map_or(0, |fd| fd as i32);
        // Programs have no descriptors here.
        let found = exists(target) && program <= 0;
        if flags > EXIST {
            return Err(Errno::EINVAL);
        }
        if self.geometry.kind == MapType::DEVMAP_HASH {
            if target == 0 {
                return Err(Errno::EINVAL);
            }
            if flags & NOEXIST != 0 && self.cells.get(key).is_some() {
                return Err(Errno::EEXIST);
            }
            return if found { self.cells.put(key, [target, 0]) } else { Err(Errno::EINVAL) };
        }
        if !self.cells.has_index(key) {
            return Err(Errno::E2BIG);
        }
        if flags == NOEXIST {
            return Err(Errno::EEXIST);
        }
        if self.geometry.kind == MapType::CPUMAP {
            let cpu = key.as_u32().ok_or(Errno::EINVAL)?;
            return match target {
                _ if target > QUEUE => Err(Errno::EOVERFLOW),
                _ if cpu >= self.geometry.cpus => Err(Errno::ENODEV),
                0 => self.cells.take(key).map(drop),
                _ if program > 0 => Err(Errno::ENOMEM),
                _ => self.cells.put(key, [target, 0]),
            };
        }
        match target {
            0 if program > 0 => Err(Errno::EINVAL),
            0 => self.cells.take(key).map(drop),
            _ if found => self.cells.put(key, [target, 0]),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl Map {
    /// Update by the host of a devmap, whose interfaces are those that `exists` says.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM`: `EINVAL` unknown flags, no such interface, a program, and other kinds; `E2BIG` an index
    /// outside or a hash that is full, `EEXIST`; of a cpumap `EOVERFLOW` a queue of more than 16384, `ENODEV` no such CPU.
    pub fn update_device(
        &self,
        key: &[u8],
        value: &[u8],
        flags: u64,
        exists: &dyn Fn(u32) -> bool,
    ) -> Result<(), Error> {
        const OP: &str = "update";
        let Kind::Devices(devices) = &self.kind else {
            return Err(self.error(Errno::EINVAL, OP, "it holds no interfaces or CPUs"));
        };
        self.check_update(OP, key, value, flags)?;
        devices.put(key.into(), value.into(), flags, exists).map_err(|e| {
            let why = match e {
                Errno::EINVAL => {
                    "unknown flags, no such interface, or a program: they have no descriptors here"
                }
                Errno::EEXIST => "the element exists, or always does in an array",
                Errno::E2BIG => "the index is not below max_entries, or the hash is full",
                Errno::EOVERFLOW => "a CPU's queue has at most 16384 places",
                Errno::ENODEV => "there is no such CPU",
                Errno::ENOMEM => "programs have no descriptors here",
                _ => e.text(),
            };
            self.error(e, OP, why)
        })
    }

    /// Whether it holds interfaces or CPUs that packets are sent to.
    pub fn holds_targets(&self) -> bool {
        matches!(self.kind, Kind::Devices(_))
    }

    /// What `bpf_redirect_map` finds in a devmap, an interface, or a cpumap, the CPU itself.
    pub fn redirect_target(&self, index: u32) -> Option<u32> {
        let Kind::Devices(devices) = &self.kind else { return None };
        let [target, _] = devices.cells.get((&index.to_ne_bytes()).into())?;
        Some(if self.geometry.kind == MapType::CPUMAP { index } else { target })
    }
}

impl Ops for Devices {
    fn lookup(&self, key: Bytes<'_>, cpu: u32) -> Option<u64> {
        // A cpumap's values are not for programs.
        if self.geometry.kind == MapType::CPUMAP || key.len() != self.geometry.key_size {
            return None;
        }
        self.cells.address(key, cpu)
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        // The kernel's verifier lets no program call the helper on it.
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: Bytes<'_>, owner: Owner) -> Result<(), Errno> {
        if owner != Owner::HOST {
            return Err(Errno::EINVAL);
        }
        match self.cells.take(key)? {
            false if self.geometry.kind == MapType::DEVMAP_HASH => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }

    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        let words = self.cells.get(key).ok_or(Errno::ENOENT)?;
        for (to, word) in out.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        Ok(())
    }

    fn update_from_host(&self, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.put(key, value, flags, &|ifindex| ifindex == LOOPBACK)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        self.cells.next_key(key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        (self.geometry.kind != MapType::CPUMAP).then(|| self.cells.area())
    }

    fn values_apart(&self) -> Option<usize> {
        (self.cells.step() != self.geometry.stride).then(|| self.cells.step())
    }

    fn metadata(&self) -> &Block {
        self.cells.metadata()
    }
}

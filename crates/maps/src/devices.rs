//! Devmaps, their hashes, cpumaps: where XDP programs send packets (kernel/bpf/devmap.c, cpumap.c, Linux 6.18).
//!
//! A cell holds the number of an interface, or the length of a CPU's queue, and the id of a program that runs there, or
//! 0. Whoever redirects resolves the id among the programs of its own process, as with program arrays.

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

/// What an update says of an element's program.
#[derive(Clone, Copy)]
enum Given {
    /// A descriptor, as in the kernel's values: none is a program's here.
    Descriptor(i32),
    /// The id of a program; 0 for none.
    Id(u32),
}

impl Given {
    /// The id of the program, 0 for none; `None` for what is no program.
    fn id(self) -> Option<u32> {
        match self {
            Self::Descriptor(fd) => (fd <= 0).then_some(0),
            Self::Id(id) => Some(id),
        }
    }

    fn is_some(self) -> bool {
        self.id() != Some(0)
    }
}

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
        (target, given): (u32, Given),
        flags: u64,
        exists: &dyn Fn(u32) -> bool,
    ) -> Result<(), Errno> {
        let program = given.id();
        let found = program.filter(|_| exists(target));
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
            return self.cells.put(key, [target, found.ok_or(Errno::EINVAL)?]);
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
                _ => self.cells.put(key, [target, program.ok_or(Errno::ENOMEM)?]),
            };
        }
        match target {
            0 if given.is_some() => Err(Errno::EINVAL),
            0 => self.cells.take(key).map(drop),
            _ => self.cells.put(key, [target, found.ok_or(Errno::EINVAL)?]),
        }
    }

    /// What a value of the kernel's layout says: `struct bpf_devmap_val`, `struct bpf_cpumap_val`, or their first half.
    fn given(value: Bytes<'_>) -> Result<(u32, Given), Errno> {
        let target = value.slice(0, 4).as_u32().ok_or(Errno::EINVAL)?;
        Ok((target, Given::Descriptor(value.slice(4, 4).as_u32().map_or(0, |fd| fd as i32))))
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
        let done = Devices::given(value.into()).and_then(|to| devices.put(key.into(), to, flags, exists));
        done.map_err(|e| self.no_device(e))
    }

    /// The same by the host with an id for the program, 0 for none, where [`Self::update_device`] takes the kernel's value
    /// with its descriptor. `target` is the interface of a devmap's element, the length of the queue of a cpumap's.
    ///
    /// # Errors
    /// As there; `EINVAL` a program in a map whose values have no room for one.
    pub fn set_device(
        &self,
        key: &[u8],
        (target, program): (u32, u32),
        flags: u64,
        exists: &dyn Fn(u32) -> bool,
    ) -> Result<(), Error> {
        const OP: &str = "update";
        let Kind::Devices(devices) = &self.kind else {
            return Err(self.error(Errno::EINVAL, OP, "it holds no interfaces or CPUs"));
        };
        let value = [target.to_ne_bytes(), program.to_ne_bytes()];
        let value = &value.as_flattened()[..self.geometry.value_size.min(8)];
        self.check_update(OP, key, value, flags)?;
        if program != 0 && value.len() < 8 {
            let why = "its values have no room for a program: they have 4 bytes, not 8";
            return Err(self.error(Errno::EINVAL, OP, why));
        }
        let done = devices.put(key.into(), (target, Given::Id(program)), flags, exists);
        done.map_err(|e| self.no_device(e))
    }

    #[cold]
    fn no_device(&self, e: Errno) -> Error {
        let why = match e {
            Errno::EINVAL => {
                "unknown flags, no such interface, or a program's descriptor, which none has here: give the program \
                 itself (set_target)"
            }
            Errno::EEXIST => "the element exists, or always does in an array",
            Errno::E2BIG => "the index is not below max_entries, or the hash is full",
            Errno::EOVERFLOW => "a CPU's queue has at most 16384 places",
            Errno::ENODEV => "there is no such CPU",
            Errno::ENOMEM => "programs have no descriptors here: give the program itself (set_target)",
            _ => e.text(),
        };
        self.error(e, "update", why)
    }

    /// Whether it holds interfaces or CPUs that packets are sent to.
    pub fn holds_targets(&self) -> bool {
        matches!(self.kind, Kind::Devices(_))
    }

    /// What `bpf_redirect_map` finds in a devmap, an interface, or a cpumap, the CPU itself.
    pub fn redirect_target(&self, index: u32) -> Option<u32> {
        self.redirect_element(index).map(|(target, _)| target)
    }

    /// The same with the id of the program that runs there first, 0 for none.
    #[inline]
    pub fn redirect_element(&self, index: u32) -> Option<(u32, u32)> {
        let Kind::Devices(devices) = &self.kind else { return None };
        let [target, program] = devices.cells.get((&index.to_ne_bytes()).into())?;
        Some((if self.geometry.kind == MapType::CPUMAP { index } else { target }, program))
    }

    /// All interfaces of a devmap with the ids of their programs, for `BPF_F_BROADCAST`: by index, or in a hash's order.
    /// Those that come or go meanwhile may be among them or not.
    pub fn each_device(&self, each: &mut dyn FnMut(u32, u32)) {
        let Kind::Devices(devices) = &self.kind else { return };
        let (mut key, mut next) = (None, [0; 4]);
        for _ in 0..self.geometry.max_entries {
            if devices.cells.next_key(key.as_ref().map(Into::into), &mut next).is_err() {
                return;
            }
            if let Some([target, program]) = devices.cells.get((&next).into()) {
                each(target, program);
            }
            key = Some(next);
        }
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
        self.put(key, Self::given(value)?, flags, &|ifindex| ifindex == LOOPBACK)
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

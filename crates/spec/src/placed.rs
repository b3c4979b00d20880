//! Which kinds of maps have values with which fields (`map_check_btf` in kernel/bpf/syscall.c, Linux 6.18).

use skep_abi::{MapFlags, MapType};

use crate::{Errno, Field, FieldKind, MapDef};

/// A field that a map may not have, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The first such field.
    pub field: Field,
    /// What Linux says when the map is created.
    pub errno: Errno,
    /// What would be legal.
    pub required: &'static str,
}

/// Maps that the memory of all CPUs is in.
const SHARED: &[MapType] = &[MapType::HASH, MapType::LRU_HASH, MapType::ARRAY];
/// Those with what each CPU has.
const PER_CPU: &[MapType] = &[MapType::PERCPU_HASH, MapType::LRU_PERCPU_HASH, MapType::PERCPU_ARRAY];
/// What is kept with objects of the kernel.
const STORAGE: &[MapType] =
    &[MapType::SK_STORAGE, MapType::INODE_STORAGE, MapType::TASK_STORAGE, MapType::CGRP_STORAGE];

impl FieldKind {
    /// Whether values of maps of a kind may have such a field, and which may.
    fn goes_into(self, map: MapType) -> (bool, &'static str) {
        let of = |kinds: &[&[MapType]]| kinds.iter().any(|k| k.contains(&map));
        match self {
            Self::SpinLock | Self::ResSpinLock => (
                matches!(map, MapType::HASH | MapType::ARRAY | MapType::CGROUP_STORAGE) || of(&[STORAGE]),
                "only values of arrays, hashes and storage may have locks",
            ),
            Self::Timer | Self::Workqueue | Self::TaskWork | Self::ListHead | Self::RbRoot => {
                (of(&[SHARED]), "only values of arrays, hashes and LRU hashes may have one")
            }
            Self::KptrUntrusted | Self::Kptr | Self::PercpuKptr | Self::Refcount => (
                of(&[SHARED, PER_CPU, STORAGE]),
                "only values of arrays, hashes and storage of objects may have one",
            ),
            Self::Uptr => (map == MapType::TASK_STORAGE, "only values of task storage may have one"),
            // No fields of values.
            Self::ListNode | Self::RbNode => (true, ""),
        }
    }
}

impl MapDef {
    /// The first field of the values that maps of this kind, or with these flags, may not have; `None` where all may be
    /// there. Types that Linux does not take have no fields.
    pub fn misplaced(&self) -> Option<Misplaced> {
        let fields = self.fields();
        let all = if fields.bad().is_some() { &[] } else { fields.all() };
        let first = *all.first()?;
        if self.flags.0 & (MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG) != 0 {
            let required = "programs must be able to read and write the values";
            return Some(Misplaced { field: first, errno: Errno::EACCES, required });
        }
        all.iter().find_map(|field| match field.kind.goes_into(self.kind) {
            (true, _) => None,
            (false, required) => Some(Misplaced { field: *field, errno: Errno::EOPNOTSUPP, required }),
        })
    }
}

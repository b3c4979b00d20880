//! Opening a map that another process made, by its header, which is believed nothing that is not checked.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use skep_abi::{MapFlags, MapType};
use skep_btf::{Builder, IntEncoding};
use skep_spec::{Errno, Error, MapDef};

use crate::fields::Places;
use crate::geometry::{DOMAIN, EXTRA, FROZEN, HEADER_LEN, KEPT, MAGIC, SPIN_LOCK, VERSION};
use crate::hash::Hash;
use crate::map::{Config, Kind, Map};
use crate::mem::Memory;
use crate::sync::CPUS;

/// What the header of a map says.
#[derive(Clone, Debug)]
pub struct Header {
    /// Type, sizes, flags.
    pub def: MapDef,
    /// Virtual CPUs.
    pub cpus: u32,
    /// The domain that they are of: [`Config::domain`] of whoever made it.
    pub domain: u64,
    /// Whether it was frozen.
    pub is_frozen: bool,
    seed: u64,
    spin_lock: Option<usize>,
}

impl Header {
    /// Bytes of the header, at the start of the metadata.
    pub const LEN: usize = HEADER_LEN;

    /// What the first bytes of a map's metadata say.
    ///
    /// # Errors
    /// `EINVAL` with the reason: too short, no map of skep, another layout, another page size, a kind whose elements are
    /// private to a process (programs, maps, sockets), a number of CPUs that cannot be.
    pub fn parse(name: &str, bytes: &[u8], page: usize) -> Result<Self, Error> {
        let refuse = |why: String| Err(Error::new(Errno::EINVAL, format!("map `{name}`: {why}")));
        if bytes.len() < HEADER_LEN {
            return refuse(format!("{} bytes, the header of a map has {HEADER_LEN}", bytes.len()));
        }
        let word = |off: usize| {
            bytes.get(off..off + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
        };
        match (word(0), word(4)) {
            (MAGIC, VERSION) => {}
            (MAGIC, other) => {
                return refuse(format!(
                    "layout {other}, this build of skep has layout {VERSION}: make it anew"
                ));
            }
            (other, _) if other == MAGIC.swap_bytes() => {
                return refuse("it is of a machine with the other byte order".into());
            }
            (other, _) => return refuse(format!("it is no map of skep: it begins with {other:#010x}")),
        }
        let kind = MapType(word(8));
        let hashed = kind == MapType::DEVMAP_HASH;
        let value_size = word(if hashed { EXTRA } else { 20 });
        let targets = hashed || matches!(kind, MapType::DEVMAP | MapType::CPUMAP);
        if targets && value_size > 4 {
            let kind = kind.name().unwrap_or("?");
            return refuse(format!("the programs of a {kind} map are private to the process that made it"));
        }
        let arrays = matches!(kind, MapType::PROG_ARRAY | MapType::PERF_EVENT_ARRAY | MapType::STRUCT_OPS);
        if kind.holds_maps() || arrays || kind.holds_sockets() {
            let kind = kind.name().unwrap_or("?");
            return refuse(format!("what a {kind} map holds is private to the process that made it"));
        }
        if word(KEPT) != 0 {
            return refuse(
                "what its values keep (timers, objects) is private to the process that made it".into(),
            );
        }
        if word(32) as usize != page {
            return refuse(format!("pages of {} bytes, here they have {page}", word(32)));
        }
        let cpus = word(28);
        if cpus == 0 || cpus > CPUS {
            return refuse(format!("it says that it has {cpus} CPUs, from 1 to {CPUS} are possible"));
        }
        let (flags, map_extra) = (MapFlags(word(12) & !kind.implied_flags()), word(EXTRA).into());
        let def = match kind {
            // Their elements stand in a hash: the header is that one's.
            kind if kind.is_local_storage() => {
                // The types are not kept; that it has some, whoever made it has shown.
                let mut types = Builder::new();
                let int = types.int("int", 4, IntEncoding::Signed);
                let btf = types.finish().ok().map(Arc::new);
                let ids = MapDef { btf, key_btf_id: int.0, value_btf_id: int.0, ..MapDef::default() };
                MapDef { flags, kind, key_size: 4, value_size, ..ids }
            }
            _ if hashed => {
                let flags = MapFlags(flags.0 & !MapFlags::NO_PREALLOC);
                MapDef { flags, ..MapDef::new(kind, word(16), value_size, word(24)) }
            }
            _ => MapDef { flags, map_extra, ..MapDef::new(kind, word(16), value_size, word(24)) },
        };
        let spin_lock = match word(SPIN_LOCK).checked_sub(1).map(|off| off as usize) {
            None => None,
            Some(off)
                if (matches!(kind, MapType::ARRAY | MapType::HASH) || kind.is_local_storage())
                    && off.is_multiple_of(4)
                    && off.checked_add(4).is_some_and(|end| end <= def.value_size as usize) =>
            {
                Some(off)
            }
            Some(off) => return refuse(format!("a spin lock at {off}, where none can be")),
        };
        Ok(Self {
            def: def.named(name),
            cpus,
            domain: u64::from(word(DOMAIN)) | u64::from(word(DOMAIN + 4)) << 32,
            is_frozen: word(FROZEN) != 0,
            seed: u64::from(word(40)) | u64::from(word(44)) << 32,
            spin_lock,
        })
    }
}

impl Map {
    /// The hash that the elements stand in.
    fn elements(&self) -> Option<&Hash> {
        match &self.kind {
            Kind::Hash(hash) => Some(hash),
            Kind::Storage(storage) => Some(storage.hash()),
            Kind::Devices(devices) => devices.hash(),
            Kind::Array(_)
            | Kind::BloomFilter(_)
            | Kind::PercpuArray(_)
            | Kind::LpmTrie(_)
            | Kind::MapOfMaps(_)
            | Kind::PerfEventArray(_)
            | Kind::ProgArray(_)
            | Kind::Queue(_)
            | Kind::Ringbuf(_)
            | Kind::StackTrace(_)
            | Kind::Arena(_)
            | Kind::UserRingbuf(_)
            | Kind::StructOps(_)
            | Kind::Sockets(_) => None,
        }
    }

    /// Opens a map that is there: `memory` gives its blocks as they are. Of `config` the CPUs, their domain and the seed do
    /// not count, they are in the header. What a process left that died in an operation is repaired.
    ///
    /// # Errors
    /// `EINVAL` when the header contradicts itself, as [`Map::create`] what cannot be, `ENOMEM` when `memory` does not have
    /// the bytes that such a map has.
    pub fn open(header: &Header, config: &Config, memory: &dyn Memory) -> Result<Arc<Self>, Error> {
        let config = Config { cpus: header.cpus, domain: header.domain, seed: header.seed, ..*config };
        let mut geometry = crate::create::check(&header.def, &config, memory)?;
        geometry.spin_lock = header.spin_lock;
        geometry.places = Places::lock(header.spin_lock);
        let mut map = Self::with_geometry(&header.def, geometry, None, memory, &|| Err(Errno::EINVAL))?;
        if let Kind::Arena(arena) = &map.kind
            && header.def.map_extra != 0
        {
            // The header has half of it.
            map.geometry.map_extra = arena.base();
        }
        if let Some(hash) = map.elements() {
            // Another process repairs it, or nobody has died.
            let _ = hash.repair(crate::sync::Owner::HOST);
        }
        Ok(Arc::new(map))
    }
}

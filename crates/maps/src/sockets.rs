//! Sockmap and sockhash: sockets by index or key (net/core/sock_map.c, Linux 6.18). An element is a socket's cookie, by which
//! it is known as long as the system runs; the socket itself stays with whoever has it.

use skep_abi::MapType;
use skep_spec::{Errno, Error};

use crate::cells::Cells;
use crate::geometry::Geometry;
use crate::map::{Kind, Map, Ops};
use crate::mem::{Block, Bytes, Memory};
use crate::sync::Owner;

/// `BPF_EXIST`, the last flag.
const EXIST: u64 = 2;
/// `BPF_NOEXIST`.
const NOEXIST: u64 = 1;

pub(crate) struct Sockets {
    geometry: Geometry,
    cells: Cells,
}

impl Sockets {
    pub fn new(geometry: Geometry, memory: &dyn Memory) -> Result<Self, Errno> {
        Cells::new(geometry, memory).map(|cells| Self { geometry, cells })
    }

    fn put(&self, key: Bytes<'_>, cookie: u64, flags: u64) -> Result<(), Errno> {
        if flags > EXIST {
            return Err(Errno::EINVAL);
        }
        if !self.cells.has_index(key) {
            return Err(Errno::E2BIG);
        }
        match (self.cells.get(key), flags) {
            (Some(_), NOEXIST) => Err(Errno::EEXIST),
            (None, EXIST) => Err(Errno::ENOENT),
            _ => self.cells.put(key, [cookie as u32, (cookie >> 32) as u32]),
        }
    }
}

impl Map {
    /// Puts a socket into a sockmap or sockhash, by its cookie.
    ///
    /// # Errors
    /// As `BPF_MAP_UPDATE_ELEM` with a socket's descriptor: `EINVAL` unknown flags and other kinds, `E2BIG` an index outside
    /// or a hash that is full, `EEXIST`, `ENOENT`.
    pub fn update_socket(&self, key: &[u8], cookie: u64, flags: u64) -> Result<(), Error> {
        const OP: &str = "update";
        let Kind::Sockets(sockets) = &self.kind else {
            return Err(self.error(Errno::EINVAL, OP, "it holds no sockets"));
        };
        self.may_write(OP)?;
        self.key_length(OP, key)?;
        if cookie == 0 {
            return Err(self.error(Errno::EINVAL, OP, "no socket has the cookie 0"));
        }
        sockets.put(key.into(), cookie, flags).map_err(|e| {
            let why = match e {
                Errno::EEXIST => "there is a socket already",
                Errno::ENOENT => "there is no socket",
                Errno::E2BIG => "the index is not below max_entries, or the hash is full",
                _ => e.text(),
            };
            self.error(e, OP, why)
        })
    }
}

impl Ops for Sockets {
    fn lookup(&self, _: Bytes<'_>, _: u32) -> Option<u64> {
        None
    }

    fn update(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64, _: u32) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: Bytes<'_>, _: Owner) -> Result<(), Errno> {
        match self.cells.take(key)? {
            true => Ok(()),
            false if self.geometry.kind == MapType::SOCKHASH => Err(Errno::ENOENT),
            false => Err(Errno::EINVAL),
        }
    }

    /// The cookie, where values are large enough.
    fn lookup_copy(&self, key: Bytes<'_>, out: &mut [u8]) -> Result<(), Errno> {
        if out.len() != 8 {
            return Err(Errno::ENOSPC);
        }
        let [low, high] = self.cells.get(key).ok_or(Errno::ENOENT)?;
        out.copy_from_slice(&(u64::from(high) << 32 | u64::from(low)).to_ne_bytes());
        Ok(())
    }

    /// What a number stands for only the process knows: see [`Map::update_socket`].
    fn update_from_host(&self, _: Bytes<'_>, _: Bytes<'_>, _: u64) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }

    fn next_key(&self, key: Option<Bytes<'_>>, out: &mut [u8]) -> Result<(), Errno> {
        self.cells.next_key(key, out)
    }

    fn values(&self) -> Option<(u64, usize)> {
        None
    }

    fn metadata(&self) -> &Block {
        self.cells.metadata()
    }
}

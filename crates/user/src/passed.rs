//! Maps handed to other processes: as descriptors, over a Unix socket.
//!
//! A message has a head of words, the map's name, and the descriptors with it (`SCM_RIGHTS`):
//!
//! ```text
//! words:        magic, layout, parts (bit 0: a payload, bit 1: a bell), place of the word that counts processes
//! then:         the map's name
//! descriptors:  the file that tells who of the map's processes lives, metadata, payload, bell
//! ```
//!
//! Who gets a map believes nothing that is not checked: see [`UserBackend::map_of_fds`].

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use skep_maps::{Config, Header, Map};
use skep_spec::{BackendMap, Errno, Error};

use crate::backend::UserBackend;
use crate::map::UserMap;
use crate::os::{self, Bell, MapMemory, page_size};

const MAGIC: u32 = u32::from_le_bytes(*b"SKPF");
const LAYOUT: u32 = 1;
/// Bytes of the words.
const HEAD: usize = 16;
/// Most bytes of a name.
const NAME: usize = 64;
const HAS_PAYLOAD: u32 = 1;
const HAS_BELL: u32 = 2;
/// Most descriptors of a map.
const FDS: usize = 4;

/// The descriptors of a map, by which another process can have it as well.
#[derive(Debug)]
pub struct MapFds {
    /// The map's name.
    pub name: String,
    /// The file that tells which of the map's processes live.
    pub processes: OwnedFd,
    /// Offset of the word in it that counts processes.
    pub counter: u32,
    /// The map's metadata.
    pub metadata: OwnedFd,
    /// Its payload, for kinds that have one.
    pub payload: Option<OwnedFd>,
    /// Of a ring buffer: an eventfd or a FIFO that wakes its consumer or producer.
    pub bell: Option<OwnedFd>,
}

#[cold]
fn failed(what: &str, e: &io::Error) -> Error {
    Error::new(e.raw_os_error().map_or(Errno::EIO, Errno), format!("{what}: {e}"))
}

#[cold]
fn refused(why: impl Into<String>) -> Error {
    Error::new(Errno::EINVAL, why)
}

impl MapFds {
    /// Sends the map over a connected Unix socket, in one message.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, socket: impl AsFd) -> Result<(), Error> {
        let parts =
            u32::from(self.payload.is_some()) * HAS_PAYLOAD + u32::from(self.bell.is_some()) * HAS_BELL;
        let mut bytes: Vec<u8> =
            [MAGIC, LAYOUT, parts, self.counter].iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(self.name.bytes().take(NAME));
        let fds = [Some(&self.processes), Some(&self.metadata), self.payload.as_ref(), self.bell.as_ref()];
        let fds: Vec<BorrowedFd<'_>> = fds.into_iter().flatten().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let sent = sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL);
        match sent.map_err(|e| failed("sending a map", &e.into()))? {
            n if n == bytes.len() => Ok(()),
            n => {
                Err(Error::new(Errno::EIO, format!("sending a map: {n} of {} bytes were taken", bytes.len())))
            }
        }
    }

    /// Receives what [`Self::send`] sent.
    ///
    /// # Errors
    /// `EINVAL` with the reason for a message that is not of a map, and what the system says.
    pub fn receive(socket: impl AsFd) -> Result<Self, Error> {
        let mut bytes = [0; HEAD + NAME];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
        let received = received.map_err(|e| failed("receiving a map", &e.into()))?;
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let bytes = bytes.get(..received.bytes).unwrap_or(&[]);
        if bytes.is_empty() {
            return Err(refused("receiving a map: whoever sends has gone"));
        }
        if received.flags.intersects(ReturnFlags::CTRUNC | ReturnFlags::TRUNC) {
            return Err(refused("receiving a map: more came than a map has"));
        }
        let word =
            |i: usize| bytes.get(4 * i..).and_then(|b| b.first_chunk()).map(|b| u32::from_ne_bytes(*b));
        let (Some(magic), Some(layout), Some(parts), Some(counter)) = (word(0), word(1), word(2), word(3))
        else {
            return Err(refused(format!("receiving a map: {} bytes, too few for one", bytes.len())));
        };
        if magic != MAGIC {
            return Err(refused("receiving a map: the message is no map of skep"));
        }
        if layout != LAYOUT {
            return Err(refused(format!(
                "receiving a map: layout {layout}, this build of skep has {LAYOUT}"
            )));
        }
        let want = 2 + (parts & HAS_PAYLOAD).count_ones() + (parts & HAS_BELL).count_ones();
        if parts > HAS_PAYLOAD | HAS_BELL || fds.len() != want as usize {
            return Err(refused(format!("receiving a map: {} descriptors, it says {want}", fds.len())));
        }
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or_else(|| refused("receiving a map: a descriptor is missing"));
        let (processes, metadata) = (next()?, next()?);
        let payload = if parts & HAS_PAYLOAD != 0 { Some(next()?) } else { None };
        let bell = if parts & HAS_BELL != 0 { Some(next()?) } else { None };
        let name = String::from_utf8_lossy(&bytes[HEAD..]).into_owned();
        Ok(Self { name, processes, counter, metadata, payload, bell })
    }
}

impl UserBackend {
    /// The descriptors of a map of this backend, for another process: whoever gets them may read and write it.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for a map that is of another backend's folder, `EINVAL` for what is private to this process: see
    /// [`Header::parse`]; and what the system says.
    pub fn map_fds(&self, map: &dyn BackendMap) -> Result<MapFds, Error> {
        let own = map.as_any().downcast_ref::<UserMap>().filter(|own| own.belongs_to(&self.shared));
        let Some(own) = own else {
            return Err(refused(format!("map {} belongs to another backend", map.info().name)));
        };
        let name = own.map().name();
        let of_map = |e: io::Error| failed(&format!("map {name}: handing it on"), &e);
        let processes = self.domain().processes().filter(|_| !own.is_foreign()).ok_or_else(|| {
            let why = "its processes are those of another folder: let a backend of that folder hand it on";
            Error::new(Errno::EOPNOTSUPP, format!("map {name}: {why}"))
        })?;
        let (processes, counter) = processes.map_err(of_map)?;
        let (metadata, payload) = own.memory().parts().ok_or(Errno::EINVAL)?;
        let header = os::first_bytes(metadata, Header::LEN).map_err(of_map)?;
        Header::parse(name, &header, page_size() as usize)?;
        let bell = match own.map().ringbuf().is_some() || own.map().user_ringbuf().is_some() {
            true => Some(own.bell()?.fd().map_err(of_map)?),
            false => None,
        };
        Ok(MapFds {
            name: name.chars().filter(char::is_ascii).take(NAME).collect(),
            processes,
            counter: counter as u32,
            metadata: metadata.try_clone().map_err(of_map)?,
            payload: payload.map(OwnedFd::try_clone).transpose().map_err(of_map)?,
            bell,
        })
    }

    /// The map of descriptors that another process has handed on. Programs can have it where both use the same folder of
    /// pins; elsewhere their virtual CPUs are others, and the host alone reads and writes it.
    ///
    /// # Errors
    /// `EINVAL` with the reason for what is no map, was cut or contradicts itself, and for a file of processes that is none;
    /// and what the system says.
    pub fn map_of_fds(&self, fds: MapFds) -> Result<Arc<dyn BackendMap>, Error> {
        let MapFds { name, processes, counter, metadata, payload, bell } = fds;
        let at = |e: Error| Error::new(e.errno, format!("map {name} of descriptors: {}", e.message));
        for (what, fd) in
            [("metadata", Some(&metadata)), ("payload", payload.as_ref()), ("processes", Some(&processes))]
        {
            if !fd.map_or(Ok(true), os::is_file).map_err(|e| at(failed(what, &e)))? {
                return Err(at(refused(format!("its {what}: it is no file"))));
            }
        }
        let header = os::first_bytes(&metadata, Header::LEN).map_err(|e| at(failed("its metadata", &e)))?;
        let header = Header::parse(&name, &header, page_size() as usize).map_err(at)?;
        let peers = os::peers_of_fd(processes, counter as usize).map_err(at)?;
        let own = self.shared.domain.peers().filter(|_| self.shared.folder.is_some());
        let ours = (self.domain().number(), self.domain().cpus());
        let foreign =
            !own.is_some_and(|own| std::ptr::addr_eq(own, peers)) || (header.domain, header.cpus) != ours;
        let memory = MapMemory::opened(metadata, payload);
        let config = Config { peers: Some(peers), ..self.shared.config(header.cpus) };
        let map = Map::open(&header, &config, os::memory(&memory)).map_err(|e| match memory.refused() {
            Some(why) => at(refused(why)),
            None => at(e),
        })?;
        let bell = bell.map(Bell::of_fd).transpose().map_err(|e| at(failed("its bell", &e)))?;
        let map =
            UserMap::pinned(Arc::clone(&self.shared), map, self.shared.next_map_id(), memory, foreign, bell);
        Ok(Arc::new(map))
    }
}

//! Maps whose keys or values name objects of this process: local storage, sockmaps, devmaps.

use skep_abi::MapType;
use skep_maps::{Map, Object};
use skep_spec::{Errno, Error};

use crate::os;

/// What a key of local storage stands for.
fn object(map: &Map, key: &[u8]) -> Result<Object, Error> {
    let refuse = |errno: Errno, why: &str| {
        let kind = map.kind().name().unwrap_or("map");
        Error::new(errno, format!("{kind} map `{}`: {why}", map.name()))
    };
    let Ok(fd) = key.try_into() else {
        let why = format!("the key has {} bytes, a descriptor has 4", key.len());
        return Err(refuse(Errno::EINVAL, &why));
    };
    let what = match map.kind() {
        MapType::TASK_STORAGE => "a pidfd",
        MapType::SK_STORAGE => "a socket",
        MapType::INODE_STORAGE => "an open file",
        _ => "an open folder of a control group",
    };
    let fd = i32::from_ne_bytes(fd);
    os::object(map.kind(), fd).map_err(|e| refuse(e, &format!("descriptor {fd} in the key is not {what}")))
}

pub(crate) fn lookup(map: &Map, key: &[u8], flags: u64) -> Option<Result<Vec<u8>, Error>> {
    map.is_storage().then(|| {
        map.check_host(false, flags)?;
        map.storage_lookup(object(map, key)?, flags)
    })
}

pub(crate) fn delete(map: &Map, key: &[u8]) -> Option<Result<(), Error>> {
    map.is_storage().then(|| map.storage_remove(object(map, key)?))
}

pub(crate) fn update(map: &Map, key: &[u8], value: &[u8], flags: u64) -> Option<Result<(), Error>> {
    if map.is_storage() {
        return Some(update_storage(map, key, value, flags));
    }
    if map.holds_targets() {
        return Some(map.update_device(key, value, flags, &os::has_interface));
    }
    map.kind().holds_sockets().then(|| {
        map.check_host(true, flags)?;
        let wide = value.try_into().map(u64::from_ne_bytes);
        let fd = wide.or_else(|_| value.try_into().map(|fd| u64::from(u32::from_ne_bytes(fd))));
        let refuse = |errno: Errno, why: &str| Error::new(errno, format!("map `{}`: {why}", map.name()));
        let fd = fd.map_err(|_| refuse(Errno::EINVAL, "a socket's descriptor has 4 or 8 bytes"))?;
        let cookie = os::socket(fd).map_err(|e| {
            let why = format!(
                "descriptor {fd} is no socket that such maps take: TCP connected or listening, UDP, Unix or vsock \
                 connected"
            );
            refuse(e, &why)
        })?;
        map.update_socket(key, cookie, flags)
    })
}

fn update_storage(map: &Map, key: &[u8], value: &[u8], flags: u64) -> Result<(), Error> {
    map.check_host(true, flags)?;
    let object = object(map, key)?;
    match map.storage_update(object, value, flags) {
        Err(e) if e.errno == Errno::ENOMEM && map.kind() == MapType::TASK_STORAGE => {
            // Values of threads that have ended make room.
            for gone in map.storage_objects().into_iter().filter(|task| os::has_ended(*task)) {
                let _ = map.storage_remove(gone);
            }
            map.storage_update(object, value, flags)
        }
        done => done,
    }
}

//! Maps in a folder of pins.

use std::path::Path;
use std::sync::Arc;

use skep_abi::MapType;
use skep_maps::{Config, Header, Map};
use skep_spec::{Errno, Error, FieldKind, MapDef};

use crate::backend::Shared;
use crate::map::UserMap;
use crate::os::{self, Bell, page_size};

/// Whether others could have the map: what the elements of some kinds are, and what values keep, is private to their
/// process.
pub(crate) fn can_be_pinned(def: &MapDef) -> bool {
    let fields = def.fields();
    let keeps = |kind: FieldKind| !kind.is_lock() && kind != FieldKind::Refcount;
    let programs = matches!(def.kind, MapType::DEVMAP | MapType::DEVMAP_HASH | MapType::CPUMAP);
    let only_here = [MapType::PROG_ARRAY, MapType::PERF_EVENT_ARRAY, MapType::STRUCT_OPS].contains(&def.kind)
        || def.kind.holds_maps()
        || def.kind.holds_sockets()
        || programs && def.value_size > 4;
    let kept = fields.bad().is_none() && fields.all().iter().any(|f| keeps(f.kind));
    !only_here && !kept
}

/// The folder of a path.
fn folder_of(path: &Path) -> Option<std::path::PathBuf> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.canonicalize().ok()
}

/// Gives a map a name.
pub(crate) fn pin(shared: &Shared, map: &UserMap, path: &Path) -> Result<(), Error> {
    let name = map.map().name();
    let Some(folder) = &shared.folder else {
        let text = format!("map {name}: this backend has no folder of pins: make it with one");
        return Err(Error::new(Errno::EOPNOTSUPP, text));
    };
    let kind = map.map().kind();
    if map.memory().folder() != Some(folder) {
        let kind = kind.name().unwrap_or("?");
        let text =
            format!("map {name}: what a {kind} map holds is private to this process, it cannot be pinned");
        return Err(Error::new(Errno::EOPNOTSUPP, text));
    }
    if folder_of(path).as_ref() != Some(folder) {
        let text = format!(
            "map {name}: {} is not in the folder of pins of this backend, {}",
            path.display(),
            folder.display()
        );
        return Err(Error::new(Errno::EPERM, text));
    }
    let rings = kind == MapType::RINGBUF;
    os::pin(map.memory(), path, rings)?;
    if rings {
        map.set_bell(Bell::of_pinned(path)?);
    }
    Ok(())
}

/// Opens what is pinned at a path; `None` when there is nothing.
/// A backend without a folder of pins can look into one, and knows of no other pins.
pub(crate) fn open(
    shared: &Arc<Shared>,
    path: &Path,
    id: impl FnOnce() -> u32,
) -> Result<Option<UserMap>, Error> {
    if shared.folder.is_none() && !path.parent().is_some_and(os::is_folder_of_pins) {
        return Err(Error::new(Errno::EOPNOTSUPP, "this backend has no folder of pins: make it with one"));
    }
    let Some((memory, header)) = os::open_pinned(path, Header::LEN)? else { return Ok(None) };
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let at = |e: Error| Error::new(e.errno, format!("{}: {}", path.display(), e.message));
    let header = Header::parse(&name, &header, page_size() as usize).map_err(at)?;
    let folder = folder_of(path);
    let foreign = folder.is_none() || folder != shared.folder;
    let (peers, domain) = match (&folder, foreign) {
        (Some(folder), true) => os::peers_in(folder).map(|(peers, domain)| (Some(peers), domain))?,
        _ => (shared.domain.peers(), shared.domain.number()),
    };
    if !foreign && header.cpus != shared.domain.cpus() {
        let text = format!(
            "{}: it has {} virtual CPUs, the folder has {}: it was made elsewhere",
            path.display(),
            header.cpus,
            shared.domain.cpus()
        );
        return Err(Error::new(Errno::EINVAL, text));
    }
    // Whose CPUs and processes have other numbers would take the locks of those who live.
    if header.domain != domain {
        let text = format!(
            "{}: it was made with another table of virtual CPUs than the folder has: make it anew",
            path.display()
        );
        return Err(Error::new(Errno::EINVAL, text));
    }
    let config = Config { peers, ..shared.config(header.cpus) };
    let map = Map::open(&header, &config, os::memory(&memory)).map_err(|e| match memory.refused() {
        Some(why) => Error::new(Errno::EINVAL, format!("{}: {why}", path.display())),
        None => at(e),
    })?;
    let bell = (map.kind() == MapType::RINGBUF).then(|| Bell::of_pinned(path)).transpose()?;
    Ok(Some(UserMap::pinned(Arc::clone(shared), map, id(), memory, foreign, bell)))
}

//! Maps that a source wants to be found by name (`LIBBPF_PIN_BY_NAME`), as libbpf creates, finds and checks them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_spec::{Errno, MapDef, MapInfo, Pinning};

use crate::{Backend, Error, ErrorKind, Map, map};

/// Where libbpf pins maps unless it is told another place.
pub(crate) const ROOT: &str = "/sys/fs/bpf";

/// Creates a map, or takes the one that is pinned under its name. Gives the path if it has been pinned just now.
///
/// A backend without pins creates a map of its own.
pub(crate) fn create(
    backend: &Backend,
    root: &Path,
    def: &Arc<MapDef>,
) -> Result<(Map, Option<PathBuf>), Error> {
    let created = || map::create(backend.as_dyn(), def);
    if def.pinning == Pinning::None {
        return Ok((created()?, None));
    }
    // BPF's file system takes no dots in names (libbpf's sanitize_pin_path).
    let path = root.join(def.name.replace('.', "_"));
    let name = path.display().to_string();
    let fail = |e| Error::of_map(&def.name, e);
    let found = || match backend.as_dyn().pinned_map(&name) {
        Ok(Some(inner)) => {
            check(def, &inner.info(), &name)?;
            Ok(Some(Map::new(inner, Arc::clone(def)).reused()))
        }
        Ok(None) => Ok(None),
        Err(e) if e.errno == Errno::EOPNOTSUPP => created().map(Some),
        Err(e) => Err(fail(e)),
    };
    if let Some(map) = found()? {
        return Ok((map, None));
    }
    let map = created()?;
    match backend.as_dyn().pin_map(&*map.inner, &name) {
        Ok(()) => Ok((map, Some(path))),
        // Somebody else was faster.
        Err(e) if e.errno == Errno::EEXIST => match found()? {
            Some(map) => Ok((map, None)),
            None => Err(fail(e)),
        },
        Err(e) => Err(fail(e)),
    }
}

/// Whether a pinned map is what the source wants (libbpf's `map_is_reuse_compat`).
fn check(def: &MapDef, info: &MapInfo, path: &str) -> Result<(), Error> {
    let kind = |k: skep_abi::MapType| k.name().map_or_else(|| k.0.to_string(), str::to_owned);
    // One for each CPU is what the kernel made of it.
    let entries = def.entries_on(info.max_entries);
    let rows = [
        ("type", kind(def.kind), kind(info.kind)),
        ("key_size", def.key_size.to_string(), info.key_size.to_string()),
        ("value_size", def.value_size.to_string(), info.value_size.to_string()),
        ("max_entries", entries.to_string(), info.max_entries.to_string()),
        ("map_flags", format!("{:#x}", def.flags.0), format!("{:#x}", info.flags)),
        ("map_extra", format!("{:#x}", def.map_extra), format!("{:#x}", info.map_extra)),
    ];
    let differ: Vec<_> = rows
        .iter()
        .filter(|(_, want, have)| want != have)
        .map(|(what, want, have)| format!("{what} {have} instead of {want}"))
        .collect();
    if differ.is_empty() {
        return Ok(());
    }
    let words = format!(
        "map `{}`: another map is pinned at `{path}`: it has {}; remove it, or pin to another folder",
        def.name,
        differ.join(", ")
    );
    Err(Error::new(ErrorKind::System(Errno::EINVAL), words))
}

//! Maps that stay under a path of BPF's file system.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;

use skep_spec::{BackendMap, Errno, Error};

use crate::map::LinuxMap;
use crate::{sys, words};

fn text(path: &str) -> Result<CString, Error> {
    CString::new(path).map_err(|_| Error::new(Errno::EINVAL, format!("`{path:?}` is no path")))
}

/// The map at a path; `None` when there is nothing.
pub(crate) fn open(path: &str) -> Result<Option<LinuxMap>, Error> {
    match sys::obj_get(&text(path)?) {
        Ok(fd) => match LinuxMap::from_fd(fd) {
            Ok(map) => Ok(Some(map)),
            Err(e) => Err(Error::new(e.errno, format!("what is pinned at `{path}` is not a map"))),
        },
        Err(Errno::ENOENT) => Ok(None),
        Err(e) => Err(words::error(e, &format!("opening what is pinned at `{path}`"))),
    }
}

/// Pins a map; makes the last folder of the path, as libbpf does.
pub(crate) fn pin(map: &dyn BackendMap, path: &str) -> Result<(), Error> {
    let name = map.info().name;
    let what = || format!("pinning map `{name}` at `{path}`");
    let Some(map) = map.as_any().downcast_ref::<LinuxMap>() else {
        return Err(Error::new(Errno::EINVAL, format!("{}: it belongs to another backend", what())));
    };
    let folder = Path::new(path).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What is wrong with the folder, the next call says better.
    let _ = std::fs::create_dir(folder);
    let folder = folder.display().to_string();
    match sys::on_bpffs(&text(&folder)?) {
        Ok(true) => {}
        Ok(false) => {
            let words = format!(
                "{}: `{folder}` is on no file system of BPF's: mount one (mount -t bpf bpf /sys/fs/bpf), or name another \
                 folder",
                what()
            );
            return Err(Error::new(Errno::EINVAL, words));
        }
        Err(e) => return Err(words::error(e, &what())),
    }
    sys::obj_pin(map.as_fd(), &text(path)?).map_err(|e| words::error(e, &what()))
}

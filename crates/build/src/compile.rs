//! For build scripts: compiling, and where the skeleton goes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::skeleton::generate_with;

/// Compiles (`.c`) or reads (`.o`) an object and writes its skeleton to `OUT_DIR`, under the name up to the first dot:
/// `src/flows.bpf.c` becomes `flows.rs`. Cargo runs the build script again when the file changes.
///
/// # Errors
/// As [`Build::skeleton`].
pub fn skeleton(path: impl AsRef<Path>) -> Result<PathBuf, Error> {
    Build::new().skeleton(path)
}

/// How sources are compiled: by `clang`, or what the environment variable `CLANG` names, with
/// `-target bpf -O2 -g` and what is added here.
#[derive(Clone, Debug, Default)]
pub struct Build {
    flags: Vec<OsString>,
    watched: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
    records: Vec<(String, String)>,
}

impl Build {
    /// With no flags of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a flag for clang.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Adds a folder of headers, which are watched too.
    #[must_use]
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        self.flags.extend(["-I".into(), folder.clone().into_os_string()]);
        self.watched.push(folder);
        self
    }

    /// Says that the records of a ring buffer or perf event array are values of a type (`struct event`), where the
    /// object does not: by the map's value type, or a struct with the declaration tag `ringbuf:MAP`.
    #[must_use]
    pub fn record(mut self, map: impl Into<String>, ty: impl Into<String>) -> Self {
        self.records.push((map.into(), ty.into()));
        self
    }

    /// Where the skeleton goes instead of `OUT_DIR`.
    #[must_use]
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Compiles or reads an object and writes its skeleton; gives the skeleton's path.
    ///
    /// # Errors
    /// clang's messages; files that cannot be read or written; bytes that are no eBPF object.
    pub fn skeleton(&self, path: impl AsRef<Path>) -> Result<PathBuf, Error> {
        let path = path.as_ref();
        let out = match &self.out_dir {
            Some(folder) => folder.clone(),
            None => std::env::var_os("OUT_DIR")
                .map(PathBuf::from)
                .ok_or_else(|| Error::new("OUT_DIR is not set: this is for build scripts, or say out_dir"))?,
        };
        for watched in self.watched.iter().map(PathBuf::as_path).chain([path]) {
            println!("cargo::rerun-if-changed={}", watched.display());
        }
        println!("cargo::rerun-if-env-changed=CLANG");
        let file = path.file_name().and_then(|n| n.to_str());
        let stem = file.and_then(|n| n.split('.').next()).filter(|s| !s.is_empty());
        let Some(stem) = stem else {
            return Err(Error::new(format!("`{}` is no file's name", path.display())));
        };
        let object = match path.extension().and_then(|e| e.to_str()) {
            Some("o") => path.to_owned(),
            Some("c") => self.compile(path, &out.join(format!("{stem}.bpf.o")))?,
            _ => {
                return Err(Error::new(format!("`{}` is neither C (.c) nor an object (.o)", path.display())));
            }
        };
        let bytes = std::fs::read(&object)
            .map_err(|e| Error::new(format!("cannot read `{}`: {e}", object.display())))?;
        let code = generate_with(&object.display().to_string(), &bytes, &self.records)?;
        let to = out.join(format!("{stem}.rs"));
        std::fs::write(&to, code).map_err(|e| Error::new(format!("cannot write `{}`: {e}", to.display())))?;
        Ok(to)
    }

    fn compile(&self, source: &Path, object: &Path) -> Result<PathBuf, Error> {
        let clang = std::env::var_os("CLANG").unwrap_or_else(|| "clang".into());
        let mut command = Command::new(&clang);
        command
            .args(["-target", "bpf", "-O2", "-g", "-c"])
            .args(&self.flags)
            .arg(source)
            .arg("-o")
            .arg(object);
        let output = command.output().map_err(|e| {
            Error::new(format!("cannot run `{}`: {e}; name another one in CLANG", clang.to_string_lossy()))
        })?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!(
                "`{}` does not compile:\n{}",
                source.display(),
                words.trim_end()
            )));
        }
        Ok(object.to_owned())
    }
}

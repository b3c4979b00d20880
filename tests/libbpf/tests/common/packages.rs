//! Debian's packages, fetched by `apt-get download` once and unpacked, not installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

static ONE: Mutex<()> = Mutex::new(());

/// Packages with objects.
const PACKAGES: [&str; 7] =
    ["libxdp1", "xdp-tools", "xdp-tests", "ir-keytable", "libbpf-tools", "bpfmon", "systemd"];

/// Unpacks the packages into a folder.
pub fn unpacked() -> Result<PathBuf, String> {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian");
    let root = dir.join("root");
    if root.exists() {
        return Ok(root);
    }
    std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    let run = |c: &mut Command| match c.current_dir(&dir).output() {
        Ok(out) if out.status.success() => Ok(()),
        Ok(out) => Err(format!("{c:?}: {}", String::from_utf8_lossy(&out.stderr).trim())),
        Err(e) => Err(format!("{:?}: {e}", c.get_program())),
    };
    run(Command::new("apt-get").args(["download", "-qq"]).args(PACKAGES))?;
    let half = dir.join("unpacking");
    for entry in std::fs::read_dir(&dir).map_err(|e| e.to_string())?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(&half))?;
        }
    }
    std::fs::rename(half, &root).map_err(|e| e.to_string())?;
    Ok(root)
}

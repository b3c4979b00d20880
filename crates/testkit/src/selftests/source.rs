//! The tree of Linux 6.12, out of Debian's source package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that has the source.
const PACKAGE: &str = "linux-source-6.12";

/// The version of the tests: an older kernel is not asked.
pub const VERSION: (u32, u32) = (6, 12);

/// What is unpacked of it.
const PARTS: &[&str] = &[
    "*/tools/testing/selftests/bpf",
    "*/tools/lib/bpf",
    "*/tools/include",
    "*/tools/arch/*/include",
    "*/scripts/bpf_doc.py",
];

/// The folder of the tests below the tree's root.
pub const TESTS: &str = "tools/testing/selftests/bpf";

/// Whether the running kernel is as new as the tests: newer tests have crashed older kernels.
///
/// # Errors
/// When it is not, with its version.
pub fn kernel_is_new_enough() -> Result<(), String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.trim_end().split(['.', '-']).map_while(|p| p.parse::<u32>().ok());
    let running = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if running < VERSION {
        let (major, minor) = VERSION;
        return Err(format!(
            "these tests are of Linux {major}.{minor}, and this is {}: tests newer than the kernel may crash it",
            if release.is_empty() { "no Linux" } else { release.trim_end() }
        ));
    }
    Ok(())
}

/// The root of the tree, unpacked below `dir` unless it is there already.
///
/// # Errors
/// When the package can be neither found nor unpacked, with what to do.
pub fn tree(dir: &Path) -> Result<PathBuf, String> {
    let tree = dir.join("tree");
    if tree.join(TESTS).join("progs").is_dir() {
        return Ok(tree);
    }
    fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let package = match find(dir, &format!("{PACKAGE}_"), ".deb") {
        Some(package) => package,
        None => {
            run(Command::new("apt-get").args(["download", PACKAGE]).current_dir(dir)).map_err(|e| {
                format!(
                    "{e}: {PACKAGE} comes from Debian's security suite; or put the .deb into {}",
                    dir.display()
                )
            })?;
            find(dir, &format!("{PACKAGE}_"), ".deb")
                .ok_or_else(|| format!("apt-get left no {PACKAGE}_*.deb in {}", dir.display()))?
        }
    };
    let unpacked = dir.join("package");
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
    let archive = find(&unpacked.join("usr/src"), PACKAGE, ".tar.xz")
        .ok_or_else(|| format!("{}: no {PACKAGE}.tar.xz in it", package.display()))?;
    let partly = dir.join("tree.partly");
    fs::create_dir_all(&partly).map_err(|e| format!("{}: {e}", partly.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&partly).args(["--strip-components=1", "--wildcards", "-xf"]).arg(&archive).args(PARTS);
    run(&mut tar)?;
    fs::rename(&partly, &tree).map_err(|e| format!("{}: {e}", tree.display()))?;
    // The archive is large, and the package has it still.
    let _ = fs::remove_dir_all(&unpacked);
    Ok(tree)
}

/// A file of `dir` whose name begins and ends so.
fn find(dir: &Path, start: &str, end: &str) -> Option<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(dir).ok()?.flatten().map(|e| e.path()).collect();
    all.sort();
    all.into_iter().rfind(|p| {
        p.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(start) && n.to_string_lossy().ends_with(end))
    })
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or fails.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(e) => Err(format!("cannot start {name}: {e}")),
    }
}

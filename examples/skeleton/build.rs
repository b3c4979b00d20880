//! Skeletons: of the object that `main` uses, and of all others in the repository for the tests.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    // A source, `src/globals.bpf.c`, would be compiled by clang; this one has been.
    skep_build::skeleton("../globals/globals.bpf.o").unwrap_or_else(|e| panic!("{e}"));
    skep_build::skeleton("../../crates/object/tests/fixtures/variables.bpf.o")
        .unwrap_or_else(|e| panic!("{e}"));
    skep_build::Build::new()
        .record("told", "struct other")
        .skeleton("../../crates/object/tests/fixtures/kinds.bpf.o")
        .unwrap_or_else(|e| panic!("{e}"));
    all().unwrap_or_else(|e| panic!("{e}"));
}

/// A module of skeletons for each folder that has objects, to see that they compile.
fn all() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("all");
    let mut code = String::new();
    let mut folders = vec![PathBuf::from(".."), PathBuf::from("../../crates/object/tests/fixtures")];
    let mut number = 0;
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            std::fs::read_dir(&folder)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "o") && is_bpf(&path)? {
                number += 1;
                let to = out.join(number.to_string());
                std::fs::create_dir_all(&to)?;
                // What has no maps that can be read is refused.
                if let Ok(file) = skep_build::Build::new().out_dir(&to).skeleton(&path) {
                    writeln!(
                        code,
                        "pub mod object_{number} {{ include!({:?}); }}",
                        file.display().to_string()
                    )?;
                }
            }
        }
    }
    writeln!(code, "pub const COUNT: usize = {number};")?;
    std::fs::write(out.with_extension("rs"), code)?;
    Ok(())
}

/// Whether a file is for eBPF, in its ELF header.
fn is_bpf(path: &Path) -> std::io::Result<bool> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.get(18..20) == Some(&[247, 0]) || bytes.get(18..20) == Some(&[0, 247]))
}

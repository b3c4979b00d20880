//! skep's verifier beside the kernel's, on real objects: time, steps, states, memory.
//!
//! ```text
//! cargo xtask bench verify [--prevail] [--seconds N] [--all] [--rounds N] [FOLDER|OBJECT…]
//! ```
//!
//! Without a folder: the objects of this repository and, where `cargo xtask selftests` has left them, those of the kernel's
//! own tests. Each program is asked of both in one process, twice of one and twice of the other, and so on; medians count, of the
//! first of two questions (`time`: the other verifier, maps and the kernel's JIT had the caches meanwhile) and of the second
//! (`time, again`). The kernel's time is the one that it reports at log level 4 (`verification time`), of its verifier alone.
//! Only programs that both accept are compared.
//! `--all` prints a line for each of them.
//!
//! With `--prevail` (which `cargo xtask` builds, and follows with its path) PREVAIL's Rust port is asked about each program
//! that the kernel's verifier judged, the refused ones too, with at most so many seconds of processor time for each (60).
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod ask;
#[cfg(target_os = "linux")]
mod beside;
#[cfg(target_os = "linux")]
mod prevail;
#[cfg(target_os = "linux")]
mod row;
#[cfg(target_os = "linux")]
mod table;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: the kernel to compare with is Linux");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [flag, object, rounds] if flag == "--ask" => ask::object(object.as_ref(), rounds),
        [flag, object, program] if flag == "--memory" => ask::memory(object.as_ref(), program),
        args => linux::bench(args),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("verify: {why}");
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use skep_linux::LinuxBackend;

    use crate::row::{Row, Verdict};
    use crate::{beside, prevail, table};

    /// From this many instructions on, a program's memory is measured.
    const LARGE: u64 = 5_000;

    /// The folders that are looked through when none is named.
    fn usual() -> Vec<PathBuf> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let own = ["../../examples", "programs", "../object/tests/fixtures"];
        let mut folders: Vec<PathBuf> = own.iter().map(|f| here.join(f)).collect();
        folders.push(std::env::temp_dir().join("skep-selftests/objects"));
        folders
    }

    fn objects(path: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(path) else {
            if path.is_file() {
                found.push(path.to_owned());
            }
            return;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() || path.extension().is_some_and(|e| e == "o") {
                objects(&path, found);
            }
        }
    }

    fn child(args: &[&str]) -> Result<String, String> {
        let me = std::env::current_exe().map_err(|e| e.to_string())?;
        let out = Command::new(me).args(args).output().map_err(|e| e.to_string())?;
        if !out.status.success() {
            return Err(format!("{}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    pub fn bench(args: &[String]) -> Result<(), String> {
        let (mut all, mut rounds, mut folders) = (false, benches::ROUNDS, Vec::new());
        let (mut peer, mut seconds) = (None, 60);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--all" => all = true,
                "--rounds" => {
                    let n = args.next().and_then(|n| n.parse().ok());
                    rounds = n.ok_or("--rounds wants a number")?;
                }
                "--seconds" => {
                    let n = args.next().and_then(|n| n.parse().ok());
                    seconds = n.ok_or("--seconds wants a number")?;
                }
                "--prevail" => {
                    peer = Some(args.next().ok_or("--prevail wants the path of tests/prevail, built")?)
                }
                word if word.starts_with('-') => {
                    return Err(
                        "usage: verify [--prevail PATH] [--seconds N] [--all] [--rounds N] [FOLDER|OBJECT…]"
                            .into(),
                    );
                }
                folder => folders.push(PathBuf::from(folder)),
            }
        }
        let probe = LinuxBackend::probe();
        if !probe.is_yes() {
            println!("skipped: no kernel to compare with: {probe:?}");
            return Ok(());
        }
        let mut files = Vec::new();
        let folders = if folders.is_empty() { usual() } else { folders };
        folders.iter().for_each(|f| objects(f, &mut files));
        let mut rows = Vec::new();
        for file in &files {
            let Some(path) = file.to_str() else { continue };
            match child(&["--ask", path, &rounds.to_string()]) {
                Ok(lines) => rows.extend(lines.lines().filter_map(|l| Row::parse(path, l))),
                // An object that cannot be opened here, or that kills who asks: others are not the worse for it.
                Err(why) => eprintln!("{path}: {why}"),
            }
        }
        for row in rows.iter_mut().filter(|r| r.both() && r.skep.insns >= LARGE) {
            row.kib = child(&["--memory", &row.path, &row.program])?.trim().parse().ok();
        }
        if let Some(peer) = peer {
            for row in rows.iter_mut().filter(|r| r.kernel.verdict != Verdict::None) {
                row.prevail = Some(prevail::ask(peer.as_ref(), row, rounds, seconds)?);
            }
        }
        table::print(files.len(), &rows, all);
        if peer.is_some() {
            beside::print(&rows, all);
        }
        Ok(())
    }
}

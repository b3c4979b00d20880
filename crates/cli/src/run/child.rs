//! Ending a command that runs in a network namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Waits for a command to end by itself; when patience ends, kills it and all that it started: whatever is in its
/// network namespace.
pub fn end_child(child: &mut Child, patience: Duration) {
    let start = Instant::now();
    while start.elapsed() < patience {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(super::TICK);
    }
    let namespace = network_of(&child.id().to_string());
    // It may have ended by itself just now; then there is nothing to do.
    let _ = child.kill();
    if let Some(namespace) = namespace
        && network_of("self").is_some_and(|ours| ours != namespace)
    {
        for pid in processes_in(&namespace) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = child.wait();
}

/// The network namespace of a process, as a link that only its members share.
fn network_of(process: &str) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(process).join("ns/net")).ok()
}

fn processes_in(namespace: &Path) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let pid = Pid::from_raw(name.parse().ok()?)?;
            (network_of(&name)? == namespace).then_some(pid)
        })
        .collect()
}

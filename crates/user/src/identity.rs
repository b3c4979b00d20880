//! Where this process stands: its control groups and process id namespace. Read once, since a run may not open
//! files; a process that moves later is still told where it began.

/// What does not change while a process stays where it is.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// Ids of the control groups (version 2) from the root down to the process's own.
    pub(crate) cgroups: Vec<u64>,
    /// Device and inode of the process id namespace.
    pub(crate) pid_namespace: Option<(u64, u64)>,
}

impl Identity {
    /// Of this process; empty where the system does not say.
    pub(crate) fn of_process() -> Self {
        imp::identity()
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    use super::Identity;

    pub(super) fn identity() -> Identity {
        let ns = fs::metadata("/proc/self/ns/pid").ok();
        Identity {
            cgroups: cgroups().unwrap_or_default(),
            pid_namespace: ns.map(|m| (kernel_dev(m.dev()), m.ino())),
        }
    }

    /// The kernel's own `dev_t`, which programs are compared by: 12 bits of major above 20 of minor.
    fn kernel_dev(dev: u64) -> u64 {
        u64::from(libc::major(dev)) << 20 | u64::from(libc::minor(dev))
    }

    /// A group's id is the inode of its folder.
    fn cgroups() -> Option<Vec<u64>> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let root = mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let point = place.split(' ').nth(4)?;
            kind.starts_with("cgroup2 ").then(|| PathBuf::from(point))
        })?;
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let mut at = root;
        let mut ids = vec![fs::metadata(&at).ok()?.ino()];
        for part in Path::new(own).components() {
            at.push(part);
            ids.push(fs::metadata(&at).ok()?.ino());
        }
        Some(ids)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub(super) fn identity() -> super::Identity {
        super::Identity::default()
    }
}

//! The running kernel.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use skep_linux::{LinuxBackend, Probe, unprivileged};
use skep_spec::{BackendMap, BackendProgram, FieldKind, MapDef, ProgramSpec};

use super::{Answer, MapContents, Oracle, Privilege, Question, Verdict, drive};

/// `BPF_PROG_LOAD` and `BPF_PROG_TEST_RUN`.
pub struct Kernel;

impl Oracle for Kernel {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn available(&self) -> Result<(), String> {
        static PROBE: OnceLock<Probe> = OnceLock::new();
        match PROBE.get_or_init(LinuxBackend::probe).reason() {
            None => Ok(()),
            Some(why) => Err(why.into()),
        }
    }

    fn verdict(&self, spec: &ProgramSpec, privilege: Privilege) -> Verdict {
        match load(&Question::new(spec, privilege, &[])) {
            Ok(_) => Verdict::Accepted,
            Err(verdict) => verdict,
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        let (program, maps) = load(question)?;
        stay_on_one_cpu();
        let mut outcome = drive::run(&*program, &maps, question.inputs)?;
        for (def, contents) in question.spec.maps.iter().zip(&mut outcome.maps) {
            hide_lists(def, contents);
        }
        Ok(outcome)
    }
}

/// An empty list in a copy of a value is two addresses of the kernel.
fn hide_lists(def: &MapDef, contents: &mut MapContents) {
    for field in def.fields().all().iter().filter(|f| f.kind == FieldKind::ListHead) {
        for (_, value) in contents.iter_mut() {
            if let Some(bytes) = value.get_mut(field.off_bytes as usize..).and_then(|v| v.get_mut(..16)) {
                bytes.fill(0);
            }
        }
    }
}

/// Whose turn it is to stay on a CPU.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// Makes the turns of this process begin at `turn`: several processes then share the CPUs.
pub fn begin_turns_at(turn: usize) {
    TURN.store(turn, Ordering::Relaxed);
}

/// Keeps this thread on one CPU, threads in turn: per-CPU values of all its runs then belong to the same one.
#[cfg(target_os = "linux")]
fn stay_on_one_cpu() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    thread_local!(static DONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    if DONE.replace(true) {
        return;
    }
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut one = CpuSet::new();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&c| allowed.is_set(c)).collect();
    if !cpus.is_empty() {
        one.set(cpus[TURN.fetch_add(1, Ordering::Relaxed) % cpus.len()]);
        // Where it fails, per-CPU values may come out on several CPUs; tests then say so.
        let _ = sched_setaffinity(None, &one);
    }
}

#[cfg(not(target_os = "linux"))]
fn stay_on_one_cpu() {}

type Loaded = (Arc<dyn BackendProgram>, Vec<Arc<dyn BackendMap>>);

fn load(question: &Question<'_>) -> Result<Loaded, Verdict> {
    static BACKEND: OnceLock<LinuxBackend> = OnceLock::new();
    Kernel.available().map_err(Verdict::Skipped)?;
    let backend = BACKEND.get_or_init(LinuxBackend::new);
    let maps = drive::maps(backend, question.spec)?;
    let load = || {
        let program = drive::load(backend, question.spec, &maps, question.brief)?;
        drive::fill(&maps, question.insides, question.elements)?;
        drive::load_tails(backend, question.tails, &maps, question.brief)?;
        Ok(program)
    };
    let program = match question.privilege {
        Privilege::Privileged => load()?,
        Privilege::Unprivileged => {
            let _admitted = Admitted::new().map_err(Verdict::Skipped)?;
            unprivileged(load).map_err(|e| Verdict::Skipped(e.to_string()))??
        }
    };
    Ok((program, maps))
}

const SYSCTL: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

/// While it lives, the kernel admits programs of the unprivileged.
///
/// `kernel.unprivileged_bpf_disabled` goes from 2 to 0 and back to 2. 1 cannot be undone before the next
/// boot: it is never written, and where it stands there is nothing to be done.
pub struct Admitted {
    restore: bool,
    /// Other processes (files locked by `flock` until closed) …
    _file: fs::File,
    /// … and other threads wait.
    _thread: MutexGuard<'static, ()>,
}

impl Admitted {
    /// Waits until nobody else has one; a thread that has one must not ask for another.
    ///
    /// # Errors
    /// In words, when the sysctl cannot be read or written, or is 1.
    pub fn new() -> Result<Self, String> {
        static THREADS: Mutex<()> = Mutex::new(());
        let thread = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        let path = std::env::temp_dir().join("skep-unprivileged-bpf.lock");
        let file = fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        file.lock().map_err(|e| format!("{}: {e}", path.display()))?;
        let now = fs::read_to_string(SYSCTL).map_err(|e| format!("{SYSCTL}: {e}"))?;
        let restore = match now.trim() {
            "0" => false,
            "2" => {
                fs::write(SYSCTL, "0").map_err(|e| format!("{SYSCTL}: {e}"))?;
                true
            }
            other => return Err(format!("{SYSCTL} is {other}: the kernel admits no unprivileged programs")),
        };
        Ok(Self { restore, _file: file, _thread: thread })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.restore
            && let Err(e) = fs::write(SYSCTL, "2")
        {
            eprintln!("{SYSCTL} could not be set back to 2: {e}");
        }
    }
}

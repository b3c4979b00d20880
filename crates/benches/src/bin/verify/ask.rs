//! One object's programs, asked of both.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep::{Object, ProgramEntry, Target};
use skep_btf::Btf;
use skep_linux::LinuxBackend;
use skep_spec::{Environment, LoadOptions, ProgramSpec};
use skep_verifier::{Options, Verified, verify};

use crate::row::{Cost, Row, Verdict};

/// No more rounds once one program has taken this long.
const PATIENCE: Duration = Duration::from_secs(3);

struct Asked {
    object: Object,
    env: Environment,
    kernel: Arc<Btf>,
}

impl Asked {
    fn open(path: &Path) -> Result<Self, String> {
        let object = Object::open_for(path, &Target::running_kernel()).map_err(|e| e.to_string())?;
        let kernel = skep::read_btf(Path::new("/sys/kernel/btf/vmlinux"), None).map_err(|e| e.to_string())?;
        let kernel = Arc::new(kernel);
        let mut env = Environment::default();
        env.kernel_types = Some(Arc::clone(&kernel));
        env.cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        Ok(Self { object, env, kernel })
    }

    /// The program with the kernel's type that it belongs to.
    fn spec(&self, entry: &ProgramEntry) -> Option<ProgramSpec> {
        let mut spec = ProgramSpec::clone(entry.spec.as_ref().ok()?);
        if spec.attach_btf_id == 0
            && let Some((prefix, kind)) = spec.attach_kind()
            && let Some(target) = spec.attach_target.as_deref()
        {
            let found = self.kernel.find_by_name(Some(kind), &format!("{prefix}{target}"));
            spec.attach_btf_id = found.map_or(0, |id| id.0);
        }
        Some(spec)
    }

    fn skep(&self, spec: &ProgramSpec) -> (Duration, Option<Verified>) {
        let start = Instant::now();
        let verified = verify(spec, &self.env, &Options::default());
        (start.elapsed(), verified.ok())
    }
}

/// Prints a [`Row`] for each program.
pub fn object(path: &Path, rounds: &str) -> Result<(), String> {
    let rounds: usize = rounds.parse().map_err(|e| format!("{rounds}: {e}"))?;
    let asked = Asked::open(path)?;
    let linux = LinuxBackend::new();
    for entry in asked.object.programs() {
        let Some(spec) = asked.spec(entry) else { continue };
        let mut row = Row { section: entry.section.clone(), program: entry.name.clone(), ..Row::default() };
        // By the question's place in a row of two: the first one's, the second one's.
        let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        row.skep.verdict = Verdict::Refuses;
        let start = Instant::now();
        for _ in 0..rounds {
            for times in &mut ours {
                let (took, verified) = asked.skep(&spec);
                times.push(took.as_secs_f64() * 1e6);
                if let Some(verified) = verified {
                    let stats = verified.stats();
                    row.skep = Cost {
                        verdict: Verdict::Accepts,
                        insns: stats.insns_processed.into(),
                        total_states: stats.total_states.into(),
                        peak_states: stats.peak_states.into(),
                        ..Cost::default()
                    };
                }
            }
            for times in &mut theirs {
                row.kernel = kernel(&linux, &spec);
                times.push(row.kernel.micros);
            }
            if !row.both() || start.elapsed() > PATIENCE {
                break;
            }
        }
        let [skep, kernel] = [ours, theirs].map(|[first, again]| (median(first), median(again)));
        (row.skep.micros, row.skep.again) = skep;
        (row.kernel.micros, row.kernel.again) = kernel;
        println!("{row}");
    }
    Ok(())
}

/// Prints by how many KiB the peak of resident memory grows while one program is verified.
pub fn memory(path: &Path, program: &str) -> Result<(), String> {
    let asked = Asked::open(path)?;
    let entry = asked.object.programs().iter().find(|p| p.name == program);
    let spec = entry.and_then(|e| asked.spec(e)).ok_or("no such program")?;
    // Linux: the peak counts from here on.
    std::fs::write("/proc/self/clear_refs", "5").map_err(|e| format!("/proc/self/clear_refs: {e}"))?;
    let before = kib("VmHWM:")?;
    let verified = asked.skep(&spec);
    println!("{}", kib("VmHWM:")?.saturating_sub(before));
    drop(verified);
    Ok(())
}

fn kib(field: &str) -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let line = status.lines().find_map(|l| l.strip_prefix(field));
    let number = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
    number.ok_or_else(|| format!("/proc/self/status has no {field}"))
}

/// What the kernel says at log level 4.
fn kernel(linux: &LinuxBackend, spec: &ProgramSpec) -> Cost {
    let Ok(maps) = spec.maps.iter().map(|m| linux.create(m)).collect::<Result<Vec<_>, _>>() else {
        return Cost::default();
    };
    let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
    match linux.load_program(spec, &fds, LoadOptions { log_level: 4 }) {
        Ok(program) => cost(program.log()).unwrap_or_default(),
        // Who does not get to the verifier gets no words from it.
        Err(refused) if refused.log.is_empty() => Cost::default(),
        Err(_) => Cost { verdict: Verdict::Refuses, ..Cost::default() },
    }
}

/// The figures in the kernel's log of a program that it accepts.
fn cost(log: &str) -> Option<Cost> {
    let number = |after: &str| {
        let rest = log.split_once(after)?.1.trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    Some(Cost {
        verdict: Verdict::Accepts,
        micros: number("verification time")? as f64,
        insns: number("processed")?,
        total_states: number("total_states")?,
        peak_states: number("peak_states")?,
        ..Cost::default()
    })
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(0.0)
}

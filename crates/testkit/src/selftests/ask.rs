//! One object, asked program by program.
//!
//! Each program is loaded alone: another of the same object that is refused would hide it. Auxiliary programs are
//! loaded for runs alone, where they stand in program arrays.

use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use skep::{Object, Target};
use skep_abi::ProgramType;
use skep_btf::Btf;
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendMap, Environment, Errno, LoadOptions, ProgramSpec, RunInput};
use skep_user::{UserBackend, UserOptions};
use skep_verifier::{Options, verify};

use super::record::{Answer, Cost, Record};
use super::setup::{self, Rights};
use super::tags::{self, Expect, Mode, Retval, Tags};
use crate::oracle::kernel::Admitted;

/// The begin of a line that says which program comes next; others are records.
pub const BEGIN: &str = "begin\t";
/// The begin of a line that says why the object cannot be asked about.
pub const ERROR: &str = "error\t";

/// Asks about the programs of an object, from the `from`th question on. Each gives two lines: one when it begins, one
/// with the answers.
///
/// # Errors
/// When the object cannot be read or `out` not be written.
pub fn object(path: &Path, from: usize, out: &mut impl Write) -> Result<(), String> {
    let result = questions(path, from, out);
    if let Err(why) = &result {
        writeln!(out, "{ERROR}{}", why.replace('\n', " ")).map_err(|e| e.to_string())?;
    }
    result
}

fn questions(path: &Path, from: usize, out: &mut impl Write) -> Result<(), String> {
    let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let target = Target::running_kernel();
    let object = Object::open_for(path, &target).map_err(|e| e.to_string())?;
    let kernel = skep::read_btf(Path::new("/sys/kernel/btf/vmlinux"), None).map_err(|e| e.to_string())?;
    let kernel = Arc::new(kernel);
    let asked = Asked { file: &file, object: &object, kernel: &kernel, linux: LinuxBackend::new() };
    for (program, tags, unprivileged) in asked.questions().skip(from) {
        let mut record = Record {
            file: file.clone(),
            program: program.name.clone(),
            section: program.section.clone(),
            unprivileged,
            ..Record::default()
        };
        writeln!(out, "{BEGIN}{record}").and_then(|()| out.flush()).map_err(|e| e.to_string())?;
        match &program.spec {
            Ok(spec) => asked.answer(spec, &tags, &mut record),
            Err(e) => {
                record.expect = asked.mode(&tags, unprivileged).expect.map(|e| e == Expect::Success);
                record.skep = Answer::Unsupported(unusable(e));
            }
        }
        writeln!(out, "{record}").and_then(|()| out.flush()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Why an object's program cannot be used, without its place.
fn unusable(e: &skep::Error) -> String {
    let words = e.to_string();
    format!("loader: {}", words.rsplit_once(": ").map_or(words.as_str(), |(_, w)| w))
}

struct Asked<'a> {
    file: &'a str,
    object: &'a Object,
    kernel: &'a Arc<Btf>,
    linux: LinuxBackend,
}

impl<'a> Asked<'a> {
    /// Programs with their tags, and who loads them. Programs without tags are no tests, and asked about all the same.
    fn questions(&self) -> impl Iterator<Item = (&'a skep::ProgramEntry, Tags, bool)> + use<'a> {
        let btf = self.object.btf().cloned();
        let machine = std::env::consts::ARCH;
        self.object.programs().iter().flat_map(move |program| {
            let tags = btf.as_ref().and_then(|btf| tags::read(btf, &program.name));
            let is_test = tags.is_some();
            let tags = tags.unwrap_or_default();
            let here = tags.machines.is_empty() || tags.machines.iter().any(|m| m == machine);
            let asked = here && !tags.own_target && !tags.auxiliary;
            let privileged = !is_test || tags.privileged.expect.is_some();
            let unprivileged = is_test && tags.unprivileged.expect.is_some();
            [(privileged, false), (unprivileged, true)]
                .into_iter()
                .filter(move |&(wanted, _)| wanted && asked)
                .map(move |(_, who)| (program, tags.clone(), who))
        })
    }

    fn mode(&self, tags: &Tags, unprivileged: bool) -> Mode {
        if unprivileged { tags.unprivileged } else { tags.privileged }
    }

    fn answer(&self, spec: &ProgramSpec, tags: &Tags, record: &mut Record) {
        let mode = self.mode(tags, record.unprivileged);
        record.expect = mode.expect.map(|e| e == Expect::Success);
        let rights = if record.unprivileged { Rights::None } else { Rights::of_file(self.file) };
        let spec = self.prepared(spec, tags);
        (record.kernel, record.kernel_cost) = self.ask_kernel(&spec, rights);
        (record.skep, record.skep_cost) = ask_skep(&spec, rights, self.kernel);
        if let Some(expected) = mode.retval
            && !record.unprivileged
            && record.kernel == Answer::Accepted
        {
            record.returns = match record.skep {
                Answer::Accepted => self.compare_runs(&spec, expected),
                _ => "not run: skep does not accept it".into(),
            };
        }
    }

    /// The program with the flags of the test, first values, and the kernel's type that it hangs on.
    fn prepared(&self, spec: &ProgramSpec, tags: &Tags) -> ProgramSpec {
        let mut spec = spec.clone();
        let always = setup::TEST_RND_HI32 | setup::TEST_REG_INVARIANTS;
        spec.flags = (spec.flags | always | tags.set_flags) & !tags.clear_flags;
        for map in &mut spec.maps {
            if let Some(value) = setup::first_value(self.file, &map.name) {
                Arc::make_mut(map).initial = Some(value);
            }
        }
        if spec.attach_btf_id == 0 {
            spec.attach_btf_id = attach_point(&spec, self.kernel).unwrap_or(0);
        }
        spec
    }

    fn ask_kernel(&self, spec: &ProgramSpec, rights: Rights) -> (Answer, Cost) {
        let none = |why: String| (Answer::NoVerdictFor(why), Cost::default());
        let maps: Result<Vec<_>, _> = spec.maps.iter().map(|def| self.linux.create_map(def)).collect();
        let maps = match maps {
            Ok(maps) => maps,
            Err(e) => return none(e.to_string()),
        };
        let _admitted = match (rights == Rights::None).then(Admitted::new).transpose() {
            Ok(admitted) => admitted,
            Err(why) => return none(why),
        };
        // Statistics, and the last words of a refusal without the path to it.
        let options = LoadOptions { log_level: 4 };
        let loaded = match setup::with(rights, || self.linux.load(spec, &maps, options)) {
            Ok(loaded) => loaded,
            Err(why) => return none(why),
        };
        match loaded {
            Ok(program) => {
                let info = program.info();
                let micros = info.verify_time.map_or(0, |t| t.as_micros() as u64);
                (Answer::Accepted, Cost { insns: info.insns_processed, micros })
            }
            Err(e) => {
                let words = e.error.message;
                let reason = words.split_once("refuses it: ").map_or(words.as_str(), |(_, w)| w);
                // Some messages of the kernel do not end their line.
                let reason = reason.split("verification time").next().unwrap_or(reason).to_owned();
                let none = e.log.is_empty() || (e.error.errno == Errno::EPERM && rights != Rights::None);
                let answer = if none { Answer::NoVerdictFor(reason) } else { Answer::Refused(reason) };
                (answer, Cost { insns: processed(&e.log), micros: 0 })
            }
        }
    }

    /// Runs a program on both backends.
    fn compare_runs(&self, spec: &ProgramSpec, expected: Retval) -> String {
        let kernel = self.run(&self.linux, spec);
        let user =
            UserBackend::with_options(UserOptions { printk: Box::new(|_| {}), ..UserOptions::default() });
        let skep = catch_unwind(AssertUnwindSafe(|| self.run(&user, spec)))
            .unwrap_or_else(|_| Err("panicked".to_owned()));
        let as_expected = |n: u32| match expected {
            Retval::Number(wanted) => n == wanted,
            Retval::Any => true,
        };
        match (kernel, skep) {
            (Ok(_), Ok(_)) if expected == Retval::Any => "equal".into(),
            (Ok(k), Ok(s)) if k == s => format!("equal {k}"),
            // What the kernel's own run does not give as expected depends on the machine.
            (Ok(k), Ok(s)) if !as_expected(k) => format!("not run: the kernel gives {k}, skep {s}"),
            (Ok(k), Ok(s)) => format!("differs: kernel {k}, skep {s}"),
            (Err(e), _) => format!("not run: kernel: {e}"),
            (_, Err(e)) if ["not supported", "has no body"].iter().any(|w| e.contains(w)) => {
                format!("not run: skep: {}", e.split(": ").nth(1).unwrap_or(&e))
            }
            (Ok(k), Err(e)) => format!("differs: kernel {k}, skep: {e}"),
        }
    }

    fn run(&self, backend: &dyn Backend, spec: &ProgramSpec) -> Result<u32, String> {
        let mut maps: Vec<(String, Arc<dyn BackendMap>)> = Vec::new();
        let program = load(backend, spec, &mut maps)?;
        for slot in self.object.slots() {
            let Some(at) = maps.iter().position(|(name, _)| *name == slot.map.name) else { continue };
            match &slot.target {
                skep::SlotTarget::Program(name) => {
                    let tail = self.object.program(name).map_err(|e| e.to_string())?;
                    let tail = load(backend, tail, &mut maps)?;
                    maps[at].1.set_program(slot.index, &*tail).map_err(|e| e.to_string())?;
                }
                skep::SlotTarget::Map(name) => {
                    let inner = self.object.maps().iter().find(|m| m.name == *name);
                    let inner = inner.ok_or_else(|| format!("no map {name}"))?;
                    let inner = created(backend, inner, &mut maps)?;
                    maps[at].1.set_map(&slot.index.to_ne_bytes(), &*inner).map_err(|e| e.to_string())?;
                }
            }
        }
        let packet = [0; setup::PACKET_LEN];
        let data = if spec.prog_type == ProgramType::SYSCALL { &[][..] } else { &packet[..] };
        let input = RunInput { data, ctx: &[], repeat: 1 };
        program.test_run(input).map(|out| out.retval).map_err(|e| e.to_string())
    }
}

type Maps = Vec<(String, Arc<dyn BackendMap>)>;

fn created(
    backend: &dyn Backend,
    def: &Arc<skep_spec::MapDef>,
    maps: &mut Maps,
) -> Result<Arc<dyn BackendMap>, String> {
    if let Some((_, map)) = maps.iter().find(|(name, _)| *name == def.name) {
        return Ok(Arc::clone(map));
    }
    let map = backend.create_map(def).map_err(|e| e.to_string())?;
    maps.push((def.name.clone(), Arc::clone(&map)));
    Ok(map)
}

fn load(
    backend: &dyn Backend,
    spec: &ProgramSpec,
    maps: &mut Maps,
) -> Result<Arc<dyn skep_spec::BackendProgram>, String> {
    let own: Vec<_> = spec.maps.iter().map(|d| created(backend, d, maps)).collect::<Result<_, _>>()?;
    backend.load(spec, &own, LoadOptions::default()).map_err(|e| e.to_string())
}

/// Names of the running kernel's symbols.
pub fn symbols() -> Option<Arc<BTreeSet<String>>> {
    let text = std::fs::read_to_string("/proc/kallsyms").ok()?;
    let names = text.lines().filter_map(|line| line.split_whitespace().nth(2));
    Some(Arc::new(names.map(str::to_owned).collect()))
}

fn ask_skep(spec: &ProgramSpec, rights: Rights, kernel: &Arc<Btf>) -> (Answer, Cost) {
    let mut env = Environment::default();
    env.kernel_types = Some(Arc::clone(kernel));
    if spec.has_variables() {
        env.kernel_symbols = symbols();
    }
    env.capability = rights.capability();
    env.cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let options = Options { test_state_freq: spec.flags & setup::TEST_STATE_FREQ != 0, ..Options::default() };
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| verify(spec, &env, &options)));
    let micros = start.elapsed().as_micros() as u64;
    match result {
        Err(_) => (Answer::Died("panicked".into()), Cost { insns: 0, micros }),
        Ok(Ok(verified)) => (Answer::Accepted, Cost { insns: verified.stats().insns_processed, micros }),
        Ok(Err(r)) => {
            let cost = Cost { insns: r.stats().insns_processed, micros };
            let kfunc = spec.kfuncs.iter().find(|k| k.insn_off as usize == r.pc());
            let words = match kfunc {
                Some(kfunc) if r.is_unsupported() => {
                    format!("not supported yet: kernel function {}", kfunc.name)
                }
                _ => r.message().to_owned(),
            };
            (if r.is_unsupported() { Answer::Unsupported(words) } else { Answer::Refused(words) }, cost)
        }
    }
}

/// The function or type of the kernel that a program belongs to (`libbpf_find_attach_btf_id`).
pub(crate) fn attach_point(spec: &ProgramSpec, kernel: &Btf) -> Option<u32> {
    let (prefix, kind) = spec.attach_kind()?;
    let name = format!("{prefix}{}", spec.attach_target.as_deref()?);
    kernel.find_by_name(Some(kind), &name).map(|id| id.0)
}

/// `processed N insns` of a log.
fn processed(log: &str) -> u32 {
    let line = log.lines().rev().find_map(|l| l.strip_prefix("processed "));
    line.and_then(|l| l.split(' ').next()?.parse().ok()).unwrap_or(0)
}

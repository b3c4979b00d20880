//! The files of `tests/verdicts`: programs whose verdict Linux 6.18 and skep must agree on.
//!
//! The format stands in `tests/verdicts/README.md`. `BLESS=1` writes the running kernel's verdicts into the
//! files; without it the kernel, where there is one to ask, must confirm what the files say.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_abi::{AttachType, MapFlags, MapType, ProgramType};
use skep_btf::{Builder, IntEncoding, Kind, Type};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Insn, Op, Reg};
use skep_linux::LinuxBackend;
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_testkit::kernel::types as kernel_types;
use skep_testkit::{functions, objects};
use skep_verifier::{Options, verify};

/// Constants of this form in the assembled text stand for map references: index in bits 16–23, offset below.
const MAP_MARK: u64 = 0x5eed_0000_0000;
const VALUE_MARK: u64 = 0x5eee_0000_0000;
/// Lines that begin so call a function of the kernel, by its name.
const KERNEL_CALL: &str = "call bpf_";
/// Calls of helpers from this number on stand for them.
const KERNEL_MARK: i32 = 900_000;

/// And the addresses of variables of the kernel: the number of its type.
const VARIABLE_MARK: u64 = 0x5eef_0000_0000;
const VARIABLE: &str = " = variable ";

/// `BPF_F_TEST_STATE_FREQ`.
const TEST_STATE_FREQ: u32 = 1 << 3;

/// A map that nobody can change.
fn constants(initial: &[u8], value_size: u32, entries: u32) -> MapDef {
    MapDef {
        flags: MapFlags(MapFlags::RDONLY_PROG),
        initial: Some(initial.to_vec()),
        frozen: true,
        ..MapDef::new(MapType::ARRAY, 4, value_size, entries)
    }
}

/// `nr_cpu_ids` of this machine: one more than the largest number of a possible CPU.
fn cpus() -> u32 {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    text.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<u32>().ok()).map_or(1, |n| n + 1)
}

fn maps() -> Vec<Arc<MapDef>> {
    let maps = [
        MapDef::new(MapType::ARRAY, 4, 8, 1).named("array8"),
        MapDef::new(MapType::ARRAY, 4, 48, 1).named("array48"),
        MapDef::new(MapType::HASH, 8, 8, 16).named("hash8"),
        MapDef::new(MapType::PROG_ARRAY, 4, 4, 4).named("progs"),
        MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("ring"),
        MapDef::new(MapType::USER_RINGBUF, 0, 0, 4096).named("samples"),
        MapDef::new(MapType::QUEUE, 0, 8, 4).named("queue"),
        MapDef { flags: MapFlags(MapFlags::RDONLY_PROG), ..MapDef::new(MapType::STACK, 0, 8, 4) }
            .named("fixed_stack"),
        MapDef::new(MapType::PERCPU_ARRAY, 4, 8, 2).named("percpu"),
        MapDef::new(MapType::PERF_EVENT_ARRAY, 4, 4, 4).named("events"),
        MapDef::new(MapType::STACK_TRACE, 4, 64, 4).named("stacks"),
        constants(&[8, 0, 0, 0, 0, 0, 0, 0], 8, 1).named("rodata"),
        constants(b"a%d\0%s %lu\0%z\0", 16, 1).named("text"),
        constants(b"abcd", 4, 1).named("unended"),
        constants(b"abc", 4, 2).named("two"),
        locked(MapDef::new(MapType::ARRAY, 4, 16, 1)).named("locked"),
        locked(MapDef::new(MapType::HASH, 4, 16, 8)).named("lockedhash"),
        noticing(MapDef::new(MapType::ARRAY, 4, 16, 1)).named("reslocked"),
        noticing(MapDef::new(MapType::HASH, 4, 16, 8)).named("reslockedhash"),
        MapDef::new(MapType::PERCPU_HASH, 8, 8, 16).named("percpu8"),
        MapDef::new(MapType::PERCPU_ARRAY, 4, 8, 4).named("percpuarray8"),
        MapDef::new(MapType::LRU_HASH, 8, 8, 16).named("lru8"),
        MapDef { flags: MapFlags(MapFlags::NO_PREALLOC), ..MapDef::new(MapType::LPM_TRIE, 8, 8, 16) }
            .named("lpm8"),
        kept().named("kept"),
        storage(MapType::SK_STORAGE).named("sk_storage"),
        storage(MapType::TASK_STORAGE).named("task_storage"),
        storage(MapType::INODE_STORAGE).named("inode_storage"),
        storage(MapType::CGRP_STORAGE).named("cgrp_storage"),
        MapDef::new(MapType::CGROUP_STORAGE, 16, 8, 0).named("cgroup_storage"),
        MapDef::new(MapType::CGROUP_STORAGE, 8, 8, 0).named("cgroup_storage2"),
        MapDef::new(MapType::PERCPU_CGROUP_STORAGE, 16, 8, 0).named("percpu_cgroup_storage"),
        MapDef::new(MapType::SOCKMAP, 4, 4, 4).named("sockmap"),
        MapDef::new(MapType::SOCKHASH, 8, 8, 4).named("sockhash"),
        MapDef::new(MapType::REUSEPORT_SOCKARRAY, 4, 8, 4).named("sockarray"),
        MapDef::new(MapType::XSKMAP, 4, 4, 4).named("xskmap"),
        MapDef::new(MapType::DEVMAP, 4, 8, 4).named("devmap"),
        MapDef::new(MapType::DEVMAP_HASH, 4, 4, 4).named("devmap_hash"),
        MapDef::new(MapType::CPUMAP, 4, 4, 4).named("cpumap"),
        MapDef::new(MapType::CGROUP_ARRAY, 4, 4, 4).named("cgroups"),
        MapDef::new(MapType::BLOOM_FILTER, 0, 8, 4).named("bloom"),
        arena(4).named("arena"),
        arena(2).named("arena2"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, MapDef::new(MapType::ARRAY, 4, 16, 2)).named("arrays"),
        of_maps(MapType::HASH_OF_MAPS, 8, MapDef::new(MapType::HASH, 8, 16, 4)).named("hashes"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, flexible(MapDef::new(MapType::ARRAY, 4, 16, 2))).named("sized"),
        of_maps(MapType::HASH_OF_MAPS, 4, locked(MapDef::new(MapType::ARRAY, 4, 16, 1))).named("lockeds"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, MapDef::new(MapType::RINGBUF, 0, 0, 4096)).named("rings"),
        of_maps(
            MapType::ARRAY_OF_MAPS,
            4,
            MapDef { flags: MapFlags(MapFlags::RDONLY_PROG), ..MapDef::new(MapType::ARRAY, 4, 16, 2) },
        )
        .named("fixeds"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, constants(b"!", 8, 1)).named("frozens"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, kept()).named("kepts"),
        of_maps(MapType::ARRAY_OF_MAPS, 4, MapDef::new(MapType::PERCPU_ARRAY, 4, 16, 2)).named("percpus"),
    ];
    maps.into_iter().map(Arc::new).collect()
}

/// With values `struct { long n; struct bpf_timer t; struct task_struct *k; int m; }`, `k` untrusted.
fn kept() -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let timer = b.structure("bpf_timer", 16, &[("a", long, 0), ("b", long, 64)]);
    let task = b.structure("task_struct", 8, &[("a", long, 0)]);
    let name = b.name("kptr_untrusted");
    let tagged = b.add(Type::TypeTag { name, target: task, attribute: false });
    let kptr = b.ptr(tagged);
    let members = [("n", long, 0), ("t", timer, 64), ("k", kptr, 192), ("m", int, 256)];
    let value = b.structure("value", 40, &members);
    let btf = b.finish().expect("legal types");
    let def = MapDef::new(MapType::ARRAY, 4, 40, 1);
    MapDef { btf: Some(Arc::new(btf)), key_btf_id: int.0, value_btf_id: value.0, ..def }
}

/// What a map keeps with objects of the kernel: a `long` each.
fn storage(kind: MapType) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let btf = b.finish().expect("legal types");
    MapDef {
        flags: MapFlags(MapFlags::NO_PREALLOC),
        btf: Some(Arc::new(btf)),
        key_btf_id: int.0,
        value_btf_id: long.0,
        ..MapDef::new(kind, 4, 8, 0)
    }
}

/// An arena of some pages.
fn arena(pages: u32) -> MapDef {
    MapDef { flags: MapFlags(MapFlags::MMAPABLE), ..MapDef::new(MapType::ARENA, 0, 0, pages) }
}

/// A map of maps.
fn of_maps(kind: MapType, key_size: u32, inner: MapDef) -> MapDef {
    MapDef { inner: Some(Box::new(inner)), ..MapDef::new(kind, key_size, 4, 4) }
}

/// An array that may stand for one of another length.
fn flexible(def: MapDef) -> MapDef {
    MapDef { flags: MapFlags(MapFlags::INNER_MAP), ..def }
}

/// With values `struct { int n; struct bpf_spin_lock lock; long m; }`.
fn locked(def: MapDef) -> MapDef {
    with_lock(def, "bpf_spin_lock")
}

/// With values `struct { int n; struct bpf_res_spin_lock lock; long m; }`.
fn noticing(def: MapDef) -> MapDef {
    with_lock(def, "bpf_res_spin_lock")
}

fn with_lock(def: MapDef, name: &str) -> MapDef {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let lock = b.structure(name, 4, &[("val", int, 0)]);
    let value = b.structure("value", 16, &[("n", int, 0), ("lock", lock, 32), ("m", long, 64)]);
    let btf = b.finish().expect("legal types");
    MapDef { btf: Some(Arc::new(btf)), key_btf_id: int.0, value_btf_id: value.0, ..def }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Reject(String),
}

struct Case {
    name: String,
    prog_type: ProgramType,
    attach_type: Option<AttachType>,
    unprivileged: bool,
    /// A state is stored wherever paths may meet.
    every_state: bool,
    /// It needs the kernel's own types.
    kernel_types: bool,
    /// The program has the types of `skep_testkit::objects`, and their maps.
    objects: bool,
    expect: Option<Verdict>,
    differs: Option<String>,
    /// The functions' types, as [`functions::declare`] reads them.
    types: Option<String>,
    body: String,
}

impl Case {
    fn parse(text: &str, file: &Path) -> Self {
        let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
        let mut words = head.split(" [").map(|w| w.trim_end_matches(']'));
        let mut case = Self {
            name: words.next().unwrap_or_default().into(),
            prog_type: ProgramType::SOCKET_FILTER,
            attach_type: None,
            unprivileged: false,
            every_state: false,
            kernel_types: false,
            objects: false,
            expect: None,
            differs: None,
            types: None,
            body: String::new(),
        };
        for word in words {
            if word == "unprivileged" {
                case.unprivileged = true;
            } else if word == "every state" {
                case.every_state = true;
            } else if word == "objects" {
                case.objects = true;
            } else if word == "kernel types" {
                case.kernel_types = true;
            } else {
                let (kind, attach) = word.split_once(" under ").map_or((word, None), |(k, a)| (k, Some(a)));
                let known = ProgramType::by_name(kind);
                case.prog_type =
                    known.unwrap_or_else(|| panic!("{}: {head}: no type '{kind}'", file.display()));
                case.attach_type = attach.map(|a| {
                    let known = AttachType::by_name(a);
                    known.unwrap_or_else(|| panic!("{}: {head}: no attach type '{a}'", file.display()))
                });
            }
        }
        for line in rest.lines() {
            if let Some(verdict) = line.strip_prefix("expect: ") {
                case.expect = Some(match verdict.strip_prefix("reject") {
                    Some(message) => Verdict::Reject(message.trim().into()),
                    None => Verdict::Accept,
                });
            } else if let Some(why) = line.strip_prefix("differs: ") {
                case.differs = Some(why.to_owned());
            } else if let Some(types) = line.strip_prefix("types: ") {
                case.types = Some(types.to_owned());
            } else {
                case.body += &format!("{line}\n");
            }
        }
        case.body = case.body.trim_end().into();
        case
    }

    fn text(&self) -> String {
        let mut out = format!("== {}", self.name);
        let kind = self.prog_type.name().unwrap_or("?");
        match self.attach_type.and_then(AttachType::name) {
            Some(attach) => out += &format!(" [{kind} under {attach}]"),
            None if self.prog_type != ProgramType::SOCKET_FILTER => out += &format!(" [{kind}]"),
            None => {}
        }
        out += if self.unprivileged { " [unprivileged]" } else { "" };
        out += if self.every_state { " [every state]" } else { "" };
        out += if self.objects { " [objects]" } else { "" };
        out += if self.kernel_types { " [kernel types]\n" } else { "\n" };
        match &self.expect {
            Some(Verdict::Accept) => out += "expect: accept\n",
            Some(Verdict::Reject(why)) => out += &format!("expect: reject {why}\n"),
            None => {}
        }
        if let Some(why) = &self.differs {
            out += &format!("differs: {why}\n");
        }
        if let Some(types) = &self.types {
            out += &format!("types: {types}\n");
        }
        out + &self.body + "\n\n"
    }

    /// Whether it calls functions of the kernel, or has the address of a variable, whose numbers the running
    /// kernel's types give.
    fn calls_kernel(&self) -> bool {
        self.body.lines().any(|line| line.starts_with(KERNEL_CALL) || line.contains(VARIABLE))
    }

    /// Whether skep needs the running kernel's types.
    fn needs_kernel(&self) -> bool {
        self.kernel_types || self.objects || self.calls_kernel()
    }

    /// The program, with the maps that it names.
    fn spec(&self) -> Result<ProgramSpec, String> {
        let mut known = maps();
        let own = known.len();
        if self.objects {
            known.extend(objects::MAPS.iter().map(|name| Arc::new(MapDef::default().named(name))));
        }
        let types = objects::types().finish().map_err(|e| e.to_string())?;
        let mut text = String::new();
        let mut calls = Vec::new();
        for line in self.body.lines() {
            if line.starts_with(KERNEL_CALL) {
                text += &format!("call {}\n", KERNEL_MARK + calls.len() as i32);
                calls.push(&line["call ".len()..]);
                continue;
            }
            if let Some((reg, name)) = line.split_once(" = type ").filter(|_| self.objects) {
                let id = types.find_by_name(None, name).ok_or(format!("no type '{name}'"))?;
                text += &format!("{reg} = {}\n", id.0);
                continue;
            }
            if let Some((reg, name)) = line.split_once(VARIABLE) {
                let id = kernel_types().and_then(|types| {
                    [Kind::Var, Kind::Func].into_iter().find_map(|kind| types.find_by_name(Some(kind), name))
                });
                let id = id.ok_or(format!("no variable '{name}' in the kernel's types"))?;
                text += &format!("{reg} = {:#x} ll\n", VARIABLE_MARK | u64::from(id.0));
                continue;
            }
            let reference = [(" = map ", MAP_MARK), (" = value ", VALUE_MARK)]
                .into_iter()
                .find_map(|(sep, mark)| line.split_once(sep).map(|(reg, what)| (reg, what, mark)));
            match reference {
                None => text += &format!("{line}\n"),
                Some((reg, what, mark)) => {
                    let (name, off) = what.split_once('+').unwrap_or((what, "0"));
                    let index =
                        known.iter().position(|m| m.name == name).ok_or(format!("no map '{name}'"))?;
                    let off: u64 = off.parse().map_err(|e| format!("offset of '{what}': {e}"))?;
                    text += &format!("{reg} = {:#x} ll\n", mark | (index as u64) << 16 | off);
                }
            }
        }
        let mut insns = assemble(&text).map_err(|e| e.to_string())?;
        let mut described = ProgramSpec::new(self.prog_type, insns.clone());
        if self.objects {
            functions::describe_in(&mut described, objects::types());
            let btf = described.btf.as_ref().ok_or("no types")?;
            known.truncate(own);
            known.extend(objects::maps(btf).into_iter().map(Arc::new));
        }
        let mut used = Vec::new();
        let mut pc = 0;
        while pc < insns.len() {
            let slots = if insns[pc].is_wide() { 2 } else { 1 };
            if let Some(pair) = insns.get_mut(pc..pc + 2).filter(|pair| pair[0].is_wide()) {
                bind_map(pair, &known, &mut used)?;
            }
            pc += slots;
        }
        bind_calls(&mut insns, &calls)?;
        let env = Environment::default();
        let attach_types = env.program_type(self.prog_type).map_or(&[][..], |row| row.attach_types);
        let mut spec = ProgramSpec {
            name: "verdict".into(),
            maps: used,
            attach_type: self.attach_type.or(attach_types.first().copied()).unwrap_or_default(),
            flags: if self.every_state { TEST_STATE_FREQ } else { 0 },
            btf: described.btf,
            func_info: described.func_info,
            ..ProgramSpec::new(self.prog_type, insns)
        };
        if let Some(types) = &self.types {
            functions::declare(&mut spec, types)?;
        }
        functions::describe(&mut spec);
        Ok(spec)
    }
}

/// Turns marked calls into those of the kernel's functions.
fn bind_calls(insns: &mut [Insn], names: &[&str]) -> Result<(), String> {
    for insn in insns.iter_mut().filter(|insn| insn.opcode == 0x85 && insn.src.0 == 0) {
        let Some(name) = insn.imm.checked_sub(KERNEL_MARK).and_then(|i| names.get(i as usize)) else {
            continue;
        };
        let types = kernel_types().ok_or("the kernel's types are not there")?;
        let id = types.find_by_name(Some(Kind::Func), name).ok_or(format!("the kernel has no {name}"))?;
        *insn = Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32);
    }
    Ok(())
}

/// Turns a marked constant into a reference to a map of the program.
fn bind_map(pair: &mut [Insn], known: &[Arc<MapDef>], used: &mut Vec<Arc<MapDef>>) -> Result<(), String> {
    let value = u64::from(pair[0].imm as u32) | u64::from(pair[1].imm as u32) << 32;
    let mark = value & 0xffff_ff00_0000_0000 | value & 0xff_0000_0000;
    if pair[0].src.0 == 0 && value >> 32 == VARIABLE_MARK >> 32 {
        return replace(pair, Imm64::Variable { btf_id: value as i32, btf_fd: 0 });
    }
    if pair[0].src.0 != 0 || (mark != MAP_MARK && mark != VALUE_MARK) {
        return Ok(());
    }
    let def = &known[(value >> 16 & 0xff) as usize];
    if !used.iter().any(|m| Arc::ptr_eq(m, def)) {
        used.push(def.clone());
    }
    let idx = used.iter().position(|m| Arc::ptr_eq(m, def)).expect("just put there") as i32;
    let off_bytes = (value & 0xffff) as u32;
    let value = if mark == MAP_MARK { Imm64::MapIdx(idx) } else { Imm64::MapValueIdx { idx, off_bytes } };
    replace(pair, value)
}

fn replace(pair: &mut [Insn], value: Imm64) -> Result<(), String> {
    let (first, second) =
        Op::LoadImm64 { dst: pair[0].dst, value }.try_encode().map_err(|e| e.to_string())?;
    pair[0] = first;
    pair[1] = second.expect("LDDW takes two slots");
    Ok(())
}

/// The kernel's verdict; the message is the last line of the log before the summary.
fn ask_kernel(spec: &ProgramSpec, unprivileged: bool) -> Result<Verdict, String> {
    let backend = LinuxBackend::new();
    let maps = spec.maps.iter().map(|m| backend.create(m)).collect::<Result<Vec<_>, _>>();
    let maps = maps.map_err(|e| e.to_string())?;
    let load = || {
        let fds: Vec<_> = maps.iter().map(|m| m.as_fd()).collect();
        backend.load_program(spec, &fds, LoadOptions { log_level: 1 }).map(drop)
    };
    let result =
        if unprivileged { skep_linux::unprivileged(load).map_err(|e| e.to_string())? } else { load() };
    Ok(match result {
        Ok(()) => Verdict::Accept,
        Err(e) => {
            let said = |l: &&str| {
                !["processed ", "verification time", "stack depth"].iter().any(|p| l.starts_with(p))
                    && !l.trim().is_empty()
            };
            let last = e.log.lines().rfind(said).map(str::to_owned);
            Verdict::Reject(last.unwrap_or_else(|| e.error.to_string()))
        }
    })
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/verdicts");
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|f| f.expect("a readable folder").path())
        .filter(|f| f.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

fn cases(file: &Path) -> Vec<Case> {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    format!("\n{text}").split("\n== ").skip(1).map(|c| Case::parse(c, file)).collect()
}

/// The sysctl `kernel.unprivileged_bpf_disabled` at 0, put back when dropped.
struct AllowUnprivileged(String);

const SYSCTL: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

impl AllowUnprivileged {
    fn new() -> Option<Self> {
        let before = fs::read_to_string(SYSCTL).ok()?.trim().to_owned();
        (before == "0" || before == "2").then_some(())?;
        fs::write(SYSCTL, "0").ok()?;
        Some(Self(before))
    }
}

impl Drop for AllowUnprivileged {
    fn drop(&mut self) {
        if let Err(e) = fs::write(SYSCTL, &self.0) {
            eprintln!("{SYSCTL} could not be put back to {}: {e}", self.0);
        }
    }
}

#[test]
fn the_kernel_says_what_the_files_say() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return;
    }
    let unprivileged = AllowUnprivileged::new();
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let mut cases = cases(&file);
        for case in &mut cases {
            if case.unprivileged && unprivileged.is_none() {
                println!("skipped: {}: unprivileged loads cannot be allowed here", case.name);
                continue;
            }
            if case.needs_kernel() && kernel_types().is_none() {
                println!("skipped: {}: no types of the kernel", case.name);
                continue;
            }
            match case.spec().and_then(|s| ask_kernel(&s, case.unprivileged)) {
                Ok(found) if bless => case.expect = Some(found),
                Ok(found) if case.expect.as_ref() == Some(&found) => {}
                Ok(found) => wrong.push(format!("{}: kernel: {found:?}, file: {:?}", case.name, case.expect)),
                Err(why) => wrong.push(format!("{}: {why}", case.name)),
            }
        }
        if bless {
            let text: String = cases.iter().map(Case::text).collect();
            fs::write(&file, text.trim_end().to_owned() + "\n").expect("the file can be written");
        }
    }
    assert!(wrong.is_empty(), "{} verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn skep_says_what_the_files_say() {
    let mut wrong = Vec::new();
    let mut agreed = 0;
    for file in files() {
        for case in cases(&file) {
            let at = format!("{}: {}", file.file_name().unwrap_or_default().display(), case.name);
            let expect =
                case.expect.as_ref().unwrap_or_else(|| panic!("{at}: no expectation; run with BLESS=1"));
            if case.needs_kernel() && kernel_types().is_none() {
                println!("skipped: {at}: no types of the kernel");
                continue;
            }
            let spec = case.spec().unwrap_or_else(|e| panic!("{at}: {e}"));
            let mut env =
                if case.unprivileged { Environment::unprivileged() } else { Environment::default() };
            env.cpus = cpus();
            if case.needs_kernel() {
                env.kernel_types = kernel_types().cloned();
                if spec.has_variables() {
                    env.kernel_symbols = skep_testkit::selftests::ask::symbols();
                }
            }
            let options = Options { test_state_freq: case.every_state, ..Options::default() };
            let verdict = verify(&spec, &env, &options);
            let agrees = match (&verdict, expect, &case.differs) {
                (Ok(_), expect, None) => *expect == Verdict::Accept,
                (Err(r), expect, None) => *expect != Verdict::Accept && !r.is_unsupported(),
                (Ok(_), _, Some(_)) => false,
                (Err(r), expect, Some(_)) => r.is_unsupported() || *expect == Verdict::Accept,
            };
            match verdict {
                _ if agrees => agreed += 1,
                Ok(_) => wrong.push(format!("{at}: accepted; file: {expect:?}")),
                Err(r) => wrong.push(format!("{at}: insn {}: {}; file: {expect:?}", r.pc(), r.message())),
            }
        }
    }
    println!("{agreed} verdicts agree");
    assert!(wrong.is_empty(), "{} verdicts differ:\n{}", wrong.len(), wrong.join("\n"));
}

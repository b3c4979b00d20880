//! The files of `tests/verdicts`: programs whose verdict Linux 6.18 and skep must agree on.
//!
//! The format stands in `tests/verdicts/README.md`.

mod maps;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_abi::{AttachType, ProgramType};
use skep_btf::Kind;
use skep_isa::text::assemble;
use skep_isa::{Imm64, Insn, Op, Reg};
use skep_spec::{Environment, MapDef, ProgramSpec};

pub use crate::kernel::types as kernel_types;
use crate::{functions, objects};

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

/// `nr_cpu_ids` of this machine: one more than the largest number of a possible CPU.
pub fn cpus() -> u32 {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    text.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<u32>().ok()).map_or(1, |n| n + 1)
}

/// What Linux says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It loads.
    Accept,
    /// It does not, with the words of the log.
    Reject(String),
}

/// A program of a file, and what is expected.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its heading.
    pub name: String,
    prog_type: ProgramType,
    attach_type: Option<AttachType>,
    /// It is loaded without capabilities.
    pub unprivileged: bool,
    /// A state is stored wherever paths may meet.
    pub every_state: bool,
    /// It needs the kernel's own types.
    kernel_types: bool,
    /// The program has the types of `skep_testkit::objects`, and their maps.
    objects: bool,
    /// The kernel's verdict.
    pub expect: Option<Verdict>,
    /// Why skep says something else.
    pub differs: Option<String>,
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

    /// The case as the file has it.
    pub fn text(&self) -> String {
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
    pub fn needs_kernel(&self) -> bool {
        self.kernel_types || self.objects || self.calls_kernel()
    }

    /// The program, with the maps that it names.
    ///
    /// # Errors
    /// Text that is no program, or names that nothing has, in words.
    pub fn spec(&self) -> Result<ProgramSpec, String> {
        let mut known = maps::maps();
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

/// The files.
///
/// # Panics
/// Where the folder cannot be read.
pub fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/verdicts");
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|f| f.expect("a readable folder").path())
        .filter(|f| f.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    files
}

/// The cases of a file.
///
/// # Panics
/// Where it cannot be read, or a heading is none.
pub fn cases(file: &Path) -> Vec<Case> {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    format!("\n{text}").split("\n== ").skip(1).map(|c| Case::parse(c, file)).collect()
}

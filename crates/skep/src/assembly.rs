//! Assembly text as an object: its functions become programs, its `.map` lines maps.

use std::sync::Arc;

use skep_abi::{AttachType, MapFlags, MapType, ProgramType, SectionFlags};
use skep_isa::text::{Assembler, Assembly, Linked, MapDecl, RelocationKind};
use skep_isa::{CallTarget, Endian, Insn, Reg};
use skep_spec::{Environment, KfuncCall, MapDef, Pinning, ProgramSpec, SourceLine};

use crate::object::{Object, ProgramEntry, in_file};
use crate::{Error, ErrorKind};

/// `src` of an `LDDW` that names a map by its index in the program's list, and of one that names its value.
const MAP_IDX: Reg = Reg(5);
const MAP_IDX_VALUE: Reg = Reg(6);

/// Creation flags by the names of `linux/bpf.h`.
const FLAGS: &[(&str, u32)] = &[
    ("BPF_F_NO_PREALLOC", MapFlags::NO_PREALLOC),
    ("BPF_F_NO_COMMON_LRU", MapFlags::NO_COMMON_LRU),
    ("BPF_F_NUMA_NODE", MapFlags::NUMA_NODE),
    ("BPF_F_RDONLY", MapFlags::RDONLY),
    ("BPF_F_WRONLY", MapFlags::WRONLY),
    ("BPF_F_STACK_BUILD_ID", MapFlags::STACK_BUILD_ID),
    ("BPF_F_ZERO_SEED", MapFlags::ZERO_SEED),
    ("BPF_F_RDONLY_PROG", MapFlags::RDONLY_PROG),
    ("BPF_F_WRONLY_PROG", MapFlags::WRONLY_PROG),
    ("BPF_F_CLONE", MapFlags::CLONE),
    ("BPF_F_MMAPABLE", MapFlags::MMAPABLE),
    ("BPF_F_PRESERVE_ELEMS", MapFlags::PRESERVE_ELEMS),
    ("BPF_F_INNER_MAP", MapFlags::INNER_MAP),
];

/// Assembles a text.
///
/// # Errors
/// `Damaged` with file, line and column of what is no instruction, directive or known map word.
pub(crate) fn parse(file: &str, text: &str, env: &Environment) -> Result<Object, Error> {
    let (assembly, maps) = read(file, text, env)?;
    let license = assembly.license.clone().unwrap_or_default();
    let programs = assembly
        .programs()
        .map(|f| {
            let spec = program(file, text, &assembly, &f.name, &maps, &license, env).map(Arc::new);
            ProgramEntry { name: f.name.clone(), section: f.section.clone(), autoload: true, spec }
        })
        .collect();
    Ok(Object {
        name: file.to_owned(),
        programs,
        maps,
        slots: Vec::new(),
        btf: None,
        problems: Vec::new(),
        text: Some(text.into()),
        pin_root: None,
    })
}

/// Functions, and maps in the order of their lines.
fn read(file: &str, text: &str, env: &Environment) -> Result<(Assembly, Vec<Arc<MapDef>>), Error> {
    let kfunc = |name: &str| skep_abi::kfunc(name).map(|_| CallTarget::Kfunc { btf_id: 0, btf_idx: 0 });
    let target = |name: &str| env.helper_by_name(name).map(CallTarget::Helper).or_else(|| kfunc(name));
    let assembly = Assembler::new().with_names(&target).assemble(text).map_err(|e| {
        let place = format!("{file}:{}:{}", e.line(), e.column());
        let line = text.lines().nth((e.line() as usize).saturating_sub(1)).unwrap_or("");
        Error::new(ErrorKind::Damaged, format!("{place}: {}\n    {}", e.message(), line.trim_end()))
            .caused_by(e.clone())
    })?;
    let maps = assembly.maps.iter().map(|m| map(file, m).map(Arc::new)).collect::<Result<_, _>>()?;
    Ok((assembly, maps))
}

/// The text as an ELF object.
///
/// # Errors
/// As [`parse`]; what an object cannot hold.
pub(crate) fn to_elf(file: &str, text: &str, endian: Endian) -> Result<Vec<u8>, Error> {
    let (assembly, maps) = read(file, text, &Environment::default())?;
    skep_object::assemble(file, text, &assembly, &maps, endian).map_err(in_file)
}

fn map(file: &str, decl: &MapDecl) -> Result<MapDef, Error> {
    let bad = |what: String| {
        Error::new(ErrorKind::Damaged, format!("{file}:{}: map `{}`: {what}", decl.line, decl.name))
    };
    let short = decl.map_type.strip_prefix("BPF_MAP_TYPE_").unwrap_or(&decl.map_type).to_lowercase();
    let kind =
        MapType::by_name(&short).ok_or_else(|| bad(format!("there is no map type `{}`", decl.map_type)))?;
    let mut pinning = Pinning::None;
    for (word, value) in &decl.other {
        match (word.as_str(), value.as_str()) {
            ("pinning", "none") => pinning = Pinning::None,
            ("pinning", "by_name") => pinning = Pinning::ByName,
            ("pinning", other) => return Err(bad(format!("pinning is none or by_name, not `{other}`"))),
            _ => {
                return Err(bad(format!(
                    "`{word}=` is not supported; known are type, key, value, max_entries, flags, pinning"
                )));
            }
        }
    }
    let mut flags = 0;
    for flag in &decl.flags {
        let known = FLAGS.iter().find(|(name, _)| name == flag).map(|&(_, bits)| bits);
        let number = || match flag.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => flag.parse().ok(),
        };
        flags |= known.or_else(number).ok_or_else(|| bad(format!("there is no flag `{flag}`")))?;
    }
    let mut def = MapDef::new(kind, decl.key_size, decl.value_size, decl.max_entries).named(&decl.name);
    def.flags = MapFlags(flags);
    def.pinning = pinning;
    Ok(def)
}

/// The type that a section name stands for, and the flags that such programs are loaded with; code outside of any section is a socket filter.
fn program_type(
    section: &str,
    env: &Environment,
) -> Result<(ProgramType, AttachType, Option<String>, u32), String> {
    if section.is_empty() {
        return Ok((ProgramType::SOCKET_FILTER, AttachType::default(), None, 0));
    }
    let name = section.strip_prefix('?').unwrap_or(section);
    match env.section(name) {
        Some(row) => {
            let flag = |has, bit| if row.flags.has(has) { bit } else { 0 };
            let flags = flag(SectionFlags::SLEEPABLE, ProgramSpec::SLEEPABLE)
                | flag(SectionFlags::XDP_FRAGS, ProgramSpec::XDP_HAS_FRAGS);
            Ok((row.prog_type, row.attach_type, row.target.map(str::to_owned), flags))
        }
        None => Err(format!(
            "section `{section}` names no program type; `socket`, `xdp` and `syscall` do, and more in libbpf's list"
        )),
    }
}

fn program(
    file: &str,
    text: &str,
    assembly: &Assembly,
    name: &str,
    maps: &[Arc<MapDef>],
    license: &str,
    env: &Environment,
) -> Result<ProgramSpec, Error> {
    let fail = |what: String| Error::new(ErrorKind::Unsupported, format!("{file}: program `{name}`: {what}"));
    let section = assembly.function(name).map_or("", |f| &f.section);
    let (prog_type, attach_type, attach_target, flags) = program_type(section, env).map_err(fail)?;
    let mut linked =
        assembly.link(name).ok_or_else(|| fail("it calls a function that the text does not have".into()))?;
    let used = bind(&mut linked, maps).map_err(|missing| {
        Error::new(
            ErrorKind::Damaged,
            format!("{file}: program `{name}`: there is no `.map {missing}`, which it refers to"),
        )
    })?;
    let wanted = linked.relocations.iter().filter(|r| r.kind == RelocationKind::Kfunc);
    let kfuncs = wanted.map(|r| KfuncCall { insn_off: r.slot as u32, name: r.name.clone() }).collect();
    Ok(ProgramSpec {
        name: name.to_owned(),
        kfuncs,
        section: section.to_owned(),
        prog_type,
        attach_type,
        attach_target,
        flags,
        license: license.to_owned(),
        source_lines: source_lines(file, text, &linked),
        insns: linked.insns,
        maps: used,
        ..ProgramSpec::default()
    })
}

/// Puts map indices into the instructions that name maps; gives the maps in that order.
fn bind(linked: &mut Linked, maps: &[Arc<MapDef>]) -> Result<Vec<Arc<MapDef>>, String> {
    let mut used: Vec<Arc<MapDef>> = Vec::new();
    for r in linked.relocations.iter().filter(|r| r.kind != RelocationKind::Kfunc) {
        let def = maps.iter().find(|m| m.name == r.name).ok_or_else(|| r.name.clone())?;
        let index = used.iter().position(|m| Arc::ptr_eq(m, def)).unwrap_or_else(|| {
            used.push(Arc::clone(def));
            used.len() - 1
        });
        let is_value = r.kind == RelocationKind::MapValue;
        if let Some(insn) = linked.insns.get_mut(r.slot) {
            let src = if is_value { MAP_IDX_VALUE } else { MAP_IDX };
            *insn = Insn { src, imm: index as i32, ..*insn };
        }
    }
    Ok(used)
}

fn source_lines(file: &str, text: &str, linked: &Linked) -> Vec<(u32, SourceLine)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<(u32, SourceLine)> = Vec::new();
    for (slot, &line) in linked.lines.iter().enumerate() {
        if out.last().is_some_and(|(_, last)| last.line == line) {
            continue;
        }
        let whole = lines.get((line as usize).saturating_sub(1)).copied().unwrap_or("");
        let indent = (whole.len() - whole.trim_start().len()) as u32;
        let source = SourceLine {
            file: file.to_owned(),
            line,
            column: indent + 1,
            indent,
            text: whole.trim().to_owned(),
        };
        out.push((slot as u32, source));
    }
    out
}

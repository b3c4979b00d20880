//! From a file to programs.

use std::sync::Arc;

use skep_abi::{AttachType, MapFlags, MapType, ProgramType, SectionFlags, find_section, helper_by_name};
use skep_btf::{Builder, IntEncoding};
use skep_isa::text::{Assembler, Assembly, Linked, MapDecl, RelocationKind};
use skep_isa::{CallTarget, Insn};
use skep_spec::{KfuncCall, MapDef, ProgramSpec, SourceLine};

use crate::{functions, objects};

/// The programs of an assembly text.
///
/// # Errors
/// Words with the line of what cannot be assembled, or the name of a map that is missing or malformed.
pub fn assemble(text: &str) -> Result<Vec<ProgramSpec>, String> {
    let kfunc = |name: &str| skep_abi::kfunc(name).map(|_| CallTarget::Kfunc { btf_id: 0, btf_idx: 0 });
    let helper = |name: &str| helper_by_name(name).map(|h| CallTarget::Helper(h.id));
    let names = |name: &str| helper(name).or_else(|| kfunc(name));
    let numbered = number_types(text)?;
    let assembly = Assembler::new().with_names(&names).assemble(&numbered).map_err(|e| e.to_string())?;
    let mut maps: Vec<Arc<MapDef>> = Vec::new();
    for decl in &assembly.maps {
        maps.push(map(decl, &maps)?);
    }
    let lines: Vec<&str> = text.lines().collect();
    assembly
        .programs()
        .map(|f| {
            let linked =
                assembly.link(&f.name).ok_or_else(|| format!("`{}` calls what is missing", f.name))?;
            program(&assembly, &f.name, &f.section, &linked, &maps, &lines)
        })
        .collect()
}

/// Puts the numbers of the types of [`objects`] in the place of `type NAME`.
fn number_types(text: &str) -> Result<String, String> {
    if !text.contains(" = type ") {
        return Ok(text.into());
    }
    let types = objects::types().finish().map_err(|e| e.to_string())?;
    let line = |line: &str| match line.split_once(" = type ") {
        Some((reg, name)) if !line.trim_start().starts_with(';') => {
            let id = types.find_by_name(None, name.trim()).ok_or(format!("no type `{name}`"))?;
            Ok(format!("{reg} = {}\n", id.0))
        }
        _ => Ok(format!("{line}\n")),
    };
    text.lines().map(line).collect()
}

fn program(
    assembly: &Assembly,
    name: &str,
    section: &str,
    linked: &Linked,
    maps: &[Arc<MapDef>],
    text: &[&str],
) -> Result<ProgramSpec, String> {
    let mut insns: Vec<Insn> = linked.insns.clone();
    let mut kfuncs = Vec::new();
    for r in &linked.relocations {
        if r.kind == RelocationKind::Kfunc {
            kfuncs.push(KfuncCall { insn_off: r.slot as u32, name: r.name.clone() });
            continue;
        }
        let index = maps.iter().position(|m| m.name == r.name);
        let index = index.ok_or_else(|| format!("there is no `.map {}`", r.name))?;
        insns[r.slot].src.0 = if r.kind == RelocationKind::MapValue { 6 } else { 5 };
        insns[r.slot].imm = index as i32;
    }
    let (prog_type, attach_type) = match find_section(section) {
        Some(row) => (row.prog_type, row.attach_type),
        None if section.is_empty() => (ProgramType::SOCKET_FILTER, AttachType::UNSPEC),
        None => return Err(format!("section `{section}` says nothing about the program's type")),
    };
    let frags = find_section(section).is_some_and(|row| row.flags.has(SectionFlags::XDP_FRAGS));
    let line = |n: u32| SourceLine {
        file: "case".into(),
        line: n,
        column: 0,
        indent: 0,
        text: text.get(n as usize - 1).unwrap_or(&"").trim().into(),
    };
    let mut spec = ProgramSpec {
        name: name.into(),
        section: section.into(),
        attach_type,
        flags: if frags { ProgramSpec::XDP_HAS_FRAGS } else { 0 },
        license: assembly.license.clone().unwrap_or_else(|| "GPL".into()),
        maps: maps.to_vec(),
        kfuncs,
        source_lines: (0u32..).zip(&linked.lines).map(|(slot, &n)| (slot, line(n))).collect(),
        ..ProgramSpec::new(prog_type, insns)
    };
    if maps.iter().any(|m| m.btf.as_ref().is_some_and(|btf| btf.find_by_name(None, OBJECTS).is_some())) {
        // Pointers and lists are to objects of the very types that the program has.
        functions::describe_in(&mut spec, objects::types());
        let typed = |m: &Arc<MapDef>| match &m.btf {
            Some(_) => Arc::new(MapDef { btf: spec.btf.clone(), ..MapDef::clone(m) }),
            None => m.clone(),
        };
        spec.maps = maps.iter().map(typed).collect();
    }
    if functions::want_types(&spec) {
        functions::describe_callers(&mut spec);
    }
    Ok(spec)
}

/// A map; `before` are those that it may say it holds.
fn map(decl: &MapDecl, before: &[Arc<MapDef>]) -> Result<Arc<MapDef>, String> {
    let bad = |what: &str| format!("line {}: map `{}`: {what}", decl.line, decl.name);
    let kind = MapType::by_name(&decl.map_type).ok_or_else(|| bad("unknown type"))?;
    let mut def = MapDef::new(kind, decl.key_size, decl.value_size, decl.max_entries).named(&decl.name);
    for flag in &decl.flags {
        def.flags.0 |= flag_bits(flag).ok_or_else(|| bad(&format!("unknown flag `{flag}`")))?;
    }
    if kind.is_local_storage() {
        give_types(&mut def, None).ok_or_else(|| bad("no types fit"))?;
    }
    for (key, value) in &decl.other {
        match key.as_str() {
            "initial" => def.initial = Some(super::parse_bytes(value)?),
            "inner" => {
                let inner = before.iter().find(|m| m.name == *value);
                let inner = inner.ok_or_else(|| bad(&format!("no map `{value}` before it")))?;
                def.inner = Some(Box::new(MapDef { name: String::new(), ..MapDef::clone(inner) }));
            }
            "extra" => {
                let extra = super::bytes::parse_word(value);
                def.map_extra = extra.map_err(|_| bad(&format!("`extra={value}`: a number is wanted")))?;
            }
            "frozen" => def.frozen = value == "1",
            "lock" => {
                let off = value.parse().map_err(|_| bad(&format!("`lock={value}`: an offset is wanted")))?;
                give_types(&mut def, Some(off)).ok_or_else(|| bad(&format!("no lock fits at {off}")))?;
            }
            "fields" => {
                give_fields(&mut def, value)
                    .ok_or_else(|| bad(&format!("no type `{value}` of that size")))?;
            }
            _ => return Err(bad(&format!("unknown word `{key}=`"))),
        }
    }
    Ok(Arc::new(def))
}

/// A struct that only the types of [`objects`] have.
const OBJECTS: &str = "item";

/// A value of one of the types of [`objects`]; `None` when there is none of that name and size.
fn give_fields(def: &mut MapDef, name: &str) -> Option<()> {
    let btf = objects::types().finish().ok()?;
    let (key, value) = (btf.find_by_name(None, "int")?, btf.find_by_name(None, name)?);
    btf.size_of(value).filter(|size| *size == def.value_size)?;
    (def.key_btf_id, def.value_btf_id, def.btf) = (key.0, value.0, Some(Arc::new(btf)));
    Some(())
}

/// Types of keys and values, and a `struct bpf_spin_lock` at an offset of a value if one is said; `None` outside.
fn give_types(def: &mut MapDef, lock_off: Option<u32>) -> Option<()> {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
    // An array wants a number.
    let key = if def.key_size == 4 { int } else { b.structure("key", def.key_size, &[]) };
    let value = match lock_off {
        Some(off) => {
            let inside = off.checked_add(4).is_some_and(|end| end <= def.value_size);
            let bits = off.checked_mul(8).filter(|_| inside)?;
            b.structure("value", def.value_size, &[("lock", lock, bits)])
        }
        None => b.structure("value", def.value_size, &[]),
    };
    def.btf = Some(Arc::new(b.finish().ok()?));
    (def.key_btf_id, def.value_btf_id) = (key.0, value.0);
    Some(())
}

fn flag_bits(name: &str) -> Option<u32> {
    Some(match name {
        "BPF_F_NO_PREALLOC" => MapFlags::NO_PREALLOC,
        "BPF_F_RDONLY" => MapFlags::RDONLY,
        "BPF_F_WRONLY" => MapFlags::WRONLY,
        "BPF_F_RDONLY_PROG" => MapFlags::RDONLY_PROG,
        "BPF_F_WRONLY_PROG" => MapFlags::WRONLY_PROG,
        "BPF_F_MMAPABLE" => MapFlags::MMAPABLE,
        "BPF_F_ZERO_SEED" => MapFlags::ZERO_SEED,
        number => super::bytes::parse_word(number).ok().and_then(|n| u32::try_from(n).ok())?,
    })
}

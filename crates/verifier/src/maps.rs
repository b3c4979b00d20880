//! The maps that a program names, and whether it may (`check_map_prog_compatibility` and `resolve_pseudo_ldimm64`,
//! kernel/bpf/verifier.c, Linux 6.18). Maps that stand in its file but that no instruction names do not count.

use alloc::format;

use skep_abi::{Capability, MapFlags, MapType, ProgramType, Sleep};
use skep_isa::{Imm64, Op};
use skep_spec::{FieldKind, MapDef, ProgramSpec};

use crate::Code;
use crate::program::Program;
use crate::structure::{At, at};
use crate::violation::{Check, Explain, refuse, unsupported};

/// What a program has already of kinds that it may have one map of.
#[derive(Default)]
struct Seen {
    arena: Option<usize>,
    cgroup_storage: Option<usize>,
    per_cpu_cgroup_storage: Option<usize>,
}

/// Checks each map at the first instruction that names it. Says whether one is an arena.
pub(crate) fn usable(p: &Program<'_>) -> At<bool> {
    let mut seen = Seen::default();
    let mut named = alloc::vec![false; p.spec.maps.len()];
    for (pc, op) in p.ops.iter().enumerate() {
        let Some(Op::LoadImm64 { value, .. }) = op else { continue };
        let Some((idx, off)) = at(pc, named_by(p.spec, *value))? else { continue };
        if !core::mem::replace(&mut named[idx], true) {
            at(pc, map_is_usable(p, &mut seen, idx))?;
        }
        if let Some(off) = off {
            at(pc, has_value_at(&p.spec.maps[idx], off))?;
        }
    }
    Ok(seen.arena.is_some())
}

/// The map that an `LDDW` names, and the offset in its value if it names that.
fn named_by(spec: &ProgramSpec, value: Imm64) -> Check<Option<(usize, Option<u32>)>> {
    let (idx, off) = match value {
        Imm64::Const(_) | Imm64::Code(_) | Imm64::Variable { .. } => return Ok(None),
        Imm64::MapFd(fd) | Imm64::MapValueFd { fd, .. } => {
            let refusal = refuse(Code::BadMapReference, format!("fd {fd} is not pointing to valid bpf_map"));
            return refusal.explain(
                "a map of the program",
                "a file descriptor, which means nothing before the program is bound",
                "name the map by its index (src 5, or 6 for its value)",
            );
        }
        Imm64::MapIdx(idx) => (idx, None),
        Imm64::MapValueIdx { idx, off_bytes } => (idx, Some(off_bytes)),
    };
    match usize::try_from(idx).ok().filter(|i| *i < spec.maps.len()) {
        Some(idx) => Ok(Some((idx, off))),
        None => {
            let words = format!("map index {idx}: the program has {} maps", spec.maps.len());
            refuse(Code::BadMapReference, words)
        }
    }
}

/// The address of a map's only value, or of an arena's memory, can be loaded.
fn has_value_at(map: &MapDef, off: u32) -> Check<()> {
    let outside = |size: u64| {
        let words = format!("invalid access to map value pointer, value_size={size} off={off}");
        refuse(Code::BadMapReference, words)
    };
    match map.kind {
        // The address behind the last page is allowed (`arena_map_direct_value_addr`).
        MapType::ARENA if u64::from(off) <= u64::from(map.max_entries) * ARENA_PAGE => Ok(()),
        MapType::ARENA => outside(0),
        MapType::ARRAY if map.max_entries == 1 && off < map.value_size => Ok(()),
        MapType::ARRAY if map.max_entries == 1 => outside(map.value_size.into()),
        _ => {
            let words = "no direct value access support for this map type";
            refuse(Code::BadMapReference, words).explain(
                "an array map of one element",
                "another kind of map",
                "look the value up",
            )
        }
    }
}

/// Bytes of a page where arenas are made.
const ARENA_PAGE: u64 = 4096;

fn map_is_usable(p: &Program<'_>, seen: &mut Seen, idx: usize) -> Check<()> {
    let map = &p.spec.maps[idx];
    if map.kind == MapType::STRUCT_OPS {
        return refuse(Code::BadMapReference, "bpf_struct_ops map cannot be used in prog").explain(
            "a map that programs look into",
            format!("{} is a set of functions for the kernel to call", map.name),
            "keep what the functions share in a map of its own",
        );
    }
    let Some(row) = p.env.map_type(map.kind) else {
        let name = map.kind.name().unwrap_or("unknown");
        return unsupported(format!("map {}: map type {name}", map.name));
    };
    let legal = row.key.allows(map.key_size)
        && row.value.allows(map.value_size)
        && row.entries.allows(map.entries_on(p.env.cpus));
    if !legal {
        let words = format!(
            "map {}: key_size {} value_size {} max_entries {} are not legal for its type",
            map.name, map.key_size, map.value_size, map.max_entries
        );
        return refuse(Code::BadMapReference, words);
    }
    if map.flags.has(MapFlags::RDONLY_PROG | MapFlags::WRONLY_PROG) {
        let words = format!("map {}: both read-only and write-only for programs", map.name);
        return refuse(Code::BadMapReference, words);
    }
    fields_fit(map)?;
    if let Some(inner) = map.inner.as_deref() {
        fields_fit(inner)?;
    }
    fields_are_usable(p, idx)?;
    let sleeps =
        p.row.sleep_for(p.spec.attach_type) == Sleep::Always || p.spec.flags & ProgramSpec::SLEEPABLE != 0;
    if sleeps && !map.kind.sleepable() {
        let words = "Sleepable programs can only use array, hash, ringbuf and local storage maps";
        return refuse(Code::BadMapReference, words).explain(
            "a kind of map whose elements stay while a program sleeps",
            format!("map {} is a {}", map.name, map.kind.name().unwrap_or("map of unknown type")),
            "use another kind of map, or a program that does not sleep",
        );
    }
    only_one(p, seen, idx)
}

/// Linux would not make a map whose values have such fields.
fn fields_fit(map: &MapDef) -> Check<()> {
    let Some(wrong) = map.misplaced() else { return Ok(()) };
    let what = wrong.field.kind.name();
    refuse(Code::BadMapReference, format!("map {}: its values may have no {what}", map.name)).explain(
        wrong.required,
        format!(
            "a {what} at byte {} of a {}",
            wrong.field.off_bytes,
            map.kind.name().unwrap_or("map of unknown type")
        ),
        "use another kind of map, or take the field out",
    )
}

/// Who may not be kept waiting has no locks, and none of what needs them.
fn fields_are_usable(p: &Program<'_>, idx: usize) -> Check<()> {
    let who = match p.spec.prog_type {
        ProgramType::SOCKET_FILTER => "socket filter",
        ProgramType::KPROBE
        | ProgramType::TRACEPOINT
        | ProgramType::PERF_EVENT
        | ProgramType::RAW_TRACEPOINT
        | ProgramType::RAW_TRACEPOINT_WRITABLE => "tracing",
        _ => return Ok(()),
    };
    let fields = &p.fields[idx];
    let traces = who == "tracing";
    let what = if traces && (fields.has(FieldKind::ListHead) || fields.has(FieldKind::RbRoot)) {
        "bpf_{list_head,rb_root}"
    } else if fields.has(FieldKind::SpinLock) || fields.has(FieldKind::ResSpinLock) {
        "bpf_spin_lock"
    } else if traces && fields.has(FieldKind::Timer) {
        "bpf_timer"
    } else if traces && fields.has(FieldKind::Workqueue) {
        "bpf_wq"
    } else {
        return Ok(());
    };
    refuse(Code::BadMapReference, format!("{who} progs cannot use {what} yet")).explain(
        format!("maps whose values have no {what}"),
        format!("the values of {} have one", p.spec.maps[idx].name),
        "use another program type, or a map of its own for them",
    )
}

/// Of an arena and of each storage of control groups a program has one.
fn only_one(p: &Program<'_>, seen: &mut Seen, idx: usize) -> Check<()> {
    let map = &p.spec.maps[idx];
    let (have, words) = match map.kind {
        MapType::ARENA => (&mut seen.arena, "Only one arena per program"),
        MapType::CGROUP_STORAGE => {
            (&mut seen.cgroup_storage, "only one cgroup storage of each type is allowed")
        }
        MapType::PERCPU_CGROUP_STORAGE => {
            (&mut seen.per_cpu_cgroup_storage, "only one cgroup storage of each type is allowed")
        }
        _ => return Ok(()),
    };
    if let Some(before) = have.replace(idx) {
        return refuse(Code::BadMapReference, words).explain(
            "one map of this kind",
            format!("the program uses {} as well as {}", p.spec.maps[before].name, map.name),
            "keep both in one map",
        );
    }
    if map.kind == MapType::ARENA && p.env.capability < Capability::Perfmon {
        let words = "CAP_BPF and CAP_PERFMON are required to use arena";
        return refuse(Code::NotPermitted, words);
    }
    Ok(())
}

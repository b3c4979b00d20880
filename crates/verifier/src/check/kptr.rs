//! Pointers to objects that map values and objects keep: what they are for, loads and stores of them, exchanges
//! (`check_map_kptr_access`, `map_kptr_match_type`, `process_kptr_func`, Linux 6.18).

use alloc::format;

use skep_btf::{Kind as BtfKind, Type};
use skep_isa::{Operand, Reg};
use skep_spec::{Field, FieldKind};

use super::memory::unmodified;
use super::memory::{Intent, Target};
use crate::Code;
use crate::contract::Returned;
use crate::kernel::{self, Loaded};
use crate::program::Program;
use crate::state::{Kind, Marks, State, type_name};
use crate::violation::{Check, Explain, refuse, unsupported};

/// Whose type a pointer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pointee {
    /// A structure of the kernel.
    Kernel(u32),
    /// A structure of the program's own.
    Own(u32),
}

/// Structures of the kernel that stay for a while when nobody owns them any more (`rcu_protected_types`).
const STAY: &[&str] = &["prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"];

/// Structures of the kernel that map values may own (`btf_find_dtor_kfunc`).
const OWNED: &[&str] = STAY;

/// What a pointer field is for (`btf_parse_kptr`): a structure of the kernel, if it has one of the name.
pub(super) fn pointee(p: &Program<'_>, at: Reg, s: &State, field: &Field) -> Check<Pointee> {
    let btf = match s.reg(at).kind {
        Kind::MapValue(map) => p.map(map).btf.as_deref(),
        _ => p.spec.btf.as_deref(),
    };
    let Some(btf) = btf else { return refuse(Code::BadArgument, format!("R{} has no valid kptr", at.0)) };
    let (name, kind) = match btf.ty(field.of) {
        Some(Type::Union { name, .. }) => (btf.str(*name), BtfKind::Union),
        Some(t) => (btf.str(t.name()), BtfKind::Struct),
        None => ("", BtfKind::Struct),
    };
    let types = kernel::of(p)?;
    if let Some(id) = types.by_name(kind, name) {
        if field.kind == FieldKind::Kptr && !OWNED.contains(&name) {
            let words = format!("kptr to struct {name}, which map values cannot own");
            return refuse(Code::BadMapReference, words).explain(
                "a structure of the kernel that has a function which drops it, or one of the program's own",
                format!("struct {name} has none"),
                "declare the pointer __kptr_untrusted",
            );
        }
        return Ok(Pointee::Kernel(id));
    }
    let own = match s.reg(at).kind {
        Kind::MapValue(map) => p.has_types_of(map),
        _ => true,
    };
    if !own {
        return unsupported(format!("a {} to struct {name} of another object's types", field.kind.name()));
    }
    Ok(Pointee::Own(field.of.0))
}

/// A load or a store of a pointer in a map value.
pub(super) fn access(p: &Program<'_>, s: &State, base: Reg, field: &Field, intent: Intent) -> Check<Target> {
    let name = field.kind.name();
    let loaded = match intent {
        Intent::Load => loaded(p, s, base, field)?,
        Intent::Store(src) => {
            if field.kind == FieldKind::Uptr {
                return refuse(Code::ForbiddenAccess, "store to uptr disallowed");
            }
            if field.kind != FieldKind::KptrUntrusted {
                return refuse(Code::ForbiddenAccess, "store to referenced kptr disallowed").explain(
                    "an exchange, so that what was there is not lost",
                    format!("a store to the {name} at {}", field.off_bytes),
                    "use bpf_kptr_xchg",
                );
            }
            match src {
                Operand::Imm(0) => {}
                Operand::Imm(_) => {
                    let at = field.off_bytes;
                    let words = format!("BPF_ST imm must be 0 when storing to kptr at off={at}");
                    return refuse(Code::ForbiddenAccess, words);
                }
                Operand::Reg(src) if s.reg(src).is_null() => {}
                Operand::Reg(src) => fits(p, s, base, field, src)?,
            }
            Loaded::NUMBER
        }
        _ => {
            let words = "kptr in map can only be accessed using BPF_MEM instruction mode";
            return refuse(Code::ForbiddenAccess, words);
        }
    };
    Ok(Target::Field { kind: field.kind, loaded })
}

/// What a load gives (`btf_ld_kptr_type`).
fn loaded(p: &Program<'_>, s: &State, base: Reg, field: &Field) -> Check<Loaded> {
    if field.kind == FieldKind::Uptr {
        let Kind::MapValue(map) = s.reg(base).kind else { return Ok(Loaded::NUMBER) };
        let size = p.map(map).btf.as_deref().and_then(|btf| btf.size_of(field.of)).unwrap_or(0);
        return Ok(Loaded { kind: Kind::Mem { size, ringbuf: false, writable: true }, nullable: true });
    }
    let pointee = pointee(p, base, s, field)?;
    let stays = match (field.kind, pointee) {
        (FieldKind::PercpuKptr, _) => true,
        (FieldKind::Kptr, Pointee::Own(_)) => true,
        (FieldKind::Kptr, Pointee::Kernel(id)) => STAY.contains(&kernel::of(p)?.name(id)),
        _ => false,
    };
    if !stays || !p.in_rcu(s) {
        return Ok(pointer(pointee, Marks::UNTRUSTED));
    }
    let mut marks = match (field.kind, pointee) {
        (FieldKind::PercpuKptr, _) => Marks::RCU | Marks::PER_CPU,
        (_, Pointee::Own(_)) => Marks::RCU | Marks::ALLOC,
        (_, Pointee::Kernel(_)) => Marks::RCU,
    };
    if let Pointee::Own(id) = pointee
        && p.object_fields(id).is_some_and(|f| f.all().iter().any(|f| f.kind.is_node()))
    {
        marks = marks | Marks::NON_OWNING;
    }
    Ok(pointer(pointee, marks))
}

fn pointer(pointee: Pointee, marks: Marks) -> Loaded {
    let kind = match pointee {
        Pointee::Kernel(id) => Kind::Btf { id, marks },
        Pointee::Own(id) => Kind::Local { id, marks },
    };
    Loaded { kind, nullable: true }
}

/// The pointer in a register is one that the field may hold.
pub(super) fn fits(p: &Program<'_>, s: &State, base: Reg, field: &Field, src: Reg) -> Check<()> {
    let value = s.reg(src);
    let wanted = pointee(p, base, s, field)?;
    let untrusted_ok = field.kind == FieldKind::KptrUntrusted;
    let per_cpu = field.kind == FieldKind::PercpuKptr;
    let (marks, legal) = match value.kind {
        Kind::Btf { marks, .. } => {
            let legal = Marks::TRUSTED | Marks::RCU;
            (marks, if untrusted_ok { legal | Marks::UNTRUSTED } else { legal })
        }
        Kind::Local { marks, .. } => {
            (marks, if per_cpu { Marks::ALLOC | Marks::PER_CPU } else { Marks::ALLOC })
        }
        _ => return wrong(p, s, field, wanted, src, false),
    };
    if marks.without(legal) != Marks::NONE || per_cpu != marks.has(Marks::PER_CPU) {
        return wrong(p, s, field, wanted, src, false);
    }
    if value.val.as_const() != Some(0) || value.off < 0 {
        unmodified(s, src)?;
    }
    let same = match (value.kind, wanted) {
        (Kind::Btf { id, .. }, Pointee::Kernel(want)) => {
            (value.off == 0 && id == want)
                || (untrusted_ok && kernel::of(p)?.contains(id, value.off as u32, want))
        }
        (Kind::Local { id, .. }, Pointee::Own(want)) => value.off == 0 && id == want,
        _ => false,
    };
    if same { Ok(()) } else { wrong(p, s, field, wanted, src, true) }
}

#[cold]
fn wrong<T>(p: &Program<'_>, s: &State, field: &Field, wanted: Pointee, src: Reg, named: bool) -> Check<T> {
    let value = s.reg(src);
    let name_of = |pointee| match pointee {
        Pointee::Kernel(id) => kernel::of(p).map(|k| k.name(id)).unwrap_or("?"),
        Pointee::Own(id) => p.object_name(id),
    };
    let is = match value.kind {
        Kind::Btf { id, .. } if named => name_of(Pointee::Kernel(id)),
        Kind::Local { id, .. } if named => name_of(Pointee::Own(id)),
        _ => "",
    };
    let (of, ty) = (name_of(wanted), type_name(value));
    let mut words = format!("invalid kptr access, R{} type={ty}{is} expected=ptr_{of}", src.0);
    if field.kind == FieldKind::KptrUntrusted {
        words.push_str(&format!(" or untrusted_ptr_{of}"));
    }
    refuse(Code::BadArgument, words).explain(
        format!("a pointer to struct {of}, as the {} at {} is declared", field.kind.name(), field.off_bytes),
        format!("r{} is a {ty}{is}", src.0),
        "store the object itself, in a field of its type",
    )
}

/// Where `bpf_kptr_xchg` exchanges: a pointer that owns what it points to (`process_kptr_func`).
pub(super) fn place(p: &Program<'_>, s: &State, reg: Reg) -> Check<Field> {
    let value = s.reg(reg);
    if let Kind::MapValue(map) = value.kind
        && (p.map(map).btf.is_none() || p.map(map).value_btf_id == 0)
    {
        let words = format!("map '{}' has to have BTF in order to use bpf_kptr_xchg", p.map(map).name);
        return refuse(Code::BadArgument, words);
    }
    let Some(var) = value.val.as_const() else {
        let words = format!("R{} doesn't have constant offset. kptr has to be at the constant offset", reg.0);
        return refuse(Code::BadArgument, words);
    };
    let fields = p.fields_of(value).filter(|f| f.bad().is_none());
    let is_kptr = |f: &&Field| f.kind.is_pointer() && f.kind != FieldKind::Uptr;
    let Some(fields) = fields.filter(|f| f.all().iter().any(|f| is_kptr(&f))) else {
        return refuse(Code::BadArgument, format!("R{} has no valid kptr", reg.0));
    };
    let off = i64::from(value.off).wrapping_add(var as i64);
    let at = u32::try_from(off).ok().and_then(|off| fields.at(off)).filter(is_kptr);
    let Some(field) = at else {
        return refuse(Code::ForbiddenAccess, format!("off={off} doesn't point to kptr"));
    };
    if field.kind == FieldKind::KptrUntrusted {
        return refuse(Code::ForbiddenAccess, format!("off={off} kptr isn't referenced kptr"));
    }
    Ok(*field)
}

/// What an exchange gives.
pub(super) fn exchanged(p: &Program<'_>, s: &State, reg: Reg, field: &Field) -> Check<Returned> {
    Ok(match pointee(p, reg, s, field)? {
        Pointee::Kernel(id) => Returned::Object { id, marks: Marks::NONE, nullable: true },
        Pointee::Own(id) => {
            let per_cpu = if field.kind == FieldKind::PercpuKptr { Marks::PER_CPU } else { Marks::NONE };
            Returned::Local { id, marks: Marks::ALLOC | per_cpu, off: 0, nullable: true }
        }
    })
}

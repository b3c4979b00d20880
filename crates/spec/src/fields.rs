//! Fields that only helpers and functions of the kernel may touch, found by their types: in a map's values, and in the
//! objects that programs allocate (`btf_parse_fields` in kernel/bpf/btf.c, Linux 6.18).
//!
//! Idea: walk the members of a struct, or the variables of a section, and what is in structs in them. A struct of a
//! known name is a field; a pointer to a struct that carries one tag is one. As in the kernel, a typedef, a qualified
//! type and what is in a union is none, and one field that is not as it must be leaves the type without any.

use alloc::vec::Vec;
use core::fmt;

use skep_btf::{Btf, Kind, Type, TypeId};

use crate::MapDef;

/// Structs in structs that are looked into (`MAX_RESOLVE_DEPTH`).
const DEPTH: u32 = 32;
/// Fields that a type may have (`BTF_FIELDS_MAX`).
const MOST: usize = 11;

/// Bytes of a `struct bpf_spin_lock`.
pub const SPIN_LOCK_SIZE: u32 = 4;

macro_rules! kinds {
    ($($id:ident $name:literal $size:literal $align:literal $once:literal $doc:literal,)*) => {
        /// What a field is (`enum btf_field_type`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FieldKind { $(#[doc = $doc] $id,)* }

        impl FieldKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// The kernel's word for it: of a struct its name (`btf_field_type_name`).
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// Bytes.
            pub const fn size(self) -> u32 {
                match self { $(Self::$id => $size,)* }
            }

            /// Its offset is a multiple of this, in bytes.
            const fn align(self) -> u32 {
                match self { $(Self::$id => $align,)* }
            }

            /// A type has one at most.
            const fn once(self) -> bool {
                match self { $(Self::$id => $once,)* }
            }
        }
    };
}

// Each row becomes a variant and an arm of each function: name, bytes, alignment, whether there is one at most.
kinds! {
    SpinLock "bpf_spin_lock" 4 4 true "A spin lock.",
    ResSpinLock "bpf_res_spin_lock" 4 4 true "A spin lock that notices deadlocks.",
    Timer "bpf_timer" 16 8 true "A timer.",
    Workqueue "bpf_wq" 16 8 true "Work that is done later, where it may sleep.",
    TaskWork "bpf_task_work" 8 8 true "Work that a task does when it returns to its own code.",
    ListHead "bpf_list_head" 16 8 false "A list of objects.",
    ListNode "bpf_list_node" 24 8 false "What makes an object a member of a list.",
    RbRoot "bpf_rb_root" 16 8 false "A sorted tree of objects.",
    RbNode "bpf_rb_node" 32 8 false "What makes an object a member of a tree.",
    Refcount "bpf_refcount" 4 4 true "How many own an object.",
    KptrUntrusted "kptr" 8 8 false "A pointer to an object of the kernel that may be gone.",
    Kptr "kptr" 8 8 false "A pointer to an object, which it owns.",
    PercpuKptr "percpu_kptr" 8 8 false "The same, to an object of which each CPU has one.",
    Uptr "uptr" 8 8 false "A pointer to memory that a process shares.",
}

/// Tags on what a pointer points to, and what the pointer is then.
const POINTERS: &[(&str, FieldKind)] = &[
    ("kptr_untrusted", FieldKind::KptrUntrusted),
    ("kptr", FieldKind::Kptr),
    ("percpu_kptr", FieldKind::PercpuKptr),
    ("uptr", FieldKind::Uptr),
];

impl FieldKind {
    /// A pointer, which programs may load and store whole.
    pub const fn is_pointer(self) -> bool {
        matches!(self, Self::KptrUntrusted | Self::Kptr | Self::PercpuKptr | Self::Uptr)
    }

    /// A list or a tree, which objects are put into.
    pub const fn is_root(self) -> bool {
        matches!(self, Self::ListHead | Self::RbRoot)
    }

    /// What makes an object a member of a list or a tree.
    pub const fn is_node(self) -> bool {
        matches!(self, Self::ListNode | Self::RbNode)
    }

    /// What the members of a list or a tree have.
    const fn node(self) -> Self {
        if matches!(self, Self::ListHead) { Self::ListNode } else { Self::RbNode }
    }

    /// A lock.
    pub const fn is_lock(self) -> bool {
        matches!(self, Self::SpinLock | Self::ResSpinLock)
    }
}

/// A field that the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is.
    pub kind: FieldKind,
    /// Offset in the value or object.
    pub off_bytes: u32,
    /// Of a pointer, a list and a tree: the structure that it is for, in the types that the field is from.
    pub of: TypeId,
    /// Of a list and a tree: where its members have their node.
    pub node_off: u32,
}

/// Where fields are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldPlace {
    /// A map's values.
    Value,
    /// Objects that programs allocate.
    Object,
}

impl FieldPlace {
    /// Whether a field of the kind is one there.
    const fn has(self, kind: FieldKind) -> bool {
        match kind {
            FieldKind::SpinLock
            | FieldKind::ResSpinLock
            | FieldKind::ListHead
            | FieldKind::RbRoot
            | FieldKind::Refcount
            | FieldKind::KptrUntrusted
            | FieldKind::Kptr
            | FieldKind::PercpuKptr => true,
            FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork | FieldKind::Uptr => {
                matches!(self, Self::Value)
            }
            FieldKind::ListNode | FieldKind::RbNode => matches!(self, Self::Object),
        }
    }
}

/// Why the kernel takes no types with such a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadField {
    /// There is more than one (`E2BIG`).
    Several(FieldKind),
    /// There are more than 11, or they are nested too deep (`E2BIG`).
    TooMany,
    /// Two overlap (`EEXIST`).
    Overlap(FieldKind),
    /// An array of what there may be one of, or of nodes (`EINVAL`).
    Repeated(FieldKind),
    /// A pointer with a tag of another meaning, with several, or to something else than a struct (`EINVAL`).
    Pointer,
    /// A list or tree without one tag `contains:STRUCT:MEMBER` (`EINVAL`).
    NoContains(FieldKind),
    /// The tag names no struct, or not its node (`ENOENT`, `EINVAL`).
    WrongContains(FieldKind),
    /// A list or tree without a lock (`EINVAL`).
    NoLock,
    /// Locks of both kinds (`EINVAL`).
    TwoLocks,
    /// A node of a list and of a tree without a count of owners (`EINVAL`).
    NoRefcount,
    /// A member that does not start at a byte, or behind the value (`EINVAL`, `EFAULT`).
    Place,
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Several(kind) => write!(f, "more than one struct {}", kind.name()),
            Self::TooMany => write!(f, "more than {MOST} fields of the kernel, or nested too deep"),
            Self::Overlap(kind) => write!(f, "a {} that overlaps another field", kind.name()),
            Self::Repeated(kind) => write!(f, "an array of struct {}", kind.name()),
            Self::Pointer => f.write_str("a pointer with a tag that is not one of kptr, kptr_untrusted, percpu_kptr, uptr, or to no struct"),
            Self::NoContains(kind) => {
                write!(f, "a struct {} without one tag contains:STRUCT:MEMBER (__contains)", kind.name())
            }
            Self::WrongContains(kind) => {
                write!(f, "a struct {} whose tag contains: does not name a struct and its {}", kind.name(), kind.node().name())
            }
            Self::NoLock => f.write_str("a list or a tree without a struct bpf_spin_lock beside it"),
            Self::TwoLocks => f.write_str("a struct bpf_spin_lock and a struct bpf_res_spin_lock"),
            Self::NoRefcount => {
                f.write_str("a struct bpf_list_node and a struct bpf_rb_node without a struct bpf_refcount")
            }
            Self::Place => f.write_str("a member that does not start at a byte, or that is behind the end"),
        }
    }
}

/// The fields of a type (`struct btf_record`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// By offset.
    all: Vec<Field>,
    /// Why the kernel takes no such types. What was found until then is in `all`.
    bad: Option<BadField>,
}

impl Fields {
    /// The fields by offset. Not empty where [`Self::bad`] gives something, as far as fields were found: whoever runs
    /// programs keeps these from touching them.
    pub fn all(&self) -> &[Field] {
        &self.all
    }

    /// Why the kernel takes no such types.
    pub fn bad(&self) -> Option<BadField> {
        self.bad
    }

    /// The field of a kind that there is one of.
    pub fn find(&self, kind: FieldKind) -> Option<&Field> {
        self.all.iter().filter(|_| self.bad.is_none()).find(|f| f.kind == kind)
    }

    /// Whether there are fields of the kind.
    pub fn has(&self, kind: FieldKind) -> bool {
        self.find(kind).is_some()
    }

    /// The field that starts at an offset.
    pub fn at(&self, off_bytes: u32) -> Option<&Field> {
        self.all.iter().filter(|_| self.bad.is_none()).find(|f| f.off_bytes == off_bytes)
    }

    /// The fields of a struct or a section.
    pub fn of(btf: &Btf, id: TypeId, place: FieldPlace, size: u32) -> Self {
        let mut walk = Walk { btf, place, seen: Vec::new(), found: Vec::new() };
        let bad = walk.members(id, 0, 0).and_then(|()| walk.fit(size)).err();
        let mut all = walk.found;
        all.sort_by_key(|f| f.off_bytes);
        Self { all, bad }
    }

    /// The fields of an object that a program allocates, if its type has any (`btf_parse_struct_metas`): one of its own
    /// members must be one.
    pub fn of_object(btf: &Btf, id: TypeId) -> Option<Self> {
        let Some(Type::Struct { members, size, .. }) = btf.ty(id) else { return None };
        let special = |ty: TypeId| match btf.ty(ty) {
            Some(Type::Struct { name, .. }) => {
                let name = btf.str(*name);
                let named = |k: &&FieldKind| !k.is_pointer() && k.name() == name;
                FieldKind::ALL
                    .iter()
                    .find(named)
                    .is_some_and(|k| FieldPlace::Object.has(*k) && *k != FieldKind::ResSpinLock)
            }
            _ => matches!(pointer(btf, ty), Ok(Some((kind, _))) if FieldPlace::Object.has(kind)),
        };
        members.iter().any(|m| special(m.ty)).then(|| Self::of(btf, id, FieldPlace::Object, *size))
    }
}

impl MapDef {
    /// The fields of a value that the kernel keeps. A map without types has none.
    pub fn fields(&self) -> Fields {
        match self.btf.as_ref().filter(|_| self.value_btf_id != 0) {
            Some(btf) => {
                let id = btf.resolve(TypeId(self.value_btf_id));
                match btf.ty(id) {
                    Some(Type::Struct { .. } | Type::Datasec { .. }) => {
                        Fields::of(btf, id, FieldPlace::Value, self.value_size)
                    }
                    _ => Fields::default(),
                }
            }
            None => Fields::default(),
        }
    }

    /// Offset in a value of its `struct bpf_spin_lock`, from the value's type. `None` when it has none that programs
    /// can take.
    pub fn spin_lock_off(&self) -> Option<u32> {
        self.fields().find(FieldKind::SpinLock).map(|f| f.off_bytes)
    }
}

type Result<T> = core::result::Result<T, BadField>;

/// A pointer's tag, and what it points to; `None` where it is no pointer with a tag (`btf_find_kptr`).
fn pointer(btf: &Btf, ty: TypeId) -> Result<Option<(FieldKind, TypeId)>> {
    let ty = match btf.ty(ty) {
        Some(Type::Volatile { target }) => *target,
        _ => ty,
    };
    let Some(Type::Ptr { target }) = btf.ty(ty) else { return Ok(None) };
    let Some(Type::TypeTag { name, target, attribute: false }) = btf.ty(*target) else { return Ok(None) };
    if matches!(btf.ty(*target), Some(Type::TypeTag { .. })) {
        return Err(BadField::Pointer);
    }
    let tag = btf.str(*name);
    let &(_, kind) = POINTERS.iter().find(|(t, _)| *t == tag).ok_or(BadField::Pointer)?;
    let of = btf.resolve(*target);
    match btf.ty(of) {
        Some(Type::Struct { .. }) => Ok(Some((kind, of))),
        _ => Err(BadField::Pointer),
    }
}

struct Walk<'b> {
    btf: &'b Btf,
    place: FieldPlace,
    /// Kinds that there is one of at most.
    seen: Vec<FieldKind>,
    found: Vec<Field>,
}

impl Walk<'_> {
    /// What is in a struct at `at` (`btf_find_struct_field`) or a section (`btf_find_datasec_var`).
    fn members(&mut self, id: TypeId, at: u32, level: u32) -> Result<()> {
        match self.btf.ty(id) {
            Some(Type::Struct { members, .. }) => {
                for (i, m) in members.iter().enumerate() {
                    if m.off_bits % 8 != 0 {
                        return Err(BadField::Place);
                    }
                    self.one((id, Some(i as u32)), m.ty, (at, m.off_bits / 8), None, level)?;
                }
                Ok(())
            }
            Some(Type::Datasec { entries, .. }) => {
                for e in entries.iter() {
                    if let Some(Type::Var { ty, .. }) = self.btf.ty(e.ty) {
                        self.one((e.ty, None), *ty, (at, e.off_bytes), Some(e.size), level)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One member or variable; `tagged` is what its declaration tags are on (`btf_find_field_one`).
    fn one(
        &mut self,
        tagged: (TypeId, Option<u32>),
        ty: TypeId,
        (base, off): (u32, u32),
        size: Option<u32>,
        level: u32,
    ) -> Result<()> {
        let btf = self.btf;
        let (mut ty, mut count) = (ty, 1u32);
        for _ in 0..DEPTH {
            let Some(Type::Array { element, len, .. }) = btf.ty(ty) else { break };
            count = count.checked_mul(*len).ok_or(BadField::TooMany)?;
            ty = *element;
        }
        if count == 0 {
            return Ok(());
        }
        let at = base.checked_add(off).ok_or(BadField::Place)?;
        let fits = |each: u32| size.is_none_or(|size| each.checked_mul(count) == Some(size));
        let before = self.found.len();
        let each = match btf.ty(ty) {
            Some(Type::Struct { name, size: own, .. }) => {
                let name = btf.str(*name);
                let known = FieldKind::ALL.iter().find(|k| !k.is_pointer() && k.name() == name);
                match known.copied().filter(|k| self.place.has(*k)) {
                    Some(kind) => {
                        if kind.once() && self.seen.contains(&kind) {
                            return Err(BadField::Several(kind));
                        }
                        self.seen.push(kind);
                        if !fits(kind.size()) || off % kind.align() != 0 || *own != kind.size() {
                            return Ok(());
                        }
                        let (of, node_off) = match kind.is_root() {
                            true => self.contains(tagged, kind)?,
                            false => (TypeId(0), 0),
                        };
                        self.add(Field { kind, off_bytes: at, of, node_off })?;
                        kind.size()
                    }
                    None => {
                        if !fits(*own) {
                            return Ok(());
                        }
                        if level + 1 >= DEPTH {
                            return Err(BadField::TooMany);
                        }
                        self.members(ty, at, level + 1)?;
                        *own
                    }
                }
            }
            _ => {
                if !fits(8) || off % 8 != 0 {
                    return Ok(());
                }
                match pointer(btf, ty)? {
                    Some((kind, of)) if self.place.has(kind) => {
                        self.add(Field { kind, off_bytes: at, of, node_off: 0 })?;
                        8
                    }
                    _ => return Ok(()),
                }
            }
        };
        self.repeat(before, count, each)
    }

    /// The same fields for the other elements of an array (`btf_repeat_fields`).
    fn repeat(&mut self, first: usize, count: u32, each: u32) -> Result<()> {
        let fields: Vec<Field> = self.found[first..].to_vec();
        if count == 1 || fields.is_empty() {
            return Ok(());
        }
        if let Some(f) = fields.iter().find(|f| !f.kind.is_root() && !f.kind.is_pointer()) {
            return Err(BadField::Repeated(f.kind));
        }
        for i in 1..count {
            for f in &fields {
                let shift = i.checked_mul(each).and_then(|n| f.off_bytes.checked_add(n));
                self.add(Field { off_bytes: shift.ok_or(BadField::Place)?, ..*f })?;
            }
        }
        Ok(())
    }

    fn add(&mut self, field: Field) -> Result<()> {
        if self.found.len() >= MOST {
            return Err(BadField::TooMany);
        }
        self.found.push(field);
        Ok(())
    }

    /// What a list or a tree is for (`btf_find_graph_root`, `btf_parse_graph_root`).
    fn contains(&self, (tagged, component): (TypeId, Option<u32>), kind: FieldKind) -> Result<(TypeId, u32)> {
        let btf = self.btf;
        let mut tags = btf.decl_tags(tagged, component).filter_map(|t| t.strip_prefix("contains:"));
        let (Some(tag), None) = (tags.next(), tags.next()) else { return Err(BadField::NoContains(kind)) };
        let wrong = BadField::WrongContains(kind);
        let (name, node) = tag.split_once(':').ok_or(BadField::NoContains(kind))?;
        let of = btf.find_by_name(Some(Kind::Struct), name).ok_or(wrong)?;
        let Some(Type::Struct { members, .. }) = btf.ty(of) else { return Err(wrong) };
        let mut named = members.iter().filter(|m| btf.str(m.name) == node && !node.is_empty());
        let (Some(m), None) = (named.next(), named.next()) else { return Err(wrong) };
        let is_node =
            matches!(btf.ty(m.ty), Some(Type::Struct { name, .. }) if btf.str(*name) == kind.node().name());
        if !is_node || m.off_bits % 64 != 0 {
            return Err(wrong);
        }
        Ok((of, m.off_bits / 8))
    }

    /// What all fields together must be.
    fn fit(&self, size: u32) -> Result<()> {
        let mut next = 0;
        for f in &self.found {
            let end = f.off_bytes.checked_add(f.kind.size()).filter(|end| *end <= size);
            let end = end.ok_or(BadField::Place)?;
            if f.off_bytes < next {
                return Err(BadField::Overlap(f.kind));
            }
            next = end;
        }
        let has = |kind: FieldKind| self.found.iter().any(|f| f.kind == kind);
        let (plain, other) = (has(FieldKind::SpinLock), has(FieldKind::ResSpinLock));
        if plain && other {
            return Err(BadField::TwoLocks);
        }
        if self.found.iter().any(|f| f.kind.is_root()) && !plain && !other {
            return Err(BadField::NoLock);
        }
        if has(FieldKind::ListNode) && has(FieldKind::RbNode) && !has(FieldKind::Refcount) {
            return Err(BadField::NoRefcount);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! An object in terms that libbpf and skep share, so that what they make of it can be compared.

use skep_abi::ProgramType;
use skep_isa::{Endian, Insn};
use skep_object::{Map, Object, Program};
use skep_spec::{MapDef, Pinning};

/// What an object holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Maps in libbpf's order.
    pub maps: Vec<MapView>,
    /// Programs in order of sections and offsets.
    pub programs: Vec<ProgramView>,
}

/// A map with all its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapView {
    /// Its name.
    pub name: String,
    /// `BPF_MAP_TYPE_*`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Elements, or bytes.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// NUMA node.
    pub numa_node: u32,
    /// `map_extra`.
    pub map_extra: u64,
    /// Ids of the key's and the value's types in the object's BTF.
    pub types: (u32, u32),
    /// Whether it is found again by name.
    pub pinned: bool,
    /// First value of global data.
    pub initial: Option<Vec<u8>>,
    /// What its elements look like, if those are maps.
    pub inner: Option<Box<MapView>>,
}

/// A program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramView {
    /// Name of the function.
    pub name: String,
    /// Name of the section, without `?`.
    pub section: String,
    /// `BPF_PROG_TYPE_*`; 0 if the section's name says nothing.
    pub kind: u32,
    /// `expected_attach_type`.
    pub attach_type: u32,
    /// Whether it is loaded by default.
    pub autoload: bool,
    /// Linked and relocated instructions, maps counted as 0; `None` if it has not been linked.
    pub linked: Option<LinkedView>,
}

/// A program's instructions, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkedView {
    /// Instructions.
    pub insns: Vec<Insn>,
    /// Functions: first instruction and type.
    pub funcs: Vec<(u32, u32)>,
    /// Lines: first instruction, offsets of the file's name and of the text, line and column.
    pub lines: Vec<[u32; 4]>,
}

/// Instructions that can be compared: maps by nothing, since one side has descriptors and the other indices.
pub fn normal(insns: &[Insn]) -> Vec<Insn> {
    let mut out = insns.to_vec();
    for insn in &mut out {
        if insn.is_wide() && matches!(insn.src.0, 5 | 6) {
            insn.src.0 -= 4;
        }
        if insn.is_wide() && (1..=2).contains(&insn.src.0) {
            insn.imm = 0;
        }
    }
    out
}

impl View {
    /// What skep makes of an object.
    pub fn of(object: &Object) -> Self {
        Self {
            maps: object.maps.iter().map(MapView::of).collect(),
            programs: object.programs.iter().map(ProgramView::of).collect(),
        }
    }

    /// What differs, one a line: first this side, then the other.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut out = Vec::new();
        let names = |v: &[MapView]| v.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
        if names(&self.maps) != names(&other.maps) {
            out.push(format!("maps {:?}, there {:?}", names(&self.maps), names(&other.maps)));
        }
        for a in &self.maps {
            if let Some(b) = other.maps.iter().find(|b| b.name == a.name && *b != a) {
                out.push(format!("map {}:\n    {}\n    {}", a.name, a.line(), b.line()));
            }
        }
        let names = |v: &[ProgramView]| v.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        if names(&self.programs) != names(&other.programs) {
            out.push(format!("programs {:?}, there {:?}", names(&self.programs), names(&other.programs)));
        }
        for a in &self.programs {
            let Some(b) = other.programs.iter().find(|b| b.name == a.name) else { continue };
            if a.line() != b.line() {
                out.push(format!("program {}:\n    {}\n    {}", a.name, a.line(), b.line()));
            }
            if let (Some(x), Some(y)) = (&a.linked, &b.linked) {
                out.extend(x.differences(y).map(|d| format!("program {}: {d}", a.name)));
            }
        }
        out
    }

    /// One line for each map and program, as committed.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.maps.iter().map(|m| format!("map {}", m.line())).chain(self.programs.iter().map(|p| {
            match &p.linked {
                None => format!("program {}", p.line()),
                Some(l) => format!("program {} insns {} {:016x}", p.line(), l.insns.len(), hash(&l.insns)),
            }
        }))
    }
}

impl LinkedView {
    fn differences(&self, other: &Self) -> impl Iterator<Item = String> {
        let (a, b) = (&self.insns, &other.insns);
        let insns = (a != b).then(|| {
            let at = (0..a.len().max(b.len())).find(|&i| a.get(i) != b.get(i)).unwrap_or(0);
            let (x, y) = (a.get(at), b.get(at));
            format!("{} instructions, there {}; instruction {at}: {x:?}, there {y:?}", a.len(), b.len())
        });
        let funcs = (self.funcs != other.funcs)
            .then(|| format!("functions {:?}, there {:?}", self.funcs, other.funcs));
        let lines = (self.lines != other.lines).then(|| {
            let (a, b) = (&self.lines, &other.lines);
            let at = (0..a.len().max(b.len())).find(|&i| a.get(i) != b.get(i)).unwrap_or(0);
            format!("{} lines, there {}; line {at}: {:?}, there {:?}", a.len(), b.len(), a.get(at), b.get(at))
        });
        [insns, funcs, lines].into_iter().flatten()
    }
}

impl MapView {
    fn of(m: &Map) -> Self {
        match &m.def {
            Ok(def) => Self { name: m.name.clone(), ..Self::of_def(def) },
            Err(_) => Self { name: m.name.clone(), ..Self::default() },
        }
    }

    fn of_def(d: &MapDef) -> Self {
        // A set of functions is the target's only once it is loaded (tests/struct_ops.rs).
        let local = d.struct_ops.as_ref().zip(d.btf.as_ref());
        let local = local.and_then(|(_, btf)| btf.size_of(skep_btf::TypeId(d.value_btf_id)));
        Self {
            name: d.name.clone(),
            kind: d.kind.0,
            key_size: d.key_size,
            value_size: local.unwrap_or(d.value_size),
            max_entries: d.max_entries,
            flags: d.flags.0,
            numa_node: d.numa_node,
            map_extra: d.map_extra,
            types: (d.key_btf_id, d.value_btf_id),
            pinned: d.pinning != Pinning::None,
            initial: d.initial.clone().filter(|_| d.struct_ops.is_none()),
            inner: d.inner.as_ref().map(|i| Box::new(Self::of_def(i))),
        }
    }

    fn line(&self) -> String {
        let hex = |f: u64| if f == 0 { "0".into() } else { format!("{f:#x}") };
        let (key, value) = self.types;
        let mut out = format!(
            "{} type {} key {} value {} entries {} flags {} numa {} extra {} types {key} {value} pin {}",
            self.name,
            self.kind,
            self.key_size,
            self.value_size,
            self.max_entries,
            hex(self.flags.into()),
            self.numa_node,
            hex(self.map_extra),
            u8::from(self.pinned),
        );
        if let Some(bytes) = self.initial.as_ref().filter(|b| b.iter().any(|&b| b != 0)) {
            out += &format!(" initial {} {:016x}", bytes.len(), fnv(bytes.iter().copied()));
        }
        if let Some(inner) = &self.inner {
            out += &format!(" of ({})", inner.line());
        }
        out
    }
}

impl ProgramView {
    fn of(p: &Program) -> Self {
        let mut out = Self {
            name: p.name.clone(),
            section: p.section.clone(),
            autoload: p.autoload,
            ..Self::default()
        };
        if let Ok(s) = &p.spec {
            out.kind = s.prog_type.0;
            // The member that a function of the kernel's is, is known with the target.
            out.attach_type = if s.prog_type == ProgramType::STRUCT_OPS { 0 } else { s.attach_type.0 };
            out.linked = Some(LinkedView {
                insns: normal(&s.insns),
                funcs: s.func_info.iter().map(|f| (f.insn_off, f.type_id)).collect(),
                lines: s
                    .line_info
                    .iter()
                    .map(|l| [l.insn_off, l.file_name_off, l.line_off, l.line_col])
                    .collect(),
            });
        }
        out
    }

    fn line(&self) -> String {
        format!(
            "{} section {} type {} attach {} autoload {}",
            self.name,
            self.section,
            self.kind,
            self.attach_type,
            u8::from(self.autoload)
        )
    }
}

/// FNV-1a, 64 bits.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

fn hash(insns: &[Insn]) -> u64 {
    fnv(insns.iter().flat_map(|i| i.to_bytes(Endian::Little)))
}

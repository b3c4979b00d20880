//! Programs as specifications.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_abi::{AttachType, ProgramType};
use skep_btf::{Btf, Kind, TypeId};
use skep_isa::{Imm64, Insn, Op, Reg, decode_all};

use crate::MapDef;

/// A BTF function and the instruction where it starts (`struct bpf_func_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FuncInfo {
    /// Slot index of the first instruction.
    pub insn_off: u32,
    /// BTF id of the `FUNC`.
    pub type_id: u32,
}

/// A source line and the instruction where it starts (`struct bpf_line_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineInfo {
    /// Slot index of the first instruction.
    pub insn_off: u32,
    /// Offset of the file name in the BTF strings.
    pub file_name_off: u32,
    /// Offset of the line's text in the BTF strings.
    pub line_off: u32,
    /// Line number in the upper 22 bits, column in the lower 10.
    pub line_col: u32,
}

/// A call of a function of the kernel: instruction with `src` 2 and the function's id in the kernel's types, or 0 where
/// whoever loads the program finds it by its name ([`ProgramSpec::with_kfuncs`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KfuncCall {
    /// Slot index of the call, or of an `LDDW` of its address.
    pub insn_off: u32,
    /// The function's name.
    pub name: String,
}

/// An instruction for which the target has nothing: what a CO-RE relocation looked for ([`Poisoned::HELPER`]) or a weak
/// function ([`Poisoned::KFUNC`] and its number). It has become a call of a helper that nobody has; where it cannot be
/// reached, that does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Poisoned {
    /// Slot index of the instruction.
    pub insn_off: u32,
    /// What was looked for: `byte_off of struct task_struct.pid`.
    pub what: String,
}

impl Poisoned {
    /// "bad relo": libbpf's choice.
    pub const HELPER: i32 = 0x0bad_2310;
    /// The first of the numbers that stand for weak functions: libbpf's choice too.
    pub const KFUNC: i32 = 2_002_000_000;
}

/// A line of source text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceLine {
    /// File name as the compiler wrote it.
    pub file: String,
    /// Line number from 1.
    pub line: u32,
    /// Column from 1, in bytes; 0 when unknown.
    pub column: u32,
    /// Bytes of blanks that stand before `text`.
    pub indent: u32,
    /// Text, without leading blanks.
    pub text: String,
}

/// A program, linked and relocated but not bound to a host.
///
/// Maps are named by index: an `LDDW` with `src` 5 or 6 holds an index into [`Self::maps`].
#[derive(Clone, Debug, Default)]
pub struct ProgramSpec {
    /// Function name; the kernel keeps its first 15 bytes.
    pub name: String,
    /// ELF section, empty if there is none.
    pub section: String,
    /// Program type.
    pub prog_type: ProgramType,
    /// Expected attach type.
    pub attach_type: AttachType,
    /// `BPF_F_*` load flags (`BPF_F_SLEEPABLE`, `BPF_F_XDP_HAS_FRAGS`, …).
    pub flags: u32,
    /// Licence; empty if the object has none.
    pub license: String,
    /// `kern_version`, for old kernels.
    pub kernel_version: u32,
    /// Slots: the main function first, then its subprograms.
    pub insns: Vec<Insn>,
    /// The maps that `insns` names by index.
    pub maps: Vec<Arc<MapDef>>,
    /// Types of the object.
    pub btf: Option<Arc<Btf>>,
    /// Functions, ascending by `insn_off`.
    pub func_info: Vec<FuncInfo>,
    /// Lines, ascending by `insn_off`.
    pub line_info: Vec<LineInfo>,
    /// Calls of the kernel's functions, ascending by `insn_off`.
    pub kfuncs: Vec<KfuncCall>,
    /// Modules of the kernel whose types instructions name. The call of a kfunc (in `off`) and an `LDDW` of a variable's
    /// or kfunc's address (in the `imm` of its second slot) say which: 0 for the kernel's own types, n for those of
    /// `modules[n - 1]`.
    pub modules: Vec<String>,
    /// Instructions that the target has nothing for.
    pub poisoned: Vec<Poisoned>,
    /// The type of the target that the program belongs to: of a structure, where it is a member of one (`struct_ops`; the
    /// attach type is the member's index). 0 for none.
    pub attach_btf_id: u32,
    /// The module that has this type; `None` for the kernel itself.
    pub attach_module: Option<String>,
    /// What the program hangs on, from its section name: `sched/sched_switch`.
    pub attach_target: Option<String>,
    /// Lines for programs without BTF (assembled text): `(insn_off, line)`, ascending.
    pub source_lines: Vec<(u32, SourceLine)>,
}

impl ProgramSpec {
    /// `BPF_F_SLEEPABLE`.
    pub const SLEEPABLE: u32 = 1 << 4;
    /// `BPF_F_XDP_HAS_FRAGS`.
    pub const XDP_HAS_FRAGS: u32 = 1 << 5;
    /// `BPF_F_STRICT_ALIGNMENT`.
    pub const STRICT_ALIGNMENT: u32 = 1 << 0;

    /// A program of bare instructions under the GPL.
    pub fn new(prog_type: ProgramType, insns: Vec<Insn>) -> Self {
        Self { prog_type, insns, license: "GPL".into(), ..Self::default() }
    }

    /// Where the kernel's types have what a program is for that names it by its section: what stands before the name, and
    /// the kind of the type (libbpf's `btf_get_kernel_prefix_kind`). `None` for programs that belong to no such type.
    pub fn attach_kind(&self) -> Option<(&'static str, Kind)> {
        match (self.prog_type, self.attach_type) {
            (ProgramType::TRACING, AttachType::TRACE_RAW_TP) => Some(("btf_trace_", Kind::Typedef)),
            (ProgramType::TRACING, AttachType::TRACE_ITER) => Some(("bpf_iter_", Kind::Func)),
            (ProgramType::TRACING, _) => Some(("", Kind::Func)),
            (ProgramType::LSM, _) => Some(("bpf_lsm_", Kind::Func)),
            _ => None,
        }
    }

    /// The source line of a slot: the last one that starts at or before it.
    pub fn source_line(&self, pc: usize) -> Option<SourceLine> {
        let at = |off: u32| off as usize <= pc;
        let n = self.source_lines.partition_point(|(off, _)| at(*off));
        if let Some((_, line)) = self.source_lines[..n].last() {
            return Some(line.clone());
        }
        let n = self.line_info.partition_point(|l| at(l.insn_off));
        let (line, btf) = (self.line_info[..n].last()?, self.btf.as_ref()?);
        let text = |off: u32| btf.name_at(off).map(|n| btf.str(n)).unwrap_or_default();
        let whole = text(line.line_off);
        Some(SourceLine {
            file: text(line.file_name_off).into(),
            line: line.line_col >> 10,
            column: line.line_col & 0x3ff,
            indent: (whole.len() - whole.trim_start().len()) as u32,
            text: whole.trim().into(),
        })
    }

    /// First slot of the function that is called when the program throws: its main function names it by a tag
    /// (`exception_callback:NAME`).
    pub fn exception_callback(&self) -> Option<u32> {
        let btf = self.btf.as_deref()?;
        let main = self.func_info.iter().find(|f| f.insn_off == 0)?;
        let tags = btf.decl_tags(TypeId(main.type_id), None);
        let name = tags.filter_map(|tag| tag.strip_prefix("exception_callback:")).next()?;
        let id = btf.find_by_name(Some(Kind::Func), name)?;
        self.func_info.iter().rfind(|f| f.type_id == id.0).map(|f| f.insn_off).filter(|off| *off != 0)
    }

    /// The name that the types have for the function that starts at a slot.
    pub fn function_name(&self, slot: usize) -> Option<&str> {
        let info = self.func_info.iter().find(|f| f.insn_off as usize == slot)?;
        self.btf.as_deref()?.name(TypeId(info.type_id))
    }

    /// Whether it calls functions of the kernel that nobody has found yet.
    pub fn has_open_kfuncs(&self) -> bool {
        let insn = |k: &KfuncCall| self.insns.get(k.insn_off as usize);
        self.kfuncs.iter().filter_map(insn).any(|insn| insn.imm == 0)
    }

    /// Whether it works without a function of the kernel: it looks whether there is one first (`bpf_ksym_exists`).
    pub fn asks_for_kfunc(&self, name: &str) -> bool {
        let is_address = |k: &KfuncCall| self.insns.get(k.insn_off as usize).is_some_and(|i| i.is_wide());
        self.kfuncs.iter().any(|k| k.name == name && is_address(k))
    }

    /// The same with the functions of the kernel that it calls by other numbers: those in the types of whoever loads it,
    /// which `number` tells. Functions that are not there (`None`) have the address 0, and must not be called.
    ///
    /// # Errors
    /// What `number` says.
    pub fn with_kfuncs<E>(
        &self,
        mut number: impl FnMut(&KfuncCall) -> Result<Option<u32>, E>,
    ) -> Result<Self, E> {
        const PSEUDO_KFUNC_CALL: Reg = Reg(2);
        const PSEUDO_BTF_ID: Reg = Reg(3);
        let mut out = self.clone();
        for call in &self.kfuncs {
            let at = call.insn_off as usize;
            let id = number(call)?;
            let Some(&insn) = self.insns.get(at) else { continue };
            let imm = id.and_then(|id| i32::try_from(id).ok());
            out.insns[at] = match (insn.is_wide(), imm) {
                (true, Some(imm)) => Insn { src: PSEUDO_BTF_ID, imm, ..insn },
                (true, None) => Insn { src: Reg(0), imm: 0, ..insn },
                (false, Some(imm)) => Insn { src: PSEUDO_KFUNC_CALL, off: 0, imm, ..insn },
                (false, None) => {
                    out.poisoned
                        .push(Poisoned { insn_off: call.insn_off, what: format!("kfunc {}", call.name) });
                    Insn { src: Reg(0), off: 0, imm: Poisoned::KFUNC, ..insn }
                }
            };
            if let Some(second) = out.insns.get_mut(at + 1).filter(|_| insn.is_wide()) {
                second.imm = 0;
            }
        }
        out.poisoned.sort_by_key(|p| p.insn_off);
        Ok(out)
    }

    /// Whether it has the address of a variable or function of the kernel.
    pub fn has_variables(&self) -> bool {
        let variable = |op| matches!(op, Op::LoadImm64 { value: Imm64::Variable { .. }, .. });
        decode_all(&self.insns).flatten().any(|(_, op)| variable(op))
    }

    /// Whether the licence is compatible with the GPL by the kernel's list (include/linux/license.h).
    pub fn gpl_compatible(&self) -> bool {
        matches!(
            self.license.as_str(),
            "GPL" | "GPL v2" | "GPL and additional rights" | "Dual BSD/GPL" | "Dual MIT/GPL" | "Dual MPL/GPL"
        )
    }
}

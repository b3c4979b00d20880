//! From a linked function to a `ProgramSpec`: type by section name, lines and functions.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use skep_abi::SectionFlags;
use skep_btf::{Btf, BtfExt, ExtSection, TypeId};
use skep_isa::Insn;
use skep_spec::{Environment, FuncInfo, LineInfo, ProgramSpec};

use crate::elf::Elf;
use crate::error::{Error, File, Place};
use crate::funcs::Functions;
use crate::link::Linked;

/// What a section's name makes of a program: everything but its instructions.
pub(crate) fn by_section(file: &File, section: &str, env: &Environment) -> Result<ProgramSpec, Error> {
    let Some(row) = env.section(section) else {
        let what = "the name says no program type: use one that libbpf knows, such as SEC(\"socket\"), \
                    SEC(\"xdp\") or SEC(\"tp/CATEGORY/NAME\")";
        return Err(file.unsupported(Place::section(section), what));
    };
    let flag = |has, flag| if row.flags.has(has) { flag } else { 0 };
    Ok(ProgramSpec {
        section: section.into(),
        prog_type: row.prog_type,
        attach_type: row.attach_type,
        flags: flag(SectionFlags::SLEEPABLE, ProgramSpec::SLEEPABLE)
            | flag(SectionFlags::XDP_FRAGS, ProgramSpec::XDP_HAS_FRAGS),
        attach_target: row.target.map(Into::into),
        ..ProgramSpec::default()
    })
}

/// `.BTF.ext` by section number and byte.
#[derive(Default)]
pub(crate) struct Info {
    funcs: BTreeMap<(usize, u64), TypeId>,
    lines: BTreeMap<(usize, u64), skep_btf::LineInfo>,
}

impl Info {
    pub(crate) fn new(elf: &Elf<'_>, btf: Option<&Btf>, ext: &BtfExt) -> Self {
        let Some(btf) = btf else { return Self::default() };
        Self {
            funcs: by_place(elf, btf, &ext.func_info, |r| (r.insn_off_bytes, r.ty)),
            lines: by_place(elf, btf, &ext.line_info, |r| (r.insn_off_bytes, *r)),
        }
    }

    /// Functions of a program. The kernel wants all or none.
    pub(crate) fn funcs(&self, functions: &Functions, linked: &Linked) -> Vec<FuncInfo> {
        let info = |p: &crate::link::Placed| {
            let f = &functions.all[p.function];
            let ty = self.funcs.get(&(f.section, f.off_bytes()))?;
            Some(FuncInfo { insn_off: p.start as u32, type_id: ty.0 })
        };
        linked.functions.iter().map(info).collect::<Option<_>>().unwrap_or_default()
    }

    /// Lines of a program. The kernel wants one at the start of each function.
    pub(crate) fn lines(&self, functions: &Functions, linked: &Linked) -> Vec<LineInfo> {
        let mut out = Vec::new();
        for p in &linked.functions {
            let f = &functions.all[p.function];
            let (start, end) = (f.off_bytes(), f.end_bytes());
            if !self.lines.contains_key(&(f.section, start)) {
                return Vec::new();
            }
            out.extend(self.lines.range((f.section, start)..(f.section, end)).map(|(&(_, off), l)| {
                LineInfo {
                    insn_off: p.start as u32 + ((off - start) / Insn::SIZE as u64) as u32,
                    file_name_off: l.file.offset(),
                    line_off: l.text.offset(),
                    line_col: l.line_col,
                }
            }));
        }
        out
    }
}

/// Records of sections that exist, by section number and byte. Of several at one place the last counts.
fn by_place<T, V>(
    elf: &Elf<'_>,
    btf: &Btf,
    sections: &[ExtSection<T>],
    record: impl Fn(&T) -> (u32, V),
) -> BTreeMap<(usize, u64), V> {
    let mut out = BTreeMap::new();
    for s in sections {
        let name = btf.str(s.section);
        let Some(index) = elf.sections.iter().position(|e| e.name == name) else { continue };
        out.extend(s.records.iter().map(|r| {
            let (off, value) = record(r);
            ((index, u64::from(off)), value)
        }));
    }
    out
}

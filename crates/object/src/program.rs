//! From a linked function to a `ProgramSpec`: type by section name, lines and functions.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use skep_abi::SectionFlags;
use skep_btf::{Btf, BtfExt, ExtSection};
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

/// `.BTF.ext` by section number; records ascend by the byte that they are about.
#[derive(Default)]
pub(crate) struct Info<'a> {
    funcs: BTreeMap<usize, Cow<'a, [skep_btf::FuncInfo]>>,
    lines: BTreeMap<usize, Cow<'a, [skep_btf::LineInfo]>>,
}

impl<'a> Info<'a> {
    pub(crate) fn new(elf: &Elf<'_>, btf: Option<&Btf>, ext: &'a BtfExt) -> Self {
        let Some(btf) = btf else { return Self::default() };
        Self {
            funcs: by_section_number(elf, btf, &ext.func_info, |r| r.insn_off_bytes),
            lines: by_section_number(elf, btf, &ext.line_info, |r| r.insn_off_bytes),
        }
    }

    /// Functions of a program. The kernel wants all or none.
    pub(crate) fn funcs(&self, functions: &Functions, linked: &Linked) -> Vec<FuncInfo> {
        let info = |p: &crate::link::Placed| {
            let f = &functions.all[p.function];
            let records = self.funcs.get(&f.section)?;
            let off = |r: &skep_btf::FuncInfo| u64::from(r.insn_off_bytes);
            let at = records.binary_search_by_key(&f.off_bytes(), off).ok()?;
            Some(FuncInfo { insn_off: p.start as u32, type_id: records[at].ty.0 })
        };
        linked.functions.iter().map(info).collect::<Option<_>>().unwrap_or_default()
    }

    /// Lines of a program. The kernel wants one at the start of each function.
    pub(crate) fn lines(&self, functions: &Functions, linked: &Linked) -> Vec<LineInfo> {
        let off = |l: &skep_btf::LineInfo| u64::from(l.insn_off_bytes);
        let mut out = Vec::new();
        for p in &linked.functions {
            let f = &functions.all[p.function];
            let (start, end) = (f.off_bytes(), f.end_bytes());
            let records = self.lines.get(&f.section).map_or(&[][..], |r| r);
            let records = &records[records.partition_point(|l| off(l) < start)..];
            let records = &records[..records.partition_point(|l| off(l) < end)];
            if records.first().is_none_or(|l| off(l) != start) {
                return Vec::new();
            }
            out.extend(records.iter().map(|l| LineInfo {
                insn_off: p.start as u32 + ((off(l) - start) / Insn::SIZE as u64) as u32,
                file_name_off: l.file.offset(),
                line_off: l.text.offset(),
                line_col: l.line_col,
            }));
        }
        out
    }
}

/// Records of sections that exist. Of several at one place the last counts.
fn by_section_number<'a, T: Copy>(
    elf: &Elf<'_>,
    btf: &Btf,
    sections: &'a [ExtSection<T>],
    off_bytes: impl Fn(&T) -> u32,
) -> BTreeMap<usize, Cow<'a, [T]>> {
    let mut out: BTreeMap<usize, Cow<'a, [T]>> = BTreeMap::new();
    for s in sections {
        let name = btf.str(s.section);
        let Some(index) = elf.sections.iter().position(|e| e.name == name) else { continue };
        match out.entry(index) {
            Entry::Vacant(e) => _ = e.insert((&s.records[..]).into()),
            Entry::Occupied(mut e) => e.get_mut().to_mut().extend_from_slice(&s.records),
        }
    }
    // As compilers and linkers write them they are in order.
    for records in out.values_mut().filter(|r| !r.is_sorted_by(|a, b| off_bytes(a) < off_bytes(b))) {
        let records = records.to_mut();
        records.sort_by_key(&off_bytes);
        records.dedup_by(|later, kept| {
            let same = off_bytes(later) == off_bytes(kept);
            if same {
                *kept = *later;
            }
            same
        });
    }
    out
}

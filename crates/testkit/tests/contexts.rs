//! The context rows of `abi` against the running kernel: every offset, every size, loads and stores, for loaders
//! with capabilities and, where a type admits them, without.

use skep_abi::{AttachType, Capability, Context, PROGRAM_TYPES, ProgramType, ProgramTypeRow};
use skep_isa::{Insn, Op, Operand, Reg, Size};
use skep_spec::ProgramSpec;
use skep_testkit::oracle::kernel::Kernel;
use skep_testkit::oracle::{Oracle, Privilege, Verdict};

const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

/// Types that the kernel at hand may not have compiled in: their rows rest on its source alone.
const ABSENT: &[ProgramType] = &[ProgramType::LIRC_MODE2];

/// Expected attach types, one for each context that a type has.
fn attach_types(row: &ProgramTypeRow, capability: Capability) -> Vec<AttachType> {
    let mut seen: Vec<&Context> = Vec::new();
    let mut distinct = Vec::new();
    let all = [&[AttachType::UNSPEC][..], row.attach_types];
    for &attach in if row.attach_types.is_empty() { all[0] } else { all[1] } {
        let ctx = row.ctx_for(capability, attach);
        if !seen.contains(&ctx) {
            seen.push(ctx);
            distinct.push(attach);
        }
    }
    distinct
}

fn program(off: i16, size: Size, write: bool) -> Vec<Insn> {
    let zero = |dst: u8| Insn::new(0xb7, Reg(dst), Reg(0), 0, i32::from(dst == 0));
    let access = if write {
        Op::Store { size, dst: Reg(1), off, src: Operand::Reg(Reg(2)) }
    } else {
        Op::Load { size, signed: false, dst: Reg(3), src: Reg(1), off }
    };
    vec![zero(2), access.encode().0, zero(0), Insn::new(0x95, Reg(0), Reg(0), 0, 0)]
}

/// The accesses whose verdict is not the row's.
fn differences(row: &ProgramTypeRow, privilege: Privilege) -> Vec<String> {
    let capability = match privilege {
        Privilege::Privileged => Capability::Perfmon,
        Privilege::Unprivileged => Capability::None,
    };
    let under = |attach| differences_under(row, attach, row.ctx_for(capability, attach), privilege);
    attach_types(row, capability).into_iter().flat_map(under).collect()
}

fn differences_under(
    row: &ProgramTypeRow,
    attach_type: AttachType,
    ctx: &Context,
    privilege: Privilege,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let end = ctx.size.min(i16::MAX as u32 - 8);
    let near_end = end.saturating_sub(16).max(208);
    for off in (0..end.min(208)).chain(near_end..end + 8) {
        for size in SIZES {
            for write in [false, true] {
                let ours = ctx.access(off, size.bytes() as u32, write).is_some();
                let insns = program(off as i16, size, write);
                let spec = ProgramSpec { name: "ctx".into(), attach_type, ..ProgramSpec::new(row.id, insns) };
                let theirs = match Kernel.verdict(&spec, privilege) {
                    Verdict::Accepted => true,
                    Verdict::Rejected { .. } => false,
                    Verdict::Unsupported(why) | Verdict::Skipped(why) => {
                        println!("skipped: {privilege:?}: {why}");
                        return wrong;
                    }
                };
                if ours != theirs {
                    let what = if write { "store" } else { "load" };
                    let type_name = row.id.name().unwrap_or("?");
                    wrong.push(format!(
                        "{type_name} under {attach_type:?}, {privilege:?}: {what} of {size:?} at {off}: ours {ours}"
                    ));
                }
            }
        }
    }
    wrong
}

#[test]
fn kernel_allows_the_same_accesses() {
    let mut wrong = Vec::new();
    for row in PROGRAM_TYPES.iter().filter(|row| !ABSENT.contains(&row.id)) {
        wrong.extend(differences(row, Privilege::Privileged));
        if row.needs == Capability::None {
            wrong.extend(differences(row, Privilege::Unprivileged));
        }
    }
    assert!(wrong.is_empty(), "{} accesses differ:\n{}", wrong.len(), wrong.join("\n"));
}

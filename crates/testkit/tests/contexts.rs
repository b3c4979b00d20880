//! The context rows of `abi` against the running kernel: every offset, every size, loads and stores.

use skep_abi::PROGRAM_TYPES;
use skep_isa::{Insn, Op, Operand, Reg, Size};
use skep_linux::LinuxBackend;
use skep_spec::{LoadOptions, ProgramSpec};

const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

fn program(off: i16, size: Size, write: bool) -> Vec<Insn> {
    let zero = |dst: u8| Insn::new(0xb7, Reg(dst), Reg(0), 0, 0);
    let access = if write {
        Op::Store { size, dst: Reg(1), off, src: Operand::Reg(Reg(2)) }
    } else {
        Op::Load { size, signed: false, dst: Reg(3), src: Reg(1), off }
    };
    vec![zero(2), access.encode().0, zero(0), Insn::new(0x95, Reg(0), Reg(0), 0, 0)]
}

#[test]
fn kernel_allows_the_same_accesses() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return;
    }
    let backend = LinuxBackend::new();
    let mut wrong = Vec::new();
    for row in PROGRAM_TYPES {
        let end = row.ctx.size.min(i16::MAX as u32 - 8);
        let near_end = end.saturating_sub(16).max(208);
        for off in (0..end.min(208)).chain(near_end..end + 8) {
            for size in SIZES {
                for write in [false, true] {
                    let ours = row.ctx.access(off, size.bytes() as u32, write).is_some();
                    let insns = program(off as i16, size, write);
                    let spec = ProgramSpec { name: "ctx".into(), ..ProgramSpec::new(row.id, insns) };
                    let kernel = backend.load_program(&spec, &[], LoadOptions { log_level: 1 });
                    if ours != kernel.is_ok() {
                        let what = if write { "store" } else { "load" };
                        let type_name = row.id.name().unwrap_or("?");
                        wrong.push(format!("{type_name}: {what} of {size:?} at {off}: ours {ours}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} accesses differ:\n{}", wrong.len(), wrong.join("\n"));
}

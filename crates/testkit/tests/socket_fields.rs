//! The fields of sockets in `abi` against the running kernel: every offset and every size, loads and stores.

use skep_abi::{Context, ProgramType, SOCK, SOCK_COMMON, TCP_SOCK, XDP_SOCK};
use skep_isa::text::assemble;
use skep_isa::{Insn, Op, Operand, Reg, Size};
use skep_spec::{Environment, ProgramSpec};
use skep_testkit::oracle::kernel::Kernel;
use skep_testkit::oracle::{Oracle, Privilege, Verdict};
use skep_verifier::{Options, verify};

const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

/// How a traffic control program comes to a socket in `r6`: its socket's, or through a helper. Four instructions follow.
const WAYS: [(&Context, &str); 3] = [
    (&SOCK_COMMON, "r6 = *(u64 *)(r1 + 168)\nr0 = 0\nif r6 == 0 goto +2"),
    (&SOCK, "r1 = *(u64 *)(r1 + 168)\nr0 = 0\nif r1 == 0 goto +5\ncall 95\nr6 = r0\nif r6 == 0 goto +2"),
    (&TCP_SOCK, "r1 = *(u64 *)(r1 + 168)\nr0 = 0\nif r1 == 0 goto +5\ncall 96\nr6 = r0\nif r6 == 0 goto +2"),
];

fn program(before: &str, off: i16, size: Size, write: bool) -> ProgramSpec {
    let access = if write {
        Op::Store { size, dst: Reg(6), off, src: Operand::Imm(0) }
    } else {
        Op::Load { size, signed: false, dst: Reg(3), src: Reg(6), off }
    };
    let mut insns: Vec<Insn> = assemble(&format!("{before}\nr3 = 0")).expect("well formed");
    insns.push(access.encode().0);
    insns.extend(assemble("r0 = 0\nexit").expect("well formed"));
    ProgramSpec { name: "sock".into(), ..ProgramSpec::new(ProgramType::SCHED_CLS, insns) }
}

#[test]
fn kernel_allows_the_same_accesses_of_sockets() {
    let (mut wrong, mut allowed) = (Vec::new(), 0);
    for (fields, before) in WAYS {
        for off in -8..fields.size as i16 + 8 {
            for size in SIZES {
                for write in [false, true] {
                    let spec = program(before, off, size, write);
                    let ours = verify(&spec, &Environment::default(), &Options::default()).is_ok();
                    let theirs = match Kernel.verdict(&spec, Privilege::Privileged) {
                        Verdict::Accepted => true,
                        Verdict::Rejected { .. } => false,
                        Verdict::Unsupported(why) | Verdict::Skipped(why) => {
                            return println!("skipped: {why}");
                        }
                    };
                    allowed += u32::from(theirs);
                    if ours != theirs {
                        let what = if write { "store" } else { "load" };
                        wrong.push(format!("{}: {what} of {size:?} at {off}: ours {ours}", fields.name));
                    }
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(allowed > 90, "only {allowed}");
    // No program comes to an XDP socket yet.
    assert_eq!(XDP_SOCK.size, 4);
}

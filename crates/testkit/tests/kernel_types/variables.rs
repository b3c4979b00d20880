//! The kernel's own variables, of which each CPU has one.

use std::sync::Arc;

use skep_abi::ProgramType;
use skep_btf::Kind;
use skep_isa::{Imm64, Op, Reg};
use skep_spec::{LoadOptions, ProgramSpec};
use skep_verifier::{Options, verify};

use crate::common::{kernel, text};

/// Programs with the addresses of variables of the kernel, and whether they are accepted where the kernel finds those. The
/// kernel itself is asked in `tests/verdicts/variables.txt`; one without `CONFIG_KALLSYMS_ALL` finds none, so what is
/// accepted here is what `check_pseudo_btf_id` and `check_helper_call` (Linux 6.18) say.
const VARIABLES: &[(bool, &str)] = &[
    (true, "r1 = NUMBER\ncall 154\nr0 = *(u32 *)(r0 + 0)"),
    (true, "r1 = NUMBER\ncall 154\nr0 = *(u8 *)(r0 + 3)"),
    (false, "r1 = NUMBER\ncall 154\nr0 = *(u32 *)(r0 + 1)"),
    (false, "r1 = NUMBER\ncall 154\n*(u32 *)(r0 + 0) = 1"),
    (false, "r1 = NUMBER\ncall 154\nr1 = r0\nr2 = 4\nr3 = 0\ncall 113"),
    (true, "r1 = NUMBER\ncall 154\nr0 += 2\nr0 = *(u16 *)(r0 + 0)"),
    (true, "r1 = NUMBER\nr2 = 1\ncall 153\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 + 0)"),
    (false, "r1 = NUMBER\nr2 = 1\ncall 153\nr0 = *(u32 *)(r0 + 0)"),
    (false, "r1 = NUMBER\nr0 = *(u32 *)(r1 + 0)"),
    (false, "r1 = NUMBER\n*(u32 *)(r1 + 0) = 0"),
    (false, "r1 = NUMBER\nr1 += 1\ncall 154"),
    (true, "r1 = QUEUES\ncall 154\nr0 = *(u32 *)(r0 + 4)"),
    (false, "r1 = QUEUES\ncall 154\nr0 = *(u32 *)(r0 + 8192)"),
    (false, "r1 = QUEUES\ncall 154\n*(u32 *)(r0 + 4) = 1"),
    (true, "r1 = QUEUES\nr2 = 1\ncall 153\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 + 4)"),
    (false, "r1 = QUEUES\nr2 = 1\ncall 153\nr0 = *(u32 *)(r0 + 4)"),
    (false, "r1 = QUEUES\nr0 = *(u32 *)(r1 + 4)"),
    (false, "r1 = QUEUES\nr1 += 8\ncall 154"),
    (true, "r1 = QUEUES\nr1 += 0\ncall 154"),
    (false, "r1 = QUEUES\ncall 154\nr1 = r0\ncall 154"),
];

#[test]
fn variables_that_each_cpu_has() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let id = |name| btf.find_by_name(Some(Kind::Var), name);
    let (Some(number), Some(queues)) = (id("bpf_prog_active"), id("runqueues")) else {
        println!("skipped: the kernel's types have no variables");
        return;
    };
    let symbols = skep_testkit::selftests::ask::symbols().unwrap_or_default();
    let found = symbols.contains("bpf_prog_active") && symbols.contains("runqueues");
    let mut without = env.clone();
    without.kernel_symbols = Some(Arc::default());
    let mut wrong = Vec::new();
    for &(accepted, body) in VARIABLES {
        let id = if body.contains("NUMBER") { number } else { queues };
        let source = body.replace("NUMBER", "0x5eef ll").replace("QUEUES", "0x5eef ll");
        let mut insns = text(&format!("{source}\nr0 = 0\nexit"));
        let variable =
            Op::LoadImm64 { dst: Reg(1), value: Imm64::Variable { btf_id: id.0 as i32, btf_fd: 0 } };
        let (first, second) = variable.try_encode().expect("it can be written");
        insns.splice(..2, [Some(first), second].into_iter().flatten());
        let spec = ProgramSpec {
            name: "variable".into(),
            license: "GPL".into(),
            ..ProgramSpec::new(ProgramType::TRACEPOINT, insns)
        };
        let ours = verify(&spec, &env, &Options::default());
        if ours.is_ok() != accepted {
            wrong.push(format!("{body}: {:?}", ours.map(drop).map_err(|r| r.message().to_owned())));
        }
        let r = verify(&spec, &without, &Options::default()).expect_err("no address");
        assert!(r.message().contains("failed to find the address"), "{}", r.message());
        let theirs = kernel.load_program(&spec, &[], LoadOptions { log_level: 1 });
        if found && theirs.is_ok() != accepted {
            wrong.push(format!("{body}: the kernel: {:?}", theirs.map(drop).map_err(|e| e.log)));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

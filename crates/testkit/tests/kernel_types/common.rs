//! Programs on the kernel's types, and how verdicts on them are compared.

use std::os::fd::AsFd;
use std::sync::Arc;

use skep_abi::{AttachType, ProgramType};
use skep_btf::{Btf, Kind, TypeId};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Insn, Op, Reg, Size};
use skep_linux::{LinuxBackend, LinuxMap};
use skep_spec::{Environment, LoadOptions, MapDef, ProgramSpec};
use skep_verifier::{Options, verify};

pub use skep_testkit::kernel::with_types as kernel;

/// `BPF_F_TEST_STATE_FREQ`.
pub const EVERY_STATE: u32 = 1 << 3;
pub const SIZES: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

pub fn spec(attach_type: AttachType, id: TypeId, insns: Vec<Insn>) -> ProgramSpec {
    ProgramSpec {
        name: "typed".into(),
        attach_type,
        attach_btf_id: id.0,
        ..ProgramSpec::new(ProgramType::TRACING, insns)
    }
}

pub fn text(text: &str) -> Vec<Insn> {
    assemble(text).expect("well formed")
}

pub fn load(size: Size, dst: u8, src: u8, off: i16) -> Insn {
    Op::Load { size, signed: false, dst: Reg(dst), src: Reg(src), off }.encode().0
}

/// What a log of level 2 says last of a register.
pub fn said<'l>(log: &'l str, reg: &str) -> Option<&'l str> {
    let at = log.rfind(&format!("{reg}="))?;
    let rest = &log[at + reg.len() + 1..];
    Some(&rest[..rest.find([' ', '\n']).unwrap_or(rest.len())])
}

/// Compares verdicts, and what both say of `r2`.
pub fn compare(
    kernel: &LinuxBackend,
    env: &Environment,
    spec: &ProgramSpec,
    wrong: &mut Vec<String>,
    what: &str,
) -> bool {
    let test_state_freq = spec.flags & EVERY_STATE != 0;
    let options = Options { log_level: 2, test_state_freq, ..Options::default() };
    let ours = verify(spec, env, &options);
    let theirs = kernel.load_program(spec, &[], LoadOptions { log_level: 2 });
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => {
            let (a, b) = (said(ours.log(), "R2"), said(theirs.log(), "R2"));
            assert!(b.is_some() || !theirs.log().contains("R2"), "{what}");
            let same = match (a, b) {
                (Some(a), Some(b)) => same_register(env, a, b),
                (a, b) => a == b,
            };
            if !same {
                wrong.push(format!("{what}: ours {a:?}, the kernel's {b:?}"));
            }
        }
        (Ok(_), Err(e)) => {
            wrong.push(format!("{what}: accepted; {}", e.log.lines().rev().nth(1).unwrap_or("")))
        }
        (Err(r), Ok(_)) => wrong.push(format!("{what}: refused: {}", r.message())),
        (Err(_), Err(_)) => {}
    }
    theirs.is_ok()
}

/// `trusted_ptr_(btf_id=7)` is `trusted_ptr_task_struct()` if that is type 7.
pub fn same_register(env: &Environment, ours: &str, theirs: &str) -> bool {
    let kind = |s: &str| s.split('(').next().unwrap_or_default().to_owned();
    let id = ours.split("btf_id=").nth(1).and_then(|s| s.trim_end_matches(')').parse().ok());
    let name = id.and_then(|id| env.kernel_types.as_ref()?.name(TypeId(id))).unwrap_or_default();
    format!("{}{name}", kind(ours)) == kind(theirs)
}

/// Calls of these in the text stand for calls of the kernel's functions.
pub const CALLS: &[(i32, &str)] = &[
    (9001, "bpf_rcu_read_lock"),
    (9002, "bpf_rcu_read_unlock"),
    (9003, "bpf_preempt_disable"),
    (9004, "bpf_preempt_enable"),
];

/// Text with such calls.
pub fn with_kfuncs(btf: &Btf, body: &str) -> Vec<Insn> {
    let mut insns = text(body);
    for insn in &mut insns {
        let Some((_, name)) = CALLS.iter().find(|(n, _)| insn.opcode == 0x85 && insn.imm == *n) else {
            continue;
        };
        let id = btf.find_by_name(Some(Kind::Func), name).expect("Linux 6.18 has it");
        *insn = Insn::new(0x85, Reg(0), Reg(2), 0, id.0 as i32);
    }
    insns
}

/// Offset of a member of a structure, in one without a name as well.
pub fn offset(btf: &Btf, structure: &str, name: &str) -> u32 {
    let id = btf.find_by_name(Some(Kind::Struct), structure).expect("the kernel has it");
    member(btf, id, name).expect("a member") / 8
}

pub fn member(btf: &Btf, id: TypeId, name: &str) -> Option<u32> {
    btf.ty(id)?.members().iter().find_map(|m| match btf.str(m.name) {
        "" => member(btf, btf.resolve(m.ty), name).map(|off| m.off_bits + off),
        found => (found == name).then_some(m.off_bits),
    })
}

/// Loads of this number become references of the program's only map: to it, or to its first value.
pub const MAP: u64 = 0x5eed_5eed_5eed;

/// Text with such loads.
pub fn with_map(spec: ProgramSpec, def: &MapDef, value: Imm64) -> ProgramSpec {
    let mut insns = spec.insns.clone();
    for pc in 0..insns.len() {
        let wide = insns[pc].is_wide() && insns[pc].src.0 == 0;
        if wide && u64::from(insns[pc].imm as u32) | u64::from(insns[pc + 1].imm as u32) << 32 == MAP {
            let (first, second) = Op::LoadImm64 { dst: insns[pc].dst, value }.encode();
            (insns[pc], insns[pc + 1]) = (first, second.expect("LDDW takes two slots"));
        }
    }
    ProgramSpec { insns, maps: vec![Arc::new(def.clone())], ..spec }
}

/// Compares verdicts of a program with a map; whether the kernel accepts it.
pub fn same(
    kernel: &LinuxBackend,
    env: &Environment,
    spec: &ProgramSpec,
    map: &LinuxMap,
    wrong: &mut Vec<String>,
    what: &str,
) -> bool {
    let ours = verify(spec, env, &Options::default());
    let theirs = kernel.load_program(spec, &[map.as_fd()], LoadOptions { log_level: 1 });
    match (&ours, &theirs) {
        (Ok(_), Err(e)) => {
            wrong.push(format!("{what}: accepted; {}", e.log.lines().rev().nth(1).unwrap_or("")))
        }
        (Err(r), Ok(_)) => wrong.push(format!("{what}: refused: {}", r.message())),
        (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
    }
    theirs.is_ok()
}

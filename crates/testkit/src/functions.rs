//! Types for assembled programs that take the address of a function, or make tail calls beside functions: the kernel
//! asks for them.

use std::sync::Arc;

use skep_btf::{Builder, FuncLinkage, IntEncoding};
use skep_isa::{CallTarget, Imm64, Op, decode_all};
use skep_spec::{FuncInfo, ProgramSpec};

/// Whether a helper that a program calls calls functions of the program: `bpf_for_each_map_elem`, `bpf_loop`.
pub fn calls_back(spec: &ProgramSpec) -> bool {
    let helper = |op: Op| matches!(op, Op::Call(CallTarget::Helper(164 | 181)));
    decode_all(&spec.insns).flatten().any(|(_, op)| helper(op))
}

/// Whether a program makes tail calls.
fn calls_tails(spec: &ProgramSpec) -> bool {
    let helper = |op: Op| op == Op::Call(CallTarget::Helper(12));
    decode_all(&spec.insns).flatten().any(|(_, op)| helper(op))
}

/// Whether the kernel wants to know the types of the functions that a program may have.
pub fn want_types(spec: &ProgramSpec) -> bool {
    calls_back(spec) || calls_tails(spec)
}

/// Says that the main function is global and the others static, and that all return `int` and take nothing:
/// only for programs that take the address of a function and have no types yet.
pub fn describe(spec: &mut ProgramSpec) {
    give_types(spec, false);
}

/// As [`describe`], also for programs that have functions and make tail calls.
pub fn describe_callers(spec: &mut ProgramSpec) {
    give_types(spec, calls_tails(spec));
}

fn give_types(spec: &mut ProgramSpec, tail_calls: bool) {
    if spec.btf.is_some() {
        return;
    }
    let mut starts = vec![0];
    let mut addresses = false;
    for (pc, op) in decode_all(&spec.insns).flatten() {
        let off = match op {
            Op::Call(CallTarget::Subprog(off)) => off,
            Op::LoadImm64 { value: Imm64::Code(off), .. } => {
                addresses = true;
                off
            }
            _ => continue,
        };
        let to = pc as i64 + 1 + i64::from(off);
        starts.extend(u32::try_from(to).ok().filter(|to| (*to as usize) < spec.insns.len()));
    }
    starts.sort_unstable();
    starts.dedup();
    if !addresses && (starts.len() == 1 || !tail_calls) {
        return;
    }
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let proto = b.func_proto(int, &[]);
    let func_info = starts.iter().map(|&insn_off| {
        let (name, linkage) = match insn_off {
            0 => ("main".to_owned(), FuncLinkage::Global),
            n => (format!("at_{n}"), FuncLinkage::Static),
        };
        FuncInfo { insn_off, type_id: b.func(&name, proto, linkage).0 }
    });
    spec.func_info = func_info.collect();
    spec.btf = Some(Arc::new(b.finish().expect("an int and functions")));
}

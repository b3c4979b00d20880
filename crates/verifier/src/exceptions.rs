//! Exceptions: `bpf_throw` leaves the program from wherever it stands, through all its functions, and what it is given is
//! returned, or given to a function that the program names by a tag (`bpf_find_exception_callback_insn_off`,
//! kernel/bpf/verifier.c, Linux 6.18).

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use skep_btf::{FuncLinkage, Kind, Type};
use skep_isa::{CallTarget, Imm64, Op};
use skep_spec::ProgramSpec;

use crate::Code;
use crate::program::{Program, target};
use crate::structure::{At, at, func};
use crate::violation::{Check, Explain, refuse};

/// The function of the kernel that throws.
const THROW: &str = "bpf_throw";

/// The tag of the main function that names the one that is called then.
const TAG: &str = "exception_callback:";

/// Where the function starts that the program names, if it names one.
pub(crate) fn callback_start(spec: &ProgramSpec) -> At<Option<usize>> {
    at(0, named(spec))
}

fn named(spec: &ProgramSpec) -> Check<Option<usize>> {
    let Some((btf, main, _)) = func(spec, 0) else { return Ok(None) };
    let mut names = btf.decl_tags(main, None).filter_map(|tag| tag.strip_prefix(TAG));
    let Some(name) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return refuse(Code::BadArgument, "multiple exception callback tags for main subprog");
    }
    let Some(id) = btf.find_by_name(Some(Kind::Func), name) else {
        return refuse(Code::BadArgument, format!("exception callback '{name}' could not be found in BTF"));
    };
    if !matches!(btf.ty(id), Some(Type::Func { linkage: FuncLinkage::Global, .. })) {
        let words = format!("exception callback '{name}' must have global linkage");
        return refuse(Code::BadArgument, words).explain(
            "a function that is verified on its own",
            "it is static",
            "declare it without static, as __noinline",
        );
    }
    match spec.func_info.iter().rfind(|f| f.type_id == id.0).map(|f| f.insn_off) {
        Some(0) => refuse(Code::BadArgument, "invalid exception callback insn_off in func_info: 0"),
        Some(off) if (off as usize) < spec.insns.len() => Ok(Some(off as usize)),
        Some(_) | None => refuse(Code::BadArgument, "exception callback type id not found in func_info")
            .explain(
                "the function in the program",
                format!("{name} is not part of it"),
                "keep the function in the program's object; compile with -g",
            ),
    }
}

impl Program<'_> {
    /// Whether an instruction throws.
    pub(crate) fn throws(&self, op: Op) -> bool {
        match op {
            Op::Call(CallTarget::Kfunc { btf_id, btf_idx: 0 }) => {
                self.kernel.as_ref().and_then(|types| types.function(btf_id as u32)) == Some(THROW)
            }
            _ => false,
        }
    }

    /// By subprogram, whether it throws, or calls a function that does.
    pub(crate) fn find_throwing(&self) -> Vec<bool> {
        let mut throwing = vec![false; self.subprogs.len()];
        let mut calls = Vec::new();
        for (pc, op) in self.ops.iter().enumerate() {
            let Some(op) = *op else { continue };
            let caller = self.subprog_of(pc);
            throwing[caller] |= self.throws(op);
            if let Op::Call(CallTarget::Subprog(off)) | Op::LoadImm64 { value: Imm64::Code(off), .. } = op
                && let Some(callee) = target(pc, off).and_then(|to| self.subprog_at(to))
            {
                calls.push((caller, callee));
            }
        }
        loop {
            let before = throwing.clone();
            for &(caller, callee) in &calls {
                throwing[caller] |= throwing[callee];
            }
            if throwing == before {
                return throwing;
            }
        }
    }
}

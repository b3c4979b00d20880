//! Programs for hooks of security modules (`bpf_check_attach_target` in kernel/bpf/verifier.c, `bpf_lsm_verify_prog` in
//! kernel/bpf/bpf_lsm.c, Linux 6.18).

use alloc::format;

use skep_abi::{AttachType, HOOK, HOOKS, ReturnRange};
use skep_btf::{Btf, Kind, Name, Param, Type};
use skep_spec::ProgramSpec;

use super::args::{Attached, Point, prototype};
use super::function;
use crate::Code;
use crate::violation::{Check, Explain, refuse, unsupported};

impl<'a> Attached<'a> {
    pub(super) fn hook(
        btf: &'a Btf,
        spec: &ProgramSpec,
        id: u32,
        ty: &'a Type,
        function: &'a str,
    ) -> Check<Self> {
        let (ret, params) = prototype(btf, id, ty, function)?;
        function::may_be_called(btf, function, ret, params)?;
        let name = function.strip_prefix(HOOK);
        let sleepable = spec.flags & ProgramSpec::SLEEPABLE != 0;
        if sleepable && !name.is_some_and(skep_abi::hook_sleeps) {
            return refuse(Code::BadAttachType, format!("{function} is not sleepable")).explain(
                "a hook that waits for its programs",
                format!("{function} is called where nothing may sleep"),
                "write SEC(\"lsm/…\") instead of SEC(\"lsm.s/…\"), without helpers that sleep",
            );
        }
        if !spec.gpl_compatible() {
            return refuse(Code::GplOnly, "LSM programs must have a GPL compatible license");
        }
        if name.is_some_and(skep_abi::hook_is_disabled) {
            let words = format!("attach_btf_id {id} points to disabled hook {function}");
            return refuse(Code::BadAttachType, words).explain(
                "a hook that programs may answer for",
                format!("what {function} returns is more than yes or no"),
                "see include/linux/lsm_hook_defs.h for others",
            );
        }
        let Some(hooks) = btf.find_by_name(Some(Kind::Union), HOOKS).and_then(|id| btf.ty(id)) else {
            return unsupported(format!("hooks without union {HOOKS} in the kernel's types"));
        };
        let member = |name: &&str| hooks.members().iter().any(|m| btf.str(m.name) == *name);
        let Some(name) = name.filter(member) else {
            let words = format!("attach_btf_id {id} points to wrong type name {function}");
            return refuse(Code::BadAttachType, words).explain(
                "a hook of security modules",
                format!("{function} stands for none"),
                "name it by the section, as SEC(\"lsm/file_open\")",
            );
        };
        let cgroup = spec.attach_type == AttachType::LSM_CGROUP;
        let answers = *btf.resolved(ret) != Type::Void;
        let returns = match (answers, cgroup) {
            (true, false) => Some(skep_abi::hook_returns(name)),
            (false, false) => Some(ReturnRange::Nothing),
            (true, true) => None,
            // Nobody asks; it must not look as if the program could change anything.
            (false, true) => Some(ReturnRange::Within(1, 1)),
        };
        Ok(Self {
            btf,
            name,
            params,
            point: Point::Hook { cgroup },
            trusted: skep_abi::hook_is_trusted(name),
            result: answers.then_some(Param { name: Name::default(), ty: ret }),
            returns,
        })
    }
}

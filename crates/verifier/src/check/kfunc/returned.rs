//! What functions of the kernel return.

use alloc::format;

use skep_abi::{KfuncEffect, KfuncFlags};

use super::args::Args;
use crate::Code;
use crate::contract::Returned;
use crate::kernel::{self, CastTo, KfuncRet};
use crate::state::Marks;
use crate::violation::{Check, Explain, refuse};

impl Args<'_, '_> {
    /// What `r0` is afterwards.
    pub(super) fn returned(&self) -> Check<Returned> {
        let row = self.proto.row;
        let nullable = self.flag(KfuncFlags::RET_NULL);
        let types = kernel::of(self.p)?;
        match row.effect {
            KfuncEffect::CastsContext => {
                return match types.kernel_context(self.p) {
                    Ok(id) => Ok(Returned::Object { id, marks: Marks::TRUSTED, nullable: false }),
                    Err(id) => refuse(Code::BadArgument, format!("kern ctx type id {id} is not a struct"))
                        .explain(
                            "a program type whose context stands for a structure of the kernel",
                            "this type's does not",
                            "read the arguments from the context itself",
                        ),
                };
            }
            KfuncEffect::CastsReadOnly => return self.cast(),
            KfuncEffect::SessionCookie => {
                return Ok(Returned::Memory { size: 8, writable: true, nullable: false });
            }
            KfuncEffect::None
            | KfuncEffect::Enters(_)
            | KfuncEffect::Leaves(_)
            | KfuncEffect::TakesLock
            | KfuncEffect::GivesLock
            | KfuncEffect::Traps
            | KfuncEffect::Throws
            | KfuncEffect::NeedsDevice => {}
        }
        match row.name {
            "bpf_dynptr_slice" => return self.slice(false),
            "bpf_dynptr_slice_rdwr" => return self.slice(true),
            _ => {}
        }
        let protected = self.flag(KfuncFlags::RCU_PROTECTED);
        Ok(match self.proto.ret {
            KfuncRet::Void => Returned::Void,
            KfuncRet::Number | KfuncRet::Address => Returned::Integer,
            KfuncRet::Struct(id) => {
                let marks = match row.name {
                    "bpf_get_kmem_cache" => Marks::UNTRUSTED,
                    _ if protected => Marks::RCU,
                    _ => Marks::NONE,
                };
                Returned::Object { id: id.0, marks, nullable }
            }
            KfuncRet::Memory(own) => {
                let (size, writable) = match (self.memory, own) {
                    (Some((size, writable)), _) => (u32::try_from(size).unwrap_or(0), writable),
                    (None, Some(size)) => (size, false),
                    (None, None) => (0, false),
                };
                if size == 0 {
                    let words =
                        format!("kernel function {} returns a pointer that is not supported", row.name);
                    return refuse(Code::BadArgument, words);
                }
                Returned::Memory { size, writable, nullable }
            }
            KfuncRet::Unknown(kind) => {
                let words = format!("kernel function {} returns a {kind}, which is not supported", row.name);
                return refuse(Code::BadArgument, words);
            }
        })
    }

    fn cast(&self) -> Check<Returned> {
        let id = self.constant.unwrap_or(u64::MAX);
        match kernel::of(self.p)?.cast_to(id) {
            Some(CastTo::Struct(id)) => Ok(Returned::Object { id, marks: Marks::UNTRUSTED, nullable: false }),
            Some(CastTo::Void) => Ok(Returned::Probed),
            Some(CastTo::Other) => {
                let words = "kfunc bpf_rdonly_cast type ID argument must be of a struct or void";
                refuse(Code::BadArgument, words)
            }
            None => {
                let words = format!("Unknown type ID {id} passed to kfunc bpf_rdonly_cast");
                refuse(Code::BadArgument, words).explain(
                    "the number of a type of the kernel",
                    "there is none of this number",
                    "write bpf_core_type_id_kernel(struct NAME)",
                )
            }
        }
    }
}

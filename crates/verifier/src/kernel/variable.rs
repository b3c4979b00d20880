//! Variables and functions of the kernel whose address a program has (`check_pseudo_btf_id`, kernel/bpf/verifier.c, Linux
//! 6.18).

use alloc::format;

use skep_btf::{Type, TypeId};
use skep_spec::Environment;

use super::Kernel;
use crate::Code;
use crate::contract::Returned;
use crate::state::{Kind, Marks};
use crate::violation::{Check, Explain, refuse};

/// The section of variables that each CPU has (`PERCPU_DATASEC`, kernel/bpf/btf.c).
const PER_CPU: &str = ".data..percpu";

impl Kernel<'_> {
    /// Whether there is such a variable or function, and the kernel finds its address.
    pub(crate) fn has_variable(&self, env: &Environment, id: u32) -> Check<()> {
        self.variable(id)?;
        let name = self.btf.name(TypeId(id)).unwrap_or_default();
        match &env.kernel_symbols {
            Some(symbols) if !symbols.contains(name) => {
                let words = format!("ldimm64 failed to find the address for kernel symbol '{name}'.");
                refuse(Code::BadInsn, words).explain(
                    "a symbol of the kernel, as in /proc/kallsyms",
                    "it is not among them: without CONFIG_KALLSYMS_ALL variables are not",
                    "declare the variable __weak and go without it, or use a kernel that was built with that",
                )
            }
            _ => Ok(()),
        }
    }

    /// What the address of a variable, by the number of its `VAR`, points to. A function is memory of no bytes.
    pub(crate) fn variable(&self, id: u32) -> Check<Kind> {
        let ty = match self.btf.ty(TypeId(id)) {
            Some(Type::Var { ty, .. }) => *ty,
            Some(Type::Func { .. }) => return Ok(Kind::Mem { size: 0, ringbuf: false, writable: false }),
            Some(_) => {
                let words = format!("pseudo btf_id {id} in ldimm64 isn't KIND_VAR or KIND_FUNC.");
                return refuse(Code::BadInsn, words);
            }
            None => {
                let words = format!("ldimm64 insn specifies invalid btf_id {id}.");
                return refuse(Code::BadInsn, words);
            }
        };
        if self.is_per_cpu(TypeId(id)) {
            return Ok(Kind::Btf { id: self.btf.resolve(ty).0, marks: Marks::PER_CPU });
        }
        self.behind(ty)
    }

    /// One CPU's part of a variable of this type.
    pub(crate) fn of_a_cpu(&self, ty: u32, nullable: bool) -> Check<Returned> {
        Ok(match self.behind(TypeId(ty))? {
            Kind::Btf { id, marks } => Returned::Object { id, marks, nullable },
            Kind::Mem { size, .. } => Returned::Memory { size, writable: false, nullable },
            _ => Returned::Integer,
        })
    }

    fn is_per_cpu(&self, var: TypeId) -> bool {
        let section = self.btf.find_by_name(Some(skep_btf::Kind::Datasec), PER_CPU);
        match section.and_then(|id| self.btf.ty(id)) {
            Some(Type::Datasec { entries, .. }) => entries.iter().any(|entry| entry.ty == var),
            _ => false,
        }
    }

    /// A structure, or memory that may only be read.
    fn behind(&self, ty: TypeId) -> Check<Kind> {
        let id = self.btf.resolve(ty);
        if matches!(self.btf.ty(id), Some(Type::Struct { .. } | Type::Union { .. })) {
            return Ok(Kind::Btf { id: id.0, marks: Marks::NONE });
        }
        match self.btf.size_of(id) {
            Some(size) => Ok(Kind::Mem { size, ringbuf: false, writable: false }),
            None => {
                let name = self.btf.name(id).unwrap_or_default();
                let words = format!("ldimm64 unable to resolve the size of type '{name}': -22");
                refuse(Code::BadInsn, words).explain(
                    "a variable whose type is complete",
                    "the kernel's types do not say how large it is",
                    "declare it with a type that the kernel's types describe",
                )
            }
        }
    }
}

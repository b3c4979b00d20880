//! Exception callbacks: a tag `exception_callback:NAME` on a program says which function is called when it throws
//! (libbpf's `bpf_prog_assign_exc_cb`). The kernel finds it by the same tag; the linker only brings it along.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use skep_btf::{Btf, FuncLinkage, Kind, Type};

use crate::elf::Elf;
use crate::error::{Error, File, Place};
use crate::funcs::Functions;

const TAG: &str = "exception_callback:";

/// What the tags say.
#[derive(Default)]
pub(crate) struct Callbacks {
    /// Names of callbacks by name of the program.
    named: BTreeMap<String, Vec<String>>,
    /// A tag on something that is no global function: nothing can be linked then, as libbpf has it.
    astray: Option<String>,
}

impl Callbacks {
    pub(crate) fn find(btf: Option<&Btf>) -> Self {
        let mut out = Self::default();
        let Some(btf) = btf else { return out };
        for (_, t) in btf.iter_kinds([Kind::DeclTag]) {
            let Type::DeclTag { name, target, component: None, .. } = t else { continue };
            let Some(callback) = btf.str(*name).strip_prefix(TAG) else { continue };
            match btf.ty(*target) {
                Some(Type::Func { name, linkage: FuncLinkage::Global, .. }) => {
                    out.named.entry(btf.str(*name).into()).or_default().push(callback.into());
                }
                _ => out.astray = Some(btf.str(*name).into()),
            }
        }
        out
    }

    /// The callback of a program. `None` also for several: the verifier refuses those.
    ///
    /// # Errors
    /// When the function is not there, or not visible as the kernel wants it.
    pub(crate) fn of(
        &self,
        file: &File,
        elf: &Elf<'_>,
        functions: &Functions,
        program: &str,
    ) -> Result<Option<usize>, Error> {
        let bad = |what| Err(file.malformed(Place::Function { name: program.into(), insn: None }, what));
        if let Some(tag) = &self.astray {
            return bad(format!("the tag \"{tag}\" is not on a program: put it on a global function"));
        }
        let [name] = self.named.get(program).map_or(&[][..], Vec::as_slice) else { return Ok(None) };
        let text = |section: usize| elf.sections[section].name == ".text";
        let found = functions.all.iter().position(|f| f.name == *name && text(f.section));
        match found.map(|i| (i, &functions.all[i])) {
            Some((i, f)) if f.global && !f.hidden => Ok(Some(i)),
            Some(_) => {
                bad(format!("its exception callback \"{name}\" must be a global function that is not hidden"))
            }
            None => bad(format!("its exception callback \"{name}\" is no function of section \".text\"")),
        }
    }
}

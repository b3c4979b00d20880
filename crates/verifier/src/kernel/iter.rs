//! The functions that make up the kernel's open-coded iterators (`btf_check_iter_kfuncs`, kernel/bpf/btf.c, Linux 6.18):
//! their names and types say all.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use skep_btf::{Btf, Type, TypeId};

use super::Kernel;

/// What a function does with an iterator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IterStep {
    /// Begins one.
    New,
    /// Gives an element, or NULL when there is none more.
    Next,
    /// Ends it.
    Destroy,
}

/// What an iterator gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// Memory of so many bytes that is only read.
    Mem(u32),
    /// An object, by the number of its type.
    Object(u32),
}

/// A function `bpf_iter_NAME_new`, `_next` or `_destroy`, whose first argument is a `struct bpf_iter_NAME *`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IterFunction {
    pub(crate) step: IterStep,
    /// The structure.
    pub(crate) id: u32,
    /// Its name without `bpf_iter_`.
    pub(crate) name: Rc<str>,
    /// Stack slots that it takes.
    pub(crate) slots: usize,
    /// What `next` gives.
    pub(crate) element: Option<Element>,
}

/// The functions that were asked for.
pub(super) type Asked = RefCell<Vec<(u32, Option<Rc<IterFunction>>)>>;

impl Kernel<'_> {
    /// The iterator's function of a number, if it is one.
    pub(crate) fn iter_function(&self, function: u32) -> Option<Rc<IterFunction>> {
        if let Some((_, known)) = self.iterators.borrow().iter().find(|(id, _)| *id == function) {
            return known.clone();
        }
        let found = find(self.btf, TypeId(function)).map(Rc::new);
        self.iterators.borrow_mut().push((function, found.clone()));
        found
    }
}

fn find(btf: &Btf, function: TypeId) -> Option<IterFunction> {
    let Some(Type::Func { name, proto, .. }) = btf.ty(function) else { return None };
    let Some(Type::FuncProto { ret, params }) = btf.ty(*proto) else { return None };
    let full = btf.str(*name);
    let Type::Ptr { target } = btf.resolved(params.first()?.ty) else { return None };
    let id = btf.resolve(*target);
    let Some(Type::Struct { name, size, .. }) = btf.ty(id) else { return None };
    let structure = btf.str(*name);
    let short = structure.strip_prefix("bpf_iter_")?;
    let step = match full.strip_prefix(structure)? {
        "_new" => IterStep::New,
        "_next" => IterStep::Next,
        "_destroy" => IterStep::Destroy,
        _ => return None,
    };
    let slots = (*size as usize).checked_div(8).filter(|_| *size > 0 && size % 8 == 0)?;
    let element = match (step, btf.resolved(*ret)) {
        (IterStep::Next, Type::Ptr { target }) => {
            let to = btf.resolve(*target);
            Some(match btf.ty(to) {
                Some(Type::Struct { .. }) => Element::Object(to.0),
                _ => Element::Mem(btf.size_of(to)?),
            })
        }
        (IterStep::Next, _) => return None,
        (IterStep::New | IterStep::Destroy, _) => None,
    };
    Some(IterFunction { step, id: id.0, name: String::from(short).into(), slots, element })
}

//! Objects that programs allocate, by the types of the program itself, and the fields of objects and map values that
//! the kernel keeps.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::sync::Arc;
use core::cell::RefCell;

use skep_btf::{Type, TypeId};
use skep_spec::{FieldKind, Fields};

use crate::program::Program;
use crate::state::{Kind, Marks, Reg};

/// The fields of types that were asked for.
pub(crate) type Known = RefCell<BTreeMap<u32, Option<Rc<Fields>>>>;

impl Program<'_> {
    /// The fields of an object of one of the program's own types, if it has any.
    pub(crate) fn object_fields(&self, id: u32) -> Option<Rc<Fields>> {
        if let Some(known) = self.objects.borrow().get(&id) {
            return known.clone();
        }
        let found = self.spec.btf.as_deref().and_then(|btf| Fields::of_object(btf, TypeId(id))).map(Rc::new);
        self.objects.borrow_mut().insert(id, found.clone());
        found
    }

    /// The name of one of the program's own structures.
    pub(crate) fn object_name(&self, id: u32) -> &str {
        self.spec.btf.as_deref().and_then(|btf| btf.name(TypeId(id))).unwrap_or("(anon)")
    }

    /// The bytes of one of the program's own structures; `None` if it is none.
    pub(crate) fn object_size(&self, id: u32) -> Option<u32> {
        match self.spec.btf.as_deref()?.ty(TypeId(id))? {
            Type::Struct { size, .. } => Some(*size),
            _ => None,
        }
    }

    /// Whether the types of a map's values are the program's own.
    pub(crate) fn has_types_of(&self, map: u16) -> bool {
        match (&self.map(map).btf, &self.spec.btf) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The fields behind a pointer to a map value or an allocated object (`reg_btf_record`).
    pub(crate) fn fields_of(&self, reg: &Reg) -> Option<Rc<Fields>> {
        match reg.kind {
            Kind::MapValue(map) => self.fields.get(usize::from(map)).cloned(),
            Kind::Local { id, marks } if marks.has(Marks::ALLOC) => self.object_fields(id),
            _ => None,
        }
    }

    /// Whether the values of a map have what runs later.
    pub(crate) fn has_later(&self, map: u16) -> bool {
        let fields = self.fields(map);
        [FieldKind::Timer, FieldKind::Workqueue, FieldKind::TaskWork].iter().any(|kind| fields.has(*kind))
    }

    /// Whether a lock may be behind a pointer: then copies of it stay told apart from others
    /// (`reg_may_point_to_spin_lock`).
    pub(crate) fn may_have_lock(&self, reg: &Reg) -> bool {
        let lock = |f: Rc<Fields>| f.has(FieldKind::SpinLock) || f.has(FieldKind::ResSpinLock);
        self.fields_of(reg).is_some_and(lock)
    }
}

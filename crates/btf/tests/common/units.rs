//! Made-up sources, and compilations of parts of them.

use std::collections::BTreeMap;

use skep_btf::*;

/// A type of a made-up source: numbers refer to others of them.
#[derive(Clone, Debug)]
pub enum Made {
    Struct(Vec<usize>, bool),
    Typedef(usize),
    Enum(u8),
    Proto(Vec<usize>),
    Array(usize, u8),
    Const(usize),
}

/// Puts a struct into every cycle without one: C has no others, and typedefs do not name themselves.
pub fn ground(mut source: Vec<Made>) -> Vec<Made> {
    let mut known: Vec<bool> = source.iter().map(|m| matches!(m, Made::Struct(..) | Made::Enum(_))).collect();
    for _ in 0..source.len() {
        for (i, m) in source.iter().enumerate() {
            known[i] |= match m {
                Made::Typedef(to) | Made::Array(to, _) | Made::Const(to) => known[*to],
                Made::Proto(to) => to.iter().all(|to| known[*to]),
                Made::Struct(..) | Made::Enum(_) => true,
            };
        }
    }
    let unknown = source.iter_mut().zip(known).filter(|(_, known)| !known);
    unknown.for_each(|(m, _)| *m = Made::Struct(Vec::new(), false));
    source
}

/// Compiles some of a source: what the roots reach; of the others, structs are declared only. Everything refers to
/// others through pointers. `spoiled` changes the definition of one struct.
pub struct Unit<'a> {
    source: &'a [Made],
    defined: u16,
    spoiled: Option<usize>,
    b: Builder,
    done: BTreeMap<usize, TypeId>,
    pointers: BTreeMap<usize, TypeId>,
}

impl Unit<'_> {
    /// The unit with what `roots` (a bit each) reach; structs and enums without a bit in `defined` are declared.
    pub fn compile(source: &[Made], roots: u16, defined: u16, spoiled: Option<usize>) -> Btf {
        let (done, pointers) = Default::default();
        let mut unit = Unit { source, defined, spoiled, b: Builder::new(), done, pointers };
        for i in (0..source.len()).filter(|i| roots >> i & 1 == 1) {
            unit.ty(i);
        }
        unit.b.finish().expect("C")
    }

    fn pointer(&mut self, i: usize) -> TypeId {
        if let Some(&p) = self.pointers.get(&i) {
            return p;
        }
        let p = self.b.ptr(TypeId::VOID);
        self.pointers.insert(i, p);
        let target = self.ty(i);
        *self.b.ty_mut(p).expect("own") = Type::Ptr { target };
        p
    }

    fn ty(&mut self, i: usize) -> TypeId {
        if let Some(&id) = self.done.get(&i) {
            return id;
        }
        let id = self.b.add(Type::Fwd { name: Name::NONE, is_union: false });
        self.done.insert(i, id);
        let name = self.b.name(&format!("t{i}"));
        let t = match &self.source[i] {
            Made::Struct(_, is_union) if self.defined >> i & 1 == 0 => {
                Type::Fwd { name, is_union: *is_union }
            }
            Made::Struct(to, is_union) => {
                let members: Box<[_]> = (0u32..)
                    .zip(to)
                    .map(|(n, &to)| {
                        let ty = self.pointer(to);
                        let name = self.b.name(&format!("m{n}"));
                        Member { name, ty, off_bits: if *is_union { 0 } else { n * 64 }, bitfield_bits: 0 }
                    })
                    .collect();
                let size = 64 + u32::from(self.spoiled == Some(i));
                match is_union {
                    true => Type::Union { name, size, members },
                    false => Type::Struct { name, size, members },
                }
            }
            Made::Typedef(to) => Type::Typedef { name, target: self.pointer(*to) },
            Made::Enum(n) => {
                let value = |v: u8| EnumValue { name: self.b.name(&format!("E{i}{v}")), value: v.into() };
                let values = (0..if self.defined >> i & 1 == 0 { 0 } else { *n }).map(value).collect();
                Type::Enum { name, size: 4, signed: false, values }
            }
            Made::Proto(to) => {
                let params = to.iter().map(|to| Param { name: Name::NONE, ty: self.pointer(*to) }).collect();
                Type::FuncProto { ret: TypeId::VOID, params }
            }
            Made::Array(to, n) => {
                let (element, index) = (self.pointer(*to), self.b.int("long", 8, IntEncoding::Signed));
                Type::Array { element, index, len: (*n).into() }
            }
            Made::Const(to) => Type::Const { target: self.pointer(*to) },
        };
        *self.b.ty_mut(id).expect("own") = t;
        id
    }
}

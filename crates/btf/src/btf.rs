//! A checked set of types, and questions to it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::check::{self, Facts};
use crate::{Endian, Error, Kind, Name, Type, TypeId};

/// A checked set of types with their names.
///
/// A *split* one (a kernel module's) stands on a base: its ids and names go on where the base's end, and
/// questions are answered for both.
///
/// Two are equal when types and string sections are equal; the byte order that one was read in is not kept.
#[derive(Clone, Debug)]
pub struct Btf {
    /// What a split BTF stands on.
    base: Option<Arc<Btf>>,
    /// Own types by id from `first`. Without a base the first is `void`.
    types: Vec<Type>,
    /// The id of the first own type.
    first: u32,
    /// Own NUL-terminated strings, at offsets from `first_str`. Without a base the first is empty.
    strings: String,
    /// The offset of the first own string.
    first_str: u32,
    /// What the check found out about each own type.
    facts: Vec<Facts>,
    /// Bytes of a pointer.
    pointer_size: u32,
}

impl PartialEq for Btf {
    fn eq(&self, other: &Self) -> bool {
        self.types == other.types && self.strings == other.strings && self.base == other.base
    }
}

impl Eq for Btf {}

impl Default for Btf {
    /// Nothing but `void`.
    fn default() -> Self {
        let facts = alloc::vec![Facts { size: None, resolved: TypeId::VOID }];
        let (types, strings) = (alloc::vec![Type::Void], "\0".into());
        Self { base: None, types, first: 0, strings, first_str: 0, facts, pointer_size: 8 }
    }
}

impl Btf {
    /// Reads and checks a `.BTF` section in either byte order.
    ///
    /// # Errors
    /// Anything wrong with the header, the strings or a type, which is named by its id. Memory use is bounded
    /// by a small multiple of the input's length, whatever the input claims.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (types, strings) = crate::parse::parse(bytes, None)?;
        Self::from_parts(None, types, strings)
    }

    /// Reads and checks a split `.BTF` section that stands on `base` (`/sys/kernel/btf/MODULE`).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_split(bytes: &[u8], base: Arc<Btf>) -> Result<Self, Error> {
        let (types, strings) = crate::parse::parse(bytes, Some(&base))?;
        Self::from_parts(Some(base), types, strings)
    }

    /// Checks types against each other and the strings.
    pub(crate) fn from_parts(
        base: Option<Arc<Btf>>,
        types: Vec<Type>,
        strings: String,
    ) -> Result<Self, Error> {
        let (first, first_str) = base.as_ref().map_or((0, 0), |b| (b.len() as u32, b.strings_end()));
        let mut btf = Self { base, types, first, strings, first_str, facts: Vec::new(), pointer_size: 8 };
        btf.pointer_size = btf.guess_pointer_size();
        btf.facts = check::check(&btf)?;
        Ok(btf)
    }

    /// Base, own types and own strings, as [`Self::from_parts`] takes them.
    pub(crate) fn into_parts(self) -> (Option<Arc<Btf>>, Vec<Type>, String) {
        (self.base, self.types, self.strings)
    }

    /// What a split BTF stands on.
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// The id of the first type that is not the base's: 1 without a base.
    pub fn first_own(&self) -> TypeId {
        TypeId(self.first.max(1))
    }

    /// The offset after the last string, the base's included.
    pub(crate) fn strings_end(&self) -> u32 {
        self.first_str + self.strings.len() as u32
    }

    /// Own strings, and the offset of the first.
    pub(crate) fn own_strings(&self) -> (u32, &str) {
        (self.first_str, &self.strings)
    }

    /// Bytes of a pointer on the machine that this describes: the size of `long`, where there is that type (as
    /// libbpf's `btf__pointer_size` finds out), else 8.
    pub fn pointer_size(&self) -> u32 {
        self.pointer_size
    }

    fn guess_pointer_size(&self) -> u32 {
        if let Some(base) = &self.base {
            return base.pointer_size;
        }
        let mut sizes = self.types.iter().filter_map(|t| is_long(self, t));
        sizes.next().unwrap_or(8)
    }

    /// The bytes of a `.BTF` section: own types and strings. [`Btf::parse`] of them, or [`Btf::parse_split`] with
    /// the same base, gives an equal `Btf`.
    pub fn to_bytes(&self, endian: Endian) -> Vec<u8> {
        crate::write::write(&self.types, &self.strings, endian)
    }

    /// Number of types, `void` and the base's included: ids are below this.
    pub fn len(&self) -> usize {
        self.first as usize + self.types.len()
    }

    /// Whether there is no type but `void`.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// The type with this id.
    pub fn ty(&self, id: TypeId) -> Option<&Type> {
        match id.0.checked_sub(self.first) {
            Some(own) => self.types.get(own as usize),
            None => self.base.as_ref()?.ty(id),
        }
    }

    /// All types but `void`, in order of their ids: the base's, then our own.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        let base: &[Type] = self.base.as_ref().map_or(&[], |b| &b.types);
        (0u32..).map(TypeId).zip(base.iter().chain(&self.types)).skip(1)
    }

    /// All types but `void` and the base's, in order of their ids.
    pub fn iter_own(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        let skip = usize::from(self.base.is_none());
        (self.first..).map(TypeId).zip(&self.types).skip(skip)
    }

    /// The text of a name; empty for one that does not belong to this `Btf`.
    pub fn str(&self, name: Name) -> &str {
        let Some(own) = name.0.checked_sub(self.first_str) else {
            return self.base.as_ref().map_or("", |b| b.str(name));
        };
        let tail = self.strings.get(own as usize..).unwrap_or("");
        let len = CStr::from_bytes_until_nul(tail.as_bytes()).map_or(tail.len(), CStr::count_bytes);
        &tail[..len]
    }

    /// Whether a name is this text: without looking further than they are the same.
    pub(crate) fn is_named(&self, name: Name, text: &str) -> bool {
        self.bytes_from(name).strip_prefix(text.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The bytes from a name's first on, to its NUL and beyond.
    pub(crate) fn bytes_from(&self, name: Name) -> &[u8] {
        match name.0.checked_sub(self.first_str) {
            Some(own) => self.strings.as_bytes().get(own as usize..).unwrap_or(&[]),
            None => self.base.as_ref().map_or(&[], |b| b.bytes_from(name)),
        }
    }

    /// The string at this byte offset of the string section, if that is inside it.
    pub fn name_at(&self, off: u32) -> Option<Name> {
        let Some(own) = off.checked_sub(self.first_str) else { return self.base.as_ref()?.name_at(off) };
        let inside = (own as usize) < self.strings.len() && self.strings.is_char_boundary(own as usize);
        inside.then_some(Name(off))
    }

    /// The name of a type; `None` for one without and for an unknown id.
    pub fn name(&self, id: TypeId) -> Option<&str> {
        let name = self.ty(id)?.name();
        (!name.is_none()).then(|| self.str(name))
    }

    /// The first type with this name, of this kind if one is given. Looks at every type.
    pub fn find_by_name(&self, kind: Option<Kind>, name: &str) -> Option<TypeId> {
        let same = |n: Name| !n.is_none() && self.is_named(n, name);
        self.iter().find(|(_, t)| kind.is_none_or(|k| t.kind() == k) && same(t.name())).map(|(id, _)| id)
    }

    /// The first own type with this kind and name.
    pub(crate) fn find_own(&self, kind: Kind, name: &str) -> Option<TypeId> {
        let same = |n: Name| !n.is_none() && self.is_named(n, name);
        self.iter_own().find(|(_, t)| t.kind() == kind && same(t.name())).map(|(id, _)| id)
    }

    /// Follows typedefs, qualifiers and type tags to the type they stand for. An unknown id comes back as is.
    pub fn resolve(&self, id: TypeId) -> TypeId {
        self.facts(id).map_or(id, |f| f.resolved)
    }

    /// The type behind typedefs, qualifiers and type tags; `void` for an unknown id.
    pub fn resolved(&self, id: TypeId) -> &Type {
        self.ty(self.resolve(id)).unwrap_or(&Type::Void)
    }

    /// Size in bytes of a value of this type. `None` for what has no size: `void`, functions, forward
    /// declarations, tags, arrays of more than 4 GiB, sections whose size is not filled in, unknown ids. A
    /// pointer has [`Self::pointer_size`].
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        self.facts(id)?.size
    }

    /// What is known of a type; of an own one only once it has been checked.
    pub(crate) fn facts(&self, id: TypeId) -> Option<&Facts> {
        match id.0.checked_sub(self.first) {
            Some(own) => self.facts.get(own as usize),
            None => self.base.as_ref()?.facts(id),
        }
    }

    /// Tags on a declaration: those of the whole for `component` `None`, else of that member or parameter.
    pub fn decl_tags(&self, id: TypeId, component: Option<u32>) -> impl Iterator<Item = &str> {
        self.iter().filter_map(move |(_, t)| match *t {
            Type::DeclTag { name, target, component: c, .. } if target == id && c == component => {
                Some(self.str(name))
            }
            _ => None,
        })
    }
}

/// The size of a type that is `long` by one of its names.
pub(crate) fn is_long(btf: &Btf, t: &Type) -> Option<u32> {
    let long = ["long", "long int", "int long", "unsigned long", "long unsigned", "unsigned long int"];
    let long = |name| long.contains(&name) || name == "long unsigned int";
    match *t {
        Type::Int { name, size: size @ (4 | 8), .. } if long(btf.str(name)) => Some(size),
        _ => None,
    }
}

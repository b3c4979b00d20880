//! A checked set of types, and questions to it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::check::{self, Facts};
use crate::{Endian, Error, Kind, Name, Type, TypeId};

/// A checked set of types with their names.
///
/// Two are equal when types and string sections are equal; the byte order that one was read in is not kept.
#[derive(Clone, Debug)]
pub struct Btf {
    /// By id; `types[0]` is `void`.
    types: Vec<Type>,
    /// NUL-terminated strings; the first is empty.
    strings: String,
    /// What the check found out about each type.
    facts: Vec<Facts>,
}

impl PartialEq for Btf {
    fn eq(&self, other: &Self) -> bool {
        self.types == other.types && self.strings == other.strings
    }
}

impl Eq for Btf {}

impl Btf {
    /// Reads and checks a `.BTF` section in either byte order.
    ///
    /// # Errors
    /// Anything wrong with the header, the strings or a type, which is named by its id. Memory use is bounded
    /// by a small multiple of the input's length, whatever the input claims.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (types, strings) = crate::parse::parse(bytes)?;
        Self::from_parts(types, strings)
    }

    /// Checks types against each other and the strings.
    pub(crate) fn from_parts(types: Vec<Type>, strings: String) -> Result<Self, Error> {
        let facts = check::check(&types, &strings)?;
        Ok(Self { types, strings, facts })
    }

    /// Types and strings, as [`Self::from_parts`] takes them.
    pub(crate) fn into_parts(self) -> (Vec<Type>, String) {
        (self.types, self.strings)
    }

    /// The bytes of a `.BTF` section. [`Btf::parse`] of them gives an equal `Btf`.
    pub fn to_bytes(&self, endian: Endian) -> Vec<u8> {
        crate::write::write(&self.types, &self.strings, endian)
    }

    /// Number of types, `void` included: ids are below this.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there is no type but `void`.
    pub fn is_empty(&self) -> bool {
        self.types.len() <= 1
    }

    /// The type with this id.
    pub fn ty(&self, id: TypeId) -> Option<&Type> {
        self.types.get(id.index())
    }

    /// All types but `void`, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0u32..).map(TypeId).zip(&self.types).skip(1)
    }

    /// The text of a name; empty for one that does not belong to this `Btf`.
    pub fn str(&self, name: Name) -> &str {
        let tail = self.strings.get(name.0 as usize..).unwrap_or("");
        tail.split('\0').next().unwrap_or("")
    }

    /// The string at this byte offset of the string section, if that is inside it.
    pub fn name_at(&self, off: u32) -> Option<Name> {
        self.strings.is_char_boundary(off as usize).then_some(())?;
        ((off as usize) < self.strings.len()).then_some(Name(off))
    }

    /// The name of a type; `None` for one without and for an unknown id.
    pub fn name(&self, id: TypeId) -> Option<&str> {
        let name = self.ty(id)?.name();
        (!name.is_none()).then(|| self.str(name))
    }

    /// The first type with this name, of this kind if one is given. Looks at every type.
    pub fn find_by_name(&self, kind: Option<Kind>, name: &str) -> Option<TypeId> {
        let bytes = self.strings.as_bytes();
        let same = |n: Name| {
            !n.is_none()
                && bytes[n.0 as usize..].strip_prefix(name.as_bytes()).is_some_and(|t| t.first() == Some(&0))
        };
        self.iter().find(|(_, t)| kind.is_none_or(|k| t.kind() == k) && same(t.name())).map(|(id, _)| id)
    }

    /// Follows typedefs, qualifiers and type tags to the type they stand for. An unknown id comes back as is.
    pub fn resolve(&self, id: TypeId) -> TypeId {
        self.facts.get(id.index()).map_or(id, |f| f.resolved)
    }

    /// The type behind typedefs, qualifiers and type tags; `void` for an unknown id.
    pub fn resolved(&self, id: TypeId) -> &Type {
        self.ty(self.resolve(id)).unwrap_or(&Type::Void)
    }

    /// Size in bytes of a value of this type. `None` for what has no size: `void`, functions, forward
    /// declarations, tags, arrays of more than 4 GiB, sections whose size is not filled in, unknown ids. A
    /// pointer has 8.
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        self.facts.get(id.index())?.size
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

//! Making BTF from nothing.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::parse::MAX_STRINGS;
use crate::remap::{Names, Remap};
use crate::types::*;
use crate::{At, Btf, Error};

/// Collects types and names; [`Builder::finish`] checks them as if they had been read from a file.
///
/// ```
/// use skep_btf::{Builder, Endian, IntEncoding, Btf};
/// let mut b = Builder::new();
/// let u32_ = b.int("unsigned int", 4, IntEncoding::Unsigned);
/// let event = b.structure("event", 8, &[("pid", u32_, 0), ("cpu", u32_, 32)]);
/// let btf = b.finish()?;
/// assert_eq!(btf.size_of(event), Some(8));
/// assert_eq!(Btf::parse(&btf.to_bytes(Endian::Big))?, btf);
/// # Ok::<(), skep_btf::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    /// What a split BTF stands on.
    base: Option<Arc<Btf>>,
    types: Vec<Type>,
    strings: String,
    names: BTreeMap<String, Name>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Btf> for Builder {
    /// To change types or add to them: ids and names stay as they are.
    fn from(btf: Btf) -> Self {
        let (base, types, strings) = btf.into_parts();
        Self { base, types, strings, names: BTreeMap::new() }
    }
}

impl Builder {
    /// Nothing but `void`.
    pub fn new() -> Self {
        Self { base: None, types: alloc::vec![Type::Void], strings: "\0".into(), names: BTreeMap::new() }
    }

    /// Nothing but what `base` has: ids and names go on where its own end.
    pub fn split(base: Arc<Btf>) -> Self {
        Self { base: Some(base), types: Vec::new(), strings: String::new(), names: BTreeMap::new() }
    }

    /// Ids and string offsets of the base.
    fn start(&self) -> (u32, u32) {
        self.base.as_ref().map_or((0, 0), |b| (b.len() as u32, b.strings_end()))
    }

    /// The name for a text, the same for the same text. What follows a NUL byte is left out.
    pub fn name(&mut self, text: &str) -> Name {
        let text = text.split('\0').next().unwrap_or("");
        if text.is_empty() {
            return Name::NONE;
        }
        if let Some(&n) = self.names.get(text) {
            return n;
        }
        let name = Name(self.start().1 + self.strings.len() as u32);
        self.strings.push_str(text);
        self.strings.push('\0');
        self.names.insert(text.into(), name);
        name
    }

    /// Adds a type. Names in it come from [`Self::name`]; ids may be of types that are added later, which
    /// [`Self::next_id`] foretells.
    pub fn add(&mut self, t: Type) -> TypeId {
        let id = self.next_id();
        self.types.push(t);
        id
    }

    /// Adds all types of another BTF, with their names; what refers to them follows by the map.
    /// [`dedup`](crate::dedup::dedup) makes one of those that are the same.
    ///
    /// # Errors
    /// If `other` is split and does not stand on the base of this builder; if there would be more than 2^32
    /// bytes of strings.
    pub fn append(&mut self, other: &Btf) -> Result<Remap, Error> {
        let same = match (&self.base, other.base()) {
            (_, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs) || ours == theirs,
            (None, Some(_)) => false,
        };
        if !same {
            return Err(Error::malformed(At::Header, "the split BTF to append stands on another base"));
        }
        let (first_str, strings) = other.own_strings();
        let at = self.start().1 as u64 + self.strings.len() as u64;
        if at + strings.len() as u64 > MAX_STRINGS as u64 {
            let what = format!("the strings together exceed {MAX_STRINGS} bytes");
            return Err(Error::malformed(At::Header, what));
        }
        let first = other.first_own().0;
        let ids = (self.next_id().0..).map(TypeId).take(other.iter_own().count()).collect();
        let map = Remap { first, ids, first_str, names: Names::Shift((at as u32).wrapping_sub(first_str)) };
        self.strings.push_str(strings);
        self.types.extend(other.iter_own().map(|(_, t)| {
            let mut t = t.clone();
            map.ty(&mut t);
            t
        }));
        Ok(map)
    }

    /// The type with this id; `None` for the base's, which stay as they are.
    pub fn ty_mut(&mut self, id: TypeId) -> Option<&mut Type> {
        let own = id.0.checked_sub(self.start().0)?;
        self.types.get_mut(own as usize)
    }

    /// The id of the type that is added next.
    pub fn next_id(&self) -> TypeId {
        TypeId(self.start().0 + self.types.len() as u32)
    }

    /// Adds an integer of `size` bytes.
    pub fn int(&mut self, name: &str, size: u32, encoding: IntEncoding) -> TypeId {
        let name = self.name(name);
        self.add(Type::Int { name, size, encoding, off_bits: 0, bits: size.saturating_mul(8).min(255) as u8 })
    }

    /// Adds a pointer.
    pub fn ptr(&mut self, target: TypeId) -> TypeId {
        self.add(Type::Ptr { target })
    }

    /// Adds an array.
    pub fn array(&mut self, element: TypeId, index: TypeId, len: u32) -> TypeId {
        self.add(Type::Array { element, index, len })
    }

    /// Adds a typedef.
    pub fn typedef(&mut self, name: &str, target: TypeId) -> TypeId {
        let name = self.name(name);
        self.add(Type::Typedef { name, target })
    }

    /// Adds a struct of `size` bytes without bit-fields; a member is its name, type and offset in bits.
    pub fn structure(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32)]) -> TypeId {
        let members = members
            .iter()
            .map(|&(name, ty, off_bits)| Member { name: self.name(name), ty, off_bits, bitfield_bits: 0 })
            .collect();
        let name = self.name(name);
        self.add(Type::Struct { name, size, members })
    }

    /// Adds an enum of 4 bytes.
    pub fn enumeration(&mut self, name: &str, signed: bool, values: &[(&str, i64)]) -> TypeId {
        let values: Box<[_]> =
            values.iter().map(|&(name, value)| EnumValue { name: self.name(name), value }).collect();
        let name = self.name(name);
        self.add(Type::Enum { name, size: 4, signed, values })
    }

    /// Adds the type of a function.
    pub fn func_proto(&mut self, ret: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let params = params.iter().map(|&(name, ty)| Param { name: self.name(name), ty }).collect();
        self.add(Type::FuncProto { ret, params })
    }

    /// Adds a function.
    pub fn func(&mut self, name: &str, proto: TypeId, linkage: FuncLinkage) -> TypeId {
        let name = self.name(name);
        self.add(Type::Func { name, proto, linkage })
    }

    /// Checks everything.
    ///
    /// # Errors
    /// What [`Btf::parse`] refuses, and values that have no encoding: more than 65,535 parts in a type,
    /// enumerators that do not fit 32 bits in a [`Type::Enum`], a bit-field beyond bit 2^24, strings of more
    /// than 16 MiB.
    pub fn finish(self) -> Result<Btf, Error> {
        let (first, first_str) = self.start();
        let strings = first_str as usize + self.strings.len();
        if strings > MAX_STRINGS {
            let what = format!("string section has {strings} bytes, more than {MAX_STRINGS}");
            return Err(Error::malformed(At::Header, what));
        }
        let void = usize::from(self.base.is_none());
        for (id, t) in (first..).zip(&self.types).skip(void) {
            encodable(t).map_err(|what| Error::malformed(At::Type(id), what))?;
        }
        Btf::from_parts(self.base, self.types.iter(), &self.strings)
    }
}

/// Whether a type says nothing that its record has no room for.
fn encodable(t: &Type) -> Result<(), &'static str> {
    let parts = match t {
        Type::Void => return Err("`void` has no record: it is always type 0"),
        Type::Struct { members, .. } | Type::Union { members, .. } => {
            let bitfields = members.iter().any(|m| m.bitfield_bits != 0);
            if bitfields && members.iter().any(|m| m.off_bits >= 1 << 24) {
                return Err("a struct with bit-fields has a member beyond bit 2^24");
            }
            members.len()
        }
        Type::Enum { values, signed, .. } => {
            let fits = |v: i64| if *signed { i32::try_from(v).is_ok() } else { u32::try_from(v).is_ok() };
            if !values.iter().all(|v| fits(v.value)) {
                return Err("an enumerator does not fit 32 bits: use an ENUM64");
            }
            values.len()
        }
        Type::Enum64 { values, .. } => values.len(),
        Type::FuncProto { params, .. } => params.len(),
        Type::Datasec { entries, .. } => entries.len(),
        Type::DeclTag { component: Some(c), .. } if *c > i32::MAX as u32 => {
            return Err("component_idx exceeds 2^31");
        }
        _ => 0,
    };
    if parts > 0xffff { Err("more than 65,535 members, values, parameters or entries") } else { Ok(()) }
}

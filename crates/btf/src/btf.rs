//! A checked set of types, and questions to it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::ffi::CStr;
use core::fmt;

use crate::check;
use crate::facts::Facts;
use crate::names::Table;
use crate::raw::{Kinds, Record};
use crate::relo::essential;
use crate::store::Store;
use crate::{At, Endian, Error, Kind, Name, Type, TypeId};

/// A checked set of types with their names.
///
/// It is kept as the bytes that it was read from, where [`Self::ty`] decodes a type when it is first asked for.
/// [`Self::kind`], [`Self::name`], [`Self::size_of`], [`Self::resolve`] and [`Self::find_by_name`] read the bytes and
/// decode none. Clones share all of this.
///
/// A *split* one (a kernel module's) stands on a base: its ids and names go on where the base's end, and
/// questions are answered for both.
///
/// Two are equal when types and string sections are equal; the byte order that one was read in is not kept.
#[derive(Clone)]
pub struct Btf {
    /// What a split BTF stands on.
    base: Option<Arc<Btf>>,
    /// Own types by id from `first`. Without a base the first is `void`. Own NUL-terminated strings, at offsets from
    /// `first_str`. Without a base the first is empty.
    own: Arc<Store>,
    /// The id of the first own type.
    first: u32,
    /// The offset of the first own string.
    first_str: u32,
    /// Bytes of a pointer.
    pointer_size: u32,
}

impl PartialEq for Btf {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.own, &other.own) {
            return self.base == other.base;
        }
        // Different bytes may mean the same: byte order, and kind_flag without bit-fields.
        let types = || {
            let (ours, theirs) = (self.own.records(), other.own.records());
            ours.len() == theirs.len()
                && ours.iter().zip(theirs.iter()).all(|(a, b)| a.decode() == b.decode())
        };
        self.own.strings() == other.own.strings() && types() && self.base == other.base
    }
}

impl Eq for Btf {}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<Type> = self.own.records().iter().map(Record::decode).collect();
        f.debug_struct("Btf")
            .field("base", &self.base)
            .field("first", &self.first)
            .field("types", &types)
            .field("first_str", &self.first_str)
            .field("strings", &self.own_strings().1)
            .finish()
    }
}

impl Default for Btf {
    /// Nothing but `void`.
    fn default() -> Self {
        Self::from_parts(None, [Type::Void].iter(), "\0").expect("`void` is always right")
    }
}

impl Btf {
    /// Reads and checks a `.BTF` section in either byte order.
    ///
    /// # Errors
    /// Anything wrong with the header, the strings or a type, which is named by its id. Memory use is bounded
    /// by a small multiple of the input's length, whatever the input claims.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_owned(bytes.to_vec())
    }

    /// As [`Self::parse`], of bytes that are kept and not copied: a file's as they were read, or ones that lie in memory
    /// for good.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_owned(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, Error> {
        Self::open(bytes.into(), None)
    }

    /// Reads and checks a split `.BTF` section that stands on `base` (`/sys/kernel/btf/MODULE`).
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_split(bytes: impl Into<Cow<'static, [u8]>>, base: Arc<Btf>) -> Result<Self, Error> {
        Self::open(bytes.into(), Some(base))
    }

    fn open(bytes: Cow<'static, [u8]>, base: Option<Arc<Btf>>) -> Result<Self, Error> {
        let own_first = base.as_ref().map_or(1, |b| b.len() as u32);
        let layout =
            crate::parse::parse(&bytes, base.as_deref()).map_err(|e| e.located(&bytes, own_first))?;
        let (first, first_str) = base.as_ref().map_or((0, 0), |b| (b.len() as u32, b.strings_end()));
        let mut own = Store::new(bytes, layout);
        let pointer_size = match &base {
            Some(base) => base.pointer_size,
            None => guess_pointer_size(&own),
        };
        own.facts = check::check(base.as_deref(), &own, pointer_size)
            .map_err(|e| e.located(own.bytes(), own_first))?;
        Ok(Self { base, own: Arc::new(own), first, first_str, pointer_size })
    }

    /// Checks types against each other and the strings. Each must have an encoding.
    pub(crate) fn from_parts<T: Borrow<Type>>(
        base: Option<Arc<Btf>>,
        types: impl Iterator<Item = T>,
        strings: &str,
    ) -> Result<Self, Error> {
        let bytes = crate::write::write(types, strings, Endian::NATIVE);
        if bytes.len() as u64 > u64::from(u32::MAX) {
            return Err(Error::malformed(At::Header, "types and strings together exceed 4 GiB"));
        }
        Self::open(bytes.into(), base)
    }

    /// Base, own types and own strings, as [`Self::from_parts`] takes them.
    pub(crate) fn into_parts(self) -> (Option<Arc<Btf>>, Vec<Type>, String) {
        let types = self.own.records().iter().map(Record::decode).collect();
        let strings = self.own_strings().1.into();
        (self.base, types, strings)
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
        self.first_str + self.own.strings().len() as u32
    }

    /// Own strings, and the offset of the first.
    pub(crate) fn own_strings(&self) -> (u32, &str) {
        (self.first_str, core::str::from_utf8(self.own.strings()).expect("strings are checked"))
    }

    /// Bytes of a pointer on the machine that this describes: the size of `long`, where there is that type (as
    /// libbpf's `btf__pointer_size` finds out), else 8.
    pub fn pointer_size(&self) -> u32 {
        self.pointer_size
    }

    /// The bytes of a `.BTF` section: own types and strings. [`Btf::parse`] of them, or [`Btf::parse_split`] with
    /// the same base, gives an equal `Btf`.
    pub fn to_bytes(&self, endian: Endian) -> Vec<u8> {
        crate::write::write(self.own.records().iter().map(Record::decode), self.own_strings().1, endian)
    }

    /// Number of types, `void` and the base's included: ids are below this.
    pub fn len(&self) -> usize {
        self.first as usize + self.own.len()
    }

    /// Whether there is no type but `void`.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// The type with this id, as it is in the bytes.
    pub(crate) fn record(&self, id: TypeId) -> Option<Record<'_>> {
        match id.0.checked_sub(self.first) {
            Some(own) => self.own.records().get(own as usize),
            None => self.base.as_ref()?.record(id),
        }
    }

    /// The type with this id.
    pub fn ty(&self, id: TypeId) -> Option<&Type> {
        match id.0.checked_sub(self.first) {
            Some(own) => self.own.ty(own as usize),
            None => self.base.as_ref()?.ty(id),
        }
    }

    /// The kind of the type with this id.
    pub fn kind(&self, id: TypeId) -> Option<Kind> {
        match id.0.checked_sub(self.first) {
            Some(own) => self.own.records().kind(own as usize),
            None => self.base.as_ref()?.kind(id),
        }
    }

    /// Ids of all types but `void`, in their order: the base's, then our own.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (1..self.len() as u32).map(TypeId)
    }

    /// Ids of all types but `void` and the base's, in their order.
    pub fn own_ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (self.first_own().0..self.len() as u32).map(TypeId)
    }

    /// All types but `void`, in order of their ids: the base's, then our own. Decodes each.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        self.ids().filter_map(|id| Some((id, self.ty(id)?)))
    }

    /// All types but `void` and the base's, in order of their ids. Decodes each.
    pub fn iter_own(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        self.own_ids().filter_map(|id| Some((id, self.ty(id)?)))
    }

    /// Types of these kinds, in order of their ids: the base's, then our own. Decodes no others.
    pub fn iter_kinds<const N: usize>(&self, kinds: [Kind; N]) -> impl Iterator<Item = (TypeId, &Type)> {
        self.of_kinds(Kinds::of(&kinds)).filter_map(|id| Some((id, self.ty(id)?)))
    }

    /// Ids of types of these kinds, in their order: the base's, then our own.
    pub(crate) fn of_kinds(&self, kinds: Kinds) -> impl Iterator<Item = TypeId> {
        self.stack().flat_map(move |btf| btf.own_of_kinds(kinds))
    }

    /// The bases, which may stand on others, and then this one.
    fn stack(&self) -> impl Iterator<Item = &Self> {
        let mut from = alloc::vec![self];
        while let Some(base) = from.last().and_then(|b| b.base.as_deref()) {
            from.push(base);
        }
        from.into_iter().rev()
    }

    /// Ids of own types of these kinds, in their order.
    pub(crate) fn own_of_kinds(&self, kinds: Kinds) -> impl Iterator<Item = TypeId> {
        let first = self.first;
        self.own.records().of_kinds(kinds).map(move |index| TypeId(first + index as u32))
    }

    /// The text of a name; empty for one that does not belong to this `Btf`.
    pub fn str(&self, name: Name) -> &str {
        core::str::from_utf8(self.name_bytes(name)).unwrap_or("")
    }

    /// The bytes of a name.
    fn name_bytes(&self, name: Name) -> &[u8] {
        let bytes = self.bytes_from(name);
        CStr::from_bytes_until_nul(bytes).map_or(bytes, CStr::to_bytes)
    }

    /// Whether a name is this text: without looking further than they are the same.
    pub fn is_named(&self, name: Name, text: &str) -> bool {
        self.bytes_from(name).strip_prefix(text.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// Whether a name says nothing: there is none, or it is empty, which the kernel refuses and libbpf takes for none.
    pub(crate) fn is_anonymous(&self, name: Name) -> bool {
        name.is_none() || self.bytes_from(name).first() == Some(&0)
    }

    /// The bytes from a name's first on, to its NUL and beyond.
    pub(crate) fn bytes_from(&self, name: Name) -> &[u8] {
        match name.0.checked_sub(self.first_str) {
            Some(own) => self.own.strings().get(own as usize..).unwrap_or(&[]),
            None => self.base.as_ref().map_or(&[], |b| b.bytes_from(name)),
        }
    }

    /// The string at this byte offset of the string section, if that is inside it.
    pub fn name_at(&self, off: u32) -> Option<Name> {
        match off.checked_sub(self.first_str) {
            Some(own) => self.own.is_string(own as usize).then_some(Name(off)),
            None => self.base.as_ref()?.name_at(off),
        }
    }

    /// The name of a type; `None` for one without and for an unknown id.
    pub fn name(&self, id: TypeId) -> Option<&str> {
        let name = self.record(id)?.name();
        (!name.is_none()).then(|| self.str(name))
    }

    /// The first type with this name, of this kind if one is given.
    pub fn find_by_name(&self, kind: Option<Kind>, name: &str) -> Option<TypeId> {
        let in_base = self.base.as_ref().and_then(|b| b.find_by_name(kind, name));
        in_base.or_else(|| self.find_own_of(kind, name))
    }

    /// The first own type with this name, of this kind if one is given.
    fn find_own_of(&self, kind: Option<Kind>, name: &str) -> Option<TypeId> {
        let records = self.own.records();
        let named = |index: &usize| {
            let name_of = records.get(*index).map(|r| r.name());
            name_of.is_some_and(|n| !n.is_none() && self.is_named(n, name))
        };
        let index = match kind.and_then(|kind| self.name_table(kind)) {
            Some(table) => table.candidates(essential(name.as_bytes())).find(named),
            None => {
                let kinds = kind.map_or(Kinds::NAMED, |k| Kinds::of(&[k]));
                records.of_kinds(kinds).find(named)
            }
        };
        index.map(|index| TypeId(self.first + index as u32))
    }

    /// The types of this kind whose names without their last `___flavour` are this one, in order of their ids: the
    /// base's, then our own.
    pub fn find_flavours(&self, kind: Kind, name: &str) -> Vec<TypeId> {
        let mut found = self.base.as_ref().map_or_else(Vec::new, |b| b.find_flavours(kind, name));
        let records = self.own.records();
        let is_one = |index: &usize| {
            let name_of = records.get(*index).map(|r| r.name()).filter(|n| !n.is_none());
            let begins = |n: &Name| self.bytes_from(*n).starts_with(name.as_bytes());
            name_of.filter(begins).is_some_and(|n| essential(self.name_bytes(n)) == name.as_bytes())
        };
        let id = |index: usize| TypeId(self.first + index as u32);
        match self.name_table(kind) {
            Some(table) => found.extend(table.candidates(name.as_bytes()).filter(is_one).map(id)),
            None => found.extend(records.of_kinds(Kinds::of(&[kind])).filter(is_one).map(id)),
        }
        found
    }

    /// The own types of a kind by name, if there is a table of them.
    fn name_table(&self, kind: Kind) -> Option<&Table> {
        let records = self.own.records();
        self.own.names.table(kind, records.len(), || {
            let name_of = move |index| {
                let name = records.get(index)?.name();
                (!name.is_none()).then(|| (index, self.name_bytes(name)))
            };
            records.of_kinds(Kinds::of(&[kind])).filter_map(name_of)
        })
    }

    /// The first own type with this kind and name.
    pub(crate) fn find_own(&self, kind: Kind, name: &str) -> Option<TypeId> {
        let same = |n: Name| !n.is_none() && self.is_named(n, name);
        let mut ids = self.own_of_kinds(Kinds::of(&[kind]));
        ids.find(|id| self.record(*id).is_some_and(|r| same(r.name())))
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

    /// What is known of a type.
    pub(crate) fn facts(&self, id: TypeId) -> Option<Facts> {
        match id.0.checked_sub(self.first) {
            Some(own) => match self.own.layout.derived.number(own as usize) {
                Some(number) => self.own.facts.get(number).map(|f| f.get()),
                None => Facts::plain(id, self.own.records().get(own as usize)?, self.pointer_size),
            },
            None => self.base.as_ref()?.facts(id),
        }
    }

    /// Tags on a declaration: those of the whole for `component` `None`, else of that member or parameter.
    pub fn decl_tags(&self, id: TypeId, component: Option<u32>) -> impl Iterator<Item = &str> {
        let wanted = move |r: &Record<'_>| r.component() == component;
        self.stack()
            .flat_map(move |btf| btf.own.tags.on(id.0, btf.own.records()).filter(wanted))
            .map(|r| self.str(r.name()))
    }
}

/// The size of the first type that is `long` by one of its names.
fn guess_pointer_size(own: &Store) -> u32 {
    let text = |name: Name| {
        let bytes = own.strings().get(name.0 as usize..).unwrap_or(&[]);
        CStr::from_bytes_until_nul(bytes).map_or(&[][..], CStr::to_bytes)
    };
    own.records().iter().find_map(|r| is_long(r, text(r.name()))).unwrap_or(8)
}

/// The size of a type that is `long` by its name.
pub(crate) fn is_long(record: Record<'_>, name: &[u8]) -> Option<u32> {
    const LONG: [&str; 7] = [
        "long",
        "long int",
        "int long",
        "unsigned long",
        "long unsigned",
        "unsigned long int",
        "long unsigned int",
    ];
    let size = record.word();
    let long =
        record.kind() == Kind::Int && matches!(size, 4 | 8) && LONG.iter().any(|l| l.as_bytes() == name);
    long.then_some(size)
}

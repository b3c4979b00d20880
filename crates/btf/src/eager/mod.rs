//! What [`Btf`] must be equal to: a reader that decodes every type at once and checks them decoded, without places,
//! records or facts that are worked out when they are asked for. Damaged bytes must be refused by both with the same
//! words.

mod check;
mod parse;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::facts::Facts;
use crate::*;

/// Decoded types.
struct Eager<'a> {
    base: Option<&'a Btf>,
    types: Vec<Type>,
    strings: String,
    facts: Vec<Facts>,
    pointer_size: u32,
}

impl<'a> Eager<'a> {
    fn parse(bytes: &[u8], base: Option<&'a Btf>) -> Result<Self, Error> {
        let (types, strings) = parse::parse(bytes, base)?;
        let mut eager = Self { base, types, strings, facts: Vec::new(), pointer_size: 8 };
        eager.pointer_size = match base {
            Some(base) => base.pointer_size(),
            None => eager.types.iter().find_map(|t| eager.long(t)).unwrap_or(8),
        };
        eager.facts = check::check(&eager)?;
        Ok(eager)
    }

    fn long(&self, t: &Type) -> Option<u32> {
        let words = ["long", "long int", "int long", "unsigned long", "long unsigned"];
        let words: Vec<_> = words.into_iter().chain(["unsigned long int", "long unsigned int"]).collect();
        match *t {
            Type::Int { name, size: size @ (4 | 8), .. } if words.contains(&self.str(name)) => Some(size),
            _ => None,
        }
    }

    fn first(&self) -> u32 {
        self.base.map_or(0, |b| b.len() as u32)
    }

    fn first_str(&self) -> u32 {
        self.base.map_or(0, Btf::strings_end)
    }

    fn base(&self) -> Option<&'a Btf> {
        self.base
    }

    fn strings_end(&self) -> u32 {
        self.first_str() + self.strings.len() as u32
    }

    fn pointer_size(&self) -> u32 {
        self.pointer_size
    }

    fn len(&self) -> usize {
        self.first() as usize + self.types.len()
    }

    fn ty(&self, id: TypeId) -> Option<&Type> {
        match id.0.checked_sub(self.first()) {
            Some(own) => self.types.get(own as usize),
            None => self.base?.ty(id),
        }
    }

    fn iter_own(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        let skip = usize::from(self.base.is_none());
        (self.first()..).map(TypeId).zip(&self.types).skip(skip)
    }

    fn facts(&self, id: TypeId) -> Option<Facts> {
        match id.0.checked_sub(self.first()) {
            Some(own) => self.facts.get(own as usize).copied(),
            None => self.base?.facts(id),
        }
    }

    fn str(&self, name: Name) -> &str {
        let Some(own) = name.0.checked_sub(self.first_str()) else {
            return self.base.map_or("", |b| b.str(name));
        };
        self.strings.get(own as usize..).and_then(|s| s.split('\0').next()).unwrap_or("")
    }

    fn name_at(&self, off: u32) -> Option<Name> {
        let Some(own) = off.checked_sub(self.first_str()) else { return self.base?.name_at(off) };
        let inside = (own as usize) < self.strings.len() && self.strings.is_char_boundary(own as usize);
        inside.then_some(Name(off))
    }
}

/// Both take these bytes and say the same of them, or both refuse them with the same words. Whether they are taken.
#[track_caller]
fn agree(bytes: &[u8], base: Option<&Arc<Btf>>) -> bool {
    let lazy = match base {
        Some(base) => Btf::parse_split(bytes.to_vec(), base.clone()),
        None => Btf::parse(bytes),
    };
    match (lazy, Eager::parse(bytes, base.map(|b| &**b))) {
        (Ok(lazy), Ok(eager)) => {
            same(&lazy, &eager);
            true
        }
        (Err(lazy), Err(eager)) => {
            assert_eq!(lazy.at_byte(None), eager);
            false
        }
        (lazy, eager) => {
            panic!("{:?} and {:?}", lazy.map(|b| b.len()), eager.map(|e| e.len()).map_err(|e| e.to_string()))
        }
    }
}

#[track_caller]
fn same(lazy: &Btf, eager: &Eager<'_>) {
    assert_eq!((lazy.len(), lazy.pointer_size()), (eager.len(), eager.pointer_size()));
    assert_eq!((lazy.strings_end(), lazy.own_strings().1), (eager.strings_end(), &*eager.strings));
    // From the last on, so that what is asked first is not what lies first.
    for id in (0..lazy.len() as u32 + 2).rev().map(TypeId) {
        let (ours, theirs) = (lazy.ty(id), eager.ty(id));
        assert_eq!((ours, lazy.facts(id)), (theirs, eager.facts(id)), "{id}");
        assert_eq!(lazy.kind(id), theirs.map(Type::kind), "{id}");
        let name = theirs.map(Type::name).filter(|n| !n.is_none());
        assert_eq!(lazy.name(id), name.map(|n| eager.str(n)), "{id}");
    }
    let offs = (0..64).chain(lazy.strings_end().saturating_sub(2)..lazy.strings_end() + 2);
    for off in offs {
        assert_eq!(lazy.name_at(off), eager.name_at(off), "string {off}");
    }
}

/// Types of all kinds, with names that are not ASCII if asked for.
fn seed(ascii: bool) -> Btf {
    let mut b = Builder::new();
    let long = b.int("long unsigned int", 8, IntEncoding::Unsigned);
    let char = b.int("char", 1, IntEncoding::Char);
    let text = b.array(char, long, 16);
    let color = b.enumeration(if ascii { "color" } else { "färbe" }, true, &[("RED", -1), ("BLUE", 7)]);
    let (name, value) = (b.name("big"), b.name("HUGE"));
    let values = [EnumValue { name: value, value: i64::MIN }].into();
    let big = b.add(Type::Enum64 { name, size: 8, signed: true, values });
    let node = b.next_id();
    let next = TypeId(node.0 + 1);
    b.structure("node", 40, &[("next", next, 0), ("text", text, 64), ("big", big, 192), ("n", long, 256)]);
    b.ptr(node);
    let (name, x, y) = (b.name("bits"), b.name("x"), b.name("y"));
    let members = [
        Member { name: x, ty: long, off_bits: 0, bitfield_bits: 3 },
        Member { name: y, ty: color, off_bits: 3, bitfield_bits: 29 },
    ];
    let bits = b.add(Type::Struct { name, size: 8, members: members.into() });
    let members = [Member { name: x, ty: bits, off_bits: 0, bitfield_bits: 0 }].into();
    let union = b.add(Type::Union { name: Name::NONE, size: 8, members });
    let name = b.name("hidden");
    let fwd = b.add(Type::Fwd { name, is_union: false });
    let fwd = b.ptr(fwd);
    let def = b.typedef("u_t", union);
    let def = b.add(Type::Volatile { target: def });
    let def = b.add(Type::Const { target: def });
    let name = b.name("user");
    let def = b.add(Type::TypeTag { name, target: def, attribute: false });
    let def = b.ptr(def);
    let def = b.add(Type::Restrict { target: def });
    let proto = b.func_proto(long, &[("p", def), ("q", fwd), ("", TypeId::VOID)]);
    let func = b.func("f", proto, FuncLinkage::Global);
    let name = b.name("tag");
    b.add(Type::DeclTag { name, target: func, component: Some(1), attribute: false });
    b.add(Type::DeclTag { name, target: node, component: None, attribute: true });
    let name = b.name("counter");
    let var = b.add(Type::Var { name, ty: def, linkage: VarLinkage::Static });
    let name = b.name(".data");
    let entries = [DatasecEntry { ty: var, off_bytes: 8, size: 8 }].into();
    b.add(Type::Datasec { name, size: 16, entries });
    let name = b.name("double");
    b.add(Type::Float { name, size: 8 });
    b.finish().expect("the types are right")
}

/// A word that may mean something where it is put.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        0u32..40,
        any::<u32>(),
        (0u32..21, 0u32..4, any::<bool>()).prop_map(|(k, n, flag)| u32::from(flag) << 31 | k << 24 | n),
        (0u32..32).prop_map(|bit| 1 << bit),
        Just(u32::MAX),
    ]
}

/// Mostly of the type section.
fn changed(btf: &Btf, endian: Endian, changes: &[(prop::sample::Index, u32)]) -> Vec<u8> {
    let mut bytes = btf.to_bytes(endian);
    for (at, word) in changes {
        let at = 8 + at.index(bytes.len() / 4 - 2) * 4;
        bytes[at..at + 4].copy_from_slice(&endian.u32_bytes(*word));
    }
    bytes
}

#[test]
fn sound_types() {
    for ascii in [true, false] {
        let btf = seed(ascii);
        assert!(agree(&btf.to_bytes(Endian::Little), None) && agree(&btf.to_bytes(Endian::Big), None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn changed_words(
        ascii in any::<bool>(),
        big in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), word()), 1..4),
        cut in proptest::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = changed(&seed(ascii), if big { Endian::Big } else { Endian::Little }, &changes);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        agree(&bytes, None);
    }

    #[test]
    fn changed_bits(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..5)) {
        let mut bytes = seed(false).to_bytes(Endian::Little);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        agree(&bytes, None);
    }

    #[test]
    fn made_of_words(words in proptest::collection::vec(word(), 0..60)) {
        let mut bytes = [0xeb9f_u32 | 1 << 16, 24, 0, words.len() as u32 * 4, words.len() as u32 * 4, 12]
            .iter()
            .chain(&words)
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<u8>>();
        bytes.extend_from_slice(b"\0int\0char\0x\0");
        agree(&bytes, None);
    }

    /// What stands on a base refers to it by ids and names.
    #[test]
    fn split(
        ascii in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), word()), 0..4),
    ) {
        let base = Arc::new(seed(ascii));
        let mut b = Builder::split(base.clone());
        let int = b.int("module's", 4, IntEncoding::Signed);
        let array = b.array(TypeId(6), int, 3);
        let def = b.typedef("many", array);
        b.structure("own", 128, &[("nodes", def, 0), ("int", int, 960)]);
        b.ptr(def);
        let split = b.finish().expect("right");
        agree(&changed(&split, Endian::Little, &changes), Some(&base));
    }
}

/// Every type of the running kernel.
#[test]
fn the_kernels_own() {
    match std::fs::read("/sys/kernel/btf/vmlinux") {
        Ok(bytes) => assert!(agree(&bytes, None)),
        Err(e) => std::println!("skipped: /sys/kernel/btf/vmlinux: {e}"),
    }
}

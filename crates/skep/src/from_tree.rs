//! Values by their type as Rust's.

use skep_btf::print::Tree;

/// A Rust type that a variable's value may be read as.
pub trait FromTree: Sized {
    /// The value; `None` when it is of another type or does not fit.
    fn from_tree(tree: &Tree) -> Option<Self>;
}

impl FromTree for Tree {
    fn from_tree(tree: &Tree) -> Option<Self> {
        Some(tree.clone())
    }
}

macro_rules! numbers {
    ($($t:ty)*) => {$(
        impl FromTree for $t {
            fn from_tree(tree: &Tree) -> Option<Self> {
                match *tree {
                    Tree::Int(n) | Tree::Enum { value: n, signed: true, .. } => n.try_into().ok(),
                    Tree::UInt(n) | Tree::Ptr(n) => n.try_into().ok(),
                    Tree::Enum { value, signed: false, .. } => value.cast_unsigned().try_into().ok(),
                    Tree::Int128(n) => n.try_into().ok(),
                    Tree::UInt128(n) => n.try_into().ok(),
                    Tree::Bool(_)
                    | Tree::Float(_)
                    | Tree::Str(_)
                    | Tree::Bytes(_)
                    | Tree::Struct(_)
                    | Tree::Array(_) => None,
                }
            }
        }
    )*};
}

// Each type becomes an impl over its `TryFrom` of 64 and 128 bits.
numbers!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize);

impl FromTree for bool {
    fn from_tree(tree: &Tree) -> Option<Self> {
        if let Tree::Bool(on) = tree { Some(*on) } else { None }
    }
}

impl FromTree for f64 {
    fn from_tree(tree: &Tree) -> Option<Self> {
        if let Tree::Float(number) = tree { Some(*number) } else { None }
    }
}

/// Text, and enumerators that have a name.
impl FromTree for String {
    fn from_tree(tree: &Tree) -> Option<Self> {
        match tree {
            Tree::Str(text) | Tree::Enum { name: Some(text), .. } => Some(text.clone()),
            Tree::Bool(_)
            | Tree::Int(_)
            | Tree::UInt(_)
            | Tree::Int128(_)
            | Tree::UInt128(_)
            | Tree::Float(_)
            | Tree::Bytes(_)
            | Tree::Enum { name: None, .. }
            | Tree::Ptr(_)
            | Tree::Struct(_)
            | Tree::Array(_) => None,
        }
    }
}

impl<T: FromTree> FromTree for Vec<T> {
    fn from_tree(tree: &Tree) -> Option<Self> {
        if let Tree::Array(items) = tree { items.iter().map(T::from_tree).collect() } else { None }
    }
}

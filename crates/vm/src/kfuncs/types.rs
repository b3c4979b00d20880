//! The prototypes of the functions as types, which the verifier judges calls by: what a kernel has in its own BTF.
//!
//! The rows say them in C. Only what C needs for them is read: numbers, structures by name, pointers.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use skep_btf::{Btf, Builder, FuncLinkage, IntEncoding, Type, TypeId};

/// Numbers, by the words that C has for them: bytes, encoding.
const NUMBERS: &[(&str, u32, IntEncoding)] = &[
    ("int", 4, IntEncoding::Signed),
    ("unsigned int", 4, IntEncoding::Unsigned),
    ("unsigned long", 8, IntEncoding::Unsigned),
    ("u8", 1, IntEncoding::Unsigned),
    ("u32", 4, IntEncoding::Unsigned),
    ("u64", 8, IntEncoding::Unsigned),
    ("s64", 8, IntEncoding::Signed),
    ("size_t", 8, IntEncoding::Unsigned),
    ("char", 1, IntEncoding::Signed),
    ("bool", 1, IntEncoding::Bool),
];

/// Structures, by name: bytes, of which no program knows more.
const STRUCTURES: &[(&str, u32)] = &[
    ("bpf_list_head", 16),
    ("bpf_list_node", 24),
    ("bpf_rb_root", 16),
    ("bpf_rb_node", 32),
    ("bpf_wq", 16),
    ("bpf_res_spin_lock", 4),
    ("cpumask", 32),
    ("bpf_cpumask", 40),
    ("bpf_iter_num", 8),
    ("bpf_iter_bits", 16),
    ("bpf_dynptr", 16),
    ("__sk_buff", 192),
    ("xdp_md", 24),
    ("bpf_map", 8),
];

/// Structures that begin with another, and go for it where a function takes one.
const BEGIN: &[(&str, &str)] = &[("bpf_cpumask", "cpumask")];

/// Structures that helpers name: no program sees into them.
const OBJECTS: &[&str] = &["task_struct", "inode", "cgroup"];

/// Types in the making.
struct Types {
    builder: Builder,
    /// By C name.
    known: BTreeMap<String, TypeId>,
}

/// The name of a function, from its declaration.
pub(super) fn name(decl: &'static str) -> &'static str {
    let head = decl.split('(').next().unwrap_or("");
    head.rsplit([' ', '*']).next().unwrap_or("")
}

/// Types of functions that are declared so, each tagged as the kernel tags those that programs may call.
pub(super) fn of<'d>(decls: impl Iterator<Item = &'d str>) -> Btf {
    let mut types = Types { builder: Builder::new(), known: BTreeMap::new() };
    for decl in decls {
        types.function(decl);
    }
    for name in OBJECTS {
        types.structure(name);
    }
    types.builder.finish().expect("the rows' declarations are legal: a test makes them all")
}

/// Functions of programs that a row names `NAME *`: what they give and get. A program's own declaration must say the same.
const FUNCTIONS: &[(&str, &str, &[&str])] = &[
    ("less", "bool", &["struct bpf_rb_node *", "const struct bpf_rb_node *"]),
    ("callback", "int", &["void *", "int *", "void *"]),
];

impl Types {
    fn function(&mut self, decl: &str) {
        let (head, params) = decl.split_once('(').expect("a declaration has parameters");
        let (ret, name) = self.declared(head);
        let params = params.trim_end_matches(')');
        let params: Vec<(&str, TypeId)> = match params {
            "" | "void" => Vec::new(),
            _ => params.split(',').map(|p| self.declared(p)).map(|(ty, name)| (name, ty)).collect(),
        };
        let proto = self.builder.func_proto(ret, &params);
        let target = self.builder.func(name, proto, FuncLinkage::Static);
        let name = self.builder.name("bpf_kfunc");
        self.builder.add(Type::DeclTag { name, target, component: None, attribute: false });
    }

    /// The type and the name of what is declared.
    fn declared<'d>(&mut self, text: &'d str) -> (TypeId, &'d str) {
        let text = text.trim();
        let at = text.rfind([' ', '*']).map_or(0, |at| at + 1);
        let (ty, name) = text.split_at(at);
        (self.ty(ty.trim()), name)
    }

    fn ty(&mut self, text: &str) -> TypeId {
        let text = text.trim();
        if let Some(&id) = self.known.get(text) {
            return id;
        }
        let id = if let Some(target) = text.strip_suffix('*') {
            let target = self.ty(target);
            self.builder.ptr(target)
        } else if let Some(target) = text.strip_prefix("const ") {
            let target = self.ty(target);
            self.builder.add(Type::Const { target })
        } else if let Some(name) = text.strip_prefix("struct ") {
            self.structure(name)
        } else if text == "void" {
            TypeId(0)
        } else if let Some((_, ret, params)) = FUNCTIONS.iter().find(|(name, ..)| *name == text) {
            let ret = self.ty(ret);
            let params: Vec<_> = params.iter().map(|param| ("", self.ty(param))).collect();
            self.builder.func_proto(ret, &params)
        } else {
            let &(name, bytes, encoding) = NUMBERS
                .iter()
                .find(|(name, ..)| *name == text)
                .unwrap_or_else(|| panic!("`{text}` is no type that a row may name"));
            self.builder.int(name, bytes, encoding)
        };
        self.known.insert(text.into(), id);
        id
    }

    fn structure(&mut self, name: &str) -> TypeId {
        let object = OBJECTS.iter().find(|known| **known == name).map(|known| (*known, 8));
        let known = STRUCTURES.iter().copied().find(|(known, _)| *known == name);
        let (_, bytes) =
            known.or(object).unwrap_or_else(|| panic!("`struct {name}` is none that a row may name"));
        let (word, index) = (self.ty("u64"), self.ty("u32"));
        if let Some((_, first)) = BEGIN.iter().find(|(known, _)| *known == name) {
            let of_first = STRUCTURES.iter().find(|(known, _)| known == first).map_or(0, |(_, bytes)| *bytes);
            let first = self.ty(&alloc::format!("struct {first}"));
            let rest = self.builder.array(word, index, (bytes - of_first) / 8);
            let members = [("first", first, 0), ("__opaque", rest, of_first * 8)];
            return self.builder.structure(name, bytes, &members);
        }
        if bytes < 8 {
            return self.builder.structure(name, bytes, &[("__opaque", index, 0)]);
        }
        let opaque = self.builder.array(word, index, bytes / 8);
        self.builder.structure(name, bytes, &[("__opaque", opaque, 0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_become_prototypes() {
        let btf = of(["int *bpf_a(const struct bpf_dynptr *p__uninit, unsigned int n__szk)", "void b(void)"]
            .into_iter());
        let id = btf.find_by_name(Some(skep_btf::Kind::Func), "bpf_a").expect("declared");
        let Some(Type::Func { proto, .. }) = btf.ty(id) else { panic!("a function") };
        let Some(Type::FuncProto { ret, params }) = btf.ty(*proto) else { panic!("a prototype") };
        assert!(matches!(btf.ty(*ret), Some(Type::Ptr { .. })));
        let names: Vec<&str> = params.iter().map(|p| btf.str(p.name)).collect();
        assert_eq!(names, ["p__uninit", "n__szk"]);
        assert_eq!(btf.size_of(params[1].ty), Some(4));
        assert_eq!(btf.decl_tags(id, None).collect::<Vec<_>>(), ["bpf_kfunc"]);
        assert_eq!(name("int *bpf_a(int b)"), "bpf_a");
    }
}

//! Types of the functions: Linux wants to know that of a function before it lets it be called back, make tail calls
//! or load the packet by `LD_ABS`.

use std::sync::{Arc, OnceLock};

use skep_btf::{Btf, Builder, FuncLinkage, IntEncoding, TypeId};
use skep_spec::FuncInfo;

/// What a function of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The first one.
    Main,
    /// One that is called.
    Static,
}

struct Types {
    btf: Arc<Btf>,
    main: TypeId,
    function: TypeId,
}

fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let mut b = Builder::new();
        let int = b.int("int", 4, IntEncoding::Signed);
        let long = b.int("unsigned long", 8, IntEncoding::Unsigned);
        let pointer = b.ptr(TypeId(0));
        let proto = b.func_proto(int, &[("ctx", pointer)]);
        let main = b.func("main", proto, FuncLinkage::Global);
        let proto = b.func_proto(int, &[("a", long), ("b", long), ("lent", pointer), ("ctx", pointer)]);
        let function = b.func("function", proto, FuncLinkage::Static);
        let btf = b.finish().expect("these types are few and have names");
        Types { btf: Arc::new(btf), main, function }
    })
}

/// The types of all programs.
pub(super) fn btf() -> Arc<Btf> {
    Arc::clone(&types().btf)
}

/// The record of a function that starts at slot `at`.
pub(super) fn info(role: Role, at: usize) -> FuncInfo {
    let id = match role {
        Role::Main => types().main,
        Role::Static => types().function,
    };
    FuncInfo { insn_off: at as u32, type_id: id.0 }
}

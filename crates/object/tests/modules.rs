//! Functions, variables and operations that only modules of the kernel have. libbpf's word on the same objects is asked
//! for in `tests/libbpf`.

mod common;

use std::sync::Arc;

use common::{fixture_path, program, read, spec};
use skep_btf::relo::{Module, TargetBtf};
use skep_btf::{Btf, Builder, FuncLinkage, IntEncoding, Type, TypeId, VarLinkage};
use skep_isa::{Insn, Reg};
use skep_object::{Inputs, Object, Unlinked};

/// The kernel proper, `engine` and `wheel`.
fn machine() -> (Arc<Btf>, Arc<Btf>, Arc<Btf>) {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let nothing = b.func_proto(TypeId::VOID, &[]);
    b.func("bpf_rcu_read_lock", nothing, FuncLinkage::Static);
    b.func("bpf_rcu_read_unlock", nothing, FuncLinkage::Static);
    let kernel = Arc::new(b.finish().expect("right"));

    let mut b = Builder::split(kernel.clone());
    let engine = b.structure("engine", 8, &[("id", int, 0), ("speed", int, 32)]);
    let pointer = b.ptr(engine);
    let starts = b.func_proto(int, &[("e", pointer)]);
    let stops = b.func_proto(TypeId::VOID, &[("e", pointer)]);
    b.func("engine_start", starts, FuncLinkage::Static);
    b.func("engine_stop", stops, FuncLinkage::Static);
    let count = b.name("engine_count");
    b.add(Type::Var { name: count, ty: int, linkage: VarLinkage::Global });
    let function = b.ptr(starts);
    let ops = [("stop", function, 0), ("gears", int, 64), ("start", function, 128)];
    let ops = b.structure("engine_ops", 24, &ops);
    b.structure("bpf_struct_ops_engine_ops", 128, &[("data", ops, 512)]);
    let engine = Arc::new(b.finish().expect("right"));

    let mut b = Builder::split(kernel.clone());
    let turns = b.func_proto(int, &[("by", int)]);
    b.func("wheel_turn", turns, FuncLinkage::Static);
    let other = b.structure("engine", 12, &[("speed", int, 64)]);
    let name = b.name("wheel_engine");
    b.add(Type::Var { name, ty: other, linkage: VarLinkage::Global });
    (kernel, engine, Arc::new(b.finish().expect("right")))
}

fn opened(name: &str, modules: &[(&str, &Arc<Btf>)], kernel: &Arc<Btf>) -> Object {
    let module = |(name, btf): &(&str, &Arc<Btf>)| Module { name: (*name).into(), btf: Arc::clone(btf) };
    let modules: Vec<_> = modules.iter().map(module).collect();
    let target = TargetBtf::from(kernel.clone()).with_modules(move |_| modules.clone());
    let bytes = read(&fixture_path(&format!("modules/{name}.bpf.o")));
    let inputs = Inputs { target: Some(&target), ..Inputs::default() };
    let unlinked = Unlinked::parse_any_endian(&format!("{name}.bpf.o"), &bytes);
    unlinked.and_then(|u| u.link(&inputs)).expect("clang's object")
}

#[track_caller]
fn id(btf: &Btf, name: &str) -> i32 {
    btf.find_by_name(None, name).expect("it is there").0.cast_signed()
}

/// Ids, and numbers of the module.
type Named<N> = Vec<(i32, N)>;

/// Kfunc calls and addresses of variables.
fn named(insns: &[Insn]) -> (Named<i16>, Named<i32>) {
    let calls = insns.iter().filter(|i| i.opcode == 0x85 && i.src == Reg(2)).map(|i| (i.imm, i.off));
    let addresses = insns.windows(2).filter(|w| w[0].is_wide() && w[0].src == Reg(3));
    (calls.collect(), addresses.map(|w| (w[0].imm, w[1].imm)).collect())
}

#[test]
fn instructions_name_modules() {
    let (kernel, engine, wheel) = machine();
    let object = opened("calls", &[("engine", &engine), ("wheel", &wheel)], &kernel);
    let start = spec(&object, "m_start");
    assert_eq!(start.modules, ["engine"]);
    let (lock, unlock) = (id(&kernel, "bpf_rcu_read_lock"), id(&kernel, "bpf_rcu_read_unlock"));
    let calls = [(lock, 0), (id(&engine, "engine_stop"), 1), (unlock, 0), (id(&engine, "engine_start"), 1)];
    let (got, addresses) = named(&start.insns);
    assert_eq!(got, calls);
    assert!(addresses.contains(&(id(&engine, "engine_count"), 1)), "{addresses:?}");
    let names: Vec<_> = start.kfuncs.iter().map(|k| k.name.as_str()).collect();
    assert!(names.contains(&"engine_stop") && names.contains(&"bpf_rcu_read_lock"), "{names:?}");

    // What neither has, and what has no such prototype, is nothing for a weak function.
    let turn = spec(&object, "m_turn");
    assert_eq!(turn.modules, ["wheel"]);
    let wheels = id(&wheel, "wheel_turn");
    assert_eq!(named(&turn.insns), (vec![(wheels, 1); 2], vec![(id(&wheel, "wheel_engine"), 1)]));
    assert_eq!(turn.poisoned.len(), 2);

    // Numbers are in the order of the instructions.
    let both = spec(&object, "m_both");
    let (calls, _) = named(&both.insns);
    let number = |m: &str| 1 + both.modules.iter().position(|n| n == m).expect("it is named") as i16;
    assert_eq!(both.modules.len(), 2);
    assert_eq!(calls, [(id(&engine, "engine_start"), number("engine")), (wheels, number("wheel"))]);
    assert!(spec(&object, "m_neither").modules.is_empty());
}

#[test]
fn of_two_modules_the_first_counts() {
    let (kernel, engine, wheel) = machine();
    let object = opened("calls", &[("a", &wheel), ("b", &wheel), ("engine", &engine)], &kernel);
    assert_eq!(spec(&object, "m_turn").modules, ["a"]);
}

#[test]
fn what_no_module_has_is_missing() {
    let (kernel, engine, wheel) = machine();
    let object = opened("calls", &[("engine", &engine)], &kernel);
    assert!(program(&object, "m_start").spec.is_ok());
    let e = program(&object, "m_both").spec.as_ref().expect_err("`wheel_turn` is not there").to_string();
    assert!(
        e.starts_with("calls.bpf.o: function \"m_both\", instruction ")
            && e.contains("the target's types have nothing of this name"),
        "{e}"
    );
    // A variable of another type, with the module that has it.
    let mut b = Builder::split(kernel.clone());
    let (name, int) = (b.name("wheel_engine"), kernel.find_by_name(None, "int").expect("it is there"));
    b.add(Type::Var { name, ty: int, linkage: VarLinkage::Global });
    let odd = Arc::new(b.finish().expect("right"));
    let object = opened("calls", &[("odd", &odd), ("engine", &engine), ("wheel", &wheel)], &kernel);
    let e = program(&object, "m_both").spec.as_ref().expect_err("a number is no structure").to_string();
    assert!(
        e.contains("extern \"wheel_engine\": it is of another type in the target")
            && e.contains(" of module odd"),
        "{e}"
    );
}

#[test]
fn operations_are_a_modules() {
    let (kernel, engine, wheel) = machine();
    let object = opened("ops", &[("wheel", &wheel), ("engine", &engine)], &kernel);
    let ops = id(&engine, "engine_ops").cast_unsigned();
    for (name, member) in [("m_begin", 2), ("m_end", 0)] {
        let spec = spec(&object, name);
        let is = (spec.attach_btf_id, spec.attach_module.as_deref(), spec.attach_type.0);
        assert_eq!(is, (ops, Some("engine"), member), "{name}");
    }
    let loud = common::map(&object, "loud");
    let set = loud.struct_ops.as_ref().expect("it is a set");
    assert_eq!((set.module.as_deref(), set.type_id), (Some("engine"), ops));
    assert_eq!(set.value_type_id, id(&engine, "bpf_struct_ops_engine_ops").cast_unsigned());
    assert_eq!(set.functions, [(80, "m_begin".into()), (64, "m_end".into())]);
    assert_eq!(loud.initial.as_ref().map(|v| v[72]), Some(6), "gears");

    let object = opened("ops", &[("wheel", &wheel)], &kernel);
    let e = object.map("loud").expect("listed").def.as_ref().expect_err("nobody asks for it").to_string();
    assert!(e.contains("the target has no struct bpf_struct_ops_engine_ops"), "{e}");
}

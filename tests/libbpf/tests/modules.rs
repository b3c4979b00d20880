//! Functions, variables and operations of modules: what libbpf makes of objects on a kernel with modules, and what skep
//! does. This kernel has none, so both are told of some (see `pretend`): their types are split on the kernel's own.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;
mod pretend;

use std::sync::Arc;

use common::{CPUS, compile, sources};
use pretend::{Loaded, Module};
use skep_abi::MapType;
use skep_btf::relo::{self, TargetBtf};
use skep_btf::{Btf, Builder, Endian, FuncLinkage, Kind, Type, TypeId, VarLinkage};
use skep_linux::LinuxBackend;
use skep_object::{Inputs, Object, Unlinked};
use skep_spec::{Backend, LoadOptions};

fn int(kernel: &Btf) -> TypeId {
    kernel.find_by_name(Some(Kind::Int), "int").expect("every kernel has it")
}

fn variable(b: &mut Builder, name: &str, ty: TypeId) {
    let name = b.name(name);
    b.add(Type::Var { name, ty, linkage: VarLinkage::Global });
}

/// The module `engine`, which asks for operations.
fn engine(kernel: &Arc<Btf>) -> Btf {
    let int = int(kernel);
    let mut b = Builder::split(kernel.clone());
    let engine = b.structure("engine", 8, &[("id", int, 0), ("speed", int, 32)]);
    let pointer = b.ptr(engine);
    let takes = b.func_proto(int, &[("e", pointer)]);
    let stops = b.func_proto(TypeId::VOID, &[("e", pointer)]);
    b.func("engine_start", takes, FuncLinkage::Static);
    b.func("engine_stop", stops, FuncLinkage::Static);
    variable(&mut b, "engine_count", int);
    let function = b.ptr(takes);
    let ops =
        b.structure("engine_ops", 24, &[("gears", int, 0), ("stop", function, 64), ("start", function, 128)]);
    let common = kernel
        .find_by_name(Some(Kind::Struct), "bpf_struct_ops_common_value")
        .expect("the kernel has such sets");
    b.structure("bpf_struct_ops_engine_ops", 128, &[("common", common, 0), ("data", ops, 512)]);
    b.finish().expect("right")
}

/// The module `wheel`, whose structure of the same name is another one; it also has what `engine` has: that comes first.
fn wheel(kernel: &Arc<Btf>) -> Btf {
    let int = int(kernel);
    let mut b = Builder::split(kernel.clone());
    let turn = b.func_proto(int, &[("by", int)]);
    b.func("wheel_turn", turn, FuncLinkage::Static);
    b.func("wheel_differs", turn, FuncLinkage::Static);
    b.func("engine_start", turn, FuncLinkage::Static);
    let engine = b.structure("engine", 12, &[("speed", int, 64)]);
    variable(&mut b, "wheel_engine", engine);
    b.finish().expect("right")
}

/// What skep loads, as a program of its API does.
fn load(object: &Object) -> Result<(), String> {
    let backend = LinuxBackend::new();
    let mut maps = Vec::new();
    for m in &object.maps {
        let def = m.def.as_ref().map_err(|e| e.to_string())?;
        maps.push((def, backend.create_map(def).map_err(|e| e.to_string())?));
    }
    for p in &object.programs {
        let spec = p.spec.as_ref().map_err(|e| e.to_string())?;
        let used = spec.maps.iter().map(|d| {
            let map = maps.iter().find(|(def, _)| Arc::ptr_eq(def, d)).expect("it is one of the object's");
            map.1.clone()
        });
        let used: Vec<_> = used.collect();
        backend.load(spec, &used, LoadOptions::default()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[test]
fn what_modules_have_is_what_libbpf_loads() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let Ok(btf) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        return println!("skipped: the kernel does not show its types");
    };
    let kernel = Arc::new(Btf::parse(&btf).expect("right"));
    let modules =
        [("engine", engine(&kernel)), ("wheel", wheel(&kernel))].map(|(name, btf)| (name, Arc::new(btf)));
    let shown: Vec<_> = modules
        .iter()
        .map(|(name, btf)| Module { name: (*name).into(), btf: btf.to_bytes(Endian::NATIVE) })
        .collect();
    let ours = modules.map(|(name, btf)| relo::Module { name: name.into(), btf });
    let target = TargetBtf::from(kernel).with_modules(move |_| ours.to_vec());
    let inputs = Inputs { target: Some(&target), ..Inputs::default() };
    let (mut equal, mut refused, mut named) = (Vec::new(), Vec::new(), 0);
    for source in sources("modules") {
        for cpu in CPUS {
            let (name, path) = compile(&source, cpu);
            let bytes = std::fs::read(&path).expect("just written");
            let object =
                Unlinked::parse(&name, &bytes).and_then(|u| u.link(&inputs)).expect("clang's object");
            let (theirs, mut their) = pretend::with(&shown, || libbpf_oracle::load(&path));
            let (ours, mut our) = pretend::with(&shown, || load(&object));
            match (ours, theirs) {
                (Ok(()), Ok(())) => {
                    for loaded in [&mut our, &mut their] {
                        loaded.sort_by_key(|l| format!("{l:?}"));
                    }
                    assert_eq!(our, their, "{name} ({cpu}): ours, libbpf's");
                    let count = |l: &Loaded| match l {
                        Loaded::Program(_, _, modules, (_, module, _)) => {
                            modules.len() + usize::from(!module.is_empty())
                        }
                        Loaded::Ops(..) => 1,
                    };
                    named += our.iter().map(count).sum::<usize>();
                    let maps = object.maps.iter().filter_map(|m| m.def.as_ref().ok());
                    let sets = maps.filter(|d| d.kind == MapType::STRUCT_OPS).count();
                    assert_eq!(our.len(), object.programs.len() + sets, "{name} ({cpu}): all were seen");
                    equal.push(name);
                    // Without the modules it is refused, by name.
                    let names_one = object.programs.iter().any(|p| {
                        p.spec.as_ref().is_ok_and(|s| s.attach_module.is_some() || !s.modules.is_empty())
                    });
                    let e = load(&object);
                    assert!(names_one && e.as_ref().is_err_and(|e| e.contains("types of module ")), "{e:?}");
                }
                (Err(ours), Err(_)) => refused.push((name, ours)),
                (ours, theirs) => panic!("{name} ({cpu}): ours {ours:?}, libbpf's {theirs:#?}"),
            }
        }
    }
    let list = refused.iter().map(|(_, e): &(String, String)| e.as_str()).collect::<Vec<_>>().join("\n");
    println!("{} objects equal, {named} references to modules; refused by both:\n{list}", equal.len());
    assert!(
        equal.len() == 12 && refused.len() == 16 && named == 68,
        "equal: {equal:?}, refused: {refused:?}"
    );
}

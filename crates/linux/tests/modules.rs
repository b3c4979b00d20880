//! Types of modules on the running kernel. It need not have any: its own types are an object like those of a module.

use std::sync::Arc;

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_btf::{Btf, Kind};
use skep_isa::{Insn, Reg};
use skep_linux::{LinuxBackend, Probe};
use skep_spec::{Backend, Errno, LoadError, LoadOptions, MapDef, ProgramSpec, StructOps};

fn ready() -> Option<Btf> {
    if let Probe::No(why) | Probe::Inconclusive(why) = LinuxBackend::probe() {
        println!("skipped: {why}");
        return None;
    }
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("skipped: the kernel does not show its types");
        return None;
    };
    Some(Btf::parse(&bytes).expect("right"))
}

/// A program that names something of a module.
fn spec(code: &[Insn], modules: &[&str]) -> ProgramSpec {
    let mut insns = code.to_vec();
    insns.extend([Insn::new(0xb7, Reg(0), Reg(0), 0, 0), Insn::new(0x95, Reg(0), Reg(0), 0, 0)]);
    let modules = modules.iter().map(|&m| m.to_owned()).collect();
    ProgramSpec { name: "named".into(), modules, ..ProgramSpec::new(ProgramType::SYSCALL, insns) }
}

fn load(spec: &ProgramSpec, maps: usize) -> Result<(), LoadError> {
    let backend = LinuxBackend::new();
    let map = |_| backend.create_map(&MapDef::new(MapType::ARRAY, 4, 4, 1)).expect("it is small");
    let maps: Vec<_> = (0..maps).map(map).collect();
    backend.load(spec, &maps, LoadOptions::default()).map(drop)
}

#[test]
fn a_module_that_is_not_there_is_named() {
    let Some(_) = ready() else { return };
    let call = [Insn::new(0x85, Reg(0), Reg(2), 1, 1)];
    let e = load(&spec(&call, &["no_such_module"]), 0).expect_err("nobody has it").error;
    assert_eq!(e.errno, Errno::ENOENT);
    let begin = "program `named`: it was opened for types of module no_such_module, which this kernel does not have (";
    assert!(e.message.starts_with(begin) && e.message.contains("load the module"), "{e}");

    let ops = StructOps {
        module: Some("no_such_module".into()),
        type_id: 1,
        value_type_id: 2,
        ..StructOps::default()
    };
    let def = MapDef {
        struct_ops: Some(Box::new(ops)),
        flags: MapFlags(0),
        ..MapDef::new(MapType::STRUCT_OPS, 4, 128, 1).named("set")
    };
    let e = LinuxBackend::new().create(&def).err().expect("nobody has it");
    assert!(
        e.errno == Errno::ENOENT && e.message.starts_with("creating map `set` (struct_ops): it was"),
        "{e}"
    );

    let mut of_ops = spec(&[], &[]);
    (of_ops.prog_type, of_ops.attach_btf_id) = (ProgramType::STRUCT_OPS, 1);
    of_ops.attach_module = Some("no_such_module".into());
    assert_eq!(load(&of_ops, 0).expect_err("nobody has it").error.errno, Errno::ENOENT);
}

/// The kernel finds the types by the descriptor in the second slot.
#[test]
fn variables_are_found_by_the_descriptor() {
    let Some(btf) = ready() else { return };
    let Some(id) = btf.find_by_name(Some(Kind::Var), "runqueues") else {
        return println!("skipped: its types have no variable runqueues");
    };
    let id = id.0.cast_signed();
    let address = [Insn::new(0x18, Reg(1), Reg(3), 0, id), Insn::new(0, Reg(0), Reg(0), 0, 1)];
    for maps in [0, 3] {
        // A kernel without addresses of data (CONFIG_KALLSYMS_ALL) finds the variable, and no more.
        if let Err(e) = load(&spec(&address, &["vmlinux"]), maps) {
            assert!(e.log.contains("kernel symbol 'runqueues'"), "{maps} maps: {}", e.log);
        }
    }
    // Without a module the number is a descriptor, and none of BTF.
    let e = load(&spec(&address, &[]), 0).expect_err("1 is no BTF");
    assert!(e.log.contains("invalid module BTF object FD"), "{}", e.log);
}

/// It looks into `fd_array` for a function, and says that these types are no module's.
#[test]
fn functions_are_found_in_the_list_of_descriptors() {
    let Some(btf) = ready() else { return };
    let Some(id) = btf.find_by_name(Some(Kind::Func), "bpf_rcu_read_lock") else {
        return println!("skipped: the kernel has no kfunc bpf_rcu_read_lock");
    };
    let call = |off| [Insn::new(0x85, Reg(0), Reg(2), off, id.0.cast_signed())];
    let object = Arc::new(btf);
    for maps in [0, 1, 3] {
        let spec = ProgramSpec { btf: Some(object.clone()), ..spec(&call(1), &["vmlinux"]) };
        let e = load(&spec, maps).expect_err("these types are no module's");
        assert!(e.log.contains("BTF fd for kfunc is not a module BTF"), "{maps} maps: {}", e.log);
    }
    // By the number 2 it is the second module: the spec names one only.
    let e = load(&spec(&call(2), &["vmlinux"]), 0).expect_err("there is no second").error;
    assert_eq!(
        (e.errno, e.message.as_str()),
        (Errno::EINVAL, "program `named`, insn 0: module 2, but it names 1")
    );
}

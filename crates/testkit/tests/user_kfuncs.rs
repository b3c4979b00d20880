//! The user backend's own functions of the kernel: as the running kernel declares them, and bound by name.

use std::sync::Arc;

use skep_abi::ProgramType;
use skep_btf::{Btf, Builder, FuncLinkage, IntEncoding, Kind, Type, TypeId};
use skep_isa::{Insn, Reg};
use skep_spec::{Environment, Errno, KfuncCall, LoadOptions, ProgramSpec};
use skep_user::{UserBackend, bind_kfuncs, kfunc_types};

/// A type in words: kinds and sizes, and names of structures. Typedefs and qualifiers do not count.
fn shape(btf: &Btf, id: TypeId) -> String {
    match btf.resolved(id) {
        Type::Ptr { target } => format!("{} *", shape(btf, *target)),
        Type::Struct { name, .. } => format!("struct {}", btf.str(*name)),
        Type::FuncProto { .. } => "function".into(),
        Type::Void => "void".into(),
        other => format!("{} of {:?}", other.kind().name(), btf.size_of(id)),
    }
}

fn prototype(btf: &Btf, name: &str) -> Option<String> {
    let Type::Func { proto, .. } = btf.ty(btf.find_by_name(Some(Kind::Func), name)?)? else { return None };
    let Type::FuncProto { ret, params } = btf.ty(*proto)? else { return None };
    let params: Vec<String> =
        params.iter().map(|p| format!("{} {}", shape(btf, p.ty), btf.str(p.name))).collect();
    Some(format!("{} {name}({})", shape(btf, *ret), params.join(", ")))
}

#[test]
fn the_running_kernel_declares_them_the_same() {
    let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("skipped: the kernel does not show its types");
        return;
    };
    let kernel = Btf::parse(&bytes).expect("the kernel's types are legal");
    let own = kfunc_types();
    for (id, _) in own.iter_kinds([Kind::Func]) {
        let name = own.name(id).expect("it has one");
        match prototype(&kernel, name) {
            Some(theirs) => assert_eq!(prototype(own, name), Some(theirs)),
            None => println!("skipped: the running kernel has no {name}"),
        }
    }
}

/// `r0 = 0; call NAME` and an end, with a prototype that the program declares.
fn calls(name: &str, declared: Option<(&[u32], bool)>) -> ProgramSpec {
    let insns = vec![
        Insn::new(0xb7, Reg(0), Reg(0), 0, 0),
        Insn::new(0x85, Reg(0), Reg(2), 0, 0),
        Insn::new(0x95, Reg(0), Reg(0), 0, 0),
    ];
    let btf = declared.map(|(params, pointer)| {
        let mut b = Builder::new();
        let int = b.int("int", 4, IntEncoding::Signed);
        let to = b.ptr(int);
        let params: Vec<_> = params.iter().map(|_| ("p", if pointer { to } else { int })).collect();
        let proto = b.func_proto(TypeId(0), &params);
        b.func(name, proto, FuncLinkage::Global);
        Arc::new(b.finish().expect("legal types"))
    });
    let kfuncs = vec![KfuncCall { insn_off: 1, name: name.into() }];
    ProgramSpec { name: "caller".into(), kfuncs, btf, ..ProgramSpec::new(ProgramType::SCHED_CLS, insns) }
}

#[test]
fn a_call_is_bound_by_name_or_refused_by_name() {
    let env = Environment::default();
    let known = calls("bpf_rcu_read_lock", Some((&[], false)));
    let (bound, env_of) = bind_kfuncs(&known, &env).expect("it is there").expect("it calls one");
    assert_eq!(kfunc_types().name(TypeId(bound.insns[1].imm as u32)), Some("bpf_rcu_read_lock"));
    assert!(env_of.kernel_types.is_some());
    // Whatever number a kernel gave it.
    let mut elsewhere = known.clone();
    elsewhere.insns[1].imm = 77;
    let (again, _) = bind_kfuncs(&elsewhere, &env).expect("it is there").expect("it calls one");
    assert_eq!(again.insns, bound.insns);

    let e = bind_kfuncs(&calls("bpf_no_such_function", None), &env).expect_err("it is not there");
    assert_eq!(e.errno, Errno::ENOTSUPP);
    assert!(
        e.to_string().contains("program caller, insn 1: kernel function bpf_no_such_function has no body"),
        "{e}"
    );

    for (params, pointer) in [(&[1u32][..], false), (&[1][..], true)] {
        let e =
            bind_kfuncs(&calls("bpf_rcu_read_lock", Some((params, pointer))), &env).expect_err("it differs");
        assert_eq!(e.errno, Errno::EINVAL);
        assert!(e.to_string().contains("has another prototype in the user backend"), "{e}");
    }
}

#[test]
fn a_function_that_is_asked_for_first_may_be_missing() {
    // r1 = &FUNCTION; if r1 == 0 goto +1; call FUNCTION; r0 = (r1 != 0)
    let program = |name: &str| {
        let insns = vec![
            Insn::new(0x18, Reg(6), Reg(3), 0, 0),
            Insn::new(0, Reg(0), Reg(0), 0, 0),
            Insn::new(0xb7, Reg(0), Reg(0), 0, 0),
            Insn::new(0x15, Reg(6), Reg(0), 3, 0),
            Insn::new(0x85, Reg(0), Reg(2), 0, 0),
            Insn::new(0x85, Reg(0), Reg(2), 0, 0),
            Insn::new(0xb7, Reg(0), Reg(0), 0, 1),
            Insn::new(0x95, Reg(0), Reg(0), 0, 0),
        ];
        let call = |insn_off, name: &str| KfuncCall { insn_off, name: name.into() };
        let end = if name == "bpf_rcu_read_lock" { "bpf_rcu_read_unlock" } else { name };
        let kfuncs = vec![call(0, name), call(4, name), call(5, end)];
        ProgramSpec { kfuncs, ..ProgramSpec::new(ProgramType::SCHED_CLS, insns) }
    };
    let backend = UserBackend::new();
    for (name, there) in [("bpf_rcu_read_lock", 1), ("bpf_no_such_function", 0)] {
        let loaded = backend.load_program(&program(name), &[], LoadOptions::default()).expect("it loads");
        let mut ctx = [0; 192];
        assert_eq!(loaded.run(&mut ctx, None, None).expect("it ends"), there, "{name}");
    }
}

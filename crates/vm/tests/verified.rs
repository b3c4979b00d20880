//! A proof holds for one environment, the maps of one geometry, and the contents of frozen ones.

mod common;

use std::sync::Arc;

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_btf::{Btf, Builder, FuncLinkage, IntEncoding, Type};
use skep_isa::{Insn, Reg};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, Errno, FieldKind, MapDef, ProgramSpec};
use skep_verifier::{Options, Verified, verify};
use skep_vm::{NullHost, Program, Run, Stack};

fn insn(opcode: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn::new(opcode, Reg(dst), Reg(src), off, imm)
}

const EXIT: Insn = Insn::new(0x95, Reg(0), Reg(0), 0, 0);

/// `r0 = m[0]`, 0 when there is none.
fn counting(def: &Arc<MapDef>, env: &Environment) -> Verified {
    let insns = vec![
        insn(0x62, 10, 0, -4, 0),
        insn(0xbf, 2, 10, 0, 0),
        insn(0x07, 2, 0, 0, -4),
        insn(0x18, 1, 5, 0, 0),
        insn(0, 0, 0, 0, 0),
        insn(0x85, 0, 0, 0, 1),
        insn(0x15, 0, 0, 1, 0),
        insn(0x79, 0, 0, 0, 0),
        EXIT,
    ];
    let spec =
        ProgramSpec { maps: vec![Arc::clone(def)], ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) };
    verify(&spec, env, &Options::default()).expect("a plain lookup")
}

fn array(entries: u32) -> Arc<MapDef> {
    Arc::new(MapDef::new(MapType::ARRAY, 4, 8, entries).named("m"))
}

fn create(def: &MapDef) -> Arc<Map> {
    Map::create(def, &Config::new(1), &Heap).expect("legal")
}

#[test]
fn a_verified_program_runs() {
    let (def, env) = (array(2), Environment::default());
    let map = create(&def);
    map.update_from_host(&0u32.to_ne_bytes(), &77u64.to_ne_bytes(), 0).expect("index 0");
    let program = Program::new(&counting(&def, &env), &env, vec![map]).expect("what was verified");
    assert!(program.is_verified());
    let (mut stack, mut ctx) = (Stack::new(), [0; 192]);
    let outcome = program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx)).expect("no trap");
    assert_eq!(outcome.r0, 77);
}

/// Reading what was never written, which privileged programs may: zero, whatever ran on the stack before.
#[test]
fn frames_are_zero_as_far_as_the_proof_lets_a_function_reach() {
    let env = Environment::default();
    let mut stack = Stack::new();
    // Fills four frames: `for (fp = r10, i = 64; i; i--) *(u64 *)(fp -= 8) = -1; if (--r1) call self`
    let dirt = vec![
        insn(0xbf, 2, 10, 0, 0),
        insn(0xb7, 3, 0, 0, 64),
        insn(0x07, 2, 0, 0, -8),
        insn(0x7a, 2, 0, 0, -1),
        insn(0x07, 3, 0, 0, -1),
        insn(0x55, 3, 0, -4, 0),
        insn(0x07, 1, 0, 0, -1),
        insn(0x15, 1, 0, 1, 0),
        insn(0x85, 0, 1, 0, -9),
        insn(0xb7, 0, 0, 0, 0),
        EXIT,
    ];
    let dirt = ProgramSpec { insns: dirt, ..ProgramSpec::default() };
    let dirt = Program::unverified(&dirt, &env, vec![]).expect("it is well formed");
    for (off, inner) in [(-8, -8), (-16, -256), (-64, -72), (-72, -64), (-256, -240), (-496, -8), (-8, -496)]
    {
        dirt.run(&mut Run::new(&mut stack, &NullHost).with_arg(1, 4)).expect("four frames");
        // `r0 = *(u64 *)(r10 + off) | callee's`
        let insns = vec![
            insn(0x85, 0, 1, 0, 3),
            insn(0x79, 1, 10, off, 0),
            insn(0x4f, 0, 1, 0, 0),
            EXIT,
            insn(0x79, 0, 10, inner, 0),
            EXIT,
        ];
        let spec = ProgramSpec::new(ProgramType::SYSCALL, insns);
        let verified = verify(&spec, &env, &Options::default()).expect("privileged programs may");
        let program = Program::new(&verified, &env, vec![]).expect("what was verified");
        let mut ctx = [0; 8];
        let outcome = program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ctx)).expect("no trap");
        assert_eq!(outcome.r0, 0, "at {off} and {inner}");
    }
}

#[test]
fn another_environment_is_refused() {
    let (def, env) = (array(2), Environment::default());
    let verified = counting(&def, &env);
    let mut strict = Environment::default();
    strict.strict_alignment = true;
    for other in [Environment::unprivileged(), strict] {
        let refused = Program::new(&verified, &other, vec![create(&def)]);
        assert_eq!(refused.err().map(|e| e.errno), Some(Errno::EINVAL));
    }
}

#[test]
fn other_maps_are_refused() {
    let (def, env) = (array(2), Environment::default());
    let verified = counting(&def, &env);
    let others = [
        MapDef::new(MapType::ARRAY, 4, 8, 1),
        MapDef::new(MapType::ARRAY, 4, 4, 2),
        MapDef::new(MapType::HASH, 4, 8, 2),
        MapDef { flags: MapFlags(MapFlags::RDONLY_PROG), ..MapDef::new(MapType::ARRAY, 4, 8, 2) },
    ];
    for other in others {
        let refused = Program::new(&verified, &env, vec![create(&other)]);
        assert_eq!(refused.err().map(|e| e.errno), Some(Errno::EINVAL), "{other:?}");
    }
    assert_eq!(Program::new(&verified, &env, vec![]).err().map(|e| e.errno), Some(Errno::EINVAL));
}

#[test]
fn frozen_contents_must_be_those_of_the_proof() {
    let env = Environment::default();
    let frozen = |content: &[u8]| MapDef {
        flags: MapFlags(MapFlags::RDONLY_PROG),
        initial: Some(content.to_vec()),
        frozen: true,
        ..MapDef::new(MapType::ARRAY, 4, 8, 1)
    };
    let def = Arc::new(frozen(&[1, 2, 3]));
    let verified = counting(&def, &env);
    assert!(Program::new(&verified, &env, vec![create(&def)]).is_ok());
    let thawed = MapDef { frozen: false, ..frozen(&[1, 2, 3]) };
    for other in [frozen(&[1, 2, 4]), frozen(&[]), thawed] {
        let refused = Program::new(&verified, &env, vec![create(&other)]);
        assert_eq!(refused.err().map(|e| e.errno), Some(Errno::EINVAL), "{other:?}");
    }
}

#[test]
fn a_helper_without_a_body_is_refused_when_the_program_is_bound_to_this_engine() {
    let env = Environment::default();
    let verified = |insns| {
        let spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, insns);
        verify(&spec, &env, &Options::default()).expect("Linux has the helper")
    };
    let cookie = verified(vec![insn(0x85, 0, 0, 0, 46), insn(0xb7, 0, 0, 0, 0), EXIT]);
    let e = Program::new(&cookie, &env, vec![]).err().expect("no body");
    assert_eq!(e.errno, Errno::ENOTSUPP);
    assert!(e.to_string().contains("insn 0: helper bpf_get_socket_cookie#46 has no body"), "{e}");
    // r2 is 0: the call is never reached.
    let unreached = verified(vec![
        insn(0xb7, 2, 0, 0, 0),
        insn(0x15, 2, 0, 1, 0),
        insn(0x85, 0, 0, 0, 46),
        insn(0xb7, 0, 0, 0, 0),
        EXIT,
    ]);
    assert!(Program::new(&unreached, &env, vec![]).is_ok());
}

/// Types with `struct task_struct`, and a map whose values are `struct { struct task_struct __kptr_untrusted *t; }`.
fn of_tasks() -> (Arc<Btf>, Arc<MapDef>) {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let task = b.structure("task_struct", 8, &[("a", long, 0)]);
    let name = b.name("kptr_untrusted");
    let tagged = b.add(Type::TypeTag { name, target: task, attribute: false });
    let pointer = b.ptr(tagged);
    let value = b.structure("v", 8, &[("t", pointer, 0)]);
    let btf = Arc::new(b.finish().expect("legal types"));
    let def = MapDef::new(MapType::ARRAY, 4, 8, 1).named("tasks");
    let def = MapDef { btf: Some(btf.clone()), key_btf_id: int.0, value_btf_id: value.0, ..def };
    (btf, Arc::new(def))
}

#[test]
fn a_pointer_that_a_map_keeps_for_the_kernel_is_refused_when_the_program_is_bound_to_this_engine() {
    let (btf, def) = of_tasks();
    let mut env = Environment::default();
    env.kernel_types = Some(btf);
    let insns = vec![
        insn(0x18, 1, 6, 0, 0),
        insn(0, 0, 0, 0, 0),
        insn(0x79, 2, 1, 0, 0),
        insn(0xb7, 0, 0, 0, 0),
        EXIT,
    ];
    let spec =
        ProgramSpec { maps: vec![Arc::clone(&def)], ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) };
    let verified = verify(&spec, &env, &Options::default()).expect("Linux takes it");
    assert_eq!(verified.insns()[2].field, Some(FieldKind::KptrUntrusted));
    let e = Program::new(&verified, &env, vec![create(&def)]).err().expect("nothing to point to");
    assert_eq!(e.errno, Errno::ENOTSUPP);
    assert!(e.to_string().contains("insn 2: a kptr in a map value"), "{e}");
}

/// Rules with types of these functions of the kernel that take nothing, and their numbers.
fn with_functions(names: &[&str]) -> (Environment, Vec<skep_btf::TypeId>) {
    let mut b = Builder::new();
    let proto = b.func_proto(skep_btf::TypeId(0), &[]);
    let ids: Vec<_> = names.iter().map(|name| b.func(name, proto, FuncLinkage::Static)).collect();
    for &target in &ids {
        let name = b.name("bpf_kfunc");
        b.add(Type::DeclTag { name, target, component: None, attribute: false });
    }
    let mut env = Environment::default();
    env.kernel_types = Some(Arc::new(b.finish().expect("legal types")));
    (env, ids)
}

#[test]
fn a_function_of_the_kernel_is_found_by_its_name_when_the_program_is_bound_to_this_engine() {
    for (names, refused) in [
        (["bpf_rcu_read_lock", "bpf_rcu_read_unlock"], None),
        (
            ["bpf_modify_return_test_tp", "bpf_rcu_read_lock"],
            Some("kernel function bpf_modify_return_test_tp#"),
        ),
    ] {
        let (env, ids) = with_functions(&names);
        let call = |id: skep_btf::TypeId| insn(0x85, 0, 2, 0, id.0 as i32);
        let mut insns = vec![call(ids[0]), call(ids[1]), insn(0xb7, 0, 0, 0, 7), EXIT];
        if refused.is_some() {
            insns.remove(1);
        }
        let spec = ProgramSpec { license: "GPL".into(), ..ProgramSpec::new(ProgramType::SCHED_CLS, insns) };
        let verified = verify(&spec, &env, &Options::default()).expect("Linux takes it");
        let built = Program::new(&verified, &env, vec![]);
        match refused {
            None => drop(built.expect("both have bodies")),
            Some(words) => {
                let e = built.err().expect("no body");
                assert_eq!(e.errno, Errno::ENOTSUPP);
                assert!(e.to_string().contains("insn 0") && e.to_string().contains(words), "{e}");
            }
        }
    }
}

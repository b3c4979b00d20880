//! The backend against the running kernel. Skipped, with the reason, where `bpf(2)` is missing.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::time::Duration;

use skep_abi::{MapType, ProgramType};
use skep_btf::{Builder, FuncLinkage, IntEncoding};
use skep_isa::{Insn, Reg};
use skep_linux::{LinuxBackend, RawLoad, unprivileged};
use skep_spec::{
    Backend, BackendMap, BackendProgram, Errno, FuncInfo, LineInfo, LoadOptions, MapDef, ProgramSpec,
    RunInput,
};

const NONE: Reg = Reg(0);

fn mov(dst: Reg, imm: i32) -> Insn {
    Insn::new(0xb7, dst, NONE, 0, imm)
}

fn mov_reg(dst: Reg, src: Reg) -> Insn {
    Insn::new(0xbf, dst, src, 0, 0)
}

fn map_by_index(dst: Reg, index: i32) -> [Insn; 2] {
    [Insn::new(0x18, dst, Reg(5), 0, index), Insn::default()]
}

fn call(helper: i32) -> Insn {
    Insn::new(0x85, NONE, NONE, 0, helper)
}

const EXIT: Insn = Insn::new(0x95, NONE, NONE, 0, 0);

/// The backend, unless this machine has none.
fn backend(test: &str) -> Option<LinuxBackend> {
    let probe = LinuxBackend::probe();
    match probe.reason() {
        None => Some(LinuxBackend::new()),
        Some(why) => {
            eprintln!("skipped: {test}: {why}");
            None
        }
    }
}

fn socket_filter(insns: Vec<Insn>) -> ProgramSpec {
    ProgramSpec { name: "filter".into(), ..ProgramSpec::new(ProgramType::SOCKET_FILTER, insns) }
}

#[test]
fn array_map_operations() {
    let Some(linux) = backend("array_map_operations") else { return };
    let map = linux.create_map(&MapDef::new(MapType::ARRAY, 4, 8, 2).named("counts")).unwrap();
    let key = 1u32.to_ne_bytes();
    assert_eq!(map.lookup(&key, 0).unwrap(), [0; 8]);
    map.update(&key, &[7; 8], 0).unwrap();
    assert_eq!(map.lookup(&key, 0).unwrap(), [7; 8]);
    assert_eq!(map.lookup(&2u32.to_ne_bytes(), 0).unwrap_err().errno, Errno::ENOENT);
    assert_eq!(map.delete(&key).unwrap_err().errno, Errno::EINVAL);
    assert_eq!(map.next_key(None).unwrap(), 0u32.to_ne_bytes());
    assert_eq!(map.next_key(Some(&key)).unwrap_err().errno, Errno::ENOENT);
    assert_eq!(map.info().name, "counts");
    let short = map.update(&key, &[0; 7], 0).unwrap_err();
    assert_eq!(short.errno, Errno::EINVAL);
    assert!(short.message.contains("7 bytes, it must have 8"), "{short}");
}

#[test]
fn per_cpu_values_come_for_all_cpus() {
    let Some(linux) = backend("per_cpu_values_come_for_all_cpus") else { return };
    let map = linux.create(&MapDef::new(MapType::PERCPU_HASH, 4, 4, 2).named("percpu")).unwrap();
    let value: Vec<u8> = (0..map.value_len()).map(|i| if i % 8 < 4 { i as u8 } else { 0 }).collect();
    assert!(value.len() >= 8 && value.len().is_multiple_of(8));
    map.update(&[1; 4], &value, 1).unwrap();
    assert_eq!(map.lookup(&[1; 4], 0).unwrap(), value);
    assert_eq!(map.update(&[1; 4], &value, 1).unwrap_err().errno, Errno::EEXIST);
    map.delete(&[1; 4]).unwrap();
    assert_eq!(map.lookup(&[1; 4], 0).unwrap_err().errno, Errno::ENOENT);
}

#[test]
fn a_frozen_map_refuses_writes() {
    let Some(linux) = backend("a_frozen_map_refuses_writes") else { return };
    let def = MapDef {
        initial: Some(vec![1, 2, 3, 4]),
        frozen: true,
        ..MapDef::new(MapType::ARRAY, 4, 4, 1).named(".rodata")
    };
    let map = linux.create_map(&def).unwrap();
    assert_eq!(map.lookup(&[0; 4], 0).unwrap(), [1, 2, 3, 4]);
    assert_eq!(map.update(&[0; 4], &[0; 4], 0).unwrap_err().errno, Errno::EPERM);
}

#[test]
fn refused_geometry_is_named() {
    let Some(linux) = backend("refused_geometry_is_named") else { return };
    let e = linux.create_map(&MapDef::new(MapType::ARRAY, 3, 4, 1).named("odd")).err().unwrap();
    assert_eq!(e.errno, Errno::EINVAL);
    assert!(e.message.contains("`odd`") && e.message.contains("key size 3"), "{e}");
}

#[test]
fn a_refused_program_brings_the_log_and_the_reason() {
    let Some(linux) = backend("a_refused_program_brings_the_log_and_the_reason") else { return };
    let spec = socket_filter(vec![EXIT]);
    let e = linux.load(&spec, &[], LoadOptions::default()).err().unwrap();
    assert_eq!(e.error.errno, Errno::EACCES);
    assert!(e.error.message.contains("R0 !read_ok"), "{e}");
    assert!(e.log.contains("(95) exit"), "{}", e.log);
}

#[test]
fn the_log_grows_until_it_fits() {
    let Some(linux) = backend("the_log_grows_until_it_fits") else { return };
    let mut insns = vec![mov(Reg::R0, 0); 3000];
    insns.push(EXIT);
    let program = linux.load_program(&socket_filter(insns), &[], LoadOptions { log_level: 2 | 4 }).unwrap();
    assert!(program.log().len() > 64 << 10, "{} bytes", program.log().len());
    assert!(program.log().contains("processed 3001 insns"));
    let info = skep_spec::BackendProgram::info(&program);
    assert_eq!(info.insns_processed, 3001);
    assert!(info.verify_time.is_some());
}

#[test]
fn map_indices_beyond_the_list_are_refused_here() {
    let Some(linux) = backend("map_indices_beyond_the_list_are_refused_here") else { return };
    let mut insns = map_by_index(Reg::R1, 1).to_vec();
    insns.extend([mov(Reg::R0, 0), EXIT]);
    let e = linux.load(&socket_filter(insns), &[], LoadOptions::default()).err().unwrap();
    assert_eq!(e.error.errno, Errno::EINVAL);
    assert!(e.error.message.contains("map index 1"), "{e}");
}

#[test]
fn a_filter_runs_on_a_packet() {
    let Some(linux) = backend("a_filter_runs_on_a_packet") else { return };
    // r0 = len; the kernel's test run hides the 14 bytes of Ethernet header from socket filters.
    let spec = socket_filter(vec![Insn::new(0x61, Reg::R0, Reg::R1, 0, 0), EXIT]);
    let program = linux.load(&spec, &[], LoadOptions::default()).unwrap();
    let out = program.test_run(RunInput { data: &[0; 60], repeat: 100, ..RunInput::default() }).unwrap();
    assert_eq!(out.retval, 46);
    assert_eq!(out.data.len(), 60);
    let e = program.test_run(RunInput { data: &[0; 13], ..RunInput::default() }).unwrap_err();
    assert!(e.message.contains("at least 14"), "{e}");
}

#[test]
fn a_syscall_program_changes_its_context() {
    let Some(linux) = backend("a_syscall_program_changes_its_context") else { return };
    let insns = vec![
        Insn::new(0x61, Reg::R0, Reg::R1, 0, 0), // r0 = *(u32 *)(r1 + 0)
        Insn::new(0x62, Reg::R1, NONE, 4, 5),    // *(u32 *)(r1 + 4) = 5
        EXIT,
    ];
    let program =
        linux.load(&ProgramSpec::new(ProgramType::SYSCALL, insns), &[], LoadOptions::default()).unwrap();
    let out = program.test_run(RunInput { ctx: &[9, 0, 0, 0, 1, 1, 1, 1], ..RunInput::default() }).unwrap();
    assert_eq!(out.retval, 9);
    assert_eq!(out.ctx, [9, 0, 0, 0, 5, 0, 0, 0]);
    let e = program.test_run(RunInput { data: &[0; 64], ctx: &[0; 8], repeat: 1 }).unwrap_err();
    assert!(e.message.contains("take no packet"), "{e}");
}

/// Writes one record of 8 bytes with `bpf_ringbuf_output`.
fn ring_writer() -> Vec<Insn> {
    let mut insns = vec![
        Insn::new(0x7a, Reg::FP, NONE, -8, 0x1234), // *(u64 *)(r10 - 8) = 0x1234
    ];
    insns.extend(map_by_index(Reg::R1, 0));
    insns.extend([
        mov_reg(Reg::R2, Reg::FP),
        Insn::new(0x07, Reg::R2, NONE, 0, -8),
        mov(Reg::R3, 8),
        mov(Reg::R4, 0),
        call(130),
        EXIT,
    ]);
    insns
}

#[test]
fn ring_buffer_records_arrive_in_order_and_wrap() {
    let Some(linux) = backend("ring_buffer_records_arrive_in_order_and_wrap") else { return };
    let ring = linux.create_map(&MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("events")).unwrap();
    let maps = [Arc::clone(&ring)];
    let program = linux.load(&socket_filter(ring_writer()), &maps, LoadOptions::default()).unwrap();
    let mut reader = ring.reader().unwrap();
    assert_eq!(ring.reader().err().unwrap().errno, Errno::EBUSY);
    assert!(!reader.wait(Duration::ZERO).unwrap());
    // 100 records of 16 bytes at a time, five times over: the positions wrap around the 4096 bytes.
    for _ in 0..5 {
        let input = RunInput { data: &[0; 64], repeat: 100, ..RunInput::default() };
        assert_eq!(program.test_run(input).unwrap().retval, 0);
        assert!(reader.wait(Duration::from_secs(1)).unwrap());
        let mut seen = 0;
        while reader
            .poll(&mut |record| {
                assert_eq!(record, 0x1234u64.to_ne_bytes());
                seen += 1;
            })
            .unwrap()
            > 0
        {}
        assert_eq!(seen, 100);
    }
    drop(reader);
    assert!(ring.reader().is_ok());
}

#[test]
fn tail_calls_reach_the_program_in_the_slot() {
    let Some(linux) = backend("tail_calls_reach_the_program_in_the_slot") else { return };
    let array = linux.create_map(&MapDef::new(MapType::PROG_ARRAY, 4, 4, 1).named("jumps")).unwrap();
    let mut insns = map_by_index(Reg::R2, 0).to_vec();
    insns.extend([mov(Reg::R3, 0), call(12), mov(Reg::R0, 1), EXIT]);
    let caller = linux.load(&socket_filter(insns), &[Arc::clone(&array)], LoadOptions::default()).unwrap();
    let callee =
        linux.load(&socket_filter(vec![mov(Reg::R0, 2), EXIT]), &[], LoadOptions::default()).unwrap();
    let input = RunInput { data: &[0; 64], ..RunInput::default() };
    assert_eq!(caller.test_run(input).unwrap().retval, 1);
    array.set_program(0, &*callee).unwrap();
    assert_eq!(caller.test_run(input).unwrap().retval, 2);
    let xdp = ProgramSpec::new(ProgramType::XDP, vec![mov(Reg::R0, 2), EXIT]);
    let xdp = linux.load(&xdp, &[], LoadOptions::default()).unwrap();
    assert!(array.set_program(0, &*xdp).unwrap_err().message.contains("must agree"));
}

#[test]
fn loads_without_capabilities_are_refused_with_words() {
    if backend("loads_without_capabilities_are_refused_with_words").is_none() {
        return;
    }
    // XDP needs capabilities whatever kernel.unprivileged_bpf_disabled says.
    let insns = [mov(Reg::R0, 2), EXIT];
    let load = RawLoad { prog_type: ProgramType::XDP, license: "GPL", insns: &insns, ..RawLoad::default() };
    let e = unprivileged(|| load.load().map(drop)).unwrap().unwrap_err();
    assert_eq!(e.error.errno, Errno::EPERM);
    assert!(e.error.message.contains("CAP_BPF"), "{e}");
    // The caller kept its own.
    assert!(load.load().is_ok());
}

#[test]
fn an_attached_filter_counts_what_passes_lo() {
    let Some(linux) = backend("an_attached_filter_counts_what_passes_lo") else { return };
    let program =
        linux.load(&socket_filter(vec![mov(Reg::R0, 0), EXIT]), &[], LoadOptions::default()).unwrap();
    assert_eq!(linux.attach_socket(&program, "no-such-if").err().unwrap().errno, Errno::ENODEV);
    let mut link = linux.attach_socket(&program, "lo").unwrap();
    let (a, b) = ("127.0.0.1:0", "127.0.0.1:9");
    let socket = std::net::UdpSocket::bind(a).unwrap();
    for _ in 0..10 {
        // Nobody listens there: an earlier datagram's refusal may come back as an error.
        let _ = socket.send_to(&[0; 8], b);
    }
    assert!(!link.wait(Duration::from_millis(1)).unwrap());
    // Each datagram is seen twice on lo, going out and coming in; others may use lo as well.
    assert!(link.stats().runs >= 20, "{:?}", link.stats());
    assert_eq!(link.stats().dropped, 0);
}

#[test]
fn types_and_lines_reach_the_kernel() {
    let Some(linux) = backend("types_and_lines_reach_the_kernel") else { return };
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let ctx = b.structure("__sk_buff", 4, &[("len", int, 0)]);
    let pointer = b.ptr(ctx);
    let proto = b.func_proto(int, &[("skb", pointer)]);
    let main = b.func("main", proto, FuncLinkage::Global);
    let file = b.name("main.c").offset();
    let text = b.name("return skb->nothing;").offset();
    let btf = Arc::new(b.finish().unwrap());

    let mut spec = socket_filter(vec![mov(Reg::R0, 0), EXIT]);
    spec.btf = Some(Arc::clone(&btf));
    spec.func_info = vec![FuncInfo { insn_off: 0, type_id: main.0 }];
    spec.line_info =
        vec![LineInfo { insn_off: 0, file_name_off: file, line_off: text, line_col: 3 << 10 | 1 }];
    let program = linux.load_program(&spec, &[], LoadOptions { log_level: 2 }).unwrap();
    assert_eq!(program.notes(), [""; 0]);
    assert!(program.log().contains("; return skb->nothing; @ main.c:3"), "{}", program.log());

    let def = MapDef {
        btf: Some(btf),
        key_btf_id: int.0,
        value_btf_id: int.0,
        ..MapDef::new(MapType::HASH, 4, 4, 8).named("typed")
    };
    assert!(linux.create_map(&def).is_ok());
    // A key type of the wrong size: the kernel refuses it, the map is made without types.
    assert!(linux.create_map(&MapDef { key_btf_id: ctx.0, value_btf_id: main.0, ..def }).is_ok());
}

#[test]
fn a_program_loads_without_btf_that_the_kernel_refuses() {
    let Some(linux) = backend("a_program_loads_without_btf_that_the_kernel_refuses") else { return };
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let proto = b.func_proto(int, &[]);
    let main = b.func("not a name", proto, FuncLinkage::Global);
    let mut spec = socket_filter(vec![mov(Reg::R0, 0), EXIT]);
    spec.btf = Some(Arc::new(b.finish().unwrap()));
    spec.func_info = vec![FuncInfo { insn_off: 0, type_id: main.0 }];
    let program = linux.load_program(&spec, &[], LoadOptions::default()).unwrap();
    assert_eq!(program.notes().len(), 1);
    assert!(program.notes()[0].contains("Invalid name"), "{:?}", program.notes());
}

/// A program with a global function `inner`, and one that replaces a function, both of `int (struct __sk_buff *)`.
fn whole_and_part(function: &str) -> (ProgramSpec, ProgramSpec) {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let ctx = b.structure("__sk_buff", 4, &[("len", int, 0)]);
    let pointer = b.ptr(ctx);
    let proto = b.func_proto(int, &[("skb", pointer)]);
    let main = b.func("main", proto, FuncLinkage::Global);
    let inner = b.func("inner", proto, FuncLinkage::Global);
    let btf = Arc::new(b.finish().unwrap());
    let call = Insn::new(0x85, NONE, Reg(1), 0, 1);
    let mut whole = socket_filter(vec![call, EXIT, mov(Reg::R0, 0), EXIT]);
    whole.name = "whole".into();
    whole.btf = Some(Arc::clone(&btf));
    whole.func_info =
        vec![FuncInfo { insn_off: 0, type_id: main.0 }, FuncInfo { insn_off: 2, type_id: inner.0 }];
    let mut part = socket_filter(vec![mov(Reg::R0, 7), EXIT]);
    part.prog_type = ProgramType::EXT;
    part.name = "part".into();
    part.section = format!("freplace/{function}");
    part.attach_target = Some(function.into());
    part.btf = Some(btf);
    part.func_info = vec![FuncInfo { insn_off: 0, type_id: inner.0 }];
    (whole, part)
}

/// Kernels that forbid such programs do so with EPERM, before they look at them.
#[test]
fn a_function_of_a_loaded_program_is_replaced_or_the_kernel_forbids_it() {
    let test = "a_function_of_a_loaded_program_is_replaced_or_the_kernel_forbids_it";
    let Some(linux) = backend(test) else { return };
    let (whole, part) = whole_and_part("inner");
    let whole: Arc<dyn BackendProgram> =
        Arc::new(linux.load_program(&whole, &[], LoadOptions::default()).unwrap());
    match linux.load_extension(&part, &[], &whole, LoadOptions::default()) {
        Ok(part) => assert_eq!(part.info().prog_type, ProgramType::EXT),
        Err(e) => {
            let words = e.error.message;
            assert_eq!(e.error.errno, Errno::EPERM, "{words}");
            assert!(words.contains("loading program `part` (ext)") && words.contains("--extends"), "{words}");
            println!("skipped: {words}");
        }
    }
}

#[test]
fn what_an_extension_replaces_must_be_there() {
    let Some(linux) = backend("what_an_extension_replaces_must_be_there") else { return };
    let load = |spec: &ProgramSpec| -> Arc<dyn BackendProgram> {
        Arc::new(linux.load_program(spec, &[], LoadOptions::default()).unwrap())
    };
    let error = |part: &ProgramSpec, whole: &Arc<dyn BackendProgram>| {
        let e = linux.load_extension(part, &[], whole, LoadOptions::default()).err().unwrap().error;
        (e.errno, e.message)
    };
    let (whole, part) = whole_and_part("nosuch");
    let loaded = load(&whole);
    let (errno, words) = error(&part, &loaded);
    assert_eq!(errno, Errno::ESRCH);
    assert!(
        words.contains("freplace/nosuch") && words.contains("`whole` has no function `nosuch`"),
        "{words}"
    );

    let (errno, words) = error(&whole, &loaded);
    assert_eq!(errno, Errno::EINVAL);
    assert!(words.contains("it is no extension"), "{words}");

    let (errno, words) = error(&ProgramSpec { attach_target: None, ..part.clone() }, &loaded);
    assert_eq!(errno, Errno::EINVAL);
    assert!(words.contains("does not say what it replaces"), "{words}");

    let bare =
        load(&ProgramSpec { btf: None, func_info: Vec::new(), ..socket_filter(vec![mov(Reg::R0, 0), EXIT]) });
    let (errno, words) = error(&part, &bare);
    assert_eq!(errno, Errno::EINVAL);
    assert!(words.contains("without types"), "{words}");

    let e = linux.load_program(&part, &[], LoadOptions::default()).err().unwrap().error;
    assert_eq!(e.errno, Errno::ENOTSUPP);
    assert!(e.message.contains("load_extension"), "{}", e.message);
}

/// Longer than the first buffer: the kernel says how long, and the second one has it all.
#[test]
fn a_very_long_log_is_whole() {
    let Some(linux) = backend("a_very_long_log_is_whole") else { return };
    let mut insns = vec![mov(Reg::R0, 0)];
    insns.extend(std::iter::repeat_n(Insn::new(0x07, Reg::R0, NONE, 0, 1), 110_000));
    insns.push(EXIT);
    let options = LoadOptions { log_level: 2 | 4 };
    let program = linux.load_program(&socket_filter(insns.clone()), &[], options).unwrap();
    let log = program.log();
    assert!(log.len() > 4 << 20, "{} bytes", log.len());
    assert!(log.contains("\n1: (07)") && log.contains("processed 110002 insns"));
    // Refused at the end: the error is the verifier's, not the log's, and the last words are there.
    insns.pop();
    insns.extend([mov_reg(Reg::R1, Reg::R5), EXIT]);
    let e = linux.load_program(&socket_filter(insns), &[], options).err().unwrap();
    assert_eq!(e.error.errno, Errno::EACCES, "{}", e.error);
    assert!(e.error.message.contains("R5 !read_ok"), "{}", e.error);
}

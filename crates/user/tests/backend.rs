//! The backend through its seam: maps, programs, test runs, ring buffers, packets.
//!
//! Programs are loaded unverified, so that these tests are about running alone. Expected numbers of test runs were
//! read from Linux 6.18.

use std::sync::Arc;
use std::time::Duration;

use skep_abi::{MapType, ProgramType};
use skep_isa::{Insn, Reg};
use skep_spec::{Backend, BackendMap, BackendProgram, Errno, LoadOptions, MapDef, ProgramSpec, RunInput};
use skep_user::source::{Packet, PacketType, VlanTag};
use skep_user::{Runner, UserBackend, UserOptions, UserProgram};

fn insn(opcode: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn::new(opcode, Reg(dst), Reg(src), off, imm)
}

const EXIT: Insn = Insn::new(0x95, Reg(0), Reg(0), 0, 0);

fn backend() -> UserBackend {
    UserBackend::with_options(UserOptions { cpus: Some(2), ..UserOptions::default() })
}

fn load(
    backend: &UserBackend,
    prog_type: ProgramType,
    insns: &[Insn],
    maps: &[Arc<dyn BackendMap>],
) -> Arc<UserProgram> {
    let defs = maps.iter().map(|m| {
        let i = m.info();
        Arc::new(MapDef::new(i.kind, i.key_size, i.value_size, i.max_entries))
    });
    let spec = ProgramSpec {
        name: "test".into(),
        maps: defs.collect(),
        ..ProgramSpec::new(prog_type, insns.to_vec())
    };
    backend.load_unverified(&spec, maps).expect("the maps fit")
}

fn map(backend: &UserBackend, kind: MapType, key: u32, value: u32, entries: u32) -> Arc<dyn BackendMap> {
    backend.create_map(&MapDef::new(kind, key, value, entries).named("m")).expect("legal")
}

fn lddw_map(dst: u8, idx: i32) -> [Insn; 2] {
    [insn(0x18, dst, 5, 0, idx), insn(0, 0, 0, 0, 0)]
}

fn data(data: &[u8]) -> RunInput<'_> {
    RunInput { data, ..RunInput::default() }
}

/// Destination 00:01:02:03:04:05, source 06…, IPv4, `0x45` and the numbers from 1.
fn frame() -> Vec<u8> {
    let mut f: Vec<u8> = (0..12).chain([8, 0, 0x45]).collect();
    f.extend(1..40);
    f
}

#[test]
fn socket_filters_see_the_packet_from_its_network_header() {
    let b = backend();
    let field = |off| {
        let p = load(&b, ProgramType::SOCKET_FILTER, &[insn(0x61, 0, 1, off, 0), EXIT], &[]);
        p.test_run(data(&frame())).expect("runs")
    };
    let out = field(0);
    assert_eq!(out.retval, 40);
    assert_eq!((&out.data[..14], &out.data[14..]), (&[0; 14][..], &frame()[14..]));
    assert_eq!(field(16).retval, u32::from(0x800u16.to_be()));
    assert_eq!((field(4).retval, field(40).retval, field(36).retval), (3, 1, 0));
}

#[test]
fn socket_filter_input_is_checked_as_the_kernel_does() {
    let b = backend();
    let p = load(&b, ProgramType::SOCKET_FILTER, &[insn(0xb7, 0, 0, 0, 1), EXIT], &[]);
    let errno = |data: &[u8]| p.test_run(RunInput { data, ..RunInput::default() }).err().map(|e| e.errno);
    let of_type = |proto: [u8; 2], len: usize| {
        let mut f = vec![0; len];
        f[12..14].copy_from_slice(&proto);
        f
    };
    assert_eq!(errno(&[]), Some(Errno::EINVAL));
    assert_eq!(errno(&[0; 13]), Some(Errno::EINVAL));
    assert_eq!((errno(&of_type([8, 0], 33)), errno(&of_type([8, 0], 34))), (Some(Errno::EINVAL), None));
    assert_eq!(
        (errno(&of_type([0x86, 0xdd], 53)), errno(&of_type([0x86, 0xdd], 54))),
        (Some(Errno::EINVAL), None)
    );
    assert_eq!(errno(&of_type([0x12, 0x34], 14)), None);
}

#[test]
fn legacy_loads_count_from_data_network_and_link_header() {
    let b = backend();
    let abs = |off: i32| {
        let p = load(
            &b,
            ProgramType::SOCKET_FILTER,
            &[insn(0xbf, 6, 1, 0, 0), insn(0x30, 0, 0, 0, off), EXIT],
            &[],
        );
        p.test_run(data(&frame())).expect("runs").retval
    };
    let (net, link) = (-0x10_0000, -0x20_0000);
    let expected = [
        (0, 0x45),
        (1, 1),
        (39, 0x27),
        (40, 0),
        (net, 0x45),
        (net + 1, 1),
        (net + 39, 0x27),
        (net + 40, 0),
        (link, 0),
        (link + 12, 8),
        (link + 53, 0x27),
        (link + 54, 0),
        (net - 1, 0),
        (link - 1, 0),
        (-1, 0),
        (-0x1000, 0),
    ];
    for (off, byte) in expected {
        assert_eq!(abs(off), byte, "offset {off:#x}");
    }
}

#[test]
fn skb_load_bytes_zeroes_what_it_cannot_fill() {
    let b = backend();
    let run = |off: i32, len: i32| {
        let code = [
            insn(0xb7, 2, 0, 0, -1),
            insn(0x7b, 10, 2, -16, 0),
            insn(0xb7, 2, 0, 0, off),
            insn(0xbf, 3, 10, 0, 0),
            insn(0x07, 3, 0, 0, -16),
            insn(0xb7, 4, 0, 0, len),
            insn(0x85, 0, 0, 0, 26),
            insn(0x79, 7, 10, -16, 0),
            insn(0x15, 0, 0, 2, 0),
            insn(0x5f, 0, 7, 0, 0),
            EXIT,
            insn(0xbf, 0, 7, 0, 0),
            EXIT,
        ];
        load(&b, ProgramType::SOCKET_FILTER, &code, &[]).test_run(data(&frame())).expect("runs").retval
    };
    assert_eq!(run(0, 4), u32::from_ne_bytes([0x45, 1, 2, 3]));
    // The first byte of the destination was zeroed: r0 & r7 has only -EFAULT's other bytes.
    for off in [40, -1, i32::MAX] {
        assert_eq!(run(off, 1), -14i32 as u32 & u32::from_ne_bytes([0, 0xff, 0xff, 0xff]), "offset {off}");
    }
}

#[test]
fn xdp_adjusts_within_the_kernels_limits() {
    let b = backend();
    let input: Vec<u8> = (0..60).collect();
    let adjust = |helper: i32, delta: i32| {
        let code = [
            insn(0xbf, 6, 1, 0, 0),
            insn(0xb7, 2, 0, 0, delta),
            insn(0x85, 0, 0, 0, helper),
            insn(0x55, 0, 0, 4, 0),
            insn(0x61, 2, 6, 0, 0),
            insn(0x61, 0, 6, 4, 0),
            insn(0x1f, 0, 2, 0, 0),
            EXIT,
            EXIT,
        ];
        let out = load(&b, ProgramType::XDP, &code, &[]).test_run(data(&input)).expect("runs");
        (out.retval as i32, out.data)
    };
    let (head, tail) = (44, 65);
    for (delta, left) in [(-216, 276), (-1, 61), (1, 59), (46, 14)] {
        let (len, data) = adjust(head, delta);
        assert_eq!((len, data.len()), (left, left as usize), "head by {delta}");
        assert_eq!(data[(-delta).max(0) as usize..], input[delta.max(0) as usize..], "head by {delta}");
    }
    for (delta, left) in [(-46, 14), (-1, 59), (10, 70), (3460, 3520)] {
        let (len, data) = adjust(tail, delta);
        assert_eq!((len, data.len()), (left, left as usize), "tail by {delta}");
        assert!(data[60.min(data.len())..].iter().all(|b| *b == 0));
    }
    for (helper, delta) in
        [(head, -217), (head, 47), (tail, -47), (tail, 3461), (head, i32::MIN), (tail, i32::MAX)]
    {
        assert_eq!(adjust(helper, delta), (-22, input.clone()), "{helper} by {delta}");
    }
}

#[test]
fn xdp_reads_and_writes_the_packet_between_its_ends() {
    let b = backend();
    let at = |off: i16| {
        let code = [insn(0x61, 2, 1, 0, 0), insn(0x72, 2, 0, off, 0x5a), insn(0xb7, 0, 0, 0, 2), EXIT];
        load(&b, ProgramType::XDP, &code, &[]).test_run(data(&[0; 20]))
    };
    assert_eq!(at(19).expect("inside").data[19], 0x5a);
    assert!(at(20).is_err_and(|e| e.message.contains("packet")));
    assert!(at(-1).is_err());
}

#[test]
fn xdp_metadata_of_a_test_run() {
    let b = backend();
    let code = [
        insn(0x61, 2, 1, 8, 0),
        insn(0x61, 3, 1, 0, 0),
        insn(0x62, 2, 0, 0, 0x0101_0101),
        insn(0xbf, 0, 3, 0, 0),
        insn(0x1f, 0, 2, 0, 0),
        EXIT,
    ];
    let ctx: Vec<u8> = [8u32, 60, 0, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    let p = load(&b, ProgramType::XDP, &code, &[]);
    let out = p.test_run(RunInput { data: &[0; 60], ctx: &ctx, repeat: 0 }).expect("runs");
    assert_eq!((out.retval, out.data.len(), &out.data[..5]), (8, 60, &[1, 1, 1, 1, 0][..]));
    assert_eq!(out.ctx, ctx);
}

#[test]
fn syscall_programs_change_their_context() {
    let b = backend();
    let code = [insn(0x79, 0, 1, 0, 0), insn(0x7b, 1, 0, 8, 0), insn(0x07, 0, 0, 0, 1), EXIT];
    let p = load(&b, ProgramType::SYSCALL, &code, &[]);
    let ctx = [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0, 0, 0, 0, 0];
    let run = |ctx: &[u8], data: &[u8]| p.test_run(RunInput { data, ctx, repeat: 0 });
    let out = run(&ctx, &[]).expect("runs");
    assert_eq!(out.retval, u32::from_ne_bytes([0x88, 0x77, 0x66, 0x55]) + 1);
    assert_eq!(out.ctx[8..], ctx[..8]);
    assert_eq!(run(&ctx[..15], &[]).err().map(|e| e.errno), Some(Errno::EINVAL));
    assert_eq!(run(&[], &[]).err().map(|e| e.errno), Some(Errno::EINVAL));
    assert_eq!(run(&ctx, &[1]).err().map(|e| e.errno), Some(Errno::EINVAL));
    assert_eq!(run(&vec![0; 65536], &[]).err().map(|e| e.errno), Some(Errno::EINVAL));
    assert!(run(&vec![0; 65535], &[]).is_ok());
}

/// `r0 = m[key at fp-4]`, then what follows with the value in `r0`.
fn lookup(key: i32) -> Vec<Insn> {
    let mut code = vec![insn(0x62, 10, 0, -4, key), insn(0xbf, 2, 10, 0, 0), insn(0x07, 2, 0, 0, -4)];
    code.extend(lddw_map(1, 0));
    code.push(insn(0x85, 0, 0, 0, 1));
    code
}

#[test]
fn programs_count_in_maps_that_outlive_the_handle() {
    let b = backend();
    for kind in [MapType::ARRAY, MapType::HASH, MapType::PERCPU_ARRAY] {
        let m = map(&b, kind, 4, 8, 4);
        if kind == MapType::HASH {
            m.update(&2u32.to_ne_bytes(), &0u64.to_ne_bytes(), 0).expect("room");
        }
        let mut code = lookup(2);
        // if r0 == 0 exit; r1 = 1; lock *(u64 *)r0 += r1; r0 = *(u64 *)r0
        code.extend([
            insn(0x15, 0, 0, 3, 0),
            insn(0xb7, 1, 0, 0, 1),
            insn(0xdb, 0, 1, 0, 0),
            insn(0x79, 0, 0, 0, 0),
            EXIT,
        ]);
        let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&m)]);
        let repeated = RunInput { data: &frame(), repeat: 10, ..RunInput::default() };
        assert_eq!(p.test_run(repeated).expect("runs").retval, 10, "{kind:?}");
        let value = m.lookup(&2u32.to_ne_bytes(), 0).expect("there");
        let sum: u64 = value.chunks(8).map(|v| u64::from_ne_bytes(v.try_into().expect("8 bytes"))).sum();
        assert_eq!(sum, 10, "{kind:?}");
        drop(m);
        assert_eq!(p.test_run(data(&frame())).expect("the map lives").retval, 11, "{kind:?}");
    }
}

#[test]
fn map_values_are_bounded() {
    let b = backend();
    let m = map(&b, MapType::ARRAY, 4, 8, 1);
    for (off, fine) in [(0i16, true), (7, true), (8, false), (-1, false)] {
        let mut code = lookup(0);
        code.extend([insn(0x71, 0, 0, off, 0), EXIT]);
        let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&m)]);
        assert_eq!(p.test_run(data(&frame())).is_ok(), fine, "offset {off}");
    }
}

#[test]
fn thirty_three_tail_calls_and_no_more() {
    let b = backend();
    let progs = map(&b, MapType::PROG_ARRAY, 4, 4, 2);
    let counts = map(&b, MapType::ARRAY, 4, 8, 1);
    // m[0] += 1; tail_call(ctx, progs, 0); r0 = 7
    let mut code = vec![
        insn(0xbf, 6, 1, 0, 0),
        insn(0x62, 10, 0, -4, 0),
        insn(0xbf, 2, 10, 0, 0),
        insn(0x07, 2, 0, 0, -4),
    ];
    code.extend(lddw_map(1, 0));
    code.extend([
        insn(0x85, 0, 0, 0, 1),
        insn(0xb7, 1, 0, 0, 1),
        insn(0xdb, 0, 1, 0, 0),
        insn(0xbf, 1, 6, 0, 0),
    ]);
    code.extend(lddw_map(2, 1));
    code.extend([insn(0xb7, 3, 0, 0, 0), insn(0x85, 0, 0, 0, 12), insn(0xb7, 0, 0, 0, 7), EXIT]);
    let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&counts), Arc::clone(&progs)]);
    let count = || u64::from_ne_bytes(counts.lookup(&[0; 4], 0).expect("there").try_into().expect("8 bytes"));

    assert_eq!(p.test_run(data(&frame())).expect("an empty slot falls through").retval, 7);
    assert_eq!(count(), 1);
    progs.set_program(0, &*p).expect("same type");
    assert_eq!(p.test_run(data(&frame())).expect("runs").retval, 7);
    assert_eq!(count(), 1 + 34);

    let other = load(&b, ProgramType::XDP, &[insn(0xb7, 0, 0, 0, 2), EXIT], &[]);
    assert_eq!(progs.set_program(1, &*other).err().map(|e| e.errno), Some(Errno::EINVAL));
    assert_eq!(progs.set_program(2, &*p).err().map(|e| e.errno), Some(Errno::E2BIG));
    // Without a handle the array is empty, and the program is not kept alive by its own map.
    let weak = Arc::downgrade(p.program());
    drop(progs);
    assert_eq!(p.test_run(data(&frame())).expect("falls through").retval, 7);
    assert_eq!(count(), 1 + 34 + 1);
    drop(p);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_tail_call_in_a_subprogram_returns_to_its_caller() {
    let b = backend();
    let progs = map(&b, MapType::PROG_ARRAY, 4, 4, 1);
    let mut code = vec![insn(0xb7, 6, 0, 0, 100), insn(0x85, 0, 1, 0, 2), insn(0x0f, 0, 6, 0, 0), EXIT];
    code.extend(lddw_map(2, 0));
    code.extend([insn(0xb7, 3, 0, 0, 0), insn(0x85, 0, 0, 0, 12), insn(0xb7, 0, 0, 0, 1), EXIT]);
    let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&progs)]);
    assert_eq!(p.test_run(data(&frame())).expect("runs").retval, 101);
    let target =
        load(&b, ProgramType::SOCKET_FILTER, &[insn(0xb7, 6, 0, 0, 5), insn(0xb7, 0, 0, 0, 50), EXIT], &[]);
    progs.set_program(0, &*target).expect("same type");
    assert_eq!(p.test_run(data(&frame())).expect("runs").retval, 150);
}

#[test]
fn ring_buffer_records_arrive_and_wake() {
    let b = backend();
    let ring = map(&b, MapType::RINGBUF, 0, 0, 4096);
    let mut reader = ring.reader().expect("the first reader");
    assert_eq!(ring.reader().err().map(|e| e.errno), Some(Errno::EBUSY));
    assert!(!reader.wait(Duration::from_millis(5)).expect("no error"));

    // r0 = reserve(ring, 8, 0); *(u64 *)r0 = 42; submit; output(ring, fp-8, 8, 0)
    let mut code = lddw_map(1, 0).to_vec();
    code.extend([
        insn(0xb7, 2, 0, 0, 8),
        insn(0xb7, 3, 0, 0, 0),
        insn(0x85, 0, 0, 0, 131),
        insn(0x15, 0, 0, 11, 0),
        insn(0x7a, 0, 0, 0, 42),
        insn(0xbf, 1, 0, 0, 0),
        insn(0xb7, 2, 0, 0, 0),
        insn(0x85, 0, 0, 0, 132),
    ]);
    code.extend(lddw_map(1, 0));
    code.extend([
        insn(0x7a, 10, 0, -8, 43),
        insn(0xbf, 2, 10, 0, 0),
        insn(0x07, 2, 0, 0, -8),
        insn(0xb7, 3, 0, 0, 8),
        insn(0xb7, 4, 0, 0, 0),
        insn(0x85, 0, 0, 0, 130),
        EXIT,
    ]);
    let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&ring)]);
    let waiting =
        std::thread::spawn(move || (reader.wait(Duration::from_secs(20)).expect("no error"), reader));
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(p.test_run(data(&frame())).expect("runs").retval, 0);
    let (woken, mut reader) = waiting.join().expect("no panic");
    assert!(woken);
    let mut records = Vec::new();
    reader.poll(&mut |r| records.push(u64::from_ne_bytes(r.try_into().expect("8 bytes")))).expect("sane");
    assert_eq!(records, [42, 43]);
}

#[test]
fn records_that_a_run_leaves_open_are_discarded() {
    let b = backend();
    let ring = map(&b, MapType::RINGBUF, 0, 0, 4096);
    let mut reader = ring.reader().expect("the first reader");
    let reserve = |size: i32, rest: &[Insn]| {
        let mut code = lddw_map(1, 0).to_vec();
        code.extend([insn(0xb7, 2, 0, 0, size), insn(0xb7, 3, 0, 0, 0), insn(0x85, 0, 0, 0, 131)]);
        code.extend(rest);
        load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&ring)]).test_run(data(&frame()))
    };
    reserve(8, &[EXIT]).expect("left open");
    assert!(reserve(8, &[insn(0x79, 0, 0, 8, 0), EXIT]).is_err(), "beyond the record");
    // Closing twice, and what was never a record.
    let twice = [
        insn(0xbf, 6, 0, 0, 0),
        insn(0xbf, 1, 0, 0, 0),
        insn(0x85, 0, 0, 0, 133),
        insn(0xbf, 1, 6, 0, 0),
        insn(0x85, 0, 0, 0, 133),
        EXIT,
    ];
    assert!(reserve(8, &twice).is_err_and(|e| e.message.contains("not a reserved")));
    let mut seen = 0;
    reader.poll(&mut |_| seen += 1).expect("sane");
    assert_eq!(seen, 0);
    // Nothing blocks the ring: a record as large as it takes fits.
    assert_ne!(reserve(4000, &[insn(0x77, 0, 0, 0, 1), EXIT]).expect("room").retval, 0);
}

#[test]
fn printk_goes_to_the_sink_in_the_kernels_format() {
    let lines: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&lines);
    let b = UserBackend::with_options(UserOptions {
        printk: Box::new(move |l| {
            sink.lock().expect("no panic").push(String::from_utf8_lossy(l).into_owned())
        }),
        ..UserOptions::default()
    });
    // What Linux 6.18 returned and wrote for the same formats and arguments.
    let cases: &[(&[u8], [i64; 3], i64, &str)] = &[
        (b"hello", [0; 3], 5, "hello"),
        (b"hello\n", [0; 3], 6, "hello"),
        (b"%d %u %x", [-1; 3], 22, "-1 4294967295 ffffffff"),
        (b"%ld %lu %lx", [-1; 3], 40, "-1 18446744073709551615 ffffffffffffffff"),
        (b"%lld %llu %llx", [-5; 3], 40, "-5 18446744073709551611 fffffffffffffffb"),
        (b"%i %X %lX", [7, 255, 255], 7, "7 FF FF"),
        (b"%5d|%-5d|%05d", [42, 42, -42], 17, "   42|42   |-0042"),
        (b"%+d|% d|%+05d", [42; 3], 13, "+42| 42|+0042"),
        (b"%08x|%-8x|%8x", [0xabc; 3], 26, "00000abc|abc     |     abc"),
        (b"%c%c%c", [65, 66, 67], 3, "ABC"),
        (b"%5c|%-3c|", [65, 66, 0], 10, "    A|B  |"),
        (b"%%", [0; 3], 1, "%"),
        (b"%s", [0; 3], 0, ""),
        (b"%5s|", [0; 3], 6, "     |"),
        (b"%p", [0; 3], 16, "0000000000000000"),
        (b"%px", [0x1234, 0, 0], 16, "0000000000001234"),
        (b"%10px|%010px", [0x1234, 0x1234, 0], 21, "      1234|0000001234"),
        (b"%ps", [0x1234, 0, 0], 6, "0x1234"),
        (b"%pi4", [0; 3], 15, "000.000.000.000"),
        (b"%pI4", [0; 3], 7, "0.0.0.0"),
        (b"%pI6", [0; 3], 39, "0000:0000:0000:0000:0000:0000:0000:0000"),
        (b"% -5d|", [3, 0, 0], 6, " 3   |"),
        (b"%-05d|", [3, 0, 0], 6, "3    |"),
        (b"%s.", [0; 3], 1, "."),
    ];
    let refused: &[&[u8]] = &[
        b"100%",
        b"%d %d %d %d",
        b"%pI5",
        b"%q",
        b"%hd",
        b"%llld",
        b"a\x01b",
        b"%sa",
        b"%pz",
        b"%#x",
        b"%.3d",
        b"%l",
        b"%zd",
        b"%o",
    ];
    let run = |format: &[u8], args: [i64; 3], nul: bool| {
        let mut text = format.to_vec();
        text.push(if nul { 0 } else { b'!' });
        let len = text.len();
        text.resize(len.next_multiple_of(8), 0);
        let mut code = Vec::new();
        for (i, word) in text.chunks(8).enumerate() {
            let word = u64::from_ne_bytes(word.try_into().expect("8 bytes"));
            code.extend([insn(0x18, 1, 0, 0, word as i32), insn(0, 0, 0, 0, (word >> 32) as i32)]);
            code.push(insn(0x7b, 10, 1, 8 * i as i16 - text.len() as i16, 0));
        }
        code.extend([
            insn(0xbf, 1, 10, 0, 0),
            insn(0x07, 1, 0, 0, -(text.len() as i32)),
            insn(0xb7, 2, 0, 0, len as i32),
        ]);
        for (r, v) in (3u8..).zip(args) {
            code.extend([insn(0x18, r, 0, 0, v as i32), insn(0, 0, 0, 0, (v >> 32) as i32)]);
        }
        code.extend([insn(0x85, 0, 0, 0, 6), EXIT]);
        let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[]);
        p.test_run(data(&frame())).expect("runs").retval as i32
    };
    for (format, args, len, line) in cases {
        let name = String::from_utf8_lossy(format);
        assert_eq!(i64::from(run(format, *args, true)), *len, "{name}");
        assert_eq!(lines.lock().expect("no panic").pop().as_deref(), Some(*line), "{name}");
    }
    for format in refused {
        assert_eq!(run(format, [1; 3], true), -22, "{}", String::from_utf8_lossy(format));
    }
    assert_eq!(run(b"no end", [0; 3], false), -22);
    assert_eq!(run(b"%99999999d|", [5, 0, 0], true), 0x80_0000);
}

#[test]
fn a_runner_shows_packets_as_a_raw_socket_does() {
    let b = backend();
    let field = |off: i16, packet: &Packet<'_>| {
        let p = load(&b, ProgramType::SOCKET_FILTER, &[insn(0x61, 0, 1, off, 0), EXIT], &[]);
        Runner::new(&p).expect("a socket filter").run_packet(packet).expect("no trap")
    };
    let bytes = frame();
    let packet = Packet {
        data: &bytes,
        wire_len: 100,
        ifindex: 3,
        protocol: 0x800,
        pkt_type: PacketType::OUTGOING,
        vlan: Some(VlanTag { tpid: 0x8100, tci: 5 }),
        hash: 9,
        time_ns: 0,
    };
    let got = [0, 4, 16, 20, 24, 28, 36, 40, 68].map(|off| field(off, &packet));
    let be = |v: u16| u32::from(v.to_be());
    assert_eq!(got, [100, 4, be(0x800), 1, 5, be(0x8100), 0, 3, 9]);
    let arriving = Packet { pkt_type: PacketType::HOST, ..packet };
    assert_eq!(field(36, &arriving), 3);
    // Legacy loads start at the Ethernet header.
    let code = [insn(0xbf, 6, 1, 0, 0), insn(0x28, 0, 0, 0, 12), EXIT];
    let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[]);
    assert_eq!(Runner::new(&p).expect("a socket filter").run_packet(&packet).expect("no trap"), 0x800);
}

#[test]
fn a_runner_takes_many_packets_in_order() {
    let b = backend();
    let p = load(&b, ProgramType::SOCKET_FILTER, &[insn(0x61, 0, 1, 0, 0), EXIT], &[]);
    let mut runner = Runner::new(&p).expect("a socket filter");
    for count in [0, 1, 63, 64, 65, 200] {
        let bytes = [0; 300];
        let packets: Vec<Packet<'_>> =
            (0..count).map(|i| Packet { data: &bytes[..20 + i], ..Packet::default() }).collect();
        let mut lengths = Vec::new();
        runner.run_packets(&packets, |packet, result| {
            assert_eq!(result, Ok(packet.data.len() as u32));
            lengths.push(packet.data.len());
        });
        assert_eq!(lengths, (0..count).map(|i| 20 + i).collect::<Vec<_>>());
    }
}

#[test]
fn a_runner_gives_xdp_its_tag_back_and_keeps_what_it_changed() {
    let b = backend();
    let code = [insn(0x61, 2, 1, 0, 0), insn(0x69, 0, 2, 12, 0), insn(0x72, 2, 0, 0, 0xff), EXIT];
    let p = load(&b, ProgramType::XDP, &code, &[]);
    let mut runner = Runner::new(&p).expect("XDP");
    let bytes = frame();
    let tagged =
        Packet { data: &bytes, vlan: Some(VlanTag { tpid: 0x88a8, tci: 0x123 }), ..Packet::default() };
    assert_eq!(runner.run_packet(&tagged).expect("no trap"), u32::from(0x88a8u16.to_be()));
    assert_eq!((runner.packet()[0], &runner.packet()[12..18]), (0xff, &[0x88, 0xa8, 0x01, 0x23, 8, 0][..]));
    let large = vec![7; 65_000];
    runner.run_packet(&Packet { data: &large, ..Packet::default() }).expect("no trap");
    assert_eq!(runner.packet().len(), 65_000);
}

#[test]
fn a_runner_shows_traffic_control_and_control_groups_their_packets() {
    let b = backend();
    let field = |kind, off| {
        let code = [insn(0x61, 0, 1, off, 0), EXIT];
        let mut runner = Runner::new(&load(&b, kind, &code, &[])).expect("runs on packets");
        let packet = Packet {
            data: &frame(),
            wire_len: 100,
            ifindex: 3,
            protocol: 0x800,
            vlan: Some(VlanTag { tpid: 0x8100, tci: 5 }),
            ..Packet::default()
        };
        let r0 = runner.run_packet(&packet).expect("no trap");
        (r0, runner.packet().to_vec())
    };
    // Length, VLAN tag, interface, length on the wire.
    assert_eq!([0, 24, 40, 160].map(|off| field(ProgramType::SCHED_CLS, off).0), [54, 5, 3, 100]);
    assert_eq!([0, 24, 40].map(|off| field(ProgramType::CGROUP_SKB, off).0), [40, 5, 3]);
    assert_eq!(field(ProgramType::SCHED_ACT, 0).1, frame());
    assert_eq!(field(ProgramType::CGROUP_SKB, 0).1, frame()[14..]);
    // It changes the copy: data[0] = 0xff, mark = 7; the next packet finds no mark.
    let code = [
        insn(0x61, 0, 1, 8, 0),
        insn(0x61, 2, 1, 76, 0),
        insn(0x72, 2, 0, 0, 0xff),
        insn(0xb7, 3, 0, 0, 7),
        insn(0x63, 1, 3, 8, 0),
        EXIT,
    ];
    let mut runner = Runner::new(&load(&b, ProgramType::SCHED_CLS, &code, &[])).expect("runs on packets");
    for len in [54, 20_000, 1] {
        let bytes = vec![1; len];
        let packet = Packet { data: &bytes, ..Packet::default() };
        assert_eq!(runner.run_packet(&packet).expect("no trap"), 0, "{len} bytes");
        assert_eq!((runner.packet()[0], runner.packet().len()), (0xff, len));
    }
    let mut short = Runner::new(&load(&b, ProgramType::CGROUP_SKB, &[insn(0x61, 0, 1, 0, 0), EXIT], &[]))
        .expect("runs on packets");
    assert_eq!(short.run_packet(&Packet { data: &[1; 5], ..Packet::default() }), Ok(0));
    assert!(short.packet().is_empty());
}

#[test]
fn objects_of_another_backend_are_refused() {
    let (a, b) = (backend(), backend());
    let m = map(&a, MapType::PROG_ARRAY, 4, 4, 1);
    let p = load(&b, ProgramType::XDP, &[EXIT], &[]);
    assert_eq!(m.set_program(0, &*p).err().map(|e| e.errno), Some(Errno::EINVAL));
    let spec = ProgramSpec::new(ProgramType::XDP, vec![EXIT]);
    assert_eq!(b.load_unverified(&spec, &[m]).err().map(|e| e.errno), Some(Errno::EINVAL));
}

#[test]
fn threads_share_maps_and_have_their_own_cpu() {
    let b = backend();
    let total = map(&b, MapType::ARRAY, 4, 8, 1);
    let percpu = map(&b, MapType::PERCPU_ARRAY, 4, 8, 1);
    // An atomic add on the shared value, a plain one on this CPU's.
    let mut code = lookup(0);
    code.extend([
        insn(0xb7, 1, 0, 0, 1),
        insn(0xdb, 0, 1, 0, 0),
        insn(0xbf, 2, 10, 0, 0),
        insn(0x07, 2, 0, 0, -4),
    ]);
    code.extend(lddw_map(1, 1));
    code.extend([
        insn(0x85, 0, 0, 0, 1),
        insn(0x79, 1, 0, 0, 0),
        insn(0x07, 1, 0, 0, 1),
        insn(0x7b, 0, 1, 0, 0),
        EXIT,
    ]);
    let p = load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&total), Arc::clone(&percpu)]);
    let bytes = frame();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut runner = Runner::new(&p).expect("a socket filter");
                let packet = Packet { data: &bytes, ..Packet::default() };
                for _ in 0..2500 {
                    runner.run_packet(&packet).expect("no trap");
                }
                let many = std::iter::repeat_n(&packet, 2500);
                runner.run_packets(many, |_, result| assert!(result.is_ok(), "no trap"));
            });
        }
    });
    let sum = |m: &Arc<dyn BackendMap>| -> u64 {
        let value = m.lookup(&[0; 4], 0).expect("there");
        value.chunks(8).map(|v| u64::from_ne_bytes(v.try_into().expect("8 bytes"))).sum()
    };
    assert_eq!((sum(&total), sum(&percpu)), (20_000, 20_000));
}

#[test]
fn verified_programs_load_and_rejections_carry_the_log() {
    let b = backend();
    let spec = ProgramSpec::new(ProgramType::SOCKET_FILTER, vec![insn(0x61, 0, 1, 0, 0), EXIT]);
    let p = b.load(&spec, &[], LoadOptions::default()).expect("accepted");
    assert_eq!(p.test_run(data(&frame())).expect("runs").retval, 40);
    assert!(p.info().insns_processed > 0 && p.info().verify_time.is_some());
    let second = b.load(&spec, &[], LoadOptions::default()).expect("accepted");
    assert!(second.info().id > p.info().id);

    let wrong = ProgramSpec::new(ProgramType::SOCKET_FILTER, vec![insn(0xbf, 0, 2, 0, 0), EXIT]);
    let error = b.load(&wrong, &[], LoadOptions { log_level: 1 }).err().expect("r2 is not set");
    assert_eq!(error.error.errno, Errno::EACCES);
    assert!(error.log.contains("R2 !read_ok"), "{}", error.log);
}

#[test]
#[cfg(target_os = "linux")]
fn a_link_counts_packets_of_lo() {
    let b = backend();
    let m = map(&b, MapType::ARRAY, 4, 8, 1);
    let marker = *b"skep link test: one of fifty....";
    // if the frame's bytes 42.. are not the marker's first four, leave; m[0] += 1
    let mut code = vec![
        insn(0xbf, 6, 1, 0, 0),
        insn(0x20, 0, 0, 0, 42),
        insn(0x15, 0, 0, 2, i32::from_be_bytes([marker[0], marker[1], marker[2], marker[3]])),
        insn(0xb7, 0, 0, 0, 0),
        EXIT,
    ];
    code.extend(lookup(0));
    code.extend([
        insn(0x15, 0, 0, 2, 0),
        insn(0xb7, 1, 0, 0, 1),
        insn(0xdb, 0, 1, 0, 0),
        insn(0xb7, 0, 0, 0, 0),
        EXIT,
    ]);
    let p: Arc<dyn BackendProgram> = load(&b, ProgramType::SOCKET_FILTER, &code, &[Arc::clone(&m)]);
    let mut link = match b.attach_socket(&p, "lo") {
        Ok(link) => link,
        Err(e) if e.errno == Errno::EPERM => {
            assert!(e.message.contains("CAP_NET_RAW"), "{e}");
            return println!("skipped: {e}");
        }
        Err(e) => panic!("{e}"),
    };
    assert_eq!(b.attach_socket(&p, "no such interface").err().map(|e| e.errno), Some(Errno::ENODEV));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback is up");
    for _ in 0..50 {
        socket.send_to(&marker, socket.local_addr().expect("bound")).expect("sent");
    }
    let count = || u64::from_ne_bytes(m.lookup(&[0; 4], 0).expect("there").try_into().expect("8 bytes"));
    // Each packet passes lo twice: sent and received.
    for _ in 0..200 {
        if count() == 100 {
            break;
        }
        assert!(!link.wait(Duration::from_millis(10)).expect("running"));
    }
    assert_eq!(count(), 100);
    let stats = link.stats();
    assert!(stats.runs >= 100 && stats.faults == 0 && stats.dropped == 0, "{stats:?}");
}

#[test]
fn programs_that_trace_run_on_a_context_of_the_caller_s() {
    let b = backend();
    // The word at 16 of the context.
    let code = [insn(0x79, 0, 1, 16, 0), EXIT];
    let ctx: Vec<u8> = (0..184).collect();
    let run = |kind, ctx: &[u8], data: &[u8], repeat| {
        let ran = load(&b, kind, &code, &[]).test_run(RunInput { data, ctx, repeat });
        ran.map(|out| (out.retval, out.ctx == ctx, out.data)).map_err(|e| (e.errno, e.message))
    };
    for (kind, least) in
        [(ProgramType::TRACEPOINT, 24), (ProgramType::KPROBE, 24), (ProgramType::PERF_EVENT, 184)]
    {
        for repeat in [0, 3] {
            assert_eq!(run(kind, &ctx[..least], &[], repeat), Ok((0x1312_1110, true, vec![])), "{kind:?}");
        }
        let (errno, words) = run(kind, &ctx[..least - 1], &[], 1).unwrap_err();
        assert!(errno == Errno::EINVAL && words.contains(&format!("{} bytes", least - 1)), "{words}");
        let (errno, words) = run(kind, &[], &[], 1).unwrap_err();
        assert!(errno == Errno::EINVAL && words.contains("a context is needed"), "{words}");
        assert_eq!(run(kind, &ctx, &[0; 64], 1).unwrap_err().0, Errno::EINVAL);
    }
    // The common part of a record is hidden, a store is refused.
    for code in [[insn(0x79, 0, 1, 0, 0), EXIT], [insn(0x7b, 1, 10, 16, 0), EXIT]] {
        let p = load(&b, ProgramType::TRACEPOINT, &code, &[]);
        assert!(p.test_run(RunInput { data: &[], ctx: &ctx, repeat: 1 }).is_err());
    }
}

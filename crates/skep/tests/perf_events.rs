//! The same program writes the same records on both backends.

use std::sync::Arc;
use std::time::Duration;

use skep::abi::{MapType, ProgramType};
use skep::isa::{Imm64, Op, Reg, text::assemble};
use skep::spec::{Backend, Errno, LoadOptions, MapDef, PerfRecord, ProgramSpec, RunInput};

/// Records of one run, and the program's result: 6 bytes of the program's own, then what it asks for of the packet.
fn records(backend: &dyn Backend, packet_bytes: u32) -> (i32, Vec<Vec<u8>>) {
    let (first, second) = Op::LoadImm64 { dst: Reg(2), value: Imm64::MapIdx(0) }.encode();
    let text = format!(
        "*(u64 *)(r10 - 8) = 0x11223344\nr3 = {:#x} ll\nr4 = r10\nr4 += -8\nr5 = 6\ncall 25\nexit\n",
        u64::from(packet_bytes) << 32 | 0xffff_ffff
    );
    let mut insns = vec![first, second.expect("two slots")];
    insns.extend(assemble(&text).expect("well formed"));
    let def = Arc::new(MapDef::new(MapType::PERF_EVENT_ARRAY, 4, 4, 1024).named("events"));
    let map = backend.create_map(&def).expect("a legal map");
    let spec = ProgramSpec { maps: vec![def], ..ProgramSpec::new(ProgramType::XDP, insns) };
    let program = backend.load(&spec, &[Arc::clone(&map)], LoadOptions::default()).expect("it loads");
    let packet: Vec<u8> = (1..=60).collect();
    let run =
        || program.test_run(RunInput { data: &packet, repeat: 1, ..RunInput::default() }).expect("it runs");
    // ENOENT, but more bytes than the packet has are EFAULT first.
    let nobody = if packet_bytes > 60 { -14 } else { -2 };
    assert_eq!(run().retval as i32, nobody, "nobody reads");
    let mut reader = map.perf_reader(4096).expect("the first");
    assert_eq!(map.perf_reader(4096).map(drop).map_err(|e| e.errno), Err(Errno::EBUSY));
    let retval = run().retval as i32;
    let mut all = Vec::new();
    if retval == 0 {
        assert!(reader.wait(Duration::from_secs(10)).expect("no error"));
    }
    let each = &mut |r: PerfRecord<'_>| match r {
        PerfRecord::Sample { data, .. } => all.push(data.to_vec()),
        PerfRecord::Lost { count, .. } => panic!("{count} lost"),
    };
    reader.poll(each).expect("sound");
    drop(reader);
    assert_eq!(run().retval as i32, nobody, "nobody reads any more");
    map.perf_reader(4096).expect("the former is gone");
    (retval, all)
}

#[test]
fn both_backends_write_the_same() {
    let probe = skep::linux::LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return;
    }
    for packet_bytes in [0, 1, 17, 60, 61] {
        let (retval, ours) = records(&skep::user::UserBackend::new(), packet_bytes);
        let (kernel_retval, theirs) = records(&skep::linux::LinuxBackend::new(), packet_bytes);
        assert_eq!(retval, kernel_retval, "{packet_bytes} bytes");
        assert_eq!(ours.len(), theirs.len(), "{packet_bytes} bytes");
        for (a, b) in ours.iter().zip(&theirs) {
            // Linux pads, so that the length and its own 4 bytes are a multiple of 8.
            assert_eq!(b.len(), (a.len() + 4).next_multiple_of(8) - 4);
            assert_eq!(a[..], b[..a.len()]);
        }
    }
}

#[test]
fn what_does_not_fit_is_counted_by_both() {
    let probe = skep::linux::LinuxBackend::probe();
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(skep::user::UserBackend::new())];
    match probe.is_yes() {
        true => backends.push(Box::new(skep::linux::LinuxBackend::new())),
        false => println!("skipped: no kernel to ask: {probe:?}"),
    }
    for backend in backends {
        let (first, second) = Op::LoadImm64 { dst: Reg(2), value: Imm64::MapIdx(0) }.encode();
        let text = "r3 = 0x100ffffffff ll\nr4 = r10\nr4 += -8\nr5 = 0\ncall 25\nexit\n";
        let mut insns = vec![first, second.expect("two slots")];
        insns.extend(assemble(text).expect("well formed"));
        let def = Arc::new(MapDef::new(MapType::PERF_EVENT_ARRAY, 4, 4, 1024).named("events"));
        let map = backend.create_map(&def).expect("a legal map");
        let spec = ProgramSpec { maps: vec![def], ..ProgramSpec::new(ProgramType::XDP, insns) };
        let program = backend.load(&spec, &[Arc::clone(&map)], LoadOptions::default()).expect("it loads");
        let mut reader = map.perf_reader(4096).expect("the first");
        let (packet, mut written, mut lost) = ([7; 300], 0, 0);
        let (mut read, mut told) = (0, 0);
        for round in 0..400 {
            let ran = program.test_run(RunInput { data: &packet, repeat: 1, ..RunInput::default() });
            match ran.expect("it runs").retval as i32 {
                0 => written += 1,
                -28 => lost += 1,
                other => panic!("{}: {other}", backend.name()),
            }
            if round % 100 == 99 {
                let each = &mut |r: PerfRecord<'_>| match r {
                    PerfRecord::Sample { .. } => read += 1,
                    PerfRecord::Lost { count, .. } => told += count,
                };
                reader.poll(each).expect("sound");
            }
        }
        assert!(lost > 0 && written > 0, "{}: {written} written, {lost} lost", backend.name());
        assert_eq!(read, written, "{}", backend.name());
        // Linux tells what was lost in front of the next record that fits.
        assert!(told > 0 && told <= lost, "{}: {told} of {lost} told", backend.name());
    }
}

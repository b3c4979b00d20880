//! Records of programs, and of their packets, from perf event arrays.

use std::sync::Arc;
use std::time::Duration;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Op, Reg};
use skep_spec::{Backend, BackendMap, Errno, LoadOptions, MapDef, PerfRecord, ProgramSpec, RunInput};
use skep_user::{UserBackend, UserOptions};

/// `r2 = map; text` over a perf event array.
fn program(kind: ProgramType, text: &str) -> (ProgramSpec, Arc<MapDef>) {
    let (first, second) = Op::LoadImm64 { dst: Reg(2), value: Imm64::MapIdx(0) }.encode();
    let mut insns = vec![first, second.expect("two slots")];
    insns.extend(assemble(text).expect("well formed"));
    let def = Arc::new(MapDef::new(MapType::PERF_EVENT_ARRAY, 4, 4, 8).named("events"));
    (ProgramSpec { maps: vec![Arc::clone(&def)], ..ProgramSpec::new(kind, insns) }, def)
}

fn drain(reader: &mut dyn skep_spec::PerfEventReader) -> Vec<Result<Vec<u8>, u64>> {
    let mut all = Vec::new();
    let each = &mut |r: PerfRecord<'_>| match r {
        PerfRecord::Sample { cpu, data } => {
            assert_eq!(cpu, 0);
            all.push(Ok(data.to_vec()));
        }
        PerfRecord::Lost { count, .. } => all.push(Err(count)),
    };
    reader.poll(each).expect("sound");
    all
}

#[test]
fn xdp_adds_its_packet() {
    let backend = UserBackend::with_options(UserOptions { cpus: Some(1), ..UserOptions::default() });
    // The record is 4 bytes of the program and the first 6 of the packet, or as many as it asks for.
    let text =
        "*(u32 *)(r10 - 4) = 0x11223344\nr3 = 0x6ffffffff ll\nr4 = r10\nr4 += -4\nr5 = 4\ncall 25\nexit\n";
    let (spec, def) = program(ProgramType::XDP, text);
    let map = backend.create_map(&def).expect("legal");
    let program = backend.load(&spec, &[Arc::clone(&map)], LoadOptions::default()).expect("it verifies");
    let packet: Vec<u8> = (1..=20).collect();
    let run =
        || program.test_run(RunInput { data: &packet, repeat: 1, ..RunInput::default() }).expect("runs");
    assert_eq!(run().retval, -2i32 as u32, "ENOENT: nobody reads");
    let mut reader = map.perf_reader(4096).expect("the first");
    assert_eq!(map.perf_reader(4096).map(drop).map_err(|e| e.errno), Err(Errno::EBUSY));
    assert!(!reader.wait(Duration::from_millis(1)).expect("no error"));
    assert_eq!(run().retval, 0);
    assert!(reader.wait(Duration::from_secs(5)).expect("no error"));
    let mut record = 0x1122_3344u32.to_ne_bytes().to_vec();
    record.extend(1..=6);
    assert_eq!(drain(&mut *reader), [Ok(record)]);
    // 24 bytes each with their header: 170 fit.
    let results: Vec<u32> = (0..180).map(|_| run().retval).collect();
    assert_eq!(results.iter().filter(|r| **r == 0).count(), 170);
    assert_eq!(results[170..], [-28i32 as u32; 10], "ENOSPC");
    let all = drain(&mut *reader);
    assert_eq!((all.len(), all.last()), (171, Some(&Err(10))));
}

#[test]
fn readers_wait_for_other_threads() {
    let backend = UserBackend::new();
    let text = "r3 = 0xffffffff ll\nr4 = r10\nr4 += -8\nr5 = 0\ncall 25\nexit\n";
    let (spec, def) = program(ProgramType::RAW_TRACEPOINT, text);
    let map: Arc<dyn BackendMap> =
        backend.create_map(&MapDef { max_entries: 4096, ..(*def).clone() }).expect("legal");
    let spec = ProgramSpec { maps: vec![Arc::new(MapDef { max_entries: 4096, ..(*def).clone() })], ..spec };
    let program = backend.load(&spec, &[Arc::clone(&map)], LoadOptions::default()).expect("it verifies");
    let mut reader = map.perf_reader(0).expect("the first");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            let ran = program.test_run(RunInput { ctx: &[0; 16], ..RunInput::default() });
            assert_eq!(ran.expect("it runs").retval, 0);
        });
        assert!(reader.wait(Duration::from_secs(20)).expect("no error"), "somebody writes");
    });
    assert_eq!(reader.poll(&mut |_| {}).expect("sound"), 1);
}

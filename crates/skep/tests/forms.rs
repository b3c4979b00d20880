//! The sample in its three forms: C, assembly, instruction constructors.

use skep::abi::{MapType, ProgramType};
use skep::source::Packet;
use skep::spec::MapDef;
use skep::{Backend, Map, Object, Program, Runner};

#[path = "../../../examples/sock_example.rs"]
#[allow(dead_code, reason = "its main function is not called here")]
mod sock_example;

fn example(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/protocols").join(name)
}

fn from_file(backend: &Backend, name: &str) -> (Program, Map) {
    let object = Object::open(example(name)).expect("an example");
    let loaded = object.load(backend).expect("it loads");
    let program = loaded.program("count_protocols").expect("the program").clone();
    (program, loaded.map("packets").expect("the map").clone())
}

fn from_constructors(backend: &Backend) -> (Program, Map) {
    let map = backend.create_map(MapDef::new(MapType::ARRAY, 4, 8, 256).named("packets")).expect("a map");
    let insns = sock_example::program();
    let maps = std::slice::from_ref(&map);
    let program = backend.load_insns("sock_example", ProgramType::SOCKET_FILTER, &insns, maps);
    (program.expect("it loads"), map)
}

/// Frames of every EtherType that matters, every protocol, and lengths from nothing up.
fn frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for kind in [0x0800u16, 0x86dd, 0x0806, 0x0000, 0xffff] {
        for protocol in 0..=255u8 {
            let mut frame = vec![protocol; 60];
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
            (frame[23], frame[20]) = (protocol, protocol ^ 0x55);
            frames.push(frame);
        }
    }
    let tcp = frames[6].clone();
    frames.extend((0..40).map(|len| tcp[..len].to_vec()));
    frames
}

fn counts(backend: &Backend, (program, map): (Program, Map)) -> Vec<u64> {
    assert_eq!(backend.name(), "user");
    let mut runner = Runner::new(&program).expect("a socket filter");
    for frame in frames() {
        let packet = Packet { data: &frame, wire_len: frame.len() as u32, ..Packet::default() };
        assert_eq!(runner.run(&packet).expect("it runs").retval, 0);
    }
    (0..256u32).map(|key| map.get(&key).expect("an array").expect("an element")).collect()
}

#[test]
fn three_forms_give_the_same_counts() {
    let backend = Backend::user();
    let object = counts(&backend, from_file(&backend, "protocols.bpf.o"));
    let mut expect = vec![0; 256];
    for frame in frames().iter().filter(|f| f.len() >= 24) {
        match frame[12..14] {
            [0x08, 0x00] => expect[usize::from(frame[23])] += 1,
            [0x86, 0xdd] => expect[usize::from(frame[20])] += 1,
            _ => {}
        }
    }
    assert_eq!(object, expect);
    assert_eq!(counts(&backend, from_file(&backend, "protocols.s")), expect);
    assert_eq!(counts(&backend, from_constructors(&backend)), expect);
}

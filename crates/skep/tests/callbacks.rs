//! A compiled program whose functions `bpf_loop` and `bpf_for_each_map_elem` call back: the same in skep and in Linux.

use skep::spec::RunInput;
use skep::{Backend, Object};

const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/callbacks/callbacks.bpf.o");

/// What the program returns for a packet, what it counts, and the total that it adds up.
fn outcome(backend: &Backend, packet: &[u8]) -> (u32, [u64; 3], u64) {
    let loaded = Object::open(OBJECT).expect("the example").load(backend).expect("accepted");
    let program = loaded.program("classify_bytes").expect("loaded");
    let input = RunInput { data: packet, ctx: &[], repeat: 1 };
    let output = program.test_run(input).expect("it runs");
    let kinds = loaded.map("kinds").expect("a map");
    let count = |key: u32| kinds.get(&key).expect("an array").expect("an element");
    let bss = loaded.maps().iter().find(|m| m.name().ends_with(".bss")).expect("a global");
    let total = bss.get(&0u32).expect("an array").expect("an element");
    (output.retval, [count(0), count(1), count(2)], total)
}

#[test]
fn functions_of_a_compiled_object_are_called_back() {
    // An Ethernet header of a type that nobody looks into, then 3 zeros, 5 letters and 2 other bytes.
    let packet = [&[0; 12][..], &[0x88, 0xb5], &[0; 3], &b"bytes"[..], &[1, 0xff]].concat();
    let ours = outcome(&Backend::user(), &packet);
    assert_eq!(ours, (10, [3, 5, 2], 10));
    match Backend::linux() {
        Ok(linux) => assert_eq!(outcome(&linux, &packet), ours),
        Err(e) => println!("skipped: {e}"),
    }
}

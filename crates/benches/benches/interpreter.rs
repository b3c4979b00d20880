//! skep's interpreter beside rbpf's, both with their checks on, over the same bytecode and memory.
//!
//! `cargo bench -p benches --bench interpreter`

use std::time::Duration;

use benches::{Contender, compare, geometric_mean, memory, programs};
use skep_abi::ProgramType;
use skep_isa::{Endian, Insn};
use skep_spec::{Environment, ProgramSpec};
use skep_vm::{NullHost, Program, Run, Stack};

fn bytes(insns: &[Insn]) -> Vec<u8> {
    insns.iter().flat_map(|i| i.to_bytes(Endian::Little)).collect()
}

fn main() {
    println!("{:<10} {:>12} {:>12} {:>8}", "program", "skep ns", "rbpf ns", "ratio");
    let mut ratios = Vec::new();
    for (name, spec) in programs("_mem") {
        // Without a type, the context is plain memory.
        let spec = ProgramSpec { prog_type: ProgramType::UNSPEC, ..spec };
        let program = Program::unverified(&spec, &Environment::default(), vec![]).expect("it is well formed");
        let text = bytes(&spec.insns);
        let peer = rbpf::EbpfVmRaw::new(Some(&text)).expect("rbpf takes the program");
        let (mut ours, mut theirs) = (memory(), memory());
        let mut stack = Stack::new();
        let mut skep =
            || program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ours)).expect("in bounds").r0;
        let mut other = || peer.execute_program(&mut theirs).expect("in bounds");
        assert_eq!(skep(), other(), "{name}: the engines disagree");
        let mut contenders = [
            Contender { name: "skep", run: Box::new(|| _ = std::hint::black_box(skep())) },
            Contender { name: "rbpf", run: Box::new(|| _ = std::hint::black_box(other())) },
        ];
        let ns = compare(&mut contenders, Duration::from_millis(20));
        println!("{name:<10} {:>12.0} {:>12.0} {:>8.2}", ns[0], ns[1], ns[1] / ns[0]);
        ratios.push(ns[1] / ns[0]);
    }
    println!("geometric mean of rbpf / skep: {:.2}", geometric_mean(&ratios));
}

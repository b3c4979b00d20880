//! skep's interpreter beside rbpf's and solana-sbpf's, all with their checks on, over the same bytecode and memory.
//!
//! `cargo bench -p benches --bench interpreter`

mod peers;

use std::time::Duration;

use benches::{Contender, compare, geometric_mean, memory, packets, programs};
use peers::rbpf_map;
use peers::sbpf::Sbpf;
use skep_abi::ProgramType;
use skep_isa::{Endian, Insn};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, ProgramSpec};
use skep_vm::{NullHost, Program, Run, Stack};

/// Length of a round.
const ROUND: Duration = Duration::from_millis(20);

fn bytes(insns: &[Insn]) -> Vec<u8> {
    insns.iter().flat_map(|i| i.to_bytes(Endian::Little)).collect()
}

/// What skep's program has counted under a key.
fn value(map: &Map, key: u32) -> u64 {
    let value = map.lookup_copy(&key.to_ne_bytes(), 0).expect("an array has every key");
    u64::from_ne_bytes(value.try_into().expect("eight bytes"))
}

fn main() {
    let only: Option<String> = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    println!(
        "{:<10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}",
        "program", "insns", "skep ns", "rbpf ns", "sbpf ns", "ns/insn", "ratio"
    );
    let (mut all_three, mut rbpf_alone, mut per_insn) = (Vec::new(), Vec::new(), Vec::new());
    for (name, spec) in programs("_mem") {
        if only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        // Without a type, the context is plain memory.
        let spec = ProgramSpec { prog_type: ProgramType::UNSPEC, ..spec };
        let maps: Vec<_> =
            spec.maps.iter().map(|m| Map::create(m, &Config::new(1), &Heap).expect("it is small")).collect();
        let program =
            Program::unverified(&spec, &Environment::default(), maps.clone()).expect("it is well formed");
        let text = bytes(&spec.insns);
        let mut rbpf = rbpf::EbpfVmRaw::new(Some(&text)).expect("rbpf takes the program");
        let input = if maps.is_empty() { memory } else { packets };
        let mut sbpf = match maps.first() {
            None => Sbpf::new(&text, input()),
            Some(_) => {
                rbpf.register_helper(rbpf_map::LOOKUP, rbpf_map::lookup).expect("any number will do");
                rbpf.register_allowed_memory(rbpf_map::memory());
                Err("has no maps".to_owned())
            }
        };
        let (mut ours, mut theirs) = (input(), input());
        let mut stack = Stack::new();
        let mut skep =
            || program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut ours)).expect("in bounds").r0;
        let mut rbpf = || rbpf.execute_program(&mut theirs).expect("in bounds");
        let result = skep();
        assert_eq!(result, rbpf(), "{name}: the engines disagree");
        if let Some(map) = maps.first() {
            assert!(
                (0..256).all(|key| value(map, key) == rbpf_map::count(key)),
                "{name}: they count differently"
            );
        }
        let counted = sbpf.as_mut().map_err(|e| e.clone()).and_then(Sbpf::run);
        let mut contenders = vec![
            Contender { name: "skep", run: Box::new(|| _ = std::hint::black_box(skep())) },
            Contender { name: "rbpf", run: Box::new(|| _ = std::hint::black_box(rbpf())) },
        ];
        if let (Ok(sbpf), Ok((r0, _))) = (&mut sbpf, &counted) {
            assert_eq!(result, *r0, "{name}: solana-sbpf disagrees");
            let run = Box::new(|| _ = std::hint::black_box(sbpf.run()));
            contenders.push(Contender { name: "sbpf", run });
        }
        let ns = compare(&mut contenders, ROUND);
        match &counted {
            Ok((_, insns)) => {
                let (fastest, each) = (ns[1].min(ns[2]), ns[0] / *insns as f64);
                println!(
                    "{name:<10} {insns:>10} {:>10.0} {:>10.0} {:>10.0} {each:>8.2} {:>8.2}",
                    ns[0],
                    ns[1],
                    ns[2],
                    fastest / ns[0]
                );
                all_three.push(fastest / ns[0]);
                per_insn.push(each);
            }
            Err(why) => {
                println!(
                    "{name:<10} {:>10} {:>10.0} {:>10.0} {:>10} {:>8} {:>8.2}   sbpf: {why}",
                    "–",
                    ns[0],
                    ns[1],
                    "–",
                    "–",
                    ns[1] / ns[0]
                );
                rbpf_alone.push(ns[1] / ns[0]);
            }
        }
    }
    if !all_three.is_empty() {
        println!("geometric mean of the faster of rbpf and sbpf / skep: {:.2}", geometric_mean(&all_three));
        println!("geometric mean of skep's ns an instruction: {:.2}", geometric_mean(&per_insn));
    }
    if !rbpf_alone.is_empty() {
        println!("of rbpf / skep, where sbpf does not take the program: {:.2}", geometric_mean(&rbpf_alone));
    }
}

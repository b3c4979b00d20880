//! Programs over 512 bytes of memory, in every engine.

use benches::{geometric_mean, memory, packets, programs_of};
use skep_isa::text::assemble;
use skep_isa::{Endian, Insn};
use skep_jit::Options;
use skep_spec::ProgramSpec;
use skep_vm::NullHost;

use crate::clock::{Contender, compare};
use crate::kernel::{self, Kernel};
use crate::native::{self, Native};
use crate::ours::{Ours, maps, named};
use crate::peers::{Rbpf, Sbpf};
use crate::rbpf_map;

/// The columns behind the compilers of C.
const ENGINES: [&str; 5] = ["skep", "interp", "rbpf", "sbpf", "kernel"];

fn bytes(insns: &[Insn]) -> Vec<u8> {
    insns.iter().flat_map(|i| i.to_bytes(Endian::Little)).collect()
}

/// The program that does nothing, of a type that the kernel runs.
pub fn empty(of: &ProgramSpec) -> ProgramSpec {
    let insns = assemble("r0 = 0; exit").expect("it is well formed");
    ProgramSpec { name: "empty".into(), insns, maps: Vec::new(), btf: None, ..of.clone() }
}

/// Prints the table of an object's programs.
pub fn print(source: &str, only: Option<&str>) {
    let natives = Native::all(source);
    if natives.is_empty() {
        println!("native: skipped: no compiler of C is here");
    }
    let named_by: Vec<_> = natives.iter().map(|n| n.compiler).collect();
    println!("native: the best of {named_by:?} at -O2; ns a run, net of empty programs; ratios to native");
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}   {:>6} {:>6} {:>6} {:>6} {:>6}",
        "program",
        "native",
        "skep",
        "interp",
        "rbpf",
        "sbpf",
        "kernel",
        "skep",
        "interp",
        "rbpf",
        "sbpf",
        "kernel"
    );
    let mut ratios: [Vec<f64>; 5] = Default::default();
    let (mut kernel_ratio, mut rbpf_ratio) = (Vec::new(), Vec::new());
    let plain = programs_of(source, "_mem");
    let mut first = true;
    for (name, spec) in programs_of(source, "") {
        let Some((_, alone)) = plain.iter().find(|(n, _)| *n == name) else { continue };
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let row = Row::measure(&name, &spec, alone, &natives);
        if std::mem::take(&mut first) {
            let empty: Vec<String> = row.empty.iter().map(|ns| cell(*ns, 1)).collect();
            println!("{:<10} {:>9} {}", "(empty)", "", empty.join(" "));
        }
        let net: Vec<_> = row.ns.iter().zip(row.empty).map(|(ns, e)| Some((*ns)? - e?)).collect();
        let times: Vec<_> = net.iter().map(|ns| cell(*ns, 1)).collect();
        let ratio = |i: usize| Some((net[i]? / row.native?).max(0.01));
        let shown: Vec<_> =
            (0..5).map(|i| format!("{:>6}", ratio(i).map_or("–".into(), |r| format!("{r:.2}")))).collect();
        println!(
            "{name:<10} {} {}   {}  {}",
            cell(row.native, 1),
            times.join(" "),
            shown.join(" "),
            row.notes.join("; ")
        );
        for (i, all) in ratios.iter_mut().enumerate() {
            all.extend(ratio(i));
        }
        kernel_ratio.extend(net[4].zip(net[0]).map(|(k, s)| k / s));
        rbpf_ratio.extend(net[2].zip(net[0]).map(|(r, s)| r / s));
    }
    for (name, all) in ENGINES.iter().zip(&ratios).filter(|(_, all)| !all.is_empty()) {
        println!("geometric mean of {name} / native over {} programs: {:.2}", all.len(), geometric_mean(all));
    }
    let slower = kernel_ratio.iter().filter(|r| **r < 1.0).count();
    if !kernel_ratio.is_empty() {
        println!(
            "geometric mean of kernel / skep: {:.2}; slower than in the kernel: {slower}",
            geometric_mean(&kernel_ratio)
        );
    }
    if !rbpf_ratio.is_empty() {
        println!("geometric mean of rbpf's compiler / skep: {:.2}", geometric_mean(&rbpf_ratio));
    }
}

fn cell(ns: Option<f64>, digits: usize) -> String {
    ns.map_or(format!("{:>9}", "–"), |ns| format!("{ns:>9.digits$}"))
}

/// One program everywhere.
struct Row {
    native: Option<f64>,
    ns: [Option<f64>; 5],
    empty: [Option<f64>; 5],
    notes: Vec<String>,
}

impl Row {
    fn measure(name: &str, spec: &ProgramSpec, alone: &ProgramSpec, natives: &[Native]) -> Self {
        let counts = alone.maps.iter().any(|m| m.name == "counts");
        let input = if counts { packets } else { memory };
        let mut notes = Vec::new();
        let nothing = empty(spec);
        let (text, none) = (bytes(&alone.insns), bytes(&nothing.insns));
        let mut memories: Vec<Vec<u8>> = natives.iter().map(|_| input()).collect();
        let (mut one, mut other) = (input(), input());
        let kernel = Kernel::new(&spec.maps);
        let loaded = kernel.as_ref().map_err(|e| e.clone()).and_then(|k| {
            k.put("memory", &[0; 4], &input());
            Ok((k.load(spec)?, k.load(&nothing)?))
        });
        let mut contenders: Vec<Contender<'_>> = Vec::new();
        let mut results: Vec<(&str, u32)> = Vec::new();

        for (native, memory) in natives.iter().zip(&mut memories) {
            let Some(function) = native.function(name) else { continue };
            results.push((native.compiler, native::call(function, memory, 1) as u32));
            let run = Box::new(move |times| _ = native::call(function, memory, times));
            contenders.push(Contender { name: "native", run });
        }
        let put = |maps: &[std::sync::Arc<skep_maps::Map>]| {
            let map = named(maps, spec, "memory").expect("programs have their memory there");
            map.update_from_host(&[0; 4], &input(), 0).expect("an array has every key");
        };
        for (engine, options) in [("skep", Some(Options::default())), ("interp", None)] {
            for (which, spec) in
                [(engine, spec), (if engine == "skep" { "skep0" } else { "interp0" }, &nothing)]
            {
                let maps = maps(&spec.maps);
                if !maps.is_empty() {
                    put(&maps);
                }
                match Ours::new(spec, &maps, options.as_ref()) {
                    Ok(mut ours) => {
                        let result = ours.run(&NullHost, None, 1) as u32;
                        if which == engine {
                            results.push((engine, result));
                        }
                        let run = Box::new(move |times| _ = ours.run(&NullHost, None, times));
                        contenders.push(Contender { name: which, run });
                    }
                    Err(why) => notes.push(format!("{engine}: {why}")),
                }
            }
        }
        let lookup: Option<rbpf::ebpf::Helper> = counts.then_some(rbpf_map::lookup);
        let both = [("rbpf", &text, &mut one), ("rbpf0", &none, &mut other)];
        for (which, text, memory) in both {
            match Rbpf::new(text, memory, lookup) {
                Ok(mut rbpf) => {
                    let result = rbpf.run(1) as u32;
                    if which == "rbpf" {
                        results.push((which, result));
                    }
                    contenders
                        .push(Contender { name: which, run: Box::new(move |times| _ = rbpf.run(times)) });
                }
                Err(why) => notes.push(format!("rbpf: {why}")),
            }
        }
        for (which, text) in [("sbpf", &text), ("sbpf0", &none)] {
            let made = if counts { Err("has no maps".into()) } else { Sbpf::new(text, input()) };
            match made {
                Ok(mut sbpf) => {
                    let result = sbpf.run(1) as u32;
                    if which == "sbpf" {
                        results.push((which, result));
                    }
                    contenders
                        .push(Contender { name: which, run: Box::new(move |times| _ = sbpf.run(times)) });
                }
                Err(why) => notes.push(format!("sbpf: {why}")),
            }
        }
        match &loaded {
            Ok((program, nothing)) => {
                results.push(("kernel", kernel::run(program, 1)));
                contenders.push(Contender {
                    name: "kernel",
                    run: Box::new(|times| _ = kernel::run(program, times)),
                });
                contenders.push(Contender {
                    name: "kernel0",
                    run: Box::new(|times| _ = kernel::run(nothing, times)),
                });
            }
            Err(why) => notes.push(format!("kernel: {why}")),
        }
        if let Some(((first, a), (other, b))) = results.iter().zip(&results[1..]).find(|(a, b)| a.1 != b.1) {
            panic!("{name}: {first} gives {a:#x}, {other} {b:#x}: {results:x?}");
        }
        let ns = compare(&mut contenders);
        let best = |name: &str| {
            let of = contenders.iter().zip(&ns).filter(|(c, _)| c.name == name).map(|(_, ns)| *ns);
            of.min_by(f64::total_cmp)
        };
        let empties = ["skep0", "interp0", "rbpf0", "sbpf0", "kernel0"];
        Self { native: best("native"), ns: ENGINES.map(best), empty: empties.map(best), notes }
    }
}

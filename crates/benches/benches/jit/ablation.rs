//! What each optimisation gives: ratios to native with one of them off.

use benches::{geometric_mean, memory, packets, programs_of};
use skep_jit::Options;
use skep_jit::ir::passes::Passes;
use skep_vm::NullHost;

use crate::clock::{Contender, compare};
use crate::native::{self, Native};
use crate::ours::{Ours, maps, named};
use crate::table::empty;

/// Switches: what is off, and the options for it.
fn switches() -> Vec<(&'static str, Options)> {
    let without = |passes: Passes| Options { passes, ..Options::default() };
    let all = Passes::default();
    vec![
        ("nothing off", Options::default()),
        ("folding", without(Passes { fold: false, ..all })),
        ("lookups in line", without(Passes { lookup: false, ..all })),
        ("functions in line", without(Passes { inline: false, ..all })),
        ("slots as values", without(Passes { slots: false, ..all })),
        ("ways past decided branches", without(Passes { thread: false, ..all })),
        ("short ways as choices", without(Passes { choose: false, ..all })),
        ("divisors that are not zero", without(Passes { divisors: false, ..all })),
        ("loops that compare upwards", without(Passes { loops: false, ..all })),
        ("several rounds in one", without(Passes { repeat: false, ..all })),
        ("all of our passes", without(Passes::NONE)),
        ("Cranelift's own passes", Options { plain: true, ..Options::default() }),
        ("both", Options { plain: true, ..without(Passes::NONE) }),
    ]
}

/// Prints a column for each switch.
pub fn print(only: Option<&str>) {
    let natives = Native::all("programs");
    if natives.is_empty() {
        println!("skipped: no compiler of C is here, to which the ratios would be");
        return;
    }
    let switches = switches();
    println!("ratio to native -O2, net of empty programs, with each of these off:");
    for (i, (what, _)) in switches.iter().enumerate() {
        println!("  {i:>2}  {what}");
    }
    let head: Vec<_> = (0..switches.len()).map(|i| format!("{i:>6}")).collect();
    println!("{:<10} {}", "program", head.join(" "));
    let mut all = vec![Vec::new(); switches.len()];
    for (name, spec) in programs_of("programs", "") {
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let input = if spec.maps.iter().any(|m| m.name == "counts") { packets } else { memory };
        let mut memories: Vec<Vec<u8>> = natives.iter().map(|_| input()).collect();
        let mut contenders = Vec::new();
        for (native, memory) in natives.iter().zip(&mut memories) {
            let Some(function) = native.function(&name) else { continue };
            let run = Box::new(move |times| _ = native::call(function, memory, times));
            contenders.push(Contender { name: "native", run });
        }
        let mut add = |name, spec: &skep_spec::ProgramSpec, options: &Options| {
            let maps = maps(&spec.maps);
            if let Some(map) = named(&maps, spec, "memory") {
                map.update_from_host(&[0; 4], &input(), 0).expect("an array has every key");
            }
            let mut ours = Ours::new(spec, &maps, Some(options)).expect("it compiles");
            contenders
                .push(Contender { name, run: Box::new(move |times| _ = ours.run(&NullHost, None, times)) });
        };
        add("empty", &empty(&spec), &Options::default());
        for (what, options) in &switches {
            add(what, &spec, options);
        }
        let ns = compare(&mut contenders);
        let of = |name: &str| {
            let of = contenders.iter().zip(&ns).filter(|(c, _)| c.name == name).map(|(_, ns)| *ns);
            of.min_by(f64::total_cmp)
        };
        let (Some(native), Some(empty)) = (of("native"), of("empty")) else { continue };
        let ratios: Vec<f64> =
            switches.iter().filter_map(|(what, _)| Some(((of(what)? - empty) / native).max(0.01))).collect();
        let shown: Vec<_> = ratios.iter().map(|r| format!("{r:>6.2}")).collect();
        println!("{name:<10} {}", shown.join(" "));
        for (all, ratio) in all.iter_mut().zip(ratios) {
            all.push(ratio);
        }
    }
    let means: Vec<_> =
        all.iter().filter(|r| !r.is_empty()).map(|r| format!("{:>6.2}", geometric_mean(r))).collect();
    println!("{:<10} {}", "mean", means.join(" "));
}

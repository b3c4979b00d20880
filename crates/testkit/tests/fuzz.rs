//! A few thousand inputs of each fuzz campaign; `--bin fuzz` runs longer ones.

use skep_testkit::fuzz::campaign::{self, Until};
use skep_testkit::fuzz::{TARGETS, seeds};

#[test]
fn targets_survive_mutations() {
    for (name, target) in TARGETS {
        let seeds = seeds::of(name);
        assert!(!seeds.is_empty(), "{name} has nothing to start from");
        let done = campaign::run(*target, &seeds, 1, Until::Inputs(2000));
        assert!(done.crash.is_none(), "{name} panics after {} inputs", done.inputs);
        println!("{name}: {} inputs, slowest {:?}", done.inputs, done.slowest);
    }
}

/// The campaign notices a panic, and stops there with the input.
#[test]
fn a_panic_is_found() {
    let target = |data: &[u8]| assert!(data.len() < 40 || data[3] != 0x41);
    let done = campaign::run(target, &[vec![0x41; 39]], 1, Until::Inputs(100_000));
    let crash = done.crash.expect("an insertion makes it long enough");
    assert!(crash.len() >= 40 && crash[3] == 0x41);
}

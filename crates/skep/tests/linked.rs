//! Two objects that need each other, linked and run: the same in skep and in Linux.

use skep::spec::RunInput;
use skep::{Backend, Object, static_link};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/link/");

fn linked(order: [&str; 2]) -> Object {
    let files = order.map(|n| (n, std::fs::read(format!("{FOLDER}{n}")).expect("a fixture")));
    let inputs = [0, 1].map(|i: usize| (files[i].0, &*files[i].1));
    let bytes = static_link(&inputs).expect("they fit");
    Object::parse("linked.o", &bytes).expect("what is linked can be read")
}

/// What the program of one half returns for packets, the sums that the other keeps, and what its program adds up.
fn outcome(object: &Object, backend: &Backend) -> (Vec<u32>, Vec<u64>, u32) {
    let loaded = object.load(backend).unwrap_or_else(|e| panic!("{e}"));
    let run = |name: &str, len| {
        let program = loaded.program(name).expect("loaded");
        let packet = vec![0; len];
        program.test_run(RunInput { data: &packet, ctx: &[], repeat: 1 }).expect("it runs").retval
    };
    let verdicts = [20, 60, 80, 114, 500].map(|len| run("filter", len)).to_vec();
    let sums = loaded.map("bytes").expect("a map");
    let sums = (0..4u32).map(|class| sums.get(&class).expect("an array").expect("an element")).collect();
    (verdicts, sums, run("total", 20))
}

#[test]
fn halves_run_together() {
    // A socket filter sees 14 bytes less; twice that, shifted by 6, is the class.
    let want = (vec![7, 17, 27, 37, 37], vec![6, 46, 66, 100 + 486], 704);
    for order in [["main.bpf.o", "lib.bpf.o"], ["lib.bpf.o", "main.bpf.o"]] {
        let object = linked(order);
        assert_eq!(outcome(&object, &Backend::user()), want, "{order:?}");
        match Backend::linux() {
            Ok(linux) => assert_eq!(outcome(&object, &linux), want, "{order:?} in Linux"),
            Err(e) => println!("skipped: {e}"),
        }
    }
}

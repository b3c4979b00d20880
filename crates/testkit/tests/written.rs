//! Generated programs that are written down as file tests are the same programs when they are read.

use skep_abi::AttachType;
use skep_testkit::case::{expect::Expectations, source};
use skep_testkit::generate::program;
use skep_testkit::rowfiles;

/// Programs that are tried.
const PROGRAMS: u64 = 400;

#[test]
fn what_is_written_is_read_again() {
    let (mut tails, mut locks) = (0, 0);
    for seed in 0..PROGRAMS {
        let g = program::generate(seed);
        // What cannot be decoded has no text.
        if g.altered {
            continue;
        }
        let text = rowfiles::render_all("About it.", &g.spec, &g.tails, &g.insides, &g.inputs);
        let specs = source::assemble(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        let expect = Expectations::parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        let inputs: Vec<_> = expect.runs.iter().map(|r| r.input.clone()).collect();
        assert_eq!(inputs, g.inputs, "seed {seed}");
        assert_eq!(specs.len(), 1 + g.tails.len(), "seed {seed}\n{text}");
        assert_eq!(expect.program.is_some(), specs.len() > 1, "seed {seed}");
        for (read, made) in specs.iter().zip(g.programs()) {
            let differ = (0..made.insns.len()).find(|&i| read.insns.get(i) != made.insns.get(i));
            let at = differ.map(|i| (i, &read.insns[i], &made.insns[i]));
            assert_eq!((read.insns.len(), at), (made.insns.len(), None), "seed {seed}\n{text}");
            assert_eq!(read.prog_type, made.prog_type, "seed {seed}");
            // Sections may say more than Linux asks for.
            let same = read.attach_type == made.attach_type || made.attach_type == AttachType::UNSPEC;
            assert!(same, "seed {seed}");
        }
        for (read, made) in specs[0].maps.iter().zip(&g.spec.maps) {
            let geometry = |m: &skep_spec::MapDef| {
                (m.name.clone(), m.kind, m.key_size, m.value_size, m.max_entries, m.flags, m.spin_lock_off())
            };
            assert_eq!(geometry(read), geometry(made), "seed {seed}\n{text}");
            assert_eq!((&read.initial, read.frozen), (&made.initial, made.frozen), "seed {seed}");
            locks += usize::from(read.spin_lock_off().is_some());
        }
        for (i, tail) in g.tails.iter().enumerate() {
            let (map, slot, name) = &expect.tails[i];
            assert_eq!((map, *slot), (&g.spec.maps[tail.map].name, tail.index), "seed {seed}");
            assert_eq!((name, name), (&tail.spec.name, &specs[1 + i].name), "seed {seed}");
        }
        tails += g.tails.len();
    }
    assert!(tails > 0 && locks > 0, "{tails} tail calls, {locks} locks");
}

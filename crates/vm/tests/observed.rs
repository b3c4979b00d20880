//! Watched runs: every instruction is shown before it executes, and the result is that of an unwatched run.

use std::cell::RefCell;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_isa::{Insn, Reg};
use skep_maps::{Config, Heap, Map};
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_vm::{Layout, NullHost, Observer, Place, Program, Programs, Run, Stack, Step, TrapKind};

/// A step: program, pc, depth, registers and what they are addresses of.
type Shown = (String, usize, usize, [u64; 11], [Option<Place>; 11]);

/// Keeps what it is shown.
#[derive(Default)]
struct Seen(RefCell<Vec<Shown>>);

impl Observer for Seen {
    fn step(&self, step: &Step<'_>) {
        let places = step.regs.map(|v| step.place(v));
        self.0.borrow_mut().push((step.program.name().into(), step.pc, step.depth, *step.regs, places));
    }
}

impl Seen {
    fn pcs(&self) -> Vec<usize> {
        self.0.borrow().iter().map(|s| s.1).collect()
    }

    fn places(&self, at: usize) -> [Option<Place>; 11] {
        self.0.borrow()[at].4
    }
}

fn program(text: &str, prog_type: ProgramType, maps: Vec<Arc<Map>>, defs: &[MapDef]) -> Program {
    let insns = assemble(text).expect("assembles");
    let maps_of = defs.iter().cloned().map(Arc::new).collect();
    let spec = ProgramSpec { name: "main".into(), maps: maps_of, ..ProgramSpec::new(prog_type, insns) };
    Program::unverified(&spec, &Environment::default(), maps).expect("maps fit")
}

#[test]
fn fused_sequences_are_shown_one_by_one() {
    // `r2 = r1; r2 += 4` and `r3 += -1; if r3 != 0` are operations of their own when nobody looks.
    let text = "r3 = 2\nr2 = r3\nr2 += 4\nr3 += -1\nif r3 != 0 goto -2\nr0 = r2\nexit";
    let program = program(text, ProgramType::UNSPEC, vec![], &[]);
    let seen = Seen::default();
    let mut stack = Stack::new();
    let watched = program.run(&mut Run::new(&mut stack, &NullHost).with_observer(&seen)).expect("ends");
    let plain = program.run(&mut Run::new(&mut stack, &NullHost)).expect("ends");
    assert_eq!(watched, plain);
    assert_eq!(seen.pcs(), [0, 1, 2, 3, 4, 3, 4, 5, 6]);
    let seen = seen.0.borrow();
    assert_eq!((seen[2].3[2], seen[3].3[2]), (2, 6), "between the parts of the pair");
}

#[test]
fn fuel_bounds_a_watched_run() {
    let program = program("goto -1", ProgramType::UNSPEC, vec![], &[]);
    let (seen, mut stack) = (Seen::default(), Stack::new());
    let run = Run::new(&mut stack, &NullHost).with_fuel(100).with_observer(&seen);
    assert_eq!(program.run(&mut { run }).expect_err("no end").kind, TrapKind::Fuel);
    assert!((100..=102).contains(&seen.pcs().len()), "{}", seen.pcs().len());
}

#[test]
fn pointers_are_named() {
    let def = MapDef::new(MapType::ARRAY, 4, 12, 3).named("numbers");
    let config = Config { seed: 0, relax: || {}, ..Config::new(1) };
    let map = Map::create(&def, &config, &Heap).expect("small");
    let base = map.array().expect("an array").base;
    let mut insns = vec![
        Insn::new(0x61, Reg::R2, Reg::R1, 0, 0), // data
        Insn::new(0x61, Reg::R3, Reg::R1, 4, 0), // data_end
        Insn::new(0x18, Reg::R4, Reg(5), 0, 0),  // the map
        Insn::new(0, Reg(0), Reg(0), 0, 0),
        Insn::new(0x18, Reg::R5, Reg(0), 0, (base + 36) as i32), // element 2, byte 4
        Insn::new(0, Reg(0), Reg(0), 0, ((base + 36) >> 32) as i32),
        Insn::new(0x07, Reg::R1, Reg(0), 0, 4),
    ];
    insns.extend([Insn::new(0xb7, Reg::R0, Reg(0), 0, 7), Insn::new(0x95, Reg(0), Reg(0), 0, 0)]);
    let spec = ProgramSpec { maps: vec![Arc::new(def)], ..ProgramSpec::new(ProgramType::XDP, insns) };
    let program = Program::unverified(&spec, &Environment::default(), vec![map]).expect("its map");
    let (seen, mut stack) = (Seen::default(), Stack::new());
    let (mut ctx, mut packet) = ([0; 24], [0; 300]);
    let layout = Layout { meta: 248, ..Layout::xdp(40) };
    let run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_packet(&mut packet, layout);
    program.run(&mut run.with_observer(&seen)).expect("ends");
    let last = seen.places(seen.pcs().len() - 1);
    assert_eq!(last[0], None, "a number");
    assert_eq!(last[1], Some(Place::Ctx { off: 4 }));
    assert_eq!(last[2], Some(Place::Packet { off: 0 }));
    assert_eq!(last[3], Some(Place::Packet { off: 40 }), "just behind the packet");
    assert_eq!(last[4], Some(Place::Map { map: 0 }));
    assert_eq!(last[5], Some(Place::Values { map: 0, element: Some(2), off: 4 }));
    assert_eq!(last[10], Some(Place::Stack { frame: 0, off: 0 }));
}

#[test]
fn functions_and_tail_calls_are_followed() {
    struct One(Arc<Program>);
    impl Programs for One {
        fn program(&self, id: u32) -> Option<Arc<Program>> {
            (id == 1).then(|| Arc::clone(&self.0))
        }
    }
    let def = MapDef::new(MapType::PROG_ARRAY, 4, 4, 1).named("jumps");
    let config = Config { seed: 0, relax: || {}, ..Config::new(1) };
    let map = Map::create(&def, &config, &Heap).expect("small");
    map.set_program(0, 1).expect("a slot");
    let next = ProgramSpec {
        name: "next".into(),
        ..ProgramSpec::new(ProgramType::UNSPEC, assemble("r0 = 5\nexit").expect("assembles"))
    };
    let next = Program::unverified(&next, &Environment::default(), vec![]).expect("no maps").with_id(1);
    let mut insns = vec![
        Insn::new(0xbf, Reg::R6, Reg::R1, 0, 0),
        Insn::new(0x85, Reg(0), Reg(1), 0, 5), // the function behind `exit`
        Insn::new(0xbf, Reg::R1, Reg::R6, 0, 0),
        Insn::new(0x18, Reg::R2, Reg(5), 0, 0),
        Insn::new(0, Reg(0), Reg(0), 0, 0),
        Insn::new(0x85, Reg(0), Reg(0), 0, 12),
        Insn::new(0x95, Reg(0), Reg(0), 0, 0),
    ];
    insns.extend(assemble("r2 = r10\nr3 = 0\nexit").expect("assembles"));
    let spec = ProgramSpec {
        name: "first".into(),
        maps: vec![Arc::new(def)],
        ..ProgramSpec::new(ProgramType::UNSPEC, insns)
    };
    let program = Program::unverified(&spec, &Environment::default(), vec![map]).expect("its map");
    let (seen, mut stack, programs) = (Seen::default(), Stack::new(), One(Arc::new(next)));
    let run = Run::new(&mut stack, &NullHost).with_programs(&programs);
    assert_eq!(program.run(&mut run.with_observer(&seen)).expect("ends").r0, 5);
    let steps: Vec<_> = seen.0.borrow().iter().map(|s| (s.0.clone(), s.1, s.2)).collect();
    let expect = [(0, 0), (1, 0), (7, 1), (8, 1), (9, 1), (2, 0), (3, 0), (5, 0)];
    let mut expect: Vec<_> = expect.map(|(pc, depth)| ("first".to_owned(), pc, depth)).into();
    expect.extend([("next".to_owned(), 0, 0), ("next".to_owned(), 1, 0)]);
    assert_eq!(steps, expect);
    assert_eq!(seen.places(3)[2], Some(Place::Stack { frame: 1, off: 0 }));
}

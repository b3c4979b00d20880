//! Callbacks of programs that no verifier has seen, and the limits of runs.

mod common;

use common::{map, run, with_maps};
use skep_abi::{MapType, ProgramType};
use skep_isa::Insn;
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_vm::{NullHost, Program, Run, Stack, Trap, TrapKind};

fn assemble(text: &str) -> Vec<Insn> {
    let text = text.replace("call loop", "call 181").replace("call each", "call 164");
    skep_isa::text::assemble(&text).expect("assembles")
}

fn program(text: &str) -> Program {
    let spec = ProgramSpec { insns: assemble(text), ..ProgramSpec::default() };
    Program::unverified(&spec, &Environment::default(), vec![]).expect("no maps to be wrong")
}

fn trap(program: &Program) -> Trap {
    run(program, &mut [0; 16]).expect_err("traps")
}

const ENDLESS: &str = "
    r1 = 0x800000
    r2 = subprog[cb]
    r3 = 0
    r4 = 0
    call loop
    exit
cb:
    r0 = 0
    exit";

#[test]
fn fuel_ends_a_loop() {
    let program = program(ENDLESS);
    let trap = trap(&program);
    assert_eq!(trap.kind, TrapKind::Fuel);
    let mut stack = Stack::new();
    let spent = |n: i32| {
        let text = ENDLESS.replace("0x800000", &n.to_string());
        let outcome = crate::program(&text).run(&mut Run::new(&mut Stack::new(), &NullHost).with_fuel(1000));
        1000 - outcome.expect("enough").fuel
    };
    assert!(spent(11) - spent(10) >= 2, "an iteration has two instructions");
    let result = program.run(&mut Run::new(&mut stack, &NullHost).with_fuel(0x800000 * 8));
    assert_eq!(result.expect("enough").r0, 0x800000);
}

#[test]
fn a_deadline_ends_a_loop() {
    struct Clock(std::cell::Cell<u64>);
    impl skep_vm::Host for Clock {
        fn ktime_ns(&self) -> u64 {
            self.0.set(self.0.get() + 1);
            self.0.get()
        }
        fn boot_ns(&self) -> u64 {
            0
        }
        fn prandom_u32(&self) -> u32 {
            0
        }
        fn processor_id(&self, vcpu: u32) -> u32 {
            vcpu
        }
        fn printk(&self, _text: &[u8]) {}
    }
    let (mut stack, clock) = (Stack::new(), Clock(0.into()));
    let result = program(ENDLESS).run(&mut Run::new(&mut stack, &clock).with_deadline(5));
    assert_eq!(result.expect_err("traps").kind, TrapKind::Deadline);
}

#[test]
fn what_is_no_function_traps() {
    for (value, slot) in [("0", 4), ("7", 4), ("-1", 4)] {
        let trap = trap(&program(&format!(
            "r1 = 1
            r2 = {value}
            r3 = 0
            r4 = 0
            call loop
            exit"
        )));
        assert!(matches!(trap.kind, TrapKind::NotAFunction(_)), "{trap}");
        assert_eq!(trap.pc, slot);
    }
    // Past the last instruction, and slots where no function is.
    for off in [8, 1, -1, -3] {
        let outside = trap(&program(&format!(
            "r1 = 1
            r2 = subprog[main]
            r2 += {off}
            r3 = 0
            r4 = 0
            call loop
            exit
        main:
            exit"
        )));
        assert!(matches!(outside.kind, TrapKind::NotAFunction(_)), "{outside}");
    }
}

#[test]
fn callbacks_go_eight_frames_deep() {
    let text = "
        r1 = 1
        r2 = subprog[cb]
        r3 = 0
        r4 = 0
        call loop
        exit
    cb:
        r1 = 1
        r2 = subprog[cb]
        r3 = 0
        r4 = 0
        call loop
        r0 = 0
        exit";
    assert_eq!(trap(&program(text)).kind, TrapKind::CallDepth);
}

#[test]
fn a_trap_in_a_callback_names_its_instruction() {
    let trap = trap(&program(
        "r1 = 1
        r2 = subprog[cb]
        r3 = 0
        r4 = 0
        call loop
        exit
    cb:
        r0 = *(u64 *)(r2 + 0)
        exit",
    ));
    assert_eq!(trap.pc, 7);
    assert!(matches!(trap.kind, TrapKind::Memory(_)), "{trap}");
}

/// Frames keep their registers; any result but 0 ends the loop.
#[test]
fn registers_survive() {
    let r0 = run(
        &program(
            "r6 = 40
            r1 = 100
            r2 = subprog[cb]
            r3 = 0
            r4 = 0
            call loop
            r0 += r6
            exit
        cb:
            r6 = 7
            r0 = r1
            r0 &= 2
            exit",
        ),
        &mut [],
    );
    assert_eq!(r0.expect("no trap").r0, 43);
}

const KEYS: &str = "
    r1 = map[idx:0] ll
    r2 = subprog[cb]
    r3 = 0
    r4 = 0
    call each
    BEHIND
    exit
cb:
    r6 = r2
    INSIDE
    r0 = 0
    exit";

fn keys(inside: &str, behind: &str) -> Vec<Insn> {
    let text = KEYS.replace("INSIDE", inside).replace("BEHIND", behind);
    assemble(&text)
}

/// A key is read-only, and only while the callback runs.
#[test]
fn keys_are_lent_to_the_callback_only() {
    for kind in [MapType::ARRAY, MapType::HASH, MapType::PERCPU_ARRAY] {
        let map = map(&MapDef::new(kind, 4, 8, 4));
        if kind == MapType::HASH {
            map.update_from_host(&5u32.to_ne_bytes(), &[0; 8], 0).expect("there is room");
        }
        let result = |inside: &str, behind: &str| {
            run(
                &with_maps(ProgramType::UNSPEC, keys(inside, behind), std::slice::from_ref(&map)),
                &mut [0; 8],
            )
        };
        assert!(result("r0 = *(u32 *)(r2 + 0)", "r0 = 0").is_ok());
        for inside in [
            "*(u32 *)(r2 + 0) = 1",
            "r0 = *(u64 *)(r2 + 0)",
            "r0 = *(u8 *)(r2 + 4)",
            "r0 = *(u8 *)(r2 - 1)",
            "lock *(u32 *)(r2 + 0) += r0",
        ] {
            let trap = result(inside, "r0 = 0").expect_err(inside);
            assert!(matches!(trap.kind, TrapKind::Memory(_)), "{kind:?}: {inside}: {trap}");
        }
        // r2 still holds the key's address when the helper has returned.
        let trap = result("r0 = *(u32 *)(r2 + 0)", "r0 = *(u32 *)(r2 + 0)").expect_err("not lent any more");
        assert!(matches!(trap.kind, TrapKind::Memory(_)), "{kind:?}: {trap}");
    }
}

#[test]
fn maps_without_elements_to_walk_trap() {
    let def = MapDef::new(MapType::RINGBUF, 0, 0, 4096);
    let map = map(&def);
    let program = with_maps(ProgramType::UNSPEC, keys("r0 = 0", "r0 = 0"), &[map]);
    assert!(matches!(trap(&program).kind, TrapKind::WrongMap { .. }));
}

/// Walking a large empty map costs fuel too.
#[test]
fn empty_buckets_cost_fuel() {
    let map = map(&MapDef::new(MapType::HASH, 4, 4, 1 << 20));
    let program = with_maps(ProgramType::UNSPEC, keys("r0 = 0", "r0 = 0"), &[map]);
    let mut stack = Stack::new();
    let result = program.run(&mut Run::new(&mut stack, &NullHost).with_fuel(1000));
    assert_eq!(result.expect_err("traps").kind, TrapKind::Fuel);
    assert!(program.run(&mut Run::new(&mut stack, &NullHost).with_fuel(1 << 20)).is_ok());
}

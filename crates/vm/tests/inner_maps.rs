//! Maps that runs find in maps of maps: reached from many at a time, and only where the run could find them.

mod common;

use std::fmt::Write as _;
use std::sync::Arc;

use common::{map, with_maps};
use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_maps::Map;
use skep_spec::MapDef;
use skep_vm::{NullHost, Observer, Run, Stack, Step, TrapKind};

fn inner_def() -> MapDef {
    MapDef::new(MapType::ARRAY, 4, 8, 1)
}

fn outer(slots: u32) -> Arc<Map> {
    let inner = Some(Box::new(inner_def()));
    map(&MapDef { inner, ..MapDef::new(MapType::ARRAY_OF_MAPS, 4, 4, slots) })
}

fn filled(outer: &Map, slot: u32, id: u32, value: u64) -> Arc<Map> {
    let inner = map(&inner_def());
    inner.update_from_host(&[0; 4], &value.to_ne_bytes(), 0).expect("an array");
    outer.set_map(&slot.to_ne_bytes(), id, &inner, 0).expect("it fits");
    inner
}

/// Leaves the address of the value in a slot's map in `r0`.
fn find(slot: u32) -> String {
    format!(
        "*(u32 *)(r10 - 4) = {slot}\nr2 = r10\nr2 += -4\nr1 = map[idx:0]\ncall 1\nr1 = r0\n\
         *(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\ncall 1\n"
    )
}

fn run(text: &str, maps: &[Arc<Map>], observer: &dyn Observer) -> Result<u64, TrapKind> {
    let program = with_maps(ProgramType::UNSPEC, assemble(text).expect("text"), maps);
    let mut stack = Stack::new();
    let mut run = Run::new(&mut stack, &NullHost).with_observer(observer);
    program.run(&mut run).map(|o| o.r0).map_err(|t| t.kind)
}

struct Nobody;

impl Observer for Nobody {
    fn step(&self, _: &Step<'_>) {}
}

/// More maps at a time than the run keeps spans of: those found first are reached as well.
#[test]
fn many_at_a_time() {
    const N: u32 = 30;
    let outer = outer(N);
    let inner: Vec<_> = (0..N).map(|i| filled(&outer, i, i + 1, 1 << i)).collect();
    let mut text = String::new();
    for i in 0..N {
        writeln!(text, "{}*(u64 *)(r10 - {}) = r0", find(i), 16 + 8 * i).expect("a string");
    }
    text += "r0 = 0\n";
    for i in 0..N {
        let at = 16 + 8 * i;
        write!(text, "r1 = *(u64 *)(r10 - {at})\nr2 = *(u64 *)(r1 + 0)\nr0 += r2\n").expect("a string");
        writeln!(text, "*(u64 *)(r1 + 0) = {i}").expect("a string");
    }
    text += "exit\n";
    assert_eq!(run(&text, &[outer], &Nobody), Ok((1 << N) - 1));
    for (i, map) in (0u64..).zip(inner) {
        assert_eq!(map.lookup_copy(&[0; 4], 0).expect("an array"), i.to_ne_bytes());
    }
}

/// Replaces the map in slot 0 at each instruction.
struct Replacing(Arc<Map>, std::cell::Cell<u32>);

impl Observer for Replacing {
    fn step(&self, _: &Step<'_>) {
        self.1.set(self.1.get() + 1);
        filled(&self.0, 0, self.1.get(), self.1.get().into());
    }
}

/// What a run has found stays, with its contents, whatever becomes of the slot; the next lookup finds the new map.
#[test]
fn replaced_during_the_run() {
    let outer = outer(1);
    filled(&outer, 0, 1, 0);
    let text = find(0)
        + "r6 = r0\nr7 = *(u64 *)(r6 + 0)\n*(u64 *)(r6 + 0) = 1000\n"
        + &find(0)
        + "r8 = *(u64 *)(r0 + 0)\nr0 = *(u64 *)(r6 + 0)\nr8 -= r7\nr0 += r8\nexit\n";
    let replacing = Replacing(Arc::clone(&outer), std::cell::Cell::new(1));
    // The second lookup is as many instructions after the first as there are between: 10 and 3.
    assert_eq!(run(&text, &[outer], &replacing), Ok(1013));
}

/// A program that nobody has verified makes map pointers up: it gets what it could have looked up, and nothing else.
#[test]
fn made_up_pointers() {
    let (outer, other) = (outer(2), outer(2));
    let _inner = filled(&outer, 0, 7, 70);
    let foreign = filled(&other, 0, 8, 80);
    let ask = |pointer: u64, maps: &[Arc<Map>]| {
        let text = format!(
            "r1 = {pointer:#x} ll\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\ncall 1\nr0 = *(u64 *)(r0 + 0)\nexit"
        );
        run(&text, maps, &Nobody)
    };
    let pointer = |index: u64, id: u64| 0xffff_b000_0000_0000 | index << 32 | id;
    let own = [Arc::clone(&outer)];
    assert_eq!(ask(pointer(0, 7), &own), Ok(70));
    for wrong in [pointer(0, 8), pointer(0, 0), pointer(1, 7), pointer(4095, 7), pointer(0, 7) ^ 1 << 44] {
        assert_eq!(ask(wrong, &own), Err(TrapKind::NotAMap(wrong)));
    }
    assert_eq!(ask(pointer(1, 8), &[Arc::clone(&outer), other]), Ok(80));
    // Nor does it reach the values of a map that only another program's map of maps has.
    let addr = foreign.value_area().expect("an array").addr;
    let text = format!("r1 = {addr:#x} ll\nr0 = *(u64 *)(r1 + 0)\nexit");
    assert!(matches!(run(&text, &own, &Nobody), Err(TrapKind::Memory(_))));
    outer.delete_from_host(&[0; 4]).expect("it is there");
    assert_eq!(ask(pointer(0, 7), &own), Err(TrapKind::NotAMap(pointer(0, 7))));
}

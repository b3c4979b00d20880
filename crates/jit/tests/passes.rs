//! What the passes make of small functions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use skep_isa::Size;
use skep_jit::ir::eval::{self, Stop};
use skep_jit::ir::lookup::Array;
use skep_jit::ir::passes::{Passes, run};
use skep_jit::ir::random::{self, world};
use skep_jit::ir::{Func, Module, Op, Region, Ty};

fn passed(text: &str) -> String {
    let mut m = Module::parse(text).expect("a text");
    m.check().expect("valid");
    let array = |content: u64| {
        (content == 0xffff_9000_0000_0000).then_some(Array {
            base: 0x10000,
            stride: 8,
            entries: 4,
            cpu_stride: None,
        })
    };
    run(&mut m, &Passes::ALL, &array);
    m.check().expect("valid");
    m.to_string()
}

#[test]
fn a_sum_over_words() {
    let text = passed(
        r#"function 0 "csum" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = const 0
  jump block1(v5, v5)
block1(v6: i64, v7: i64):
  v8: i64 = add v0, v6
  v9: i64 = load u16 map [v8]
  v10: i64 = add v7, v9
  v11: i64 = const 2
  v12: i64 = add v6, v11
  v13: i64 = const 512
  branch ne v12, v13 -> block1(v12, v10), block2
block2:
  return v10
}
"#,
    );
    assert_eq!(text.matches("load u16").count(), 8, "{text}");
    assert!(text.contains("branch ult"), "{text}");
}

#[test]
fn a_counter_in_an_array() {
    let text = passed(
        r#"function 0 "count" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = frame
  v6: i32 = const 3
  store u32 frame [v5 - 4], v6
  v8: i64 = const 0xffff900000000000
  v9: i64 = const -4
  v10: i64 = add v5, v9
  v11: i64 = lookup(v8, v10) frame -4..0
  v12: i64 = const 0
  branch eq v11, v12 -> block2, block1
block1:
  v13: i64 = const 1
  atomic add u64 map [v11], v13
  jump block2
block2:
  return v12
}
"#,
    );
    assert!(!text.contains("frame") && !text.contains("branch"), "{text}");
    assert!(text.contains("const 65560") || text.contains("0x10018"), "{text}");
}

#[test]
fn a_loop_of_divisions() {
    let text = passed(
        r#"function 0 "primes" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i32 = trunc v1
  v6: i64 = const 3
  jump block1(v6)
block1(v7: i64):
  v8: i32 = trunc v7
  v9: i32 = const 13
  branch ugt v8, v9 -> block3, block2
block2:
  v10: i32 = trunc v7
  v11: i32 = const 2
  v12: i32 = add v10, v11
  v13: i64 = zext v12
  v14: i32 = urem v5, v12
  v15: i32 = udiv v5, v14
  v16: i64 = zext v15
  v17: i64 = add v16, v13
  branch eq v14, v11 -> block3, block1(v17)
block3:
  return v7
}
"#,
    );
    assert!(text.contains("urem v5, v12 nonzero") && !text.contains("udiv v5, v14 nonzero"), "{text}");
}

#[test]
fn a_short_way() {
    let text = passed(
        r#"function 0 "log2" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = const 32
  v6: i64 = const 0
  v7: i64 = shr v1, v5
  branch eq v7, v6 -> block2(v1), block1
block1:
  v8: i64 = shl v7, v5
  jump block2(v8)
block2(v9: i64):
  return v9
}
"#,
    );
    assert!(text.contains("select eq v7, v6 ? v1 : v8") && !text.contains("jump"), "{text}");
}

/// What a module gives, what it leaves in memory (a sum over it), and how often it has asked for something.
type Meaning = (Result<u64, Stop>, u64, u64);

/// Arguments that modules are run with.
const ARGS: [[u64; 5]; 3] = [
    [3, 1 << 40, u64::MAX, 0, 0x8000_0000],
    [0, 1, 2, 0x7fff_ffff, 0xffff_ffff],
    [0xfedc_ba98_7654_3210, 8, 1 << 63, 0xff00_00ff_0080_8000, 77],
];

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, b| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(*b))
}

/// What a module means with each of [`ARGS`]; `None` if it runs for too long.
fn meaning(m: &Module, steps: u64) -> Option<Vec<Meaning>> {
    let one = |args| {
        let mut world = world::world();
        let result = eval::run(m, &mut world, Func(0), args, steps);
        (result != Err(Stop::Steps)).then(|| (result, sum(&world::memory(&world)), world.count))
    };
    ARGS.into_iter().map(one).collect()
}

/// What a function means stays what it is when some passes have run.
fn keeps(text: &str, passes: Passes) {
    let before = Module::parse(text).expect("a text");
    let mut after = before.clone();
    run(&mut after, &passes, &world::array);
    after.check().unwrap_or_else(|e| panic!("{e}\n{after}"));
    assert_eq!(meaning(&after, 1000), meaning(&before, 1000), "{after}");
}

const THREAD: Passes = Passes { thread: true, ..Passes::NONE };

#[test]
fn no_bit_of_an_address_is_one_of_zero() {
    let text = r#"function 0 "f" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = const 0x50000000
  branch ult v0, v1 -> block1(v5), block1(v2)
block1(v6: i64):
  v7: i64 = const 0
  branch clear v6, v7 -> block2, block3
block2:
  return v1
block3:
  return v2
}
"#;
    keeps(text, THREAD);
    keeps(&text.replace("clear", "set"), THREAD);
}

#[test]
fn what_a_passed_block_gives_to_itself_is_the_value_from_before() {
    keeps(
        r#"function 0 "f" slot 0 {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
  v5: i64 = const 0
  jump block1(v5, v0)
block1(v6: i64, v7: i64):
  v8: i64 = const 5
  v9: i64 = add v7, v8
  branch ult v6, v8 -> block2, block3(v6)
block2:
  branch ne v1, v2 -> block1(v8, v9), block3(v7)
block3(v10: i64):
  v11: i64 = mul v9, v7
  v12: i64 = xor v11, v10
  return v12
}
"#,
        THREAD,
    );
}

/// A random module; what of their frames functions find zeroed they zero themselves, so that they can go into their callers.
fn random_module(seed: u64) -> Module {
    let mut m = random::module(seed);
    for f in &mut m.functions[1..] {
        let (frame, slot) = (f.blocks[0].insts[0], f.slot);
        assert_eq!(f.node(frame).op, Op::Frame);
        let value = f.add(Op::Const(0), Ty::I64, slot);
        let mut first = vec![value];
        for off in (-i32::from(f.zeroed)..0).step_by(8) {
            let (size, base, region) = (Size::DW, frame, Region::Frame);
            first.push(f.add(Op::Store { size, base, off, region, value }, Ty::None, slot));
        }
        if f.uses()[frame.0 as usize] > 0 {
            f.blocks[0].insts.splice(1..1, first);
        }
        f.zeroed = 0;
    }
    m
}

#[test]
fn passes_keep_what_random_functions_mean() {
    let one = |change: fn(&mut Passes)| {
        let mut passes = Passes::NONE;
        change(&mut passes);
        passes
    };
    let sets = [
        ("fold", one(|p| p.fold = true)),
        ("lookup", one(|p| p.lookup = true)),
        ("inline", one(|p| p.inline = true)),
        ("slots", one(|p| p.slots = true)),
        ("thread", one(|p| p.thread = true)),
        ("choose", one(|p| p.choose = true)),
        ("loops", one(|p| p.loops = true)),
        ("repeat", one(|p| p.repeat = true)),
        ("divisors", one(|p| p.divisors = true)),
        ("balance", one(|p| p.balance = true)),
        ("all", Passes::ALL),
    ];
    let (first, count) = match std::env::var("SKEP_PASSES").ok().and_then(|n| n.parse().ok()) {
        Some(n) => (1 << 32, n),
        None => (0, 6000),
    };
    let (mut compared, mut changed) = (0, [0; 11]);
    for seed in first..first + count {
        let m = random_module(seed);
        m.check().expect("valid");
        let Some(before) = meaning(&m, 100_000) else { continue };
        compared += 1;
        // Folding and all of them each time, the others in turn.
        let turn = 1 + (seed % (sets.len() as u64 - 2)) as usize;
        for (n, ((name, passes), changed)) in sets.iter().zip(&mut changed).enumerate() {
            if n != 0 && n != turn && n != sets.len() - 1 {
                continue;
            }
            let (mut after, mut plain) = (m.clone(), m.clone());
            // What is not valid after a pass panics, where assertions are on.
            let ran = catch_unwind(AssertUnwindSafe(|| run(&mut after, passes, &world::array)));
            assert!(ran.is_ok(), "seed {seed}, {name}\n{m}\n{after}");
            run(&mut plain, &Passes::NONE, &world::array);
            if let Err(e) = after.check() {
                panic!("seed {seed}, {name}: {e}\n{m}\n{after}");
            }
            *changed += u32::from(after.to_string() != plain.to_string());
            let now = meaning(&after, 400_000);
            assert!(
                now.as_ref() == Some(&before),
                "seed {seed}, {name}: {before:?} became {now:?}\n{m}\n{after}"
            );
        }
    }
    assert!(compared > count / 2, "only {compared} of {count} ended");
    let changed: Vec<_> = sets.iter().map(|s| s.0).zip(changed).collect();
    println!("{compared} compared; changed by {changed:?}");
    let idle = changed.iter().find(|(_, n)| *n == 0);
    assert!(idle.is_none(), "{idle:?} changed nothing");
}

//! Whatever the program is: no panic, no access outside what was lent, an end within the fuel.

mod common;

use std::sync::Arc;

use common::{map, typed, with_maps};
use proptest::prelude::*;
use skep_abi::{
    Access, Context, CtxField, CtxShape, CtxValue, MapType, Native, PROGRAM_TYPES, ProgramType,
    ProgramTypeRow,
};
use skep_isa::text::assemble;
use skep_isa::{Insn, Reg, table};
use skep_maps::Map;
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_vm::{Layout, NullHost, Program, Programs, Run, Stack, Trap, XDP_HEADROOM};

/// Guards around lent memory: what a program may not touch.
const GUARD: usize = 64;
const FILL: u8 = 0xa5;

struct Table(Arc<Program>);

impl Programs for Table {
    fn program(&self, id: u32) -> Option<Arc<Program>> {
        (id == 1).then(|| Arc::clone(&self.0))
    }
}

fn maps() -> Vec<Arc<Map>> {
    let of = |inner: MapDef, n| {
        let inner = Some(Box::new(inner));
        map(&MapDef { inner, ..MapDef::new(MapType::ARRAY_OF_MAPS, 4, 4, n) })
    };
    let maps = vec![
        map(&MapDef::new(MapType::ARRAY, 4, 12, 3)),
        map(&MapDef::new(MapType::HASH, 4, 8, 4)),
        map(&MapDef::new(MapType::PERCPU_ARRAY, 4, 8, 2)),
        map(&MapDef::new(MapType::RINGBUF, 0, 0, 4096)),
        map(&MapDef::new(MapType::PROG_ARRAY, 4, 4, 2)),
        map(&MapDef::new(MapType::ARRAY, 4, 16, 1)),
        of(MapDef::new(MapType::HASH, 4, 8, 4), 2),
        of(MapDef::new(MapType::RINGBUF, 0, 0, 4096), 1),
    ];
    maps[6].set_map(&[0; 4], 1, &maps[1], 0).expect("it fits");
    maps[7].set_map(&[0; 4], 2, &maps[3], 0).expect("it fits");
    maps[4].set_program(0, 1).expect("a slot");
    maps
}

/// Runs with guards around context and packet and checks them.
fn run(program: &Arc<Program>, ctx_len: usize) -> Result<u64, Trap> {
    let mut ctx = vec![FILL; GUARD + ctx_len + GUARD];
    let mut packet = vec![FILL; GUARD + XDP_HEADROOM + 100 + GUARD];
    let len = packet.len() - 2 * GUARD;
    let mut stack = Stack::new();
    let table = Table(Arc::clone(program));
    let buffer = &mut packet[GUARD..GUARD + len];
    let mut run = Run::new(&mut stack, &NullHost)
        .with_ctx(&mut ctx[GUARD..GUARD + ctx_len])
        .with_packet(buffer, Layout::xdp(60))
        .with_programs(&table)
        .with_fuel(2000);
    let result = program.run(&mut run);
    let layout = run.packet().expect("there was one");
    assert!(layout.meta <= layout.data && layout.data <= layout.end && layout.end <= len);
    for (bytes, len) in [(&ctx, ctx_len), (&packet, len)] {
        assert!(
            bytes[..GUARD].iter().chain(&bytes[GUARD + len..]).all(|b| *b == FILL),
            "outside was written"
        );
    }
    result.map(|o| o.r0)
}

const TYPES: [(ProgramType, usize); 4] = [
    (ProgramType::UNSPEC, 32),
    (ProgramType::SOCKET_FILTER, 192),
    (ProgramType::XDP, 24),
    (ProgramType::SYSCALL, 64),
];

/// Slots that are instructions more often than not: rows of the table with random operands, short distances,
/// known helpers and maps.
fn slot() -> impl Strategy<Value = Vec<Insn>> {
    let row = (0..table::rows().len(), any::<[u64; 8]>()).prop_map(|(i, random)| {
        let mut n = 0;
        let mut next = || {
            n += 1;
            random[n % random.len()]
        };
        let op = table::rows()[i].sample(&mut next);
        match op.try_encode() {
            Ok((mut first, second)) => {
                let jumps = matches!(first.opcode & 7, 5 | 6) && first.opcode != 0x85;
                if jumps {
                    first.off %= 8;
                }
                if !jumps && matches!(first.opcode & 7, 1..=3) {
                    first.off %= 32;
                }
                [Some(first), second].into_iter().flatten().collect()
            }
            Err(_) => vec![],
        }
    });
    let helper = prop::sample::select(skep_abi::HELPERS)
        .prop_map(|h| vec![Insn::new(0x85, Reg(0), Reg(0), 0, h.id as i32)]);
    let load_map = (0..10u8, 0..9i32, 5..7u8, 0..20i32).prop_map(|(d, i, s, off)| {
        vec![
            Insn::new(0x18, Reg(d), Reg(s), 0, i),
            Insn::new(0, Reg(0), Reg(0), 0, if s == 6 { off } else { 0 }),
        ]
    });
    let stack = (1..6u8, -64..8i32).prop_map(|(d, off)| {
        vec![Insn::new(0xbf, Reg(d), Reg(10), 0, 0), Insn::new(0x07, Reg(d), Reg(0), 0, off)]
    });
    let small = (0..10u8, -8..80i32).prop_map(|(d, v)| vec![Insn::new(0xb7, Reg(d), Reg(0), 0, v)]);
    let keep = Just(vec![Insn::new(0xbf, Reg(1), Reg(6), 0, 0)]);
    let raw = any::<[u8; 8]>().prop_map(|b| vec![Insn::from_bytes(b, skep_isa::Endian::NATIVE)]);
    prop_oneof![6 => row, 4 => helper, 4 => load_map, 4 => stack, 4 => small, 2 => keep, 1 => raw]
}

fn cases() -> u32 {
    std::env::var("SKEP_VM_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_programs_harm_nobody(parts in prop::collection::vec(slot(), 1..40), kind in 0..TYPES.len()) {
        let (prog_type, ctx_len) = TYPES[kind];
        // r6 keeps the context.
        let mut insns = vec![Insn::new(0xbf, Reg(6), Reg(1), 0, 0)];
        insns.extend(parts.concat());
        insns.push(Insn::new(0x95, Reg(0), Reg(0), 0, 0));
        let maps = maps();
        let program = Arc::new(with_maps(prog_type, insns, &maps));
        let _ended = run(&program, ctx_len);
        // No record stays reserved: the ring takes its largest.
        let ring = maps[3].ringbuf().expect("a ring buffer");
        let used = ring.query(skep_maps::Query::AVAIL_DATA);
        let mut consumer = maps[3].consumer().expect("the only one");
        prop_assert!(!consumer.ready() || consumer.poll(&mut |_| ()).is_ok());
        prop_assert_eq!(ring.query(skep_maps::Query::AVAIL_DATA), 0, "of {} bytes", used);
    }

    #[test]
    fn arbitrary_bytes_harm_nobody(bytes in prop::collection::vec(any::<[u8; 8]>(), 0..40), kind in 0..TYPES.len()) {
        let (prog_type, ctx_len) = TYPES[kind];
        let insns = bytes.into_iter().map(|b| Insn::from_bytes(b, skep_isa::Endian::NATIVE)).collect();
        let _ended = run(&Arc::new(typed(prog_type, insns)), ctx_len);
    }
}

/// What a lookup gives is accessed where the map's values are and as the map's flags say, at both ends.
#[test]
fn a_looked_up_value_grants_its_map_and_no_more() {
    use skep_abi::MapFlags;
    let access = |flags: u32, store: bool, off: i16| {
        let def = MapDef { flags: MapFlags(flags), ..MapDef::new(MapType::ARRAY, 4, 8, 3) };
        let insn = |opcode, dst, src, off, imm| Insn::new(opcode, Reg(dst), Reg(src), off, imm);
        let insns = vec![
            insn(0x62, 10, 0, -4, 1),
            insn(0xbf, 2, 10, 0, 0),
            insn(0x07, 2, 0, 0, -4),
            insn(0x18, 1, 5, 0, 0),
            insn(0, 0, 0, 0, 0),
            insn(0x85, 0, 0, 0, 1),
            if store { insn(0x7a, 0, 0, off, 7) } else { insn(0x79, 0, 0, off, 0) },
            insn(0x95, 0, 0, 0, 0),
        ];
        let program = Arc::new(with_maps(ProgramType::UNSPEC, insns, &[map(&def)]));
        run(&program, 0).is_ok()
    };
    for store in [false, true] {
        let inside: Vec<i16> = (-20..20).filter(|off| access(0, store, *off)).collect();
        assert_eq!(inside, (-8..=8).collect::<Vec<_>>(), "store: {store}");
        assert_eq!(access(MapFlags::RDONLY_PROG, store, 0), !store);
        assert_eq!(access(MapFlags::WRONLY_PROG, store, 0), store);
    }
}

/// The generator above reaches what it is for: most kinds of ends occur.
#[test]
fn generated_programs_reach_helpers_memory_and_exits() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(slot(), 1..40);
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for i in 0..2000 {
        let parts = strategy.new_tree(&mut runner).expect("a program").current();
        let (prog_type, ctx_len) = TYPES[i % TYPES.len()];
        let mut insns = vec![Insn::new(0xbf, Reg(6), Reg(1), 0, 0)];
        insns.extend(parts.concat());
        insns.push(Insn::new(0x95, Reg(0), Reg(0), 0, 0));
        let end = match run(&Arc::new(with_maps(prog_type, insns, &maps())), ctx_len) {
            Ok(_) => "exit".to_owned(),
            Err(trap) => format!("{:?}", trap.kind).chars().take_while(|c| c.is_alphanumeric()).collect(),
        };
        *seen.entry(end).or_default() += 1;
    }
    for kind in [
        "exit",
        "Memory",
        "NotAMap",
        "Context",
        "OutsideProgram",
        "BadInstruction",
        "NotARecord",
        "Misaligned",
    ] {
        assert!(seen.contains_key(kind), "no {kind} among {seen:?}");
    }
}

#[test]
fn a_tail_call_cannot_reach_a_program_that_wants_a_larger_context() {
    let row = |size, off| {
        let field = CtxField {
            name: "last",
            off,
            size: 8,
            access: Access::Exact,
            value: CtxValue::Scalar,
            native: Native::Same,
        };
        let fields: &'static [CtxField] = Box::leak(Box::new([field]));
        let ctx = Context { name: "own", size, shape: CtxShape::Fields(fields) };
        let xdp = PROGRAM_TYPES.iter().find(|row| row.id == ProgramType::XDP).expect("described");
        let mut env = Environment::default();
        env.add_program_type(ProgramTypeRow { ctx, ..*xdp });
        env
    };
    let def = Arc::new(MapDef::new(MapType::PROG_ARRAY, 4, 4, 1));
    let jumps = map(&def);
    jumps.set_program(0, 1).expect("a slot");
    let large = ProgramSpec::new(ProgramType::XDP, assemble("r0 = *(u64 *)(r1 + 4088)\nexit").expect("text"));
    let large = Program::unverified(&large, &row(4096, 4088), vec![]).expect("no maps").with_id(1);
    // r2 = map[0]; r3 = 0; call tail_call; r0 = 7; exit
    let lddw = [Insn::new(0x18, Reg::R2, Reg(5), 0, 0), Insn::new(0, Reg(0), Reg(0), 0, 0)];
    let insns = [lddw.to_vec(), assemble("r3 = 0\ncall 12\nr0 = 7\nexit").expect("text")].concat();
    let small = ProgramSpec { maps: vec![def], ..ProgramSpec::new(ProgramType::XDP, insns) };
    let small = Program::unverified(&small, &row(8, 0), vec![jumps]).expect("its map");
    let (mut stack, mut ctx, programs) = (Stack::new(), [0; 8], Table(Arc::new(large)));
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(&programs);
    assert_eq!(small.run(&mut run).expect("goes on behind the call").r0, 7);
}

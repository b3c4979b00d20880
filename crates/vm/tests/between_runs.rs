//! What one run, or one program of a run, was granted is not the next one's.
//!
//! Everything here runs on one stack, as the packets of a `Runner` do, and touches what it is granted before it is
//! taken away, so that whatever remembers where accesses went has seen it.

mod common;

use std::sync::Arc;

use common::{map, slots, typed, with_maps};
use skep_abi::{MapType, ProgramType};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Insn, Op, Reg};
use skep_maps::Map;
use skep_spec::MapDef;
use skep_vm::{Layout, NullHost, Outcome, Program, Programs, Run, Stack, Trap, TrapKind};

fn text(source: &str) -> Vec<Insn> {
    assemble(source).expect("text")
}

fn refused(result: &Result<Outcome, Trap>) -> bool {
    result.as_ref().is_err_and(|trap| matches!(trap.kind, TrapKind::Memory(_)))
}

/// Bytes of a packet buffer, its metadata and its packet.
const BUFFER: usize = 128;
const LAYOUT: Layout = Layout { meta: 16, data: 32, ..Layout::frame(96) };

#[test]
fn a_packet_and_its_metadata_end_with_the_run() {
    let program = typed(ProgramType::XDP, text("r0 = *(u8 *)(r2 + 0)\nexit"));
    let (mut stack, mut ctx) = (Stack::new(), [0; 24]);
    let mut buffers = [[1u8; BUFFER], [2; BUFFER]];
    let [first, second] = buffers.each_ref().map(|b| b.as_ptr() as u64);
    let mut run = |buffer: usize, layout, addr| {
        let run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_arg(1, 0).with_arg(2, addr);
        program.run(&mut run.with_packet(&mut buffers[buffer], layout))
    };
    let bare = Layout { meta: LAYOUT.data, ..LAYOUT };
    for off in [LAYOUT.meta, LAYOUT.data, LAYOUT.end - 1].map(|off| off as u64) {
        assert_eq!(run(0, LAYOUT, first + off).expect("of the packet").r0, 1);
        assert!(refused(&run(1, LAYOUT, first + off)), "the last packet's byte {off}");
        assert_eq!(run(1, LAYOUT, second + off).expect("of the packet").r0, 2);
        let metadata = off < LAYOUT.data as u64;
        assert_eq!(refused(&run(1, bare, second + off)), metadata, "byte {off} of a packet without metadata");
    }
}

#[test]
fn a_context_of_memory_ends_with_the_run() {
    let program = typed(ProgramType::UNSPEC, text("*(u64 *)(r2 + 0) = 7\nr0 = *(u64 *)(r2 + 0)\nexit"));
    let mut stack = Stack::new();
    let mut memory = [[0u8; 64]; 2];
    let starts = memory.each_ref().map(|m| m.as_ptr() as u64);
    let mut run = |ctx: usize, addr| {
        program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut memory[ctx]).with_arg(2, addr))
    };
    assert_eq!(run(0, starts[0]).expect("the context").r0, 7);
    assert!(refused(&run(1, starts[0])));
    assert_eq!(run(1, starts[1]).expect("the context").r0, 7);
}

#[test]
fn a_context_of_fields_ends_with_the_run() {
    let program = typed(ProgramType::SOCKET_FILTER, text("r0 = *(u32 *)(r2 + 0)\nexit"));
    let mut stack = Stack::new();
    let mut images = [[1u8; 192], [2; 192]];
    let starts = images.each_ref().map(|m| m.as_ptr() as u64);
    let mut run = |ctx: usize, addr| {
        program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut images[ctx]).with_arg(2, addr))
    };
    assert_eq!(run(0, starts[0]).expect("the length").r0, 0x0101_0101);
    assert!(refused(&run(1, starts[0])));
    assert_eq!(run(1, starts[1]).expect("the length").r0, 0x0202_0202);
}

#[test]
fn a_lent_buffer_ends_with_the_run() {
    let program = typed(ProgramType::UNSPEC, text("*(u64 *)(r2 + 0) = 7\nr0 = *(u64 *)(r2 + 0)\nexit"));
    let (mut stack, mut buffer) = (Stack::new(), [0u8; 64]);
    let mut run = Run::new(&mut stack, &NullHost);
    let addr = run.lend(&mut buffer, true).expect("room");
    let mut run = run.with_arg(2, addr);
    assert_eq!(program.run(&mut run).expect("lent").r0, 7);
    let mut run = Run::new(&mut stack, &NullHost).with_arg(2, addr);
    assert!(refused(&program.run(&mut run)));
}

/// A program by id 1.
struct Table(Arc<Program>);

impl Programs for Table {
    fn program(&self, id: u32) -> Option<Arc<Program>> {
        (id == 1).then(|| Arc::clone(&self.0))
    }
}

/// `dst = map` by its index among the program's.
fn load_map(dst: u8, idx: i32) -> Vec<Insn> {
    slots(&[Op::LoadImm64 { dst: Reg(dst), value: Imm64::MapIdx(idx) }])
}

/// Looks element 0 of a map up, writes and reads it, and leaves its address in `r0`. `r6` keeps what `r1` was.
fn touch(idx: i32) -> Vec<Insn> {
    let key = text("r6 = r1\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4");
    let value = text("call 1\nif r0 == 0 goto +2\n*(u64 *)(r0 + 0) = 7\nr3 = *(u64 *)(r0 + 0)");
    [key, load_map(1, idx), value].concat()
}

/// A map with one value of eight bytes, and one of programs whose slot 0 holds id 1.
fn value_and_jumps() -> [Arc<Map>; 2] {
    let jumps = map(&MapDef::new(MapType::PROG_ARRAY, 4, 4, 1));
    jumps.set_program(0, 1).expect("a slot");
    [map(&MapDef::new(MapType::ARRAY, 4, 8, 1)), jumps]
}

#[test]
fn a_map_ends_with_the_program_that_tail_calls_another() {
    let maps = value_and_jumps();
    let leave = text("*(u64 *)(r6 + 0) = r0\nr1 = r6\nr3 = 0");
    let first = [touch(0), leave, load_map(2, 1), text("call 12\nexit")].concat();
    let first = with_maps(ProgramType::UNSPEC, first, &maps);
    let second = text("r2 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r2 + 0)\nexit");
    for (knows, maps) in [(true, &maps[..1]), (false, &[][..])] {
        let programs = Table(Arc::new(with_maps(ProgramType::UNSPEC, second.clone(), maps)));
        let (mut stack, mut ctx) = (Stack::new(), [0; 8]);
        let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(&programs);
        let result = first.run(&mut run);
        assert_eq!((result.is_ok(), refused(&result)), (knows, !knows), "{result:?}");
    }
}

#[test]
fn a_map_ends_with_a_program_that_returns_to_another() {
    let maps = value_and_jumps();
    // The function at the end tail-calls the other program, whose `exit` comes back here.
    let function = [load_map(2, 0), text("r3 = 0\ncall 12\nexit")].concat();
    let body = text("call pc+2\nr0 = *(u64 *)(r0 + 0)\nexit");
    let outer = [body, function].concat();
    let inner = [touch(0), text("exit")].concat();
    let programs = Table(Arc::new(with_maps(ProgramType::UNSPEC, inner, &maps[..1])));
    for knows in [true, false] {
        let both = [Arc::clone(&maps[1]), Arc::clone(&maps[0])];
        let outer = with_maps(ProgramType::UNSPEC, outer.clone(), &both[..1 + usize::from(knows)]);
        let (mut stack, mut ctx) = (Stack::new(), [0; 8]);
        let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_programs(&programs);
        let result = outer.run(&mut run);
        assert_eq!((result.is_ok(), refused(&result)), (knows, !knows), "{result:?}");
    }
}

/// Accesses into frames from the lower end of the callee's on, after the callee has used both and returned.
#[test]
fn a_frame_ends_with_its_function() {
    for access in ["r3 = *(u64 *)(r0 + 0)", "*(u64 *)(r0 + 0) = 5"] {
        for (off, granted) in [(0, false), (504, false), (512, true), (1016, true), (1024, false)] {
            let main = format!("r1 = r10\ncall pc+4\nr0 += {off}\n{access}\nr0 = 0\nexit");
            let callee = "r0 = r10\nr0 += -512\n*(u64 *)(r0 + 0) = 7\n*(u64 *)(r1 - 8) = 7\n\
                r3 = *(u64 *)(r0 + 504)\nr3 = *(u64 *)(r1 - 8)\nexit";
            let program = typed(ProgramType::UNSPEC, [text(&main), text(callee)].concat());
            let mut stack = Stack::new();
            let result = program.run(&mut Run::new(&mut stack, &NullHost));
            assert_eq!(
                (result.is_ok(), refused(&result)),
                (granted, !granted),
                "{access} at {off}: {result:?}"
            );
        }
    }
}

/// What is granted to a function is granted in the functions that it calls, and after them.
#[test]
fn a_call_keeps_what_else_is_granted() {
    let main = "r6 = r1\nr3 = *(u64 *)(r6 + 0)\n*(u64 *)(r6 + 8) = 1\nr2 = r10\ncall pc+4\n\
        r3 = *(u64 *)(r6 + 16)\n*(u64 *)(r10 - 8) = 2\nr0 = *(u64 *)(r6 + 8)\nexit";
    let callee = "*(u64 *)(r10 - 8) = 3\n*(u64 *)(r2 - 16) = 4\nr3 = *(u64 *)(r10 - 8)\nr4 = *(u64 *)(r1 + 8)\n\
        r3 += r4\n*(u64 *)(r1 + 8) = r3\nexit";
    let program = typed(ProgramType::UNSPEC, [text(main), text(callee)].concat());
    let (mut stack, mut ctx) = (Stack::new(), [0; 24]);
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx);
    assert_eq!(program.run(&mut run).expect("all of it is granted").r0, 4);
}

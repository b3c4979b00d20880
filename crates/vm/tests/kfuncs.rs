//! Functions of the kernel in programs that nobody has verified: whatever stands in a dynptr or an iterator is believed
//! only as far as memory was granted, and a function ends.

use skep_abi::ProgramType;
use skep_isa::{Insn, Reg};
use skep_spec::{Environment, KfuncCall, ProgramSpec};
use skep_vm::{Layout, NullHost, Program, Run, Stack, TrapKind};

/// Functions that take something on the stack first, with what else they take.
const FUNCTIONS: &[&str] = &[
    "bpf_dynptr_slice",
    "bpf_dynptr_slice_rdwr",
    "bpf_dynptr_adjust",
    "bpf_dynptr_clone",
    "bpf_dynptr_copy",
    "bpf_dynptr_memset",
    "bpf_dynptr_size",
    "bpf_iter_bits_new",
    "bpf_iter_bits_next",
    "bpf_iter_bits_destroy",
    "bpf_iter_num_next",
    "bpf_strcmp",
    "bpf_strnstr",
    "bpf_strspn",
    "bpf_map_sum_elem_count",
];

/// `r1` to `r5` from the context, then `FUNCTION`, then a load from what it gives.
fn program(name: &str, again: bool) -> Program {
    let mut insns = vec![Insn::new(0xbf, Reg(6), Reg(1), 0, 0)];
    for reg in 1..=5u8 {
        insns.push(Insn::new(0x79, Reg(reg), Reg(6), i16::from(reg - 1) * 8, 0));
    }
    let at = insns.len() as u32;
    insns.push(Insn::new(0x85, Reg(0), Reg(2), 0, 0));
    if again {
        insns.push(Insn::new(0x79, Reg(0), Reg(0), 0, 0));
    }
    insns.push(Insn::new(0x95, Reg(0), Reg(0), 0, 0));
    let kfuncs = vec![KfuncCall { insn_off: at, name: name.into() }];
    let spec = ProgramSpec { kfuncs, ..ProgramSpec::new(ProgramType::UNSPEC, insns) };
    Program::unverified(&spec, &Environment::default(), vec![]).expect("it has no maps")
}

/// Numbers that look like something.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick(&mut self, places: &[u64]) -> u64 {
        match self.next() % 4 {
            0 => self.next() >> (self.next() % 64),
            1 => self.next() % 70_000,
            _ => places[(self.next() % places.len() as u64) as usize]
                .wrapping_add(self.next() % 24)
                .wrapping_sub(8),
        }
    }
}

/// Bytes around what is lent, which stay as they are.
const GUARD: usize = 64;
/// Words that are lent.
const WORDS: usize = 32;

#[test]
fn nothing_is_reached_that_was_not_granted() {
    let programs: Vec<_> =
        FUNCTIONS.iter().flat_map(|name| [program(name, false), program(name, true)]).collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut stack, mut results) = (Stack::new(), 0);
    for round in 0..30_000 {
        let program = &programs[round % programs.len()];
        let mut memory = [0xa5u8; 2 * GUARD + WORDS * 8];
        let mut packet = [0xa5u8; 2 * GUARD + 128];
        let lent = memory[GUARD..].as_ptr() as u64;
        let inside = packet[GUARD + 48..].as_ptr() as u64;
        let places = [lent, lent + 64, lent + 128, lent + 256, inside, inside + 64, 0];
        let kinds = numbers.next();
        for i in 0..WORDS {
            let word = match i >= 8 && i % 2 == 1 && kinds >> 60 != 0 {
                // Size and kind of a dynptr, and its offset; or what an iterator over bits has.
                true => kinds >> i & 0x3f | (kinds >> (i / 2) & 0xf) << 28 | (kinds & 0x3f) << 32,
                false => numbers.pick(&places),
            };
            memory[GUARD + i * 8..][..8].copy_from_slice(&word.to_ne_bytes());
        }
        let layout = Layout { meta: 40, data: 48, end: 112, ..Layout::frame(0) };
        let mut run = Run::new(&mut stack, &NullHost)
            .with_ctx(&mut memory[GUARD..GUARD + WORDS * 8])
            .with_packet(&mut packet[GUARD..GUARD + 128], layout)
            .with_fuel(100_000);
        match program.run(&mut run) {
            Ok(_) => results += 1,
            Err(trap) => {
                assert!(!matches!(trap.kind, TrapKind::UnknownHelper(_) | TrapKind::Kfunc(_)), "{trap}")
            }
        }
        for guarded in [&memory[..], &packet[..]] {
            let (head, tail) = (&guarded[..GUARD], &guarded[guarded.len() - GUARD..]);
            assert!(head.iter().chain(tail).all(|b| *b == 0xa5), "round {round}");
        }
    }
    assert!(results > 3000, "{results}: most of it is refused");
}

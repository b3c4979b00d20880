//! Hostile programs never panic the verifier: every instruction of the table with random operands, and
//! sensible programs with random bits flipped.

mod common;

use common::{START, WITH_VALUE, maps};
use skep_abi::ProgramType;
use skep_isa::text::assemble;
use skep_isa::{Endian, Insn, Reg, table};
use skep_spec::{Environment, ProgramSpec};
use skep_verifier::{Options, verify};

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 11) % n as u64) as usize
    }
}

/// Verifies for every kind of loader and renders everything there is to render.
fn survives(spec: &ProgramSpec) {
    for env in [Environment::default(), Environment::unprivileged()] {
        let options = Options { log_level: 2, log_size: 1 << 16, ..Options::default() };
        match verify(spec, &env, &options) {
            Ok(v) => assert!(v.log().contains("processed ")),
            Err(r) => assert!(!r.explain().is_empty() && r.pc() <= spec.insns.len(), "{r:?}"),
        }
    }
}

/// Programs per test; `SKEP_FUZZ` sets another number.
fn count() -> u64 {
    std::env::var("SKEP_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

fn types() -> [ProgramType; 5] {
    use ProgramType as T;
    [T::SOCKET_FILTER, T::XDP, T::SYSCALL, T::TRACEPOINT, T(77)]
}

#[test]
fn every_instruction_with_random_operands() {
    let rows = table::rows();
    for seed in 1..=count() {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut insns = assemble(&format!("{WITH_VALUE} r0 = 0; exit")).expect("the prologue is fine");
        insns.truncate(START);
        if rng.below(2) == 0 {
            insns = assemble("r6 = r1; r7 = r10; r8 = *(u32 *)(r1 + 0); r9 = 7; r0 = 0").expect("a prologue");
        }
        for _ in 0..1 + rng.below(12) {
            let row = &rows[rng.below(rows.len())];
            let op = row.sample(&mut || rng.next());
            let Ok((mut first, second)) = op.try_encode() else { continue };
            // Near jumps and offsets, more often than the table's samples have them.
            if rng.below(2) == 0 && first.off != 0 {
                first.off %= 8;
            }
            if rng.below(3) == 0 {
                first.dst = Reg(6 + rng.below(5) as u8);
            }
            insns.push(first);
            insns.extend(second);
        }
        insns.extend(assemble("r0 = 0; exit").expect("an end"));
        let prog_type = types()[rng.below(5)];
        survives(&ProgramSpec { maps: maps(), ..ProgramSpec::new(prog_type, insns) });
    }
}

#[test]
fn sensible_programs_with_flipped_bits() {
    let programs = [
        "r1 = map[idx:2]; r2 = 16; r3 = 0; call 131; if r0 == 0 goto +5; *(u64 *)(r0 + 8) = 1; r1 = r0; r2 = 0
         call 132; r0 = 0; r0 = 0; exit",
        "r6 = r1; r0 = *(u8 *)skb[23]; *(u32 *)(r10 - 4) = r0; r1 = map[idx:0]; r2 = r10; r2 += -4; call 1
         if r0 == 0 goto +2; r1 = 1; lock *(u64 *)(r0 + 0) += r1; r0 = 0; exit",
        "r2 = *(u32 *)(r1 + 0); r3 = *(u32 *)(r1 + 4); r4 = r2; r4 += 14; if r4 > r3 goto +1
         r0 = *(u8 *)(r2 + 13); r0 = 1; exit",
        "r1 = 3; r2 = r10; call f; exit; f: *(u64 *)(r2 - 8) = r1; r0 = r1; r0 += -1; if r0 > 0 goto -2; exit",
    ];
    for seed in 1..=count() {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut insns = assemble(programs[rng.below(programs.len())]).expect("a sensible program");
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(insns.len());
            let mut bytes = insns[at].to_bytes(Endian::Little);
            let bit = rng.below(64);
            bytes[bit / 8] ^= 1 << (bit % 8);
            insns[at] = Insn::from_bytes(bytes, Endian::Little);
        }
        let prog_type = types()[rng.below(5)];
        survives(&ProgramSpec { maps: maps(), ..ProgramSpec::new(prog_type, insns) });
    }
}

//! Reads of what may not be there: whatever address, size and destination a program names, a read copies what the run
//! may read, or zeroes the destination, or traps; and nothing else changes.

mod common;

use skep_isa::text::assemble;
use skep_vm::{NullHost, Program, Run, Stack, TrapKind};

/// Bytes of the context: three arguments, then room.
const CTX: usize = 96;

fn caller(helper: u32) -> Program {
    let text = format!(
        "r2 = *(u64 *)(r1 + 8)\nr3 = *(u64 *)(r1 + 16)\nr1 = *(u64 *)(r1 + 0)\ncall {helper}\nexit\n"
    );
    common::program(assemble(&text).expect("well formed"))
}

struct After {
    r0: Result<u64, TrapKind>,
    ctx: Vec<u8>,
    lent: Vec<u8>,
}

/// Calls a helper with an offset in the context to write to, a size, and an address of one of the two memories.
fn call(program: &Program, to: i64, size: u64, from: (bool, i64)) -> (After, Vec<u8>, Vec<u8>) {
    let mut lent: Vec<u8> = (0..64).map(|i| if i % 16 == 15 { 0 } else { 0x80 | i }).collect();
    let mut ctx: Vec<u8> = (0..CTX as u8).collect();
    let (lent_at, ctx_at) = (lent.as_ptr() as u64, ctx.as_ptr() as u64);
    let source = if from.0 { lent_at } else { ctx_at }.wrapping_add_signed(from.1);
    for (i, word) in [ctx_at.wrapping_add_signed(to), size, source].into_iter().enumerate() {
        ctx[8 * i..8 * i + 8].copy_from_slice(&word.to_ne_bytes());
    }
    let (ctx_before, lent_before) = (ctx.clone(), lent.clone());
    let mut stack = Stack::new();
    let mut run = Run::new(&mut stack, &NullHost).with_ctx(&mut ctx).with_fuel(100);
    assert_eq!(run.lend(&mut lent, false), Some(lent_at));
    let r0 = program.run(&mut run).map(|o| o.r0).map_err(|t| t.kind);
    (After { r0, ctx, lent }, ctx_before, lent_before)
}

/// What a read of `size` bytes must have done.
fn expect(
    after: &After,
    (ctx, lent): (&[u8], &[u8]),
    to: i64,
    size: u64,
    from: (bool, i64),
    (user, string): (bool, bool),
) {
    assert_eq!(after.lent, lent, "nobody writes what is lent to be read");
    let size = size as u32 as usize;
    let mut wanted = ctx.to_vec();
    let writable = usize::try_from(to).is_ok_and(|to| to <= CTX && size <= CTX - to);
    if size > 0 && !writable {
        assert!(matches!(after.r0, Err(TrapKind::Memory(_))), "{:?}", after.r0);
        return assert_eq!(after.ctx, wanted);
    }
    let memory: &[u8] = match from.0 {
        true => lent,
        false if user => &[],
        false => ctx,
    };
    let there = usize::try_from(from.1).ok().and_then(|at| memory.get(at..)).unwrap_or(&[]);
    // A string is copied byte by byte: where the parts overlap it may never end.
    let overlap = !from.0 && to.abs_diff(from.1) < size as u64;
    if string && overlap {
        return;
    }
    let nul = there.iter().take(size).position(|&b| b == 0);
    let copied = match (string, nul) {
        (true, Some(nul)) => Some(nul + 1),
        (true, None) => (size <= there.len()).then_some(size),
        (false, _) => (size <= there.len()).then_some(size),
    };
    let r0 = after.r0.clone().expect("no trap");
    if size == 0 {
        return assert_eq!(after.ctx, wanted);
    }
    let to = to as usize;
    match copied {
        Some(n) => {
            wanted[to..to + n].copy_from_slice(&there[..n]);
            if string {
                wanted[to + n - 1] = 0;
            }
            assert_eq!(r0, if string { n as u64 } else { 0 });
        }
        None => {
            wanted[to..to + size].fill(0);
            assert!((r0 as i64) < 0, "{r0}");
        }
    }
    assert_eq!(after.ctx, wanted, "to {to} size {size} from {from:?}");
}

#[test]
fn reads_copy_or_zero_or_trap() {
    let kinds = [(4, false, false), (113, false, false), (112, true, false), (148, true, false)]
        .into_iter()
        .chain([(45, false, true), (115, false, true), (114, true, true)]);
    for (helper, user, string) in kinds {
        let program = caller(helper);
        for to in [-9, -1, 0, 1, 24, 40, 95, 96, 97, i64::MAX, i64::MIN] {
            for size in [0, 1, 7, 8, 24, 40, 64, 95, 96, 97, 1 << 31, (1 << 32) + 4, u64::MAX] {
                for at in [-1, 0, 1, 15, 16, 24, 39, 56, 63, 64, 80, 95, 96, i64::MIN] {
                    for lent in [false, true] {
                        let (after, ctx, before) = call(&program, to, size, (lent, at));
                        expect(&after, (&ctx, &before), to, size, (lent, at), (user, string));
                    }
                }
            }
        }
    }
}

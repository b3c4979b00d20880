//! Packet helpers against the kernel's: random sequences of calls over random packets, each call's result and what
//! the program sees after it, the packet and the context at the end.
//!
//! `PACKET_SEQUENCES=N` runs as many as one likes.

use std::collections::BTreeMap;

use skep_linux::LinuxBackend;
use skep_spec::{Backend, LoadOptions, RunInput};
use skep_testkit::generate::packets::{Sequence, WORDS};
use skep_user::UserBackend;

/// Sequences of the slice.
const SEQUENCES: u64 = 400;

/// What came of a sequence: the map's value, the packet and the context; or words.
type Answer = Result<(Vec<u64>, Vec<u8>, Vec<u8>), String>;

fn answer(backend: &dyn Backend, sequence: &Sequence) -> Answer {
    let spec = sequence.spec();
    let map = backend.create_map(&spec.maps[0]).map_err(|e| e.to_string())?;
    let program = backend
        .load(&spec, std::slice::from_ref(&map), LoadOptions { log_level: 1 })
        .map_err(|e| format!("does not load: {e}\n{}", e.log))?;
    let input = RunInput { data: &sequence.data, ctx: &sequence.ctx, repeat: 1 };
    let out = program.test_run(input).map_err(|e| format!("{:?}", e.errno))?;
    let value = map.lookup(&[0; 4], 0).map_err(|e| e.to_string())?;
    let words = value.chunks_exact(8).map(|w| u64::from_ne_bytes(w.try_into().expect("8 bytes")));
    Ok((words.collect(), out.data, out.ctx))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// How the two differ, if they do.
fn difference(user: &dyn Backend, kernel: &dyn Backend, sequence: &Sequence) -> Option<String> {
    let (ours, theirs) = (answer(user, sequence), answer(kernel, sequence));
    if ours == theirs {
        return None;
    }
    let (Ok(ours), Ok(theirs)) = (&ours, &theirs) else {
        return Some(format!("ours {:?}, the kernel's {:?}", ours.err(), theirs.err()));
    };
    if let Some(i) = (0..ours.0.len()).find(|&i| ours.0[i] != theirs.0[i]) {
        let at = format!("call {}, word {}", i / WORDS, i % WORDS);
        return Some(format!("{at}: ours {:#x}, the kernel's {:#x}", ours.0[i], theirs.0[i]));
    }
    let differ = |a: &[u8], b: &[u8]| (0..a.len()).find(|&i| a.get(i) != b.get(i));
    let places = (differ(&ours.1, &theirs.1), differ(&ours.2, &theirs.2));
    let lens = (ours.1.len(), theirs.1.len());
    Some(format!("packet ({lens:?} bytes) or context, first at {places:?}"))
}

/// A shorter sequence that differs still.
fn shrink(user: &dyn Backend, kernel: &dyn Backend, mut sequence: Sequence) -> Sequence {
    'shorter: loop {
        for i in 0..sequence.calls.len() {
            let without = sequence.without(i);
            if difference(user, kernel, &without).is_some() {
                sequence = without;
                continue 'shorter;
            }
        }
        return sequence;
    }
}

#[test]
fn sequences_do_what_they_do_in_the_kernel() {
    let probe = LinuxBackend::probe();
    if !probe.is_yes() {
        println!("skipped: no kernel to ask: {probe:?}");
        return;
    }
    let (user, kernel) = (UserBackend::new(), LinuxBackend::new());
    let count = std::env::var("PACKET_SEQUENCES").ok().and_then(|n| n.parse().ok()).unwrap_or(SEQUENCES);
    let mut found = Vec::new();
    let mut ran: BTreeMap<u32, [u32; 2]> = BTreeMap::new();
    for seed in 0..count {
        let sequence = Sequence::new(seed);
        match answer(&user, &sequence) {
            Ok((words, ..)) => {
                for (i, call) in sequence.calls.iter().enumerate() {
                    let failed = (words[i * WORDS] as i64) < 0;
                    ran.entry(call.id).or_default()[usize::from(failed)] += 1;
                }
            }
            Err(why) => assert!(!why.contains("does not load"), "seed {seed}: {why}\n{}", sequence.text()),
        }
        if difference(&user, &kernel, &sequence).is_some() {
            let small = shrink(&user, &kernel, sequence);
            let what = difference(&user, &kernel, &small).unwrap_or_default();
            found.push(format!(
                "seed {seed} ({:?}): {what}\ndata {}\nctx {}\n{}",
                small.prog_type,
                hex(&small.data),
                hex(&small.ctx),
                small.calls_text()
            ));
            if found.len() == 5 {
                break;
            }
        }
    }
    for (id, [done, failed]) in &ran {
        println!("{}: {done} done, {failed} failed", skep_abi::helper_name(*id).unwrap_or("?"));
    }
    assert!(found.is_empty(), "{} differ, the first:\n{}", found.len(), found.join("\n\n"));
    if count >= SEQUENCES {
        // Without routes and without a device that sums up, two of them can only fail.
        let never: Vec<_> =
            ran.iter().filter(|(id, [done, _])| *done == 0 && ![40, 69].contains(*id)).collect();
        assert!(never.is_empty(), "helpers that never succeeded: {never:?}");
    }
}

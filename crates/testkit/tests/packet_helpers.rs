//! Packet helpers against the kernel's: random sequences of calls over random packets, each call's result and what
//! the program sees after it, the packet and the context at the end.
//!
//! `PACKET_SEQUENCES=N` runs as many as one likes.

use std::collections::BTreeMap;
use std::process::Command;

use skep_abi::ProgramType;
use skep_isa::text::assemble;
use skep_linux::LinuxBackend;
use skep_spec::{Backend, LoadOptions, ProgramSpec, RunInput};
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

/// Set in the namespace.
const INSIDE: &str = "SKEP_TEST_IN_NAMESPACE";

/// Where lo may forward and no route leads anywhere the kernel says what skep's host says: there is no route.
#[test]
fn there_is_no_route() {
    const NAME: &str = "there_is_no_route";
    if std::env::var_os(INSIDE).is_some() {
        return routes();
    }
    let skip = |why: &str| println!("skipped: {NAME}: {why}");
    if let Some(why) = LinuxBackend::probe().reason() {
        return skip(why);
    }
    let enter = "for f in /proc/sys/net/ipv[46]/conf/*/forwarding; do echo 1 >$f; done && exec \"$0\" \"$@\"";
    let me = std::env::current_exe().expect("a test has a path");
    let mut inside = Command::new("unshare");
    inside.args(["--net", "--mount", "sh", "-c", enter]).arg(me).env(INSIDE, "1");
    match inside.args(["--exact", NAME, "--nocapture"]).output() {
        Err(e) => skip(&format!("unshare: {e}")),
        Ok(out) if String::from_utf8_lossy(&out.stdout).contains("running 1 test") => {
            print!("{}", String::from_utf8_lossy(&out.stdout));
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        Ok(out) => skip(&format!("a namespace: {}", String::from_utf8_lossy(&out.stderr).trim())),
    }
}

fn routes() {
    let (user, kernel) = (UserBackend::new(), LinuxBackend::new());
    let mut found = 0;
    for prog_type in [ProgramType::SCHED_CLS, ProgramType::XDP] {
        for (family, ifindex) in [(2, 1), (10, 1), (2, 0), (10, 99), (3, 1), (0, 0)] {
            for (plen, flags) in [(64, 0), (64, 1), (64, 2), (64, 3), (64, 8), (64, 64), (63, 0), (80, 0x3f)]
            {
                let text = format!(
                    "r6 = 0\n*(u64 *)(r10 - 80) = r6\n*(u64 *)(r10 - 72) = r6\n*(u64 *)(r10 - 64) = r6\n\
                     *(u64 *)(r10 - 56) = r6\n*(u64 *)(r10 - 48) = r6\n*(u64 *)(r10 - 40) = r6\n\
                     *(u64 *)(r10 - 32) = r6\n*(u64 *)(r10 - 24) = r6\n*(u64 *)(r10 - 16) = r6\n\
                     *(u64 *)(r10 - 8) = r6\nr6 = {family}\n*(u8 *)(r10 - 80) = r6\nr6 = {ifindex}\n\
                     *(u32 *)(r10 - 72) = r6\nr6 = 10\n*(u8 *)(r10 - 48) = r6\nr2 = r10\nr2 += -80\n\
                     r3 = {plen}\nr4 = {flags}\ncall 69\nexit"
                );
                let insns = assemble(&text).unwrap_or_else(|e| panic!("{e}"));
                let spec = ProgramSpec { license: "GPL".into(), ..ProgramSpec::new(prog_type, insns) };
                let input = RunInput { data: &[0; 64], ..RunInput::default() };
                let [ours, theirs] = [&user as &dyn Backend, &kernel].map(|b| {
                    let loaded = b.load(&spec, &[], LoadOptions::default());
                    let program = loaded.unwrap_or_else(|e| panic!("{}: {e}\n{}", b.name(), e.log));
                    program.test_run(input).expect("it runs").retval as i32
                });
                assert_eq!(ours, theirs, "{prog_type:?} family {family} ifindex {ifindex} {plen} {flags}");
                found += u32::from(ours == 4);
            }
        }
    }
    assert!(found > 10, "only {found} looked a route up");
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

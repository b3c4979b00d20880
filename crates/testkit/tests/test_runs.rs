//! Test runs of the user backend against `BPF_PROG_TEST_RUN`: which inputs are taken, what programs see of them, and
//! what comes back.

use std::sync::Arc;

use skep_abi::{AttachType, CtxShape, CtxValue, PROGRAM_TYPES, ProgramType};
use skep_isa::text::assemble;
use skep_linux::LinuxBackend;
use skep_spec::{Backend, BackendProgram, Errno, LoadOptions, ProgramSpec, RunInput};
use skep_user::UserBackend;

/// Both backends; says why there are not.
struct Pair {
    user: UserBackend,
    kernel: LinuxBackend,
}

type Loaded = [Arc<dyn BackendProgram>; 2];

/// What came of a run: `r0`, packet and context, or the error number.
type Answer = Result<(u32, Vec<u8>, Vec<u8>), Errno>;

impl Pair {
    fn new() -> Option<Self> {
        let probe = LinuxBackend::probe();
        if !probe.is_yes() {
            println!("skipped: no kernel to ask: {probe:?}");
            return None;
        }
        Some(Self { user: UserBackend::new(), kernel: LinuxBackend::new() })
    }

    fn load(&self, kind: ProgramType, text: &str) -> Loaded {
        let insns = assemble(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let spec = ProgramSpec {
            name: "run".into(),
            attach_type: AttachType::UNSPEC,
            ..ProgramSpec::new(kind, insns)
        };
        let load = |backend: &dyn Backend| {
            backend
                .load(&spec, &[], LoadOptions::default())
                .unwrap_or_else(|e| panic!("{}: {}\n{}\n{text}", backend.name(), e.error, e.log))
        };
        [load(&self.user), load(&self.kernel)]
    }
}

fn run(program: &dyn BackendProgram, input: RunInput<'_>) -> Answer {
    program.test_run(input).map(|out| (out.retval, out.data, out.ctx)).map_err(|e| e.errno)
}

/// Runs both; they answer the same.
fn same(loaded: &Loaded, what: &str, input: RunInput<'_>) -> Answer {
    let [user, kernel] = loaded.each_ref().map(|p| run(&**p, input));
    assert_eq!(user, kernel, "{what}: the user backend, then the kernel\n{input:x?}");
    user
}

fn data(data: &[u8]) -> RunInput<'_> {
    RunInput { data, ..RunInput::default() }
}

fn with_ctx<'a>(data: &'a [u8], ctx: &'a [u8]) -> RunInput<'a> {
    RunInput { data, ctx, repeat: 1 }
}

/// A frame of `len` bytes with an EtherType.
fn frame(ethertype: u16, len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7)).collect();
    if let Some(kind) = frame.get_mut(12..14) {
        kind.copy_from_slice(&ethertype.to_be_bytes());
    }
    frame
}

/// The types on a socket buffer that have a test run.
const ON_SKB: [ProgramType; 6] = [
    ProgramType::SOCKET_FILTER,
    ProgramType::SCHED_CLS,
    ProgramType::SCHED_ACT,
    ProgramType::LWT_IN,
    ProgramType::LWT_OUT,
    ProgramType::LWT_XMIT,
];

const RETURN_1: &str = "r0 = 1\nexit";

#[test]
fn frames_are_refused_alike() {
    let Some(pair) = Pair::new() else { return };
    for kind in ON_SKB.into_iter().chain([ProgramType::XDP]) {
        let loaded = pair.load(kind, RETURN_1);
        let mut taken = 0;
        for ethertype in [0, 0x600, 0x800, 0x86dd, 0x8100] {
            for len in (0..70).chain([1500, 3712]) {
                taken += u32::from(same(&loaded, &format!("{kind:?}"), data(&frame(ethertype, len))).is_ok());
            }
        }
        assert!(taken > 200, "{kind:?}: {taken}");
    }
}

#[test]
fn types_without_a_test_run() {
    let Some(pair) = Pair::new() else { return };
    for kind in [ProgramType::LWT_SEG6LOCAL, ProgramType::SK_SKB] {
        let answer = same(&pair.load(kind, RETURN_1), "no test run", data(&frame(0x800, 64)));
        assert_eq!(answer, Err(Errno::ENOTSUPP));
    }
}

/// `struct __sk_buff` with 32-bit fields set.
fn sk_buff(fields: &[(usize, u32)]) -> Vec<u8> {
    let mut ctx = vec![0; 192];
    for (off, v) in fields {
        ctx[*off..off + 4].copy_from_slice(&v.to_ne_bytes());
    }
    ctx
}

#[test]
fn contexts_are_refused_alike() {
    let Some(pair) = Pair::new() else { return };
    let frame = frame(0x800, 64);
    for kind in ON_SKB {
        let loaded = pair.load(kind, RETURN_1);
        let mut taken = 0;
        for off in (0..192).step_by(4) {
            for v in [1, 49, 50, 63, 64, 65, 65535, 65536, 65537, 99999] {
                let ctx = sk_buff(&[(off, v)]);
                taken +=
                    u32::from(same(&loaded, &format!("{kind:?} at {off}"), with_ctx(&frame, &ctx)).is_ok());
            }
        }
        for len in [1, 8, 12, 191, 192, 193, 200, 4096, 4097] {
            let mut ctx = vec![0; len];
            let what = format!("{kind:?}, context of {len}");
            taken += u32::from(same(&loaded, &what, with_ctx(&frame, &ctx)).is_ok());
            ctx[len - 1] = 1;
            taken += u32::from(same(&loaded, &what, with_ctx(&frame, &ctx)).is_ok());
        }
        assert!((100..300).contains(&taken), "{kind:?}: {taken}");
    }
}

/// The scalar fields of a type's `struct __sk_buff`: offset, bytes and whether programs write it whole.
fn scalars(kind: ProgramType) -> Vec<(u16, u16, bool)> {
    let row = PROGRAM_TYPES.iter().find(|row| row.id == kind).expect("has a row");
    let CtxShape::Fields(fields) = row.ctx.shape else { panic!("{kind:?} has fields") };
    let scalars = fields.iter().filter(|f| f.value == CtxValue::Scalar && f.name != "cb");
    scalars.map(|f| (f.off, f.size, row.ctx.access(f.off.into(), f.size.into(), true).is_some())).collect()
}

fn word(bytes: u16) -> &'static str {
    match bytes {
        1 => "u8",
        2 => "u16",
        4 => "u32",
        _ => "u64",
    }
}

#[test]
fn fields_hold_the_same() {
    let Some(pair) = Pair::new() else { return };
    let frames = [frame(0x800, 64), [vec![0; 6], frame(0x86dd, 100)[6..].to_vec()].concat(), vec![0xff; 40]];
    let given = sk_buff(&[
        (8, 7),
        (32, 9),
        (36, 3),
        (40, 1),
        (48, 11),
        (64, 12),
        (152, 13),
        (156, 1),
        (160, 0),
        (164, 14),
        (176, 15),
        (184, 16),
        (188, 17),
    ]);
    for kind in ON_SKB {
        for (off, size, writable) in scalars(kind) {
            let word = word(size);
            let load =
                format!("r0 = *({word} *)(r1 + {off})\nr2 = r0\nr2 >>= 32\n*(u32 *)(r1 + 48) = r2\nexit");
            let loaded = pair.load(kind, &load);
            for frame in &frames {
                for ctx in [&[][..], &given, &sk_buff(&[(160, 200)])] {
                    same(&loaded, &format!("{kind:?} at {off}"), with_ctx(frame, ctx)).expect("runs");
                }
            }
            if !writable {
                continue;
            }
            for v in [0x1234_5678, 0xffff, 0x1_fffe, 0xfffe, 0] {
                let text = format!(
                    "*({word} *)(r1 + {off}) = 5\nr2 = {v}\n*({word} *)(r1 + {off}) = r2\nr0 = *({word} *)(r1 + {off})\nexit"
                );
                let loaded = pair.load(kind, &text);
                same(&loaded, &format!("{kind:?} store at {off}"), with_ctx(&frames[0], &given))
                    .expect("runs");
            }
        }
    }
}

/// Direct packet access behind a bounds check of `bytes` bytes.
fn packet(bytes: u32, then: &str) -> String {
    format!(
        "r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr0 = 0\nr4 = r2\nr4 += {bytes}\nif r4 > r3 goto out\n\
         {then}\nout:\nexit"
    )
}

#[test]
fn packets_are_seen_and_changed_alike() {
    let Some(pair) = Pair::new() else { return };
    for kind in ON_SKB.into_iter().skip(1) {
        let loaded = pair.load(kind, &packet(16, "r0 = *(u64 *)(r2 + 0)\nr1 = *(u64 *)(r2 + 8)\nr0 ^= r1"));
        for len in [14, 15, 29, 30, 31, 64, 3712] {
            same(&loaded, &format!("{kind:?} loads"), data(&frame(0, len))).expect("runs");
        }
        let legacy = matches!(kind, ProgramType::SCHED_CLS | ProgramType::SCHED_ACT);
        for off in [0, 13, 60, 63, 64, -0x10_0000, -0x10_0000 + 49, -0x10_0000 + 50, -0x20_0000, -0x20_0001] {
            if legacy {
                let loaded = pair.load(kind, &format!("r6 = r1\nr0 = *(u8 *)skb[{off}]\nexit"));
                same(&loaded, &format!("{kind:?} legacy load at {off}"), data(&frame(0, 64))).expect("runs");
            }
        }
        if !matches!(kind, ProgramType::LWT_IN | ProgramType::LWT_OUT) {
            // Each run finds what the one before left, in the packet and in the context.
            let text = packet(
                8,
                "r0 = *(u8 *)(r2 + 7)\nr0 += 1\n*(u8 *)(r2 + 7) = r0\nr5 = *(u32 *)(r1 + 48)\nr5 += r0\n\
                 *(u32 *)(r1 + 48) = r5\nr5 = *(u32 *)(r1 + 8)\nr5 += 3\n*(u32 *)(r1 + 8) = r5",
            );
            let loaded = pair.load(kind, &text);
            for repeat in [0, 1, 5] {
                let input = RunInput { data: &frame(0x800, 64), ctx: &sk_buff(&[(48, 2)]), repeat };
                same(&loaded, &format!("{kind:?} stores"), input).expect("runs");
            }
        }
    }
}

//! Test runs of the user backend against `BPF_PROG_TEST_RUN`: which inputs are taken, what programs see of them, and
//! what comes back.

use std::sync::Arc;

use skep_abi::{CtxValue, PROGRAM_TYPES, ProgramType};
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
        let row = PROGRAM_TYPES.iter().find(|row| row.id == kind).expect("has a row");
        let attach_type = row.attach_types.first().copied().unwrap_or_default();
        let spec = ProgramSpec { name: "run".into(), attach_type, ..ProgramSpec::new(kind, insns) };
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
const ON_SKB: [ProgramType; 7] = [
    ProgramType::SOCKET_FILTER,
    ProgramType::SCHED_CLS,
    ProgramType::SCHED_ACT,
    ProgramType::CGROUP_SKB,
    ProgramType::LWT_IN,
    ProgramType::LWT_OUT,
    ProgramType::LWT_XMIT,
];

/// Brings `r0` into the range of the type's return values and ends the program.
fn exit(kind: ProgramType) -> &'static str {
    if kind == ProgramType::CGROUP_SKB { "r0 &= 1\nexit" } else { "exit" }
}

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

/// The scalar accesses of a type's `struct __sk_buff` outside `cb`: offset, bytes and whether programs store so.
fn scalars(kind: ProgramType) -> Vec<(u16, u16, bool)> {
    let row = PROGRAM_TYPES.iter().find(|row| row.id == kind).expect("has a row");
    let mut scalars = Vec::new();
    for off in (0..192u16).filter(|off| !(48..68).contains(off)) {
        for size in [1, 2, 4, 8] {
            let access = |write| row.ctx.access(off.into(), size.into(), write) == Some(CtxValue::Scalar);
            if access(false) {
                scalars.push((off, size, access(true)));
            }
        }
    }
    scalars
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
            let exit = exit(kind);
            let load = format!(
                "r0 = *({word} *)(r1 + {off})\n*(u32 *)(r1 + 52) = r0\nr2 = r0\nr2 >>= 32\n*(u32 *)(r1 + 48) = r2\n{exit}"
            );
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
                    "*({word} *)(r1 + {off}) = 5\nr2 = {v}\n*({word} *)(r1 + {off}) = r2\nr0 = *({word} *)(r1 + {off})\n*(u32 *)(r1 + 52) = r0\n{exit}"
                );
                let loaded = pair.load(kind, &text);
                same(&loaded, &format!("{kind:?} store at {off}"), with_ctx(&frames[0], &given))
                    .expect("runs");
            }
        }
    }
}

/// Direct packet access behind a bounds check of `bytes` bytes.
fn packet(kind: ProgramType, bytes: u32, then: &str) -> String {
    let exit = exit(kind);
    format!(
        "r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr0 = 0\nr4 = r2\nr4 += {bytes}\nif r4 > r3 goto out\n\
         {then}\nout:\n{exit}"
    )
}

#[test]
fn packets_are_seen_and_changed_alike() {
    let Some(pair) = Pair::new() else { return };
    for kind in ON_SKB.into_iter().skip(1) {
        let loaded =
            pair.load(kind, &packet(kind, 16, "r0 = *(u64 *)(r2 + 0)\nr1 = *(u64 *)(r2 + 8)\nr0 ^= r1"));
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
        if !matches!(kind, ProgramType::CGROUP_SKB | ProgramType::LWT_IN | ProgramType::LWT_OUT) {
            // Each run finds what the one before left, in the packet and in the context.
            let text = packet(
                kind,
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

#[test]
fn flow_dissectors_fill_in_the_same_keys() {
    let Some(pair) = Pair::new() else { return };
    let kind = ProgramType::FLOW_DISSECTOR;
    let loaded = pair.load(kind, "r0 = 5\nexit");
    for len in (0..70).chain([1500, 3700]) {
        let _ = same(&loaded, "a frame", data(&frame(0x86dd, len)));
    }
    let frame = frame(0x800, 60);
    for off in 0..56 {
        let mut keys = vec![0; 56];
        keys[off] = 1;
        let taken = same(&loaded, &format!("keys set at {off}"), with_ctx(&frame, &keys)).is_ok();
        assert_eq!(taken, (48..52).contains(&off));
    }
    for len in [1, 48, 52, 55, 56, 57, 100, 4097] {
        let _ = same(&loaded, "keys of another length", with_ctx(&frame, &vec![0; len]));
    }
    // What it finds, and what stays of the offsets that it leaves.
    for (nhoff, thoff) in [(0, 0), (14, 34), (34, 14), (60, 60), (61, 70), (65535, 65535)] {
        let text = format!(
            "r6 = *(u64 *)(r1 + 144)\nr7 = *(u64 *)(r6 + 48)\nr8 = *(u32 *)(r6 + 0)\nr9 = *(u16 *)(r6 + 10)\n\
             *(u32 *)(r6 + 16) = r7\n*(u32 *)(r6 + 20) = r8\n*(u32 *)(r6 + 24) = r9\nr2 = *(u32 *)(r1 + 76)\n\
             r3 = *(u32 *)(r1 + 80)\nr3 -= r2\n*(u32 *)(r6 + 28) = r3\n*(u16 *)(r6 + 0) = {nhoff}\n\
             *(u16 *)(r6 + 2) = {thoff}\nr0 = *(u32 *)(r6 + 28)\nexit"
        );
        let loaded = pair.load(kind, &text);
        let mut keys = vec![0; 56];
        keys[48] = 7;
        for repeat in [0, 1, 3] {
            let input = RunInput { data: &frame, ctx: &keys, repeat };
            same(&loaded, &format!("offsets {nhoff} {thoff}"), input).expect("runs");
        }
    }
    // There is no socket buffer to load from.
    let load = "r2 = 0\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = -1\nr4 = 8\nr6 = r1\ncall 26\n\
                r1 = *(u64 *)(r6 + 144)\nr2 = *(u64 *)(r10 - 8)\n*(u64 *)(r1 + 16) = r2\nexit";
    same(&pair.load(kind, load), "bpf_skb_load_bytes", data(&frame)).expect("runs");
}

#[test]
fn socket_lookups_see_the_same() {
    let Some(pair) = Pair::new() else { return };
    let kind = ProgramType::SK_LOOKUP;
    let loaded = pair.load(kind, RETURN_1);
    assert!(same(&loaded, "no context", data(&[])).is_err());
    assert!(same(&loaded, "data", with_ctx(&[0; 64], &[0; 72])).is_err());
    let base: Vec<u8> = (0..72).map(|i| if (8..64).contains(&i) { i as u8 | 0x80 } else { 0 }).collect();
    let of = |family: u32, port: u32| {
        let mut ctx = base.clone();
        ctx[8..12].copy_from_slice(&family.to_ne_bytes());
        ctx[60..64].copy_from_slice(&port.to_ne_bytes());
        ctx
    };
    let families = [0, 1, 2, 10, 0x1_0002, 0x1_000a];
    for (family, port) in families.map(|f| (f, 80)).into_iter().chain([(2, 65535), (2, 65536), (1, 65536)]) {
        let _ = same(&loaded, "family and port", with_ctx(&[], &of(family, port)));
    }
    for off in (0..8).chain(64..72) {
        let mut ctx = of(2, 80);
        ctx[off] = 1;
        assert!(same(&loaded, &format!("set at {off}"), with_ctx(&[], &ctx)).is_err());
    }
    for len in [1, 64, 68, 71, 72, 73, 4096, 4097] {
        let mut ctx = of(2, 80);
        ctx.resize(len, 0);
        let _ = same(&loaded, &format!("context of {len}"), with_ctx(&[], &ctx));
    }
    for size in [1u16, 2, 4] {
        for off in (8..68u16).step_by(size.into()) {
            for bit in (0..8 * size).step_by(3) {
                let word = word(size);
                let text = format!("r0 = *({word} *)(r1 + {off})\nr0 >>= {bit}\nr0 &= 1\nexit");
                let loaded = pair.load(kind, &text);
                for family in [2, 10, 0x1_000a] {
                    let what = format!("{word} at {off}, bit {bit}");
                    same(&loaded, &what, with_ctx(&[], &of(family, 0x1234))).expect("runs");
                }
            }
        }
    }
}

/// The context of an XDP test run.
fn xdp_md(fields: [u32; 6]) -> Vec<u8> {
    fields.into_iter().flat_map(u32::to_ne_bytes).collect()
}

#[test]
fn xdp_contexts_are_refused_alike() {
    let Some(pair) = Pair::new() else { return };
    let loaded = pair.load(ProgramType::XDP, "r0 = 2\nexit");
    let mut taken = 0;
    for len in [14, 60, 3520, 3521, 3600, 3800, 4000, 7616, 7617] {
        let frame = frame(0x800, len);
        let len = len as u32;
        for meta in [0, 2, 4, 8, 46, 48, 212, 216, 220, 252, 256] {
            for end in [0, 4, 13, 14, 17, 18, 60, 3519, 3520, 3524, len.saturating_sub(1), len, len + 1] {
                let ctx = xdp_md([meta, end, 0, 0, 0, 0]);
                let what = format!("{meta} bytes of metadata, {end} of {len} in one piece");
                taken += u32::from(same(&loaded, &what, with_ctx(&frame, &ctx)).is_ok());
            }
        }
        for fields in [[0, len, 1, 0, 0, 0], [0, len, 0, 1, 0, 0], [0, len, 0, 1, 1, 0], [0, len, 0, 0, 1, 0]]
        {
            let _ = same(&loaded, "other fields", with_ctx(&frame, &xdp_md(fields)));
        }
        let _ = same(&loaded, "an unknown interface", with_ctx(&frame, &xdp_md([0, len, 0, 99999, 0, 0])));
        let _ = same(&loaded, "the device that sends", with_ctx(&frame, &xdp_md([0, len, 0, 0, 0, 1])));
        for bytes in [1, 12, 23, 24, 25, 4096, 4097] {
            let mut ctx = xdp_md([0, len, 0, 0, 0, 0]);
            ctx.resize(bytes, 0);
            let _ = same(&loaded, &format!("context of {bytes}"), with_ctx(&frame, &ctx));
        }
    }
    assert!(taken > 100, "{taken}");
    for len in [73_151, 73_152, 73_153, 80_000] {
        let [user, kernel] = loaded.each_ref().map(|p| run(&**p, data(&frame(0, len))).is_ok());
        assert_eq!((user, kernel), (len <= 73_152, len <= 73_152), "{len} bytes");
    }
}

#[test]
fn xdp_metadata_moves_alike() {
    let Some(pair) = Pair::new() else { return };
    for meta in [0, 4, 32, 216] {
        for delta in
            [-256, -220, -216, -212, -36, -33, -32, -5, -4, -2, 0, 1, 4, 28, 32, 36, 216, 217, i32::MIN]
        {
            let text = format!(
                "r6 = r1\nr2 = {delta}\ncall 54\nr7 = r0\nr2 = *(u32 *)(r6 + 8)\nr3 = *(u32 *)(r6 + 0)\nr4 = r2\nr4 += 4\n\
                 if r4 > r3 goto out\n*(u32 *)(r2 + 0) = 0x5eed\nout:\nr0 = r7\nexit"
            );
            let loaded = pair.load(ProgramType::XDP, &text);
            let ctx = xdp_md([meta, 300, 0, 0, 0, 0]);
            // Repeated runs are slow in the kernel.
            let input =
                RunInput { data: &frame(0x800, 300), ctx: &ctx, repeat: if meta == 32 { 3 } else { 1 } };
            same(&loaded, &format!("{meta} moved by {delta}"), input).expect("runs");
        }
    }
}

#[test]
fn long_xdp_packets_are_the_same() {
    let Some(pair) = Pair::new() else { return };
    let kind = ProgramType::XDP;
    let frames = [60, 3520, 3521, 7615, 7616, 7617, 9000, 20_000].map(|len| frame(0x800, len));
    let linear = pair.load(kind, "r0 = *(u32 *)(r1 + 4)\nr1 = *(u32 *)(r1 + 0)\nr0 -= r1\nexit");
    let whole = pair.load(kind, "call 188\nexit");
    for frame in &frames {
        same(&linear, "linear part", data(frame)).expect("runs");
        same(&whole, "bpf_xdp_get_buff_len", data(frame)).expect("runs");
        same(&whole, "a short linear part", with_ctx(frame, &xdp_md([0, 40, 0, 0, 0, 0]))).expect("runs");
    }
    for delta in [
        -20_000, -9000, -8986, -8960, -4097, -4096, -1384, -1383, -100, -1, 0, 1, 256, 2711, 2712, 2713, 4096,
    ] {
        let loaded = pair.load(
            kind,
            &format!("r6 = r1\nr2 = {delta}\ncall 65\nr7 = r0\nr1 = r6\ncall 188\nr0 <<= 8\nr0 ^= r7\nexit"),
        );
        for frame in &frames {
            for ctx in [vec![], xdp_md([0, 40, 0, 0, 0, 0]), xdp_md([8, 48, 0, 0, 0, 0])] {
                let repeat = if frame.len() == 7617 && ctx.is_empty() { 2 } else { 1 };
                let input = RunInput { data: frame, ctx: &ctx, repeat };
                same(&loaded, &format!("end moved by {delta}"), input).expect("runs");
            }
        }
    }
    for (offset, len) in [
        (0, 8),
        (53, 7),
        (53, 8),
        (3519, 1),
        (3516, 8),
        (3520, 8),
        (7612, 8),
        (8996, 4),
        (8996, 5),
        (65_535, 1),
        (65_536, 1),
        (-1, 4),
    ] {
        let text = |id: u32| {
            format!(
                "r6 = r1\n*(u64 *)(r10 - 8) = 0x5eed\nr2 = {offset}\nr3 = r10\nr3 += -8\nr4 = {len}\ncall {id}\nr1 = *(u64 *)(r10 - 8)\n\
                 r2 = r1\nr2 >>= 32\nr1 ^= r2\nr0 <<= 3\nr0 ^= r1\nexit"
            )
        };
        for id in [189, 190] {
            let loaded = pair.load(kind, &text(id));
            for frame in &frames {
                same(&loaded, &format!("helper {id} at {offset}, {len} bytes"), data(frame)).expect("runs");
            }
        }
    }
}

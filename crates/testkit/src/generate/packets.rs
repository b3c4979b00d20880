//! Sequences of packet helpers with random arguments, over random packets.
//!
//! A program calls its helpers one after another and writes into its only map, after each call, what the call gave and
//! what the program then sees: its `__sk_buff`, the packet's length by its pointers, and where the headers are.

use std::fmt::Write;
use std::sync::Arc;

use skep_abi::{MapType, ProgramType, helper_name, sk_buff_field};
use skep_isa::text::assemble;
use skep_isa::{Imm64, Op, Reg};
use skep_spec::{MapDef, ProgramSpec};

use super::rng::Rng;

/// Most calls of a program.
pub const CALLS: usize = 8;
/// Words that a call leaves in the map.
pub const WORDS: usize = 17;

/// Fields of `__sk_buff` that helpers change, and some that they do not.
const FIELDS: [&str; 11] = [
    "len",
    "pkt_type",
    "protocol",
    "vlan_present",
    "vlan_tci",
    "vlan_proto",
    "hash",
    "wire_len",
    "gso_segs",
    "gso_size",
    "mark",
];

/// What a program has.
struct Family {
    prog_type: ProgramType,
    helpers: &'static [u32],
}

const FAMILIES: [Family; 7] = [
    Family {
        prog_type: ProgramType::SCHED_CLS,
        helpers: &[
            9, 9, 10, 11, 13, 18, 19, 23, 24, 26, 28, 31, 32, 34, 38, 39, 40, 41, 43, 48, 50, 50, 68, 69,
            135, 152, 151, 155, 163, 79, 83,
        ],
    },
    Family { prog_type: ProgramType::SCHED_ACT, helpers: &[9, 10, 18, 19, 31, 38, 43, 50, 135] },
    Family {
        prog_type: ProgramType::LWT_XMIT,
        helpers: &[9, 9, 10, 11, 13, 23, 24, 26, 28, 34, 38, 39, 40, 41, 43, 135],
    },
    Family { prog_type: ProgramType::LWT_OUT, helpers: &[24, 26, 28, 34, 39] },
    Family { prog_type: ProgramType::CGROUP_SKB, helpers: &[26, 68, 79, 83] },
    Family { prog_type: ProgramType::SOCKET_FILTER, helpers: &[26, 68] },
    Family { prog_type: ProgramType::XDP, helpers: &[23, 28, 44, 65, 69, 163] },
];

/// Room before the packet of a kernel's test run. When helpers need more and no transport header is known, Linux takes
/// an accidental place for it, short of which `bpf_skb_change_tail` then does not cut.
const HEADROOM: u64 = 60;

/// Bytes of the headers that helpers work on, tags included: a packet that is cut shorter shows what is behind its end
/// when room is opened.
const HEADERS: usize = 90;

/// What the calls before have done.
struct Before {
    /// Bytes that they have added to the packet's front.
    grown: u64,
    /// They may have cut its headers.
    cut: bool,
}

/// A call: the text that sets its arguments up, with the call itself.
#[derive(Clone, Debug)]
pub struct HelperCall {
    /// Which helper.
    pub id: u32,
    text: String,
    /// How `r0` is normalised: its value differs from one kernel to the next.
    truth_only: bool,
}

/// A program of calls, and what it is run on.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Type of the program.
    pub prog_type: ProgramType,
    /// Its calls.
    pub calls: Vec<HelperCall>,
    /// The packet.
    pub data: Vec<u8>,
    /// The context; may be empty.
    pub ctx: Vec<u8>,
    stack: [u64; 8],
}

/// Numbers at which helpers change their mind.
const EDGES: [u64; 34] = [
    0,
    1,
    2,
    3,
    4,
    8,
    12,
    14,
    20,
    24,
    34,
    40,
    54,
    60,
    64,
    0xfff,
    0x1000,
    0xfffe,
    0xffff,
    0x1_0000,
    16_063,
    16_064,
    16_065,
    i32::MAX as u64,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    u64::MAX,
    -2i64 as u64,
    -4i64 as u64,
    -20i64 as u64,
    -40i64 as u64,
    -0x1000i64 as u64,
    i64::MIN as u64,
];

fn number(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => *rng.pick(&EDGES),
        1 => rng.operand(),
        _ => rng.below(120) as u64,
    }
}

/// Mostly one of `legal`, sometimes with another bit, rarely anything.
fn flags(rng: &mut Rng, legal: &[u64]) -> u64 {
    let pick = *rng.pick(legal);
    match rng.below(16) {
        0 => pick | 1 << rng.below(64),
        1 => rng.operand(),
        _ => pick,
    }
}

/// `BPF_F_ADJ_ROOM_*`: mostly such as go together.
fn room_flags(rng: &mut Rng, shrink: bool) -> u64 {
    let (v4, v6, gre, udp, eth) = (1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6 | 14 << 56);
    let legal: &[u64] = match shrink {
        false => &[0, 0, 1, v4, v6, v4 | gre, v6 | gre, v4 | udp, v6 | udp, v4 | udp | eth, v6 | 4 << 56],
        true => &[0, 0, 0, 1, 1 << 7, 1 << 8],
    };
    let mut flags = *rng.pick(legal);
    if rng.chance(30) {
        flags |= 1 << 5;
    }
    match rng.below(8) {
        0 => flags ^ 1 << rng.below(10),
        1 => flags | 1 << rng.below(64),
        _ => flags,
    }
}

impl HelperCall {
    fn new(rng: &mut Rng, id: u32, first: bool, data: &[u8], before: &mut Before) -> Self {
        let Before { grown, cut } = before;
        // What stands behind a packet's end is not the same from one kernel to the next.
        let id = if *cut && [31, 50].contains(&id) { 39 } else { id };
        let mut text = String::new();
        let mut set = |reg: usize, v: u64| {
            let _ = writeln!(text, "r{reg} = {v:#x} ll");
        };
        match id {
            9 => {
                set(2, number(rng));
                set(4, 1 + rng.below(64) as u64);
                set(5, flags(rng, &[0, 1, 2, 3]));
            }
            10 | 11 => {
                // A difference of what stands there makes it 0, as long as nobody has moved it.
                let at = 2 * rng.below(40);
                if let Some(&[a, b]) = data.get(at..at + 2)
                    && rng.chance(25)
                {
                    let mangled = if id == 11 { 1 << 5 } else { 0 };
                    set(2, at as u64);
                    set(3, 0);
                    set(4, u16::from_ne_bytes([a, b]).into());
                    set(5, if rng.chance(60) { mangled } else { 0 });
                } else {
                    set(2, if rng.chance(80) { at as u64 } else { number(rng) });
                    let size = flags(rng, &[0, 2, 4]);
                    set(3, if size & 0xf == 0 && rng.chance(80) { 0 } else { rng.operand() });
                    set(4, rng.operand());
                    let more = *rng.pick(&[0, 0, 1 << 4, 1 << 5, 3 << 5, 1 << 7, 7 << 4]);
                    set(5, size | if id == 11 { more } else { 0 });
                }
            }
            13 => {
                // A copy that is sent is real: of a packet that is still what it was.
                let lo = first && rng.chance(50);
                set(2, if lo { 1 } else { *rng.pick(&[0, 4_000_000_000, u64::MAX]) });
                set(3, if lo { rng.below(2) as u64 } else { flags(rng, &[0, 1]) });
            }
            18 => {
                *grown += 4;
                set(2, *rng.pick(&[0x81, 0xa888, 0, 0x0800, 0x8100, 0xffff_0081]));
                set(3, rng.operand());
            }
            23 | 155 => {
                set(1, rng.operand());
                set(2, flags(rng, &[0, 1]));
            }
            26 | 68 => {
                set(2, number(rng));
                set(4, 1 + rng.below(64) as u64);
                set(5, flags(rng, &[0, 1]));
            }
            28 => {
                for reg in [2, 4] {
                    set(reg, if rng.chance(30) { 0 } else { rng.below(33) as u64 });
                }
                set(5, if rng.chance(30) { 0 } else { rng.operand() });
            }
            31 => {
                *grown += 20;
                set(2, *rng.pick(&[0x0008, 0xdd86, 0xdd86, 0x0008, 0, 0x0081, 0xffff_0008]));
                set(3, flags(rng, &[0]));
            }
            32 => set(2, if rng.chance(90) { rng.below(5) as u64 } else { rng.operand() }),
            38 | 43 => {
                let most = *rng.pick(&[30, 300]);
                let small = rng.below(most) as u64;
                let mut len = if rng.chance(60) { small } else { number(rng) };
                if id == 43 {
                    *grown += (len & 0xffff_ffff) % 0x8000_0000;
                } else if *grown > HEADROOM {
                    len = 4000 + rng.below(13_000) as u64;
                } else if rng.chance(60) {
                    len = HEADERS as u64 + rng.below(300) as u64;
                }
                *cut |= id == 38 && len < HEADERS as u64;
                set(2, len);
                set(3, flags(rng, &[0, 0, 0, 0]));
            }
            39 | 40 | 44 | 48 | 65 => set(2, number(rng)),
            50 => {
                let small = rng.below(60) as u64;
                let len = match rng.below(8) {
                    0 => number(rng),
                    1..4 => small.wrapping_neg(),
                    _ => small,
                };
                *grown += len & 0xfff;
                set(2, len);
                set(3, if rng.chance(90) { rng.below(2) as u64 } else { rng.operand() });
                set(4, room_flags(rng, (len as i32) < 0));
            }
            69 => {
                // Only what does not depend on the machine's routes: errors.
                set(3, *rng.pick(&[1, 63, 64, 64, 64]));
                set(4, flags(rng, &[0, 1, 2, 4, 8, 16, 32, 63]));
            }
            83 => set(2, if rng.chance(80) { rng.below(4) as u64 } else { rng.operand() }),
            135 => set(2, flags(rng, &[0, 1, 1, 1, 2, 3, 4])),
            152 => {
                set(1, rng.operand());
                set(3, *rng.pick(&[0, 0, 1, 19, 20, 20, 21, 64]));
                set(4, flags(rng, &[0]));
            }
            163 => {
                set(2, *rng.pick(&[0, 1, 0, 1, 4_000_000_000]));
                set(4, if rng.chance(50) { 0 } else { rng.operand() });
                set(5, flags(rng, &[0, 0, 1]));
            }
            _ => {}
        }
        match id {
            9 => text += "r3 = r10\nr3 += -64\n",
            26 | 68 => text += "r3 = r10\nr3 += -128\n",
            28 => {
                let (a, b) = (rng.below(32), rng.below(32));
                let _ =
                    writeln!(text, "r1 = r10\nr1 += {}\nr3 = r10\nr3 += {}", a as i32 - 64, b as i32 - 64);
                for (size, addr) in [(2, 1), (4, 3)] {
                    if text.contains(&format!("r{size} = 0x0 ll")) && rng.chance(50) {
                        let _ = writeln!(text, "r{addr} = 0");
                    }
                }
            }
            69 => {
                // Family and interface of the query.
                let (family, ifindex) = *rng.pick(&[(0u64, 1u64), (3, 1), (2, 4_000_000_000), (10, 0)]);
                let _ = writeln!(
                    text,
                    "r2 = {family} ll\n*(u64 *)(r10 - 200) = r2\nr2 = {ifindex:#x} ll\n*(u64 *)(r10 - 192) = r2\n\
                     r2 = r10\nr2 += -200"
                );
            }
            152 => {
                text += "r2 = r10\nr2 += -64\n";
                if text.contains("r3 = 0x0 ll") && rng.chance(50) {
                    text += "r2 = 0\n";
                }
            }
            163 => {
                let mtu = if rng.chance(60) { 0 } else { rng.operand() & 0xffff_ffff };
                let _ = writeln!(text, "r3 = {mtu:#x} ll\n*(u64 *)(r10 - 136) = r3\nr3 = r10\nr3 += -136");
            }
            _ => {}
        }
        if id == 50 && rng.chance(40) {
            // Verified checksums, for the adjustment to forget.
            text = format!("r1 = r6\nr2 = 1\ncall 135\n{text}");
        }
        if ![23, 28, 152, 155].contains(&id) {
            text += "r1 = r6\n";
        }
        let _ = writeln!(text, "call {id}");
        Self { id, text, truth_only: id == 34 }
    }
}

/// A frame: mostly IP, often with VLAN tags.
fn frame(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.below(8) {
        0 => 14 + rng.below(50),
        1 => 1000 + rng.below(2000),
        _ => 60 + rng.below(120),
    };
    let mut data: Vec<u8> = (0..len).map(|_| rng.bits() as u8).collect();
    let mut at = 12;
    let tags = [0, 0, 0, 0, 0, 1, 2, 3][rng.below(8)];
    for _ in 0..tags {
        if at + 4 <= len {
            data[at..at + 2].copy_from_slice(&rng.pick(&[[0x81u8, 0x00], [0x88, 0xa8]])[..]);
            at += 4;
        }
    }
    let types: [[u8; 2]; 8] =
        [[8, 0], [8, 0], [8, 0], [0x86, 0xdd], [0x86, 0xdd], [8, 6], [0, 40], [0x05, 0xff]];
    if at + 2 <= len {
        data[at..at + 2].copy_from_slice(&rng.pick(&types)[..]);
    }
    if rng.chance(30) && at + 4 <= len {
        data[at + 2..at + 4].fill(0xff);
    }
    if rng.chance(50) {
        data[..6].fill(0);
    }
    data
}

/// A `struct __sk_buff` that a test run takes; often none.
fn context(rng: &mut Rng, prog_type: ProgramType) -> Vec<u8> {
    if prog_type == ProgramType::XDP || rng.chance(50) {
        return Vec::new();
    }
    let mut ctx = vec![0; 192];
    for (name, percent) in [("mark", 50), ("gso_segs", 30), ("gso_size", 10)] {
        if rng.chance(percent) {
            let at = usize::from(sk_buff_field(name).off);
            ctx[at..at + 2].copy_from_slice(&(rng.bits() as u16).to_ne_bytes());
        }
    }
    ctx
}

impl Sequence {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let family = if rng.chance(60) { &FAMILIES[0] } else { &FAMILIES[rng.below(FAMILIES.len())] };
        let count = 1 + rng.below(CALLS);
        let data = frame(&mut rng);
        let mut before = Before { grown: 0, cut: data.len() < HEADERS };
        let calls = (0..count).map(|i| {
            let id = *rng.pick(family.helpers);
            HelperCall::new(&mut rng, id, i == 0, &data, &mut before)
        });
        let calls = calls.collect();
        Self {
            prog_type: family.prog_type,
            calls,
            data,
            ctx: context(&mut rng, family.prog_type),
            stack: std::array::from_fn(|_| rng.bits()),
        }
    }

    /// The same without the call at `index`.
    #[must_use]
    pub fn without(&self, index: usize) -> Self {
        let mut shorter = self.clone();
        shorter.calls.remove(index);
        shorter
    }

    /// The calls alone, to be read.
    pub fn calls_text(&self) -> String {
        self.calls.iter().map(|c| format!("; {}\n{}", helper_name(c.id).unwrap_or("?"), c.text)).collect()
    }

    /// The program text behind `r9 = value of the map`.
    pub fn text(&self) -> String {
        let mut text = String::from("r6 = r1\n");
        for (i, word) in self.stack.iter().enumerate() {
            let _ = writeln!(text, "r1 = {word:#x} ll\n*(u64 *)(r10 - {}) = r1", 64 - 8 * i);
        }
        text += "r1 = 0\n";
        for off in (72..=264).step_by(8) {
            let _ = writeln!(text, "*(u64 *)(r10 - {off}) = r1");
        }
        for (i, call) in self.calls.iter().enumerate() {
            let _ = writeln!(text, "; {}", helper_name(call.id).unwrap_or("?"));
            text += &call.text;
            if call.truth_only {
                let _ = writeln!(text, "if r0 == 0 goto same{i}\nr0 = 1\nsame{i}:");
            }
            let _ = writeln!(text, "*(u64 *)(r9 + {}) = r0", i * WORDS * 8);
            text += &self.seen(i);
        }
        text + "r0 = 0\nexit\n"
    }

    /// What the program sees after call `i`.
    fn seen(&self, i: usize) -> String {
        let mut text = String::new();
        let mut word = i * WORDS;
        let mut keep = |text: &mut String, load: &str| {
            word += 1;
            let _ = writeln!(text, "{load}\n*(u64 *)(r9 + {}) = r1", word * 8);
        };
        if self.prog_type == ProgramType::XDP {
            keep(&mut text, "r1 = *(u32 *)(r6 + 4)\nr2 = *(u32 *)(r6 + 0)\nr1 -= r2");
            keep(&mut text, "r1 = *(u64 *)(r10 - 136)");
            return text;
        }
        let hash_differs = self.calls.iter().any(|c| c.truth_only);
        for name in FIELDS {
            let skipped = match name {
                "wire_len" => !matches!(self.prog_type, ProgramType::SCHED_CLS | ProgramType::SCHED_ACT),
                _ => false,
            };
            if skipped {
                continue;
            }
            let off = sk_buff_field(name).off;
            let mut load = format!("r1 = *(u32 *)(r6 + {off})");
            if name == "hash" && hash_differs {
                let _ = write!(load, "\nif r1 == 0 goto none{i}\nr1 = 1\nnone{i}:");
            }
            keep(&mut text, &load);
        }
        // What helpers wrote to the stack.
        keep(&mut text, "r1 = *(u64 *)(r10 - 128)\nr2 = *(u64 *)(r10 - 136)\nr1 ^= r2");
        if self.prog_type != ProgramType::SOCKET_FILTER {
            keep(&mut text, "r1 = *(u32 *)(r6 + 80)\nr2 = *(u32 *)(r6 + 76)\nr1 -= r2");
        }
        let tc = matches!(self.prog_type, ProgramType::SCHED_CLS | ProgramType::SCHED_ACT);
        if tc || self.prog_type == ProgramType::LWT_XMIT {
            keep(&mut text, "r1 = r6\nr2 = 0\ncall 135\nr1 = r0");
        }
        if tc {
            for header in [0, 1] {
                keep(
                    &mut text,
                    &format!(
                        "r1 = r6\nr2 = 0\nr3 = r10\nr3 += -144\nr4 = 8\nr5 = {header}\ncall 68\n\
                         r1 = *(u64 *)(r10 - 144)"
                    ),
                );
            }
        }
        text
    }

    /// The program, with its map.
    ///
    /// # Panics
    /// When the generator writes a text that does not assemble.
    pub fn spec(&self) -> ProgramSpec {
        let value = Imm64::MapValueIdx { idx: 0, off_bytes: 0 };
        let (first, second) = Op::LoadImm64 { dst: Reg(9), value }.encode();
        let mut insns: Vec<_> = [Some(first), second].into_iter().flatten().collect();
        let text = self.text();
        insns.extend(assemble(&text).unwrap_or_else(|e| panic!("{e}\n{text}")));
        let bytes = (CALLS * WORDS * 8) as u32;
        ProgramSpec {
            name: "packets".into(),
            license: "GPL".into(),
            maps: vec![Arc::new(MapDef::new(MapType::ARRAY, 4, bytes, 1))],
            ..ProgramSpec::new(self.prog_type, insns)
        }
    }
}

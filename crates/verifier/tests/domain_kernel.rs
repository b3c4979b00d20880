//! The scalar domain against the running kernel: for generated straight-line programs, everything that the
//! kernel's verifier knows of a register in its log, the domain must know too, and print the same way.
//!
//! `SKEP_DOMAIN_PROGRAMS=20000 cargo test -p skep-verifier --test domain_kernel` runs a campaign.

use std::collections::BTreeMap;

use skep_verifier::domain::{BinOp, Bits, Cmp, Scalar, Tnum};

/// One line of a generated program over two registers, both unknown at first.
#[derive(Clone, Copy, Debug)]
enum Step {
    Alu {
        op: BinOp,
        bits: Bits,
        dst: usize,
        src: Operand,
    },
    Neg {
        bits: Bits,
        dst: usize,
    },
    Mov {
        bits: Bits,
        dst: usize,
    },
    Movsx {
        bits: Bits,
        from: u32,
        dst: usize,
    },
    Swap {
        bits: u32,
        dst: usize,
    },
    /// Goes on if the comparison comes out as `taken`, otherwise leaves the program.
    Keep {
        cmp: Cmp,
        bits: Bits,
        dst: usize,
        src: Operand,
        taken: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Operand {
    Other,
    Imm(i32),
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
    fn bits(&mut self) -> Bits {
        self.pick(&[Bits::B32, Bits::B64])
    }
    fn imm(&mut self) -> i32 {
        let edge = 1i32.wrapping_shl(self.below(32) as u32).wrapping_add(self.below(5) as i32 - 2);
        match self.below(4) {
            0 => self.next() as i32,
            1 => self.below(200) as i32 - 100,
            2 => edge,
            _ => edge.wrapping_neg(),
        }
    }
    fn step(&mut self) -> Step {
        let (bits, dst) = (self.bits(), self.below(2));
        let src = if self.below(3) == 0 { Operand::Other } else { Operand::Imm(self.imm()) };
        match self.below(16) {
            0 => Step::Neg { bits, dst },
            1 => Step::Mov { bits, dst },
            2 => Step::Movsx { bits, from: self.pick(&[8, 16]), dst },
            3 => Step::Movsx { bits: Bits::B64, from: 32, dst },
            4 => Step::Swap { bits: self.pick(&[16, 32, 64]), dst },
            5..=8 => Step::Keep { cmp: self.pick(&Cmp::ALL), bits, dst, src, taken: self.below(2) == 0 },
            _ => {
                let op = self.pick(&BinOp::ALL);
                let src = match (op, src) {
                    (BinOp::Lsh | BinOp::Rsh | BinOp::Arsh, Operand::Imm(n)) => Operand::Imm(n & 31),
                    (BinOp::Div | BinOp::Mod | BinOp::Sdiv | BinOp::Smod, Operand::Imm(0)) => Operand::Imm(1),
                    _ => src,
                };
                Step::Alu { op, bits, dst, src }
            }
        }
    }
}

fn encode(op: u8, dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    u64::from(op) | u64::from(dst | src << 4) << 8 | u64::from(off as u16) << 16 | u64::from(imm as u32) << 32
}

fn operand(src: Operand, dst: usize) -> (u8, u8, i32) {
    match src {
        Operand::Other => (0x08, REGS[1 - dst], 0),
        Operand::Imm(imm) => (0, 0, imm),
    }
}

const REGS: [u8; 2] = [6, 7];

fn alu_code(op: BinOp) -> (u8, i16) {
    match op {
        BinOp::Add => (0x00, 0),
        BinOp::Sub => (0x10, 0),
        BinOp::Mul => (0x20, 0),
        BinOp::Div => (0x30, 0),
        BinOp::Sdiv => (0x30, 1),
        BinOp::Or => (0x40, 0),
        BinOp::And => (0x50, 0),
        BinOp::Lsh => (0x60, 0),
        BinOp::Rsh => (0x70, 0),
        BinOp::Mod => (0x90, 0),
        BinOp::Smod => (0x90, 1),
        BinOp::Xor => (0xa0, 0),
        BinOp::Arsh => (0xc0, 0),
    }
}

fn jump_code(cmp: Cmp) -> u8 {
    match cmp {
        Cmp::Eq => 0x10,
        Cmp::Gt => 0x20,
        Cmp::Ge => 0x30,
        Cmp::Set => 0x40,
        Cmp::Ne => 0x50,
        Cmp::Sgt => 0x60,
        Cmp::Sge => 0x70,
        Cmp::Lt => 0xa0,
        Cmp::Le => 0xb0,
        Cmp::Slt => 0xc0,
        Cmp::Sle => 0xd0,
    }
}

/// The program, and for each step the index of the instruction after which both registers' states are shown.
fn assemble(steps: &[Step]) -> (Vec<u64>, Vec<usize>) {
    let alu_class = |bits| if bits == Bits::B64 { 0x07 } else { 0x04 };
    let mut code = vec![
        encode(0x85, 0, 0, 0, 7),
        encode(0xbf, 6, 0, 0, 0),
        encode(0x85, 0, 0, 0, 7),
        encode(0xbf, 7, 0, 0, 0),
    ];
    let mut leave = Vec::new();
    let mut shown = Vec::new();
    for step in steps {
        match *step {
            Step::Alu { op, bits, dst, src } => {
                let ((op, off), (x, src, imm)) = (alu_code(op), operand(src, dst));
                code.push(encode(op | x | alu_class(bits), REGS[dst], src, off, imm));
            }
            Step::Neg { bits, dst } => code.push(encode(0x80 | alu_class(bits), REGS[dst], 0, 0, 0)),
            Step::Mov { bits, dst } => code.push(encode(0xb8 | alu_class(bits), REGS[dst], REGS[dst], 0, 0)),
            Step::Movsx { bits, from, dst } => {
                code.push(encode(0xb8 | alu_class(bits), REGS[dst], REGS[dst], from as i16, 0));
            }
            Step::Swap { bits, dst } => code.push(encode(0xd7, REGS[dst], 0, 0, bits as i32)),
            Step::Keep { cmp, bits, dst, src, taken } => {
                let class = if bits == Bits::B64 { 0x05 } else { 0x06 };
                let (x, src, imm) = operand(src, dst);
                let op = jump_code(cmp) | x | class;
                if taken {
                    code.push(encode(op, REGS[dst], src, 1, imm));
                    leave.push(code.len());
                    code.push(0x05);
                } else {
                    leave.push(code.len());
                    code.push(encode(op, REGS[dst], src, 0, imm));
                }
                // Moves to themselves, so that the log shows both.
                code.push(encode(0xbf, 6, 6, 0, 0));
                code.push(encode(0xbf, 7, 7, 0, 0));
            }
        }
        shown.push(code.len() - 1);
    }
    let out = code.len();
    for at in leave {
        code[at] |= u64::from((out - at - 1) as u16) << 16;
    }
    code.push(encode(0xb7, 0, 0, 0, 0));
    code.push(encode(0x95, 0, 0, 0, 0));
    (code, shown)
}

/// Both registers before a step to after it; `None` if the program cannot get there.
fn run(step: Step, mut regs: [Scalar; 2]) -> Option<[Scalar; 2]> {
    let value = |src: Operand, dst: usize| match src {
        Operand::Other => regs[1 - dst],
        Operand::Imm(imm) => Scalar::known(imm as i64 as u64),
    };
    match step {
        Step::Alu { op, bits, dst, src } => regs[dst] = regs[dst].binary(op, bits, &value(src, dst)),
        Step::Neg { bits, dst } => regs[dst] = regs[dst].neg(bits),
        Step::Mov { bits, dst } => regs[dst] = regs[dst].mov(bits),
        Step::Movsx { bits, from, dst } => regs[dst] = regs[dst].movsx(bits, from),
        Step::Swap { bits, dst } => regs[dst] = regs[dst].bswap(bits),
        Step::Keep { cmp, bits, dst, src, taken } => {
            let (left, right) = cmp.refine(bits, &regs[dst], &value(src, dst), taken)?;
            regs[dst] = left;
            if let Operand::Other = src {
                regs[1 - dst] = right;
            }
        }
    }
    Some(regs)
}

/// The verifier's log of a load, or the errno if the kernel did not verify at all.
fn kernel_log(code: &[u64]) -> Result<String, i32> {
    #[repr(C)]
    #[derive(Default)]
    struct ProgLoad {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log_buf: u64,
        rest: [u64; 12],
    }
    const BPF_PROG_LOAD: libc::c_long = 5;
    let mut log = vec![0u8; 1 << 20];
    let attr = ProgLoad {
        prog_type: 1,
        insn_cnt: code.len() as u32,
        insns: code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 2,
        log_size: log.len() as u32,
        log_buf: log.as_mut_ptr() as u64,
        rest: [0; 12],
    };
    // SAFETY: `attr` is a `union bpf_attr` for BPF_PROG_LOAD of the size passed, zero beyond the fields set;
    // the instructions, the license and the log outlive the call and have the lengths given.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of::<ProgLoad>()) };
    if fd < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        if log[0] == 0 {
            return Err(errno);
        }
    } else {
        // SAFETY: the descriptor was just made for us and nobody else knows it.
        unsafe { libc::close(fd as i32) };
    }
    let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
    Ok(String::from_utf8_lossy(&log[..end]).into_owned())
}

/// A register as the log has it: its text and its components.
#[derive(Clone, Debug)]
struct Logged {
    text: String,
    tnum: Tnum,
    u64s: (u64, u64),
    s64s: (i64, i64),
    u32s: (u32, u32),
    s32s: (i32, i32),
}

impl Logged {
    fn parse(text: &str) -> Logged {
        let text = text.trim_start_matches('P');
        let Some(inner) = text.strip_prefix("scalar(").and_then(|t| t.strip_suffix(')')) else {
            let x = number(text);
            let (u64s, s64s) = ((x, x), (x as i64, x as i64));
            let (u32s, s32s) = ((x as u32, x as u32), (x as i32, x as i32));
            return Logged { text: text.into(), tnum: Tnum::constant(x), u64s, s64s, u32s, s32s };
        };
        let mut logged = Logged {
            text: String::new(),
            tnum: Tnum::UNKNOWN,
            u64s: (0, u64::MAX),
            s64s: (i64::MIN, i64::MAX),
            u32s: (0, u32::MAX),
            s32s: (i32::MIN, i32::MAX),
        };
        let mut kept = Vec::new();
        for item in inner.split(',').filter(|item| !item.is_empty() && !item.starts_with("id=")) {
            kept.push(item);
            let mut names: Vec<&str> = item.split('=').collect();
            let value = names.pop().unwrap();
            for name in names {
                match name {
                    "smin" => logged.s64s.0 = number(value) as i64,
                    "smax" => logged.s64s.1 = number(value) as i64,
                    "umin" => logged.u64s.0 = number(value),
                    "umax" => logged.u64s.1 = number(value),
                    "smin32" => logged.s32s.0 = number(value) as i32,
                    "smax32" => logged.s32s.1 = number(value) as i32,
                    "umin32" => logged.u32s.0 = number(value) as u32,
                    "umax32" => logged.u32s.1 = number(value) as u32,
                    "var_off" => {
                        let (v, m) = value.trim_matches(['(', ')']).split_once("; ").unwrap();
                        logged.tnum = Tnum::new(number(v), number(m)).unwrap();
                    }
                    _ => panic!("{name} in {text}"),
                }
            }
        }
        logged.text = format!("scalar({})", kept.join(","));
        logged
    }

    /// What the kernel allows and the domain does not: nothing, or the domain lost something.
    fn covers(&self, s: &Scalar) -> bool {
        self.tnum.contains(s.tnum())
            && self.u64s.0 <= s.umin()
            && s.umax() <= self.u64s.1
            && self.s64s.0 <= s.smin()
            && s.smax() <= self.s64s.1
            && self.u32s.0 <= s.u32_min()
            && s.u32_max() <= self.u32s.1
            && self.s32s.0 <= s.s32_min()
            && s.s32_max() <= self.s32s.1
    }

    /// The same components as a scalar, if they are all as tight as the domain would have them.
    fn as_scalar(&self) -> Option<Scalar> {
        let s = Scalar::from_all_parts(self.tnum, self.u64s, self.s64s, self.u32s, self.s32s)?;
        let same = s.tnum() == self.tnum
            && (s.umin(), s.umax()) == self.u64s
            && (s.smin(), s.smax()) == self.s64s
            && (s.u32_min(), s.u32_max()) == self.u32s
            && (s.s32_min(), s.s32_max()) == self.s32s;
        same.then_some(s)
    }
}

fn number(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => text.parse::<i128>().unwrap_or_else(|_| panic!("{text}")) as u64,
    }
}

/// What the log says of each register after each instruction that it shows, the last time it does.
fn parse_log(log: &str) -> BTreeMap<usize, BTreeMap<u8, Logged>> {
    let mut shown: BTreeMap<usize, BTreeMap<u8, Logged>> = BTreeMap::new();
    for line in log.lines() {
        let Some((pc, rest)) = line.split_once(": (") else { continue };
        let Ok(pc) = pc.parse::<usize>() else { continue };
        let regs = shown.entry(pc).or_default();
        let Some((_, states)) = rest.split_once(';') else { continue };
        for item in states.replace("; ", ";").split_whitespace() {
            let Some((name, value)) = item.split_once('=') else { continue };
            let Some(reg) = name.strip_prefix('R').and_then(|n| n.trim_end_matches("_w").parse().ok()) else {
                continue;
            };
            if REGS.contains(&reg) {
                regs.insert(reg, Logged::parse(&value.replace(';', "; ")));
            }
        }
    }
    shown
}

#[derive(Default, Debug)]
struct Count {
    programs: u32,
    registers: u32,
    equal: u32,
    spelled: u32,
    dead_ends: u32,
    forks: u32,
}

/// Compares one program; stops where one of the two says that it cannot go on.
fn compare(steps: &[Step], log: &str, shown_at: &[usize], count: &mut Count) {
    let shown = parse_log(log);
    let mut regs = [Scalar::UNKNOWN; 2];
    for (step, at) in steps.iter().zip(shown_at) {
        if log.contains(&format!("\nfrom {at} to {at}:")) {
            // The kernel splits a mask that is 0 or -1 and goes two ways from here.
            count.forks += 1;
            return;
        }
        let before = regs;
        let after = run(*step, regs);
        let Some(logged) = shown.get(at) else {
            count.dead_ends += 1;
            assert!(
                after.is_none(),
                "the kernel sees that {step:?} ends here, from {}, {}\n{log}",
                regs[0],
                regs[1]
            );
            return;
        };
        let Some(after) = after else { return };
        regs = after;
        // A move of both was put after a branch.
        let mut states = logged.clone();
        if let Step::Keep { .. } = step {
            states
                .extend(shown.get(&(at - 1)).into_iter().flatten().map(|(reg, state)| (*reg, state.clone())));
        }
        for (reg, state) in states {
            let ours = regs[usize::from(reg - 6)];
            count.registers += 1;
            assert!(
                state.covers(&ours),
                "{step:?} from {}, {}\nr{reg} kernel {}\n   domain {ours}\n{log}",
                before[0],
                before[1],
                state.text
            );
            if let Some(same) = state.as_scalar() {
                count.spelled += 1;
                assert_eq!(same.to_string(), state.text);
                count.equal += u32::from(same == ours);
            }
        }
    }
}

#[test]
fn the_domain_knows_what_the_kernel_knows() {
    let programs = std::env::var("SKEP_DOMAIN_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut count = Count::default();
    for _ in 0..programs {
        let steps: Vec<Step> = (0..12).map(|_| random.step()).collect();
        let (code, shown_at) = assemble(&steps);
        match kernel_log(&code) {
            Err(errno) if count.programs == 0 => {
                println!("skipped: bpf(2) refuses to verify a socket filter (errno {errno})");
                return;
            }
            Err(errno) => panic!("errno {errno} for {steps:?}"),
            Ok(log) => compare(&steps, &log, &shown_at, &mut count),
        }
        count.programs += 1;
    }
    println!("{count:?}");
    // The comparison compared something.
    assert!(count.registers > programs * 3 && count.spelled * 2 > count.registers, "{count:?}");
}

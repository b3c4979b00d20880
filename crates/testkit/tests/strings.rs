//! `bpf_snprintf`, `bpf_strtol`, `bpf_strtoul` and `bpf_strncmp` over many texts: the interpreter writes and returns
//! what the running kernel does, and the verifier takes the same formats.

use skep_testkit::case::source::assemble;
use skep_testkit::generate::rng::Rng;
use skep_testkit::oracle::{
    Input, Oracle, Privilege, disagreement, interpreter::Interpreter, kernel::Kernel,
};

fn kernel() -> bool {
    Kernel.available().inspect_err(|why| println!("skipped: no kernel to ask: {why}")).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Asks both; words where they differ.
fn ask(text: &str, inputs: &[Input]) -> (bool, Option<String>) {
    let spec = assemble(text).unwrap_or_else(|e| panic!("{e}:\n{text}")).remove(0);
    let ours = Interpreter.run(&spec, Privilege::Privileged, inputs);
    let theirs = Kernel.run(&spec, Privilege::Privileged, inputs);
    let unverified = ours.as_ref().is_ok_and(|o| o.unverified);
    assert!(!unverified, "the verifier knows all of it:\n{text}");
    (theirs.is_ok(), disagreement(("interpreter", &ours), ("kernel", &theirs)))
}

/// An argument: a number, or the address of a text.
#[derive(Clone, Copy, Debug)]
enum Arg {
    Number(u64),
    Text,
}

/// Formats arguments.
fn snprintf(format: &[u8], args: &[Arg], size: u32) -> String {
    let mut stores = String::new();
    for (i, arg) in args.iter().enumerate() {
        let slot = 96 - 8 * i;
        let value = match arg {
            Arg::Text => "r1 = map[text][0]+0 ll".to_owned(),
            Arg::Number(n) => format!("r1 = {n:#x} ll"),
        };
        stores += &format!("    {value}\n    *(u64 *)(r10 - {slot}) = r1\n");
    }
    format!(
        ".map format type=array key=4 value=128 max_entries=1 flags=BPF_F_RDONLY_PROG initial={} frozen=1\n\
         .map text type=array key=4 value=16 max_entries=1 initial={}\n\
         .map out type=array key=4 value=64 max_entries=1 initial={}\n\
         .section syscall\nmain:\n{stores}    r1 = map[out][0]+0 ll\n    r2 = {size}\n    \
         r3 = map[format][0]+0 ll\n    r4 = r10\n    r4 += -96\n    r5 = {}\n    call bpf_snprintf\n    exit\n",
        hex(format),
        hex(b"some text\0rest"),
        "aa".repeat(64),
        8 * args.len(),
    )
}

const PIECES: &[&str] = &[
    "a", "b c", "%%", "\n", "%d", "%i", "%u", "%x", "%X", "%ld", "%li", "%lu", "%lx", "%lX", "%lld", "%llu",
    "%5d", "%-7d|", "%05d", "%+d", "% d", "%+05ld", "%-05x|", "%12lx", "%020lu", "%c", "%3c", "%-3c|", "%s",
    "%12s", "%-12s|", "%px", "%20px", "%-20px|", "%pi4", "%pI4", "%pi6", "%pI6", "%pI4abc", "%9pI4", "%pks",
    "%9pks ", "%pB ", "%pS", "%ps", "%25pS|",
];
const BAD: &[&str] =
    &["%", "%l", "%llld", "%sx", "%pz", "%pI5", "%pk", "%#x", "%.3d", "%5", "\x01", "%f", "%h"];
const NUMBERS: &[u64] =
    &[0, 1, 7, 65, 1000, 0x7fff_ffff, 0x8000_0000, u64::MAX, 1 << 63, 0xffff_ffff, 0x1234_5678_9abc_def0];

#[test]
fn snprintf_writes_what_the_kernel_writes() {
    if !kernel() {
        return;
    }
    let mut rng = Rng::new(1);
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for _ in 0..600 {
        let (mut format, mut args) = (String::new(), Vec::new());
        for _ in 0..1 + rng.below(5) {
            let from = if rng.chance(2) { BAD } else { PIECES };
            let piece = *rng.pick(from);
            if piece.contains('%') && piece != "%%" {
                // Numbers of addresses are not the same for both.
                let reads =
                    ["s", "pi", "pI", "pks"].iter().any(|c| piece.contains(c)) && !piece.contains("ps");
                let text = reads && rng.chance(80);
                args.push(if text { Arg::Text } else { Arg::Number(*rng.pick(NUMBERS)) });
            }
            format += piece;
        }
        match rng.below(12) {
            0 => drop(args.pop()),
            1 => args.push(Arg::Number(3)),
            _ => {}
        }
        let size = *rng.pick(&[0, 1, 2, 5, 10, 20, 64, 64, 64, 64]);
        let (taken, differs) = ask(&snprintf(format.as_bytes(), &args, size), &[Input::default()]);
        accepted += usize::from(taken);
        wrong.extend(differs.map(|d| format!("{format:?} {args:x?} size {size}: {d}")));
    }
    println!("{accepted} formats taken");
    assert!(accepted > 300, "{accepted}");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_byte_in_a_format() {
    if !kernel() {
        return;
    }
    let differ = |byte: u8| ask(&snprintf(&[b'a', byte, b'b'], &[], 64), &[Input::default()]).1;
    let wrong: Vec<_> = (1..=255).filter_map(|b| differ(b).map(|d| format!("{b:#x}: {d}"))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A program that reads a number from the first bytes of its context; the result goes behind them.
fn parse(helper: &str, len: usize) -> String {
    format!(
        ".section syscall\nmain:\n    r6 = r1\n    r3 = *(u64 *)(r6 + 64)\n    r4 = r10\n    r4 += -8\n    \
         r2 = 7\n    *(u64 *)(r10 - 8) = r2\n    r7 = {len}\n    r2 = 0\n    \
         r1 = *(u64 *)(r6 + 0)\n    *(u64 *)(r10 - 72) = r1\n    r1 = *(u64 *)(r6 + 8)\n    *(u64 *)(r10 - 64) = r1\n    \
         r1 = *(u64 *)(r6 + 16)\n    *(u64 *)(r10 - 56) = r1\n    r1 = *(u64 *)(r6 + 24)\n    *(u64 *)(r10 - 48) = r1\n    \
         r1 = r10\n    r1 += -72\n    r2 = r7\n    call {helper}\n    r1 = *(u64 *)(r10 - 8)\n    \
         *(u64 *)(r6 + 72) = r1\n    exit\n"
    )
}

#[test]
fn numbers_are_read_as_the_kernel_reads_them() {
    if !kernel() {
        return;
    }
    let texts = [
        "0",
        "7",
        "-7",
        "+7",
        " 42",
        "\t\n -42x",
        "0x1f",
        "0X1F",
        "-0x8",
        "0x",
        "0xg",
        "017",
        "08",
        "0",
        "00",
        "1e3",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "",
        " ",
        "-",
        "--1",
        "- 1",
        "ff",
        "FF",
        "7fffffffffffffff",
        "ffffffffffffffff",
        "1777777777777777777777",
        "1777777777777777777778",
        "\u{a0}5",
        "12a",
    ];
    let inputs: Vec<Input> = texts
        .iter()
        .flat_map(|text| [0u64, 8, 10, 16, 2, 17, 32, 1 << 40 | 10].map(|flags| (text, flags)))
        .map(|(text, flags)| {
            // Latin-1 for the no-break space.
            let mut ctx: Vec<u8> = text.chars().map(|c| c as u8).collect();
            ctx.resize(64, 0);
            ctx.extend(flags.to_le_bytes());
            ctx.extend([0; 8]);
            Input { ctx, data: Vec::new() }
        })
        .collect();
    for helper in ["bpf_strtol", "bpf_strtoul"] {
        for len in [1, 2, 5, 20, 32] {
            let (taken, differs) = ask(&parse(helper, len), &inputs);
            assert!(taken, "{helper} {len}");
            assert_eq!(differs, None, "{helper} of {len} bytes");
        }
    }
}

#[test]
fn texts_compare_as_in_the_kernel() {
    if !kernel() {
        return;
    }
    for constant in ["", "a", "abc", "abd", "abcdefg\u{7f}", "\u{ff}"] {
        let constant: Vec<u8> = constant.chars().map(|c| c as u8).chain([0]).collect();
        for len in [1, 3, 4, 8] {
            let text = format!(
                ".map constant type=array key=4 value=16 max_entries=1 flags=BPF_F_RDONLY_PROG initial={} frozen=1\n\
                 .section syscall\nmain:\n    r2 = *(u64 *)(r1 + 0)\n    *(u64 *)(r10 - 8) = r2\n    r1 = r10\n    \
                 r1 += -8\n    r2 = {len}\n    r3 = map[constant][0]+0 ll\n    call bpf_strncmp\n    exit\n",
                hex(&constant)
            );
            let texts: [&[u8]; 9] =
                [b"", b"a", b"ab", b"abc", b"abcd", b"abd", b"abcdefg\x7f", b"\xff", b"\x80\0zz"];
            let inputs = texts.map(|t| {
                let mut ctx = t.to_vec();
                ctx.resize(8, 0);
                Input { ctx, data: Vec::new() }
            });
            assert_eq!(ask(&text, &inputs), (true, None), "{constant:?} {len}");
        }
    }
}

//! Disassembler and assembler: each undoes the other.

mod common;

use common::{random, rounds, slots};
use skep_isa::text::{AsmError, Assembler, Dialect, Listing, RelocationKind, assemble};
use skep_isa::{CallTarget, Insn, Reg, decode, table};

fn names(target: CallTarget) -> Option<&'static str> {
    match target {
        CallTarget::Helper(1) => Some("bpf_map_lookup_elem"),
        CallTarget::Kfunc { btf_id: 77, .. } => Some("bpf_rcu_read_lock"),
        _ => None,
    }
}

fn resolve(name: &str) -> Option<CallTarget> {
    match name {
        "bpf_map_lookup_elem" => Some(CallTarget::Helper(1)),
        "bpf_rcu_read_lock" => Some(CallTarget::Kfunc { btf_id: 77, btf_idx: 0 }),
        _ => None,
    }
}

#[test]
fn text_and_back_is_the_identity_for_every_row_in_both_dialects() {
    for dialect in [Dialect::Kernel, Dialect::Clang] {
        let mut rng = random(11);
        let mut program = Vec::new();
        for row in table::rows() {
            for _ in 0..40 {
                program.extend(slots(&row.sample(&mut rng)));
            }
        }
        let mut text = String::new();
        let mut pc = 0;
        while pc < program.len() {
            let op = decode(&program, pc).unwrap();
            let line = op.text(dialect).to_string();
            let again = assemble(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(again, slots(&op), "{line}");
            text += &line;
            text.push('\n');
            pc += op.slots();
        }
        // Again in one piece, and text to text.
        assert_eq!(assemble(&text).unwrap(), program);
        let listing = Listing::new(&program, dialect).to_string();
        let again = assemble(&listing).unwrap();
        assert!(again == program);
        assert!(Listing::new(&again, dialect).to_string() == listing);
    }
}

#[test]
fn named_calls_come_back_through_the_resolver() {
    let program = [
        Insn::new(0x85, Reg(0), Reg(0), 0, 1),
        Insn::new(0x85, Reg(0), Reg(0), 0, 2),
        Insn::new(0x85, Reg(0), Reg(2), 0, 77),
        Insn::new(0x85, Reg(0), Reg(2), 3, 78),
    ];
    let kernel = Listing::new(&program, Dialect::Kernel).with_names(&names).to_string();
    assert_eq!(
        kernel,
        "0: (85) call bpf_map_lookup_elem#1\n1: (85) call unknown#2\n\
         2: (85) call bpf_rcu_read_lock#77\n3: (85) call kernel-function#78@3\n"
    );
    for dialect in [Dialect::Kernel, Dialect::Clang] {
        let text = Listing::new(&program, dialect).with_names(&names).to_string();
        let assembly = Assembler::new().with_names(&resolve).assemble(&text).unwrap();
        assert_eq!(assembly.functions[0].insns, program, "{text}");
    }
}

#[test]
fn operations_display_in_the_kernels_words() {
    let op = decode(&[Insn::new(0x61, Reg(0), Reg(1), -4, 0)], 0).unwrap();
    assert_eq!(format!("{op}"), "r0 = *(u32 *)(r1 -4)");
}

#[test]
fn a_slot_that_is_no_instruction_is_listed_with_its_error() {
    let listing = Listing::new(&[Insn::new(0xff, Reg(0), Reg(0), 0, 0)], Dialect::Kernel).to_string();
    assert_eq!(listing, "0: (ff) ??? insn 0: unknown opcode 0xff\n");
    assert!(assemble(&listing).is_err());
}

/// One instruction as the kernel's log would show it.
fn shown(text: &str) -> String {
    let insns = assemble(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    Listing::new(&insns, Dialect::Kernel).to_string().trim_end().replace('\n', "; ")
}

#[test]
fn spellings() {
    for (text, want) in [
        ("r1 = *(u32 *)(r2 + 4)", "0: (61) r1 = *(u32 *)(r2 +4)"),
        ("w1 = *(u32*)(r2-4)", "0: (61) r1 = *(u32 *)(r2 -4)"),
        ("w1 = *(u8 *)(r2)", "0: (71) r1 = *(u8 *)(r2 +0)"),
        ("if w1 s> 5 goto +3", "0: (66) if w1 s> 0x5 goto pc+3"),
        ("if w1 s>= -0x5 goto pc-3", "0: (76) if w1 s>= 0xfffffffb goto pc-3"),
        ("(15) if r1 == 0xfffffffb goto pc-3", "0: (15) if r1 == 0xfffffffb goto pc-3"),
        ("lock *(u64 *)(r1+0) += r2", "0: (db) lock *(u64 *)(r1 +0) += r2"),
        ("r0 = atomic_fetch_add((u64 *)(r1 + 8), r0)", "0: (db) r0 = atomic64_fetch_add((u64 *)(r1 +8), r0)"),
        ("w0 = cmpxchg32_32(r1 + 0, w0, w2)", "0: (c3) r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2)"),
        ("call 1", "0: (85) call unknown#1"),
        ("r1 = 0x123 ll", "0: (18) r1 = 0x123"),
        ("(18) r1 = 0x123", "0: (18) r1 = 0x123"),
        ("r1 = -1 ll", "0: (18) r1 = 0xffffffffffffffff"),
        ("r1 = 0x123", "0: (b7) r1 = 291"),
        ("w1 = 0xffffffff", "0: (b4) w1 = -1"),
        ("w0 = (s8)w1", "0: (bc) w0 = (s8)w1"),
        ("r1 = bswap16 r1", "0: (d7) r1 = bswap16 r1"),
        ("r1 = be16 r1", "0: (dc) r1 = be16 r1"),
        ("r1 s/= r2", "0: (3f) r1 s/= r2"),
        ("r1 s>>= 3", "0: (c7) r1 s>>= 3"),
        ("r1 = -r1", "0: (87) r1 = -r1"),
        ("12: (bf) r6 = r1      ; R1=ctx() R6_w=ctx()", "0: (bf) r6 = r1"),
        ("r1 = map[fd:3]", "0: (18) r1 = map[fd:3]"),
        ("r1 = map[fd:3] ll // the map", "0: (18) r1 = map[fd:3]"),
        ("ld_pseudo r1, 1, 3", "0: (18) r1 = map[fd:3]"),
        ("r1 = map[fd:3][0]+8 ll", "0: (18) r1 = map[fd:3][0]+8"),
        ("goto pc+3", "0: (05) goto pc+3"),
        ("gotol -0x3 <LBB0_1>", "0: (06) gotol pc-3"),
        ("may_goto pc+2", "0: (e5) may_goto pc+2"),
        ("r0 = *(u8 *)skb[23]", "0: (30) r0 = *(u8 *)skb[23]"),
        ("r0 = *(u16 *)skb[r7]", "0: (48) r0 = *(u16 *)skb[r7 + 0]"),
        ("*(u32 *)(r10 - 4) = 0xdeadbeef", "0: (62) *(u32 *)(r10 -4) = -559038737"),
        ("r1 = addr_space_cast(r2, 0x0, 0x1)", "0: (bf) r1 = addr_space_cast(r2, 0, 1)"),
        ("exit", "0: (95) exit"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn comments_labels_and_several_statements_a_line() {
    let text = "
        # sums 0..r1
        r0 = 0; r2 = 0;        // two at once
    loop:                      /* over
                                  lines */ r0 += r2
        r2 += 1
        if r2 < r1 goto loop
        if r0 == 3 goto 1f
        goto out
    1:  r0 = 33                ; one local label
        goto 1f
    1:  r0 += 1
        if r0 < 40 goto 1b
    out: exit
    ";
    let want = "0: (b7) r0 = 0\n1: (b7) r2 = 0\n2: (0f) r0 += r2\n3: (07) r2 += 1\n4: (ad) if r2 < r1 goto pc-3\n\
                5: (15) if r0 == 0x3 goto pc+1\n6: (05) goto pc+4\n7: (b7) r0 = 33\n8: (05) goto pc+0\n\
                9: (07) r0 += 1\n10: (a5) if r0 < 0x28 goto pc-2\n11: (95) exit\n";
    assert_eq!(Listing::new(&assemble(text).unwrap(), Dialect::Kernel).to_string(), want);
}

fn refused(text: &str) -> String {
    Assembler::new().with_names(&resolve).assemble(text).map_err(|e: AsmError| e.to_string()).unwrap_err()
}

#[test]
fn errors_point_at_the_place_and_say_what_was_expected() {
    for (text, want) in [
        ("r0 = 0\nfoo bar", "line 2, column 1: expected an instruction, found `foo`"),
        ("r1 += w2", "line 1, column 7: expected a number or a register r0–r10, found `w2`"),
        ("r11 = 1", "line 1, column 1: there is no r11: registers go from 0 to 10"),
        ("r1 = 0x123456789", "line 1, column 17: this constant needs 64 bits: `ll` behind it"),
        ("r1 = *(u32 *)(r2 + 70000)", "line 1, column 20: 70000 is out of range: -32768 to 32767"),
        ("r1 = be16 r2", "line 1, column 11: this operand must be the same register as the other one, r1"),
        ("goto 3", "line 1, column 6: expected a distance such as `+3`, found `3`"),
        ("goto nowhere", "line 1, column 1: there is no label `nowhere`"),
        ("call nobody", "line 1, column 1: no function, label or helper is called `nobody`"),
        ("r0 = 0 exit", "line 1, column 8: expected the end of the line or `ll`, found `exit`"),
        ("exit /* never closed", "line 1, column 6: expected `*/` to close this comment"),
        ("r0 = 1 é", "line 1, column 8: unexpected character 'é'"),
        ("a: r0 = 0\na: exit", "line 2, column 1: label `a` stands twice in this function"),
        (".long 5", "line 1, column 1: directive `.long` is not supported"),
        (".map m key=4", "line 1, column 6: map `m` has no type"),
        (".map m type=array key=x", "line 1, column 23: expected a number up to 4294967295, found `x`"),
        ("(b7) r0 += 1", "line 1, column 9: expected `=`, found `+=`"),
        ("(ff) r0 += 1", "line 1, column 6: no instruction has the opcode 0xff"),
        ("lock *(u64 *)(r1 + 0) -= r2", "line 1, column 23: expected `+=`, `|=`, `&=` or `^=`, found `-=`"),
    ] {
        let got = refused(text);
        assert!(got.starts_with(want), "{text}\n got {got}\nwant {want}");
    }
    assert!(refused("r0 = 0 ; exit").contains("opens a comment"));
    let far = format!("goto out\n{}out: exit", "r0 = 0\n".repeat(40_000));
    assert!(refused(&far).contains("use `gotol`"), "{}", refused(&far));
    assert!(assemble(&far.replacen("goto", "gotol", 1)).is_ok());
    assert!(assemble("r1 = map[m] ll").unwrap_err().to_string().contains("names a map"));
}

const PROGRAM: &str = "
.license \"Dual MIT/GPL\"
.map protocols type=array key=4 value=8 max_entries=256 flags=BPF_F_MMAPABLE|0x400 pinning=by_name
.section socket
.globl count
count:
    r6 = r1
    r1 = map[protocols] ll
    call bpf_map_lookup_elem
    call twice
    r2 = map[protocols][0]+16 ll
    r3 = thrice ll
    exit
SEC(\"tc/ingress\")
other:
    call twice
    exit
.text
twice:
    r0 = r1
    call thrice
    exit
    .type thrice,@function
thrice:
    if r1 == 0 goto done
    r0 = 3
done:
    exit
";

#[test]
fn whole_programs_have_sections_functions_maps_and_references() {
    let assembly = Assembler::new().with_names(&resolve).assemble(PROGRAM).unwrap();
    assert_eq!(assembly.license.as_deref(), Some("Dual MIT/GPL"));
    let [map] = &assembly.maps[..] else { panic!("{:?}", assembly.maps) };
    assert_eq!((map.name.as_str(), map.map_type.as_str()), ("protocols", "array"));
    assert_eq!((map.key_size, map.value_size, map.max_entries), (4, 8, 256));
    assert_eq!(map.flags, ["BPF_F_MMAPABLE", "0x400"]);
    assert_eq!(map.other, [("pinning".to_string(), "by_name".to_string())]);
    let list: Vec<_> =
        assembly.functions.iter().map(|f| (f.name.as_str(), f.section.as_str(), f.global)).collect();
    assert_eq!(
        list,
        [
            ("count", "socket", true),
            ("other", "tc/ingress", false),
            ("twice", ".text", false),
            ("thrice", ".text", false)
        ]
    );
    let programs: Vec<_> = assembly.programs().map(|f| f.name.as_str()).collect();
    assert_eq!(programs, ["count", "other"]);
    let count = assembly.function("count").unwrap();
    let kinds: Vec<_> = count.relocations.iter().map(|r| (r.slot, r.kind, r.name.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (1, RelocationKind::Map, "protocols"),
            (4, RelocationKind::Call, "twice"),
            (5, RelocationKind::MapValue, "protocols"),
            (7, RelocationKind::Code, "thrice")
        ]
    );
    assert!(count.relocations.iter().all(|r| r.fits(&count.insns)));
    assert_eq!(count.lines, [7, 8, 8, 9, 10, 11, 11, 12, 12, 13]);

    let linked = assembly.link("count").unwrap();
    assert_eq!(
        linked.functions,
        [("count".to_string(), 0), ("twice".to_string(), 10), ("thrice".to_string(), 13)]
    );
    let text = Listing::new(&linked.insns, Dialect::Kernel).to_string();
    assert!(text.contains("4: (85) call pc+5\n"), "{text}");
    assert!(text.contains("7: (18) r3 = subprog[+5]\n"), "{text}");
    assert!(text.contains("11: (85) call pc+1\n"), "{text}");
    assert_eq!(linked.relocations.len(), 2);
    assert!(assembly.link("nobody").is_none());
}

#[test]
fn labels_of_another_function_are_out_of_reach() {
    let e = refused(".text\n.globl a\na: goto x\n.globl b\nb: x: exit");
    assert!(e.contains("is in function `b`"), "{e}");
}

#[test]
fn arbitrary_text_never_panics() {
    let words = [
        "r1",
        "w2",
        "=",
        "+=",
        "if",
        "goto",
        "+",
        "-",
        "3",
        "0x",
        "1f",
        "(",
        ")",
        "*",
        "u32",
        "skb",
        "[",
        "]",
        ";",
        ":",
        "map",
        "call",
        "#",
        "\"",
        "/*",
        "*/",
        "//",
        "\n",
        ".section",
        ".map",
        "SEC",
        "ll",
        "<",
        ">",
        "é",
        "lock",
        "99999999999999999999",
        ".globl",
        "x",
        ",",
        "@",
        "exit",
        "(b7)",
    ];
    let mut rng = random(5);
    let mut ok = 0;
    for _ in 0..rounds(4_000) {
        let text: Vec<_> = (0..rng() % 12).map(|_| words[(rng() % words.len() as u64) as usize]).collect();
        let sep = if rng() & 1 == 0 { " " } else { "" };
        ok += u32::from(Assembler::new().assemble(&text.join(sep)).is_ok());
    }
    assert!(ok > 0);
}

#[test]
fn damaged_programs_never_panic() {
    let mut rng = random(9);
    let chars: Vec<char> = PROGRAM.chars().collect();
    let (mut ok, mut bad) = (0, 0);
    for _ in 0..rounds(1_500) {
        let mut text = chars.clone();
        for _ in 0..1 + rng() % 3 {
            let at = (rng() % text.len() as u64) as usize;
            match rng() % 3 {
                0 => drop(text.remove(at)),
                1 => text.insert(at, chars[(rng() % chars.len() as u64) as usize]),
                _ => text.truncate(at + 1),
            }
        }
        let text: String = text.into_iter().collect();
        match Assembler::new().with_names(&resolve).assemble(&text) {
            Ok(assembly) => {
                for function in &assembly.functions {
                    let all_fit = function.relocations.iter().all(|r| r.fits(&function.insns));
                    assert!(all_fit && function.insns.len() == function.lines.len());
                    assembly.link(&function.name);
                }
                ok += 1;
            }
            Err(e) => {
                assert!(e.line() as usize <= text.lines().count() + 1, "{e}\n{text}");
                bad += 1;
            }
        }
    }
    assert!(ok > 0 && bad > 0, "{ok} {bad}");
}

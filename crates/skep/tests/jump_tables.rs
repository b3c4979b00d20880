//! Jump tables of clang 22 (`gotox`, maps of type `insn_array`), on both backends: neither skep's verifier nor Linux 6.18
//! knows them, so they run as comparisons.

use std::process::Command;

use skep::spec::RunInput;
use skep::{Backend, Loaded, Object};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/jumptables.bpf.o");

/// `struct __sk_buff` with a mark and a priority.
fn context(mark: u32) -> Vec<u8> {
    let mut ctx = vec![0; 192];
    ctx[8..12].copy_from_slice(&mark.to_ne_bytes());
    ctx[32..36].copy_from_slice(&1234u32.to_ne_bytes());
    ctx
}

fn run(loaded: &Loaded, program: &str, mark: u32, len: usize) -> u32 {
    let (data, ctx) = (vec![0; len], context(mark));
    let input = RunInput { data: &data, ctx: &ctx, repeat: 1 };
    loaded.program(program).expect("it is loaded").test_run(input).expect("it runs").retval
}

fn backends() -> Vec<Backend> {
    let linux = Backend::linux().map_err(|e| println!("skipped: {e}"));
    [Some(Backend::user()), linux.ok()].into_iter().flatten().collect()
}

#[test]
fn a_switch_goes_where_its_source_says() {
    if cfg!(target_endian = "big") {
        return;
    }
    let object = Object::open(FIXTURE).expect("a committed object");
    let all: Vec<Loaded> =
        backends().iter().map(|b| object.load(b).unwrap_or_else(|e| panic!("{}: {e}", b.name()))).collect();
    for mark in (0..20).chain([255, u32::MAX]) {
        for len in [14, 18, 20, 27, 64] {
            let answers: Vec<u32> = all.iter().map(|l| run(l, "jumps", mark, len)).collect();
            assert!(answers.iter().all(|a| *a == answers[0]), "mark {mark}, {len} bytes: {answers:?}");
            let meant = match mark {
                0 => 30,
                1 => 170,
                3 => 50,
                5 => 90,
                7 => 770,
                9 => 1234,
                10 => 40,
                11 => 990,
                15.. => 1,
                _ => continue,
            };
            assert_eq!(answers[0], meant, "mark {mark}");
        }
    }
}

const SOURCE: &str = r#"
typedef unsigned int u32;
struct __sk_buff { u32 len, pkt_type, mark; };
#define SEC(name) __attribute__((section(name), used))

static __attribute__((noinline)) u32 step(u32 code, u32 x)
{
    switch (code % 24) {
    case 0: x += 7; break;
    case 1: x *= 2; break;
    case 2: x -= 3; break;
    case 3: x = ~x; break;
    case 4: x ^= 0x55; break;
    case 5: x <<= 1; break;
    case 6: x += code; break;
    case 7: x >>= 1; break;
    case 8: x |= 9; break;
    case 9: x += 1000; break;
    case 10: x -= code; break;
    case 11: x *= 11; break;
    case 12: x ^= code; break;
    case 13: x += 1; break;
    case 14: x = x * x; break;
    case 15: x &= 0xffff; break;
    case 16: x += 31; break;
    case 17: x -= 77; break;
    case 18: x *= 5; break;
    case 19: x = -x; break;
    default: break;
    }
    return x;
}

SEC("socket") int many(struct __sk_buff *skb)
{
    u32 x = skb->len, code = skb->mark;
    for (u32 i = 0; i < 6; i++) {
        x = step(code, x);
        code = code * 5 + 1;
    }
    switch (skb->mark) {
    case 0: x += 1; break; case 1: x *= 3; break; case 2: return 77; case 3: x += 9; break; case 4: return 5;
    case 5: x ^= 0x55; break; case 6: return 1000; case 7: x <<= 3; break; case 8: return 3; case 9: x *= 11; break;
    case 10: return 12; case 11: x -= 1; break; case 12: x = ~x; break; case 13: return 99; case 14: x |= 1; break;
    case 15: x *= x; break; case 16: return x >> 3;
    default: x += 2;
    }
    return x;
}

SEC("socket") int length(struct __sk_buff *skb) { return skb->len; }

char _license[] SEC("license") = "GPL";
"#;

/// `many` by hand.
fn meant(mark: u32, len: u32) -> u32 {
    let (mut x, mut code) = (len, mark);
    for _ in 0..6 {
        match code % 24 {
            0 => x = x.wrapping_add(7),
            1 => x = x.wrapping_mul(2),
            2 => x = x.wrapping_sub(3),
            3 => x = !x,
            4 => x ^= 0x55,
            5 => x <<= 1,
            6 => x = x.wrapping_add(code),
            7 => x >>= 1,
            8 => x |= 9,
            9 => x = x.wrapping_add(1000),
            10 => x = x.wrapping_sub(code),
            11 => x = x.wrapping_mul(11),
            12 => x ^= code,
            13 => x = x.wrapping_add(1),
            14 => x = x.wrapping_mul(x),
            15 => x &= 0xffff,
            16 => x = x.wrapping_add(31),
            17 => x = x.wrapping_sub(77),
            18 => x = x.wrapping_mul(5),
            19 => x = x.wrapping_neg(),
            _ => {}
        }
        code = code.wrapping_mul(5).wrapping_add(1);
    }
    match mark {
        0 => x.wrapping_add(1),
        1 => x.wrapping_mul(3),
        2 => 77,
        3 => x.wrapping_add(9),
        4 => 5,
        5 => x ^ 0x55,
        6 => 1000,
        7 => x << 3,
        8 => 3,
        9 => x.wrapping_mul(11),
        10 => 12,
        11 => x.wrapping_sub(1),
        12 => !x,
        13 => 99,
        14 => x | 1,
        15 => x.wrapping_mul(x),
        16 => x >> 3,
        _ => x.wrapping_add(2),
    }
}

/// A switch in a loop, in a function and behind it, by the clang that is here.
#[test]
fn switches_of_the_clang_that_is_here() {
    if cfg!(target_endian = "big") {
        return;
    }
    let dir = std::env::temp_dir().join(format!("skep-jump-tables-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("room for files");
    let source = dir.join("many.c");
    std::fs::write(&source, SOURCE).expect("room for a file");
    let out = dir.join("many.o");
    let options = ["-target", "bpf", "-mcpu=v4", "-O2", "-g", "-Wno-everything", "-c", "-o"];
    let done = Command::new("clang-22").args(options).arg(&out).arg(&source).output();
    let bytes = std::fs::read(&out);
    std::fs::remove_dir_all(&dir).expect("our own files");
    let bytes = match (done, bytes) {
        (Ok(done), Ok(bytes)) if done.status.success() => bytes,
        (Ok(done), _) => return println!("skipped: clang-22: {}", String::from_utf8_lossy(&done.stderr)),
        (Err(e), _) => return println!("skipped: clang-22: {e}"),
    };
    let tables = Object::parse("many.o", &bytes).expect("clang's");
    let indirect = 0x0d;
    assert!(tables.maps().iter().all(|m| m.name != ".jumptables"), "tables belong to programs");
    for backend in backends() {
        let loaded = tables.load(&backend).unwrap_or_else(|e| panic!("{}: {e}", backend.name()));
        let spec = tables.program("many").expect("it is there");
        assert!(spec.maps.iter().any(|m| m.name == ".jumptables"), "clang made no table");
        assert!(spec.insns.iter().all(|i| i.opcode != indirect));
        for mark in (0..40).chain([u32::MAX]) {
            for len in [14, 33, 64] {
                let seen = run(&loaded, "length", mark, len);
                let (answer, meant) = (run(&loaded, "many", mark, len), meant(mark, seen));
                assert_eq!(answer, meant, "{}: mark {mark}, {seen} bytes", backend.name());
            }
        }
    }
}

//! What `clang -S` writes assembles to what `clang -c` encodes. Skipped where clang is missing.

use std::io::Write as _;
use std::process::{Command, Stdio};

use skep_isa::Endian;
use skep_isa::text::Assembler;

const SOURCE: &str = r#"
struct ctx { int a; unsigned char b; unsigned short c; long d; };
typedef int (*helper)(void *, int);
static helper trace = (helper)6;
static __attribute__((noinline)) int sub(int a, long *p)
{
    if (a > 3)
        return (int)__sync_fetch_and_add(p, a);
    return (signed char)a / 2u + (p[1] < -7);
}
__attribute__((section("socket"), used)) int count(struct ctx *c)
{
    long x[2] = { c->a, 0x123456789abcdef };
    volatile short s = c->c;
    unsigned int r = 0;
    for (int i = 0; i < c->a; i++) {
        r += sub(i, x);
        r ^= s;
        x[0] = __builtin_bswap64(x[0]) * -3;
        if (__sync_val_compare_and_swap(&c->d, r, i) == 5)
            trace(&x, sizeof(x));
    }
    __sync_fetch_and_or(&c->d, 1);
    return r % (unsigned int)c->a + (c->d >> 3) + (r >> c->b) - __builtin_bswap16(c->c);
}
__attribute__((section("tc/ingress"), used)) int other(struct ctx *c)
{
    unsigned long v = c->d;
    c->b = 7;
    c->c = v;
    return v / 10 > c->a ? -sub(c->b, &c->d) : (v & 0xffffffff00000000ull) != 0;
}
char _license[] __attribute__((section("license"))) = "Dual MIT/GPL";
"#;

fn clang(args: &[&str]) -> Option<Vec<u8>> {
    let mut child = ["clang-19", "clang"].iter().find_map(|clang| {
        Command::new(clang)
            .args(["-O2", "-target", "bpfel", "-x", "c", "-w", "-o", "-"])
            .args(args)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    })?;
    child.stdin.take().unwrap().write_all(SOURCE.as_bytes()).ok()?;
    let out = child.wait_with_output().ok()?;
    out.status.success().then_some(out.stdout)
}

#[test]
fn clangs_assembly_assembles_to_clangs_object() {
    for cpu in ["-mcpu=v1", "-mcpu=v2", "-mcpu=v3", "-mcpu=v4"] {
        let (Some(text), Some(object)) = (clang(&["-S", cpu]), clang(&["-c", cpu])) else {
            // v1 lacks what compare-and-swap needs, older compilers lack v4.
            println!("skipped: no clang that compiles this for {cpu}");
            continue;
        };
        let text = String::from_utf8(text).unwrap();
        let assembly = Assembler::new().assemble(&text).unwrap_or_else(|e| panic!("{cpu}: {e}\n{text}"));
        assert_eq!(assembly.license.as_deref(), Some("Dual MIT/GPL"));
        let names: Vec<_> = assembly.functions.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["count", "sub", "other"]);
        for function in &assembly.functions {
            let bytes: Vec<u8> = function.insns.iter().flat_map(|i| i.to_bytes(Endian::Little)).collect();
            assert!(
                object.windows(bytes.len()).any(|w| w == bytes),
                "{cpu}: {} differs from clang's object",
                function.name
            );
        }
        println!("{cpu}: {} functions agree", names.len());
    }
}

//! `skep check --extends`: programs that replace a function of another. Skipped without clang.

mod common;
use std::collections::BTreeMap;

use common::{Scratch, clang, code, run, stderr, stdout};
use serde_json::Value as Json;

const WHOLE: &str = r#"
__noinline int inner(struct __sk_buff *ctx) { return ctx->len; }
__noinline int two(struct __sk_buff *ctx, int n) { return ctx->len + n; }
static __noinline int hidden(struct __sk_buff *ctx) { asm volatile("" :: "r"(ctx)); return 2; }
SEC("tc") int whole(struct __sk_buff *ctx) { return inner(ctx) + two(ctx, 1) + hidden(ctx); }
SEC("tc") int other(struct __sk_buff *ctx) { return 0; }
"#;

const PARTS: &str = r#"
SEC("freplace/inner") int good(struct __sk_buff *ctx) { return ctx->pkt_type; }
SEC("freplace/two") int good_two(struct __sk_buff *ctx, int n) { return n; }
SEC("freplace/two") int too_few(struct __sk_buff *ctx) { return 1; }
SEC("freplace/hidden") int of_static(struct __sk_buff *ctx) { return 1; }
SEC("freplace/nosuch") int of_nothing(struct __sk_buff *ctx) { return 1; }
SEC("freplace/inner") int beyond(struct __sk_buff *ctx) { return *(u32 *)((char *)ctx + 4000); }
"#;

/// The verdict and the words on each program.
fn verdicts(args: &[&str]) -> (i32, BTreeMap<String, (String, String)>) {
    let output = run(args);
    let text = stdout(&output);
    let reports = text.lines().map(|l| serde_json::from_str::<Json>(l).expect("a line of JSON"));
    let words = |v: &Json| v.as_str().unwrap_or("").to_owned();
    let all = reports.map(|r| (words(&r["program"]), (words(&r["verdict"]), words(&r["error"]["message"]))));
    (code(&output), all.collect())
}

#[test]
fn extensions_are_verified_as_what_they_replace() {
    let scratch = Scratch::new();
    let Some(whole) = clang::compile(&scratch, "whole", WHOLE) else { return };
    let Some(parts) = clang::compile(&scratch, "parts", PARTS) else { return };
    let (status, all) = verdicts(&["check", "--json", "--extends", &format!("{whole}:whole"), &parts]);
    assert_eq!((status, all.len()), (1, 6), "{all:?}");
    let expected = [
        ("good", "accepted", ""),
        ("good_two", "accepted", ""),
        ("too_few", "rejected", "too_few() has 1 args while two() has 2 args"),
        ("of_static", "rejected", "Cannot replace static functions"),
        ("of_nothing", "rejected", "Subprog nosuch doesn't exist"),
        ("beyond", "rejected", "invalid bpf_context access off=4000 size=4"),
    ];
    for (program, verdict, words) in expected {
        assert_eq!(all[program].0, verdict, "{program}: {}", all[program].1);
        assert!(all[program].1.contains(words), "{program}: {}", all[program].1);
    }
    // The same functions are not there in another program of the object.
    let (_, all) = verdicts(&["check", "--json", "--extends", &format!("{whole}:other"), &parts]);
    assert!(all["good"].0 == "rejected" && all["good"].1.contains("Subprog inner doesn't exist"), "{all:?}");
}

#[test]
fn without_what_it_replaces_there_is_no_verdict() {
    let scratch = Scratch::new();
    let Some(parts) = clang::compile(&scratch, "parts", PARTS) else { return };
    let (status, all) = verdicts(&["check", "--json", &parts]);
    assert_eq!((status, all["good"].0.as_str()), (1, "unsupported"));
    assert!(all["good"].1.contains("--extends"), "{}", all["good"].1);
}

#[test]
fn what_is_extended_must_be_named_and_there() {
    let scratch = Scratch::new();
    let Some(whole) = clang::compile(&scratch, "whole", WHOLE) else { return };
    let Some(parts) = clang::compile(&scratch, "parts", PARTS) else { return };
    let error = |extends: &str| {
        let output = run(["check", "--extends", extends, &parts]);
        assert!(stdout(&output).is_empty(), "{}", stdout(&output));
        (code(&output), stderr(&output))
    };
    let (status, words) = error(&whole);
    assert_eq!(status, 2, "{words}");
    assert!(words.contains("has 2 programs: name one") && words.contains("(whole, other)"), "{words}");
    let (status, words) = error(&format!("{whole}:nosuch"));
    assert_eq!(status, 2, "{words}");
    assert!(words.contains("no program `nosuch`") && words.contains("whole"), "{words}");
    let (status, words) = error("nowhere.bpf.o:whole");
    assert_eq!(status, 2, "{words}");
    assert!(words.contains("nowhere.bpf.o"), "{words}");
    let junk = scratch.file("junk.o", "\x7fELFjunk");
    let (status, words) = error(&junk);
    assert_eq!(status, 2, "{words}");
    assert!(words.contains("junk.o"), "{words}");
    // An extension of an extension.
    let (status, all) = verdicts(&["check", "--json", "--extends", &format!("{parts}:good"), &parts]);
    assert_eq!(status, 1);
    assert_eq!(all["good"], ("rejected".to_owned(), "Cannot recursively attach".to_owned()));
    // The kernel cannot be asked at the same time.
    let output = run(["check", "--linux", "--extends", &whole, &parts]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
}

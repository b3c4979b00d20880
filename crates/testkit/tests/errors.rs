//! Every kind of rejection: its program is refused with it, the repaired one accepted, by skep and by Linux; and
//! `docs/errors.md` says so. `BLESS=1` writes the page.

use std::fmt::Write as _;
use std::path::Path;

use skep_spec::{Environment, ProgramSpec};
use skep_testkit::case;
use skep_testkit::oracle::{Oracle, Privilege, Verdict, kernel::Kernel};
use skep_verifier::{Code, Example, GUIDES, Options, verify};

fn program(text: &str) -> ProgramSpec {
    let programs = case::source::assemble(text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    programs.into_iter().next().unwrap_or_else(|| panic!("no program:\n{text}"))
}

#[test]
fn every_code_is_explained() {
    let explained: Vec<Code> = GUIDES.iter().map(|g| g.code).collect();
    assert_eq!(explained, Code::ALL, "crates/verifier/src/report/guide.rs: one block a code, in this order");
    for guide in GUIDES {
        assert!(guide.advice.len() > 40 && guide.advice.ends_with('.'), "{}", guide.code);
    }
}

#[test]
fn wrong_programs_are_refused_and_right_ones_accepted() {
    let kernel = Kernel.available().map_err(|why| println!("skipped: Linux's verdicts: {why}")).is_ok();
    let mut wrongs = Vec::new();
    for guide in GUIDES {
        let Some(Example { wrong, right, unprivileged }) = guide.example else { continue };
        let mut env = if unprivileged { Environment::unprivileged() } else { Environment::default() };
        env.cpus = 1;
        let options = Options { most_insns: 100_000, ..Options::default() };
        let ask = |text: &str| verify(&program(text), &env, &options);
        match (ask(wrong), ask(right)) {
            (Err(e), Ok(_)) if e.code() == guide.code => {}
            (Err(e), Ok(_)) => wrongs.push(format!("{}: refused as {}: {e}", guide.code, e.code())),
            (Ok(_), _) => wrongs.push(format!("{}: accepted:\n{wrong}", guide.code)),
            (Err(_), Err(e)) => wrongs.push(format!("{}: refused: {e}\n{right}", guide.code)),
        }
        let who = if unprivileged { Privilege::Unprivileged } else { Privilege::Privileged };
        if kernel {
            let verdicts = [wrong, right].map(|text| Kernel.verdict(&program(text), who));
            match &verdicts {
                [Verdict::Rejected { log }, Verdict::Accepted] => {
                    let refused = log.contains("the kernel's verifier refuses it");
                    if refused && !guide.linux.iter().any(|words| says(log, words)) {
                        wrongs.push(format!(
                            "{}: Linux says otherwise: {}",
                            guide.code,
                            verdicts[0].last_words()
                        ));
                    }
                }
                [Verdict::Skipped(why), _] | [_, Verdict::Skipped(why)] => {
                    println!("skipped: {}: {why}", guide.code);
                }
                other => {
                    let words = other.each_ref().map(Verdict::last_words);
                    wrongs.push(format!("{}: Linux: {words:?}", guide.code));
                }
            }
        }
    }
    assert!(wrongs.is_empty(), "{}", wrongs.join("\n"));
}

/// Whether a line has the words, `…` standing for any.
fn says(log: &str, words: &str) -> bool {
    log.lines().any(|line| {
        let mut rest = Some(line);
        for part in words.split('…') {
            rest = rest.and_then(|r| r.find(part).map(|at| &r[at + part.len()..]));
        }
        rest.is_some()
    })
}

fn page() -> String {
    let mut out = String::from(
        "# Why a program is refused\n\n\
         Written by `BLESS=1 cargo test -p skep-testkit --test errors` from `crates/verifier/src/report/guide.rs`; do \
         not edit. `skep explain CODE` prints the same. The words of codes stay the same over releases.\n\n\
         The programs are texts for `skep check FILE.s`, the wrong one first.\n\n",
    );
    for guide in GUIDES {
        let _ = writeln!(out, "## {}\n\n{}\n\n{}\n", guide.code, guide.code.meaning(), guide.advice);
        if !guide.linux.is_empty() {
            let words: Vec<_> = guide.linux.iter().map(|w| format!("- `{w}`")).collect();
            let _ = writeln!(out, "Linux says:\n\n{}\n", words.join("\n"));
        }
        if let Some(Example { wrong, right, unprivileged }) = guide.example {
            let who = if unprivileged { " Loaded without capabilities (`--unprivileged`):" } else { "" };
            if !who.is_empty() {
                let _ = writeln!(out, "{}\n", who.trim());
            }
            let _ = writeln!(out, "```\n{wrong}```\n\n```\n{right}```\n");
        }
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

#[test]
fn the_page_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = page();
    if std::env::var_os("BLESS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &page).expect("docs/ is writable");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/errors.md is out of date; BLESS=1 rewrites it");
}

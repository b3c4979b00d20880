//! Totals, and what differs in groups.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::record::{Answer, Record};

/// How many groups of refusals the page shows for each kind of program.
const GROUPS: usize = 60;

/// A name, and what counts under it.
type Count = (&'static str, fn(&Record) -> bool);

/// Kinds of programs that are counted apart.
const KINDS: &[Count] = &[
    ("`verifier_*`", |r| is_verifier(r) && !r.unprivileged),
    ("`verifier_*`, unprivileged", |r| is_verifier(r) && r.unprivileged),
    ("others with tags", |r| !is_verifier(r) && r.expect.is_some()),
    ("without tags", |r| !is_verifier(r) && r.expect.is_none()),
];

fn is_verifier(r: &Record) -> bool {
    r.file.starts_with("verifier_") && r.expect.is_some()
}

/// How skep's answer stands to the verdict that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Agrees,
    RefusesAccepted,
    Unsupported,
    AcceptsRefused,
    /// Nobody knows better: neither kernel nor tags.
    Unknown,
    Died,
}

fn outcome(r: &Record) -> Outcome {
    match (&r.skep, r.wanted()) {
        (Answer::Died(_), _) => Outcome::Died,
        (Answer::Unsupported(_) | Answer::NoVerdict | Answer::NoVerdictFor(_), Some(_)) => {
            Outcome::Unsupported
        }
        (_, None) => Outcome::Unknown,
        (Answer::Accepted, Some(true)) | (Answer::Refused(_), Some(false)) => Outcome::Agrees,
        (Answer::Refused(_), Some(true)) => Outcome::RefusesAccepted,
        (Answer::Accepted, Some(false)) => Outcome::AcceptsRefused,
    }
}

/// The page about all answers, with what did not compile and what could not be read.
pub fn page(release: &str, records: &[Record], failed: &[(String, String)]) -> String {
    let mut out = format!(
        "# The kernel's own tests\n\n\
         Written by `cargo xtask selftests`; do not edit. The programs of tools/testing/selftests/bpf of Linux 6.12, \
         compiled by clang 19, asked of Linux {release} and of skep. The kernel's verdict counts; where it has none \
         (no permission for the attach point, a map or function that it lacks), that of the program's tags.\n\n"
    );
    out += &totals(records);
    out += &runs(records);
    out += &accepted(records);
    for (name, of_kind) in KINDS {
        out += &groups(name, records.iter().filter(|r| of_kind(r)));
    }
    if !failed.is_empty() {
        out += "## Not compiled or not read\n\n";
        for (file, why) in failed {
            let _ = writeln!(out, "- {file}: {}", escaped(why));
        }
    }
    out
}

/// Whether skep accepts what it should not.
pub fn accepts_too_much(records: &[Record]) -> bool {
    records.iter().any(|r| outcome(r) == Outcome::AcceptsRefused)
}

const COUNTS: &[Count] = &[
    ("programs", |_| true),
    ("the kernel has a verdict", |r| r.kernel.accepted().is_some()),
    ("… another than the tags", |r| {
        r.kernel.accepted().zip(r.expect).is_some_and(|(kernel, tags)| kernel != tags)
    }),
    ("to be accepted", |r| r.wanted() == Some(true)),
    ("to be refused", |r| r.wanted() == Some(false)),
    ("**skep agrees**", |r| outcome(r) == Outcome::Agrees),
    ("skep does not support it", |r| outcome(r) == Outcome::Unsupported),
    ("skep refuses it, and it is to be accepted", |r| outcome(r) == Outcome::RefusesAccepted),
    ("skep accepts it, and it is to be refused", |r| outcome(r) == Outcome::AcceptsRefused),
    ("nobody has a verdict", |r| outcome(r) == Outcome::Unknown),
    ("no answer", |r| outcome(r) == Outcome::Died),
];

fn totals(records: &[Record]) -> String {
    let mut out = String::from("| |");
    for (name, _) in KINDS {
        let _ = write!(out, " {name} |");
    }
    out += "\n|---|";
    out += &"---|".repeat(KINDS.len());
    for (what, counts) in COUNTS {
        let _ = write!(out, "\n| {what} |");
        for (_, of_kind) in KINDS {
            let _ = write!(out, " {} |", records.iter().filter(|r| of_kind(r) && counts(r)).count());
        }
    }
    out + "\n\n"
}

fn runs(records: &[Record]) -> String {
    let of = |start: &str| records.iter().filter(|r| r.returns.starts_with(start)).collect::<Vec<_>>();
    let (equal, differs, not) = (of("equal"), of("differs"), of("not run"));
    let mut out = format!(
        "## Test runs\n\nResults equal {}, different {}, not run {}.\n\n",
        equal.len(),
        differs.len(),
        not.len()
    );
    for r in differs {
        let _ = writeln!(out, "- {}: {}", r.name(), escaped(&r.returns));
    }
    let mut whys: BTreeMap<&str, usize> = BTreeMap::new();
    for r in not {
        *whys.entry(r.returns.as_str()).or_default() += 1;
    }
    for (why, n) in whys {
        let _ = writeln!(out, "- {n} × {}", escaped(why));
    }
    out + "\n"
}

fn accepted(records: &[Record]) -> String {
    let mut out = String::from("## Accepted, though to be refused\n\n");
    let all: Vec<_> = records.iter().filter(|r| outcome(r) == Outcome::AcceptsRefused).collect();
    if all.is_empty() {
        out += "None.\n";
    }
    for r in all {
        let why = match &r.kernel {
            Answer::Refused(why) => why.as_str(),
            _ => "the tags say so",
        };
        let _ = writeln!(out, "- {}: {}", r.name(), escaped(why));
    }
    for r in records.iter().filter(|r| outcome(r) == Outcome::Died) {
        let _ = writeln!(out, "- {}: no answer: {}", r.name(), escaped(r.skep.words()));
    }
    out + "\n"
}

/// Refusals of what is to be accepted, and features that are missing, by skep's words.
fn groups<'r>(kind: &str, records: impl Iterator<Item = &'r Record>) -> String {
    let mut groups: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for r in records {
        if matches!(outcome(r), Outcome::RefusesAccepted | Outcome::Unsupported) {
            groups.entry(general(r.skep.words())).or_default().push(r);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(words, all)| (std::cmp::Reverse(all.len()), words.clone()));
    let mut out = format!(
        "## Refused or not supported: {kind}\n\n| programs | to be accepted | skep says | for example |\n|---|---|---|---|\n"
    );
    for (words, all) in groups.iter().take(GROUPS) {
        let good = all.iter().filter(|r| r.wanted() == Some(true)).count();
        let (n, first) = (all.len(), all[0]);
        let _ = writeln!(out, "| {n} | {good} | {} | {}: {} |", escaped(words), first.file, first.program);
    }
    let rest: usize = groups.iter().skip(GROUPS).map(|(_, all)| all.len()).sum();
    if rest > 0 {
        let _ = writeln!(out, "| {rest} | | {} more reasons | |", groups.len() - GROUPS);
    }
    out + "\n"
}

/// Words without what differs from case to case: numbers that stand alone become `#`, and registers `R#`; a map is
/// named by its type.
fn general(words: &str) -> String {
    let words = match words.split_once(": map type ") {
        Some((_, kind)) if words.contains("not supported yet: map ") => {
            &format!("not supported yet: map type {kind}")
        }
        _ => words,
    };
    let mut out = String::new();
    let mut chars = words.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let starts =
            !before.is_alphanumeric() && !['_', '#'].contains(&before) || before == 'R' && out.len() == 1;
        if c.is_ascii_digit() && starts {
            while chars.peek().is_some_and(|c| c.is_ascii_hexdigit() || *c == 'x') {
                chars.next();
            }
            out.push('#');
            before = '#';
        } else {
            out.push(c);
            before = c;
        }
    }
    out
}

/// For a table's cell or a list's line.
fn escaped(words: &str) -> String {
    words.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_no_groups() {
        assert_eq!(general("R3 invalid mem access 'scalar'"), "R# invalid mem access 'scalar'");
        assert_eq!(
            general("helper bpf_l3_csum_replace at 0x1f, off=-8"),
            "helper bpf_l3_csum_replace at #, off=-#"
        );
    }

    #[test]
    fn the_kernel_counts_before_the_tags() {
        let mut r = Record { skep: Answer::Accepted, expect: Some(false), ..Record::default() };
        assert_eq!(outcome(&r), Outcome::AcceptsRefused);
        r.kernel = Answer::Accepted;
        assert_eq!(outcome(&r), Outcome::Agrees);
        r.kernel = Answer::Refused("why".into());
        assert_eq!(outcome(&r), Outcome::AcceptsRefused);
        (r.kernel, r.expect) = (Answer::NoVerdict, None);
        assert_eq!(outcome(&r), Outcome::Unknown);
    }
}

//! PREVAIL's column: verdicts, time and memory beside the kernel's and skep's.

use crate::prevail::{Outcome, Peer};
use crate::row::{Row, Verdict};

/// A kind of answer: its name, and whether it is the one to this verdict of the kernel's.
type Line = (&'static str, fn(Verdict, Outcome) -> bool);

const LINES: [Line; 7] = [
    ("both accept", |k, o| k == Verdict::Accepts && o == Outcome::Accepts),
    ("both refuse", |k, o| k == Verdict::Refuses && o == Outcome::Refuses),
    ("refuses what the kernel accepts", |k, o| k == Verdict::Accepts && o == Outcome::Refuses),
    ("accepts what the kernel refuses", |k, o| k == Verdict::Refuses && o == Outcome::Accepts),
    ("cannot read the program", |_, o| o == Outcome::Cannot),
    ("takes too long", |_, o| o == Outcome::Time),
    ("falls", |_, o| o == Outcome::Falls),
];

/// skep's verdict among those of PREVAIL.
fn skep(row: &Row) -> Outcome {
    match row.skep.verdict {
        Verdict::Accepts => Outcome::Accepts,
        Verdict::Refuses => Outcome::Refuses,
        Verdict::None => Outcome::Cannot,
    }
}

pub fn print(rows: &[Row], all: bool) {
    let asked: Vec<(&Row, &Peer)> = rows.iter().filter_map(|r| Some((r, r.prevail.as_ref()?))).collect();
    let accepted = asked.iter().filter(|(r, _)| r.kernel.verdict == Verdict::Accepts).count();
    println!(
        "\nbeside the kernel: {} programs, of which it accepts {accepted}\n{:<34} {:>8} {:>8}",
        asked.len(),
        "",
        "skep",
        "PREVAIL"
    );
    for (name, is) in LINES {
        let ours = asked.iter().filter(|(r, _)| is(r.kernel.verdict, skep(r))).count();
        let theirs = asked.iter().filter(|(r, p)| is(r.kernel.verdict, p.outcome)).count();
        println!("{name:<34} {ours:>8} {theirs:>8}");
    }
    let three: Vec<(&Row, &Peer)> =
        asked.iter().copied().filter(|(r, p)| r.both() && p.outcome == Outcome::Accepts).collect();
    if three.is_empty() {
        return;
    }
    println!(
        "\ntime, accepted by all three ({} programs)\n{:<18} {:>8} {:>8} {:>8}",
        three.len(),
        "",
        "mean",
        "sum",
        "worst"
    );
    line("skep / kernel", &three, |(r, _)| (r.skep.micros, r.kernel.micros));
    line("PREVAIL / kernel", &three, |(r, p)| (p.micros, r.kernel.micros));
    line("PREVAIL / skep", &three, |(r, p)| (p.micros, r.skep.micros));
    let measured: Vec<(&Row, &Peer)> = three.iter().copied().filter(|(r, _)| r.kib.is_some()).collect();
    if !measured.is_empty() {
        println!("\nmemory, where it was measured for both ({} programs)", measured.len());
        line("PREVAIL / skep", &measured, |(r, p)| (p.kib as f64, r.kib.unwrap_or(0) as f64));
    }
    if let Some((row, peer)) = three.iter().max_by_key(|(_, p)| p.kib) {
        println!("most memory: {} KiB, {}", peer.kib, row.name());
    }
    if all {
        println!(
            "\n{:<52} {:<8} {:<8} {:<8} {:>10} {:>8}",
            "program", "kernel", "skep", "PREVAIL", "us", "KiB"
        );
        for (row, peer) in asked {
            let kernel = format!("{:?}", row.kernel.verdict);
            let (ours, theirs) = (format!("{:?}", skep(row)), format!("{:?}", peer.outcome));
            println!(
                "{:<52} {kernel:<8} {ours:<8} {theirs:<8} {:>10.0} {:>8}  {}",
                row.name(),
                peer.micros,
                peer.kib,
                peer.why
            );
        }
    }
}

/// The ratios of one figure.
fn line(name: &str, of: &[(&Row, &Peer)], figure: impl Fn(&(&Row, &Peer)) -> (f64, f64)) {
    let figures: Vec<(f64, f64)> = of.iter().map(figure).collect();
    let ratios: Vec<f64> = figures.iter().map(|(a, b)| a.max(1.0) / b.max(1.0)).collect();
    let (above, below) = figures.iter().fold((0.0, 0.0), |s, f| (s.0 + f.0, s.1 + f.1));
    println!(
        "{name:<18} {:>8.2} {:>8.2} {:>8.2}",
        benches::geometric_mean(&ratios),
        above / below.max(1.0),
        ratios.iter().copied().fold(0.0, f64::max)
    );
}

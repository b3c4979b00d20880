//! The figures, skep over kernel.

use crate::row::Row;

/// How many of the worst are named.
const WORST: usize = 12;

/// A figure: its name, and its value for skep and for the kernel.
type Figure = (&'static str, fn(&Row) -> (f64, f64));

const FIGURES: [Figure; 5] = [
    ("time", |r| (r.skep.micros, r.kernel.micros)),
    ("time, again", |r| (r.skep.again, r.kernel.again)),
    ("steps", |r| (r.skep.insns as f64, r.kernel.insns as f64)),
    ("states", |r| (r.skep.total_states as f64, r.kernel.total_states as f64)),
    ("peak states", |r| (r.skep.peak_states as f64, r.kernel.peak_states as f64)),
];

fn ratio(row: &Row, figure: Figure) -> f64 {
    let (ours, theirs) = (figure.1)(row);
    // Small programs store no state.
    ours.max(1.0) / theirs.max(1.0)
}

pub fn print(objects: usize, rows: &[Row], all: bool) {
    let mut both: Vec<&Row> = rows.iter().filter(|r| r.both()).collect();
    let with = {
        let mut paths: Vec<&str> = both.iter().map(|r| r.path.as_str()).collect();
        paths.dedup();
        paths.len()
    };
    println!("{objects} objects, {} programs; both accept {} of {with} objects", rows.len(), both.len());
    if both.is_empty() {
        return;
    }
    for (what, group) in [
        ("all", both.clone()),
        ("1,000 steps and more", both.iter().copied().filter(|r| r.kernel.insns >= 1000).collect()),
    ] {
        println!("\nskep / kernel, {what} ({} programs)", group.len());
        println!("{:<12} {:>8} {:>8} {:>8} {:>8} {:>8}", "", "mean", "sum", "worst", "<= 1", "<= 0.5");
        for figure in FIGURES {
            let ratios: Vec<f64> = group.iter().map(|r| ratio(r, figure)).collect();
            let sum = group.iter().map(|r| (figure.1)(r)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
            let share = |most: f64| {
                let n = ratios.iter().filter(|r| **r <= most).count();
                format!("{:.0} %", 100.0 * n as f64 / ratios.len().max(1) as f64)
            };
            println!(
                "{:<12} {:>8.2} {:>8.2} {:>8.2} {:>8} {:>8}",
                figure.0,
                benches::geometric_mean(&ratios),
                sum.0 / sum.1,
                ratios.iter().copied().fold(0.0, f64::max),
                share(1.0),
                share(0.5)
            );
        }
    }
    for figure in FIGURES {
        both.sort_by(|a, b| ratio(b, figure).total_cmp(&ratio(a, figure)));
        println!("\nworst in {}", figure.0);
        rows_of(&both[..both.len().min(WORST)]);
    }
    both.sort_by_key(|r| std::cmp::Reverse(r.kernel.insns));
    println!("\nlargest");
    rows_of(&both[..if all { both.len() } else { both.len().min(2 * WORST) }]);
    let millions: Vec<&Row> = both.iter().copied().filter(|r| r.skep.insns >= 100_000).collect();
    let (insns, micros) =
        millions.iter().fold((0.0, 0.0), |(i, m), r| (i + r.skep.insns as f64, m + r.skep.micros));
    let (theirs, kernel) =
        millions.iter().fold((0.0, 0.0), |(i, m), r| (i + r.kernel.insns as f64, m + r.kernel.micros));
    println!(
        "\nof 100,000 steps and more, in million steps a second: skep {:.2}, kernel {:.2}",
        insns / micros,
        theirs / kernel
    );
    if let Some(most) = both.iter().filter(|r| r.kib.is_some()).max_by_key(|r| r.kib) {
        println!("most memory: {} KiB, {}", most.kib.unwrap_or(0), most.name());
    }
}

fn rows_of(rows: &[&Row]) {
    println!(
        "{:<52} {:>9} {:>9} {:>6} {:>7} {:>7} {:>6} {:>6} {:>6} {:>6} {:>8}",
        "program",
        "skep us",
        "kernel us",
        "ratio",
        "steps",
        "kernel",
        "ratio",
        "peak",
        "kernel",
        "ratio",
        "KiB"
    );
    for row in rows {
        let [time, _, steps, _, peak] = FIGURES;
        println!(
            "{:<52} {:>9.0} {:>9.0} {:>6.2} {:>7} {:>7} {:>6.2} {:>6} {:>6} {:>6.2} {:>8}",
            row.name(),
            row.skep.micros,
            row.kernel.micros,
            ratio(row, time),
            row.skep.insns,
            row.kernel.insns,
            ratio(row, steps),
            row.skep.peak_states,
            row.kernel.peak_states,
            ratio(row, peak),
            row.kib.map_or(String::new(), |k| k.to_string())
        );
    }
}

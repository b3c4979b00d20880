//! The plot of native code: from the first table of docs/performance.md's "Native code" to an SVG beside it.
//!
//! A row for each program, a dot for each compiler, at the ratio of its time to that of native code; the axis is
//! logarithmic.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::steps::Step;

/// What is drawn: the name in the table, the name in the plot, its colour.
const SERIES: [(&str, &str, &str); 4] = [
    ("skep", "skep", "#c2410c"),
    ("rbpf", "rbpf", "#2563eb"),
    ("sbpf", "solana-sbpf", "#7c3aed"),
    ("kernel", "Linux", "#4b5563"),
];

/// The first of the columns with ratios; they are skep, interp, rbpf, sbpf, kernel.
const RATIOS: usize = 7;
/// Names of the columns with ratios.
const COLUMNS: [&str; 5] = ["skep", "interp", "rbpf", "sbpf", "kernel"];

/// Least and largest ratio that the axis shows.
const AXIS: (f64, f64) = (0.25, 8.0);
/// Marks on it.
const MARKS: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// Where the axis begins, how long it is, and the height of a row, in pixels.
const LEFT: f64 = 110.0;
const WIDTH: f64 = 560.0;
const ROW: f64 = 22.0;
/// Height of what stands above the rows.
const TOP: f64 = 58.0;

/// Writes the plot.
pub fn plot(_: &[String]) -> Vec<Step> {
    let (page, picture) = paths();
    vec![Step::call("plot docs/native-code.svg", move || {
        let text = std::fs::read_to_string(&page).map_err(|e| format!("{}: {e}", page.display()))?;
        let svg = draw(&rows(&text)?);
        std::fs::write(&picture, svg).map_err(|e| format!("{}: {e}", picture.display()))
    })]
}

fn paths() -> (PathBuf, PathBuf) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    (docs.join("performance.md"), docs.join("native-code.svg"))
}

/// A program and its ratios, by column.
struct Row {
    name: String,
    ratios: [Option<f64>; 5],
}

/// The rows of the table, and one of their geometric means.
fn rows(page: &str) -> Result<Vec<Row>, String> {
    let section = page.split("\n## ").find(|s| s.starts_with("Native code"));
    let section = section.ok_or("docs/performance.md has no section \"Native code\"")?;
    let table = section.split("```").nth(1).ok_or("\"Native code\" has no table")?;
    let mut rows: Vec<Row> = Vec::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse::<f64>().ok();
        // Programs have a native time; the head and the means are words.
        if number(1).is_none() || number(RATIOS).is_none() {
            continue;
        }
        rows.push(Row { name: words[0].to_owned(), ratios: core::array::from_fn(|i| number(RATIOS + i)) });
    }
    if rows.is_empty() {
        return Err("the table of \"Native code\" has no programs".to_owned());
    }
    let mean = |column: usize| {
        let all: Vec<f64> = rows.iter().filter_map(|r| r.ratios[column]).collect();
        let sum: f64 = all.iter().map(|r| r.ln()).sum();
        (!all.is_empty()).then(|| (sum / all.len() as f64).exp())
    };
    rows.push(Row { name: "geometric mean".to_owned(), ratios: core::array::from_fn(mean) });
    Ok(rows)
}

/// Where on the axis a ratio is.
fn place(ratio: f64) -> f64 {
    let (least, most) = AXIS;
    let part = (ratio.clamp(least, most) / least).ln() / (most / least).ln();
    LEFT + part * WIDTH
}

fn draw(rows: &[Row]) -> String {
    let height = TOP + ROW * rows.len() as f64 + 28.0;
    let mut svg = String::new();
    let mut put = |line: String| writeln!(svg, "{line}").expect("a string takes everything");
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{height}\" viewBox=\"0 0 {w} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">",
        w = LEFT + WIDTH + 30.0
    ));
    put("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>".to_owned());
    put(format!(
        "<text x=\"{LEFT}\" y=\"18\" font-size=\"14\">Time of a run, as a multiple of native code's (less is better)</text>"
    ));
    for (i, (_, name, colour)) in SERIES.iter().enumerate() {
        let x = LEFT + 5.0 + 110.0 * i as f64;
        put(format!("<circle cx=\"{x}\" cy=\"36\" r=\"5\" fill=\"{colour}\"/>"));
        put(format!("<text x=\"{}\" y=\"40\">{name}</text>", x + 10.0));
    }
    let bottom = TOP + ROW * rows.len() as f64;
    for mark in MARKS {
        let (x, line) = (place(mark), if mark == 1.0 { "#111111" } else { "#d1d5db" });
        put(format!("<path d=\"M{x:.1} {TOP}V{bottom:.1}\" stroke=\"{line}\"/>"));
        put(format!("<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{mark}</text>", bottom + 18.0));
    }
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        let weight = if i + 1 == rows.len() { " font-weight=\"bold\"" } else { "" };
        put(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\"{weight}>{}</text>",
            LEFT - 8.0,
            y + 4.0,
            row.name
        ));
        // skep last, on top.
        for (column, name, colour) in SERIES.iter().rev() {
            let at = COLUMNS.iter().position(|c| c == column).expect("a column of the table");
            let Some(ratio) = row.ratios[at] else { continue };
            put(format!(
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\" fill-opacity=\"0.85\">\
                 <title>{}: {name} {ratio:.2}</title></circle>",
                place(ratio),
                row.name
            ));
        }
    }
    put("</svg>".to_owned());
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plot_is_that_of_the_page() {
        let (page, picture) = paths();
        let text = std::fs::read_to_string(page).expect("the page");
        let svg = draw(&rows(&text).expect("a table"));
        let is = std::fs::read_to_string(picture).unwrap_or_default();
        assert!(svg == is, "docs/native-code.svg is not of docs/performance.md: `cargo xtask plot` draws it");
    }

    #[test]
    fn rows_have_their_ratios_and_a_mean() {
        let page = "x\n## Native code\n\n```\nprogram native skep interp rbpf sbpf kernel skep interp rbpf sbpf kernel\n\
                    (empty) 1 2 3 4 5\na 10 10 1 1 1 40 1.00 9 2.00 – 4.00  note\nb 1 1 1 1 1 1 4.00 9 2.00 1 1\n```\n";
        let rows = rows(page).expect("rows");
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].ratios, [Some(1.0), Some(9.0), Some(2.0), None, Some(4.0)]);
        let mean = rows[2].ratios;
        assert!(
            (mean[0].expect("a mean") - 2.0).abs() < 1e-9 && (mean[4].expect("a mean") - 2.0).abs() < 1e-9
        );
        assert!(super::rows("x\n## Native code\n```\n```").is_err());
    }
}

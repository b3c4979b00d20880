//! What `skep run` shows: in place on a terminal, a line per report in a pipe, JSON on request.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde_json::{Map as Object, Value as Json, json};
use skep::abi::MapType;
use skep::btf::print::Tree;
use skep::{Element, Loaded, Map, Tally, Verdicts};

use super::redirects::Redirects;

use super::events::Event;
use crate::failure::Failure;
use crate::out;
use crate::values::{self, Shape};

/// Elements of a map on one line before the rest is counted only.
const LINE_ELEMENTS: usize = 32;

/// Bytes of output that may wait.
const PENDING_MAX: usize = 32 << 10;

/// How reports look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Redrawn in place.
    Live,
    /// A line per report.
    Lines,
    /// A JSON object per report and per event.
    Json,
}

/// Counts at the time of a report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Time since the start, of the wall or of the capture.
    pub time: Duration,
    /// What the program did.
    pub tally: Tally,
    /// Packets lost before the program could see them.
    pub dropped: u64,
    /// Packets of which the source had only the beginning.
    pub truncated: u64,
    /// The last report.
    pub last: bool,
}

/// Shows reports and events.
#[derive(Debug)]
pub struct View {
    form: Form,
    title: String,
    verdicts: Verdicts,
    /// Where packets were to go.
    pub redirects: Redirects,
    /// Lines of the live view that stand above the cursor.
    drawn: usize,
    /// Text that waits to be written.
    pending: String,
}

impl View {
    /// A view under a title.
    pub fn new(form: Form, title: String, verdicts: Verdicts) -> Self {
        Self { form, title, verdicts, redirects: Redirects::default(), drawn: 0, pending: String::new() }
    }

    /// Whether the view is redrawn in place, and so may be shown before anything has happened.
    pub fn is_live(&self) -> bool {
        self.form == Form::Live
    }

    /// Shows records; they may wait in memory for a while, until [`View::flush`].
    pub fn events(&mut self, events: &[Event], time: Duration) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        let mut text = self.erase();
        for e in events {
            // Writing to a String cannot fail.
            let _ = match self.form {
                Form::Json => {
                    writeln!(
                        text,
                        "{}",
                        json!({ "time": seconds(time), "event": e.map, "value": skep::tree_json(&e.value) })
                    )
                }
                Form::Live | Form::Lines => writeln!(text, "{}: {}", e.map, e.value),
            };
        }
        self.pending.push_str(&text);
        if self.pending.len() < PENDING_MAX { Ok(()) } else { self.flush() }
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let done = print(&self.pending);
        self.pending.clear();
        done
    }

    /// Shows a report.
    pub fn report(&mut self, loaded: &Loaded, counts: &Counts) -> Result<(), Failure> {
        let mut text = self.erase();
        match self.form {
            Form::Json => {
                let _ = writeln!(text, "{}", self.json(loaded, counts)?);
            }
            Form::Lines => {
                let _ = writeln!(text, "{}", self.line(loaded, counts)?);
            }
            Form::Live => {
                let (rows, columns) = out::terminal().unwrap_or((24, 80));
                let lines = self.live(loaded, counts, if counts.last { usize::MAX } else { rows })?;
                for line in &lines {
                    text.extend(line.chars().take(columns));
                    text.push('\n');
                }
                self.drawn = if counts.last { 0 } else { lines.len() };
            }
        }
        self.pending.push_str(&text);
        self.flush()
    }

    /// What takes the live view off the screen.
    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            n => format!("\x1b[{n}A\r\x1b[J"),
        }
    }

    fn totals(&self, counts: &Counts) -> String {
        let mut text = format!(
            "{} packets, {} dropped",
            out::thousands(counts.tally.packets),
            out::thousands(counts.dropped)
        );
        for (what, n) in [("truncated", counts.truncated), ("faults", counts.tally.faults)] {
            if n > 0 {
                let _ = write!(text, ", {} {what}", out::thousands(n));
            }
        }
        if self.verdicts != Verdicts::Keep {
            for (name, n) in actions(self.verdicts, &counts.tally) {
                let _ = write!(text, ", {name} {}", out::thousands(n));
            }
        }
        for (to, n) in self.redirects.list() {
            let _ = write!(text, ", redirect to {to} {}", out::thousands(n));
        }
        for (what, n) in self.redirects.sent_list() {
            let _ = write!(text, ", {what} {}", out::thousands(n));
        }
        text
    }

    fn line(&self, loaded: &Loaded, counts: &Counts) -> Result<String, Failure> {
        let mut text = format!("{:.1}s  {}", seconds(counts.time), self.totals(counts));
        for map in shown(loaded) {
            let elements = elements(map)?;
            let _ = write!(text, "  {}:", map.name());
            if elements.is_empty() {
                text.push_str(" -");
            }
            for (key, value) in elements.iter().take(LINE_ELEMENTS) {
                let value = values::value_text(map, value);
                let _ = match is_global(map) {
                    true => write!(text, " {value}"),
                    false => write!(text, " {}={value}", Shape::key(map).text(key)),
                };
            }
            if elements.len() > LINE_ELEMENTS {
                let _ = write!(text, " … {} more", elements.len() - LINE_ELEMENTS);
            }
        }
        Ok(text)
    }

    fn live(&self, loaded: &Loaded, counts: &Counts, rows: usize) -> Result<Vec<String>, Failure> {
        let totals = format!("{:.1}s  {}", seconds(counts.time), self.totals(counts));
        let mut lines = vec![self.title.clone(), totals];
        let maps: Vec<_> =
            shown(loaded).map(|m| elements(m).map(|e| (m, e))).collect::<Result<_, Failure>>()?;
        // The last row stays free for the cursor; each map has at least its name and a count.
        let room = rows.saturating_sub(lines.len() + 1 + 2 * maps.len()).max(maps.len());
        let each = room / maps.len().max(1);
        for (map, elements) in &maps {
            lines.push(map.name().to_owned());
            if let (true, [(_, value)]) = (is_global(map), &elements[..])
                && let Tree::Struct(variables) = Shape::value(map).tree(value)
            {
                let width = variables.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
                lines.extend(variables.iter().take(each).map(|(name, v)| format!("  {name:>width$}  {v}")));
                if variables.len() > each {
                    lines.push(format!("  … {} more", variables.len() - each));
                }
                continue;
            }
            let keys: Vec<String> = elements.iter().map(|(k, _)| Shape::key(map).text(k)).collect();
            let width = keys.iter().map(|k| k.chars().count()).max().unwrap_or(0);
            for ((_, value), key) in elements.iter().zip(&keys).take(each) {
                let value = values::value_text(map, value);
                lines.push(if is_global(map) {
                    format!("  {value}")
                } else {
                    format!("  {key:>width$}  {value}")
                });
            }
            match elements.len() {
                0 => lines.push("  (nothing yet)".to_owned()),
                n if n > each => lines.push(format!("  … {} more", n - each)),
                _ => {}
            }
        }
        Ok(lines)
    }

    fn json(&self, loaded: &Loaded, counts: &Counts) -> Result<Json, Failure> {
        let mut maps = Object::new();
        for map in shown(loaded) {
            let list: Vec<Json> =
                elements(map)?.iter().map(|(k, v)| values::element_json(map, k, v)).collect();
            maps.insert(map.name().to_owned(), Json::Array(list));
        }
        let mut report = json!({
            "time": seconds(counts.time),
            "packets": counts.tally.packets,
            "bytes": counts.tally.bytes,
            "dropped": counts.dropped,
            "truncated": counts.truncated,
            "faults": counts.tally.faults,
            "maps": maps,
            "final": counts.last,
        });
        if self.verdicts != Verdicts::Keep {
            let actions: Object<String, Json> =
                actions(self.verdicts, &counts.tally).map(|(name, n)| (name, json!(n))).collect();
            report["actions"] = Json::Object(actions);
            report["redirects"] = self.redirects.json();
            if let Some(sent) = self.redirects.sent_json() {
                report["sent"] = sent;
            }
        }
        Ok(report)
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The actions that occurred.
fn actions(verdicts: Verdicts, tally: &Tally) -> impl Iterator<Item = (String, u64)> {
    let counts = tally.actions.into_iter().enumerate().filter(|(_, n)| *n > 0);
    counts.map(move |(slot, n)| (verdicts.action(slot).to_owned(), n))
}

/// Maps worth showing: those with values, but for constants.
fn shown(loaded: &Loaded) -> impl Iterator<Item = &Map> {
    loaded.maps().iter().filter(|m| m.has_values() && !m.def().frozen)
}

/// Whether a map holds global variables, whose only key is nothing to show.
fn is_global(map: &Map) -> bool {
    map.def().kind == MapType::ARRAY && map.def().max_entries == 1 && map.name().contains('.')
}

/// The elements of a map, by key; those of arrays that are zero are left out.
fn elements(map: &Map) -> Result<Vec<Element>, Failure> {
    let mut elements = map.entries()?;
    if matches!(map.def().kind, MapType::ARRAY | MapType::PERCPU_ARRAY) {
        elements.retain(|(_, value)| !values::is_zero(value));
    }
    // Keys are native numbers more often than not.
    elements.sort_by(|(a, _), (b, _)| {
        let reversed = |k: &[u8]| k.iter().rev().copied().collect::<Vec<u8>>();
        if cfg!(target_endian = "little") && a.len() <= 8 { reversed(a).cmp(&reversed(b)) } else { a.cmp(b) }
    });
    Ok(elements)
}

//! The expectations of a file test.

use super::bytes::{hex, parse_bytes, show_bytes};
use crate::oracle::{Input, Outcome, Privilege};

/// A verdict that a file expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It loads.
    Accept,
    /// It is refused, with a part of the log.
    Reject(String),
}

/// One `run:` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLine {
    /// What goes in.
    pub input: Input,
    /// What is expected to come out, as written; empty before it is blessed.
    pub expected: String,
    /// Where it stands, from 0.
    line: usize,
}

/// What a file says beside its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// Names of the oracles that are to be asked.
    pub targets: Vec<String>,
    /// Loaded by whom.
    pub privilege: Privilege,
    /// The program to load, where the file has several.
    pub program: Option<String>,
    /// Programs that tail calls lead to: the program array, the slot, the program's name.
    pub tails: Vec<(String, u32, String)>,
    /// Maps in maps of maps: the outer map, the key, the map's name.
    pub insides: Vec<(String, Vec<u8>, String)>,
    /// Elements that maps have before the first run: the map, the key, the value.
    pub elements: Vec<(String, Vec<u8>, Vec<u8>)>,
    /// The verdict; `None` before it is blessed.
    pub verdict: Option<Expected>,
    /// The line, from 1, that carries `; error`.
    pub error_line: Option<u32>,
    /// Runs, in order.
    pub runs: Vec<RunLine>,
    /// Maps that are compared after the runs: name, contents as written.
    pub maps: Vec<(String, String)>,
    verdict_line: Option<usize>,
    map_lines: Vec<usize>,
}

/// The text behind a comment's opening, if the line is a comment.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    [";", "//", "#"].iter().find_map(|open| line.strip_prefix(open)).map(str::trim)
}

impl Expectations {
    /// Reads the expectations out of a file's comments.
    ///
    /// # Errors
    /// Words with the line of what cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut e = Self {
            targets: vec!["interpreter".into(), "kernel".into()],
            privilege: Privilege::Privileged,
            program: None,
            tails: Vec::new(),
            insides: Vec::new(),
            elements: Vec::new(),
            verdict: None,
            error_line: None,
            runs: Vec::new(),
            maps: Vec::new(),
            verdict_line: None,
            map_lines: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            let bad = |what: String| format!("line {}: {what}", at + 1);
            if let Some(said) = comment(line) {
                e.directive(at, said).map_err(bad)?;
            } else if line.trim_end().ends_with("; error") || line.trim_end().ends_with("// error") {
                e.error_line = Some(at as u32 + 1);
            }
        }
        Ok(e)
    }

    /// One comment; what is no directive is prose.
    fn directive(&mut self, at: usize, said: &str) -> Result<(), String> {
        let (word, rest) = said.split_once(':').map_or((said, ""), |(w, r)| (w.trim(), r.trim()));
        match word {
            "targets" => self.targets = rest.split_whitespace().map(str::to_string).collect(),
            "program" => self.program = Some(rest.into()),
            "unprivileged" if rest.is_empty() => self.privilege = Privilege::Unprivileged,
            "accept" if rest.is_empty() => {
                self.verdict = Some(Expected::Accept);
                self.verdict_line = Some(at);
            }
            "reject" => {
                self.verdict = Some(Expected::Reject(rest.into()));
                self.verdict_line = Some(at);
            }
            "run" => {
                let (given, expected) = rest.split_once("=>").unwrap_or((rest, ""));
                let mut input = Input::default();
                for word in given.split_whitespace() {
                    match word.split_once('=') {
                        Some(("data", bytes)) => input.data = parse_bytes(bytes)?,
                        Some(("ctx", bytes)) => input.ctx = parse_bytes(bytes)?,
                        _ => return Err(format!("`{word}`: a run is given data= and ctx=")),
                    }
                }
                self.runs.push(RunLine { input, expected: expected.trim().into(), line: at });
            }
            _ => {
                if let Some((map, slot)) = word.strip_prefix("tail ").and_then(|w| w.trim().split_once(' ')) {
                    let number = slot.trim().parse();
                    let slot = number.map_err(|_| format!("`{slot}`: a slot's number is wanted"))?;
                    self.tails.push((map.into(), slot, rest.into()));
                }
                if let Some((map, key)) = word.strip_prefix("slot ").and_then(|w| w.trim().split_once(' ')) {
                    self.insides.push((map.into(), parse_bytes(key.trim())?, rest.into()));
                }
                if let Some((map, key)) = word.strip_prefix("element ").and_then(|w| w.trim().split_once(' '))
                {
                    self.elements.push((map.into(), parse_bytes(key.trim())?, parse_bytes(rest)?));
                }
                if let Some(name) = word.strip_prefix("map ") {
                    self.maps.push((name.trim().into(), rest.into()));
                    self.map_lines.push(at);
                }
            }
        }
        Ok(())
    }

    /// The file with its expectations replaced by what came out.
    pub fn bless(&self, text: &str, verdict: &Expected, maps: &[String], outcome: &Outcome) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        let open = |line: &str| if line.trim_start().starts_with("//") { "//" } else { ";" };
        for (run, result) in self.runs.iter().zip(&outcome.runs) {
            let given = lines[run.line].split("=>").next().unwrap_or_default().trim_end().to_string();
            lines[run.line] = format!("{given} => {}", show_run(&run.input, result));
        }
        for (at, (name, _)) in self.map_lines.iter().zip(&self.maps) {
            if let Some(i) = maps.iter().position(|m| m == name)
                && let Some(contents) = outcome.maps.get(i)
            {
                lines[*at] = format!("{} map {name}: {}", open(&lines[*at]), show_map(contents));
            }
        }
        let said = match verdict {
            Expected::Accept => "accept".to_string(),
            Expected::Reject(why) => format!("reject: {why}"),
        };
        match self.verdict_line {
            Some(at) => lines[at] = format!("{} {said}", open(&lines[at])),
            None => {
                // Behind the prose that opens the file, before its first directive or instruction.
                let prose =
                    |l: &String| comment(l).is_some_and(|c| !c.starts_with("run:") && !c.starts_with("map "));
                let at = lines.iter().take_while(|l| prose(l)).count();
                lines.insert(at, format!("; {said}"));
            }
        }
        lines.join("\n") + "\n"
    }
}

/// The result of a run as a file has it: the packet and the context only where they changed.
pub fn show_run(input: &Input, result: &crate::oracle::RunResult) -> String {
    if result.fault.is_some() {
        return "fault".into();
    }
    let mut out = format!("retval={}", result.retval);
    if result.ctx != input.ctx && !input.ctx.is_empty() {
        out += &format!(" ctx={}", show_bytes(&result.ctx));
    }
    if result.data != input.data {
        out += &format!(" data={}", show_bytes(&result.data));
    }
    out
}

/// The contents of a map as a file has them: elements that are not zero, records in order.
pub fn show_map(contents: &[(Vec<u8>, Vec<u8>)]) -> String {
    let shown = contents.iter().filter(|(key, value)| key.is_empty() || value.iter().any(|&b| b != 0));
    let element = |(key, value): &(Vec<u8>, Vec<u8>)| {
        if key.is_empty() { hex(value) } else { format!("{}={}", hex(key), show_bytes(value)) }
    };
    shown.map(element).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::RunResult;

    const FILE: &str = "; A note: with a colon.\n; targets: kernel\n; run: ctx=[1] => retval=0\n\
                        ; map counts:\n; reject: old\nr0 = 0\nexit ; error\n";

    #[test]
    fn a_file_is_read() {
        let e = Expectations::parse(FILE).unwrap();
        assert_eq!(e.targets, ["kernel"]);
        assert_eq!(e.verdict, Some(Expected::Reject("old".into())));
        assert_eq!(e.error_line, Some(7));
        assert_eq!(e.runs[0].input.ctx, [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(e.maps, [("counts".to_string(), String::new())]);
        assert!(Expectations::parse("; run: date=00").unwrap_err().starts_with("line 1"));
    }

    #[test]
    fn blessing_replaces_only_expectations() {
        let e = Expectations::parse(FILE).unwrap();
        let mut outcome = Outcome::default();
        outcome.runs.push(RunResult { retval: 7, ctx: vec![2, 0, 0, 0, 0, 0, 0, 0], ..RunResult::default() });
        outcome.maps.push(vec![(vec![0; 4], vec![0; 8]), (vec![1, 0, 0, 0], vec![5, 0, 0, 0, 0, 0, 0, 0])]);
        let blessed = e.bless(FILE, &Expected::Accept, &["counts".into()], &outcome);
        assert_eq!(
            blessed,
            "; A note: with a colon.\n; targets: kernel\n; run: ctx=[1] => retval=7 ctx=[0x2]\n\
             ; map counts: 01000000=[0x5]\n; accept\nr0 = 0\nexit ; error\n"
        );
    }
}

//! `skep explain`: what a kind of rejection means.

use std::fmt::Write as _;

use skep::verifier::{Code, GUIDES, Guide};

use crate::failure::{BAD_INPUT, Failure};
use crate::out;

/// How much like a code a word must be to be meant for it.
const ALIKE: f64 = 0.75;

/// Explains a code; all of them in a line each without one.
pub fn main(code: Option<&str>) -> Result<(), Failure> {
    let Some(word) = code else {
        let width = Code::ALL.iter().map(|c| c.as_str().len()).max().unwrap_or(0);
        for code in Code::ALL {
            out::line(&format!("{:width$}  {}", code.as_str(), code.meaning()))?;
        }
        return Ok(());
    };
    // As it stands in a message: error[null_pointer].
    let word = word.trim_start_matches("error").trim_matches(['[', ']']).replace('-', "_").to_lowercase();
    match GUIDES.iter().find(|g| g.code.as_str() == word) {
        Some(guide) => out::line(text(guide).trim_end()),
        None => Err(Failure::Message(BAD_INPUT, unknown(&word))),
    }
}

fn text(guide: &Guide) -> String {
    let code = guide.code;
    let mut text = format!("{code}: {}\n\n{}\n", code.meaning(), wrapped(guide.advice));
    if !guide.linux.is_empty() {
        let _ = writeln!(text, "\nLinux says:");
        guide.linux.iter().for_each(|words| text += &format!("  {words}\n"));
    }
    if let Some(example) = guide.example {
        let who = if example.unprivileged { " (--unprivileged)" } else { "" };
        for (what, program) in [("refused", example.wrong), ("accepted", example.right)] {
            let _ = writeln!(text, "\n{what}{who}:");
            program.lines().for_each(|line| text += &format!("  {line}\n"));
        }
    }
    text
}

/// In lines that fit a terminal.
fn wrapped(words: &str) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for word in words.split(' ') {
        let len = word.chars().count();
        if width > 0 && width + 1 + len > 80 {
            text.push('\n');
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += len;
    }
    text
}

/// What might have been meant.
fn unknown(word: &str) -> String {
    let alike = |c: &&Code| {
        let code = c.as_str();
        strsim::jaro_winkler(code, word) > ALIKE || word.len() > 2 && code.contains(word)
    };
    let mut near: Vec<_> = Code::ALL.iter().filter(alike).map(|c| c.as_str()).collect();
    near.sort_by(|a, b| strsim::jaro_winkler(b, word).total_cmp(&strsim::jaro_winkler(a, word)));
    near.truncate(3);
    match near.as_slice() {
        [] => format!("there is no code `{word}`: `skep explain` lists all"),
        near => format!("there is no code `{word}`; perhaps {}", near.join(", ")),
    }
}

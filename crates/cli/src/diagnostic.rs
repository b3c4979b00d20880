//! Messages for people, on stderr or stdout.

use std::io;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use skep::spec::SourceLine;
use skep::verifier::Rejection;

use crate::{expression, out};

fn renderer(colours: bool) -> Renderer {
    if colours { Renderer::styled() } else { Renderer::plain() }
}

fn say(level: &str, colour: &str, message: &str) {
    if out::colours(&io::stderr()) {
        eprintln!("\x1b[1;{colour}m{level}\x1b[0m: {message}");
    } else {
        eprintln!("{level}: {message}");
    }
}

/// An error on stderr.
pub fn error(message: &str) {
    say("error", "31", message);
}

/// A warning on stderr.
pub fn warning(message: &str) {
    say("warning", "33", message);
}

/// A remark on stderr.
pub fn note(message: &str) {
    say("note", "36", message);
}

/// A refused program: the words of the verifier under the source line that they are about, then the explanation.
pub fn rejection(rejection: &Rejection, program: &str, colours: bool) -> String {
    let title = rejection.message();
    let at = if rejection.insn().is_empty() {
        String::new()
    } else {
        format!("insn {}: {}", rejection.pc(), rejection.insn())
    };
    let mut text = match rejection.source_line() {
        Some(line) => snippet(rejection.code().as_str(), title, line, &at, colours),
        None => {
            let group = Level::ERROR.primary_title(title).id(rejection.code().as_str()).element(
                Level::NOTE.message(if at.is_empty() {
                    format!("program `{program}`")
                } else {
                    format!("program `{program}`, {at}")
                }),
            );
            renderer(colours).render(&[group])
        }
    };
    for line in rejection.explain().lines().filter(|l| !repeats(l)) {
        text.push('\n');
        text.push_str(line);
    }
    text + &format!("\n  more: skep explain {}", rejection.code())
}

/// Lines of the explanation that the snippet above has shown: title, place, source and instruction.
fn repeats(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("rejected [")
        || line.starts_with("--> ")
        || line.starts_with("| ")
        || line.starts_with("insn ")
}

/// The line as it stands in the file, with what is meant underlined.
fn snippet(code: &str, title: &str, line: &SourceLine, label: &str, colours: bool) -> String {
    let text = line.text.trim_end();
    // Blanks for tabs, one for one: so the column is right.
    let indent = line.indent as usize;
    let source = format!("{}{}", " ".repeat(indent), if text.is_empty() { " " } else { text });
    let start = (line.column as usize).checked_sub(indent + 1);
    let span = match start.filter(|start| *start < text.len() && is_c(&line.file)) {
        Some(start) => expression::meant(text, start),
        None => 0..source.len() - indent,
    };
    let span = span.start + indent..span.end + indent;
    let group = Level::ERROR.primary_title(title).id(code).element(
        Snippet::source(source)
            .line_start(line.line as usize)
            .path(line.file.as_str())
            .annotation(AnnotationKind::Primary.span(span).label(label)),
    );
    renderer(colours).render(&[group])
}

/// Instructions stand alone in their lines.
fn is_c(file: &str) -> bool {
    !file.ends_with(".s")
}

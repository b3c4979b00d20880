//! `skep prog run`: a program on given bytes, with bpftool's words.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};
use skep::Program;
use skep::spec::RunInput;

use super::trace::Tracer;
use super::{effects, words};
use crate::args::ProgRunArgs;
use crate::failure::{BAD_INPUT, Failure};
use crate::run::{self, choose_backend};
use crate::{out, text};

/// Runs `skep prog run`.
pub fn run(args: &ProgRunArgs) -> Result<(), Failure> {
    let (name, io) = words::take(&args.words, &args.io)?;
    if args.trace && args.linux {
        return Err(Failure::usage(
            "the kernel does not show its runs: --trace and --linux do not go together",
        ));
    }
    if [&io.data_in, &io.ctx_in].iter().all(|f| f.as_deref() == Some(Path::new("-"))) {
        return Err(Failure::usage("stdin can be the packet or the context, not both"));
    }
    let object = args.maps.open(&args.file, &args.target)?;
    let name = text::choose(&object, name.as_deref())?.name.clone();
    let data = io.data_in.as_deref().map(text::read).transpose()?.unwrap_or_default();
    let ctx = io.ctx_in.as_deref().map(text::read).transpose()?.unwrap_or_default();
    let backend = choose_backend(args.linux, args.maps.pin_root.as_deref(), args.engine.choice())?;
    let loaded = run::load(&object, &backend, &name)?;
    let program = loaded.program(&name).ok_or_else(|| Failure::failed("the program is gone"))?;
    let ctx = context(program, io.ctx_in.as_deref(), ctx, data.len())?;
    let input = RunInput { data: &data, ctx: &ctx, repeat: io.repeat.unwrap_or(1) };
    let done = if args.trace {
        let tracer = Tracer::new(&loaded, args.json);
        let done = program.test_run_watched(input, &tracer);
        tracer.finish()?;
        done?
    } else {
        program.test_run(input)?
    };
    let mut report = Map::new();
    if let Some(file) = &io.data_out {
        bounded("packet", "data_size_out", done.data.len(), io.data_size_out)?;
        save("data_out", file, &done.data, args.json, &mut report)?;
    }
    if let Some(file) = &io.ctx_out {
        bounded("context", "ctx_size_out", done.ctx.len(), io.ctx_size_out)?;
        if is_json(file) {
            let fields = program.context_to_json(&done.ctx).map_err(|e| about(file, &e))?;
            save("ctx_out", file, fields.as_bytes(), args.json, &mut report)?;
        } else {
            save("ctx_out", file, &done.ctx, args.json, &mut report)?;
        }
    }
    let nanos = u64::try_from(done.duration.as_nanos()).unwrap_or(u64::MAX);
    if args.json {
        report.insert("retval".to_owned(), json!(done.retval));
        report.insert("duration".to_owned(), json!(nanos));
        effects::report(&done, &mut report);
        return out::line(&Json::Object(report).to_string());
    }
    let average = if input.repeat > 1 { " (average)" } else { "" };
    let effects = effects::lines(&done);
    out::line(&format!("Return value: {}, duration{average}: {nanos}ns{effects}", done.retval))
}

fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"))
}

#[cold]
fn about(file: &Path, error: &skep::Error) -> Failure {
    Failure::Message(BAD_INPUT, format!("`{}`: {error}", file.display()))
}

/// The context that the bytes of a file stand for.
fn context(
    program: &Program,
    file: Option<&Path>,
    bytes: Vec<u8>,
    packet_len: usize,
) -> Result<Vec<u8>, Failure> {
    let Some(file) = file.filter(|f| is_json(f)) else { return Ok(bytes) };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(Failure::usage(format!("`{}` is no JSON: it is not UTF-8", file.display())));
    };
    program.context_from_json(&text, packet_len).map_err(|e| about(file, &e))
}

/// As the kernel, which fails with `ENOSPC` when the room is too small.
fn bounded(what: &str, word: &str, len: usize, most: Option<usize>) -> Result<(), Failure> {
    match most {
        Some(most) if len > most => {
            Err(Failure::failed(format!("the {what} has {len} bytes afterwards, more than {word} {most}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Writes bytes to a file; `-` is a hex dump on stdout, or with `--json` a list of hexadecimal numbers in the report.
fn save(
    name: &str,
    file: &PathBuf,
    bytes: &[u8],
    json: bool,
    report: &mut Map<String, Json>,
) -> Result<(), Failure> {
    if file != Path::new("-") {
        return std::fs::write(file, bytes).map_err(|e| Failure::file("write", file, &e));
    }
    if json {
        report.insert(name.to_owned(), bytes.iter().map(|b| json!(format!("0x{b:02x}"))).collect());
        return Ok(());
    }
    out::write(hex_dump(bytes).as_bytes())
}

/// 16 bytes a line with their offset, in pairs, and as text.
fn hex_dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (i, line) in bytes.chunks(16).enumerate() {
        let mut hex = String::new();
        for pair in line.chunks(2) {
            for byte in pair {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
            }
            hex.push(' ');
        }
        let ascii: String = line
            .iter()
            .map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' })
            .collect();
        let _ = writeln!(text, "{:07x}\t{hex:<40}| {ascii}", i * 16);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn hex_dump_lines_up() {
        let bytes: Vec<u8> = (0x40..0x53).collect();
        let text = super::hex_dump(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "0000000\t4041 4243 4445 4647 4849 4a4b 4c4d 4e4f | @ABCDEFGHIJKLMNO");
        assert_eq!(lines[1].split('|').nth(1), Some(" PQR"));
        assert_eq!(lines[0].find('|'), lines[1].find('|'));
    }
}

//! `skep prog run`: a program on given bytes, with bpftool's words.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use skep::Object;
use skep::spec::RunInput;

use crate::args::ProgRunArgs;
use crate::failure::Failure;
use crate::run::{self, choose_backend};
use crate::{out, text};

/// Runs `skep prog run`.
pub fn run(args: &ProgRunArgs) -> Result<(), Failure> {
    let object = Object::open(&args.file)?;
    let name = text::choose(&object, args.program.as_deref())?.name.clone();
    let data = args.data_in.as_deref().map(text::read).transpose()?.unwrap_or_default();
    let ctx = args.ctx_in.as_deref().map(text::read).transpose()?.unwrap_or_default();
    let backend = choose_backend(args.linux)?;
    let loaded = run::load(&object, &backend, &name)?;
    let program = loaded.program(&name).ok_or_else(|| Failure::failed("the program is gone"))?;
    let done = program.test_run(RunInput { data: &data, ctx: &ctx, repeat: args.repeat })?;
    for (file, bytes) in [(&args.data_out, &done.data), (&args.ctx_out, &done.ctx)] {
        save(file.as_ref(), bytes, args.json)?;
    }
    let nanos = u64::try_from(done.duration.as_nanos()).unwrap_or(u64::MAX);
    if args.json {
        return out::line(&json!({ "retval": done.retval, "duration": nanos }).to_string());
    }
    let average = if args.repeat > 1 { " (average)" } else { "" };
    out::line(&format!("Return value: {}, duration{average}: {nanos}ns", done.retval))
}

fn save(file: Option<&PathBuf>, bytes: &[u8], json: bool) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    if file != Path::new("-") {
        return std::fs::write(file, bytes).map_err(|e| Failure::file("write", file, &e));
    }
    if json {
        return Err(Failure::usage("`-` as an output file and --json do not go together"));
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

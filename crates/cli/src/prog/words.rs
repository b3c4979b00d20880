//! bpftool's way to write options: `prog run FILE PROG data_in packet.bin repeat 100`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use crate::args::ProgRunIo;
use crate::failure::Failure;

/// The words that stand for options of `prog run`.
const WORDS: &[&str] =
    &["data_in", "data_out", "data_size_out", "ctx_in", "ctx_out", "ctx_size_out", "repeat"];

/// Takes words apart: the program's name, which comes first if it is there, and options, which are added to
/// `options`.
pub fn take(words: &[OsString], options: &ProgRunIo) -> Result<(Option<String>, ProgRunIo), Failure> {
    let mut io = options.clone();
    let is_word = |w: &OsString| WORDS.iter().any(|k| w == k);
    let (name, rest) = match words.split_first() {
        Some((first, rest)) if !is_word(first) => (Some(first), rest),
        Some(_) | None => (None, words),
    };
    let name = match name {
        Some(name) => Some(text(name)?.to_owned()),
        None => None,
    };
    for pair in rest.chunks(2) {
        let word = text(&pair[0])?;
        if !WORDS.contains(&word) {
            return Err(Failure::usage(format!(
                "`{word}` is no word of `prog run`; after the program it knows {}",
                WORDS.join(", ")
            )));
        }
        let Some(value) = pair.get(1) else {
            return Err(Failure::usage(format!("`{word}` wants a value behind it")));
        };
        match word {
            "data_in" => file(&mut io.data_in, word, value)?,
            "data_out" => file(&mut io.data_out, word, value)?,
            "data_size_out" => number(&mut io.data_size_out, word, value)?,
            "ctx_in" => file(&mut io.ctx_in, word, value)?,
            "ctx_out" => file(&mut io.ctx_out, word, value)?,
            "ctx_size_out" => number(&mut io.ctx_size_out, word, value)?,
            _ => {
                number(&mut io.repeat, word, value)?;
                if io.repeat.is_none_or(|n| !(1..=i32::MAX as u32).contains(&n)) {
                    return Err(Failure::usage(format!("`repeat` wants a number from 1 to {}", i32::MAX)));
                }
            }
        }
    }
    Ok((name, io))
}

fn text(word: &OsString) -> Result<&str, Failure> {
    word.to_str().ok_or_else(|| Failure::usage(format!("`{}` is not UTF-8", word.display())))
}

fn once<T>(slot: &mut Option<T>, word: &str, value: T) -> Result<(), Failure> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!("`{word}` is given twice"))),
    }
}

fn file(slot: &mut Option<PathBuf>, word: &str, value: &OsString) -> Result<(), Failure> {
    once(slot, word, PathBuf::from(value))
}

fn number<T: FromStr>(slot: &mut Option<T>, word: &str, value: &OsString) -> Result<(), Failure> {
    let parsed = value.to_str().and_then(|v| v.parse().ok());
    let Some(parsed) = parsed else {
        return Err(Failure::usage(format!("`{word}` wants a number, not `{}`", value.display())));
    };
    once(slot, word, parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn of(line: &str) -> Result<(Option<String>, ProgRunIo), Failure> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        take(&words, &ProgRunIo::default())
    }

    #[test]
    fn the_program_comes_first_or_not_at_all() {
        let (name, io) = of("main data_in p.bin ctx_out - repeat 3").expect("good");
        assert_eq!(name.as_deref(), Some("main"));
        assert_eq!(io.data_in.as_deref(), Some(Path::new("p.bin")));
        assert_eq!((io.ctx_out.as_deref(), io.repeat), (Some(Path::new("-")), Some(3)));
        let (name, io) = of("data_in p.bin data_size_out 9").expect("good");
        assert_eq!((name, io.data_size_out), (None, Some(9)));
        assert_eq!(of("").expect("good").0, None);
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for bad in [
            "main data",
            "main data_in",
            "repeat 0",
            "repeat x",
            "repeat 2147483648",
            "repeat 1 repeat 2",
            "a b c",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}

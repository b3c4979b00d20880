//! What a person wrote, as an input.
//!
//! ```text
//! value  := { [item , item …] } | "text" | 'c' | number | word        item := [.name =] value
//! number := [-] decimal | 0x… | 0b… | 0o… | 1.5
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::words::is_char;
use super::{Input, MAX_DEPTH, Misfit, Spot};
use crate::Btf;
use crate::types::Type;

/// Reads a value in the spelling that values are printed in: that of C's initialisers.
///
/// # Errors
/// What is no value, and where.
pub fn parse(text: &str) -> Result<Input, Misfit> {
    let mut p = Parser { text, pos: 0 };
    let input = p.value(0)?;
    p.blanks();
    if p.pos < text.len() { Err(p.wrong("nothing more")) } else { Ok(input) }
}

/// As [`parse`], for a spot whose type is known: what goes into an array of characters needs no quotes.
///
/// # Errors
/// As [`parse`].
pub fn parse_for(btf: &Btf, spot: Spot, text: &str) -> Result<Input, Misfit> {
    let bare = match btf.resolved(spot.ty) {
        Type::Array { element, .. } => is_char(btf, *element) && !text.starts_with(['"', '{']),
        _ => false,
    };
    if bare { Ok(Input::Text(text.into())) } else { parse(text) }
}

struct Parser<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Parser<'a> {
    #[cold]
    fn wrong(&self, expected: &str) -> Misfit {
        let rest = &self.text[self.pos..];
        let have = match rest.chars().next() {
            None => String::from("the end"),
            Some(_) => format!("`{}`", rest.chars().take(20).collect::<String>()),
        };
        Misfit::new(format!("`{}`: expected {expected} instead of {have}", self.text))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn blanks(&mut self) {
        self.pos += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(c);
        if found {
            self.pos += c.len_utf8();
        }
        found
    }

    /// Letters, digits and `_`.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.pos += end;
        &rest[..end]
    }

    fn value(&mut self, depth: u32) -> Result<Input, Misfit> {
        if depth > MAX_DEPTH {
            return Err(Misfit::new(format!("`{{` nests deeper than {MAX_DEPTH} levels")));
        }
        if self.eat('{') {
            return self.list(depth);
        }
        if self.eat('"') {
            return self.quoted('"').map(Input::Text);
        }
        if self.eat('\'') {
            let text = self.quoted('\'')?;
            let mut chars = text.chars();
            return match (chars.next(), chars.next()) {
                (Some(c), None) if (c as u32) < 256 => Ok(Input::Int((c as u32).into())),
                _ => Err(Misfit::new(format!("'{text}' is not one character of one byte"))),
            };
        }
        self.number_or_word()
    }

    fn list(&mut self, depth: u32) -> Result<Input, Misfit> {
        let mut items = Vec::new();
        while !self.eat('}') {
            let name = if self.eat('.') {
                let name = self.word().to_string();
                if name.is_empty() || !self.eat('=') {
                    return Err(self.wrong("`.name = value`"));
                }
                Some(name)
            } else {
                None
            };
            items.push((name, self.value(depth + 1)?));
            if !self.eat(',') {
                if self.eat('}') {
                    break;
                }
                return Err(self.wrong("`,` or `}`"));
            }
        }
        Ok(Input::List(items))
    }

    /// The rest of a literal, with C's escapes; a `\u` is a character of Unicode.
    fn quoted(&mut self, end: char) -> Result<String, Misfit> {
        let mut out = String::new();
        let mut chars = self.rest().char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == end {
                self.pos += at + c.len_utf8();
                return Ok(out);
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            let Some((_, escape)) = chars.next() else { break };
            let mut digits = |radix: u32, most: usize, first: u32| {
                let (mut n, mut count) = (first, 0);
                while let Some(d) = chars.peek().and_then(|(_, c)| c.to_digit(radix)) {
                    if count == most {
                        break;
                    }
                    (n, count) = (n * radix + d, count + 1);
                    chars.next();
                }
                char::from_u32(n).filter(|_| count > 0 || radix == 8)
            };
            out.push(match escape {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0'..='7' => digits(8, 2, escape as u32 - '0' as u32).unwrap_or('\0'),
                'x' => digits(16, 2, 0).ok_or_else(|| self.wrong("a number behind \\x"))?,
                'u' => digits(16, 4, 0).ok_or_else(|| self.wrong("a number behind \\u"))?,
                '\\' | '"' | '\'' => escape,
                _ => return Err(Misfit::new(format!("`\\{escape}` is no escape of C"))),
            });
        }
        self.pos = self.text.len();
        Err(self.wrong(if end == '"' { "a closing `\"`" } else { "a closing `'`" }))
    }

    fn number_or_word(&mut self) -> Result<Input, Misfit> {
        let start = self.pos;
        let negative = self.eat('-');
        let word = self.word();
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            return match word {
                "inf" | "NaN" if negative => Ok(Input::Float(-self.special(word))),
                _ if negative => Err(self.wrong("a number behind `-`")),
                "" => Err(self.wrong("a value")),
                "true" => Ok(Input::Bool(true)),
                "false" => Ok(Input::Bool(false)),
                _ => Ok(Input::Word(word.into())),
            };
        }
        if self.rest().starts_with('.') || word.contains(['e', 'E']) && !word.starts_with("0x") {
            let rest = &self.text[start..];
            let end = rest.find([',', '}', ' ']).unwrap_or(rest.len());
            self.pos = start + end;
            let float = rest[..end].parse().map(Input::Float);
            return float.map_err(|_| Misfit::new(format!("`{}` is no number", &rest[..end])));
        }
        let (digits, radix) = match word.as_bytes() {
            [b'0', b'x' | b'X', ..] => (&word[2..], 16),
            [b'0', b'b' | b'B', ..] => (&word[2..], 2),
            [b'0', b'o', ..] => (&word[2..], 8),
            _ => (word, 10),
        };
        let number = u128::from_str_radix(&digits.replace('_', ""), radix)
            .map_err(|_| Misfit::new(format!("`{word}` is no number")))?;
        match (negative, i128::try_from(number)) {
            (false, Ok(n)) => Ok(Input::Int(n)),
            (false, Err(_)) => Ok(Input::Huge(number)),
            (true, Ok(n)) => Ok(Input::Int(-n)),
            (true, Err(_)) if number == 1 << 127 => Ok(Input::Int(i128::MIN)),
            (true, Err(_)) => Err(Misfit::new(format!("`-{word}` is less than -2^127"))),
        }
    }

    fn special(&self, word: &str) -> f64 {
        if word == "inf" { f64::INFINITY } else { f64::NAN }
    }
}

//! Text to tokens, line by line, without comments.

use alloc::format;
use alloc::vec::Vec;

use super::AsmError;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name: letters, digits, `_`, `.`, `$`, not starting with a digit.
    Word,
    /// Starts with a digit; also `1f` and the like.
    Number,
    /// An operator or bracket.
    Punct,
    /// `"…"`, quotes included.
    Str,
    /// End of a statement: a line end, or `;` directly behind a statement.
    End,
    /// What follows a `;` that opens a comment behind a statement.
    Comment,
}

/// A token and where it begins. Line and column count from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Operators of more than one character, longest first.
const OPERATORS: [&str; 15] =
    ["<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "==", "!=", "<=", ">=", "||"];

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')
}

/// Comments are `// …`, `/* … */`, `# …` and `; …`. `#` directly behind a word belongs to it
/// (`bpf_map_lookup_elem#1`); `;` directly behind a statement separates it from the next, as in clang's
/// inline assembly.
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, AsmError> {
    let mut tokens = Vec::new();
    let mut lexer = Lexer { text, at: 0, line: 1, counted: (0, 1) };
    while let Some(token) = lexer.next(&tokens)? {
        tokens.push(token);
    }
    tokens.push(lexer.token(Kind::End, text.len()));
    Ok(tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    /// A byte of this line that is not behind `at`, and its column.
    counted: (usize, u32),
}

impl<'t> Lexer<'t> {
    fn token(&mut self, kind: Kind, end: usize) -> Token<'t> {
        let column = self.counted.1 + self.text[self.counted.0..self.at].chars().count() as u32;
        self.counted = (self.at, column);
        Token { kind, text: &self.text[self.at..end], line: self.line, column }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn end_of_line(&self) -> usize {
        self.rest().find('\n').map_or(self.text.len(), |n| self.at + n)
    }

    fn newline(&mut self) {
        self.line += 1;
        self.counted = (self.at, 1);
    }

    fn next(&mut self, before: &[Token<'t>]) -> Result<Option<Token<'t>>, AsmError> {
        let statement = before.last().is_some_and(|t| t.kind != Kind::End);
        let mut behind_space = false;
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { return Ok(None) };
            if c == '\n' {
                let token = self.token(Kind::End, self.at + 1);
                self.at += 1;
                self.newline();
                return Ok(Some(token));
            }
            if c.is_whitespace() {
                self.at += c.len_utf8();
                behind_space = true;
                continue;
            }
            if rest.starts_with("//") || c == '#' && (behind_space || !statement) {
                self.at = self.end_of_line();
                continue;
            }
            if rest.starts_with("/*") {
                self.block_comment()?;
                behind_space = true;
                continue;
            }
            if c == ';' {
                if statement && !behind_space {
                    let token = self.token(Kind::End, self.at + 1);
                    self.at += 1;
                    return Ok(Some(token));
                }
                self.at += 1;
                let end = self.end_of_line();
                let token = self.token(Kind::Comment, end);
                self.at = end;
                if statement {
                    return Ok(Some(token));
                }
                continue;
            }
            let (kind, len) = self.classify(c)?;
            let token = self.token(kind, self.at + len);
            self.at += len;
            return Ok(Some(token));
        }
    }

    fn block_comment(&mut self) -> Result<(), AsmError> {
        let open = self.token(Kind::Punct, self.at + 2);
        let Some(len) = self.rest()[2..].find("*/") else {
            return Err(AsmError::new(open.line, open.column, "expected `*/` to close this comment".into()));
        };
        let end = self.at + 2 + len + 2;
        while let Some(n) = self.text[self.at..end].find('\n') {
            self.at += n + 1;
            self.newline();
        }
        self.at = end;
        Ok(())
    }

    fn classify(&mut self, c: char) -> Result<(Kind, usize), AsmError> {
        let rest = self.rest();
        if is_word(c) {
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            return Ok((if c.is_ascii_digit() { Kind::Number } else { Kind::Word }, len));
        }
        if c == '"' {
            let line = &self.text[self.at..self.end_of_line()];
            return match line[1..].find('"') {
                Some(n) => Ok((Kind::Str, n + 2)),
                None => Err(self.error("expected `\"` to close this string".into())),
            };
        }
        if let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(**op)) {
            return Ok((Kind::Punct, op.len()));
        }
        if c.is_ascii_graphic() {
            return Ok((Kind::Punct, 1));
        }
        Err(self.error(format!("unexpected character {c:?}")))
    }

    fn error(&mut self, message: alloc::string::String) -> AsmError {
        let here = self.token(Kind::Punct, self.at);
        AsmError::new(here.line, here.column, message)
    }
}

/// The value of an unsigned number: decimal, `0x` hexadecimal, `0b` binary, `0o` octal.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = |prefix: &str| text.strip_prefix(prefix);
    let (digits, radix) = if let Some(hex) = digits("0x").or(digits("0X")) {
        (hex, 16)
    } else if let Some(binary) = digits("0b") {
        (binary, 2)
    } else if let Some(octal) = digits("0o") {
        (octal, 8)
    } else {
        (text, 10)
    };
    u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
}

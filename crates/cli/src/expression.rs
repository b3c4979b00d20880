//! Which part of a line of C the compiler means.
//!
//! Line information names a line and a column, where an expression begins or its operator stands; where it ends is read
//! from the text: tokens, brackets and the order of C's operators, no more. Text that is not C, or goes on in the next line,
//! is taken to its end.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A name, a number, a string.
    Word,
    Open,
    Close,
    /// `->` or `.`
    Member,
    /// `=`, `+=`, …
    Assign,
    /// `;`, `,`, `{`, `}`, `:`, `?`
    End,
    Operator,
}

/// Operators of more than one sign, longer ones first.
const SIGNS: &[(&str, Kind)] = &[
    ("<<=", Kind::Assign),
    (">>=", Kind::Assign),
    ("->", Kind::Member),
    ("==", Kind::Operator),
    ("!=", Kind::Operator),
    ("<=", Kind::Operator),
    (">=", Kind::Operator),
    ("<<", Kind::Operator),
    (">>", Kind::Operator),
    ("&&", Kind::Operator),
    ("||", Kind::Operator),
    ("++", Kind::Operator),
    ("--", Kind::Operator),
    ("+=", Kind::Assign),
    ("-=", Kind::Assign),
    ("*=", Kind::Assign),
    ("/=", Kind::Assign),
    ("%=", Kind::Assign),
    ("&=", Kind::Assign),
    ("|=", Kind::Assign),
    ("^=", Kind::Assign),
    ("=", Kind::Assign),
];

/// Words behind which a condition stands in brackets.
const CONDITIONS: &[&str] = &["if", "while", "for", "switch"];
/// Words that begin a statement.
const STATEMENTS: &[&str] = &["return", "goto", "break", "continue", "case", "do", "else", "asm", "__asm__"];
/// Words that a type in a cast begins with; so do names that end in `_t`.
const TYPES: &[&str] = &[
    "void", "char", "short", "int", "long", "unsigned", "signed", "struct", "union", "enum", "const",
    "volatile", "bool", "_Bool",
];

struct Tokens<'t> {
    text: &'t str,
    all: Vec<(Kind, Range<usize>)>,
}

/// The bytes of `text` that are meant by what stands at byte `at`.
pub fn meant(text: &str, at: usize) -> Range<usize> {
    let tokens = Tokens::of(text);
    let Some(i) = tokens.all.iter().position(|(_, r)| r.contains(&at)) else {
        return at.min(text.len())..text.len();
    };
    let (first, last) = tokens.around(i);
    tokens.all[first].1.start..tokens.all[last].1.end
}

impl<'t> Tokens<'t> {
    /// Up to a comment.
    fn of(text: &'t str) -> Self {
        let mut all = Vec::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with("//") || rest.starts_with("/*") {
                break;
            }
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let (kind, len) = match c {
                c if c.is_whitespace() => {
                    at += c.len_utf8();
                    continue;
                }
                '"' | '\'' => (Kind::Word, quoted(rest, c)),
                c if word(c) => (Kind::Word, rest.find(|c| !word(c)).unwrap_or(rest.len())),
                '(' | '[' => (Kind::Open, 1),
                ')' | ']' => (Kind::Close, 1),
                '.' => (Kind::Member, 1),
                ';' | ',' | '{' | '}' | ':' | '?' => (Kind::End, 1),
                c => match SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
                    Some((sign, kind)) => (*kind, sign.len()),
                    None => (Kind::Operator, c.len_utf8()),
                },
            };
            all.push((kind, at..at + len));
            at += len;
        }
        Self { text, all }
    }

    fn kind(&self, i: usize) -> Option<Kind> {
        self.all.get(i).map(|(kind, _)| *kind)
    }

    fn word(&self, i: usize) -> &'t str {
        self.all.get(i).map_or("", |(_, r)| &self.text[r.clone()])
    }

    /// Whether an operand ends here, so that an operator behind it stands between two.
    fn ends_operand(&self, i: usize) -> bool {
        let keyword = |w: &str| CONDITIONS.contains(&w) || STATEMENTS.contains(&w);
        match self.kind(i) {
            Some(Kind::Word) => !keyword(self.word(i)),
            Some(Kind::Close) => !self.is_cast(self.open_of(i), i),
            Some(Kind::Operator) => matches!(self.word(i), "++" | "--") && i > 0 && self.ends_operand(i - 1),
            Some(Kind::Open | Kind::Member | Kind::Assign | Kind::End) | None => false,
        }
    }

    /// The tokens of what the `i`-th belongs to.
    fn around(&self, i: usize) -> (usize, usize) {
        let word = self.word(i);
        let last = self.all.len() - 1;
        let before = i.checked_sub(1).filter(|&b| self.ends_operand(b));
        match self.all[i].0 {
            Kind::Word if CONDITIONS.contains(&word) => {
                (i, if self.kind(i + 1) == Some(Kind::Open) { self.close_of(i + 1) } else { i })
            }
            Kind::Word if STATEMENTS.contains(&word) => (i, self.statement(i)),
            Kind::Assign => (before.map_or(i, |b| self.back(b)), self.statement(i)),
            Kind::Operator if before.is_some() && i < last => {
                (before.map_or(i, |b| self.back(b)), self.operand(i + 1))
            }
            Kind::Word | Kind::Open | Kind::Operator | Kind::Member => {
                let first = if self.all[i].0 == Kind::Word || before.is_some() { self.back(i) } else { i };
                let end = self.operand(i);
                let assigned = self.kind(end + 1) == Some(Kind::Assign);
                (first, if assigned { self.statement(end + 1) } else { end })
            }
            Kind::Close | Kind::End => (i, i),
        }
    }

    /// The last token of the statement, or of the argument, that the `i`-th is in.
    fn statement(&self, mut i: usize) -> usize {
        while let Some(kind) = self.kind(i + 1) {
            match kind {
                Kind::End | Kind::Close => break,
                Kind::Open => i = self.close_of(i + 1),
                Kind::Word | Kind::Member | Kind::Assign | Kind::Operator => i += 1,
            }
        }
        i
    }

    /// The last token of the operand that begins at the `i`-th: signs before it, casts, and what is called, indexed or
    /// taken of it.
    fn operand(&self, mut i: usize) -> usize {
        let last = self.all.len() - 1;
        while i < last {
            match self.all[i].0 {
                Kind::Operator => i += 1,
                Kind::Open if self.is_cast(i, self.close_of(i)) && self.close_of(i) < last => {
                    i = self.close_of(i) + 1;
                }
                Kind::Word | Kind::Open | Kind::Close | Kind::Member | Kind::Assign | Kind::End => break,
            }
        }
        if self.kind(i) == Some(Kind::Open) {
            i = self.close_of(i);
        }
        while let Some(kind) = self.kind(i + 1) {
            match kind {
                Kind::Open => i = self.close_of(i + 1),
                Kind::Member => i = (i + 2).min(last),
                Kind::Operator if matches!(self.word(i + 1), "++" | "--") => i += 1,
                Kind::Word | Kind::Close | Kind::Assign | Kind::End | Kind::Operator => break,
            }
        }
        i
    }

    /// The first token of the operand that ends at the `i`-th.
    fn back(&self, mut i: usize) -> usize {
        loop {
            if self.kind(i) == Some(Kind::Close) {
                i = self.open_of(i);
            }
            match i.checked_sub(1).map(|b| (b, self.all[b].0)) {
                Some((b, Kind::Member)) if b > 0 => i = b - 1,
                Some((b, Kind::Member)) => return b,
                // What is called or indexed.
                Some((b, Kind::Word | Kind::Close))
                    if self.all[i].0 == Kind::Open && self.ends_operand(b) =>
                {
                    i = b;
                }
                Some((b, Kind::Operator)) if matches!(self.word(i), "++" | "--") && self.ends_operand(b) => {
                    i = b
                }
                Some((
                    _,
                    Kind::Open | Kind::Assign | Kind::End | Kind::Word | Kind::Close | Kind::Operator,
                ))
                | None => {
                    break;
                }
            }
        }
        // Signs before it.
        while let Some(b) = i.checked_sub(1)
            && self.all[b].0 == Kind::Operator
            && !b.checked_sub(1).is_some_and(|c| self.ends_operand(c))
        {
            i = b;
        }
        i
    }

    /// The bracket that closes the one at `i`; the last token if none does.
    fn close_of(&self, i: usize) -> usize {
        let mut depth = 0;
        for (at, (kind, _)) in self.all.iter().enumerate().skip(i) {
            match kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                Kind::Word | Kind::Member | Kind::Assign | Kind::End | Kind::Operator => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.all.len() - 1
    }

    /// The bracket that the one at `i` closes; the first token if none.
    fn open_of(&self, i: usize) -> usize {
        let mut depth = 0;
        for at in (0..=i).rev() {
            match self.all[at].0 {
                Kind::Close => depth += 1,
                Kind::Open => depth -= 1,
                Kind::Word | Kind::Member | Kind::Assign | Kind::End | Kind::Operator => {}
            }
            if depth == 0 {
                return at;
            }
        }
        0
    }

    /// Whether a type stands in brackets.
    fn is_cast(&self, open: usize, close: usize) -> bool {
        let word = self.word(open + 1);
        self.word(open) == "("
            && self.word(close) == ")"
            && (TYPES.contains(&word)
                || word.ends_with("_t")
                || (close > open + 2 && matches!(self.word(close - 1), "*"))
                || (close == open + 2 && matches!(word, "u8" | "u16" | "u32" | "u64"))
                || word.starts_with("__u")
                || word.starts_with("__s"))
    }
}

/// Bytes of a literal in quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, c) if c == quote => return at + 1,
            (_, _) => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is meant where `^` stands, which is not part of the text.
    fn at(marked: &str) -> String {
        let at = marked.find('^').expect("a mark");
        let text = marked.replacen('^', "", 1);
        text[meant(&text, at)].to_owned()
    }

    #[test]
    fn the_whole_expression_is_meant() {
        assert_eq!(at("return e->data[i & 7] ^+ 1;"), "e->data[i & 7] + 1");
        assert_eq!(at("return ^e->data[i & 7] + 1;"), "e->data[i & 7]");
        assert_eq!(at("return e->^data[i & 7] + 1;"), "e->data[i & 7]");
        assert_eq!(at("e->len ^= ctx->len;"), "e->len = ctx->len");
        assert_eq!(at("e->len = ctx->^len;"), "ctx->len");
        assert_eq!(at("if (e && e->data[4] ^> 3) {"), "e->data[4] > 3");
        assert_eq!(at("^if (e && e->data[4] > 3) {"), "if (e && e->data[4] > 3)");
        assert_eq!(at("if (e ^&& e->data[4] > 3) {"), "e && e->data[4]");
        assert_eq!(at("struct ev *^e = lookup(&m, &key);"), "e = lookup(&m, &key)");
        assert_eq!(at("struct ev *e = ^lookup(&m, &key);"), "lookup(&m, &key)");
        assert_eq!(at("x = ^*p; // why = 1"), "*p");
        assert_eq!(at("x = *^p++;"), "*p++");
        assert_eq!(at("^return probe(buf, n); /* no */"), "return probe(buf, n)");
        assert_eq!(at("return ^probe(buf, f(n)[1]);"), "probe(buf, f(n)[1])");
        assert_eq!(at("y = ^(u32)(long)p->x + 1;"), "(u32)(long)p->x");
        assert_eq!(at("y = ^*(struct a *)(p + 1);"), "*(struct a *)(p + 1)");
        assert_eq!(at("y = a ^- (u64)b[1];"), "a - (u64)b[1]");
        assert_eq!(at("f(\"a)\\\"\", ^b.c[0].d, c);"), "b.c[0].d");
        assert_eq!(at("for (i = 0; i ^< n; i++)"), "i < n");
        assert_eq!(at("^i++;"), "i++");
        assert_eq!(at("n ^+= i ^ ctx->len;".replacen("i ^", "i |", 1).as_str()), "n += i | ctx->len");
    }

    #[test]
    fn what_is_not_understood_is_taken_as_it_is() {
        assert_eq!(at("^"), "");
        assert_eq!(at("call(a, ^"), "");
        assert_eq!(at("^call(a,"), "call(a,");
        assert_eq!(at("a + ^"), "");
        assert_eq!(at("a ^+"), "+");
        assert_eq!(at("}^ else"), " else");
        assert_eq!(at("x ^= «y» ? 1 : 2;"), "x = «y»");
        for text in ["))(", "->", ".", "=", "a->", "(((", "++", "é->ü(", "'", "x[\"", "if", "if (", "-)(- ="]
        {
            for at in 0..=text.len() + 1 {
                let found = meant(text, at);
                assert!(
                    found.start <= found.end && text.get(found.clone()).is_some(),
                    "{text} {at} {found:?}"
                );
            }
        }
    }
}

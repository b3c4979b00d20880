//! Names of C as names of Rust.

use std::collections::BTreeSet;

/// Words that cannot be names, but for those that cannot be raw either.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
const NEVER: &[&str] = &["self", "Self", "super", "crate", "_"];

/// Letters, digits and `_`; what is none of these becomes `_`.
fn plain(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// A field, variable, method or module.
pub(crate) fn item(name: &str) -> String {
    let out = plain(name);
    match &*out {
        n if NEVER.contains(&n) => format!("{n}_"),
        n if KEYWORDS.contains(&n) => format!("r#{n}"),
        _ => out,
    }
}

/// Part of a longer name: a keyword is no matter there.
pub(crate) fn part(name: &str) -> String {
    plain(name).trim_start_matches('_').to_owned()
}

/// A type: `flow_key` is `FlowKey`.
pub(crate) fn camel(name: &str) -> String {
    let word = |w: &str| {
        let mut chars = w.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    let out: String = plain(name).split('_').map(word).collect();
    match out.chars().next() {
        Some(c) if c.is_ascii_digit() => format!("T{out}"),
        Some(_) if out == "Self" => "Self_".to_owned(),
        Some(_) => out,
        None => "Unnamed".to_owned(),
    }
}

/// Gives each name once.
#[derive(Debug, Default)]
pub(crate) struct Unique(BTreeSet<String>);

impl Unique {
    /// The name, with a number behind it if it has been given before.
    pub(crate) fn take(&mut self, name: String) -> String {
        if self.0.insert(name.clone()) {
            return name;
        }
        let base = name.strip_prefix("r#").unwrap_or(&name).to_owned();
        let mut n = 2u32;
        loop {
            let numbered = format!("{base}_{n}");
            if self.0.insert(numbered.clone()) {
                return numbered;
            }
            n += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rust() {
        assert_eq!(
            (&*item("type"), &*item("self"), &*item("a.b"), &*item("9")),
            ("r#type", "self_", "a_b", "_9")
        );
        assert_eq!((&*camel("flow_key"), &*camel("__u8x"), &*camel("self")), ("FlowKey", "U8x", "Self_"));
        assert_eq!((&*camel("___"), &*camel("_4in6")), ("Unnamed", "T4in6"));
        let mut unique = Unique::default();
        assert_eq!(unique.take("r#type".into()), "r#type");
        assert_eq!(unique.take("r#type".into()), "type_2");
        assert_eq!(unique.take("r#type".into()), "type_3");
    }
}

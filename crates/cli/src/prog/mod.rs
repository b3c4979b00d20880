//! `skep prog`: programs, with bpftool's verbs and words.

mod run;
mod trace;
mod words;

pub use run::run;

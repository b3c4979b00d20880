//! `skep prog`: programs, with bpftool's verbs and words.

mod dump;
mod effects;
mod graph;
mod jited;
mod run;
mod show;
mod trace;
mod words;

pub use dump::dump;
pub use run::run;
pub use show::show;

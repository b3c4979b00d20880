//! One process of a campaign: it tries programs, and says beforehand which.
//!
//! A program that makes Linux fall over takes the thread that loads it along, or keeps it in the kernel for ever. So
//! a process of its own asks Linux, with no other thread in it, and what it said last tells who did it. Orders come
//! to its standard input, reports leave by its standard output, a line of JSON each:
//!
//! ```text
//! {"Try":{"from":7,"to":9}}             {"At":7}  {"At":8}  {"Tried":{"coverage":{…},"found":[…]}}
//! {"Shrink":{"seed":7,"what":"…"}}      {"At":7}  {"Small":{"what":"…","text":"…"}}
//! ```

use std::io::{self, BufRead, Write};
use std::process::{self, Command};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cases;
use super::coverage::Coverage;
use super::judge::Judge;
use super::mutate::Mutants;
use super::program::{self, Generated};
use super::{Comparison, Divergence, compare, leftovers, smallest};
use crate::oracle::{Oracle, Verdict};
use crate::rowfiles;

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Try the programs of these seeds.
    Try {
        /// The first.
        from: u64,
        /// Behind the last.
        to: u64,
    },
    /// Make the program of a disagreement small.
    Shrink(Divergence),
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The oracles are asked about the program of this seed next.
    At(u64),
    /// All of them have been tried.
    Tried {
        /// What they reached.
        coverage: Box<Coverage>,
        /// Where the oracles disagree.
        found: Vec<Divergence>,
    },
    /// As small as it gets.
    Small(Small),
}

/// A disagreement made small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Small {
    /// What differs now.
    pub what: String,
    /// The program, as a file test.
    pub text: String,
}

impl Small {
    /// A disagreement as it is, without asking anybody.
    pub fn not_at_all(of: &Divergence) -> Self {
        Self { what: of.what.clone(), text: format!("; Seed {}: {}\n", of.seed, of.what) }
    }
}

/// Where the programs come from.
pub enum Source {
    /// The generator makes them.
    Generated,
    /// They are those of the verdict files, changed.
    Cases,
    /// They are compiled ones, changed.
    Mutants(Box<Mutants>),
}

impl Source {
    /// The program of a seed, and what else there is to say about it.
    fn program(&mut self, seed: u64) -> Option<(String, Generated)> {
        match self {
            Self::Generated => Some((String::new(), generate(seed))),
            Self::Cases => Some((String::new(), cases::generate(seed)?)),
            Self::Mutants(mutants) => mutants.program(seed),
        }
    }

    fn compare(&self, generated: &Generated, oracles: &[&dyn Oracle]) -> Comparison {
        match self {
            Self::Generated | Self::Cases if generated.judged => judge(generated, oracles),
            Self::Generated | Self::Cases => compare(generated, oracles),
            Self::Mutants(mutants) => mutants.compare(generated),
        }
    }
}

/// The program of a seed: every tenth comes from the verdict files.
pub fn generate(seed: u64) -> Generated {
    let case = if seed % 10 == 9 { cases::generate(seed) } else { None };
    case.unwrap_or_else(|| program::generate(seed))
}

/// Asks for the verdict alone.
fn judge(generated: &Generated, oracles: &[&dyn Oracle]) -> Comparison {
    static JUDGE: OnceLock<Judge> = OnceLock::new();
    let judge = JUDGE.get_or_init(|| match oracles.iter().any(|o| o.name() == "kernel") {
        true => Judge::new(),
        false => Judge::alone(),
    });
    match judge.maps(&generated.spec) {
        Some(maps) => judge.compare(generated, &maps),
        None => {
            let why = Verdict::Skipped("its maps cannot be made".into());
            Comparison { what: None, answers: vec![Err(why)], dead_path: false, known_better: false }
        }
    }
}

/// A seed at which a worker is to fail, so that those who watch it can be tested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plant {
    /// It dies, as by a signal from the kernel.
    pub die_at: Option<u64>,
    /// It says nothing any more, and keeps its pipes open for some seconds after it was killed.
    pub hang_at: Option<u64>,
}

impl Plant {
    fn sprout(self, seed: u64) {
        if self.die_at == Some(seed) {
            process::abort();
        }
        if self.hang_at == Some(seed) {
            // Its child has the pipes too.
            let _ = Command::new("sleep").arg("40").spawn();
            thread::sleep(Duration::from_secs(3600));
        }
    }
}

/// Does what `orders` say, until there are none any more.
///
/// # Errors
///
/// When a pipe is broken, or an order is none.
pub fn serve(
    oracles: &[&dyn Oracle],
    plant: Plant,
    mut source: Source,
    orders: impl BufRead,
    mut reports: impl Write,
) -> io::Result<()> {
    let mut say = |report: &Report| {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        reports.write_all(&line)?;
        reports.flush()
    };
    for order in orders.lines() {
        match serde_json::from_str(&order?)? {
            Order::Try { from, to } => {
                let (mut coverage, mut found) = (Box::<Coverage>::default(), Vec::new());
                for seed in from..to {
                    say(&Report::At(seed))?;
                    plant.sprout(seed);
                    let Some((words, generated)) = source.program(seed) else {
                        coverage.programs += 1;
                        coverage.skipped += 1;
                        continue;
                    };
                    let compared = source.compare(&generated, oracles);
                    coverage.add(&generated, &compared.answers);
                    if compared.dead_path {
                        coverage.dead_paths.insert(seed);
                    }
                    if compared.known_better {
                        coverage.known_better.insert(seed);
                    }
                    found.extend(compared.what.map(|what| {
                        let words = if words.is_empty() { words } else { format!(" [{words}]") };
                        Divergence { seed, what: what + &words }
                    }));
                }
                say(&Report::Tried { coverage, found })?;
            }
            Order::Shrink(of) => {
                say(&Report::At(of.seed))?;
                say(&Report::Small(shrink(&of, &mut source, oracles)))?;
            }
        }
    }
    Ok(())
}

fn shrink(
    of @ Divergence { seed, what }: &Divergence,
    source: &mut Source,
    oracles: &[&dyn Oracle],
) -> Small {
    let Some((_, generated)) = source.program(*seed) else { return Small::not_at_all(of) };
    if let Source::Mutants(mutants) = source {
        let small = smallest(&generated, what, &|g| mutants.compare(g));
        let what = mutants.compare(&small).what.unwrap_or_else(|| what.clone());
        return Small { text: render(*seed, &what, &small), what };
    }
    let open = if generated.judged { None } else { leftovers(&generated) };
    // What depends on leftovers would become something else on its way.
    let small = match open {
        None => smallest(&generated, what, &|g| source.compare(g, oracles)),
        Some(_) => generated,
    };
    let what = source.compare(&small, oracles).what.unwrap_or_else(|| what.clone());
    let text = render(*seed, &what, &small);
    let open = open.map_or(String::new(), |why| format!(" (may depend on leftovers: {why})"));
    Small { what: what + &open, text }
}

fn render(seed: u64, what: &str, g: &program::Generated) -> String {
    rowfiles::render_all(&format!("Seed {seed}: {what}"), &g.spec, &g.tails, &g.insides, &g.inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_says_what_it_tries_before_it_does() {
        let order = |order: &Order| serde_json::to_string(order).expect("it is data") + "\n";
        let orders = order(&Order::Try { from: 3, to: 5 })
            + &order(&Order::Shrink(Divergence { seed: 9, what: "verdict: none".into() }));
        let mut reports = Vec::new();
        serve(&[], Plant::default(), Source::Generated, orders.as_bytes(), &mut reports)
            .expect("the orders are orders");
        let reports: Vec<Report> = reports
            .split(|&b| b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("it is a report"))
            .collect();
        let [
            Report::At(3),
            Report::At(4),
            Report::Tried { coverage, found },
            Report::At(9),
            Report::Small(small),
        ] = &reports[..]
        else {
            panic!("{reports:?}");
        };
        assert_eq!((coverage.programs, found.len()), (2, 0));
        assert!(small.text.starts_with("; Seed 9: verdict: none"), "{}", small.text);
        assert!(serve(&[], Plant::default(), Source::Generated, &b"nonsense\n"[..], Vec::new()).is_err());
    }

    #[test]
    fn coverage_survives_the_way_between_processes() {
        let oracles: [&dyn Oracle; 1] = [&crate::oracle::interpreter::Interpreter];
        let orders = serde_json::to_string(&Order::Try { from: 0, to: 20 }).expect("it is data");
        let mut reports = Vec::new();
        serve(&oracles, Plant::default(), Source::Generated, orders.as_bytes(), &mut reports)
            .expect("the orders are orders");
        let last = reports.split(|&b| b == b'\n').rfind(|line| !line.is_empty()).expect("it reports");
        let Ok(Report::Tried { coverage, .. }) = serde_json::from_slice(last) else { panic!("{last:?}") };
        let mut here = Coverage::default();
        for generated in (0..20).map(generate) {
            let compared = Source::Generated.compare(&generated, &oracles);
            here.add(&generated, &compared.answers);
        }
        assert_eq!(*coverage, here);
        assert!(!here.sides.is_empty() && !here.maps.is_empty() && !here.helpers.is_empty());
    }
}

//! Generates programs, runs them on every oracle and reports where they disagree.
//!
//! ```text
//! differential [--count N] [--seed S] [--jobs J] [--seconds T] [--write] [--record]
//! differential --mutate FOLDER [--count N] …
//! differential --cases [--count N] …
//! differential --jit [--count N] …
//! differential --embed [--count N] …
//! differential --show S
//! ```
//!
//! Seeds S to S+N-1 are tried by J processes (2), for at most T seconds. A disagreement is shrunk and printed; with
//! `--write` it becomes a file test under `tests/cases/found`. `--record` writes the figures to `tests/campaign.txt`,
//! from where `docs/parity.md` has them. A program that makes Linux fall over costs its process; it is listed, and the
//! others go on. With `--mutate` the programs are those of the objects in the folders (separated by colons), a few
//! instructions changed, and verdicts alone are compared; the figures go to `tests/mutations.txt`. With `--cases` they are those of the verdict files, changed, of which every
//! tenth program is one otherwise. With `--jit` native code of each program is asked too; the figures go to
//! `tests/campaign-jit.txt`. With `--embed` the interpreter holds every register and stack slot of every run against what the
//! verifier knew there; a run that leaves that counts as a refusal. `--show` prints a program without loading it. Exit status
//! 1 when there was a disagreement, or when
//! Linux took no program any more.
//!
//! For tests: `--silence T` gives up a process after T seconds instead of 60; `--no-kernel` leaves Linux out;
//! `--die-at S` and `--hang-at S` make the process fail that tries the seed.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use skep_testkit::generate::campaign::{Campaign, News, SILENCE};
use skep_testkit::generate::cases;
use skep_testkit::generate::mutate::Mutants;
use skep_testkit::generate::worker::{self, Plant, Small, Source};
use skep_testkit::oracle::interpreter::{Embedded, Interpreter};
use skep_testkit::oracle::jit::Jit;
use skep_testkit::oracle::{self, Oracle, kernel};
use skep_testkit::rowfiles;

const USAGE: &str = "usage: differential [--count N] [--seed S] [--jobs J] [--seconds T] [--write] [--record]
       differential --mutate FOLDER [--count N] ...
       differential --cases [--count N] ...
       differential --jit [--count N] ...
       differential --embed [--count N] ...
       differential --show S";

/// What the arguments say.
struct Arguments {
    count: u64,
    seed: u64,
    jobs: u64,
    seconds: Option<u64>,
    silence: Duration,
    write: bool,
    record: bool,
    show: Option<u64>,
    mutate: Option<String>,
    cases: bool,
    jit: bool,
    embed: bool,
    worker: bool,
    turn: usize,
    kernel: bool,
    plant: Plant,
    /// Those that the workers get as well.
    handed_on: Vec<String>,
}

impl Arguments {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut all = Self {
            count: 1000,
            seed: 1,
            jobs: 2,
            seconds: None,
            silence: SILENCE,
            write: false,
            record: false,
            show: None,
            mutate: None,
            cases: false,
            jit: false,
            embed: false,
            worker: false,
            turn: 0,
            kernel: true,
            plant: Plant::default(),
            handed_on: Vec::new(),
        };
        while let Some(arg) = args.next() {
            if arg == "--mutate" {
                let folders = args.next().ok_or("--mutate: a folder is missing")?;
                all.handed_on.extend([arg, folders.clone()]);
                all.mutate = Some(folders);
                continue;
            }
            let mut number = || {
                let given = args.next().ok_or_else(|| format!("{arg}: a number is missing"))?;
                given.parse::<u64>().map_err(|_| format!("{arg}: `{given}` is no number"))
            };
            let mut hand_on = |more: Option<u64>| {
                all.handed_on.push(arg.clone());
                all.handed_on.extend(more.map(|n| n.to_string()));
            };
            match arg.as_str() {
                "--count" => all.count = number()?,
                "--seed" => all.seed = number()?,
                "--jobs" => all.jobs = number()?,
                "--seconds" => all.seconds = Some(number()?),
                "--silence" => all.silence = Duration::from_secs(number()?),
                "--cases" => {
                    all.cases = true;
                    hand_on(None);
                }
                "--jit" => {
                    all.jit = true;
                    hand_on(None);
                }
                "--embed" => {
                    all.embed = true;
                    hand_on(None);
                }
                "--write" => all.write = true,
                "--record" => all.record = true,
                "--show" => all.show = Some(number()?),
                "--worker" => all.worker = true,
                "--turn" => all.turn = number()? as usize,
                "--no-kernel" => {
                    all.kernel = false;
                    hand_on(None);
                }
                "--die-at" => {
                    all.plant.die_at = Some(number()?);
                    hand_on(all.plant.die_at);
                }
                "--hang-at" => {
                    all.plant.hang_at = Some(number()?);
                    hand_on(all.plant.hang_at);
                }
                other => return Err(format!("{other}: unknown")),
            }
        }
        Ok(all)
    }

    fn oracles(&self) -> Vec<&'static dyn Oracle> {
        let mut oracles: Vec<&dyn Oracle> = Vec::new();
        // Neighbours are compared.
        let jit = self.jit.then_some(&Jit as &dyn Oracle);
        let all = jit.into_iter().chain(oracle::all());
        for mut o in all.filter(|o| self.kernel || o.name() != "kernel") {
            if self.embed && o.name() == Interpreter.name() {
                o = &Embedded;
            }
            match o.available() {
                Ok(()) => oracles.push(o),
                // Once is enough.
                Err(_) if self.worker => {}
                Err(why) => eprintln!("skipped: {}: {why}", o.name()),
            }
        }
        oracles
    }
}

fn main() -> ExitCode {
    let args = match Arguments::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = args.show {
        let case = if args.cases { cases::generate(seed) } else { None };
        let g = case.unwrap_or_else(|| worker::generate(seed));
        println!(
            "{}",
            rowfiles::render_all(&format!("Seed {seed}."), &g.spec, &g.tails, &g.insides, &g.inputs)
        );
        return ExitCode::SUCCESS;
    }
    let oracles = args.oracles();
    let done = if args.worker {
        kernel::begin_turns_at(args.turn);
        let source = match &args.mutate {
            None if args.cases => Source::Cases,
            None => Source::Generated,
            Some(folders) => match Mutants::read(folders) {
                Ok(mutants) => Source::Mutants(Box::new(mutants)),
                Err(why) => {
                    eprintln!("differential: {why}");
                    return ExitCode::from(2);
                }
            },
        };
        worker::serve(&oracles, args.plant, source, std::io::stdin().lock(), std::io::stdout().lock())
            .map(|()| ExitCode::SUCCESS)
    } else {
        campaign(&args)
    };
    done.unwrap_or_else(|e| {
        eprintln!("differential: {e}");
        ExitCode::from(2)
    })
}

fn campaign(args: &Arguments) -> std::io::Result<ExitCode> {
    let program = std::env::current_exe()?;
    let start = Instant::now();
    let (count, seed) = (args.count, args.seed);
    let campaign = Campaign {
        seeds: seed..seed.saturating_add(count),
        jobs: args.jobs as usize,
        until: args.seconds.map(|s| start + Duration::from_secs(s)),
        program: &program,
        args: &args.handed_on,
        silence: args.silence,
        shrink: true,
    };
    let terminal = std::io::stderr().is_terminal();
    let summary = campaign.run(&mut |news| match news {
        News::Tried(done) if terminal => eprint!("\r{done} of {count}"),
        News::Tried(_) => {}
        News::Found(found) => println!("seed {}: {}", found.seed, found.what),
        News::Fell(fall) => println!("{fall}"),
        News::Small(seed, Small { what, text }) => {
            println!("seed {seed}, as small as it gets: {what}\n{text}");
            if args.write {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/found");
                let path = folder.join(format!("seed-{seed}.s"));
                let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text));
                if let Err(e) = written {
                    eprintln!("{}: {e}", path.display());
                }
            }
        }
    });
    let elapsed = start.elapsed().as_secs_f64();
    println!("{summary}\n{:.0} programs/s", summary.coverage.programs as f64 / elapsed);
    if args.record {
        // A campaign that its time limit ended has fewer programs than it was asked for.
        let limit = args.seconds.map_or_else(String::new, |s| format!(" --seconds {s}"));
        let (what, file) = match &args.mutate {
            _ if args.jit => (" --jit", "campaign-jit"),
            _ if args.cases => (" --cases", "cases"),
            None => ("", "campaign"),
            Some(_) => (" --mutate FOLDER", "mutations"),
        };
        let text = format!("cargo xtask differential {count} {seed}{limit}{what} --record\n{summary}\n");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/{file}.txt"));
        std::fs::write(&path, text)
            .map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    }
    let clean = summary.found.is_empty() && summary.gave_up.is_none();
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

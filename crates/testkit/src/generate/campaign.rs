//! Many programs in several processes, some of which may not come back.
//!
//! The seeds are handed out in pieces. A piece counts once its worker has tried all of it. Where a worker dies or
//! says no more, the seed that it named last is taken out, as one at which Linux fell over, and what is left of the
//! piece is handed out again.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::Divergence;
use super::coverage::Coverage;
use super::crew::{End, Heard, Oopses, Worker};
use super::worker::{Order, Report, Small};

/// Seeds that a worker is given at a time.
const PIECE: u64 = 64;

/// How long a worker may be at one program: the longest take seconds.
pub const SILENCE: Duration = Duration::from_secs(60);

/// What a campaign is to do.
pub struct Campaign<'a> {
    /// The seeds to try; each is one program.
    pub seeds: Range<u64>,
    /// Processes that share them, at least one.
    pub jobs: usize,
    /// No piece is begun after this.
    pub until: Option<Instant>,
    /// What does the work: a program that calls [`serve`](super::worker::serve) when its first argument is
    /// `--worker` …
    pub program: &'a Path,
    /// … and its further arguments.
    pub args: &'a [String],
    /// How long a worker may say nothing.
    pub silence: Duration,
    /// Whether disagreements are made small.
    pub shrink: bool,
}

/// A program at which Linux fell over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fall {
    /// The seed that gives the program.
    pub seed: u64,
    /// It was the program of a disagreement on its way to being small: no program of its own.
    pub shrinking: bool,
    /// What was seen, in words.
    pub how: String,
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.shrinking { ", while its program was made small" } else { "" };
        write!(f, "Linux fell over at seed {}{when}: {}", self.seed, self.how)
    }
}

/// What happens while a campaign runs.
pub enum News<'a> {
    /// So many programs have been tried.
    Tried(u64),
    /// A disagreement was found.
    Found(&'a Divergence),
    /// A disagreement was made as small as it gets.
    Small(u64, &'a Small),
    /// Linux fell over.
    Fell(&'a Fall),
}

/// What came of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Programs that it was asked for.
    pub asked: u64,
    /// What the programs reached that were tried to their end.
    pub coverage: Coverage,
    /// Disagreements, in the order of their seeds.
    pub found: Vec<Divergence>,
    /// Where Linux fell over, in the order of the seeds.
    pub falls: Vec<Fall>,
    /// Why it was ended early.
    pub gave_up: Option<String>,
}

impl Campaign<'_> {
    /// Tries the seeds. Neither a disagreement nor a fall ends it, only falls one after another with nothing in
    /// between: Linux then takes no program any more. `hear` hears what happens.
    pub fn run(&self, hear: &mut dyn FnMut(News<'_>)) -> Summary {
        let (sender, heard) = mpsc::channel();
        let asked = self.seeds.end.saturating_sub(self.seeds.start);
        let jobs = self.jobs.max(1);
        let mut run = Run {
            of: self,
            hear,
            summary: Summary { asked, ..Summary::default() },
            next: self.seeds.start,
            again: VecDeque::new(),
            in_a_row: 0,
            started: 0,
            oopses: Oopses::new(),
        };
        let mut workers: Vec<Option<Worker>> = (0..jobs).map(|_| None).collect();
        loop {
            for (turn, worker) in workers.iter_mut().enumerate() {
                run.employ(turn, worker, &sender);
            }
            let Some(first) = workers.iter().flatten().map(|w| w.heard).min() else { break };
            match heard.recv_timeout((first + self.silence).saturating_duration_since(Instant::now())) {
                Ok((number, what)) => {
                    if let Some(worker) =
                        workers.iter_mut().find(|w| w.as_ref().is_some_and(|w| w.number == number))
                    {
                        run.heard(worker, what);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let late = |w: &mut Worker| w.heard.elapsed() >= self.silence;
                    for worker in workers.iter_mut().filter_map(|w| w.take_if(late)) {
                        let order = worker.order.clone();
                        let at = worker.at;
                        let end = worker.silent(self.silence, &mut run.oopses);
                        run.ended(order, at, end);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut summary = run.summary;
        summary.found.sort_by_key(|d| d.seed);
        summary.falls.sort_by_key(|f| f.seed);
        summary
    }
}

/// A campaign on its way.
struct Run<'a> {
    of: &'a Campaign<'a>,
    hear: &'a mut dyn FnMut(News<'_>),
    summary: Summary,
    /// The first seed that was never handed out.
    next: u64,
    /// What is to be done before that.
    again: VecDeque<Order>,
    /// Workers that ended since one has last done what it was told to.
    in_a_row: usize,
    /// Workers.
    started: u64,
    oopses: Oopses,
}

impl Run<'_> {
    fn next_order(&mut self) -> Option<Order> {
        let over = self.of.until.is_some_and(|t| Instant::now() >= t);
        if self.summary.gave_up.is_some() {
            return None;
        }
        // What was found is made small, however late it is.
        let at = self.again.iter().position(|o| !over || matches!(o, Order::Shrink(_)));
        if let Some(order) = at.and_then(|at| self.again.remove(at)) {
            return Some(order);
        }
        let from = self.next;
        if over || from >= self.of.seeds.end {
            return None;
        }
        self.next = from.saturating_add(PIECE).min(self.of.seeds.end);
        Some(Order::Try { from, to: self.next })
    }

    /// Gives a worker that is at nothing something to do, or lets it go.
    fn employ(&mut self, turn: usize, worker: &mut Option<Worker>, sender: &Sender<Heard>) {
        if worker.as_ref().is_some_and(|w| w.order.is_some()) {
            return;
        }
        let Some(order) = self.next_order() else {
            if let Some(idle) = worker.take() {
                idle.dismiss();
            }
            return;
        };
        if worker.is_none() {
            self.started += 1;
            let (program, args) = (self.of.program, self.of.args);
            match Worker::start(self.started, turn, program, args, sender.clone()) {
                Ok(new) => *worker = Some(new),
                Err(e) => self.summary.gave_up = Some(format!("{}: {e}", program.display())),
            }
        }
        if let Some(worker) = worker {
            worker.tell(order);
        }
    }

    fn heard(&mut self, worker: &mut Option<Worker>, what: Option<Report>) {
        let Some(w) = worker else { return };
        w.heard = Instant::now();
        match what {
            Some(Report::At(seed)) => w.at = Some(seed),
            Some(Report::Tried { coverage, found }) => {
                w.order = None;
                self.in_a_row = 0;
                self.summary.coverage.merge(*coverage);
                found.into_iter().for_each(|found| self.found(found));
                (self.hear)(News::Tried(self.summary.coverage.programs as u64));
            }
            Some(Report::Small(small)) => {
                if let Some(Order::Shrink(of)) = w.order.take() {
                    (self.hear)(News::Small(of.seed, &small));
                }
                self.in_a_row = 0;
            }
            None => {
                if let Some(worker) = worker.take() {
                    let (order, at) = (worker.order.clone(), worker.at);
                    let end = worker.closed(&mut self.oopses);
                    self.ended(order, at, end);
                }
            }
        }
    }

    fn found(&mut self, found: Divergence) {
        (self.hear)(News::Found(&found));
        if self.of.shrink {
            self.again.push_back(Order::Shrink(found.clone()));
        }
        self.summary.found.push(found);
    }

    /// A worker ended, at `at` of `order`.
    fn ended(&mut self, order: Option<Order>, at: Option<u64>, end: End) {
        self.in_a_row += 1;
        let left = matches!(end, End::Left(_));
        let how = match end {
            End::Left(how) | End::Lost(how) => how,
        };
        if let (Some(seed), false) = (at, left) {
            let shrinking = matches!(order, Some(Order::Shrink(_)));
            let fall = Fall { seed, shrinking, how: how.clone() };
            (self.hear)(News::Fell(&fall));
            self.summary.falls.push(fall);
        }
        match (order, at) {
            (Some(Order::Try { from, to }), Some(seed)) => {
                let pieces = [from..seed, seed + 1..to].into_iter().filter(|p| !p.is_empty());
                self.again.extend(pieces.map(|p| Order::Try { from: p.start, to: p.end }));
                if left {
                    self.summary.coverage.programs += 1;
                    self.summary.coverage.skipped += 1;
                    let what = format!("skep: the worker ended by itself, {how}: it says above why");
                    // Not made small: that would end the next worker.
                    let found = Divergence { seed, what };
                    (self.hear)(News::Found(&found));
                    self.summary.found.push(found);
                }
            }
            (Some(Order::Shrink(of)), _) => (self.hear)(News::Small(of.seed, &Small::not_at_all(&of))),
            (Some(order @ Order::Try { .. }), None) => self.again.push_back(order),
            (None, _) => {}
        }
        // Each may have been waiting for what one of them never gives back.
        if self.in_a_row > 2 * self.of.jobs.max(1) && self.summary.gave_up.is_none() {
            let what = format!("{} workers in a row ended without an answer, the last: {how}", self.in_a_row);
            self.summary.gave_up = Some(what);
        }
    }
}

impl Summary {
    /// Programs that Linux fell over at.
    fn lost(&self) -> usize {
        self.falls.iter().filter(|f| !f.shrinking).count()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = self.coverage.programs + self.lost();
        writeln!(f, "tried {tried} of {}, Linux fell over at {}", self.asked, self.lost())?;
        for fall in &self.falls {
            writeln!(f, "{fall}")?;
        }
        if let Some(why) = &self.gave_up {
            writeln!(f, "given up: {why}")?;
        }
        writeln!(f, "{}", self.coverage)?;
        write!(f, "disagreements {}", self.found.len())
    }
}

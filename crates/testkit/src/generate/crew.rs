//! The processes of a campaign, and what became of one that says nothing any more.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::worker::{Order, Report};

/// How long the end of a process is waited for once it closed its pipe or was killed.
const ENDING: Duration = Duration::from_secs(3);

/// What the process with this number said; nothing when its pipe is closed.
pub(super) type Heard = (u64, Option<Report>);

/// A process that does what it is told to.
pub(super) struct Worker {
    /// Unlike that of any process before it.
    pub number: u64,
    child: Child,
    stdin: ChildStdin,
    /// What it is at.
    pub order: Option<Order>,
    /// The seed that it named last.
    pub at: Option<u64>,
    /// When it last said something, or was told something.
    pub heard: Instant,
}

/// How a worker ended.
pub(super) enum End {
    /// It left, with a status of its own: Linux had no part in it.
    Left(String),
    /// It was killed, or does not come back from the kernel.
    Lost(String),
}

impl Worker {
    /// Starts `program`. What it says goes to `heard`, from a thread that nobody waits for: a process that cannot be
    /// killed keeps its pipe open.
    pub fn start(
        number: u64,
        turn: usize,
        program: &Path,
        args: &[String],
        heard: Sender<Heard>,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(["--worker", "--turn", &turn.to_string()]).args(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| io::Error::other("no pipes"))?;
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(report) = serde_json::from_str(&line) else { break };
                if heard.send((number, Some(report))).is_err() {
                    return;
                }
            }
            let _ = heard.send((number, None));
        });
        Ok(Self { number, child, stdin, order: None, at: None, heard: Instant::now() })
    }

    /// Tells it what to do next. If it is gone, its closed pipe will say so.
    pub fn tell(&mut self, order: Order) {
        if let Ok(mut line) = serde_json::to_vec(&order) {
            line.push(b'\n');
            let _ = self.stdin.write_all(&line);
        }
        (self.order, self.at, self.heard) = (Some(order), None, Instant::now());
    }

    /// After it closed its pipe: how it ended.
    pub fn closed(mut self, oopses: &mut Oopses) -> End {
        match self.ended() {
            Some(status) if status.code().is_some() => End::Left(status.to_string()),
            Some(status) => End::Lost(format!("{status}; {}", oopses.words())),
            None => End::Lost(format!("gone without a status; {}", oopses.words())),
        }
    }

    /// After it said nothing for `silence`: kills it, as far as it can be killed.
    pub fn silent(mut self, silence: Duration, oopses: &mut Oopses) -> End {
        let state = state(self.child.id()).map_or(String::new(), |s| format!(", in state {s}"));
        let _ = self.child.kill();
        let stays = if self.ended().is_none() { "; it cannot be killed" } else { "" };
        End::Lost(format!("no answer for {} s{state}{stays}; {}", silence.as_secs(), oopses.words()))
    }

    /// Lets it end, without waiting: it has nothing to do.
    pub fn dismiss(self) {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        thread::spawn(move || child.wait());
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + ENDING;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

/// What the kernel says a process does (`/proc/PID/stat`, field 3): `D` is a wait that nothing ends.
fn state(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').next()?.to_string())
}

/// Linux's count of its own errors that cost a task (`/sys/kernel/oops_count`).
pub(super) struct Oopses(Option<u64>);

impl Oopses {
    pub fn new() -> Self {
        Self(fs::read_to_string("/sys/kernel/oops_count").ok().and_then(|n| n.trim().parse().ok()))
    }

    /// Whether there were any since this was asked last, in words.
    fn words(&mut self) -> &'static str {
        let before = std::mem::replace(self, Self::new()).0;
        match (before, self.0) {
            (Some(before), Some(now)) if now > before => "Linux counted an oops",
            (Some(_), Some(_)) => "Linux counted no oops",
            _ => "Linux does not say how many oopses it counts",
        }
    }
}

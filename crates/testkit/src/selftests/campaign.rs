//! All objects, each asked in a child process: a program that hangs the kernel's verifier, or ours, costs one answer.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::ask::{BEGIN, ERROR};
use super::record::{Answer, Record};

/// Time for one program: the kernel takes seconds for a million instructions.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks about all programs of an object. `Err` for an object that cannot be read.
///
/// # Errors
/// The child's words.
pub fn object(path: &Path) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    loop {
        let mut child = Asking::start(path, records.len())?;
        let mut begun: Option<Record> = None;
        let mut error = String::new();
        let why = loop {
            match child.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(BEGIN) {
                        begun = Record::parse(rest);
                    } else if let Some(words) = line.strip_prefix(ERROR) {
                        words.clone_into(&mut error);
                    } else {
                        records.extend(Record::parse(&line));
                        begun = None;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    child.kill();
                    break format!("no answer within {} s", PATIENCE.as_secs());
                }
                Err(RecvTimeoutError::Disconnected) => break child.end(),
            }
        };
        match begun {
            Some(mut record) => {
                record.skep = Answer::Died(why);
                records.push(record);
            }
            None if why.is_empty() => return Ok(records),
            None if error.is_empty() => return Err(why),
            None => return Err(error),
        }
    }
}

struct Asking {
    child: Child,
    lines: Receiver<String>,
}

impl Asking {
    fn start(path: &Path, from: usize) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| format!("the own program: {e}"))?;
        let mut child = Command::new(program)
            .arg("--ask")
            .arg(path)
            .arg(from.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|e| format!("cannot start a child: {e}"))?;
        let (send, lines) = channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                // Ends with the child, or with whoever listens.
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// A child whose thread the kernel holds is left behind.
    fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// How it ended, in words; none if well.
    fn end(&mut self) -> String {
        match self.child.wait() {
            Ok(status) if status.success() => String::new(),
            Ok(status) => status.to_string(),
            Err(e) => e.to_string(),
        }
    }
}

//! `skep run`: a program on packets, its maps and events shown as they change.

#[cfg(target_os = "linux")]
mod child;
mod events;
mod redirects;
mod sink;
mod view;

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use skep::source::capture::Capture;
use skep::user::UserOptions;
use skep::{Backend, Engine, Loaded, Object, Program, Runner, Tally, Verdicts};

use crate::args::RunArgs;
use crate::failure::{BAD_INPUT, Failure};
use crate::{diagnostic, text};
use events::Events;
use sink::Sink;
use view::{Counts, Form, View};

/// How long to sleep between looks at ring buffers and deadlines.
const TICK: Duration = Duration::from_millis(20);

/// The backend that `--linux` chooses, with a folder of pins and what runs programs.
pub fn choose_backend(linux: bool, pins: Option<&Path>, engine: Option<Engine>) -> Result<Backend, Failure> {
    // Short jobs do not wait for the compiler.
    let options = UserOptions { engine, beside: true, ..UserOptions::default() };
    match pins {
        _ if linux => Ok(Backend::linux()?),
        Some(folder) => Ok(Backend::user_in(folder, options)?),
        None => Ok(Backend::user_with(options)),
    }
}

/// Loads a program with its maps; a refusal is explained.
pub fn load(object: &Object, backend: &Backend, program: &str) -> Result<Loaded, Failure> {
    object.load_program(backend, program).map_err(|e| {
        if let Some(rejection) = e.rejection() {
            let colours = crate::out::colours(&std::io::stderr());
            eprintln!("{}", diagnostic::rejection(rejection, program, colours));
            return Failure::Message(
                crate::failure::FAILED,
                format!("program `{program}` of `{object}` was refused by the verifier"),
            );
        }
        if !e.log().is_empty() {
            eprintln!("{}", e.log().trim_end());
        }
        e.into()
    })
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Interface(String),
    Capture(PathBuf),
    /// The `lo` of a namespace in which a command runs.
    Command,
}

impl Source {
    fn of(args: &RunArgs) -> Result<Self, Failure> {
        let on = &args.on;
        let path = Path::new(on);
        let is_capture = on.contains('/')
            || path
                .extension()
                .is_some_and(|e| ["pcap", "pcapng", "cap"].iter().any(|c| e.eq_ignore_ascii_case(c)));
        match (is_capture, args.command.is_empty()) {
            (true, true) => Ok(Self::Capture(path.to_owned())),
            (false, true) => Ok(Self::Interface(on.clone())),
            (false, false) if on == "lo" => Ok(Self::Command),
            (false, false) => Err(Failure::usage(format!(
                "with `-- COMMAND` there is only `lo`, in the command's own network namespace: use --on lo, not --on {on}"
            ))),
            (true, false) => Err(Failure::usage("a capture and `-- COMMAND` do not go together")),
        }
    }
}

/// Runs `skep run`.
pub fn main(args: &RunArgs) -> Result<(), Failure> {
    let source = Source::of(args)?;
    if args.send && matches!(source, Source::Capture(_)) {
        return Err(Failure::usage(
            "--send: a capture has no interfaces to send on; --out writes what goes on",
        ));
    }
    if args.linux && (source == Source::Command || args.out.is_some()) {
        let what = if args.out.is_some() { "--out" } else { "`-- COMMAND`" };
        return Err(Failure::usage(format!(
            "--linux does not go together with {what} yet: leave one of them out"
        )));
    }
    let object = args.maps.open(&args.file, &args.target)?;
    for problem in object.problems() {
        diagnostic::warning(&problem.to_string());
    }
    let name = text::choose(&object, args.program.as_deref())?.name.clone();
    // A capture that is not there is no reason to load anything.
    let capture = match &source {
        Source::Capture(path) => Some(open_capture(path)?),
        Source::Interface(_) | Source::Command => None,
    };
    let backend = choose_backend(args.linux, args.maps.pin_root.as_deref(), args.engine.choice())?;
    let loaded = load(&object, &backend, &name)?;
    let program = loaded.program(&name).ok_or_else(|| Failure::failed("the program is gone"))?;
    let runner = Runner::new(program)?;
    let form = match (&source, args.json, std::io::stdout().is_terminal()) {
        (_, true, _) => Form::Json,
        // The command writes to the terminal too.
        (Source::Command, false, _) | (_, false, false) => Form::Lines,
        (Source::Interface(_) | Source::Capture(_), false, true) => Form::Live,
    };
    let kind = program.spec().prog_type.name().unwrap_or("?");
    let title = format!("{object}: {name} ({kind}) on {}", args.on);
    let mut session = Session {
        args,
        loaded: &loaded,
        program,
        events: Events::open(&loaded, object.btf().map(|b| &**b), args.event_type.as_deref())?,
        view: View::new(form, title, runner.verdicts()),
        stop: stop_flag()?,
        reports: 0,
    };
    match (source, capture) {
        (Source::Capture(path), Some(capture)) => session.replay(runner.with_packet_clock(), capture, &path),
        (Source::Interface(interface), _) if args.linux => session.kernel(&interface),
        (Source::Interface(interface), _) => session.interface(&interface),
        (Source::Command | Source::Capture(_), _) => session.command(),
    }
}

/// Set by the first Ctrl-C; the second one ends the process at once.
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .map_err(|e| Failure::failed(format!("cannot catch signals: {e}")))?;
    }
    Ok(stop)
}

fn open_capture(path: &Path) -> Result<Capture<'static>, Failure> {
    Capture::open(path).map_err(|e| bad_capture(path, &e))
}

#[cold]
fn bad_capture(path: &Path, error: &skep::source::capture::Error) -> Failure {
    Failure::Message(BAD_INPUT, format!("capture `{}`: {error}", path.display()))
}

/// Runs over a whole capture without showing anything.
pub fn replay_quietly(runner: &mut Runner, path: &Path) -> Result<(), Failure> {
    let mut capture = open_capture(path)?;
    while let Some(packet) = capture.next_packet().map_err(|e| bad_capture(path, &e))? {
        if runner.takes(&packet) {
            runner.run(&packet)?;
        }
    }
    match capture.cut() {
        Some(cut) => Err(Failure::Message(BAD_INPUT, format!("`{}`: {cut}", path.display()))),
        None => Ok(()),
    }
}

struct Session<'a> {
    args: &'a RunArgs,
    loaded: &'a Loaded,
    program: &'a Program,
    events: Events<'a>,
    view: View,
    stop: Arc<AtomicBool>,
    reports: u64,
}

impl Session<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Shows a report; says whether it was the last that was asked for.
    fn report(&mut self, counts: &Counts) -> Result<bool, Failure> {
        self.view.report(self.loaded, counts)?;
        self.reports += 1;
        Ok(self.args.count.is_some_and(|n| self.reports >= n))
    }

    fn show_events(&mut self, time: Duration) -> Result<(), Failure> {
        if self.events.is_empty() {
            return Ok(());
        }
        let events = self.events.poll()?;
        self.view.events(&events, time)
    }

    /// Reports at every interval until something ends it: a signal, `--for`, `--count`, or `done`.
    fn live(
        &mut self,
        mut counts: impl FnMut() -> Counts,
        mut done: impl FnMut() -> Result<bool, Failure>,
    ) -> Result<Duration, Failure> {
        let start = Instant::now();
        let interval = self.args.interval.unwrap_or(Duration::from_secs(1));
        let mut next = interval;
        if self.view.is_live() {
            self.view.report(self.loaded, &counts())?;
        }
        loop {
            let time = start.elapsed();
            self.show_events(time)?;
            self.view.flush()?;
            if self.stopped() || done()? || self.args.duration.is_some_and(|d| time >= d) {
                return Ok(time);
            }
            if time >= next {
                // The report that `--count` ends with is the final one.
                if self.args.count.is_some_and(|n| self.reports + 1 >= n) {
                    return Ok(time);
                }
                self.report(&Counts { time, ..counts() })?;
                next += interval * (1 + ((time - next).as_nanos() / interval.as_nanos()) as u32);
            }
            let until = [Some(next), self.args.duration].into_iter().flatten().min().unwrap_or(next);
            std::thread::sleep(TICK.min(until.saturating_sub(start.elapsed())));
        }
    }

    fn finish(&mut self, counts: Counts) -> Result<(), Failure> {
        self.show_events(counts.time)?;
        self.report(&Counts { last: true, ..counts })?;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod live {
    use super::child::end_child;
    use super::*;
    use skep::Watch;
    use skep::source::SourceStats;
    use skep::source::netns;
    use skep::source::packet_socket::PacketSocket;
    use std::process::{Command, ExitStatus, Stdio};

    impl Session<'_> {
        /// Packets of an interface, in the user backend.
        pub(super) fn interface(&mut self, interface: &str) -> Result<(), Failure> {
            let socket = PacketSocket::open(interface).map_err(skep::Error::from)?;
            self.view.redirects.name_interfaces();
            let (watch, sink) = self.watch(socket)?;
            let time = self.live(|| counts(&watch), || Ok(false))?;
            self.end(watch, sink, time)
        }

        /// Packets of a command's own loopback.
        pub(super) fn command(&mut self) -> Result<(), Failure> {
            let (program, arguments) = match &self.args.command[..] {
                [] => return Err(Failure::usage("`-- COMMAND` needs a command")),
                [program, arguments @ ..] => (program, arguments),
            };
            let mut command = Command::new(program);
            // Stdout is ours, for data.
            command.args(arguments).stdout(Stdio::from(std::io::stderr()));
            let (mut child, socket) = netns::spawn(command).map_err(skep::Error::from)?;
            let (watch, sink) = match self.watch(socket) {
                Ok(started) => started,
                Err(e) => {
                    end_child(&mut child, Duration::ZERO);
                    return Err(e);
                }
            };
            let mut status: Option<ExitStatus> = None;
            let result = self.live(
                || counts(&watch),
                || {
                    status = child.try_wait().map_err(|e| Failure::failed(format!("waiting: {e}")))?;
                    Ok(status.is_some())
                },
            );
            if status.is_none() {
                // A Ctrl-C reached the command as well: give it time to end by itself.
                let patience = if self.stopped() { Duration::from_secs(2) } else { Duration::ZERO };
                end_child(&mut child, patience);
            }
            self.end(watch, sink, result?)?;
            match status {
                // After a Ctrl-C the command's end is as wanted, whatever its status.
                Some(status) if !status.success() && !self.stopped() => {
                    Err(Failure::failed(format!("the command `{}`: {status}", program.to_string_lossy())))
                }
                Some(_) | None => Ok(()),
            }
        }

        fn watch(&self, socket: PacketSocket) -> Result<(Watch, Sink), Failure> {
            let sink = Sink::new(self.args.out.as_deref(), self.view.redirects.clone())?;
            let theirs = sink.clone();
            let mut runner = Runner::new(self.program)?;
            let verdicts = runner.verdicts();
            match (verdicts, self.args.send) {
                (Verdicts::Keep, false) => {}
                (Verdicts::Xdp | Verdicts::Tc, true) => {
                    runner = runner.with_transmit(Box::new(socket.sender().map_err(skep::Error::from)?));
                    theirs.sends();
                    diagnostic::note(
                        "what is sent back or redirected is sent; all packets go on as they are as well",
                    );
                }
                (Verdicts::Keep | Verdicts::Cgroup, true) => {
                    return Err(Failure::usage(
                        "--send: programs of this type send nothing; XDP and traffic control do",
                    ));
                }
                (Verdicts::Xdp | Verdicts::Tc | Verdicts::Cgroup, false) => diagnostic::note(
                    "verdicts are counted here, not carried out: packets go on as they are, and redirected ones are not sent \
                     (--send does)",
                ),
            }
            let watch =
                runner.watch(socket, move |packet, verdict| theirs.take(verdicts, packet, verdict))?;
            Ok((watch, sink))
        }

        fn end(&mut self, watch: Watch, sink: Sink, time: Duration) -> Result<(), Failure> {
            let (tally, source) = watch.stop()?;
            self.finish(Counts { time, ..of(tally, source) })?;
            sink.finish()
        }

        /// Packets of an interface, in the kernel.
        pub(super) fn kernel(&mut self, interface: &str) -> Result<(), Failure> {
            if Runner::new(self.program)?.verdicts() != Verdicts::Keep {
                return Err(Failure::failed(
                    "--linux attaches socket filters only to interfaces yet; run it on a capture, or without --linux",
                ));
            }
            diagnostic::note("the kernel's trace_printk goes to /sys/kernel/tracing/trace_pipe");
            let link = self.program.attach_socket(interface)?;
            let counts = || {
                let stats = link.stats();
                let tally = Tally { packets: stats.runs, faults: stats.faults, ..Tally::default() };
                Counts { tally, dropped: stats.dropped, ..Counts::default() }
            };
            let time = self.live(counts, || Ok(false))?;
            self.finish(Counts { time, ..counts() })
        }
    }

    fn of(tally: Tally, source: SourceStats) -> Counts {
        Counts { tally, dropped: source.dropped, truncated: source.truncated, ..Counts::default() }
    }

    fn counts(watch: &Watch) -> Counts {
        of(watch.tally(), watch.source())
    }
}

#[cfg(not(target_os = "linux"))]
impl Session<'_> {
    fn interface(&mut self, _: &str) -> Result<(), Failure> {
        Err(Failure::failed("raw sockets need Linux; captures work everywhere: --on FILE.pcap"))
    }

    fn command(&mut self) -> Result<(), Failure> {
        self.interface("")
    }

    fn kernel(&mut self, _: &str) -> Result<(), Failure> {
        self.interface("")
    }
}

impl Session<'_> {
    /// Packets of a capture, at full speed, under its clock.
    fn replay(&mut self, mut runner: Runner, mut capture: Capture<'_>, path: &Path) -> Result<(), Failure> {
        let sink = Sink::new(self.args.out.as_deref(), self.view.redirects.clone())?;
        let periodic = self.args.interval.is_some() || self.args.count.is_some();
        let interval = self.args.interval.unwrap_or(Duration::from_secs(1));
        let mut tally = Tally::default();
        let mut truncated = 0;
        let mut begin = None;
        let mut time = Duration::ZERO;
        let mut next = interval;
        let mut last_shown = false;
        let ended = loop {
            if self.stopped() {
                break Ok(());
            }
            let packet = match capture.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break Ok(()),
                Err(e) => break Err(bad_capture(path, &e)),
            };
            let begin = *begin.get_or_insert(packet.time_ns);
            // Captures of several interfaces may step back a little.
            time = time.max(Duration::from_nanos(packet.time_ns.saturating_sub(begin)));
            if self.args.duration.is_some_and(|d| time >= d) {
                break Ok(());
            }
            while periodic && time >= next {
                let counts = Counts { time: next, tally, truncated, ..Counts::default() };
                if self.args.count.is_some_and(|n| self.reports + 1 >= n) {
                    self.finish(counts)?;
                    last_shown = true;
                    break;
                }
                self.report(&counts)?;
                next += interval;
                // A gap in the capture is one report, not thousands.
                if time.saturating_sub(next) > interval * 3600 {
                    next = time;
                }
            }
            if last_shown {
                break Ok(());
            }
            if !runner.takes(&packet) {
                continue;
            }
            truncated += u64::from(packet.data.len() < packet.wire_len as usize);
            let verdicts = runner.verdicts();
            let verdict = runner.run(&packet);
            tally.count(verdicts, packet.data.len(), verdict.as_ref().ok().map(|v| v.retval));
            sink.take(verdicts, &packet, verdict);
            self.show_events(time)?;
        };
        if !last_shown {
            self.finish(Counts { time, tally, truncated, ..Counts::default() })?;
        }
        sink.finish()?;
        ended?;
        match capture.cut() {
            Some(cut) => Err(Failure::Message(BAD_INPUT, format!("`{}`: {cut}", path.display()))),
            None => Ok(()),
        }
    }
}

/// Creates an output file.
fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|e| Failure::file("write", path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn source(line: &str) -> Result<Source, Failure> {
        match crate::args::Args::try_parse_from(line.split(' ')).expect("good usage").command {
            crate::args::Command::Run(args) => Source::of(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sources_are_told_by_their_names() {
        assert_eq!(source("skep run a.o --on lo").unwrap(), Source::Interface("lo".into()));
        assert_eq!(source("skep run a.o --on x.pcapng").unwrap(), Source::Capture("x.pcapng".into()));
        assert_eq!(source("skep run a.o --on ./dump").unwrap(), Source::Capture("./dump".into()));
        assert_eq!(source("skep run a.o --on lo -- ping ::1").unwrap(), Source::Command);
        assert!(source("skep run a.o --on eth0 -- ping ::1").is_err());
        assert!(source("skep run a.o --on x.pcap -- ping ::1").is_err());
    }
}

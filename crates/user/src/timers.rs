//! The thread that runs the functions of timers and work, one after another.
//!
//! It begins with the first map whose values have any, and ends with the backend. It leases a virtual CPU before it takes a
//! function, so that a run that has the last one and waits for a function to end does not wait for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use std::{io, thread};

use skep_maps::{Due, Keeper};
use skep_spec::{Errno, Error, FieldKind, MapDef};
use skep_vm::{Program, Run, Stack};

use crate::backend::Shared;
use crate::host::RunHost;
use crate::os::{self, Bell, sleep};
use crate::test_run::fuel;

/// How long the thread sleeps when there is no timer.
const IDLE: Duration = Duration::from_secs(3600);

/// What a backend's values keep, and the thread that runs what is due of it.
#[derive(Default)]
pub(crate) struct Timers {
    keeper: OnceLock<Arc<Keeper>>,
    thread: OnceLock<Stop>,
}

/// Ends the thread.
struct Stop(Arc<AtomicBool>, Bell);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        skep_maps::Wake::wake(&self.1);
    }
}

impl Timers {
    /// What keeps what the values of the backend's maps keep.
    pub(crate) fn keeper(&self) -> Result<Arc<Keeper>, Errno> {
        if let Some(keeper) = self.keeper.get() {
            return Ok(Arc::clone(keeper));
        }
        let new = Arc::new(Keeper::sleeping(thread::yield_now, sleep)?);
        Ok(Arc::clone(self.keeper.get_or_init(|| new)))
    }

    /// Sees to it that the functions of a map's timers and work will run.
    pub(crate) fn serve(&self, shared: &Arc<Shared>, def: &MapDef) -> Result<(), Error> {
        let fields = def.fields();
        let any = [FieldKind::Timer, FieldKind::Workqueue].into_iter().any(|kind| fields.has(kind));
        if !any || self.thread.get().is_some() {
            return Ok(());
        }
        self.begin(shared).map_err(|e| {
            let errno = e.raw_os_error().map_or(Errno::EAGAIN, Errno);
            Error::new(errno, format!("map `{}`: no thread for its timers: {e}", def.name))
        })
    }

    fn begin(&self, shared: &Arc<Shared>) -> io::Result<()> {
        let keeper = self.keeper().map_err(|e| io::Error::from_raw_os_error(e.0))?;
        let (bell, stop) = (Bell::new()?, Arc::new(AtomicBool::new(false)));
        let end = Stop(Arc::clone(&stop), bell.clone());
        if self.thread.set(end).is_err() {
            return Ok(());
        }
        keeper.add_wake(Box::new(bell.clone()));
        let shared = Arc::downgrade(shared);
        let body = move || serve(&shared, &keeper, &bell, &stop);
        thread::Builder::new().name("skep-timers".into()).spawn(body).map(drop)
    }
}

fn serve(shared: &Weak<Shared>, keeper: &Keeper, bell: &Bell, stop: &AtomicBool) {
    let mut stack = Box::new(Stack::new());
    while !stop.load(Ordering::Acquire) {
        let left = keeper
            .next_end()
            .map_or(IDLE, |(end, _)| Duration::from_nanos(end.saturating_sub(os::monotonic_ns())));
        // A wait that fails is a short one.
        let waited = if left.is_zero() { Ok(()) } else { bell.wait(left.min(IDLE)) };
        if waited.is_err() {
            thread::sleep(left.min(Duration::from_millis(10)));
        }
        bell.silence();
        let Some(shared) = shared.upgrade() else { return };
        while let Some((end, cpu)) = keeper.next_end()
            && end <= os::monotonic_ns()
            && !stop.load(Ordering::Acquire)
        {
            let lease = match cpu {
                Some(cpu) => shared.domain.lease_on(cpu),
                None => shared.domain.lease(),
            };
            // Later, unless it is to stop.
            let Some(lease) = lease else { continue };
            if let Some(due) = keeper.due(os::monotonic_ns(), lease.cpu()) {
                run(&shared, &due, &mut stack, lease.cpu());
                keeper.ran(&due);
            }
        }
    }
}

/// Runs a function. A trap is told where lines of `bpf_trace_printk` go: nobody else waits for it.
fn run(shared: &Shared, due: &Due, stack: &mut Stack, cpu: u32) {
    let Ok(program) = Arc::clone(&due.program).downcast::<Program>() else { return };
    let host = RunHost::new(shared, None);
    let run = Run::new(stack, &host).with_fuel(fuel(&program)).with_vcpu(cpu);
    if let Err(trap) = program.run_due(&mut run.with_programs(&shared.programs), due) {
        shared.printk(format!("the function of a timer of program {}: {trap}", program.name()).as_bytes());
    }
}

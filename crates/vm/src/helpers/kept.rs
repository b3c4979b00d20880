//! What the fields of values and objects keep: timers, work, pointers to objects (kernel/bpf/helpers.c, Linux 6.18).

use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_maps::{Cancel, Insert, Keeper, Map, Refused, TimerKind};
use skep_spec::{Errno, FieldKind};

use super::{Args, Call, lock, status};
use crate::Program;
use crate::host::Host;
use crate::interp::State;
use crate::trap::TrapKind;

/// What a run owns and has under way, which is let go when it ends otherwise than its program meant.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    /// Objects, once for each time that the program owns it.
    objects: Vec<u64>,
    /// Locks that notice deadlocks.
    pub(crate) locks: Vec<u64>,
    /// An insertion into a tree.
    insert: Option<Insert>,
    /// Where the timer or work is whose function runs.
    pub(crate) timer: Option<u64>,
}

impl Holdings {
    pub(crate) fn of_timer(timer: u64) -> Self {
        Self { timer: Some(timer), ..Self::default() }
    }
}

/// Lets go what a run still holds.
#[cold]
pub(crate) fn release(program: &Program, state: &mut State<'_>) {
    let Some(holdings) = &mut state.holdings else { return };
    for held in holdings.locks.drain(..).rev() {
        lock::res_release(program, held, state.vcpu);
    }
    let Some(keeper) = program.keeper() else { return };
    if let Some(insert) = holdings.insert.take() {
        keeper.tree_forget(insert);
    }
    for object in holdings.objects.drain(..) {
        // It was one when the program got it.
        let _gone = keeper.drop_object(object);
    }
}

impl State<'_> {
    /// The program owns an object.
    pub(crate) fn own(&mut self, object: u64) {
        if object != 0 {
            self.holdings.get_or_insert_default().objects.push(object);
        }
    }

    /// The program gives an object away.
    pub(crate) fn disown(&mut self, object: u64) {
        if let Some(holdings) = &mut self.holdings
            && let Some(at) = holdings.objects.iter().rposition(|o| *o == object)
        {
            holdings.objects.swap_remove(at);
        }
    }

    pub(crate) fn set_insert(&mut self, insert: Option<Insert>) {
        if insert.is_some() || self.holdings.is_some() {
            self.holdings.get_or_insert_default().insert = insert;
        }
    }
}

/// A field that an address is the start of.
enum Field<'c> {
    /// Of a value, and its map.
    Value(Holder<'c>),
    /// Of an object.
    Object,
}

enum Holder<'c> {
    Own(&'c Arc<Map>),
    Inner(Arc<Map>),
}

impl Holder<'_> {
    fn map(&self) -> &Arc<Map> {
        match self {
            Self::Own(map) => map,
            Self::Inner(map) => map,
        }
    }
}

impl<'c> Call<'c, '_, '_> {
    /// What keeps the program's objects.
    pub(crate) fn keeper(&self) -> Result<&'c Arc<Keeper>, TrapKind> {
        self.program.keeper().ok_or(TrapKind::NoKeeper)
    }

    /// The map that has a field of a kind at an address of a value.
    fn map_of(&self, addr: u64, wanted: impl Fn(FieldKind) -> bool) -> Option<Holder<'c>> {
        let (program, vcpu) = (self.program, self.state.vcpu);
        let at = |map: &Arc<Map>| map.field_at(addr).is_some_and(|f| wanted(f.kind));
        if let Some(own) = program.maps().iter().find(|m| at(m)) {
            return Some(Holder::Own(own));
        }
        let inner = program.bound.outer().iter().find_map(|m| Some(m.inner_holding(addr, 4, vcpu)?.0))?;
        at(&inner).then_some(Holder::Inner(inner))
    }

    fn field(&self, addr: u64, wanted: impl Fn(FieldKind) -> bool + Copy) -> Result<Field<'c>, TrapKind> {
        if let Some(holder) = self.map_of(addr, wanted) {
            return Ok(Field::Value(holder));
        }
        let of_object = self.program.keeper().and_then(|k| k.field_at(addr)).map(|f| f.kind);
        let of_object = of_object.filter(|kind| wanted(*kind));
        of_object.map(|_| Field::Object).ok_or(TrapKind::NotAField(addr))
    }

    /// Whether an address is that of a list or tree.
    pub(crate) fn is_root(&self, addr: u64, kind: FieldKind) -> Result<(), TrapKind> {
        self.field(addr, |k| k == kind).map(drop)
    }

    /// The keeper of the timer or work at an address.
    fn timer(&self, addr: u64, kind: TimerKind) -> Result<(Arc<Keeper>, Holder<'c>), TrapKind> {
        let wanted = match kind {
            TimerKind::Timer => FieldKind::Timer,
            TimerKind::Work => FieldKind::Workqueue,
        };
        let found = self.map_of(addr, |k| k == wanted);
        let found = found.and_then(|holder| Some((Arc::clone(holder.map().keeper()?), holder)));
        found.ok_or(TrapKind::NotAField(addr))
    }
}

/// What an operation on an object comes to that only an unverified program can ask for.
pub(crate) fn refused(refused: Refused, addr: u64) -> TrapKind {
    match refused {
        Refused::NoObject | Refused::Member => TrapKind::NotAnObject(addr),
        Refused::Busy => TrapKind::LockBusy,
    }
}

/// `bpf_kptr_xchg(pointer, object)`: what the pointer had, which the program owns now.
pub(super) fn kptr_xchg(call: &mut Call<'_, '_, '_>, [pointer, object, ..]: Args) -> Result<u64, TrapKind> {
    let owning = |kind| matches!(kind, FieldKind::Kptr | FieldKind::PercpuKptr);
    let old = match call.field(pointer, owning)? {
        Field::Value(holder) => {
            let map = holder.map();
            let keeper = map.keeper().ok_or(TrapKind::NoKeeper)?;
            keeper.exchange(pointer, object, |word| map.write_pointer(pointer, word))
        }
        Field::Object => call.keeper()?.exchange(pointer, object, |_| {}),
    };
    let old = old.map_err(|e| refused(e, object))?;
    call.state.disown(object);
    call.state.own(old);
    Ok(old)
}

const CLOCK_REALTIME: u64 = 0;
const CLOCK_MONOTONIC: u64 = 1;
const CLOCK_BOOTTIME: u64 = 7;

/// Prepares a timer or work.
pub(crate) fn init(
    call: &mut Call<'_, '_, '_>,
    (at, map): (u64, u64),
    kind: TimerKind,
    clock: u64,
) -> Result<Result<(), Errno>, TrapKind> {
    let (keeper, holder) = call.timer(at, kind)?;
    let given = call.map(map)?;
    if !Arc::ptr_eq(&given, holder.map()) {
        return Err(TrapKind::NotAMap(map));
    }
    Ok(match keeper.timer_init(at, kind, clock as u32, map) {
        // Linux looks after it has made it.
        Ok(()) if holder.map().is_abandoned() => {
            keeper.timer_forget(at);
            Err(Errno::EPERM)
        }
        done => done,
    })
}

/// Gives a timer or work its function.
pub(crate) fn set_callback(
    call: &mut Call<'_, '_, '_>,
    (at, function): (u64, u64),
    kind: TimerKind,
) -> Result<Result<(), Errno>, TrapKind> {
    let (keeper, holder) = call.timer(at, kind)?;
    let slot = crate::callback::slot(call.program, function)?;
    if keeper.timer_clock(at).is_none() {
        return Ok(Err(Errno::EINVAL));
    }
    if holder.map().is_abandoned() {
        return Ok(Err(Errno::EPERM));
    }
    // Programs that nothing keeps have no id: nobody could run the function.
    let Some(program) = call.state.programs.program(call.program.id()) else {
        return Err(TrapKind::NobodyRunsTimers);
    };
    Ok(keeper.timer_set(at, program, slot as u64))
}

/// The keeper of some work.
pub(crate) fn work(call: &Call<'_, '_, '_>, at: u64) -> Result<Arc<Keeper>, TrapKind> {
    Ok(call.timer(at, TimerKind::Work)?.0)
}

/// `bpf_timer_init(timer, map, flags)`: 0; -EBUSY when it has been prepared, -EINVAL for other clocks and flags, -EPERM
/// when only programs have the map.
pub(super) fn timer_init(
    call: &mut Call<'_, '_, '_>,
    [timer, map, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    if !matches!(flags, CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME) {
        return Ok(status(Err(Errno::EINVAL)));
    }
    init(call, (timer, map), TimerKind::Timer, flags).map(status)
}

/// `bpf_timer_set_callback(timer, function)`: 0; -EINVAL before the init, -EPERM as there.
pub(super) fn timer_set_callback(
    call: &mut Call<'_, '_, '_>,
    [timer, function, ..]: Args,
) -> Result<u64, TrapKind> {
    set_callback(call, (timer, function), TimerKind::Timer).map(status)
}

/// The end is a time of the timer's clock, not from now on.
const ABS: u64 = 1;
/// The function runs on the CPU that starts the timer.
const CPU_PIN: u64 = 2;

/// `bpf_timer_start(timer, nsecs, flags)`: 0; -EINVAL for other flags, before the init and without a function.
pub(super) fn timer_start(
    call: &mut Call<'_, '_, '_>,
    [timer, nsecs, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    let (keeper, _) = call.timer(timer, TimerKind::Timer)?;
    if flags & !(ABS | CPU_PIN) != 0 {
        return Ok(status(Err(Errno::EINVAL)));
    }
    let host = call.state.host;
    let left = match (flags & ABS, keeper.timer_clock(timer)) {
        (0, _) => nsecs,
        (_, clock) => nsecs.saturating_sub(now(host, clock.unwrap_or(0).into())),
    };
    let end = host.ktime_ns().saturating_add(left);
    let cpu = (flags & CPU_PIN != 0).then_some(call.state.vcpu);
    Ok(status(keeper.timer_start(timer, end, cpu)))
}

fn now(host: &dyn Host, clock: u64) -> u64 {
    match clock {
        CLOCK_REALTIME => host.real_ns(),
        CLOCK_BOOTTIME => host.boot_ns(),
        _ => host.ktime_ns(),
    }
}

/// `bpf_timer_cancel(timer)`: whether it had been started; -EINVAL before the init, -EDEADLK by its own function, or where
/// two functions would wait for each other. Waits until its function has ended.
pub(super) fn timer_cancel(call: &mut Call<'_, '_, '_>, [timer, ..]: Args) -> Result<u64, TrapKind> {
    let (keeper, _) = call.timer(timer, TimerKind::Timer)?;
    let own = call.state.holdings.as_ref().and_then(|h| h.timer);
    let mut started = false;
    if own.is_some() {
        keeper.cancel_waits(timer, true);
    }
    let result = loop {
        match keeper.timer_cancel(timer, own) {
            Err(e) => break Ok(status(Err(e))),
            Ok(Cancel::Done(was)) => break Ok(u64::from(started | was)),
            Ok(Cancel::Running(was)) => started |= was,
        }
        let state = &call.state;
        if state.deadline_ns.is_some_and(|at| state.host.ktime_ns() >= at) {
            break Err(TrapKind::Deadline);
        }
        keeper.pause();
    };
    if own.is_some() {
        keeper.cancel_waits(timer, false);
    }
    result
}

/// `bpf_per_cpu_ptr(object, cpu)` of what each CPU has of an object: NULL for a CPU that is not there. One that was dropped
/// meanwhile, and is read under RCU, keeps its place.
pub(super) fn per_cpu_ptr(call: &mut Call<'_, '_, '_>, [object, cpu, ..]: Args) -> Result<u64, TrapKind> {
    let (cpu, cpus) = (cpu as u32, call.program.cpus());
    Ok(if cpu < cpus { call.keeper()?.per_cpu(object, cpu, cpus) } else { 0 })
}

/// `bpf_this_cpu_ptr(object)`.
pub(super) fn this_cpu_ptr(call: &mut Call<'_, '_, '_>, [object, ..]: Args) -> Result<u64, TrapKind> {
    let cpus = call.program.cpus();
    Ok(call.keeper()?.per_cpu(object, call.state.vcpu.min(cpus - 1), cpus))
}

//! From a program to its verdict: the rooms in their order.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_spec::{Environment, ProgramSpec};

use crate::explore::{Explorer, Followed};
use crate::program::Program;
use crate::rejection::{Inner, Known, Rejection};
use crate::report::{self, Log};
use crate::violation::Violation;
use crate::{
    Digest, Options, Stats, Verified, cfg, depth, extension, frames, liveness, loops, state, structure,
    verified,
};

/// Verifies a program for an environment.
///
/// # Errors
///
/// A [`Rejection`] that names the instruction and what it lacks.
pub fn verify(spec: &ProgramSpec, env: &Environment, options: &Options) -> Result<Verified, Rejection> {
    let early = |(pc, v): (usize, Box<Violation>)| refused(spec, None, options, pc, *v, Stats::default());
    let extension = extension::as_extended(spec, env).map_err(|v| early((0, v)))?;
    let mut p = prepare(extension.as_ref().unwrap_or(spec), env).map_err(early)?;
    if extension.is_some() {
        p.extends = true;
        extension::fits(&p, spec, env).map_err(|v| early((0, v)))?;
    }
    let mut explorer = Explorer::new(&p, options);
    if let Err(v) = explorer.run() {
        return Err(refused_at(&p, explorer, *v));
    }
    let stats = explorer.stats();
    if let Err((pc, v)) = depth::check(&p, &explorer.depths, &explorer.later, &explorer.called_back) {
        return Err(refused(spec, Some(explorer.log), options, pc, *v, stats));
    }
    let log = core::mem::replace(&mut explorer.log, Log::new(options));
    let log = log.finish(None, stats, &explorer.final_depths());
    let (insns, touched, escaped) = explorer.take_proved();
    let frames = frames::Frames { p: &p, insns: &insns, touched: &touched, escaped: &escaped };
    let subprogs = frames.subprogs(&explorer.depths);
    Ok(Verified(Arc::new(verified::Inner {
        spec: Arc::new(spec.clone()),
        digest: Digest::with(spec, env, &p.fields),
        stats,
        log,
        subprogs,
        insns,
        touched,
        states: explorer.states,
        costs: explorer.costs,
    })))
}

/// Follows one path of a program: slots of instructions, in the order in which a run would come to them, from 0 on.
/// Says whether any run can take it; the last instruction is only come to.
///
/// Where another verifier refuses what [`verify`] accepts, this tells whether it does so on a path that no run takes.
///
/// # Errors
///
/// A [`Rejection`] of the program, or of an instruction on the path before the last.
pub fn follow(spec: &ProgramSpec, env: &Environment, path: &[usize]) -> Result<Followed, Rejection> {
    let options = Options::default();
    let early = |(pc, v): (usize, Box<Violation>)| refused(spec, None, &options, pc, *v, Stats::default());
    let p = prepare(spec, env).map_err(early)?;
    let mut explorer = Explorer::new(&p, &options);
    explorer.follow(path).map_err(|v| refused_at(&p, explorer, *v))
}

/// Follows a path as [`follow`] does, and looks at its last instruction too: what is known before it, if a run may come
/// there and the instruction is safe then.
///
/// Where another verifier refuses the instruction, this tells whether what it rests on is known better here.
pub fn safe_at_end(spec: &ProgramSpec, env: &Environment, path: &[usize]) -> Option<Vec<Known>> {
    let options = Options::default();
    let p = prepare(spec, env).ok()?;
    let mut explorer = Explorer::new(&p, &options);
    match explorer.follow(path).ok()? {
        Followed::Open => {}
        Followed::Dead { .. } | Followed::Astray { .. } => return None,
    }
    explorer.check_here().ok()?;
    Some(state::known(&p, &explorer.state))
}

/// What needs no path: fields, control flow, liveness, loops.
fn prepare<'a>(spec: &'a ProgramSpec, env: &'a Environment) -> Result<Program<'a>, (usize, Box<Violation>)> {
    let mut p = structure::prepare(spec, env)?;
    cfg::check(&mut p)?;
    liveness::compute(&mut p);
    loops::compute(&mut p);
    Ok(p)
}

/// A refusal that no path led to.
#[cold]
fn refused(
    spec: &ProgramSpec,
    log: Option<Log>,
    options: &Options,
    pc: usize,
    v: Violation,
    stats: Stats,
) -> Rejection {
    let log = log.unwrap_or_else(|| Log::new(options)).finish(Some(&v), stats, &[]);
    Rejection(Box::new(Inner {
        code: v.code,
        pc,
        message: v.message,
        advice: v.advice,
        insn: report::bare_insn_text(spec, pc),
        source_line: spec.source_line(pc),
        path: Vec::new(),
        state: Vec::new(),
        stats,
        log,
        costs: Vec::new(),
    }))
}

/// A refusal on a path, in the state that the path led to.
#[cold]
fn refused_at(p: &Program<'_>, explorer: Explorer<'_, '_>, v: Violation) -> Rejection {
    let (pc, stats) = (explorer.pc, explorer.stats());
    Rejection(Box::new(Inner {
        code: v.code,
        pc,
        insn: report::insn_text(p, pc),
        source_line: p.spec.source_line(pc),
        path: explorer.path(),
        state: state::known(p, &explorer.state),
        stats,
        log: explorer.log.finish(Some(&v), stats, &explorer.depths),
        costs: explorer.costs,
        message: v.message,
        advice: v.advice,
    }))
}

//! Helpers that call functions of the program back: `bpf_loop`, `bpf_for_each_map_elem` and `bpf_user_ringbuf_drain`.
//!
//! They have no body that runs while the function does. A call of one leaves an [`Iteration`] beside the
//! function's frame; whenever the function returns, [`next`] says with which registers it is entered again, or
//! what the helper's result is. So callbacks nest as deep as there are frames, and the host's stack does not grow.

use skep_maps::{Drained, Insert, Key, Step, UserRingbuf, Walk};
use skep_spec::{Errno, FieldKind};

use crate::Program;
use crate::helpers::kept::refused;
use crate::helpers::{Call, dynptr, int};
use crate::interp::State;
use crate::kfuncs::objects::given;
use crate::mem::{FRAMES, Mem};
use crate::trap::TrapKind;

/// Most iterations of `bpf_loop` (`BPF_MAX_LOOPS`).
const MAX_LOOPS: u64 = 8 << 20;

/// A value for a code address: outside every memory, tagged with the slot number.
const CODE_TAG: u64 = 0xffff_a000_0000_0000;

/// The register content for the function at a slot.
pub(crate) fn function(slot: u64) -> u64 {
    CODE_TAG.wrapping_add(slot)
}

/// Which helper calls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallBack {
    /// `bpf_loop(nr_loops, callback, ctx, flags)`. `wide`: all 64 bits of the number count, as they do where
    /// Linux puts the loop into the program; otherwise the low 32.
    Loop { wide: bool },
    /// `bpf_for_each_map_elem(map, callback, ctx, flags)`.
    ForEach,
    /// `bpf_user_ringbuf_drain(map, callback, ctx, flags)`.
    Drain,
    /// `bpf_rbtree_add_impl(root, node, less, meta, off)`.
    TreeAdd,
}

/// Calls of a function that are under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Iteration {
    over: Over,
    /// What the function gets from the helper's caller.
    ctx: u64,
    /// Calls so far.
    done: u64,
}

#[derive(Clone, Copy, Debug)]
enum Over {
    /// The numbers below this.
    Numbers(u64),
    /// The elements of a map, by the register content that stands for it.
    Map { map: u64, walk: Walk },
    /// The samples of a user ring buffer, in the same way.
    Samples { map: u64, flags: u64, drain: Option<skep_maps::Drain> },
    /// The nodes of a tree that a new one is compared with.
    Tree(Insert),
}

impl Iteration {
    pub(crate) const NONE: Self = Self { over: Over::Numbers(0), ctx: 0, done: 0 };
}

/// What a call of the helper comes to.
pub(crate) enum Begin {
    /// A result at once.
    Result(u64),
    /// Calls of the function at a slot, as [`next`] says.
    Calls { slot: usize, iteration: Iteration },
}

/// The slot of the function that an argument stands for.
pub(crate) fn slot(program: &Program, callback: u64) -> Result<usize, TrapKind> {
    let slot = usize::try_from(callback ^ CODE_TAG).ok().filter(|slot| program.is_function(*slot));
    slot.ok_or(TrapKind::NotAFunction(callback))
}

/// Starts to add a node to a tree.
fn begin_tree(call: &mut Call<'_, '_, '_>, [root, node, less]: [u64; 3]) -> Result<Begin, TrapKind> {
    let slot = slot(call.program, less)?;
    call.is_root(root, FieldKind::RbRoot)?;
    match given(call, node, |keeper| keeper.tree_insert(root, node))? {
        Ok(insert) => {
            call.state.set_insert(Some(insert));
            Ok(Begin::Calls { slot, iteration: Iteration { over: Over::Tree(insert), ctx: 0, done: 0 } })
        }
        Err(e) => Ok(Begin::Result(int(Err(e)))),
    }
}

/// The next question of an insertion; none when the node is in the tree.
fn next_of_tree(
    program: &Program,
    state: &mut State<'_>,
    insert: &mut Insert,
    less: Option<bool>,
) -> Result<Option<[u64; 5]>, TrapKind> {
    let keeper = program.keeper().ok_or(TrapKind::NoKeeper)?;
    if let Some(less) = less {
        keeper.tree_side(insert, less);
    }
    if let Some((new, at)) = insert.question() {
        return Ok(Some([new, at, 0, 0, 0]));
    }
    keeper.tree_link(*insert).map_err(|e| refused(e, 0))?;
    state.set_insert(None);
    Ok(None)
}

/// Starts a helper with its arguments.
pub(crate) fn begin(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    call: CallBack,
    [what, callback, ctx, flags, _]: [u64; 5],
) -> Result<Begin, TrapKind> {
    if call == CallBack::TreeAdd {
        return begin_tree(&mut Call { program, mem, state }, [what, callback, ctx]);
    }
    let vcpu = state.vcpu;
    let slot = slot(program, callback)?;
    let over = match call {
        CallBack::Loop { wide } => Over::Numbers(if wide { what } else { u64::from(what as u32) }),
        CallBack::ForEach => {
            let map = program.map(what, vcpu).ok_or(TrapKind::NotAMap(what))?;
            if !map.can_walk() {
                return Err(TrapKind::WrongMap { helper: "bpf_for_each_map_elem", map_type: map.kind() });
            }
            Over::Map { map: what, walk: Walk::default() }
        }
        CallBack::Drain => {
            let map = program.map(what, vcpu).ok_or(TrapKind::NotAMap(what))?;
            if map.user_ringbuf().is_none() {
                return Err(TrapKind::WrongMap { helper: "bpf_user_ringbuf_drain", map_type: map.kind() });
            }
            // Begun with the first call: until then nothing has to be ended.
            let over = Over::Samples { map: what, flags, drain: None };
            return Ok(Begin::Calls { slot, iteration: Iteration { over, ctx, done: 0 } });
        }
        CallBack::TreeAdd => return Ok(Begin::Result(0)),
    };
    let wide = matches!(call, CallBack::Loop { wide: true });
    let refused = |e: Errno| match wide {
        // In place, Linux moves the number as 32 bits (`inline_bpf_loop`).
        true => Ok(Begin::Result(u64::from(-e.0 as u32))),
        false => Ok(Begin::Result(i64::from(-e.0) as u64)),
    };
    match over {
        _ if flags != 0 => refused(Errno::EINVAL),
        Over::Numbers(n) if n > MAX_LOOPS => refused(Errno::E2BIG),
        Over::Numbers(_) | Over::Map { .. } | Over::Samples { .. } | Over::Tree(_) => {
            Ok(Begin::Calls { slot, iteration: Iteration { over, ctx, done: 0 } })
        }
    }
}

/// What comes next of an iteration.
pub(crate) enum Next {
    /// The function is called, with these argument registers.
    Call([u64; 5]),
    /// The helper returns.
    Result(u64),
}

/// Goes on with the iteration beside frame `depth`; `stop`: the function has asked for no more calls. Each step
/// takes 1 of `slice`, the fuel at hand; what is left of it is given back.
#[inline(never)]
pub(crate) fn next(
    program: &Program,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    depth: usize,
    stop: bool,
    mut slice: u64,
) -> Result<(Next, u64), TrapKind> {
    let mut iteration = mem.iteration(depth);
    let Iteration { over, ctx, done } = &mut iteration;
    let mut result = None;
    let args = loop {
        if slice == 0 {
            slice = state.refill(1)?;
        }
        slice -= 1;
        match over {
            Over::Samples { map, flags, drain } => {
                let Some(ring) = program.map(*map, state.vcpu) else { break None };
                let Some(ring) = ring.user_ringbuf() else { break None };
                match sample(ring, mem, depth, drain, (*flags, state.vcpu, stop)) {
                    Drain::Call(dynptr) => break Some([dynptr, *ctx, 0, 0, 0]),
                    // Fuel may end here: what has begun must be found.
                    Drain::Again => {
                        mem.set_iteration(depth, Iteration { over: *over, ctx: *ctx, done: *done })
                    }
                    Drain::Result(v) => {
                        result = Some(v);
                        break None;
                    }
                }
            }
            Over::Tree(insert) => {
                let args = next_of_tree(program, state, insert, (*done > 0).then_some(stop))?;
                break args;
            }
            _ if stop => break None,
            Over::Numbers(most) => break (*done < *most).then_some([*done, *ctx, 0, 0, 0]),
            Over::Map { map, walk } => {
                let Some(walked) = program.map(*map, state.vcpu) else { break None };
                match walked.walk(walk, state.vcpu) {
                    Step::Element(element) => {
                        let key = match element.key {
                            Key::Index(index) => mem.grant_index(depth, index),
                            Key::At(addr) => mem.grant_key(depth, addr, walked.key_size()),
                        };
                        break Some([*map, key, element.value, *ctx, 0]);
                    }
                    Step::Nothing => {}
                    Step::End => break None,
                }
            }
        }
    };
    let next = match args {
        Some(args) => {
            *done += 1;
            mem.set_iteration(depth, iteration);
            Next::Call(args)
        }
        None => {
            // A node that is in the tree: 0.
            let done = if let Over::Tree(_) = over { 0 } else { *done };
            mem.take_key(depth);
            Next::Result(result.unwrap_or(done))
        }
    };
    Ok((next, slice))
}

/// What a step of a drain comes to.
enum Drain {
    /// A call with a dynptr to a sample.
    Call(u64),
    /// Nothing yet.
    Again,
    /// The helper's result.
    Result(u64),
}

/// Goes on with a drain, which begins with the first step.
fn sample(
    ring: &UserRingbuf,
    mem: &mut Mem<'_>,
    depth: usize,
    drain: &mut Option<skep_maps::Drain>,
    (flags, vcpu, stop): (u64, u32, bool),
) -> Drain {
    let refused = |e: Errno| Drain::Result(i64::from(-e.0) as u64);
    let drain = match drain {
        Some(drain) => drain,
        None => match ring.begin(flags, vcpu) {
            Ok(begun) => {
                mem.set_draining(depth, true);
                drain.insert(begun)
            }
            Err(e) => return refused(e),
        },
    };
    let ended = match if stop { Ok(Drained::End) } else { ring.next(drain) } {
        Ok(Drained::Sample { addr, len }) => {
            return Drain::Call(mem.grant_dynptr(depth, dynptr::local(addr, len)));
        }
        Ok(Drained::Nothing) => return Drain::Again,
        Ok(Drained::End) => Ok(()),
        Err(e) => Err(e),
    };
    mem.set_draining(depth, false);
    let samples = ring.finish(*drain);
    ended.map_or_else(refused, |()| Drain::Result(samples.into()))
}

/// Ends the drains that a program has left open in its frames from `depth` on: others could never drain again.
#[cold]
pub(crate) fn abandon(program: &Program, mem: &mut Mem<'_>, depth: usize, vcpu: u32) {
    for depth in depth..FRAMES {
        if !mem.is_draining(depth) {
            continue;
        }
        mem.set_draining(depth, false);
        if let Over::Samples { map, flags: _, drain: Some(drain) } = mem.iteration(depth).over
            && let Some(ring) = program.map(map, vcpu).as_ref().and_then(|map| map.user_ringbuf())
        {
            ring.finish(drain);
        }
    }
}

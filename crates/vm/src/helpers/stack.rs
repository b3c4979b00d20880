//! Call chains of the program (kernel/bpf/stackmap.c).
//!
//! A chain has the address of the helper call first, then that of each call which led there, up to the program's
//! entry; callers before a tail call are not told. An address is a [`CodeAddr`]. There is no user stack: with
//! `BPF_F_USER_STACK` a chain is empty.

use skep_abi::MapType;
use skep_spec::Errno;

use super::{Args, Call, errno};
use crate::mem::CALL_FRAMES;
use crate::trap::TrapKind;

/// An instruction of a program, as call chains have it: the program's id in the upper half, the slot of the
/// instruction in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodeAddr {
    /// Id of the program, 0 when it has none.
    pub prog_id: u32,
    /// Slot number.
    pub pc: u32,
}

impl From<u64> for CodeAddr {
    fn from(addr: u64) -> Self {
        Self { prog_id: (addr >> 32) as u32, pc: addr as u32 }
    }
}

impl From<CodeAddr> for u64 {
    fn from(at: CodeAddr) -> Self {
        Self::from(at.prog_id) << 32 | Self::from(at.pc)
    }
}

/// The helpers that need to know where they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackHelper {
    GetStackid,
    GetStack,
}

/// Where a helper is called: the call's slot, its frame, and the program's first frame.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) pc: usize,
    pub(crate) depth: usize,
    pub(crate) base: usize,
}

/// Frames to leave out (`BPF_F_SKIP_FIELD_MASK`).
const SKIP: u64 = 0xff;
/// The user's stack (`BPF_F_USER_STACK`).
const USER_STACK: u64 = 1 << 8;
/// Equal hashes and replacement, which the map knows (`BPF_F_FAST_STACK_CMP`, `BPF_F_REUSE_STACKID`).
const MAP_FLAGS: u64 = 1 << 9 | 1 << 10;
/// Build ids instead of addresses (`BPF_F_USER_BUILD_ID`).
const USER_BUILD_ID: u64 = 1 << 11;

/// The chain of a place, and its length.
fn chain(call: &Call<'_, '_, '_>, place: Place, flags: u64) -> ([u64; CALL_FRAMES], usize) {
    let mut chain = [0; CALL_FRAMES];
    if flags & USER_STACK != 0 {
        return (chain, 0);
    }
    // A frame is left at the slot behind the call that made it.
    let callers =
        (place.base + 1..=place.depth).rev().map(|depth| call.mem.saved(depth).pc.saturating_sub(1));
    let mut len = 0;
    for (entry, pc) in chain.iter_mut().zip(core::iter::once(place.pc).chain(callers)) {
        *entry = CodeAddr { prog_id: call.program.id(), pc: pc as u32 }.into();
        len += 1;
    }
    (chain, len)
}

/// Runs the helper.
pub(crate) fn stack(
    helper: StackHelper,
    call: &mut Call<'_, '_, '_>,
    place: Place,
    args: Args,
) -> Result<u64, TrapKind> {
    if args[0] != call.state.ctx_addr {
        return Err(TrapKind::NotTheContext(args[0]));
    }
    match helper {
        StackHelper::GetStackid => get_stackid(call, place, args),
        StackHelper::GetStack => get_stack(call, place, args),
    }
}

/// `bpf_get_stackid(ctx, map, flags)`: the chain's number, or a negative error number.
fn get_stackid(
    call: &mut Call<'_, '_, '_>,
    place: Place,
    [_, map, flags, ..]: Args,
) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    if map.kind() != MapType::STACK_TRACE {
        return Err(TrapKind::WrongMap { helper: "bpf_get_stackid", map_type: map.kind() });
    }
    if flags & !(SKIP | USER_STACK | MAP_FLAGS) != 0 {
        return Ok(errno(Errno::EINVAL));
    }
    let (chain, len) = chain(call, place, flags);
    let rest = chain[..len].get((flags & SKIP) as usize..).unwrap_or(&[]);
    Ok(map.stack_id(rest, flags & MAP_FLAGS, call.state.vcpu).map_or_else(errno, u64::from))
}

/// `bpf_get_stack(ctx, buf, size, flags)`: the chain, and zeros behind it; gives its length in bytes, or a negative
/// error number and zeros.
fn get_stack(
    call: &mut Call<'_, '_, '_>,
    place: Place,
    [_, buf, size, flags, _]: Args,
) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if call.mem.zero(buf, size).is_none() {
        return Err(call.fault(buf, size, true));
    }
    let build_id = flags & USER_BUILD_ID != 0;
    let element = if build_id { 32 } else { 8 };
    let known = SKIP | USER_STACK | USER_BUILD_ID;
    if flags & !known != 0 || (build_id && flags & USER_STACK == 0) || !size.is_multiple_of(element) {
        return Ok(errno(Errno::EINVAL));
    }
    let (chain, len) = chain(call, place, flags);
    let Some(rest) = chain[..len].get((flags & SKIP) as usize..) else {
        return Ok(errno(Errno::EFAULT));
    };
    let count = rest.len().min((size / element) as usize);
    for (i, address) in rest[..count].iter().enumerate() {
        let _checked = call.mem.write(buf + 8 * i as u64, &address.to_ne_bytes());
    }
    Ok(8 * count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_there_and_back() {
        let at = CodeAddr { prog_id: 0x1234_5678, pc: 0x9abc_def0 };
        assert_eq!(u64::from(at), 0x1234_5678_9abc_def0);
        assert_eq!(CodeAddr::from(u64::from(at)), at);
    }
}

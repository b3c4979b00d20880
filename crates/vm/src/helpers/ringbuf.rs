//! Ring buffer helpers (kernel/bpf/ringbuf.c).

use skep_maps::{Map, Ringbuf};
use skep_spec::Errno;

use super::{Args, Call, status};
use crate::Program;
use crate::mem::Mem;
use crate::trap::TrapKind;

fn ringbuf<'m>(map: &'m Map, helper: &'static str) -> Result<&'m Ringbuf, TrapKind> {
    map.ringbuf().ok_or(TrapKind::WrongMap { helper, map_type: map.kind() })
}

/// `bpf_ringbuf_output(ringbuf, data, size, flags)`: 0 or a negative error number.
pub(super) fn output(
    call: &mut Call<'_, '_, '_>,
    [map, data, size, flags, _]: Args,
) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    let ring = ringbuf(&map, "bpf_ringbuf_output")?;
    let vcpu = call.state.vcpu;
    match call.mem.bytes(data, size) {
        Some(bytes) => Ok(status(ring.output(bytes, flags, vcpu))),
        None => Err(call.fault(data, size, false)),
    }
}

/// `bpf_ringbuf_reserve(ringbuf, size, flags)`: the address of the record, or 0.
///
/// 0 also when the run holds [`RECORDS`](crate::RECORDS) records already; Linux has no such limit.
pub(super) fn reserve(call: &mut Call<'_, '_, '_>, [map, size, flags, ..]: Args) -> Result<u64, TrapKind> {
    ringbuf(&*call.map(map)?, "bpf_ringbuf_reserve")?;
    Ok(call.mem.reserve_record(map, size, flags, call.state.vcpu).unwrap_or(0))
}

/// `bpf_ringbuf_submit(record, flags)`: gives the record out.
pub(super) fn submit(call: &mut Call<'_, '_, '_>, [record, flags, ..]: Args) -> Result<u64, TrapKind> {
    close(call, record, |ring| ring.submit(record, flags))
}

/// `bpf_ringbuf_discard(record, flags)`: gives the record up.
pub(super) fn discard(call: &mut Call<'_, '_, '_>, [record, flags, ..]: Args) -> Result<u64, TrapKind> {
    close(call, record, |ring| ring.discard(record, flags))
}

/// `bpf_ringbuf_query(ringbuf, flags)`: a position or size; 0 for an unknown question.
pub(super) fn query(call: &mut Call<'_, '_, '_>, [map, what, ..]: Args) -> Result<u64, TrapKind> {
    Ok(ringbuf(&*call.map(map)?, "bpf_ringbuf_query")?.query(what))
}

fn close(
    call: &mut Call<'_, '_, '_>,
    record: u64,
    how: impl Fn(&Ringbuf) -> Result<(), Errno>,
) -> Result<u64, TrapKind> {
    let map = call.mem.remove_record(record).ok_or(TrapKind::NotARecord(record))?;
    match call.map(map)?.ringbuf().is_some_and(|ring| how(ring).is_ok()) {
        true => Ok(0),
        // A peer process wrote over the ring's state.
        false => Err(TrapKind::NotARecord(record)),
    }
}

/// Discards what a program that ends still holds: consumers wait at a record that is not closed.
pub(crate) fn discard_open(program: &Program, mem: &mut Mem<'_>, vcpu: u32) {
    while let Some(record) = mem.open_record() {
        let map = mem.remove_record(record).and_then(|map| program.map(map, vcpu));
        let _closed = map.is_some_and(|m| m.ringbuf().is_some_and(|ring| ring.discard(record, 0).is_ok()));
    }
}

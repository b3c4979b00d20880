//! Maps: lookup, update, delete; push, pop, peek (kernel/bpf/helpers.c).

use skep_abi::MapType;
use skep_maps::Map;

use super::{Args, Call, status};
use crate::Program;
use crate::bound;
use crate::mem::Mem;
use crate::trap::TrapKind;

/// As [`lookup`] for what it mostly is: of a key that an array has.
#[inline]
pub(crate) fn lookup_in_array(program: &Program, mem: &mut Mem<'_>, map: u64, key: u64) -> Option<u64> {
    mem.array_value(program.map_index(map)?, key)
}

/// `bpf_map_lookup_elem(map, key)`: the address of the value, of this CPU's for per-CPU kinds, or 0.
pub(crate) fn lookup(
    program: &Program,
    mem: &mut Mem<'_>,
    vcpu: u32,
    map: u64,
    key: u64,
) -> Result<u64, TrapKind> {
    let Some(found) = program.map(map, vcpu) else { return Err(TrapKind::NotAMap(map)) };
    has_values(&found, "bpf_map_lookup_elem")?;
    let len = u64::from(found.key_size());
    let Some(bytes) = mem.bytes(key, len) else {
        return Err(TrapKind::Memory(mem.fault(key, len, false)));
    };
    let Some(value) = found.lookup(bytes, vcpu) else {
        return Ok(if found.is_of_maps() {
            lookup_map(program, mem, vcpu, program.map_index(map), key)
        } else {
            0
        });
    };
    match program.map_index(map) {
        Some(index) => mem.expect_value(index, value),
        None => mem.expect_inner_value(&found, value),
    }
    Ok(value)
}

/// What stands for the map in a slot of a map of maps, or 0. The key has been found readable.
#[inline(never)]
fn lookup_map(program: &Program, mem: &mut Mem<'_>, vcpu: u32, outer: Option<usize>, key: u64) -> u64 {
    // Maps of maps hold none of their kind.
    let Some(outer) = outer else { return 0 };
    let map = &program.maps()[outer];
    let id = mem.bytes(key, u64::from(map.key_size())).and_then(|key| map.inner_id(key));
    let Some((id, inner)) = id.and_then(|id| Some((id, map.inner_map(id, vcpu)?))) else { return 0 };
    mem.found_map(&inner);
    bound::inner(outer, id).unwrap_or(0)
}

/// `bpf_map_update_elem(map, key, value, flags)`: 0 or a negative error number.
pub(super) fn update_elem(
    call: &mut Call<'_, '_, '_>,
    [map, key, value, flags, _]: Args,
) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    has_values(&map, "bpf_map_update_elem")?;
    no_maps(&map, "bpf_map_update_elem")?;
    let (key_len, value_len) = (u64::from(map.key_size()), u64::from(map.value_size()));
    let vcpu = call.state.vcpu;
    if call.mem.bytes(key, key_len).is_none() {
        return Err(call.fault(key, key_len, false));
    }
    match call.mem.two(key, key_len, value, value_len) {
        Some((key, value)) => Ok(status(map.update(key, value, flags, vcpu))),
        None => Err(call.fault(value, value_len, false)),
    }
}

/// `bpf_map_delete_elem(map, key)`: 0 or a negative error number.
pub(super) fn delete_elem(call: &mut Call<'_, '_, '_>, [map, key, ..]: Args) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    has_values(&map, "bpf_map_delete_elem")?;
    no_maps(&map, "bpf_map_delete_elem")?;
    let len = u64::from(map.key_size());
    let vcpu = call.state.vcpu;
    match call.mem.bytes(key, len) {
        Some(key) => Ok(status(map.delete(key, vcpu))),
        None => Err(call.fault(key, len, false)),
    }
}

/// `bpf_map_lookup_percpu_elem(map, key, cpu)`: as [`lookup_elem`] of another CPU; 0 for a CPU that there is not.
pub(super) fn lookup_percpu_elem(
    call: &mut Call<'_, '_, '_>,
    [map, key, cpu, ..]: Args,
) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    if !map.is_percpu() {
        return Err(TrapKind::WrongMap { helper: "bpf_map_lookup_percpu_elem", map_type: map.kind() });
    }
    let (len, cpu) = (u64::from(map.key_size()), cpu as u32);
    match call.mem.bytes(key, len) {
        Some(_) if cpu >= map.cpus() => Ok(0),
        Some(key) => Ok(map.lookup(key, cpu).unwrap_or(0)),
        None => Err(call.fault(key, len, false)),
    }
}

/// `bpf_map_push_elem(map, value, flags)`: 0 or a negative error number.
pub(super) fn push_elem(call: &mut Call<'_, '_, '_>, [map, value, flags, ..]: Args) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    no_keys(&map, "bpf_map_push_elem", &[MapType::QUEUE, MapType::STACK, MapType::BLOOM_FILTER])?;
    let (len, vcpu) = (u64::from(map.value_size()), call.state.vcpu);
    match call.mem.bytes(value, len) {
        Some(value) => Ok(status(map.push(value, flags, vcpu))),
        None => Err(call.fault(value, len, false)),
    }
}

/// `bpf_map_pop_elem(map, value)`: 0, or a negative error number and zeros.
pub(super) fn pop_elem(call: &mut Call<'_, '_, '_>, [map, value, ..]: Args) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    no_keys(&map, "bpf_map_pop_elem", &[MapType::QUEUE, MapType::STACK])?;
    let (len, vcpu) = (u64::from(map.value_size()), call.state.vcpu);
    match call.mem.bytes_mut(value, len) {
        Some(mut to) => Ok(status(map.pop(&mut to, vcpu))),
        None => Err(call.fault(value, len, true)),
    }
}

/// `bpf_map_peek_elem(map, value)`: 0, or a negative error number and zeros; a bloom filter only reads the value.
pub(super) fn peek_elem(call: &mut Call<'_, '_, '_>, [map, value, ..]: Args) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    let (len, vcpu) = (u64::from(map.value_size()), call.state.vcpu);
    if map.kind() == MapType::BLOOM_FILTER {
        return match call.mem.bytes(value, len) {
            Some(value) => Ok(status(map.peek_value(value))),
            None => Err(call.fault(value, len, false)),
        };
    }
    no_keys(&map, "bpf_map_peek_elem", &[MapType::QUEUE, MapType::STACK])?;
    match call.mem.bytes_mut(value, len) {
        Some(mut to) => Ok(status(map.peek(&mut to, vcpu))),
        None => Err(call.fault(value, len, true)),
    }
}

fn no_keys(map: &Map, helper: &'static str, kinds: &[MapType]) -> Result<(), TrapKind> {
    match map.kind() {
        map_type if kinds.contains(&map_type) => Ok(()),
        map_type => Err(TrapKind::WrongMap { helper, map_type }),
    }
}

/// The slots of maps of maps are changed from outside.
pub(super) fn no_maps(map: &Map, helper: &'static str) -> Result<(), TrapKind> {
    match map.is_of_maps() {
        true => Err(TrapKind::WrongMap { helper, map_type: map.kind() }),
        false => Ok(()),
    }
}

/// Whether `bpf_map_lookup_elem` works on a map.
pub(crate) fn can_look_up(map: &Map) -> bool {
    has_values(map, "bpf_map_lookup_elem").is_ok()
}

/// Kinds whose elements are no values keep programs out (`check_map_func_compatibility`).
pub(super) fn has_values(map: &Map, helper: &'static str) -> Result<(), TrapKind> {
    match map.kind() {
        map_type @ (MapType::PROG_ARRAY
        | MapType::PERF_EVENT_ARRAY
        | MapType::QUEUE
        | MapType::STACK
        | MapType::STACK_TRACE
        | MapType::BLOOM_FILTER
        | MapType::USER_RINGBUF
        | MapType::CPUMAP
        | MapType::SOCKMAP
        | MapType::SOCKHASH
        | MapType::RINGBUF) => Err(TrapKind::WrongMap { helper, map_type }),
        map_type if map_type.is_local_storage() => Err(TrapKind::WrongMap { helper, map_type }),
        _ => Ok(()),
    }
}

//! Pages of arenas.

use skep_maps::Map;

use super::{Row, row};
use crate::helpers::{Args, Call, int};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row(
        "void *bpf_arena_alloc_pages(void *p__map, void *addr__ign, u32 page_cnt, int node_id, u64 flags)",
        alloc_pages,
    ),
    row("void bpf_arena_free_pages(void *p__map, void *ptr__ign, u32 page_cnt)", free_pages),
    row("int bpf_arena_reserve_pages(void *p__map, void *ptr__ign, u32 page_cnt)", reserve_pages),
];

/// Fuel that a page costs: it is zeroed.
const PAGE: u64 = 64;

fn wrong(function: &'static str, map: &Map) -> TrapKind {
    TrapKind::WrongMap { helper: function, map_type: map.kind() }
}

/// The address of new pages, zeroed, as the host has it; 0 when they are not free, and for any flags.
fn alloc_pages(call: &mut Call<'_, '_, '_>, [map, addr, count, node, flags]: Args) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    let arena = map.arena().ok_or_else(|| wrong("bpf_arena_alloc_pages", &map))?;
    let count = count as u32;
    call.state.spend((u64::from(count) * PAGE).min(arena.len()))?;
    Ok(if flags == 0 { arena.alloc_pages(addr, count, node as i32) } else { 0 })
}

/// Gives pages back.
fn free_pages(call: &mut Call<'_, '_, '_>, [map, addr, count, ..]: Args) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    map.arena().ok_or_else(|| wrong("bpf_arena_free_pages", &map))?.free_pages(addr, count as u32);
    Ok(0)
}

/// Keeps pages from being given out: 0, -EINVAL outside, -EBUSY where one is not free.
fn reserve_pages(call: &mut Call<'_, '_, '_>, [map, addr, count, ..]: Args) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    let arena = map.arena().ok_or_else(|| wrong("bpf_arena_reserve_pages", &map))?;
    match count as u32 {
        0 => Ok(0),
        count => Ok(int(arena.reserve_pages(addr, count))),
    }
}

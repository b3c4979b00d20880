//! What is asked of maps.

use super::{Row, row};
use crate::helpers::{Args, Call};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] =
    &[row("s64 bpf_map_sum_elem_count(const struct bpf_map *map)", sum_elem_count)];

/// The elements of a hash; 0 for a map that does not count them.
fn sum_elem_count(call: &mut Call<'_, '_, '_>, [map, ..]: Args) -> Result<u64, TrapKind> {
    Ok(call.map(map)?.element_count())
}

//! What random modules run in.

use skep_isa::Size;

use super::USED;
use crate::ir::Service;
use crate::ir::eval::{Plain, Stop, World};
use crate::ir::lookup::Array;

/// Address of 64 bytes that are no frame.
pub const MAP: u64 = 0x5000_0000;
/// The register content that stands for an array of [`array`], and that for one of each virtual CPU.
const ARRAYS: [u64; 2] = [0xffff_9000_0000_1000, 0xffff_9000_0000_2000];
/// Where their values lie: 64 bytes each.
const VALUES: [u64; 2] = [MAP + 0x1000, MAP + 0x2000];
/// Bytes at each of [`MEMORY`].
pub const BYTES: usize = USED as usize;
/// All the memory that is no frame, as it is handed to a run by [`world`]: [`BYTES`] of 7 each.
pub const MEMORY: [u64; 3] = [MAP, VALUES[0], VALUES[1]];
/// The virtual CPU.
pub const VCPU: u64 = 1;

/// A world in which [`super::module`]s run: frames, the map's bytes, and services that read and write what they are given.
pub fn world() -> Plain {
    let mut world = Plain::new(0x7000_0000);
    world.memory.extend(MEMORY.map(|at| (at, vec![7; BYTES])));
    world.services = |world, service, args, left| {
        let mut count = world.count;
        let answer = answer(world, &mut count, service, args, left);
        world.count = count;
        answer
    };
    world.vcpu = Some(VCPU);
    world
}

/// The arrays that lookups may be done in line of.
pub fn array(content: u64) -> Option<Array> {
    let at = ARRAYS.iter().position(|c| *c == content)?;
    let (stride, cpu_stride) = if at == 0 { (16, None) } else { (8, Some(32)) };
    Some(Array { base: VALUES[at], stride, entries: if at == 0 { 4 } else { 3 }, cpu_stride })
}

/// `helper 0(p)` adds to 8 bytes at `p`, `helper 1(a, b)` mixes numbers, `lookup` looks into an array or reads 4 bytes,
/// `call_back_next` leaves arguments.
pub fn answer(
    world: &mut dyn World,
    count: &mut u64,
    service: Service,
    args: &[u64],
    left: &mut [u64; 5],
) -> Result<u64, Stop> {
    if service == Service::Lookup {
        let key = world.load(args[1], Size::W)?;
        return Ok(match array(args[0]) {
            Some(a) if key < a.entries.into() => a.base + key * a.stride + a.cpu_stride.unwrap_or(0) * VCPU,
            Some(_) => 0,
            None => key.wrapping_mul(3),
        });
    }
    *count += 1;
    match service {
        Service::Helper { index: 0 } => {
            let old = world.load(args[0], Size::DW)?;
            world.store(args[0], Size::DW, old.rotate_left(9) ^ *count)?;
            Ok(old)
        }
        Service::Helper { .. } => Ok(args.iter().fold(*count, |a, b| a.rotate_left(7) ^ b)),
        Service::CallBackNext => {
            *left = [args[0], *count, 2, 3, 4];
            Ok(args[0] & 1)
        }
        _ => Err(Stop::Service(format!("there is no `{service}`"))),
    }
}

/// What a run leaves behind in [`MEMORY`].
pub fn memory(world: &Plain) -> Vec<u8> {
    MEMORY.iter().filter_map(|at| world.memory.get(at)).flatten().copied().collect()
}

/// The content that stands for a map that is looked into: an array, each of the CPU's own, or none.
pub(super) fn content(n: usize) -> u64 {
    ARRAYS.get(n).copied().unwrap_or(0xffff_9000_0000_0000)
}

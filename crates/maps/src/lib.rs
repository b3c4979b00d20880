//! Concurrent eBPF maps and ring buffers in shareable memory.
//!
//! A [`Map`] is one or two blocks of memory with a documented, position-independent layout (see
//! [`layout`]) and a private, trusted copy of its geometry. It has two faces:
//!
//! - the **program side** ([`Map::lookup`], [`Map::update`], [`Map::delete`], [`Map::push`], [`Map::pop`],
//!   [`Map::peek`], [`Map::get_program`], [`Map::ringbuf`]) is what helpers call. It never allocates, takes no lock of the standard library,
//!   and does not panic whatever a program or a peer process wrote into the shared memory. Each call
//!   names the virtual CPU that it runs on;
//! - the **host side** ([`Map::lookup_copy`], [`Map::update_from_host`], [`Map::delete_from_host`],
//!   [`Map::next_key`], [`Map::freeze`], [`Map::consumer`]) is what the `bpf(2)` commands do, with the
//!   kernel's error numbers and words.
//!
//! A program side call names a virtual CPU, and during a run that CPU is exclusive to the thread: two threads
//! that name the same CPU at the same time write the same per-CPU values, and one that meets a lock of the
//! other gets `EBUSY`, as a run nested in another does. Host calls need no CPU; any number of threads may
//! make them. A run tells each of its maps that [`Map::waits_for_runs`] when it begins and ends
//! ([`Map::begin_run`]). Who waits for a lock spins, then lets others run, then sleeps ([`Config::relax`],
//! [`Config::sleep`]): as long as [`Config::patience`] says for a holder who lives, and not at all for one who died.
//!
//! A map of maps keeps the maps in its slots alive ([`Map::set_map`]), and those that left a slot while a run lasts that
//! may have found them ([`Map::inner_id`], [`Map::inner_map`]).
//!
//! Several processes may have a map's memory ([`Map::open`]). Each says who it is and finds out who has died
//! ([`Config::peers`]): locks of the dead are taken over, and what they left half done is repaired by whoever meets it. What
//! they wrote into values stays.
//!
//! What the fields of values keep (timers, objects, lists, trees) is a [`Keeper`]'s, and private to the process.
//!
//! ```
//! use skep_abi::MapType;
//! use skep_maps::{Config, Heap, Map};
//! use skep_spec::MapDef;
//!
//! let def = MapDef::new(MapType::HASH, 4, 8, 100).named("counts");
//! let map = Map::create(&def, &Config::new(1), &Heap)?;
//! map.update_from_host(&1u32.to_ne_bytes(), &7u64.to_ne_bytes(), 0)?;
//! assert_eq!(map.lookup_copy(&1u32.to_ne_bytes(), 0)?, 7u64.to_ne_bytes());
//! # Ok::<(), skep_spec::Error>(())
//! ```
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(shuttle)]
extern crate std;

mod arena;
mod array;
mod batch;
mod batches;
mod bloom_filter;
mod cells;
mod create;
mod devices;
mod fields;
mod geometry;
mod grace;
mod hash;
mod jhash;
mod kept;
mod lpm_starts;
mod lpm_trie;
mod map;
mod map_of_maps;
mod mem;
mod open;
mod percpu_array;
mod perf_event_array;
mod pool;
mod prog_array;
mod queue;
mod ringbuf;
mod sockets;
mod spin;
mod stack_trace;
mod storage;
mod struct_ops;
mod sync;
mod user_ringbuf;
mod view;
mod walk;

/// The layout of the shared memory.
#[doc = include_str!("../../../docs/map-layout.md")]
pub mod layout {
    pub use crate::geometry::{HEADER_LEN, MAGIC, VERSION};
}

pub use arena::Arena;
pub use array::ArrayGeometry;
pub use batch::Batch;
pub use kept::{Cancel, Due, FieldOf, Half, Insert, Keeper, ObjectType, Refused, TimerKind, TimerOwner};
pub use map::{Area, Config, Map};
pub use mem::{Block, Bytes, BytesMut, Discard, Heap, Memory};
pub use open::Header;
pub use perf_event_array::PerfReader;
pub use ringbuf::{Consumer, Query, Ringbuf, Wake};
pub use storage::Object;
#[cfg(all(debug_assertions, not(shuttle)))]
#[doc(hidden)]
pub use sync::on_step;
pub use sync::{PATIENCE, PEERS, Peers};
pub use user_ringbuf::{Drain, Drained, Producer, Reserved, UserRingbuf};
pub use view::View;
pub use walk::{Element, Key, Step, Walk};

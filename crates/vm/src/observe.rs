//! Watching a run instruction by instruction.
//!
//! A run with an [`Observer`] executes the program's instructions one by one: nothing is fused. A run without one
//! is another instance of the interpreter, which has no trace of this.

use skep_maps::Map;

use crate::Program;
use crate::mem::{Mem, Name};
use crate::packet::Layout;

/// Sees the instructions of a run, each before it executes.
///
/// Called while the program runs: what it prints or keeps is its own affair, the run waits for it.
pub trait Observer {
    /// The instruction at [`Step::pc`] executes next.
    fn step(&self, step: &Step<'_>);
}

/// A run just before an instruction.
pub struct Step<'a> {
    /// The program, after a tail call not the one that was started.
    pub program: &'a Program,
    /// Slot of the instruction.
    pub pc: usize,
    /// Function calls that have not returned: 0 in the first function.
    pub depth: usize,
    /// `r0` to `r10`.
    pub regs: &'a [u64; 11],
    mem: &'a Mem<'a>,
    packet: Option<Layout>,
}

impl core::fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Step")
            .field("program", &self.program.name())
            .field("pc", &self.pc)
            .field("depth", &self.depth)
            .field("regs", &self.regs)
            .finish_non_exhaustive()
    }
}

/// What a number in a register is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The context.
    Ctx {
        /// Bytes from its start.
        off: u64,
    },
    /// A stack frame.
    Stack {
        /// The frame's number: 0 is the first function's.
        frame: usize,
        /// Bytes from its end, where its `r10` points: at most 0.
        off: i64,
    },
    /// The packet, or the metadata before it.
    Packet {
        /// Bytes from the packet's first one; negative in the metadata.
        off: i64,
    },
    /// A map, as helpers take it.
    Map {
        /// Its index in [`Program::maps`].
        map: usize,
    },
    /// A map's values.
    Values {
        /// The map's index in [`Program::maps`].
        map: usize,
        /// The element, for arrays.
        element: Option<u32>,
        /// Bytes from the element's value, or if that is not known from the first of all.
        off: u64,
    },
    /// A ring buffer record that has been reserved.
    Record {
        /// Bytes from its start.
        off: u64,
    },
    /// A map's key that a callback was called with.
    Key {
        /// Bytes from its start.
        off: u64,
    },
    /// The memory of objects that programs allocate.
    Objects {
        /// Bytes from its start.
        off: u64,
    },
    /// Another buffer that was lent to the run.
    Buffer {
        /// Bytes from its start.
        off: u64,
    },
}

impl Step<'_> {
    #[inline(never)]
    pub(crate) fn show(
        observer: &dyn Observer,
        program: &Program,
        (mem, packet): (&Mem<'_>, Option<Layout>),
        (pc, depth): (usize, usize),
        regs: &[u64; 16],
    ) {
        let regs = &core::array::from_fn(|i| regs[i]);
        observer.step(&Step { program, pc, depth, regs, mem, packet });
    }

    /// Copies memory that the run may read; says whether all of it may be read.
    pub fn read(&self, addr: u64, to: &mut [u8]) -> bool {
        self.mem.peek(addr, to)
    }

    /// Where the `r10` of a frame points; 0 is the first function's.
    pub fn frame_end(&self, frame: usize) -> u64 {
        self.mem.frame_end(frame)
    }

    /// Where the packet begins and ends, if the run has one.
    pub fn packet(&self) -> Option<(u64, u64)> {
        self.packet.map(|layout| (self.mem.packet_addr(layout.data), self.mem.packet_addr(layout.end)))
    }

    /// What `value` is the address of, if it lies in memory of the run or just behind, or stands for a map. A number
    /// that happens to be such an address is taken for one.
    pub fn place(&self, value: u64) -> Option<Place> {
        if let Some(map) = self.program.map_index(value) {
            return Some(Place::Map { map });
        }
        let (name, start) = self.mem.region_of(value)?;
        let off = value - start;
        Some(match name {
            Name::Nothing => return None,
            Name::Context => Place::Ctx { off },
            Name::Stack => {
                let (frame, off) = self.mem.frame_of(value, self.depth);
                Place::Stack { frame, off }
            }
            Name::Packet => {
                let first = self.mem.packet_addr(self.packet?.data);
                Place::Packet { off: value.wrapping_sub(first).cast_signed() }
            }
            Name::Buffer => Place::Buffer { off },
            Name::Record => Place::Record { off },
            Name::Key => Place::Key { off },
            Name::Objects => Place::Objects { off },
            Name::Values => {
                let held = |m: &Map| m.value_area().is_some_and(|a| a.addr == start);
                let map = self.program.maps().iter().position(|m| held(m))?;
                // Just behind the last element is still of the last one.
                let element = |stride: u64, count: u32| {
                    let index = (off.checked_div(stride)?).min(u64::from(count.checked_sub(1)?));
                    Some((index as u32, off - index * stride))
                };
                let array = self.program.maps()[map].array();
                match array.and_then(|a| element(a.stride as u64, a.max_entries)) {
                    Some((index, off)) => Place::Values { map, element: Some(index), off },
                    None => Place::Values { map, element: None, off },
                }
            }
        })
    }
}

//! SSA to machine code.
//!
//! [`Lowering`] is the seam to whatever generates code; Cranelift stands behind it.
//!
//! How functions call each other: a function takes the runtime's structure, the end of its stack frame and `r1` to `r5`, of these
//! as many as it uses, and gives `r0` and, if it or what it calls can stop the run, the stop (0: go on). A callee's frame is the
//! caller's less 512 bytes. What is entered from outside has the signature of an entry. A program with tail calls has
//! its main function in a convention of true tail jumps, and an entry before it; any other has a small function in that
//! convention for the programs that jump to it.

mod arith;
mod body;
mod calls;
mod clif;
mod link;
mod seam;
mod signature;

use crate::ir::{Func, Module};

pub use clif::Cranelift;
pub use seam::{Seam, Slots};

/// Machine code of a module, which runs at any address.
pub struct Machine {
    /// The code.
    pub code: Vec<u8>,
    /// What the beginning must be aligned to, in bytes.
    pub align: usize,
    /// The functions, in order of their offsets.
    pub functions: Vec<Placed>,
    /// Offset of each function's entry with the C calling convention, by function, if it has one.
    pub entries: Vec<Option<u32>>,
    /// Offset of the function that other programs jump to.
    pub tail_entry: u32,
    /// Which slot of the program code from an offset on stands for; ascending offsets.
    pub positions: Vec<Position>,
    /// The code as the generator's own text, where asked for.
    pub text: Option<String>,
    /// How frames are unwound.
    pub frames: Frames,
}

/// Where a function lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Which function of the module it is; `None`: an entry before one.
    pub func: Option<Func>,
    /// First byte.
    pub start: u32,
    /// Behind the last.
    pub end: u32,
}

/// From an offset of the code on, the slot of the program that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Offset in the code, bytes.
    pub offset: u32,
    /// Slot of the program; `None` for what stands for none.
    pub slot: Option<u32>,
}

/// How frames of the code are unwound, in the form of `.eh_frame`, made once its address is known.
pub struct Frames(Option<Box<MakeFrames>>);

/// Makes the section for code at an address.
type MakeFrames = dyn Fn(u64) -> Option<Vec<u8>> + Send + Sync;

impl Frames {
    /// The section's contents, for code at an address; `None` if the generator has none.
    pub fn eh_frame(&self, base: u64) -> Option<Vec<u8>> {
        self.0.as_ref().and_then(|f| f(base))
    }
}

/// What the generator is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Another target than this machine: a triple such as `aarch64-unknown-linux-gnu`.
    pub target: Option<String>,
    /// Whether the generator's own text is wanted.
    pub text: bool,
    /// Whether the generator optimises too.
    pub plain: bool,
    /// Whether every frame is to have a frame pointer, for profilers that go by them.
    pub frame_pointers: bool,
}

/// A generator of machine code.
pub trait Lowering {
    /// The module's code.
    ///
    /// `entered`: the functions, by index, that are entered from outside; the first always is.
    ///
    /// # Errors
    /// [`crate::Unsupported`]: no code can be had for the target, or the module is too large.
    fn lower(
        &self,
        module: &Module,
        entered: &[bool],
        seam: &Seam,
        wanted: &Wanted,
    ) -> Result<Machine, crate::Unsupported>;
}

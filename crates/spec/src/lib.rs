//! What all sides of skep speak: programs and maps as specifications, the environment that a program is
//! verified in, the backend that runs it, and errors as Linux error numbers with words.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod backend;
mod effect;
mod environment;
mod errno;
mod fields;
mod jump_tables;
mod map;
mod placed;
mod program;
mod view;

pub use backend::{
    Backend, BackendLink, BackendMap, BackendProgram, Batch, ByteReader, Error, LoadError, LoadOptions,
    MapInfo, NativeInfo, PerfEventReader, PerfRecord, ProgramInfo, RingProducer, RingSample, RunInput,
    RunOutput, RunStats,
};
pub use effect::{CloneRedirect, NextHop, Redirect, RedirectTo};
pub use environment::{Environment, Profile, SectionMeaning};
pub use errno::Errno;
pub use fields::{BadField, Field, FieldKind, FieldPlace, Fields, SPIN_LOCK_SIZE};
pub use map::{MapDef, Pinning, StructOps};
pub use placed::Misplaced;
pub use program::{FuncInfo, KfuncCall, LineInfo, Poisoned, ProgramSpec, SourceLine};
pub use view::{Cell, Change, ValueMemory};

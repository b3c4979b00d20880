//! The Linux eBPF contract as tables: what a helper takes and gives, what a program type sees, which
//! map types there are, what a section name means.
//!
//! Tables and the grammar of formats; no behaviour. Numbers are the kernel's UAPI (`include/uapi/linux/bpf.h`, Linux 6.18);
//! section names are libbpf 1.7's. Consumers read them through `skep_spec::Environment`, so that an
//! embedder can add rows of its own.
#![no_std]
#![forbid(unsafe_code)]

mod attach;
mod bprintf;
mod context;
mod helper;
mod kernel_args;
mod kfunc;
mod lsm;
mod map;
mod object_fn;
mod prog;
pub mod ringbuf;
mod section;
mod socket;
mod socket_context;
mod struct_ops;
mod traced;

pub use attach::AttachType;
pub use bprintf::{
    BPRINTF_ARG_BYTES, BPRINTF_ARGS, BadFormat, Conversion, FormatPiece, FormatSpec, check_format,
    format_piece,
};
pub use context::{
    Access, Context, CtxField, CtxShape, CtxValue, FLOW_KEYS_BYTES, Native, SK_BUFF_BYTES, sk_buff_field,
};
pub use helper::{
    Arg, ArgKind, Capability, DynptrUse, EMBEDDER_HELPERS, HELPER_NAMES, HELPERS, HelperFlags, HelperGroup,
    HelperProto, MemAccess, Ret, helper, helper_by_name, helper_name, ids as helper_ids,
};
pub use kernel_args::{
    ITERATORS, IterArg, NULLABLE_TRACEPOINT_ARGS, iterator, target_offers, tracepoint_arg_nullable,
};
pub use kfunc::{Kfunc, KfuncEffect, KfuncFlags, KfuncUsers, Only, Undisturbed, kfunc, kfuncs};
pub use lsm::{
    HOOK, HOOKS, hook_arg_nullable, hook_is_disabled, hook_is_trusted, hook_offers, hook_returns, hook_sleeps,
};
pub use map::{KERNEL_MAP_TYPES, MAP_TYPES, MapFlags, MapType, MapTypeRow, Rule, UpdateFlags};
pub use object_fn::{OBJECT_FNS, ObjectFn, object_fn};
pub use prog::{
    AttachRules, KERNEL_PROGRAM_TYPES, PROGRAM_TYPES, PacketAccess, ProgramType, ProgramTypeRow, ReturnRange,
    Sleep,
};
pub use section::{SECTIONS, Section, SectionFlags, SectionMatch, find_section};
pub use socket::{SOCK, SOCK_COMMON, TCP_SOCK, XDP_SOCK};
pub use struct_ops::{STRUCT_OPS, Stored, StructOps, struct_ops};
pub use traced::{function_is_modifiable, function_sleeps};

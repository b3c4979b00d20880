//! Local storage: values with the running thread (kernel/bpf/bpf_task_storage.c and its like, Linux 6.18).
//!
//! The only object that a program here can name is the thread that runs it, as `bpf_get_current_task_btf` gives it:
//!
//! ```text
//! 0xffff_c000_0000_0000 | thread id
//! ```
//!
//! No memory is there. Sockets, files and control groups of programs are always NULL: there are none.

use skep_abi::MapType;
use skep_maps::Object;
use skep_spec::Errno;

use super::{Args, Call, errno, status};
use crate::trap::TrapKind;

const TASK: u64 = 0xffff_c000_0000_0000;
/// `BPF_LOCAL_STORAGE_GET_F_CREATE`.
const CREATE: u64 = 1;

/// `bpf_get_current_task_btf()`.
pub(super) fn current_task(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(TASK | u64::from(call.state.host.task().pid))
}

/// The object that an argument stands for; `None` for NULL.
fn object(call: &Call<'_, '_, '_>, map_type: MapType, value: u64) -> Result<Option<Object>, TrapKind> {
    let task = TASK | u64::from(call.state.host.task().pid);
    match value {
        0 => Ok(None),
        _ if value == task && map_type == MapType::TASK_STORAGE => Ok(Some(call.state.host.task_object())),
        _ => Err(TrapKind::NotAnObject(value)),
    }
}

fn get(
    call: &mut Call<'_, '_, '_>,
    [map, of, value, flags, _]: Args,
    (map_type, helper): (MapType, &'static str),
) -> Result<u64, TrapKind> {
    let index = call.program.map_index(map);
    let map = call.map(map)?;
    if map.kind() != map_type {
        return Err(TrapKind::WrongMap { helper, map_type: map.kind() });
    }
    let object = object(call, map_type, of)?;
    let (len, vcpu) = (u64::from(map.value_size()), call.state.vcpu);
    let Some(object) = object.filter(|_| flags & !CREATE == 0) else { return Ok(0) };
    let initial = match value {
        0 => None,
        _ => match call.mem.bytes(value, len) {
            Some(bytes) => Some(bytes),
            None => return Err(call.fault(value, len, false)),
        },
    };
    let found = map.storage_get(object, flags & CREATE != 0, initial, vcpu);
    if let (Some(index), Some(value)) = (index, found) {
        call.mem.expect_value(index, value);
    }
    Ok(found.unwrap_or(0))
}

fn delete(
    call: &mut Call<'_, '_, '_>,
    [map, of, ..]: Args,
    (map_type, helper): (MapType, &'static str),
) -> Result<u64, TrapKind> {
    let map = call.map(map)?;
    if map.kind() != map_type {
        return Err(TrapKind::WrongMap { helper, map_type: map.kind() });
    }
    match object(call, map_type, of)? {
        None => Ok(errno(Errno::EINVAL)),
        Some(object) => Ok(status(map.storage_delete(object, call.state.vcpu))),
    }
}

macro_rules! kinds {
    ($($kind:ident: $get:ident $get_name:literal, $delete:ident $delete_name:literal;)*) => {$(
        #[doc = concat!("`", $get_name, "(map, object, value, flags)`: the address of the value with the object, or 0.")]
        pub(super) fn $get(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
            get(call, args, (MapType::$kind, $get_name))
        }

        #[doc = concat!("`", $delete_name, "(map, object)`: 0, -ENOENT, or -EINVAL for NULL.")]
        pub(super) fn $delete(call: &mut Call<'_, '_, '_>, args: Args) -> Result<u64, TrapKind> {
            delete(call, args, (MapType::$kind, $delete_name))
        }
    )*};
}

// Each row becomes the two bodies of a kind: `fn task_get` and `fn task_delete`.
kinds! {
    SK_STORAGE: sk_get "bpf_sk_storage_get", sk_delete "bpf_sk_storage_delete";
    INODE_STORAGE: inode_get "bpf_inode_storage_get", inode_delete "bpf_inode_storage_delete";
    TASK_STORAGE: task_get "bpf_task_storage_get", task_delete "bpf_task_storage_delete";
    CGRP_STORAGE: cgrp_get "bpf_cgrp_storage_get", cgrp_delete "bpf_cgrp_storage_delete";
}
